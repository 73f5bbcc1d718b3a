//! What a process leaves behind: descriptors, mappings, names in `/dev/shm`.
#![expect(clippy::missing_panics_doc, reason = "whatever goes wrong in a test is a panic")]

use std::collections::BTreeMap;
use std::fs;

/// What this process has of what lasts.
#[derive(Debug, PartialEq, Eq)]
pub struct Traces {
    /// Open descriptors and what they are of.
    descriptors: BTreeMap<String, String>,
    /// Mapped files that are segments, and how often.
    mappings: BTreeMap<String, usize>,
    /// Named segments that are called after this process.
    names: Vec<String>,
}

impl Traces {
    /// As it is now. Only of use where no other thread opens or closes anything.
    #[must_use]
    pub fn now() -> Self {
        Self { descriptors: descriptors(), mappings: mappings(), names: own_names() }
    }
}

/// Runs `f` and checks that this process has nothing that it had not before.
pub fn leaves_nothing(f: impl FnOnce()) {
    // Whatever is made once and kept is there before.
    drop(crossproc::Lock::new().expect("there is room"));
    let before = Traces::now();
    f();
    assert_eq!(Traces::now(), before, "something was left behind");
}

/// A name for a segment that no other test uses.
#[must_use]
pub fn own_name(of: &str) -> String {
    format!("test-{of}-{}-", std::process::id())
}

/// The named segments that are called by [`own_name`].
#[must_use]
pub fn own_names() -> Vec<String> {
    let mine = format!("-{}-", std::process::id());
    let entries = fs::read_dir("/dev/shm").expect("it can be listed");
    let names = entries.map(|entry| entry.expect("it can be listed").file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| name.contains(&mine));
    names.sort();
    names
}

/// What this process has open: numbers and targets.
#[must_use]
pub fn descriptors() -> BTreeMap<String, String> {
    let entries = fs::read_dir("/proc/self/fd").expect("it can be listed");
    let entries = entries.map(|entry| entry.expect("it can be listed"));
    // The descriptor that lists is closed by the time it is looked at.
    entries
        .filter_map(|entry| {
            let target = fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned();
            Some((entry.file_name().to_string_lossy().into_owned(), target))
        })
        .collect()
}

fn mappings() -> BTreeMap<String, usize> {
    let maps = fs::read_to_string("/proc/self/maps").expect("it can be read");
    let mut found = BTreeMap::new();
    for line in maps.lines() {
        let Some(file) = line.find('/').map(|at| line[at..].to_owned()) else { continue };
        if file.contains("memfd:") || file.starts_with("/dev/shm/") || file.contains("crossproc.") {
            *found.entry(file).or_default() += 1;
        }
    }
    found
}
