//! What can be seen in the source: a struct, a fixed layout, no parameters.

use proc_macro2::Span;
use syn::{
    Attribute, Data, DeriveInput, Error, Ident, LitInt, Path, PathSegment, Result, Token, Type,
    parenthesized, spanned::Spanned, token::Paren,
};

/// A struct that may be plain data; what its types say is checked by the code written for it.
pub(crate) struct Plain {
    pub(crate) name: Ident,
    pub(crate) fields: Vec<Type>,
    /// Where `__private` of crossproc-message is found.
    pub(crate) home: Path,
}

impl Plain {
    pub(crate) fn of(input: DeriveInput, home: &str) -> Result<Self> {
        let fields = fields(&input)?;
        if let Some(parameter) = input.generics.params.first() {
            return Err(Error::new(
                parameter.span(),
                "`Pod` cannot be derived for a generic type: whether it has padding depends on \
                 its parameters. Write one struct for each layout that crosses processes",
            ));
        }
        check_layout(&input)?;
        let home = home_path(&input.attrs)?.unwrap_or_else(|| global(home));
        Ok(Self { name: input.ident, fields, home })
    }
}

fn fields(input: &DeriveInput) -> Result<Vec<Type>> {
    match &input.data {
        Data::Struct(data) => Ok(data.fields.iter().map(|field| field.ty.clone()).collect()),
        Data::Enum(data) => Err(Error::new(
            data.enum_token.span,
            "`Pod` cannot be derived for an enum: not every byte is one of its variants. Derive \
             `Serialize` and `Deserialize` instead, or keep an integer and convert it",
        )),
        Data::Union(data) => Err(Error::new(
            data.union_token.span,
            "`Pod` cannot be derived for a union: bytes that a shorter variant leaves out have no \
             value. Use a struct with an array of bytes",
        )),
    }
}

fn check_layout(input: &DeriveInput) -> Result<()> {
    let mut fixed = false;
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("repr")) {
        attribute.parse_nested_meta(|meta| {
            fixed |= meta.path.is_ident("C") || meta.path.is_ident("transparent");
            if meta.input.peek(Paren) {
                let number;
                parenthesized!(number in meta.input);
                number.parse::<LitInt>()?;
            }
            Ok(())
        })?;
    }
    if fixed {
        return Ok(());
    }
    Err(Error::new(
        input.ident.span(),
        "`Pod` needs `#[repr(C)]` (or `#[repr(transparent)]`): without it the compiler may order \
         the fields as it likes",
    ))
}

/// The path in `#[pod(crate = path)]`.
fn home_path(attributes: &[Attribute]) -> Result<Option<Path>> {
    let mut home = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("pod")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                return Err(meta.error("the only option is `#[pod(crate = path)]`"));
            }
            meta.input.parse::<Token![=]>()?;
            home = Some(meta.input.call(Path::parse_mod_style)?);
            Ok(())
        })?;
    }
    Ok(home)
}

fn global(name: &str) -> Path {
    let segment = PathSegment::from(Ident::new(name, Span::call_site()));
    let mut path = Path::from(segment);
    path.leading_colon = Some(Token![::](Span::call_site()));
    path
}
