//! Every interleaving of the words of the lock with many readers, with parties that stop for good.
//!
//! Weakened by hand, once each, and seen to fail: *claim / look* on either side, and a look before
//! the claim; *ask / leave* on either side, and a sleep without a second look at the writer's word;
//! *hand-over* (both CAS of a release, the load of the word); *drained* (the CAS of a reader that
//! leaves); no grants after `ASKED` was taken away; nobody roused after a panic; grants after a
//! panic; a take-over without `ASKED`. Not seen: *grant*, since the fence that stands here for the
//! SeqCst order of *ask / leave* comes before it and releases as well; a claim after sleeping that
//! does not keep `WAITERS`, since a wake here is one of all.
#![cfg(crossproc_loom)]

use crossproc_segment::MemberId;
use crossproc_sync::raw::{Holder, News};
use crossproc_sync::rwlock::raw::{Claim, Left, Look, Place, Released, RwLock, Standing};
use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering::{Acquire, Release};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// A lock, what it guards, and the kernel: who is dead, and who sleeps.
struct Shared {
    lock: RwLock,
    row: Vec<Place>,
    data: UnsafeCell<u32>,
    dead: [AtomicBool; 4],
    queue: Mutex<()>,
    wake: Condvar,
}

// SAFETY: `data` is only reached by those who hold `lock`; that is what the models check.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

impl Shared {
    fn new(places: usize) -> Arc<Self> {
        Arc::new(Self {
            lock: RwLock::new(),
            row: (0..places).map(|_| Place::new()).collect(),
            data: UnsafeCell::new(0),
            dead: core::array::from_fn(|_| AtomicBool::new(false)),
            queue: Mutex::new(()),
            wake: Condvar::new(),
        })
    }

    /// `FUTEX_WAKE` of all on a word: all sleepers share one queue here.
    fn wake_all(&self) {
        drop(self.queue.lock().unwrap());
        self.wake.notify_all();
    }

    fn wake(&self, _place: &Place) {
        self.wake_all();
    }

    /// A futex that compares and queues in one step, and a watch that kicks at the death of whoever
    /// the word that is watched names by then.
    fn sleep(&self, is_as_seen: impl Fn() -> bool, blocker: impl Fn() -> Option<MemberId>) {
        let queue = self.queue.lock().unwrap();
        if is_as_seen() && blocker().is_none_or(|id| self.alive(id)) {
            drop(self.wake.wait(queue).unwrap());
        }
    }

    fn die(&self, me: Holder) {
        self.dead[me.id().get() as usize].store(true, Release);
        self.wake_all();
    }

    fn alive(&self, id: MemberId) -> bool {
        !self.dead[id.get() as usize].load(Acquire)
    }

    /// Reads by `place` as the handle does, without spinning and without slices.
    fn read(&self, at: usize, me: Holder) -> News {
        let place = &self.row[at];
        match self.lock.try_read(place, me) {
            Some(true) => return News::Released,
            Some(false) => {}
            None => panic!("each reader has its place"),
        }
        let mut look = self.lock.arrive(place, me, |place| self.wake(place));
        loop {
            match look {
                Look::In(news) => return news,
                Look::Corrupt => panic!("corrupt"),
                Look::Held(seen) => {
                    let writer = seen.owner().unwrap();
                    if !self.alive(writer) {
                        if self.lock.bury(seen) {
                            self.lock.rouse(&self.row, |place| self.wake(place));
                            self.wake_all();
                        }
                    } else if let Some(word) = self.lock.doze(place, me) {
                        self.sleep(|| place.word() == word, || self.lock.word().owner());
                    }
                }
            }
            look = self.lock.look(place, me, |place| self.wake(place));
        }
    }

    fn leave(&self, at: usize, me: Holder) {
        match self.row[at].release(me) {
            Left::Quiet => {}
            Left::Wake => self.wake_all(),
            Left::NotHeld => panic!("not held"),
        }
    }

    /// Writes as the handle does, without spinning and without slices.
    fn write(&self, me: Holder) -> News {
        let news = self.claim(me);
        self.row.iter().for_each(|place| self.pass(place));
        news
    }

    fn claim(&self, me: Holder) -> News {
        if self.lock.try_claim(me) {
            return News::Released;
        }
        let mut slept = false;
        loop {
            let seen = match self.lock.claim(me, slept) {
                Claim::Done(news) => return news,
                Claim::Held(seen) => seen,
                other => panic!("{other:?}"),
            };
            let writer = seen.owner().unwrap();
            if !self.alive(writer) {
                if self.lock.take_over(seen, me) {
                    return News::Died;
                }
            } else if let Some(word) = self.lock.announce(seen) {
                self.sleep(|| self.lock.word() == word, || word.owner());
                slept = true;
            }
        }
    }

    fn pass(&self, place: &Place) {
        loop {
            let seen = place.word();
            if seen.lets_pass() {
                return;
            }
            let reader = seen.owner().unwrap();
            if !self.alive(reader) {
                if place.clear(seen) {
                    return;
                }
            } else if let Some(word) = place.mark(seen) {
                self.sleep(|| place.word() == word, || word.owner());
            }
        }
    }

    fn leave_writer(&self, me: Holder, left: News) {
        match self.lock.release(&self.row, me, left, |place| self.wake(place)) {
            Released::Quiet => {}
            Released::Wake => self.wake_all(),
            Released::NotHeld(word) => panic!("not held: {word:?}"),
        }
    }

    /// Fails the model if a writer is inside.
    fn get(&self) -> u32 {
        // SAFETY: the caller holds the lock.
        self.data.with(|data| unsafe { *data })
    }

    /// Fails the model if anybody else is inside.
    fn add(&self) -> u32 {
        self.data.with_mut(|data| {
            // SAFETY: the caller is the writer.
            let value = unsafe { &mut *data };
            *value += 1;
            *value
        })
    }
}

fn holder(id: u32) -> Holder {
    Holder::new(MemberId::new(id).unwrap(), 1)
}

fn model(preemptions: usize, f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 10_000;
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
fn a_reader_and_a_writer_exclude_each_other_and_see_what_was_done() {
    model(4, || {
        let shared = Shared::new(1);
        let reader = spawn(&shared, |s| {
            assert_eq!(s.read(0, holder(2)), News::Released);
            let found = s.get();
            s.leave(0, holder(2));
            found
        });
        assert_eq!(shared.write(holder(1)), News::Released);
        shared.add();
        shared.add();
        shared.leave_writer(holder(1), News::Released);
        let found = reader.join().unwrap();
        assert!(found == 0 || found == 2, "{found}");
    });
}

#[test]
fn two_readers_and_a_writer_come_through_without_any_slice() {
    model(2, || {
        let shared = Shared::new(2);
        let readers = [(0, 2), (1, 3)].map(|(at, id)| {
            spawn(&shared, move |s| {
                assert_eq!(s.read(at, holder(id)), News::Released);
                s.get();
                s.leave(at, holder(id));
            })
        });
        assert_eq!(shared.write(holder(1)), News::Released);
        shared.add();
        shared.leave_writer(holder(1), News::Released);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        assert_eq!(shared.get(), 1);
    });
}

#[test]
fn two_writers_and_a_reader_come_through_without_any_slice() {
    model(2, || {
        let shared = Shared::new(1);
        let reader = spawn(&shared, |s| {
            assert_eq!(s.read(0, holder(3)), News::Released);
            s.get();
            s.leave(0, holder(3));
        });
        let writer = spawn(&shared, |s| {
            assert_eq!(s.write(holder(2)), News::Released);
            s.add();
            s.leave_writer(holder(2), News::Released);
        });
        assert_eq!(shared.write(holder(1)), News::Released);
        shared.add();
        shared.leave_writer(holder(1), News::Released);
        reader.join().unwrap();
        writer.join().unwrap();
        assert_eq!(shared.get(), 2);
    });
}

#[test]
fn a_panic_is_told_to_the_reader_that_comes_after_it() {
    model(3, || {
        let shared = Shared::new(1);
        let reader = spawn(&shared, |s| {
            let news = s.read(0, holder(2));
            let found = s.get();
            s.leave(0, holder(2));
            (news, found)
        });
        assert_eq!(shared.write(holder(1)), News::Released);
        shared.add();
        shared.leave_writer(holder(1), News::Panicked);
        let expected = [(News::Released, 0), (News::Panicked, 1)];
        assert!(expected.contains(&reader.join().unwrap()));
        assert_eq!(shared.write(holder(3)), News::Panicked);
    });
}

/// The reader stops for good after `steps` of: nothing, come in, leave.
fn reader_stops(steps: usize) {
    model(3, move || {
        let shared = Shared::new(2);
        let victim = spawn(&shared, move |s| {
            if steps > 0 {
                assert_eq!(s.read(0, holder(2)), News::Released);
                s.get();
            }
            if steps > 1 {
                s.leave(0, holder(2));
            }
            s.die(holder(2));
        });
        assert_eq!(shared.write(holder(1)), News::Released);
        shared.add();
        shared.leave_writer(holder(1), News::Released);
        victim.join().unwrap();
        assert_eq!(shared.read(1, holder(3)), News::Released);
        shared.leave(1, holder(3));
        assert_eq!(shared.write(holder(1)), News::Released);
        assert_eq!(shared.add(), 2);
    });
}

#[test]
fn a_reader_that_dies_before_it_comes_in_leaves_nothing() {
    reader_stops(0);
}

#[test]
fn a_reader_that_dies_inside_stops_no_writer() {
    reader_stops(1);
}

#[test]
fn a_reader_that_dies_outside_leaves_nothing() {
    reader_stops(2);
}

#[test]
fn a_reader_that_dies_as_it_asks_stops_no_writer() {
    model(3, || {
        let shared = Shared::new(1);
        assert_eq!(shared.write(holder(1)), News::Released);
        let victim = spawn(&shared, |s| {
            let place = &s.row[0];
            let seen = s.lock.try_read(place, holder(2));
            if seen == Some(false) {
                if let Look::Held(seen) = s.lock.arrive(place, holder(2), |p| s.wake(p)) {
                    let _ = s.lock.ask(seen);
                }
            }
            s.die(holder(2));
        });
        shared.add();
        shared.leave_writer(holder(1), News::Released);
        assert_eq!(shared.write(holder(3)), News::Released);
        shared.add();
        shared.leave_writer(holder(3), News::Released);
        victim.join().unwrap();
        assert_eq!(shared.write(holder(3)), News::Released);
    });
}

/// The writer stops for good after `steps` of: nothing, claim, work, leave.
fn writer_stops(steps: usize) {
    model(2, move || {
        let shared = Shared::new(1);
        let victim = spawn(&shared, move |s| {
            let me = holder(1);
            let mut told = 0;
            if steps > 0 {
                told += usize::from(s.write(me) == News::Died);
            }
            if steps > 1 {
                s.add();
            }
            if steps > 2 {
                s.leave_writer(me, News::Released);
            }
            s.die(me);
            told
        });
        let reader = spawn(&shared, |s| {
            let news = s.read(0, holder(2));
            let found = s.get();
            s.leave(0, holder(2));
            (news, found)
        });
        let mut told = usize::from(shared.write(holder(3)) == News::Died);
        shared.add();
        shared.leave_writer(holder(3), News::Released);
        let (news, _) = reader.join().unwrap();
        told += victim.join().unwrap();
        // The victim may have come last.
        told += usize::from(shared.write(holder(3)) == News::Died);
        // One writer is told; the reader at most.
        assert_eq!(told, usize::from(steps == 1 || steps == 2));
        assert!(news == News::Released || told == 1);
        assert_eq!(shared.add(), if steps > 1 { 3 } else { 2 });
    });
}

#[test]
fn a_writer_that_dies_before_its_claim_leaves_nothing() {
    writer_stops(0);
}

#[test]
fn a_writer_that_dies_before_it_wrote_is_told_to_one_writer() {
    writer_stops(1);
}

#[test]
fn a_writer_that_dies_inside_is_told_to_one_writer_with_what_it_wrote() {
    writer_stops(2);
}

#[test]
fn a_writer_that_dies_outside_is_not_told() {
    writer_stops(3);
}

#[test]
fn a_reader_that_buries_a_writer_and_dies_leaves_the_news() {
    model(3, || {
        let shared = Shared::new(2);
        assert_eq!(shared.write(holder(1)), News::Released);
        shared.add();
        shared.die(holder(1));
        let victim = spawn(&shared, |s| {
            let seen = s.lock.word();
            if seen.owner() == MemberId::new(1) {
                let _ = s.lock.bury(seen);
            }
            s.die(holder(2));
        });
        let news = shared.read(1, holder(3));
        assert_eq!((news, shared.get()), (News::Died, 1));
        shared.leave(1, holder(3));
        victim.join().unwrap();
        assert_eq!(shared.write(holder(3)), News::Died);
    });
}

#[test]
fn a_question_that_is_taken_back_is_answered_or_gone() {
    model(3, || {
        let shared = Shared::new(1);
        assert_eq!(shared.write(holder(1)), News::Released);
        let reader = spawn(&shared, |s| {
            let (place, me) = (&s.row[0], holder(2));
            match s.lock.try_read(place, me) {
                Some(true) => {}
                _ => match s.lock.arrive(place, me, |p| s.wake(p)) {
                    Look::In(_) => {}
                    _ => {
                        let _ = s.lock.doze(place, me);
                        if place.withdraw(me) == Standing::Asks {
                            return;
                        }
                        let look = s.lock.look(place, me, |p| s.wake(p));
                        assert_eq!(look, Look::In(News::Released));
                    }
                },
            }
            let found = s.get();
            assert!(found == 1 || found == 2, "{found}");
            s.leave(0, me);
        });
        shared.add();
        shared.leave_writer(holder(1), News::Released);
        assert_eq!(shared.write(holder(3)), News::Released);
        assert_eq!(shared.add(), 2);
        shared.leave_writer(holder(3), News::Released);
        reader.join().unwrap();
        assert!(shared.row[0].word().owner().is_none());
    });
}
