//! How a function crosses to another process of the same binary.
//!
//! What travels is two offsets into the program's image: that of the function itself, and that of a
//! *trampoline*, the one instance of generic code that knows the types of its arguments and its
//! result. Both are relative to the address at which the image is loaded, which differs from process
//! to process, and both must lie in its executable part on either side.
//!
//! Two equal functions may share one address, so an address is never used as an identity.
//!
//! # Invariants
//! Offsets are turned into code only after three proofs: the two processes run the same binary (the
//! handshake in `launch`), the offsets carry the checksum of their process tree's key, and they lie
//! in executable memory of the main program.

use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::mem::{size_of, transmute, transmute_copy};
use std::ptr;

use crossproc_message::{self as message, DecodeError, EncodeError, Message};
use crossproc_segment::Segment;
use crossproc_sys::image;
use serde::{Deserialize, Serialize};

use crate::args::Args;
use crate::error::{Error, Result};

/// What a process tree's function references are signed with, made by its first process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Key([u64; 2]);

impl Key {
    /// A key that no other tree has.
    pub(crate) fn random() -> Self {
        // The standard library seeds each `RandomState` from the system.
        let half = || RandomState::new().build_hasher().finish();
        Self([half(), half()])
    }

    fn checksum(self, trampoline: u64, function: u64) -> u64 {
        let mut hasher = DefaultHasher::new();
        for word in [self.0[0], self.0[1], trampoline, function] {
            hasher.write_u64(word);
        }
        hasher.finish()
    }
}

/// A function with its trampoline, as offsets into the image.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Function {
    trampoline: u64,
    function: u64,
    checksum: u64,
}

/// What a function gave back, as bytes and the segments whose handles are in them.
pub(crate) struct Returned {
    pub(crate) bytes: Vec<u8>,
    pub(crate) segments: Vec<Segment>,
}

/// Why a call gave nothing back, short of a panic.
pub(crate) enum CallError {
    /// The arguments could not be decoded.
    Arguments(DecodeError),
    /// The result could not be encoded.
    Result(EncodeError),
}

type Trampoline = fn(usize, &[u8], Vec<Segment>) -> Result<Returned, CallError>;

impl Function {
    /// The reference to `f`, signed with `key`.
    pub(crate) fn new<A: Args, R: Message>(f: A::Fn<R>, key: Key) -> Result<Self> {
        const { assert!(size_of::<A::Fn<R>>() == size_of::<*const ()>()) };
        // SAFETY: `Args` promises that `Fn<R>` is a `fn` pointer, and the size was checked above.
        let function = unsafe { transmute_copy::<A::Fn<R>, *const ()>(&f) };
        let trampoline: Trampoline = trampoline::<A, R>;
        let offset = |address| image::offset_of(address).ok_or(Error::NotInProgram);
        let function = offset(function.addr())?;
        let trampoline = offset((trampoline as *const ()).addr())?;
        Ok(Self { trampoline, function, checksum: key.checksum(trampoline, function) })
    }

    /// Calls the function with encoded arguments. `None` if this is not a reference made by `new`
    /// with this key.
    pub(crate) fn call(
        self,
        key: Key,
        arguments: &[u8],
        given: Vec<Segment>,
    ) -> Option<Result<Returned, CallError>> {
        if self.checksum != key.checksum(self.trampoline, self.function) {
            return None;
        }
        let function = image::addr_of(self.function)?;
        let trampoline = ptr::with_exposed_provenance::<()>(image::addr_of(self.trampoline)?);
        // SAFETY: only `new`, in a process of this binary, makes references with this checksum, and
        // it took the address of a `Trampoline`.
        let trampoline = unsafe { transmute::<*const (), Trampoline>(trampoline) };
        Some(trampoline(function, arguments, given))
    }
}

/// Decodes the arguments, calls the function at `address`, encodes what it returns.
///
/// `address` is that of an `A::Fn<R>` of this image: only [`Function::call`] gets here.
fn trampoline<A: Args, R: Message>(
    address: usize,
    arguments: &[u8],
    given: Vec<Segment>,
) -> Result<Returned, CallError> {
    let address = ptr::with_exposed_provenance::<()>(address);
    // SAFETY: `Function::new` paired this instance with the address of an `A::Fn<R>`, which is a
    // `fn` pointer of this size.
    let f = unsafe { transmute_copy::<*const (), A::Fn<R>>(&address) };
    let arguments = message::decode::<A>(arguments, given).map_err(CallError::Arguments)?;
    let result = A::call(f, arguments);
    let mut bytes = Vec::new();
    let sent = message::encode(&result, &mut bytes).map_err(CallError::Result)?;
    Ok(Returned { bytes, segments: sent.segments })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_only_believed_with_its_own_key() -> Result<()> {
        let key = Key::random();
        let double: fn(u32) -> u32 = |x| x * 2;
        let function = Function::new::<(u32,), u32>(double, key)?;
        let mut arguments = Vec::new();
        message::encode(&(21u32,), &mut arguments).map_err(Error::Arguments)?;

        assert!(function.call(Key::random(), &arguments, Vec::new()).is_none());
        let forged = Function { function: function.function + 1, ..function };
        assert!(forged.call(key, &arguments, Vec::new()).is_none());
        let returned = function.call(key, &arguments, Vec::new()).and_then(Result::ok);
        let returned = returned.expect("the reference is genuine");
        assert!(matches!(message::decode::<u32>(&returned.bytes, returned.segments), Ok(42)));
        Ok(())
    }

    #[test]
    fn a_function_of_a_shared_library_is_refused() {
        let sine: fn(f64) -> f64 = f64::sin;
        // Whether `sin` is an own function or a jump into libm depends on the build; the address of
        // a function that is certainly elsewhere is made up.
        let _ = sine;
        // SAFETY: never called.
        let elsewhere = unsafe { transmute::<usize, fn() -> u32>(0x10) };
        let refused = Function::new::<(), u32>(elsewhere, Key::random());
        assert!(matches!(refused, Err(Error::NotInProgram)));
    }
}
