//! The handle to a segment: one mapped file that several processes share.

use core::fmt;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crossproc_sys::map::Mapping;
use crossproc_sys::{file, fork, kernel, memfd};
use parking_lot::Mutex;

use crate::arena::{Arena, Magazines};
use crate::error::{Error, Result, system};
use crate::header::{Header, Identity, Parts};
use crate::member::{MemberInfo, Membership};
use crate::options::{SegmentOptions, fresh_identity};
use crate::{MemberId, holders, member, names, path, registry, wait};

/// Shared memory with room for objects: locks, values, queues.
///
/// A segment is anonymous (reached only by processes to which it is handed on), named (a file
/// under `/dev/shm`, reached by its name) or file-backed. Cloning a handle is cheap; the memory
/// stays mapped until the last handle and the last object of this process are dropped, and exists
/// until the last process has let it go and, if it has a name, [`unlink`](Self::unlink) was called.
///
/// A process that is killed is no longer a member from the moment the kernel has let it go;
/// what it held is found and mended by those who are stopped by it. A handle can be sent to
/// another process as an argument or in a queue.
///
/// # Examples
///
/// ```
/// use crossproc_segment::Segment;
///
/// let segment = Segment::anonymous(1 << 20)?;
/// assert!(segment.alive(segment.me()));
/// assert!(segment.objects().is_empty());
/// # Ok::<(), crossproc_segment::Error>(())
/// ```
#[derive(Clone)]
pub struct Segment {
    inner: Arc<Inner>,
}

/// A segment as this process has it mapped. One exists for each segment, however often opened.
pub(crate) struct Inner {
    membership: Membership,
    map: Mapping,
    /// Not closed if it is another file's by then: see [`Segment::is_of`].
    fd: ManuallyDrop<OwnedFd>,
    file: FileId,
    parts: Parts,
    identity: Identity,
    /// Path of the file and the name users gave. Not if it is anonymous, nor as long as all that is
    /// known of it is a descriptor.
    named: OnceLock<(PathBuf, String)>,
    arena: Arena,
    magazines: Mutex<Magazines>,
}

/// Which file a segment lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId {
    dev: u64,
    ino: u64,
}

impl FileId {
    pub(crate) const LEAST: Self = Self { dev: 0, ino: 0 };

    fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        file::stat(fd).map(|stat| Self { dev: stat.dev, ino: stat.ino })
    }
}

impl Segment {
    /// Makes an anonymous segment with room for about `bytes` of objects.
    ///
    /// It is sealed: no process can cut it under the others. The memory is reserved now; see
    /// [`SegmentOptions::sparse`].
    ///
    /// # Errors
    ///
    /// [`Error::BadSize`], [`Error::NoSpace`], [`Error::Descriptors`], [`Error::Kernel`] before
    /// Linux 5.16, or [`Error::Io`].
    pub fn anonymous(bytes: usize) -> Result<Self> {
        Self::options().anonymous(bytes)
    }

    /// Makes a segment that processes of this machine open by `name`.
    ///
    /// No process ever sees half of it. It stays until [`Segment::unlink`] is called.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`] if there is one of that name, [`Error::BadName`], [`Error::NoSpace`] when
    /// `/dev/shm` is full, and as [`Segment::anonymous`]. After an error nothing is left behind.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::{Error, Segment};
    ///
    /// let name = format!("doc-create-{}", std::process::id());
    /// let segment = Segment::create(&name, 1 << 20)?;
    /// assert!(matches!(Segment::create(&name, 1 << 20), Err(Error::Exists { .. })));
    /// assert_eq!(Segment::open(&name)?.identity(), segment.identity());
    /// Segment::unlink(&name)?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn create(name: &str, bytes: usize) -> Result<Self> {
        Self::options().create(name, bytes)
    }

    /// Opens the segment called `name`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Permission`], and one error of its own for each way in which
    /// the file can fail to be a segment of this version: [`Error::Magic`], [`Error::Version`],
    /// [`Error::Size`], [`Error::Parts`], [`Error::Corrupt`].
    pub fn open(name: &str) -> Result<Self> {
        let place = path::of_segment(name)?;
        Self::open_at(&place, name)
    }

    /// Opens the segment called `name`, or makes it with room for about `bytes`.
    ///
    /// When several processes do so at once, one of them makes it and all get the same. An
    /// existing segment keeps its size.
    ///
    /// # Errors
    ///
    /// As [`Segment::open`] and [`Segment::create`], without [`Error::Exists`] and
    /// [`Error::NotFound`].
    pub fn open_or_create(name: &str, bytes: usize) -> Result<Self> {
        Self::options().open_or_create(name, bytes)
    }

    /// Takes the name `name` away. Processes that have the segment open keep it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no segment of that name, [`Error::Permission`].
    pub fn unlink(name: &str) -> Result<()> {
        let place = path::of_segment(name)?;
        file::unlink(&place).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Error::NotFound { what: "segment", name: name.to_owned() }
            }
            _ => system(format!("unlink segment {name:?}"))(error),
        })
    }

    /// Makes a segment in the file `path`, which must not exist. Its contents outlive a reboot,
    /// its members do not.
    ///
    /// Whoever may write to the file may cut it, and a process that touches what was cut off is
    /// killed by SIGBUS. Files on network file systems are refused.
    ///
    /// # Errors
    ///
    /// As [`Segment::create`], and [`Error::Network`].
    pub fn create_file(path: impl AsRef<Path>, bytes: usize) -> Result<Self> {
        Self::options().create_file(path, bytes)
    }

    /// Opens the segment in the file `path`.
    ///
    /// # Errors
    ///
    /// As [`Segment::open`], and [`Error::Network`].
    pub fn open_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let place = path::absolute(path)?;
        Self::open_at(&place, &path.display().to_string())
    }

    /// Choices for a new segment: mode, huge pages, sparse.
    #[must_use]
    pub fn options() -> SegmentOptions {
        SegmentOptions::new()
    }

    fn open_at(place: &Path, shown: &str) -> Result<Self> {
        kernel::check()?;
        let what = format!("segment {shown:?}");
        let fd = file::open(place).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Error::NotFound { what: "segment", name: shown.to_owned() }
            }
            _ => system(format!("open {what}"))(error),
        })?;
        if file::is_network_fs(fd.as_fd()).map_err(system(format!("look at {what}")))? {
            return Err(Error::Network { path: shown.to_owned() });
        }
        Self::attach(fd, &what, Some((place.to_owned(), shown.to_owned())))
    }

    /// Attaches to a segment of any sort whose descriptor this process was given.
    ///
    /// # Errors
    ///
    /// As [`Segment::open`]; [`Error::Unsealed`] if it is memory without a name that is not sealed
    /// against cutting.
    pub fn from_fd(fd: OwnedFd) -> Result<Self> {
        kernel::check()?;
        let what = "a segment received from another process";
        if memfd::is_size_sealed(fd.as_fd()).unwrap_or(false) {
            return Self::attach(fd, what, None);
        }
        let look = || system(format!("look at {what}"));
        let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let place = std::fs::read_link(link).map_err(look())?;
        if place.as_os_str().as_encoded_bytes().starts_with(b"/memfd:") {
            return Err(Error::Unsealed { what: what.to_owned() });
        }
        let shown = path::shown(&place);
        if file::is_network_fs(fd.as_fd()).map_err(look())? {
            return Err(Error::Network { path: shown });
        }
        let segment = Self::attach(fd, &format!("segment {shown:?}"), None)?;
        segment.learn_path(&place);
        Ok(segment)
    }

    /// Maps and checks a file that claims to be a segment.
    pub(crate) fn attach(
        fd: OwnedFd,
        what: &str,
        named: Option<(PathBuf, String)>,
    ) -> Result<Self> {
        let stat = file::stat(fd.as_fd()).map_err(system(format!("look at {what}")))?;
        let least = size_of::<Header>() as u64;
        if stat.size < least {
            return Err(Error::Size { what: what.to_owned(), expected: least, found: stat.size });
        }
        let page = Mapping::shared(fd.as_fd(), size_of::<Header>())
            .map_err(system(format!("map {what}")))?;
        // SAFETY: the mapping is as long as a header, page-aligned, and a header is atomics only.
        let (identity, parts) =
            unsafe { page.as_ptr().cast::<Header>().as_ref() }.check(what, stat.size)?;
        drop(page);
        let file = FileId { dev: stat.dev, ino: stat.ino };
        registry::get_or_insert((identity, file), || {
            Self::map(fd, file, parts, identity, named, false)
        })
    }

    /// Completes a new segment: maps it, writes its header, joins it.
    pub(crate) fn found(
        fd: OwnedFd,
        parts: Parts,
        named: Option<(PathBuf, String)>,
        huge_pages: bool,
    ) -> Result<Self> {
        let identity = fresh_identity()?;
        let file = FileId::of(fd.as_fd()).map_err(system("look at a new segment"))?;
        registry::get_or_insert((identity, file), || {
            let inner = Self::map(fd, file, parts, identity, named, huge_pages)?;
            inner.header().init(identity, &parts);
            Ok(inner)
        })
    }

    fn map(
        fd: OwnedFd,
        file: FileId,
        parts: Parts,
        identity: Identity,
        named: Option<(PathBuf, String)>,
        huge_pages: bool,
    ) -> Result<Inner> {
        let failed = || system(format!("map the {} bytes of a segment", parts.size));
        let map = Mapping::shared(fd.as_fd(), parts.size).map_err(failed())?;
        map.advise_no_dump();
        if huge_pages {
            map.advise_huge();
        }
        let misfit = "its parts do not lie inside it";
        let misfit = || Error::Corrupt { what: "a segment".to_owned(), why: misfit };
        let holds = (parts.names + names::Directory::HOLDS_OFFSET) as u64;
        // SAFETY: the mapping lives as long as `Inner`, which owns the view; only this format's
        // code reaches these bytes, with the geometry of the header.
        let arena =
            unsafe { Arena::attach(map.as_ptr(), parts.size, parts.arena as u64, parts.geometry) };
        let arena = arena.map_err(|_| misfit())?.with_holds(holds).map_err(|_| misfit())?;
        let membership = Membership::new().map_err(failed())?;
        crossproc_sys::membarrier::register();
        let magazines = Mutex::new(Magazines::default());
        let fd = ManuallyDrop::new(fd);
        let named = named.map_or_else(OnceLock::new, OnceLock::from);
        Ok(Inner { membership, map, fd, file, parts, identity, named, arena, magazines })
    }

    pub(crate) fn from_inner(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// This process's id in the segment.
    ///
    /// One load; after a fork the child joins afresh here.
    ///
    /// # Panics
    ///
    /// In a forked child that cannot join: no `/proc`, no descriptor left, or 4 096 members.
    #[must_use]
    #[inline]
    pub fn me(&self) -> MemberId {
        match self.inner.membership.cached() {
            Some(id) => id,
            None => self.join_after_fork(),
        }
    }

    /// The word that [`Segment::me`] loads, for handles that ask at every operation: the id, or 0
    /// in a forked child that has not joined yet. It stays where it is while the segment is mapped.
    #[doc(hidden)]
    #[must_use]
    #[inline]
    pub fn me_word(&self) -> &AtomicU32 {
        self.inner.membership.me_word()
    }

    /// How many burials of dead members there were, modulo 2^32: whoever waits for what another was
    /// to tell compares it, and looks if somebody has died meanwhile.
    #[doc(hidden)]
    #[must_use]
    pub fn deaths(&self) -> u32 {
        self.wait_table().deaths()
    }

    /// Tells whether this process is the member `id`, without joining: in a forked child that has
    /// not joined it is nobody yet.
    pub(crate) fn is_me(&self, id: MemberId) -> bool {
        self.inner.membership.cached() == Some(id)
    }

    #[cold]
    #[inline(never)]
    fn join_after_fork(&self) -> MemberId {
        match self.join() {
            Ok(id) => id,
            Err(error) => panic!("cannot join a segment after a fork: {error}"),
        }
    }

    /// Joins, if this process has not yet.
    pub(crate) fn join(&self) -> Result<MemberId> {
        self.inner.membership.join(self)
    }

    /// Tells whether the process that has the id `id` lives: a stopped one does, a zombie does not.
    ///
    /// One system call, 0.5 us with few members: for use when something blocks, not on a fast
    /// path. The kernel answers from the locks it holds, so no word in shared memory can make a
    /// living process look dead. If it cannot be asked, as when the program has closed the
    /// segment's descriptor, the answer is yes.
    #[must_use]
    pub fn alive(&self, id: MemberId) -> bool {
        self.is_me(id)
            || !self.is_of(self.as_fd())
            || crossproc_sys::lock::is_locked(self.as_fd(), id.lock_offset())
    }

    /// Tells whether `fd` is of the segment's file. The segment's own descriptor is not any more
    /// once the program has closed what it did not open itself, as daemons do: a question asked
    /// through it would find the living dead, and a lock taken through it would tell nobody.
    pub(crate) fn is_of(&self, fd: BorrowedFd<'_>) -> bool {
        self.inner.is_of(fd)
    }

    /// What tells this segment from every other.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.inner.identity
    }

    /// The name or path by which the segment was made or opened; `None` if it is anonymous.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.inner.named.get().map(|(_, name)| name.as_str())
    }

    /// The path of the segment's file, if it has one.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.inner.named.get().map(|(path, _)| path.as_path())
    }

    /// Notes that the segment lies at `path`, if it does and no path is known yet: tickets made
    /// here then reach it by name. The descriptor of whoever made it does not tell.
    pub(crate) fn learn_path(&self, path: &Path) {
        if self.path().is_some() {
            return;
        }
        let there =
            std::fs::symlink_metadata(path).map(|at| FileId { dev: at.dev(), ino: at.ino() });
        if there.is_ok_and(|there| there == self.inner.file) {
            let named = (path.to_owned(), path::shown(path));
            // A child that was forked meanwhile would wait for this thread for ever.
            let _known_by_now = fork::without_fork(|| self.inner.named.set(named));
        }
    }

    /// Bytes of the segment's file.
    #[must_use]
    pub fn size(&self) -> usize {
        self.inner.parts.size
    }

    /// Who is attached: a snapshot, for tools.
    #[must_use]
    pub fn members(&self) -> Vec<MemberInfo> {
        member::list(self)
    }

    /// See [`Membership::holder_mark`].
    pub(crate) fn holder_mark(&self) -> &AtomicU32 {
        self.inner.membership.holder_mark()
    }

    pub(crate) fn header(&self) -> &Header {
        self.inner.header()
    }

    pub(crate) fn member_table(&self) -> &member::raw::Table {
        // SAFETY: `Parts` places the table inside the mapping, page-aligned; it is atomics only.
        unsafe { self.part(self.inner.parts.members).cast::<member::raw::Table>().as_ref() }
    }

    pub(crate) fn wait_table(&self) -> &wait::raw::Table {
        // SAFETY: `Parts` places the table inside the mapping, page-aligned; it is atomics only.
        unsafe { self.part(self.inner.parts.waits).cast::<wait::raw::Table>().as_ref() }
    }

    pub(crate) fn directory(&self) -> &names::Directory {
        // SAFETY: `Parts` places it inside the mapping, page-aligned; it is atomics only.
        unsafe { self.part(self.inner.parts.names).cast::<names::Directory>().as_ref() }
    }

    pub(crate) fn arena(&self) -> &Arena {
        &self.inner.arena
    }

    pub(crate) fn magazines(&self) -> &Mutex<Magazines> {
        &self.inner.magazines
    }

    /// Where this process has the segment mapped.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.inner.map.as_ptr()
    }

    fn part(&self, offset: usize) -> NonNull<u8> {
        debug_assert!(offset < self.size());
        // SAFETY: offsets of parts lie inside the mapping.
        unsafe { self.base().add(offset) }
    }
}

impl Inner {
    /// Tells whether the segment still has its descriptor. If not, opening it maps it anew.
    pub(crate) fn has_descriptor(&self) -> bool {
        self.is_of(self.fd.as_fd())
    }

    fn is_of(&self, fd: BorrowedFd<'_>) -> bool {
        FileId::of(fd).is_ok_and(|file| file == self.file)
    }

    fn header(&self) -> &Header {
        // SAFETY: the mapping begins with a header's page and lives as long as `self`.
        unsafe { self.map.as_ptr().cast::<Header>().as_ref() }
    }

    fn member_table(&self) -> &member::raw::Table {
        debug_assert!(self.parts.members < self.map.len());
        // SAFETY: `Parts` places the table inside the mapping.
        let table = unsafe { self.map.as_ptr().add(self.parts.members) };
        // SAFETY: it is page-aligned, atomics only, and lives as long as `self`.
        unsafe { table.cast::<member::raw::Table>().as_ref() }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        holders::leave(self.membership.holder_mark());
        self.membership.leave(self.member_table());
        if self.has_descriptor() {
            // SAFETY: dropped here only, and not used afterwards.
            unsafe { ManuallyDrop::drop(&mut self.fd) };
        }
    }
}

impl AsFd for Segment {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.fd.as_fd()
    }
}

// A panic leaves nothing half done here: what spans several steps is given back by drop guards.
impl UnwindSafe for Segment {}
impl RefUnwindSafe for Segment {}

impl PartialEq for Segment {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity() && self.inner.file == other.inner.file
    }
}

impl Eq for Segment {}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("name", &self.name())
            .field("identity", &self.identity())
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}
