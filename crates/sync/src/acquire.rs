//! Acquiring a [`raw::Lock`](crate::raw::Lock) of a segment, and giving it back: for every handle
//! that has one inside.
//!
//! The shape of the wait is the one of `crossproc_segment::wait`: try, spin a little with loads
//! only, mark the word, sleep on that exact word, look again; ask after the owner when a slice has
//! passed or a death was told.

use core::hint;
use core::mem;
use std::io::Write as _;

use crossproc_segment::wait::{Blocker, Look, Rest, Sleeper, Spin, deadlocks};
use crossproc_segment::{Me, Object, Segment};
use crossproc_sys::clock::Deadline;
use crossproc_sys::futex;

use crate::error::{LockFailure, NotHeld};
use crate::raw::{Claim, Holder, Lock, News, Released, Word};

/// Acquires the lock; sleeps while others hold it, until `deadline`.
///
/// # Errors
///
/// `Deadlock`, `Corrupt`, or `Timeout`.
#[inline]
pub fn acquire(
    lock: &Lock,
    segment: &Segment,
    spin: &Spin,
    me: Holder,
    deadline: Option<Deadline>,
) -> Result<News, LockFailure> {
    acquire_by(lock, segment, spin, me, || deadline)
}

/// As [`acquire`], for a deadline that is made only if the lock is not free at once.
///
/// # Errors
///
/// As [`acquire`].
#[inline]
pub fn acquire_by(
    lock: &Lock,
    segment: &Segment,
    spin: &Spin,
    me: Holder,
    deadline: impl FnOnce() -> Option<Deadline>,
) -> Result<News, LockFailure> {
    if lock.try_claim(me) {
        return Ok(News::Released);
    }
    contend(lock, segment, spin, me, deadline())
}

#[cold]
#[inline(never)]
fn contend(
    lock: &Lock,
    segment: &Segment,
    spin: &Spin,
    me: Holder,
    deadline: Option<Deadline>,
) -> Result<News, LockFailure> {
    if let Ok(settled) = settle(lock.claim(me, false)) {
        return settled;
    }
    let mut looks = Looks::default();
    let spun = spin.until(|| if looks.is_due() { look(lock, me) } else { None });
    match spun {
        Some(Spun::Claimed(news)) => Ok(news),
        Some(Spun::Sleep) | None => wait(lock, segment, me, deadline),
    }
}

/// Which turns of a spin look at the word: the 1st, 2nd, 4th and so on, then each
/// [`GAP`](Self::GAP)th.
///
/// A look takes the word's cache line from the owner, who needs it to let go. Two processes in a
/// tight loop make 53 M/s looking at every turn, and 135 M/s like this.
#[derive(Default)]
struct Looks {
    turn: u32,
    next: u32,
}

impl Looks {
    const GAP: u32 = 64;
    /// Turns of one who was woken.
    const FOLLOW: u32 = 200;

    fn is_due(&mut self) -> bool {
        let due = self.turn == self.next;
        if due {
            self.next += self.next.clamp(1, Self::GAP);
        }
        self.turn += 1;
        due
    }
}

/// Why a spin ended.
enum Spun {
    Claimed(News),
    /// It is of no use to spin on.
    Sleep,
}

fn look(lock: &Lock, me: Holder) -> Option<Spun> {
    let word = lock.word();
    if word.has_waiters() {
        // Whoever is asleep came first; spinning on would only take the lock from under them.
        return Some(Spun::Sleep);
    }
    if word.owner().is_some() {
        return None;
    }
    match lock.claim(me, false) {
        Claim::Done(news) => Some(Spun::Claimed(news)),
        Claim::Held(_) => None,
        // Told by `wait`.
        Claim::Mine | Claim::Corrupt => Some(Spun::Sleep),
    }
}

/// What a claim means for the one who made it; the word if another holds the lock.
fn settle(claim: Claim) -> Result<Result<News, LockFailure>, Word> {
    match claim {
        Claim::Done(news) => Ok(Ok(news)),
        Claim::Mine => Ok(Err(LockFailure::Deadlock)),
        Claim::Corrupt => Ok(Err(LockFailure::Corrupt)),
        Claim::Held(word) => Err(word),
    }
}

fn wait(
    lock: &Lock,
    segment: &Segment,
    me: Holder,
    deadline: Option<Deadline>,
) -> Result<News, LockFailure> {
    let mut sleeper = Sleeper::new(segment, deadline);
    let mut rest = Rest::Look;
    let mut unreported = cfg!(debug_assertions);
    loop {
        sleeper.arm(lock.futex(), Blocker::Owner);
        let seen = match settle(lock.claim(me, true)) {
            Ok(settled) => return settled,
            Err(seen) => seen,
        };
        if rest != Rest::Look && succeed(lock, segment, me, seen) {
            return Ok(News::Died);
        }
        if rest == Rest::Ask && unreported {
            unreported = !report_deadlock(segment);
        }
        // Also before leaving: the wake that came last may have been this thread's.
        let Some(word) = lock.announce(seen) else {
            if sleeper.is_restless() {
                return Err(LockFailure::Timeout);
            }
            continue;
        };
        if rest == Rest::TimedOut {
            return Err(LockFailure::Timeout);
        }
        rest = sleeper.sleep(lock.futex(), word.bits());
        if rest == Rest::Look {
            if let Some(news) = follow(lock, me) {
                return Ok(news);
            }
        }
    }
}

/// For one who was woken: whoever woke it may have taken the lock again since, and gives it back the next
/// moment. To sleep at once would cost that one another wake.
///
/// Also by a thread that may use one processor only, where the owner may not run meanwhile: most that are pinned
/// are pinned to different ones.
fn follow(lock: &Lock, me: Holder) -> Option<News> {
    let mut looks = Looks::default();
    for _ in 0..Looks::FOLLOW {
        if looks.is_due() && lock.word().owner().is_none() {
            if let Claim::Done(news) = lock.claim(me, true) {
                return Some(news);
            }
        }
        hint::spin_loop();
    }
    None
}

/// In debug builds: says so if this thread is in a deadlock with others of any process, whose last
/// one to fall asleep is the one that finds it.
#[cold]
fn report_deadlock(segment: &Segment) -> bool {
    let mine = deadlocks(&[segment]).into_iter().find(|cycle| cycle.is_mine(segment));
    if let Some(cycle) = &mine {
        // In one piece: the others of the ring say the same.
        let _ = std::io::stderr().write_all(format!("crossproc: {cycle}\n").as_bytes());
    }
    mine.is_some()
}

/// Takes the lock over if the owner that `seen` names is dead.
fn succeed(lock: &Lock, segment: &Segment, me: Holder, seen: Word) -> bool {
    seen.owner().is_some_and(|owner| !segment.alive(owner)) && lock.take_over(seen, me)
}

/// Acquires the lock if it is free or its owner dead. Never blocks.
///
/// # Errors
///
/// `WouldBlock`, `Deadlock` or `Corrupt`.
#[inline]
pub fn try_acquire(lock: &Lock, segment: &Segment, me: Holder) -> Result<News, LockFailure> {
    if lock.try_claim(me) {
        return Ok(News::Released);
    }
    try_contend(lock, segment, me)
}

#[cold]
fn try_contend(lock: &Lock, segment: &Segment, me: Holder) -> Result<News, LockFailure> {
    match settle(lock.claim(me, false)) {
        Ok(settled) => settled,
        Err(seen) if succeed(lock, segment, me, seen) => Ok(News::Died),
        Err(_) => Err(LockFailure::WouldBlock),
    }
}

/// Whether an acquisition would come back at once; with [`Look::Repair`] the owner is asked after.
#[must_use]
pub fn is_ready(lock: &Lock, segment: &Segment, me: Me, look: Look) -> bool {
    let word = lock.word();
    match word.owner() {
        None => true,
        Some(_) if !word.is_valid() || lock.is_held_by(Holder::of(me, segment)) => true,
        Some(owner) => look == Look::Repair && !segment.alive(owner),
    }
}

/// Whether this process holds the lock.
#[inline]
#[must_use]
pub fn is_held_here(lock: &Lock, me: Me) -> bool {
    lock.word().owner().is_some_and(|owner| me.is_member(owner))
}

/// Keeps this process a member for good if it holds the lock and `object`, the lock's, has no other
/// handle: then a guard was leaked, which is to hold the lock until the process ends.
#[inline]
pub fn stay_if_held(lock: &Lock, me: Me, object: &Object) {
    if is_held_here(lock, me) && object.is_last() {
        mem::forget(object.segment().clone());
    }
}

/// Gives the lock back and wakes a sleeper. With `poison` the next owner is told of a panic.
///
/// # Errors
///
/// [`NotHeld`] if the word is not the caller's any more; it is left as it is.
#[inline]
pub fn release(lock: &Lock, me: Holder, poison: bool) -> Result<(), NotHeld> {
    match lock.release(me, poison) {
        Released::Quiet => Ok(()),
        Released::Wake => {
            wake(lock);
            Ok(())
        }
        Released::NotHeld(_) => Err(NotHeld),
    }
}

#[cold]
fn wake(lock: &Lock) {
    futex::wake(lock.futex(), 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_become_rare() {
        let mut looks = Looks::default();
        let due: Vec<u32> = (0..300).filter(|_| looks.is_due()).collect();
        assert_eq!(due, [0, 1, 2, 4, 8, 16, 32, 64, 128, 192, 256]);
    }
}
