//! Who in the process tree has which anonymous segment mapped: the way to it when the sender of a
//! ticket has ended.
//!
//! A table in the tree's own segment, an object of the kind `holders`, made together with that
//! segment: whoever looks for it never waits for a maker, who might be stopped. A process enters itself for
//! an anonymous segment when it first sends or receives a handle of it, and leaves when it lets the
//! segment go.
//!
//! # Layout
//!
//! [`ROWS`] rows of 64 bytes:
//!
//! | offset | size | field      | who writes        | values                                         |
//! |-------:|-----:|------------|-------------------|------------------------------------------------|
//! |      0 |    4 | `owner`    | CAS by anybody    | 0, or the id in the tree's segment             |
//! |      8 |   16 | `identity` | the owner         | the segment                                    |
//! |     24 |    8 | `at`       | the owner, last   | `pid << 32 \| descriptor`                      |
//!
//! A row is a hint. Whoever follows one opens `/proc/PID/fd/N` and believes it only if the header
//! there has the identity sought; so rows that are stale, half written or hostile lead nowhere.
//!
//! # Deaths
//!
//! | killed | left behind | seen by |
//! |---|---|---|
//! | while it has a row | a row of a dead owner | passed over, and taken over by the next that finds none free |

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicU32, AtomicU64};
use std::os::fd::{AsFd, AsRawFd};

use crossproc_sys::process;

use crate::MemberId;
use crate::header::Identity;
use crate::object::{Object, Shape};
use crate::segment::Segment;
use crate::tree;

const ROWS: usize = 1024;
const NAME: &str = "crossproc.holders";
const SHAPE: Shape = Shape::untyped("holders", 1);

#[repr(C, align(64))]
struct Row {
    owner: AtomicU32,
    _reserved: u32,
    identity: [AtomicU64; 2],
    at: AtomicU64,
}

const _: () = assert!(size_of::<Row>() == 64);

const BYTES: usize = ROWS * size_of::<Row>();

/// Makes the table in a new tree's segment, which no other process can reach yet.
pub(crate) fn make(tree: &Segment) {
    // Without it there is one way less to a segment, and everything else works.
    let _ = tree.construct(Some(NAME), &SHAPE, BYTES, |_| {});
}

/// The table of the tree's segment, if it could be made.
fn table(tree: Option<Segment>) -> Option<Object> {
    let table = tree?.find(NAME, &SHAPE).ok()?;
    (table.body_bytes() >= BYTES).then_some(table)
}

fn rows(table: &Object) -> &[Row] {
    // SAFETY: the body has so many bytes, is aligned to 128, zeroed when made, atomics only, and
    // mapped while `table` lives.
    unsafe { core::slice::from_raw_parts(table.body().cast::<Row>().as_ptr(), ROWS) }
}

/// Enters this process as one that has `segment`; once for each process and segment.
pub(crate) fn enter(segment: &Segment) {
    let mark = segment.holder_mark();
    if mark.load(Relaxed) != 0 || segment.name().is_some() || tree::is_tree(segment) {
        return;
    }
    // A tree is made if there is none yet: the handle is on its way to another process of the tree.
    let Some(table) = table(Segment::tree().ok()) else { return };
    let (tree, rows) = (table.segment(), rows(&table));
    let me = tree.me().get();
    // ORDERING: AcqRel: a claim, after what the last owner did.
    let claim = |row: &Row, from| row.owner.compare_exchange(from, me, AcqRel, Relaxed).is_ok();
    let dead = |row: &Row| {
        // ORDERING: acquire: feeds `alive`.
        let owner = row.owner.load(Acquire);
        MemberId::new(owner).is_some_and(|id| !tree.alive(id)) && claim(row, owner)
    };
    let vacant = |row: &Row| row.owner.load(Relaxed) == 0 && claim(row, 0);
    let found = rows.iter().position(vacant).or_else(|| rows.iter().position(dead));
    let Some(index) = found else { return };
    let row = &rows[index];
    row.identity[0].store(segment.identity().0[0], Relaxed);
    row.identity[1].store(segment.identity().0[1], Relaxed);
    let fd = u64::from(segment.as_fd().as_raw_fd().unsigned_abs());
    // ORDERING: release: whoever reads the place reads the identity.
    row.at.store(u64::from(process::pid()) << 32 | fd, Release);
    mark.store(u32::try_from(index + 1).unwrap_or(0), Relaxed);
}

/// Takes this process's row back, when it lets the segment go. `mark` is the segment's
/// [`Segment::holder_mark`].
pub(crate) fn leave(mark: &AtomicU32) {
    let index = mark.load(Relaxed) as usize;
    if index == 0 {
        return;
    }
    let Some(table) = table(tree::attached()) else { return };
    if let Some(row) = rows(&table).get(index - 1) {
        let me = table.segment().me().get();
        // ORDERING: AcqRel as every end of a claim; a failure means that it is another's by now.
        let _ = row.owner.compare_exchange(me, 0, AcqRel, Relaxed);
    }
}

/// The paths by which a segment may be reached, one for each holder.
pub(crate) fn paths(identity: Identity) -> Vec<String> {
    let Some(table) = table(tree::attached()) else { return Vec::new() };
    let has_it = |row: &&Row| {
        row.owner.load(Relaxed) != 0
            && row.identity[0].load(Relaxed) == identity.0[0]
            && row.identity[1].load(Relaxed) == identity.0[1]
    };
    let path = |row: &Row| {
        // ORDERING: acquire side of the store in `enter`.
        let at = row.at.load(Acquire);
        format!("/proc/{}/fd/{}", at >> 32, at & u64::from(u32::MAX))
    };
    rows(&table).iter().filter(has_it).map(path).collect()
}
