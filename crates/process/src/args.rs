//! The arguments of a function that runs in another process: tuples of up to eight messages.

use crossproc_message::Message;

/// The arguments of a function for another process: a tuple of zero to eight [`Message`]s.
///
/// `A::Fn<R>` is the plain function type that takes the elements one by one: for `(String, u32)` it is
/// `fn(String, u32) -> R`. Because the arguments come first in [`spawn`](crate::spawn), the types of a
/// closure's parameters are inferred from them.
///
/// # Safety
/// An implementation promises that
/// - `Fn<R>` is a `fn` pointer type for every `R`, and
/// - `call` calls exactly that function with the elements of the tuple.
///
/// # Examples
/// What captures its surroundings is refused when it is compiled:
/// ```compile_fail,E0308
/// let n = 3u32;
/// let _ = crossproc_process::spawn((4u32,), |x| x * n);
/// ```
/// So is anything but a tuple:
/// ```compile_fail,E0277
/// let _ = crossproc_process::spawn(4u32, |x: u32| x);
/// ```
/// a wrong number of parameters:
/// ```compile_fail,E0308
/// let _ = crossproc_process::spawn((4u32,), |x, y| x + y);
/// ```
/// and what cannot be serialised:
/// ```compile_fail,E0277
/// struct Plain;
/// let _ = crossproc_process::spawn((Plain,), |_| 1u32);
/// ```
#[diagnostic::on_unimplemented(
    message = "the arguments must be a tuple: `()`, `(a,)` or `(a, b)`, not `{Self}`",
    label = "not a tuple of at most 8 sendable values",
    note = "each element must be `Serialize + DeserializeOwned + 'static`"
)]
pub unsafe trait Args: Message {
    /// The function type that takes these arguments: `fn(A, B, ..) -> R`.
    type Fn<R>: Copy + 'static
    where
        R: 'static;

    /// Calls `f` with the elements of the tuple.
    fn call<R: 'static>(f: Self::Fn<R>, args: Self) -> R;
}

macro_rules! tuple {
    ($($element:ident)*) => {
        // SAFETY: `Fn<R>` is a `fn` pointer type, and `call` calls it with the tuple's elements.
        unsafe impl<$($element: Message),*> Args for ($($element,)*) {
            type Fn<R> = fn($($element),*) -> R where R: 'static;

            #[expect(non_snake_case, reason = "the macro names values after their types")]
            fn call<R: 'static>(f: Self::Fn<R>, ($($element,)*): Self) -> R {
                f($($element),*)
            }
        }
    };
}

// SAFETY: `Fn<R>` is a `fn` pointer type, and `call` calls it.
unsafe impl Args for () {
    type Fn<R>
        = fn() -> R
    where
        R: 'static;

    fn call<R: 'static>(f: Self::Fn<R>, (): Self) -> R {
        f()
    }
}
tuple!(A);
tuple!(A B);
tuple!(A B C);
tuple!(A B C D);
tuple!(A B C D E);
tuple!(A B C D E F);
tuple!(A B C D E F G);
tuple!(A B C D E F G H);
