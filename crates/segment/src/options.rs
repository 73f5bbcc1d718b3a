//! How a new segment is made.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use crossproc_sys::map::Mapping;
use crossproc_sys::{file, kernel, memfd};

use crate::error::{Error, Result, system};
use crate::header::{Identity, Parts};
use crate::path;
use crate::segment::Segment;

/// Choices for a new segment; made by [`Segment::options`].
///
/// # Examples
///
/// ```
/// use crossproc_segment::Segment;
/// let segment = Segment::options().huge_pages(true).anonymous(1 << 20)?;
/// assert!(segment.size() >= 1 << 20);
/// # Ok::<(), crossproc_segment::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SegmentOptions {
    mode: u32,
    huge_pages: bool,
    sparse: bool,
}

impl SegmentOptions {
    pub(crate) fn new() -> Self {
        Self { mode: 0o600, huge_pages: false, sparse: false }
    }

    /// The permission bits of a named or file-backed segment; 0600 unless said.
    ///
    /// Whoever may write to the file may cut it under its users, who are then killed by SIGBUS:
    /// give write permission only to those you trust. Anonymous segments are sealed against it.
    /// The owner can always read and write: without that the segment could not be used at all.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode & 0o777 | 0o600;
        self
    }

    /// Asks for huge pages; where there are none the segment gets ordinary ones.
    #[must_use]
    pub fn huge_pages(mut self, yes: bool) -> Self {
        self.huge_pages = yes;
        self
    }

    /// Leaves the memory to be taken page by page as it is touched, instead of reserving all of
    /// it now.
    ///
    /// With a sparse named segment a full `/dev/shm` shows as SIGBUS at the first touch, no
    /// longer as an error at creation.
    #[must_use]
    pub fn sparse(mut self, yes: bool) -> Self {
        self.sparse = yes;
        self
    }

    /// Makes an anonymous segment; see [`Segment::anonymous`].
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`].
    pub fn anonymous(&self, bytes: usize) -> Result<Segment> {
        kernel::check()?;
        let parts = Parts::for_bytes(bytes)?;
        let what = "an anonymous segment";
        // Huge pages come by madvise on the mapping: a memfd of hugetlb pages could neither be
        // sealed at an exact size nor fall back later.
        let fd = memfd::create("crossproc", memfd::Pages::Normal)
            .map_err(system(format!("make {what}")))?;
        self.give_size(&fd, &parts, what)?;
        memfd::seal_size(fd.as_fd()).map_err(system(format!("seal {what}")))?;
        Segment::found(fd, parts, None, self.huge_pages)
    }

    /// Makes a named segment; see [`Segment::create`].
    ///
    /// # Errors
    ///
    /// As [`Segment::create`].
    pub fn create(&self, name: &str, bytes: usize) -> Result<Segment> {
        let place = path::of_segment(name)?;
        self.create_at(&place, name, bytes)
    }

    /// Opens the named segment, or makes it; see [`Segment::open_or_create`].
    ///
    /// # Errors
    ///
    /// As [`Segment::open_or_create`].
    pub fn open_or_create(&self, name: &str, bytes: usize) -> Result<Segment> {
        either(|| Segment::open(name), || self.create(name, bytes))
    }

    /// Makes a file-backed segment; see [`Segment::create_file`].
    ///
    /// # Errors
    ///
    /// As [`Segment::create_file`].
    pub fn create_file(&self, path: impl AsRef<Path>, bytes: usize) -> Result<Segment> {
        let path = path.as_ref();
        let place = path::absolute(path)?;
        self.create_at(&place, &path.display().to_string(), bytes)
    }

    /// Opens the file-backed segment, or makes it.
    ///
    /// # Errors
    ///
    /// As [`Segment::open_file`] and [`Segment::create_file`].
    pub fn open_or_create_file(&self, path: impl AsRef<Path>, bytes: usize) -> Result<Segment> {
        let path = path.as_ref();
        either(|| Segment::open_file(path), || self.create_file(path, bytes))
    }

    /// The segment is complete before it has a name, so nobody ever opens half of one.
    fn create_at(&self, place: &Path, shown: &str, bytes: usize) -> Result<Segment> {
        kernel::check()?;
        let parts = Parts::for_bytes(bytes)?;
        let what = format!("segment {shown:?}");
        let exists = || Error::Exists { what: "segment", name: shown.to_owned() };
        // Spares the memory, which may be short, where the answer is known; the link decides.
        if place.symlink_metadata().is_ok() {
            return Err(exists());
        }
        let directory = place.parent().filter(|d| !d.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        let make = || system(format!("make {what}"));
        // Asked first: most network file systems have no files without a name.
        if file::is_network_path(directory).map_err(make())? {
            return Err(Error::Network { path: shown.to_owned() });
        }
        let fd = file::tmpfile(directory, self.mode).map_err(make())?;
        file::set_mode(fd.as_fd(), self.mode).map_err(system(format!("set the mode of {what}")))?;
        self.give_size(&fd, &parts, &what)?;
        let named = (place.to_owned(), shown.to_owned());
        let segment = Segment::found(fd, parts, Some(named), self.huge_pages)?;
        // commit: the segment has its name from here on
        file::link(segment.as_fd(), place).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => exists(),
            _ => system(format!("name {what}"))(error),
        })?;
        Ok(segment)
    }

    fn give_size(&self, fd: &OwnedFd, parts: &Parts, what: &str) -> Result<()> {
        let bytes = parts.size as u64;
        let no_space = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::StorageFull
            | std::io::ErrorKind::QuotaExceeded
            | std::io::ErrorKind::OutOfMemory => Error::NoSpace { bytes, what: what.to_owned() },
            _ => system(format!("give {what} its {bytes} bytes"))(error),
        };
        file::set_len(fd.as_fd(), bytes).map_err(no_space)?;
        if self.sparse {
            return Ok(());
        }
        if self.huge_pages {
            // Before small pages are reserved: only a mapping can ask for huge ones.
            file::check_room(fd.as_fd(), bytes).map_err(no_space)?;
            let map = Mapping::shared(fd.as_fd(), parts.size).map_err(no_space)?;
            map.advise_huge();
            map.populate().map_err(no_space)?;
        }
        file::reserve(fd.as_fd(), bytes).map_err(no_space)
    }
}

/// Opens or creates; of two processes that do so at once, one creates and both get the same.
fn either(
    open: impl Fn() -> Result<Segment>,
    create: impl Fn() -> Result<Segment>,
) -> Result<Segment> {
    // Each round fails only if somebody created or unlinked the segment meanwhile.
    for _ in 0..100 {
        match open() {
            Err(Error::NotFound { .. }) => {}
            done => return done,
        }
        match create() {
            Err(Error::Exists { .. }) => {}
            done => return done,
        }
    }
    open()
}

/// A number that no other segment has.
pub(crate) fn fresh_identity() -> Result<Identity> {
    let mut bytes = [0u8; 16];
    let source = std::fs::File::open("/dev/urandom")
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes));
    source.map_err(system("read /dev/urandom for the identity of a segment"))?;
    let word = |i: usize| {
        let mut eight = [0; 8];
        eight.copy_from_slice(&bytes[i..i + 8]);
        u64::from_ne_bytes(eight)
    };
    Ok(Identity([word(0), word(8)]))
}
