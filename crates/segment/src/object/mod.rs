//! Objects in a segment: found by name or by ticket, checked before use.
//!
//! # Deaths
//!
//! | killed | left behind | seen by |
//! |---|---|---|
//! | construct, before publish | a block of a dead owner | the allocator, when short |
//! | construct, named, between publish and READY | an entry of a dead builder | the next creator |
//! | construct, unnamed, after publish | an object that nobody knows: one block, until the segment goes | - |
//! | remove, after its commit | a block that nobody names | the allocator, when short |
//! | user of a named object | a hold of a dead member | ignored and reused |

mod raw;
mod shape;

use core::fmt;
use core::ptr::NonNull;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crossproc_sys::fork;
use serde::{Deserializer, Serializer};

use crate::arena::{Block, HOLDS};
use crate::error::{Error, Result};
use crate::names::{BeginError, Building, Listed, Name, OpenError, Opened, RemoveError};
use crate::segment::Segment;
use crate::{MemberId, names, path, ticket, transit};

use raw::{HEADER_BYTES, ObjectHeader, PLACE_OFFSET};
pub use shape::Shape;

/// An object in a segment as this process has it: a checked kind and type, and a body.
///
/// Users hold the typed handles made over it. The object stays where it is while any clone of
/// this lives.
#[derive(Clone)]
pub struct Object {
    inner: Arc<Inner>,
}

struct Inner {
    segment: Segment,
    reference: u64,
    body: NonNull<u8>,
    body_bytes: usize,
    name: Option<String>,
    claim: Claim,
    /// A ticket has been made: other processes may know the object.
    escaped: AtomicBool,
}

/// What this process must give back when it lets an object go.
enum Claim {
    /// The hold on an object found by name or by ticket, and the member that has it. A forked
    /// child finds it in its copy of a handle: there it is not its own, even if the child has a
    /// hold of the same number by then.
    Hold { hold: u32, me: MemberId },
    /// This process made the unnamed object, and frees it if no other can know it.
    Maker { me: MemberId, forks: u64 },
}

// SAFETY: the body is shared memory, reached by the typed handles through atomics and their own
// protocols; the rest is plain data.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

/// One named object of a segment, as tools show it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectInfo {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// The type it holds; empty if its kind holds none.
    pub type_name: String,
    /// Bytes of its body.
    pub bytes: usize,
}

impl Segment {
    /// Makes an object with a body of `bytes` zeroed bytes, which `init` then fills.
    ///
    /// An object without a name lives until the last handle of its maker is dropped or, once it
    /// was sent to another process, as long as the segment. A named one lives until
    /// [`Segment::remove`]. Killed at any point, either the whole object is there or none.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`], [`Error::BadName`], [`Error::NoRoom`], [`Error::TooManyNames`],
    /// [`Error::TooManyHandles`].
    pub fn construct(
        &self,
        name: Option<&str>,
        shape: &Shape,
        bytes: usize,
        init: impl FnOnce(NonNull<u8>),
    ) -> Result<Object> {
        self.join()?;
        match name {
            None => self.construct_unnamed(shape, bytes, init),
            Some(name) => self.construct_named(name, shape, bytes, init),
        }
    }

    /// Finds the object called `name` and checks that it is of the given shape.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Kind`], [`Error::Layout`], [`Error::Type`],
    /// [`Error::Corrupt`], [`Error::TooManyHandles`].
    pub fn find(&self, name: &str, shape: &Shape) -> Result<Object> {
        let entry = checked(name)?;
        self.join()?;
        let alive = |id| self.alive(id);
        let who = self.who(&alive);
        let opened = self.directory().open(&entry, self.arena(), &who);
        let opened = opened.map_err(|error| open_error(error, name))?;
        self.opened(name, shape, opened)
    }

    /// Finds the object called `name`, or makes it as [`Segment::construct`] does; tells whether
    /// it was made. When several processes do so at once, one makes it and all get the same.
    ///
    /// Waits while another living process is in the middle of making it.
    ///
    /// # Errors
    ///
    /// As [`Segment::find`] and [`Segment::construct`].
    pub fn find_or_construct(
        &self,
        name: &str,
        shape: &Shape,
        bytes: usize,
        init: impl FnOnce(NonNull<u8>),
    ) -> Result<(Object, bool)> {
        // Each round fails only if somebody made or removed the object meanwhile.
        let mut init = Some(init);
        for _ in 0..1000 {
            match self.find(name, shape) {
                Err(Error::NotFound { .. }) => {}
                found => return Ok((found?, false)),
            }
            let make = |body| {
                if let Some(init) = init.take() {
                    init(body);
                }
            };
            match self.construct(Some(name), shape, bytes, make) {
                Err(Error::Exists { .. }) => {}
                made => return Ok((made?, true)),
            }
        }
        self.find(name, shape).map(|object| (object, false))
    }

    /// Takes the name of an object away. Processes that have it open keep it; its memory is used
    /// again when the last of them has let it go.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`].
    pub fn remove(&self, name: &str) -> Result<()> {
        let entry = checked(name)?;
        self.join()?;
        let alive = |id| self.alive(id);
        let who = self.who(&alive);
        let removed = self.with_magazines(|magazines| {
            self.directory().remove(&entry, self.arena(), &who, magazines)
        });
        match removed {
            Ok(_) => Ok(()),
            Err(RemoveError::NotFound) => {
                Err(Error::NotFound { what: "object", name: name.to_owned() })
            }
            Err(RemoveError::Corrupt) => Err(corrupt_entry(name)),
        }
    }

    /// The named objects of the segment: a snapshot, for tools.
    #[must_use]
    pub fn objects(&self) -> Vec<ObjectInfo> {
        let named = self.directory().list();
        let described = |entry: Listed| {
            let (header, bytes) = self.object_at(entry.reference)?;
            let (kind, type_name) = (header.kind(), header.type_name());
            Some(ObjectInfo { name: entry.name.to_string(), kind, type_name, bytes })
        };
        named.into_iter().filter_map(described).collect()
    }

    /// Begin, end and name of each named object: a snapshot, for tools.
    pub(crate) fn object_spans(&self) -> Vec<(u64, u64, String)> {
        let span = |entry: Listed| {
            let (offset, length) = self.arena().resolve(entry.reference)?;
            Some((offset, offset.saturating_add(length), entry.name.to_string()))
        };
        self.directory().list().into_iter().filter_map(span).collect()
    }

    /// The header of the object that `reference` names, and the bytes of its body, both bounded by
    /// the block.
    fn object_at(&self, reference: u64) -> Option<(&ObjectHeader, usize)> {
        let (offset, length) = self.arena().resolve(reference)?;
        let offset = usize::try_from(offset).ok()?;
        let room = usize::try_from(length).ok()?.checked_sub(HEADER_BYTES)?;
        // SAFETY: `resolve` gives a block inside the segment.
        let at = unsafe { self.base().add(offset) };
        // SAFETY: a block of 128 bytes or more is aligned to 128; the header is atomics only and
        // stays mapped while the segment is.
        let header = unsafe { at.cast::<ObjectHeader>().as_ref() };
        let body_bytes = usize::try_from(header.body_bytes()).ok()?;
        (body_bytes <= room).then_some((header, body_bytes))
    }

    fn construct_named(
        &self,
        name: &str,
        shape: &Shape,
        bytes: usize,
        init: impl FnOnce(NonNull<u8>),
    ) -> Result<Object> {
        let entry = checked(name)?;
        let mut begun = Begun { segment: self, building: Some(self.begin(&entry, name)?) };
        // From here until the commit the name is ours; an error or a panic gives it back.
        let block = self.build(shape, bytes, init)?;
        let mut unfinished = Unfinished { segment: self, block: Some(block) };
        let alive = |id| self.alive(id);
        let who = self.who(&alive);
        // Held before others can see it, so that a removal at once does not take it from its maker.
        let full = Error::TooManyHandles { limit: HOLDS as usize };
        let hold = self.directory().hold_own(&block, &who).ok_or(full)?;
        unfinished.block = None;
        if begun.commit(block).is_err() {
            self.close(hold);
            return Err(corrupt_entry(name));
        }
        let claim = Claim::Hold { hold, me: who.me };
        let object = self.object(block.reference(), Some(name.to_owned()), claim)?;
        object.expect_bytes(bytes)
    }

    /// Claims a name. Waits while another living process is making the very same.
    fn begin(&self, entry: &Name, name: &str) -> Result<Building> {
        let alive = |id| self.alive(id);
        let who = self.who(&alive);
        let mut rounds = 0u32;
        loop {
            match self.directory().begin(entry, &who) {
                Ok(building) => return Ok(building),
                // The rival is alive, and about to be done: it holds nothing that we hold. It may
                // be stopped, or fill a large object.
                Err(BeginError::Busy(_)) if rounds < 100 => {
                    rounds += 1;
                    std::thread::yield_now();
                }
                Err(BeginError::Busy(_)) => std::thread::sleep(Duration::from_millis(1)),
                Err(BeginError::Exists) => {
                    return Err(Error::Exists { what: "object", name: name.to_owned() });
                }
                Err(BeginError::Full) => {
                    return Err(Error::TooManyNames { limit: names::raw::ENTRIES as usize });
                }
                Err(BeginError::Corrupt) => return Err(corrupt_entry(name)),
            }
        }
    }

    /// Holds the object that `reference` names, so that it stays while this process has it.
    fn hold(&self, reference: u64) -> Result<Opened> {
        let alive = |id| self.alive(id);
        let who = self.who(&alive);
        match self.directory().hold(reference, self.arena(), &who) {
            Ok(opened) => Ok(opened),
            Err(OpenError::HoldsFull) => Err(Error::TooManyHandles { limit: HOLDS as usize }),
            Err(_) => Err(Error::Gone),
        }
    }

    fn construct_unnamed(
        &self,
        shape: &Shape,
        bytes: usize,
        init: impl FnOnce(NonNull<u8>),
    ) -> Result<Object> {
        let block = self.build(shape, bytes, init)?;
        let place = self.arena().offset(&block) + PLACE_OFFSET as u64;
        let corrupt = "the place of a new object was written by somebody else";
        // The object names itself: so no reclaimer takes it for garbage.
        self.blocks()
            .publish(&block, place, 0)
            .map_err(|_| Error::Corrupt { what: "a new object".to_owned(), why: corrupt })?;
        let claim = Claim::Maker { me: self.me(), forks: fork::forks() };
        self.object(block.reference(), None, claim)?.expect_bytes(bytes)
    }

    /// A block with a described object in it, not published yet.
    fn build(&self, shape: &Shape, bytes: usize, init: impl FnOnce(NonNull<u8>)) -> Result<Block> {
        let no_room = || Error::NoRoom { bytes, size: self.size() };
        let total = bytes.checked_add(HEADER_BYTES).ok_or_else(no_room)?;
        let block = self.blocks().alloc(total).ok_or_else(no_room)?;
        let mut unfinished = Unfinished { segment: self, block: Some(block) };
        let at = self.arena().ptr(&block);
        // SAFETY: the block has at least `total` bytes and is this process's alone until published.
        unsafe { at.write_bytes(0, total) };
        // SAFETY: aligned, as blocks of this size are, and zeroed atomics are valid.
        unsafe { at.cast::<ObjectHeader>().as_ref() }.init(shape, bytes);
        // SAFETY: the block is longer than a header.
        init(unsafe { at.add(HEADER_BYTES) });
        unfinished.block = None;
        Ok(block)
    }

    fn close(&self, hold: u32) {
        let alive = |id| self.alive(id);
        let who = self.who(&alive);
        self.with_magazines(|magazines| {
            self.directory().close(hold, self.arena(), &who, magazines);
        });
    }

    /// Wraps what the directory opened, checking that it is what was asked for.
    fn opened(&self, name: &str, shape: &Shape, opened: Opened) -> Result<Object> {
        let claim = Claim::Hold { hold: opened.hold, me: self.me() };
        let object = self.object(opened.reference, Some(name.to_owned()), claim)?;
        object.check(shape)?;
        Ok(object)
    }

    fn object(&self, reference: u64, name: Option<String>, claim: Claim) -> Result<Object> {
        let shown = || name.clone().unwrap_or_else(|| "an unnamed object".to_owned());
        let Some((header, body_bytes)) = self.object_at(reference) else {
            if let Claim::Hold { hold, .. } = claim {
                self.close(hold);
            }
            let why = "its block or the size in its header is none";
            return Err(Error::Corrupt { what: shown(), why });
        };
        // SAFETY: `object_at` gives a header with its body behind it inside the block.
        let body = unsafe { NonNull::from(header).cast::<u8>().add(HEADER_BYTES) };
        let segment = self.clone();
        let escaped = AtomicBool::new(false);
        let inner = Inner { segment, reference, body, body_bytes, name, claim, escaped };
        Ok(Object { inner: Arc::new(inner) })
    }
}

/// A name that is claimed: given back unless it is committed.
struct Begun<'s> {
    segment: &'s Segment,
    building: Option<Building>,
}

impl Begun<'_> {
    fn commit(&mut self, block: Block) -> Result<(), ()> {
        let building = self.building.take().ok_or(())?;
        let segment = self.segment;
        let alive = |id| segment.alive(id);
        let who = segment.who(&alive);
        segment
            .with_magazines(|magazines| {
                segment.directory().commit(building, block, segment.arena(), &who, magazines)
            })
            .map_err(|_| ())
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if let Some(building) = self.building.take() {
            self.segment.directory().abandon(building);
        }
    }
}

/// A block that is being filled: freed if filling it panics.
struct Unfinished<'s> {
    segment: &'s Segment,
    block: Option<Block>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            self.segment.blocks().free(block);
        }
    }
}

/// The name in the directory's form.
fn checked(name: &str) -> Result<Name> {
    path::check_object(name)?;
    let why = "is not a name; give 1 to 95 bytes";
    Name::new(name).ok_or_else(|| Error::BadName { name: name.to_owned(), why })
}

fn corrupt_entry(name: &str) -> Error {
    let what = format!("the directory entry of {name:?}");
    Error::Corrupt { what, why: "its words do not fit together" }
}

fn open_error(error: OpenError, name: &str) -> Error {
    match error {
        // While another process makes it, it is not there yet.
        OpenError::NotFound | OpenError::Busy(_) => {
            Error::NotFound { what: "object", name: name.to_owned() }
        }
        OpenError::HoldsFull => Error::TooManyHandles { limit: HOLDS as usize },
        OpenError::Corrupt => corrupt_entry(name),
    }
}

impl Object {
    /// The segment that the object lies in.
    #[must_use]
    #[inline]
    pub fn segment(&self) -> &Segment {
        &self.inner.segment
    }

    /// Where this process has the object's body: aligned to 128 bytes, mapped while `self` lives.
    #[must_use]
    #[inline]
    pub fn body(&self) -> NonNull<u8> {
        self.inner.body
    }

    /// Bytes of the body. Fixed when the object was attached, whatever is written later.
    #[must_use]
    #[inline]
    pub fn body_bytes(&self) -> usize {
        self.inner.body_bytes
    }

    /// The name by which it was made or found; `None` if it has none or came by ticket.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.inner.name.as_deref()
    }

    /// The offset in the segment of something in the body.
    #[must_use]
    pub fn offset_of<T>(&self, inside: NonNull<T>) -> u64 {
        (inside.addr().get() - self.segment().base().addr().get()) as u64
    }

    /// Tells whether no other clone of this handle is left in this process: a snapshot.
    #[doc(hidden)]
    #[must_use]
    pub fn is_last(&self) -> bool {
        Arc::strong_count(&self.inner) == 1
    }

    /// The maker relies on the size that it asked for; what it has is read from shared memory.
    fn expect_bytes(self, bytes: usize) -> Result<Self> {
        if self.body_bytes() == bytes {
            return Ok(self);
        }
        let what = self.name().unwrap_or("an unnamed object").to_owned();
        Err(Error::Corrupt { what, why: "its size changed while it was made" })
    }

    fn check(&self, shape: &Shape) -> Result<()> {
        let shown = self.name().unwrap_or("the object of a received handle");
        let (header, _) = self.segment().object_at(self.inner.reference).ok_or(Error::Gone)?;
        header.check(shape, shown)
    }

    /// Serialises a ticket, by which another process attaches to the object.
    ///
    /// # Errors
    ///
    /// Outside [`transit::sending`](crate::transit::sending).
    pub fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if transit::is_sending() {
            self.inner.escaped.store(true, Relaxed);
        }
        ticket::serialize(self.segment(), self.inner.reference, serializer)
    }

    /// Reads a ticket and attaches to its object, if that is of the given shape.
    ///
    /// # Errors
    ///
    /// Outside [`transit::receiving`](crate::transit::receiving), if the segment cannot be
    /// reached, the object is gone or of another shape.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        shape: &Shape,
        deserializer: D,
    ) -> Result<Self, D::Error> {
        let (segment, reference) = ticket::deserialize(deserializer)?;
        Self::attach(&segment, reference, shape).map_err(ticket::fail::<D>)
    }

    fn attach(segment: &Segment, reference: u64, shape: &Shape) -> Result<Self> {
        segment.join()?;
        let claim = Claim::Hold { hold: segment.hold(reference)?.hold, me: segment.me() };
        let object = segment.object(reference, None, claim)?;
        object.check(shape)?;
        Ok(object)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let segment = &self.segment;
        match self.claim {
            Claim::Hold { hold, me } if segment.is_me(me) => segment.close(hold),
            Claim::Hold { .. } => {}
            Claim::Maker { me, forks } => {
                // A forked child, or a parent that forked since, shares it with the other.
                let alone = !self.escaped.load(Relaxed) && fork::forks() == forks;
                if alone && segment.is_me(me) {
                    segment.blocks().take_and_free(self.place());
                }
            }
        }
    }
}

impl Inner {
    fn place(&self) -> u64 {
        let body = self.body.addr().get() - self.segment.base().addr().get();
        (body - HEADER_BYTES + PLACE_OFFSET) as u64
    }
}

impl UnwindSafe for Object {}
impl RefUnwindSafe for Object {}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object")
            .field("name", &self.name())
            .field("bytes", &self.body_bytes())
            .finish_non_exhaustive()
    }
}
