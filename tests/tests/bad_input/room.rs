//! No room: in `/dev/shm`, in a segment, for descriptors.

use std::time::Duration;

use crossproc::crates::process::Error as ProcessError;
use crossproc::crates::segment::Error;
use crossproc::{
    GetError, JoinError, Lock, Process, PutError, Queue, Segment, TryGetError, TryPutError, spawn,
};
use tests::scarce::FewDescriptors;
use tests::stage::{Stage, role};
use tests::traces::{leaves_nothing, own_names};

use crate::segments::Name;
use crate::{alone, says};

#[test]
fn more_than_there_is_of_memory_is_refused_before_any_of_it_is_taken() {
    alone(|| {
        leaves_nothing(|| {
            let name = Name::new("large");
            let bytes = 200 << 30;
            let errors = [
                Segment::create(&name.0, bytes).unwrap_err(),
                Segment::anonymous(bytes).unwrap_err(),
            ];
            for error in errors {
                assert!(matches!(error, Error::NoSpace { .. }), "{error}");
                says(&error, &["cannot reserve", "there is not that much room"]);
            }
            assert!(own_names().is_empty());
        });
    });
}

#[test]
fn a_full_dev_shm_is_an_error_and_no_sigbus() {
    if role().is_none() {
        let mounts = "mount -t tmpfs -o size=8m tmpfs /dev/shm";
        if let Some(stage) = Stage::new(tests::test_name!()).with_mounts(mounts) {
            stage.play();
        }
        return;
    }
    leaves_nothing(|| {
        let mut made = Vec::new();
        let error = loop {
            let name = Name::new(&format!("full-{}", made.len()));
            match Segment::create(&name.0, 1 << 20) {
                Ok(segment) => made.push((name, segment)),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::NoSpace { .. }), "{error}");
        says(&error, &["cannot reserve", "`df -h /dev/shm`", "raise its shm size"]);
        assert!((1..8).contains(&made.len()), "{}", made.len());
        assert_eq!(own_names().len(), made.len(), "nothing half-made has a name");
        // What was made can be used to its last byte.
        for (_, segment) in &made {
            let queue = Queue::<Vec<u8>>::create(segment, "q", 4).unwrap();
            let mut bytes = 1 << 20;
            while bytes > 4096 {
                match queue.try_put(vec![0xa5; bytes]) {
                    Ok(()) => {}
                    Err(TryPutError::Full(_)) => break,
                    Err(TryPutError::OutOfMemory { .. }) => bytes /= 2,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        // What could not be made took nothing: after one goes, there is room for one again.
        made.pop();
        let name = Name::new("again");
        drop(Segment::create(&name.0, 1 << 20).unwrap());
    });
}

#[test]
fn an_item_that_is_too_large_comes_back() {
    alone(|| {
        leaves_nothing(|| {
            let limited = Queue::<String>::options().max_message_bytes(100).bounded(2).unwrap();
            let item = "x".repeat(200);
            let error = limited.put(item.clone()).unwrap_err();
            assert!(matches!(error, PutError::TooLarge { limit: 100, .. }), "{error}");
            says(&error, &["longer than the 100 bytes", "raise `max_message_bytes`"]);
            assert_eq!(error.into_item(), item);
            assert_eq!(limited.len(), 0);

            let segment = Segment::anonymous(1 << 20).unwrap();
            let queue = Queue::<Vec<u8>>::create(&segment, "q", 4).unwrap();
            let error = queue.try_put(vec![7; 3 << 20]).unwrap_err();
            assert!(matches!(error, TryPutError::OutOfMemory { .. }), "{error}");
            says(&error, &["no room for a message of", "make it larger, or take items out first"]);
            assert_eq!(error.into_item(), vec![7; 3 << 20]);
            // Room that is taken by other items comes back with them.
            queue.put(vec![1; 600 << 10]).unwrap();
            let error = queue.put_timeout(vec![2; 600 << 10], Duration::ZERO).unwrap_err();
            assert!(matches!(error, TryPutError::OutOfMemory { .. }), "{error}");
            assert_eq!(queue.get().unwrap(), vec![1; 600 << 10]);
            queue.put(error.into_item()).unwrap();
            assert_eq!(queue.get().unwrap(), vec![2; 600 << 10]);
            assert!(matches!(queue.try_get(), Err(TryGetError::Empty)));
        });
    });
}

#[test]
fn without_descriptors_no_segment_is_made_or_opened() {
    alone(|| {
        leaves_nothing(|| {
            let (name, other) = (Name::new("few"), Name::new("none"));
            // Made before, but not open here any more.
            drop(Segment::create(&name.0, 1 << 16).unwrap());
            let attempt = |what| match what {
                "anonymous" => Segment::anonymous(1 << 16),
                "open" => Segment::open(&name.0),
                _ => Segment::create(&other.0, 1 << 16),
            };
            for what in ["anonymous", "open", "create"] {
                let enough = (0..10).find(|&few| {
                    let limited = FewDescriptors::leave(few);
                    let answer = attempt(what);
                    drop(limited);
                    let Err(error) = answer else { return true };
                    assert!(matches!(error, Error::Descriptors { .. }), "{what}: {error}");
                    says(&error, &["no descriptor is left", "`ulimit -n`"]);
                    false
                });
                assert!(enough.is_some_and(|enough| enough > 0), "{what}: {enough:?}");
                assert_eq!(other.path().exists(), what == "create", "{what}");
            }
        });
    });
}

#[test]
fn without_descriptors_no_process_is_started() {
    alone(|| {
        spawn((), || ()).unwrap().join().unwrap();
        leaves_nothing(|| {
            let enough = (0..20).find(|&few| {
                let limited = FewDescriptors::leave(few);
                let answer = spawn((), || 7);
                let joined = answer.map(|handle| handle.join().unwrap());
                drop(limited);
                match joined {
                    Ok(result) => {
                        assert_eq!(result, 7);
                        true
                    }
                    Err(error) => {
                        assert!(matches!(error, ProcessError::Descriptors { .. }), "{error}");
                        says(&error, &["no descriptor is left", "`ulimit -n`"]);
                        false
                    }
                }
            });
            assert!(enough.is_some_and(|enough| enough > 0), "{enough:?}");
        });
    });
}

#[test]
fn without_descriptors_an_item_with_a_handle_stays_in_the_queue() {
    // The handle's segment is one that the receiver must open.
    let segment = Segment::anonymous(1 << 16).unwrap();
    let queue = Queue::<Lock>::bounded(2).unwrap();
    let receiver = Process::builder().spawn((queue.clone(),), |queue| {
        let mut enough = None;
        for few in 0..10 {
            let before = tests::traces::descriptors();
            let limited = FewDescriptors::leave(few);
            let answer = queue.get();
            drop(limited);
            match answer {
                Ok(lock) => {
                    enough = Some(few);
                    assert!(lock.lock().is_ok());
                    break;
                }
                Err(GetError::Unreachable(error)) => {
                    assert!(matches!(error, Error::Descriptors { .. }), "{error}");
                    says(&error, &["no descriptor is left", "`ulimit -n`"]);
                    assert_eq!(tests::traces::descriptors(), before);
                }
                Err(error) => panic!("{error}"),
            }
        }
        enough
    });
    queue.put(Lock::new_in(&segment).unwrap()).unwrap();
    let enough = receiver.unwrap().join().unwrap();
    assert!(enough.is_some_and(|enough| enough > 0), "{enough:?}");
    assert!(queue.is_empty());
}

#[test]
fn a_child_that_lacks_descriptors_says_so_instead_of_running() {
    alone(|| {
        // The limit is inherited; the parent has a descriptor to spare, the child needs more.
        let segments: Vec<Segment> = (0..40).map(|_| Segment::anonymous(4096).unwrap()).collect();
        let limited = FewDescriptors::leave(12);
        let handle = spawn((segments,), |segments| segments.len());
        let joined = handle.map(crossproc::JoinHandle::join);
        drop(limited);
        match joined.unwrap() {
            Ok(count) => assert_eq!(count, 40),
            Err(error) => {
                assert!(matches!(error, JoinError::Unready { .. }), "{error}");
                says(&error, &["could not begin", "no descriptor is left"]);
            }
        }
    });
}
