//! What is written: values that were chosen to hurt.

use crate::dice::Dice;

/// Ids of members: those that play, one that is dead, one that never was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    pub(super) first: u32,
    pub(super) second: u32,
    pub(super) dead: u32,
}

impl Ids {
    fn all(self) -> [u64; 4] {
        [self.first.into(), self.second.into(), self.dead.into(), 0x0abc_def0]
    }
}

const HIGH: u64 = 0xffff_ffff_0000_0000;
const LOW: u64 = 0xffff_ffff;
const ID: u64 = 0x0fff_ffff;

/// Everything that a word that holds `old` may be made. The same number for each word: `copies` are
/// words from elsewhere in the segment.
pub(super) fn values(old: u64, ids: Ids, copies: [u64; 6]) -> Vec<u64> {
    let mut values = vec![0, u64::MAX];
    values.extend((0..64).map(|bit| old ^ 1 << bit));
    numbers(old, &mut values);
    for id in ids.all() {
        owned(old, id, &mut values);
    }
    values.extend(copies);
    values
}

/// Off by one, halves, lengths beyond everything.
fn numbers(old: u64, values: &mut Vec<u64>) {
    let high_by = |by: u64| (old & LOW) | (old & HIGH).wrapping_add(by << 32);
    let low_by = |by: u64| (old & HIGH) | ((old & LOW).wrapping_add(by) & LOW);
    values.extend([old.wrapping_add(1), old.wrapping_sub(1), old.wrapping_neg(), !old]);
    values.extend([old & HIGH, old & LOW, old | HIGH, old | LOW, old.rotate_left(32)]);
    values.extend([low_by(1), low_by(LOW), high_by(1), high_by(LOW)]);
    values.extend([old << 1, old >> 1, old << 4, old >> 4]);
    values.extend([1, 7, 0x1000, 1 << 20, 1 << 31, 1 << 32, 1 << 40, u64::MAX >> 1, u64::MAX - 7]);
    // Words of another lap of a queue's slot, in each of its states.
    for lap in [(old >> 4).wrapping_sub(1), old >> 4, (old >> 4) + 1, (old >> 4) + (1 << 20)] {
        values.extend((0..5).map(|state| lap << 4 | state));
    }
}

/// Words that name a member as their owner, as far as the formats in use go.
fn owned(old: u64, id: u64, values: &mut Vec<u64>) {
    // Locks and all that is like them: flags above the id; in the low half, in the high half.
    values.extend([id, id | 1 << 31, id | 1 << 30, id | 1 << 29, id | 1 << 28]);
    values.extend([old & HIGH | id, old & HIGH | id | 1 << 31, old & LOW | id << 32]);
    values.extend([old & LOW | id << 32 | 1 << 63, id << 32 | id, old & !ID | id]);
    // Claims of a queue's slot: WRITING and READING in this lap and the next.
    let lap = old >> 4 & LOW;
    values.extend([lap, lap + 1].map(|lap| (lap & LOW) << 32 | id << 4 | 1));
    values.extend([lap, lap + 1].map(|lap| (lap & LOW) << 32 | id << 4 | 4));
    // Headers and chunks of the arena, entries of the directory, in each of their states.
    values.extend((0..8).map(|state| state << 61 | old & !(7 << 61) & !ID | id));
    values.extend((0..5).map(|state| state << 61 | id << 32 | old & LOW));
}

/// A value that nobody thought of, or nearly.
pub(super) fn any(old: u64, ids: Ids, copies: [u64; 6], dice: &mut Dice) -> u64 {
    let random = dice.roll(u64::MAX);
    match dice.roll(10) {
        0 => random,
        1 => old & HIGH | random & LOW,
        2 => old & LOW | random & HIGH,
        3 => random >> dice.roll(64),
        _ => {
            let values = values(old, ids, copies);
            values[dice.index(&values)]
        }
    }
}
