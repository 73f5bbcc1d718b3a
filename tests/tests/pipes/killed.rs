//! Processes that are killed at random moments in whatever they do with a pipe, and replaced.
//!
//! All that was sent comes, each message once and in order, but for those that a killed receiver had
//! taken and not noted.

use crossproc::{
    JoinHandle, Message, OneWay, Pipe, PipeEnd, RecvError, Segment, SendError, Value, spawn,
};
use tests::dice::Dice;

const KILLS: u32 = 40;

/// A message that says which it is, and is whole or not.
trait Item: Message {
    fn make(number: u64) -> Self;
    fn number(&self) -> Option<u64>;
}

impl Item for u64 {
    fn make(number: u64) -> Self {
        number
    }

    fn number(&self) -> Option<u64> {
        Some(*self)
    }
}

/// Of very different lengths, many of them in parts.
impl Item for Vec<u64> {
    fn make(number: u64) -> Self {
        vec![number; usize::try_from(number * 7 % 400).unwrap() + 1]
    }

    fn number(&self) -> Option<u64> {
        let number = *self.first()?;
        (*self == Self::make(number)).then_some(number)
    }
}

/// Sends numbers from where the last sender had got, as far as is noted: the one in flight again.
fn send<T: Item>(pipe: OneWay<T>, sent: Value<u64>, over: Value<u64>) {
    let tx = pipe.sender().unwrap();
    let mut number = sent.get();
    while over.get() == 0 {
        match tx.send(&T::make(number)) {
            Ok(()) => number += 1,
            Err(SendError::Closed) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
        sent.set(number).unwrap();
    }
}

#[test]
fn killed_senders_lose_nothing_and_tear_nothing() {
    killed_senders::<u64>(1);
    killed_senders::<Vec<u64>>(2);
}

fn killed_senders<T: Item>(seed: u64) {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let pipe = Pipe::<()>::options().capacity(512).create_one_way::<T>(&segment, "pipe").unwrap();
    let (sent, over) = (Value::new(0u64).unwrap(), Value::new(0u64).unwrap());
    let rx = pipe.receiver().unwrap();
    let begin = || spawn((pipe.clone(), sent.clone(), over.clone()), send::<T>).unwrap();
    let mut dice = Dice::new(seed);
    let mut next = 0;
    // A number may come again: its sender was killed after it had sent it, and before it noted that.
    let mut take = |item: T| {
        let number = item.number().expect("a whole message");
        assert!(number == next || number + 1 == next, "{number} instead of {next}");
        next = number + 1;
    };
    for _ in 0..KILLS {
        let sender = begin();
        for _ in 0..dice.roll(50) {
            // The end of the one before may still be seen, until this one has taken it.
            if let Ok(item) = rx.recv() {
                take(item);
            }
        }
        dice.dither();
        kill(sender);
    }
    let sender = begin();
    over.set(1).unwrap();
    rx.iter().for_each(|item| take(item.unwrap()));
    sender.join().unwrap();
    rx.iter().for_each(|item| take(item.unwrap()));
    // The one before the last may not have noted its last number, and the last have sent none.
    let sent = sent.get();
    assert!(next == sent || next == sent + 1, "{next} received, {sent} sent");
}

/// Receives numbers, and notes each.
fn receive<T: Item>(pipe: OneWay<T>, seen: Value<u64>) {
    let rx = pipe.receiver().unwrap();
    for item in &rx {
        let number = item.unwrap().number().expect("a whole message");
        assert!(number >= seen.get(), "{number} again, after {}", seen.get());
        seen.set(number + 1).unwrap();
    }
}

#[test]
fn killed_receivers_lose_what_they_had_taken_at_most() {
    killed_receivers::<u64>(3);
    killed_receivers::<Vec<u64>>(4);
}

fn killed_receivers<T: Item>(seed: u64) {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let pipe = Pipe::<()>::options().capacity(512).create_one_way::<T>(&segment, "pipe").unwrap();
    let seen = Value::new(0u64).unwrap();
    let tx = pipe.sender().unwrap();
    let begin = || spawn((pipe.clone(), seen.clone()), receive::<T>).unwrap();
    let mut dice = Dice::new(seed);
    let mut number = 0;
    for _ in 0..KILLS {
        let receiver = begin();
        let until = number + 1 + dice.roll(50);
        while number < until {
            // Where the last one was found dead, and this one has not taken the end yet: again.
            match tx.send(&T::make(number)) {
                Ok(()) => number += 1,
                Err(SendError::Closed) => std::thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
        }
        dice.dither();
        kill(receiver);
    }
    let receiver = begin();
    while tx.send(&T::make(number)).is_err() {
        std::thread::yield_now();
    }
    tx.close();
    receiver.join().unwrap();
    // The last was sent to one that lived to note it; what is missing before was the killed ones'.
    assert_eq!(seen.get(), number + 1);
}

/// Sends and receives in turn, each message longer than the pipe, until the other end is gone. Tells of
/// the first exchange.
fn exchange(end: &PipeEnd<Vec<u64>, Vec<u64>>, begun: impl Fn()) {
    for number in 0.. {
        if number == 1 {
            begun();
        }
        match end.send(&vec![number; 200]) {
            Ok(()) => {}
            Err(SendError::Closed) => return,
            Err(error) => panic!("{error}"),
        }
        match end.recv() {
            Ok(item) => assert!(item == vec![number; 200], "{number}: {item:?}"),
            Err(RecvError::Closed) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Both wait for room, and take in what comes meanwhile, most of the time.
#[test]
fn where_both_send_before_they_receive_the_death_of_one_is_told_to_the_other() {
    let mut dice = Dice::new(5);
    for _ in 0..KILLS {
        let (here, there) = Pipe::options().capacity(256).pair().unwrap();
        let child = spawn((there,), |there| exchange(&there, || ())).unwrap();
        let (begun, has_begun) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let exchanging = scope.spawn(move || exchange(&here, || begun.send(()).unwrap()));
            has_begun.recv().unwrap();
            dice.dither();
            child.kill().unwrap();
            exchanging.join().unwrap();
        });
        assert!(child.join().is_err());
    }
}

fn kill(child: JoinHandle<()>) {
    child.kill().unwrap();
    assert!(child.join().is_err());
}
