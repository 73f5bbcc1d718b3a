//! An error that can travel: what a function in another process failed with.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a function failed, as text, fit to be sent to another process.
///
/// Most error types, `std::io::Error` among them, cannot be serialised. A function for
/// [`spawn`](crate::spawn) returns `Result<T, Failure>` instead and uses `?` on whatever it calls:
/// every error converts, with the chain of its sources in the text.
///
/// # Examples
///
/// ```
/// use crossproc::Failure;
///
/// fn parse(text: &str) -> Result<u32, Failure> {
///     Ok(text.parse::<u32>()?)
/// }
/// assert_eq!(parse("7").unwrap(), 7);
/// assert_eq!(parse("x").unwrap_err().to_string(), "invalid digit found in string");
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    text: String,
}

impl Failure {
    /// A failure with a text of one's own.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(crossproc::Failure::new("no luck").to_string(), "no luck");
    /// ```
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }
}

/// `Failure` itself is no `Error`, so that this covers all that are, as in `anyhow`.
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            let cause = error.to_string();
            // Errors that show their source in their own text need no second mention.
            if !text.contains(&cause) {
                text.push_str(": ");
                text.push_str(&cause);
            }
            source = error.source();
        }
        Self { text }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// As `Display`: it is what `main` prints when it returns one.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
