//! `Queue` beside queues of others: `shaq` between processes, `crossbeam-channel` between threads.

use std::fs::File;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use crossbeam_channel::{Receiver, Sender};
use crossproc::prelude::*;
use shaq::mpmc::{Consumer, Producer};

use super::item::Item;
use super::queue::{CAPACITY, ITEMS, consume, processes};
use crate::figure::{Effort, Figure, Unit};
use crate::party::{Meeting, longest, threads, timed};

pub(super) fn rows() -> Vec<Figure> {
    let row = |key, what, target, ours, reference| Figure {
        key,
        what,
        unit: Unit::PerSecond,
        target,
        ours,
        reference,
    };
    vec![
        row(
            "queue.1x1.shaq",
            "Queue<u64>, 1 x 1 processes, put/get; shaq's MPMC, 1 x 1 processes, spinning",
            2.5,
            |effort| processes::<u64>(effort, 1, false),
            shaq,
        ),
        row(
            "queue.1x1.try.shaq",
            "the same through try_put/try_get",
            3.0,
            |effort| processes::<u64>(effort, 1, true),
            shaq,
        ),
        row(
            "queue.2x2.channel.8B",
            "Queue<u64>, 2 x 2 processes on 2 cores, put/get; crossbeam-channel bounded, threads",
            1.0,
            |effort| processes::<u64>(effort, 2, false),
            |effort| Ok(channel::<u64>(effort)),
        ),
        row(
            "queue.2x2.channel.64B",
            "the same with items of 64 bytes",
            1.0,
            |effort| processes::<[u64; 8]>(effort, 2, false),
            |effort| Ok(channel::<[u64; 8]>(effort)),
        ),
    ]
}

fn shaq(effort: &Effort) -> anyhow::Result<f64> {
    // SAFETY: a name that ends with a zero byte, and no memory that is written to.
    let fd = unsafe { libc::memfd_create(c"shaq".as_ptr(), libc::MFD_CLOEXEC) };
    anyhow::ensure!(fd >= 0, "no memfd: {}", std::io::Error::last_os_error());
    // SAFETY: just made, and nobody else's.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    let bytes = shaq::mpmc::minimum_file_size::<u64>(CAPACITY);
    // SAFETY: nobody else has the file yet.
    let first = unsafe { Producer::<u64>::create(&file, bytes) };
    let first = first.map_err(|error| anyhow::anyhow!("shaq: {error:?}"))?;
    let (meeting, n) = (Meeting::new(0)?, effort.operations(ITEMS));
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    let party = |party| spawn((meeting.clone(), party, path.clone(), n), transfer);
    let nanoseconds = longest(vec![party(0)?, party(1)?])?;
    drop(first);
    Ok(n as f64 / nanoseconds * 1e9)
}

fn transfer(meeting: Meeting, party: u32, path: String, n: u64) -> Result<u64, Failure> {
    let failed = |error| Failure::new(format!("shaq: {error:?}"));
    let file = File::options().read(true).write(true).open(path)?;
    if party == 0 {
        // SAFETY: the file is a queue of this type, which all reach through this library alone.
        let queue = unsafe { Producer::<u64>::join(&file) }.map_err(failed)?;
        return timed(&meeting, 2, party, || {
            for item in 0..n {
                while queue.try_write(item).is_err() {
                    std::hint::spin_loop();
                }
            }
            Ok(())
        });
    }
    // SAFETY: as above.
    let queue = unsafe { Consumer::<u64>::join(&file) }.map_err(failed)?;
    timed(&meeting, 2, party, || {
        consume(n, || {
            loop {
                match queue.try_read() {
                    Some(item) => return Ok(item),
                    None => std::hint::spin_loop(),
                }
            }
        })
    })
}

/// 2 x 2 threads, placed as our processes are.
fn channel<T: Item + Send>(effort: &Effort) -> f64 {
    let (sender, receiver): (Sender<T>, Receiver<T>) = crossbeam_channel::bounded(CAPACITY);
    let n = effort.operations(ITEMS) / 2;
    let nanoseconds = threads(4, |party| {
        // As our processes: on each core a producer and a consumer.
        crate::party::pin(party / 2 + party % 2);
        if party % 2 == 0 {
            // Until all have been received, or nobody receives any more.
            let _ = (0..n).try_for_each(|number| sender.send(T::of(number)));
        } else {
            let sum = (0..n).filter_map(|_| receiver.recv().ok()).map(|item| item.number());
            std::hint::black_box(sum.fold(0, u64::wrapping_add));
        }
    });
    (2 * n) as f64 / nanoseconds * 1e9
}
