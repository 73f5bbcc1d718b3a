//! Runs of items: beside single operations, and cut short by a death or a close.
//!
//! Weakened by hand, once each, and a test that then fails:
//!
//! | weakened                                        | red                              |
//! |-------------------------------------------------|----------------------------------|
//! | claims made by a store                          | a_producer_killed_in_a_run_...   |
//! | all claims count, whatever `tail` says          | a_close_in_a_run_...             |
//! | `tail` not moved                                | a_close_in_a_run_...             |
//! | *publish*, acquire, of a take                   | two_consumers_share_a_run_...    |
//! | second look of a peek by a load                 | who_peeks_sees_a_whole_item_...  |

use crossproc_queue::raw::{NoItem, Refused};
use crossproc_segment::MemberId;

use super::shared::{Shared, id, model_within, spawn};

/// Two items in one run, by a producer that lives through so many of its steps: the claims,
/// `tail`, the first commit, the second.
fn put_two(shared: &Shared, me: MemberId, steps: u32) -> Result<u32, Refused> {
    let payloads = [10, 70, 11, 77];
    let mut left = steps;
    let put = shared.ring().put_run_while(me, &payloads, 2, 2, || {
        left = left.saturating_sub(1);
        left > 0
    });
    assert_ne!(put, Err(Refused::Corrupt));
    put
}

/// One attempt at up to two items.
fn take_two(shared: &Shared) -> Vec<u64> {
    let mut payloads = [0; 4];
    match shared.ring().take_run(&mut payloads, 2, 2) {
        Ok(taken) => {
            let items = payloads.chunks(2).take(taken as usize);
            items.map(|item| (item[1] == item[0] * 7).then_some(item[0]).expect("torn")).collect()
        }
        Err(none) => {
            assert_ne!(none, NoItem::Corrupt);
            Vec::new()
        }
    }
}

/// Of those who put and take one by one beside a run, each item comes once and in order.
fn a_run_beside_another_producer(capacity: u32) {
    model_within(2, move || {
        let shared = Shared::new(capacity);
        let first = spawn(&shared, |s| {
            let put = put_two(s, id(1), u32::MAX).unwrap_or(0);
            (0..put).for_each(|_| s.note_accepted());
        });
        let second = spawn(&shared, |s| s.put_once(id(2), 20));
        let mut taken = take_two(&shared);
        first.join().unwrap();
        second.join().unwrap();
        taken.extend(take_two(&shared));
        taken.extend(shared.drain());
        assert_eq!(taken.len(), shared.accepted(), "each item once: {taken:?}");
        let of_run: Vec<_> = taken.iter().filter(|&&value| value < 20).copied().collect();
        assert_eq!(of_run, [10, 11][..of_run.len()], "order of the run");
        shared.assert_exact_capacity();
    });
}

#[test]
fn a_run_beside_another_producer_arrives_once_and_in_order_with_one_place() {
    a_run_beside_another_producer(1);
}

#[test]
fn a_run_beside_another_producer_arrives_once_and_in_order_with_two_places() {
    a_run_beside_another_producer(2);
}

#[test]
fn a_run_beside_another_producer_arrives_once_and_in_order_with_three_places() {
    a_run_beside_another_producer(3);
}

/// Both take, one by runs: no item is doubled, none is lost, and neither sees a torn one.
#[test]
fn two_consumers_share_a_run_while_the_places_are_filled_again() {
    model_within(2, || {
        let shared = Shared::new(2);
        assert_eq!(put_two(&shared, id(1), u32::MAX), Ok(2));
        let rival = spawn(&shared, |s| {
            let mut taken: Vec<_> = s.try_take().ok().into_iter().collect();
            let put = s.try_put(id(2), 20).is_ok();
            s.note(taken.drain(..), put);
        });
        let mut taken = take_two(&shared);
        rival.join().unwrap();
        taken.extend(shared.drain());
        taken.extend(shared.noted());
        taken.sort_unstable();
        let expected: &[u64] = if shared.accepted() == 1 { &[10, 11, 20] } else { &[10, 11] };
        assert_eq!(taken, expected);
        shared.assert_exact_capacity();
    });
}

/// Killed after the claims (1), after `tail` (2), after a commit (3): a prefix is there.
#[test]
fn a_producer_killed_in_a_run_has_put_a_prefix() {
    for (steps, expected) in [(1, &[][..]), (2, &[]), (3, &[10]), (4, &[10, 11])] {
        model_within(2, move || {
            let shared = Shared::new(2);
            let victim = spawn(&shared, move |s| {
                let _ = put_two(s, id(1), steps);
                s.die(id(1));
            });
            let mut taken: Vec<_> = shared.take_once().into_iter().collect();
            shared.put_or_repair(id(2), 20);
            victim.join().unwrap();
            taken.extend(shared.drain());
            let of_victim: Vec<_> = taken.iter().filter(|&&value| value < 20).copied().collect();
            // Where the other was first, one place was left.
            assert!(expected.starts_with(&of_victim), "{steps} steps: {of_victim:?}");
            assert!(taken.contains(&20) || of_victim.len() == expected.len());
            shared.assert_exact_capacity();
        });
    }
}

/// A close in the middle lets a prefix in, and says how long it is: who has heard that the queue is
/// closed has seen the last of it.
#[test]
fn a_close_in_a_run_lets_a_prefix_in() {
    model_within(3, || {
        let shared = Shared::new(2);
        let closer = spawn(&shared, |s| {
            s.ring().close();
            let mut taken = Vec::new();
            let end = loop {
                match s.try_take() {
                    Ok(value) => taken.push(value),
                    Err(end) => break end,
                }
            };
            s.note(taken.into_iter(), end == NoItem::Closed);
        });
        let put = put_two(&shared, id(1), u32::MAX);
        closer.join().unwrap();
        let mut taken = shared.noted();
        let left = shared.drain();
        assert!(shared.accepted() == 0 || left.is_empty(), "{left:?} after Closed");
        taken.extend(left);
        assert_eq!(shared.try_take(), Err(NoItem::Closed));
        match put {
            Ok(count) => assert_eq!(taken, [10, 11][..count as usize]),
            Err(refused) => assert_eq!((refused, taken), (Refused::Closed, vec![])),
        }
    });
}

#[test]
fn who_peeks_sees_a_whole_item_that_was_first() {
    model_within(2, || {
        let shared = Shared::new(1);
        assert_eq!(shared.try_put(id(1), 10), Ok(()));
        let rival = spawn(&shared, |s| {
            if s.try_take().is_ok() {
                let _ = s.try_put(id(2), 20);
            }
        });
        let mut payload = [0; 2];
        match shared.ring().peek_words(&mut payload) {
            Ok(()) => assert!(matches!(payload, [10, 70] | [20, 140]), "torn: {payload:?}"),
            Err(none) => assert!(matches!(none, NoItem::Empty | NoItem::Pending)),
        }
        rival.join().unwrap();
        assert_eq!(shared.drain(), [20]);
        shared.assert_exact_capacity();
    });
}
