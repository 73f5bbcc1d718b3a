//! `Event` and `Once`.

use anyhow::Result;
use crossproc::{Deadline, Event, Once, OnceError, Segment};

use crate::hostile::answer::Answer;
use crate::hostile::hand::{Hand, Play, Primitive};

pub(super) fn event() -> Primitive {
    Primitive { name: "event", attach: attach_event, die_in: None, keep: None }
}

pub(super) fn once() -> Primitive {
    Primitive { name: "once", attach: attach_onces, die_in: Some(die_in), keep: None }
}

struct Told(Event);

fn attach_event(segment: &Segment) -> Result<Box<dyn Play>> {
    Ok(Box::new(Told(Event::open_or_create(segment, "event.one")?)))
}

/// What a wait answered that says by a `bool` whether the event came.
fn came(came: bool) -> Answer {
    if came { Answer::Done } else { Answer::InTime }
}

impl Play for Told {
    fn play(&self, hand: &Hand<'_>) {
        let event = &self.0;
        hand.timed("wait_timeout", || came(event.wait_timeout(hand.patience())));
        hand.timed("set", || event.set());
        hand.point();
        hand.timed("wait_deadline, set", || {
            came(event.wait_deadline(Deadline::after(hand.patience())))
        });
        hand.timed("is_set, Debug", || drop(format!("{} {event:?}", event.is_set())));
        hand.timed("clear", || event.clear());
        hand.point();
        hand.timed("wait_timeout, cleared", || came(event.wait_timeout(hand.patience())));
        hand.timed("open", || Event::open(event.segment(), "event.one"));
        hand.waits("open_or_create", || Event::open_or_create(event.segment(), "event.one"));
        hand.timed("new_in, drop", || Event::new_in(event.segment()));
    }
}

/// New, done, and one whose runner died.
struct Onces([Once; 3]);

fn attach_onces(segment: &Segment) -> Result<Box<dyn Play>> {
    let open = |name| Once::open_or_create(segment, name);
    let onces = [open("once.new")?, open("once.done")?, open("once.orphan")?];
    onces[1].call_once(|| {})?;
    Ok(Box::new(Onces(onces)))
}

fn die_in(segment: &Segment) -> Result<()> {
    let orphan = Once::open(segment, "once.orphan")?;
    orphan.call_once(|| crossproc_sys::process::exit_now(0))?;
    Ok(())
}

impl Play for Onces {
    fn play(&self, hand: &Hand<'_>) {
        for once in &self.0 {
            hand.timed("is_completed, Debug", || drop(format!("{} {once:?}", once.is_completed())));
            hand.timed("wait_timeout", || once.wait_timeout(hand.patience()));
            hand.timed("wait_deadline", || once.wait_deadline(Deadline::after(hand.patience())));
            hand.timed("call_once_timeout", || {
                once.call_once_timeout(hand.patience(), || hand.point())
            });
            hand.timed("call_once_force_deadline", || {
                let deadline = Deadline::after(hand.patience());
                once.call_once_force_deadline(deadline, |_| hand.point())
            });
            hand.waits("call_once_try", || {
                once.call_once_try(|_| Err(OnceError::Timeout)).map_err(|_| OnceError::Corrupt)
            });
            hand.timed("wait_timeout, done", || once.wait_timeout(hand.patience()));
        }
        let segment = self.0[0].segment();
        hand.timed("open", || Once::open(segment, "once.done"));
        hand.waits("open_or_create", || Once::open_or_create(segment, "once.new"));
        hand.timed("new_in, drop", || Once::new_in(segment));
    }
}
