//! `Pipe` and its ends: items as words, as bytes and in parts, in place, and waited for.

use anyhow::Result;
use crossproc::{Deadline, Message, OneWay, Pipe, Receiver, Segment, Sender};
use crossproc_segment::wait::wait_any;

use crate::hostile::hand::{Hand, Play, Primitive};

const CAPACITY: usize = 256;
/// Of the two, one goes in one piece and one in parts.
const BYTES: [usize; 2] = [40, 150];
/// The most that a receiver takes: what is claimed to be longer costs no memory.
const MOST: u64 = 1 << 16;

pub(super) fn numbers() -> Primitive {
    Primitive { name: "pipe u64", attach: attach::<u64>, die_in: Some(die::<u64>), keep: None }
}

pub(super) fn texts() -> Primitive {
    Primitive { name: "pipe String", attach: attach::<String>, die_in: None, keep: None }
}

/// What can be sent.
trait Item: Message {
    fn of(number: u64) -> Self;
}

impl Item for u64 {
    fn of(number: u64) -> Self {
        number
    }
}

impl Item for String {
    fn of(number: u64) -> Self {
        "crossproc ".repeat(if number % 2 == 0 { 3 } else { 18 })
    }
}

struct Ends<T> {
    pipe: OneWay<T>,
    name: String,
}

fn attach<T: Item>(segment: &Segment) -> Result<Box<dyn Play>> {
    let name = format!("pipe.{}", std::any::type_name::<T>().rsplit(':').next().unwrap_or("?"));
    let pipe = Pipe::<()>::options().capacity(CAPACITY).open_or_create_one_way(segment, &name)?;
    Ok(Box::new(Ends::<T> { pipe, name }))
}

/// Leaves both ends to a dead process, and a message on its way.
fn die<T: Item>(segment: &Segment) -> Result<()> {
    let options = Pipe::<()>::options().capacity(CAPACITY);
    let name = format!("pipe.{}", std::any::type_name::<T>().rsplit(':').next().unwrap_or("?"));
    let pipe = options.open_or_create_one_way::<T>(segment, &name)?;
    if let (Ok(tx), rx) = (pipe.sender(), pipe.receiver()) {
        // The pipe may be full.
        let _ = tx.try_send(&T::of(0));
        std::mem::forget((tx, rx));
    }
    Ok(())
}

impl<T: Item> Play for Ends<T> {
    fn play(&self, hand: &Hand<'_>) {
        // Others play too: whoever comes first has an end, and gives it back.
        let (mut tx, mut rx) = (None, None);
        hand.timed("take to send", || self.pipe.sender().map(|end| tx = Some(end)));
        hand.timed("take to receive", || self.pipe.receiver().map(|end| rx = Some(end)));
        hand.timed("open", || OneWay::<T>::open(self.pipe.segment(), &self.name));
        hand.timed("Debug", || drop(format!("{:?} {tx:?} {rx:?}", self.pipe)));
        hand.point();
        for round in 0..2 {
            if let Some(tx) = &mut tx {
                send(tx, hand);
            }
            if let Some(rx) = &mut rx {
                recv(rx, hand);
            }
            if round == 0 {
                hand.point();
            }
        }
        if let Some(tx) = tx {
            hand.timed("close to send", || tx.close());
        }
        if let Some(rx) = rx {
            hand.timed("close to receive", || rx.close());
        }
    }
}

fn send<T: Item>(tx: &mut Sender<T>, hand: &Hand<'_>) {
    for number in 0..4 {
        hand.timed("try_send", || tx.try_send(&T::of(number)));
    }
    hand.point();
    hand.timed("send_timeout", || tx.send_timeout(&T::of(1), hand.patience()));
    hand.timed("send_deadline", || tx.send_deadline(&T::of(0), Deadline::after(hand.patience())));
    for bytes in BYTES {
        let bytes = vec![1; bytes];
        hand.timed("try_send_bytes", || tx.try_send_bytes(&bytes));
        hand.timed("send_bytes_timeout", || tx.send_bytes_timeout(&bytes, hand.patience()));
    }
    hand.timed("try_reserve", || {
        tx.try_reserve(BYTES[0]).map(|mut reserved| {
            reserved.write_at(8, &[2; 8]);
            hand.point();
            drop(reserved.commit(16));
        })
    });
    let room = tx.space();
    hand.timed("space", || drop(wait_any(&[&room], hand.patience())));
    hand.timed("peer", || {
        std::hint::black_box(tx.peer());
    });
}

fn recv<T: Item>(rx: &mut Receiver<T>, hand: &Hand<'_>) {
    rx.set_max_len(MOST);
    hand.timed("poll", || {
        rx.poll(hand.patience());
    });
    hand.timed("try_recv", || rx.try_recv());
    hand.timed("recv_timeout", || rx.recv_timeout(hand.patience()));
    hand.point();
    hand.timed("recv_deadline", || rx.recv_deadline(Deadline::after(hand.patience())));
    hand.timed("try_recv_bytes", || rx.try_recv_bytes());
    let mut buffer = [0; 64];
    hand.timed("try_recv_into", || rx.try_recv_into(&mut buffer));
    hand.timed("recv_into_timeout", || rx.recv_into_timeout(&mut buffer, hand.patience()));
    hand.timed("try_borrow", || {
        rx.try_borrow().map(|borrowed| {
            hand.point();
            let length = borrowed.len().min(buffer.len());
            borrowed.read_at(0, &mut buffer[..length]);
        })
    });
    hand.timed("wait_any", || drop(wait_any(&[&*rx], hand.patience())));
    for _ in 0..4 {
        hand.timed("recv_bytes_timeout", || rx.recv_bytes_timeout(hand.patience()));
    }
}
