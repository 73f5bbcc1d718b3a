//! One that sends and one that receives, each replaced when it was killed.
//!
//! The books are those of the queue's arena: each message that was sent comes once, in order. Of a
//! sender that was killed the message in flight may come or not; a receiver that was killed between the
//! beginning of `recv` and its note may have taken one, or had a part of one in hand, that nobody
//! will see. What was refused, or given up half-way, never comes.

use std::thread;
use std::time::Duration;

use crossproc::{
    Message, OneWay, Pipe, Plain, Receiver, RecvError, SendError, Sender, TryRecvError,
    TrySendError,
};
use crossproc_pipe::Error;

use super::books::{Books, GETTING, ITEMS};
use super::{Arena, Setting, made};
use crate::storm::Fault;
use crate::storm::ledger::Ledger;
use crate::storm::scene::{Member, Role, Scene};
use crate::storm::schedule::mix;

/// The part that sends.
const SENDER: usize = 0;

pub(super) fn arenas() -> Vec<Arena> {
    let arena = |name, about, build| Arena { name, about, bytes: 1 << 20, extra_words: 1, build };
    vec![
        arena("pipe-words", "messages of 16 bytes: each once, in order", |setting| {
            Ok(Box::new(Line::<Plain<[u64; 2]>>::new(setting)?))
        }),
        arena("pipe-bytes", "messages of up to 5 KiB, most of them in parts", |setting| {
            Ok(Box::new(Line::<Vec<u8>>::new(setting)?))
        }),
    ]
}

/// A message that says which it is, and is whole or not.
trait Item: Message {
    fn make(number: u64) -> Self;

    fn read(&self) -> Option<u64>;
}

impl Item for Plain<[u64; 2]> {
    fn make(number: u64) -> Self {
        Self([number, mix(number, 0)])
    }

    fn read(&self) -> Option<u64> {
        (self.0[1] == mix(self.0[0], 0)).then_some(self.0[0])
    }
}

impl Item for Vec<u8> {
    fn make(number: u64) -> Self {
        let drawn = mix(number, 1);
        let most = [40, 600, 5000][(drawn % 3) as usize];
        let mut bytes = vec![drawn.to_le_bytes()[4]; 8 + (drawn >> 8) as usize % most];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes
    }

    fn read(&self) -> Option<u64> {
        let number = u64::from_le_bytes(self.get(..8)?.try_into().ok()?);
        (*self == Self::make(number)).then_some(number)
    }
}

struct Line<T> {
    pipe: OneWay<T>,
    books: Books,
    mortal: [bool; 2],
}

impl<T: Item> Line<T> {
    fn new(setting: &Setting) -> Result<Self, Fault> {
        let mut dice = setting.dice();
        let capacity = [64, 256, 1024, 1 << 16][dice.index(&[(); 4])];
        let options = Pipe::<()>::options().capacity(capacity);
        let pipe = made("the pipe", options.create_one_way(&setting.segment, "line"))?;
        let mortal = [[true, true], [true, false], [false, true]][dice.index(&[(); 3])];
        Ok(Self { pipe, books: Books::new(1)?, mortal })
    }

    fn send(&self, member: &Member<'_>) -> Result<(), Fault> {
        let tx = self.pipe.sender().map_err(taken)?;
        let count = member.part().count(0);
        while !member.leaves() {
            // Before the attempt: what was attempted has to have a mark, should this producer die.
            if count.attempted() + 1 >= ITEMS {
                thread::sleep(Duration::from_millis(1));
                member.part().advance();
                continue;
            }
            let number = count.attempt();
            member.part().set_doing(1);
            if put(&tx, member, &T::make(number))? {
                count.finish();
                member.part().advance();
            } else {
                thread::yield_now();
            }
        }
        Ok(())
    }

    fn recv(&self, member: &Member<'_>) -> Result<(), Fault> {
        let rx = self.pipe.receiver().map_err(taken)?;
        let getting = member.part().own(GETTING);
        loop {
            let floors = self.books.floors(member.ledger());
            getting.store(1, std::sync::atomic::Ordering::Relaxed);
            member.part().set_doing(2);
            match get(&rx, member) {
                Ok(item) => {
                    let item = item.read().map(|number| (0, number));
                    self.books.mark(member.ledger(), item, &floors)?;
                    member.part().advance();
                }
                Err(TryRecvError::Closed) if member.leaves() => return Ok(()),
                // The sender was killed; another will come.
                Err(TryRecvError::Empty | TryRecvError::Closed) => thread::yield_now(),
                Err(error) => return Err(Fault::wrong("recv", error)),
            }
            getting.store(0, std::sync::atomic::Ordering::Relaxed);
            member.part().set_doing(0);
        }
    }
}

fn taken(error: Error) -> Fault {
    Fault::wrong("an end of which nobody lives to have it", error)
}

/// Sends in some way; false if it was refused.
fn put<T: Item>(tx: &Sender<T>, member: &Member<'_>, item: &T) -> Result<bool, Fault> {
    let sent = match member.roll(8) {
        0 => tx.try_send(item),
        1 => tx.send_timeout(item, Duration::from_micros(member.roll(2000))),
        _ => tx.send(item).map_err(|error| match error {
            SendError::Closed => TrySendError::Closed,
            _ => TrySendError::Corrupt,
        }),
    };
    match sent {
        Ok(()) => Ok(true),
        // The receiver was killed; another will come.
        Err(TrySendError::Full | TrySendError::TooLong { .. } | TrySendError::Closed) => Ok(false),
        Err(error) => Err(Fault::wrong("send", error)),
    }
}

/// Receives in some way.
fn get<T: Item>(rx: &Receiver<T>, member: &Member<'_>) -> Result<T, TryRecvError> {
    match member.roll(8) {
        0 => rx.try_recv(),
        1 => rx.recv_timeout(Duration::from_micros(member.roll(2000))),
        2 => {
            rx.poll(Duration::from_micros(member.roll(2000)));
            rx.try_recv()
        }
        _ => rx.recv().map_err(|error| match error {
            RecvError::Closed => TryRecvError::Closed,
            RecvError::Malformed(error) => TryRecvError::Malformed(error),
            _ => TryRecvError::Corrupt,
        }),
    }
}

impl<T: Item> Scene for Line<T> {
    fn cast(&self) -> Vec<Role> {
        let sender = Role::new("sender").mortal(self.mortal[0]);
        vec![sender, Role::new("receiver").mortal(self.mortal[1]).leaves(2)]
    }

    fn doings(&self) -> &'static [&'static str] {
        &["between", "in send", "in recv"]
    }

    fn play(&self, member: &Member<'_>) -> Result<(), Fault> {
        if member.number() == SENDER { self.send(member) } else { self.recv(member) }
    }

    fn mourn(&self, part: usize, ledger: &Ledger) -> Result<(), Fault> {
        if part == SENDER {
            self.books.mourn_producer(part, ledger);
        } else {
            self.books.mourn_consumer(part, ledger);
        }
        Ok(())
    }

    fn account(&self, ledger: &Ledger) -> Result<String, Fault> {
        let rx = self.pipe.receiver().map_err(taken)?;
        match rx.try_recv() {
            Err(TryRecvError::Closed) => self.books.account(ledger),
            got => {
                let got = got.map(|item| item.read());
                Err(Fault::wrong("the end of the pipe", format!("{got:?}")))
            }
        }
    }

    fn describe(&self) -> String {
        format!("{:?}", self.pipe)
    }
}
