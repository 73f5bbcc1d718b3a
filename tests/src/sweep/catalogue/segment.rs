//! Segments: made under a name, opened, joined.

use std::os::fd::AsFd;
use std::process;
use std::rc::Rc;

use crossproc_segment::{Error, Segment, Shape};

use super::{Entry, stage, text};
use crate::sweep::memory::Memory;
use crate::sweep::scenario::{Finding, Scenario, keep, part};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("segment create", "named", create),
    Entry::new("segment open_or_create", "name not there", open_or_create),
    Entry::new("segment open", "named", open),
    Entry::new("segment join", "after fork", join),
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
    let files = shm_files()?;
    let victim = part(move || {
        let name = Rc::clone(&name);
        move || keep(make(&name.0))
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
    Ok(Scenario::in_kernel(reset, &["absent", "whole"], victim, check).every_instruction_up_to(0))
}

/// Opening changes nothing that outlives the opener.
fn open() -> Result<Scenario, String> {
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
    let checked = Rc::clone(&name);
    let victim = part(move || {
        let name = Rc::clone(&name);
        move || keep(Segment::open(&name.0))
    });
    let check = move |_: &_| -> Finding {
        let segment = Segment::open(&checked.0).map_err(text)?;
        works(&segment).map(|()| "unchanged")
    };
    Ok(Scenario::in_memory(memory, &["unchanged"], victim, check).every_instruction_up_to(0))
}

/// A forked child joins afresh; its parent stays alive throughout.
fn join() -> Result<Scenario, String> {
    let (segment, memory) = stage()?;
    let parent = segment.me();
    let checked = segment.clone();
    let victim = part(move || {
        let segment = segment.clone();
        move || keep(segment.me())
    });
    let check = move |_: &_| -> Finding {
        if checked.me() == parent || !checked.alive(parent) {
            return Err("the parent's id is not the parent's alone any more".to_owned());
        }
        works(&checked).map(|()| "unchanged")
    };
    Ok(Scenario::in_memory(memory, &["unchanged"], victim, check).every_instruction_up_to(0))
}

/// Members are told apart, the dead are dead, and objects can be made, found and removed.
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
