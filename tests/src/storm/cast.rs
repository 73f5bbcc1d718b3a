//! The processes of a slice: one for each part, replaced when killed.

use std::fmt;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::ledger::Ledger;
use super::scene::{Member, Role, Scene};
use super::schedule::mix;
use super::{Fault, Kind};
use crate::forked::{Forked, fork};

/// The exit code of a member that has noted a fault.
const FAULT: i32 = 3;

/// What the last panic of this process said.
static PANIC: Mutex<String> = Mutex::new(String::new());

/// Has panics noted rather than printed, in this process and those forked from it.
pub fn note_panics() {
    std::panic::set_hook(Box::new(|panic| {
        if let Ok(mut text) = PANIC.lock() {
            *text = panic.to_string();
        }
    }));
}

/// What the last panic of this process said.
pub fn noted_panic() -> String {
    PANIC.lock().map(|text| text.clone()).unwrap_or_default()
}

/// A cast at work. Dropping it kills and reaps all of it.
pub struct Cast<'a> {
    scene: &'a dyn Scene,
    ledger: &'a Ledger,
    seed: u64,
    players: Vec<Player>,
}

#[derive(Debug)]
struct Player {
    role: Role,
    process: Option<Forked>,
    /// How many have played the part.
    lives: u64,
    stopped_until: Option<Instant>,
}

impl<'a> Cast<'a> {
    /// Starts one process for each part.
    #[must_use]
    pub fn start(scene: &'a dyn Scene, ledger: &'a Ledger, seed: u64) -> Self {
        let player = |role| Player { role, process: None, lives: 0, stopped_until: None };
        let players = scene.cast().into_iter().map(player).collect();
        let mut cast = Self { scene, ledger, seed, players };
        for part in 0..cast.players.len() {
            cast.enter(part);
        }
        cast
    }

    /// Starts a process that plays `part`.
    pub fn enter(&mut self, part: usize) {
        let player = &mut self.players[part];
        player.lives += 1;
        let seed = mix(mix(self.seed, part as u64), player.lives);
        let (scene, ledger, leaves) = (self.scene, self.ledger, player.role.leaves);
        player.process = Some(fork(|| play(scene, ledger, part, leaves, seed)));
    }

    /// How many parts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.players.len()
    }

    /// Whether there are no parts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.players.is_empty()
    }

    /// The role of a part.
    #[must_use]
    pub fn role(&self, part: usize) -> Role {
        self.players[part].role
    }

    /// Whether somebody plays it now.
    #[must_use]
    pub fn is_on(&self, part: usize) -> bool {
        self.players[part].process.is_some()
    }

    /// Whether whoever plays it is stopped.
    #[must_use]
    pub fn is_stopped(&self, part: usize) -> bool {
        self.players[part].stopped_until.is_some()
    }

    /// The parts for which `holds`.
    pub fn parts(&self, holds: impl Fn(&Role) -> bool) -> Vec<usize> {
        (0..self.len()).filter(|&part| holds(&self.players[part].role)).collect()
    }

    /// Kills all of `parts` at once, then waits for the end of each.
    ///
    /// # Errors
    /// If one had ended by itself before.
    pub fn kill(&mut self, parts: &[usize]) -> Result<(), Fault> {
        let parts: Vec<usize> = parts.iter().copied().filter(|&part| self.is_on(part)).collect();
        for &part in &parts {
            self.signal(part, libc::SIGKILL);
        }
        let mut result = Ok(());
        for &part in &parts {
            let player = &mut self.players[part];
            player.stopped_until = None;
            let Some(process) = player.process.take() else { continue };
            let status = process.wait();
            if status != -libc::SIGKILL && result.is_ok() {
                result = Err(self.end(part, status));
            }
        }
        result
    }

    /// Stops whoever plays `part` for a while.
    pub fn stop(&mut self, part: usize, time: Duration) {
        self.signal(part, libc::SIGSTOP);
        self.players[part].stopped_until = Some(Instant::now() + time);
    }

    /// Lets those go on whose time is over; all of them if `all`. Gives their parts.
    pub fn go_on(&mut self, all: bool) -> Vec<usize> {
        let now = Instant::now();
        let due = |player: &Player| player.stopped_until.is_some_and(|until| all || until <= now);
        let due: Vec<usize> = (0..self.len()).filter(|&part| due(&self.players[part])).collect();
        for &part in &due {
            self.players[part].stopped_until = None;
            self.signal(part, libc::SIGCONT);
        }
        due
    }

    /// Reaps those who have left by themselves.
    ///
    /// # Errors
    /// If one noted a fault, ended otherwise, or left without being asked to.
    pub fn reap(&mut self, stage: u64) -> Result<(), Fault> {
        for part in 0..self.len() {
            let player = &mut self.players[part];
            let Some(status) = player.process.as_mut().and_then(Forked::try_wait) else { continue };
            player.process = None;
            if status != 0 || stage < player.role.leaves {
                return Err(self.end(part, status));
            }
        }
        Ok(())
    }

    /// An end that should not have been.
    fn end(&self, part: usize, status: i32) -> Fault {
        let who = format!("{} {part}", self.players[part].role.name);
        if let (FAULT, Some(fault)) = (status, self.ledger.fault()) {
            return Fault { text: format!("{who}: {}", fault.text), ..fault };
        }
        let told = self.ledger.fault().map(|fault| format!(" ({fault})")).unwrap_or_default();
        Fault::new(Kind::Wrong, format!("{who} ended by itself, status {status}{told}"))
    }

    /// What everybody is at, as far as it can be seen from outside.
    #[must_use]
    pub fn describe(&self) -> String {
        let doings = self.scene.doings();
        let line = |(part, player): (usize, &Player)| {
            let words = self.ledger.part(part);
            let doing = usize::try_from(words.doing()).ok().and_then(|doing| doings.get(doing));
            let state = player.process.as_ref().map_or("gone".to_owned(), |process| {
                let state = crate::outside::state(process.pid()).unwrap_or('?');
                format!("pid {} {state}", process.pid())
            });
            format!(
                "{} {part} (life {}, {state}): {}, {} done",
                player.role.name,
                player.lives,
                doing.unwrap_or(&"?"),
                words.progress()
            )
        };
        self.players.iter().enumerate().map(line).collect::<Vec<_>>().join("; ")
    }

    /// Kills and reaps everybody.
    pub fn end_all(&mut self) {
        let all: Vec<usize> = (0..self.len()).collect();
        // Who had ended before is of no interest any more.
        let _ = self.kill(&all);
    }

    fn signal(&self, part: usize, signal: i32) {
        if let Some(process) = &self.players[part].process {
            process.signal(signal);
        }
    }
}

impl fmt::Debug for Cast<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cast").field("players", &self.players).finish_non_exhaustive()
    }
}

impl Drop for Cast<'_> {
    fn drop(&mut self) {
        self.end_all();
    }
}

/// Plays a part in the process that was forked for it, and gives its exit code.
fn play(scene: &dyn Scene, ledger: &Ledger, part: usize, leaves: u64, seed: u64) -> i32 {
    let member = Member::new(ledger, part, leaves, seed);
    let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| scene.play(&member)));
    let fault = match played {
        Ok(Ok(())) => return 0,
        Ok(Err(fault)) => fault,
        Err(_) => Fault::new(Kind::Wrong, noted_panic()),
    };
    ledger.report(&fault);
    // Whoever noted the first fault may still be writing it.
    thread::sleep(Duration::from_millis(1));
    FAULT
}
