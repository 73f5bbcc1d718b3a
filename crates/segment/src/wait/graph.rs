//! Who waits for whom: read from the records of sleepers, to name a deadlock across processes.
//!
//! A thread that has slept for some 24 ms has a record in its segment, which names the word that it
//! sleeps on. Where that word holds the id of an owner ([`Blocker::Owner`](super::Blocker)), the
//! eight bytes that begin 8 bytes behind it may name the owner's thread: `id << 32 | thread`, as
//! in a lock. A thread waits on one word at a time, so each has at most one edge, and a deadlock
//! is a ring of edges.
//!
//! Everything is read while others go on, and nothing is trusted. A picture taken while locks change
//! hands can show a ring that never was; in a deadlock nothing changes any more. So a ring counts
//! if a second picture shows it again.

use core::fmt;
use core::sync::atomic::Ordering::Relaxed;
use std::collections::HashMap;

use super::ground::Ground;
use super::raw::Target;
use crate::header::Identity;
use crate::{MemberId, Segment};

/// A thread, as far as a segment knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Sleeping {
    /// The process, by its id in the segment.
    pub member: MemberId,
    /// Its pid, in its own pid namespace; 0 if it is in the segment's table no more.
    pub pid: u32,
    /// When it started, in clock ticks after boot.
    pub start: u64,
    /// Which of its threads, in the order in which they first used crossproc.
    pub thread: u32,
}

/// What stands in a waiter's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Owner {
    /// A known thread.
    Thread(Sleeping),
    /// A process; which of its threads is not known.
    Process {
        /// Its id in the segment.
        member: MemberId,
        /// Its pid, as in [`Sleeping`].
        pid: u32,
    },
}

/// A thread that sleeps, and what it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waiter {
    /// Who waits.
    pub who: Sleeping,
    /// The segment of the word that it sleeps on.
    pub segment: Identity,
    /// Where in the segment that word lies.
    pub offset: u64,
    /// The name of the object that the word belongs to, if that has one.
    pub object: Option<String>,
    /// Who must act before it goes on. `None` if anybody may: it waits for an event, an item, a
    /// permit.
    pub owner: Option<Owner>,
}

/// Threads of which each waits for the next, and the last for the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle(Vec<Waiter>);

impl Cycle {
    /// The threads, each followed by the one that it waits for.
    #[must_use]
    pub fn waiters(&self) -> &[Waiter] {
        &self.0
    }

    /// Whether the calling thread is one of them.
    #[must_use]
    pub fn is_mine(&self, segment: &Segment) -> bool {
        let (me, thread) = (segment.me(), super::thread_token());
        self.0.iter().any(|waiter| {
            waiter.segment == segment.identity()
                && waiter.who.member == me
                && waiter.who.thread == thread
        })
    }

    /// Which threads wait for which words: what stays the same while the ring stands.
    fn key(&self) -> Vec<(Sleeping, Identity, u64)> {
        self.0.iter().map(|waiter| (waiter.who, waiter.segment, waiter.offset)).collect()
    }
}

/// The threads of all processes that sleep in `segment` for more than some 24 ms: a snapshot, for
/// tools. Never blocks.
///
/// # Examples
///
/// ```
/// use crossproc_segment::{Segment, wait};
///
/// let segment = Segment::anonymous(1 << 16)?;
/// assert!(wait::waiters(&segment).is_empty());
/// # Ok::<(), crossproc_segment::Error>(())
/// ```
#[must_use]
pub fn waiters(segment: &Segment) -> Vec<Waiter> {
    Picture::new(segment).waiters()
}

/// The deadlocks among the threads that sleep in `segments`: rings of threads of any processes, each
/// asleep on a lock that the next one holds.
///
/// A ring that leads through several segments is found if all of them are given. Locks whose
/// owning thread is not known take no part; nor do waits that anybody could end. Takes some
/// milliseconds if thousands sleep. Never blocks.
///
/// # Examples
///
/// ```
/// use crossproc_segment::{Segment, wait};
///
/// let segment = Segment::anonymous(1 << 16)?;
/// for ring in wait::deadlocks(&[&segment]) {
///     eprintln!("{ring}");
/// }
/// # Ok::<(), crossproc_segment::Error>(())
/// ```
#[must_use]
pub fn deadlocks(segments: &[&Segment]) -> Vec<Cycle> {
    let first = rings(segments);
    if first.is_empty() {
        return first;
    }
    let again: Vec<_> = rings(segments).iter().map(Cycle::key).collect();
    first.into_iter().filter(|ring| again.contains(&ring.key())).collect()
}

/// A thread of a process, whatever the segment: pids and start times are the same in all.
type Node = (u32, u64, u32);

impl Sleeping {
    fn node(&self) -> Node {
        (self.pid, self.start, self.thread)
    }
}

/// The rings of one picture, each beginning with its least node.
fn rings(segments: &[&Segment]) -> Vec<Cycle> {
    let waiters = segments.iter().flat_map(|segment| waiters(segment));
    let graph: HashMap<Node, Waiter> = waiters.map(|waiter| (waiter.who.node(), waiter)).collect();
    let next = |node: &Node| match graph.get(node)?.owner? {
        Owner::Thread(owner) => Some(owner.node()),
        Owner::Process { .. } => None,
    };
    let mut found = Vec::new();
    // By which walk a node was reached first, so that each is passed once.
    let mut walks: HashMap<Node, usize> = HashMap::new();
    for (walk, begin) in graph.keys().enumerate() {
        let mut path = Vec::new();
        let mut at = Some(*begin);
        while let Some(node) = at.filter(|node| !walks.contains_key(node)) {
            walks.insert(node, walk);
            path.push(node);
            at = next(&node);
        }
        let closed = at.filter(|node| walks.get(node) == Some(&walk));
        let first = closed.and_then(|node| path.iter().position(|other| *other == node));
        // A ring of one is a thread that has just got what its record still says it waits for.
        if let Some(ring) = first.map(|first| &path[first..]).filter(|ring| ring.len() > 1) {
            let least = (0..ring.len()).min_by_key(|&at| ring[at]).unwrap_or(0);
            let nodes = ring[least..].iter().chain(&ring[..least]);
            found.push(Cycle(nodes.filter_map(|node| graph.get(node).cloned()).collect()));
        }
    }
    found
}

/// A segment while its sleepers are looked at.
struct Picture<'s> {
    segment: &'s Segment,
    ground: Ground<'s>,
    /// Pid and start time of each member.
    members: HashMap<MemberId, (u32, u64)>,
    /// Where the named objects lie: begin, end, name.
    objects: Vec<(u64, u64, String)>,
}

impl<'s> Picture<'s> {
    fn new(segment: &'s Segment) -> Self {
        let ground = Ground::new(segment, segment.me());
        let entries = ground.members.entries.iter().take(ground.waits.members_used());
        let members = entries
            .enumerate()
            .filter_map(|(index, entry)| {
                let id = ground.member_at(index)?;
                Some((id, (entry.pid.load(Relaxed), entry.start.load(Relaxed))))
            })
            .collect();
        Self { segment, ground, members, objects: segment.object_spans() }
    }

    fn waiters(&self) -> Vec<Waiter> {
        let indexes = self.ground.waits.records().map(|(index, _)| index);
        indexes.filter_map(|index| self.waiter(index)).collect()
    }

    fn waiter(&self, index: usize) -> Option<Waiter> {
        let (member, thread) = self.ground.waits.sleeper(index)?;
        let target = self.ground.waits.record(index).target();
        if target.is_none() {
            return None;
        }
        let offset = target.offset();
        let inside = |(begin, end, _): &&(u64, u64, String)| (*begin..*end).contains(&offset);
        Some(Waiter {
            who: self.sleeping(member, thread),
            segment: self.segment.identity(),
            offset,
            object: self.objects.iter().find(inside).map(|(.., name)| name.clone()),
            owner: self.owner(target),
        })
    }

    fn owner(&self, target: Target) -> Option<Owner> {
        if target.is_anyone() {
            return None;
        }
        let member = MemberId::new(self.ground.word_at(target)?)?;
        Some(match self.ground.holder_at(target, member) {
            Some(thread) => Owner::Thread(self.sleeping(member, thread)),
            None => {
                let (pid, _) = self.members.get(&member).copied().unwrap_or_default();
                Owner::Process { member, pid }
            }
        })
    }

    fn sleeping(&self, member: MemberId, thread: u32) -> Sleeping {
        let (pid, start) = self.members.get(&member).copied().unwrap_or_default();
        Sleeping { member, pid, start, thread }
    }
}

impl fmt::Display for Sleeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread {} of process {}", self.thread, self.pid)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thread(thread) => thread.fmt(f),
            Self::Process { pid, .. } => write!(f, "process {pid}"),
        }
    }
}

impl fmt::Display for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} waits for ", self.who)?;
        match &self.object {
            Some(name) => write!(f, "`{name}`")?,
            None => write!(f, "what lies at {:#x}", self.offset)?,
        }
        self.owner.map_or(Ok(()), |owner| write!(f, ", which {owner} holds"))
    }
}

impl fmt::Display for Cycle {
    /// A line for each thread.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadlock:")?;
        self.0.iter().try_for_each(|waiter| write!(f, "\n  {waiter}"))
    }
}
