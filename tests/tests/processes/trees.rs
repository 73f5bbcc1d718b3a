//! Processes that start processes: names, output, numbers of them, and where it ends.

use std::collections::BTreeSet;
use std::fs;
use std::thread;

use crossproc::crates::process::Error;
use crossproc::{
    Failure, JoinError, JoinHandle, Process, Queue, Segment, Value, cpu_count, current_name, spawn,
};
use tests::forked::fork;
use tests::stage::{Stage, role};
use tests::traces::own_name;

#[test]
fn many_processes_at_once_give_each_its_own_result() {
    let processes: Vec<JoinHandle<(u32, u32)>> =
        (0..100u32).map(|n| spawn((n,), |n| (n * n, std::process::id())).unwrap()).collect();
    let pids: BTreeSet<u32> = processes.iter().map(JoinHandle::pid).collect();
    assert_eq!(pids.len(), 100);
    // In the order that is least like the one in which they end.
    for (n, process) in (0..100u32).zip(processes).rev() {
        let pid = process.pid();
        assert_eq!(process.join().unwrap(), (n * n, pid));
    }
}

fn descend(level: u32) -> Result<u32, String> {
    match spawn((level + 1,), descend) {
        Ok(child) => child.join().map_err(|error| error.to_string())?,
        Err(error @ Error::TooDeep { .. }) => Err(format!("{level}: {error}")),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_function_that_starts_itself_without_an_end_is_stopped() {
    let told = descend(0).unwrap_err();
    assert!(told.starts_with("32: refusing to start a process 33 levels below"), "{told}");
    assert!(told.contains("does a function start itself without an end?"), "{told}");
}

#[test]
fn a_failure_travels_with_its_causes() {
    let open = |path: String| -> Result<u64, Failure> {
        let length = fs::metadata(&path)?.len();
        let segment = Segment::open("no-such-segment-of-any-test")?;
        Ok(length + segment.size() as u64)
    };
    let missing = spawn(("/no/such/file".to_owned(),), open).unwrap().join().unwrap().unwrap_err();
    assert!(missing.to_string().contains("No such file"), "{missing}");
    let missing =
        spawn(("/proc/self/stat".to_owned(),), open).unwrap().join().unwrap().unwrap_err();
    assert!(missing.to_string().contains("create() makes one"), "{missing}");
}

#[test]
fn names_are_seen_by_the_system_and_by_errors() {
    let builder = Process::builder().name("a-decoder-of-frames");
    let names = builder.spawn((), || {
        let comm = fs::read_to_string("/proc/self/comm").unwrap();
        (current_name().to_owned(), comm.trim_end().to_owned())
    });
    let expected = ("a-decoder-of-frames".to_owned(), "a-decoder-of-fr".to_owned());
    assert_eq!(names.unwrap().join().unwrap(), expected);
    let error = builder.spawn((), || -> () { panic!("on purpose") }).unwrap().join().unwrap_err();
    assert!(error.to_string().contains("\"a-decoder-of-frames\""), "{error}");
}

#[test]
fn what_is_printed_comes_once_whoever_forks_and_exits() {
    if role().is_some() {
        print!("from the first; ");
        let child = spawn((), || {
            print!("from the child; ");
            // A copy of a process has a copy of what it has not written yet, and must not write it.
            assert_eq!(fork(|| 0).wait(), 0);
            let grandchild = spawn((), || println!("from the grandchild"));
            grandchild.unwrap().join().unwrap();
        });
        child.unwrap().join().unwrap();
        return;
    }
    let text = Stage::new(tests::test_name!()).play();
    for whose in ["from the first", "from the child", "from the grandchild"] {
        assert_eq!(text.matches(whose).count(), 1, "{whose}: {text}");
    }
}

#[test]
fn a_program_without_standard_streams_starts_processes_too() {
    const SEGMENT: &str = "CROSSPROC_TEST_SEGMENT";
    if role().is_some() {
        let segment = Segment::open(&std::env::var(SEGMENT).unwrap()).unwrap();
        let value = Value::<u64>::open(&segment, "sum").unwrap();
        spawn((value.clone(), 40), |value, n| value.fetch_add(n)).unwrap().join().unwrap();
        value.fetch_add(spawn((2,), |n| n).unwrap().join().unwrap());
        return;
    }
    let name = own_name("streams");
    let segment = Segment::create(&name, 1 << 16).unwrap();
    let sum = Value::create(&segment, "sum", 0u64).unwrap();
    let stage = Stage::new(tests::test_name!()).env(SEGMENT, &name);
    let closed = stage.behind(&["sh", "-c", "exec \"$@\" <&- >&- 2>&-", "sh"]);
    let status = closed.command().status().unwrap();
    Segment::unlink(&name).unwrap();
    assert_eq!(sum.get(), 42, "{status}");
}

#[test]
fn a_copy_made_by_fork_does_not_answer_for_its_original() {
    let answers = Queue::<u32>::bounded(4).unwrap();
    let original = spawn((answers.clone(),), |answers| {
        let me = std::process::id();
        // SAFETY: the only other thread of this process waits.
        let pid = unsafe { libc::fork() };
        // Both of them come here, and return.
        answers.put(std::process::id()).unwrap();
        if pid > 0 {
            let mut status = 0;
            // SAFETY: there is room for the status.
            unsafe { libc::waitpid(pid, &raw mut status, 0) };
        }
        me
    })
    .unwrap();
    let pid = original.pid();
    assert_eq!(original.join().unwrap(), pid);
    let pids = BTreeSet::from([answers.get().unwrap(), answers.get().unwrap()]);
    assert!(pids.len() == 2 && pids.contains(&pid));
}

#[test]
fn threads_of_children_start_processes_at_the_same_time() {
    let sums: Vec<_> = (0..3u64)
        .map(|tens| {
            spawn((tens,), |tens| {
                let threads: Vec<_> = (0..4)
                    .map(|n| {
                        thread::spawn(move || {
                            spawn((tens * 10 + n,), |n| n).unwrap().join().unwrap()
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>()
            })
            .unwrap()
        })
        .collect();
    let sum: u64 = sums.into_iter().map(|child| child.join().unwrap()).sum();
    assert_eq!(sum, (10 + 20) * 4 + 3 * (1 + 2 + 3));
}

#[test]
fn one_of_many_that_dies_costs_nothing_but_itself() {
    let processes: Vec<_> = (0..12u32)
        .map(|n| {
            spawn((n,), |n| match n % 4 {
                0 => n,
                1 => panic!("number {n}, on purpose"),
                2 => std::process::abort(),
                _ => crossproc_sys::process::kill_self(9),
            })
            .unwrap()
        })
        .collect();
    for (n, process) in (0..12).zip(processes) {
        let joined = process.join();
        let expected = match (n % 4, &joined) {
            (0, Ok(result)) => *result == n,
            (1, Err(JoinError::Panicked { message, .. })) => message.contains(&n.to_string()),
            (2, Err(JoinError::Signalled { signal: 6, .. })) => true,
            (3, Err(JoinError::Signalled { signal: 9, .. })) => true,
            _ => false,
        };
        assert!(expected, "{n}: {joined:?}");
    }
}

#[test]
fn a_child_may_run_where_its_parent_may() {
    let own = cpu_count();
    assert_eq!(spawn((), cpu_count).unwrap().join().unwrap(), own);
}
