//! Files in memory and on disk: sizes, seals, names.

use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crossproc_sys::memfd::{self, Pages};
use crossproc_sys::{file, image, kernel, map::Mapping, process};

/// A path that no other test uses; the file under it goes when this is dropped.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        Self(Path::new("/dev/shm").join(format!("crossproc-sys-{}-{name}", process::pid())))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _may_be_gone = file::unlink(&self.0);
    }
}

#[test]
fn a_sealed_size_is_final() {
    let fd = memfd::create("sys-test", Pages::Normal).expect("memfd");
    file::set_len(&fd, 8192).expect("length");
    assert!(!memfd::is_size_sealed(&fd).expect("ask"));
    memfd::seal_size(&fd).expect("seal");
    assert!(memfd::is_size_sealed(&fd).expect("ask"));
    for len in [0, 4096, 16384] {
        let error = file::set_len(&fd, len).expect_err("sealed");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    }
    assert!(file::reserve(&fd, 16384).is_err());
    assert!(memfd::seal_size(&fd).is_err(), "seals are sealed too");
    let again = file::reopen(&fd).expect("reopen");
    assert!(memfd::is_size_sealed(&again).expect("ask"));
    assert!(file::set_len(&again, 0).is_err());
    assert_eq!(file::stat(&fd).expect("stat").size, 8192);
}

#[test]
fn space_is_reserved_step_by_step() {
    const LEN: u64 = (64 << 20) + 5000;
    let fd = memfd::create("sys-test", Pages::Normal).expect("memfd");
    file::reserve(&fd, 0).expect("nothing");
    assert_eq!(file::stat(&fd).expect("stat").size, 0);
    file::reserve(&fd, LEN).expect("reserve");
    assert_eq!(file::stat(&fd).expect("stat").size, LEN);
    assert_eq!(file::set_len(&fd, u64::MAX).expect_err("too long").kind(), ErrorKind::InvalidInput);
}

#[test]
fn what_there_is_no_room_for_is_not_begun() {
    let fd = memfd::create("sys-test", Pages::Normal).expect("memfd");
    assert_eq!(file::reserve(&fd, u64::MAX).expect_err("beyond").kind(), ErrorKind::InvalidInput);
    assert_eq!(file::reserve(&fd, 1 << 50).expect_err("a petabyte").kind(), ErrorKind::OutOfMemory);
    assert_eq!(file::stat(&fd).expect("stat").size, 0);
    let fd = file::tmpfile(Path::new("/dev/shm"), 0o600).expect("tmpfile");
    let error = file::reserve(&fd, 1 << 50).expect_err("a petabyte");
    assert!(matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::OutOfMemory));
}

#[test]
fn an_anonymous_file_gets_its_name_once() {
    let path = Temporary::new("linked");
    let fd = file::tmpfile(Path::new("/dev/shm"), 0o600).expect("tmpfile");
    let before = file::stat(&fd).expect("stat");
    assert_eq!((before.links, before.mode, before.is_file), (0, 0o600, true));
    file::set_mode(&fd, 0o640).expect("mode");
    file::link(&fd, &path.0).expect("link");
    let error = file::link(&fd, &path.0).expect_err("taken");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);

    let found = file::stat(file::open(&path.0).expect("open")).expect("stat");
    assert_eq!((found.dev, found.ino, found.links), (before.dev, before.ino, 1));
    assert_eq!(found.mode, 0o640);
    file::unlink(&path.0).expect("unlink");
    assert_eq!(file::open(&path.0).expect_err("gone").kind(), ErrorKind::NotFound);
    assert_eq!(file::unlink(&path.0).expect_err("gone").kind(), ErrorKind::NotFound);
}

#[test]
fn a_symbolic_link_is_not_followed() {
    let path = Temporary::new("symlink");
    symlink("/dev/null", &path.0).expect("symlink");
    assert_eq!(file::open(&path.0).expect_err("a link").raw_os_error(), Some(libc::ELOOP));
}

#[test]
fn no_memory_is_on_the_network() {
    let fd = memfd::create("sys-test", Pages::Normal).expect("memfd");
    assert!(!file::is_network_fs(&fd).expect("ask"));
    let fd = file::tmpfile(Path::new("/dev/shm"), 0o600).expect("tmpfile");
    assert!(!file::is_network_fs(&fd).expect("ask"));
    assert_eq!(file::page_bytes(&fd).expect("ask"), file::page_size());
}

#[test]
fn bad_names_are_refused() {
    assert!(memfd::create("a\0b", Pages::Normal).is_err());
    assert!(memfd::create(&"x".repeat(300), Pages::Normal).is_err());
    assert_eq!(file::open(Path::new("a\0b")).expect_err("nul").kind(), ErrorKind::InvalidInput);
}

#[test]
fn mappings_of_one_file_are_one_memory() {
    let fd = memfd::create("sys-test", Pages::Normal).expect("memfd");
    file::set_len(&fd, 8192).expect("length");
    let (a, b) =
        (Mapping::shared(&fd, 8192).expect("map"), Mapping::shared(&fd, 4096).expect("map"));
    drop(fd);
    a.advise_no_dump();
    a.advise_huge();
    assert_eq!((a.len(), b.len()), (8192, 4096));
    assert_ne!(a.as_ptr(), b.as_ptr());
    // SAFETY: inside the mapping, and nobody else knows the file.
    unsafe { a.as_ptr().write(42) };
    // SAFETY: as above.
    assert_eq!(unsafe { b.as_ptr().read() }, 42);
}

#[test]
fn nothing_cannot_be_mapped() {
    let fd = memfd::create("sys-test", Pages::Normal).expect("memfd");
    assert_eq!(Mapping::shared(&fd, 0).expect_err("empty").kind(), ErrorKind::InvalidInput);
}

#[test]
fn this_program_has_an_identity() {
    kernel::check().expect("a kernel new enough for these tests");
    let me = image::identity();
    assert_eq!(me, image::identity());
    assert!(me.ino != 0 && me.size != 0 && me.mtime_ns != 0);
    assert_eq!(image::Identity::from_bytes(&me.to_bytes()), Some(me));
    assert_eq!(me.build_id, image::build_id());
}

#[test]
fn only_code_of_the_main_program_has_an_offset() {
    let here = only_code_of_the_main_program_has_an_offset as fn() as usize;
    let offset = image::offset_of(here).expect("code of this program");
    assert_eq!(image::addr_of(offset), Some(here));
    assert_eq!(image::base() + usize::try_from(offset).expect("small"), here);
    assert_eq!(image::offset_of(&raw const offset as usize), None, "the stack");
    assert_eq!(image::offset_of(libc::getpid as unsafe extern "C" fn() -> i32 as usize), None);
    assert_eq!(image::offset_of(0), None);
    for bad in [u64::MAX, 1 << 46] {
        assert_eq!(image::addr_of(bad), None);
    }
}
