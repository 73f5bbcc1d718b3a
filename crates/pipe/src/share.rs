//! An end as its handles share it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};

use crate::end::{BORROWED, End, RESERVED};

/// A handle's share of an end, which is closed as the last of them goes.
///
/// A bridge reaches the end too while it looks, but must not keep it open: the process may exit
/// meanwhile, and the peer would take it for dead.
pub(crate) struct Share(Arc<End>);

impl Share {
    /// The first share.
    pub(crate) fn new(end: End) -> Self {
        Self::of(Arc::new(end))
    }

    fn of(end: Arc<End>) -> Self {
        end.shares.fetch_add(1, Relaxed);
        Self(end)
    }

    /// The end without a share in it.
    #[cfg(any(test, feature = "async"))]
    pub(crate) fn downgrade(&self) -> std::sync::Weak<End> {
        Arc::downgrade(&self.0)
    }
}

impl Clone for Share {
    fn clone(&self) -> Self {
        Self::of(Arc::clone(&self.0))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // ORDERING: what the other shares were used for is before the close.
        if self.0.shares.fetch_sub(1, AcqRel) == 1 && Arc::get_mut(&mut self.0).is_none() {
            // Nobody has a place in the rings, as a share would be borrowed for it.
            self.0.close(RESERVED | BORROWED);
        }
    }
}

impl Deref for Share {
    type Target = End;

    #[inline(always)]
    fn deref(&self) -> &End {
        &self.0
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use crate::Peer;

    #[test]
    fn the_last_handle_closes_the_end_though_somebody_looks_at_it() -> Result<(), crate::Error> {
        let (tx, rx) = crate::Pipe::one_way::<u64>()?;
        let space = tx.space();
        let looking = tx.end.downgrade().upgrade();
        assert!(looking.is_some());
        drop(tx);
        assert!(matches!(rx.peer(), Peer::Present(_)));
        drop(space);
        assert_eq!(rx.peer(), Peer::Closed);
        drop(looking);
        assert_eq!(rx.peer(), Peer::Closed);
        Ok(())
    }
}
