//! An event: a flag that processes wait for.
