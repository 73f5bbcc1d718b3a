//! Messages that lie in their slot, put and taken without a hold, beside those who hold.
//!
//! Weakened by hand, once each, and red: the release of the put's commit and the acquire of the take's
//! look (`a_message_is_whole_..`), the take's swap as a store (`a_message_is_had_once_..`), the place
//! not looked at (`what_a_dead_reader_left_..`).

use crossproc_queue::raw::{AtomicU64, Ring};
use crossproc_segment::MemberId;
use loom::sync::Arc;
use loom::sync::atomic::Ordering::Relaxed;

use super::shared::{Shared, id, model, model_within, spawn};

/// Words of a slot: its own, the place, the first word, and one of bytes.
const STRIDE: u32 = 4;
const LEFT: u64 = 77;

fn shared(capacity: u32) -> Arc<Shared> {
    Shared::with_stride(capacity, STRIDE)
}

fn put(ring: &Ring, me: MemberId, value: u64) -> bool {
    ring.put_short_at_once(me, value, &(value * 7).to_ne_bytes())
}

fn take(ring: &Ring) -> Option<u64> {
    let mut bytes = [0];
    let value = ring.take_short_at_once(true, |_| Some(1), &mut bytes)?;
    assert_eq!(bytes[0], value * 7, "torn");
    Some(value)
}

fn hold(ring: &Ring, me: MemberId) -> Option<u64> {
    let hold = ring.hold(me).ok()?;
    let mut payload = [0; 3];
    hold.read(&mut payload);
    assert_eq!(hold.commit(), Ok(()));
    assert_eq!(payload[2], payload[1] * 7, "torn");
    Some(payload[1])
}

fn place(shared: &Shared) -> &AtomicU64 {
    &shared.slots[1]
}

#[test]
fn a_message_is_whole_when_it_is_seen() {
    model(|| {
        let shared = shared(1);
        let producer = spawn(&shared, |s| assert!(put(&s.ring(), id(1), 10)));
        let mine = take(&shared.ring());
        producer.join().unwrap();
        assert_eq!(mine.or_else(|| take(&shared.ring())), Some(10));
    });
}

/// The place is filled again under whoever is slower.
#[test]
fn a_message_is_had_once_by_who_takes_it_or_holds_it() {
    model_within(2, || {
        let shared = shared(1);
        assert!(put(&shared.ring(), id(1), 10));
        let taker = spawn(&shared, |s| {
            let taken = take(&s.ring());
            s.note(taken.into_iter(), taken.is_some() && put(&s.ring(), id(2), 20));
        });
        let mine = hold(&shared.ring(), id(3));
        taker.join().unwrap();
        let left = take(&shared.ring());
        let mut all: Vec<_> = shared.noted().into_iter().chain(mine).chain(left).collect();
        all.sort_unstable();
        let put_again = shared.accepted() == 1;
        assert_eq!(all, if put_again { vec![10, 20] } else { vec![10] });
    });
}

/// Which somebody else may clear meanwhile.
#[test]
fn what_a_dead_reader_left_in_the_place_is_for_one_who_holds_the_slot() {
    model(|| {
        let shared = shared(1);
        place(&shared).store(LEFT, Relaxed);
        assert!(put(&shared.ring(), id(1), 10));
        assert_eq!(place(&shared).load(Relaxed), LEFT);
        let cleaner = spawn(&shared, |s| {
            let _ = place(s).compare_exchange(LEFT, 0, Relaxed, Relaxed);
        });
        if take(&shared.ring()).is_some() {
            assert_eq!(place(&shared).load(Relaxed), 0);
        } else {
            assert_eq!(hold(&shared.ring(), id(2)), Some(10));
        }
        cleaner.join().unwrap();
    });
}
