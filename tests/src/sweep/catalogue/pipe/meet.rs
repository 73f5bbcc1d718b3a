//! Listening at a name: bound, and given up. What the victim leaves is files; the survivors are told at
//! once that nobody listens, get the name, and leave nothing when they give it up.

use std::path::{Path, PathBuf};
use std::process;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use crossproc_pipe::{BindError, ConnectError, Connector, Listener, RecvError};

use super::{CLOSED, OTHER, must, text};
use crate::sweep::in_child;
use crate::sweep::scenario::{Finding, Scenario, Witness, keep, part, telling};

/// The listener was this process's.
const YES: u64 = 1;
/// It was another's.
const NO: u64 = 2;
const LONG: Duration = Duration::from_secs(10);

/// A directory of this harness alone, gone when the harness is done with it.
#[derive(Debug)]
struct Room(PathBuf);

impl Room {
    fn new(what: &str) -> Result<Rc<Self>, String> {
        let path = std::env::temp_dir().join(format!("crossproc-sweep-{}-{what}", process::id()));
        let room = Rc::new(Self(path));
        let _ = std::fs::remove_dir_all(&room.0);
        std::fs::create_dir(&room.0).map_err(text)?;
        Ok(room)
    }

    /// Empty, but for what a dead listener has left, if there was one.
    fn reset(&self, stale: bool) {
        must(self.files().map(|files| {
            files.iter().for_each(|name| {
                let _ = std::fs::remove_file(self.0.join(name));
            });
        }));
        if stale {
            must(in_child(|| {
                keep(listen(&self.0).map_err(text)?);
                Ok(())
            }));
        }
    }

    fn files(&self) -> Result<Vec<String>, String> {
        let entries = std::fs::read_dir(&self.0).map_err(text)?;
        entries
            .map(|entry| Ok(entry.map_err(text)?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn has(&self, name: &str) -> bool {
        self.0.join(name).symlink_metadata().is_ok()
    }

    /// The next listener has the name, is found, and takes all with it.
    fn works(&self) -> Result<(), String> {
        let connector = Connector::<u64, u64>::new("x").directory(&self.0);
        match connector.connect() {
            Err(ConnectError::NobodyListens { .. }) => {}
            other => return Err(format!("a dead listener gave {:?}", other.map(drop))),
        }
        let listener = listen(&self.0).map_err(text)?;
        let connecting = thread::spawn(move || connector.connect_timeout(LONG).map_err(text));
        let here = listener.accept_timeout(LONG).map_err(text)?.ok_or("nobody came")?;
        let there = connecting.join().map_err(|_| "the connector panicked")??;
        here.send(&5).map_err(text)?;
        if there.recv().map_err(text)? != 5 {
            return Err("another number came".to_owned());
        }
        drop(listener);
        let left = self.files()?;
        if left.is_empty() { Ok(()) } else { Err(format!("left behind: {left:?}")) }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn listen(room: &Path) -> Result<Listener<u64, u64>, BindError> {
    Listener::options().directory(room).bind("x")
}

/// Listens until its process ends; whether it could.
fn listen_for_ever(room: &Path) -> u64 {
    let bound = listen(room);
    let told = match &bound {
        Ok(_) => YES,
        Err(BindError::InUse { .. }) => NO,
        Err(_) => 0,
    };
    keep(bound);
    told
}

/// The victim listens at a name that is free, or that a dead listener has left.
pub(super) fn bind(stale: bool) -> Result<Scenario, String> {
    let room = Room::new(if stale { "stale" } else { "bind" })?;
    let (resetting, binding) = (Rc::clone(&room), Rc::clone(&room));
    let (other, judged) = (Rc::clone(&room), Rc::clone(&room));
    let victim = telling(move || {
        let room = Rc::clone(&binding);
        move || listen_for_ever(&room.0)
    });
    let check = move |_: &_| -> Finding {
        let outcome = match room.has("x.sock") {
            _ if stale => "taken over",
            true => "named",
            false => "absent",
        };
        room.works().map(|()| outcome)
    };
    let beside = move |witness: &Witness| -> Finding {
        judged.works()?;
        match (witness.victim, witness.meanwhile) {
            (Some(YES), Some(NO)) => Ok("victim's"),
            (Some(_), Some(YES)) => Ok("other's"),
            both => Err(format!("victim and other: {both:?}")),
        }
    };
    let outcomes: &[&str] = if stale { &["taken over"] } else { &["absent", "named"] };
    Ok(Scenario::in_kernel(move || resetting.reset(stale), outcomes, victim, check)
        .every_instruction_up_to(0)
        .meanwhile(
            "bind",
            &["other's", "victim's"],
            move |_| Ok(listen_for_ever(&other.0)),
            beside,
        ))
}

/// The victim accepts a connector, which is asleep until it has its answer.
pub(super) fn accept() -> Result<Scenario, String> {
    let room = Room::new("accept")?;
    let (resetting, binding, connecting) = (Rc::clone(&room), Rc::clone(&room), Rc::clone(&room));
    let victim = telling(move || {
        // As long as it takes to be stepped through.
        let options = Listener::<u64, u64>::options().handshake_timeout(LONG);
        let listener = must(options.directory(&binding.0).bind("x").map_err(text));
        move || {
            let accepted = listener.accept();
            let told = if accepted.is_ok() { YES } else { NO };
            keep(accepted);
            told
        }
    });
    let wait = move || match Connector::<u64, u64>::new("x").directory(&connecting.0).connect() {
        // And the listener is dead then.
        Ok(end) => {
            if matches!(end.recv(), Err(RecvError::Closed)) {
                YES
            } else {
                0
            }
        }
        Err(ConnectError::NobodyListens { .. }) => NO,
        Err(_) => 0,
    };
    let check = move |witness: &Witness| -> Finding {
        room.works()?;
        match witness.waiter {
            Some(NO) => Ok("refused"),
            Some(YES) => Ok("connected"),
            other => Err(format!("the connector was told {other:?}")),
        }
    };
    let reset = move || resetting.reset(false);
    let outcomes = &["refused", "connected"];
    Ok(Scenario::in_kernel(reset, outcomes, victim, check)
        .every_instruction_up_to(0)
        .with_waiter(wait))
}

/// The victim connects to a listener that is asleep until somebody does.
pub(super) fn connect() -> Result<Scenario, String> {
    let room = Room::new("connect")?;
    let (resetting, connecting) = (Rc::clone(&room), Rc::clone(&room));
    let (listening, helping) = (Rc::clone(&room), Rc::clone(&room));
    let victim = telling(move || {
        let connector = Connector::<u64, u64>::new("x").directory(&connecting.0);
        move || {
            let connected = connector.connect_timeout(LONG);
            let told = if connected.is_ok() { YES } else { NO };
            keep(connected);
            told
        }
    });
    let wait = move || {
        let options = Listener::<u64, u64>::options().handshake_timeout(LONG);
        let listener = must(options.directory(&listening.0).bind("x").map_err(text));
        let end = must(listener.accept().map_err(text));
        match end.recv() {
            Ok(number) => number,
            Err(RecvError::Closed) => CLOSED,
            Err(_) => 0,
        }
    };
    let help = move || {
        let connector = Connector::<u64, u64>::new("x").directory(&helping.0);
        let end = match connector.connect() {
            // It has the victim's end, and was slow to see that nobody is behind it.
            Err(ConnectError::NobodyListens { .. }) => return,
            connected => must(connected.map_err(text)),
        };
        must(end.send(&OTHER).map_err(text));
        // Until the listener has it.
        keep(end.recv());
    };
    let check = move |witness: &Witness| -> Finding {
        room.works()?;
        match (witness.waiter, witness.helped) {
            (Some(OTHER), true) => Ok("passed over"),
            (Some(CLOSED), _) => Ok("accepted"),
            other => Err(format!("the listener had {other:?}")),
        }
    };
    let reset = move || resetting.reset(false);
    let outcomes = &["passed over", "accepted"];
    Ok(Scenario::in_kernel(reset, outcomes, victim, check)
        .every_instruction_up_to(0)
        .with_waiter_helped(wait, help))
}

/// The victim gives its name up.
pub(super) fn give_up() -> Result<Scenario, String> {
    let room = Room::new("drop")?;
    let (resetting, binding) = (Rc::clone(&room), Rc::clone(&room));
    let victim = part(move || {
        let mut listener = Some(must(listen(&binding.0).map_err(text)));
        move || drop(listener.take())
    });
    let check = move |_: &_| -> Finding {
        let outcome = if room.has("x.sock") { "named" } else { "absent" };
        room.works().map(|()| outcome)
    };
    let reset = move || resetting.reset(false);
    Ok(Scenario::in_kernel(reset, &["named", "absent"], victim, check).every_instruction_up_to(0))
}
