//! Counted handles: made, sent, dropped; by those who die of it, and beside others who do the same.
//!
//! Whoever dies counts no more. So whatever the victim did, its queue is closed once nobody is left,
//! and what was put comes out before that is told.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crossproc_message::{decode, encode};
use crossproc_queue::{Consumer, GetError, Producer, PutError, Queue, TryGetError, TryPutError};

use super::beside::CLOSED;
use super::{Item, LAST, Stage, VICTIM};
use crate::sweep::catalogue::{stage, text};
use crate::sweep::memory::Memory;
use crate::sweep::scenario::{Finding, Part, Scenario, Witness, keep, part, telling};

/// The number of the item that another puts.
const OTHER: u64 = 200;
/// The number of the item by which a waiter is helped.
const ITEM: u64 = 50;
/// A call that gave none of what it should.
const WRONG: u64 = u64::MAX - 1;

/// What a victim has before its operation, of which each is its own.
struct Own<H>(Cell<Option<H>>);

impl<H> Own<H> {
    fn new(handle: Result<H, crossproc_queue::Error>) -> Self {
        Self(Cell::new(handle.ok()))
    }

    fn take(&self) -> H {
        self.0.take().expect("a handle, for one operation")
    }
}

/// A queue of two places a side, and a producer of the harness, which lives, if there is to be one.
#[derive(Clone)]
struct Counted {
    stage: Stage<u64>,
    other: Option<Rc<Producer<u64>>>,
}

impl Counted {
    fn new(capacity: usize, items: &[u64], other: bool) -> Result<(Self, Memory), String> {
        let (segment, memory) = stage()?;
        let options = Queue::<u64>::options().ends(2);
        let queue = options.create(&segment, "queue", capacity).map_err(text)?;
        let other = if other { Some(Rc::new(queue.producer().map_err(text)?)) } else { None };
        let stage = Stage { segment, queue, items: items.into() };
        items.iter().try_for_each(|&number| stage.put(number))?;
        Ok((Self { stage, other }, memory))
    }

    /// A victim that has a handle of its own, and does `act` with it.
    fn with<H: 'static>(
        &self,
        make: fn(&Queue<u64>) -> Result<H, crossproc_queue::Error>,
        act: fn(H),
    ) -> Part {
        let counted = self.clone();
        part(move || {
            let own = Own::new(make(&counted.stage.queue));
            move || act(own.take())
        })
    }

    /// A victim that makes a handle, and keeps it.
    fn joiner<H: 'static>(
        &self,
        make: fn(&Queue<u64>) -> Result<H, crossproc_queue::Error>,
    ) -> Part {
        let counted = self.clone();
        part(move || {
            let counted = counted.clone();
            let _ = counted.stage.segment.me();
            move || keep(make(&counted.stage.queue))
        })
    }

    fn dropper(&self) -> Part {
        self.with(Queue::producer, drop)
    }

    /// Whether the queue is closed, after a look at who lives; if so, `items` come first.
    fn check(&self, items: &[u64]) -> Result<bool, String> {
        // Asks after the dead, and takes or puts nothing: it is full or empty.
        if items.is_empty() {
            match self.stage.queue.get_timeout(Duration::ZERO) {
                Err(TryGetError::Empty | TryGetError::Closed) => {}
                got => return Err(format!("get from an empty queue: {got:?}")),
            }
        } else if self.stage.queue.is_full() {
            match self.stage.queue.put_timeout(u64::new(LAST), Duration::ZERO) {
                Err(TryPutError::Full(_) | TryPutError::Closed(_)) => {}
                put => return Err(format!("put into a full queue: {put:?}")),
            }
        }
        self.stage.check_closed(items)
    }

    /// As `check`, where it has to be closed.
    fn closed(&self, items: &[u64]) -> Finding {
        match self.check(items)? {
            true => Ok("closed"),
            false => Err("nobody is left, and the queue is open".to_owned()),
        }
    }

    /// As `check`, where it has to be open; then the place of the dead has to serve another.
    fn open(&self, items: &[u64]) -> Finding {
        if self.other.is_none() || self.check(items)? {
            return Err("closed, with a producer alive".to_owned());
        }
        let mine = self.stage.queue.producer().map_err(text)?;
        mine.try_put(u64::new(LAST)).map_err(|_| "no put for a counted one")?;
        match self.stage.get()? {
            LAST => Ok("open"),
            got => Err(format!("{got} instead of the last item")),
        }
    }
}

/// The first counted handle of a side is made.
pub(super) fn first<H: 'static>(
    make: fn(&Queue<u64>) -> Result<H, crossproc_queue::Error>,
) -> Result<Scenario, String> {
    let (counted, memory) = Counted::new(2, &[], false)?;
    let victim = counted.joiner(make);
    // Never counted, it stays open; counted, its only one is dead.
    let check = move |_: &Witness| Ok(if counted.check(&[])? { "closed" } else { "open" });
    Ok(Scenario::in_memory(memory, &["open", "closed"], victim, check))
}

/// A second one is made beside one that lives.
pub(super) fn second() -> Result<Scenario, String> {
    let (counted, memory) = Counted::new(2, &[], true)?;
    let victim = counted.joiner(Queue::producer);
    let check = move |_: &Witness| counted.open(&[]);
    Ok(Scenario::in_memory(memory, &["open"], victim, check))
}

/// One more is made by one who has one, and is the last.
pub(super) fn cloned() -> Result<Scenario, String> {
    let (counted, memory) = Counted::new(2, &[], false)?;
    let victim = counted.with(Queue::producer, |producer| keep((producer.clone(), producer)));
    let check = move |_: &Witness| counted.closed(&[]);
    Ok(Scenario::in_memory(memory, &["closed"], victim, check))
}

/// The last one is dropped, with items in the queue.
pub(super) fn last(items: &[u64]) -> Result<Scenario, String> {
    let (counted, memory) = Counted::new(items.len().max(2), items, false)?;
    let victim = counted.dropper();
    let (checked, other) = (counted.clone(), counted.clone());
    let check = move |_: &Witness| checked.closed(&checked.stage.items);
    let scenario = Scenario::in_memory(memory, &["closed"], victim, check);
    if !items.is_empty() {
        return Ok(scenario);
    }
    let act = move |_| Ok(other.joins_and_puts(OTHER));
    let judge = move |witness: &Witness| -> Finding {
        match witness.meanwhile {
            Some(OTHER) => counted.has_put(&[OTHER]).map(|()| "counted"),
            Some(CLOSED) => counted.closed(&[]).map(|_| "told"),
            gave => Err(format!("the other's put gave {gave:?}")),
        }
    };
    Ok(scenario.meanwhile("producer, put", &["counted", "told"], act, judge))
}

impl Counted {
    /// Makes a producer, which stays until its process ends, and puts an item.
    fn joins_and_puts(&self, number: u64) -> u64 {
        let Ok(producer) = self.stage.queue.producer() else { return WRONG };
        let put = producer.put(u64::new(number));
        keep(producer);
        match put {
            Ok(()) => number,
            Err(PutError::Closed(_)) => CLOSED,
            Err(_) => WRONG,
        }
    }

    /// Those items are in, and then it is closed; it is neither full nor empty before.
    fn has_put(&self, numbers: &[u64]) -> Result<(), String> {
        for &number in numbers {
            match self.stage.queue.get_timeout(Duration::ZERO) {
                Ok(item) if item.number() == Some(number) => {}
                got => return Err(format!("{got:?} instead of item {number}")),
            }
        }
        self.closed(&[]).map(|_| ())
    }
}

/// One is dropped that is not the last.
pub(super) fn not_last() -> Result<Scenario, String> {
    let (counted, memory) = Counted::new(2, &[], true)?;
    let victim = counted.dropper();
    let check = move |_: &Witness| counted.open(&[]);
    Ok(Scenario::in_memory(memory, &["open"], victim, check))
}

/// The last one is dropped while somebody sleeps in get: it has to be told, however that one went.
pub(super) fn last_waited_for() -> Result<Scenario, String> {
    let (counted, memory) = Counted::new(2, &[], false)?;
    let victim = counted.dropper();
    let waiting = counted.stage.clone();
    let wait = move || match waiting.queue.get() {
        Err(GetError::Closed) => CLOSED,
        _ => WRONG,
    };
    let check = move |witness: &Witness| match witness.waiter {
        Some(CLOSED) => counted.closed(&[]),
        gave => Err(format!("the waiter's get gave {gave:?}")),
    };
    Ok(Scenario::in_memory(memory, &["closed"], victim, check).with_waiter(wait))
}

/// One that is not the last is dropped while somebody sleeps in get: it goes on sleeping.
pub(super) fn not_last_waited_for() -> Result<Scenario, String> {
    let (counted, memory) = Counted::new(2, &[], true)?;
    let victim = counted.dropper();
    let (waiting, helping) = (counted.stage.clone(), counted.stage.clone());
    let wait = move || waiting.get().unwrap_or(WRONG);
    let help = move || super::waited::must(helping.put(ITEM));
    let check = move |witness: &Witness| match (witness.waiter, witness.helped) {
        (Some(ITEM), true) => counted.open(&[]),
        gave => Err(format!("the waiter's get gave {gave:?}")),
    };
    Ok(Scenario::in_memory(memory, &["open"], victim, check).with_waiter_helped(wait, help))
}

/// The last consumer is dropped while somebody sleeps in put: its item comes back.
pub(super) fn last_consumer_waited_for() -> Result<Scenario, String> {
    let (counted, memory) = Counted::new(2, &[1, 2], false)?;
    let victim = counted.with(Queue::consumer, drop);
    let waiting = counted.stage.clone();
    let wait = move || match waiting.queue.put(u64::new(ITEM)) {
        Err(PutError::Closed(item)) if item.number() == Some(ITEM) => CLOSED,
        _ => WRONG,
    };
    let check = move |witness: &Witness| match witness.waiter {
        Some(CLOSED) => counted.closed(&[1, 2]),
        gave => Err(format!("the waiter's put gave {gave:?}")),
    };
    Ok(Scenario::in_memory(memory, &["closed"], victim, check).with_waiter(wait))
}

/// The last one is dropped after one has died in making a handle, or in dropping it.
pub(super) fn last_after_death(
    of: fn(&Queue<u64>) -> Result<Producer<u64>, crossproc_queue::Error>,
    in_drop: bool,
) -> Result<Scenario, String> {
    let (counted, memory) = Counted::new(2, &[], false)?;
    let victim = counted.dropper();
    let earlier = if in_drop { counted.dropper() } else { counted.joiner(of) };
    let check = move |_: &Witness| counted.closed(&[]);
    Ok(Scenario::in_memory(memory, &["closed"], victim, check).after_death_of(earlier))
}

/// A handle is made after the last one has died in dropping its own.
pub(super) fn first_after_death() -> Result<Scenario, String> {
    let (counted, memory) = Counted::new(2, &[], false)?;
    let victim = counted.joiner(Queue::producer);
    let earlier = counted.dropper();
    let check = move |_: &Witness| counted.closed(&[]);
    Ok(Scenario::in_memory(memory, &["closed"], victim, check).after_death_of(earlier))
}

/// One makes a handle, puts, and keeps it; beside it another does so and leaves at once.
pub(super) fn join_beside_leave() -> Result<Scenario, String> {
    let (counted, memory) = Counted::new(4, &[], false)?;
    let (acting, other) = (counted.clone(), counted.clone());
    let victim = telling(move || {
        let counted = acting.clone();
        let _ = counted.stage.segment.me();
        move || counted.joins_and_puts(VICTIM)
    });
    // Killed, its item is in or not, and there was no other.
    let checked = counted.clone();
    let check = move |_: &Witness| -> Finding {
        match checked.stage.queue.get_timeout(Duration::ZERO) {
            Err(TryGetError::Empty) if !checked.check(&[])? => Ok("not counted"),
            Err(TryGetError::Closed) => Ok("counted"),
            Ok(item) if item.number() == Some(VICTIM) => {
                checked.closed(&[])?;
                Ok("put")
            }
            got => Err(format!("get gave {got:?}")),
        }
    };
    let act = move |_| {
        let producer = other.stage.queue.producer().map_err(text)?;
        match producer.put(u64::new(OTHER)) {
            Ok(()) => Ok(OTHER),
            Err(PutError::Closed(_)) => Ok(CLOSED),
            Err(error) => Err(error.to_string()),
        }
    };
    let judge = move |witness: &Witness| -> Finding {
        match (witness.meanwhile, witness.victim) {
            // It came and went, and was the last at that time.
            (Some(OTHER), Some(CLOSED)) => counted.has_put(&[OTHER]).map(|()| "told"),
            (Some(OTHER), Some(VICTIM)) => {
                let first = counted.stage.try_get()?;
                let rest = if first == Some(OTHER) { VICTIM } else { OTHER };
                counted.has_put(&[rest]).map(|()| "counted")
            }
            gave => Err(format!("the other's put and the victim's gave {gave:?}")),
        }
    };
    let outcomes = &["not counted", "counted", "put"];
    Ok(Scenario::in_memory(memory, outcomes, victim, check).meanwhile(
        "producer, put, drop",
        &["told", "counted"],
        act,
        judge,
    ))
}

/// A handle is sent by the last one.
pub(super) fn sent() -> Result<Scenario, String> {
    let (counted, memory) = Counted::new(2, &[], false)?;
    let acting = counted.stage.queue.clone();
    let victim = part(move || {
        // What a process does once, when it first sends a handle.
        keep(encode(&acting, &mut Vec::new()));
        let own = Own::new(acting.consumer());
        move || {
            let (consumer, mut bytes) = (own.take(), Vec::new());
            keep((encode(&consumer, &mut bytes), consumer, bytes));
        }
    });
    let check = move |_: &Witness| counted.closed(&[]);
    let scenario = Scenario::in_memory(memory, &["closed"], victim, check);
    Ok(scenario.every_instruction_up_to(0))
}

/// A handle arrives that only its letter has counted.
pub(super) fn received() -> Result<Scenario, String> {
    let (counted, memory) = Counted::new(2, &[], false)?;
    let mut bytes = Vec::new();
    let producer = counted.stage.queue.producer().map_err(text)?;
    let sent = encode(&producer, &mut bytes).map_err(text)?;
    drop(producer);
    let victim = part(move || {
        let (bytes, segments) = (bytes.clone(), sent.segments.clone());
        let _ = segments[0].me();
        move || keep(decode::<Producer<u64>>(&bytes, segments.clone()))
    });
    // Until it is settled the loan is the harness's, which lives.
    let check = move |_: &Witness| Ok(if counted.check(&[])? { "closed" } else { "open" });
    let scenario = Scenario::in_memory(memory, &["open", "closed"], victim, check);
    Ok(scenario.every_instruction_up_to(0))
}

/// One waits at a queue whose last one on the other side is dead.
pub(super) fn finds_the_last_dead(full: bool) -> Result<Scenario, String> {
    let items: &[u64] = if full { &[1, 2] } else { &[] };
    let (counted, memory) = Counted::new(2, items, false)?;
    crate::sweep::in_child(|| {
        if full {
            std::mem::forget::<Consumer<u64>>(counted.stage.queue.consumer().map_err(text)?);
        } else {
            std::mem::forget::<Producer<u64>>(counted.stage.queue.producer().map_err(text)?);
        }
        Ok(())
    })?;
    let acting = counted.stage.clone();
    let victim = telling(move || {
        let stage = acting.clone();
        let _ = stage.segment.me();
        move || {
            let told = if full {
                matches!(stage.queue.put(u64::new(VICTIM)), Err(PutError::Closed(_)))
            } else {
                matches!(stage.queue.get(), Err(GetError::Closed))
            };
            if told { CLOSED } else { WRONG }
        }
    });
    let check = move |witness: &Witness| match witness.victim {
        None | Some(CLOSED) => counted.closed(&counted.stage.items),
        gave => Err(format!("the victim's call gave {gave:?}")),
    };
    Ok(Scenario::in_memory(memory, &["closed"], victim, check).every_instruction_up_to(0))
}

/// One closes and takes all; beside it another does the same, or takes one.
pub(super) fn close_now() -> Result<Scenario, String> {
    let items = &[1, 2, 3];
    let (stage, memory) = Stage::<u64>::new(3, 1, items)?;
    let acting = stage.clone();
    let victim = telling(move || {
        let stage = acting.clone();
        let _ = stage.segment.me();
        move || taken(stage.queue.close_now())
    });
    let checked = stage.clone();
    let check = move |_: &Witness| -> Finding {
        if !checked.queue.is_closed() {
            return checked.check_closed(items).map(|_| "open");
        }
        let left = checked.queue.len();
        let named = ["all taken", "two taken", "one taken", "closed"];
        checked.check_closed(items.get(3 - left.min(3)..).unwrap_or_default())?;
        Ok(named[left.min(3)])
    };
    let (closing, closed) = (stage.clone(), stage.clone());
    let each_once = move |witness: &Witness| -> Finding {
        let all = witness.meanwhile.unwrap_or(0) + witness.victim.unwrap_or(0);
        if all != 0b1110 || !closed.check_closed(&[])? {
            return Err(format!("{:?} and {:?} were taken", witness.meanwhile, witness.victim));
        }
        Ok("each once")
    };
    let outcomes = &["open", "closed", "one taken", "two taken", "all taken"];
    let scenario = Scenario::in_memory(memory, outcomes, victim, check);
    let act = move |_| Ok(taken(closing.queue.close_now()));
    Ok(scenario.meanwhile("close_now", &["each once"], act, each_once))
}

/// One bit for each item, added: whoever takes one twice adds it twice.
fn taken(items: Vec<Result<u64, GetError>>) -> u64 {
    items
        .iter()
        .map(|item| {
            item.as_ref().map_or(WRONG, |item| item.number().map_or(WRONG, |number| 1 << number))
        })
        .sum()
}
