//! How long a sleeper sleeps before it looks again by itself.
//!
//! A *young* sleeper's slices are 8 and 16 ms. Shorter ones would end before the next tick of the
//! scheduler (4 ms at 250 Hz), so that the timer hardware has to be set when the sleep begins and
//! again when it is cut short: measured here, that is 6 us a wake, twice the wake itself where both
//! sides share a processor. An *old* one shares a constant rate of
//! looks with all other sleepers of the segment: a counter in shared memory goes up with every
//! slice that ends anywhere; a sleeper that saw it go up by `g` in its own slice aims at
//! `g * BASE` for the next, averaged with the last one. With `n` sleepers that settles at
//! `n * BASE` each, so 1 / `BASE` looks a second whatever `n` is. The count of waiters could not
//! serve: a mass kill leaves it wrong. [`CAP`](CAP_NS) is the longest that a lone survivor of a
//! mass kill may sleep. With so many sleepers that slices are long, those end at common moments: 1,000
//! that wait take 0.7 % of a core so, and 1.4 % where each looks by itself.

const MS: u64 = 1_000_000;

/// Slices of a young sleeper.
const YOUNG: u32 = 2;
/// The first slice; each young one is twice the one before.
const FIRST_NS: u64 = 8 * MS;
/// Time between the looks of all old sleepers of a segment together.
const BASE_NS: u64 = 20 * MS;
/// The longest slice of an old sleeper: 5 s are promised, to going on.
const CAP_NS: u64 = 4_900 * MS;
/// Slices as long as this are those of a crowd, and end together: a look among others finds the timer's
/// interrupt taken and the kernel's lines in the cache, which is most of what one costs alone.
const CROWD_NS: u64 = 2_000 * MS;
/// Time between the moments at which they end.
const TOGETHER_NS: u64 = 250 * MS;
/// The longest slice of an old sleeper that no burial can reach.
const CAP_UNRECORDED_NS: u64 = 50 * MS;

/// A slice in progress.
#[derive(Clone, Copy)]
struct Slice {
    start_ns: u64,
    end_ns: u64,
    looks: u32,
}

/// The slices of one wait.
pub(crate) struct Slices {
    ended: u32,
    steady_ns: u64,
    seed: u64,
    current: Option<Slice>,
}

impl Slices {
    /// `seed` tells sleepers apart, so that they do not look in step.
    pub(crate) fn new(seed: u64) -> Self {
        Self { ended: 0, steady_ns: FIRST_NS << YOUNG, seed: seed | 1, current: None }
    }

    /// Old enough to need a wait record: from now on slices are long.
    pub(crate) fn is_old(&self) -> bool {
        self.ended >= YOUNG
    }

    /// When the slice in progress ends; begins one if none is.
    ///
    /// A sleeper that was interrupted goes on with its slice. If a kick to all began 500 slices
    /// of 5 s anew, they would from then on look in step.
    pub(crate) fn end(&mut self, now_ns: u64, looks: u32, recorded: bool) -> u64 {
        if let Some(slice) = self.current {
            return slice.end_ns;
        }
        let length = if self.is_old() { self.jittered(recorded) } else { FIRST_NS << self.ended };
        let end_ns = together(now_ns, now_ns.saturating_add(length));
        self.current = Some(Slice { start_ns: now_ns, end_ns, looks });
        end_ns
    }

    /// The slice in progress has ended, when `looks` slices had in the whole segment.
    pub(crate) fn over(&mut self, now_ns: u64, looks: u32) {
        let Some(slice) = self.current.take() else { return };
        if self.is_old() {
            let grown = u64::from(looks.wrapping_sub(slice.looks));
            let elapsed = now_ns.saturating_sub(slice.start_ns).max(1);
            let expected = u128::from(grown * BASE_NS) * u128::from(self.steady_ns);
            let aim = u64::try_from(expected / u128::from(elapsed)).unwrap_or(u64::MAX);
            self.steady_ns = self.steady_ns.midpoint(aim.clamp(BASE_NS, CAP_NS));
        } else {
            self.ended += 1;
        }
    }

    /// Something happened: what blocks the sleeper may have changed, so it is young again.
    pub(crate) fn renew(&mut self) {
        self.ended = 0;
        self.current = None;
    }

    /// The steady slice times 0.5 to 1.5.
    fn jittered(&mut self, recorded: bool) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        let cap = if recorded { CAP_NS } else { CAP_UNRECORDED_NS };
        let length = self.steady_ns.min(cap);
        (length / 2 + length * (self.seed >> 54) / 1024).min(cap)
    }
}

/// The end of a slice, earlier by less than [`TOGETHER_NS`] if it is a long one, so that many end at once.
fn together(now_ns: u64, end_ns: u64) -> u64 {
    if end_ns - now_ns < CROWD_NS { end_ns } else { end_ns - end_ns % TOGETHER_NS }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` sleepers that look in turn, each when its slice ends; looks a second at the end.
    fn rate(count: usize) -> u64 {
        let mut sleepers: Vec<Slices> = (1..=count as u64)
            .map(|n| Slices::new(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .collect();
        let mut ends: Vec<u64> = sleepers.iter_mut().map(|s| s.end(0, 0, true)).collect();
        let (mut looks, mut counted) = (0u32, 0);
        loop {
            let (next, now) = ends.iter().copied().enumerate().min_by_key(|e| e.1).expect("some");
            if now > 60_000 * MS {
                return counted / 30;
            }
            counted += u64::from(now > 30_000 * MS);
            looks += 1;
            sleepers[next].over(now, looks);
            ends[next] = sleepers[next].end(now, looks, true);
        }
    }

    #[test]
    fn any_number_of_sleepers_looks_at_about_the_same_rate() {
        for count in [1, 10, 200] {
            let rate = rate(count);
            assert!((20..=100).contains(&rate), "{count} sleepers look {rate} times a second");
        }
    }

    #[test]
    fn long_slices_end_together_and_none_is_longer_for_it() {
        for length in [CROWD_NS - 1, CROWD_NS, CROWD_NS + 7 * MS, CAP_NS] {
            let now_ns = 123_456_789;
            let end_ns = together(now_ns, now_ns + length);
            assert!(end_ns <= now_ns + length && end_ns > now_ns + length - TOGETHER_NS);
            assert!(length < CROWD_NS || end_ns.is_multiple_of(TOGETHER_NS));
        }
    }

    #[test]
    fn a_look_in_between_does_not_begin_the_slice_anew() {
        let mut slices = Slices::new(7);
        let end = slices.end(100, 0, false);
        assert_eq!(slices.end(5_000, 3, false), end);
    }

    #[test]
    fn slices_without_a_record_stay_short() {
        let mut slices = Slices::new(7);
        slices.ended = YOUNG;
        slices.steady_ns = CAP_NS;
        assert!(slices.end(0, 0, false) <= CAP_UNRECORDED_NS);
    }
}
