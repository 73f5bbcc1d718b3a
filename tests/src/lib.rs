//! Whole-system tests of crossproc, the sweeps, and the storm.

pub mod dice;
pub mod forked;
pub mod hostile;
pub mod outside;
pub mod scarce;
pub mod stage;
pub mod storm;
pub mod sweep;
pub mod traces;
