//! Starting a program: never by `fork`, whose cost grows with the memory of the process.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{CString, OsStr, OsString, c_char, c_int};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::ptr;

use crate::call;
use crate::pidfd::PidFd;

use super::closefrom;

/// The first number that is not one of the three standard streams.
const FIRST_OTHER: RawFd = libc::STDERR_FILENO + 1;

/// A program about to be started, with exactly the descriptors it is given (`posix_spawn`).
///
/// The child inherits standard input, output and error, and of all other descriptors only those
/// listed by [`fd`](Self::fd). It blocks no signals, and `SIGPIPE` is as it was born.
///
/// # Examples
///
/// ```
/// use crossproc_sys::{pidfd::Exit, process::Spawn};
///
/// let child = Spawn::new("/bin/sh").arg("-c").arg("exit $CODE").env("CODE", "7").start()?;
/// assert_eq!(child.pidfd.reap(true)?, Some(Exit::Code(7)));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Spawn<'fd> {
    program: PathBuf,
    name: OsString,
    args: Vec<OsString>,
    env: BTreeMap<OsString, Option<OsString>>,
    has_null_stdin: bool,
    fds: Vec<(BorrowedFd<'fd>, RawFd)>,
}

/// A child that was started.
#[derive(Debug)]
#[non_exhaustive]
pub struct Spawned {
    /// Its number; free for reuse once it has been reaped.
    pub pid: u32,
    /// The child itself. Dropping it neither ends nor reaps the child.
    pub pidfd: PidFd,
}

impl<'fd> Spawn<'fd> {
    /// The program in the file `program`, which is not searched for.
    pub fn new(program: impl AsRef<Path>) -> Self {
        let program = program.as_ref();
        Self {
            program: program.to_owned(),
            name: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            has_null_stdin: false,
            fds: Vec::new(),
        }
    }

    /// The program that runs here (`/proc/self/exe`), even if its file was replaced or deleted.
    #[must_use]
    pub fn this_program() -> Self {
        Self::new("/proc/self/exe").name(env::args_os().next().unwrap_or_default())
    }

    /// The name that the program sees as its own (`argv[0]`); its path if not set.
    #[must_use]
    pub fn name(mut self, name: impl AsRef<OsStr>) -> Self {
        name.as_ref().clone_into(&mut self.name);
        self
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable in the environment, which is else this process's.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(key.as_ref().to_owned(), Some(value.as_ref().to_owned()));
        self
    }

    /// Leaves a variable out of the environment.
    #[must_use]
    pub fn env_remove(mut self, key: impl AsRef<OsStr>) -> Self {
        self.env.insert(key.as_ref().to_owned(), None);
        self
    }

    /// Gives the child an empty standard input (`/dev/null`) instead of this process's.
    #[must_use]
    pub fn null_stdin(mut self) -> Self {
        self.has_null_stdin = true;
        self
    }

    /// Gives the child `fd` under the number `number`, which may be that of a standard stream.
    #[must_use]
    pub fn fd(mut self, fd: BorrowedFd<'fd>, number: RawFd) -> Self {
        self.fds.push((fd, number));
        self
    }

    /// Starts it (`posix_spawn`, `pidfd_open`).
    ///
    /// Returns once the child runs the program, or it could not be. What the child costs does not
    /// depend on how much memory this process has.
    ///
    /// # Errors
    ///
    /// The kernel's error: no such program, not executable, no processes or descriptors left;
    /// [`io::ErrorKind::InvalidInput`] for a nul byte in a string, or two descriptors under one
    /// number or a negative one. No child is left then.
    pub fn start(&self) -> io::Result<Spawned> {
        let program = call::c_path(&self.program)?;
        let args = self.c_args()?;
        let env = self.c_env()?;
        let above = self.first_unused()?;
        let sources = self.move_above(above)?;
        let actions = self.actions(&sources, above)?;
        let attributes = Attributes::new()?;
        let mut pid: libc::pid_t = 0;
        // SAFETY: C strings and null-terminated arrays of them, initialised actions and attributes,
        // all alive for all of the call.
        check(unsafe {
            libc::posix_spawn(
                &raw mut pid,
                program.as_ptr(),
                &raw const actions.0,
                &raw const attributes.0,
                pointers(&args).as_ptr(),
                pointers(&env).as_ptr(),
            )
        })?;
        let pid = pid.unsigned_abs();
        match PidFd::open(pid) {
            Ok(pidfd) => Ok(Spawned { pid, pidfd }),
            Err(error) => {
                // Reaped already, as SIGCHLD is ignored: the number may be another process's.
                if error.raw_os_error() != Some(libc::ESRCH) {
                    abandon(pid);
                }
                Err(error)
            }
        }
    }

    fn c_args(&self) -> io::Result<Vec<CString>> {
        let all = std::iter::once(&self.name).chain(&self.args);
        all.map(|arg| call::c_string(arg.as_bytes())).collect()
    }

    fn c_env(&self) -> io::Result<Vec<CString>> {
        let kept = env::vars_os().filter(|(key, _)| !self.env.contains_key(key));
        let set = self.env.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
        kept.chain(set)
            .map(|(key, value)| call::c_string(&[key.as_bytes(), b"=", value.as_bytes()].concat()))
            .collect()
    }

    /// The number above all that the child gets.
    fn first_unused(&self) -> io::Result<RawFd> {
        let mut numbers: Vec<RawFd> = self.fds.iter().map(|(_, number)| *number).collect();
        numbers.sort_unstable();
        let is_clear = numbers.windows(2).all(|pair| pair[0] != pair[1]);
        let last = numbers.last().map_or(FIRST_OTHER - 1, |last| *last);
        match last.checked_add(1) {
            Some(next) if is_clear && numbers.first().is_none_or(|first| *first >= 0) => {
                Ok(next.max(FIRST_OTHER))
            }
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "descriptor numbers clash")),
        }
    }

    /// Copies of the descriptors, out of the way of the numbers that they are to get, so that the
    /// child can move them there in any order (`fcntl(F_DUPFD_CLOEXEC)`).
    fn move_above(&self, above: RawFd) -> io::Result<Vec<OwnedFd>> {
        let copy = |(fd, _): &(BorrowedFd<'_>, RawFd)| {
            // SAFETY: a call on a borrowed, hence open, descriptor that touches none of our memory.
            let copy = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, above) };
            // SAFETY: what F_DUPFD_CLOEXEC returns is ours.
            unsafe { call::own(copy) }
        };
        self.fds.iter().map(copy).collect()
    }

    /// What the child does before it becomes the program.
    fn actions(&self, sources: &[OwnedFd], above: RawFd) -> io::Result<Actions> {
        let mut actions = Actions::new()?;
        if self.has_null_stdin {
            actions.open_null(libc::STDIN_FILENO)?;
        }
        for (source, (_, number)) in sources.iter().zip(&self.fds) {
            actions.move_to(source, *number)?;
        }
        let is_given = |fd: &RawFd| self.fds.iter().any(|(_, number)| number == fd);
        for gap in (FIRST_OTHER..above).filter(|fd| !is_given(fd)) {
            actions.close(gap)?;
        }
        closefrom::add(&mut actions.0, above)?;
        Ok(actions)
    }
}

/// The pointers to the strings, and a null.
fn pointers(strings: &[CString]) -> Vec<*mut c_char> {
    let all = strings.iter().map(|string| string.as_ptr().cast_mut());
    all.chain(std::iter::once(ptr::null_mut())).collect()
}

/// Ends and reaps a child that nobody can be told of.
fn abandon(pid: u32) {
    let Ok(pid) = libc::pid_t::try_from(pid) else { return };
    // SAFETY: two numbers; a child that has not been reaped, so the number is still its own.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    // SAFETY: no status is asked for.
    let _gone = call::retry(|| unsafe { libc::waitpid(pid, ptr::null_mut(), 0) });
}

/// These functions return their error.
fn check(error: c_int) -> io::Result<()> {
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

/// The set of these signals.
pub(super) fn signals(members: &[c_int]) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: room for a set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: sigemptyset has filled it.
    let mut set = unsafe { set.assume_init() };
    for signal in members {
        // SAFETY: an initialised set; a number that is no signal is refused.
        unsafe { libc::sigaddset(&raw mut set, *signal) };
    }
    set
}

/// Owned `posix_spawn_file_actions_t`.
struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    fn new() -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: room for the actions.
        check(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        // SAFETY: initialised just now.
        Ok(Self(unsafe { actions.assume_init() }))
    }

    fn open_null(&mut self, number: RawFd) -> io::Result<()> {
        let (path, flags) = (c"/dev/null".as_ptr(), libc::O_RDONLY);
        // SAFETY: initialised actions, and a C string, which is copied.
        check(unsafe {
            libc::posix_spawn_file_actions_addopen(&raw mut self.0, number, path, flags, 0)
        })
    }

    fn move_to(&mut self, fd: &OwnedFd, number: RawFd) -> io::Result<()> {
        // SAFETY: initialised actions and two numbers.
        check(unsafe {
            libc::posix_spawn_file_actions_adddup2(&raw mut self.0, fd.as_raw_fd(), number)
        })
    }

    /// It is no error if nothing is open under that number.
    fn close(&mut self, number: RawFd) -> io::Result<()> {
        // SAFETY: initialised actions and a number.
        check(unsafe { libc::posix_spawn_file_actions_addclose(&raw mut self.0, number) })
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: initialised, and not used any more.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

/// Owned `posix_spawnattr_t`: no signal blocked, `SIGPIPE` by default.
struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    fn new() -> io::Result<Self> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: room for the attributes.
        check(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        // SAFETY: initialised just now.
        let mut attributes = Self(unsafe { attributes.assume_init() });
        attributes.set_signals()?;
        Ok(attributes)
    }

    fn set_signals(&mut self) -> io::Result<()> {
        let (blocked, default) = (signals(&[]), signals(&[libc::SIGPIPE]));
        // SAFETY: initialised attributes, and a set that is copied.
        check(unsafe { libc::posix_spawnattr_setsigmask(&raw mut self.0, &raw const blocked) })?;
        // SAFETY: as above.
        check(unsafe { libc::posix_spawnattr_setsigdefault(&raw mut self.0, &raw const default) })?;
        let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        let flags = i16::try_from(flags).unwrap_or(0);
        // SAFETY: initialised attributes and a number.
        check(unsafe { libc::posix_spawnattr_setflags(&raw mut self.0, flags) })
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised, and not used any more.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}
