//! Many members at once, members that die at random, and bytes that nobody should have written.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use crossproc_segment::arena::word::{Word, chunk, header, parts};
use crossproc_segment::arena::{Arena, Magazines, Who};

use super::small;
use super::world::{Dice, FRONT, World};

/// A member of the storm: puts, takes and replaces, and now and then dies in the middle of it.
fn storm(world: &World, seed: u64, rounds: u64) {
    let (mut dice, mut mags, mut me) = (Dice::new(seed), Magazines::new(), world.join());
    let arena = &world.arena;
    for round in 0..rounds {
        let place = world.place(dice.roll(6));
        let dies_at = dice.roll(12);
        if dice.roll(2) == 0 {
            let Some(block) = arena.alloc(64 << dice.roll(8), &me, &mut mags) else { continue };
            world.fill(&block, seed << 40 | round);
            let old = world.word(place).load(SeqCst);
            if dies_at > 0 {
                arena.note_place(&block, place);
            }
            if dies_at > 1 && arena.commit_publish(&block, place, old).is_ok() {
                if dies_at > 2 {
                    arena.settle(&block);
                }
                if dies_at > 3 && old != 0 {
                    arena.drop_ref(old, &me, &mut mags);
                }
            } else if dies_at > 1 {
                assert!(arena.free(block, &mut mags));
            }
        } else if dies_at < 2 {
            let claimed = arena.claim_take(world.word(place).load(SeqCst), &me);
            if let Some(block) = claimed {
                let _ = dies_at > 0 && arena.commit_take(&block, place);
            }
        } else if let Ok(block) = arena.take(place, &me) {
            world.value_of(&block);
            assert!(dies_at == 2 || arena.free(block, &mut mags));
        }
        if dies_at < 4 {
            world.kill(&me);
            me = world.join();
        }
    }
    world.kill(&me);
}

#[test]
fn a_storm_of_members_loses_and_doubles_nothing() {
    let world = World::new(12, 24, None);
    thread::scope(|scope| {
        for seed in 1..=4 {
            let world = &world;
            scope.spawn(move || storm(world, seed, 4000));
        }
    });
    let (me, mut mags) = (world.join(), Magazines::new());
    for index in 0..6 {
        if let Ok(block) = world.arena.take(world.place(index), &me) {
            world.value_of(&block);
            assert!(world.arena.free(block, &mut mags));
        }
    }
    assert_eq!(world.capacity(64, &me), 24 * 64);
    assert_eq!(world.capacity(24 * 4096, &me), 1);
}

#[test]
fn the_living_lose_nothing_to_each_other() {
    let world = small();
    thread::scope(|scope| {
        for seed in 1..=3 {
            let world = &world;
            scope.spawn(move || {
                let (mut mags, me, place) = (Magazines::new(), world.join(), world.place(0));
                for round in 0..5000 {
                    let Some(block) = world.arena.alloc(64, &me, &mut mags) else { continue };
                    world.fill(&block, seed * 1_000_000 + round);
                    let old = world.word(place).load(SeqCst);
                    if world.arena.publish(block, place, old, &me, &mut mags).is_err() {
                        assert!(world.arena.free(block, &mut mags));
                    }
                    if let Ok(block) = world.arena.take(place, &me) {
                        world.value_of(&block);
                        assert!(world.arena.free(block, &mut mags));
                    }
                }
            });
        }
    });
    let me = world.join();
    if let Ok(block) = world.arena.take(world.place(0), &me) {
        world.value_of(&block);
        assert!(world.arena.free(block, &mut Magazines::new()));
    }
    // Nobody has died, so what is not free now is lost.
    assert_eq!(world.capacity(64, &me), 512);
}

#[test]
fn members_that_are_short_together_get_runs_and_small_blocks_back() {
    let world = World::new(12, 16, None);
    thread::scope(|scope| {
        for seed in 1..=3 {
            let world = &world;
            scope.spawn(move || {
                let (mut dice, mut mags, me) = (Dice::new(seed), Magazines::new(), world.join());
                for round in 0..3000 {
                    let Some(block) = world.arena.alloc(64 << dice.roll(10), &me, &mut mags) else {
                        continue;
                    };
                    world.fill(&block, seed * 1_000_000 + round);
                    assert_eq!(world.value_of(&block), seed * 1_000_000 + round);
                    assert!(world.arena.free(block, &mut mags));
                }
            });
        }
    });
    assert_eq!(world.capacity(16 * 4096, &world.join()), 1);
}

#[test]
fn a_header_that_lies_about_its_class_is_not_believed() {
    let world = small();
    let (me, mut mags) = (world.join(), Magazines::new());
    let run = world.arena.alloc(3 * 4096, &me, &mut mags).unwrap();
    let (index, _) = parts(run.reference()).unwrap();
    let word = &world.arena.header(index).word;
    let seen = Word::from_bits(word.load(SeqCst));
    assert!(world.arena.free(run, &mut mags));
    assert!(world.arena.retire(5, &me), "runs come from the high end");
    word.store(seen.next(header::FREE, 0).bits(), SeqCst);
    world.arena.alloc(3 * 4096, &me, &mut mags).unwrap();
    let chunk = Word::from_bits(world.arena.chunk(5).load(SeqCst));
    assert_eq!(chunk.state(), chunk::CLASS, "given anew");
}

/// A word that a hostile process might store: noise, or something near the truth.
fn bad_word(dice: &mut Dice) -> u64 {
    let low = dice.roll(20) as u32;
    match dice.roll(4) {
        0 => dice.bits(),
        1 => dice.roll(1 << 20),
        2 => (1 << 63) | dice.roll(1 << 40),
        _ => {
            let (state, class) = (dice.roll(8) as u32, dice.roll(16) as u32);
            Word::new(state, class, dice.roll(4) as u32, low).bits()
        }
    }
}

/// Whatever the arena answers, what it gives is in bounds and aligned.
fn use_hostile(world: &World, me: &Who<'_>, mags: &mut Magazines, dice: &mut Dice) {
    let arena = &world.arena;
    let place = world.place(dice.roll(8));
    let got = match dice.roll(6) {
        0 | 1 => arena.alloc(64 << dice.roll(10), me, mags),
        2 => arena.take(place, me).ok(),
        3 => {
            arena.reclaim(me);
            None
        }
        4 => {
            arena.retire(dice.roll(8) as u32, me);
            None
        }
        _ => {
            let old = world.word(place).load(SeqCst);
            arena.drop_ref(old, me, mags);
            if let Some((offset, len)) = arena.resolve(old) {
                assert!(
                    offset >= FRONT && offset + len <= FRONT + Arena::size_for(arena.geometry())
                );
            }
            None
        }
    };
    let Some(block) = got else { return };
    let (offset, len) = (arena.offset(&block), arena.len(&block));
    let end = FRONT + Arena::size_for(arena.geometry());
    assert!(offset >= end - 8 * 4096 && offset + len <= end && offset % 64 == 0);
    assert!(len < 128 || offset % 128 == 0);
    if dice.roll(2) == 0 {
        let old = world.word(place).load(SeqCst);
        let _ = arena.publish(block, place, old, me, mags);
    } else {
        arena.free(block, mags);
    }
}

/// Overwrites some word of the arena's own, or a place.
fn vandalise(world: &World, dice: &mut Dice) {
    let own = Arena::size_for(world.arena.geometry()) - 8 * 4096;
    let at = match dice.roll(4) {
        0 => world.place(dice.roll(8)),
        1 => FRONT + 64 + 8 * dice.roll(9),
        _ => FRONT + 8 * dice.roll(own / 8),
    };
    world.word(at).store(bad_word(dice), SeqCst);
}

#[test]
fn hostile_words_cost_bounded_time_and_nothing_out_of_bounds() {
    for seed in 1..100 {
        let world = small();
        let (mut dice, mut mags, me) = (Dice::new(seed), Magazines::new(), world.join());
        world.kill(&world.join());
        for _ in 0..100 {
            for _ in 0..dice.roll(40) {
                vandalise(&world, &mut dice);
            }
            use_hostile(&world, &me, &mut mags, &mut dice);
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
        let (mut dice, mut mags, me) = (Dice::new(7), Magazines::new(), world.join());
        for _ in 0..2000 {
            use_hostile(&world, &me, &mut mags, &mut dice);
        }
        done.store(true, SeqCst);
    });
}
