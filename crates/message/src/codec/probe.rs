//! Do all values of a type take the same number of bytes? Asked of its `Deserialize`.
//!
//! The type reads a made-up message in which every number is 1, and the probe counts. Anything
//! whose size depends on the value ends it. For plain data and for structs and tuples of numbers
//! all of this folds to a constant.

use core::fmt;

use crossproc_segment::transit::HANDLE;
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, SeqAccess, Visitor},
    forward_to_deserialize_any,
};

use crate::{message::Message, pod::wire::NAME as POD};

/// Made-up plain data. Larger values are not read by the probe: they would be made on the stack,
/// only to be thrown away.
static PLAIN: [u8; 4096] = [0; 4096];

/// The number of bytes that every message of type `T` takes, if it is one and the same.
///
/// `None` for what varies (text, sequences, maps, options, enums), for types that own something
/// (boxes, handles) and for values above 4096 bytes that are not plain data as a whole. Where it
/// answers, [`encode`](crate::encode) and [`encode_into`](crate::encode_into) write exactly that
/// many bytes or fail, and no handle.
///
/// It says nothing of which bytes are values: a `NonZero<u64>` takes eight, as a `u64` does.
///
/// # Examples
///
/// ```
/// use crossproc_message::fixed_size;
///
/// assert_eq!(fixed_size::<u64>(), Some(8));
/// assert_eq!(fixed_size::<(u8, [f64; 3])>(), Some(25));
/// assert_eq!(fixed_size::<String>(), None);
/// assert_eq!(fixed_size::<Option<u64>>(), None);
/// ```
#[inline]
pub fn fixed_size<T: Message>() -> Option<usize> {
    if size_of::<T>() <= PLAIN.len() {
        return small_fixed_size::<T>();
    }
    if core::mem::needs_drop::<T>() {
        return None;
    }
    // Nothing is read, but unoptimised code keeps room for the value all the same.
    if cfg!(debug_assertions) { with_large_stack::<T>() } else { probe::<T>() }
}

/// The same, and `None` for types above 4096 bytes. Cheap even where it does not fold.
#[inline]
pub(crate) fn small_fixed_size<T: Message>() -> Option<usize> {
    // Keeps out handles, which own their segment, and types that contain themselves.
    if core::mem::needs_drop::<T>() || size_of::<T>() > PLAIN.len() {
        return None;
    }
    probe::<T>()
}

// Not `always`: unoptimised, its frame has room for a `T`, which callers must not inherit.
#[inline]
fn probe<T: Message>() -> Option<usize> {
    let mut bytes = 0;
    match T::deserialize(Probe { bytes: &mut bytes, whole: true, size: size_of::<T>() }) {
        Ok(_) => Some(bytes),
        Err(End::Plain(size)) => Some(size),
        Err(End::Varies) => None,
    }
}

/// Asks on a stack with room for a few values of the type.
#[cold]
fn with_large_stack<T: Message>() -> Option<usize> {
    let stack = size_of::<T>().saturating_mul(8).saturating_add(1 << 20);
    let asking = std::thread::Builder::new().stack_size(stack).spawn(probe::<T>);
    asking.ok()?.join().ok()?
}

/// Reads the made-up message.
struct Probe<'a> {
    bytes: &'a mut usize,
    /// What is read now is all of the value.
    whole: bool,
    /// Bytes that the value takes in memory.
    size: usize,
}

impl Probe<'_> {
    /// Goes inside a struct or tuple of that many fields.
    #[inline(always)]
    fn fields<'de, V: Visitor<'de>>(self, left: usize, visitor: V) -> Result<V::Value, End> {
        if self.size > PLAIN.len() {
            return Err(End::Varies);
        }
        visitor.visit_seq(Fields { bytes: self.bytes, left, size: self.size })
    }
}

/// Why reading ended before a value was made.
#[derive(Debug)]
enum End {
    /// The whole is plain data of that size.
    Plain(usize),
    /// The size depends on the value, or cannot be told.
    Varies,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the size of a message was asked for")
    }
}

impl std::error::Error for End {}

impl Error for End {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Varies
    }
}

macro_rules! counted {
    ($($method:ident: $value:expr => $visit:ident, $bytes:expr;)*) => {
        $(
            #[inline(always)]
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, End> {
                *self.bytes += $bytes;
                visitor.$visit($value)
            }
        )*
    };
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = End;

    counted! {
        deserialize_bool: true => visit_bool, 1;
        deserialize_char: '1' => visit_char, 4;
        deserialize_i8: 1 => visit_i8, 1;
        deserialize_i16: 1 => visit_i16, 2;
        deserialize_i32: 1 => visit_i32, 4;
        deserialize_i64: 1 => visit_i64, 8;
        deserialize_i128: 1 => visit_i128, 16;
        deserialize_u8: 1 => visit_u8, 1;
        deserialize_u16: 1 => visit_u16, 2;
        deserialize_u32: 1 => visit_u32, 4;
        deserialize_u64: 1 => visit_u64, 8;
        deserialize_u128: 1 => visit_u128, 16;
        deserialize_f32: 1.0 => visit_f32, 4;
        deserialize_f64: 1.0 => visit_f64, 8;
    }

    #[inline(always)]
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, End> {
        Err(End::Varies)
    }

    #[inline(always)]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, End> {
        visitor.visit_unit()
    }

    #[inline(always)]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, End> {
        visitor.visit_unit()
    }

    #[inline(always)]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, End> {
        if name == HANDLE {
            return Err(End::Varies);
        }
        if name != POD {
            return visitor.visit_newtype_struct(self);
        }
        let size = size_of::<V::Value>();
        if self.whole {
            return Err(End::Plain(size));
        }
        *self.bytes += size;
        visitor.visit_bytes(PLAIN.get(..size).ok_or(End::Varies)?)
    }

    #[inline(always)]
    fn deserialize_tuple<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, End> {
        self.fields(count, visitor)
    }

    #[inline(always)]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, End> {
        self.fields(count, visitor)
    }

    #[inline(always)]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, End> {
        self.fields(fields.len(), visitor)
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        str string bytes byte_buf option seq map enum identifier ignored_any
    }
}

/// The fields of a struct or tuple of the made-up message.
struct Fields<'a> {
    bytes: &'a mut usize,
    left: usize,
    size: usize,
}

impl<'de> SeqAccess<'de> for Fields<'_> {
    type Error = End;

    #[inline(always)]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, End> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(Probe { bytes: &mut *self.bytes, whole: false, size: self.size }).map(Some)
    }

    #[inline(always)]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}
