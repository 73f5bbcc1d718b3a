//! Blocking until a condition comes true that an eventcount tells of.

use crossproc_sys::clock::Deadline;

use super::eventcount::{Epoch, EventCount};
use super::ground::Ground;
use super::lookout;
use super::raw::Blocker;
use super::sleeper::{Rest, Sleeper};
use super::spin::Spin;
use crate::member::raw;
use crate::{MemberId, Segment};

/// How thoroughly an attempt is to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Is the condition true?
    Quick,
    /// The same, and if a claim of another process stands in the way: does that process live? If
    /// not, repair what it left. A system call; at the end of slices and after deaths only.
    Repair,
}

/// Blocks the calling thread until `attempt` returns something, or `deadline` passes.
///
/// `attempt` is called while spinning, then each time the thread has announced itself on
/// `eventcount`, was woken, or has slept for a slice. With [`Look::Repair`] it also has to ask
/// whether the owner of whatever stands in its way is alive. Whoever makes the condition true
/// must call [`notify_one`](EventCount::notify_one) or
/// [`notify_all`](EventCount::notify_all) on the same eventcount afterwards; should it be killed
/// before it does, the thread looks by itself when its slice ends: within 16 ms at first, later at
/// a rate that all sleepers of the segment share, and within 5 s at the latest. The death of any
/// member wakes the thread within 0.1 s.
///
/// Returns `None` when the deadline has passed, after a last attempt with [`Look::Repair`]. A wake
/// that came to this thread meanwhile is passed on.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use crossproc_segment::Segment;
/// use crossproc_segment::wait::{EventCount, Spin, block_on};
/// use crossproc_sys::clock::Deadline;
/// # let segment = Segment::anonymous(1 << 16)?;
/// # let shape = crossproc_segment::Shape::untyped("doc", 1);
/// let object = segment.construct(None, &shape, size_of::<EventCount>(), |_| ())?;
/// // SAFETY: zeroed memory is an eventcount, and the object outlives the reference.
/// let arrived = unsafe { object.body().cast::<EventCount>().as_ref() };
///
/// let soon = Deadline::after(Duration::from_millis(1));
/// let nothing = block_on(&segment, arrived, &Spin::new(), Some(soon), |_| None::<u32>);
/// assert_eq!(nothing, None);
/// # Ok::<(), crossproc_segment::Error>(())
/// ```
pub fn block_on<R>(
    segment: &Segment,
    eventcount: &EventCount,
    spin: &Spin,
    deadline: Option<Deadline>,
    mut attempt: impl FnMut(Look) -> Option<R>,
) -> Option<R> {
    if let Some(done) = spin.until(|| attempt(Look::Quick)) {
        return Some(done);
    }
    let mut sleeper = Sleeper::new(segment, deadline);
    loop {
        let epoch = eventcount.prepare();
        match sleep_out(&mut sleeper, eventcount, epoch, &mut attempt) {
            Out::Done(done) => return Some(done),
            // Woken: as a rule the condition is true by now, and needs no second announcement.
            Out::Moved => {
                if let Some(done) = attempt(Look::Quick) {
                    return Some(done);
                }
                if deadline.is_some_and(Deadline::has_passed) {
                    // The wake may have been this thread's, and it leaves without having used it.
                    eventcount.notify_one();
                    return attempt(Look::Repair);
                }
            }
            Out::Passed => return None,
        }
    }
}

/// How an announcement ended.
enum Out<R> {
    Done(R),
    /// The epoch moved.
    Moved,
    /// The deadline passed.
    Passed,
}

/// Looks and sleeps while the announcement of `epoch` stands.
fn sleep_out<R>(
    sleeper: &mut Sleeper<'_>,
    eventcount: &EventCount,
    epoch: Epoch,
    attempt: &mut impl FnMut(Look) -> Option<R>,
) -> Out<R> {
    let mut look = Look::Quick;
    loop {
        sleeper.arm(eventcount.word(), Blocker::Anyone);
        if let Some(done) = attempt(look) {
            eventcount.cancel(epoch);
            return Out::Done(done);
        }
        let Some(word) = eventcount.still(epoch) else { return Out::Moved };
        look = match sleeper.sleep(eventcount.word(), word) {
            Rest::Look => Look::Quick,
            Rest::Ask => Look::Repair,
            Rest::TimedOut => return last_attempt(eventcount, epoch, attempt),
        };
    }
}

fn last_attempt<R>(
    eventcount: &EventCount,
    epoch: Epoch,
    attempt: &mut impl FnMut(Look) -> Option<R>,
) -> Out<R> {
    let done = attempt(Look::Repair);
    if eventcount.still(epoch).is_some() {
        eventcount.cancel(epoch);
    } else if done.is_none() {
        // The wake may have been this thread's, and it leaves without having used it.
        eventcount.notify_one();
    }
    done.map_or(Out::Passed, Out::Done)
}

/// Tells those who wait for the dead member `dead`, and takes it out of the tables.
///
/// For a joiner, `me`, that finds the member table full and wants the entry of a dead member.
pub(crate) fn bury(segment: &Segment, me: MemberId, dead: MemberId) {
    // A joiner killed within its claim may have left an entry beyond those that are noted.
    segment.wait_table().note_member(raw::ENTRIES - 1);
    lookout::bury(&Ground::new(segment, me), &[dead], None);
}
