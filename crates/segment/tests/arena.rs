//! The arena between members: what is given, taken and freed. Deaths and storms are in their own
//! files.

#![expect(
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "small numbers, and a test may panic anywhere"
)]

#[path = "arena/deaths.rs"]
mod deaths;
#[path = "arena/storm.rs"]
mod storm;
#[path = "arena/world.rs"]
mod world;

use std::sync::atomic::Ordering::SeqCst;

use crossproc_segment::MemberId;
use crossproc_segment::arena::word::{Word, header, parts};
use crossproc_segment::arena::{Arena, Geometry, Magazines, Misfit, TakeError};
use world::{Dice, World};

/// 8 chunks of 4 KiB: 512 blocks of 64 bytes.
fn small() -> World {
    World::new(12, 8, None)
}

#[test]
fn every_class_fills_the_arena_and_gives_way_to_the_next() {
    let world = small();
    let me = world.join();
    for (bytes, blocks) in [
        (0, 512),
        (64, 512),
        (65, 256),
        (1000, 32),
        (4096, 8),
        (4097, 4),
        (3 * 4096, 2),
        (4 * 4096, 2),
        (5 * 4096, 1),
        (8 * 4096, 1),
        (1, 512),
    ] {
        assert_eq!(world.capacity(bytes, &me), blocks, "{bytes} bytes");
        assert_eq!(world.capacity(bytes, &me), blocks, "{bytes} bytes, again");
    }
    assert_eq!(world.arena.alloc(8 * 4096 + 1, &me, &mut Magazines::new()), None);
}

#[test]
fn a_whole_arena_of_an_odd_length_is_one_block() {
    let world = World::new(12, 5, None);
    assert_eq!(world.capacity(5 * 4096, &world.join()), 1);
}

#[test]
fn magazines_may_be_fresh_or_of_another_arena() {
    let (world, other) = (World::new(16, 40, None), small());
    let (me, mut mags) = (world.join(), Magazines::new());
    for block in world.drain(64, &me, &mut mags) {
        world.arena.free(block, &mut mags);
    }
    let stranger = other.join();
    assert_eq!(other.drain(64, &stranger, &mut mags).len(), 512);
    other.kill(&stranger);
    assert_eq!(other.capacity(64, &other.join()), 512);
}

#[test]
fn a_block_is_freed_once() {
    let world = small();
    let (me, mut mags) = (world.join(), Magazines::new());
    let block = world.arena.alloc(64, &me, &mut mags).unwrap();
    assert!(world.arena.free(block, &mut mags));
    assert!(!world.arena.free(block, &mut mags));
    let again = world.arena.alloc(64, &me, &mut mags).unwrap();
    assert_ne!(block, again, "another generation");
    assert!(!world.arena.free(block, &mut mags));
}

#[test]
fn a_small_request_takes_a_larger_block_rather_than_none() {
    let world = small();
    let (me, mut mags) = (world.join(), Magazines::new());
    let mut large = world.drain(2048, &me, &mut mags);
    world.arena.free(large.pop().unwrap(), &mut mags);
    let block = world.arena.alloc(64, &me, &mut mags).unwrap();
    assert_eq!(world.arena.len(&block), 2048);
}

#[test]
fn a_chunk_with_one_block_in_use_stays_and_the_others_become_runs() {
    let world = small();
    let (me, mut mags) = (world.join(), Magazines::new());
    let blocks = world.drain(64, &me, &mut mags);
    let kept = *blocks.iter().max_by_key(|b| world.arena.offset(b)).unwrap();
    for block in blocks {
        assert!(block == kept || world.arena.free(block, &mut mags));
    }
    assert_eq!(world.capacity(7 * 4096, &me), 0, "runs have 6 or 8 chunks");
    assert_eq!(world.capacity(6 * 4096, &me), 1);
    assert!(world.arena.free(kept, &mut mags), "untouched");
    assert_eq!(world.capacity(8 * 4096, &me), 1);
}

#[test]
fn most_of_a_fragmented_arena_comes_back() {
    let world = World::new(12, 256, None);
    let (me, mut mags, mut dice) = (world.join(), Magazines::new(), Dice::new(3));
    let mut blocks = Vec::new();
    while let Some(block) = world.arena.alloc(1 << dice.roll(16), &me, &mut mags) {
        blocks.push(block);
    }
    blocks.retain(|&block| dice.roll(10) == 0 || !world.arena.free(block, &mut mags));
    assert!(world.capacity(4096, &me) > 128);
    for block in blocks {
        assert!(world.arena.free(block, &mut mags));
    }
    assert_eq!(world.capacity(256 * 4096, &me), 1);
}

#[test]
fn attach_refuses_what_does_not_fit() {
    let world = small();
    let geometry = world.arena.geometry();
    let need = Arena::size_for(geometry);
    // SAFETY: refused, or as in `World::new`.
    let attach = |len, offset| unsafe { Arena::attach(world.base, len, offset, geometry) };
    assert_eq!(attach(need as usize - 1, 0).err(), Some(Misfit::TooShort { need, have: need - 1 }));
    assert_eq!(attach(1 << 30, 64).err(), Some(Misfit::Unaligned));
    assert!(matches!(attach(1 << 20, u64::MAX - 4095), Err(Misfit::TooShort { .. })));
    assert!(attach(need as usize, 0).unwrap().with_holds(need).is_err());
    assert_eq!(Geometry::new(11, 1), None);
    assert_eq!(Geometry::new(16, 1 << 22), None);
}

#[test]
fn publish_replace_and_take_move_a_block_and_void_old_references() {
    let world = small();
    let (arena, place) = (&world.arena, world.place(3));
    let (me, mut mags) = (world.join(), Magazines::new());
    assert_eq!(arena.take(place, &me), Err(TakeError::Empty));
    let first = arena.alloc(100, &me, &mut mags).unwrap();
    world.fill(&first, 1);
    assert_eq!(arena.publish(first, place, 7, &me, &mut mags), Err(0));
    arena.publish(first, place, 0, &me, &mut mags).unwrap();
    let (offset, len) = arena.resolve(first.reference()).unwrap();
    assert_eq!(world.value(offset, len), 1);
    assert!(!arena.free(first, &mut mags), "the place's now");

    let second = arena.alloc(200, &me, &mut mags).unwrap();
    world.fill(&second, 2);
    arena.publish(second, place, first.reference(), &me, &mut mags).unwrap();
    assert_eq!(arena.resolve(first.reference()), None, "freed");

    let taken = arena.take(place, &me).unwrap();
    assert_eq!(world.value_of(&taken), 2);
    assert_eq!(arena.resolve(second.reference()), None, "void");
    assert!(arena.free(taken, &mut mags));
    assert_eq!(world.capacity(64, &me), 512);
}

#[test]
fn a_claim_without_an_owner_is_nobodys() {
    let world = small();
    let (me, mut mags) = (world.join(), Magazines::new());
    let block = world.arena.alloc(64, &me, &mut mags).unwrap();
    let (index, _) = parts(block.reference()).unwrap();
    let word = &world.arena.header(index).word;
    word.store(Word::from_bits(word.load(SeqCst)).to(header::TAKEN, 0).bits(), SeqCst);
    assert_eq!(MemberId::new(0), None);
    assert_eq!(world.capacity(64, &me), 512);
}
