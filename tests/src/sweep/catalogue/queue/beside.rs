//! What others do at the queue while one who is at it stands still.
//!
//! Whatever both do, each item that was put comes out exactly once, and in the order of the puts.

use std::time::Duration;

use crossproc_queue::{TryGetError, TryPutError};

use super::killed::Deed;
use super::{Item, Stage, VICTIM};
use crate::sweep::scenario::{Finding, Scenario, Witness};

/// The number of the item that the other puts.
const OTHER: u64 = 200;
/// A call gave nothing: there was no item, or no room, in its time.
pub(super) const REFUSED: u64 = 0;
/// A call was told that the queue is closed.
pub(super) const CLOSED: u64 = 1 << 32;

impl<T: Item> Stage<T> {
    pub(super) fn put_within(&self, patience: Duration) -> Result<u64, String> {
        let tried = match self.queue.try_put(T::new(OTHER)) {
            Err(TryPutError::Full(_)) => self.queue.put_timeout(T::new(OTHER), patience),
            at_once => at_once,
        };
        match tried {
            Ok(()) => Ok(OTHER),
            Err(TryPutError::Full(_)) => Ok(REFUSED),
            Err(TryPutError::Closed(_)) => Ok(CLOSED),
            Err(_) => Err("put is refused, and not for being full".to_owned()),
        }
    }

    pub(super) fn get_within(&self, patience: Duration) -> Result<u64, String> {
        let tried = match self.queue.try_get() {
            Err(TryGetError::Empty) => self.queue.get_timeout(patience),
            at_once => at_once,
        };
        match tried {
            Ok(item) => item.number().ok_or_else(|| "a torn item".to_owned()),
            Err(TryGetError::Empty) => Ok(REFUSED),
            Err(TryGetError::Closed) => Ok(CLOSED),
            Err(error) => Err(format!("get: {error}")),
        }
    }

    /// What came out, in order: what the takers got, who take from the front, and what is left.
    fn accounted(&self, taken: &[Option<u64>]) -> Result<Vec<u64>, String> {
        let mut taken: Vec<u64> = taken
            .iter()
            .copied()
            .flatten()
            .filter(|&got| got != REFUSED && got != CLOSED)
            .collect();
        taken.sort_by_key(|got| self.items.iter().position(|item| item == got));
        taken.extend(self.drain()?);
        Ok(taken)
    }
}

/// Beside a victim that puts an item behind those that are there: another one gets, or puts.
pub(super) fn putting<T: Item>(scenario: Scenario, stage: &Stage<T>) -> Scenario {
    let scenario = beside_put_get(scenario, stage);
    // Where there is one place left, the victim could wait for ever for it.
    if stage.queue.capacity() < stage.items.len() + 2 {
        scenario
    } else {
        beside_put_put(scenario, stage)
    }
}

fn beside_put_get<T: Item>(scenario: Scenario, stage: &Stage<T>) -> Scenario {
    let (other, checked) = (stage.clone(), stage.clone());
    let outcomes: &[&str] =
        if stage.items.is_empty() { &["nothing", "got it"] } else { &["got the first"] };
    let check = move |witness: &Witness| -> Finding {
        let first = checked.items.first().copied();
        let got = witness.meanwhile;
        let mut due: Vec<u64> = checked.items.to_vec();
        due.push(VICTIM);
        if checked.accounted(&[got])? != due {
            return Err(format!("the other got {got:?}, and the rest is not there in order"));
        }
        match (first, got) {
            (None, Some(REFUSED)) => Ok("nothing"),
            (None, Some(VICTIM)) => Ok("got it"),
            (Some(first), Some(got)) if got == first => Ok("got the first"),
            (first, got) => Err(format!("{got:?} where {first:?} is the first")),
        }
    };
    scenario.meanwhile("get_timeout", outcomes, move |patience| other.get_within(patience), check)
}

fn beside_put_put<T: Item>(scenario: Scenario, stage: &Stage<T>) -> Scenario {
    let (other, checked) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| -> Finding {
        if witness.meanwhile != Some(OTHER) {
            return Err(format!("the other's put gave {:?}", witness.meanwhile));
        }
        let found = checked.drain()?;
        let with =
            |last: [u64; 2]| -> Vec<u64> { checked.items.iter().copied().chain(last).collect() };
        match found {
            found if found == with([OTHER, VICTIM]) => Ok("before"),
            found if found == with([VICTIM, OTHER]) => Ok("behind"),
            found => Err(format!("the items are {found:?}")),
        }
    };
    let act = move |patience| other.put_within(patience);
    scenario.meanwhile("put_timeout", &["before", "behind"], act, check)
}

/// Beside a victim that gets the first item: another one gets, or puts.
pub(super) fn getting<T: Item>(scenario: Scenario, stage: &Stage<T>) -> Scenario {
    let (other, checked) = (stage.clone(), stage.clone());
    let room = stage.queue.capacity() > stage.items.len();
    let outcomes: &[&str] = if room { &["put"] } else { &["refused", "put"] };
    let check = move |witness: &Witness| -> Finding {
        let (got, put) = (witness.victim, witness.meanwhile);
        let mut due: Vec<u64> = checked.items.to_vec();
        due.extend(put.filter(|&put| put == OTHER));
        if got != checked.items.first().copied() || checked.accounted(&[got])? != due {
            return Err(format!("the victim got {got:?}, and the rest is not there in order"));
        }
        Ok(if put == Some(OTHER) { "put" } else { "refused" })
    };
    let act = move |patience| other.put_within(patience);
    let scenario = scenario.meanwhile("put_timeout", outcomes, act, check);
    // With one item only, the victim could wait for ever for another.
    if stage.items.len() < 2 { scenario } else { beside_get_get(scenario, stage) }
}

fn beside_get_get<T: Item>(scenario: Scenario, stage: &Stage<T>) -> Scenario {
    let (other, checked) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| -> Finding {
        let (mine, others) = (witness.victim, witness.meanwhile);
        if checked.accounted(&[mine, others])? != checked.items[..] {
            return Err(format!("{mine:?} and {others:?} were got, and the rest is wrong"));
        }
        match others {
            Some(REFUSED) => Ok("refused"),
            others if others == Some(checked.items[0]) => Ok("before"),
            _ => Ok("behind"),
        }
    };
    // Small items are taken in one step, large ones held while they are read: others then wait.
    let outcomes: &[&str] =
        if T::HELD { &["before", "refused", "behind"] } else { &["before", "behind"] };
    scenario.meanwhile("get_timeout", outcomes, move |patience| other.get_within(patience), check)
}

/// Beside a victim that asks in vain, and waits until its time is over: somebody helps it, or its
/// time is over first.
pub(super) fn in_vain<T: Item>(scenario: Scenario, stage: &Stage<T>) -> Scenario {
    let (other, checked) = (stage.clone(), stage.clone());
    let full = stage.queue.capacity() == stage.items.len();
    let check = move |witness: &Witness| -> Finding {
        let mut due: Vec<u64> = checked.items.to_vec();
        let (taken, put) = if full {
            (witness.meanwhile, witness.victim)
        } else {
            (witness.victim, witness.meanwhile)
        };
        due.extend(put.filter(|&put| put != REFUSED));
        let found = checked.accounted(&[taken])?;
        if found == due {
            Ok("accounted for")
        } else {
            Err(format!("{found:?} instead of {due:?}"))
        }
    };
    let act =
        move |patience| if full { other.get_within(patience) } else { other.put_within(patience) };
    let name = if full { "get_timeout" } else { "put_timeout" };
    scenario.meanwhile(name, &["accounted for"], act, check)
}

/// Beside a victim that comes after an earlier death: whoever else comes may repair as well.
///
/// `earlier`: the number of the item that the dead may have put, or `None` where it may have taken
/// one.
pub(super) fn repairing<T: Item>(
    scenario: Scenario,
    stage: &Stage<T>,
    earlier: Option<u64>,
    then: Deed,
) -> Scenario {
    let judge = |stage: &Stage<T>, others: Deed| {
        let stage = stage.clone();
        move |witness: &Witness| -> Finding {
            let deeds = [(then, witness.victim), (others, witness.meanwhile)];
            let told = |deed: Deed| {
                let of_deed = deeds.into_iter().filter(move |(did, _)| *did == deed);
                of_deed.filter_map(|(_, told)| told).filter(|&told| told != REFUSED)
            };
            let put: Vec<u64> = told(Deed::Put).collect();
            // The puts of both come behind all that was there, in either order.
            let rank = |number: u64| match stage.items.iter().position(|&item| item == number) {
                Some(at) => at,
                None if earlier == Some(number) => stage.items.len(),
                None => stage.items.len() + 1,
            };
            let mut found: Vec<u64> = told(Deed::Get).collect();
            found.sort_by_key(|&number| rank(number));
            found.extend(stage.drain()?);
            let in_order = found.is_sorted_by_key(|&number| rank(number));
            let count = |number| found.iter().filter(|&&one| one == number).count();
            let lost = stage.items.iter().filter(|&&number| count(number) == 0).count();
            let may_be_lost = usize::from(earlier.is_none());
            let once = found.iter().all(|&number| count(number) == 1);
            let strange = found.iter().any(|number| {
                !stage.items.contains(number) && !put.contains(number) && earlier != Some(*number)
            });
            let all_there = put.iter().all(|&number| count(number) == 1);
            match in_order && once && all_there && !strange && lost <= may_be_lost {
                true => Ok("accounted for"),
                false => Err(format!("{found:?} came out, of {:?} and {put:?}", stage.items)),
            }
        }
    };
    let (getting, putting) = (stage.clone(), stage.clone());
    let put = move |patience| putting.put_within(patience);
    let get = move |patience| getting.get_within(patience);
    scenario.meanwhile("put_timeout", &["accounted for"], put, judge(stage, Deed::Put)).meanwhile(
        "get_timeout",
        &["accounted for"],
        get,
        judge(stage, Deed::Get),
    )
}

/// Beside a victim that closes: another one puts, or gets.
pub(super) fn closing<T: Item>(scenario: Scenario, stage: &Stage<T>) -> Scenario {
    let (putting, getting) = (stage.clone(), stage.clone());
    let (put, got) = (stage.clone(), stage.clone());
    let check_put = move |witness: &Witness| -> Finding {
        let mut due: Vec<u64> = put.items.to_vec();
        due.extend(witness.meanwhile.filter(|&other| other == OTHER));
        match (put.check_closed(&due)?, witness.meanwhile) {
            (true, Some(OTHER)) => Ok("accepted"),
            (true, Some(CLOSED)) => Ok("told"),
            (closed, gave) => Err(format!("closed: {closed}, and the other's put gave {gave:?}")),
        }
    };
    let check_got = move |witness: &Witness| -> Finding {
        match (got.check_closed(&got.items[1..])?, witness.meanwhile) {
            (true, first) if first == Some(got.items[0]) => Ok("got the first"),
            (closed, gave) => Err(format!("closed: {closed}, and the other got {gave:?}")),
        }
    };
    scenario
        .meanwhile(
            "put_timeout",
            &["accepted", "told"],
            move |patience| putting.put_within(patience),
            check_put,
        )
        .meanwhile(
            "get_timeout",
            &["got the first"],
            move |patience| getting.get_within(patience),
            check_got,
        )
}

/// Beside a victim whose item somebody sleeps for: another one gets too.
pub(super) fn stealing<T: Item>(scenario: Scenario, stage: &Stage<T>, help: u64) -> Scenario {
    let (other, checked) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| -> Finding {
        let due: Vec<u64> = match (witness.meanwhile, witness.waiter, witness.helped) {
            (Some(REFUSED), Some(VICTIM), false) | (Some(VICTIM), Some(_), true) => Vec::new(),
            (Some(REFUSED), Some(VICTIM), true) => {
                return Err("the waiter slept on with an item there".to_owned());
            }
            gave => return Err(format!("other, waiter and helped: {gave:?}")),
        };
        if witness.helped && witness.waiter != Some(help) {
            return Err(format!("the waiter got {:?}", witness.waiter));
        }
        match checked.drain()? {
            left if left == due => Ok("accounted for"),
            left => Err(format!("items {left:?} more than were put")),
        }
    };
    scenario.meanwhile(
        "get_timeout",
        &["accounted for"],
        move |patience| other.get_within(patience),
        check,
    )
}

/// Beside a victim that makes the room that somebody sleeps for: another one puts too.
pub(super) fn crowding<T: Item>(scenario: Scenario, stage: &Stage<T>) -> Scenario {
    let (other, checked) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| -> Finding {
        // One place is the victim's doing, one the helper's.
        let taken = 1 + usize::from(witness.helped);
        let put: Vec<u64> = [witness.meanwhile, witness.waiter]
            .into_iter()
            .flatten()
            .filter(|&number| number != REFUSED)
            .collect();
        if put.len() != taken {
            return Err(format!("{put:?} were put in {taken} places"));
        }
        let found = checked.drain()?;
        let (old, new) = found.split_at(checked.items.len().saturating_sub(taken).min(found.len()));
        let all_new = new.len() == put.len() && put.iter().all(|number| new.contains(number));
        match old == &checked.items[taken..] && all_new {
            true => Ok("accounted for"),
            false => Err(format!("the items are {found:?}")),
        }
    };
    scenario.meanwhile(
        "put_timeout",
        &["accounted for"],
        move |patience| other.put_within(patience),
        check,
    )
}
