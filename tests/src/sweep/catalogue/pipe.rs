//! The pipe: sent, received, in one piece and in parts, closed, its ends taken.
//!
//! Each message carries a number and can tell whether it is whole. Whoever takes part takes an end
//! itself, as a process of its own: the stage holds the pipe and no end of it. A survivor takes both
//! ends, as the dead have left them or closed them, receives all there is, and so learns exactly
//! which messages are there, and in which order; then it fills the pipe to the last byte, and empties
//! it again.

use std::sync::Arc;
use std::time::Duration;

use crossproc_message::Message;
use crossproc_pipe::{OneWay, Pipe, Receiver, Sender, TryRecvError, TrySendError};
use crossproc_segment::Segment;

use super::{stage, text};
use crate::sweep::memory::Memory;
use crate::sweep::scenario::{Part, keep, telling};

mod alone;
mod entries;
mod meet;
mod moved;
mod waited;

pub(super) use entries::ENTRIES;

/// The number of the message that the victim sends.
const VICTIM: u64 = 100;
/// The number of the message that an earlier victim sends.
const EARLIER: u64 = 101;
/// The number of the message that a victim sends which comes after an earlier one.
const SUCCESSOR: u64 = 102;
/// The number of the message that another sends meanwhile.
const OTHER: u64 = 200;
/// The number of the first message that the survivor fills the pipe with.
const FILL: u64 = 1000;
/// A call gave nothing.
const REFUSED: u64 = 0;
/// A call was told that nothing more can come, or that nobody receives.
const CLOSED: u64 = 1 << 32;
/// Longer than the longest message in one piece, and short enough for the ring all the same.
const IN_PARTS: usize = 150;

/// A kind of message, and how its number is written and read.
trait Item: Message + Sized {
    /// Bytes of the ring, and how many of these messages it then holds.
    const ROOM: (usize, u64);
    /// Whether it comes in parts: then a receiver that gives up half-way has a part in hand.
    const IN_PARTS: bool = false;

    fn new(number: u64) -> Self;

    /// The number, if the message is whole.
    fn number(&self) -> Option<u64>;
}

/// A record of two words.
impl Item for u64 {
    const ROOM: (usize, u64) = (64, 4);

    fn new(number: u64) -> Self {
        number << 32 | !number & 0xffff_ffff
    }

    fn number(&self) -> Option<u64> {
        (*self == Self::new(self >> 32)).then_some(self >> 32)
    }
}

/// Bytes in one piece; every third is followed by a filler, as the ring does not hold four.
#[derive(serde::Serialize, serde::Deserialize)]
struct Whole(Vec<u8>);

impl Item for Whole {
    const ROOM: (usize, u64) = (256, 2);

    fn new(number: u64) -> Self {
        Self(bytes(number, 96))
    }

    fn number(&self) -> Option<u64> {
        number(&self.0, 96)
    }
}

/// A message in three parts.
#[derive(serde::Serialize, serde::Deserialize)]
struct Parts(Vec<u8>);

impl Item for Parts {
    const ROOM: (usize, u64) = (256, 1);
    const IN_PARTS: bool = true;

    fn new(number: u64) -> Self {
        // Room for a second long one is there in no ring.
        Self(bytes(number, if number == SUCCESSOR { 20 } else { IN_PARTS }))
    }

    fn number(&self) -> Option<u64> {
        number(&self.0, self.0.len())
    }
}

/// Bytes as they are, for what is written and read in place.
#[derive(serde::Serialize, serde::Deserialize)]
struct Raw([u8; Raw::BYTES]);

impl Raw {
    const BYTES: usize = 32;

    fn bytes(number: u64) -> Vec<u8> {
        bytes(number, Self::BYTES)
    }
}

impl Item for Raw {
    const ROOM: (usize, u64) = (256, 6);

    fn new(number: u64) -> Self {
        let mut whole = [0; Self::BYTES];
        whole.copy_from_slice(&Self::bytes(number));
        Self(whole)
    }

    fn number(&self) -> Option<u64> {
        number(&self.0, Self::BYTES)
    }
}

/// Has the thread its turn at the end, which is its own from then on; looks do not take it. The message
/// is too long to be tried.
fn warm_sender<T>(tx: &Sender<T>) {
    let refused = tx.try_send_bytes(&vec![0; tx.longest_piece() + 1]);
    assert!(matches!(refused, Err(TrySendError::TooLong { .. })), "{refused:?}");
}

/// As [`warm_sender`]. A message that is there stays: it does not fit.
fn warm_receiver<T>(rx: &Receiver<T>) {
    let refused = rx.try_recv_into(&mut []);
    let fits = matches!(refused, Err(TryRecvError::Empty | TryRecvError::BufferTooShort { .. }));
    assert!(fits, "{refused:?}");
}

fn bytes(number: u64, length: usize) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend((8..length as u64).map(|at| (number * 31 + at).to_le_bytes()[0]));
    bytes
}

fn number(found: &[u8], length: usize) -> Option<u64> {
    let number = u64::from_le_bytes(found.get(..8)?.try_into().ok()?);
    (found == bytes(number, length)).then_some(number)
}

/// A pipe of which nobody has an end, and what it holds before the victim comes.
#[derive(Debug)]
struct Stage<T> {
    segment: Segment,
    pipe: OneWay<T>,
    items: Arc<[u64]>,
}

impl<T> Clone for Stage<T> {
    fn clone(&self) -> Self {
        let items = Arc::clone(&self.items);
        Self { segment: self.segment.clone(), pipe: self.pipe.clone(), items }
    }
}

impl<T: Item> Stage<T> {
    /// A pipe with `items` in it, after `laps` messages went through. What was done to it was done by
    /// a process that is dead, and that nobody has found dead; an end that it did not need was never
    /// taken, and nobody at the other end is not the end.
    fn new(laps: u64, items: &[u64]) -> Result<(Self, Memory), String> {
        let (segment, memory) = stage()?;
        let options = Pipe::<()>::options().capacity(T::ROOM.0);
        let pipe = options.one_way_closed_in(&segment).map_err(text)?;
        let stage = Self { segment, pipe, items: items.into() };
        crate::sweep::in_child(|| stage.prepare(laps))?;
        Ok((stage, memory))
    }

    fn prepare(&self, laps: u64) -> Result<(), String> {
        if laps == 0 && self.items.is_empty() {
            return Ok(());
        }
        let tx = self.sender()?;
        if laps > 0 {
            let rx = self.receiver()?;
            for lap in 0..laps {
                tx.send(&T::new(FILL + lap)).map_err(text)?;
                rx.recv().map_err(text)?;
            }
            keep(rx);
        }
        self.items.iter().try_for_each(|&number| tx.send(&T::new(number))).map_err(text)?;
        keep(tx);
        Ok(())
    }

    fn sender(&self) -> Result<Sender<T>, String> {
        self.pipe.sender().map_err(|error| format!("the sending end: {error}"))
    }

    fn receiver(&self) -> Result<Receiver<T>, String> {
        self.pipe.receiver().map_err(|error| format!("the receiving end: {error}"))
    }

    /// Sends a message; the end was taken before, and used, or not, as `warm` says: the first use
    /// goes another way.
    fn putter(&self, number: u64, warm: bool) -> Part {
        let stage = self.clone();
        telling(move || {
            let tx = must(stage.sender());
            if warm {
                warm_sender(&tx);
            }
            let item = T::new(number);
            move || if tx.send(&item).is_ok() { number } else { REFUSED }
        })
    }

    /// Receives a message, as [`putter`](Self::putter).
    fn getter(&self, warm: bool) -> Part {
        let stage = self.clone();
        telling(move || {
            let rx = must(stage.receiver());
            if warm {
                warm_receiver(&rx);
            }
            move || tell(rx.recv())
        })
    }

    /// Receives the message that it sent itself before, both ends being warm: the last one, and so in
    /// its post.
    fn getter_of_posted(&self, number: u64) -> Part {
        let stage = self.clone();
        telling(move || {
            let (tx, rx) = (must(stage.sender()), must(stage.receiver()));
            warm_sender(&tx);
            warm_receiver(&rx);
            must(tx.send(&T::new(number)).map_err(text));
            keep(tx);
            move || tell(rx.recv())
        })
    }

    /// What another process sends.
    fn send_within(&self, patience: Duration) -> Result<u64, String> {
        let tx = self.sender()?;
        let tried = match tx.try_send(&T::new(OTHER)) {
            Err(TrySendError::Full | TrySendError::TooLong { .. }) => {
                tx.send_timeout(&T::new(OTHER), patience)
            }
            at_once => at_once,
        };
        // It stays open: the victim must not be told that nobody is there.
        keep(tx);
        match tried {
            Ok(()) => Ok(OTHER),
            Err(TrySendError::Full) => Ok(REFUSED),
            Err(error) => Err(format!("send: {error}")),
        }
    }

    /// What another process receives.
    fn recv_within(&self, patience: Duration) -> Result<u64, String> {
        let rx = self.receiver()?;
        let tried = match rx.try_recv() {
            Err(TryRecvError::Empty) => rx.recv_timeout(patience),
            at_once => at_once,
        };
        // It stays open: the victim must not be told that nobody is there.
        keep(rx);
        match tried {
            Ok(item) => item.number().ok_or_else(|| "a torn message".to_owned()),
            Err(TryRecvError::Empty) => Ok(REFUSED),
            Err(error) => Err(format!("recv: {error}")),
        }
    }

    /// The same of one who may be told of the end.
    fn end_within(&self, patience: Duration) -> Result<u64, String> {
        let rx = self.receiver()?;
        let tried = rx.recv_timeout(patience);
        keep(rx);
        match tried {
            Ok(item) => item.number().ok_or_else(|| "a torn message".to_owned()),
            Err(TryRecvError::Empty) => Ok(REFUSED),
            Err(TryRecvError::Closed) => Ok(CLOSED),
            Err(error) => Err(format!("recv: {error}")),
        }
    }

    /// Which messages are there, in their order; the pipe is then found to work as a new one.
    fn drain(&self) -> Result<Vec<u64>, String> {
        let found = self.received()?;
        self.fill()?;
        Ok(found)
    }

    /// What a receiver gets until the end.
    fn received(&self) -> Result<Vec<u64>, String> {
        let (tx, rx) = (self.pipe.sender(), self.receiver()?);
        // Whoever has the sending end is dead, or has closed it: so there is an end.
        drop(tx.map_err(|error| format!("the sending end: {error}"))?);
        let numbers = rx.iter().map(|item| match item {
            Ok(item) => item.number().ok_or_else(|| "a torn message".to_owned()),
            Err(error) => Err(format!("recv: {error}")),
        });
        numbers.collect()
    }

    fn fill(&self) -> Result<(), String> {
        let (tx, rx) = (self.sender()?, self.receiver()?);
        let room = T::ROOM.1;
        for round in 0..3 {
            let first = FILL + round * room;
            for number in first..first + room {
                tx.send_timeout(&T::new(number), Duration::from_secs(1))
                    .map_err(|error| format!("message {} of {room}: {error}", number - first))?;
            }
            if room > 1 && !matches!(tx.try_send(&T::new(1)), Err(TrySendError::Full)) {
                return Err(format!("more than {room} messages fit"));
            }
            for number in first..first + room {
                match rx.try_recv().map(|item| item.number()) {
                    Ok(Some(got)) if got == number => {}
                    got => return Err(format!("{got:?} instead of message {number}")),
                }
            }
        }
        match rx.try_recv() {
            Err(TryRecvError::Empty) => Ok(()),
            got => Err(format!("{:?} from an empty pipe", got.map(|item| item.number()))),
        }
    }
}

/// The number of a message that a victim got. What it got it keeps: its operation ends before
/// anything is dropped.
fn tell<T: Item, E>(got: Result<T, E>) -> u64 {
    match got {
        Ok(item) => {
            let number = item.number();
            keep(item);
            number.unwrap_or(u64::MAX - 1)
        }
        Err(_) => REFUSED,
    }
}

/// Has one that fails end its process, which the harness then tells.
fn must<R>(result: Result<R, String>) -> R {
    result.unwrap_or_else(|why| panic!("{why}"))
}
