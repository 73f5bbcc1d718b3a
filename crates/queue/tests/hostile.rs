//! Any bytes at all in the queue's memory: every call ends, with an item or an error.
#![cfg(not(crossproc_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use crossproc_message::Message;
use crossproc_queue::raw::{MAX_RUN, Position, SLOTS_OFFSET, Word};
use crossproc_queue::{Error, GetError, PriorityQueue, PutError, Queue, TryGetError, TryPutError};
use crossproc_segment::{MemberId, Object, Segment, Shape};

/// Offset of the maker's fields.
const FIELDS: usize = 512;
/// Bytes of a place that is a word and a `u64`.
const SLOT_BYTES: usize = 16;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 ^ self.0 >> 33
    }
}

fn object<T: 'static>(segment: &Segment) -> Object {
    segment.find("q", &Shape::of::<T>("queue", 3)).unwrap()
}

/// Overwrites a word of the queue's memory.
fn write(object: &Object, offset: usize, word: u64) {
    assert!(offset + 8 <= object.body_bytes());
    // SAFETY: within the body, as just checked.
    let place = unsafe { object.body().add(offset) };
    // SAFETY: aligned, as the body and all offsets here are, and mapped.
    unsafe { place.cast::<u64>().write_volatile(word) };
}

fn survives_rubbish<T: Message>(make: impl Fn() -> T) {
    let mut random = Random(7);
    for _ in 0..300 {
        let segment = Segment::anonymous(1 << 20).unwrap();
        let queue = Queue::<T>::create(&segment, "q", 5).unwrap();
        queue.put(make()).unwrap();
        let object = object::<T>(&segment);
        for _ in 0..random.next() % 20 + 1 {
            let word = random.next() >> (random.next() % 64);
            let offsets = object.body_bytes() / 8;
            let offset = usize::try_from(random.next()).unwrap() % offsets * 8;
            // One in two in the ends of the queue, where it hurts.
            write(&object, if word % 2 == 0 { offset } else { offset % 256 / 128 * 128 }, word);
        }
        for _ in 0..10 {
            let _ = queue.try_put(make());
            let _ = queue.try_get();
            let _ = queue.try_put_many(&[make(), make(), make()]);
            let _ = queue.try_get_many(&mut Vec::new(), 3);
            let _ = queue.put_timeout(make(), Duration::ZERO);
            let _ = queue.get_timeout(Duration::ZERO);
            let lease = queue.try_lease();
            let _ = queue.lease_timeout(Duration::ZERO).map(|lease| lease.ack().is_ok());
            drop(lease);
            // Those that were given back take no place.
            assert!(queue.len() <= 5 + queue.max_leases());
            assert!(queue.leased() <= queue.max_leases());
            let _ = (queue.task_done(), queue.join_timeout(Duration::ZERO));
        }
        queue.close();
        let _ = format!("{queue:?}");
        let _ = queue.try_get();
    }
}

#[test]
fn rubbish_between_small_items_stops_nobody() {
    survives_rubbish(|| 7_u64);
}

#[test]
fn rubbish_between_large_items_stops_nobody() {
    survives_rubbish(|| [7_u64; 20]);
}

#[test]
fn rubbish_between_messages_stops_nobody() {
    survives_rubbish(|| "x".repeat(300));
    survives_rubbish(|| "x".repeat(30));
}

#[test]
fn an_index_beyond_the_ring_is_corrupt() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let queue = Queue::<u64>::create(&segment, "q", 5).unwrap();
    let object = object::<u64>(&segment);
    write(&object, 0, 5);
    write(&object, 128, 1 << 23);
    assert!(matches!(queue.get(), Err(GetError::Corrupt)));
    assert!(matches!(queue.try_get(), Err(TryGetError::Corrupt)));
    assert!(matches!(queue.put(1), Err(PutError::Corrupt(1))));
    let error = queue.try_put(1).unwrap_err();
    assert!(matches!(error, TryPutError::Corrupt(1)));
    assert!(error.to_string().starts_with("the queue is corrupt"), "{error}");
    assert!(queue.len() <= 5);
}

#[test]
fn a_ring_that_never_comes_to_rest_is_corrupt() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let queue = Queue::<u64>::create(&segment, "q", 2).unwrap();
    let object = object::<u64>(&segment);
    let mut lap = Position::from_bits(1 << 50).lap();
    for index in 0..2 {
        write(&object, SLOTS_OFFSET + index * SLOT_BYTES, Word::full(lap).bits());
        lap = lap.next();
    }
    assert!(matches!(queue.try_put(1), Err(TryPutError::Corrupt(1))));
    assert!(matches!(queue.try_get(), Err(TryGetError::Corrupt)));
    assert!(queue.len() <= 2);
}

/// The claim of a member that never was is a claim of the dead.
#[test]
fn a_claim_of_nobody_is_repaired_by_who_waits_for_it() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let queue = Queue::<u64>::create(&segment, "q", 2).unwrap();
    let object = object::<u64>(&segment);
    let nobody = MemberId::new(123_456_789).unwrap();
    let at = Position::from_bits(0);
    write(&object, SLOTS_OFFSET, Word::writing(at.lap(), nobody).bits());
    queue.put(7).unwrap();
    assert_eq!(queue.get().unwrap(), 7);
    // And by who only ever tries.
    let at = Position::from_bits(1 << 24);
    write(&object, SLOTS_OFFSET, Word::writing(at.lap(), nobody).bits());
    queue.put(8).unwrap();
    let tries = (0..20_000).map(|_| queue.try_get()).find_map(Result::ok);
    assert_eq!(tries, Some(8));
    assert!(queue.is_empty());
}

/// Runs of members that never were, longer than the ring, at either end and within it, of this lap and of
/// others.
#[test]
fn a_run_of_nobody_stops_nobody() {
    let nobody = MemberId::new(123_456_789).unwrap();
    for (capacity, at, lap) in [1_usize, 5].into_iter().flat_map(|capacity| {
        (0..capacity).flat_map(move |at| (0..3_u64).map(move |lap| (capacity, at, lap)))
    }) {
        for make in [Word::filling, Word::clearing] {
            for count in [1, 2, MAX_RUN] {
                let segment = Segment::anonymous(1 << 20).unwrap();
                let queue = Queue::<u64>::create(&segment, "q", capacity).unwrap();
                let object = object::<u64>(&segment);
                queue.put(1).unwrap();
                let lap = Position::from_bits(lap << 24).lap();
                let word = make(lap, nobody, count).bits();
                write(&object, SLOTS_OFFSET + at * SLOT_BYTES, word);
                for _ in 0..3 {
                    let _ = queue.try_put_many(&[1, 2, 3]);
                    let _ = queue.try_get_many(&mut Vec::new(), 3);
                    let _ = queue.put_timeout(7, Duration::ZERO);
                    let _ = queue.get_timeout(Duration::ZERO);
                    assert!(queue.len() <= capacity);
                }
                // As one who waits and finds nobody alive behind it.
                let _ = queue.put_over(8);
                queue.close();
                assert!((0..20_000).any(|_| {
                    matches!(queue.try_get(), Err(TryGetError::Closed | TryGetError::Corrupt))
                }));
            }
        }
    }
}

#[test]
fn a_queue_whose_fields_do_not_fit_its_memory_is_not_opened() {
    for (field, word) in [(0, 1 << 20), (0, 0), (0, u64::MAX), (8, 9)] {
        let segment = Segment::anonymous(1 << 20).unwrap();
        Queue::<u64>::create(&segment, "q", 5).unwrap();
        write(&object::<u64>(&segment), FIELDS + field, word);
        let error = Queue::<u64>::open(&segment, "q").unwrap_err();
        let corrupt = matches!(&error, Error::Segment(crossproc_segment::Error::Corrupt { .. }));
        assert!(corrupt && error.to_string().starts_with("queue \"q\" is corrupt"), "{error}");
    }
}

/// Offset of the first word of a ring from the one before it, of a queue of five `u64` that counts two
/// processes a side. Each ring has its own header, which is checked against its own share of the memory.
const LEVEL_BYTES: usize = (SLOTS_OFFSET + 5 * SLOT_BYTES + 2 * 2 * 8).next_multiple_of(128);

fn levels(segment: &Segment) -> Object {
    PriorityQueue::<u64>::options().ends(2).create(segment, "q", 3, 5).unwrap();
    segment.find("q", &Shape::of::<u64>("priority queue", 1)).unwrap()
}

#[test]
fn a_queue_with_levels_whose_fields_do_not_fit_its_memory_is_not_opened() {
    const LEVELS: usize = 792;
    let at_level = |level: usize, field: usize| level * LEVEL_BYTES + FIELDS + field;
    let mut rubbish = vec![(LEVELS, 0), (LEVELS, 4), (LEVELS, 9), (LEVELS, u64::MAX >> 32)];
    for level in 0..3 {
        let fields = [(0, 1 << 20), (0, 0), (0, u64::MAX), (8, 9), (24, 1 << 16)];
        rubbish.extend(fields.map(|(field, word)| (at_level(level, field), word)));
    }
    for (offset, word) in rubbish {
        let segment = Segment::anonymous(1 << 20).unwrap();
        write(&levels(&segment), offset, word);
        let error = PriorityQueue::<u64>::open(&segment, "q").unwrap_err();
        assert!(error.to_string().starts_with("queue \"q\" is corrupt"), "{offset}: {error}");
    }
}

#[test]
fn rubbish_between_the_items_of_levels_stops_nobody() {
    let mut random = Random(7);
    for _ in 0..300 {
        let segment = Segment::anonymous(1 << 20).unwrap();
        let object = levels(&segment);
        let queue = PriorityQueue::<u64>::open(&segment, "q").unwrap();
        (0..3).for_each(|level| queue.put(level, 7).unwrap());
        for _ in 0..random.next() % 20 + 1 {
            let word = random.next() >> (random.next() % 64);
            let offset = usize::try_from(random.next()).unwrap() % (object.body_bytes() / 8) * 8;
            // One in two in the ends of a ring, where it hurts.
            let ends = offset / LEVEL_BYTES * LEVEL_BYTES + offset % 256 / 128 * 128;
            let offset = if word % 2 == 0 { offset } else { ends };
            write(&object, offset.min(object.body_bytes() - 8), word);
        }
        for round in 0..10 {
            let _ = queue.try_put(round % 3, 7);
            let _ = queue.try_get().map(|(level, _)| assert!(level < 3));
            let _ = queue.put_timeout(round % 3, 7, Duration::ZERO);
            let _ = queue.get_timeout(Duration::ZERO);
            let _ = queue.try_put_many(round % 3, &[7; 3]);
            let _ = (queue.peek(), queue.try_get_many(&mut Vec::new(), 4));
            let _ = (queue.producer().map(drop), queue.consumer().map(std::mem::forget));
            assert!(queue.len() <= 15);
        }
        let _ = format!("{queue:?}");
        assert!(queue.close_now_timeout(Duration::ZERO).len() <= 15);
        let _ = queue.try_get();
    }
}
