#![doc = include_str!("../README.md")]

mod args;
mod builder;
mod child;
mod current;
mod ends;
mod error;
mod function;
mod handle;
mod launch;
mod reaper;
mod running;
mod start;
mod watch;
mod wire;

pub use args::Args;
pub use builder::{Builder, spawn};
pub use crossproc_sys::process::cpu_count;
pub use current::{Process, current_name, is_parent_alive, parent};
pub use error::{Error, JoinError, Result, Who};
pub use handle::JoinHandle;
pub use start::{enter_before_main, init};
