//! Making, opening and refusing segments.
#![cfg(not(crossproc_loom))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crossproc_segment::{Error, Segment};
use crossproc_sys::memfd;

/// A segment name of this test alone, unlinked at the end.
struct Name(String);

impl Name {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self(format!("test-segment-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed)))
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/dev/shm/crossproc.{}", self.0))
    }

    /// Overwrites bytes of the segment's file.
    fn poke(&self, offset: u64, bytes: &[u8]) {
        let mut file = OpenOptions::new().write(true).open(self.path()).unwrap();
        file.seek(SeekFrom::Start(offset)).unwrap();
        file.write_all(bytes).unwrap();
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.path());
    }
}

#[test]
fn a_named_segment_is_made_once_and_opened_by_its_name() {
    let name = Name::new();
    assert!(matches!(Segment::open(&name.0), Err(Error::NotFound { .. })));
    let made = Segment::create(&name.0, 1 << 20).unwrap();
    assert!(matches!(Segment::create(&name.0, 1 << 20), Err(Error::Exists { .. })));
    let opened = Segment::open(&name.0).unwrap();
    assert_eq!(opened.identity(), made.identity());
    assert_eq!(opened.me(), made.me(), "one process is one member");
    Segment::unlink(&name.0).unwrap();
    assert!(matches!(Segment::unlink(&name.0), Err(Error::NotFound { .. })));
    assert!(matches!(Segment::open(&name.0), Err(Error::NotFound { .. })));
}

#[test]
fn of_several_creators_one_wins_and_all_get_the_same() {
    let name = Name::new();
    let identities: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| Segment::open_or_create(&name.0, 1 << 16).unwrap()))
            .collect();
        // Joined before they are compared: the segments stay open until the end.
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(identities.iter().all(|segment| segment == &identities[0]));
}

#[test]
fn a_segment_has_mode_0600_unless_said() {
    let (name, other) = (Name::new(), Name::new());
    let _private = Segment::create(&name.0, 4096).unwrap();
    let _shared = Segment::options().mode(0o640).create(&other.0, 4096).unwrap();
    let mode = |name: &Name| name.path().metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&name), mode(&other)), (0o600, 0o640));
}

#[test]
fn each_mismatch_has_its_own_error() {
    let spoiled = |offset, bytes: &[u8]| {
        let name = Name::new();
        drop(Segment::create(&name.0, 1 << 16).unwrap());
        name.poke(offset, bytes);
        Segment::open(&name.0).unwrap_err()
    };
    assert!(matches!(spoiled(0, b"ELF"), Error::Magic { .. }));
    assert!(matches!(spoiled(8, &[9]), Error::Version { expected: 2, found: 9, .. }));
    assert!(matches!(spoiled(12, &[0]), Error::Corrupt { .. }));
    assert!(matches!(spoiled(32, &[1]), Error::Size { .. }));
    assert!(matches!(spoiled(40, &[99]), Error::Corrupt { .. }));
    assert!(matches!(spoiled(44, &[0xff; 4]), Error::Corrupt { .. }));
    assert!(matches!(spoiled(48, &[1; 8]), Error::Parts { .. }));
}

#[test]
fn a_truncated_or_foreign_file_is_refused() {
    let name = Name::new();
    drop(Segment::create(&name.0, 1 << 16).unwrap());
    let file = OpenOptions::new().write(true).open(name.path()).unwrap();
    file.set_len(8192).unwrap();
    assert!(matches!(Segment::open(&name.0), Err(Error::Size { found: 8192, .. })));
    file.set_len(10).unwrap();
    assert!(matches!(Segment::open(&name.0), Err(Error::Size { found: 10, .. })));
    let foreign = Name::new();
    std::fs::write(foreign.path(), vec![b'x'; 100_000]).unwrap();
    let error = Segment::open(&foreign.0).unwrap_err();
    assert!(matches!(error, Error::Magic { .. }));
    assert!(error.to_string().contains("is not a crossproc segment"), "{error}");
}

#[test]
fn sizes_out_of_reach_are_refused_and_leave_nothing_behind() {
    let name = Name::new();
    assert!(matches!(Segment::create(&name.0, 0), Err(Error::BadSize { .. })));
    assert!(matches!(Segment::anonymous(usize::MAX), Err(Error::BadSize { .. })));
    // More than this machine has: refused before any of it is taken.
    let error = Segment::create(&name.0, 200 << 30).unwrap_err();
    assert!(matches!(error, Error::NoSpace { .. }), "{error}");
    assert!(!name.path().exists());
    assert!(matches!(Segment::anonymous(200 << 30), Err(Error::NoSpace { .. })));
}

#[test]
fn an_anonymous_segment_cannot_be_cut() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    let file = std::fs::File::from(segment.as_fd().try_clone_to_owned().unwrap());
    assert!(file.set_len(4096).is_err());
    assert!(file.set_len(1 << 30).is_err());
    assert_eq!(file.metadata().unwrap().len(), segment.size() as u64);
}

#[test]
fn an_unsealed_descriptor_is_refused() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    let again = segment.as_fd().try_clone_to_owned().unwrap();
    assert_eq!(Segment::from_fd(again).unwrap(), segment);
    let unsealed = memfd::create("test", memfd::Pages::Normal).unwrap();
    let mut copy = std::fs::File::from(unsealed);
    let whole = std::fs::File::from(segment.as_fd().try_clone_to_owned().unwrap());
    std::io::copy(&mut &whole, &mut copy).unwrap();
    assert!(matches!(Segment::from_fd(copy.into()), Err(Error::Unsealed { .. })));
}

#[test]
fn a_file_backed_segment_keeps_its_objects() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    assert!(matches!(Segment::open_file(&path), Err(Error::NotFound { .. })));
    let shape = crossproc_segment::Shape::untyped("test", 1);
    let segment = Segment::create_file(&path, 1 << 16).unwrap();
    segment.construct(Some("kept"), &shape, 100, |_| {}).unwrap();
    drop(segment);
    let segment = Segment::options().open_or_create_file(&path, 1 << 16).unwrap();
    assert_eq!(segment.objects()[0].name, "kept");
    assert!(matches!(Segment::create_file(&path, 1 << 16), Err(Error::Exists { .. })));
    let missing = directory.path().join("no/such/directory");
    assert!(Segment::create_file(missing, 1 << 16).is_err());
}

#[test]
fn huge_pages_are_a_wish() {
    let segment = Segment::options().huge_pages(true).anonymous(8 << 20).unwrap();
    assert!(
        segment
            .construct(None, &crossproc_segment::Shape::untyped("test", 1), 1 << 20, |_| {})
            .is_ok()
    );
}

#[test]
fn members_come_and_go() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    let members = segment.members();
    assert_eq!(members.len(), 1);
    assert_eq!(members[0].pid, std::process::id());
    assert_eq!(members[0].id, segment.me());
    assert!(members[0].alive);
    let stranger = crossproc_segment::MemberId::new(segment.me().get() + 1).unwrap();
    assert!(!segment.alive(stranger));
}

#[test]
fn segments_leave_no_descriptor_behind() {
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    // Other tests of this process open and close descriptors too: a leak grows, they do not.
    let before = count();
    for _ in 0..200 {
        let segment = Segment::anonymous(1 << 16).unwrap();
        let name = Name::new();
        let named = Segment::create(&name.0, 1 << 16).unwrap();
        assert!(Segment::create(&name.0, 1 << 16).is_err());
        drop((segment, named));
    }
    assert!(count() < before + 100);
}
