//! Whole-system tests of crossproc, and the sweeps.

pub mod dice;
pub mod forked;
pub mod outside;
pub mod scarce;
pub mod stage;
pub mod sweep;
pub mod traces;
