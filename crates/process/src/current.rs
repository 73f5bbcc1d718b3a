//! What a process knows about itself and its parent.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crossproc_sys::clock::Deadline;
use crossproc_sys::pidfd::PidFd;
use serde::{Deserialize, Serialize};

use crate::builder::Builder;
use crate::function::Key;

/// Who this process is within its tree.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Myself {
    pub(crate) name: String,
    /// Which child of which child this is: `2:1` is the first child of the second; empty at the root.
    pub(crate) path: String,
    pub(crate) daemon: bool,
    pub(crate) parent: Option<Process>,
    pub(crate) key: Key,
}

static MYSELF: OnceLock<Myself> = OnceLock::new();

/// The parent, as long as it lives; set in children only.
static PARENT: OnceLock<PidFd> = OnceLock::new();

/// Number of the last process started by this one.
static STARTED: AtomicU32 = AtomicU32::new(0);

impl Myself {
    /// This process; the root of a tree if it was not started as a child.
    pub(crate) fn get() -> &'static Self {
        MYSELF.get_or_init(|| Self {
            name: "main".to_owned(),
            path: String::new(),
            daemon: false,
            parent: None,
            key: Key::random(),
        })
    }

    /// Takes over what the parent told, before anybody asks.
    pub(crate) fn set(self) {
        let _ = MYSELF.set(self);
    }

    /// The path of the next child.
    pub(crate) fn next_path(&self) -> String {
        // ORDERING: none needed; the number only has to be one that no other child has.
        let number = STARTED.fetch_add(1, Relaxed) + 1;
        if self.path.is_empty() { number.to_string() } else { format!("{}:{number}", self.path) }
    }
}

/// A process of this program: what [`parent`] tells, and where [`Process::builder`] starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    name: String,
    pid: u32,
}

impl Process {
    pub(crate) fn new(name: String, pid: u32) -> Self {
        Self { name, pid }
    }

    pub(crate) fn set_pid(&mut self, pid: u32) {
        self.pid = pid;
    }

    /// Options for a new process.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use crossproc_process::{Process, current_name};
    ///
    /// crossproc_process::init();
    /// let handle = Process::builder().name("decoder").spawn((), || current_name().to_owned())?;
    /// assert_eq!(handle.join()?, "decoder");
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Name of the process; `main` for the first one of a tree.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id, as its children see it; 0 when it is outside of their pid namespace.
    pub fn pid(&self) -> u32 {
        self.pid
    }
}

/// Name of this process: the one it was given, or `process-1`, `process-2:1` and so on; `main` in
/// the first process of a tree.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// crossproc_process::init();
/// assert_eq!(crossproc_process::current_name(), "main");
/// let handle = crossproc_process::spawn((), || crossproc_process::current_name().to_owned())?;
/// assert_eq!(handle.join()?, "process-1");
/// # Ok(())
/// # }
/// ```
pub fn current_name() -> &'static str {
    &Myself::get().name
}

/// The process that started this one; `None` in the first process of a tree.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// crossproc_process::init();
/// assert!(crossproc_process::parent().is_none());
/// let handle = crossproc_process::spawn((), crossproc_process::parent)?;
/// assert_eq!(handle.join()?.map(|parent| parent.pid()), Some(std::process::id()));
/// # Ok(())
/// # }
/// ```
pub fn parent() -> Option<Process> {
    Myself::get().parent.clone()
}

/// Whether the process that started this one still runs; false in the first process of a tree.
///
/// Never blocks. Only a process that was started with [`Builder::orphan`] lives to see `false`.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// crossproc_process::init();
/// assert!(crossproc_process::spawn((), crossproc_process::is_parent_alive)?.join()?);
/// # Ok(())
/// # }
/// ```
pub fn is_parent_alive() -> bool {
    PARENT.get().is_some_and(|parent| !parent.wait(Some(Deadline::now())).unwrap_or(true))
}

/// Keeps the descriptor by which the parent is watched.
pub(crate) fn set_parent(parent: PidFd) -> &'static PidFd {
    PARENT.get_or_init(|| parent)
}
