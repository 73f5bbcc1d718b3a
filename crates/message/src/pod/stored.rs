//! What a shared value can hold: plain data, and `bool`.

use super::Pod;

/// What a `Value` holds: [plain data](Pod), or a `bool`.
///
/// It is here, beside `Pod`, since only this crate may say that `bool` is not `Pod` and never will
/// be. Nobody else implements it.
///
/// # Safety
///
/// Every byte of a value is initialised, nothing changes behind a reference, no part of it is an
/// address. Unless it is a `SCALAR`, any bytes are a value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be shared in place",
    label = "neither plain data (`Pod`) nor `bool`",
    note = "integers, floats, `bool`, arrays of plain data, and structs with `#[derive(Pod)]` can"
)]
pub unsafe trait Stored: Copy + Send + Sync + 'static {
    /// Whether this is one integer, float or `bool`, of at most 8 bytes.
    const SCALAR: bool;

    /// The scalar in the low bits of a word that another process may have written.
    ///
    /// # Panics
    ///
    /// If this is no scalar.
    #[doc(hidden)]
    fn from_bits(bits: u64) -> Self;

    /// The scalar in the low bits of a word, zeroes above.
    ///
    /// # Panics
    ///
    /// If this is no scalar.
    #[doc(hidden)]
    fn to_bits(self) -> u64;
}

const NO_SCALAR: &str = "only a scalar fits into a word";

// SAFETY: `Pod` promises all that and more.
unsafe impl<T: Pod> Stored for T {
    const SCALAR: bool = T::SCALAR;

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the scalar is in the low bits")]
    fn from_bits(bits: u64) -> Self {
        match size_of::<T>() {
            1 => same_bytes(bits as u8),
            2 => same_bytes(bits as u16),
            4 => same_bytes(bits as u32),
            8 => same_bytes(bits),
            _ => panic!("{NO_SCALAR}"),
        }
    }

    #[inline]
    fn to_bits(self) -> u64 {
        match size_of::<T>() {
            1 => u64::from(same_bytes::<T, u8>(self)),
            2 => u64::from(same_bytes::<T, u16>(self)),
            4 => u64::from(same_bytes::<T, u32>(self)),
            8 => same_bytes(self),
            _ => panic!("{NO_SCALAR}"),
        }
    }
}

// SAFETY: a `bool` is one initialised byte, and `from_bits` looks at what it is given.
unsafe impl Stored for bool {
    const SCALAR: bool = true;

    #[inline]
    fn from_bits(bits: u64) -> Self {
        bits & 0xff != 0
    }

    #[inline]
    fn to_bits(self) -> u64 {
        u64::from(self)
    }
}

/// The same bytes as another type of the same size.
#[inline]
fn same_bytes<A: Pod, B: Pod>(from: A) -> B {
    assert!(size_of::<A>() == size_of::<B>(), "the types differ in size");
    // SAFETY: the sizes are equal, and `Pod` promises that any bytes are a value.
    unsafe { core::mem::transmute_copy(&from) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_is_the_low_bits_of_a_word() {
        assert_eq!(i8::from_bits(0xadbe_efff), -1);
        assert_eq!((-1i16).to_bits(), 0xffff);
        assert_eq!(<f32 as Stored>::from_bits(u64::from(1.5f32.to_bits())), 1.5);
        assert_eq!(Stored::to_bits(true), 1);
        assert!(bool::from_bits(0x02) && !bool::from_bits(0x100));
    }
}
