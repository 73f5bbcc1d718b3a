//! A program that forgets `init()`: told at once, nothing is started, and no chain of processes.
//!
//! This file has no `test_init!`, on purpose. What `init()` changes it changes for the process, so
//! each test runs in one of its own.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::env;
use std::fs;
use std::process::Command;

use crossproc::crates::process::Error;
use crossproc::{Process, spawn};
use tests::stage::{Stage, role};

/// Children that this process has, ended ones that nobody waited for included.
fn children() -> String {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    threads
        .map(|thread| {
            fs::read_to_string(thread.unwrap().path().join("children")).unwrap_or_default()
        })
        .collect()
}

#[test]
fn a_forgotten_init_is_told_at_once_and_nothing_is_started() {
    if role().is_none() {
        Stage::new(tests::test_name!()).play();
        return;
    }
    for error in [
        spawn((1,), |x: u32| x).unwrap_err(),
        Process::builder().name("x").daemon(true).spawn((), || ()).unwrap_err(),
    ] {
        assert!(matches!(error, Error::NotInitialised), "{error}");
        let text = error.to_string();
        assert!(text.contains("`crossproc::init();` as the first line of main"), "{text}");
        assert!(text.contains("`crossproc::test_init!();`"), "{text}");
    }
    assert_eq!(children(), "");
}

#[test]
fn a_child_that_gets_past_init_ends_when_it_would_start_another() {
    match role().as_deref() {
        None => {
            Stage::new(tests::test_name!()).role("careless").play();
        }
        Some(_) => {
            // As a program might do that wants to be clever.
            if env::var_os("CROSSPROC_CHILD").is_none() {
                crossproc::init();
            }
            let error = spawn((), || ()).unwrap_err();
            assert!(matches!(error, Error::EndedEarly { .. }), "{error}");
            let text = error.to_string();
            assert!(text.contains("exit code 70"), "{text}");
            assert!(text.contains("is `crossproc::init();` the first line of main?"), "{text}");
            assert_eq!(children(), "");
        }
    }
}

#[test]
fn a_child_that_loses_its_environment_ends_too() {
    match role().as_deref() {
        None => {
            Stage::new(tests::test_name!()).role("careless").play();
        }
        Some(_) => {
            // SAFETY: the test runner's only other thread waits for this one.
            unsafe { env::remove_var("CROSSPROC_CHILD") };
            crossproc::init();
            let error = spawn((), || ()).unwrap_err();
            assert!(matches!(error, Error::EndedEarly { .. }), "{error}");
            assert_eq!(children(), "");
        }
    }
}

#[test]
fn a_variable_that_leaked_does_no_harm() {
    match role().as_deref() {
        None => {
            let stage = Stage::new(tests::test_name!());
            for leaked in ["3:77:1:1", "0:1:0:0", "nonsense", ""] {
                let mut command: Command = stage.command();
                let output = command.env("CROSSPROC_CHILD", leaked).output().unwrap();
                let text = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success(), "{leaked:?}: {text}");
            }
        }
        Some(_) => {
            crossproc::init();
            assert_eq!(spawn((4,), |x: u32| x + 1).unwrap().join().unwrap(), 5);
        }
    }
}
