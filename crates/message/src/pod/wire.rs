//! How plain data goes through serde: as a newtype of a name that our codec knows, around bytes.
//!
//! Our codec copies `size_of::<T>()` bytes and no length; any other format writes them as bytes
//! and reads them back, so plain data still fits into JSON.

use core::{fmt, marker::PhantomData};

use serde::{
    Deserializer, Serialize, Serializer,
    de::{Error, SeqAccess, Visitor},
};

use super::{Pod, bytes_of, from_bytes};

/// The newtype's name.
pub(crate) const NAME: &str = "$crossproc::Pod";

/// Writes plain data.
///
/// # Errors
///
/// Those of the serializer.
#[inline]
pub fn serialize<T: Pod, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_newtype_struct(NAME, &Bytes(bytes_of(value)))
}

/// Reads plain data.
///
/// # Errors
///
/// Those of the deserializer, and a number of bytes other than that of the type.
#[inline]
pub fn deserialize<'de, T: Pod, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_newtype_struct(NAME, PodVisitor(PhantomData))
}

struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

struct PodVisitor<T>(PhantomData<T>);

impl<'de, T: Pod> Visitor<'de> for PodVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of plain data", size_of::<T>())
    }

    #[inline]
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_bytes(self)
    }

    #[inline]
    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<T, E> {
        from_bytes(bytes).ok_or_else(|| E::invalid_length(bytes.len(), &self))
    }

    /// Formats without bytes of their own (JSON) give a sequence of numbers.
    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<T, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = numbers.next_element::<u8>()? {
            if bytes.len() == size_of::<T>() {
                return Err(A::Error::invalid_length(bytes.len() + 1, &self));
            }
            bytes.push(byte);
        }
        self.visit_bytes(&bytes)
    }
}
