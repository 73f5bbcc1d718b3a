//! A queue with two levels in the model's memory, and what threads do with it.

use core::ptr::NonNull;

use crossproc_queue::raw::{AtomicU64, Header, Levels, NoItem, Refused, Ring};
use crossproc_segment::MemberId;
use crossproc_segment::wait::port;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU32;
use loom::sync::atomic::Ordering::{Acquire, Release};
use loom::thread;

use super::shared::id;

pub(crate) const LOW: usize = 0;
pub(crate) const HIGH: usize = 1;

/// The words of one level.
struct Level {
    header: Box<Header>,
    slots: Box<[AtomicU64]>,
}

/// A queue with two levels in the model's memory; items are one word.
pub(crate) struct Queue {
    words: [Level; 2],
    capacity: u32,
    /// Places of each row behind the slots of the low level.
    ends: u32,
    /// The id of the member that is dead, or 0.
    dead: AtomicU32,
}

impl Queue {
    pub(crate) fn new(capacity: u32) -> Arc<Self> {
        Self::with_ends(capacity, 0)
    }

    /// One that counts the handles of so many members a side.
    pub(crate) fn with_ends(capacity: u32, ends: u32) -> Arc<Self> {
        let words = [LOW, HIGH].map(|level| {
            let rows = if level == LOW { 2 * ends } else { 0 };
            let slots = (0..capacity * 2 + rows).map(|_| AtomicU64::new(0)).collect();
            Level { header: Box::new(Header::new()), slots }
        });
        Arc::new(Self { words, capacity, ends, dead: AtomicU32::new(0) })
    }

    pub(crate) fn ring(&self, level: usize) -> Ring {
        let (of, base) = (&self.words[level], &self.words[LOW].header);
        let (header, slots) = (NonNull::from(&*of.header), NonNull::from(&of.slots[0]));
        // SAFETY: header and slots live as long as `self`, which outlives every use of the view.
        let ring = unsafe { Ring::new(header, slots, self.capacity, 2) };
        // SAFETY: as above.
        let ring = unsafe { ring.with_base(NonNull::from(&**base)) };
        // SAFETY: the rows are behind the slots of the low level, and nowhere else.
        unsafe { ring.with_ends(if level == LOW { self.ends } else { 0 }) }
    }

    pub(crate) fn levels(&self) -> Levels {
        Levels::new([self.ring(LOW), self.ring(HIGH)].into())
    }

    pub(crate) fn die(&self, who: MemberId) {
        // ORDERING: what the dead did is visible to who sees it dead, as the kernel grants.
        self.dead.store(who.get(), Release);
    }

    pub(crate) fn alive(&self, who: MemberId) -> bool {
        // ORDERING: see `die`.
        self.dead.load(Acquire) != who.get()
    }

    pub(crate) fn put(&self, me: u32, level: usize, value: u64) -> Result<(), Refused> {
        self.levels().admit()?;
        let ring = self.ring(level);
        ring.put_words(id(me), &[value])?;
        ring.items().notify_one();
        Ok(())
    }

    pub(crate) fn try_get(&self) -> Result<(usize, u64), NoItem> {
        let got = self.levels().take(|level| {
            let mut payload = [0];
            self.ring(level).take_words(&mut payload)?;
            Ok((level, payload[0]))
        });
        assert_ne!(got, Err(NoItem::Corrupt));
        got
    }

    /// The same by a hold, as larger items are taken.
    pub(crate) fn try_hold(&self, me: u32) -> Result<(usize, u64), NoItem> {
        self.levels().take(|level| {
            let ring = self.ring(level);
            let hold = ring.hold(id(me))?;
            let mut payload = [0];
            hold.read(&mut payload);
            assert_eq!(hold.commit(), Ok(()));
            Ok((level, payload[0]))
        })
    }

    /// What `PriorityQueue::get` does, with `block_on` in the middle; `None` if it is closed.
    pub(crate) fn get_by(
        &self,
        attempt: impl Fn() -> Result<(usize, u64), NoItem>,
    ) -> Option<(usize, u64)> {
        let attempt = || match attempt() {
            Err(NoItem::Empty | NoItem::Pending) => None,
            answer => Some(answer),
        };
        if let Some(answer) = attempt() {
            return answer.ok();
        }
        let levels = self.levels();
        let items = levels.items();
        let answer = 'woken: loop {
            let epoch = items.prepare();
            loop {
                if let Some(answer) = attempt() {
                    items.cancel(epoch);
                    break 'woken answer;
                }
                let Some(word) = items.still(epoch) else { break };
                port::wait(items.word(), word);
            }
            if let Some(answer) = attempt() {
                break answer;
            }
        };
        if items.has_waiters() {
            levels.wake_next_consumer();
        }
        answer.ok()
    }

    pub(crate) fn get(&self) -> Option<(usize, u64)> {
        self.get_by(|| self.try_get())
    }

    /// Everything that is left, when nobody else runs.
    pub(crate) fn drain(&self) -> Vec<(usize, u64)> {
        let mut all = Vec::new();
        loop {
            match self.try_get() {
                Ok(got) => all.push(got),
                Err(NoItem::Pending) => {
                    let repaired = [LOW, HIGH]
                        .map(|level| self.ring(level).repair_head(|who| self.alive(who)));
                    assert!(repaired.contains(&true));
                }
                Err(NoItem::Empty | NoItem::Closed) => return all,
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}

pub(crate) fn spawn<R: 'static>(
    queue: &Arc<Queue>,
    run: impl FnOnce(&Queue) -> R + 'static,
) -> thread::JoinHandle<R> {
    let queue = Arc::clone(queue);
    thread::spawn(move || run(&queue))
}
