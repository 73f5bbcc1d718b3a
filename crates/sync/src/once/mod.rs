//! Something that is done once: by whichever process comes first, and seen by all.

#[cfg(not(crossproc_loom))]
mod error;
#[cfg(not(crossproc_loom))]
mod handle;
#[doc(hidden)]
pub mod raw;
#[cfg(not(crossproc_loom))]
mod run;

#[cfg(not(crossproc_loom))]
pub use error::{OnceError, OnceTryError};
#[cfg(not(crossproc_loom))]
pub use handle::Once;
#[cfg(not(crossproc_loom))]
pub use run::OnceState;
