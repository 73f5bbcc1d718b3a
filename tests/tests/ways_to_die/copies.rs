//! Copies of a process that are made in the middle: they hold nothing of what their parent holds.

use std::cell::Cell;
use std::rc::Rc;
use std::thread;

use crossproc::{JoinError, Queue, spawn};
use crossproc_sys::process::exit_now;
use tests::forked::{Forked, How, copy};
use tests::outside::Seen;

use crate::things::Thing;

const HOWS: [How; 3] = [How::Fork, How::Clone, How::Clone3];

/// Makes a copy inside. The copy comes out first, as its parent would, and then asks.
fn copied(thing: Thing, how: How) -> Result<(), String> {
    let code = Rc::new(Cell::new(None));
    let make = {
        let code = Rc::clone(&code);
        move || code.set(copy(how).unwrap().map(Forked::wait))
    };
    let outcome = thing.inside(make);
    match code.get() {
        None => exit_now(i32::from(!thing.is_held())),
        Some(0) => outcome,
        Some(code) => Err(format!("the copy let go of it, or took it: {code}")),
    }
}

#[test]
fn a_copy_made_inside_holds_nothing_and_lets_go_of_nothing() {
    for how in HOWS {
        for thing in Thing::all() {
            let outcome = spawn((thing.clone(), how), copied).unwrap().join().unwrap();
            assert_eq!(outcome, Ok(()), "{thing:?}, {how:?}");
            assert!(!thing.inherit(), "{thing:?}, {how:?}");
            assert_eq!(thing.changes(), thing.changed(1), "{thing:?}, {how:?}");
        }
    }
}

/// Makes a copy inside that lives on, and stays inside.
fn leave_a_copy(thing: Thing, how: How, pids: Queue<u32>) {
    let stay = move || {
        if copy(how).unwrap().is_none() {
            pids.put(std::process::id()).unwrap();
        }
        loop {
            thread::park();
        }
    };
    thing.inside(stay).unwrap();
}

#[test]
fn a_copy_that_outlives_its_parent_keeps_nothing_held() {
    for how in HOWS {
        for thing in Thing::all() {
            let pids = Queue::bounded(1).unwrap();
            let arguments = (thing.clone(), how, pids.clone());
            let parent = spawn(arguments, leave_a_copy).unwrap();
            let copy = Killed(Seen::new(pids.get().unwrap()));
            assert!(thing.is_held(), "{thing:?}, {how:?}");
            parent.kill().unwrap();
            assert!(matches!(parent.join(), Err(JoinError::Signalled { signal: 9, .. })));
            assert_eq!(thing.inherit(), thing.tells(), "{thing:?}, {how:?}");
            assert!(!copy.0.has_ended(), "{thing:?}, {how:?}");
            assert_eq!(thing.changes(), 0, "{thing:?}, {how:?}");
        }
    }
}

/// A process that is killed when the test is over, however it ends.
struct Killed(Seen);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// In a copy of a process: takes it, and dies of it or lets go.
fn by_a_copy(thing: Thing, how: How, lets_go: bool) -> i32 {
    let Some(made) = copy(how).unwrap() else {
        let outcome = thing.inside(move || {
            if !lets_go {
                exit_now(9)
            }
        });
        exit_now(i32::from(outcome.is_err()));
    };
    made.wait()
}

#[test]
fn what_a_copy_takes_is_the_copys() {
    for how in HOWS {
        for lets_go in [true, false] {
            for thing in Thing::all() {
                let arguments = (thing.clone(), how, lets_go);
                let code = spawn(arguments, by_a_copy).unwrap().join().unwrap();
                assert_eq!(code, if lets_go { 0 } else { 9 }, "{thing:?}, {how:?}");
                let died = thing.tells() && !lets_go;
                assert_eq!(thing.inherit(), died, "{thing:?}, {how:?}");
                let changed = thing.changed(u64::from(lets_go));
                assert_eq!(thing.changes(), changed, "{thing:?}, {how:?}");
            }
        }
    }
}
