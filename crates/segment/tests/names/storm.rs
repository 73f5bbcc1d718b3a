//! Many members at once, members that die at random, and bytes that nobody should have written.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread;

use crossproc_segment::arena::{Magazines, Who};
use crossproc_segment::names::raw::{ENTRIES, EntryWord};
use crossproc_segment::names::{BeginError, Directory};

use super::world::{self, Dice, World};
use super::{DIRECTORY, clean, create, directory, name, new_world, remove, small, value};

#[test]
fn a_name_that_many_make_at_once_is_made_once() {
    const ROUNDS: u32 = 200;
    let world = small();
    let made: Vec<_> = (0..ROUNDS).map(|_| AtomicU32::new(0)).collect();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let me = world.join();
                for round in 0..ROUNDS {
                    let text = format!("round {round}");
                    loop {
                        match create(&world, &me, &text, u64::from(round)) {
                            Ok(()) => {
                                made[round as usize].fetch_add(1, SeqCst);
                                break;
                            }
                            Err(BeginError::Exists) => break,
                            Err(BeginError::Busy(_)) => thread::yield_now(),
                            Err(other) => panic!("{other}"),
                        }
                    }
                    assert_eq!(value(&world, &me, &text), Some(u64::from(round)));
                }
            });
        }
    });
    assert!(made.iter().all(|made| made.load(SeqCst) == 1));
}

/// Makes, opens and removes a few names, and now and then dies in the middle of it.
fn storm(world: &World, seed: u64, rounds: u64) {
    let names = directory(world);
    let (mut dice, mut mags, mut me) = (Dice::new(seed), Magazines::new(), world.join());
    for _ in 0..rounds {
        let text = ["costarring", "liquid", "c", "d"][dice.roll(4) as usize];
        let (key, dies_at) = (name(text), dice.roll(10));
        match dice.roll(3) {
            0 => {
                let Ok(building) = names.begin(&key, &me) else { continue };
                if dies_at > 0 {
                    let Some(block) = world.arena.alloc(128, &me, &mut mags) else {
                        names.abandon(building);
                        clean(world, &me);
                        continue;
                    };
                    world.fill(&block, text.len() as u64);
                    if dies_at > 1 {
                        names.publish(&building, block, &world.arena, &me, &mut mags).unwrap();
                    }
                    if dies_at > 2 {
                        names.ready(&building).unwrap();
                    }
                }
            }
            1 => {
                if let Ok(opened) = names.open(&key, &world.arena, &me) {
                    for _ in 0..3 {
                        assert_eq!(world.value(opened.offset, opened.len), text.len() as u64);
                    }
                    if dies_at > 2 {
                        names.close(opened.hold, &world.arena, &me, &mut mags);
                    }
                }
            }
            _ => {
                if let Ok(removed) = names.mark_removed(&key, &me) {
                    if dies_at > 0 {
                        let reference = names.empty(&removed);
                        if dies_at > 1 {
                            world.arena.drop_ref(reference, &me, &mut mags);
                        }
                    }
                }
            }
        }
        if dies_at < 3 {
            world.kill(&me);
            me = world.join();
        }
    }
    world.kill(&me);
}

#[test]
fn a_storm_of_members_doubles_no_name_and_loses_no_block() {
    let world = new_world(2);
    thread::scope(|scope| {
        for seed in 1..=3 {
            let world = &world;
            scope.spawn(move || storm(world, seed, 1500));
        }
    });
    let me = world.join();
    let listed: Vec<_> = directory(&world).list().iter().map(|l| l.name.to_string()).collect();
    for text in ["costarring", "liquid", "c", "d"] {
        assert!(listed.iter().filter(|&other| other == text).count() <= 1);
        if let Some(value) = value(&world, &me, text) {
            assert_eq!(value, text.len() as u64);
            remove(&world, &me, text).unwrap();
        }
    }
    clean(&world, &me);
    assert!((0..ENTRIES).all(|i| directory(&world).word(i).load(SeqCst) == 0));
    assert_eq!(world.capacity(128, &me), 64);
}

/// Overwrites words of the directory's first entries, or of its holds.
fn vandalise(world: &World, dice: &mut Dice) {
    let entry = DIRECTORY + 128 * dice.roll(6);
    let at = match dice.roll(4) {
        0 => entry,
        1 => entry + 8,
        2 => entry + 8 * dice.roll(16),
        _ => DIRECTORY + Directory::HOLDS_OFFSET as u64 + 8 * dice.roll(20),
    };
    let hash = world.word(DIRECTORY).load(SeqCst) as u32;
    let word = match dice.roll(3) {
        0 => dice.bits(),
        1 => EntryWord::new(dice.roll(8) as u32, dice.roll(5) as u32, hash).bits(),
        _ => (1 << 63) | dice.roll(1 << 36),
    };
    world.word(at).store(word, SeqCst);
}

/// Whatever the directory answers, it answers, and what it gives is in bounds.
fn use_hostile(world: &World, me: &Who<'_>, dice: &mut Dice) {
    let (names, mut mags) = (directory(world), Magazines::new());
    let key = name(["costarring", "liquid"][dice.roll(2) as usize]);
    match dice.roll(5) {
        0 | 1 => {
            let Ok(building) = names.begin(&key, me) else { return };
            match world.arena.alloc(128, me, &mut mags) {
                Some(block) => drop(names.commit(building, block, &world.arena, me, &mut mags)),
                None => names.abandon(building),
            }
        }
        2 => {
            if let Ok(opened) = names.open(&key, &world.arena, me) {
                let end = world::FRONT + 8 * 4096 + (1 << 20);
                assert!(opened.offset >= world::FRONT && opened.offset + opened.len <= end);
                names.close(opened.hold, &world.arena, me, &mut mags);
            }
        }
        3 => drop(names.remove(&key, &world.arena, me, &mut mags)),
        _ => {
            names.clean(&world.arena, me, &mut mags);
            let _ = names.list();
        }
    }
}

#[test]
fn hostile_words_are_answered_in_bounded_time() {
    for seed in 1..40 {
        let world = small();
        let (me, mut dice) = (world.join(), Dice::new(seed));
        world.kill(&world.join());
        for _ in 0..60 {
            (0..dice.roll(30)).for_each(|_| vandalise(&world, &mut dice));
            use_hostile(&world, &me, &mut dice);
        }
    }
}

#[test]
fn hostile_words_while_it_runs_are_no_worse() {
    let world = small();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut dice = Dice::new(99);
            while !done.load(SeqCst) {
                vandalise(&world, &mut dice);
            }
        });
        let (me, mut dice) = (world.join(), Dice::new(7));
        for _ in 0..1000 {
            use_hostile(&world, &me, &mut dice);
        }
        done.store(true, SeqCst);
    });
}
