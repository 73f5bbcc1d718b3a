//! An end on its way to another process, as a message in a queue or in another pipe.
//!
//! Whoever survives takes the message, if there is one, and so the end; else the end is nobody's, and
//! it takes it as anybody may. Either way it finds all messages in the pipe, and the pipe works.

use std::time::Duration;

use crossproc_message::{decode, encode};
use crossproc_pipe::{OneWay, Pipe, Receiver, Sender, TryRecvError};
use crossproc_queue::{Queue, TryGetError};

use super::{Stage, must, text};
use crate::sweep::scenario::{Finding, Scenario, Witness, keep, telling};

const MESSAGES: [u64; 2] = [1, 2];
/// What the survivor sends through an end that arrived.
const AFTER: u64 = 50;
/// For what is there or never comes: the last look of a wait is for what the dead have left.
const SHORTLY: Duration = Duration::from_millis(5);
const YES: u64 = 1;
const NO: u64 = 0;

/// What an end is sent in.
pub(super) trait Letter: Clone + Sized + 'static {
    fn new(stage: &Stage<u64>) -> Result<Self, String>;

    fn put(&self, end: Receiver<u64>) -> bool;

    /// `None` if nothing is there.
    fn get(&self) -> Result<Option<Receiver<u64>>, String>;
}

impl Letter for Queue<Receiver<u64>> {
    fn new(stage: &Stage<u64>) -> Result<Self, String> {
        Self::create(&stage.segment, "ends", 2).map_err(text)
    }

    fn put(&self, end: Receiver<u64>) -> bool {
        let put = self.try_put(end);
        let done = put.is_ok();
        keep(put);
        done
    }

    fn get(&self) -> Result<Option<Receiver<u64>>, String> {
        match self.get_timeout(SHORTLY) {
            Ok(end) => Ok(Some(end)),
            Err(TryGetError::Empty) => Ok(None),
            Err(error) => Err(format!("the letter: {error}")),
        }
    }
}

/// Both ends are taken for each letter, and whoever takes them after the dead goes on there.
impl Letter for OneWay<Receiver<u64>> {
    fn new(stage: &Stage<u64>) -> Result<Self, String> {
        let options = Pipe::<()>::options().capacity(512);
        options.one_way_closed_in(&stage.segment).map_err(text)
    }

    fn put(&self, end: Receiver<u64>) -> bool {
        let tx: Sender<Receiver<u64>> = must(self.sender().map_err(text));
        let done = tx.try_send(&end).is_ok();
        keep((tx, end));
        done
    }

    fn get(&self) -> Result<Option<Receiver<u64>>, String> {
        let rx = self.receiver().map_err(text)?;
        match rx.recv_timeout(SHORTLY) {
            Ok(end) => Ok(Some(end)),
            // Whoever wrote is dead.
            Err(TryRecvError::Empty | TryRecvError::Closed) => Ok(None),
            Err(error) => Err(format!("the letter: {error}")),
        }
    }
}

/// What a process does once, when it first sends or receives a handle: it maps the segment of its
/// tree, or makes it, which is millions of instructions, and enters itself there.
fn meet_the_tree(stage: &Stage<u64>) -> Result<(), String> {
    let mut bytes = Vec::new();
    let sent = encode(&stage.pipe, &mut bytes).map_err(text)?;
    keep(decode::<OneWay<u64>>(&bytes, sent.segments).map_err(text)?);
    Ok(())
}

/// Whether the end came by letter; all messages are there either way, and the pipe works.
fn came<L: Letter>(stage: &Stage<u64>, letter: &L) -> Result<bool, String> {
    let arrived = letter.get()?;
    let came = arrived.is_some();
    if let Some(rx) = arrived {
        let tx = stage.sender()?;
        tx.send(&<u64 as super::Item>::new(AFTER)).map_err(text)?;
        for expected in MESSAGES.into_iter().chain([AFTER]) {
            match rx.recv_timeout(SHORTLY).map(|found| super::Item::number(&found)) {
                Ok(Some(found)) if found == expected => {}
                found => return Err(format!("{found:?} instead of message {expected}")),
            }
        }
        drop((tx, rx));
        stage.fill()?;
    } else if stage.drain()? != MESSAGES {
        return Err("messages of an end that did not arrive are gone".to_owned());
    }
    match letter.get()? {
        None => Ok(came),
        Some(_) => Err("the end came twice".to_owned()),
    }
}

/// The victim sends an end that it has.
pub(super) fn sent<L: Letter>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<u64>::new(0, &MESSAGES)?;
    let letter = L::new(&stage)?;
    let (acting, writing) = (stage.clone(), letter.clone());
    let victim = telling(move || {
        let letter = writing.clone();
        must(meet_the_tree(&acting));
        let mut end = Some(must(acting.receiver()));
        move || if end.take().is_some_and(|end| letter.put(end)) { YES } else { NO }
    });
    let check = move |witness: &Witness| -> Finding {
        match (came(&stage, &letter)?, witness.victim) {
            (_, Some(NO)) => Err("it could not be sent".to_owned()),
            (true, _) => Ok("sent"),
            (false, _) => Ok("absent"),
        }
    };
    Ok(Scenario::in_memory(memory, &["absent", "sent"], victim, check))
}

/// The victim receives an end that one has sent who is dead.
pub(super) fn received<L: Letter>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<u64>::new(0, &MESSAGES)?;
    let letter = L::new(&stage)?;
    crate::sweep::in_child(|| {
        let sent = letter.put(stage.receiver()?);
        if sent { Ok(()) } else { Err("it could not be sent".to_owned()) }
    })?;
    let reading = letter.clone();
    let acting = stage.clone();
    let victim = telling(move || {
        let letter = reading.clone();
        must(meet_the_tree(&acting));
        move || {
            let got = letter.get();
            let told = if matches!(got, Ok(Some(_))) { YES } else { NO };
            keep(got);
            told
        }
    });
    let check = move |witness: &Witness| -> Finding {
        match (came(&stage, &letter)?, witness.victim) {
            (_, Some(NO)) => Err("it did not arrive".to_owned()),
            (true, _) => Ok("there"),
            (false, _) => Ok("taken"),
        }
    };
    Ok(Scenario::in_memory(memory, &["there", "taken"], victim, check))
}
