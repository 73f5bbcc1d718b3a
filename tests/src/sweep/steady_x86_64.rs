//! Has clocks be read by a system call, so that every run of an operation is equally long.
//!
//! The kernel's own code for reading clocks in user space (the vDSO) loops and branches on the
//! counter it finds, so the same operation takes a few instructions more or less each time, and
//! "after k instructions" would be another place each time. In this process and its children its
//! entry is written over with the plain system call.

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;

/// `mov eax, SYS_clock_gettime; syscall; ret`
const CALL: [u8; 8] = [0xb8, 228, 0, 0, 0, 0x0f, 0x05, 0xc3];

const _: () = assert!(libc::SYS_clock_gettime == 228);

const PAGE_BYTES: usize = 4096;

/// Whether it could be done; if not, outcomes near a flip may be judged at a neighbouring k.
pub(super) fn read_clocks_by_system_call() -> bool {
    let Some(entry) = entry_of(c"linux-vdso.so.1", c"__vdso_clock_gettime") else {
        return false;
    };
    let page = entry.as_ptr().map_addr(|at| at & !(PAGE_BYTES - 1));
    // The entry may lie at the end of its page.
    let protect = |how| {
        // SAFETY: changes the protection of the vDSO's code in this process only, to something
        // that it can still be executed under; two pages of it, of which a missing second one is
        // an error.
        unsafe { libc::mprotect(page, 2 * PAGE_BYTES, how) == 0 }
    };
    if !protect(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC) {
        return false;
    }
    // SAFETY: the entry has at least as many bytes (the shortest version has some hundred), they
    // are writable now, in a private copy, and no other thread exists that could execute them.
    unsafe { entry.cast::<[u8; 8]>().write_unaligned(CALL) };
    protect(libc::PROT_READ | libc::PROT_EXEC)
}

fn entry_of(library: &CStr, name: &CStr) -> Option<NonNull<c_void>> {
    // SAFETY: a string that ends in NUL; with NOLOAD nothing is loaded or run.
    let handle = unsafe { libc::dlopen(library.as_ptr(), libc::RTLD_NOLOAD | libc::RTLD_LAZY) };
    NonNull::new(handle).and_then(|handle| {
        // SAFETY: a handle that was just opened, and a string that ends in NUL.
        NonNull::new(unsafe { libc::dlsym(handle.as_ptr(), name.as_ptr()) })
    })
}
