//! A process that lacks something: descriptors, rights.
#![expect(clippy::missing_panics_doc, reason = "whatever goes wrong in a test is a panic")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use crate::stage::is_root;

/// While it lives, this process can open only so many more descriptors.
#[derive(Debug)]
pub struct FewDescriptors {
    before: libc::rlimit,
    /// What fills the gaps.
    _fillers: Vec<File>,
}

impl FewDescriptors {
    /// Leaves `count` of them.
    #[must_use]
    pub fn leave(count: usize) -> Self {
        let before = limit();
        let highest =
            crate::traces::descriptors().keys().filter_map(|fd| fd.parse::<i32>().ok()).max();
        let highest = highest.expect("the standard streams are open");
        let mut fillers = Vec::new();
        loop {
            let file = File::open("/dev/null").expect("there are enough still");
            if file.as_raw_fd() > highest {
                break;
            }
            fillers.push(file);
        }
        let most = libc::rlim_t::try_from(highest).expect("a descriptor") + 1;
        let most = most + libc::rlim_t::try_from(count).expect("few");
        set_limit(libc::rlimit { rlim_cur: most, ..before });
        Self { before, _fillers: fillers }
    }
}

impl Drop for FewDescriptors {
    fn drop(&mut self) {
        set_limit(self.before);
    }
}

fn limit() -> libc::rlimit {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: there is room for the answer.
    let failed = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    assert_eq!(failed, 0, "{}", io::Error::last_os_error());
    limit
}

fn set_limit(limit: libc::rlimit) {
    // SAFETY: it only reads the limit.
    let failed = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(failed, 0, "{}", io::Error::last_os_error());
}

/// Gives up all rights of root, for good; does nothing for another user.
pub fn become_nobody() {
    const NOBODY: u32 = 65_534;
    if !is_root() {
        return;
    }
    // SAFETY: no list is given, for none are left.
    let groups = unsafe { libc::setgroups(0, std::ptr::null()) };
    // SAFETY: numbers only.
    let group = unsafe { libc::setresgid(NOBODY, NOBODY, NOBODY) };
    // SAFETY: numbers only.
    let user = unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) };
    // What a change of the user takes away: the right to look at oneself in /proc.
    // SAFETY: numbers only.
    let dumpable = unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) };
    assert_eq!((groups, group, user, dumpable), (0, 0, 0, 0), "{}", io::Error::last_os_error());
}
