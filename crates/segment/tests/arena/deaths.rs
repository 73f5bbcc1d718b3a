//! Every row of the arena's table of deaths, made by hand: the victim stops after a step, dies, and
//! a survivor repairs.

use std::sync::atomic::Ordering::SeqCst;

use crossproc_segment::arena::word::{Word, chunk, header};
use crossproc_segment::arena::{Arena, Block, Magazines, TakeError, Who};

use super::small;
use super::world::{FRONT, World};

/// A death: what the victim did before it, and what the place holds when a survivor has repaired.
type Death = (&'static str, fn(&World, &Who<'_>, u64), u64);

fn put(world: &World, who: &Who<'_>, place: u64, value: u64) -> Block {
    let mut mags = Magazines::new();
    let block = world.arena.alloc(64, who, &mut mags).unwrap();
    world.fill(&block, value);
    let old = world.word(place).load(SeqCst);
    world.arena.publish(block, place, old, who, &mut mags).unwrap();
    block
}

fn fresh(world: &World, who: &Who<'_>, value: u64) -> Block {
    let block = world.arena.alloc(64, who, &mut Magazines::new()).unwrap();
    world.fill(&block, value);
    block
}

fn claim(world: &World, who: &Who<'_>, place: u64) -> Block {
    world.arena.claim_take(world.word(place).load(SeqCst), who).unwrap()
}

/// The place held 1 before; a publisher would make it 2.
const BLOCK_DEATHS: [Death; 9] = [
    (
        "alloc",
        |w, v, _| {
            fresh(w, v, 2);
        },
        1,
    ),
    ("publish, place noted", |w, v, p| w.arena.note_place(&fresh(w, v, 2), p), 1),
    (
        "publish, committed",
        |w, v, p| {
            let block = fresh(w, v, 2);
            w.arena.note_place(&block, p);
            w.arena.commit_publish(&block, p, w.word(p).load(SeqCst)).unwrap();
        },
        2,
    ),
    (
        "publish, settled",
        |w, v, p| {
            let block = fresh(w, v, 2);
            w.arena.note_place(&block, p);
            w.arena.commit_publish(&block, p, w.word(p).load(SeqCst)).unwrap();
            w.arena.settle(&block);
        },
        2,
    ),
    (
        "publish",
        |w, v, p| {
            put(w, v, p, 2);
        },
        2,
    ),
    (
        "take, claimed",
        |w, v, p| {
            claim(w, v, p);
        },
        1,
    ),
    (
        "take, committed",
        |w, v, p| {
            let block = claim(w, v, p);
            assert!(w.arena.commit_take(&block, p));
        },
        0,
    ),
    (
        "take",
        |w, v, p| {
            let block = claim(w, v, p);
            assert!(w.arena.commit_take(&block, p));
            w.arena.finish_take(&block);
        },
        0,
    ),
    (
        "free",
        |w, v, p| {
            let block = w.arena.take(p, v).unwrap();
            w.arena.free(block, &mut Magazines::new());
        },
        0,
    ),
];

#[test]
fn whoever_dies_at_any_step_of_a_block_leaves_before_or_after() {
    for (name, death, expected) in BLOCK_DEATHS {
        for reclaim_first in [false, true] {
            let world = small();
            let (me, victim, place) = (world.join(), world.join(), world.place(0));
            put(&world, &me, place, 1);
            death(&world, &victim, place);
            // While the victim lives, nothing of its is touched.
            let before = world.arena.reclaim(&me);
            assert!(before <= 1, "{name}: at most the block it replaced");
            world.kill(&victim);
            if reclaim_first {
                world.arena.reclaim(&me);
            }
            let found = match world.arena.take(place, &me) {
                Ok(block) => {
                    let value = world.value_of(&block);
                    assert!(world.arena.free(block, &mut Magazines::new()));
                    value
                }
                Err(TakeError::Empty) => 0,
                Err(other) => panic!("{name}: {other}"),
            };
            assert_eq!(found, expected, "{name}");
            assert_eq!(world.capacity(64, &me), 512, "{name}: a block is lost");
        }
    }
}

#[test]
fn a_second_death_in_the_repair_of_the_first_leaves_before_or_after() {
    for (first, one, _) in BLOCK_DEATHS {
        for (second, two, _) in BLOCK_DEATHS {
            let world = small();
            let (me, place) = (world.join(), world.place(0));
            put(&world, &me, place, 1);
            let victim = world.join();
            one(&world, &victim, place);
            world.kill(&victim);
            if world.word(place).load(SeqCst) == 0 {
                put(&world, &me, place, 1);
            }
            let victim = world.join();
            two(&world, &victim, place);
            world.kill(&victim);
            if let Ok(block) = world.arena.take(place, &me) {
                assert!((1..=2).contains(&world.value_of(&block)));
                assert!(world.arena.free(block, &mut Magazines::new()));
            }
            assert_eq!(world.capacity(64, &me), 512, "{first}, then {second}");
        }
    }
}

/// How far a mover came, before the move is done again by a survivor.
const MOVE_STEPS: [fn(&World, &Block, u64); 4] = [
    |_, _, _| {},
    |w, block, to| w.arena.name_in(block, to),
    |w, block, to| {
        w.arena.name_in(block, to);
        w.arena.note_move(block, to);
    },
    |w, block, to| {
        w.arena.name_in(block, to);
        w.arena.note_move(block, to);
        w.arena.commit_move(block);
    },
];

#[test]
fn a_mover_that_dies_at_any_step_loses_no_block_and_can_be_followed() {
    for (step, moved_so_far) in MOVE_STEPS.into_iter().enumerate() {
        for reclaim_first in [false, true] {
            let world = small();
            let (me, victim) = (world.join(), world.join());
            let (from, to) = (world.place(0), world.place(1));
            put(&world, &me, from, 1);
            let named = world.word(from).load(SeqCst);
            moved_so_far(&world, &claim(&world, &victim, from), to);
            assert_eq!(
                world.arena.rehome(named, to, &me),
                step == 3,
                "a living mover is left alone"
            );
            world.kill(&victim);
            if reclaim_first {
                world.arena.reclaim(&me);
            }
            assert!(world.arena.rehome(named, to, &me));
            assert_eq!(world.arena.resolve(named), None, "the old reference is void");
            // What the old place holds may be replaced, or dropped: it is not the block's any more.
            put(&world, &me, from, 2);
            assert_eq!(world.arena.reclaim(&me), 0, "step {step}");
            assert_eq!(world.capacity(64, &me), 510);
            for (place, value) in [(to, 1), (from, 2)] {
                let block = world.arena.take(place, &me).unwrap();
                assert_eq!(world.value_of(&block), value, "step {step}");
                assert!(world.arena.free(block, &mut Magazines::new()));
            }
            assert_eq!(world.capacity(64, &me), 512);
        }
    }
}

#[test]
fn a_late_mover_moves_nothing_that_is_not_the_block_it_meant() {
    let world = small();
    let (me, late) = (world.join(), world.join());
    let (from, to) = (world.place(0), world.place(1));
    put(&world, &me, from, 1);
    let named = world.word(from).load(SeqCst);
    assert!(world.arena.rehome(named, to, &me));
    let block = world.arena.take(to, &me).unwrap();
    assert!(world.arena.free(block, &mut Magazines::new()));
    // The same block, as the next message of the same place.
    put(&world, &me, from, 2);
    assert!(world.arena.rehome(named, to, &late));
    assert_eq!(world.word(to).load(SeqCst), 0);
    assert_eq!(world.arena.reclaim(&me), 0);
    let taken = world.arena.take(from, &me).unwrap();
    assert_eq!(world.value_of(&taken), 2);
}

#[test]
fn a_living_taker_is_left_alone_and_a_replaced_block_is_the_takers_to_free() {
    let world = small();
    let (me, other, place) = (world.join(), world.join(), world.place(0));
    put(&world, &me, place, 1);
    let claimed = claim(&world, &other, place);
    assert_eq!(world.arena.take(place, &me), Err(TakeError::Busy));
    world.arena.reclaim(&me);
    put(&world, &me, place, 2);
    assert!(!world.arena.commit_take(&claimed, place));
    assert_eq!(world.capacity(64, &me), 510);
    world.arena.give_up(&claimed, &other);
    assert_eq!(world.capacity(64, &me), 511);
    let taken = world.arena.take(place, &other).unwrap();
    assert_eq!(world.value_of(&taken), 2);
    world.kill(&other);
    assert_eq!(world.capacity(64, &me), 512);
}

fn chunk_word(world: &World, index: u32) -> Word {
    Word::from_bits(world.arena.chunk(index).load(SeqCst))
}

fn set_chunk(world: &World, index: u32, word: Word) {
    world.arena.chunk(index).store(word.bits(), SeqCst);
}

/// The class of 64 bytes, and of a run of 3 chunks.
const SMALL: u32 = 0;
const RUN: u32 = 8;

/// What the victim did with chunk 2 before it died, and whether it is vacant afterwards.
type ChunkDeath = (&'static str, fn(&World, &Who<'_>), bool);

const CHUNK_DEATHS: [ChunkDeath; 10] = [
    (
        "give, claimed",
        |w, v| {
            w.arena.begin_chunk(2, SMALL, v).unwrap();
        },
        true,
    ),
    (
        "give, some headers open",
        |w, v| {
            let init = w.arena.begin_chunk(2, SMALL, v).unwrap();
            w.arena.finish_chunk(2, init);
            for i in 40..64 {
                w.arena.header(2 * 64 + i).word.store(0, SeqCst);
            }
            set_chunk(w, 2, init);
        },
        false,
    ),
    ("give", |w, v| open(w, v, SMALL), false),
    (
        "give a run, claimed",
        |w, v| {
            w.arena.begin_chunk(2, RUN, v).unwrap();
        },
        true,
    ),
    (
        "give a run, one tail",
        |w, v| {
            let init = w.arena.begin_chunk(2, RUN, v).unwrap();
            set_chunk(w, 3, Word::new(chunk::TAIL, RUN, init.generation(), 2));
        },
        true,
    ),
    (
        "give a run, all tails",
        |w, v| {
            let init = w.arena.begin_chunk(2, RUN, v).unwrap();
            assert!(w.arena.claim_tails(2, init));
        },
        true,
    ),
    (
        "retire, claimed",
        |w, v| {
            open(w, v, SMALL);
            w.arena.begin_retire(2, v).unwrap();
        },
        false,
    ),
    (
        "retire, some headers closed",
        |w, v| {
            open(w, v, SMALL);
            w.arena.begin_retire(2, v).unwrap();
            for i in 0..20 {
                let word = &w.arena.header(2 * 64 + i).word;
                word.store(
                    Word::from_bits(word.load(SeqCst)).to(header::RETIRED, 0).bits(),
                    SeqCst,
                );
            }
        },
        false,
    ),
    (
        "retire a run, closed",
        |w, v| {
            open(w, v, RUN);
            let mine = w.arena.begin_retire(2, v).unwrap();
            assert!(w.arena.close_headers(2, mine));
        },
        true,
    ),
    (
        "retire a run, tails left",
        |w, v| {
            open(w, v, RUN);
            let mine = w.arena.begin_retire(2, v).unwrap();
            assert!(w.arena.close_headers(2, mine));
            w.arena.chunk(2).store(0, SeqCst);
        },
        true,
    ),
];

fn open(world: &World, who: &Who<'_>, class: u32) {
    let init = world.arena.begin_chunk(2, class, who).unwrap();
    assert!(world.arena.claim_tails(2, init));
    world.arena.finish_chunk(2, init);
}

#[test]
fn whoever_dies_at_any_step_of_a_chunk_loses_no_chunk() {
    for (name, death, vacant) in CHUNK_DEATHS {
        for repairer_dies in [false, true] {
            let world = small();
            let (me, victim, second) = (world.join(), world.join(), world.join());
            death(&world, &victim);
            let stopped = chunk_word(&world, 2);
            let claimed = matches!(stopped.state(), chunk::INIT | chunk::RETIRE);
            if claimed {
                world.arena.reclaim(&me);
                assert_eq!(chunk_word(&world, 2), stopped, "{name}: the victim lives");
            }
            world.kill(&victim);
            if claimed && repairer_dies {
                set_chunk(&world, 2, stopped.to(chunk::INIT, second.me.get()));
                world.kill(&second);
            }
            world.arena.reclaim(&me);
            let states = [2, 3, 4].map(|i| chunk_word(&world, i).state());
            let expected = if vacant { chunk::VACANT } else { chunk::CLASS };
            assert_eq!(states, [expected, chunk::VACANT, chunk::VACANT], "{name}");
            assert_eq!(world.capacity(64, &me), 512, "{name}");
            assert_eq!(world.capacity(8 * 4096, &me), 1, "{name}");
        }
    }
}

#[test]
fn a_block_taken_while_its_chunk_is_retired_reopens_it() {
    let world = small();
    let (me, other, mut mags) = (world.join(), world.join(), Magazines::new());
    open(&world, &me, SMALL);
    let first = world.arena.alloc(64, &other, &mut mags).unwrap();
    assert!(world.arena.free(first, &mut mags));
    let mine = world.arena.begin_retire(2, &me).unwrap();
    let block = world.arena.alloc(64, &other, &mut mags).unwrap();
    let chunk_at = FRONT + Arena::size_for(world.arena.geometry()) - 6 * 4096;
    assert!((chunk_at..chunk_at + 4096).contains(&world.arena.offset(&block)));
    assert!(!world.arena.close_headers(2, mine));
    world.arena.reopen(2, mine);
    assert_eq!(chunk_word(&world, 2).state(), chunk::CLASS);
    assert!(!world.arena.retire(2, &me));
    assert!(world.arena.free(block, &mut mags));
    assert_eq!(world.capacity(64, &me), 512);
}

#[test]
fn a_block_of_a_closed_chunk_cannot_be_taken() {
    let world = small();
    let (me, other, mut mags) = (world.join(), world.join(), Magazines::new());
    open(&world, &me, SMALL);
    let first = world.arena.alloc(64, &other, &mut mags).unwrap();
    assert!(world.arena.free(first, &mut mags));
    let mine = world.arena.begin_retire(2, &me).unwrap();
    assert!(world.arena.close_headers(2, mine));
    let elsewhere = world.arena.alloc(64, &other, &mut mags).unwrap();
    assert_ne!(world.arena.offset(&elsewhere), world.arena.offset(&first));
    world.arena.release(2, mine);
    assert!(world.arena.free(elsewhere, &mut mags));
    assert_eq!(world.capacity(64, &me), 512);
}
