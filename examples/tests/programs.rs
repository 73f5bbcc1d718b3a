//! The small programs, run as real process trees: what they print and how they end.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::{Command, Output};

fn run(program: &str) -> String {
    let output = Command::new(program).output().unwrap();
    let Output { status, stdout, stderr } = output;
    assert!(status.success(), "{program}: {status}\n{}", String::from_utf8_lossy(&stderr));
    assert!(stderr.is_empty(), "{program} wrote to stderr: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn cpu_count_prints_a_number_of_cpus() {
    let text = run(env!("CARGO_BIN_EXE_cpu_count"));
    let count: usize = text.split(' ').next().unwrap().parse().unwrap();
    assert!(count >= 1);
}

#[test]
fn five_workers_start_and_end_and_are_joined() {
    let text = run(env!("CARGO_BIN_EXE_workers"));
    for number in 0..5 {
        let at = |what: &str| {
            text.find(&format!("worker {number} {what}")).unwrap_or_else(|| panic!("{text}"))
        };
        assert!(at("starts") < at("ends"));
    }
    assert_eq!(text.matches(", pid ").count(), 5);
    assert_eq!(text.lines().last(), Some("all joined"));
}

#[test]
fn greet_greets_each() {
    let text = run(env!("CARGO_BIN_EXE_greet"));
    assert_eq!(sorted(&text), ["Hello, Ada!", "Hello, Barbara!", "Hello, Grace!", "Hello, world!"]);
}

#[test]
fn queue_pair_hands_all_over() {
    let text = run(env!("CARGO_BIN_EXE_queue_pair"));
    assert!(text.contains("produced 25 items"), "{text}");
    assert!(text.ends_with("the consumer's sum is 300\n"), "{text}");
}

#[test]
fn listener_answers_programs_that_know_its_name() {
    let text = run(env!("CARGO_BIN_EXE_listener"));
    let expected = [
        "3 words in \"who is there\", the longest is \"there\"",
        "6 words in \"and who is that over there\", the longest is \"there\"",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn queue_colors_come_out_in_order() {
    let text = run(env!("CARGO_BIN_EXE_queue_colors"));
    let expected = [
        "4 colours in the queue",
        "colour no 1: red",
        "colour no 2: green",
        "colour no 3: blue",
        "colour no 4: black",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn task_queue_does_each_task_once() {
    let text = run(env!("CARGO_BIN_EXE_task_queue"));
    let mut done: Vec<u32> = text
        .lines()
        .map(|line| {
            let rest = line.strip_prefix("Task no ").unwrap();
            let (number, worker) = rest.split_once(" is done by Process-").unwrap();
            assert!((1..=4).contains(&worker.parse::<u32>().unwrap()));
            number.parse().unwrap()
        })
        .collect();
    done.sort_unstable();
    assert_eq!(done, (0..10).collect::<Vec<_>>());
}

#[test]
fn shared_counter_is_exact() {
    let text = run(env!("CARGO_BIN_EXE_shared_counter"));
    assert_eq!(text.matches("40000").count(), 3, "{text}");
}
