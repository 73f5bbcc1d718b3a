//! A third process sleeps at the pipe as the victim dies.

use super::{CLOSED, Item, Stage, VICTIM, must};
use crate::sweep::scenario::{Finding, Scenario, Witness, part};

/// The number of the message that the waiter sends.
const WAITER: u64 = 60;

impl<T: Item> Stage<T> {
    /// What a waiter does that receives.
    fn wait_in_recv(&self) -> u64 {
        match must(self.receiver()).recv() {
            Ok(item) => item.number().unwrap_or(u64::MAX),
            Err(crossproc_pipe::RecvError::Closed) => CLOSED,
            Err(_) => u64::MAX,
        }
    }

    /// That nothing is in the ring, not even a part that no receiver would get.
    fn nothing_waits(&self) -> Result<(), String> {
        match format!("{:?}", self.receiver()?) {
            end if end.contains("waiting: 0,") => Ok(()),
            end => Err(format!("the waiter was told of the end over what is in {end}")),
        }
    }

    /// What a waiter does that sends.
    fn wait_in_send(&self) -> u64 {
        match must(self.sender()).send(&T::new(WAITER)) {
            Ok(()) => WAITER,
            Err(crossproc_pipe::SendError::Closed) => CLOSED,
            Err(_) => u64::MAX,
        }
    }
}

/// The victim sends into an empty pipe, and somebody sleeps in recv: it gets the message, or is told
/// that none comes.
pub(super) fn in_recv<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(0, &[])?;
    let victim = stage.putter(VICTIM, true);
    let waiting = stage.clone();
    let check = move |witness: &Witness| -> Finding {
        let outcome = match witness.waiter {
            Some(CLOSED) => stage.nothing_waits().map(|()| "told")?,
            Some(VICTIM) => "woken",
            got => return Err(format!("the waiter got {got:?}")),
        };
        match stage.drain()? {
            left if left.is_empty() => Ok(outcome),
            left => Err(format!("the waiter was told of the end over {left:?}")),
        }
    };
    let scenario = Scenario::in_memory(memory, &["told", "woken"], victim, check)
        .with_waiter(move || waiting.wait_in_recv());
    Ok(if T::IN_PARTS { scenario.wakes_often() } else { scenario })
}

/// The victim receives from a full pipe, and somebody sleeps in send: there is room for its message,
/// or it is told that nobody receives. That it may be told in either case: the victim is dead.
pub(super) fn in_send<T: Item>(items: &[u64]) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(0, items)?;
    let victim = stage.getter(true);
    let waiting = stage.clone();
    let check = move |witness: &Witness| -> Finding {
        let found = stage.drain()?;
        let taken = !found.contains(&stage.items[0]);
        let mut due = stage.items[usize::from(taken)..].to_vec();
        match witness.waiter {
            Some(WAITER) if taken => due.push(WAITER),
            Some(CLOSED) => {}
            gave => return Err(format!("the waiter's send gave {gave:?}")),
        }
        match found == due {
            true => Ok(if taken { "taken" } else { "there" }),
            false => Err(format!("the messages are {found:?}, not {due:?}")),
        }
    };
    Ok(Scenario::in_memory(memory, &["there", "taken"], victim, check)
        .with_waiter(move || waiting.wait_in_send()))
}

/// The victim closes its end, and somebody sleeps at the other: it is told, either way.
pub(super) fn close_in_recv() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<u64>::new(0, &[])?;
    let (closing, waiting) = (stage.clone(), stage.clone());
    let victim = part(move || {
        let tx = must(closing.sender());
        move || tx.close()
    });
    let check = move |witness: &Witness| told(&stage, witness);
    Ok(Scenario::in_memory(memory, &["told"], victim, check)
        .with_waiter(move || waiting.wait_in_recv()))
}

/// The victim says that it sends no more, and somebody sleeps at the other end: it is told, either way.
pub(super) fn close_send_in_recv() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<u64>::new(0, &[])?;
    let (shutting, waiting) = (stage.clone(), stage.clone());
    let victim = part(move || {
        let tx = must(shutting.sender());
        move || tx.close_send()
    });
    let check = move |witness: &Witness| told(&stage, witness);
    Ok(Scenario::in_memory(memory, &["told"], victim, check)
        .with_waiter(move || waiting.wait_in_recv()))
}

/// The same as `close_in_recv`, where somebody sleeps in send.
pub(super) fn close_in_send(items: &[u64]) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<u64>::new(0, items)?;
    let (closing, waiting) = (stage.clone(), stage.clone());
    let victim = part(move || {
        let rx = must(closing.receiver());
        move || rx.close()
    });
    let check = move |witness: &Witness| told(&stage, witness);
    Ok(Scenario::in_memory(memory, &["told"], victim, check)
        .with_waiter(move || waiting.wait_in_send()))
}

fn told(stage: &Stage<u64>, witness: &Witness) -> Finding {
    match (witness.waiter, stage.drain()?) {
        (Some(CLOSED), left) if left[..] == stage.items[..] => Ok("told"),
        (gave, left) => Err(format!("the waiter's call gave {gave:?}, {left:?} is left")),
    }
}
