//! As many members as there can be, and many more, one after the other.

use std::thread;

use crossproc::crates::segment::Error;
use crossproc::{Segment, Value, spawn};
use crossproc_sys::process::exit_now;
use tests::forked::{Forked, How, copy};
use tests::outside::{until, until_asleep};
use tests::traces::own_name;

use crate::things::Thing;

/// Places in a segment's table of members.
const PLACES: usize = 4096;

/// Makes a process that dies with all of it in its hands; how many deaths it was told of.
fn die_of(things: &[Thing]) -> i32 {
    let Some(copy) = copy(How::Clone).unwrap() else {
        let told = things.iter().filter(|thing| thing.leak() == Some(true)).count();
        exit_now(i32::try_from(told).unwrap())
    };
    copy.wait()
}

#[test]
fn members_that_die_with_their_hands_full_come_and_go_by_the_thousands() {
    let outcome = spawn((), || {
        let things = Thing::all();
        // A lock, one that may be locked again, and one that is written.
        let telling = 3;
        assert_eq!(die_of(&things), 0);
        for n in 0..PLACES + 100 {
            assert_eq!(die_of(&things), telling, "{n}");
        }
        let told = things.iter().filter(|thing| thing.inherit()).count();
        i32::try_from(told).unwrap() == telling
    });
    assert!(outcome.unwrap().join().unwrap());
}

/// A member that is killed and reaped when this is dropped.
struct Member(Option<Forked>);

impl Member {
    /// A member that does `f`, and dies with its parent at the latest.
    fn new(f: impl FnOnce() -> i32) -> std::io::Result<Self> {
        let Some(copy) = copy(How::Fork)? else {
            // SAFETY: numbers only.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            exit_now(f())
        };
        Ok(Self(Some(copy)))
    }

    fn pid(&self) -> u32 {
        self.0.as_ref().unwrap().pid()
    }

    fn wait(mut self) -> i32 {
        self.0.take().unwrap().wait()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(member) = self.0.take() {
            member.kill();
            member.wait();
        }
    }
}

/// Fills a segment with members, and goes on in it. An error where there is no room for so many
/// processes.
fn fill(name: String) -> Result<(), String> {
    let segment = Segment::create(&name, 1 << 20).unwrap();
    let came = Value::new_in(&segment, 0usize).unwrap();
    let come = || {
        Member::new(|| {
            let _ = segment.me();
            came.fetch_add(1);
            stay()
        })
        .map_err(|error| error.to_string())
    };
    let mut crowd = Vec::new();
    // This process, and two to come.
    while crowd.len() < PLACES - 3 {
        crowd.push(come().inspect_err(|_| Segment::unlink(&name).unwrap())?);
        // Now and then, since a busy machine may take its time.
        if crowd.len() % 100 == 0 || crowd.len() == PLACES - 3 {
            until("they have come", || came.get() == crowd.len());
        }
    }
    for thing in Thing::all_in(&segment) {
        // A place in the table for each death before.
        go_on_without_room(&name, &segment, &thing);
    }
    // One more comes when one is dead.
    assert_eq!(join(&name), Ok(()));
    Segment::unlink(&name).unwrap();
    Ok(())
}

fn stay() -> i32 {
    loop {
        thread::park();
    }
}

/// With the last two places taken by a holder and its heir, nobody else comes in, and the heir goes on
/// when the holder is dead.
fn go_on_without_room(name: &str, segment: &Segment, thing: &Thing) {
    let held = Value::new_in(segment, false).unwrap();
    let holder = Member::new(|| {
        let held = held.clone();
        let stay = move || {
            held.set(true).unwrap();
            stay();
        };
        thing.inside(stay).unwrap();
        0
    })
    .unwrap();
    until("it is held", || held.get());
    let heir = Member::new(|| i32::from(thing.inherit())).unwrap();
    until_asleep(heir.pid());
    assert_eq!(join(name), Err(PLACES), "{thing:?}");
    assert!(thing.is_held(), "{thing:?}");
    drop(holder);
    assert_eq!(heir.wait(), i32::from(thing.tells()), "{thing:?}");
    assert_eq!(thing.changes(), 0, "{thing:?}");
}

/// Has another process come in. If there is no place, how many there are.
fn join(name: &str) -> Result<(), usize> {
    let join = |name: String| match Segment::open(&name) {
        Ok(_) => Ok(()),
        Err(Error::TooManyMembers { limit }) => Err(limit),
        Err(error) => panic!("{error}"),
    };
    spawn((name.to_owned(),), join).unwrap().join().unwrap()
}

#[test]
fn a_segment_full_of_members_refuses_the_next_and_serves_those_it_has() {
    let filled = spawn((own_name("full"),), fill).unwrap().join().unwrap();
    if let Err(why) = filled {
        let why = format!("{PLACES} processes cannot be made here: {why}");
        tests::stage::skipped(tests::test_name!(), &why);
    }
}
