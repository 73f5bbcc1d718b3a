//! Fetching a descriptor from its sender's desk.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use crossproc_sys::clock::Deadline;
use crossproc_sys::{poll, process, socket};
use serde::{Deserialize, Serialize};

use super::desk::{Desk, HERE, Request};

/// How long a sender may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// After how long of it to look whether the sender lives.
const SLICE: Duration = Duration::from_millis(80);

/// What a message says of a descriptor.
#[derive(Serialize, Deserialize)]
pub(super) struct Wire {
    pub(super) desk: String,
    pub(super) secret: u64,
    pub(super) number: u64,
    pub(super) pid: u32,
    pub(super) start: u64,
}

/// Why a descriptor does not come.
#[derive(Debug, thiserror::Error)]
pub(super) enum Missing {
    #[error(
        "a descriptor of this message is gone: its sender, process {pid}, has ended; keep the sender \
         until it was received"
    )]
    Ended { pid: u32 },
    #[error(
        "a descriptor of this message is gone: process {pid}, its sender, has taken it back, or \
         somebody has received the message before"
    )]
    GivenUp { pid: u32 },
    #[error(
        "a descriptor of this message does not come: its sender, process {pid}, is of user {found}, \
         and descriptors go between processes of one user"
    )]
    Foreign { pid: u32, found: u32 },
    #[error(
        "a descriptor of this message does not come: its sender, process {pid}, refuses; is it of \
         another user?"
    )]
    Refused { pid: u32 },
    #[error(
        "a descriptor of this message does not come: its sender, process {pid}, did not answer \
         within {} s; is it stopped?", PATIENCE.as_secs()
    )]
    Late { pid: u32 },
    #[error("cannot take a descriptor from its sender, process {pid}: {source}")]
    System { pid: u32, source: io::Error },
}

impl Wire {
    /// Brings the descriptor, which its sender keeps for others too until it is
    /// [given up](Self::give_up).
    pub(super) fn fetch(&self) -> Result<Arc<OwnedFd>, Missing> {
        let pid = self.pid;
        if let Some(desk) = self.own_desk() {
            return desk.find(self.number).ok_or(Missing::GivenUp { pid });
        }
        let (answer, fds) = self.ask(Request::Take)?;
        let fd = fds.into_iter().next();
        match fd {
            Some(fd) if answer == [HERE] => Ok(Arc::new(fd)),
            _ if answer.is_empty() => Err(Missing::Refused { pid }),
            _ => Err(Missing::GivenUp { pid }),
        }
    }

    /// Tells the sender that the message has been taken for good.
    pub(super) fn give_up(&self) {
        if let Some(desk) = self.own_desk() {
            return desk.give_up(self.number);
        }
        // A sender that has ended keeps nothing.
        let _ = self.ask(Request::Drop);
    }

    /// The desk, if the message is this process's own.
    fn own_desk(&self) -> Option<Arc<Desk>> {
        Desk::known().filter(|desk| desk.name == self.desk && desk.secret == self.secret)
    }

    fn ask(&self, request: Request) -> Result<(Vec<u8>, Vec<OwnedFd>), Missing> {
        let pid = self.pid;
        let failed = |source| Missing::System { pid, source };
        let deadline = Deadline::after(PATIENCE);
        let socket =
            socket::connect_abstract(&self.desk, PATIENCE).map_err(|error| match error.kind() {
                io::ErrorKind::ConnectionRefused if self.has_ended() => Missing::Ended { pid },
                io::ErrorKind::WouldBlock => Missing::Late { pid },
                io::ErrorKind::ConnectionRefused => {
                    let text = "it is in another network namespace, or runs another program by now";
                    Missing::System { pid, source: io::Error::new(error.kind(), text) }
                }
                _ => failed(error),
            })?;
        let peer = socket::peer_cred(&socket).map_err(failed)?;
        if peer.uid != process::user() {
            return Err(Missing::Foreign { pid, found: peer.uid });
        }
        let bytes = request.bytes(self.number, self.secret);
        // If it fails the answer says why, or does not come.
        let _ = socket::send_with_fds(&socket, &bytes, &[]);
        loop {
            let slice = Deadline::after(SLICE).min(deadline);
            if poll::readable(&socket, Some(slice)).map_err(failed)? {
                break;
            }
            if self.has_ended() {
                return Err(Missing::Ended { pid });
            }
            if deadline.has_passed() {
                return Err(Missing::Late { pid });
            }
        }
        socket::recv_with_fds(&socket, 1).map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionReset if self.has_ended() => Missing::Ended { pid },
            io::ErrorKind::ConnectionReset => Missing::Refused { pid },
            _ => failed(error),
        })
    }

    /// Whether the sender is gone, or its number another's by now.
    fn has_ended(&self) -> bool {
        process::start_time(self.pid).map_or(true, |start| start != self.start)
    }
}
