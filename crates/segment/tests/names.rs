//! The directory of names between members: making, finding, holding, removing. Deaths and storms are
//! in their own files.

#![expect(
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "small numbers, and a test may panic anywhere"
)]

#[path = "names/deaths.rs"]
mod deaths;
#[path = "names/storm.rs"]
mod storm;
#[expect(dead_code, reason = "shared with the tests of the arena")]
#[path = "arena/world.rs"]
mod world;

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crossproc_segment::arena::{Block, HOLDS, Magazines, Who};
use crossproc_segment::names::raw::ENTRIES;
use crossproc_segment::names::{
    BeginError, Directory, MAX_NAME_BYTES, Name, OpenError, RemoveError,
};
use world::World;

/// Where the directory lies in the front of the segment.
const DIRECTORY: u64 = 4096;
/// 8 chunks of 4 KiB: 256 blocks of 128 bytes.
const BLOCKS: usize = 256;

fn new_world(chunks: u32) -> World {
    World::new(12, chunks, Some(DIRECTORY + Directory::HOLDS_OFFSET as u64))
}

fn small() -> World {
    new_world(8)
}

fn directory(world: &World) -> &Directory {
    // SAFETY: the front is longer than that.
    let at = unsafe { world.base.add(DIRECTORY as usize) };
    // SAFETY: the front has room for it, zeroed at first, and it is used as a directory only.
    unsafe { at.cast::<Directory>().as_ref() }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn fresh(world: &World, who: &Who<'_>, value: u64) -> Block {
    let block = world.arena.alloc(128, who, &mut Magazines::new()).expect("room");
    world.fill(&block, value);
    block
}

fn create(world: &World, who: &Who<'_>, text: &str, value: u64) -> Result<(), BeginError> {
    let building = directory(world).begin(&name(text), who)?;
    let block = fresh(world, who, value);
    directory(world)
        .commit(building, block, &world.arena, who, &mut Magazines::new())
        .expect("nobody meddles");
    Ok(())
}

fn remove(world: &World, who: &Who<'_>, text: &str) -> Result<u64, RemoveError> {
    directory(world).remove(&name(text), &world.arena, who, &mut Magazines::new())
}

/// What the name's object holds, if it is there.
fn value(world: &World, who: &Who<'_>, text: &str) -> Option<u64> {
    match directory(world).open(&name(text), &world.arena, who) {
        Ok(opened) => {
            let value = world.value(opened.offset, opened.len);
            directory(world).close(opened.hold, &world.arena, who, &mut Magazines::new());
            Some(value)
        }
        Err(OpenError::NotFound | OpenError::Busy(_)) => None,
        Err(other) => panic!("{text}: {other}"),
    }
}

fn clean(world: &World, who: &Who<'_>) -> usize {
    directory(world).clean(&world.arena, who, &mut Magazines::new())
}

#[test]
fn a_name_is_made_opened_listed_and_removed() {
    let world = small();
    let me = world.join();
    let long = "x".repeat(MAX_NAME_BYTES);
    for (i, text) in (1..).zip(["a", "käse", long.as_str()]) {
        assert_eq!(value(&world, &me, text), None);
        create(&world, &me, text, i).unwrap();
        assert_eq!(create(&world, &me, text, 9), Err(BeginError::Exists));
        assert_eq!(value(&world, &me, text), Some(i));
    }
    let mut listed: Vec<_> =
        directory(&world).list().iter().map(|entry| entry.name.to_string()).collect();
    listed.sort();
    assert_eq!(listed, ["a", "käse", &long]);
    remove(&world, &me, "käse").unwrap();
    assert_eq!(remove(&world, &me, "käse"), Err(RemoveError::NotFound));
    assert_eq!(value(&world, &me, "käse"), None);
    remove(&world, &me, "a").unwrap();
    remove(&world, &me, &long).unwrap();
    assert_eq!(world.capacity(128, &me), BLOCKS);
}

#[test]
fn names_of_one_hash_do_not_get_in_each_others_way() {
    let world = small();
    let (me, other) = (world.join(), world.join());
    // FNV-1a of 32 bits gives both the same.
    create(&world, &me, "costarring", 1).unwrap();
    create(&world, &me, "liquid", 2).unwrap();
    let hashes = [0, 1].map(|i| directory(&world).word(i).load(SeqCst) & 0xffff_ffff);
    assert_eq!(hashes[0], hashes[1]);
    assert_eq!(value(&world, &me, "costarring"), Some(1));
    assert_eq!(value(&world, &me, "liquid"), Some(2));
    remove(&world, &me, "costarring").unwrap();
    assert_eq!(value(&world, &me, "costarring"), None);
    assert_eq!(value(&world, &me, "liquid"), Some(2));
    // A builder of the one makes the other wait, no longer.
    let building = directory(&world).begin(&name("costarring"), &me).unwrap();
    assert_eq!(value(&world, &me, "liquid"), Some(2));
    directory(&world).abandon(building);
    create(&world, &other, "costarring", 3).unwrap();
    assert_eq!(value(&world, &me, "costarring"), Some(3));
}

#[test]
fn all_entries_can_be_used_and_used_again() {
    let world = new_world(40);
    let me = world.join();
    for round in 0..2 {
        for i in 0..ENTRIES {
            create(&world, &me, &format!("{round}/{i}"), u64::from(i)).unwrap();
        }
        assert_eq!(create(&world, &me, "more", 0), Err(BeginError::Full));
        assert_eq!(directory(&world).list().len(), ENTRIES as usize);
        for i in 0..ENTRIES {
            assert_eq!(value(&world, &me, &format!("{round}/{i}")), Some(u64::from(i)));
            remove(&world, &me, &format!("{round}/{i}")).unwrap();
        }
    }
    assert_eq!(world.capacity(128, &me), 40 * 32);
}

#[test]
fn a_living_builder_stops_its_own_name_only() {
    let world = small();
    let (me, other) = (world.join(), world.join());
    let building = directory(&world).begin(&name("a"), &other).unwrap();
    assert_eq!(create(&world, &me, "a", 1), Err(BeginError::Busy(other.me)));
    let open = directory(&world).open(&name("a"), &world.arena, &me);
    assert_eq!(open, Err(OpenError::Busy(other.me)));
    assert_eq!(remove(&world, &me, "a"), Err(RemoveError::NotFound));
    create(&world, &me, "b", 2).unwrap();
    assert_eq!(clean(&world, &me), 0);
    let block = fresh(&world, &other, 3);
    let mut mags = Magazines::new();
    directory(&world).commit(building, block, &world.arena, &other, &mut mags).unwrap();
    assert_eq!(value(&world, &me, "a"), Some(3));
}

#[test]
fn of_two_claims_the_lower_goes_on() {
    let world = small();
    let (me, other, names) = (world.join(), world.join(), directory(&world));
    let lower = names.claim(&name("a"), &me).unwrap();
    let higher = names.claim(&name("a"), &other).unwrap();
    assert_eq!(
        names.second_look(&higher, &name("a"), &other),
        Err(BeginError::Busy(me.me)),
        "gives way"
    );
    assert_eq!(
        names.second_look(&lower, &name("a"), &me),
        Err(BeginError::Busy(other.me)),
        "waits, but not for ever"
    );
    names.give_back(&higher);
    assert_eq!(names.second_look(&lower, &name("a"), &me), Ok(()));
    let building = names.build(lower, &name("a")).unwrap();
    assert_eq!(create(&world, &other, "a", 1), Err(BeginError::Busy(me.me)));
    names.abandon(building);
    create(&world, &other, "a", 1).unwrap();
}

#[test]
fn an_open_object_stays_until_the_last_close() {
    let world = small();
    let (me, other, names) = (world.join(), world.join(), directory(&world));
    let mut mags = Magazines::new();
    create(&world, &me, "a", 1).unwrap();
    let first = names.open(&name("a"), &world.arena, &me).unwrap();
    let second = names.open(&name("a"), &world.arena, &other).unwrap();
    assert_ne!(first.hold, second.hold);
    assert_eq!(remove(&world, &other, "a"), Ok(first.reference));
    world.arena.reclaim(&other);
    assert_eq!(world.capacity(128, &other), BLOCKS - 1);
    create(&world, &other, "a", 2).unwrap();
    assert_eq!(world.value(first.offset, first.len), 1, "untouched");
    names.close(first.hold, &world.arena, &other, &mut mags);
    names.close(first.hold, &world.arena, &me, &mut mags);
    assert_eq!(world.capacity(128, &other), BLOCKS - 2, "not the stranger's to close");
    names.close(second.hold, &world.arena, &other, &mut mags);
    remove(&world, &me, "a").unwrap();
    assert_eq!(world.capacity(128, &other), BLOCKS);
}

#[test]
fn a_name_removed_between_look_and_hold_is_not_opened() {
    let world = small();
    let (me, other, names) = (world.join(), world.join(), directory(&world));
    create(&world, &me, "a", 1).unwrap();
    for _ in 0..HOLDS {
        names.open(&name("a"), &world.arena, &other).unwrap();
    }
    world.kill(&other);
    // With all holds in dead hands, the opener asks who is alive just before it holds. Another
    // acts at that moment.
    let acted = AtomicBool::new(false);
    let alive = |id| {
        if !acted.swap(true, SeqCst) {
            remove(&world, &me, "a").unwrap();
            let mut mags = Magazines::new();
            world.drain(128, &me, &mut mags).iter().for_each(|block| world.fill(block, 7));
        }
        (me.alive)(id)
    };
    let opener = Who { me: world.join().me, alive: &alive };
    assert_eq!(names.open(&name("a"), &world.arena, &opener), Err(OpenError::NotFound));
    assert!(acted.load(SeqCst));
}

#[test]
fn a_reference_can_be_held_while_a_place_names_it() {
    let world = small();
    let (me, other, names) = (world.join(), world.join(), directory(&world));
    let mut mags = Magazines::new();
    create(&world, &me, "a", 1).unwrap();
    let reference = names.list()[0].reference;
    let held = names.hold(reference, &world.arena, &other).unwrap();
    remove(&world, &me, "a").unwrap();
    assert_eq!(world.value(held.offset, held.len), 1);
    let late = names.hold(reference, &world.arena, &me);
    assert_eq!(late, Err(OpenError::NotFound), "nothing names it");
    names.close(held.hold, &world.arena, &other, &mut mags);
    assert_eq!(names.hold(0, &world.arena, &me), Err(OpenError::NotFound));
    assert_eq!(world.capacity(128, &me), BLOCKS);
}

#[test]
fn the_dead_hold_nothing() {
    let world = small();
    let (me, other) = (world.join(), world.join());
    create(&world, &me, "a", 1).unwrap();
    directory(&world).open(&name("a"), &world.arena, &other).unwrap();
    world.kill(&other);
    remove(&world, &me, "a").unwrap();
    assert_eq!(world.capacity(128, &me), BLOCKS);
}

#[test]
fn holds_run_out_with_the_living_and_come_back_with_the_dead() {
    let world = small();
    let (me, other, names) = (world.join(), world.join(), directory(&world));
    create(&world, &me, "a", 1).unwrap();
    for _ in 0..HOLDS {
        names.open(&name("a"), &world.arena, &other).unwrap();
    }
    let more = names.open(&name("a"), &world.arena, &me);
    assert_eq!(more, Err(OpenError::HoldsFull));
    world.kill(&other);
    assert_eq!(value(&world, &me, "a"), Some(1));
}
