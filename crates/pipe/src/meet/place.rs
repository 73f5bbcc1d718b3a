//! A name in a directory, and who listens there.
//!
//! Two files, in a directory that only this user can write to:
//!
//! - `NAME.lock`, of which the listener holds byte 0 by a mapping ([`Presence`]): for as long as it
//!   lives, whatever becomes of its descriptors, and not in a child that it forks. So a name is free
//!   exactly if no living process has it, and of two that want it at once the kernel lets one have it.
//! - `NAME.sock`, the socket. It is bound under `NAME.new`, listens, and only then gets its name, in
//!   place of one that a dead listener left: who finds a socket that nobody answers to finds a lock
//!   that nobody holds.
//!
//! # Deaths
//!
//! | killed                           | left behind                 | then                                     |
//! |----------------------------------|-----------------------------|------------------------------------------|
//! | bind before the lock             | an empty `NAME.lock`        | the next takes it                        |
//! | bind with the lock               | also `NAME.new`             | the next removes it                      |
//! | listener                         | also `NAME.sock`            | the next renames its own over it         |
//! | drop after the socket's removal  | `NAME.lock`                 | the next takes it                        |
//! | drop before the directory's      | an empty directory          | the next uses it, and removes it         |
//!
//! A lock file is removed by its holder only. Whoever has locked one compares it with what has the
//! name by then, and begins anew if that is another: it was removed between its opening and its lock.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crossproc_sys::dir::Dir;
use crossproc_sys::inotify::NameWatch;
use crossproc_sys::map::Presence;
use crossproc_sys::{file, fork, lock, process, socket};

use super::error::BindError;

/// The longest name: with the longest of the suffixes it fits into a socket's address.
const MOST_NAME: usize = 64;
/// The byte of the lock file that the listener holds.
const LISTENING: u64 = 0;
/// How often another may remove the directory or the lock file in between.
const TRIES: u32 = 1000;

/// Where a name is looked up.
#[derive(Clone, Debug)]
pub(super) struct Place {
    name: String,
    /// The directory, and the one in which it is made if need be; without, it is not ours to make.
    path: PathBuf,
    base: Option<PathBuf>,
}

/// A directory, opened, and the name in it.
#[derive(Debug)]
pub(super) struct Spot {
    dir: Dir,
    place: Place,
}

/// That this process listens at a name.
#[derive(Debug)]
pub(super) struct Claim {
    spot: Spot,
    socket: Option<OwnedFd>,
    presence: Option<Presence>,
    incarnation: u32,
}

/// A listener as others see it: which socket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listening(Option<u64>);

fn failed(what: String) -> impl FnOnce(io::Error) -> BindError {
    move |source| BindError::Io { what, source }
}

impl Place {
    /// The place of `name` in `directory`, or in the one where this user's programs meet.
    pub(super) fn new(name: &str, directory: Option<&Path>) -> Result<Self, BindError> {
        check(name)?;
        let name = name.to_owned();
        if let Some(path) = directory {
            let path = path.canonicalize().map_err(failed(format!("find {path:?}")))?;
            return Ok(Self { name, path, base: None });
        }
        let (base, leaf) = common();
        Ok(Self { name, path: base.join(leaf), base: Some(base) })
    }

    fn file(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.name)
    }

    /// Opens the directory; `None` if it is not there.
    pub(super) fn open(&self) -> Result<Option<Spot>, BindError> {
        match Dir::open(&self.path) {
            Ok(dir) => {
                let spot = Spot { dir, place: self.clone() };
                if self.base.is_some() {
                    spot.check_own()?;
                }
                Ok(Some(spot))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                // A symbolic link shows as "not a directory" or "too many links".
                let is_other = self.path.symlink_metadata().is_ok_and(|found| !found.is_dir());
                if is_other {
                    let why = match self.base {
                        Some(_) => "it is no directory; remove it",
                        None => "it is no directory; give one",
                    };
                    return Err(self.is_unsafe(why));
                }
                Err(failed(format!("open {:?}", self.path))(error))
            }
        }
    }

    fn open_or_make(&self) -> Result<Spot, BindError> {
        for _ in 0..TRIES {
            if let Some(spot) = self.open()? {
                return Ok(spot);
            }
            if self.base.is_some() {
                match Dir::make(&self.path) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                        return Err(failed(format!("make {:?}", self.path))(error));
                    }
                    _ => {}
                }
            }
        }
        Err(failed(format!("open {:?}", self.path))(io::ErrorKind::NotFound.into()))
    }

    fn is_unsafe(&self, why: &'static str) -> BindError {
        BindError::Unsafe { path: self.path.clone(), why }
    }

    /// Hears of names that appear, where a listener would. `None` if the system refuses.
    pub(super) fn watch(&self) -> Option<NameWatch> {
        let dir = Dir::open(&self.path).or_else(|error| match &self.base {
            Some(base) => Dir::open(base),
            None => Err(error),
        });
        dir.and_then(NameWatch::on).ok()
    }

    /// Listens here, unless a living process does. Only this user's processes can reach the socket,
    /// unless it is `open_to_others`.
    pub(super) fn claim(&self, backlog: u32, open_to_others: bool) -> Result<Claim, BindError> {
        for _ in 0..TRIES {
            let spot = self.open_or_make()?;
            if self.base.is_none() {
                spot.check_foreign()?;
            }
            if let Some(presence) = spot.hold()? {
                let presence = Some(presence);
                let incarnation = fork::incarnation();
                let mut claim = Claim { spot, socket: None, presence, incarnation };
                claim.listen(backlog, open_to_others)?;
                return Ok(claim);
            }
        }
        if self.base.is_none() {
            // A directory that was given is removed by nobody here: it takes no files.
            let what = format!("make {:?}", self.path.join(self.file(".lock")));
            return Err(failed(what)(io::ErrorKind::NotFound.into()));
        }
        Err(BindError::InUse { name: self.name.clone() })
    }
}

impl Spot {
    /// What is made by this crate is its user's alone.
    fn check_own(&self) -> Result<(), BindError> {
        let place = &self.place;
        let stat = self.dir.stat().map_err(failed(format!("look at {:?}", place.path)))?;
        if stat.uid != process::user() {
            return Err(place.is_unsafe("it belongs to another user; have it removed"));
        }
        if stat.mode & 0o077 != 0 {
            return Err(place.is_unsafe("others than its owner may use it; make its mode 0700"));
        }
        Ok(())
    }

    /// In a directory that was given, nobody else may replace what this process makes.
    fn check_foreign(&self) -> Result<(), BindError> {
        const STICKY: u32 = 0o1000;
        let place = &self.place;
        let look = || failed(format!("look at {:?}", place.path));
        let stat = self.dir.stat().map_err(look())?;
        if stat.uid != process::user() && stat.uid != 0 {
            return Err(place.is_unsafe("it belongs to another user"));
        }
        if stat.mode & 0o022 != 0 && stat.mode & STICKY == 0 {
            let why = "others may remove files of this process from it; take the right to write \
                       from them, or make it sticky";
            return Err(place.is_unsafe(why));
        }
        if file::is_network_path(&place.path).map_err(look())? {
            let why = "it lies on a network file system, where sockets and locks are not shared";
            return Err(place.is_unsafe(why));
        }
        Ok(())
    }

    /// Becomes the one who listens here; `None` if the directory or the lock file was removed
    /// meanwhile.
    fn hold(&self) -> Result<Option<Presence>, BindError> {
        let (dir, name) = (&self.dir, self.place.file(".lock"));
        let what = || format!("lock {:?}", self.place.path.join(&name));
        // A child forked in between would have the lock for as long as it lives.
        fork::without_fork(|| {
            let file = match dir.open_or_make(&name, 0o600) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                opened => opened.map_err(failed(what()))?,
            };
            let stat = file::stat(&file).map_err(failed(what()))?;
            if stat.uid != process::user() || !stat.is_file {
                let why = "it is no file of this user; have it removed, or choose another name";
                return Err(BindError::Unsafe { path: self.place.path.join(&name), why });
            }
            if !lock::try_lock_byte(&file, LISTENING).map_err(failed(what()))? {
                return Err(BindError::InUse { name: self.place.name.clone() });
            }
            let is_it = dir.find(&name).is_ok_and(|at| (at.dev, at.ino) == (stat.dev, stat.ino));
            let presence = is_it.then(|| Presence::hold(file)).transpose();
            presence.map_err(failed(what()))
        })
    }

    /// Who listens here, if anybody does: asks the kernel whether that process lives.
    pub(super) fn listening(&self) -> Option<Listening> {
        match self.dir.open_entry(&self.place.file(".lock")) {
            Ok(file) if !lock::is_locked(&file, LISTENING) => return None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            // Another user's, who cannot be asked: the socket will tell.
            _ => {}
        }
        let socket = self.dir.find(&self.place.file(".sock")).ok()?;
        Some(Listening(Some(socket.ino)))
    }

    pub(super) fn socket_path(&self) -> PathBuf {
        self.dir.path_of(&self.place.file(".sock"))
    }
}

impl Claim {
    fn listen(&mut self, backlog: u32, open_to_others: bool) -> Result<(), BindError> {
        use std::os::unix::fs::PermissionsExt as _;
        let Spot { dir, place } = &self.spot;
        let (new, named) = (place.file(".new"), place.file(".sock"));
        let failed = || failed(format!("listen at {:?}", place.path.join(&named)));
        if let Err(error) = dir.unlink(&new) {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(failed()(error));
            }
        }
        let path = dir.path_of(&new);
        let socket = socket::bind(&path).map_err(failed())?;
        let mode = if open_to_others { 0o666 } else { 0o600 };
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&path, permissions).map_err(failed())?;
        socket::listen(&socket, backlog).map_err(failed())?;
        // commit: who connects from here on comes to this process.
        dir.rename(&new, &named).map_err(failed())?;
        self.socket = Some(socket);
        Ok(())
    }

    /// The socket that listens.
    pub(super) fn socket(&self) -> Option<&OwnedFd> {
        self.socket.as_ref()
    }

    /// Whether this is the process that listens, not one forked from it.
    pub(super) fn is_ours(&self) -> bool {
        self.incarnation == fork::incarnation()
    }

    pub(super) fn name(&self) -> &str {
        &self.spot.place.name
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.is_ours() {
            return;
        }
        let Spot { dir, place } = &self.spot;
        // The lock file last: with it goes the right to remove the others. What is left after an
        // error is what a killed process leaves.
        for suffix in [".new", ".sock", ".lock"] {
            let _ = dir.unlink(&place.file(suffix));
        }
        self.presence = None;
        if place.base.is_some() {
            // Where another listens too it stays.
            let _ = Dir::remove(&place.path);
        }
    }
}

/// Where programs of this user meet: a directory, and the name of theirs in it.
///
/// Where a session has set none up, the memory file system that named segments use.
fn common() -> (PathBuf, String) {
    let user = process::user();
    let is_own = |path: &PathBuf| {
        let dir = path.is_absolute().then(|| Dir::open(path).ok()).flatten();
        dir.and_then(|dir| dir.stat().ok())
            .is_some_and(|stat| stat.uid == user && stat.mode & 0o077 == 0)
    };
    let told = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let usual = PathBuf::from(format!("/run/user/{user}"));
    match told.into_iter().chain([usual]).find(is_own) {
        Some(base) => (base, "crossproc".to_owned()),
        None => (PathBuf::from("/dev/shm"), format!("crossproc-{user}")),
    }
}

fn check(name: &str) -> Result<(), BindError> {
    let why = if name.is_empty() {
        "is empty; give at least one character"
    } else if name.contains('\0') {
        "contains a NUL character; leave it out"
    } else if name.contains('/') {
        "contains a slash; `directory` says where it is looked up"
    } else if name.len() > MOST_NAME {
        "is longer than 64 bytes; choose a shorter one"
    } else {
        return Ok(());
    };
    Err(BindError::BadName { name: name.to_owned(), why })
}
