//! What one process remembers of the arena: where it lately saw free blocks. Hints, never the
//! truth: a fresh, a copied (after a fork) or a wrong one costs time and nothing else.

/// So many free blocks a class are remembered.
const CAPACITY: usize = 64;
const CLASSES: usize = 64;
/// So many chunks a class in which free blocks were found are remembered. Who hands its blocks to
/// another process, which frees them, finds them again where it had them from.
const HAUNTS: usize = 32;

/// Free blocks a process has seen, by class. Each thread, or each process behind a lock, keeps
/// one; it lives outside shared memory.
#[derive(Debug)]
pub struct Magazines {
    shelves: Vec<Shelf>,
    /// Where the last single chunk was given.
    pub(super) chunk: u32,
}

#[derive(Debug, Default)]
struct Shelf {
    headers: Vec<u32>,
    /// The chunks in which free blocks were lately found, in no order.
    haunts: Vec<u32>,
    /// Where the last was found among them.
    last: usize,
}

impl Default for Magazines {
    fn default() -> Self {
        Self::new()
    }
}

impl Magazines {
    /// Makes an empty one.
    #[must_use]
    pub fn new() -> Self {
        Self { shelves: (0..CLASSES).map(|_| Shelf::default()).collect(), chunk: 0 }
    }

    #[inline]
    pub(super) fn pop(&mut self, class: u32) -> Option<u32> {
        self.shelf(class)?.headers.pop()
    }

    /// Remembers a free block, if there is room; tells whether there was.
    #[inline]
    pub(super) fn push(&mut self, class: u32, header: u32) -> bool {
        let Some(shelf) = self.shelf(class) else { return false };
        let room = shelf.headers.len() < CAPACITY;
        if room {
            shelf.headers.push(header);
        }
        room
    }

    /// The chunk where free blocks of `class` were last found.
    pub(super) fn chunk_of(&mut self, class: u32) -> Option<u32> {
        let shelf = self.shelf(class)?;
        shelf.haunts.get(shelf.last).copied()
    }

    /// Chunk number `turn` after that one, of those in which free blocks were lately found; `None`
    /// once all were named.
    pub(super) fn haunt(&mut self, class: u32, turn: usize) -> Option<u32> {
        let shelf = self.shelf(class)?;
        let count = shelf.haunts.len();
        (turn < count).then(|| shelf.haunts[(shelf.last + 1 + turn) % count])
    }

    pub(super) fn found_in(&mut self, class: u32, chunk: u32) {
        let Some(shelf) = self.shelf(class) else { return };
        shelf.last = match shelf.haunts.iter().position(|&haunt| haunt == chunk) {
            Some(at) => at,
            None if shelf.haunts.len() < HAUNTS => {
                shelf.haunts.push(chunk);
                shelf.haunts.len() - 1
            }
            None => {
                let at = (shelf.last + 1) % HAUNTS;
                shelf.haunts[at] = chunk;
                at
            }
        };
    }

    #[inline]
    fn shelf(&mut self, class: u32) -> Option<&mut Shelf> {
        self.shelves.get_mut(class as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::{HAUNTS, Magazines};

    fn haunts(magazines: &mut Magazines) -> Vec<u32> {
        (0..).map_while(|turn| magazines.haunt(3, turn)).collect()
    }

    #[test]
    fn the_chunks_where_free_blocks_were_found_are_named_each_once_the_last_one_last() {
        let mut magazines = Magazines::new();
        assert_eq!((magazines.chunk_of(3), haunts(&mut magazines)), (None, vec![]));
        for chunk in [7, 8, 9, 8] {
            magazines.found_in(3, chunk);
        }
        assert_eq!((magazines.chunk_of(3), haunts(&mut magazines)), (Some(8), vec![9, 7, 8]));
        assert_eq!(magazines.chunk_of(4), None);
    }

    #[test]
    fn so_many_are_remembered_and_then_the_oldest_is_forgotten() {
        let mut magazines = Magazines::new();
        let last = u32::try_from(HAUNTS).unwrap();
        (0..=last).for_each(|chunk| magazines.found_in(3, chunk));
        assert_eq!(haunts(&mut magazines), (1..=last).collect::<Vec<_>>());
    }
}
