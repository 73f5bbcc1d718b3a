//! Send and receive, by a victim that is alone, or that comes after an earlier one.

use std::time::Duration;

use super::{CLOSED, EARLIER, Item, OTHER, REFUSED, SUCCESSOR, Stage, VICTIM, must, tell};
use crate::sweep::scenario::{Finding, Part, Scenario, Witness, keep, part, telling};

const SHORTLY: Duration = Duration::from_millis(3);

/// Whether the first of `items` is still there.
fn left(items: &[u64], found: &[u64]) -> Finding {
    match found {
        found if found == items => Ok("there"),
        found if found == &items[1..] => Ok("taken"),
        found => Err(format!("the messages are {found:?}")),
    }
}

/// Whether the victim's message came behind `items`.
fn behind(items: &[u64], found: &[u64]) -> Finding {
    match found.split_last() {
        _ if found == items => Ok("absent"),
        Some((&VICTIM, before)) if before == items => Ok("sent"),
        _ => Err(format!("the messages are {found:?}")),
    }
}

/// The victim sends a message behind those that are there.
pub(super) fn send<T: Item>(laps: u64, items: &[u64], warm: bool) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(laps, items)?;
    let victim = stage.putter(VICTIM, warm);
    sending(&stage, memory, victim)
}

/// The victim writes a message in place.
pub(super) fn reserve(items: &[u64]) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<super::Raw>::new(1, items)?;
    let writing = stage.clone();
    let victim = telling(move || {
        let mut tx = must(writing.sender());
        move || {
            let bytes = super::Raw::bytes(VICTIM);
            let sent = tx.reserve(bytes.len() + 8).and_then(|mut reserved| {
                reserved.write_at(0, &bytes);
                reserved.commit(bytes.len())
            });
            if sent.is_ok() { VICTIM } else { REFUSED }
        }
    });
    sending(&stage, memory, victim)
}

fn sending<T: Item>(
    stage: &Stage<T>,
    memory: crate::sweep::Memory,
    victim: Part,
) -> Result<Scenario, String> {
    let (stage, checked, other) = (stage.clone(), stage.clone(), stage.clone());
    let check = move |_: &_| -> Finding { behind(&checked.items, &checked.drain()?) };
    let scenario = Scenario::in_memory(memory, &["absent", "sent"], victim, check);
    let outcomes: &[&str] = match stage.items.is_empty() {
        true if T::IN_PARTS => &["nothing", "got a part", "got it"],
        true => &["nothing", "got it"],
        false => &["got the first"],
    };
    let beside = move |witness: &Witness| -> Finding {
        let got = witness.meanwhile.filter(|&got| got != REFUSED);
        let mut found: Vec<u64> = got.into_iter().collect();
        found.extend(stage.drain()?);
        match (behind(&stage.items, &found)?, got) {
            ("sent", None) if stage.items.is_empty() => Ok("nothing"),
            // What the other had in hand is gone with it.
            ("absent", None) if T::IN_PARTS => Ok("got a part"),
            ("sent", Some(VICTIM)) if stage.items.is_empty() => Ok("got it"),
            ("sent", Some(got)) if stage.items.first() == Some(&got) => Ok("got the first"),
            (_, got) => Err(format!("the other got {got:?} of {found:?}")),
        }
    };
    let act = move |patience| other.recv_within(patience);
    Ok(scenario.meanwhile("recv_timeout", outcomes, act, beside))
}

/// The victim receives the first message.
pub(super) fn recv<T: Item>(laps: u64, items: &[u64], warm: bool) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(laps, items)?;
    let victim = stage.getter(warm);
    receiving(&stage, memory, victim)
}

/// The victim receives a message that is the last, and so in its post.
pub(super) fn recv_posted() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<u64>::new(3, &[])?;
    let stage = Stage { items: [1].into(), ..stage };
    let victim = stage.getter_of_posted(1);
    let check = move |_: &Witness| -> Finding { left(&stage.items, &stage.drain()?) };
    Ok(Scenario::in_memory(memory, &["there", "taken"], victim, check))
}

/// The victim reads the first message in place.
pub(super) fn borrow(items: &[u64]) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<super::Raw>::new(1, items)?;
    let reading = stage.clone();
    let victim = telling(move || {
        let mut rx = must(reading.receiver());
        move || {
            let Ok(borrowed) = rx.borrow() else { return REFUSED };
            let mut bytes = [0; super::Raw::BYTES];
            borrowed.read_at(0, &mut bytes);
            super::number(&bytes, bytes.len()).unwrap_or(u64::MAX - 1)
        }
    });
    receiving(&stage, memory, victim)
}

fn receiving<T: Item>(
    stage: &Stage<T>,
    memory: crate::sweep::Memory,
    victim: Part,
) -> Result<Scenario, String> {
    let (stage, checked, other) = (stage.clone(), stage.clone(), stage.clone());
    let check = move |_: &_| -> Finding { left(&checked.items, &checked.drain()?) };
    let scenario = Scenario::in_memory(memory, &["there", "taken"], victim, check);
    let full = stage.items.len() as u64 == T::ROOM.1;
    let outcomes: &[&str] = if full { &["refused", "sent"] } else { &["sent"] };
    let beside = move |witness: &Witness| -> Finding {
        if witness.victim != stage.items.first().copied() {
            return Err(format!("the victim got {:?}", witness.victim));
        }
        let mut due = stage.items[1..].to_vec();
        due.extend(witness.meanwhile.filter(|&sent| sent == OTHER));
        match stage.drain()? {
            found if found == due && witness.meanwhile == Some(OTHER) => Ok("sent"),
            found if found == due => Ok("refused"),
            found => Err(format!("the messages are {found:?}, not {due:?}")),
        }
    };
    let act = move |patience| other.send_within(patience);
    Ok(scenario.meanwhile("send_timeout", outcomes, act, beside))
}

/// The victim sends in vain: it tries, or sleeps until its time is over.
pub(super) fn send_in_vain<T: Item>(items: &[u64], sleeps: bool) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(0, items)?;
    let sending = stage.clone();
    let victim = telling(move || {
        let (tx, item) = (must(sending.sender()), T::new(VICTIM));
        move || {
            let tried = if sleeps { tx.send_timeout(&item, SHORTLY) } else { tx.try_send(&item) };
            tried.map_or(REFUSED, |()| VICTIM)
        }
    });
    let (checked, other) = (stage.clone(), stage.clone());
    let check = move |_: &_| -> Finding {
        match checked.drain()? {
            found if found[..] == checked.items[..] => Ok("unchanged"),
            found => Err(format!("the messages are {found:?}")),
        }
    };
    let beside = move |witness: &Witness| -> Finding {
        let mut due = stage.items.to_vec();
        due.extend(witness.victim.filter(|&sent| sent == VICTIM));
        let mut found: Vec<u64> = witness.meanwhile.into_iter().collect();
        found.extend(stage.drain()?);
        if found == due { Ok("accounted for") } else { Err(format!("{found:?}, not {due:?}")) }
    };
    let scenario = Scenario::in_memory(memory, &["unchanged"], victim, check);
    let act = move |patience| other.recv_within(patience);
    Ok(scenario.meanwhile("recv_timeout", &["accounted for"], act, beside))
}

/// The victim receives in vain.
pub(super) fn recv_in_vain<T: Item>(sleeps: bool) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(0, &[])?;
    let receiving = stage.clone();
    let victim = telling(move || {
        let rx = must(receiving.receiver());
        move || tell(if sleeps { rx.recv_timeout(SHORTLY) } else { rx.try_recv() })
    });
    let (checked, other) = (stage.clone(), stage.clone());
    let check = move |_: &_| -> Finding {
        match checked.drain()? {
            found if found.is_empty() => Ok("unchanged"),
            found => Err(format!("the messages are {found:?}")),
        }
    };
    let beside = move |witness: &Witness| -> Finding {
        let mut found: Vec<u64> =
            witness.victim.filter(|&got| got != REFUSED).into_iter().collect();
        found.extend(stage.drain()?);
        match (found.as_slice(), witness.meanwhile) {
            ([OTHER], Some(OTHER)) => Ok("accounted for"),
            (found, sent) => Err(format!("{found:?} came, {sent:?} was sent")),
        }
    };
    let scenario = Scenario::in_memory(memory, &["unchanged"], victim, check);
    let act = move |patience| other.send_within(patience);
    Ok(scenario.meanwhile("send_timeout", &["accounted for"], act, beside))
}

/// The victim closes its end, which the survivor is told, after it got what was sent.
pub(super) fn close(items: &[u64]) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<u64>::new(0, items)?;
    let closing = stage.clone();
    let victim = part(move || {
        let tx = must(closing.sender());
        move || tx.close()
    });
    let check = move |_: &_| -> Finding {
        let rx = stage.receiver()?;
        let found: Result<Vec<_>, _> = rx.iter().collect();
        let found: Vec<_> = found.map_err(super::text)?.iter().map(u64::number).collect();
        if found != stage.items.iter().map(|&number| Some(number)).collect::<Vec<_>>() {
            return Err(format!("the messages are {found:?}"));
        }
        let how = match rx.peer() {
            crossproc_pipe::Peer::Died => "died",
            crossproc_pipe::Peer::Closed => "closed",
            other => return Err(format!("{other:?} after the end")),
        };
        drop(rx);
        stage.fill().map(|()| how)
    };
    Ok(Scenario::in_memory(memory, &["died", "closed"], victim, check))
}

/// The victim says that it sends no more: the survivor gets what was sent, and then the end, whether
/// that was said or the victim is dead. One who receives meanwhile is told only once it was said.
pub(super) fn close_send(items: &[u64]) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<u64>::new(0, items)?;
    let shutting = stage.clone();
    let victim = part(move || {
        let tx = must(shutting.sender());
        move || tx.close_send()
    });
    let (checked, other) = (stage.clone(), stage.clone());
    let check = move |_: &_| -> Finding {
        let rx = checked.receiver()?;
        let found: Result<Vec<_>, _> = rx.iter().collect();
        let found: Vec<_> = found.map_err(super::text)?.iter().map(u64::number).collect();
        if found != checked.items.iter().map(|&number| Some(number)).collect::<Vec<_>>() {
            return Err(format!("the messages are {found:?}"));
        }
        drop(rx);
        // A successor may send.
        checked.fill().map(|()| "told")
    };
    let beside = move |witness: &Witness| -> Finding {
        match (witness.meanwhile, stage.drain()?) {
            (Some(REFUSED), left) if left[..] == stage.items[..] => Ok("nothing"),
            (Some(CLOSED), left) if left.is_empty() && stage.items.is_empty() => Ok("told"),
            (got, left) => Err(format!("the other got {got:?}, {left:?} is left")),
        }
    };
    let act = move |patience| other.end_within(patience);
    let scenario = Scenario::in_memory(memory, &["told"], victim, check);
    if !items.is_empty() {
        return Ok(scenario);
    }
    Ok(scenario.meanwhile("recv_timeout", &["nothing", "told"], act, beside))
}

/// What two victims do, one after the other; the second takes the end that the first had.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Send,
    Recv,
}

/// A victim takes the end of an earlier one, whatever that left, and goes on.
pub(super) fn successor<T: Item>(deed: Deed, items: &[u64]) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(1, items)?;
    let earlier = match deed {
        Deed::Send => stage.putter(EARLIER, true),
        Deed::Recv => stage.getter(true),
    };
    let taking = stage.clone();
    let victim = telling(move || {
        let stage = taking.clone();
        let _ = stage.segment.me();
        let item = T::new(SUCCESSOR);
        move || match deed {
            Deed::Send => {
                let tx = must(stage.sender());
                let sent = tx.send(&item);
                keep(tx);
                sent.map_or(REFUSED, |()| SUCCESSOR)
            }
            Deed::Recv => {
                let rx = must(stage.receiver());
                let got = rx.recv();
                keep(rx);
                tell(got)
            }
        }
    });
    let check = move |_: &_| -> Finding {
        let found = stage.drain()?;
        let taken = stage.items.len() - found.iter().filter(|&&n| n < VICTIM).count();
        let mut due = stage.items[taken..].to_vec();
        due.extend(found.contains(&EARLIER).then_some(EARLIER));
        due.extend(found.contains(&SUCCESSOR).then_some(SUCCESSOR));
        if found != due {
            return Err(format!("the messages are {found:?}"));
        }
        match (deed, taken) {
            (Deed::Send, _) if found.contains(&SUCCESSOR) => Ok("once"),
            (Deed::Send, _) | (Deed::Recv, 0) => Ok("not done"),
            (Deed::Recv, 1) => Ok("once"),
            _ => Ok("twice"),
        }
    };
    let outcomes: &[&str] = match deed {
        Deed::Send => &["not done", "once"],
        Deed::Recv => &["not done", "once", "twice"],
    };
    let scenario = Scenario::in_memory(memory, outcomes, victim, check).after_death_of(earlier);
    Ok(if deed == Deed::Recv { scenario.one_more() } else { scenario })
}

/// The victim receives from an end whose process has died in the middle of sending: it gets what was
/// sent, and then the end.
pub(super) fn heir<T: Item>(items: &[u64]) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(1, items)?;
    let earlier = stage.putter(EARLIER, true);
    let receiving = stage.clone();
    let victim = telling(move || {
        let rx = must(receiving.receiver());
        move || {
            let mut last = CLOSED;
            while let Ok(item) = rx.recv() {
                last = tell::<T, ()>(Ok(item));
            }
            last
        }
    });
    let check = move |_: &_| -> Finding {
        let found = stage.drain()?;
        let old: Vec<u64> = found.iter().copied().filter(|&number| number != EARLIER).collect();
        let in_order = found.iter().all(|&n| n < VICTIM) || found.last() == Some(&EARLIER);
        if !in_order || !stage.items.ends_with(&old) {
            return Err(format!("the messages are {found:?}"));
        }
        Ok("in order")
    };
    Ok(Scenario::in_memory(memory, &["in order"], victim, check).after_death_of(earlier))
}
