//! Which words of the segment are in use, and what they belong to.
//!
//! Found by looking: a line of memory that is not all zeroes, or that changes while its primitive
//! is made or played, is in use, and so are the few behind it, which hold words that are zero yet.

use std::collections::BTreeSet;
use std::ops::Range;

/// Words of a line.
const LINE: usize = 8;
/// Lines behind one in use that count as in use too, in objects and elsewhere.
const BEHIND_OBJECTS: usize = 4;
const BEHIND: usize = 1;

const PAGE: usize = 4096;

/// Words that belong together: a row of the table.
#[derive(Clone, Debug)]
pub(super) struct Region {
    pub(super) name: &'static str,
    /// The primitive whose objects they are; `None` for the tables that all share.
    pub(super) primitive: Option<usize>,
    /// The words, as indexes into the segment.
    pub(super) words: Vec<usize>,
}

/// Where the parts of the segment lie, in words.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    parts: Vec<(&'static str, Range<usize>)>,
    /// The blocks of the arena.
    blocks: Range<usize>,
}

impl Parts {
    /// From the segment's header, as its layout says (`crates/segment/src/header.rs`).
    pub(super) fn of(image: &[u64]) -> Self {
        let size = size_of_val(image);
        let (shift, chunks) = (image[5] & 0xffff_ffff, image[5] >> 32);
        let chunks = usize::try_from(chunks).unwrap_or(0);
        let members = PAGE..PAGE + size_of::<crossproc_segment::member::raw::Table>();
        let waits = pages(members.end)
            ..pages(members.end) + size_of::<crossproc_segment::wait::raw::Table>();
        let names =
            pages(waits.end)..pages(waits.end) + crossproc_segment::names::Directory::HOLDS_OFFSET;
        let holds = names.end..pages(waits.end) + size_of::<crossproc_segment::names::Directory>();
        let blocks = size - (chunks << shift)..size;
        let arena = pages(holds.end)..blocks.start;
        let words = |bytes: &Range<usize>| bytes.start / 8..bytes.end / 8;
        let parts = [
            ("header", 0..PAGE),
            ("members", members),
            ("waits", waits),
            ("names", names),
            ("holds", holds),
            ("arena", arena),
        ];
        let parts = parts.iter().map(|(name, bytes)| (*name, words(bytes))).collect();
        Self { parts, blocks: words(&blocks) }
    }
}

fn pages(bytes: usize) -> usize {
    bytes.next_multiple_of(PAGE)
}

/// What is in use, gathered from images of the segment.
#[derive(Debug)]
pub(super) struct Map {
    parts: Parts,
    /// Lines of the tables, and of each primitive.
    shared: BTreeSet<usize>,
    owned: Vec<BTreeSet<usize>>,
}

impl Map {
    pub(super) fn new(parts: Parts, primitives: usize) -> Self {
        Self { parts, shared: BTreeSet::new(), owned: vec![BTreeSet::new(); primitives] }
    }

    /// Notes what `primitive` changed between two images.
    pub(super) fn note(&mut self, primitive: usize, before: &[u64], after: &[u64]) {
        for line in 0..after.len() / LINE {
            let words = line * LINE..(line + 1) * LINE;
            if before[words.clone()] == after[words.clone()] {
                continue;
            }
            if self.parts.blocks.contains(&words.start) {
                let is_anothers = self.owned.iter().any(|lines| lines.contains(&line));
                if !is_anothers {
                    self.owned[primitive].insert(line);
                }
            } else {
                self.shared.insert(line);
            }
        }
    }

    /// The regions, when the segment is complete and looks like `image`.
    pub(super) fn regions(&self, image: &[u64], names: &[&'static str]) -> Vec<Region> {
        let tables = self.parts.parts.iter().map(|(name, range)| {
            let in_use = |line: &usize| {
                let words = line * LINE..(line + 1) * LINE;
                self.shared.contains(line) || image[words].iter().any(|&word| word != 0)
            };
            let lines = (range.start / LINE..range.end / LINE).filter(in_use).collect();
            let words = words(&lines, BEHIND, range);
            Region { name, primitive: None, words }
        });
        let objects = self.owned.iter().zip(names).enumerate().map(|(primitive, (lines, name))| {
            let words = words(lines, BEHIND_OBJECTS, &self.parts.blocks);
            Region { name, primitive: Some(primitive), words }
        });
        tables.chain(objects).filter(|region| !region.words.is_empty()).collect()
    }
}

/// The words of lines and of those behind them, within `range`.
fn words(lines: &BTreeSet<usize>, behind: usize, range: &Range<usize>) -> Vec<usize> {
    let wider: BTreeSet<usize> = lines.iter().flat_map(|&line| line..=line + behind).collect();
    let words = wider.into_iter().flat_map(|line| line * LINE..(line + 1) * LINE);
    words.filter(|word| range.contains(word)).collect()
}
