//! A pipe between processes beside `rtrb` between threads, a bare copy, and a bare round trip.

use std::os::fd::AsFd;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

use crossproc::Segment;
use crossproc::prelude::*;
use crossproc_sys::map::Mapping;

use super::round_trip::{Form, per_round, raw};
use crate::figure::{Effort, Figure, Unit};
use crate::party::{Meeting, longest, threads, timed};

/// What a pipe holds unless the options say otherwise: as many records of 16 bytes.
const CAPACITY: usize = 4096;
const ITEMS: u64 = 20_000_000;
/// Messages that the ring of a copy holds.
const SLOTS: usize = 4;
const BYTES_TO_COPY: u64 = 2 << 30;

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
            "pipe.8B",
            "pipe of u64 between two processes, send/recv; rtrb spinning, threads",
            Unit::PerSecond,
            0.9,
            small,
            rtrb_threads,
        ),
        row(
            "pipe.64K",
            "messages of 64 KiB, ring of 4, send_bytes/recv_into; bare copies through such a ring",
            Unit::PerSecond,
            0.8,
            |effort| large(effort, 64 << 10),
            |effort| copies(effort, 64 << 10),
        ),
        row(
            "pipe.1M",
            "the same with messages of 1 MiB",
            Unit::PerSecond,
            0.8,
            |effort| large(effort, 1 << 20),
            |effort| copies(effort, 1 << 20),
        ),
        row(
            "pipe.rtt.awake",
            "round trip over a pipe, 8 B, both awake; bare cache line",
            Unit::Nanoseconds,
            1.6,
            |effort| round_trip(effort, Form::Awake),
            |effort| raw(effort, Form::Awake),
        ),
        row(
            "pipe.rtt.asleep",
            "round trip over a pipe, both asleep each time; bare futex",
            Unit::Nanoseconds,
            1.1,
            |effort| round_trip(effort, Form::Asleep),
            |effort| raw(effort, Form::Asleep),
        ),
    ]
}

fn rate(n: u64, nanoseconds: f64) -> f64 {
    n as f64 / nanoseconds * 1e9
}

fn small(effort: &Effort) -> anyhow::Result<f64> {
    let ((tx, rx), meeting) = (Pipe::one_way::<u64>()?, Meeting::new(0)?);
    let n = effort.operations(ITEMS);
    let sending = spawn((meeting.clone(), tx, n), send_small)?;
    let receiving = spawn((meeting, rx, n), recv_small)?;
    Ok(rate(n, longest(vec![sending, receiving])?))
}

fn send_small(meeting: Meeting, tx: Sender<u64>, n: u64) -> Result<u64, Failure> {
    timed(&meeting, 2, 0, || (0..n).try_for_each(|item| Ok(tx.send(&item)?)))
}

fn recv_small(meeting: Meeting, rx: Receiver<u64>, n: u64) -> Result<u64, Failure> {
    timed(&meeting, 2, 1, || {
        let mut sum = 0u64;
        for _ in 0..n {
            sum = sum.wrapping_add(rx.recv()?);
        }
        std::hint::black_box(sum);
        Ok(())
    })
}

fn rtrb_threads(effort: &Effort) -> anyhow::Result<f64> {
    let n = effort.operations(ITEMS);
    let (tx, rx) = rtrb::RingBuffer::<u64>::new(CAPACITY);
    let (tx, rx) = (std::sync::Mutex::new(tx), std::sync::Mutex::new(rx));
    let nanoseconds = threads(2, |party| {
        if party == 0 {
            let Ok(mut tx) = tx.lock() else { return };
            for item in 0..n {
                while tx.push(item).is_err() {
                    std::hint::spin_loop();
                }
            }
        } else {
            let Ok(mut rx) = rx.lock() else { return };
            let mut sum = 0u64;
            for _ in 0..n {
                sum = sum.wrapping_add(loop {
                    match rx.pop() {
                        Ok(item) => break item,
                        Err(_) => std::hint::spin_loop(),
                    }
                });
            }
            std::hint::black_box(sum);
        }
    });
    Ok(rate(n, nanoseconds))
}

fn large(effort: &Effort, bytes: usize) -> anyhow::Result<f64> {
    let pipe = Pipe::<()>::options().capacity(SLOTS * bytes).one_way::<()>()?;
    let ((tx, rx), meeting) = (pipe, Meeting::new(0)?);
    let n = effort.operations(BYTES_TO_COPY / bytes as u64);
    let sending = spawn((meeting.clone(), tx, n, bytes), send_large)?;
    let receiving = spawn((meeting, rx, n, bytes), recv_large)?;
    Ok(rate(n, longest(vec![sending, receiving])?))
}

fn send_large(meeting: Meeting, tx: Sender<()>, n: u64, bytes: usize) -> Result<u64, Failure> {
    let message = vec![7; bytes];
    timed(&meeting, 2, 0, || (0..n).try_for_each(|_| Ok(tx.send_bytes(&message)?)))
}

fn recv_large(meeting: Meeting, rx: Receiver<()>, n: u64, bytes: usize) -> Result<u64, Failure> {
    let mut buffer = vec![0; bytes];
    timed(&meeting, 2, 1, || {
        for _ in 0..n {
            rx.recv_into(&mut buffer)?;
        }
        std::hint::black_box(&buffer);
        Ok(())
    })
}

/// A ring of slots in a segment made for it, and two counters on lines of their own.
struct Ring {
    map: Mapping,
    bytes: usize,
}

impl Ring {
    const COUNTERS: usize = 4096;

    fn of(segment: &Segment, bytes: usize) -> Result<Self, Failure> {
        Ok(Self { map: Mapping::shared(segment.as_fd(), segment.size())?, bytes })
    }

    /// What was put (0), what was taken (1).
    fn counter(&self, which: usize) -> &AtomicU64 {
        let last = self.map.len() - Self::COUNTERS;
        // SAFETY: the page lies inside the mapping.
        let at = unsafe { self.map.as_ptr().add(last + which * 128) };
        // SAFETY: aligned, mapped while `self` lives, and only touched as an atomic: nothing is ever
        // allocated in this segment.
        unsafe { at.cast::<AtomicU64>().as_ref() }
    }

    fn slot(&self, number: u64) -> *mut u8 {
        let last = self.map.len() - Self::COUNTERS;
        let slot = usize::try_from(number).unwrap_or(0) % SLOTS;
        // SAFETY: the slots lie before the counters, in a segment that is larger.
        unsafe { self.map.as_ptr().add(last - (slot + 1) * self.bytes) }.as_ptr()
    }

    fn put(&self, number: u64, message: &[u8]) {
        // ORDERING: the other side has read the slot.
        while number - self.counter(1).load(Acquire) >= SLOTS as u64 {
            std::hint::spin_loop();
        }
        // SAFETY: a slot is as long as a message, and this side's now.
        unsafe { std::ptr::copy_nonoverlapping(message.as_ptr(), self.slot(number), self.bytes) };
        // ORDERING: the slot is written.
        self.counter(0).store(number + 1, Release);
    }

    fn take(&self, number: u64, message: &mut [u8]) {
        // ORDERING: the slot is written.
        while self.counter(0).load(Acquire) <= number {
            std::hint::spin_loop();
        }
        let from = self.slot(number);
        // SAFETY: a slot is as long as a message, and this side's now.
        unsafe { std::ptr::copy_nonoverlapping(from, message.as_mut_ptr(), self.bytes) };
        // ORDERING: the slot was read.
        self.counter(1).store(number + 1, Release);
    }
}

fn copies(effort: &Effort, bytes: usize) -> anyhow::Result<f64> {
    let segment = Segment::anonymous((SLOTS + 1) * bytes + (1 << 16))?;
    let meeting = Meeting::new(0)?;
    let n = effort.operations(BYTES_TO_COPY / bytes as u64);
    let party = |party: u32| spawn((meeting.clone(), party, segment.clone(), n, bytes), copy);
    Ok(rate(n, longest(vec![party(0)?, party(1)?])?))
}

fn copy(
    meeting: Meeting,
    party: u32,
    segment: Segment,
    n: u64,
    bytes: usize,
) -> Result<u64, Failure> {
    let (ring, mut message) = (Ring::of(&segment, bytes)?, vec![7; bytes]);
    timed(&meeting, 2, party, || {
        for number in 0..n {
            if party == 0 {
                ring.put(number, &message);
            } else {
                ring.take(number, &mut message);
            }
        }
        std::hint::black_box(&message);
        Ok(())
    })
}

fn round_trip(effort: &Effort, form: Form) -> anyhow::Result<f64> {
    let ((a, b), meeting) = (Pipe::<u64, u64>::new()?, Meeting::new(0)?);
    let n = form.rounds(effort);
    let asking = spawn((meeting.clone(), a, n, form), ask)?;
    let answering = spawn((meeting, b, n, form), answer)?;
    per_round(longest(vec![asking, answering])?, n, form)
}

fn ask(meeting: Meeting, end: PipeEnd<u64, u64>, n: u64, form: Form) -> Result<u64, Failure> {
    timed(&meeting, 2, form.core(0), || {
        for round in 0..n {
            form.pause();
            end.send(&round)?;
            end.recv()?;
        }
        Ok(())
    })
}

fn answer(meeting: Meeting, end: PipeEnd<u64, u64>, n: u64, form: Form) -> Result<u64, Failure> {
    timed(&meeting, 2, form.core(1), || {
        for _ in 0..n {
            let item = end.recv()?;
            form.pause();
            end.send(&item)?;
        }
        Ok(())
    })
}
