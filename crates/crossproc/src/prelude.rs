//! What a program that uses crossproc needs: `use crossproc::prelude::*;`.

pub use crate::Condvar;
pub use crate::Event;
pub use crate::RLock;
pub use crate::RwLock;
pub use crate::{Barrier, BarrierError, Once, OnceError};
pub use crate::{BoundedSemaphore, Permit, Semaphore};
pub use crate::{Connector, Descriptor, Listener};
pub use crate::{Consumer, Lease, PriorityConsumer, PriorityProducer, PriorityQueue, Producer};
pub use crate::{
    Failure, GetError, JoinError, JoinHandle, Lock, LockError, Message, Pod, Process, PutError,
    Queue, Recover, Segment, TryGetError, TryLockError, TryPutError, Value, cpu_count, init, spawn,
    wait_any,
};
pub use crate::{OneWay, Pipe, PipeEnd, Receiver, RecvError, SendError, Sender};
pub use serde::{Deserialize, Serialize};
