//! Producers and consumers as processes, killed at random, and everything accounted for.
//!
//! A child is this program again, running the test `child`, with a role in its environment.
#![cfg(not(crossproc_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "processes/party.rs"]
mod party;

use crossproc_queue::{Queue, TryGetError};

use party::{Child, Item, PRODUCERS, World};

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
    let queue = Queue::<T>::open(&world.segment, "queue").unwrap();
    match role.parse() {
        Ok(producer) => produce(world, &queue, producer),
        Err(_) => consume(world, &queue),
    }
}

/// Puts numbers until told to stop; each is noted before and after.
fn produce<T: Item>(world: &World, queue: &Queue<T>, producer: u32) {
    for number in 0..party::NUMBERS {
        if world.log().is_over() {
            return;
        }
        world.log().begin(producer, number);
        queue.put(T::new(producer, number)).unwrap();
        world.log().done(producer, number);
    }
}

/// Takes items until the queue is closed and drained, and notes each.
fn consume<T: Item>(world: &World, queue: &Queue<T>) {
    let mut last = vec![None; PRODUCERS as usize];
    for item in queue {
        let (producer, number) = item.unwrap().parts();
        let last = &mut last[producer as usize];
        assert!(last.is_none_or(|last| last < number), "out of order");
        *last = Some(number);
        world.log().arrived(producer, number);
    }
}

/// Four producers and two consumers, of which one after the other is killed and replaced.
fn killed_at_random<T: Item>(kind: &str, capacity: usize) {
    let world = World::new();
    let queue = Queue::<T>::create(&world.segment, "queue", capacity).unwrap();
    let room = world.room();
    let dead_consumers = party::killed_at_random(&world, kind, || queue.close());
    assert!(matches!(queue.try_get(), Err(TryGetError::Closed)));
    assert_eq!(queue.len(), 0);
    world.log().check(dead_consumers);
    // A slot may still name a block whose consumer died before it freed it, until the next lap.
    assert!(world.room() + capacity >= room, "memory leaked");
}

#[test]
fn kills_lose_and_double_no_small_item() {
    killed_at_random::<[u32; 2]>("words", 7);
}

#[test]
fn kills_lose_and_double_no_large_item() {
    killed_at_random::<[[u32; 2]; 30]>("bytes", 3);
}

#[test]
fn kills_lose_and_double_no_message() {
    killed_at_random::<(u32, u32, String)>("messages", 16);
}

#[test]
fn a_consumer_killed_in_its_sleep_takes_nothing_with_it() {
    let world = World::new();
    let queue = Queue::<[u32; 2]>::create(&world.segment, "queue", 1).unwrap();
    for round in 0..5 {
        let mut sleeper = Child::start(&world, "words", "consumer");
        world.wait_for_sleeper(&sleeper);
        sleeper.kill();
        let consumer = Child::start(&world, "words", "consumer");
        queue.put([0, round]).unwrap();
        world.log().wait_for(0, round);
        drop(consumer);
    }
}
