//! Items written and read in place: an item that is not committed was never put, one that is not
//! released is there. And a look at the first item, which changes nothing.

use crossproc_queue::Queue;

use super::beside::{self, REFUSED};
use super::{Item, Stage, VICTIM, tell_item};
use crate::sweep::scenario::{Finding, Part, Scenario, telling};

type Frame = [u64; 16];

/// Bytes in a block of their own.
impl Item for Vec<u8> {
    fn new(number: u64) -> Self {
        format!("{number} ").repeat(100).into_bytes()
    }

    fn number(&self) -> Option<u64> {
        number_of(self)
    }
}

fn number_of(bytes: &[u8]) -> Option<u64> {
    let number = std::str::from_utf8(bytes.split(|&byte| byte == b' ').next()?).ok()?;
    let number = number.parse().ok()?;
    (bytes == <Vec<u8> as Item>::new(number)).then_some(number)
}

impl<T: Item> Stage<T> {
    fn victim(&self, operate: fn(&Queue<T>) -> u64) -> Part {
        let stage = self.clone();
        telling(move || {
            let stage = stage.clone();
            let _ = stage.segment.me();
            move || operate(&stage.queue)
        })
    }
}

/// The victim writes an item in its place and puts it.
pub(super) fn commit<T: Item>(
    laps: u64,
    items: &[u64],
    operate: fn(&Queue<T>) -> u64,
) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(4, laps, items)?;
    let (victim, checked) = (stage.victim(operate), stage.clone());
    let check = move |_: &_| -> Finding {
        let found = checked.drain()?;
        let with: Vec<u64> = checked.items.iter().copied().chain([VICTIM]).collect();
        match found {
            found if found[..] == checked.items[..] => Ok("absent"),
            found if found == with => Ok("put"),
            found => Err(format!("the items are {found:?}")),
        }
    };
    let scenario = Scenario::in_memory(memory, &["absent", "put"], victim, check);
    Ok(beside::putting(scenario, &stage))
}

/// The victim reads an item in its place and takes it.
pub(super) fn release<T: Item>(
    laps: u64,
    items: &[u64],
    operate: fn(&Queue<T>) -> u64,
) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(4, laps, items)?;
    let (victim, checked) = (stage.victim(operate), stage.clone());
    let check = move |_: &_| -> Finding {
        match checked.drain()? {
            found if found[..] == checked.items[..] => Ok("there"),
            found if found[..] == checked.items[1..] => Ok("taken"),
            found => Err(format!("the items are {found:?}")),
        }
    };
    let scenario = Scenario::in_memory(memory, &["there", "taken"], victim, check);
    Ok(beside::getting(scenario, &stage))
}

/// The victim leaves all as it was.
pub(super) fn nothing<T: Item>(
    items: &[u64],
    operate: fn(&Queue<T>) -> u64,
) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(4, 5, items)?;
    let victim = stage.victim(operate);
    let check = move |_: &_| -> Finding {
        match stage.drain()? {
            found if found[..] == stage.items[..] => Ok("unchanged"),
            found => Err(format!("the items are {found:?}")),
        }
    };
    Ok(Scenario::in_memory(memory, &["unchanged"], victim, check))
}

pub(super) fn reserve_commit(queue: &Queue<Frame>) -> u64 {
    let Ok(mut place) = queue.reserve() else { return REFUSED };
    place.write(&Frame::new(VICTIM));
    place.commit().map_or(REFUSED, |()| VICTIM)
}

pub(super) fn reserve_drop(queue: &Queue<Frame>) -> u64 {
    let Ok(mut place) = queue.reserve() else { return REFUSED };
    place.write(&Frame::new(VICTIM));
    drop(place);
    VICTIM
}

pub(super) fn ref_release(queue: &Queue<Frame>) -> u64 {
    let Ok(item) = queue.get_ref() else { return REFUSED };
    let number = item.read().number().unwrap_or(u64::MAX - 1);
    item.release().map_or(REFUSED, |()| number)
}

pub(super) fn ref_drop(queue: &Queue<Frame>) -> u64 {
    queue.get_ref().map_or(REFUSED, |item| item.read().number().unwrap_or(u64::MAX - 1))
}

pub(super) fn bytes_commit(queue: &Queue<Vec<u8>>) -> u64 {
    let bytes = <Vec<u8> as Item>::new(VICTIM);
    let Ok(mut room) = queue.reserve_bytes(bytes.len() + 100) else { return REFUSED };
    room.write_at(0, &bytes);
    room.commit_first(bytes.len()).map_or(REFUSED, |()| VICTIM)
}

pub(super) fn bytes_drop(queue: &Queue<Vec<u8>>) -> u64 {
    queue.reserve_bytes(1000).map_or(REFUSED, |_| VICTIM)
}

pub(super) fn bytes_release(queue: &Queue<Vec<u8>>) -> u64 {
    let Ok(bytes) = queue.get_bytes_ref() else { return REFUSED };
    let number = number_of(&bytes.to_vec()).unwrap_or(u64::MAX - 1);
    bytes.release().map_or(REFUSED, |()| number)
}

pub(super) fn bytes_ref_drop(queue: &Queue<Vec<u8>>) -> u64 {
    queue
        .get_bytes_ref()
        .map_or(REFUSED, |bytes| number_of(&bytes.to_vec()).unwrap_or(u64::MAX - 1))
}

pub(super) fn peek<T: Item>(queue: &Queue<T>) -> u64 {
    tell_item(queue.peek())
}
