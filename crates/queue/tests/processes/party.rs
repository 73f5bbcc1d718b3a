//! The parties of these tests: this process, and children that play a role.

use std::env;
use std::fs::File;
use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

use crossproc_message::Message;
use crossproc_segment::{Object, Segment, Shape};
use crossproc_sys::pidfd::Exit;
use crossproc_sys::process::{Spawn, Spawned};

/// Incarnations of producers that a run can have.
pub(crate) const PRODUCERS: u32 = 64;
/// Kills of one run.
const KILLS: usize = 40;
/// Most numbers that one of them puts.
pub(crate) const NUMBERS: u32 = 20_000;

const ROLE: &str = "CROSSPROC_QUEUE_ROLE";
const SEGMENT_FD: i32 = 3;
const KILL: i32 = 9;
const SHAPE: Shape = Shape::untyped("queue-test", 1);
const MINUTE: Duration = Duration::from_secs(60);

/// An item that says who put it, and whether it is whole.
pub(crate) trait Item: Message {
    fn new(producer: u32, number: u32) -> Self;
    fn parts(self) -> (u32, u32);
}

impl Item for [u32; 2] {
    fn new(producer: u32, number: u32) -> Self {
        [producer, number]
    }

    fn parts(self) -> (u32, u32) {
        (self[0], self[1])
    }
}

impl Item for [[u32; 2]; 30] {
    fn new(producer: u32, number: u32) -> Self {
        [[producer, number]; 30]
    }

    fn parts(self) -> (u32, u32) {
        assert!(self.iter().all(|pair| *pair == self[0]), "torn");
        self[0].parts()
    }
}

impl Item for (u32, u32, String) {
    fn new(producer: u32, number: u32) -> Self {
        (producer, number, "x".repeat(number as usize * 7 % 2000))
    }

    fn parts(self) -> (u32, u32) {
        assert_eq!(self.2, "x".repeat(self.1 as usize * 7 % 2000));
        (self.0, self.1)
    }
}

/// What was begun, done and taken, in shared memory. All zeroes at first.
#[repr(C)]
pub(crate) struct Log {
    over: AtomicU32,
    begun: [AtomicU32; PRODUCERS as usize],
    done: [AtomicU32; PRODUCERS as usize],
    arrived: [[AtomicU32; NUMBERS as usize]; PRODUCERS as usize],
}

impl Log {
    pub(crate) fn finish(&self) {
        self.over.store(1, SeqCst);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(SeqCst) != 0
    }

    pub(crate) fn begin(&self, producer: u32, number: u32) {
        self.begun[producer as usize].store(number + 1, SeqCst);
    }

    pub(crate) fn done(&self, producer: u32, number: u32) {
        self.done[producer as usize].store(number + 1, SeqCst);
    }

    pub(crate) fn arrived(&self, producer: u32, number: u32) {
        self.arrived[producer as usize][number as usize].fetch_add(1, SeqCst);
    }

    pub(crate) fn wait_for(&self, producer: u32, number: u32) {
        let arrived = &self.arrived[producer as usize][number as usize];
        let start = Instant::now();
        while arrived.load(SeqCst) == 0 {
            assert!(start.elapsed() < MINUTE, "the item never arrived");
            thread::yield_now();
        }
    }

    /// Every item that was put arrived once. Missing may be one for each consumer that was killed:
    /// it had taken the item and not noted it yet.
    pub(crate) fn check(&self, dead_consumers: u32) {
        let mut missing = 0;
        for producer in 0..PRODUCERS as usize {
            let begun = self.begun[producer].load(SeqCst);
            let done = self.done[producer].load(SeqCst);
            for (number, arrived) in (0..).zip(&self.arrived[producer]) {
                match (arrived.load(SeqCst), number) {
                    (0, number) => missing += u32::from(number < done),
                    (1, number) => assert!(number < begun, "an item that nobody put"),
                    (times, _) => panic!("an item arrived {times} times"),
                }
            }
        }
        assert!(
            missing <= dead_consumers,
            "{missing} items lost, {dead_consumers} consumers killed"
        );
    }
}

/// A segment with a [`Log`].
pub(crate) struct World {
    pub(crate) segment: Segment,
    log: Object,
}

impl World {
    pub(crate) fn new() -> Self {
        let segment = Segment::anonymous(16 << 20).expect("a segment");
        let log = segment.construct(Some("log"), &SHAPE, size_of::<Log>(), |_| {});
        Self { segment, log: log.expect("room for a log") }
    }

    pub(crate) fn log(&self) -> &Log {
        // SAFETY: the body is as large as a log, zeroed, aligned, and only accessed atomically.
        unsafe { self.log.body().cast::<Log>().as_ref() }
    }

    /// How many blocks of 64 KiB can be had.
    pub(crate) fn room(&self) -> usize {
        let blocks = self.segment.blocks();
        let all: Vec<_> = std::iter::from_fn(|| blocks.alloc(60_000)).collect();
        let count = all.len();
        assert!(all.into_iter().all(|block| blocks.free(block)));
        count
    }

    /// Waits until a child is asleep, or as good as.
    pub(crate) fn wait_for_sleeper(&self, child: &Child) {
        let path = format!("/proc/{}/stat", child.0.pid);
        let start = Instant::now();
        while !std::fs::read_to_string(&path).expect("the child's state").contains(") S ") {
            assert!(start.elapsed() < MINUTE, "the child never slept");
            thread::yield_now();
        }
    }
}

/// The world, the kind of item, and the role of this process, if it is a child.
pub(crate) fn role() -> Option<(World, String, String)> {
    let role = env::var(ROLE).ok()?;
    let (kind, role) = role.split_once(':').expect("kind and role");
    // SAFETY: the parent put the segment's descriptor under this number, for nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(SEGMENT_FD) };
    let segment = Segment::from_fd(fd).expect("the parent's segment");
    let log = segment.find("log", &SHAPE).expect("the parent's log");
    Some((World { segment, log }, kind.to_owned(), role.to_owned()))
}

/// A child that is killed when this is dropped.
pub(crate) struct Child(Spawned);

impl Child {
    pub(crate) fn start(world: &World, kind: &str, role: &str) -> Self {
        let null = File::options().write(true).open("/dev/null").expect("/dev/null");
        let child = Spawn::this_program()
            .args(["child", "--exact", "--test-threads=1"])
            .env(ROLE, format!("{kind}:{role}"))
            .fd(null.as_fd(), 1)
            .fd(world.segment.as_fd(), SEGMENT_FD)
            .start()
            .expect("this program runs again");
        Self(child)
    }

    /// Kills the child and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.0.pidfd.signal(KILL).expect("the child is there");
        self.0.pidfd.reap(true).expect("the child is ours");
    }

    /// Waits for the child to end by itself, and without a failure.
    pub(crate) fn ends_well(self) {
        let end = self.0.pidfd.reap(true).expect("the child is ours");
        assert_eq!(end, Some(Exit::Code(0)));
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail for a child that was reaped.
        let _ = self.0.pidfd.signal(KILL);
        let _ = self.0.pidfd.reap(true);
    }
}

/// Four producers and two consumers, of which one after the other is killed, at a moment as it comes,
/// and replaced; then all come to their end. Tells how many consumers were killed.
pub(crate) fn killed_at_random(world: &World, kind: &str, close: impl FnOnce()) -> u32 {
    let mut fresh = 0..PRODUCERS;
    let mut producer = || Child::start(world, kind, &fresh.next().unwrap().to_string());
    let mut producers: Vec<_> = (0..4).map(|_| producer()).collect();
    let mut consumers: Vec<_> = (0..2).map(|_| Child::start(world, kind, "consumer")).collect();
    let mut dead_consumers = 0;
    let mut random = 7_u64;
    for _ in 0..KILLS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        thread::sleep(Duration::from_micros(random >> 32 & 0x1fff));
        let which = usize::try_from(random >> 60).unwrap();
        if let Some(victim) = producers.get_mut(which % 6) {
            victim.kill();
            *victim = producer();
        } else {
            consumers[which % 2].kill();
            consumers[which % 2] = Child::start(world, kind, "consumer");
            dead_consumers += 1;
        }
    }
    world.log().finish();
    for producer in producers {
        producer.ends_well();
    }
    close();
    for consumer in consumers {
        consumer.ends_well();
    }
    dead_consumers
}
