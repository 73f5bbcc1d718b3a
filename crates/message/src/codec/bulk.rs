//! Sequences of numbers, copied at once instead of element by element.
//!
//! serde hands a `Vec<u8>` over one byte at a time. Where the sequence is known to be a slice or
//! `Vec` of numbers whose memory is what the codec would write, it is one copy. Which sequence it
//! is comes from type identities, so after inlining nothing of the search is left.

use core::{
    any::TypeId,
    mem::{ManuallyDrop, transmute_copy},
};

use serde::{
    Deserializer,
    de::{DeserializeOwned, Visitor},
    forward_to_deserialize_any,
};

use super::{identity::type_id, reader::Reader};
use crate::{
    error::DecodeError,
    pod::{Pod, bytes_of_slice},
};

/// Whether numbers in memory look as the codec writes them.
pub(super) const AS_WRITTEN: bool =
    cfg!(all(target_endian = "little", target_pointer_width = "64"));

/// A number type: plain data without lifetimes in its type.
pub(super) trait Number: Pod + DeserializeOwned {}

macro_rules! numbers {
    ($($number:ty)*) => {
        $(impl Number for $number {})*
    };
}

numbers! { u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 }

/// How many numbers, and their bytes, if `items` is a `&Vec` or slice of numbers.
#[inline(always)]
pub(super) fn written<I>(items: &I) -> Option<(usize, &[u8])> {
    if !AS_WRITTEN || (size_of::<I>() != size_of::<&u8>() && size_of::<I>() != size_of::<&[u8]>()) {
        return None;
    }
    slice_of::<u8, I>(items)
        .or_else(|| slice_of::<f64, I>(items))
        .or_else(|| slice_of::<f32, I>(items))
        .or_else(|| slice_of::<u64, I>(items))
        .or_else(|| slice_of::<u32, I>(items))
        .or_else(|| slice_of::<i32, I>(items))
        .or_else(|| slice_of::<i64, I>(items))
        .or_else(|| slice_of::<usize, I>(items))
        .or_else(|| slice_of::<u16, I>(items))
        .or_else(|| slice_of::<i16, I>(items))
        .or_else(|| slice_of::<i8, I>(items))
        .or_else(|| slice_of::<isize, I>(items))
        .or_else(|| slice_of::<u128, I>(items))
        .or_else(|| slice_of::<i128, I>(items))
}

#[inline(always)]
fn slice_of<N: Number, I>(items: &I) -> Option<(usize, &[u8])> {
    let place = core::ptr::from_ref(items);
    let numbers: &[N] = if type_id::<I>() == TypeId::of::<&'static Vec<N>>() {
        // SAFETY: `I` is a `&Vec<N>` of some lifetime, which outlives the borrow of `items`.
        unsafe { &*place.cast::<&Vec<N>>() }
    } else if type_id::<I>() == TypeId::of::<&'static [N]>() {
        // SAFETY: `I` is a `&[N]` of some lifetime, which outlives the borrow of `items`.
        unsafe { &*place.cast::<&[N]>() }
    } else {
        return None;
    };
    Some((numbers.len(), bytes_of_slice(numbers)))
}

/// Reads a `Vec` of numbers, if that is what the visitor makes and all it does.
#[inline(always)]
pub(super) fn read<'de, V: Visitor<'de>>(
    reader: &mut Reader<'de>,
) -> Option<Result<V::Value, DecodeError>> {
    if !AS_WRITTEN || size_of::<V>() != 0 || size_of::<V::Value>() != size_of::<Vec<u8>>() {
        return None;
    }
    read_vec::<u8, V>(reader)
        .or_else(|| read_vec::<f64, V>(reader))
        .or_else(|| read_vec::<f32, V>(reader))
        .or_else(|| read_vec::<u64, V>(reader))
        .or_else(|| read_vec::<u32, V>(reader))
        .or_else(|| read_vec::<i32, V>(reader))
        .or_else(|| read_vec::<i64, V>(reader))
        .or_else(|| read_vec::<usize, V>(reader))
        .or_else(|| read_vec::<u16, V>(reader))
        .or_else(|| read_vec::<i16, V>(reader))
        .or_else(|| read_vec::<i8, V>(reader))
        .or_else(|| read_vec::<isize, V>(reader))
        .or_else(|| read_vec::<u128, V>(reader))
        .or_else(|| read_vec::<i128, V>(reader))
}

#[inline(always)]
fn read_vec<'de, N: Number, V: Visitor<'de>>(
    reader: &mut Reader<'de>,
) -> Option<Result<V::Value, DecodeError>> {
    // A visitor of the user's may make a `Vec<N>` too, and do more; serde's own only collects.
    let is_vec = type_id::<V::Value>() == TypeId::of::<Vec<N>>();
    if !is_vec || visitor_of::<Vec<N>>() != Some(type_id::<V>()) {
        return None;
    }
    let numbers = match reader.numbers::<N>() {
        Ok(numbers) => ManuallyDrop::new(numbers),
        Err(error) => return Some(Err(error)),
    };
    // SAFETY: the value of the visitor is a `Vec<N>`: the identities are the same and, `N` being a
    // number, no lifetime is in it that the identity leaves out. `numbers` is not dropped.
    Some(Ok(unsafe { transmute_copy::<ManuallyDrop<Vec<N>>, V::Value>(&numbers) }))
}

/// The identity of the visitor with which `T` asks for a sequence or a tuple.
#[inline(always)]
pub(super) fn visitor_of<T: DeserializeOwned>() -> Option<TypeId> {
    T::deserialize(AskVisitor).err()?.0
}

/// Answers with the type of the visitor, as an error.
struct AskVisitor;

#[derive(Debug)]
struct Answer(Option<TypeId>);

impl std::error::Error for Answer {}

impl core::fmt::Display for Answer {
    fn fmt(&self, _: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        Ok(())
    }
}

impl serde::de::Error for Answer {
    fn custom<T: core::fmt::Display>(_: T) -> Self {
        Self(None)
    }
}

impl<'de> Deserializer<'de> for AskVisitor {
    type Error = Answer;

    #[inline(always)]
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Answer> {
        Err(Answer(None))
    }

    #[inline(always)]
    fn deserialize_seq<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Answer> {
        Err(Answer(Some(type_id::<V>())))
    }

    #[inline(always)]
    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Answer> {
        Err(Answer(Some(type_id::<V>())))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::{visitor_of, written};

    #[test]
    fn numbers_are_found_and_others_are_not() {
        assert_eq!(written(&&vec![1u16, 2]), Some((2, [1, 0, 2, 0].as_slice())));
        assert_eq!(written(&[7u8].as_slice()), Some((1, [7].as_slice())));
        assert_eq!(written(&&vec![true]), None);
        assert_eq!(written(&&vec!['a']), None);
        assert!(visitor_of::<Vec<u8>>().is_some(), "serde reads a Vec as a sequence");
        assert_ne!(visitor_of::<Vec<u8>>(), visitor_of::<Vec<u16>>());
    }
}
