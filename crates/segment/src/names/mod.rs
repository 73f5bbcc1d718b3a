//! The directory of names: which name names which block of the arena.
//!
//! Many members make, open and remove names at once, and any of them may be killed at any
//! instruction. A name is made at most once, is seen only when its object is complete, and an object
//! that somebody has opened is not freed under it.
//!
//! Source: our own, tried with kill sweeps before it was written here.
//!
//! # Layout
//!
//! | offset | size       | field     | who writes | values                                       |
//! |-------:|-----------:|-----------|------------|----------------------------------------------|
//! |      0 | 1024 x 128 | entries   | see below  |                                              |
//! | 131072 |      65600 | holds     | holders    | [`Holds`](crate::arena::Holds)               |
//!
//! | offset | size | field of an entry | values                                                    |
//! |-------:|-----:|-------------------|-----------------------------------------------------------|
//! |      0 |    8 | word              | `state:3 \| owner or generation:29 \| hash of the name:32`  |
//! |      8 |    8 | object            | a place: 0, or the reference of a block                   |
//! |     16 |    8 | generation        | of the last name that was here                            |
//! |     24 |    8 | spare             | 0                                                         |
//! |     32 |   96 | name              | length, 1 to 95 bytes of UTF-8, zeroes                    |
//!
//! All zeroes is an empty directory.
//!
//! # States
//!
//! | state           | who may touch the entry                                                |
//! |-----------------|------------------------------------------------------------------------|
//! | `EMPTY`         | whoever claims it                                                      |
//! | `TRY(me)`       | me; nobody else begins a name of this hash at a higher entry           |
//! | `BUILD(me)`     | me: object, name and generation; nobody else begins a name of this hash |
//! | `READY(gen)`    | all, reading                                                           |
//! | `DEL(me)`       | me                                                                     |
//!
//! # Operations
//!
//! - **begin**: look; 1 CAS `EMPTY`, or an entry of the dead, `-> TRY(me)`; 2 look at *all* entries
//!   again: the name is there, or somebody else builds its hash, or tries it at a lower entry: give
//!   back; tries it at a higher one: wait a little; dead ones `-> DEL(dead)`; 3 CAS `-> BUILD(me)`,
//!   object = 0, name, generation + 1.
//! - **commit**: the maker may hold its block first; 4 publish the block in `object`; 5 CAS `BUILD(me) -> READY(gen)` **(commit)**.
//! - **open**: `READY` with the name; read `object`; hold it; the word is unchanged? opened.
//! - **hold**: of a reference known otherwise: hold it; its place still names it? held.
//! - **remove**: 1 CAS `READY -> DEL(me)` **(commit)**; 2 object = 0, CAS `-> EMPTY`; drop the block.
//! - **close**: give the hold back; drop the block, which frees it if it has no name and no holder.
//! - **clean**: entries of the dead: CAS `-> DEL(me)`, then as remove.
//!
//! # Orderings
//!
//! - **second look** (`SeqCst`): claim, then look at the other entries. Of two claims of one hash one
//!   comes first in the single order; the later claimer's look sees the earlier claim (or what became
//!   of it), and the rule by entry index says who goes on; so never both do.
//! - **name**: CAS `-> BUILD`, fence(Release), name words -> name words, fence(Acquire), word. Whoever
//!   read a word of a later name sees that the entry is not what it was; `READY` has a generation, so
//!   it does not come back.
//! - **ready**: CAS `-> READY` (Release) -> load of the word (Acquire). Makes name, object and the
//!   object's bytes visible.
//! - **hazard** (`SeqCst`): hold, then look at the word; change the word, then look at the holds. See
//!   [`Holds`](crate::arena::Holds).
//!
//! # Deaths
//!
//! | killed                       | left behind                            | outcome                     |
//! |------------------------------|----------------------------------------|-----------------------------|
//! | begin, before its claim      | nothing                                | -                           |
//! | until publish                | `TRY`/`BUILD(dead)`                    | taken over, or cleaned      |
//! | commit, before `READY`       | `BUILD(dead)`, object set              | cleaned: the block is freed |
//! | remove, after the commit     | `DEL(dead)`, perhaps object set        | name gone; cleaned          |
//! | remove, before the drop      | `EMPTY`, block unnamed                 | the arena reclaims it       |
//! | whoever has it open          | hold of a dead member                  | ignored, claimed anew       |
//! | clean                        | `DEL(dead)`                            | cleaned by the next         |
//!
//! # Limits
//!
//! - 1024 names, 4096 objects open at once (each open counts).
//! - While a living member builds a name, another name of the same 32-bit hash waits for it.
//! - Generations wrap after 537 million names in one entry.
//! - Hostile bytes can lose or double names; nothing read from them is used unbounded.

mod create;
mod name;
mod open;
pub mod raw;
mod remove;

pub use create::{BeginError, Building, Claim, Lost};
pub use name::{MAX_NAME_BYTES, Name};
pub use open::{Listed, OpenError, Opened};
pub use raw::Directory;
pub use remove::{RemoveError, Removed};
