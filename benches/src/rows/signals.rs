//! `Condvar`, `Semaphore` and `Event` beside bare futexes.

mod semaphore;

use crate::figure::Figure;

pub(super) fn rows() -> Vec<Figure> {
    semaphore::rows()
}
