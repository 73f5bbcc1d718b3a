//! The writing half: serde's `Serializer` for the format.

mod compound;

use serde::{Serialize, Serializer, ser::SerializeSeq};

use self::compound::{Elements, Fields};
use super::{Length, Variant, arrays, bulk, sink::Sink};
use crate::{
    error::{EncodeError, MAX_DEPTH},
    pod::wire::NAME as POD,
};

type Written = Result<(), EncodeError>;

/// Writes values into a sink.
pub(crate) struct Writer<S> {
    sink: S,
    depth: u32,
    /// The next bytes are plain data: their number is known from the type.
    plain: bool,
}

impl<S: Sink> Writer<S> {
    #[inline(always)]
    pub(crate) fn new(sink: S) -> Self {
        Self { sink, depth: 0, plain: false }
    }

    #[inline(always)]
    pub(crate) fn written(&self) -> usize {
        self.sink.written()
    }

    pub(crate) fn into_sink(self) -> S {
        self.sink
    }

    #[inline(always)]
    fn enter(&mut self) -> Written {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(EncodeError::TooDeep) } else { Ok(()) }
    }

    #[inline(always)]
    fn leave(&mut self) {
        self.depth -= 1;
    }

    #[inline(always)]
    fn nested<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.enter()?;
        self.value(value)?;
        self.leave();
        Ok(())
    }

    /// Writes a value, as its own code says.
    #[inline(always)]
    pub(crate) fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        match arrays::written(value) {
            None => value.serialize(&mut *self),
            Some(bytes) => self.array(bytes),
        }
    }

    /// Apart, so that unoptimised code of nested types has no room for it at each level.
    #[inline]
    fn array(&mut self, bytes: &[u8]) -> Written {
        self.enter()?;
        self.sink.put(bytes)?;
        self.leave();
        Ok(())
    }

    #[inline(always)]
    fn put_length(&mut self, length: usize) -> Written {
        self.sink.put(&(length as Length).to_le_bytes())
    }

    #[inline(always)]
    fn put_variant(&mut self, index: Variant) -> Written {
        self.sink.put(&index.to_le_bytes())
    }

    #[inline(always)]
    fn fields(&mut self) -> Result<Fields<'_, S>, EncodeError> {
        self.enter()?;
        Ok(Fields { writer: self })
    }

    #[inline(always)]
    fn elements(&mut self, announced: Option<usize>) -> Result<Elements<'_, S>, EncodeError> {
        self.enter()?;
        let length_at = self.sink.written();
        let announced = announced.unwrap_or(0);
        self.put_length(announced)?;
        Ok(Elements { start: self.sink.written(), writer: self, length_at, announced, count: 0 })
    }
}

macro_rules! numbers {
    ($($method:ident: $number:ty,)*) => {
        $(
            #[inline(always)]
            fn $method(self, value: $number) -> Written {
                self.sink.put(&value.to_le_bytes())
            }
        )*
    };
}

impl<'a, S: Sink> Serializer for &'a mut Writer<S> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Elements<'a, S>;
    type SerializeTuple = Fields<'a, S>;
    type SerializeTupleStruct = Fields<'a, S>;
    type SerializeTupleVariant = Fields<'a, S>;
    type SerializeMap = Elements<'a, S>;
    type SerializeStruct = Fields<'a, S>;
    type SerializeStructVariant = Fields<'a, S>;

    numbers! {
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_u128: u128,
        serialize_f32: f32,
        serialize_f64: f64,
    }

    #[inline(always)]
    fn serialize_bool(self, value: bool) -> Written {
        self.sink.put(&[u8::from(value)])
    }

    #[inline(always)]
    fn serialize_char(self, value: char) -> Written {
        self.sink.put(&u32::from(value).to_le_bytes())
    }

    #[inline(always)]
    fn serialize_str(self, value: &str) -> Written {
        self.put_length(value.len())?;
        self.sink.put(value.as_bytes())
    }

    #[inline(always)]
    fn serialize_bytes(self, value: &[u8]) -> Written {
        if !core::mem::take(&mut self.plain) {
            self.put_length(value.len())?;
        }
        self.sink.put(value)
    }

    #[inline(always)]
    fn serialize_none(self) -> Written {
        self.sink.put(&[0])
    }

    #[inline(always)]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        self.sink.put(&[1])?;
        self.nested(value)
    }

    #[inline(always)]
    fn serialize_unit(self) -> Written {
        Ok(())
    }

    #[inline(always)]
    fn serialize_unit_struct(self, _: &'static str) -> Written {
        Ok(())
    }

    #[inline(always)]
    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Written {
        self.put_variant(index)
    }

    #[inline(always)]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Written {
        if name != POD {
            return self.nested(value);
        }
        self.plain = true;
        let written = value.serialize(&mut *self);
        self.plain = false;
        written
    }

    #[inline(always)]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Written {
        self.put_variant(index)?;
        self.nested(value)
    }

    #[inline(always)]
    fn serialize_seq(self, length: Option<usize>) -> Result<Elements<'a, S>, EncodeError> {
        self.elements(length)
    }

    #[inline(always)]
    fn serialize_tuple(self, _: usize) -> Result<Fields<'a, S>, EncodeError> {
        self.fields()
    }

    #[inline(always)]
    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Fields<'a, S>, EncodeError> {
        self.fields()
    }

    #[inline(always)]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Fields<'a, S>, EncodeError> {
        self.put_variant(index)?;
        self.fields()
    }

    #[inline(always)]
    fn serialize_map(self, length: Option<usize>) -> Result<Elements<'a, S>, EncodeError> {
        self.elements(length)
    }

    #[inline(always)]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'a, S>, EncodeError> {
        self.fields()
    }

    #[inline(always)]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Fields<'a, S>, EncodeError> {
        self.put_variant(index)?;
        self.fields()
    }

    #[inline(always)]
    fn collect_seq<I>(self, items: I) -> Written
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        if let Some((count, bytes)) = bulk::written(&items) {
            self.put_length(count)?;
            return self.sink.put(bytes);
        }
        let mut items = items.into_iter();
        let length = match items.size_hint() {
            (low, Some(high)) if low == high => Some(low),
            _ => None,
        };
        let mut elements = self.elements(length)?;
        items.try_for_each(|item| elements.serialize_element(&item))?;
        SerializeSeq::end(elements)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
