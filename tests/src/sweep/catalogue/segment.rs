//! Segments: made under a name, opened, joined.

use std::os::fd::AsFd;
use std::process;
use std::rc::Rc;

use crossproc_segment::{Error, Segment, Shape};

use super::{Entry, stage, text};
use crate::sweep::memory::Memory;
use crate::sweep::scenario::{Finding, Scenario, Witness, keep, part, telling};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("segment create", "named", create),
    Entry::new("segment open_or_create", "name not there", open_or_create),
    Entry::new("segment open", "named", || opened(false)),
    Entry::new("segment open", "earlier death in open", || opened(true)),
    Entry::new("segment join", "after fork", || joined(false)),
    Entry::new("segment join", "earlier death in join", || joined(true)),
];

const BYTES: usize = 16 << 10;

/// A name of this harness alone, gone when the harness is done with it.
#[derive(Debug)]
struct Name(String);

impl Name {
    fn new(what: &str) -> Rc<Self> {
        let name = Self(format!("sweep-{}-{what}", process::id()));
        name.free();
        Rc::new(name)
    }

    fn free(&self) {
        // Mostly there is none; whether one is left over is the survivors' question.
        let _ = Segment::unlink(&self.0);
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        self.free();
    }
}

fn create() -> Result<Scenario, String> {
    made_by(|name| Segment::create(name, BYTES))
}

fn open_or_create() -> Result<Scenario, String> {
    made_by(|name| Segment::open_or_create(name, BYTES))
}

/// After each k the name either does not exist or opens whole, and nothing else is left.
fn made_by(make: fn(&str) -> Result<Segment, Error>) -> Result<Scenario, String> {
    let name = Name::new("create");
    let (resetting, checked) = (Rc::clone(&name), Rc::clone(&name));
    let (opening, making, judged) = (Rc::clone(&name), Rc::clone(&name), Rc::clone(&name));
    let files = shm_files()?;
    let victim = telling(move || {
        let name = Rc::clone(&name);
        move || {
            let made = make(&name.0);
            let told = told(&made);
            keep(made);
            told
        }
    });
    let check = move |_: &_| {
        let outcome = match Segment::open(&checked.0) {
            Ok(segment) => works(&segment).map(|()| "whole")?,
            Err(Error::NotFound { .. }) => {
                works(&Segment::create(&checked.0, BYTES).map_err(text)?).map(|()| "absent")?
            }
            Err(error) => return Err(format!("neither absent nor whole: {error}")),
        };
        Segment::unlink(&checked.0).map_err(text)?;
        match shm_files()?.into_iter().find(|file| !files.contains(file)) {
            Some(file) if file.contains(&checked.0) => Err(format!("left behind: {file}")),
            _ => Ok(outcome),
        }
    };
    let reset = move || resetting.free();
    let open = move |_| match Segment::open(&opening.0) {
        Ok(segment) => usable(&segment).map(|()| YES),
        Err(Error::NotFound { .. }) => Ok(NO),
        Err(error) => Err(format!("open: {error}")),
    };
    let judge = move || {
        works(&Segment::open(&judged.0).map_err(text)?)?;
        Segment::unlink(&judged.0).map_err(text)
    };
    let found = judge.clone();
    Ok(Scenario::in_kernel(reset, &["absent", "whole"], victim, check)
        .every_instruction_up_to(0)
        .meanwhile("open", &["not there", "there"], open, move |witness| {
            found()?;
            Ok(if witness.meanwhile == Some(YES) { "there" } else { "not there" })
        })
        .meanwhile_waiting(
            "the same",
            &["other's", "victim's"],
            move || Ok(told(&make(&making.0))),
            move |witness| {
                judge()?;
                who_made(witness)
            },
        ))
}

const YES: u64 = 1;
const NO: u64 = 2;

/// Whether the segment was made by this call, which then is the only member there ever was.
fn told(made: &Result<Segment, Error>) -> u64 {
    match made {
        Ok(segment) if segment.me().get() == 1 => YES,
        Ok(_) | Err(Error::Exists { .. }) => NO,
        Err(_) => 0,
    }
}

fn who_made(witness: &Witness) -> Finding {
    match (witness.victim, witness.meanwhile) {
        (Some(NO), Some(YES)) => Ok("other's"),
        (Some(YES), Some(NO)) => Ok("victim's"),
        both => Err(format!("victim and other: {both:?}")),
    }
}

/// Opening changes nothing that outlives the opener.
fn opened(again: bool) -> Result<Scenario, String> {
    let name = Name::new("open");
    // Another process makes it, or this one would be a member already, and opening it no joining.
    crate::sweep::in_child(|| Segment::create(&name.0, BYTES).map(drop).map_err(text))?;
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(format!("/dev/shm/crossproc.{}", name.0))
        .map_err(text)?;
    let bytes = usize::try_from(file.metadata().map_err(text)?.len()).map_err(text)?;
    let memory = Memory::of_file(file.as_fd(), bytes).map_err(text)?;
    let (checked, opening, judged) = (Rc::clone(&name), Rc::clone(&name), Rc::clone(&name));
    let opener = |name: &Rc<Name>| {
        let name = Rc::clone(name);
        part(move || {
            let name = Rc::clone(&name);
            move || keep(Segment::open(&name.0))
        })
    };
    let (earlier, victim) = (opener(&name), opener(&name));
    let check = move |_: &_| -> Finding {
        let segment = Segment::open(&checked.0).map_err(text)?;
        works(&segment).map(|()| "unchanged")
    };
    let open = move |_| Segment::open(&opening.0).map(|segment| u64::from(segment.me().get()));
    let scenario = Scenario::in_memory(memory, &["unchanged"], victim, check)
        .every_instruction_up_to(0)
        .meanwhile(
            "open",
            &["unchanged"],
            move |patience| open(patience).map_err(text),
            move |_| works(&Segment::open(&judged.0).map_err(text)?).map(|()| "unchanged"),
        );
    Ok(if again { scenario.after_death_of(earlier) } else { scenario })
}

/// A forked child joins afresh; its parent stays alive throughout.
fn joined(again: bool) -> Result<Scenario, String> {
    let (segment, memory) = stage()?;
    let parent = segment.me();
    let (checked, joining, judged) = (segment.clone(), segment.clone(), segment.clone());
    let joiner = |segment: &Segment| {
        let segment = segment.clone();
        telling(move || {
            let segment = segment.clone();
            move || u64::from(segment.me().get())
        })
    };
    let (earlier, victim) = (joiner(&segment), joiner(&segment));
    let check = move |_: &_| -> Finding {
        if checked.me() == parent || !checked.alive(parent) {
            return Err("the parent's id is not the parent's alone any more".to_owned());
        }
        works(&checked).map(|()| "unchanged")
    };
    let scenario = Scenario::in_memory(memory, &["unchanged"], victim, check)
        .every_instruction_up_to(0)
        .meanwhile(
            "join",
            &["two members"],
            move |_| Ok(u64::from(joining.me().get())),
            move |witness| {
                works(&judged)?;
                match (witness.victim, witness.meanwhile) {
                    (Some(one), Some(other)) if one != other => Ok("two members"),
                    both => Err(format!("victim and other have the ids {both:?}")),
                }
            },
        );
    Ok(if again { scenario.after_death_of(earlier) } else { scenario })
}

/// Members are told apart, the dead are dead, and the segment is usable.
fn works(segment: &Segment) -> Result<(), String> {
    let me = segment.me();
    let mut members = segment.members();
    if !members.iter().any(|member| member.id == me && member.alive) {
        return Err("the survivor is not among the living members".to_owned());
    }
    let all = members.len();
    members.sort_by_key(|member| member.id.get());
    members.dedup_by_key(|member| member.id.get());
    if members.len() != all {
        return Err("two members have one id".to_owned());
    }
    let harness = process::id();
    let parent = std::os::unix::process::parent_id();
    let ghost =
        members.iter().find(|member| member.alive && ![harness, parent].contains(&member.pid));
    if let Some(ghost) = ghost {
        return Err(format!("member {} of process {} is dead", ghost.id.get(), ghost.pid));
    }
    usable(segment)
}

/// Objects can be made, found and removed.
fn usable(segment: &Segment) -> Result<(), String> {
    let shape = Shape::untyped("sweep", 1);
    let made = segment.construct(Some("object"), &shape, 100, |_| {}).map_err(text)?;
    let found = segment.find("object", &shape).map_err(text)?;
    if made.body() != found.body() {
        return Err("one name, two objects".to_owned());
    }
    segment.remove("object").map_err(text)
}

fn shm_files() -> Result<Vec<String>, String> {
    let entries = std::fs::read_dir("/dev/shm").map_err(text)?;
    entries
        .map(|entry| Ok(entry.map_err(text)?.file_name().to_string_lossy().into_owned()))
        .collect()
}
