//! Arrays of numbers, copied at once instead of element by element.
//!
//! serde reads an array by a function of its own, too long to be inlined where the array is: 64 bytes took 33 ns
//! so, and take 16 in one copy. Which type is an array of numbers comes from type identities, as in
//! [`bulk`](super::bulk), so after inlining nothing of the search is left.

use core::any::TypeId;
use core::marker::PhantomData;

use serde::de::{DeserializeOwned, DeserializeSeed, Visitor};

use super::bulk::{AS_WRITTEN, Number, visitor_of};
use super::identity::type_id;

/// Asks of the array of so many numbers; false if serde knows none so long.
macro_rules! of_length {
    ($count:expr, $asked:ident::<[$number:ty; _]>($($argument:expr),*)) => {
        of_length!($count, $asked, $number, ($($argument),*),
            1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32)
    };
    ($count:expr, $asked:ident, $number:ty, $arguments:tt, $($length:literal)*) => {
        match $count {
            $($length => $asked::<[$number; $length]> $arguments,)*
            _ => false,
        }
    };
}

/// The bytes of `value`, if it is an array of numbers and they are what the codec would write.
#[inline]
pub(super) fn written<T: ?Sized>(value: &T) -> Option<&[u8]> {
    let (bytes, align) = (size_of_val(value), align_of_val(value));
    // Told before anything is compiled: what has a length beside its address is no array.
    if const { !AS_WRITTEN || size_of::<&T>() != size_of::<&u8>() } {
        return None;
    }
    if !is_array(type_id::<T>(), bytes, align) {
        return None;
    }
    // SAFETY: it is an array of numbers, all of whose bytes are initialised and change under no reference.
    Some(unsafe { core::slice::from_raw_parts(core::ptr::from_ref(value).cast(), bytes) })
}

#[inline]
fn is_array(id: TypeId, bytes: usize, align: usize) -> bool {
    is_array_of::<u8>(id, bytes, align)
        || is_array_of::<f64>(id, bytes, align)
        || is_array_of::<f32>(id, bytes, align)
        || is_array_of::<u64>(id, bytes, align)
        || is_array_of::<u32>(id, bytes, align)
        || is_array_of::<i32>(id, bytes, align)
        || is_array_of::<i64>(id, bytes, align)
        || is_array_of::<usize>(id, bytes, align)
        || is_array_of::<u16>(id, bytes, align)
        || is_array_of::<i16>(id, bytes, align)
        || is_array_of::<i8>(id, bytes, align)
        || is_array_of::<isize>(id, bytes, align)
        || is_array_of::<u128>(id, bytes, align)
        || is_array_of::<i128>(id, bytes, align)
}

#[inline]
fn is_array_of<N: Number>(id: TypeId, bytes: usize, align: usize) -> bool {
    align == align_of::<N>() && of_length!(bytes / size_of::<N>(), has_id::<[N; _]>(id))
}

/// Whether the seed asks an array of numbers to read itself.
#[inline]
pub(super) fn is_asked_by<'de, S: DeserializeSeed<'de>>() -> bool {
    // A seed of the user's may make an array too, and do more; this is the one that asks the type.
    type_id::<S>() == type_id::<PhantomData<S::Value>>() && any::<S::Value>(None)
}

/// Whether the visitor makes an array of `count` numbers, and does nothing more.
#[inline]
pub(super) fn is_made_by<'de, V: Visitor<'de>>(count: usize) -> bool {
    // As with seeds; serde's own visitor only collects.
    any::<V::Value>(Some(By { visitor: type_id::<V>(), count }))
}

/// How an array is asked for that is not asked by its type.
#[derive(Clone, Copy)]
struct By {
    visitor: TypeId,
    count: usize,
}

/// Whether `T` is an array of numbers, and is asked for so.
#[inline]
fn any<T>(by: Option<By>) -> bool {
    // By alignment, told before anything is compiled: so most types are not asked of at all.
    AS_WRITTEN
        && if const { align_of::<T>() == align_of::<u8>() } {
            is::<u8, T>(by) || is::<i8, T>(by)
        } else if const { align_of::<T>() == align_of::<u16>() } {
            is::<u16, T>(by) || is::<i16, T>(by)
        } else if const { align_of::<T>() == align_of::<u32>() } {
            is::<f32, T>(by) || is::<u32, T>(by) || is::<i32, T>(by)
        } else if const { align_of::<T>() == align_of::<u64>() } {
            is::<f64, T>(by)
                || is::<u64, T>(by)
                || is::<i64, T>(by)
                || is::<usize, T>(by)
                || is::<isize, T>(by)
        } else if const { align_of::<T>() == align_of::<u128>() } {
            is::<u128, T>(by) || is::<i128, T>(by)
        } else {
            false
        }
}

#[inline]
fn is<N: Number, T>(by: Option<By>) -> bool {
    let id = type_id::<T>();
    match by {
        None => of_length!(const { size_of::<T>() / size_of::<N>() }, has_id::<[N; _]>(id)),
        Some(by) => {
            let count = const { size_of::<T>() / size_of::<N>() };
            by.count == count
                && of_length!(
                    const { size_of::<T>() / size_of::<N>() },
                    is_visited::<[N; _]>(id, by.visitor)
                )
        }
    }
}

#[inline]
fn has_id<A: 'static>(id: TypeId) -> bool {
    id == TypeId::of::<A>()
}

#[inline]
fn is_visited<A: DeserializeOwned + 'static>(id: TypeId, visitor: TypeId) -> bool {
    has_id::<A>(id) && visitor_of::<A>() == Some(visitor)
}

#[cfg(all(test, target_endian = "little", target_pointer_width = "64"))]
mod tests {
    use core::marker::PhantomData;

    use super::{By, any, is_asked_by, visitor_of, written};
    use crate::codec::identity::type_id;

    #[test]
    fn arrays_of_numbers_are_found_and_others_are_not() {
        assert_eq!(written(&[1u16, 2]), Some([1, 0, 2, 0].as_slice()));
        assert_eq!(written(&[[1u8; 2]; 2]), None, "its elements are");
        assert_eq!(written(&[true]), None);
        assert_eq!(written("a"), None);
        assert_eq!(written(&1u64), None);
        assert!(is_asked_by::<PhantomData<[u8; 32]>>());
        assert!(!is_asked_by::<PhantomData<[char; 2]>>());
        assert!(!is_asked_by::<PhantomData<(u8, u8)>>());
    }

    #[test]
    fn an_array_is_asked_for_by_its_own_visitor_and_length() {
        let visitor = visitor_of::<[u32; 3]>().expect("serde reads an array as a tuple");
        assert!(any::<[u32; 3]>(Some(By { visitor, count: 3 })));
        assert!(!any::<[u32; 3]>(Some(By { visitor, count: 2 })));
        assert!(!any::<[i32; 3]>(Some(By { visitor, count: 3 })));
        assert!(!any::<[u32; 3]>(Some(By { visitor: type_id::<u8>(), count: 3 })));
    }
}
