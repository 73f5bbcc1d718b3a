//! The tool for hostile bytes as others run it: its own test, some rounds, and its options.

use std::process::{Command, Output};

fn hostile(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hostile")).args(arguments).output().expect("the tool starts")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn each_fault_of_a_structure_that_believes_what_it_reads_is_found() {
    let output = hostile(&["--self-test"]);
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn some_rounds_of_everything_do_no_harm() {
    let output = hostile(&["--minutes", "0.1", "--seed", "11"]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains(" 0 failures"), "{}", text(&output));
}

#[test]
fn a_name_that_nothing_has_is_a_usage_error() {
    let output = hostile(&["--only", "no such thing"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
}
