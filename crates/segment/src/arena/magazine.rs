//! What one process remembers of the arena: where it lately saw free blocks. Hints, never the
//! truth: a fresh, a copied (after a fork) or a wrong one costs time and nothing else.

/// So many free blocks a class are remembered.
const CAPACITY: usize = 64;
const CLASSES: usize = 64;

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
    /// The chunk in which free blocks were last found, plus 1; 0 before the first.
    chunk: u32,
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
        self.shelf(class)?.chunk.checked_sub(1)
    }

    pub(super) fn found_in(&mut self, class: u32, chunk: u32) {
        if let Some(shelf) = self.shelf(class) {
            shelf.chunk = chunk.saturating_add(1);
        }
    }

    #[inline]
    fn shelf(&mut self, class: u32) -> Option<&mut Shelf> {
        self.shelves.get_mut(class as usize)
    }
}
