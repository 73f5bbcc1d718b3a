//! Every row of the directory's table of deaths, made by hand: the victim stops after a step, dies,
//! and a survivor finds the name there, or not.

use std::sync::atomic::Ordering::SeqCst;

use crossproc_segment::arena::{Magazines, Who};
use crossproc_segment::names::BeginError;
use crossproc_segment::names::raw::{ENTRIES, EntryWord, state};

use super::world::World;
use super::{BLOCKS, clean, create, directory, fresh, name, remove, small, value};

/// What the victim does with the name `a` before it dies, and what `a` is afterwards.
type Death = (&'static str, fn(&World, &Who<'_>), Option<u64>);

/// `a` is not there before; the victim would make it 2.
const CREATE_DEATHS: [Death; 6] = [
    (
        "claimed",
        |w, v| {
            let _ = directory(w).claim(&name("a"), v).unwrap();
        },
        None,
    ),
    (
        "building",
        |w, v| {
            let _ = directory(w).begin(&name("a"), v).unwrap();
        },
        None,
    ),
    (
        "block allocated",
        |w, v| {
            let _ = directory(w).begin(&name("a"), v).unwrap();
            fresh(w, v, 2);
        },
        None,
    ),
    (
        "published",
        |w, v| {
            let building = directory(w).begin(&name("a"), v).unwrap();
            let (block, mut mags) = (fresh(w, v, 2), Magazines::new());
            directory(w).publish(&building, block, &w.arena, v, &mut mags).unwrap();
        },
        None,
    ),
    (
        "published, not settled",
        |w, v| {
            let _ = directory(w).begin(&name("a"), v).unwrap();
            let block = fresh(w, v, 2);
            w.arena.note_place(&block, directory(w).place(0, &w.arena));
            w.arena.commit_publish(&block, directory(w).place(0, &w.arena), 0).unwrap();
        },
        None,
    ),
    ("ready", |w, v| create(w, v, "a", 2).unwrap(), Some(2)),
];

/// `a` is 1 before.
const REMOVE_DEATHS: [Death; 4] = [
    (
        "removed, entry full",
        |w, v| {
            let _ = directory(w).mark_removed(&name("a"), v).unwrap();
        },
        None,
    ),
    (
        "removed, entry cleared",
        |w, v| {
            let _ = directory(w).mark_removed(&name("a"), v).unwrap();
            w.word(directory(w).place(0, &w.arena)).store(0, SeqCst);
        },
        None,
    ),
    (
        "removed, block not dropped",
        |w, v| {
            let removed = directory(w).mark_removed(&name("a"), v).unwrap();
            directory(w).empty(&removed);
        },
        None,
    ),
    (
        "opened",
        |w, v| {
            directory(w).open(&name("a"), &w.arena, v).unwrap();
        },
        Some(1),
    ),
];

/// The victim has died: `a` is as expected, can be made or removed, and no block is lost.
fn survive(world: &World, expected: Option<u64>, clean_first: bool, what: &str) {
    let me = world.join();
    if clean_first {
        clean(world, &me);
        world.arena.reclaim(&me);
        let used = usize::from(expected.is_some());
        assert_eq!(world.capacity(128, &me), BLOCKS - used, "{what}: a block is lost");
    }
    assert_eq!(value(world, &me, "a"), expected, "{what}");
    match expected {
        None => create(world, &me, "a", 3).expect(what),
        Some(_) => assert_eq!(create(world, &me, "a", 3), Err(BeginError::Exists), "{what}"),
    }
    assert_eq!(value(world, &me, "a"), Some(expected.unwrap_or(3)), "{what}");
    create(world, &me, "b", 4).expect(what);
    remove(world, &me, "a").expect(what);
    remove(world, &me, "b").expect(what);
    clean(world, &me);
    assert!((0..ENTRIES).all(|i| directory(world).word(i).load(SeqCst) == 0), "{what}: an entry");
    assert_eq!(world.capacity(128, &me), BLOCKS, "{what}: a block is lost");
}

#[test]
fn whoever_dies_at_any_step_leaves_before_or_after() {
    for clean_first in [false, true] {
        for (what, death, expected) in CREATE_DEATHS {
            let (world, what) = (small(), format!("create: {what}"));
            let victim = world.join();
            death(&world, &victim);
            world.kill(&victim);
            survive(&world, expected, clean_first, &what);
        }
        for (what, death, expected) in REMOVE_DEATHS {
            let (world, what) = (small(), format!("remove: {what}"));
            let (maker, victim) = (world.join(), world.join());
            create(&world, &maker, "a", 1).unwrap();
            death(&world, &victim);
            world.kill(&victim);
            survive(&world, expected, clean_first, &what);
        }
    }
}

#[test]
fn a_second_death_over_the_first_leaves_before_or_after() {
    for (first, one, _) in CREATE_DEATHS {
        for (second, two, expected) in CREATE_DEATHS {
            let world = small();
            let (victim, other) = (world.join(), world.join());
            one(&world, &victim);
            world.kill(&victim);
            if value(&world, &other, "a").is_some() {
                continue;
            }
            // The last free place is the dead one's.
            for i in 1..ENTRIES {
                let word = EntryWord::new(state::READY, 1, i).bits();
                directory(&world).word(i).store(word, SeqCst);
            }
            two(&world, &other);
            world.kill(&other);
            for i in 1..ENTRIES {
                directory(&world).word(i).store(0, SeqCst);
            }
            survive(&world, expected, false, &format!("{first}, then {second}"));
        }
    }
}
