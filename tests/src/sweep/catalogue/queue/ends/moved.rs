//! Handles that are sent, that arrive, and that went with their process.

use crossproc_message::{decode, encode};
use crossproc_queue::{GetError, PutError};

use super::super::VICTIM;
use super::super::beside::CLOSED;
use super::{Counted, Own, Sided, WRONG};
use crate::sweep::catalogue::text;
use crate::sweep::scenario::{Scenario, Witness, keep, part, telling};

/// A handle is sent by the last one.
pub(in super::super) fn sent<Q: Sided>() -> Result<Scenario, String> {
    let (counted, memory) = Counted::<Q>::new(2, &[], false)?;
    let acting = counted.queue.clone();
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
pub(in super::super) fn received<Q: Sided>() -> Result<Scenario, String> {
    let (counted, memory) = Counted::<Q>::new(2, &[], false)?;
    let mut bytes = Vec::new();
    let producer = counted.queue.producer().map_err(text)?;
    let sent = encode(&producer, &mut bytes).map_err(text)?;
    drop(producer);
    let victim = part(move || {
        let (bytes, segments) = (bytes.clone(), sent.segments.clone());
        let _ = segments[0].me();
        move || keep(decode::<Q::Producer>(&bytes, segments.clone()))
    });
    // Until it is settled the loan is the harness's, which lives.
    let check = move |_: &Witness| Ok(if counted.check(&[])? { "closed" } else { "open" });
    let scenario = Scenario::in_memory(memory, &["open", "closed"], victim, check);
    Ok(scenario.every_instruction_up_to(0))
}

/// One waits at a queue whose last one on the other side is dead.
pub(in super::super) fn finds_the_last_dead<Q: Sided>(full: bool) -> Result<Scenario, String> {
    let items: &[u64] = if full { &[1, 2] } else { &[] };
    let (counted, memory) = Counted::<Q>::new(2, items, false)?;
    crate::sweep::in_child(|| {
        if full {
            keep(counted.queue.consumer().map_err(text)?);
        } else {
            keep(counted.queue.producer().map_err(text)?);
        }
        Ok(())
    })?;
    let acting = counted.clone();
    let victim = telling(move || {
        let counted = acting.clone();
        let _ = counted.segment.me();
        move || {
            let told = if full {
                matches!(counted.queue.put(VICTIM), Err(PutError::Closed(_)))
            } else {
                matches!(counted.queue.get(), Err(GetError::Closed))
            };
            if told { CLOSED } else { WRONG }
        }
    });
    let check = move |witness: &Witness| match witness.victim {
        None | Some(CLOSED) => counted.closed(&counted.items),
        gave => Err(format!("the victim's call gave {gave:?}")),
    };
    Ok(Scenario::in_memory(memory, &["closed"], victim, check).every_instruction_up_to(0))
}
