//! Telling those who sleep on words that a child process has ended.
//!
//! `wait_any` sleeps on words only, and the kernel tells the end of a process by a descriptor. So a
//! thread of this process, started when somebody first waits for a child and something else, polls
//! the descriptors of those children and turns the end of one into a changed word. Whoever never
//! waits so pays nothing.
//!
//! | word of a child | means |
//! |---|---|
//! | 0 | it runs, as far as the thread knows |
//! | 1 | it has ended |

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossproc_sys::eventfd::EventFd;
use crossproc_sys::{fork, poll, process};
use parking_lot::Mutex;

use crate::running::Running;

/// Between looks where the kernel does not wait for us.
const PAUSE: Duration = Duration::from_millis(100);

/// The thread of this process, and which incarnation of it that belongs to: a forked child has
/// none.
static WATCHER: Mutex<Option<Arc<Watcher>>> = Mutex::new(None);

struct Watcher {
    incarnation: u32,
    /// Raised when there is another child to be watched.
    news: EventFd,
    added: Mutex<Vec<Arc<Running>>>,
}

/// From now on the child's word tells of its end.
///
/// # Errors
///
/// No descriptors or threads left.
pub(crate) fn tell(child: &Arc<Running>) -> io::Result<()> {
    // A child that is forked meanwhile must not find the watcher locked.
    fork::without_fork(|| hand_over(child))
}

fn hand_over(child: &Arc<Running>) -> io::Result<()> {
    let mut current = WATCHER.lock();
    let watcher = match &*current {
        Some(watcher) if watcher.incarnation == fork::incarnation() => Arc::clone(watcher),
        _ => Watcher::start()?,
    };
    watcher.added.lock().push(Arc::clone(child));
    watcher.news.raise();
    *current = Some(watcher);
    Ok(())
}

impl Watcher {
    fn start() -> io::Result<Arc<Self>> {
        let (incarnation, news) = (fork::incarnation(), EventFd::new()?);
        let watcher = Arc::new(Self { incarnation, news, added: Mutex::default() });
        let own = Arc::clone(&watcher);
        let thread = thread::Builder::new().name("crossproc-ends".to_owned());
        // Signals are the business of the program's own threads.
        process::without_signals(|| thread.spawn(move || own.run()))?;
        Ok(watcher)
    }

    fn run(&self) {
        let mut children: Vec<Arc<Running>> = Vec::new();
        loop {
            let fds: Vec<BorrowedFd<'_>> =
                [self.news.as_fd()].into_iter().chain(children.iter().map(AsFd::as_fd)).collect();
            match poll::any_readable(&fds, None) {
                Ok(Some(0)) if self.news.clear() => children.append(&mut self.added.lock()),
                Ok(Some(index @ 1..)) => {
                    // Not ended, it is traced, or its descriptor was closed under us: its sleepers
                    // look by themselves now and then.
                    let child = children.swap_remove(index - 1);
                    if child.has_ended() {
                        child.tell_end();
                    }
                }
                // Our own descriptor was closed under us, or there is no memory: as above.
                _ => thread::sleep(PAUSE),
            }
        }
    }
}
