//! Every interleaving, and every reordering that the memory model allows, of two or three threads
//! on the real ring, ends and turns.
//!
//! A thread that "dies" returns at a chosen point and says so; the oracle of the survivors believes
//! it from then on, as the kernel would.
//!
//! Weakened by hand, once each, and a test that then fails:
//!
//! | weakened                                | red                                              |
//! |-----------------------------------------|--------------------------------------------------|
//! | *publish*, release; acquire             | the_end_comes_after_the_last_record_of_a_closer  |
//! | *reuse*, release; acquire               | records_arrive_whole_and_in_order_...            |
//! | *post*, release; acquire                | a_post_that_is_written_again_is_not_read         |
//! | no second look at `tail` after a post   | a_post_that_is_written_again_is_not_read         |
//! | always the same post                    | a_post_that_..., small_items_...                 |
//! | *end*, release                          | an_end_that_moves_goes_on_where_it_was           |
//! | *end*, acquire of `is_gone`             | the_end_comes_after_the_last_record_of_a_closer  |
//! | no second look at `tail`                | the_end_comes_after_the_last_record_of_a_dead    |
//! | *enter / revoke*, either barrier        | turns_exclude_each_other                         |
//! | *leave*, release; acquire               | turns_exclude_each_other                         |
//! | one `busy` for all reigns               | turns_exclude_each_other                         |
//! | `take` from any move                    | an_old_message_and_its_sender_do_nothing_...     |
//! | `send_off` forgets SHUT                 | an_end_that_is_shut_stays_shut_when_it_moves_... |
//!
//! Not shown: *end*, acquire of `take`, as the look before the swap acquires too.
#![cfg(crossproc_loom)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "loom/shared.rs"]
mod shared;

use crossproc_pipe::raw::{Bias, EndState, Side};
use loom::cell::UnsafeCell;
use loom::sync::{Arc, Mutex};
use loom::thread;

use shared::{BYTES, Shared, id, model, spawn};

#[test]
fn records_arrive_whole_and_in_order_while_the_ring_goes_round() {
    model(|| {
        let shared = Shared::open();
        let producer = spawn(&shared, |s| {
            let mut p = s.view().producer();
            (1..4).take_while(|&value| s.put(&mut p, value)).count()
        });
        let mut c = shared.view().consumer();
        let mut got: Vec<_> = (0..3).filter_map(|_| shared.get(&mut c)).collect();
        let put = producer.join().unwrap();
        got.extend(std::iter::from_fn(|| shared.get(&mut c)));
        assert_eq!(got, [1, 2, 3][..put]);
    });
}

#[test]
fn small_items_arrive_whole_and_in_order_while_the_ring_goes_round() {
    model(|| {
        let shared = Shared::open();
        let producer = spawn(&shared, |s| {
            let (view, mut p) = (s.view(), s.view().producer());
            (1..4).take_while(|&v| view.put_words_at_once(&mut p, BYTES, &[v, v * 7])).count()
        });
        let (view, mut c) = (shared.view(), shared.view().consumer());
        let mut get = || {
            let mut words = [0; 2];
            view.take_words_at_once(&mut c, BYTES, &mut words).then(|| {
                assert_eq!(words[1], words[0] * 7, "torn");
                words[0]
            })
        };
        let mut got: Vec<_> = (0..3).filter_map(|_| get()).collect();
        let put = producer.join().unwrap();
        got.extend(std::iter::from_fn(get));
        assert_eq!(got, [1, 2, 3][..put]);
    });
}

#[test]
fn a_post_that_is_written_again_is_not_read() {
    model(|| {
        let shared = Shared::open();
        // Four of them fit, so that the producer may be two posts ahead of the consumer.
        let bytes = 8;
        let producer = spawn(&shared, move |s| {
            let (view, mut p) = (s.view(), s.view().producer());
            (1..4).take_while(|&v| view.put_words_at_once(&mut p, bytes, &[v])).count()
        });
        let (view, mut c) = (shared.view(), shared.view().consumer());
        let mut get = || {
            let mut words = [0];
            view.take_words_at_once(&mut c, bytes, &mut words).then_some(words[0])
        };
        let mut got: Vec<_> = (0..2).filter_map(|_| get()).collect();
        assert_eq!(producer.join().unwrap(), 3);
        got.extend(std::iter::from_fn(get));
        assert_eq!(got, [1, 2, 3]);
    });
}

/// The end is said only when all that was sent has been received.
fn the_end_comes_last(leave: fn(&Shared)) {
    model(move || {
        let shared = Shared::open();
        let producer = spawn(&shared, move |s| {
            let mut p = s.view().producer();
            assert!(s.put(&mut p, 1));
            leave(s);
        });
        let mut c = shared.view().consumer();
        let mut got = Vec::new();
        let mut ended = false;
        for _ in 0..3 {
            match shared.receive(&mut c) {
                Ok(value) => got.extend(value),
                Err(()) => {
                    ended = true;
                    break;
                }
            }
        }
        assert!(!ended || got == [1], "the end was said over {got:?}");
        producer.join().unwrap();
        got.extend(shared.get(&mut c));
        assert_eq!(got, [1]);
        assert_eq!(shared.receive(&mut c), Err(()));
    });
}

#[test]
fn the_end_comes_after_the_last_record_of_a_closer() {
    the_end_comes_last(|s| assert!(s.header().close(Side::First, id(1))));
}

#[test]
fn the_end_comes_after_the_last_record_of_one_who_shuts() {
    the_end_comes_last(|s| assert!(s.header().shut(Side::First, id(1))));
}

#[test]
fn an_end_that_is_shut_stays_shut_when_it_moves_and_not_for_a_successor() {
    model(|| {
        let shared = Shared::open();
        let header = shared.header();
        let moving = spawn(&shared, |s| s.header().send_off(Side::First, id(1)));
        let shut = header.shut(Side::First, id(1));
        let moves = moving.join().unwrap();
        assert_eq!(moves, Some(1));
        assert_eq!(header.is_over(Side::First), shut);
        // As it was, or not at all.
        let again = header.send_again(Side::First, id(1), 1);
        assert!(header.take_back(Side::First, id(1), again.unwrap()));
        assert_eq!(header.is_over(Side::First), shut);
        let moves = header.send_off(Side::First, id(1));
        assert_eq!(header.take(Side::First, id(3), moves, |_| true), Ok(!shut));
        assert_eq!(header.is_over(Side::First), shut);
        shared.die(id(3));
        assert_eq!(header.take(Side::First, id(4), None, |who| shared.alive(who)), Ok(true));
        assert!(!header.is_over(Side::First));
    });
}

#[test]
fn the_end_comes_after_the_last_record_of_a_dead() {
    the_end_comes_last(|s| s.die(id(1)));
}

#[test]
fn what_a_producer_had_not_committed_is_written_over_by_its_successor() {
    model(|| {
        let shared = Shared::open();
        let victim = spawn(&shared, |s| {
            let (view, mut p) = (s.view(), s.view().producer());
            assert!(s.put(&mut p, 1));
            if let Ok(claim) = view.claim(&mut p, BYTES) {
                s.write(&claim, 99);
            }
            s.die(id(1));
        });
        let successor = spawn(&shared, |s| {
            if !s.take(Side::First, id(3)) {
                return false;
            }
            let mut p = s.view().producer();
            s.put(&mut p, 2)
        });
        let mut c = shared.view().consumer();
        let mut got: Vec<_> = (0..2).filter_map(|_| shared.get(&mut c)).collect();
        victim.join().unwrap();
        let put = successor.join().unwrap();
        got.extend(std::iter::from_fn(|| shared.get(&mut c)));
        assert_eq!(got, [1, 2][..=usize::from(put)]);
    });
}

#[test]
fn a_consumer_goes_on_where_the_dead_one_had_got() {
    model(|| {
        let shared = Shared::open();
        let mut p = shared.view().producer();
        assert!(shared.put(&mut p, 1) && shared.put(&mut p, 2));
        let victim = spawn(&shared, |s| {
            let mut c = s.view().consumer();
            let got = s.get(&mut c);
            // The next is read, but not taken.
            let _ = s.view().first(&mut c);
            s.die(id(2));
            got
        });
        let successor = spawn(&shared, |s| {
            s.take(Side::Second, id(3)).then(|| {
                let mut c = s.view().consumer();
                s.get(&mut c)
            })
        });
        // Room that the first gave back is written again, by one that saw it given back.
        let _ = shared.put(&mut p, 3);
        assert_eq!(victim.join().unwrap(), Some(1));
        let got = successor.join().unwrap();
        assert!(matches!(got, None | Some(Some(2))), "{got:?}");
    });
}

#[test]
fn an_end_of_the_dead_is_taken_by_one() {
    model(|| {
        let shared = Shared::open();
        shared.die(id(1));
        let other = spawn(&shared, |s| s.take(Side::First, id(3)));
        let noting = spawn(&shared, |s| s.header().bury(Side::First, |who| s.alive(who)));
        let mine = shared.take(Side::First, id(4));
        let theirs = other.join().unwrap();
        noting.join().unwrap();
        assert!(mine != theirs);
        let owner = if mine { id(4) } else { id(3) };
        assert_eq!(shared.header().end_state(Side::First), EndState::Open(owner));
    });
}

#[test]
fn an_end_that_moves_goes_on_where_it_was() {
    model(|| {
        let shared = Shared::open();
        let old = spawn(&shared, |s| {
            let mut p = s.view().producer();
            assert!(s.put(&mut p, 1));
            assert_eq!(s.header().send_off(Side::First, id(1)), Some(1));
        });
        let new = spawn(&shared, |s| {
            if s.header().take(Side::First, id(3), Some(1), |_| true).is_err() {
                return false;
            }
            let mut p = s.view().producer();
            s.put(&mut p, 2)
        });
        let mut c = shared.view().consumer();
        let mut got = Vec::new();
        got.extend(shared.receive(&mut c).unwrap());
        old.join().unwrap();
        let put = new.join().unwrap();
        got.extend(std::iter::from_fn(|| shared.get(&mut c)));
        assert_eq!(got, [1, 2][..=usize::from(put)]);
    });
}

#[test]
fn an_end_is_taken_back_or_arrives() {
    model(|| {
        let shared = Shared::open();
        assert_eq!(shared.header().send_off(Side::First, id(1)), Some(1));
        let new =
            spawn(&shared, |s| s.header().take(Side::First, id(3), Some(1), |_| true).is_ok());
        let mine = shared.header().take_back(Side::First, id(1), 1);
        assert!(mine != new.join().unwrap());
    });
}

#[test]
fn an_old_message_and_its_sender_do_nothing_to_a_later_move() {
    model(|| {
        let shared = Shared::open();
        let header = shared.header();
        assert_eq!(header.send_off(Side::First, id(1)), Some(1));
        // The first message and its sender, while it is sent once more.
        let old = spawn(&shared, |s| {
            let arrived = s.header().take(Side::First, id(3), Some(1), |_| true).is_ok();
            (arrived, s.header().take_back(Side::First, id(1), 1))
        });
        let again = header.send_again(Side::First, id(1), 1);
        let (arrived, back) = old.join().unwrap();
        match again {
            Some(moves) => assert!(moves == 2 && !arrived && !back),
            None => assert!(arrived && !back),
        }
    });
}

/// What threads of a process share, as plain memory.
struct Turns {
    bias: Bias,
    mutex: Mutex<()>,
    state: UnsafeCell<u32>,
}

// SAFETY: the state is reached in turns, as the model checks.
unsafe impl Sync for Turns {}
// SAFETY: as above.
unsafe impl Send for Turns {}

impl Turns {
    fn step(&self, thread: u32) {
        if let Some(_entry) = self.bias.enter(thread) {
            return self.count();
        }
        let _mutex = self.mutex.lock().unwrap();
        assert!(self.bias.exclude_others(thread));
        self.count();
        self.bias.make_own(thread);
    }

    fn count(&self) {
        // SAFETY: this thread has its turn, as the model checks.
        self.state.with_mut(|state| unsafe { *state += 1 });
    }
}

#[test]
fn turns_exclude_each_other() {
    model(|| {
        let turns =
            Arc::new(Turns { bias: Bias::new(), mutex: Mutex::new(()), state: UnsafeCell::new(0) });
        turns.step(1);
        let other = {
            let turns = Arc::clone(&turns);
            thread::spawn(move || (0..2).for_each(|_| turns.step(2)))
        };
        (0..2).for_each(|_| turns.step(1));
        other.join().unwrap();
        assert_eq!(
            turns.state.with(|state| {
                // SAFETY: the other thread has ended.
                unsafe { *state }
            }),
            5
        );
    });
}
