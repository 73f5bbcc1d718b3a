//! The random storm: processes that work on the same shared objects and are killed at random, for
//! minutes; at the end everything must be accounted for.
//!
//! | module | what it holds |
//! |---|---|
//! | [`schedule`] | which arena when, with which seed, for how long |
//! | [`stage`] | where slices are played: processes, interrupts, what is left behind |
//! | [`director`] | one slice: starts the cast, kills and replaces, watches, winds down, accounts |
//! | [`cast`] | the processes of a slice, one a part |
//! | [`ledger`] | what they write down beside the objects under test, in memory of its own |
//! | [`scene`] | what an arena has to say for itself |
//! | [`arenas`] | the arenas |
//! | [`report`] | rows, totals, table |
//!
//! A *slice* is some seconds of one arena in a process of its own, the director, with a cast of
//! some processes around it. It has one seed, from which the director draws whom to kill or stop, when
//! and how many at once, and each member what to do. How the kernel schedules them all is not ours, so a
//! seed brings back the choices, not the interleaving.
//!
//! **How it accounts.** Before an operation each member notes in the ledger what it attempts, and
//! after it that it is done. When a member was killed, and reaped, the director compares: what was
//! done is there, what was not attempted is not, and of the one operation in flight it sees in the
//! object itself whether it happened. Where that cannot be seen (an item that a dead consumer took) it
//! counts one possible loss for that death, and no slice may lose more; in some slices only producers
//! are killed, and nothing may be lost at all.
//!
//! **Stalls.** The time in which no member at all finished anything, and in which one that is never
//! killed in this slice finished nothing, is measured; after ten seconds it is a hang.

pub mod arenas;
pub mod cast;
pub mod director;
mod fault;
pub mod ledger;
pub mod report;
pub mod scene;
pub mod schedule;
pub mod stage;

pub use fault::{Fault, Kind};
