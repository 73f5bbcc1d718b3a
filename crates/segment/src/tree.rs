//! The segment that a process tree shares: where objects go for which no segment is named.
//!
//! It is anonymous, large and sparse, made at first use, and handed to every spawned child, so
//! that `Lock::new()` costs no descriptor. A forked child has it too.

use std::os::fd::{AsFd, OwnedFd};

use crossproc_sys::{file, fork};
use parking_lot::Mutex;

use crate::error::{Error, Result, system};
use crate::holders;
use crate::segment::Segment;

/// Room in the tree's segment; taken page by page as it is touched.
const BYTES: usize = 4 << 30;

/// The least room worth having, where address space is limited.
const LEAST_BYTES: usize = 16 << 20;

enum Tree {
    Unknown,
    /// Given by the parent, not attached yet.
    Given(OwnedFd),
    Attached(Segment),
}

static TREE: Mutex<Tree> = Mutex::new(Tree::Unknown);

impl Segment {
    /// The segment that this process shares with its parent and its children.
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`], and those of attaching, at the first call in a process.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// assert_eq!(Segment::tree()?.identity(), Segment::tree()?.identity());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn tree() -> Result<Self> {
        fork::without_fork(|| {
            let mut tree = TREE.lock();
            let segment = match &*tree {
                Tree::Attached(segment) => return Ok(segment.clone()),
                Tree::Given(fd) => {
                    let fd = fd.try_clone().map_err(system("duplicate a descriptor"))?;
                    Self::from_fd(fd)?
                }
                Tree::Unknown => make()?,
            };
            *tree = Tree::Attached(segment.clone());
            Ok(segment)
        })
    }
}

/// Address space may be limited (`ulimit -v`): then a smaller segment has to do.
fn make() -> Result<Segment> {
    let mut bytes = BYTES;
    loop {
        match Segment::options().sparse(true).anonymous(bytes) {
            Err(Error::Io { .. }) if bytes > LEAST_BYTES => bytes /= 4,
            made => {
                return made.inspect(holders::make);
            }
        }
    }
}

/// The tree's segment, if this process has one: none is made for the question.
pub(crate) fn attached() -> Option<Segment> {
    let is_unknown = fork::without_fork(|| matches!(&*TREE.lock(), Tree::Unknown));
    if is_unknown { None } else { Segment::tree().ok() }
}

/// Tells whether `segment` is the tree's own.
pub(crate) fn is_tree(segment: &Segment) -> bool {
    fork::without_fork(|| matches!(&*TREE.lock(), Tree::Attached(tree) if tree == segment))
}

/// A descriptor of the tree's segment for a child.
///
/// # Errors
///
/// As [`Segment::tree`]; [`Error::Descriptors`] if none is left.
pub fn export() -> Result<OwnedFd> {
    let segment = Segment::tree()?;
    segment.as_fd().try_clone_to_owned().map_err(system("duplicate the tree's segment"))
}

/// Takes the segment that the parent handed over; it is attached at first use.
///
/// # Errors
///
/// [`Error::Io`] if the descriptor is not a file; [`Error::Corrupt`] if this process made or was
/// given a tree segment before.
pub fn adopt(fd: OwnedFd) -> Result<()> {
    file::stat(fd.as_fd()).map_err(system("look at the segment handed over by the parent"))?;
    fork::without_fork(|| {
        let mut tree = TREE.lock();
        if !matches!(&*tree, Tree::Unknown) {
            let why = "this process has one already: crossproc::init() must come first in main";
            return Err(Error::Corrupt { what: "the segment of the process tree".to_owned(), why });
        }
        *tree = Tree::Given(fd);
        Ok(())
    })
}
