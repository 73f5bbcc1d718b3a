//! Listening at a name.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};

use crossproc_message::Message;
use crossproc_segment::Shape;
use crossproc_sys::epoll::Epoll;
use parking_lot::Mutex;

use super::accept::{Incoming, Pending};
use super::error::{BindError, Refusal};
use super::options::ListenerOptions;
use super::place::Claim;
use crate::pipe::Pipe;

/// Has a name at which other processes find this one: each that connects gets a pipe of its own, with
/// this process at the other end.
///
/// The two sides need nothing in common but the name, the user they run as, and the types: both say
/// `A, B` in the same order, as they do for [`Pipe`]. The listener gets the first end, which sends
/// `A`; the connector the second, which sends `B`. An end is as that of any other pipe: it sees
/// `Closed` when the other process drops its own or dies, and can be sent on to other processes.
///
/// It belongs to the process that bound it. When it is dropped, or its process dies however, the name
/// is free at once: nothing that is left behind has to be cleaned up. A child made by `fork` does not
/// have it; one made by `spawn` gets the ends that were accepted, not the listener.
///
/// Only processes of the same user can connect, unless [`ListenerOptions::allow_user`] says
/// otherwise; those that are refused, and those that say something else than a connector does, or
/// nothing, do not stop it from serving others, and are told by
/// [`last_refusal`](Self::last_refusal).
///
/// Threads may share it. Its descriptor ([`AsFd`]) is for `epoll` and the like.
///
/// # Examples
///
/// ```
/// use crossproc_pipe::{Listener, Pipe};
///
/// let name = format!("doc-listener-{}", std::process::id());
/// let listener = Listener::<usize, String>::bind(&name)?;
/// // As a rule in another program:
/// let asking = std::thread::spawn(move || {
///     let end = Pipe::<usize, String>::connect(&name).unwrap();
///     end.send(&"how long?".to_string()).unwrap();
///     end.recv().unwrap()
/// });
/// let end = listener.accept()?;
/// end.send(&end.recv()?.len())?;
/// assert_eq!(asking.join().unwrap(), 9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Listener<A, B> {
    pub(super) claim: Claim,
    pub(super) options: ListenerOptions<A, B>,
    pub(super) shape: Shape,
    /// The socket and those of the connections that are not accepted yet.
    pub(super) ready: Epoll,
    pub(super) pending: Mutex<Vec<Pending<A, B>>>,
    pub(super) refusal: Mutex<Option<Refusal>>,
}

impl<A: Message, B: Message> Listener<A, B> {
    /// Listens at `name`: 1 to 64 bytes, no slash.
    ///
    /// The name of a listener that has died is taken over. Of several processes that want one at once
    /// exactly one gets it.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_pipe::{BindError, Listener};
    ///
    /// let name = format!("doc-bind-{}", std::process::id());
    /// let listener = Listener::<u8, u8>::bind(&name)?;
    /// assert!(matches!(Listener::<u8, u8>::bind(&name), Err(BindError::InUse { .. })));
    /// drop(listener);
    /// assert!(Listener::<u8, u8>::bind(&name).is_ok());
    /// # Ok::<(), BindError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BindError::InUse`] if a living process listens there; [`BindError::BadName`];
    /// [`BindError::Unsafe`] if others could meddle with the directory; or what the system says.
    pub fn bind(name: &str) -> Result<Self, BindError> {
        Self::options().bind(name)
    }

    /// Choices: who may connect, how large the pipes are, where the name is.
    pub fn options() -> ListenerOptions<A, B> {
        ListenerOptions::new()
    }

    pub(super) fn new(claim: Claim, options: ListenerOptions<A, B>) -> Result<Self, BindError> {
        let failed =
            |source| BindError::Io { what: format!("listen at {:?}", claim.name()), source };
        let ready = Epoll::new().map_err(failed)?;
        claim.socket().map_or(Ok(()), |socket| ready.add(socket)).map_err(failed)?;
        let shape = Pipe::<A, B>::shape();
        let (pending, refusal) = (Mutex::new(Vec::new()), Mutex::new(None));
        Ok(Self { claim, options, shape, ready, pending, refusal })
    }

    /// Accepts connections one after the other, for ever. Blocks while there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_pipe::{Listener, Pipe};
    ///
    /// let name = format!("doc-incoming-{}", std::process::id());
    /// let listener = Listener::<u8, u8>::bind(&name)?;
    /// let connecting = std::thread::spawn(move || {
    ///     for n in 0..3 {
    ///         Pipe::<u8, u8>::connect(&name).unwrap().send(&n).unwrap();
    ///     }
    /// });
    /// for (n, end) in (0..).zip(listener.incoming().take(3)) {
    ///     assert_eq!(end?.recv()?, n);
    /// }
    /// connecting.join().unwrap();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn incoming(&self) -> Incoming<'_, A, B> {
        Incoming::new(self)
    }
}

impl<A, B> Listener<A, B> {
    /// The name at which it listens.
    #[must_use]
    pub fn name(&self) -> &str {
        self.claim.name()
    }

    /// The last connection that was not taken, and why; for a log, say.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_pipe::{ConnectError, Listener, Pipe};
    ///
    /// let name = format!("doc-refusal-{}", std::process::id());
    /// let listener = Listener::<u64, u64>::bind(&name)?;
    /// let connecting = std::thread::spawn(move || Pipe::<u64, String>::connect(&name));
    /// while listener.last_refusal().is_none() {
    ///     listener.accept_timeout(Duration::from_millis(1))?;
    /// }
    /// let error = connecting.join().unwrap().unwrap_err();
    /// assert!(matches!(error, ConnectError::Types { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn last_refusal(&self) -> Option<Refusal> {
        // A forked child may have a copy that another thread of its parent had locked.
        if self.claim.is_ours() { self.refusal.lock().clone() } else { None }
    }
}

impl<A, B> AsFd for Listener<A, B> {
    /// Readable when [`try_accept`](Self::try_accept) has something to do: as a rule a connection to
    /// bring, sometimes only a step towards one. For `epoll`, `poll` and the reactors on them; nothing
    /// is to be read from it.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }
}

impl<A, B> fmt::Debug for Listener<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("name", &self.name())
            .field("types", &self.shape.type_name)
            .finish_non_exhaustive()
    }
}
