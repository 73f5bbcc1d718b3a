//! File-backed segments on a network file system.
//!
//! The tests mount one of FUSE, which counts as such, since nobody can tell what is behind it. It
//! is empty and served by nobody, and belongs to another user: the kernel answers what it is, and
//! nothing else.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use crossproc::Segment;
use crossproc::crates::segment::Error;
use tests::stage::{Stage, is_root, role};
use tests::traces::leaves_nothing;

use crate::says;

#[test]
fn a_file_on_a_network_file_system_is_refused() {
    if role().is_none() {
        // To be allowed to mount one here takes root, also in a namespace of one's own.
        let mounts = "mount -t tmpfs tmpfs /mnt && mkdir /mnt/far";
        let stage = Stage::new(tests::test_name!()).with_mounts(mounts);
        if let Some(stage) = stage.filter(|_| is_root() && Path::new("/dev/fuse").exists()) {
            stage.play();
        }
        return;
    }
    let fuse = File::options().read(true).write(true).open("/dev/fuse").unwrap();
    let options = format!("fd={},rootmode=40000,user_id=65534,group_id=65534\0", fuse.as_raw_fd());
    // SAFETY: all are C strings.
    let mounted = unsafe {
        libc::mount(
            c"far".as_ptr(),
            c"/mnt/far".as_ptr(),
            c"fuse".as_ptr(),
            0,
            options.as_ptr().cast(),
        )
    };
    assert_eq!(mounted, 0, "{}", std::io::Error::last_os_error());
    leaves_nothing(|| {
        let error = Segment::create_file("/mnt/far/data", 1 << 16).unwrap_err();
        assert!(matches!(error, Error::Network { .. }), "{error}");
        says(&error, &["/mnt/far/data", "network file system", "use a local file"]);
        let options = Segment::options();
        let error = options.open_or_create_file("/mnt/far/data", 1 << 16).unwrap_err();
        says(&error, &["/mnt/far/data"]);
    });
}
