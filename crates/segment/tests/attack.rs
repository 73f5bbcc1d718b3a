//! Segments under forks, lost descriptors, copies of files, and handed-on descriptors.
#![cfg(not(crossproc_loom))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::os::fd::{AsFd, AsRawFd};

use crossproc_segment::transit::{receiving, sending};
use crossproc_segment::{Error, Object, Segment, Shape};
use crossproc_sys::pidfd::{Exit, PidFd};
use crossproc_sys::{memfd, process};
use serde::{Deserialize, Serialize};

fn shape() -> Shape {
    Shape::of::<u8>("test", 1)
}

unsafe extern "C" {
    safe fn fork() -> i32;
    safe fn dup2(from: i32, to: i32) -> i32;
}

/// Runs `child` in a forked child; true if it returned true there.
fn in_child(child: impl FnOnce() -> bool) -> bool {
    ended_well(&forked(child))
}

fn forked(child: impl FnOnce() -> bool) -> PidFd {
    let pid = fork();
    if pid == 0 {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
        process::exit_now(i32::from(!done.unwrap_or(false)));
    }
    PidFd::open(u32::try_from(pid).unwrap()).unwrap()
}

fn ended_well(child: &PidFd) -> bool {
    child.reap(true).unwrap() == Some(Exit::Code(0))
}

fn put(segment: &Segment, name: &str, byte: u8) -> Object {
    // SAFETY: the body has 8 bytes.
    segment.construct(Some(name), &shape(), 8, |body| unsafe { body.write(byte) }).unwrap()
}

fn byte(object: &Object) -> u8 {
    // SAFETY: the body has 8 bytes.
    unsafe { object.body().read() }
}

#[test]
fn a_childs_copy_of_a_handle_gives_back_nothing_of_the_childs_own() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let inherited = put(&segment, "a", 1);
    put(&segment, "b", 2);
    let go = put(&segment, "go", 0);
    let child = forked(|| {
        let inherited = inherited;
        while byte(&go) == 0 {
            std::thread::yield_now();
        }
        // Gets the hold that the parent has given back.
        let b = segment.find("b", &shape()).unwrap();
        drop(inherited);
        segment.remove("b").unwrap();
        let _others: Vec<_> = (0..9u8).map(|i| put(&segment, &format!("c{i}"), 3)).collect();
        byte(&b) == 2
    });
    // The parent's handle went with the closure.
    // SAFETY: the body has 8 bytes.
    unsafe { go.body().write(1) };
    assert!(ended_well(&child));
}

#[test]
fn a_child_that_drops_its_copies_does_not_join() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let object = put(&segment, "a", 1);
    let unnamed = segment.construct(None, &shape(), 8, |_| {}).unwrap();
    assert!(in_child(|| {
        drop((object, unnamed));
        segment.members().len() == 1
    }));
}

#[test]
fn a_lost_descriptor_makes_nobody_dead() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let me = segment.me();
    assert!(in_child(|| {
        // As a daemon does: closes what it did not open, and opens something else there.
        let kept = segment.as_fd().try_clone_to_owned().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        dup2(null.as_raw_fd(), segment.as_fd().as_raw_fd());
        let refused = std::panic::catch_unwind(|| segment.me()).is_err();
        let lives = segment.alive(me);
        // Opened again by another way, it works again.
        let again = Segment::from_fd(kept).unwrap();
        lives && refused && again.me() != me && again.alive(me)
    }));
}

#[test]
fn a_copied_file_is_another_segment() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (directory.path().join("one"), directory.path().join("two"));
    let first = Segment::create_file(&one, 1 << 16).unwrap();
    std::fs::copy(&one, &two).unwrap();
    let second = Segment::open_file(&two).unwrap();
    put(&second, "only in the copy", 1);
    assert!(first != second && first.objects().is_empty());
}

#[test]
fn a_named_segment_can_be_handed_on_by_descriptor() {
    let name = format!("test-attack-{}", std::process::id());
    let made = Segment::create(&name, 1 << 16).unwrap();
    let (ticket, _) = sending(|| serde_json::to_string(&Sent(made.clone())).unwrap());
    let fd = made.as_fd().try_clone_to_owned().unwrap();
    drop(made);
    let given = Segment::from_fd(fd.try_clone().unwrap()).unwrap();
    let sent: Sent = receiving(vec![given], || serde_json::from_str(&ticket).unwrap());
    assert_eq!(sent.0.name(), Some(name.as_str()));
    Segment::unlink(&name).unwrap();
    drop(sent);
    assert_eq!(Segment::from_fd(fd).unwrap().name(), None);
    let unsealed = memfd::create("test", memfd::Pages::Normal).unwrap();
    assert!(matches!(Segment::from_fd(unsealed), Err(Error::Unsealed { .. })));
}

#[derive(Serialize, Deserialize)]
struct Sent(Segment);

#[test]
fn a_ticket_finds_the_file_from_another_directory_and_after_unlink() {
    let directory = tempfile::tempdir_in(".").unwrap();
    let relative = std::path::Path::new(directory.path().file_name().unwrap()).join("data");
    let segment = Segment::create_file(&relative, 1 << 16).unwrap();
    let (ticket, _) = sending(|| serde_json::to_string(&Sent(segment.clone())).unwrap());
    assert!(ticket.contains("\"path\":\"/"), "{ticket}");
    std::fs::remove_file(&relative).unwrap();
    let attached: Sent = receiving(Vec::new(), || serde_json::from_str(&ticket).unwrap());
    assert!(attached.0 == segment);
}

#[test]
fn what_is_refused_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    std::fs::create_dir(&path).unwrap();
    let error = Segment::open_file(&path).unwrap_err().to_string();
    assert!(error.contains("cannot open segment"), "{error}");
}

#[test]
fn makers_that_remove_at_once_all_get_their_object() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    segment.find_or_construct("x", &shape(), 8, |_| {}).unwrap();
                    let _ = segment.remove("x");
                }
            });
        }
    });
    assert!(segment.objects().len() <= 1);
}
