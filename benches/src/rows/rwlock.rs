//! `RwLock` beside `std::sync::RwLock`.

use crate::figure::Figure;

pub(super) fn rows() -> Vec<Figure> {
    Vec::new()
}
