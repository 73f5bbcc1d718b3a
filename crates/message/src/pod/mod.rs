//! Plain data: values that are nothing but their bytes.

mod stored;
pub(crate) mod wire;

pub use stored::Stored;

/// Plain data: any bytes are a value, every byte has one, and the bytes are all there is.
///
/// Such a type is sent by one copy, also inside other messages, and may live in shared memory.
/// Derive it; it also writes serde's `Serialize` and `Deserialize`, so do not derive those.
///
/// Integers, floats and arrays of plain data have it. `bool`, `char`, enums, `NonZero`, references
/// and pointers do not: not all of their bytes are values, or they mean nothing elsewhere. For a
/// foreign type with zerocopy's traits there is [`Plain`](crate::Plain).
///
/// # Safety
///
/// An implementation by hand must keep all of these:
///
/// - any `size_of::<Self>()` bytes are a valid value;
/// - there is no padding: every byte of every value is initialised;
/// - there is no interior mutability (no `Cell`, no atomics);
/// - no part of it is an address.
///
/// # Examples
///
/// ```
/// use crossproc_message::Pod;
///
/// #[derive(Pod, Clone, Copy, Debug, PartialEq)]
/// #[repr(C)]
/// struct Pose {
///     at_ns: u64,
///     position: [f64; 3],
///     rotation: [f64; 3],
/// }
///
/// let pose = Pose { at_ns: 7, position: [0.5; 3], rotation: [0.0; 3] };
/// let mut slot = [0; 56];
/// crossproc_message::encode_into(&pose, &mut slot).unwrap();
/// assert_eq!(crossproc_message::decode::<Pose>(&slot, vec![]).unwrap(), pose);
/// ```
///
/// Padding is refused (here: three bytes after `kind`), since those bytes have no value to send:
///
/// ```compile_fail,E0277
/// # use crossproc_message::Pod;
/// #[derive(Pod, Clone, Copy)]
/// #[repr(C)]
/// struct Padded { kind: u8, value: u32 }
/// ```
///
/// So are a layout that the compiler chooses, an enum, and a field that is not plain data:
///
/// ```compile_fail
/// # use crossproc_message::Pod;
/// #[derive(Pod, Clone, Copy)]
/// struct Unordered { a: u32, b: u32 }
/// ```
///
/// ```compile_fail
/// # use crossproc_message::Pod;
/// #[derive(Pod, Clone, Copy)]
/// #[repr(u8)]
/// enum Colour { Red, Green }
/// ```
///
/// ```compile_fail,E0277
/// # use crossproc_message::Pod;
/// #[derive(Pod, Clone, Copy)]
/// #[repr(C)]
/// struct Flag { on: bool }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not plain data",
    label = "not `Pod`: not every byte pattern is a value of it, or it is not known to be so",
    note = "integers, floats and arrays of them are plain data, and structs with `#[derive(Pod)]`; wrap a foreign type with zerocopy's traits in `Plain`"
)]
pub unsafe trait Pod: Copy + Send + Sync + 'static {
    /// Whether this is one integer or float, which a shared value keeps in one atomic word.
    #[doc(hidden)]
    const SCALAR: bool = false;
}

/// The bytes of a value.
///
/// # Examples
///
/// ```
/// use crossproc_message::pod;
///
/// assert_eq!(pod::bytes_of(&0x0201u16), &0x0201u16.to_ne_bytes());
/// ```
#[inline]
pub fn bytes_of<T: Pod>(value: &T) -> &[u8] {
    bytes_of_slice(core::slice::from_ref(value))
}

/// The bytes of the values, one after the other.
///
/// # Examples
///
/// ```
/// use crossproc_message::pod;
///
/// assert_eq!(pod::bytes_of_slice(&[1u8, 2, 3]), &[1, 2, 3]);
/// ```
#[inline]
pub fn bytes_of_slice<T: Pod>(values: &[T]) -> &[u8] {
    let bytes = core::ptr::from_ref(values).cast::<u8>();
    // SAFETY: `Pod` promises that all bytes are initialised and none changes behind `&T`.
    unsafe { core::slice::from_raw_parts(bytes, size_of_val(values)) }
}

/// The value whose bytes these are, or `None` where their number is not that of the type.
///
/// The bytes need no alignment.
///
/// # Examples
///
/// ```
/// use crossproc_message::pod;
///
/// assert_eq!(pod::from_bytes::<u32>(&5u32.to_ne_bytes()), Some(5));
/// assert_eq!(pod::from_bytes::<u32>(&[0; 3]), None);
/// ```
#[inline]
pub fn from_bytes<T: Pod>(bytes: &[u8]) -> Option<T> {
    if bytes.len() != size_of::<T>() {
        return None;
    }
    // SAFETY: the length is right, and `Pod` promises that any bytes are a value.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// The value whose bytes are all zero.
///
/// # Examples
///
/// ```
/// use crossproc_message::pod;
///
/// assert_eq!(pod::zeroed::<[u64; 4]>(), [0; 4]);
/// ```
#[inline]
pub fn zeroed<T: Pod>() -> T {
    // SAFETY: `Pod` promises that any bytes are a value.
    unsafe { core::mem::zeroed() }
}

macro_rules! primitives {
    ($($primitive:ty)*) => {
        $(
            // SAFETY: every bit pattern of an integer or float is a value; they have no padding,
            // no cells and are no addresses.
            unsafe impl Pod for $primitive {
                const SCALAR: bool = size_of::<$primitive>() <= 8;
            }
        )*
    };
}

primitives! { u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 }

// SAFETY: an array is its elements one after the other, without padding.
unsafe impl<T: Pod, const N: usize> Pod for [T; N] {}
