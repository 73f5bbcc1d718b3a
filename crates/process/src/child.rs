//! The life of a child process: report, receive the call, run the function, reply, end.

use std::any::Any;
use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use crossproc_segment::{Segment, tree};
use crossproc_sys::{image, process};

use crate::function::{CallError, Returned};
use crate::start::EXIT_MISUSED;
use crate::watch::{self, EXIT_ORPHANED, Parent};
use crate::wire::{self, Call, Incoming, Reply};

/// From where a child was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// From `main`.
    Main,
    /// From a constructor, before the standard library has set the process up.
    Constructor,
}

/// Exit code of a process whose function panicked, as of a program whose `main` did.
const EXIT_PANICKED: i32 = 101;

/// Exit code of a process that could not begin, read its arguments or send its result.
const EXIT_FAILED: i32 = 1;

thread_local! {
    /// Where this thread panicked last.
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Does what the parent at the other end of `socket` says, and ends.
#[expect(clippy::exit, reason = "the process has done what it was started for")]
pub(crate) fn run(socket: OwnedFd, entry: Entry) -> ! {
    if entry == Entry::Constructor {
        process::ignore_sigpipe();
    }
    let code = serve(&Arc::new(socket)).unwrap_or(EXIT_ORPHANED);
    // Runs exit handlers and flushes what was printed.
    std::process::exit(code);
}

/// All of the process's work. Gives the exit code; `None` if the parent is gone.
fn serve(socket: &Arc<OwnedFd>) -> Option<i32> {
    let parent = Parent::find(socket.as_fd())?;
    let parent_pid = parent.pid();
    wire::send_hello(socket.as_fd(), &image::identity()).ok()?;
    // The thread starts while the parent reads the report.
    let watched = parent.watch(Arc::clone(socket));
    let received = wire::receive::<Call>(socket.as_fd());
    let ready = watched.map_err(|error| format!("cannot watch its parent: {error}"));
    match ready.and_then(|()| received.map_err(|error| error.to_string())) {
        Ok(call) => {
            let mut call = call?;
            set_up(parent_pid, &mut call.head);
            Some(perform(socket, call))
        }
        Err(reason) => Some(reply(socket, &Reply::Unready(reason), EXIT_FAILED)),
    }
}

/// Makes this process what the call says it is.
fn set_up(parent_pid: u32, call: &mut Call) {
    watch::set_policy(call.myself.daemon, call.is_orphan);
    if call.ignores_interrupt {
        process::ignore_interrupt();
    }
    process::set_name(&call.myself.name);
    if let Some(parent) = &mut call.myself.parent {
        // As its number is here.
        parent.set_pid(parent_pid);
    }
    call.myself.clone().set();
}

/// Runs the function and replies. Gives the exit code.
fn perform(socket: &Arc<OwnedFd>, call: Incoming<Call>) -> i32 {
    let pid = process::pid();
    record_panics(socket);
    let done = panic::catch_unwind(AssertUnwindSafe(|| invoke(call)));
    if process::pid() != pid {
        // A copy made by fork() came back from the function. The answer is the original's to give.
        return EXIT_MISUSED;
    }
    match done {
        Ok(Ok(returned)) => match send_result(socket.as_fd(), &returned) {
            Ok(()) => 0,
            Err(error) => reply(socket, &Reply::Result(error.to_string()), EXIT_FAILED),
        },
        Ok(Err(failure)) => reply(socket, &failure, EXIT_FAILED),
        Err(payload) => {
            let (message, location) = (text_of(&*payload), LOCATION.take());
            reply(socket, &Reply::Panicked { message, location }, EXIT_PANICKED)
        }
    }
}

fn invoke(call: Incoming<Call>) -> Result<Returned, Reply> {
    let unready = |error: crossproc_segment::Error| Reply::Unready(error.to_string());
    let Incoming { head: Call { function, myself, .. }, body, fds } = call;
    let mut fds = fds.into_iter();
    if let Some(fd) = fds.next() {
        tree::adopt(fd).map_err(unready)?;
    }
    let given = wire::attach(fds.collect()).map_err(unready)?;
    match function.call(myself.key, &body, given) {
        Some(Ok(returned)) => Ok(returned),
        Some(Err(CallError::Arguments(error))) => Err(Reply::Arguments(error.to_string())),
        Some(Err(CallError::Result(error))) => Err(Reply::Result(error.to_string())),
        None => Err(Reply::Unready("the function is none of this program's".to_owned())),
    }
}

fn send_result(socket: BorrowedFd<'_>, returned: &Returned) -> io::Result<()> {
    let fds: Vec<BorrowedFd<'_>> = returned.segments.iter().map(Segment::as_fd).collect();
    wire::send(socket, &Reply::Returned, &returned.bytes, &fds)
}

/// Sends what is small enough to get through always, unless nobody listens any more.
fn reply(socket: &OwnedFd, reply: &Reply, code: i32) -> i32 {
    let _ = wire::send(socket.as_fd(), reply, &[], &[]);
    code
}

/// Notes where a panic happens, which `catch_unwind` does not tell, before the hook that prints it.
fn record_panics(socket: &Arc<OwnedFd>) {
    let socket = Arc::clone(socket);
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let location = info.location().map(ToString::to_string);
        if cfg!(panic = "abort") {
            // The process ends right after this hook, whichever thread it is.
            let message = text_of(info.payload());
            reply(&socket, &Reply::Panicked { message, location }, EXIT_PANICKED);
        } else {
            LOCATION.set(location);
        }
        print(info);
    }));
}

/// A panic's message.
fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a value that is not a string").to_owned()
}
