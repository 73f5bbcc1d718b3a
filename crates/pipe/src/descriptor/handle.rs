//! A descriptor that can be sent.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crossproc_segment::transit;
use crossproc_sys::process;
use serde::de::{Error as _, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::desk::Desk;
use super::fetch::Wire;

const OUTSIDE: &str = "a descriptor can only be serialised on its way to another process (an argument, \
    a queue, a pipe), not to a file or another format";

/// A file, a socket or whatever else a descriptor stands for, as part of a message.
///
/// It goes in a pipe, a queue, or the arguments of a process. The receiver gets a descriptor of its own
/// for the same open file, as by `dup`.
///
/// The sender keeps the file open until the message was received: it may drop its handle at once, but
/// its process must live until then. If the message is refused (the queue is full, the pipe closed) it
/// is kept no longer. If it is lost, with a pipe whose receiver died, say, the file stays open until the
/// sender [recalls](Self::recall) it, or ends. A receiver that dies with it closes its own, as ever.
///
/// A leased item of a queue is received when its lease is acknowledged: until then the sender keeps the
/// file for whoever has the item next, and each who had a lease got a descriptor of its own.
///
/// A thread of the sender hands it out, to processes of the same user alone, in the same network
/// namespace. Where it cannot be had the message is dropped, and receiving is an error that says why:
/// the sender has ended, has recalled it, does not answer within 10 s, or is another user's.
///
/// # Examples
///
/// ```
/// use std::fs::File;
/// use std::io::Read;
///
/// use crossproc_pipe::{Descriptor, Pipe};
///
/// let (tx, rx) = Pipe::one_way::<(String, Descriptor)>()?;
/// tx.send(&("zeroes".to_string(), Descriptor::new(File::open("/dev/zero")?)))?;
/// // As a rule in another process:
/// let (name, file) = rx.recv()?;
/// let mut four = [1; 4];
/// File::from(file.into_fd()?).read_exact(&mut four)?;
/// assert_eq!((name.as_str(), four), ("zeroes", [0; 4]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Descriptor(Arc<OwnedFd>);

impl Descriptor {
    /// For anything that is a descriptor: a `File`, a `TcpStream`, an `OwnedFd`.
    #[must_use]
    pub fn new(fd: impl Into<OwnedFd>) -> Self {
        Self(Arc::new(fd.into()))
    }

    /// The descriptor itself; a duplicate if another handle to it is left, or it is kept for a receiver.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::fd::OwnedFd;
    ///
    /// use crossproc_pipe::Descriptor;
    ///
    /// let handle = Descriptor::new(std::fs::File::open("/dev/null")?);
    /// let fd: OwnedFd = handle.into_fd()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// No descriptor is left for a duplicate.
    pub fn into_fd(self) -> io::Result<OwnedFd> {
        Arc::try_unwrap(self.0).or_else(|shared| shared.try_clone())
    }

    /// Keeps it no longer for those it was sent to and who have not received it yet: they will be told.
    /// How many times it was kept.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_pipe::{Descriptor, Pipe, RecvError};
    ///
    /// let (tx, rx) = Pipe::one_way::<Descriptor>()?;
    /// let handle = Descriptor::new(std::fs::File::open("/dev/null")?);
    /// tx.send(&handle)?;
    /// assert_eq!(handle.recall(), 1);
    /// assert!(matches!(rx.recv(), Err(RecvError::Malformed(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recall(&self) -> usize {
        Desk::known().map_or(0, |desk| desk.give_up_all(&self.0))
    }

    /// How many descriptors this process keeps for receivers, each as often as it was sent.
    #[must_use]
    pub fn kept() -> usize {
        Desk::known().map_or(0, |desk| desk.count())
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Descriptor {
    fn from(fd: OwnedFd) -> Self {
        Self::new(fd)
    }
}

impl Serialize for Descriptor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !transit::is_sending() {
            return Err(S::Error::custom(OUTSIDE));
        }
        let failed = |error| S::Error::custom(format!("a descriptor cannot be sent: {error}"));
        let desk = Desk::own().map_err(failed)?;
        let start = process::own_start_time().map_err(failed)?;
        let number = desk.keep(Arc::clone(&self.0));
        let keeper = Arc::clone(&desk);
        transit::note_loan(move || keeper.give_up(number));
        let (name, secret) = (desk.name.clone(), desk.secret);
        let wire = Wire { desk: name, secret, number, pid: process::pid(), start };
        serializer.serialize_newtype_struct(transit::HANDLE, &wire)
    }
}

impl<'de> Deserialize<'de> for Descriptor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Arrival;
        impl<'de> Visitor<'de> for Arrival {
            type Value = Wire;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a descriptor in a message")
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, d: D) -> Result<Wire, D::Error> {
                Wire::deserialize(d)
            }
        }
        if !transit::is_receiving() {
            return Err(D::Error::custom(OUTSIDE));
        }
        let wire = deserializer.deserialize_newtype_struct(transit::HANDLE, Arrival)?;
        let fd = wire.fetch().map_err(D::Error::custom)?;
        // If it is read again, it is there again.
        transit::note_arrival(move || wire.give_up());
        Ok(Self(fd))
    }
}

impl fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Descriptor").field(&self.as_fd()).finish()
    }
}
