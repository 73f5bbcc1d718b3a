//! Functions, their arguments, and what they give back.

use std::collections::BTreeMap;
use std::thread;

use crossproc_process::{Process, current_name, parent, spawn};

crossproc_process::test_init!();

fn none() -> u32 {
    1
}

fn two(text: String, number: u32) -> String {
    format!("{text}{number}")
}

fn same<T>(value: T) -> T {
    value
}

fn nested(levels: u32) -> Vec<String> {
    let mut names = vec![current_name().to_owned()];
    if levels > 0 {
        let handle = spawn((levels - 1,), nested).expect("it starts");
        names.extend(handle.join().expect("it returns"));
    }
    names
}

#[test]
fn functions_of_up_to_eight_arguments_run_in_another_process() {
    assert_eq!(spawn((), none).unwrap().join().unwrap(), 1);
    assert_ne!(spawn((), std::process::id).unwrap().join().unwrap(), std::process::id());
    assert_eq!(spawn(("a".to_owned(), 7), two).unwrap().join().unwrap(), "a7");
    assert_eq!(spawn(("generic".to_owned(),), same).unwrap().join().unwrap(), "generic");
    let sum = spawn((1, 2, 3, 4, 5, 6, 7, 8), |a: i32, b: i32, c: i32, d: i32, e, f, g, h: i64| {
        i64::from(a + b + c + d + e + f + g) + h
    });
    assert_eq!(sum.unwrap().join().unwrap(), 36);
}

#[test]
fn any_serde_type_crosses() {
    let map: BTreeMap<String, Option<(u8, f64)>> =
        [("a".to_owned(), None), ("b".to_owned(), Some((1, 0.5)))].into();
    assert_eq!(spawn((map.clone(),), same).unwrap().join().unwrap(), map);
    let failed = spawn((), || "x".parse::<u32>().map_err(|error| error.to_string()));
    assert_eq!(failed.unwrap().join().unwrap(), Err("invalid digit found in string".to_owned()));
}

#[test]
fn large_arguments_and_results_wait_for_nobody() {
    for bytes in [0, 32_000, 33_000, 300_000, 20_000_000] {
        let data: Vec<u8> = (0..=250).cycle().take(bytes).collect();
        let handle = spawn((data.clone(),), same).unwrap();
        // The result is not taken before the process has ended.
        handle.wait().unwrap();
        assert!(!handle.is_alive());
        assert!(handle.join().unwrap() == data, "{bytes} bytes");
    }
}

#[test]
fn children_have_children() {
    let names = Process::builder().name("top").spawn((2,), nested).unwrap().join().unwrap();
    assert_eq!(names.len(), 3);
    assert_eq!(names[0], "top");
    assert!(names[1].starts_with("process-") && names[1].ends_with(":1"), "{names:?}");
    assert_eq!(names[2], format!("{}:1", names[1]));
}

#[test]
fn many_threads_start_processes_at_once() {
    let starters: Vec<_> = (0..8u64)
        .map(|n| thread::spawn(move || spawn((n,), |n| n * n).unwrap().join().unwrap()))
        .collect();
    for (n, starter) in (0..8).zip(starters) {
        assert_eq!(starter.join().unwrap(), n * n);
    }
}

#[test]
fn a_process_knows_its_name_and_its_parent() {
    let handle = Process::builder().name("a rather long name").spawn((), || {
        let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
        (current_name().to_owned(), parent().unwrap(), comm)
    });
    let handle = handle.unwrap();
    assert_eq!(handle.name(), "a rather long name");
    let pid = handle.pid();
    assert_ne!(pid, std::process::id());
    let (name, parent, comm) = handle.join().unwrap();
    assert_eq!(name, "a rather long name");
    assert_eq!((parent.name(), parent.pid()), ("main", std::process::id()));
    assert_eq!(comm, "a rather long n\n");
}

#[test]
fn the_environment_is_the_parents_with_what_is_set() {
    let builder = Process::builder().env("CROSSPROC_TEST", "set").env_remove("PATH");
    let seen = builder.spawn((), || {
        let own = std::env::vars().any(|(key, _)| key == "CROSSPROC_CHILD");
        (std::env::var("CROSSPROC_TEST").ok(), std::env::var("PATH").ok(), own)
    });
    assert_eq!(seen.unwrap().join().unwrap(), (Some("set".to_owned()), None, false));
}

#[test]
fn standard_input_is_empty() {
    let read = spawn((), || std::io::read_to_string(std::io::stdin()).unwrap());
    assert_eq!(read.unwrap().join().unwrap(), "");
}
