//! The storm tool as others run it: a short one, its report, its options.

use std::process::{Command, Output};

fn storm(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_storm")).args(arguments).output().expect("the tool starts")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_short_storm_over_a_queue_is_green_and_says_what_it_did() {
    let output = storm(&["--minutes", "0.03", "--seed", "5", "--json", "--only", "queue-words"]);
    assert!(output.status.success(), "{}", text(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["seed"], 5);
    assert_eq!(report["slices"].as_array().map(Vec::len), Some(1), "{report}");
    let all = &report["totals"][1];
    assert_eq!(all["arena"], "all");
    assert!(all["operations"].as_u64() > Some(0), "{report}");
    assert!(all["kills"].as_u64() > Some(0), "{report}");
}

#[test]
fn a_name_that_no_arena_has_is_a_usage_error() {
    let output = storm(&["--only", "no such arena"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
}

#[test]
fn no_time_is_a_usage_error() {
    for minutes in ["0", "-1", "NaN"] {
        let output = storm(&[&format!("--minutes={minutes}")]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    }
}
