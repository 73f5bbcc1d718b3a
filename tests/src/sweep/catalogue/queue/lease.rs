//! Leases: what a dead holder had comes again, counted; what was acknowledged never does.
//!
//! "Lost" must not pass for "acknowledged", so the outcomes are judged in order over k: an item that
//! is gone before the ack is one too early.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crossproc_queue::raw::{Header, Ring, SLOTS_OFFSET};
use crossproc_queue::{GetError, JoinError, Lease, Queue, TryGetError};
use crossproc_segment::Shape;

use super::many::{EARLIER_RUN, put_many};
use super::waited::must;
use super::{FILL, Item, Long, Short, Stage, VICTIM, beside, keep, stage, text};
use crate::sweep::catalogue::Entry;
use crate::sweep::scenario::{Finding, Part, Scenario, Witness, telling};

type Bytes = [u64; 16];

/// Long enough for the last look, which asks after the dead.
const SHORTLY: Duration = Duration::from_millis(2);
/// The number of the item that the waiter puts.
const WAITER: u64 = 60;
/// The number of the item that a victim has leased and acknowledged before it begins.
const BEFORE: u64 = 50;
/// A wait that came to its end.
const DONE: u64 = 70;
/// Where in a queue's header the time of the last look after the dead stands.
const LOOKED_NS: usize = 680;

pub(in super::super) const ENTRIES: &[Entry] = &[
    Entry::new("queue lease u64", "two items", || leased::<u64>(3, 0, &[1, 2], lease)),
    Entry::new("queue lease u64", "full", || leased::<u64>(2, 0, &[1, 2], lease)),
    Entry::new("queue lease u64", "wrap, capacity 1", || leased::<u64>(1, 3, &[1], lease)),
    Entry::new("queue lease 128 B", "two items", || leased::<Bytes>(3, 4, &[1, 2], lease)),
    Entry::new("queue lease String", "in the slot", || leased::<Short>(3, 4, &[1, 2], lease)),
    Entry::new("queue lease String", "in a block", || leased::<Long>(3, 4, &[1, 2], lease)),
    Entry::new("queue lease u64", "at once", || leased_again::<u64>(lease)),
    Entry::new("queue lease 64 B", "at once", || leased_again::<[u64; 8]>(lease)),
    Entry::new("queue lease + ack u64", "two items", || acked::<u64>(3, 0, &[1, 2])),
    Entry::new("queue lease + ack u64", "at once", acked_again::<u64>),
    Entry::new("queue lease + ack 64 B", "at once", acked_again::<[u64; 8]>),
    Entry::new("queue lease u64", "at once, head left behind", || leased_leaving::<u64>(lease)),
    Entry::new("queue lease + ack u64", "at once, head left behind", acked_leaving::<u64>),
    Entry::new("queue lease + ack u64", "wrap, capacity 1", || acked::<u64>(1, 3, &[1])),
    Entry::new("queue lease + ack 128 B", "two items", || acked::<Bytes>(3, 4, &[1, 2])),
    Entry::new("queue lease + ack String", "in the slot", || acked::<Short>(3, 4, &[1, 2])),
    Entry::new("queue lease + ack String", "in a block", || acked::<Long>(3, 4, &[1, 2])),
    Entry::new("queue lease + nack u64", "two items", || leased::<u64>(3, 0, &[1, 2], nack)),
    Entry::new("queue lease + nack String", "in a block", || leased::<Long>(3, 4, &[1, 2], nack)),
    Entry::new("queue get u64", "behind a lease", got_again),
    Entry::new("queue peek u64", "given back", peeked::<u64>),
    Entry::new("queue peek String", "in a block, given back", peeked::<Long>),
    Entry::new("queue lease + ack u64", "earlier death in lease", || {
        double::<u64>(lease, Then::Ack)
    }),
    Entry::new("queue lease + ack u64", "earlier death in lease at once", double_again::<u64>),
    Entry::new("queue lease + ack u64", "earlier death, head left behind", double_leaving::<u64>),
    Entry::new("queue lease + ack u64", "earlier death in put_many", || {
        after_run(|stage| stage.putter_of(EARLIER_RUN, put_many))
    }),
    Entry::new("queue lease + ack u64", "earlier death in get_many", || {
        after_run(|stage| stage.getter_of(EARLIER_RUN.len()))
    }),
    Entry::new("queue lease + ack 128 B", "earlier death in lease", || {
        double::<Bytes>(lease, Then::Ack)
    }),
    Entry::new("queue lease + ack String", "in a block, earlier death in lease", || {
        double::<Long>(lease, Then::Ack)
    }),
    Entry::new("queue lease + ack u64", "earlier death in lease + ack", || {
        double::<u64>(lease_ack, Then::Ack)
    }),
    Entry::new("queue lease + ack u64", "earlier death in lease + nack", || {
        double::<u64>(nack, Then::Ack)
    }),
    Entry::new("queue get u64", "earlier death in lease", || double::<u64>(lease, Then::Get)),
    Entry::new("queue get String", "in a block, earlier death in lease", || {
        double::<Long>(lease, Then::Get)
    }),
    Entry::new("queue put u64", "full, earlier death in lease", put_behind::<u64>),
    Entry::new("queue put String", "in a block, full, earlier death in lease", put_behind::<Long>),
    Entry::new("queue nack u64", "waiter asleep in get", back_in_get),
    Entry::new("queue lease u64", "waiter asleep in put", in_put::<u64>),
    Entry::new("queue close + ack u64", "waiter asleep in get", closed_in_get),
    Entry::new("queue lease + ack u64", "waiter asleep in join", || in_join::<u64>(lease_ack)),
    Entry::new("queue get + task_done u64", "waiter asleep in join", || in_join::<u64>(get_done)),
    Entry::new("queue get + task_done u64", "two items", || got_done::<u64>(&[1, 2])),
    Entry::new("queue get + task_done String", "in a block", || got_done::<Long>(&[1, 2])),
    Entry::new("queue get + task_done u64", "given back, one entry", back_done::<u64>),
    Entry::new("queue get + task_done String", "in a block, given back", back_done::<Long>),
];

impl<T: Item> Stage<T> {
    /// As [`Stage::new`], with `leases`, and counting what is done.
    fn with_leases(
        capacity: usize,
        leases: usize,
        items: &[u64],
    ) -> Result<(Self, super::Memory), String> {
        let (segment, memory) = stage()?;
        let options = Queue::options().leases(leases).joinable();
        let queue = options.create(&segment, "queue", capacity).map_err(text)?;
        let stage = Self { segment, queue, items: items.into() };
        items.iter().try_for_each(|&number| stage.put(number))?;
        Ok((stage, memory))
    }

    pub(super) fn leaser(&self, act: fn(&Queue<T>) -> u64) -> Part {
        let stage = self.clone();
        telling(move || {
            let stage = stage.clone();
            let _ = stage.segment.me();
            move || act(&stage.queue)
        })
    }

    /// A queue in whose front lies an item for [`Stage::leaser_again`], the last one before the wrap.
    fn for_again(items: &[u64]) -> Result<(Self, super::Memory), String> {
        let all: Vec<u64> = [BEFORE].iter().chain(items).copied().collect();
        let (mut stage, memory) = Self::new(4, 2, &all)?;
        stage.items = items.into();
        Ok((stage, memory))
    }

    /// One who has leased before and so knows of a free entry: the quick way is open to it.
    fn leaser_again(&self, act: fn(&Queue<T>) -> u64) -> Part {
        let stage = self.clone();
        telling(move || {
            let stage = stage.clone();
            // Where it fails the item is found among those that are left.
            keep(stage.queue.try_lease().map(Lease::ack));
            move || act(&stage.queue)
        })
    }

    /// A queue in whose front lie three items for [`Stage::leaser_that_leaves`].
    fn for_leaving(items: &[u64]) -> Result<(Self, super::Memory), String> {
        let all: Vec<u64> = (BEFORE..BEFORE + 3).chain(items.iter().copied()).collect();
        let (mut stage, memory) = Self::new(8, 0, &all)?;
        stage.items = items.into();
        Ok((stage, memory))
    }

    /// One who has leased so often before that it knows where its next item is, and has left `head` behind: by
    /// one place, when it begins.
    fn leaser_that_leaves(&self, act: fn(&Queue<T>) -> u64) -> Part {
        let stage = self.clone();
        telling(move || {
            let stage = stage.clone();
            for _ in 0..3 {
                keep(stage.queue.try_lease().map(Lease::ack));
            }
            move || act(&stage.queue)
        })
    }

    /// So that the next one who comes looks after the dead at once, and does not wait for its turn: else it
    /// depends on the time at which it comes whether it does.
    pub(super) fn forget_the_last_look(&self) -> Result<(), String> {
        let object = self.segment.find("queue", &Shape::of::<T>("queue", 3)).map_err(text)?;
        // SAFETY: the header of a queue is longer.
        let word = unsafe { object.body().add(LOOKED_NS) };
        // SAFETY: as the header of `raw::lease` says, it is an atomic word, and so only reached as one.
        unsafe { word.cast::<AtomicU64>().as_ref() }.store(0, Relaxed);
        Ok(())
    }

    /// All items, and how often each was handed out with this time: those of the dead too, whose
    /// turn comes when somebody has looked after them.
    fn harvest(&self) -> Result<Vec<(u64, u32)>, String> {
        let found = self.harvest_items()?;
        self.all_leases_work()?;
        Ok(found)
    }

    /// The same, without a look whether all leases can be had again.
    pub(super) fn harvest_items(&self) -> Result<Vec<(u64, u32)>, String> {
        let mut found = Vec::new();
        loop {
            match self.queue.lease_timeout(SHORTLY) {
                Ok(lease) => {
                    let number = lease.number().ok_or("a torn item")?;
                    found.push((number, lease.deliveries()));
                    lease.ack().map_err(text)?;
                }
                // It was a thorough look, if the last.
                Err(TryGetError::Empty) => break,
                Err(error) => return Err(format!("lease_timeout: {error}")),
            }
        }
        found.sort_unstable();
        if self.queue.leased() != 0 {
            return Err(format!("{} leases are left over", self.queue.leased()));
        }
        Ok(found)
    }

    /// The queue is as a new one: every place, and every lease.
    fn all_leases_work(&self) -> Result<(), String> {
        let joinable = self.queue.try_join() != Err(JoinError::NotJoinable);
        if !joinable {
            self.fill()?;
        } else if self.queue.join_timeout(SHORTLY).is_err() {
            return Err("all is done, and join says no".to_owned());
        }
        let count = self.queue.capacity().min(self.queue.max_leases()) as u64;
        for number in FILL..FILL + count {
            self.put(number)?;
        }
        let mut leases = Vec::new();
        for number in FILL..FILL + count {
            let lease =
                self.queue.try_lease().map_err(|error| format!("lease {number}: {error}"))?;
            if lease.number() != Some(number) || lease.deliveries() != 1 {
                return Err(format!("{:?} instead of a fresh {number}", lease.number()));
            }
            leases.push(lease);
        }
        leases.into_iter().try_for_each(|lease| lease.ack().map(drop)).map_err(text)
    }
}

/// Leases an item and has it until the end of its process.
pub(super) fn lease<T: Item>(queue: &Queue<T>) -> u64 {
    let Ok(lease) = queue.lease() else { return beside::REFUSED };
    let number = lease.number();
    keep(lease);
    number.unwrap_or(u64::MAX - 1)
}

pub(super) fn lease_ack<T: Item>(queue: &Queue<T>) -> u64 {
    let Ok(lease) = queue.lease() else { return beside::REFUSED };
    super::tell_item(lease.ack())
}

pub(super) fn nack<T: Item>(queue: &Queue<T>) -> u64 {
    let Ok(lease) = queue.lease() else { return beside::REFUSED };
    let number = lease.number();
    lease.nack();
    number.unwrap_or(u64::MAX - 1)
}

fn get_done<T: Item>(queue: &Queue<T>) -> u64 {
    let got = super::tell_item(queue.get());
    if queue.task_done().is_err() { beside::REFUSED } else { got }
}

/// What became of the first item, where all others must be untouched.
fn of_first(found: &[(u64, u32)], items: &[u64]) -> Finding {
    let others: Vec<_> = items[1..].iter().map(|&number| (number, 1)).collect();
    match found {
        [(first, deliveries), rest @ ..] if *first == items[0] && *rest == others[..] => {
            match deliveries {
                1 => Ok("there"),
                2 => Ok("leased"),
                _ => Err(format!("handed out {deliveries} times")),
            }
        }
        rest if *rest == others[..] => Ok("acked"),
        _ => Err(format!("the items are {found:?}")),
    }
}

/// The victim leases the first item, and does not acknowledge it.
fn leased<T: Item>(
    capacity: usize,
    laps: u64,
    items: &[u64],
    act: fn(&Queue<T>) -> u64,
) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(capacity, laps, items)?;
    let victim = stage.leaser(act);
    leased_by(stage, memory, victim)
}

/// The same, at once.
fn leased_again<T: Item>(act: fn(&Queue<T>) -> u64) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::for_again(&[1, 2])?;
    let victim = stage.leaser_again(act);
    leased_by(stage, memory, victim)
}

/// The same by one who knows where the item is.
fn leased_leaving<T: Item>(act: fn(&Queue<T>) -> u64) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::for_leaving(&[1, 2])?;
    let victim = stage.leaser_that_leaves(act);
    leased_by(stage, memory, victim)
}

pub(super) fn leased_by<T: Item>(
    stage: Stage<T>,
    memory: super::Memory,
    victim: Part,
) -> Result<Scenario, String> {
    let checked = stage.clone();
    let check = move |_: &_| of_first(&checked.harvest()?, &checked.items);
    let scenario = Scenario::in_memory(memory, &["there", "leased"], victim, check);
    Ok(beside_put(scenario, &stage))
}

/// The victim leases the first item, and acknowledges it.
fn acked<T: Item>(capacity: usize, laps: u64, items: &[u64]) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(capacity, laps, items)?;
    let victim = stage.leaser(lease_ack);
    acked_by(stage, memory, victim)
}

/// The same, at once.
fn acked_again<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::for_again(&[1, 2])?;
    let victim = stage.leaser_again(lease_ack);
    acked_by(stage, memory, victim)
}

/// The same by one who knows where the item is.
fn acked_leaving<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::for_leaving(&[1, 2])?;
    let victim = stage.leaser_that_leaves(lease_ack);
    acked_by(stage, memory, victim)
}

/// A look at an item that came back, which it leaves there.
fn peeked<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(3, 1, &[1, 2])?;
    stage.queue.try_lease().map_err(text)?.nack();
    stage.forget_the_last_look()?;
    let victim = stage.leaser(|queue| super::tell_item(queue.peek()));
    // With the delivery that the victim may have died over.
    let check = move |_: &_| match stage.harvest()?[..] {
        [(1, 2 | 3), (2, 1)] => Ok("there"),
        ref found => Err(format!("the items are {found:?}")),
    };
    Ok(Scenario::in_memory(memory, &["there"], victim, check))
}

/// A plain get where there were leases: it has no reason to wait before it looks at those.
fn got_again() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<u64>::for_again(&[1, 2])?;
    let victim = stage.leaser_again(|queue| super::tell_item(queue.get()));
    let check = move |_: &_| of_first(&stage.harvest()?, &stage.items);
    Ok(Scenario::in_memory(memory, &["there", "acked"], victim, check))
}

pub(super) fn acked_by<T: Item>(
    stage: Stage<T>,
    memory: super::Memory,
    victim: Part,
) -> Result<Scenario, String> {
    let checked = stage.clone();
    let check = move |_: &_| of_first(&checked.harvest()?, &checked.items);
    let scenario = Scenario::in_memory(memory, &["there", "leased", "acked"], victim, check);
    let scenario = beside_put(scenario, &stage);
    // With one item only, the victim could wait for ever for another.
    Ok(if stage.items.len() < 2 { scenario } else { beside_get(scenario, &stage) })
}

/// Beside a victim at the first item: another one puts, which must find room once the lease's place
/// is free, and not wait for the lease.
fn beside_put<T: Item>(scenario: Scenario, stage: &Stage<T>) -> Scenario {
    let (other, checked) = (stage.clone(), stage.clone());
    let room = stage.queue.capacity() > stage.items.len();
    let check = move |witness: &Witness| -> Finding {
        let mut found = checked.harvest()?;
        let put = witness.meanwhile.unwrap_or(beside::REFUSED);
        let of_other = found.iter().position(|&(number, _)| number == put);
        if let Some(at) = of_other {
            found.remove(at);
        }
        // What became of the victim's item is judged where nobody else is there.
        of_first(&found, &checked.items)?;
        match (put != beside::REFUSED, of_other.is_some()) {
            (true, true) => Ok("put"),
            (false, false) => Ok("refused"),
            gave => Err(format!("put and there: {gave:?}")),
        }
    };
    let outcomes: &[&str] = if room { &["put"] } else { &["refused", "put"] };
    scenario.meanwhile("put_timeout", outcomes, move |patience| other.put_within(patience), check)
}

/// Beside a victim that leases and acknowledges: another one gets.
fn beside_get<T: Item>(scenario: Scenario, stage: &Stage<T>) -> Scenario {
    let (other, checked) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| -> Finding {
        let gone = [witness.victim, witness.meanwhile];
        let due: Vec<u64> =
            checked.items.iter().copied().filter(|&item| !gone.contains(&Some(item))).collect();
        let left: Vec<u64> = checked.harvest()?.into_iter().map(|(number, _)| number).collect();
        if left != due {
            return Err(format!("{gone:?} are gone, and {left:?} is left"));
        }
        match witness.meanwhile {
            Some(beside::REFUSED) => Ok("refused"),
            others if others == Some(checked.items[0]) => Ok("before"),
            _ => Ok("behind"),
        }
    };
    let outcomes: &[&str] =
        if T::HELD_FOR_LEASE { &["before", "refused", "behind"] } else { &["before", "behind"] };
    scenario.meanwhile("get_timeout", outcomes, move |patience| other.get_within(patience), check)
}

/// What the second victim does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Ack,
    Get,
}

/// A victim comes upon all that can be left of a run, by one who put it or by one who took it.
fn after_run(earlier: fn(&Stage<u64>) -> Part) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<u64>::new(8, 6, &[1, 2, 3, 4])?;
    let (earlier, victim) = (earlier(&stage), stage.leaser(lease_ack));
    let check = move |_: &_| -> Finding {
        let found = stage.harvest()?;
        let (old, new) = found.split_at(found.iter().take_while(|item| item.0 < VICTIM).count());
        let numbers = |items: &[(u64, u32)]| items.iter().map(|item| item.0).collect::<Vec<_>>();
        let taken = stage.items.len().saturating_sub(old.len());
        let whole = new.is_empty() || numbers(new) == EARLIER_RUN;
        if !whole || numbers(old) != stage.items[taken..] {
            return Err(format!("the items are {found:?}"));
        }
        match (taken % EARLIER_RUN.len(), old.first()) {
            (0, Some((_, 1))) => Ok("there"),
            (0, Some((_, 2))) => Ok("leased"),
            (1, _) => Ok("acked"),
            _ => Err(format!("{taken} items are gone, and the rest is {found:?}")),
        }
    };
    let outcomes = &["there", "leased", "acked"];
    Ok(Scenario::in_memory(memory, outcomes, victim, check).after_death_of(earlier))
}

/// A victim comes upon all that an earlier one can leave of a lease.
fn double<T: Item>(earlier: fn(&Queue<T>) -> u64, then: Then) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(4, 1, &[1, 2, 3])?;
    let earlier = stage.leaser(earlier);
    let victim = match then {
        Then::Ack => stage.leaser(lease_ack),
        Then::Get => stage.getter(),
    };
    double_by(stage, memory, earlier, victim)
}

/// The same, and the earlier one leases at once.
fn double_again<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::for_again(&[1, 2, 3])?;
    let (earlier, victim) = (stage.leaser_again(lease_ack), stage.leaser(lease_ack));
    double_by(stage, memory, earlier, victim)
}

fn double_leaving<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::for_leaving(&[1, 2, 3])?;
    let (earlier, victim) = (stage.leaser_that_leaves(lease_ack), stage.leaser(lease_ack));
    double_by(stage, memory, earlier, victim)
}

fn double_by<T: Item>(
    stage: Stage<T>,
    memory: super::Memory,
    earlier: Part,
    victim: Part,
) -> Result<Scenario, String> {
    let checked = stage;
    let check = move |_: &_| -> Finding {
        let found = checked.harvest()?;
        let numbers: Vec<u64> = found.iter().map(|&(number, _)| number).collect();
        // The victim may come before anybody has seen that the first item's holder is dead.
        let gone: Vec<u64> =
            checked.items.iter().copied().filter(|number| !numbers.contains(number)).collect();
        let whole = numbers.iter().all(|number| checked.items.contains(number));
        let counts = found.iter().all(|&(_, deliveries)| deliveries <= 3);
        if !whole || !counts || numbers.len() + gone.len() != checked.items.len() {
            return Err(format!("the items are {found:?}"));
        }
        match gone[..] {
            [] => Ok("not done"),
            [_] => Ok("once"),
            [1, 2] => Ok("twice"),
            _ => Err(format!("{gone:?} are gone")),
        }
    };
    let outcomes = &["not done", "once", "twice"];
    Ok(Scenario::in_memory(memory, outcomes, victim, check).after_death_of(earlier).one_more())
}

/// A victim that puts comes upon the place that a dead lessee may not have freed.
fn put_behind<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(2, 1, &[1, 2])?;
    let earlier = stage.leaser(lease);
    let putting = stage.clone();
    let victim = telling(move || {
        let stage = putting.clone();
        let _ = stage.segment.me();
        let mut item = Some(T::new(VICTIM));
        move || {
            let Some(item) = item.take() else { return beside::REFUSED };
            // Where the dead one took nothing there is no room, and the victim makes some.
            if let Err(refused) = stage.queue.put_timeout(item, SHORTLY) {
                keep(stage.queue.try_get());
                keep(stage.queue.put(refused.into_item()));
            }
            VICTIM
        }
    });
    let checked = stage;
    let check = move |_: &_| -> Finding {
        let numbers: Vec<u64> = checked.harvest()?.into_iter().map(|(number, _)| number).collect();
        match numbers[..] {
            [1, 2] | [2] => Ok("absent"),
            [1, 2, VICTIM] | [2, VICTIM] => Ok("put"),
            _ => Err(format!("the items are {numbers:?}")),
        }
    };
    Ok(Scenario::in_memory(memory, &["absent", "put"], victim, check).after_death_of(earlier))
}

/// Puts and leases the only item, without waking those who sleep until there is one.
fn lease_quietly(stage: &Stage<u64>) -> Option<Lease<'_, u64>> {
    let object = stage.segment.find("queue", &Shape::of::<u64>("queue", 3)).ok()?;
    let header = object.body().cast::<Header>();
    // SAFETY: slots follow the header, and the queue has them mapped.
    let slots = unsafe { object.body().add(SLOTS_OFFSET) }.cast();
    // SAFETY: the queue has that many slots, of a word and a number, and lives as long as `stage`.
    let ring = unsafe { Ring::new(header, slots, 2, 2) };
    ring.put_words(stage.segment.me(), &[u64::new(VICTIM)]).ok()?;
    stage.queue.try_lease().ok()
}

/// The victim has the only item and gives it back, and somebody sleeps in get.
fn back_in_get() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<u64>::new(2, 1, &[])?;
    let leasing = stage.clone();
    let victim = telling(move || {
        let stage: &'static Stage<u64> = Box::leak(Box::new(leasing.clone()));
        let mut lease = lease_quietly(stage);
        move || {
            lease.take().map_or(beside::REFUSED, |lease| {
                lease.nack();
                VICTIM
            })
        }
    });
    let (waiting, checked) = (stage.clone(), stage);
    let check = move |witness: &Witness| -> Finding {
        match (witness.waiter, &checked.harvest()?[..]) {
            (Some(VICTIM), []) => Ok("woken"),
            gave => Err(format!("the waiter got, and left: {gave:?}")),
        }
    };
    let wait = move || waiting.get().unwrap_or(u64::MAX);
    Ok(Scenario::in_memory(memory, &["woken"], victim, check).with_waiter(wait))
}

/// The victim leases from a full queue, and somebody sleeps in put.
fn in_put<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(2, 1, &[1, 2])?;
    let victim = stage.leaser(lease);
    let (waiting, helping, checked) = (stage.clone(), stage.clone(), stage);
    let check = move |witness: &Witness| -> Finding {
        if witness.waiter != Some(WAITER) {
            return Err(format!("the waiter's put gave {:?}", witness.waiter));
        }
        let found = checked.harvest()?;
        match (witness.helped, &found[..]) {
            (false, [(1, 2), (2, 1), (WAITER, 1)]) => Ok("woken"),
            (true, [(2, 1), (WAITER, 1)]) => Ok("helped"),
            _ => Err(format!("helped: {}, the items are {found:?}", witness.helped)),
        }
    };
    let wait = move || waiting.put(WAITER).map_or(u64::MAX, |()| WAITER);
    let help = move || must(helping.get());
    Ok(Scenario::in_memory(memory, &["helped", "woken"], victim, check)
        .with_waiter_helped(wait, help))
}

/// The victim has the last item as it closes the queue, and then finishes it; somebody sleeps until
/// that is decided.
fn closed_in_get() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<u64>::new(2, 1, &[])?;
    let leasing = stage.clone();
    let victim = telling(move || {
        let stage: &'static Stage<u64> = Box::leak(Box::new(leasing.clone()));
        let mut lease = lease_quietly(stage);
        move || {
            stage.queue.close();
            lease.take().map_or(beside::REFUSED, |lease| super::tell_item(lease.ack()))
        }
    });
    let (waiting, helping, checked) = (stage.clone(), stage.clone(), stage);
    let check = move |witness: &Witness| -> Finding {
        if !matches!(checked.queue.get(), Err(GetError::Closed)) {
            return Err("not at its end".to_owned());
        }
        match (witness.waiter, witness.helped) {
            (Some(1), true) => Ok("open"),
            (Some(1), false) => Ok("closed"),
            (Some(0), false) => Ok("acked"),
            gave => Err(format!("how many items the waiter got, and if it was helped: {gave:?}")),
        }
    };
    // How many items it got before the end.
    let wait = move || waiting.queue.iter().map(keep).count() as u64;
    let help = move || helping.queue.close();
    let outcomes = &["open", "closed", "acked"];
    Ok(Scenario::in_memory(memory, outcomes, victim, check).with_waiter_helped(wait, help))
}

/// The victim finishes the only item, and somebody sleeps until all is done.
fn in_join<T: Item>(act: fn(&Queue<T>) -> u64) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::with_leases(2, 2, &[1])?;
    let victim = stage.leaser(act);
    let (waiting, helping, checked) = (stage.clone(), stage.clone(), stage);
    let check = move |witness: &Witness| -> Finding {
        if witness.waiter != Some(DONE) {
            return Err(format!("join gave {:?}", witness.waiter));
        }
        match checked.harvest()?[..] {
            [] => Ok(if witness.helped { "helped" } else { "woken" }),
            ref left => Err(format!("all was done, and {left:?} is left")),
        }
    };
    let wait = move || waiting.queue.join().map_or(u64::MAX, |()| DONE);
    // The item is there again, or is still.
    let help = move || {
        must(helping.queue.lease().map_err(text).and_then(|lease| lease.ack().map_err(text)));
    };
    Ok(Scenario::in_memory(memory, &["helped", "woken"], victim, check)
        .with_waiter_helped(wait, help))
}

/// The victim gets an item and says that it is done, in a queue that counts.
fn got_done<T: Item>(items: &[u64]) -> Result<Scenario, String> {
    done(Stage::<T>::with_leases(3, 2, items)?)
}

/// The item lies in the only entry: it is owed there, as there is no other.
fn back_done<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::with_leases(3, 1, &[1, 2])?;
    stage.queue.try_lease().map_err(text)?.nack();
    stage.forget_the_last_look()?;
    done((stage, memory))
}

fn done<T: Item>((stage, memory): (Stage<T>, super::Memory)) -> Result<Scenario, String> {
    let victim = stage.leaser(get_done);
    let check = move |_: &_| -> Finding {
        let numbers: Vec<u64> = stage.harvest()?.into_iter().map(|(number, _)| number).collect();
        match numbers {
            found if found[..] == stage.items[..] => Ok("there"),
            found if found[..] == stage.items[1..] => Ok("taken"),
            found => Err(format!("the items are {found:?}")),
        }
    };
    Ok(Scenario::in_memory(memory, &["there", "taken"], victim, check))
}
