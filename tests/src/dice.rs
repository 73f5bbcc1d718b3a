//! Numbers that nobody foresees, the same in every run.

/// A generator of numbers (xorshift), by a seed.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall as the seed says.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    /// An index of a slice that is as long as `things`.
    pub fn index<T>(&mut self, things: &[T]) -> usize {
        usize::try_from(self.roll(things.len() as u64)).unwrap_or_default()
    }

    /// Spends some time, up to some microseconds, so that what follows comes at any moment.
    pub fn dither(&mut self) {
        for _ in 0..self.roll(3000) {
            std::hint::spin_loop();
        }
    }
}
