//! The reading half: serde's `Deserializer` for the format, over bytes that nobody vouches for.

mod access;

use serde::{
    Deserializer,
    de::{DeserializeSeed, Visitor},
};

use self::access::{Elements, Fields};
use super::{Length, arrays, bulk};
use crate::{
    error::{DecodeError, Fault, MAX_DEPTH},
    pod::{Pod, wire::NAME as POD},
};

/// Reads values from bytes.
pub(crate) struct Reader<'de> {
    bytes: &'de [u8],
    read: usize,
    depth: u32,
}

impl<'de> Reader<'de> {
    #[inline(always)]
    pub(crate) fn new(bytes: &'de [u8]) -> Self {
        Self { bytes, read: 0, depth: 0 }
    }

    /// Ends reading: nothing may be left over.
    #[inline(always)]
    pub(crate) fn finish(&self) -> Result<(), DecodeError> {
        match self.left() {
            0 => Ok(()),
            bytes => Err(self.malformed(Fault::Trailing { bytes })),
        }
    }

    #[inline(always)]
    fn left(&self) -> usize {
        self.bytes.len() - self.read
    }

    #[cold]
    fn malformed(&self, fault: Fault) -> DecodeError {
        DecodeError::Malformed { at: self.read, fault }
    }

    #[inline(always)]
    fn take(&mut self, count: usize) -> Result<&'de [u8], DecodeError> {
        let found = self.left();
        let taken = self.read.checked_add(count).and_then(|end| self.bytes.get(self.read..end));
        let Some(taken) = taken else {
            return Err(self.malformed(Fault::Short { expected: count, found }));
        };
        self.read += count;
        Ok(taken)
    }

    #[inline(always)]
    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// A length of things that take a byte each at least, so that the bytes left bound it.
    #[inline(always)]
    fn take_length(&mut self) -> Result<usize, DecodeError> {
        let claimed = Length::from_le_bytes(self.take_array()?);
        let left = self.left();
        match usize::try_from(claimed) {
            Ok(length) if length <= left => Ok(length),
            _ => Err(self.malformed(Fault::Length { claimed, left })),
        }
    }

    #[inline(always)]
    fn take_bool(&mut self) -> Result<bool, DecodeError> {
        match self.take_array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(self.malformed(Fault::Bool(other))),
        }
    }

    /// Text of its own: bytes in shared memory could change between a check and the use.
    #[inline(always)]
    fn take_text(&mut self) -> Result<String, DecodeError> {
        let length = self.take_length()?;
        let bytes = self.take(length)?.to_vec();
        String::from_utf8(bytes).map_err(|_| self.malformed(Fault::Utf8))
    }

    /// A length and as many numbers.
    #[inline]
    pub(super) fn numbers<N: Pod>(&mut self) -> Result<Vec<N>, DecodeError> {
        let length = self.take_length()?;
        let bytes = length.saturating_mul(size_of::<N>());
        let bytes = self.take(bytes)?;
        let mut numbers = Vec::<N>::with_capacity(length);
        let place = numbers.as_mut_ptr().cast::<u8>();
        // SAFETY: `place` has room for `length` numbers, which are `bytes.len()` bytes, and is new.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len()) };
        // SAFETY: that many were just written, and `Pod` promises that any bytes are a value.
        unsafe { numbers.set_len(length) };
        Ok(numbers)
    }

    /// Reads a value, as its own code says.
    #[inline(always)]
    pub(crate) fn value<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, DecodeError> {
        if arrays::is_asked_by::<S>() {
            // SAFETY: as asked.
            return unsafe { self.array() };
        }
        seed.deserialize(self)
    }

    /// Reads an array of numbers at once.
    ///
    /// # Safety
    ///
    /// `T` is an array of numbers.
    #[inline(always)]
    unsafe fn array<T>(&mut self) -> Result<T, DecodeError> {
        if self.depth >= MAX_DEPTH {
            return Err(self.malformed(Fault::TooDeep));
        }
        let bytes = self.take(size_of::<T>())?;
        // SAFETY: as many bytes as the array has; any are a value of it.
        Ok(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
    }

    /// Reads what is inside a value, one level deeper.
    #[inline(always)]
    fn nested<T>(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.malformed(Fault::TooDeep));
        }
        let value = inside(self)?;
        self.depth -= 1;
        Ok(value)
    }

    #[inline(always)]
    fn fields<V: Visitor<'de>>(
        &mut self,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.nested(|reader| visitor.visit_seq(Fields { reader, left: count }))
    }
}

macro_rules! numbers {
    ($($method:ident: $number:ty => $visit:ident,)*) => {
        $(
            #[inline(always)]
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
                visitor.$visit(<$number>::from_le_bytes(self.take_array()?))
            }
        )*
    };
}

macro_rules! refused {
    ($($method:ident,)*) => {
        $(
            #[cold]
            fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, DecodeError> {
                Err(DecodeError::SelfDescribing)
            }
        )*
    };
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = DecodeError;

    numbers! {
        deserialize_i8: i8 => visit_i8,
        deserialize_i16: i16 => visit_i16,
        deserialize_i32: i32 => visit_i32,
        deserialize_i64: i64 => visit_i64,
        deserialize_i128: i128 => visit_i128,
        deserialize_u8: u8 => visit_u8,
        deserialize_u16: u16 => visit_u16,
        deserialize_u32: u32 => visit_u32,
        deserialize_u64: u64 => visit_u64,
        deserialize_u128: u128 => visit_u128,
        deserialize_f32: f32 => visit_f32,
        deserialize_f64: f64 => visit_f64,
    }

    refused! { deserialize_any, deserialize_ignored_any, deserialize_identifier, }

    #[inline(always)]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_bool(self.take_bool()?)
    }

    #[inline(always)]
    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let number = u32::from_le_bytes(self.take_array()?);
        let Some(character) = char::from_u32(number) else {
            return Err(self.malformed(Fault::Char(number)));
        };
        visitor.visit_char(character)
    }

    #[inline(always)]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_string(self.take_text()?)
    }

    #[inline(always)]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_string(self.take_text()?)
    }

    #[inline(always)]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let length = self.take_length()?;
        visitor.visit_borrowed_bytes(self.take(length)?)
    }

    #[inline(always)]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_bytes(visitor)
    }

    #[inline(always)]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.take_bool()? {
            self.nested(|reader| visitor.visit_some(reader))
        } else {
            visitor.visit_none()
        }
    }

    #[inline(always)]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    #[inline(always)]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    #[inline(always)]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if name == POD {
            return visitor.visit_borrowed_bytes(self.take(size_of::<V::Value>())?);
        }
        self.nested(|reader| visitor.visit_newtype_struct(reader))
    }

    #[inline(always)]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if let Some(numbers) = bulk::read::<V>(self) {
            return numbers;
        }
        let left = self.take_length()?;
        self.nested(|reader| visitor.visit_seq(Elements { reader, left, start: 0 }))
    }

    #[inline(always)]
    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if arrays::is_made_by::<V>(count) {
            // SAFETY: as asked.
            return unsafe { self.array() };
        }
        self.fields(count, visitor)
    }

    #[inline(always)]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.fields(count, visitor)
    }

    #[inline(always)]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.fields(fields.len(), visitor)
    }

    #[inline(always)]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let left = self.take_length()?;
        self.nested(|reader| visitor.visit_map(Elements { reader, left, start: 0 }))
    }

    #[inline(always)]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_enum(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
