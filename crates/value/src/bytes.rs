//! A value as words of eight bytes, the last of them perhaps in part.

use core::mem::MaybeUninit;

const WORD_BYTES: usize = size_of::<u64>();

/// Puts word `index` of a value in its place.
#[inline]
pub(crate) fn put<T>(out: &mut MaybeUninit<T>, index: usize, word: u64) {
    let start = index * WORD_BYTES;
    assert!(start < size_of::<T>(), "a word beyond the value");
    let length = WORD_BYTES.min(size_of::<T>() - start);
    // SAFETY: `start` was checked.
    let at = unsafe { out.as_mut_ptr().cast::<u8>().add(start) };
    // SAFETY: `length` bytes are left of the value there, and a word has that many.
    unsafe { (&raw const word).cast::<u8>().copy_to_nonoverlapping(at, length) };
}

/// Takes word `index` of a value.
///
/// # Safety
///
/// Every byte of `value` is initialised.
#[inline]
pub(crate) unsafe fn take<T>(value: &T, index: usize) -> u64 {
    let start = index * WORD_BYTES;
    assert!(start < size_of::<T>(), "a word beyond the value");
    let length = WORD_BYTES.min(size_of::<T>() - start);
    let mut word = 0u64;
    // SAFETY: `start` was checked.
    let at = unsafe { core::ptr::from_ref(value).cast::<u8>().add(start) };
    // SAFETY: `length` initialised bytes are left of the value there, and a word has room for them.
    unsafe { at.copy_to_nonoverlapping((&raw mut word).cast::<u8>(), length) };
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_may_be_partial() {
        let value: [u8; 11] = core::array::from_fn(|index| u8::try_from(index).unwrap() + 1);
        let mut copy = MaybeUninit::<[u8; 11]>::zeroed();
        for index in 0..2 {
            // SAFETY: the array is initialised.
            put(&mut copy, index, unsafe { take(&value, index) });
        }
        // SAFETY: all words were put.
        assert_eq!(unsafe { copy.assume_init() }, value);
        // SAFETY: the array is initialised.
        assert_eq!(unsafe { take(&value, 1) }, 0x0b_0a_09);
    }
}
