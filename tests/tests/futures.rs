//! Futures among processes: some block, some run tasks, and some are killed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

crossproc::test_init!();

#[path = "futures/forked.rs"]
mod forked;
#[path = "futures/killed.rs"]
mod killed;
#[path = "futures/pipes.rs"]
mod pipes;
#[path = "futures/queues.rs"]
mod queues;
#[path = "../../crates/queue/tests/tasks/mod.rs"]
mod tasks;

use crossproc::{JoinError, JoinHandle, Queue};
use tokio::runtime::{Builder, Runtime};

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

fn threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

fn kill<R: crossproc::Message + std::fmt::Debug>(child: JoinHandle<R>) {
    child.kill().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Signalled { signal: 9, .. })));
}

/// Waits for ever.
fn stand_still() {
    loop {
        let _ = Queue::<()>::bounded(1).unwrap().get();
    }
}
