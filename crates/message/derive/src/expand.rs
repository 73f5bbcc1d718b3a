//! What is written: the checks that need types, then the three impls.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::check::Plain;

pub(crate) fn expand(plain: &Plain) -> TokenStream {
    let Plain { name, fields, home } = plain;
    let field_checks = fields.iter().map(|field| {
        quote_spanned! { field.span() => __crossproc::assert_field::<#field>(); }
    });
    let padding_check = quote_spanned! { name.span() =>
        __crossproc::assert_unpadded::<#name, {
            ::core::mem::size_of::<#name>() #(- ::core::mem::size_of::<#fields>())*
        }>();
    };
    quote! {
        const _: () = {
            use #home::__private as __crossproc;

            const _: fn() = || {
                #(#field_checks)*
                #padding_check
            };

            // SAFETY: the checks above hold for a `repr(C)` or `repr(transparent)` struct: each
            // field is `Pod`, and together they cover every byte.
            #[automatically_derived]
            unsafe impl __crossproc::Pod for #name {}

            #[automatically_derived]
            impl __crossproc::serde::Serialize for #name {
                #[inline]
                fn serialize<S: __crossproc::serde::Serializer>(
                    &self,
                    serializer: S,
                ) -> ::core::result::Result<S::Ok, S::Error> {
                    __crossproc::serialize_pod(self, serializer)
                }
            }

            #[automatically_derived]
            impl<'de> __crossproc::serde::Deserialize<'de> for #name {
                #[inline]
                fn deserialize<D: __crossproc::serde::Deserializer<'de>>(
                    deserializer: D,
                ) -> ::core::result::Result<Self, D::Error> {
                    __crossproc::deserialize_pod(deserializer)
                }
            }
        };
    }
}
