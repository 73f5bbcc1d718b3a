//! `Queue<String>` of some 32 bytes beside those queues that users come from.
//!
//! Each item is a copy of one text: to write a number into it would be a third of our producer's time.

use std::process::{Command, Stdio};

use crossproc::Queue;
use crossproc::prelude::*;
use ipc_channel::ipc::{IpcOneShotServer, IpcSender};

use crate::figure::{Effort, Figure, Unit};
use crate::party::{Meeting, longest, timed};

const CAPACITY: usize = 1024;
const ITEMS: u64 = 1_000_000;
const PYTHON_ITEMS: u64 = 100_000;

/// One process puts, this one gets, and prints how many a second; each on a core of its own.
const PYTHON: &str = "
import multiprocessing, os, sys, time
def pin(core):
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})
def feed(queue, n):
    pin(1)
    text = '%032d' % n
    for _ in range(n):
        queue.put(text)
context = multiprocessing.get_context('fork')
queue = context.Queue()
n = int(sys.argv[1])
feeder = context.Process(target=feed, args=(queue, n + 1000))
feeder.start()
pin(0)
for _ in range(1000):
    queue.get()
begun = time.perf_counter()
for _ in range(n):
    queue.get()
print(n / (time.perf_counter() - begun))
feeder.join()
";

pub(super) fn rows() -> Vec<Figure> {
    let mut rows = vec![Figure {
        key: "queue.string.ipc-channel",
        what: "Queue<String>, 32 B, 1 x 1 processes, put/get; ipc-channel",
        unit: Unit::PerSecond,
        target: 8.0,
        ours: strings,
        reference: ipc_channel,
    }];
    if has_python() {
        rows.push(Figure {
            key: "queue.string.python",
            what: "the same; Python's multiprocessing.Queue",
            unit: Unit::PerSecond,
            target: 25.0,
            ours: strings,
            reference: python,
        });
    } else {
        eprintln!("no python3 here: queue.string.python is left out");
    }
    rows
}

fn has_python() -> bool {
    let mut asked = Command::new("python3");
    asked.args(["-c", "import multiprocessing.synchronize"]);
    asked.stdout(Stdio::null()).stderr(Stdio::null());
    asked.status().is_ok_and(|status| status.success())
}

fn python(effort: &Effort) -> anyhow::Result<f64> {
    let items = effort.operations(PYTHON_ITEMS).to_string();
    let output = Command::new("python3").args(["-c", PYTHON, &items]).output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let why = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "python3 failed: {why}");
    Ok(printed.trim().parse()?)
}

fn strings(effort: &Effort) -> anyhow::Result<f64> {
    let (queue, meeting) = (Queue::<String>::bounded(CAPACITY)?, Meeting::new(0)?);
    let n = effort.operations(ITEMS);
    let mut parties = Vec::new();
    for party in 0..2 {
        parties.push(spawn((meeting.clone(), party, queue.clone(), n), transfer)?);
    }
    Ok(n as f64 / longest(parties)? * 1e9)
}

/// The same between two processes by way of `ipc-channel`, which keeps as much under way as its
/// socket takes.
fn ipc_channel(effort: &Effort) -> anyhow::Result<f64> {
    let (names, meeting) = (Queue::<String>::bounded(1)?, Meeting::new(0)?);
    let n = effort.operations(ITEMS);
    let parties = vec![
        spawn((meeting.clone(), names.clone(), n), send_by_ipc)?,
        spawn((meeting, names, n), receive_by_ipc)?,
    ];
    Ok(n as f64 / longest(parties)? * 1e9)
}

fn send_by_ipc(meeting: Meeting, names: Queue<String>, n: u64) -> Result<u64, Failure> {
    let sender = IpcSender::<String>::connect(names.get()?)?;
    // The first message makes the connection.
    sender.send(String::new())?;
    timed(&meeting, 2, 0, || {
        let text = format!("{n:032}");
        (0..n).try_for_each(|_| Ok(sender.send(text.clone())?))
    })
}

fn receive_by_ipc(meeting: Meeting, names: Queue<String>, n: u64) -> Result<u64, Failure> {
    let (server, name) = IpcOneShotServer::<String>::new()?;
    names.put(name)?;
    let (receiver, _) = server.accept()?;
    timed(&meeting, 2, 1, || {
        let mut bytes = 0;
        for _ in 0..n {
            bytes += receiver.recv()?.len();
        }
        std::hint::black_box(bytes);
        Ok(())
    })
}

fn transfer(meeting: Meeting, party: u32, queue: Queue<String>, n: u64) -> Result<u64, Failure> {
    timed(&meeting, 2, party, || {
        if party == 0 {
            let text = format!("{n:032}");
            return (0..n).try_for_each(|_| Ok(queue.put(text.clone())?));
        }
        let mut bytes = 0;
        for _ in 0..n {
            bytes += queue.get()?.len();
        }
        std::hint::black_box(bytes);
        Ok(())
    })
}
