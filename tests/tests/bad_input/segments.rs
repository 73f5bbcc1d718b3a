//! Segments and objects that are not what they should be.

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::mem;
use std::path::PathBuf;

use crossproc::crates::segment::{Error, Shape};
use crossproc::{Lock, Plain, Process, Queue, Segment, Value};
use tests::scarce::become_nobody;
use tests::traces::{leaves_nothing, own_name};

use crate::{alone, says};

/// A name of this test alone; its segment is unlinked at the end.
pub(crate) struct Name(pub(crate) String);

impl Name {
    pub(crate) fn new(of: &str) -> Self {
        Self(own_name(of))
    }

    pub(crate) fn path(&self) -> PathBuf {
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

/// What opening says of a segment whose header was changed.
fn spoiled(offset: u64, bytes: &[u8]) -> Error {
    let name = Name::new("spoiled");
    drop(Segment::create(&name.0, 1 << 16).unwrap());
    name.poke(offset, bytes);
    let error = Segment::open(&name.0).unwrap_err();
    says(&error, &[&name.0]);
    let again = Segment::open_or_create(&name.0, 1 << 16).unwrap_err();
    assert_eq!(mem::discriminant(&again), mem::discriminant(&error), "{again}");
    error
}

#[test]
fn another_magic_number_names_both() {
    alone(|| {
        leaves_nothing(|| {
            let error = spoiled(0, b"\x7fELF\x02\x01\x01\x00");
            assert!(matches!(error, Error::Magic { .. }), "{error}");
            says(&error, &["is not a crossproc segment", "expected", "found 0x00010102464c457f"]);
        });
    });
}

#[test]
fn another_version_names_both_and_says_what_to_do() {
    alone(|| {
        leaves_nothing(|| {
            let error = spoiled(8, &77u32.to_ne_bytes());
            assert!(matches!(error, Error::Version { expected: 2, found: 77, .. }), "{error}");
            says(&error, &["format 77", "format 2", "the same crossproc version", "remove"]);
        });
    });
}

#[test]
fn another_size_in_the_header_names_both() {
    alone(|| {
        leaves_nothing(|| {
            let error = spoiled(32, &4096u64.to_ne_bytes());
            assert!(matches!(error, Error::Size { expected: 4096, .. }), "{error}");
            says(&error, &["4096 bytes", "remove it and make it anew"]);
        });
    });
}

#[test]
fn a_header_that_was_never_finished_or_names_other_parts_is_corrupt() {
    alone(|| {
        leaves_nothing(|| {
            let spoils: [(u64, &[u8]); 3] = [(12, &[0; 4]), (40, &[99, 0, 0, 0]), (44, &[0xff; 4])];
            for (offset, bytes) in spoils {
                let error = spoiled(offset, bytes);
                assert!(matches!(error, Error::Corrupt { .. }), "{offset}: {error}");
                says(&error, &["is corrupt", "make it anew"]);
            }
            let error = spoiled(48, &[1; 8]);
            assert!(matches!(error, Error::Parts { .. }), "{error}");
            says(&error, &["laid out as 0x0101010101010101", "the same crossproc version"]);
        });
    });
}

#[test]
fn a_truncated_file_is_refused_at_any_length() {
    alone(|| {
        leaves_nothing(|| {
            let name = Name::new("truncated");
            let size = Segment::create(&name.0, 1 << 16).unwrap().size() as u64;
            let file = OpenOptions::new().write(true).open(name.path()).unwrap();
            for length in [size - 1, size - 4096, 8192, 4096, 4095, 80, 1, 0] {
                file.set_len(length).unwrap();
                let error = Segment::open(&name.0).unwrap_err();
                assert!(matches!(error, Error::Size { found, .. } if found == length), "{error}");
                says(&error, &[&name.0, &format!("has {length}"), "was cut", "make it anew"]);
            }
        });
    });
}

#[test]
fn a_file_that_is_no_segment_is_refused() {
    alone(|| {
        leaves_nothing(|| {
            let name = Name::new("foreign");
            std::fs::write(name.path(), vec![b'x'; 1 << 17]).unwrap();
            let error = Segment::open(&name.0).unwrap_err();
            assert!(matches!(error, Error::Magic { .. }), "{error}");
            std::fs::remove_file(name.path()).unwrap();
            // Not followed: whoever may write to /dev/shm could point it anywhere.
            std::os::unix::fs::symlink("/etc/passwd", name.path()).unwrap();
            let error = Segment::open(&name.0).unwrap_err();
            says(&error, &[&name.0]);
            std::fs::remove_file(name.path()).unwrap();
            let directory = tempfile::tempdir().unwrap();
            assert!(Segment::open_file(directory.path()).is_err());
            assert!(Segment::open_file("/dev/null").is_err());
        });
    });
}

#[test]
fn another_kind_or_type_names_both_and_opens_nothing() {
    alone(|| {
        leaves_nothing(|| {
            let segment = Segment::anonymous(1 << 20).unwrap();
            let value = Value::create(&segment, "n", 7u64).unwrap();
            let error = Value::<f64>::open(&segment, "n").unwrap_err();
            assert!(matches!(error, Error::Type { .. }), "{error}");
            says(&error, &["\"n\"", "value of u64", "not of f64"]);
            let error = Value::<[u64; 1]>::open_or_create(&segment, "n", [0]).unwrap_err();
            assert!(matches!(error, Error::Type { .. }), "{error}");
            let error = Lock::open(&segment, "n").unwrap_err();
            assert!(matches!(error, Error::Kind { .. }), "{error}");
            says(&error, &["\"n\"", "is a value", "not a lock"]);
            let error = Queue::<u64>::open(&segment, "n").unwrap_err();
            says(&error, &["is a value", "not a queue"]);
            let shape = Shape { version: 9, ..Shape::of::<u64>("value", 1) };
            let error = segment.find("n", &shape).unwrap_err();
            assert!(matches!(error, Error::Layout { expected: 9, found: 1, .. }), "{error}");
            says(&error, &["layout 1", "layout 9", "the same crossproc version"]);
            assert_eq!(value.get(), 7);
            assert_eq!(segment.objects().len(), 1);
        });
    });
}

#[test]
fn an_object_whose_body_does_not_fit_its_kind_is_corrupt() {
    alone(|| {
        leaves_nothing(|| {
            let segment = Segment::anonymous(1 << 20).unwrap();
            let make = |name: &str, shape: &Shape, bytes| {
                segment.construct(Some(name), shape, bytes, |_| {}).unwrap()
            };
            let _kept = [
                make("lock", &Shape::untyped("lock", 1), 1),
                make("value", &Shape::of::<[u64; 9]>("value", 1), 8),
                make("queue", &Shape::of::<u64>("queue", 3), 8),
                make("empty", &Shape::of::<String>("queue", 3), 4096),
            ];
            let errors = [
                Lock::open(&segment, "lock").unwrap_err().to_string(),
                Value::<[u64; 9]>::open(&segment, "value").unwrap_err().to_string(),
                Queue::<u64>::open(&segment, "queue").unwrap_err().to_string(),
                Queue::<String>::open(&segment, "empty").unwrap_err().to_string(),
            ];
            for error in errors {
                says(&error, &["is corrupt", "make it anew"]);
            }
        });
    });
}

#[test]
fn a_missing_or_taken_name_says_which_call_to_use() {
    alone(|| {
        leaves_nothing(|| {
            let name = Name::new("taken");
            let error = Segment::open(&name.0).unwrap_err();
            assert!(matches!(error, Error::NotFound { .. }), "{error}");
            says(&error, &[&name.0, "create() makes one"]);
            let segment = Segment::create(&name.0, 1 << 16).unwrap();
            let error = Segment::create(&name.0, 1 << 16).unwrap_err();
            assert!(matches!(error, Error::Exists { .. }), "{error}");
            says(&error, &[&name.0, "use open()", "open_or_create()"]);
            says(&Lock::open(&segment, "l").unwrap_err(), &["\"l\"", "create() makes one"]);
            let _lock = Lock::create(&segment, "l").unwrap();
            says(&Lock::create(&segment, "l").unwrap_err(), &["\"l\"", "exists already"]);
        });
    });
}

#[test]
fn each_bad_name_has_its_own_sentence_for_segments_and_objects() {
    alone(|| {
        leaves_nothing(|| {
            let segment = Segment::anonymous(1 << 16).unwrap();
            let long = "x".repeat(300);
            let bad = [
                ("", "is empty"),
                ("a\0b", "NUL"),
                ("a/b", "slash"),
                ("/a", "slash"),
                ("..", "directory"),
                (long.as_str(), "is longer than"),
            ];
            for (name, sentence) in bad {
                let errors = [
                    Segment::create(name, 4096).unwrap_err(),
                    Segment::open(name).unwrap_err(),
                    Segment::open_or_create(name, 4096).unwrap_err(),
                    Segment::unlink(name).unwrap_err(),
                    Lock::create(&segment, name).unwrap_err(),
                    Lock::open(&segment, name).unwrap_err(),
                    Value::open_or_create(&segment, name, 1u8).unwrap_err(),
                    segment.remove(name).unwrap_err(),
                ];
                for error in errors {
                    assert!(matches!(error, Error::BadName { .. }), "{error}");
                    says(&error, &["the name", sentence]);
                }
            }
            let file = Segment::create_file("/tmp/a\0b", 4096).unwrap_err();
            says(&file, &["a\\0b"]);
            assert!(segment.objects().is_empty());
        });
    });
}

#[test]
fn without_permission_the_error_says_whose_it_is() {
    // To root nothing is forbidden, so the process that tries is somebody else's.
    let name = Name::new("forbidden");
    let mut options = Segment::options();
    if !tests::stage::is_root() {
        options = options.mode(0o000);
    }
    let _segment = options.create(&name.0, 1 << 16).unwrap();
    let (mine, path) = (name.0.clone(), "/crossproc-test-file".to_owned());
    let child = Process::builder().name("nobody").spawn((mine, path), |name, path| {
        become_nobody();
        leaves_nothing(|| {
            for error in [
                Segment::open(&name).unwrap_err(),
                Segment::open_or_create(&name, 4096).unwrap_err(),
                Segment::create_file(&path, 4096).unwrap_err(),
            ] {
                assert!(matches!(error, Error::Permission { .. }), "{error}");
                says(&error, &["no permission", "belongs to another user", "0600", ".mode("]);
            }
            if tests::stage::is_root() {
                return;
            }
            let error = Segment::unlink(&name);
            assert!(matches!(error, Err(Error::Permission { .. }) | Ok(())), "{error:?}");
        });
    });
    child.unwrap().join().unwrap();
}

#[test]
fn sizes_and_capacities_out_of_reach_are_refused_and_leave_no_half_made_object() {
    alone(|| {
        leaves_nothing(|| {
            let name = Name::new("sizes");
            for bytes in [0, usize::MAX, usize::MAX - 4096, 1 << 62] {
                let errors = [
                    Segment::create(&name.0, bytes).unwrap_err(),
                    Segment::anonymous(bytes).unwrap_err(),
                    Segment::open_or_create(&name.0, bytes).unwrap_err(),
                ];
                for error in errors {
                    assert!(matches!(error, Error::BadSize { .. }), "{error}");
                    says(&error, &[&bytes.to_string(), "between 1 and", "are possible"]);
                }
            }
            assert!(!name.path().exists());
            let segment = Segment::anonymous(1 << 16).unwrap();
            queues_out_of_reach(&segment);
            let error = Value::create(&segment, "v", Plain([0u8; 1 << 19])).unwrap_err();
            assert!(matches!(error, Error::NoRoom { .. }), "{error}");
            says(&error, &["no room for", "is full", "make a larger segment"]);
            assert!(segment.objects().is_empty());
            // The names are free, and so is the memory.
            let _queue = Queue::<u64>::create(&segment, "q", 100).unwrap();
            let _value = Value::create(&segment, "v", 1u64).unwrap();
        });
    });
}

fn queues_out_of_reach(segment: &Segment) {
    use crossproc::crates::queue::Error;

    let error = Queue::<u64>::create(segment, "q", 0).unwrap_err();
    assert!(matches!(error, Error::ZeroCapacity), "{error}");
    says(&error, &["capacity 0", "can hold nothing", "between 1 and"]);
    let error = Queue::<u64>::bounded(usize::MAX).unwrap_err();
    assert!(matches!(error, Error::CapacityTooLarge { capacity: usize::MAX }), "{error}");
    says(&error, &[&usize::MAX.to_string(), "between 1 and"]);
    let wide = Queue::<String>::options().inline_bytes(usize::MAX / 4);
    let error = wide.create(segment, "q", 1 << 20).unwrap_err();
    assert!(matches!(error, Error::SizeOverflow { .. }), "{error}");
    says(&error, &["larger than memory can be", "fewer places or smaller items"]);
    let error = Queue::<u64>::create(segment, "q", 1 << 20).unwrap_err();
    says(&error, &["no room for", "make a larger segment"]);
}
