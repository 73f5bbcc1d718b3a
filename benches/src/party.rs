//! Two parties on two cores: processes for ours, threads for the peers that live in one process.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Instant;

use crossproc::prelude::*;
use crossproc_sys::process;

/// Pins the calling thread to the core of `party`: one core after the other, in turn. Where that
/// is not allowed it stays where it is.
pub fn pin(party: u32) {
    // SAFETY: a question to libc without arguments in memory.
    let online = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    let cores = usize::try_from(online).unwrap_or(1).max(1);
    let _ = process::pin(party as usize % cores);
}

/// Runs `body` in a thread of its own on the first core, so that the caller is not pinned.
///
/// # Errors
///
/// What `body` fails with, or that it panicked.
pub fn pinned<R: Send>(body: impl FnOnce() -> anyhow::Result<R> + Send) -> anyhow::Result<R> {
    let pinned = || {
        pin(0);
        body()
    };
    let joined = std::thread::scope(|scope| scope.spawn(pinned).join());
    joined.map_err(|_| anyhow::anyhow!("a measurement panicked"))?
}

/// A meeting point of processes: each waits, spinning, until all have come.
pub type Meeting = Value<u64>;

/// Waits until `parties` have come, with a yield now and then: there may be more than cores.
pub fn meet(meeting: &Meeting, parties: u64) {
    meeting.fetch_add(1);
    while meeting.get() < parties {
        std::thread::yield_now();
    }
}

/// Runs `parties` threads, each pinned, and returns the nanoseconds from their common start to
/// the end of the last.
pub fn threads(parties: u32, body: impl Fn(u32) + Sync) -> f64 {
    let came = AtomicU32::new(0);
    let longest = std::thread::scope(|scope| {
        let spawn = |party| {
            let (came, body) = (&came, &body);
            scope.spawn(move || {
                pin(party);
                came.fetch_add(1, SeqCst);
                while came.load(SeqCst) < parties {
                    std::thread::yield_now();
                }
                let begun = Instant::now();
                body(party);
                begun.elapsed()
            })
        };
        let threads: Vec<_> = (0..parties).map(spawn).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).max()
    });
    longest.map_or(f64::NAN, |time| time.as_nanos() as f64)
}

/// What a party process gives back: nanoseconds from the common start to its end.
pub type Party = JoinHandle<Result<u64, Failure>>;

/// In a party process: pins it, waits for the others, and times `body`.
///
/// # Errors
///
/// What `body` fails with.
pub fn timed(
    meeting: &Meeting,
    parties: u32,
    party: u32,
    body: impl FnOnce() -> Result<(), Failure>,
) -> Result<u64, Failure> {
    pin(party);
    meet(meeting, u64::from(parties));
    let begun = Instant::now();
    body()?;
    Ok(u64::try_from(begun.elapsed().as_nanos())?)
}

/// Joins party processes and returns the longest time.
///
/// # Errors
///
/// If one failed.
pub fn longest(parties: Vec<Party>) -> anyhow::Result<f64> {
    let mut longest = 0;
    for party in parties {
        let time = party.join()?.map_err(|failure| anyhow::anyhow!("{failure}"))?;
        longest = longest.max(time);
    }
    Ok(longest as f64)
}
