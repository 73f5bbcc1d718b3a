//! Byte vectors of 64 KiB and 1 MiB through a queue, beside a bare copy in and out; and in place.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use crossproc::Queue;
use crossproc::prelude::*;

use crate::figure::{Effort, Figure, Unit};
use crate::party::{Meeting, longest, threads, timed};

const SMALL: usize = 64 << 10;
const LARGE: usize = 1 << 20;
/// Places of the queue, and buffers of the ring beside it.
const PLACES: usize = 8;
/// Bytes that go through, at full effort.
const VOLUME: u64 = 8 << 30;
const IN_PLACE: u64 = 200_000;

/// How the bytes come into the queue and out of it.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Way {
    /// Copied into a reservation, and out of a reference into a buffer.
    Copied,
    /// `put` and `get` of a `Vec<u8>`, which is made anew on each side.
    Vec,
    /// Only the first and the last byte are touched.
    InPlace,
}

pub(super) fn rows() -> Vec<Figure> {
    let row = |key, what, unit, target, ours, reference| Figure {
        key,
        what,
        unit,
        target,
        ours,
        reference,
    };
    vec![
        row(
            "queue.64KiB.copied",
            "Queue<Vec<u8>>, 64 KiB, 1 x 1 processes, copied in and out in place; a ring of 8 buffers, threads",
            Unit::PerSecond,
            0.8,
            |effort| queue(effort, SMALL, Way::Copied),
            |effort| Ok(ring(effort, SMALL)),
        ),
        row(
            "queue.1MiB.copied",
            "the same, 1 MiB",
            Unit::PerSecond,
            0.8,
            |effort| queue(effort, LARGE, Way::Copied),
            |effort| Ok(ring(effort, LARGE)),
        ),
        row(
            "queue.64KiB.vec",
            "put and get of a Vec<u8> of 64 KiB; the same ring",
            Unit::PerSecond,
            0.3,
            |effort| queue(effort, SMALL, Way::Vec),
            |effort| Ok(ring(effort, SMALL)),
        ),
        row(
            "queue.in_place",
            "reserve, commit, borrow, release of 1 MiB; of 4 KiB",
            Unit::Nanoseconds,
            1.3,
            |effort| in_place(effort, LARGE),
            |effort| in_place(effort, 4096),
        ),
    ]
}

fn queue(effort: &Effort, bytes: usize, way: Way) -> anyhow::Result<f64> {
    let (queue, meeting) = (Queue::<Vec<u8>>::bounded(PLACES)?, Meeting::new(0)?);
    let n = effort.operations(VOLUME / bytes as u64);
    let mut parties = Vec::new();
    for party in 0..2 {
        let arguments = (meeting.clone(), party, queue.clone(), n, bytes, way);
        parties.push(spawn(arguments, transfer)?);
    }
    Ok(n as f64 / longest(parties)? * 1e9)
}

fn in_place(effort: &Effort, bytes: usize) -> anyhow::Result<f64> {
    let (queue, meeting) = (Queue::<Vec<u8>>::bounded(PLACES)?, Meeting::new(0)?);
    let n = effort.operations(IN_PLACE);
    let mut parties = Vec::new();
    for party in 0..2 {
        let arguments = (meeting.clone(), party, queue.clone(), n, bytes, Way::InPlace);
        parties.push(spawn(arguments, transfer)?);
    }
    Ok(longest(parties)? / n as f64)
}

fn transfer(
    meeting: Meeting,
    party: u32,
    queue: Queue<Vec<u8>>,
    n: u64,
    bytes: usize,
    way: Way,
) -> Result<u64, Failure> {
    let mut mine = vec![7_u8; bytes];
    timed(&meeting, 2, party, || {
        for number in 0..n {
            let mark = number.to_le_bytes()[0];
            match (party, way) {
                (0, Way::Vec) => queue.put(vec![mark; bytes])?,
                (_, Way::Vec) => assert_eq!(queue.get()?[bytes - 1], mark),
                (0, _) => {
                    let mut room = queue.reserve_bytes(bytes)?;
                    if way == Way::Copied {
                        room.write_at(0, &mine);
                    }
                    room.write_at(0, &[mark]);
                    room.write_at(bytes - 1, &[mark]);
                    room.commit()?;
                }
                _ => {
                    let item = queue.get_bytes_ref()?;
                    let (mut first, mut last) = ([0], [0]);
                    item.read_at(0, &mut first);
                    item.read_at(bytes - 1, &mut last);
                    assert_eq!((first, last), ([mark], [mark]));
                    if way == Way::Copied {
                        item.read_at(0, &mut mine);
                    }
                    item.release()?;
                }
            }
        }
        std::hint::black_box(&mine);
        Ok(())
    })
}

/// What the copies cost alone: threads that spin, and buffers of one process.
fn ring(effort: &Effort, bytes: usize) -> f64 {
    let n = effort.operations(VOLUME / bytes as u64);
    let buffers: Arc<[Mutex<Vec<u8>>]> = (0..PLACES).map(|_| Mutex::new(vec![0; bytes])).collect();
    let full: Vec<AtomicU32> = (0..PLACES).map(|_| AtomicU32::new(0)).collect();
    let nanoseconds = threads(2, |party| {
        let mut mine = vec![7_u8; bytes];
        for at in (0..n).map(|number| usize::try_from(number).unwrap_or(0) % PLACES) {
            while full[at].load(Ordering::Acquire) != party {
                std::hint::spin_loop();
            }
            if let Ok(mut buffer) = buffers[at].lock() {
                match party {
                    0 => buffer.copy_from_slice(&mine),
                    _ => mine.copy_from_slice(&buffer),
                }
            }
            full[at].store(1 - party, Ordering::Release);
        }
        std::hint::black_box(&mine);
    });
    n as f64 / nanoseconds * 1e9
}
