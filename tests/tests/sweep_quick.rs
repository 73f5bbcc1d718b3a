//! The sweep tool as others run it: its own test, and its options.

use std::process::{Command, Output};

use tests::sweep::Row;

fn sweep(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sweep")).args(arguments).output().expect("the tool starts")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn each_deliberate_fault_turns_the_sweep_red_and_the_sound_twin_is_green() {
    let output = sweep(&["--self-test"]);
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn a_name_that_no_operation_has_is_a_usage_error() {
    let output = sweep(&["--only", "no such operation"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
}

#[test]
fn each_form_is_swept_alone_where_it_is_asked_for() {
    for form in ["kill", "interleave", "stop"] {
        let output =
            sweep(&["--quick", "--json", "--form", form, "--only", "try_lock + unlock, free"]);
        assert!(output.status.success(), "{form}: {}", text(&output));
        let rows: Vec<Row> = serde_json::from_slice(&output.stdout).expect("a list of rows");
        assert!(!rows.is_empty(), "{form}: no rows");
        for row in rows {
            assert_eq!(row.form.to_string(), form, "{row}");
            assert!(row.kills + row.stops > 2, "{row}");
        }
    }
}
