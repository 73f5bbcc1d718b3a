//! Leases, what becomes of them, and waiting until all is done.
#![cfg(not(crossproc_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crossproc_message::Message;
use crossproc_queue::{JoinError, Producer, Queue, TaskDoneError, TryGetError};
use crossproc_segment::Segment;
use crossproc_segment::wait::wait_any;

const NEVER: Duration = Duration::from_millis(1);
const SURELY: Duration = Duration::from_secs(60);

fn each_form(check: impl Fn(&dyn Fn(usize) -> Box<dyn Any>)) {
    check(&|capacity| Box::new(Form::<u64>::new(capacity, |n| n)));
    check(&|capacity| Box::new(Form::<[u64; 20]>::new(capacity, |n| [n; 20])));
    check(&|capacity| Box::new(Form::<String>::new(capacity, |n| n.to_string())));
    check(&|capacity| Box::new(Form::<String>::new(capacity, |n| format!("{n:0500}"))));
}

/// A queue of items that carry a number, of whatever form.
struct Form<T> {
    queue: Queue<T>,
    make: fn(u64) -> T,
}

trait Any {
    fn put(&self, number: u64);
    fn get(&self) -> Option<u64>;
    /// Leases, and says which item it was, and whether it was acknowledged.
    fn lease(&self, ack: bool) -> Option<(u64, u32)>;
    /// Leases as many, and then acknowledges them the other way round.
    fn lease_many(&self, count: usize) -> Vec<u64>;
    fn len(&self) -> usize;
    fn leased(&self) -> usize;
}

impl<T: Message + PartialEq> Form<T> {
    fn new(capacity: usize, make: fn(u64) -> T) -> Self {
        let segment = Segment::anonymous(1 << 20).unwrap();
        Self { queue: Queue::create(&segment, "q", capacity).unwrap(), make }
    }

    fn number(&self, item: &T) -> u64 {
        (0..1000).find(|&number| *item == (self.make)(number)).expect("an item that was put")
    }
}

impl<T: Message + PartialEq> Any for Form<T> {
    fn put(&self, number: u64) {
        self.queue.try_put((self.make)(number)).unwrap();
    }

    fn get(&self) -> Option<u64> {
        self.queue.try_get().ok().map(|item| self.number(&item))
    }

    fn lease(&self, ack: bool) -> Option<(u64, u32)> {
        let lease = self.queue.try_lease().ok()?;
        let (seen, deliveries) = (self.number(&lease), lease.deliveries());
        if ack {
            assert_eq!(self.number(&lease.ack().unwrap()), seen);
        }
        Some((seen, deliveries))
    }

    fn lease_many(&self, count: usize) -> Vec<u64> {
        let mut leases: Vec<_> = (0..count).map(|_| self.queue.try_lease().unwrap()).collect();
        assert_eq!(self.queue.leased(), count);
        let numbers = leases.iter().map(|lease| self.number(lease)).collect();
        while let Some(lease) = leases.pop() {
            lease.ack().unwrap();
        }
        numbers
    }

    fn len(&self) -> usize {
        self.queue.len()
    }

    fn leased(&self) -> usize {
        self.queue.leased()
    }
}

#[test]
fn an_acknowledged_item_is_gone() {
    each_form(|make| {
        let queue = make(3);
        for lap in 0..10 {
            for number in lap..lap + 3 {
                queue.put(number);
            }
            for number in lap..lap + 3 {
                assert_eq!(queue.lease(true), Some((number, 1)));
            }
            assert_eq!((queue.lease(true), queue.get(), queue.len()), (None, None, 0));
        }
    });
}

#[test]
fn a_dropped_lease_is_the_next_to_be_delivered_and_counted() {
    each_form(|make| {
        let queue = make(4);
        for number in 0..4 {
            queue.put(number);
        }
        for delivery in 1..20 {
            assert_eq!(queue.lease(false), Some((0, delivery)));
            assert_eq!((queue.leased(), queue.len()), (0, 4));
        }
        // It takes no place while it is back.
        queue.put(4);
        assert_eq!(queue.len(), 5);
        assert_eq!(queue.lease(true), Some((0, 20)));
        assert_eq!((1..5).map(|_| queue.get().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4]);
    });
}

#[test]
fn get_takes_what_was_given_back_first() {
    each_form(|make| {
        let queue = make(2);
        queue.put(1);
        queue.put(2);
        assert_eq!(queue.lease(false), Some((1, 1)));
        assert_eq!((queue.get(), queue.get(), queue.get()), (Some(1), Some(2), None));
    });
}

#[test]
fn peek_looks_at_what_was_given_back_first_and_counts_no_delivery() {
    fn of<T: Message + PartialEq + std::fmt::Debug>(make: fn(u64) -> T) {
        let segment = Segment::anonymous(1 << 20).unwrap();
        let queue = Queue::<T>::create(&segment, "q", 4).unwrap();
        queue.put(make(1)).unwrap();
        queue.put(make(2)).unwrap();
        queue.lease().unwrap().nack();
        for _ in 0..3 {
            assert_eq!((queue.peek().unwrap(), queue.len(), queue.leased()), (make(1), 2, 0));
        }
        let lease = queue.lease().unwrap();
        assert_eq!((lease.deliveries(), queue.peek().unwrap()), (2, make(2)));
        lease.nack();
        queue.close();
        assert_eq!(queue.get().unwrap(), make(1));
        assert_eq!(queue.get().unwrap(), make(2));
        assert!(queue.peek().is_err());
    }
    of::<u64>(|n| n);
    of::<[u64; 20]>(|n| [n; 20]);
    of::<String>(|n| n.to_string());
    of::<String>(|n| format!("{n:0500}"));
}

#[test]
fn several_leases_of_one_process_are_apart() {
    each_form(|make| {
        let queue = make(3);
        for lap in 0..5 {
            for number in 0..3 {
                queue.put(lap * 3 + number);
            }
            assert_eq!(queue.lease_many(3), [lap * 3, lap * 3 + 1, lap * 3 + 2]);
        }
        assert_eq!(queue.leased(), 0);
    });
}

#[test]
fn items_that_are_given_back_come_in_the_order_of_their_puts() {
    let queue = Queue::<u64>::bounded(3).unwrap();
    for number in 0..3 {
        queue.put(number).unwrap();
    }
    let mut leases: Vec<_> = (0..3).map(|_| queue.lease().unwrap()).collect();
    for number in 3..6 {
        queue.put(number).unwrap();
    }
    for at in [1, 1, 0] {
        leases.remove(at).nack();
    }
    queue.close();
    assert_eq!(queue.iter().map(Result::unwrap).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_lease_keeps_its_item_however_often_the_ring_goes_round() {
    let queue = Queue::<String>::bounded(2).unwrap();
    queue.put("a".repeat(1000)).unwrap();
    let lease = queue.lease().unwrap();
    for lap in 0..100 {
        queue.put(lap.to_string().repeat(300)).unwrap();
        assert_eq!(queue.get().unwrap(), lap.to_string().repeat(300));
    }
    lease.nack();
    assert_eq!(queue.lease().unwrap().ack().unwrap(), "a".repeat(1000));
}

#[test]
fn no_more_items_are_leased_than_the_queue_was_made_for() {
    let queue = Queue::<u64>::options().leases(2).bounded(4).unwrap();
    assert_eq!(queue.max_leases(), 2);
    for number in 0..4 {
        queue.put(number).unwrap();
    }
    let first = queue.lease().unwrap();
    let second = queue.lease().unwrap();
    assert!(matches!(queue.try_lease(), Err(TryGetError::AllLeased)));
    assert!(matches!(queue.lease_timeout(NEVER), Err(TryGetError::AllLeased)));
    // Plain get needs no lease.
    assert_eq!(queue.get().unwrap(), 2);
    first.ack().unwrap();
    let third = queue.lease().unwrap();
    assert_eq!((*second, *third), (1, 3));
}

#[test]
fn a_queue_without_leases_says_so() {
    let queue = Queue::<u64>::options().leases(0).bounded(1).unwrap();
    queue.put(1).unwrap();
    assert!(matches!(queue.try_lease(), Err(TryGetError::NoLeases)));
    assert_eq!(queue.get().unwrap(), 1);
}

#[test]
fn one_who_waits_for_a_lease_gets_the_one_that_ends() {
    let queue = Queue::<u64>::options().leases(1).bounded(2).unwrap();
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    let lease = queue.lease().unwrap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| queue.lease().unwrap().ack().unwrap());
        lease.ack().unwrap();
        assert_eq!(waiter.join().unwrap(), 2);
    });
}

#[test]
fn one_who_waits_for_an_item_gets_the_one_that_is_given_back() {
    let queue = Queue::<u64>::bounded(1).unwrap();
    queue.put(1).unwrap();
    let lease = queue.lease().unwrap();
    thread::scope(|scope| {
        let getter = scope.spawn(|| queue.get().unwrap());
        lease.nack();
        assert_eq!(getter.join().unwrap(), 1);
    });
}

#[test]
fn what_this_process_has_on_lease_does_not_keep_a_closed_queue_open() {
    let queue = Queue::<u64>::bounded(2).unwrap();
    queue.put(1).unwrap();
    queue.close();
    let lease = queue.lease().unwrap();
    assert!(matches!(queue.try_get(), Err(TryGetError::Closed)));
    assert!(matches!(queue.try_lease(), Err(TryGetError::Closed)));
    lease.nack();
    assert_eq!(queue.get().unwrap(), 1);
    assert!(matches!(queue.try_get(), Err(TryGetError::Closed)));
}

#[test]
fn wait_any_wakes_for_an_item_that_is_given_back() {
    let queue = Queue::<u64>::bounded(1).unwrap();
    queue.put(1).unwrap();
    let lease = queue.lease().unwrap();
    assert_eq!(wait_any(&[&queue], NEVER).unwrap(), []);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait_any(&[&queue], SURELY).unwrap());
        lease.nack();
        assert_eq!(waiter.join().unwrap(), [0]);
    });
}

#[test]
fn a_message_that_cannot_be_read_is_done_with() {
    let segment = Segment::anonymous(1 << 18).unwrap();
    let queue = Queue::<Option<bool>>::create(&segment, "q", 2).unwrap();
    queue.put(Some(true)).unwrap();
    assert_eq!(queue.lease().unwrap().ack().unwrap(), Some(true));
    assert_eq!(queue.leased(), 0);
}

#[test]
fn blocks_of_leased_messages_are_freed_once_they_are_done() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let queue = Queue::<Vec<u8>>::create(&segment, "q", 2).unwrap();
    for round in 0..200_u32 {
        let bytes = vec![u8::try_from(round % 251).unwrap(); 100_000];
        queue.try_put(bytes.clone()).unwrap();
        for _ in 0..round % 3 {
            queue.lease().unwrap().nack();
        }
        assert_eq!(queue.lease().unwrap().ack().unwrap(), bytes);
    }
}

#[test]
fn threads_that_lease_ack_nack_and_get_account_for_every_item() {
    each_number_once(Queue::<u64>::options().leases(3).bounded(5).unwrap(), |n| n, |n| *n);
    let words = |n: u64| format!("{n} ").repeat(100);
    let number = |s: &String| s.split(' ').next().unwrap().parse().unwrap();
    each_number_once(Queue::<String>::options().leases(3).bounded(5).unwrap(), words, number);
}

fn each_number_once<T: Message + Send>(
    queue: Queue<T>,
    make: impl Fn(u64) -> T + Sync,
    number: impl Fn(&T) -> u64 + Sync,
) {
    const ITEMS: u64 = 3000;
    let done = Mutex::new(BTreeSet::new());
    let finish = |n| assert!(done.lock().unwrap().insert(n), "{n} twice");
    thread::scope(|scope| {
        for worker in 0..3 {
            let (queue, number, finish) = (&queue, &number, &finish);
            scope.spawn(move || {
                for turn in 0_u64.. {
                    if turn % 7 == worker {
                        match queue.get() {
                            Ok(item) => finish(number(&item)),
                            Err(_) => break,
                        }
                        continue;
                    }
                    let Ok(lease) = queue.lease() else { break };
                    if turn % 5 == worker {
                        lease.nack();
                    } else {
                        let n = number(&lease);
                        lease.ack().unwrap();
                        finish(n);
                    }
                }
            });
        }
        for n in 0..ITEMS {
            queue.put(make(n)).unwrap();
        }
        // Whoever says Closed while another thread still has a lease may leave its nack to it.
        queue.close();
    });
    while let Ok(item) = queue.try_get() {
        finish(number(&item));
    }
    assert_eq!(done.lock().unwrap().len() as u64, ITEMS);
}

fn joinable(capacity: usize) -> Queue<u64> {
    Queue::options().joinable().bounded(capacity).unwrap()
}

#[test]
fn join_returns_when_all_is_done_and_not_before() {
    let queue = joinable(10);
    let done = AtomicU32::new(0);
    for number in 0..10 {
        queue.put(number).unwrap();
    }
    thread::scope(|scope| {
        for worker in 0..4 {
            let (queue, done) = (&queue, &done);
            scope.spawn(move || {
                loop {
                    if worker % 2 == 0 {
                        if queue.get().is_err() {
                            break;
                        }
                        thread::yield_now();
                        done.fetch_add(1, Ordering::Relaxed);
                        queue.task_done().unwrap();
                    } else {
                        let Ok(lease) = queue.lease() else { break };
                        thread::yield_now();
                        done.fetch_add(1, Ordering::Relaxed);
                        lease.ack().unwrap();
                    }
                }
            });
        }
        queue.join().unwrap();
        assert_eq!(done.load(Ordering::Relaxed), 10);
        queue.close();
    });
}

#[test]
fn join_waits_for_what_is_given_back() {
    let queue = joinable(2);
    queue.join().unwrap();
    queue.put(1).unwrap();
    let lease = queue.lease().unwrap();
    assert_eq!(queue.join_timeout(NEVER), Err(JoinError::Unfinished));
    lease.nack();
    assert_eq!(queue.try_join(), Err(JoinError::Unfinished));
    assert_eq!(queue.get().unwrap(), 1);
    assert_eq!(queue.try_join(), Err(JoinError::Unfinished));
    queue.task_done().unwrap();
    queue.join().unwrap();
}

#[test]
fn task_done_once_too_often_is_an_error() {
    let queue = joinable(2);
    assert_eq!(queue.task_done(), Err(TaskDoneError::TooMany));
    for number in 0..2 {
        queue.put(number).unwrap();
        queue.get().unwrap();
    }
    assert!(queue.try_get().is_err());
    assert_eq!((queue.task_done(), queue.task_done()), (Ok(()), Ok(())));
    assert_eq!(queue.task_done(), Err(TaskDoneError::TooMany));
    // A lease is done by its ack alone.
    queue.put(7).unwrap();
    let lease = queue.lease().unwrap();
    assert_eq!(queue.task_done(), Err(TaskDoneError::TooMany));
    lease.ack().unwrap();
}

#[test]
fn a_queue_that_does_not_count_says_so() {
    let queue = Queue::<u64>::bounded(1).unwrap();
    assert_eq!(queue.task_done(), Err(TaskDoneError::NotJoinable));
    assert_eq!(queue.join(), Err(JoinError::NotJoinable));
}

#[test]
fn a_refused_get_owes_nothing() {
    let queue = joinable(1);
    assert!(matches!(queue.get_timeout(NEVER), Err(TryGetError::Empty)));
    assert_eq!(queue.task_done(), Err(TaskDoneError::TooMany));
    queue.join().unwrap();
}

/// Nobody waits in place for what only get and lease hand out.
#[test]
fn a_closed_queue_is_at_its_end_for_who_holds_in_place_though_an_item_came_back() {
    let queue = Queue::<u64>::bounded(2).unwrap();
    queue.put(1).unwrap();
    queue.close();
    queue.lease().unwrap().nack();
    assert!(matches!(queue.try_get_ref(), Err(TryGetError::Closed)));
    assert_eq!(queue.get().unwrap(), 1);
}

#[test]
fn join_is_woken_by_an_item_that_is_released_in_place() {
    let queue = joinable(2);
    queue.put(1).unwrap();
    let held = queue.get_ref().unwrap();
    thread::scope(|scope| {
        let joiner = scope.spawn(|| queue.join_timeout(SURELY));
        held.release().unwrap();
        assert_eq!(joiner.join().unwrap(), Ok(()));
    });
}

/// One who holds in place and one who gets: the item that is back is for the second.
#[test]
fn an_item_that_is_given_back_wakes_who_can_take_it() {
    let queue = Queue::<u64>::bounded(2).unwrap();
    queue.put(1).unwrap();
    let lease = queue.lease().unwrap();
    thread::scope(|scope| {
        let holder = scope.spawn(|| queue.get_ref().map(drop));
        let getter = scope.spawn(|| queue.get().unwrap());
        lease.nack();
        assert_eq!(getter.join().unwrap(), 1);
        queue.close();
        assert!(holder.join().unwrap().is_err());
    });
}

#[test]
fn a_joinable_get_of_what_came_back_needs_no_other_entry() {
    let words = Queue::<u64>::options().joinable().bounded(1).unwrap();
    let long = Queue::<String>::options().joinable().bounded(1).unwrap();
    for round in 0..3 {
        words.put(round).unwrap();
        drop(words.lease().unwrap());
        assert_eq!(words.get_timeout(SURELY).unwrap(), round);
        assert_eq!(words.try_join(), Err(JoinError::Unfinished));
        words.task_done().unwrap();
        words.join().unwrap();
        // Its block is freed, and its entry is one to owe in.
        long.put("x".repeat(1000)).unwrap();
        drop(long.lease().unwrap());
        assert_eq!(long.get_timeout(SURELY).unwrap().len(), 1000);
        long.put("y".repeat(1000)).unwrap();
        assert_eq!(long.get_timeout(SURELY).unwrap().len(), 1000);
        assert_eq!((long.task_done(), long.task_done()), (Ok(()), Ok(())));
        long.join().unwrap();
    }
    assert_eq!(words.task_done(), Err(TaskDoneError::TooMany));
}

/// A thread that waits for an entry hears of the end, and of an entry that its process owes in.
#[test]
fn what_this_process_owes_in_is_no_entry_for_a_lease() {
    let queue = Queue::<u64>::options().leases(1).joinable().bounded(2).unwrap();
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    assert_eq!(queue.get().unwrap(), 1);
    let refused = queue.lease_timeout(Duration::from_millis(20)).unwrap_err();
    assert!(matches!(refused, TryGetError::AllLeased), "{refused}");
    queue.task_done().unwrap();
    assert_eq!(queue.lease().unwrap().ack().unwrap(), 2);
}

#[test]
fn one_who_waits_for_an_entry_hears_of_what_else_it_can_go_on_with() {
    let queue = Queue::<u64>::options().leases(1).joinable().bounded(2).unwrap();
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    let lease = queue.lease().unwrap();
    thread::scope(|scope| {
        let getter = scope.spawn(|| queue.get_timeout(SURELY).unwrap());
        lease.nack();
        let mut got = [queue.get_timeout(SURELY).unwrap(), getter.join().unwrap()];
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
    });
    let again = queue.clone();
    thread::scope(|scope| {
        // Both entries' worth is owed: there is nothing to lease into.
        queue.put(3).unwrap();
        let lessee = scope.spawn(move || again.lease_timeout(SURELY).map(|lease| *lease));
        assert_eq!(queue.get_timeout(SURELY).unwrap(), 3);
        queue.close();
        assert!(matches!(lessee.join().unwrap(), Err(TryGetError::Closed)));
    });
}

thread_local! {
    static PANICS: Cell<bool> = const { Cell::new(false) };
}

/// Panics where it is read, if the thread says so.
#[derive(Debug, PartialEq)]
struct Touchy(String);

impl serde::Serialize for Touchy {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for Touchy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        assert!(!PANICS.get(), "not today");
        Ok(Self(text))
    }
}

#[test]
fn a_panic_while_an_item_is_read_ends_its_lease_and_what_is_owed() {
    let queue = Queue::<Touchy>::options().joinable().leases(1).bounded(4).unwrap();
    for _ in 0..3 {
        queue.put(Touchy("a".to_owned())).unwrap();
        PANICS.set(true);
        catch_unwind(AssertUnwindSafe(|| queue.lease().map(drop))).unwrap_err();
        assert_eq!(queue.leased(), 0);
        // What came back comes back again.
        catch_unwind(AssertUnwindSafe(|| queue.lease().map(drop))).unwrap_err();
        catch_unwind(AssertUnwindSafe(|| queue.get())).unwrap_err();
        PANICS.set(false);
        let lease = queue.lease().unwrap();
        assert_eq!(lease.deliveries(), 4);
        lease.ack().unwrap();
        // A plain get has taken it, and owes nothing for it.
        queue.put(Touchy("b".to_owned())).unwrap();
        PANICS.set(true);
        catch_unwind(AssertUnwindSafe(|| queue.get())).unwrap_err();
        PANICS.set(false);
        assert_eq!(queue.task_done(), Err(TaskDoneError::TooMany));
        queue.join().unwrap();
    }
}

#[test]
fn a_look_for_what_is_unreachable_is_no_delivery() {
    let queue = Queue::<String>::bounded(1).unwrap();
    queue.put("here".to_owned()).unwrap();
    drop(queue.lease().unwrap());
    assert!(!queue.discard_unreachable().unwrap());
    assert_eq!(queue.lease().unwrap().deliveries(), 2);
}

/// On lease it is counted twice, as it arrived and as it may come again.
#[test]
fn a_counted_handle_in_a_leased_item_counts_when_it_comes_again() {
    let (inner, outer) = (Queue::<u8>::bounded(2).unwrap(), Queue::bounded(2).unwrap());
    outer.put(inner.producer().unwrap()).unwrap();
    for _ in 0..2 {
        outer.lease().unwrap().nack();
        assert!(matches!(inner.try_get(), Err(TryGetError::Empty)));
    }
    let producer: Producer<u8> = outer.lease().unwrap().ack().unwrap();
    producer.put(1).unwrap();
    drop(producer);
    assert_eq!(inner.get().unwrap(), 1);
    assert!(matches!(inner.try_get(), Err(TryGetError::Closed)));
}
