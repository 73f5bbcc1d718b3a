//! The main job, run as a real process tree: totals, deaths, wrong usage, Ctrl-C, leftovers.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crossproc_sys::clock::Deadline;
use crossproc_sys::pidfd::PidFd;
use serde_json::Value as Json;

const FILES: usize = 10_200;

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }
}

/// A tree of small files, some larger ones, links that must not be followed and a pipe.
fn tree() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for file in 0..FILES {
        let directory = root.path().join(format!("d{}/e{}", file % 37, file % 11));
        fs::create_dir_all(&directory).unwrap();
        let words = if file % 500 == 0 { 20_000 } else { random.next(60) };
        let mut text = Vec::new();
        for _ in 0..words {
            let word = random.next(5000);
            let separator = b" \n\t-.,;"[random.next(7) as usize];
            let name: &str = if word % 3 == 0 { "Wort" } else { "w\u{f6}rd" };
            text.extend_from_slice(format!("{name}{word}").as_bytes());
            text.push(separator);
        }
        fs::write(directory.join(format!("f{file}")), text).unwrap();
    }
    std::os::unix::fs::symlink(root.path(), root.path().join("loop")).unwrap();
    std::os::unix::fs::symlink("d0/e0/f0", root.path().join("link")).unwrap();
    let pipe = Command::new("mkfifo").arg(root.path().join("pipe")).status().unwrap();
    assert!(pipe.success());
    root
}

/// What one process counts, written without regard to how the program does it.
#[derive(Debug, PartialEq, Eq)]
struct Plain {
    files: u64,
    bytes: u64,
    words: u64,
    distinct: u64,
    top: Vec<(String, u64)>,
}

fn plain(root: &Path) -> Plain {
    let (mut files, mut bytes) = (0, 0);
    let mut counts: HashMap<String, u64> = HashMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                directories.push(entry.path());
            } else if kind.is_file() {
                let text = fs::read(entry.path()).unwrap();
                files += 1;
                bytes += text.len() as u64;
                let in_word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || *b >= 128;
                for word in text.split(|b| !in_word(b)).filter(|word| !word.is_empty()) {
                    let word = String::from_utf8_lossy(&word.to_ascii_lowercase()).into_owned();
                    *counts.entry(word).or_default() += 1;
                }
            }
        }
    }
    let words = counts.values().sum();
    let distinct = counts.len() as u64;
    let mut top: Vec<_> = counts.into_iter().collect();
    top.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    top.truncate(10);
    Plain { files, bytes, words, distinct, top }
}

fn pipeline() -> Command {
    Command::new(env!("CARGO_BIN_EXE_pipeline"))
}

fn start(root: &Path, workers: u32, more: &[&str]) -> Child {
    let mut command = pipeline();
    command.arg(root).args(["--json", "--workers"]).arg(workers.to_string()).args(more);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Checks the end of a run and reads its JSON.
fn result(output: &Output) -> (Plain, Json) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let json: Json = serde_json::from_slice(&output.stdout).unwrap();
    let number = |key: &str| json[key].as_u64().unwrap_or_else(|| panic!("{key} in {json}"));
    let top = json["top"].as_array().unwrap().iter().map(|entry| {
        let word = entry["word"].as_str().unwrap().to_owned();
        (word, entry["count"].as_u64().unwrap())
    });
    let plain = Plain {
        files: number("files"),
        bytes: number("bytes"),
        words: number("words"),
        distinct: number("distinct"),
        top: top.collect(),
    };
    (plain, json)
}

/// The processes that `pid` has started and not reaped.
fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

#[test]
fn totals_are_those_of_one_process_with_any_number_of_workers_and_any_deaths() {
    let root = tree();
    let expected = plain(root.path());
    assert_eq!(expected.files, FILES as u64);
    for workers in [1, 2, 8] {
        let (found, json) = result(&start(root.path(), workers, &[]).wait_with_output().unwrap());
        assert_eq!(found, expected, "{workers} workers");
        assert_eq!(
            (json["deaths"].as_u64(), json["workers"].as_u64()),
            (Some(0), Some(workers.into()))
        );
    }
    // Killed from outside, whenever it happens to be.
    let child = start(root.path(), 2, &[]);
    let ended = PidFd::open(child.id()).unwrap();
    let mut random = Random(7);
    loop {
        let pause = Deadline::after(Duration::from_millis(5 + random.next(46)));
        if ended.wait(Some(pause)).unwrap() {
            break;
        }
        let workers = children(child.id());
        if let Some(&victim) = workers.get(random.next(workers.len().max(1) as u64) as usize) {
            if let Ok(victim) = PidFd::open(victim) {
                let _ = victim.signal(libc::SIGKILL);
            }
        }
    }
    let (found, _) = result(&child.wait_with_output().unwrap());
    assert_eq!(found, expected, "with workers killed from outside");
    let (found, json) = result(&start(root.path(), 8, &["--chaos"]).wait_with_output().unwrap());
    assert_eq!(found, expected, "with --chaos, {json}");
}

#[test]
fn the_table_is_for_people_and_stdout_holds_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("a"), "One two two").unwrap();
    let output = pipeline().arg(root.path()).args(["--workers", "1"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    let squeezed: Vec<String> =
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(squeezed[0], "files 1");
    assert!(squeezed.contains(&"2 two".to_owned()), "{text}");
}

#[test]
fn what_cannot_be_read_is_reported_and_not_fatal() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("good"), "x").unwrap();
    fs::write(root.path().join("gone"), "y").unwrap();
    // Root reads everything; a file that vanishes cannot be timed. A directory that cannot be
    // listed can be made even for root only by removing it meanwhile, so: a name that is no file.
    let output = pipeline().arg(root.path().join("good")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot read"));
    let output = pipeline().arg(root.path().join("missing")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for arguments in [&["--workers", "0"][..], &["--workers", "many"], &["--no-such-option"]] {
        let output = pipeline().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn ctrl_c_ends_all_with_130_and_leaves_nothing() {
    let root = tree();
    let segments = || fs::read_dir("/dev/shm").unwrap().count();
    let before = segments();
    let child = start(root.path(), 3, &[]);
    let pid = child.id();
    // Interrupted as soon as it has workers.
    let workers = loop {
        let workers = children(pid);
        if workers.len() == 3 {
            break workers;
        }
        std::thread::yield_now();
    };
    let watched: Vec<_> = workers.iter().filter_map(|&pid| PidFd::open(pid).ok()).collect();
    PidFd::open(pid).unwrap().signal(libc::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty());
    for worker in watched {
        assert!(worker.wait(Some(Deadline::after(Duration::from_secs(10)))).unwrap());
    }
    assert_eq!(segments(), before);
}

#[test]
fn workers_end_when_the_parent_is_killed() {
    let root = tree();
    let mut child = start(root.path(), 2, &[]);
    let workers = loop {
        let workers = children(child.id());
        if workers.len() == 2 {
            break workers;
        }
        std::thread::yield_now();
    };
    let watched: Vec<_> = workers.iter().filter_map(|&pid| PidFd::open(pid).ok()).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    for worker in watched {
        assert!(worker.wait(Some(Deadline::after(Duration::from_secs(10)))).unwrap());
    }
}
