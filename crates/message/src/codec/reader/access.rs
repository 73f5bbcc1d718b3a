//! What is inside a value: fields, elements, entries and variants.

use serde::de::{
    DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::Reader;
use crate::{codec::Variant, error::DecodeError};

/// The fields of a struct, tuple or variant.
pub(super) struct Fields<'a, 'de> {
    pub(super) reader: &'a mut Reader<'de>,
    pub(super) left: usize,
}

impl<'de> SeqAccess<'de> for Fields<'_, 'de> {
    type Error = DecodeError;

    #[inline(always)]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.reader.value(seed).map(Some)
    }

    #[inline(always)]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The elements of a sequence or the entries of a map.
pub(super) struct Elements<'a, 'de> {
    pub(super) reader: &'a mut Reader<'de>,
    pub(super) left: usize,
    /// Where the entry being read starts.
    pub(super) start: usize,
}

impl Elements<'_, '_> {
    /// Ends an element or entry: one that is empty otherwise took a byte.
    #[inline(always)]
    fn end_one(&mut self) -> Result<(), DecodeError> {
        if self.reader.read == self.start {
            self.reader.take(1)?;
        }
        Ok(())
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = DecodeError;

    #[inline(always)]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.start = self.reader.read;
        let element = self.reader.value(seed)?;
        self.end_one()?;
        Ok(Some(element))
    }

    #[inline(always)]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for Elements<'_, 'de> {
    type Error = DecodeError;

    #[inline(always)]
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.start = self.reader.read;
        self.reader.value(seed).map(Some)
    }

    #[inline(always)]
    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        let value = self.reader.value(seed)?;
        self.end_one()?;
        Ok(value)
    }

    #[inline(always)]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> EnumAccess<'de> for &mut Reader<'de> {
    type Error = DecodeError;
    type Variant = Self;

    #[inline(always)]
    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self), DecodeError> {
        let index = Variant::from_le_bytes(self.take_array()?);
        let variant =
            seed.deserialize(IntoDeserializer::<DecodeError>::into_deserializer(index))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for &mut Reader<'de> {
    type Error = DecodeError;

    #[inline(always)]
    fn unit_variant(self) -> Result<(), DecodeError> {
        Ok(())
    }

    #[inline(always)]
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, DecodeError> {
        self.nested(|reader| reader.value(seed))
    }

    #[inline(always)]
    fn tuple_variant<V: Visitor<'de>>(
        self,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.fields(count, visitor)
    }

    #[inline(always)]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.fields(fields.len(), visitor)
    }
}
