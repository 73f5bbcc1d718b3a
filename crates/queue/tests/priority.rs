//! Queues with levels: which item comes, who waits for whom, and what kills leave.
//!
//! A child is this program again, running the test `child`, with a role in its environment.
#![cfg(not(crossproc_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "processes/party.rs"]
mod party;

use std::thread;
use std::time::Duration;

use crossproc_message::Message;
use crossproc_queue::{
    Error, GetError, PriorityQueue, PutError, Queue, Space, TryGetError, TryPutError,
};
use crossproc_segment::Segment;
use crossproc_segment::wait::{Waitable, wait_any};
use crossproc_sys::clock::Deadline;

use party::{Child, Item, PRODUCERS, World};

const MOMENT: Duration = Duration::from_millis(1);
const LEVELS: usize = 3;

fn comes_by_level<T: Message + Clone + PartialEq + std::fmt::Debug>(item: impl Fn(usize) -> T) {
    let queue = PriorityQueue::<T>::bounded(LEVELS, 4).unwrap();
    // More than a lap of each ring.
    for round in 0..7 {
        for (number, level) in [1, 0, 2, 0, 1, 2].into_iter().enumerate() {
            queue.put(level, item(round * 10 + number)).unwrap();
        }
        let got: Vec<(usize, T)> = (0..6).map(|_| queue.try_get().unwrap()).collect();
        let due = [(2, 2), (2, 5), (1, 0), (1, 4), (0, 1), (0, 3)];
        assert_eq!(got, due.map(|(level, number)| (level, item(round * 10 + number))));
        assert!(matches!(queue.try_get(), Err(TryGetError::Empty)));
    }
    assert!(queue.is_empty());
}

#[test]
fn the_highest_level_comes_first_and_within_a_level_the_oldest() {
    comes_by_level(|number| number as u64);
    comes_by_level(|number| [number as u64; 20]);
    comes_by_level(|number| number.to_string());
    comes_by_level(|number| number.to_string().repeat(500));
}

#[test]
fn one_level_is_a_queue() {
    let queue = PriorityQueue::<u32>::bounded(1, 2).unwrap();
    queue.put(0, 1).unwrap();
    queue.put(0, 2).unwrap();
    assert!(matches!(queue.try_put(0, 3), Err(TryPutError::Full(3))));
    assert_eq!((queue.get().unwrap(), queue.get().unwrap()), ((0, 1), (0, 2)));
}

#[test]
fn each_level_has_exactly_its_own_places() {
    let queue = PriorityQueue::<u64>::bounded(8, 3).unwrap();
    for level in 0..8 {
        (0..3).for_each(|number| queue.try_put(level, number).unwrap());
        assert!(matches!(queue.try_put(level, 9), Err(TryPutError::Full(9))));
        assert!(queue.is_full(level) && queue.level_len(level) == 3);
        assert_eq!(queue.len(), (level + 1) * 3);
    }
    for level in (0..8).rev() {
        (0..3).for_each(|number| assert_eq!(queue.try_get().unwrap(), (level, number)));
        assert!(queue.level_len(level) == 0 && !queue.is_full(level));
    }
}

#[test]
fn the_memory_of_long_messages_serves_all_levels() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let queue = PriorityQueue::<Vec<u8>>::bounded_in(&segment, LEVELS, 2).unwrap();
    for number in 0..200_u8 {
        let level = usize::from(number) % LEVELS;
        queue.put(level, vec![number; 300_000]).unwrap();
        assert_eq!(queue.get().unwrap(), (level, vec![number; 300_000]));
    }
    queue.put(0, vec![0; 600_000]).unwrap();
    assert!(matches!(queue.put(1, vec![0; 600_000]), Err(PutError::OutOfMemory { .. })));
}

#[test]
fn levels_and_places_are_checked() {
    for levels in [0, 9, usize::MAX] {
        let refused = PriorityQueue::<u8>::bounded(levels, 1).unwrap_err();
        assert!(matches!(refused, Error::Levels { levels: asked } if asked == levels));
    }
    assert!(matches!(PriorityQueue::<u8>::bounded(2, 0), Err(Error::ZeroCapacity)));
    assert!(PriorityQueue::<u8>::bounded(8, usize::MAX).is_err());
    let options = PriorityQueue::<String>::options().inline_bytes(1 << 34);
    assert!(options.bounded(8, 1 << 24).is_err());
}

#[test]
#[should_panic(expected = "level 2 of a queue that has 2")]
fn a_level_that_is_not_there_is_a_mistake() {
    let queue = PriorityQueue::<u8>::bounded(2, 1).unwrap();
    let _ = queue.try_put(2, 1);
}

#[test]
fn a_name_is_of_one_kind_type_and_number_of_levels() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let made = PriorityQueue::<u64>::create(&segment, "jobs", 2, 3).unwrap();
    made.put(1, 5).unwrap();
    let found = PriorityQueue::<u64>::open_or_create(&segment, "jobs", 7, 9).unwrap();
    assert_eq!((found.levels(), found.capacity(), found.get().unwrap()), (2, 3, (1, 5)));
    assert!(PriorityQueue::<f64>::open(&segment, "jobs").is_err());
    assert!(Queue::<u64>::open(&segment, "jobs").is_err());
    assert!(PriorityQueue::<u64>::open(&segment, "others").is_err());
    assert!(PriorityQueue::<u64>::create(&segment, "jobs", 2, 3).is_err());
    Queue::<u64>::create(&segment, "plain", 3).unwrap();
    assert!(PriorityQueue::<u64>::open(&segment, "plain").is_err());
}

#[test]
fn a_handle_travels_in_a_message() {
    let mail = Queue::<PriorityQueue<String>>::bounded(1).unwrap();
    let sent = PriorityQueue::<String>::bounded(2, 4).unwrap();
    mail.put(sent.clone()).unwrap();
    let arrived = mail.get().unwrap();
    arrived.put(1, "back".to_owned()).unwrap();
    assert_eq!(sent.get().unwrap(), (1, "back".to_owned()));
    assert_eq!(arrived.levels(), 2);
    assert!(format!("{arrived:?}").contains("lens: [0, 0]"));
}

#[test]
fn a_put_at_any_level_wakes_a_sleeping_consumer() {
    let queue = PriorityQueue::<u64>::bounded(LEVELS, 1).unwrap();
    for (round, level) in (0..300).zip((0..LEVELS).cycle()) {
        thread::scope(|scope| {
            let consumer = scope.spawn(|| queue.get().unwrap());
            queue.put(level, round).unwrap();
            assert_eq!(consumer.join().unwrap(), (level, round));
        });
    }
}

#[test]
fn a_get_wakes_the_producer_of_its_level_and_others_never_slept() {
    let queue = PriorityQueue::<u64>::bounded(LEVELS, 1).unwrap();
    queue.put(0, 1).unwrap();
    thread::scope(|scope| {
        let low = scope.spawn(|| queue.put(0, 2));
        for number in 0..100 {
            queue.put(2, number).unwrap();
            assert_eq!(queue.get().unwrap(), (2, number));
        }
        assert_eq!(queue.get().unwrap(), (0, 1));
        low.join().unwrap().unwrap();
        assert_eq!(queue.get().unwrap(), (0, 2));
    });
}

#[test]
fn what_waits_in_vain_comes_back_in_time() {
    let queue = PriorityQueue::<u64>::bounded(2, 1).unwrap();
    assert!(matches!(queue.get_timeout(MOMENT), Err(TryGetError::Empty)));
    assert!(matches!(queue.get_deadline(Deadline::from_nanos(1)), Err(TryGetError::Empty)));
    queue.put(1, 1).unwrap();
    assert!(matches!(queue.put_timeout(1, 2, MOMENT), Err(TryPutError::Full(2))));
    let refused = queue.put_deadline(1, 2, Deadline::from_nanos(1));
    assert!(matches!(refused, Err(TryPutError::Full(2))));
    queue.put_timeout(0, 3, MOMENT).unwrap();
    assert_eq!(queue.get_timeout(MOMENT).unwrap(), (1, 1));
}

#[test]
fn a_closed_queue_refuses_at_all_levels_and_gives_what_it_has() {
    let queue = PriorityQueue::<u64>::bounded(LEVELS, 2).unwrap();
    queue.put(0, 1).unwrap();
    queue.put(2, 2).unwrap();
    assert!(!queue.is_closed());
    queue.close();
    queue.close();
    assert!(queue.is_closed());
    for level in 0..LEVELS {
        assert!(matches!(queue.put(level, 9), Err(PutError::Closed(9))));
        assert!(matches!(queue.try_put(level, 9), Err(TryPutError::Closed(9))));
    }
    assert_eq!(queue.iter().map(Result::unwrap).collect::<Vec<_>>(), [(2, 2), (0, 1)]);
    assert!(matches!(queue.get(), Err(GetError::Closed)));
    assert!(matches!(queue.try_get(), Err(TryGetError::Closed)));
    assert!(matches!(queue.get_timeout(Duration::MAX), Err(TryGetError::Closed)));
}

#[test]
fn a_close_wakes_all_who_sleep_at_any_level() {
    for _ in 0..50 {
        let empty = PriorityQueue::<u64>::bounded(LEVELS, 1).unwrap();
        let full = PriorityQueue::<u64>::bounded(LEVELS, 1).unwrap();
        (0..LEVELS).for_each(|level| full.put(level, 1).unwrap());
        thread::scope(|scope| {
            let consumers: Vec<_> = (0..4).map(|_| scope.spawn(|| empty.get())).collect();
            let full = &full;
            let producers: Vec<_> =
                (0..LEVELS).map(|level| scope.spawn(move || full.put(level, 2))).collect();
            empty.close();
            full.close();
            for consumer in consumers {
                assert!(matches!(consumer.join().unwrap(), Err(GetError::Closed)));
            }
            for producer in producers {
                assert!(matches!(producer.join().unwrap(), Err(PutError::Closed(2))));
            }
        });
        assert_eq!(full.close_now().len(), LEVELS);
    }
}

#[test]
fn it_is_waited_for_among_other_things() {
    let queue = PriorityQueue::<u64>::bounded(2, 1).unwrap();
    let other = Queue::<u64>::bounded(1).unwrap();
    let spaces: Vec<Space<u64>> = (0..2).map(|level| queue.space(level)).collect();
    let items: [&dyn Waitable; 4] = [&queue, &other, &spaces[0], &spaces[1]];
    assert_eq!(wait_any(&items, MOMENT).unwrap(), [2, 3]);
    queue.put(0, 1).unwrap();
    assert_eq!(wait_any(&items, None).unwrap(), [0, 3]);
    assert_eq!(queue.get().unwrap(), (0, 1));
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait_any(&[&queue, &other], None).unwrap());
        queue.put(1, 2).unwrap();
        assert_eq!(waiter.join().unwrap(), [0]);
    });
    assert_eq!(queue.get().unwrap(), (1, 2));
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait_any(&[&queue, &other], None).unwrap());
        queue.close();
        assert_eq!(waiter.join().unwrap(), [0]);
    });
}

/// More consumers than items at a time, so that most of them sleep; nobody sleeps over an item.
#[test]
fn threads_lose_and_double_nothing_and_keep_the_order_of_each_level() {
    const EACH: u64 = 3000;
    let queue = PriorityQueue::<[u64; 3]>::bounded(LEVELS, 2).unwrap();
    let mut all = thread::scope(|scope| {
        let queue = &queue;
        let consumers: Vec<_> = (0..5)
            .map(|_| {
                scope.spawn(move || {
                    let mut last = [[None; LEVELS]; 3];
                    let got = queue.iter().map(|item| {
                        let (level, item) = item.unwrap();
                        assert_eq!(level as u64, item[1]);
                        let last = &mut last[usize::try_from(item[0]).unwrap()][level];
                        assert!(last.is_none_or(|last| last < item[2]), "out of order");
                        *last = Some(item[2]);
                        item
                    });
                    got.collect::<Vec<_>>()
                })
            })
            .collect();
        let producers: Vec<_> = (0..3)
            .map(|producer| {
                scope.spawn(move || {
                    for number in 0..EACH {
                        let level = (number.wrapping_mul(producer + 7) >> 1) % LEVELS as u64;
                        let item = [producer, level, number];
                        queue.put(usize::try_from(level).unwrap(), item).unwrap();
                    }
                })
            })
            .collect();
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        queue.close();
        consumers.into_iter().flat_map(|consumer| consumer.join().unwrap()).collect::<Vec<_>>()
    });
    all.sort_unstable_by_key(|item| (item[0], item[2]));
    let due = (0..3).flat_map(|producer| (0..EACH).map(move |number| (producer, number)));
    assert!(all.iter().map(|item| (item[0], item[2])).eq(due));
}

#[test]
fn child() {
    if let Some((world, kind, role)) = party::role() {
        match kind.as_str() {
            "words" => play::<[u32; 2]>(&world, &role),
            "bytes" => play::<[[u32; 2]; 30]>(&world, &role),
            _ => play::<(u32, u32, String)>(&world, &role),
        }
    }
}

fn play<T: Item>(world: &World, role: &str) {
    let queue = PriorityQueue::<T>::open(&world.segment, "queue").unwrap();
    match role.parse() {
        Ok(producer) => produce(world, &queue, producer),
        Err(_) => consume(world, &queue),
    }
}

fn level_of(producer: u32, number: u32) -> usize {
    (producer + number / 3) as usize % LEVELS
}

/// Puts numbers until told to stop; each is noted before and after.
fn produce<T: Item>(world: &World, queue: &PriorityQueue<T>, producer: u32) {
    for number in 0..party::NUMBERS {
        if world.log().is_over() {
            return;
        }
        world.log().begin(producer, number);
        queue.put(level_of(producer, number), T::new(producer, number)).unwrap();
        world.log().done(producer, number);
    }
}

/// Takes items until the queue is closed and drained, and notes each.
fn consume<T: Item>(world: &World, queue: &PriorityQueue<T>) {
    let mut last = vec![[None; LEVELS]; PRODUCERS as usize];
    for item in queue {
        let (level, item) = item.unwrap();
        let (producer, number) = item.parts();
        assert_eq!(level, level_of(producer, number));
        let last = &mut last[producer as usize][level];
        assert!(last.is_none_or(|last| last < number), "out of order");
        *last = Some(number);
        world.log().arrived(producer, number);
    }
}

/// Four producers and two consumers, of which one after the other is killed and replaced.
fn killed_at_random<T: Item>(kind: &str, capacity: usize) {
    let world = World::new();
    let queue = PriorityQueue::<T>::create(&world.segment, "queue", LEVELS, capacity).unwrap();
    let room = world.room();
    let dead_consumers = party::killed_at_random(&world, kind, || queue.close());
    assert!(matches!(queue.try_get(), Err(TryGetError::Closed)));
    assert_eq!(queue.len(), 0);
    world.log().check(dead_consumers);
    // A slot may still name a block whose consumer died before it freed it, until the next lap.
    assert!(world.room() + capacity * LEVELS >= room, "memory leaked");
}

#[test]
fn kills_lose_and_double_no_small_item() {
    killed_at_random::<[u32; 2]>("words", 3);
}

#[test]
fn kills_lose_and_double_no_large_item() {
    killed_at_random::<[[u32; 2]; 30]>("bytes", 2);
}

#[test]
fn kills_lose_and_double_no_message() {
    killed_at_random::<(u32, u32, String)>("messages", 5);
}

#[test]
fn a_consumer_killed_in_its_sleep_takes_nothing_with_it() {
    let world = World::new();
    let queue = PriorityQueue::<[u32; 2]>::create(&world.segment, "queue", LEVELS, 1).unwrap();
    for round in 0..6 {
        let mut sleeper = Child::start(&world, "words", "consumer");
        world.wait_for_sleeper(&sleeper);
        sleeper.kill();
        let consumer = Child::start(&world, "words", "consumer");
        queue.put(level_of(0, round), [0, round]).unwrap();
        world.log().wait_for(0, round);
        drop(consumer);
    }
}
