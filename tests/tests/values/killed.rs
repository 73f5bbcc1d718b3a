//! Writers that are killed.

use crossproc::{JoinError, JoinHandle, Plain, Pod, Queue, Segment, Value, spawn};
use tests::dice::Dice;
use tests::outside::until;

const KILLS: u64 = 40;

/// Plain data of one size or another, all of whose numbers are the same.
trait Row: crossproc::crates::value::Stored + Pod + Copy {
    fn of(number: u64) -> Self;

    /// The number, if the row is whole.
    fn number(&self) -> u64;
}

impl<const N: usize> Row for Plain<[u64; N]> {
    fn of(number: u64) -> Self {
        Self([number; N])
    }

    fn number(&self) -> u64 {
        assert!(self.0.iter().all(|&n| n == self.0[0]), "torn: {:?}", self.0);
        self.0[0]
    }
}

/// Adds one for ever, by any means, and counts what it did for sure.
fn count_up<T: Row>(value: Value<T>, done: Value<u64>) {
    let mut count = 0;
    loop {
        match count % 3 {
            0 => value.update(|row| *row = T::of(row.number() + 1)).unwrap(),
            1 => {
                let mut guard = value.lock().unwrap();
                *guard = T::of(guard.number() + 1);
            }
            // A torn intermediate state, that nobody may ever see.
            _ => value
                .update(|row| {
                    let next = row.number() + 1;
                    *row = T::of(u64::MAX);
                    *row = T::of(next);
                })
                .unwrap(),
        }
        count += 1;
        done.set(count).unwrap();
        assert_ne!(value.get().number(), u64::MAX);
    }
}

fn kill(writer: JoinHandle<()>) {
    writer.kill().unwrap();
    assert!(matches!(writer.join(), Err(JoinError::Signalled { signal: 9, .. })));
}

fn killed_writers<T: Row>(seed: u64) {
    let mut dice = Dice::new(seed);
    let segment = Segment::anonymous(1 << 20).unwrap();
    let value = Value::new_in(&segment, T::of(0)).unwrap();
    let begin = || {
        let done = Value::new_in(&segment, 0u64).unwrap();
        let writer = spawn((value.clone(), done.clone()), count_up::<T>).unwrap();
        (writer, done)
    };
    let mut writers: Vec<_> = (0..3).map(|_| begin()).collect();
    let mut counts = Vec::new();
    for _ in 0..KILLS {
        let goal = value.get().number() + 1 + dice.roll(100);
        until("they count", || value.get().number() >= goal);
        dice.dither();
        let unlucky = dice.index(&writers);
        let (writer, done) = writers.swap_remove(unlucky);
        kill(writer);
        counts.push(done);
        writers.push(begin());
    }
    for (writer, done) in writers {
        kill(writer);
        counts.push(done);
    }
    let (least, most) = counts
        .iter()
        .fold((0, 0), |(least, most), done| (least + done.get(), most + done.get() + 1));
    // Killed between the update and its own count, a writer did one more than it says.
    let sum = value.get().number();
    assert!((least..=most).contains(&sum), "{sum} is not in {least}..={most}");
    value.set(T::of(7)).unwrap();
    assert_eq!(value.get().number(), 7);
}

#[test]
fn whoever_is_killed_the_value_is_whole_and_every_update_counts() {
    killed_writers::<Plain<[u64; 2]>>(1);
    killed_writers::<Plain<[u64; 8]>>(2);
    killed_writers::<Plain<[u64; 33]>>(3);
    killed_writers::<Plain<[u64; 1500]>>(4);
}

/// Stays inside, with all changed in its copy.
fn stay_with_a_guard(value: Value<[u64; 9]>, inside: Queue<()>) {
    let mut guard = value.lock().unwrap();
    *guard = [2; 9];
    stay(&inside);
}

fn stay_in_an_update(value: Value<[u64; 9]>, inside: Queue<()>) {
    value
        .update(|value| {
            *value = [2; 9];
            stay(&inside);
        })
        .unwrap();
}

fn stay(inside: &Queue<()>) {
    inside.put(()).unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
fn a_writer_killed_inside_has_changed_nothing_and_the_next_goes_on() {
    let value = Value::new([1u64; 9]).unwrap();
    let inside = Queue::<()>::bounded(1).unwrap();
    for stay in [stay_with_a_guard as fn(_, _), stay_in_an_update] {
        let holder = spawn((value.clone(), inside.clone()), stay).unwrap();
        inside.get().unwrap();
        let waiting = spawn((value.clone(),), |value| value.update(|value| value[8] += 1).unwrap());
        let waiting = waiting.unwrap();
        assert_eq!(value.get()[..8], [1; 8]);
        kill(holder);
        waiting.join().unwrap();
        assert_eq!(value.get()[..8], [1; 8]);
    }
    assert_eq!(value.get(), [1, 1, 1, 1, 1, 1, 1, 1, 3]);
}
