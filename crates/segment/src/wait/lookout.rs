//! The look-out of a segment: one sleeper, the *watch*, finds out who has died and kicks those
//! whom it concerns.
//!
//! The watch is elected among the old sleepers by a CAS on its post (`raw`). It sleeps in slices
//! of its own, at whose end it lets the others see that it is there (`tick`) and finds the dead:
//!
//! - At first, for [`SETTLED`] ticks, it asks about some members in turn. Most waits end before.
//! - Then it has the kernel report closings of the segment's file (inotify): a process that dies
//!   or unmaps the segment causes one, a process that joins does not. After a report it asks about
//!   all members, [`SCANS`] times in a row. Without a report a tick costs next to nothing.
//! - Where no inotify instance is to be had it goes on as at first; a death is then noticed when
//!   its turn comes, and with a thousand members that takes half a second.
//!
//! The other sleepers look, at a rate that all of them share (`slices`), whether there is a watch
//! that lives and ticks, and take its post if not. A watch whose wait is over vacates the post and
//! kicks one recorded sleeper, which takes it.
//!
//! Closing an inotify instance waits for an RCU grace period of 15 to 20 ms, if it was in use a
//! moment ago. No caller of a wait should pay that, so the instance is only told to stop
//! (`events`), and closed later. A process that ends within 20 ms of its time as the watch takes so
//! much longer to be gone.

use crossproc_sys::clock;

use super::events::Events;
use super::ground::Ground;
use super::raw::{Post, Target};
use crate::MemberId;

const MS: u64 = 1_000_000;

/// A tick of a watch that is told of deaths.
const TICK_NS: u64 = 40 * MS;
/// A tick of a watch that must ask.
const ASKING_TICK_NS: u64 = 20 * MS;
/// How soon a watch goes on that has not asked about all members yet.
const UNFINISHED_NS: u64 = MS;
/// What the questions of one tick may take.
const QUESTIONS_NS: u64 = 400_000;
/// The same for a watch that knows that somebody died.
const PRESSING_QUESTIONS_NS: u64 = 5 * MS;
/// Questions between looks at the clock.
const QUESTIONS_AT_ONCE: usize = 8;
/// Ticks before a watch has itself told of deaths.
const SETTLED: u32 = 8;
/// Scans after a report: the kernel has never been seen to report before it drops the lock.
const SCANS: u32 = 3;
/// A watch whose tick stands still for so long is stopped.
const STOPPED_MS: u32 = 400;
/// Ticks after which the watch asks after its own blocker, whatever it has heard.
const ASK_EVERY: u32 = 8;

/// The duties of the sleeper that is the watch, and what it has for them.
#[derive(Debug)]
pub(crate) struct Watch {
    post: Post,
    record: usize,
    events: Option<Events>,
    ticks: u32,
    scans: u32,
    /// Members still to ask about in the scan in progress.
    unasked: usize,
    due_ns: u64,
}

/// What a tick says to the watch as a sleeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tick {
    /// Nothing that concerns it is known.
    Quiet,
    /// It must ask after its own blocker.
    Ask,
    /// Somebody took its post, as it was thought to be stopped; or it cannot do its duty any more.
    Deposed,
}

impl Watch {
    /// Takes the post if nobody has it, or its holder is dead or stopped.
    pub(crate) fn elect(ground: &Ground<'_>, record: usize, now_ns: u64) -> Option<Self> {
        let held = ground.waits.post();
        let is_there = held.holder().is_some_and(|id| {
            #[expect(clippy::cast_possible_truncation, reason = "compared modulo 2^32")]
            let now_ms = (now_ns / MS) as u32;
            ground.waits.stood_still(now_ms) < STOPPED_MS && ground.alive(id)
        });
        if is_there || !ground.can_ask() {
            return None;
        }
        let post = Post::new(record, ground.me);
        // First, so that nobody takes the new watch for one that has long stood still.
        ground.waits.tick();
        // commit: the exact holder that was judged is replaced.
        if !ground.waits.change_post(held, post) {
            return None;
        }
        Some(Self { post, record, events: None, ticks: 0, scans: 0, unasked: 0, due_ns: now_ns })
    }

    /// When the slice of the watch ends.
    pub(crate) fn due_ns(&self) -> u64 {
        self.due_ns
    }

    /// A slice has ended: shows that it is there, finds the dead, buries them.
    pub(crate) fn tick(&mut self, ground: &Ground<'_>) -> Tick {
        // Without the segment's descriptor (`closefrom`) everybody seems to live: another member is
        // to find the dead.
        if ground.waits.post() != self.post || !ground.can_ask() {
            return Tick::Deposed;
        }
        ground.waits.tick();
        self.ticks = self.ticks.wrapping_add(1);
        if self.ticks == SETTLED {
            self.events = Events::of(ground.fd);
            // Whoever died before the kernel was asked to report.
            self.scans = 1;
        }
        let dead = self.ask(ground);
        let mine = ground.waits.record(self.record).target();
        let concerned = concerns(ground, mine, &dead);
        if !dead.is_empty() {
            bury(ground, &dead, Some(self.record));
        }
        self.due_ns = clock::now_ns().saturating_add(self.pause_ns());
        if concerned || self.ticks % ASK_EVERY == 0 { Tick::Ask } else { Tick::Quiet }
    }

    /// Asks about as many members as this tick may; the dead among them, in order.
    fn ask(&mut self, ground: &Ground<'_>) -> Vec<MemberId> {
        let used = ground.waits.members_used().min(ground.members.entries.len());
        let allowed_ns = match &self.events {
            Some(events) => {
                if events.any() {
                    self.scans = SCANS;
                }
                if self.unasked == 0 && self.scans > 0 {
                    self.scans -= 1;
                    self.unasked = used;
                }
                PRESSING_QUESTIONS_NS
            }
            None => {
                self.unasked = used;
                QUESTIONS_NS
            }
        };
        self.scan(ground, used, allowed_ns)
    }

    fn scan(&mut self, ground: &Ground<'_>, used: usize, allowed_ns: u64) -> Vec<MemberId> {
        let mut dead = Vec::new();
        if self.unasked == 0 || used == 0 {
            return dead;
        }
        let until = clock::now_ns().saturating_add(allowed_ns);
        let mut index = ground.waits.cursor();
        let mut asked = 0usize;
        while self.unasked > 0 && (asked % QUESTIONS_AT_ONCE != 0 || clock::now_ns() < until) {
            index = if index < used { index } else { 0 };
            if let Some(id) = ground.member_at(index).filter(|&id| id != ground.me) {
                asked += 1;
                if !ground.alive(id) {
                    dead.push(id);
                }
            }
            index += 1;
            self.unasked -= 1;
        }
        ground.waits.set_cursor(index);
        dead.sort_unstable();
        dead
    }

    fn pause_ns(&self) -> u64 {
        match self.events {
            None => ASKING_TICK_NS,
            Some(_) if self.unasked > 0 => UNFINISHED_NS,
            Some(_) => TICK_NS,
        }
    }

    /// The watch's wait is over: vacates the post and has another sleeper take it.
    pub(crate) fn leave(self, ground: &Ground<'_>) {
        // Fails if it was deposed; then there is a watch already.
        if ground.waits.change_post(self.post, Post::VACANT) {
            call_another(ground, self.record);
        }
        if let Some(events) = self.events {
            events.retire();
        }
    }
}

/// Kicks one recorded sleeper, which finds the post vacant. Nobody asleep: the next one that looks
/// finds it.
fn call_another(ground: &Ground<'_>, mine: usize) {
    let sleeps = |&(index, record): &(usize, &super::raw::Record)| {
        index != mine && !record.target().is_none()
    };
    // From the own record on, so that the post goes round.
    let later = ground.waits.records().filter(|&(index, _)| index > mine);
    let earlier = ground.waits.records().filter(|&(index, _)| index < mine);
    let _ = later.chain(earlier).filter(sleeps).any(|(_, record)| record.kick());
}

/// Tells those who wait for the `dead` (sorted), and only then takes the dead out of the tables.
///
/// `mine` is a record not to be kicked. Any number of processes may bury the same dead at a time,
/// and one that is killed while it does leaves them to the next: their ids are still in the table.
pub(crate) fn bury(ground: &Ground<'_>, dead: &[MemberId], mine: Option<usize>) {
    ground.waits.begin_burial();
    for (index, record) in ground.waits.records() {
        if Some(index) != mine && concerns(ground, record.target(), dead) {
            record.kick();
        }
    }
    let is_dead = |word: u32| MemberId::new(word).is_some_and(|id| dead.binary_search(&id).is_ok());
    ground.waits.vacate(ground.me, is_dead);
    ground.strike_out(is_dead);
}

/// Whether the death of the `dead` concerns who sleeps on `target`.
fn concerns(ground: &Ground<'_>, target: Target, dead: &[MemberId]) -> bool {
    if dead.is_empty() || target.is_none() {
        return false;
    }
    // The owner that the word has now, not one noted when its sleeper fell asleep. A word without an
    // owner has sleepers only if their wake is on its way, or was lost with one of the dead: with
    // the owner that let go and had not woken anybody yet, or with the one that was woken.
    target.is_anyone()
        || ground.word_at(target).is_some_and(|word| match MemberId::new(word) {
            Some(owner) => dead.binary_search(&owner).is_ok(),
            None => true,
        })
}
