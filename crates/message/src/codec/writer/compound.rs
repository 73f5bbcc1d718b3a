//! What is inside a value: fields, elements and entries.

use serde::{
    Serialize,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};

use super::{Writer, Written};
use crate::{
    codec::{Length, sink::Sink},
    error::EncodeError,
};

/// The fields of a struct, tuple or variant: their number is known from the type.
pub(crate) struct Fields<'a, S> {
    pub(super) writer: &'a mut Writer<S>,
}

impl<S: Sink> Fields<'_, S> {
    #[inline(always)]
    fn put<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.writer.value(value)
    }

    #[inline(always)]
    fn done(self) -> Written {
        self.writer.leave();
        Ok(())
    }
}

/// The elements of a sequence or the entries of a map.
pub(crate) struct Elements<'a, S> {
    pub(super) writer: &'a mut Writer<S>,
    pub(super) length_at: usize,
    pub(super) announced: usize,
    pub(super) count: usize,
    /// Where the element or entry being written starts.
    pub(super) start: usize,
}

impl<S: Sink> Elements<'_, S> {
    #[inline(always)]
    fn put<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.writer.value(value)
    }

    /// Ends an element or entry, which takes a byte if it is empty otherwise.
    #[inline(always)]
    fn end_one(&mut self) -> Written {
        if self.writer.sink.written() == self.start {
            self.writer.sink.put(&[0])?;
        }
        self.start = self.writer.sink.written();
        self.count += 1;
        Ok(())
    }

    /// Ends the sequence. The length is corrected where it was not known, or wrong.
    #[inline(always)]
    fn done(self) -> Written {
        self.writer.leave();
        if self.count != self.announced {
            let length = (self.count as Length).to_le_bytes();
            self.writer.sink.patch(self.length_at, &length);
        }
        Ok(())
    }
}

impl<S: Sink> SerializeSeq for Elements<'_, S> {
    type Ok = ();
    type Error = EncodeError;

    #[inline(always)]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.put(value)?;
        self.end_one()
    }

    #[inline(always)]
    fn end(self) -> Written {
        self.done()
    }
}

impl<S: Sink> SerializeMap for Elements<'_, S> {
    type Ok = ();
    type Error = EncodeError;

    #[inline(always)]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written {
        self.put(key)
    }

    #[inline(always)]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.put(value)?;
        self.end_one()
    }

    #[inline(always)]
    fn end(self) -> Written {
        self.done()
    }
}

macro_rules! unnamed_fields {
    ($($serialize:ident: $method:ident,)*) => {
        $(
            impl<S: Sink> $serialize for Fields<'_, S> {
                type Ok = ();
                type Error = EncodeError;

                #[inline(always)]
                fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
                    self.put(value)
                }

                #[inline(always)]
                fn end(self) -> Written {
                    self.done()
                }
            }
        )*
    };
}

unnamed_fields! {
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field,
}

macro_rules! named_fields {
    ($($serialize:ident,)*) => {
        $(
            impl<S: Sink> $serialize for Fields<'_, S> {
                type Ok = ();
                type Error = EncodeError;

                #[inline(always)]
                fn serialize_field<T: Serialize + ?Sized>(
                    &mut self,
                    _: &'static str,
                    value: &T,
                ) -> Written {
                    self.put(value)
                }

                /// The reader has no way to know that the field is not there.
                #[cold]
                fn skip_field(&mut self, field: &'static str) -> Written {
                    Err(EncodeError::SkippedField { field })
                }

                #[inline(always)]
                fn end(self) -> Written {
                    self.done()
                }
            }
        )*
    };
}

named_fields! { SerializeStruct, SerializeStructVariant, }
