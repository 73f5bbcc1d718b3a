//! Which thread of its process the calling one is, in the words that name threads.

use core::cell::Cell;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

/// A number that no other thread of this process has: the first call of a thread draws it.
///
/// A forked child has its parent's numbers; its member id is another.
#[must_use]
#[inline]
pub fn thread_token() -> u32 {
    thread_local! {
        static TOKEN: Cell<u32> = const { Cell::new(0) };
    }
    match TOKEN.get() {
        0 => draw_token(&TOKEN),
        token => token,
    }
}

#[cold]
fn draw_token(token: &'static std::thread::LocalKey<Cell<u32>>) -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let drawn = LAST.fetch_add(1, Relaxed).wrapping_add(1);
    // After 2^32 threads: 0 means that there is none yet.
    let drawn = if drawn == 0 { draw_token(token) } else { drawn };
    token.set(drawn);
    drawn
}
