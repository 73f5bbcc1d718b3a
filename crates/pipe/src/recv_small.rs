//! Receiving items of a small fixed size, by the thread that mostly does it.

use std::ops::ControlFlow;

use crossproc_message::words::{Words, bytes_of, small};
use crossproc_message::{Message, decode};
use crossproc_segment::wait::{Look, Spin};

use crate::end::Inlet;
use crate::error::TryRecvError;
use crate::hand::Taking;
use crate::patience::Patience;
use crate::recv::Receiver;

/// What came of spinning.
enum Spun {
    Taken,
    /// Nothing, and the budget is spent.
    Spent,
    /// It would be of no use: the turn is not this thread's own, something else is there, or nothing
    /// can come.
    InVain,
}

impl<T: Message> Receiver<T> {
    #[inline(always)]
    pub(crate) fn recv_within(
        &self,
        patience: impl FnOnce() -> Patience,
    ) -> Result<T, TryRecvError> {
        let Some(bytes) = small::<T>() else { return self.recv_message(patience()) };
        let mut words = Words::empty(bytes);
        let more = !self.inlet().spin.streams();
        if self.take_at_once(bytes, words.of_mut(bytes), more) != ControlFlow::Break(Some(())) {
            return self.rarely_recv_small(patience());
        }
        self.inlet().view.space().notify_all();
        words.decode().map_err(TryRecvError::Malformed)
    }

    /// Only says that it is rare: what is cold itself is made small, and not fast.
    #[cold]
    #[inline(never)]
    fn rarely_recv_small(&self, patience: Patience) -> Result<T, TryRecvError> {
        self.recv_small(patience)
    }

    /// Looks for a small item once, but where none is known only if `look` says so. Breaks with one that
    /// it took, or without, if looking again would be of no use.
    ///
    /// No closure, which might not be inlined; then `bytes` would be no constant.
    #[inline(always)]
    fn take_at_once(&self, bytes: usize, words: &mut [u64], look: bool) -> ControlFlow<Option<()>> {
        let inlet = self.inlet();
        let Some(mut taking) = inlet.turn.at_once() else { return ControlFlow::Break(None) };
        if !look && !taking.knows_more() {
            return ControlFlow::Continue(());
        }
        if !self.end.is_ours() {
            return ControlFlow::Break(None);
        }
        if taking.take_words(&inlet.view, bytes as u64, words) {
            return ControlFlow::Break(Some(()));
        }
        if taking.knows_more() || self.end.look_for_more(Look::Quick) {
            return ControlFlow::Break(None);
        }
        ControlFlow::Continue(())
    }

    /// Waits for a small item as for any message, but looks for one first.
    #[inline(never)]
    fn recv_small(&self, patience: Patience) -> Result<T, TryRecvError> {
        let Some(bytes) = small::<T>() else { return self.recv_message(patience) };
        let mut words = Words::empty(bytes);
        let spun = match patience.is_none() {
            // Who only tries does not linger, and looks all the same.
            true => match self.take_at_once(bytes, words.of_mut(bytes), true) {
                ControlFlow::Break(Some(())) => Spun::Taken,
                _ => Spun::InVain,
            },
            false => self.spin_for(bytes, words.of_mut(bytes)),
        };
        match spun {
            Spun::Taken => {
                self.inlet().view.space().notify_all();
                words.decode().map_err(TryRecvError::Malformed)
            }
            Spun::Spent => self.recv_small_slowly(patience, &Spin::spent()),
            Spun::InVain => self.recv_small_slowly(patience, &self.inlet().spin),
        }
    }

    #[cold]
    #[inline(never)]
    fn recv_small_slowly(&self, patience: Patience, spin: &Spin) -> Result<T, TryRecvError> {
        let bytes = bytes_of::<T>();
        let mut words = Words::empty(bytes);
        let quick = |inlet: &Inlet, taking: &mut Taking| {
            let taken = taking.take_words(&inlet.view, bytes as u64, words.as_mut_slice());
            if taken {
                inlet.view.space().notify_all();
            }
            taken.then_some(None)
        };
        match self.receive_spinning(patience, spin, quick, |inlet, taking, next| {
            Ok(Some(taking.take_message(inlet, next)))
        })? {
            None => words.decode().map_err(TryRecvError::Malformed),
            Some((bytes, _)) => decode(&bytes.0, Vec::new()).map_err(TryRecvError::Malformed),
        }
    }

    /// Spins for a small item in turns of one look each, as long as they are this thread's own anyway:
    /// each is a few loads, while [`receive`](Self::receive) holds the turn, and ends it with a fence.
    #[inline(always)]
    fn spin_for(&self, bytes: usize, words: &mut [u64]) -> Spun {
        let inlet = self.inlet();
        if !inlet.spin.streams() {
            match self.take_at_once(bytes, words, true) {
                ControlFlow::Break(Some(())) => return Spun::Taken,
                ControlFlow::Break(None) => return Spun::InVain,
                ControlFlow::Continue(()) => {}
            }
        }
        let lingered = inlet.spin.linger();
        let mut spun = Spun::Spent;
        inlet.spin.until_break(|| {
            let look = self.take_at_once(bytes, words, true);
            match look {
                ControlFlow::Break(Some(())) => spun = Spun::Taken,
                ControlFlow::Break(None) => spun = Spun::InVain,
                ControlFlow::Continue(()) => {}
            }
            look
        });
        if lingered {
            let more = inlet.turn.at_once().is_some_and(|taking| taking.knows_more());
            inlet.spin.lingered(more);
            inlet.view.set_streams(inlet.spin.streams());
        }
        spun
    }
}
