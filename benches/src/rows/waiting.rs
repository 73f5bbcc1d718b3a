//! What waiting costs, and how soon a death is noticed.
//!
//! Each measurement runs in a process of its own, whose forked copies are the holder and the
//! waiters. A time begins when the kernel has let the dead holder go: when `waitpid` has returned,
//! which is after the holder's byte lock is gone and some 0.2 ms after the SIGKILL, but seconds
//! after it where 500 processes die at once on busy cores. It ends when the survivor that is told
//! has returned from locking.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use crossproc::prelude::*;
use crossproc_sys::clock::now_ns;

use crate::figure::{Bound, Bounded, Effort, Unit};
use crate::forked::{Forked, fork};

/// What a wait may take before the measurement has failed.
const NEVER: Duration = Duration::from_secs(60);
/// Waiters are at rest by then: one of them is the watch, and has itself told of deaths.
const OLD: Duration = Duration::from_millis(300);
/// A crowd at rest: each in it sleeps as long as it ever will.
const CROWD_OLD: Duration = Duration::from_secs(12);
/// A crowd.
const CROWD: u32 = 500;
/// How long it is watched at rest.
const REST: Duration = Duration::from_secs(20);

pub(super) fn bounded() -> Vec<Bounded> {
    vec![
        Bounded {
            rows: death(
                ["waiting.death.1.p50", "waiting.death.1.p99"],
                "from the end of a killed holder of a lock to its waiter's return: median; 99 of 100",
            ),
            measure: |effort| deaths(1, effort.operations(effort.operations(200))),
        },
        Bounded {
            rows: death(
                ["waiting.death.10.p50", "waiting.death.10.p99"],
                "the same, to the first of 10 waiters' return",
            ),
            measure: |effort| deaths(10, effort.operations(effort.operations(200))),
        },
        Bounded {
            rows: death(
                ["waiting.death.100.p50", "waiting.death.100.p99"],
                "the same, to the first of 100 waiters' return",
            ),
            measure: |effort| deaths(100, effort.operations(effort.operations(100))),
        },
        Bounded {
            rows: vec![Bound {
                key: "waiting.mass_kill.max",
                what: "the same where 499 of 500 waiters are killed with the holder: the longest of 5",
                unit: Unit::Nanoseconds,
                at_most: 5e9,
            }],
            measure: mass_kills,
        },
        Bounded {
            rows: vec![Bound {
                key: "waiting.rest.1_word",
                what: "500 waiters at rest on one lock: share of a core, all together",
                unit: Unit::Percent,
                at_most: 1.0,
            }],
            measure: |effort| at_rest(1, effort),
        },
        Bounded {
            rows: vec![Bound {
                key: "waiting.rest.500_words",
                what: "500 waiters at rest on a lock each: share of a core, all together",
                unit: Unit::Percent,
                at_most: 2.0,
            }],
            measure: |effort| at_rest(CROWD, effort),
        },
    ]
}

fn death([p50, p99]: [&'static str; 2], what: &'static str) -> Vec<Bound> {
    let row = |key, at_most| Bound { key, what, unit: Unit::Nanoseconds, at_most };
    vec![row(p50, 30e6), row(p99, 100e6)]
}

fn deaths(waiters: u32, deaths: u64) -> anyhow::Result<Vec<f64>> {
    let times = spawn((waiters, deaths), recoveries)?.join()?;
    let mut times = times.map_err(|failure| anyhow::anyhow!("{failure}"))?;
    times.sort_unstable();
    Ok(vec![at(&times, 50), at(&times, 99)])
}

/// The least of the sorted `times` that `percent` of them do not exceed.
fn at(times: &[u64], percent: usize) -> f64 {
    let rank = (times.len() * percent).div_ceil(100).max(1);
    times[rank - 1] as f64
}

/// Locks that a process holds until it is killed, and how those who wait for them went on.
struct World {
    locks: Vec<Lock>,
    /// How many came to where they hold or wait.
    came: Value<u64>,
    /// When the one that was told of the holder's death went on.
    went_on: Value<u64>,
}

impl World {
    fn new(locks: u32) -> Result<Self, Failure> {
        let segment = Segment::anonymous(1 << 20)?;
        let locks = (0..locks).map(|_| Lock::new_in(&segment)).collect::<Result<_, _>>()?;
        let [came, went_on] = [Value::new_in(&segment, 0)?, Value::new_in(&segment, 0)?];
        Ok(Self { locks, came, went_on })
    }

    fn holder(&self) -> Result<Forked, Failure> {
        self.come(|| {
            let guards = self.locks.iter().map(|lock| lock.lock().or_recover(|_| ()));
            let guards = guards.collect::<Result<Vec<_>, _>>()?;
            self.came.fetch_add(1);
            sleep(Duration::MAX);
            drop(guards);
            Ok(())
        })
    }

    /// `count` processes, each waiting for one of the locks.
    fn waiters(&self, count: u32) -> Result<Vec<Forked>, Failure> {
        let locks = self.locks.iter().cycle().take(count as usize);
        locks.map(|lock| self.come(|| self.wait(lock))).collect()
    }

    fn wait(&self, lock: &Lock) -> Result<(), Failure> {
        self.came.fetch_add(1);
        match lock.lock_timeout(NEVER) {
            Err(TryLockError::OwnerDied(_guard)) => Ok(self.went_on.set(now_ns())?),
            Ok(_guard) => Ok(()),
            Err(error) => Err(Failure::new(error.to_string())),
        }
    }

    /// A process that runs `f`, once it has come.
    fn come(&self, f: impl FnOnce() -> Result<(), Failure>) -> Result<Forked, Failure> {
        self.came.set(0)?;
        let process = fork(f)?;
        while self.came.get() == 0 {
            std::thread::yield_now();
        }
        Ok(process)
    }

    /// Waits for the end of the `waiters`; how long after `gone_ns` the first went on.
    fn recovery(&self, waiters: Vec<Forked>, gone_ns: u64) -> Result<u64, Failure> {
        waiters.into_iter().try_for_each(Forked::join)?;
        Ok(self.went_on.get().saturating_sub(gone_ns))
    }
}

/// Kills a process, and gives the time at which the kernel has let it go.
fn gone(process: Forked) -> u64 {
    drop(process);
    now_ns()
}

/// Kills a holder `deaths` times, with so many waiters at rest.
fn recoveries(waiters: u32, deaths: u64) -> Result<Vec<u64>, Failure> {
    let world = World::new(1)?;
    let recovery = |n: u64| {
        let holder = world.holder()?;
        let waiters = world.waiters(waiters)?;
        // A fixed time would always meet the waiters at the same point of their sleep.
        sleep(OLD + Duration::from_micros(n * 7_919 % 100_000));
        let gone_ns = gone(holder);
        world.recovery(waiters, gone_ns)
    };
    (0..deaths).map(recovery).collect()
}

fn mass_kills(effort: &Effort) -> anyhow::Result<Vec<f64>> {
    let times = spawn((effort.operations(5), effort.percent), lone_survivors)?.join()?;
    let times = times.map_err(|failure| anyhow::anyhow!("{failure}"))?;
    Ok(vec![at(&times, 100)])
}

/// Kills a holder and all waiters of a crowd but one, some times.
fn lone_survivors(times: u64, percent: u64) -> Result<Vec<u64>, Failure> {
    let world = World::new(1)?;
    let survival = |n: u64| {
        let holder = world.holder()?;
        let mut waiters = world.waiters(CROWD)?;
        let survivor = waiters.swap_remove((n as usize * 211 + 100) % waiters.len());
        sleep(scaled(CROWD_OLD, percent));
        waiters.iter().for_each(Forked::kill);
        let gone_ns = gone(holder);
        world.recovery(vec![survivor], gone_ns)
    };
    let mut times = (0..times).map(survival).collect::<Result<Vec<u64>, Failure>>()?;
    times.sort_unstable();
    Ok(times)
}

fn at_rest(locks: u32, effort: &Effort) -> anyhow::Result<Vec<f64>> {
    let share = spawn((locks, effort.percent), share_at_rest)?.join()?;
    Ok(vec![share.map_err(|failure| anyhow::anyhow!("{failure}"))?])
}

/// How much of a core a crowd takes that waits for so many locks.
fn share_at_rest(locks: u32, percent: u64) -> Result<f64, Failure> {
    let world = World::new(locks)?;
    let _holder = world.holder()?;
    let waiters = world.waiters(CROWD)?;
    let processor_time = || {
        let times = waiters.iter().map(|waiter| processor_ns(waiter.pid()));
        times.sum::<Result<u64, Failure>>()
    };
    sleep(scaled(CROWD_OLD, percent));
    let (begun, before) = (now_ns(), processor_time()?);
    sleep(scaled(REST, percent));
    let (elapsed, after) = (now_ns() - begun, processor_time()?);
    Ok((after - before) as f64 / elapsed as f64 * 100.0)
}

fn scaled(full: Duration, percent: u64) -> Duration {
    full.mul_f64(percent as f64 / 100.0)
}

/// The nanoseconds that a process has run.
fn processor_ns(pid: u32) -> Result<u64, Failure> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
    let first = text.split_whitespace().next();
    Ok(first.ok_or_else(|| Failure::new("an empty schedstat"))?.parse()?)
}
