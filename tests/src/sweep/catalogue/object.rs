//! Objects in a segment: allocated, named, found, removed, freed.
//!
//! Beside its own question each survivor counts how many objects the segment has room for: what
//! the dead had in hand must come back, to the last block.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use crossproc_segment::{Block, Error, Object, Segment, Shape};

use super::{Entry, stage, text};
use crate::sweep::memory::Memory;
use crate::sweep::scenario::{Finding, Operate, Part, Scenario, keep, part, telling};

mod beside;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("object construct", "named, not there", construct),
    Entry::new("object construct", "earlier death in construct", construct_after_construct).slow(),
    Entry::new("object construct", "earlier death in remove", construct_after_remove).slow(),
    Entry::new("object find", "there", find),
    Entry::new("object find_or_construct", "not there", find_or_construct).slow(),
    Entry::new("object find", "earlier death in construct", find_after_construct).slow(),
    Entry::new("object find", "earlier death in remove", find_after_remove),
    Entry::new(
        "object find_or_construct",
        "earlier death in construct",
        find_or_construct_after_construct,
    )
    .slow(),
    Entry::new("object remove", "there", remove),
    Entry::new("object remove", "earlier death in remove", remove_after_remove).slow(),
    Entry::new("object new", "unnamed", unnamed),
    Entry::new("object drop", "unnamed", drop_unnamed),
    Entry::new("block alloc", "room", alloc),
    Entry::new("block alloc", "segment full of the dead's blocks", alloc_full),
    Entry::new("block alloc", "earlier death in alloc", alloc_after_alloc),
    Entry::new("block free", "taken", free),
    Entry::new("block free", "earlier death in free", free_after_free),
];

const NAME: &str = "object";
const BODY_BYTES: usize = 200;
const SMALL_BYTES: usize = 64;
const PATTERN: u8 = 0x5a;

fn shape() -> Shape {
    Shape::untyped("sweep", 1)
}

/// The segment of one scenario, and how many small blocks and how many objects it has room for.
#[derive(Clone)]
struct Stage {
    segment: Segment,
    room: (usize, usize),
}

impl Stage {
    fn new() -> Result<(Self, Memory), String> {
        let (twin, _) = stage()?;
        let room = count_room(&twin)?;
        let (segment, memory) = stage()?;
        Ok((Self { segment, room }, memory))
    }

    /// A stage with the object there already.
    fn with_object() -> Result<(Self, Memory), String> {
        let (stage, memory) = Self::new()?;
        drop(stage.make()?);
        Ok((stage, memory))
    }

    fn make(&self) -> Result<Object, String> {
        construct_it(&self.segment).map_err(text)
    }

    /// A victim that runs `operation` once; what it makes stays until the victim's end.
    fn victim<R: 'static>(&self, operation: fn(&Segment) -> R) -> Part {
        let segment = self.segment.clone();
        part(move || {
            let segment = segment.clone();
            let _ = segment.me();
            move || keep(operation(&segment))
        })
    }

    /// As `victim`, and it tells whether the name was there.
    fn teller<R: 'static>(&self, operation: fn(&Segment) -> Result<R, Error>) -> Part {
        let segment = self.segment.clone();
        telling(move || {
            let segment = segment.clone();
            let _ = segment.me();
            move || {
                let result = operation(&segment);
                let told = beside::told(&result);
                keep(result);
                told
            }
        })
    }

    /// The object is whole or not there; there again after the survivor's turn, removed again,
    /// and all room is back.
    fn check_named(&self, there: &'static str, absent: &'static str) -> Finding {
        let outcome = match self.segment.find(NAME, &shape()) {
            Ok(object) => whole(&object).map(|()| there)?,
            Err(Error::NotFound { .. }) => {
                self.make().and_then(|made| whole(&made)).map(|()| absent)?
            }
            Err(error) => return Err(format!("neither absent nor whole: {error}")),
        };
        let listed = self.segment.objects().iter().filter(|object| object.name == NAME).count();
        if listed != 1 {
            return Err(format!("the name is listed {listed} times"));
        }
        self.segment.remove(NAME).map_err(text)?;
        if self.segment.find(NAME, &shape()).is_ok() {
            return Err("removed, and still found".to_owned());
        }
        self.check_room(0).map(|()| outcome)
    }

    fn check_room(&self, lost: usize) -> Result<(), String> {
        let (small, room) = count_room(&self.segment)?;
        if room + lost == self.room.1 && (small == self.room.0 || lost > 0) {
            return Ok(());
        }
        Err(format!(
            "room for {small} blocks and {room} objects, expected {:?} - {lost}",
            self.room
        ))
    }
}

fn whole(object: &Object) -> Result<(), String> {
    for at in 0..BODY_BYTES {
        // SAFETY: the body has `BODY_BYTES` bytes.
        let byte = unsafe { object.body().add(at) };
        // SAFETY: as above; whoever else looks at it does so by atomics too.
        let byte = unsafe { AtomicU8::from_ptr(byte.as_ptr()) }.load(Relaxed);
        if byte != PATTERN {
            return Err(format!("byte {at} of the object is {byte:#x}"));
        }
    }
    Ok(())
}

/// Fills the segment, and empties it again.
/// Small blocks first: what is not given back then stays with a class of its own.
fn count_room(segment: &Segment) -> Result<(usize, usize), String> {
    let blocks: Vec<_> = std::iter::from_fn(|| segment.blocks().alloc(SMALL_BYTES)).collect();
    let small = blocks.len();
    blocks.into_iter().for_each(|block| {
        segment.blocks().free(block);
    });
    let mut objects = Vec::new();
    loop {
        match segment.construct(None, &shape(), BODY_BYTES, |_| {}) {
            Ok(object) => objects.push(object),
            Err(Error::NoRoom { .. }) => return Ok((small, objects.len())),
            Err(error) => return Err(format!("filling the segment: {error}")),
        }
    }
}

fn construct_it(segment: &Segment) -> Result<Object, Error> {
    segment.construct(Some(NAME), &shape(), BODY_BYTES, init)
}

fn init(body: NonNull<u8>) {
    // SAFETY: a body of `BODY_BYTES` that nobody else has yet.
    unsafe { body.write_bytes(PATTERN, BODY_BYTES) };
}

fn remove_it(segment: &Segment) -> Result<(), Error> {
    segment.remove(NAME)
}

fn construct() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let victim = stage.teller(construct_it);
    let checked = stage.clone();
    let check = move |_: &_| checked.check_named("there", "absent");
    let scenario = thin(Scenario::in_memory(memory, &["absent", "there"], victim, check));
    Ok(beside::making(scenario, &stage))
}

fn find_or_construct() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let victim = finder_or_maker(&stage);
    let checked = stage.clone();
    let check = move |_: &_| checked.check_named("there", "absent");
    let scenario = thin(Scenario::in_memory(memory, &["absent", "there"], victim, check));
    Ok(beside::finding_or_making(scenario, &stage))
}

fn finder_or_maker(stage: &Stage) -> Part {
    let stage = stage.clone();
    telling(move || {
        let stage = stage.clone();
        let _ = stage.segment.me();
        move || stage.find_or_make()
    })
}

fn find_or_construct_after_construct() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let (earlier, victim) = (stage.victim(construct_it), finder_or_maker(&stage));
    let check = move |_: &_| stage.check_named("fine", "fine");
    Ok(thin(Scenario::in_memory(memory, &["fine"], victim, check).after_death_of(earlier)))
}

/// Every kill gives one segment more to survivors; thousands of instructions look at names only.
fn thin(scenario: Scenario) -> Scenario {
    scenario.every_instruction_up_to(0)
}

fn construct_after_construct() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let (earlier, victim) = (stage.victim(construct_it), stage.victim(construct_it));
    // Where the earlier victim came through, this one is refused, and the object is there at once.
    let check = move |_: &_| stage.check_named("fine", "fine");
    Ok(thin(Scenario::in_memory(memory, &["fine"], victim, check).after_death_of(earlier)))
}

fn construct_after_remove() -> Result<Scenario, String> {
    let (stage, memory) = Stage::with_object()?;
    let (earlier, victim) = (stage.victim(remove_it), stage.victim(construct_it));
    let check = move |_: &_| stage.check_named("fine", "fine");
    Ok(thin(Scenario::in_memory(memory, &["fine"], victim, check).after_death_of(earlier)))
}

fn find() -> Result<Scenario, String> {
    let (stage, memory) = Stage::with_object()?;
    let victim = stage.teller(find_it);
    let checked = stage.clone();
    let check = move |_: &_| checked.check_named("there", "lost");
    let scenario = thin(Scenario::in_memory(memory, &["there"], victim, check));
    Ok(beside::finding(scenario, &stage))
}

fn find_it(segment: &Segment) -> Result<Object, Error> {
    segment.find(NAME, &shape())
}

fn find_after_construct() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let (earlier, victim) = (stage.victim(construct_it), stage.victim(find_it));
    let check = move |_: &_| stage.check_named("fine", "fine");
    Ok(thin(Scenario::in_memory(memory, &["fine"], victim, check).after_death_of(earlier)))
}

fn find_after_remove() -> Result<Scenario, String> {
    let (stage, memory) = Stage::with_object()?;
    let (earlier, victim) = (stage.victim(remove_it), stage.victim(find_it));
    let check = move |_: &_| stage.check_named("fine", "fine");
    Ok(thin(Scenario::in_memory(memory, &["fine"], victim, check).after_death_of(earlier)))
}

fn remove() -> Result<Scenario, String> {
    let (stage, memory) = Stage::with_object()?;
    let victim = stage.teller(remove_it);
    let checked = stage.clone();
    let check = move |_: &_| checked.check_named("there", "gone");
    let scenario = thin(Scenario::in_memory(memory, &["there", "gone"], victim, check));
    Ok(beside::removing(scenario, &stage))
}

fn remove_after_remove() -> Result<Scenario, String> {
    let (stage, memory) = Stage::with_object()?;
    let (earlier, victim) = (stage.victim(remove_it), stage.victim(remove_it));
    let check = move |_: &_| stage.check_named("fine", "fine");
    Ok(thin(Scenario::in_memory(memory, &["fine"], victim, check).after_death_of(earlier)))
}

/// An object without a name that nobody was told of yet is lost with its maker: one block, until
/// the segment goes.
fn unnamed() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let victim = stage.victim(|segment| segment.construct(None, &shape(), BODY_BYTES, |_| {}));
    let checked = stage.clone();
    let check = move |_: &_| {
        checked.check_room(0).map(|()| "none").or_else(|_| checked.check_room(1).map(|()| "object"))
    };
    let scenario = thin(Scenario::in_memory(memory, &["none", "object"], victim, check));
    Ok(beside::filling(scenario, &stage, 1))
}

fn drop_unnamed() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let segment = stage.segment.clone();
    let victim: Part = Box::new(move || {
        let mut object = segment.construct(None, &shape(), BODY_BYTES, |_| {}).ok();
        Box::new(move || drop(object.take())) as Operate
    });
    let checked = stage.clone();
    let check = move |_: &_| {
        checked
            .check_room(0)
            .map(|()| "freed")
            .or_else(|_| checked.check_room(1).map(|()| "object"))
    };
    let scenario = thin(Scenario::in_memory(memory, &["object", "freed"], victim, check));
    Ok(beside::filling(scenario, &stage, 0))
}

fn alloc() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let victim = stage.victim(alloc_it);
    let checked = stage.clone();
    let check = move |_: &_| checked.check_room(0).map(|()| "fine");
    let scenario = thin(Scenario::in_memory(memory, &["fine"], victim, check));
    Ok(beside::filling(scenario, &stage, 0))
}

fn alloc_it(segment: &Segment) -> Option<Block> {
    segment.blocks().alloc(BODY_BYTES)
}

fn alloc_after_alloc() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let (earlier, victim) = (stage.victim(alloc_it), stage.victim(alloc_it));
    let check = move |_: &_| stage.check_room(0).map(|()| "fine");
    Ok(thin(Scenario::in_memory(memory, &["fine"], victim, check).after_death_of(earlier)))
}

fn free_after_free() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let (earlier, victim) = (freer(&stage), freer(&stage));
    let check = move |_: &_| stage.check_room(0).map(|()| "fine");
    Ok(thin(Scenario::in_memory(memory, &["fine"], victim, check).after_death_of(earlier)))
}

/// The allocator that takes back what the dead left dies itself.
fn alloc_full() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let segment = stage.segment.clone();
    crate::sweep::in_child(move || {
        while segment.blocks().alloc(BODY_BYTES).is_some() {}
        Ok(())
    })?;
    let victim = stage.victim(alloc_it);
    let checked = stage.clone();
    let check = move |_: &_| checked.check_room(0).map(|()| "fine");
    let scenario = thin(Scenario::in_memory(memory, &["fine"], victim, check));
    Ok(beside::filling(scenario, &stage, 0))
}

fn free() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let victim = freer(&stage);
    let checked = stage.clone();
    let check = move |_: &_| checked.check_room(0).map(|()| "fine");
    let scenario = thin(Scenario::in_memory(memory, &["fine"], victim, check));
    Ok(beside::filling(scenario, &stage, 0))
}

fn freer(stage: &Stage) -> Part {
    let segment = stage.segment.clone();
    Box::new(move || {
        let segment = segment.clone();
        let mut block = segment.blocks().alloc(BODY_BYTES);
        Box::new(move || {
            if let Some(block) = block.take() {
                segment.blocks().free(block);
            }
        }) as Operate
    })
}
