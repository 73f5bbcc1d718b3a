//! How processes end, and what their parent is told.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use crossproc_process::{JoinError, JoinHandle, Process, spawn};
use crossproc_sys::pidfd::PidFd;
use crossproc_sys::process;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

crossproc_process::test_init!();

const LONG: Duration = Duration::from_secs(60);

fn forever() {
    loop {
        thread::park();
    }
}

fn sleeper() -> JoinHandle<()> {
    spawn((), forever).expect("it starts")
}

#[test]
fn a_panic_comes_back_with_its_message_and_place() {
    let handle = spawn((3,), |n: u32| -> u32 { panic!("on purpose: {n}") }).unwrap();
    let pid = handle.pid();
    let error = handle.join().unwrap_err();
    let text = error.to_string();
    assert_eq!(error.who().pid, pid);
    let JoinError::Panicked { message, location, .. } = error else { panic!("{text}") };
    assert_eq!(message, "on purpose: 3");
    assert!(location.is_some_and(|place| place.contains("tests/ends.rs:")), "{text}");
    assert!(text.contains("panicked at ") && text.ends_with(": on purpose: 3"), "{text}");
}

#[test]
fn a_panic_with_a_long_message_comes_back() {
    for bytes in [40_000usize, 1 << 20] {
        // Without the hook, which would print it.
        let handle = spawn((bytes,), |bytes| -> u32 {
            std::panic::resume_unwind(Box::new("x".repeat(bytes)))
        });
        match handle.unwrap().join() {
            Err(JoinError::Panicked { message, .. }) => assert_eq!(message.len(), bytes),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_panic_with_any_value_comes_back() {
    let handle = spawn((), || -> u32 { std::panic::panic_any(7u8) }).unwrap();
    assert!(matches!(handle.join(), Err(JoinError::Panicked { .. })));
    let quiet = spawn((), || -> u32 { std::panic::resume_unwind(Box::new("quiet".to_owned())) });
    match quiet.unwrap().join() {
        Err(JoinError::Panicked { message, .. }) => assert_eq!(message, "quiet"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_caught_panic_is_nobodys_business() {
    let handle = spawn((), || std::panic::catch_unwind(|| panic!("caught")).is_err()).unwrap();
    assert!(handle.join().unwrap());
}

#[test]
fn the_exit_status_tells_of_a_panic() {
    let handle = spawn((), || -> () { panic!("on purpose") }).unwrap();
    assert_eq!(handle.exit_status().and_then(|status| status.signal()), None);
    handle.wait().unwrap();
    assert_eq!(handle.exit_status().and_then(|status| status.code()), Some(101));
}

#[test]
fn an_exit_of_its_own_comes_back_as_its_code() {
    for code in [0, 3, 255] {
        #[expect(clippy::exit, reason = "this is what is tested")]
        let handle = spawn((code,), |code| -> () { std::process::exit(code) }).unwrap();
        match handle.join() {
            Err(JoinError::Exited { code: found, .. }) => assert_eq!(found, code),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_signal_comes_back_as_its_number() {
    let abort = spawn((), || -> () { std::process::abort() }).unwrap();
    assert!(matches!(abort.join(), Err(JoinError::Signalled { signal: 6, .. })));
    let killed = spawn((), || -> () { process::kill_self(9) }).unwrap();
    assert!(matches!(killed.join(), Err(JoinError::Signalled { signal: 9, core: false, .. })));
}

#[test]
fn terminate_and_kill_end_a_process_and_do_nothing_afterwards() {
    let (terminated, killed) = (sleeper(), sleeper());
    terminated.terminate().unwrap();
    killed.kill().unwrap();
    terminated.wait().unwrap();
    killed.wait().unwrap();
    for (handle, signal) in [(terminated, 15), (killed, 9)] {
        assert!(!handle.is_alive());
        assert_eq!(handle.exit_status().and_then(|status| status.signal()), Some(signal));
        handle.terminate().unwrap();
        handle.kill().unwrap();
        match handle.join() {
            Err(JoinError::Signalled { signal: found, .. }) => assert_eq!(found, signal),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_join_that_is_too_early_gives_the_handle_back() {
    let handle = sleeper();
    let handle = handle.join_timeout(Duration::ZERO).unwrap_err();
    let handle = handle.join_timeout(Duration::from_millis(1)).unwrap_err();
    let handle = handle.join_deadline(Instant::now()).unwrap_err();
    assert!(!handle.wait_timeout(Duration::ZERO).unwrap());
    assert!(handle.is_alive());
    assert_eq!(handle.exit_status(), None);
    handle.kill().unwrap();
    let joined = handle.join_timeout(LONG).expect("it was killed");
    assert!(matches!(joined, Err(JoinError::Signalled { .. })));
}

#[test]
fn all_threads_that_wait_see_the_end() {
    let handle = sleeper();
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    handle.wait().unwrap();
                    (handle.is_alive(), handle.exit_status())
                })
            })
            .collect();
        handle.kill().unwrap();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), (false, Some(ExitStatus::from_raw(9))));
        }
    });
}

#[test]
fn a_status_that_other_code_took_is_missed_but_no_result_is() {
    let lost = sleeper();
    let other = PidFd::open(lost.pid()).unwrap();
    lost.kill().unwrap();
    other.reap(true).unwrap();
    assert!(!lost.is_alive());
    assert_eq!(lost.exit_status(), None);
    assert!(matches!(lost.join(), Err(JoinError::Lost { .. })));

    let kept = spawn((), || 7).unwrap();
    PidFd::open(kept.pid()).unwrap().reap(true).unwrap();
    assert_eq!(kept.join().unwrap(), 7);
}

#[test]
fn a_result_counts_even_if_the_process_is_killed_before_it_is_taken() {
    let handle = spawn((), || 7).unwrap();
    handle.wait().unwrap();
    handle.kill().unwrap();
    assert_eq!(handle.join().unwrap(), 7);
}

/// Fails where it is told to.
#[derive(Debug, PartialEq, Eq)]
enum Picky {
    Fine,
    NotWritten,
    NotRead,
}

impl Serialize for Picky {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fine => serializer.serialize_u8(0),
            Self::NotRead => serializer.serialize_u8(1),
            Self::NotWritten => Err(serde::ser::Error::custom("not written, on purpose")),
        }
    }
}

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            0 => Ok(Self::Fine),
            _ => Err(serde::de::Error::custom("not read, on purpose")),
        }
    }
}

#[test]
fn what_cannot_be_written_or_read_is_told_apart() {
    let not_sent = spawn((Picky::NotWritten,), |_| ()).unwrap_err().to_string();
    assert!(not_sent.contains("not written, on purpose"), "{not_sent}");

    let not_received = spawn((Picky::NotRead,), |_| ()).unwrap().join().unwrap_err();
    assert!(
        matches!(&not_received, JoinError::Arguments { reason, .. } if reason.contains("not read"))
    );

    let no_result = spawn((), || Picky::NotWritten).unwrap().join().unwrap_err();
    assert!(
        matches!(&no_result, JoinError::Result { reason, .. } if reason.contains("not written"))
    );

    let unread_result = spawn((), || Picky::NotRead).unwrap().join().unwrap_err();
    assert!(matches!(&unread_result, JoinError::Decode { .. }), "{unread_result}");

    assert_eq!(spawn((Picky::Fine,), |fine| fine).unwrap().join().unwrap(), Picky::Fine);
}

#[test]
fn a_name_or_variable_that_cannot_be_passed_on_is_refused() {
    let refused = [
        Process::builder().name("a\0b"),
        Process::builder().env("A=B", "x"),
        Process::builder().env("", "x"),
        Process::builder().env("A", "x\0y"),
        Process::builder().env("CROSSPROC_CHILD", "3:1:1:1"),
        Process::builder().env_remove("CROSSPROC_CHILD"),
    ];
    for builder in refused {
        let error = builder.spawn((), || ()).unwrap_err();
        assert!(matches!(error, crossproc_process::Error::Invalid { .. }), "{error}");
    }
}

/// Whether a process ignores all signals of `mask`; it may ignore more, as those that its parent's
/// shell had it ignore.
fn ignores(pid: u32, mask: u64) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.expect("a line of the kernel's");
    u64::from_str_radix(ignored.trim(), 16).expect("a mask") & mask == mask
}

#[test]
fn ctrl_c_can_be_left_to_the_parent() {
    let handle = Process::builder().ignore_interrupt(true).spawn((), forever).unwrap();
    let interrupt = PidFd::open(handle.pid()).unwrap();
    // The process has called the function when it can be seen to sleep; before that it may not
    // ignore the signal yet. A second signal that does end it shows that the first did not.
    while !ignores(handle.pid(), 1 << 12 | 1 << 1) {
        thread::yield_now();
    }
    interrupt.signal(2).unwrap();
    handle.terminate().unwrap();
    assert!(matches!(handle.join(), Err(JoinError::Signalled { signal: 15, .. })));
}
