//! Descriptors: none too many in a child, none left in its parent.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;

use crossproc_process::spawn;

crossproc_process::test_init!();

/// The tests count what their process has open, so they run one after another.
static ALONE: Mutex<()> = Mutex::new(());

/// What this process has open: number and target.
fn open() -> BTreeMap<String, String> {
    let all = fs::read_dir("/proc/self/fd").expect("it can be listed");
    let all: Vec<_> = all.map(|entry| entry.expect("it can be listed").path()).collect();
    let target = |path: PathBuf| {
        // The descriptor that listed them is closed by now.
        let target = fs::read_link(&path).ok()?;
        Some((path.file_name()?.to_str()?.to_owned(), target.to_str()?.to_owned()))
    };
    all.into_iter().filter_map(target).collect()
}

#[test]
fn a_child_has_its_standard_streams_and_what_it_needs() {
    let _alone = ALONE.lock();
    // Something that must not be inherited.
    let _files: Vec<File> = (0..20).map(|_| File::open("/proc/self/exe").unwrap()).collect();
    let found = spawn((), open).unwrap().join().unwrap();
    assert_eq!(found["0"], "/dev/null");
    let own = open();
    assert_eq!((&found["1"], &found["2"]), (&own["1"], &own["2"]));
    let others: Vec<_> =
        found.iter().filter(|(fd, _)| !["0", "1", "2"].contains(&fd.as_str())).collect();
    let kinds = |of: &str| others.iter().filter(|(_, target)| target.contains(of)).count();
    // The way to the parent, the parent itself, and the shared memory of the tree.
    assert_eq!((kinds("socket:"), kinds("pidfd"), kinds("memfd:")), (1, 1, 1), "{others:?}");
    assert_eq!(others.len(), 3, "{others:?}");
}

#[test]
fn processes_that_came_and_went_leave_no_descriptors() {
    let _alone = ALONE.lock();
    spawn((), || ()).unwrap().join().unwrap();
    let before = open();
    for n in 0..100 {
        assert_eq!(spawn((n,), |n| n).unwrap().join().unwrap(), n);
        let large = spawn((vec![1u8; 40_000],), |data| data).unwrap();
        assert!(spawn((), || -> () { std::process::abort() }).unwrap().join().is_err());
        assert_eq!(large.join().unwrap().len(), 40_000);
    }
    assert_eq!(open(), before);
}

#[test]
fn siblings_do_not_add_to_what_a_child_has() {
    let _alone = ALONE.lock();
    let first = spawn((), open).unwrap().join().unwrap().len();
    let siblings: Vec<_> = (0..10).map(|_| spawn((), thread::park).unwrap()).collect();
    let last = spawn((), open).unwrap().join().unwrap().len();
    for sibling in &siblings {
        sibling.kill().unwrap();
    }
    assert_eq!(first, last);
}

#[test]
fn detached_processes_leave_no_descriptors_either() {
    let _alone = ALONE.lock();
    spawn((), || ()).unwrap().join().unwrap();
    let before = open().len();
    for _ in 0..50 {
        spawn((), || ()).unwrap().detach();
    }
    // They end in their own time, and are looked at whenever processes are started and joined.
    while open().len() > before {
        spawn((), || ()).unwrap().join().unwrap();
    }
}
