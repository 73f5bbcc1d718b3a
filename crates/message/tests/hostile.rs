//! Any bytes give a value or an error: no panic, no endless loop, no allocation that the bytes do
//! not account for. Messages are damaged at random, with a fixed seed, and read as many types.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    num::NonZeroU32,
    path::PathBuf,
    time::Duration,
};

use crossproc_message::{Message, Plain, Pod, decode, encode};
use serde::{Deserialize, Serialize};

const ROUNDS: u32 = 3_000;

#[derive(Pod, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Sample {
    at: u32,
    value: f32,
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
enum Tree {
    Leaf,
    Number(u64),
    Text { text: String, sample: Sample },
    Branch(Vec<Self>),
    Chain(Box<Self>, Option<char>),
}

/// Marsaglia's xorshift, so that a failure comes again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap()
    }

    fn byte(&mut self) -> u8 {
        [0, 1, 2, 0x7f, 0xff, self.next().to_le_bytes()[0]][self.below(6)]
    }

    fn damage(&mut self, bytes: &mut Vec<u8>) {
        match self.below(5) {
            0 => bytes.truncate(self.below(bytes.len())),
            1 => {
                let at = self.below(bytes.len() + 1);
                bytes.insert(at, self.byte());
            }
            2 if !bytes.is_empty() => {
                let at = self.below(bytes.len());
                let length = self.below(bytes.len() - at + 1);
                bytes.copy_within(at..at + length, 0);
            }
            _ if !bytes.is_empty() => {
                let at = self.below(bytes.len());
                bytes[at] = self.byte();
            }
            _ => bytes.push(self.byte()),
        }
    }
}

/// What was read is written the same way again.
fn read_any<T: Message>(bytes: &[u8]) {
    let Ok(value) = decode::<T>(bytes, vec![]) else { return };
    let mut again = Vec::new();
    encode(&value, &mut again).unwrap();
    assert!(decode::<T>(&again, vec![]).is_ok(), "a value that was read can be sent on");
}

fn read_as_everything(bytes: &[u8]) {
    read_any::<Tree>(bytes);
    read_any::<Vec<Tree>>(bytes);
    read_any::<String>(bytes);
    read_any::<Vec<u8>>(bytes);
    read_any::<Vec<f64>>(bytes);
    read_any::<Vec<u128>>(bytes);
    read_any::<Vec<()>>(bytes);
    read_any::<Vec<Sample>>(bytes);
    read_any::<VecDeque<Option<char>>>(bytes);
    read_any::<HashMap<String, Vec<u16>>>(bytes);
    read_any::<BTreeMap<bool, ()>>(bytes);
    read_any::<(u8, NonZeroU32, Duration)>(bytes);
    read_any::<Option<Box<(String, PathBuf)>>>(bytes);
    read_any::<Plain<[u8; 24]>>(bytes);
    read_any::<[Option<Result<u8, String>>; 3]>(bytes);
    read_any::<Vec<Vec<Vec<Vec<()>>>>>(bytes);
}

#[test]
fn damaged_messages_never_break_the_reader() {
    let sample = Sample { at: 1, value: 0.5 };
    let tree = Tree::Branch(vec![
        Tree::Text { text: "abc".into(), sample },
        Tree::Chain(Box::new(Tree::Number(9)), Some('ß')),
        Tree::Branch(vec![Tree::Leaf; 3]),
    ]);
    let map = HashMap::from([("key".to_string(), vec![1u16, 2]), (String::new(), vec![])]);
    let mut messages = vec![Vec::new(), vec![0xff; 40], vec![1; 300]];
    for message in 0..3 {
        let mut bytes = Vec::new();
        match message {
            0 => encode(&tree, &mut bytes).unwrap(),
            1 => encode(&map, &mut bytes).unwrap(),
            _ => encode(&vec![sample; 4], &mut bytes).unwrap(),
        };
        messages.push(bytes);
    }

    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..ROUNDS {
        let mut bytes = messages[round as usize % messages.len()].clone();
        for _ in 0..=random.below(4) {
            random.damage(&mut bytes);
        }
        read_as_everything(&bytes);
    }
}

#[test]
fn noise_never_breaks_the_reader() {
    let mut random = Random(0xd1b5_4a32_d192_ed03);
    for _ in 0..ROUNDS {
        let length = random.below(96);
        let bytes: Vec<u8> = (0..length).map(|_| random.byte()).collect();
        read_as_everything(&bytes);
    }
}
