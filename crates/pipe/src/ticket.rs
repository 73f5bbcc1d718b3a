//! Ends on their way to another process.
//!
//! An end goes as four things: which one it is, the ticket of its pipe, which move of the end it is,
//! and what its receiver had in hand of a message that comes in parts. Only once the ticket is written does the end leave this
//! process: outside a message none is, and the end stays.

use std::fmt;

use crossproc_message::Message;
use crossproc_segment::{Object, Shape, transit};
use serde::de::{DeserializeSeed, Error as _, SeqAccess, Visitor};
use serde::ser::{Error as _, SerializeTuple as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::end::End;
use crate::hand::Hand;
use crate::options::check;
use crate::pair::PipeEnd;
use crate::pipe::{OneWay, Pipe};
use crate::raw::Side;
use crate::recv::Receiver;
use crate::send::Sender;
use crate::share::Share;

const PARTS: usize = 4;
const NOT_OWNED: &str = "this end of a pipe is not this process's any more, and cannot be sent";
const HALF: &str = "half of an end of a pipe cannot be sent to another process; send the whole end";

struct Ticket<'e>(&'e Object);

impl Serialize for Ticket<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

struct TicketOf(Shape);

impl<'de> DeserializeSeed<'de> for TicketOf {
    type Value = Object;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Object, D::Error> {
        Object::deserialize(&self.0, deserializer)
    }
}

/// If the message that it is in does not arrive, the end comes back; and is closed then, if no handle
/// of it is left.
fn send_end<S: Serializer>(end: &Share, serializer: S) -> Result<S::Ok, S::Error> {
    let mut parts = serializer.serialize_tuple(PARTS)?;
    parts.serialize_element(&(end.side == Side::Second))?;
    parts.serialize_element(&Ticket(&end.object))?;
    let sent = end.send_off(|moves, hand| {
        let returning = end.clone();
        transit::note_loan(move || {
            returning.take_back_from(moves);
        });
        parts.serialize_element(&moves)?;
        parts.serialize_element(hand)
    });
    sent.unwrap_or_else(|| Err(S::Error::custom(NOT_OWNED)))?;
    parts.end()
}

/// Receives an end of a pipe of so many lanes; its shape depends on which one it is.
struct Arrival {
    lanes: u32,
    shape: fn(Side) -> Shape,
}

impl<'de> Visitor<'de> for Arrival {
    type Value = End;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an end of a pipe")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut parts: S) -> Result<End, S::Error> {
        let missing = || S::Error::custom("an end of a pipe was cut short");
        let is_second: bool = parts.next_element()?.ok_or_else(missing)?;
        let side = if is_second { Side::Second } else { Side::First };
        let ticket = TicketOf((self.shape)(side));
        let object = parts.next_element_seed(ticket)?.ok_or_else(missing)?;
        let moves: u32 = parts.next_element()?.ok_or_else(missing)?;
        let hand: Hand = parts.next_element()?.ok_or_else(missing)?;
        let sizes = check(&object, self.lanes).map_err(S::Error::custom)?;
        End::take(object, sizes, side, Some((moves, hand))).map_err(S::Error::custom)
    }
}

impl Arrival {
    fn deserialize<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<End, D::Error> {
        deserializer.deserialize_tuple(PARTS, self)
    }
}

impl<A: Message, B: Message> Serialize for PipeEnd<A, B> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        send_end(self.end(), serializer)
    }
}

impl<'de, A: Message, B: Message> Deserialize<'de> for PipeEnd<A, B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let shape = |side| match side {
            Side::First => Pipe::<A, B>::shape(),
            Side::Second => Pipe::<B, A>::shape(),
        };
        Arrival { lanes: 2, shape }.deserialize(deserializer).map(Self::new)
    }
}

/// An end of a pipe of one direction, which must be the side that the handle is for.
fn one_way<'de, T: Message, D: Deserializer<'de>>(
    side: Side,
    deserializer: D,
) -> Result<Share, D::Error> {
    let end = Arrival { lanes: 1, shape: |_| OneWay::<T>::shape() }.deserialize(deserializer)?;
    if end.side == side {
        return Ok(Share::new(end));
    }
    Err(D::Error::custom("the other end of the pipe was expected"))
}

fn whole<S: Serializer>(end: &Share, serializer: S) -> Result<S::Ok, S::Error> {
    if end.sizes.lanes == 1 { send_end(end, serializer) } else { Err(S::Error::custom(HALF)) }
}

impl<T: Message> Serialize for Sender<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        whole(&self.end, serializer)
    }
}

impl<'de, T: Message> Deserialize<'de> for Sender<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_way::<T, D>(Side::First, deserializer).map(Self::new)
    }
}

impl<T: Message> Serialize for Receiver<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        whole(&self.end, serializer)
    }
}

impl<'de, T: Message> Deserialize<'de> for Receiver<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_way::<T, D>(Side::Second, deserializer).map(Self::new)
    }
}
