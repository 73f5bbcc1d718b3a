#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
mod failure;
pub mod prelude;

pub use error::{Error, Result};
pub use failure::Failure;

#[doc(hidden)]
pub use crossproc_message::__private;
pub use crossproc_message::front::Pod;
pub use crossproc_message::{DecodeError, EncodeError, Message, Plain};
pub use crossproc_pipe::{
    AcceptError, BindError, ConnectError, Connector, Descriptor, Listener, ListenerOptions,
};
pub use crossproc_pipe::{
    OneWay, Peer, Pipe, PipeEnd, Receiver, RecvError, SendError, Sender, TryRecvError, TrySendError,
};
pub use crossproc_process::{
    Args, Builder, JoinError, JoinHandle, Process, cpu_count, current_name, init, parent, spawn,
    test_init,
};
pub use crossproc_queue::{
    AckError, Cause, Consumer, GetError, Lease, PriorityConsumer, PriorityProducer, PriorityQueue,
    Producer, PutError, PutManyError, PutOverError, Queue, Space, TaskDoneError, TryGetError,
    TryPutError,
};
pub use crossproc_segment::wait::{
    Cycle, TooMany, WaitFd, Waitable, Waiter, deadlocks, wait_any, wait_any_deadline, waiters,
};
pub use crossproc_segment::{MemberId, MemberInfo, ObjectInfo, Segment, SegmentOptions};
pub use crossproc_sync::Event;
pub use crossproc_sync::{Barrier, BarrierError, BarrierWait, BreakCause};
pub use crossproc_sync::{
    BoundedSemaphore, Permit, ReleaseError, Semaphore, SemaphoreError, TryAcquireError,
};
pub use crossproc_sync::{Condvar, CondvarGuard, Waited};
pub use crossproc_sync::{
    Deadline, Lock, LockError, LockFailure, LockGuard, Recover, TryLockError,
};
pub use crossproc_sync::{Once, OnceError, OnceState, OnceTryError};
pub use crossproc_sync::{RLock, RLockGuard};
pub use crossproc_sync::{ReadGuard, RwLock, WriteGuard};
pub use crossproc_value::{Value, ValueGuard};

/// The crates behind this one, whole: what is too rare for a name at the top.
pub mod crates {
    pub use crossproc_message as message;
    pub use crossproc_pipe as pipe;
    pub use crossproc_process as process;
    pub use crossproc_queue as queue;
    pub use crossproc_segment as segment;
    pub use crossproc_sync as sync;
    pub use crossproc_value as value;
}

/// The code of the README at the root of the repository compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
