//! The derive macro behind `crossproc_message::Pod`. Use it from there, or from `crossproc`.
//!
//! The macro checks what the trait promises and writes nothing that the trait's author could not
//! have written by hand: every field is `Pod`, the sizes of the fields add up to the size of the
//! struct (so there is no padding), and the layout is fixed by `#[repr(C)]` or
//! `#[repr(transparent)]`.

mod check;
mod expand;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct plain data: sent by one copy, and good for a `Value`.
///
/// The struct needs `#[repr(C)]` (or `#[repr(transparent)]`), `Clone`, `Copy`, no padding and no
/// type parameters; every field must be plain data itself. `#[pod(crate = path)]` names the crate
/// where it was renamed or re-exported.
#[proc_macro_derive(Pod, attributes(pod))]
pub fn pod(input: TokenStream) -> TokenStream {
    derive(parse_macro_input!(input as DeriveInput), "crossproc_message")
}

/// The same for users of the `crossproc` crate, which re-exports it under the name `Pod`.
#[doc(hidden)]
#[proc_macro_derive(CrossprocPod, attributes(pod))]
pub fn crossproc_pod(input: TokenStream) -> TokenStream {
    derive(parse_macro_input!(input as DeriveInput), "crossproc")
}

fn derive(input: DeriveInput, home: &str) -> TokenStream {
    check::Plain::of(input, home)
        .map(|plain| expand::expand(&plain))
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
