//! Setters and waiters of an event: whoever waits comes back with the next set.
//!
//! A setter sets and clears right after, and so does each waiter that was let through; so most waiters
//! have to be let through by a set that is over when they run. One that is not, hangs.

use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use crossproc::crates::sync::Event;

use super::{Arena, Setting, made};
use crate::storm::ledger::Ledger;
use crate::storm::scene::{Member, Role, Scene};
use crate::storm::{Fault, Kind};

const SETTERS: usize = 2;
const WAITERS: usize = 4;

pub(super) fn arenas() -> Vec<Arena> {
    vec![Arena {
        name: "event",
        about: "whoever waits is let through by the next set, cleared at once or not",
        bytes: 1 << 17,
        extra_words: 1,
        build: |setting| Ok(Box::new(Gate::new(setting)?)),
    }]
}

struct Gate {
    event: Event,
    immortals: usize,
}

impl Gate {
    fn new(setting: &Setting) -> Result<Self, Fault> {
        let event = made("the event", Event::create(&setting.segment, "gate"))?;
        Ok(Self { event, immortals: setting.dice().index(&[(); 2]) })
    }

    fn set(&self, member: &Member<'_>) {
        let stamp = &member.ledger().extra()[0];
        while !member.leaves() {
            thread::sleep(Duration::from_micros(member.roll(1000)));
            stamp.fetch_add(1, SeqCst);
            self.event.set();
            member.linger();
            self.event.clear();
            member.part().advance();
        }
    }

    fn wait(&self, member: &Member<'_>) -> Result<(), Fault> {
        let stamp = &member.ledger().extra()[0];
        while !member.leaves() {
            let through = match member.roll(4) {
                0 => self.event.wait_timeout(Duration::from_micros(member.roll(3000))),
                _ => {
                    self.event.wait();
                    true
                }
            };
            if !through {
                continue;
            }
            if stamp.load(SeqCst) == 0 {
                return Err(Fault::new(Kind::Wrong, "let through before anybody set it"));
            }
            // Also what a setter left set that was killed.
            self.event.clear();
            member.part().advance();
        }
        Ok(())
    }
}

impl Scene for Gate {
    fn cast(&self) -> Vec<Role> {
        let setter = |part| Role::new("setter").mortal(part >= self.immortals).leaves(2);
        let waiter = |part| Role::new("waiter").mortal(part >= self.immortals);
        (0..SETTERS).map(setter).chain((0..WAITERS).map(waiter)).collect()
    }

    fn play(&self, member: &Member<'_>) -> Result<(), Fault> {
        if member.number() < SETTERS {
            self.set(member);
            return Ok(());
        }
        self.wait(member)
    }

    fn account(&self, _ledger: &Ledger) -> Result<String, Fault> {
        self.event.set();
        self.event.wait();
        self.event.clear();
        if self.event.is_set() || self.event.wait_timeout(Duration::ZERO) {
            return Err(Fault::new(Kind::Wrong, format!("set and cleared: {:?}", self.event)));
        }
        Ok(String::new())
    }

    fn describe(&self) -> String {
        format!("{:?}", self.event)
    }
}
