//! Choices for a listener.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossproc_message::Message;

use super::error::BindError;
use super::listener::Listener;
use super::place::Place;
use crate::options::PipeOptions;

/// Connectors that wait while nobody accepts, beyond which others wait to be let in.
const BACKLOG: u32 = 128;
/// How long a connector has to say what it wants.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Room for what the two processes make in the segment of their pipe; taken as it is touched.
const ROOM: usize = 1 << 20;

/// Who may connect to a listener, and what pipes it makes; from [`Listener::options`].
///
/// # Examples
///
/// ```
/// use crossproc_pipe::{Listener, Pipe};
///
/// let name = format!("doc-options-{}", std::process::id());
/// let listener = Listener::<u32, u32>::options().capacity(1 << 20).bind(&name)?;
/// let connecting = std::thread::spawn(move || Pipe::<u32, u32>::connect(&name));
/// let end = listener.accept()?;
/// assert_eq!(end.sender().capacity(), 1 << 20);
/// assert!(connecting.join().unwrap().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "options make nothing by themselves"]
pub struct ListenerOptions<A, B> {
    pub(super) capacity: Option<usize>,
    pub(super) room: usize,
    pub(super) handshake: Duration,
    pub(super) users: Users,
    backlog: u32,
    directory: Option<PathBuf>,
    items: PhantomData<fn(A) -> B>,
}

/// Whose connections are taken.
#[derive(Debug)]
pub(super) enum Users {
    /// Those of the listener's own user, and of these.
    These(Vec<u32>),
    All,
}

impl Users {
    fn has_others(&self) -> bool {
        !matches!(self, Self::These(others) if others.is_empty())
    }

    pub(super) fn has(&self, uid: u32) -> bool {
        match self {
            Self::These(others) => uid == crossproc_sys::process::user() || others.contains(&uid),
            Self::All => true,
        }
    }
}

impl<A: Message, B: Message> ListenerOptions<A, B> {
    pub(super) fn new() -> Self {
        Self {
            capacity: None,
            room: ROOM,
            handshake: HANDSHAKE,
            users: Users::These(Vec::new()),
            backlog: BACKLOG,
            directory: None,
            items: PhantomData,
        }
    }

    /// Bytes of the ring of each direction of the pipes that are made; as
    /// [`PipeOptions::capacity`].
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = Some(bytes);
        self
    }

    /// Room in the segment of each pipe for what the two processes make there and share: locks,
    /// queues, values. 1 MiB unless said otherwise; taken page by page as it is touched.
    pub fn room(mut self, bytes: usize) -> Self {
        self.room = bytes;
        self
    }

    /// How many connectors wait while nobody calls [`accept`](Listener::accept); those beyond wait to
    /// be let in. 128 unless said otherwise, and no more than the system's `somaxconn`.
    pub fn backlog(mut self, connectors: u32) -> Self {
        self.backlog = connectors;
        self
    }

    /// Lets processes of the user `uid` connect too. Without it, only those of the user that the
    /// listener runs as may: the kernel says who they are.
    ///
    /// Whoever may connect shares memory with this process, and can send it any message; handles to
    /// what lies in other segments than the pipe's cannot be sent between users. Other users cannot
    /// reach the usual directory: give one with [`directory`](Self::directory).
    pub fn allow_user(mut self, uid: u32) -> Self {
        if let Users::These(others) = &mut self.users {
            others.push(uid);
        }
        self
    }

    /// Lets processes of all users connect; see [`allow_user`](Self::allow_user).
    pub fn allow_all_users(mut self) -> Self {
        self.users = Users::All;
        self
    }

    /// The directory in which the name is, instead of the usual one. It must exist, on a local file
    /// system, and none but this user and root may be able to remove this user's files from it.
    ///
    /// Without it that is `crossproc` in `$XDG_RUNTIME_DIR`, if that is this user's own; else in
    /// `/run/user/UID`; else `/dev/shm/crossproc-UID`. It is made when it is needed, with mode 0700,
    /// and removed when nobody listens.
    pub fn directory(mut self, path: impl AsRef<Path>) -> Self {
        self.directory = Some(path.as_ref().to_owned());
        self
    }

    /// How long a connector may take to say what it wants, and later to take what it is given, before
    /// the listener drops it. 5 s unless said otherwise. Others are served meanwhile.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake = timeout;
        self
    }

    /// As [`Listener::bind`].
    ///
    /// # Errors
    ///
    /// As [`Listener::bind`], and if the options cannot be had.
    pub fn bind(self, name: &str) -> Result<Listener<A, B>, BindError> {
        self.pipe().check_capacity()?;
        let place = Place::new(name, self.directory.as_deref())?;
        let claim = place.claim(self.backlog, self.users.has_others())?;
        Listener::new(claim, self)
    }

    pub(super) fn pipe(&self) -> PipeOptions<A, B> {
        let options = PipeOptions::new();
        match self.capacity {
            Some(bytes) => options.capacity(bytes),
            None => options,
        }
    }
}
