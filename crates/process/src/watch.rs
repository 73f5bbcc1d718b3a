//! How a child ends with its parent.
//!
//! A thread sleeps until the parent is gone, and ends the process then: at once if it is a daemon,
//! after [`GRACE`] otherwise, so that a function that is nearly done can finish. Two things tell
//! it, whichever comes first:
//! - the parent's pidfd, opened before the parent could be replaced: when the process ends;
//! - the socket, whose other end the parent keeps until this process has ended: when the parent
//!   became another program by `exec`, or lives in a pid namespace that is closed to us.
//!
//! `PR_SET_PDEATHSIG` would need no thread, but it fires when the *thread* ends that started this
//! process, and programs start processes from threads that come and go.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use crossproc_sys::pidfd::PidFd;
use crossproc_sys::{poll, process, socket};

use crate::current;

/// How long a process that is no daemon may go on without its parent.
const GRACE: Duration = Duration::from_millis(500);

/// Exit code of a process that ended because its parent had. Nobody is left to see it.
pub(crate) const EXIT_ORPHANED: i32 = 71;

/// What becomes of this process when its parent is gone: one of the three below.
static POLICY: AtomicU8 = AtomicU8::new(GET_DONE);

/// It ends after [`GRACE`]. So it does before the parent's last words are read.
const GET_DONE: u8 = 0;

/// It ends at once.
const END: u8 = 1;

/// Nothing.
const LIVE_ON: u8 = 2;

/// The thread needs next to nothing; the system makes of it the least that it allows.
const STACK_BYTES: usize = 16 << 10;

/// The parent as a child sees it.
pub(crate) struct Parent {
    pid: u32,
    pidfd: Option<&'static PidFd>,
}

impl Parent {
    /// Finds the parent at the other end of `socket`. `None` if it has ended already.
    pub(crate) fn find(socket: BorrowedFd<'_>) -> Option<Self> {
        let pid = socket::peer_cred(socket).map_or(0, |peer| peer.pid);
        if pid == 0 {
            return Some(Self { pid, pidfd: None });
        }
        let pidfd = PidFd::open(pid);
        // As long as it is our parent it lives. So if it is so after the descriptor was opened, the
        // descriptor means it, and no other process that got its pid.
        if process::parent() != pid {
            return None;
        }
        Some(Self { pid, pidfd: pidfd.ok().map(current::set_parent) })
    }

    /// Its process id here; 0 if it has none here.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Starts the watch: from here on this process ends when the parent is gone.
    pub(crate) fn watch(self, socket: Arc<OwnedFd>) -> io::Result<()> {
        let watch = move || {
            // It makes no difference which of the two it was. An error is as good as its end: a
            // process that cannot be watched must not run on.
            let _ = poll::readable_or_gone(self.pidfd.map(AsFd::as_fd), socket.as_fd());
            // ORDERING: none needed; each value is right at any time after the parent's end.
            if POLICY.load(Relaxed) != END {
                thread::sleep(GRACE);
            }
            // ORDERING: as above; what the parent had said is known by now.
            if POLICY.load(Relaxed) == LIVE_ON {
                return;
            }
            process::exit_now(EXIT_ORPHANED)
        };
        // Signals are the business of the function's own threads.
        process::without_signals(|| {
            let thread = thread::Builder::new().name("crossproc-watch".to_owned());
            thread.stack_size(STACK_BYTES).spawn(watch)
        })
        .map(drop)
    }
}

/// Says what is to become of this process when the parent is gone.
pub(crate) fn set_policy(is_daemon: bool, is_orphan: bool) {
    let policy = match (is_daemon, is_orphan) {
        (_, true) => LIVE_ON,
        (false, false) => GET_DONE,
        (true, false) => END,
    };
    // ORDERING: none needed, see `watch`.
    POLICY.store(policy, Relaxed);
}
