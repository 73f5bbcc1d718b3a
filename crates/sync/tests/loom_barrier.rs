//! Every interleaving of the words of a barrier, with participants that stop for good.
//!
//! There are no slices here: who sleeps is woken by a notification or a death, or the model fails.
//! Who is dead is asked only once somebody has died, so that the living let each other go.
//!
//! Weakened by hand, once each, and seen to fail: *arrival* and *leave* (the load of a place made
//! Relaxed; its CAS made Relaxed), *pass* (its CAS without Release), *all arrived* (no fence), a
//! place that says that the generation is over taken all the same (any, or one's own), a place taken from one who is
//! inside, a reset that moves the state by one, one that leaves the dead their places.
#![cfg(crossproc_loom)]

use crossproc_segment::MemberId;
use crossproc_sync::barrier::raw::{Arrival, Arrive, Barrier, Outcome, Phase, Place, Why};
use crossproc_sync::raw::Holder;
use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering::{Acquire, Release};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// A barrier, what its parties tell each other, and the kernel: who is dead, and who sleeps.
struct Shared {
    barrier: Barrier,
    row: Vec<Place>,
    told: [UnsafeCell<u32>; 3],
    made: UnsafeCell<u32>,
    dead: [AtomicBool; 4],
    epoch: Mutex<u32>,
    wake: Condvar,
}

// SAFETY: the cells are written by their party before it arrives, and read by those who passed;
// that is what the models check.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Got {
    Led(usize),
    Passed(usize),
    Broken(Why, u32),
    Reset,
}

impl Got {
    fn passed(self) -> bool {
        matches!(self, Self::Led(_) | Self::Passed(_))
    }

    fn place(self) -> usize {
        match self {
            Self::Led(place) | Self::Passed(place) => place,
            other => panic!("{other:?}"),
        }
    }
}

/// What one who waits does if not all have come: waits, or breaks the generation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    Long,
    None,
}

impl Shared {
    fn new(parties: u32) -> Arc<Self> {
        Arc::new(Self {
            barrier: Barrier::new(parties),
            row: (0..parties).map(|_| Place::default()).collect(),
            told: core::array::from_fn(|_| UnsafeCell::new(0)),
            made: UnsafeCell::new(0),
            dead: core::array::from_fn(|_| AtomicBool::new(false)),
            epoch: Mutex::new(0),
            wake: Condvar::new(),
        })
    }

    fn arrive(&self, me: Holder) -> Result<Arrival, Got> {
        self.block(|| match self.barrier.arrive(&self.row, me.id(), 0) {
            Arrive::In(arrival) => Some(Ok(arrival)),
            Arrive::Broken(why, id) => Some(Err(Got::Broken(why, id.get()))),
            Arrive::NoRoom => {
                self.look_for_dead(me);
                None
            }
            Arrive::Corrupt => panic!("corrupt"),
        })
    }

    /// Waits as the handle does, without spinning and without slices.
    fn wait(&self, me: Holder, acts: bool, patience: Patience) -> Got {
        let arrival = match self.arrive(me) {
            Ok(arrival) => arrival,
            Err(got) => return got,
        };
        let got = self.pass(me, arrival, acts, patience);
        self.leave(arrival);
        got
    }

    fn leave(&self, arrival: Arrival) {
        assert!(self.barrier.leave(&self.row, arrival));
        self.wake_all();
    }

    fn pass(&self, me: Holder, arrival: Arrival, acts: bool, patience: Patience) -> Got {
        let mut complete = self.barrier.all_arrived(&self.row, arrival);
        loop {
            if complete && self.complete(me, arrival, acts) {
                return Got::Led(arrival.place());
            }
            let turn = || match self.barrier.outcome(arrival) {
                Outcome::Passed => Some(Some(Got::Passed(arrival.place()))),
                Outcome::Broken(why, id) => Some(Some(Got::Broken(why, id.get()))),
                Outcome::Reset => Some(Some(Got::Reset)),
                Outcome::Corrupt => panic!("corrupt"),
                Outcome::Open(state) => {
                    let gathering = state.phase() == Some(Phase::Gathering);
                    if self.any_dead() && gathering && self.barrier.all_arrived(&self.row, arrival)
                    {
                        return Some(None);
                    }
                    self.look_for_dead(me);
                    if patience == Patience::None {
                        let _ = self.barrier.break_up(state, Why::TimedOut, me.id());
                        self.wake_all();
                    }
                    None
                }
            };
            match self.block(turn) {
                Some(got) => return got,
                None => complete = true,
            }
        }
    }

    fn complete(&self, me: Holder, arrival: Arrival, acts: bool) -> bool {
        if !self.barrier.complete(arrival, acts.then_some(me)) {
            return false;
        }
        if acts {
            self.act();
            if !self.barrier.finish(arrival) {
                return false;
            }
        }
        self.wake_all();
        true
    }

    fn look_for_dead(&self, me: Holder) {
        if !self.any_dead() {
            return;
        }
        let state = self.barrier.state();
        let is_dead = |id: &MemberId| *id != me.id() && !self.alive(*id);
        let dead = match state.phase().unwrap() {
            Phase::Gathering => Barrier::participants(&self.row).find(is_dead),
            Phase::Acting(id) => Some(id).filter(is_dead),
            Phase::Resetting(id) if is_dead(&id) => return self.reset(me.id().get()),
            Phase::Resetting(_) => None,
            Phase::Broken(..) => None,
        };
        if let Some(dead) = dead {
            let _ = self.barrier.break_up(state, Why::Died, dead);
            self.wake_all();
        }
    }

    fn reset(&self, me: u32) {
        let me = MemberId::new(me).unwrap();
        if self.barrier.reset(&self.row, me, |id| id == me || self.alive(id)).unwrap() {
            self.wake_all();
        }
    }

    /// Two eventcounts in one: looks, then announces itself and looks again before it sleeps.
    fn block<R>(&self, mut attempt: impl FnMut() -> Option<R>) -> R {
        if let Some(done) = attempt() {
            return done;
        }
        loop {
            let announced = *self.epoch.lock().unwrap();
            if let Some(done) = attempt() {
                return done;
            }
            let epoch = self.epoch.lock().unwrap();
            if *epoch == announced {
                drop(self.wake.wait(epoch).unwrap());
            }
        }
    }

    fn wake_all(&self) {
        *self.epoch.lock().unwrap() += 1;
        self.wake.notify_all();
    }

    /// What the kernel does when `id` is gone, and what `alive` answers.
    fn die(&self, id: u32) {
        self.dead[id as usize].store(true, Release);
        self.wake_all();
    }

    fn alive(&self, id: MemberId) -> bool {
        !self.dead[id.get() as usize].load(Acquire)
    }

    fn any_dead(&self) -> bool {
        self.dead.iter().any(|dead| dead.load(Acquire))
    }

    /// Fails the model if another party may look.
    fn tell(&self, party: usize) {
        // SAFETY: nobody reads it before this party arrives.
        self.told[party].with_mut(|p| unsafe { *p += 1 });
    }

    /// Fails the model if a party may still be writing.
    fn read(&self, parties: usize) -> u32 {
        // SAFETY: all have arrived.
        self.told[..parties].iter().map(|cell| cell.with(|p| unsafe { *p })).sum()
    }

    fn act(&self) {
        // SAFETY: one acts, and nobody has passed.
        self.made.with_mut(|p| unsafe { *p += 1 });
    }

    fn made(&self) -> u32 {
        // SAFETY: the action is over.
        self.made.with(|p| unsafe { *p })
    }
}

fn holder(id: u32, thread: u32) -> Holder {
    Holder::new(MemberId::new(id).unwrap(), thread)
}

fn model(preemptions: Option<usize>, f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 20_000;
    builder.check(f);
}

fn spawn<R: 'static>(
    shared: &Arc<Shared>,
    f: impl FnOnce(&Shared) -> R + 'static,
) -> thread::JoinHandle<R> {
    let shared = Arc::clone(shared);
    thread::spawn(move || f(&shared))
}

#[test]
fn two_go_on_in_step_and_see_what_the_other_did_before() {
    model(Some(2), || {
        let shared = Shared::new(2);
        // Threads of one member, which find each other's places.
        let steps = |s: &Shared, party: usize| {
            let me = holder(1, party as u32 + 1);
            s.tell(party);
            let first = s.wait(me, true, Patience::Long);
            assert_eq!((s.read(2), s.made()), (2, 1));
            let second = s.wait(me, false, Patience::Long);
            s.tell(party);
            [first, second]
        };
        let other = spawn(&shared, move |s| steps(s, 1));
        let mine = steps(&shared, 0);
        let other = other.join().unwrap();
        for pass in 0..2 {
            assert_ne!(mine[pass].place(), other[pass].place());
            assert!(matches!(
                (mine[pass], other[pass]),
                (Got::Led(_), Got::Passed(_)) | (Got::Passed(_), Got::Led(_))
            ));
        }
    });
}

#[test]
fn of_three_who_arrive_at_once_one_lets_all_go() {
    model(Some(2), || {
        let shared = Shared::new(3);
        let others = [1, 2].map(|id| {
            spawn(&shared, move |s| {
                s.tell(id as usize);
                let got = s.wait(holder(id, 1), false, Patience::Long);
                assert_eq!(s.read(3), 3);
                got
            })
        });
        shared.tell(0);
        let mut got = vec![shared.wait(holder(3, 1), false, Patience::Long)];
        got.extend(others.map(|other| other.join().unwrap()));
        assert_eq!(got.iter().filter(|got| matches!(got, Got::Led(_))).count(), 1, "{got:?}");
        let mut places: Vec<_> = got.into_iter().map(Got::place).collect();
        places.sort_unstable();
        assert_eq!(places, [0, 1, 2]);
    });
}

/// Two at the only place, the second one of member `id`.
fn one_after_the_other(id: u32) {
    model(Some(3), move || {
        let shared = Shared::new(1);
        let other = spawn(&shared, move |s| s.wait(holder(id, 2), true, Patience::Long));
        assert_eq!(shared.wait(holder(2, 1), true, Patience::Long), Got::Led(0));
        assert_eq!(other.join().unwrap(), Got::Led(0));
        assert_eq!(shared.made(), 2);
        assert_eq!(shared.barrier.state().generation(), 2);
    });
}

#[test]
fn two_at_the_only_place_pass_one_after_the_other() {
    one_after_the_other(1);
}

#[test]
fn two_threads_of_one_member_at_the_only_place_pass_one_after_the_other() {
    one_after_the_other(2);
}

#[test]
fn a_generation_that_is_broken_lets_nobody_pass_and_one_that_completes_all() {
    model(Some(3), || {
        let shared = Shared::new(2);
        let other = spawn(&shared, |s| s.wait(holder(1, 1), true, Patience::None));
        let mine = shared.wait(holder(2, 1), true, Patience::None);
        let other = other.join().unwrap();
        assert_eq!(mine.passed(), other.passed(), "{mine:?} {other:?}");
        // Broken in the action, it has been run for nothing.
        assert!(shared.made() == 1 || (shared.made() == 0 && !mine.passed()));
    });
}

#[test]
fn one_who_looks_after_a_reset_knows_what_became_of_its_generation() {
    model(Some(2), || {
        let shared = Shared::new(2);
        let waiting = spawn(&shared, |s| s.wait(holder(1, 1), false, Patience::Long));
        let resetting = spawn(&shared, |s| s.reset(2));
        // Breaks it, unless the other is there.
        let mine = shared.wait(holder(2, 1), false, Patience::None);
        resetting.join().unwrap();
        shared.reset(3);
        // It has slept through a reset or two, or comes only now.
        let state = shared.barrier.state();
        assert!(shared.barrier.break_up(state, Why::Aborted, holder(3, 1).id()));
        shared.wake_all();
        assert_eq!(waiting.join().unwrap().passed(), mine.passed(), "{mine:?}");
    });
}

/// A participant stops for good after `steps` of: nothing, arrive, complete or act, finish.
fn participant_stops(steps: usize, acts: bool) {
    model(Some(2), move || {
        let shared = Shared::new(2);
        let victim = holder(1, 1);
        let _ = shared.barrier.enrol(&shared.row, victim.id());
        let dying = spawn(&shared, move |s| {
            s.tell(1);
            if steps > 0 {
                let arrival = s.arrive(victim).unwrap();
                if steps > 1 && s.barrier.all_arrived(&s.row, arrival) {
                    let completed = s.barrier.complete(arrival, acts.then_some(victim));
                    if completed && acts && steps > 2 {
                        s.act();
                        let _ = s.barrier.finish(arrival);
                    }
                }
            }
            s.die(1);
        });
        let me = holder(2, 1);
        shared.tell(0);
        let got = shared.wait(me, acts, Patience::Long);
        if got.passed() {
            assert!(steps > 0, "{got:?}");
            assert_eq!(shared.read(2), 2);
            assert_eq!(shared.made(), u32::from(acts));
        } else {
            assert_eq!(got, Got::Broken(Why::Died, 1));
        }
        // Whatever it left, it does not come again, and that is told.
        dying.join().unwrap();
        if got.passed() {
            assert_eq!(shared.wait(me, false, Patience::Long), Got::Broken(Why::Died, 1));
        }
        shared.reset(3);
        assert_eq!(Barrier::participants(&shared.row).collect::<Vec<_>>(), [me.id()]);
    });
}

#[test]
fn one_that_dies_before_it_arrives_breaks_it() {
    participant_stops(0, false);
}

#[test]
fn one_that_dies_after_it_arrived_breaks_it_or_counts() {
    participant_stops(1, false);
    participant_stops(1, true);
}

#[test]
fn one_that_dies_in_the_action_breaks_it() {
    participant_stops(2, true);
}

#[test]
fn one_that_dies_after_it_let_all_go_keeps_nobody() {
    participant_stops(2, false);
    participant_stops(3, true);
}

#[test]
fn two_resets_at_once_free_the_place_of_the_dead() {
    model(Some(3), || {
        let shared = Shared::new(2);
        let dead = holder(1, 1);
        let _ = shared.barrier.arrive(&shared.row, dead.id(), 0);
        shared.die(1);
        let other = spawn(&shared, |s| {
            s.reset(2);
            s.wait(holder(2, 1), false, Patience::None)
        });
        shared.reset(3);
        let mine = shared.wait(holder(3, 1), false, Patience::None);
        assert_eq!(mine.passed(), other.join().unwrap().passed(), "{mine:?}");
        assert!(Barrier::participants(&shared.row).all(|id| id != dead.id()));
    });
}

#[test]
fn one_that_leaves_makes_room_for_another() {
    model(Some(3), || {
        let shared = Shared::new(1);
        let me = holder(1, 1);
        let leaving = spawn(&shared, move |s| {
            assert!(s.wait(me, false, Patience::Long).passed());
            s.barrier.withdraw(&s.row, |id| id == me.id());
        });
        assert!(shared.wait(holder(2, 1), false, Patience::Long).passed());
        leaving.join().unwrap();
        assert!(Barrier::participants(&shared.row).all(|id| id != me.id()));
    });
}
