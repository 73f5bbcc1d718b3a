//! What an object is: its kind, the version of the kind's layout, and the type it holds.

/// Says what an object must be, so that a `Value<u64>` is never opened as a `Value<f64>` or as a
/// queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The kind of object, such as `"lock"` or `"queue"`; at most 16 bytes.
    pub kind: &'static str,
    /// The version of the kind's layout in shared memory.
    pub version: u32,
    /// Tells types apart: made from the name, size and alignment of the type.
    pub fingerprint: u64,
    /// The name of the type, for errors; empty for kinds that hold none.
    pub type_name: &'static str,
}

impl Shape {
    /// The shape of a `kind` that holds values of type `T`.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Shape;
    /// assert_ne!(Shape::of::<u64>("value", 1), Shape::of::<f64>("value", 1));
    /// ```
    #[must_use]
    pub fn of<T: 'static>(kind: &'static str, version: u32) -> Self {
        let type_name = core::any::type_name::<T>();
        let mut hash = Fnv::new();
        hash.add(type_name.as_bytes());
        hash.add(&size_of::<T>().to_le_bytes());
        hash.add(&align_of::<T>().to_le_bytes());
        Self { kind, version, fingerprint: hash.0, type_name }
    }

    /// The shape of a `kind` that holds no type.
    #[must_use]
    pub const fn untyped(kind: &'static str, version: u32) -> Self {
        Self { kind, version, fingerprint: 0, type_name: "" }
    }
}

/// FNV-1a (Fowler, Noll, Vo): the same in every build, unlike std's hashers.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
