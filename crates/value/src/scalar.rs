//! The operations that only values of one scalar have.

use core::sync::atomic::Ordering::AcqRel;

use crossproc_message::pod::Stored;

use crate::value::Value;
use crate::word;

/// Operations that every integer has.
macro_rules! integers {
    ($($T:ident)*) => {
        $(
            /// One atomic instruction each, as those of core's atomics; overflow wraps around.
            impl Value<$T> {
                /// Adds `n`, wrapping around, and returns the value before.
                ///
                /// One instruction: it never blocks, and a process killed in it has added or not.
                ///
                /// # Examples
                ///
                /// ```
                /// # use crossproc_value::Value;
                #[doc = concat!("let value = Value::new(", stringify!($T), "::MAX)?;")]
                #[doc = concat!("assert_eq!(value.fetch_add(1), ", stringify!($T), "::MAX);")]
                #[doc = concat!("assert_eq!(value.get(), ", stringify!($T), "::MIN);")]
                /// # Ok::<(), crossproc_segment::Error>(())
                /// ```
                #[inline]
                pub fn fetch_add(&self, n: $T) -> $T {
                    // ORDERING: both sides of *publish* in `word`.
                    <$T>::from_bits(self.word().fetch_add(n.to_bits(), AcqRel)) // commit: it is changed
                }

                /// Subtracts `n`, wrapping around, and returns the value before.
                ///
                /// One instruction: it never blocks.
                ///
                /// # Examples
                ///
                /// ```
                /// # use crossproc_value::Value;
                #[doc = concat!("let value = Value::new(5", stringify!($T), ")?;")]
                /// assert_eq!(value.fetch_sub(2), 5);
                /// assert_eq!(value.get(), 3);
                /// # Ok::<(), crossproc_segment::Error>(())
                /// ```
                #[inline]
                pub fn fetch_sub(&self, n: $T) -> $T {
                    // ORDERING: both sides of *publish* in `word`.
                    <$T>::from_bits(self.word().fetch_sub(n.to_bits(), AcqRel)) // commit: it is changed
                }

                /// Keeps the greater of the value and `n`, and returns the value before.
                ///
                /// Never blocks; goes round again if another changed the value meanwhile.
                ///
                /// # Examples
                ///
                /// ```
                /// # use crossproc_value::Value;
                #[doc = concat!("let value = Value::new(5", stringify!($T), ")?;")]
                /// assert_eq!(value.fetch_max(7), 5);
                /// assert_eq!(value.get(), 7);
                /// # Ok::<(), crossproc_segment::Error>(())
                /// ```
                #[inline]
                pub fn fetch_max(&self, n: $T) -> $T {
                    word::update(self.word(), |value: &mut $T| *value = n.max(*value)).0
                }

                /// Keeps the lesser of the value and `n`, and returns the value before.
                ///
                /// Never blocks; goes round again if another changed the value meanwhile.
                ///
                /// # Examples
                ///
                /// ```
                /// # use crossproc_value::Value;
                #[doc = concat!("let value = Value::new(5", stringify!($T), ")?;")]
                /// assert_eq!(value.fetch_min(3), 5);
                /// assert_eq!(value.get(), 3);
                /// # Ok::<(), crossproc_segment::Error>(())
                /// ```
                #[inline]
                pub fn fetch_min(&self, n: $T) -> $T {
                    word::update(self.word(), |value: &mut $T| *value = n.min(*value)).0
                }
            }
        )*
    };
}

/// Operations on the bits of integers and `bool`.
macro_rules! bitwise {
    ($($T:ident: $a:literal $b:literal and $and:literal or $or:literal xor $xor:literal;)*) => {
        $(
            /// One atomic instruction each.
            impl Value<$T> {
                /// Keeps the bits that `mask` has too, and returns the value before.
                ///
                /// One instruction: it never blocks.
                ///
                /// # Examples
                ///
                /// ```
                /// # use crossproc_value::Value;
                #[doc = concat!("let value = Value::<", stringify!($T), ">::new(", $a, ")?;")]
                #[doc = concat!("assert_eq!(value.fetch_and(", $b, "), ", $a, ");")]
                #[doc = concat!("assert_eq!(value.get(), ", $and, ");")]
                /// # Ok::<(), crossproc_segment::Error>(())
                /// ```
                #[inline]
                pub fn fetch_and(&self, mask: $T) -> $T {
                    // ORDERING: both sides of *publish* in `word`.
                    <$T>::from_bits(self.word().fetch_and(mask.to_bits(), AcqRel)) // commit: it is changed
                }

                /// Adds the bits that `mask` has, and returns the value before.
                ///
                /// One instruction: it never blocks.
                ///
                /// # Examples
                ///
                /// ```
                /// # use crossproc_value::Value;
                #[doc = concat!("let value = Value::<", stringify!($T), ">::new(", $a, ")?;")]
                #[doc = concat!("assert_eq!(value.fetch_or(", $b, "), ", $a, ");")]
                #[doc = concat!("assert_eq!(value.get(), ", $or, ");")]
                /// # Ok::<(), crossproc_segment::Error>(())
                /// ```
                #[inline]
                pub fn fetch_or(&self, mask: $T) -> $T {
                    // ORDERING: both sides of *publish* in `word`.
                    <$T>::from_bits(self.word().fetch_or(mask.to_bits(), AcqRel)) // commit: it is changed
                }

                /// Turns over the bits that `mask` has, and returns the value before.
                ///
                /// One instruction: it never blocks.
                ///
                /// # Examples
                ///
                /// ```
                /// # use crossproc_value::Value;
                #[doc = concat!("let value = Value::<", stringify!($T), ">::new(", $a, ")?;")]
                #[doc = concat!("assert_eq!(value.fetch_xor(", $b, "), ", $a, ");")]
                #[doc = concat!("assert_eq!(value.get(), ", $xor, ");")]
                /// # Ok::<(), crossproc_segment::Error>(())
                /// ```
                #[inline]
                pub fn fetch_xor(&self, mask: $T) -> $T {
                    // ORDERING: both sides of *publish* in `word`.
                    <$T>::from_bits(self.word().fetch_xor(mask.to_bits(), AcqRel)) // commit: it is changed
                }
            }
        )*
    };
}

/// Operations that every scalar has.
macro_rules! scalars {
    ($($T:ident: $a:literal $b:literal;)*) => {
        $(
            /// One atomic instruction each.
            impl Value<$T> {
                /// Replaces the value, and returns the one before.
                ///
                /// One instruction: it never blocks.
                ///
                /// # Examples
                ///
                /// ```
                /// # use crossproc_value::Value;
                #[doc = concat!("let value = Value::<", stringify!($T), ">::new(", $a, ")?;")]
                #[doc = concat!("assert_eq!(value.swap(", $b, "), ", $a, ");")]
                #[doc = concat!("assert_eq!(value.get(), ", $b, ");")]
                /// # Ok::<(), crossproc_segment::Error>(())
                /// ```
                #[inline]
                pub fn swap(&self, value: $T) -> $T {
                    word::swap(self.word(), value)
                }

                /// Replaces the value by `new` if it is `current`, and returns the one before.
                ///
                /// Never blocks. Floats are compared by their bits: a NaN equals itself, `0.0` and
                /// `-0.0` differ.
                ///
                /// # Errors
                ///
                /// The value, if it was another.
                ///
                /// # Examples
                ///
                /// ```
                /// # use crossproc_value::Value;
                #[doc = concat!("let value = Value::<", stringify!($T), ">::new(", $a, ")?;")]
                #[doc = concat!("assert_eq!(value.compare_exchange(", $a, ", ", $b, "), Ok(", $a, "));")]
                #[doc = concat!("assert_eq!(value.compare_exchange(", $a, ", ", $b, "), Err(", $b, "));")]
                /// # Ok::<(), crossproc_segment::Error>(())
                /// ```
                #[inline]
                pub fn compare_exchange(&self, current: $T, new: $T) -> Result<$T, $T> {
                    word::compare_exchange(self.word(), current, new)
                }
            }
        )*
    };
}

integers! { u8 u16 u32 u64 usize i8 i16 i32 i64 isize }

bitwise! {
    u8: "12" "10" and "8" or "14" xor "6";
    u16: "12" "10" and "8" or "14" xor "6";
    u32: "12" "10" and "8" or "14" xor "6";
    u64: "12" "10" and "8" or "14" xor "6";
    usize: "12" "10" and "8" or "14" xor "6";
    i8: "12" "-6" and "8" or "-2" xor "-10";
    i16: "12" "-6" and "8" or "-2" xor "-10";
    i32: "12" "-6" and "8" or "-2" xor "-10";
    i64: "12" "-6" and "8" or "-2" xor "-10";
    isize: "12" "-6" and "8" or "-2" xor "-10";
    bool: "true" "false" and "false" or "true" xor "true";
}

scalars! {
    u8: "1" "2";
    u16: "1" "2";
    u32: "1" "2";
    u64: "1" "2";
    usize: "1" "2";
    i8: "-1" "2";
    i16: "-1" "2";
    i32: "-1" "2";
    i64: "-1" "2";
    isize: "-1" "2";
    f32: "-1.5" "2.5";
    f64: "-1.5" "2.5";
    bool: "false" "true";
}
