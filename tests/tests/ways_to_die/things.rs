//! Whatever a process can hold, and what others see of it.

use std::cell::Cell;
use std::mem;
use std::time::Duration;

use crossproc::{
    Deadline, JoinHandle, Lock, Once, OnceError, OnceState, Queue, RLock, Recover as _, RwLock,
    Segment, Semaphore, TryAcquireError, TryGetError, TryLockError, Value, spawn,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tests::outside::LONG;

/// How long a copy of a process, which holds nothing, waits for what its parent holds.
const SHORT: Duration = Duration::from_millis(100);

/// Something that one process at a time can hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Thing {
    Lock(Lock),
    /// Locked twice.
    RLock(RLock),
    /// Read, twice, which stands in a writer's way.
    Read(RwLock),
    /// Written.
    Write(RwLock),
    /// The only permit of a semaphore.
    Permit(Semaphore),
    /// Its one run.
    Once(Once),
    /// The guard of a value.
    Guard(Value<[u64; 4]>),
    /// A value within `update`.
    Update(Value<[u64; 4]>),
    /// The only item of a queue, while it is being taken.
    Item(Queue<Item>),
}

impl Thing {
    /// One of each in a segment of their own.
    pub(crate) fn all() -> Vec<Self> {
        Self::all_in(&Segment::anonymous(1 << 20).unwrap())
    }

    /// One of each, made in `segment` or found there.
    pub(crate) fn all_in(segment: &Segment) -> Vec<Self> {
        let value = |name| Value::open_or_create(segment, name, [0; 4]).unwrap();
        let items = Queue::open_or_create(segment, "items", 1).unwrap();
        // Full: it was there already.
        let _ = items.try_put(Item::new(segment));
        vec![
            Self::Lock(Lock::open_or_create(segment, "lock").unwrap()),
            Self::RLock(RLock::open_or_create(segment, "rlock").unwrap()),
            Self::Read(RwLock::open_or_create(segment, "read").unwrap()),
            Self::Write(RwLock::open_or_create(segment, "write").unwrap()),
            Self::Permit(Semaphore::open_or_create(segment, "permit", 1).unwrap()),
            Self::Once(Once::open_or_create(segment, "once").unwrap()),
            Self::Guard(value("guard")),
            Self::Update(value("update")),
            Self::Item(items),
        ]
    }

    /// Takes hold of it, runs `f`, and lets go. An error if it was not this process's to let go.
    pub(crate) fn inside(&self, f: impl FnOnce() + 'static) -> Result<(), String> {
        let text = |error: &dyn std::error::Error| error.to_string();
        match self {
            Self::Lock(lock) => {
                let guard = lock.lock().or_recover(|_| ()).unwrap();
                f();
                guard.unlock().map_err(|error| text(&error))
            }
            Self::RLock(lock) => {
                let outer = lock.lock().or_recover(|_| ()).unwrap();
                let inner = lock.lock().unwrap();
                f();
                inner.unlock().and(outer.unlock()).map_err(|error| text(&error))
            }
            Self::Read(lock) => {
                let (outer, inner) = (lock.read().unwrap(), lock.read().unwrap());
                f();
                inner.unlock().and(outer.unlock()).map_err(|error| text(&error))
            }
            Self::Write(lock) => {
                let guard = lock.write().or_recover(|_| ()).unwrap();
                f();
                guard.unlock().map_err(|error| text(&error))
            }
            Self::Permit(semaphore) => {
                let permit = semaphore.acquire().unwrap();
                f();
                permit.release().map_err(|error| text(&error))
            }
            Self::Once(once) => once.call_once_force(|_| f()).map_err(|error| text(&error)),
            Self::Guard(value) => {
                let mut guard = value.lock().unwrap();
                guard.iter_mut().for_each(|word| *word += 1);
                f();
                drop(guard);
                Ok(())
            }
            Self::Update(value) => {
                let mut f = Some(f);
                let change = |words: &mut [u64; 4]| {
                    words.iter_mut().for_each(|word| *word += 1);
                    f.take().unwrap()();
                };
                value.update(change).map_err(|error| text(&error))
            }
            Self::Item(items) => {
                Item::while_taken(f);
                let item = items.get_timeout(SHORT).map_err(|error| text(&error))?;
                items.try_put(item).map_err(|error| text(&error))
            }
        }
    }

    /// Takes hold of it at once and never lets go, by leaking the guard. Whether it was told that
    /// its last holder had died; `None` where there is no guard.
    pub(crate) fn leak(&self) -> Option<bool> {
        match self {
            Self::Lock(lock) => Some(leaked_told(lock.try_lock())),
            Self::RLock(lock) => Some(leaked_told(lock.try_lock())),
            Self::Read(lock) => Some(leaked_told(lock.try_read())),
            Self::Write(lock) => Some(leaked_told(lock.try_write())),
            Self::Permit(semaphore) => {
                mem::forget(semaphore.try_acquire().unwrap());
                Some(false)
            }
            Self::Guard(value) => {
                mem::forget(value.lock_timeout(Duration::ZERO).unwrap());
                Some(false)
            }
            Self::Once(_) | Self::Update(_) | Self::Item(_) => None,
        }
    }

    /// Whether a living process holds it. Does not wait.
    pub(crate) fn is_held(&self) -> bool {
        use TryLockError::{Deadlock, WouldBlock};
        match self {
            Self::Lock(lock) => matches!(lock.try_lock(), Err(WouldBlock | Deadlock)),
            Self::RLock(lock) => matches!(lock.try_lock(), Err(WouldBlock)),
            Self::Read(lock) => matches!(lock.try_write(), Err(WouldBlock | Deadlock)),
            Self::Write(lock) => matches!(lock.try_read(), Err(WouldBlock | Deadlock)),
            Self::Permit(semaphore) => {
                matches!(semaphore.try_acquire(), Err(TryAcquireError::WouldBlock))
            }
            Self::Once(once) => {
                let run = once.call_once_timeout(Duration::ZERO, || ());
                matches!(run, Err(OnceError::Timeout))
            }
            Self::Guard(value) | Self::Update(value) => value.lock_timeout(Duration::ZERO).is_err(),
            Self::Item(items) => match items.try_get() {
                Ok(item) => {
                    items.try_put(item).unwrap();
                    false
                }
                Err(error) => {
                    assert!(matches!(error, TryGetError::Empty), "{error}");
                    true
                }
            },
        }
    }

    /// Waits for it, takes it and lets go. Whether it was told that its last holder had died.
    pub(crate) fn inherit(&self) -> bool {
        match self {
            Self::Lock(lock) => told(lock.lock_timeout(LONG)),
            Self::RLock(lock) => told(lock.lock_timeout(LONG)),
            Self::Read(lock) | Self::Write(lock) => told(lock.write_timeout(LONG)),
            Self::Permit(semaphore) => {
                drop(semaphore.acquire_timeout(LONG).unwrap());
                false
            }
            Self::Once(once) => {
                let mut told = false;
                let run = |state: &OnceState| told = state.runner_died();
                once.call_once_force_deadline(Deadline::after(LONG), run).unwrap();
                told
            }
            Self::Guard(value) | Self::Update(value) => {
                value.lock_timeout(LONG).unwrap().abandon();
                false
            }
            Self::Item(items) => {
                items.try_put(items.get_timeout(LONG).unwrap()).unwrap();
                false
            }
        }
    }

    /// Whether one is told that the last holder died.
    pub(crate) fn tells(&self) -> bool {
        matches!(self, Self::Lock(_) | Self::RLock(_) | Self::Write(_) | Self::Once(_))
    }

    /// How often it was changed, as everybody sees it now.
    pub(crate) fn changes(&self) -> u64 {
        let (Self::Guard(value) | Self::Update(value)) = self else { return 0 };
        let words = value.get();
        assert!(words.iter().all(|word| *word == words[0]), "torn: {words:?}");
        words[0]
    }

    /// How often it is changed when it is held and let go `times` times.
    pub(crate) fn changed(&self, times: u64) -> u64 {
        if matches!(self, Self::Guard(_) | Self::Update(_)) { times } else { 0 }
    }

    /// A process that holds it until it is killed.
    pub(crate) fn holder(&self) -> JoinHandle<()> {
        let inside = Queue::<()>::bounded(1).unwrap();
        let holder = spawn((self.clone(), inside.clone()), Self::hold).unwrap();
        inside.get().unwrap();
        holder
    }

    /// Holds it, says so, and never lets go.
    pub(crate) fn hold(self, inside: Queue<()>) {
        let stay = move || {
            inside.put(()).unwrap();
            loop {
                std::thread::park();
            }
        };
        self.inside(stay).unwrap();
    }

    /// A process that waits for it; gives what [`inherit`](Self::inherit) does.
    pub(crate) fn heir(&self) -> JoinHandle<bool> {
        spawn((self.clone(),), |thing: Self| thing.inherit()).unwrap()
    }
}

fn leaked_told<G>(locked: Result<G, TryLockError<G>>) -> bool {
    match locked {
        Ok(guard) => mem::forget(guard),
        Err(TryLockError::OwnerDied(guard)) => {
            mem::forget(guard);
            return true;
        }
        Err(error) => panic!("{error}"),
    }
    false
}

fn told<G>(locked: Result<G, TryLockError<G>>) -> bool {
    match locked {
        Ok(_) => false,
        Err(TryLockError::OwnerDied(_)) => true,
        Err(error) => panic!("{error}"),
    }
}

/// An item with a handle in it: it is understood before it is taken, and in understanding it the
/// process that takes it may be given something to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Item {
    handle: Value<u64>,
    stop: Stop,
}

thread_local! {
    /// What this thread does in the middle of taking an item.
    static WHILE_TAKEN: Cell<Option<Box<dyn FnOnce()>>> = const { Cell::new(None) };
}

impl Item {
    fn new(segment: &Segment) -> Self {
        Self { handle: Value::new_in(segment, 7).unwrap(), stop: Stop }
    }

    fn while_taken(f: impl FnOnce() + 'static) {
        WHILE_TAKEN.set(Some(Box::new(f)));
    }
}

#[derive(Debug)]
struct Stop;

impl Serialize for Stop {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(0)
    }
}

impl<'de> Deserialize<'de> for Stop {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u8::deserialize(deserializer)?;
        if let Some(f) = WHILE_TAKEN.take() {
            f();
        }
        Ok(Self)
    }
}
