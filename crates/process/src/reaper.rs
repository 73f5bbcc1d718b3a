//! Processes whose handles are gone.
//!
//! They run on, and are reaped when this process next starts or joins another one, so that a
//! program that starts processes and forgets them does not collect zombies: each call looks at up
//! to [`LOOKS`] of them, and no call adds more than one.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::running::Running;

/// How many processes one sweep looks at: a bound on what a spawn pays for others.
const LOOKS: usize = 16;

static DETACHED: Mutex<Detached> = Mutex::new(Detached { next: 0, processes: Vec::new() });

struct Detached {
    /// Where the next sweep goes on.
    next: usize,
    processes: Vec<Arc<Running>>,
}

/// Takes over a process that nobody will join.
pub(crate) fn adopt(process: &Arc<Running>) {
    if !process.has_ended() {
        DETACHED.lock().processes.push(Arc::clone(process));
    }
    sweep();
}

/// Reaps some of the processes that have ended. Never blocks.
pub(crate) fn sweep() {
    // Whoever holds it is sweeping.
    let Some(mut detached) = DETACHED.try_lock() else { return };
    for _ in 0..LOOKS.min(detached.processes.len()) {
        let index = if detached.next < detached.processes.len() { detached.next } else { 0 };
        if detached.processes[index].has_ended() {
            detached.processes.swap_remove(index);
            detached.next = index;
        } else {
            detached.next = index + 1;
        }
    }
}
