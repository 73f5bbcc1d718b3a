//! Which arena when, with which seed, for how long.

use std::time::Duration;

/// The usual length of a slice.
const SLICE: Duration = Duration::from_secs(5);

/// A number made of two, as if drawn.
#[must_use]
pub fn mix(a: u64, b: u64) -> u64 {
    // The finaliser of splitmix64.
    let mut x = a ^ b.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// The seed of the slice `round` of the arena called `name`: the same whatever else is run.
#[must_use]
pub fn seed_of(seed: u64, name: &str, round: u64) -> u64 {
    mix(name.bytes().fold(seed, |seed, byte| mix(seed, byte.into())), round)
}

/// Rounds through all arenas, and the length of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// How often each arena has its turn.
    pub rounds: u64,
    /// For how long each time.
    pub slice: Duration,
}

impl Schedule {
    /// Shares `time` among `arenas`.
    #[must_use]
    pub fn new(time: Duration, arenas: usize) -> Self {
        let arenas = u32::try_from(arenas.max(1)).unwrap_or(u32::MAX);
        let each = time / arenas;
        let rounds = each.div_duration_f64(SLICE).round().max(1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "some thousands"
        )]
        let rounds = rounds as u32;
        Self { rounds: rounds.into(), slice: each / rounds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_shared() {
        let minute = Duration::from_secs(60);
        assert_eq!(Schedule::new(minute, 6), Schedule { rounds: 2, slice: SLICE });
        let little = Schedule::new(minute / 10, 12);
        assert_eq!(little, Schedule { rounds: 1, slice: Duration::from_millis(500) });
    }

    #[test]
    fn seeds_differ_in_all_that_they_are_made_of() {
        let seeds =
            [seed_of(1, "a", 0), seed_of(2, "a", 0), seed_of(1, "b", 0), seed_of(1, "a", 1)];
        assert!((0..4).all(|i| (0..i).all(|j| seeds[i] != seeds[j])));
        assert_eq!(seeds[0], seed_of(1, "a", 0));
    }
}
