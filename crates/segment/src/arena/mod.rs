//! The arena: a crash-safe allocator of blocks over bytes of a segment.
//!
//! Any process may be killed at any instruction. A block always says whose it is, a member's or a
//! place's, so that whoever is short of memory can tell garbage from what is in use, and no list in
//! shared memory can be left half changed, since there is none: the headers are the truth, what a
//! process remembers beside them ([`Magazines`], hint bytes) may be wrong.
//!
//! Source: our own, tried with kill sweeps before it was written here.
//!
//! # Layout
//!
//! | offset     | size        | field     | who writes      | values                              |
//! |-----------:|------------:|-----------|-----------------|-------------------------------------|
//! |          0 |           8 | counter   | givers          | generation of the last chunk given  |
//! |         64 |  8 x chunks | chunks    | givers, closers | [`word::Word`], see below           |
//! |      after |  1 x chunks | hints     | whoever frees   | 1: something was freed here         |
//! | 64-aligned | 16 x blocks | headers   | see below       | [`Header`]: word, then place        |
//! |    4096-al.|      chunks | blocks    | their owners    | bytes                               |
//!
//! A chunk has one header for each 64 bytes, of which class `c` uses the first
//! `chunk bytes / block bytes`; a run uses one. Zeroed memory is an empty arena.
//!
//! ```text
//! header word   state:3 | class:6 | generation:27 | owner:28
//! chunk word    state:3 | class:6 | generation:27 | owner, or first chunk of the run:28
//! reference     1 | 0000 | header index:32 | generation:27        what a place holds to name a block
//! ```
//!
//! Classes: 64 bytes, doubling, up to one chunk; then runs of 2, 3, 4, 6, 8, 12, .. chunks up to the
//! whole arena. A block is aligned to its size, to 4096 at most.
//!
//! # States
//!
//! | header       | who may touch the bytes                                                    |
//! |--------------|----------------------------------------------------------------------------|
//! | `RETIRED`    | nobody: the chunk is vacant, or being opened or closed                      |
//! | `FREE`       | nobody                                                                      |
//! | `TAKEN(me)`  | me; or, once its place names it, whoever the place's protocol lets          |
//! | `BELONGS`    | whoever the place's protocol lets; nobody new once the place is changed     |
//! | `TAKING(me)` | as `BELONGS` until the place is cleared, then me; or until the move is done |
//!
//! | chunk         |                                                                           |
//! |---------------|---------------------------------------------------------------------------|
//! | `VACANT`      | all its headers are `RETIRED`                                              |
//! | `INIT(me)`    | I claim its run's tails, then open its headers                             |
//! | `CLASS`       | open: its headers say what is free                                         |
//! | `RETIRE(me)`  | I close its headers, then make it vacant                                   |
//! | `TAIL(first)` | part of a run, if chunk `first` is open under the same generation          |
//!
//! # Operations
//!
//! Every change of a header or a chunk is a CAS from the exact word seen.
//!
//! - **alloc**: index from the magazine; CAS `FREE -> TAKEN(me)` **(commit)**. Short: chunks with a
//!   hint, a new chunk, all chunks, reclaim, empty chunks of other classes, a larger block.
//! - **free**: CAS `TAKEN(me) -> FREE`, generation + 1 **(commit)**; hint.
//! - **publish**: 1 header's place = the place; 2 CAS place `old -> reference` **(commit)**; 3 CAS
//!   `TAKEN -> BELONGS`; 4 drop the old block.
//! - **take**: 1 a named `TAKEN` is helped to `BELONGS`; CAS `BELONGS -> TAKING(me)`; 2 CAS place
//!   `reference -> 0` **(commit)**; 3 CAS `-> TAKEN(me)`, generation + 1. Place changed: free it.
//! - **rehome**: 1 as take; 2 the new place names generation + 1; 3 header's place = the new place; 4
//!   CAS `TAKING(me) -> BELONGS`, generation + 1 **(commit)**.
//! - **drop**: `BELONGS` or unsettled `TAKEN`, not named, not held: CAS `-> FREE`.
//! - **give**: 1 CAS chunk `VACANT -> INIT(me)`; 2 tails `VACANT -> TAIL`; 3 headers
//!   `RETIRED -> FREE`; 4 CAS `INIT -> CLASS` **(commit)**.
//! - **retire**: 1 CAS `CLASS -> RETIRE(me)`; 2 headers `FREE -> RETIRED`, one refuses: back by
//!   `INIT(me)`; 3 CAS `-> VACANT` **(commit)**; 4 tails `-> VACANT`.
//! - **reclaim**: repairs as the table of deaths says, and frees every `BELONGS` that no place names
//!   and nobody holds.
//!
//! # Orderings
//!
//! - **hand**: CAS to `FREE` (Release) -> CAS `FREE -> TAKEN` or `FREE -> RETIRED` (Acquire). The
//!   last owner's use of the bytes comes before the next owner's.
//! - **chunk**: CAS of a chunk word (Release) -> load or CAS of it (Acquire). The last use of the
//!   bytes under the old class comes before the first one under the new class: free, closing CAS,
//!   `VACANT`, `INIT`, opening CAS, alloc form one chain. A stale tail is freed by who has
//!   acquired the head's leaving, so it is in the chain too.
//! - **publish**: the commit (Release) -> load of the place (Acquire). Makes the block's bytes and
//!   its header's place visible.
//! - **settle**: CAS `-> BELONGS` (Release) -> load of the header (Acquire). Makes the place in the
//!   header visible to a reclaimer that never saw the place itself.
//! - **hazard**: `SeqCst`, between holders and whoever frees: [`holds`](Holds).
//!
//! # Deaths
//!
//! | killed                              | left behind                         | outcome               |
//! |-------------------------------------|-------------------------------------|-----------------------|
//! | alloc, before its CAS               | nothing                             | -                     |
//! | after it, until publish's commit    | `TAKEN(dead)`, no place names it    | `FREE`                |
//! | publish, after the commit           | `TAKEN(dead)`, its place names it   | `BELONGS`             |
//! | publish, before dropping the old    | `BELONGS`, no place names it        | `FREE`                |
//! | take, before the commit             | `TAKING(dead)`, its place names it  | `BELONGS`, still there|
//! | take, after the commit              | `TAKING`/`TAKEN(dead)`, not named   | `FREE`                |
//! | rehome, before the header's place   | `TAKING(dead)`, the old place names it | `BELONGS`, in the old  |
//! | rehome, after it                    | `TAKING(dead)`, the new place names the next generation | `BELONGS`, generation + 1 |
//! | free, after its CAS                 | `FREE`, perhaps no hint             | a full search finds it|
//! | give, before its headers open       | `INIT(dead)`, perhaps tails         | `VACANT`              |
//! | give, after the first header        | `INIT(dead)`                        | `CLASS`               |
//! | retire, some headers closed         | `RETIRE(dead)`                      | `CLASS`               |
//! | retire, all headers closed          | `RETIRE(dead)`                      | `VACANT`              |
//! | retire of a run, after its commit   | stale `TAIL`s                       | `VACANT`, by a seeker |
//! | holder                              | hold of a dead member               | holds nothing         |
//! | repairer                            | the same states, owner dead         | the next repairer     |
//!
//! # Limits
//!
//! - 256 GiB of blocks; 16 bytes of header for each 64 bytes of block; one small block keeps its
//!   chunk from other classes.
//! - A refused `alloc` is linear in the arena (about 1 ms for 16 MiB of 64-byte blocks). Two
//!   members that are short at once may both be refused the last run.
//! - A block of a chunk or more that was not in the magazine costs a look at all chunk words: 8 bytes
//!   for each 64 KiB of the arena.
//! - Generations wrap after 134 million frees of one block: a process stopped for exactly so many,
//!   between its look at a header and its CAS, misreads it.
//! - Hostile bytes can have blocks lost or given twice, never given out of bounds or unaligned, and
//!   cost bounded time.

mod block;
mod chunks;
mod geometry;
mod holds;
mod magazine;
mod rehome;
mod view;
mod who;
pub mod word;

pub use block::TakeError;
pub use geometry::Geometry;
pub use holds::{HOLDS, Holds};
pub use magazine::Magazines;
pub use view::{Arena, Block, Header, Misfit};
pub(crate) use who::Census;
pub use who::Who;
