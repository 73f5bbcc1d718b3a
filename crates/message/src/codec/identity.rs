//! Is one type another? For types that serde hands over without `'static`.

use core::{any::TypeId, marker::PhantomData, mem::transmute};

/// The identity of `T` with all its lifetimes taken to be `'static`.
///
/// Types that differ only in lifetimes are one here.
#[inline(always)]
pub(super) fn type_id<T: ?Sized>() -> TypeId {
    let phantom = PhantomData::<T>;
    let named: &dyn Named = &phantom;
    // SAFETY: only the lifetime bound of the trait object changes. Its one method makes an
    // identity of the type and touches no value of it.
    let named = unsafe { transmute::<&dyn Named, &(dyn Named + 'static)>(named) };
    named.id()
}

trait Named {
    fn id(&self) -> TypeId
    where
        Self: 'static;
}

impl<T: ?Sized> Named for PhantomData<T> {
    #[inline(always)]
    fn id(&self) -> TypeId
    where
        Self: 'static,
    {
        TypeId::of::<T>()
    }
}

#[cfg(test)]
mod tests {
    use super::type_id;

    #[test]
    fn lifetimes_do_not_count_and_types_do() {
        fn of_borrowed<'a>(_: &'a str) -> bool {
            type_id::<&'a str>() == type_id::<&'static str>()
        }
        assert!(of_borrowed(&String::from("x")));
        assert_ne!(type_id::<u32>(), type_id::<i32>());
        assert_eq!(type_id::<[u8]>(), type_id::<[u8]>());
    }
}
