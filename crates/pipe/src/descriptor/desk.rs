//! Where a process hands out the descriptors that its messages speak of.
//!
//! A message in shared memory can hold a number, and no descriptor: only the kernel hands one over, from
//! a process that has it. So the sender keeps it, and a thread of its own answers those who received the
//! message, over a socket with an abstract name that only the message tells.
//!
//! A request is 32 bytes: magic u64, what u64, number u64, secret u64. TAKE brings one byte and the
//! descriptor, or one byte alone if it is not there; DROP, sent when the message is taken for good,
//! brings one byte too. In between a message may be read again, by whoever comes after a dead one.
//!
//! # Deaths
//!
//! | killed                         | then                                                               |
//! |--------------------------------|--------------------------------------------------------------------|
//! | the sender                     | the name is gone, and what was kept: who receives is told so       |
//! | a receiver before DROP         | the descriptor is kept for whoever reads the message next          |
//! | a receiver amid a request      | the connection ends                                                |
//! | a receiver with the message    | kept until the sender ends, or calls [`recall`](super::Descriptor::recall) |

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossproc_sys::clock::Deadline;
use crossproc_sys::epoll::Epoll;
use crossproc_sys::{fork, poll, process, socket};
use parking_lot::Mutex;

/// "crossfds".
const MAGIC: u64 = u64::from_be_bytes(*b"crossfds");
const REQUEST_BYTES: usize = 32;
/// Connections that are waited for at once; one more, and the oldest goes.
const MOST_PENDING: usize = 64;
/// How long a connection may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);
/// Before another attempt, when no descriptor is left to let anybody in.
const PAUSE: Duration = Duration::from_millis(10);
const BACKLOG: u32 = 128;

/// What is answered.
pub(super) const HERE: u8 = b'+';
pub(super) const GONE: u8 = b'-';

/// The desk of this process, made at its first use; in a forked child another.
static DESK: Mutex<Option<Arc<Desk>>> = Mutex::new(None);

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Take,
    Drop,
}

impl Request {
    /// As bytes, about the descriptor `number` of the desk with this secret.
    pub(super) fn bytes(self, number: u64, secret: u64) -> Vec<u8> {
        let what = u64::from(self == Self::Drop);
        [MAGIC, what, number, secret].iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    fn read(bytes: &[u8], secret: u64) -> Option<(Self, u64)> {
        let (magic, bytes) = word(bytes)?;
        let (what, bytes) = word(bytes)?;
        let (number, bytes) = word(bytes)?;
        let (key, rest) = word(bytes)?;
        let request = match what {
            0 => Self::Take,
            1 => Self::Drop,
            _ => return None,
        };
        (rest.is_empty() && magic == MAGIC && key == secret).then_some((request, number))
    }
}

fn word(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (word, rest) = bytes.split_first_chunk()?;
    Some((u64::from_ne_bytes(*word), rest))
}

/// What a process keeps for receivers.
#[derive(Debug)]
pub(super) struct Desk {
    incarnation: u32,
    pub(super) name: String,
    pub(super) secret: u64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    next: u64,
    fds: BTreeMap<u64, Arc<OwnedFd>>,
}

impl Desk {
    /// The desk of this process.
    pub(super) fn own() -> io::Result<Arc<Self>> {
        // No fork while it is locked: a child would find it locked for ever.
        fork::without_fork(|| {
            let mut known = DESK.lock();
            if let Some(desk) = known.as_ref().filter(|desk| desk.is_ours()) {
                return Ok(Arc::clone(desk));
            }
            let desk = Self::open()?;
            // That of a parent, which other threads may have had locked, is left alone.
            std::mem::forget(known.replace(Arc::clone(&desk)));
            Ok(desk)
        })
    }

    /// The same, if there is one.
    pub(super) fn known() -> Option<Arc<Self>> {
        fork::without_fork(|| DESK.lock().clone()).filter(|desk| desk.is_ours())
    }

    fn is_ours(&self) -> bool {
        self.incarnation == fork::incarnation()
    }

    fn open() -> io::Result<Arc<Self>> {
        let mut random = [[0; 8]; 3];
        let mut source = File::open("/dev/urandom")?;
        random.iter_mut().try_for_each(|word| source.read_exact(word))?;
        let [first, second, secret] = random.map(u64::from_ne_bytes);
        let name = format!("crossproc-{first:016x}{second:016x}");
        let (listening, ready) = (socket::bind_abstract(&name)?, Epoll::new()?);
        socket::listen(&listening, BACKLOG)?;
        ready.add(&listening)?;
        let (incarnation, kept) = (fork::incarnation(), Mutex::default());
        let desk = Arc::new(Self { incarnation, name, secret, kept });
        let clerk = Clerk { desk: Arc::clone(&desk), listening, ready, pending: Vec::new() };
        let named = thread::Builder::new().name("crossproc-fds".to_owned());
        // Signals are the business of the program's own threads.
        process::without_signals(|| named.spawn(move || clerk.serve()))?;
        Ok(desk)
    }

    /// Keeps a descriptor until it is taken for good; says under which number.
    pub(super) fn keep(&self, fd: Arc<OwnedFd>) -> u64 {
        let mut kept = self.kept.lock();
        kept.next += 1;
        let number = kept.next;
        kept.fds.insert(number, fd);
        number
    }

    /// What is kept under that number.
    pub(super) fn find(&self, number: u64) -> Option<Arc<OwnedFd>> {
        self.kept.lock().fds.get(&number).cloned()
    }

    /// Keeps it no longer. In a forked child nothing: it is its parent's.
    pub(super) fn give_up(&self, number: u64) {
        if self.is_ours() {
            let given_up = self.kept.lock().fds.remove(&number);
            // Closed without the lock: that may take long.
            drop(given_up);
        }
    }

    /// The same for all copies of that descriptor; how many there were.
    pub(super) fn give_up_all(&self, fd: &Arc<OwnedFd>) -> usize {
        let mut kept = self.kept.lock();
        let before = kept.fds.len();
        kept.fds.retain(|_, other| !Arc::ptr_eq(fd, other));
        before - kept.fds.len()
    }

    /// How many are kept.
    pub(super) fn count(&self) -> usize {
        self.kept.lock().fds.len()
    }

    /// Does what a request wants, and answers it.
    fn answer(&self, socket: &OwnedFd, request: &[u8]) {
        let Some((request, number)) = Request::read(request, self.secret) else { return };
        // If the answer cannot be sent nobody waits for it any more.
        let _ = match (request, self.find(number)) {
            (Request::Take, Some(fd)) => socket::send_with_fds(socket, &[HERE], &[fd.as_fd()]),
            (Request::Take, None) => socket::send_with_fds(socket, &[GONE], &[]),
            (Request::Drop, _) => {
                self.give_up(number);
                socket::send_with_fds(socket, &[HERE], &[])
            }
        };
    }
}

/// The thread at the desk.
struct Clerk {
    desk: Arc<Desk>,
    listening: OwnedFd,
    ready: Epoll,
    pending: Vec<(OwnedFd, Deadline)>,
}

impl Clerk {
    fn serve(mut self) {
        loop {
            let until = self.pending.iter().map(|(_, until)| *until).min();
            if poll::readable(&self.ready, until).is_err() || self.let_in().is_err() {
                thread::sleep(PAUSE);
            }
            let mut index = 0;
            while let Some((socket, until)) = self.pending.get(index) {
                match socket::recv(socket, REQUEST_BYTES + 1) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        if !until.has_passed() {
                            index += 1;
                            continue;
                        }
                    }
                    Ok(request) => self.desk.answer(socket, &request),
                    Err(_) => {}
                }
                self.dismiss(index);
            }
        }
    }

    fn let_in(&mut self) -> io::Result<()> {
        while let Some(socket) = socket::accept(&self.listening)? {
            // Only who might look into this process anyway.
            let is_ours = socket::peer_cred(&socket).is_ok_and(|peer| peer.uid == process::user());
            if !is_ours || self.ready.add(&socket).is_err() {
                continue;
            }
            if self.pending.len() >= MOST_PENDING {
                self.dismiss(0);
            }
            self.pending.push((socket, Deadline::after(PATIENCE)));
        }
        Ok(())
    }

    /// A forked child may have a copy of the socket: the peer is to see its end all the same.
    fn dismiss(&mut self, index: usize) {
        let (socket, _) = self.pending.remove(index);
        self.ready.remove(&socket);
        socket::shut_down(&socket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_requests_with_the_secret_are_read() {
        for request in [Request::Take, Request::Drop] {
            let bytes = request.bytes(7, 9);
            assert_eq!(bytes.len(), REQUEST_BYTES);
            assert_eq!(Request::read(&bytes, 9), Some((request, 7)));
            assert_eq!(Request::read(&bytes, 8), None);
            assert_eq!(Request::read(&bytes[1..], 9), None);
            assert_eq!(Request::read(&[&bytes[..], b"x"].concat(), 9), None);
        }
        assert_eq!(Request::read(&[0; REQUEST_BYTES], 0), None);
        assert_eq!(Request::read(b"", 0), None);
    }
}
