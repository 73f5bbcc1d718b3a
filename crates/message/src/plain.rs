//! The bridge from zerocopy's traits to ours.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::pod::{Pod, wire};

/// Makes a foreign type with zerocopy's traits plain data, and so a message.
///
/// Also for arrays that serde does not know, such as `Plain<[u8; 4096]>`.
///
/// # Examples
///
/// ```
/// use crossproc_message::{Plain, decode, encode};
/// use zerocopy::byteorder::{BE, U32};
///
/// let header = Plain([U32::<BE>::new(7); 64]);
/// let mut bytes = Vec::new();
/// encode(&header, &mut bytes)?;
/// assert_eq!(bytes.len(), 256);
/// assert_eq!(decode::<Plain<[U32<BE>; 64]>>(&bytes, vec![])?, header);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Plain<T>(pub T);

// SAFETY: `FromBytes`: any bytes are a value; `IntoBytes`: no padding; `Immutable`: no cells. An
// address is neither, since pointers have not got these traits. The wrapper is transparent.
unsafe impl<T> Pod for Plain<T> where
    T: FromBytes + IntoBytes + Immutable + Copy + Send + Sync + 'static
{
}

impl<T> Serialize for Plain<T>
where
    Self: Pod,
{
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        wire::serialize(self, serializer)
    }
}

impl<'de, T> Deserialize<'de> for Plain<T>
where
    Self: Pod,
{
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        wire::deserialize(deserializer)
    }
}
