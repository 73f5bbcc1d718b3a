//! `Condvar`, `Semaphore` and `Event` beside bare futexes.

mod condvar;
mod event;
mod semaphore;

use crate::figure::Figure;

pub(super) fn rows() -> Vec<Figure> {
    [semaphore::rows(), condvar::rows(), event::rows()].into_iter().flatten().collect()
}
