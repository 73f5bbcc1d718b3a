//! The monotonic clock and absolute deadlines on it.

use std::time::Duration;

const NS_PER_SECOND: u64 = 1_000_000_000;

/// Nanoseconds of `CLOCK_MONOTONIC`, which all processes of a machine share
/// (`clock_gettime`, no kernel entry on usual hardware).
#[must_use]
pub fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec that the call may write to. It cannot fail for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec.unsigned_abs() * NS_PER_SECOND + time.tv_nsec.unsigned_abs()
}

/// A point in time on the monotonic clock, until which an operation may block.
///
/// # Examples
///
/// ```
/// use crossproc_sys::clock::Deadline;
/// use std::time::Duration;
///
/// let deadline = Deadline::after(Duration::from_secs(60));
/// assert!(!deadline.has_passed());
/// assert!(deadline.remaining() <= Duration::from_secs(60));
/// assert!(deadline > Deadline::now());
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(u64);

impl Deadline {
    /// This moment: an operation with this deadline looks once and does not block.
    #[must_use]
    pub fn now() -> Self {
        Self(now_ns())
    }

    /// `timeout` from now. A timeout too long to be counted (584 years) means the end of time.
    #[must_use]
    pub fn after(timeout: Duration) -> Self {
        Self(now_ns().saturating_add(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// The deadline at a reading of [`now_ns`].
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The reading of [`now_ns`] at which it passes.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How much time is left; zero once it has passed.
    #[must_use]
    pub fn remaining(self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(now_ns()))
    }

    /// Whether it has passed.
    #[must_use]
    pub fn has_passed(self) -> bool {
        now_ns() >= self.0
    }

    /// The absolute time that waiting calls take.
    pub(crate) fn timespec(self) -> libc::timespec {
        timespec(self.0)
    }
}

/// `nanos` in the kernel's two fields.
pub(crate) fn timespec(nanos: u64) -> libc::timespec {
    libc::timespec {
        tv_sec: i64::try_from(nanos / NS_PER_SECOND).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(nanos % NS_PER_SECOND).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_timeout_is_the_end_of_time() {
        let deadline = Deadline::after(Duration::MAX);
        assert_eq!(deadline.as_nanos(), u64::MAX);
        assert!(!deadline.has_passed());
        assert_eq!(deadline.timespec().tv_sec, 18_446_744_073);
        assert_eq!(deadline.timespec().tv_nsec, 709_551_615);
    }

    #[test]
    fn nothing_remains_of_a_passed_deadline() {
        assert!(Deadline::now().has_passed());
        assert!(Deadline::from_nanos(0).has_passed());
        assert_eq!(Deadline::from_nanos(1).remaining(), Duration::ZERO);
    }
}
