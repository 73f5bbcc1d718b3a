//! One process: what is whole, what is rolled back, what is refused.
#![cfg(not(crossproc_loom))]

use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::thread;

use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;

use crossproc_message::{Pod, pod};
use crossproc_segment::{Error, Segment, Shape, transit};
use crossproc_value::{LockFailure, Stored, Value};

#[derive(Pod, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Pose {
    at: u64,
    position: [f32; 3],
    flags: u32,
}

/// A panic that does not print.
fn quiet_panic() {
    panic::resume_unwind(Box::new("a panic of this test"));
}

fn panics(f: impl FnOnce()) {
    assert!(panic::catch_unwind(AssertUnwindSafe(f)).is_err());
}

#[test]
fn values_of_every_size_come_back() {
    fn comes_back<const N: usize>() {
        let bytes: [u8; N] = core::array::from_fn(|index| index.to_le_bytes()[0] ^ 0xa5);
        let value = Value::new(bytes).unwrap();
        assert_eq!(value.get(), bytes);
        for round in 0..7u8 {
            let next = bytes.map(|byte| byte.wrapping_add(round));
            value.set(next).unwrap();
            assert_eq!(value.get(), next);
            value.update(|bytes| bytes.iter_mut().for_each(|byte| *byte ^= 1)).unwrap();
            assert_eq!(value.get(), next.map(|byte| byte ^ 1));
            let mut into = [0; N];
            value.get_into(&mut into);
            assert_eq!(into, value.get());
        }
    }
    comes_back::<0>();
    comes_back::<1>();
    comes_back::<7>();
    comes_back::<8>();
    comes_back::<9>();
    comes_back::<63>();
    comes_back::<64>();
    comes_back::<65>();
    comes_back::<1000>();
    comes_back::<5000>();
}

#[test]
fn scalars_come_back() {
    fn comes_back<T: Stored + PartialEq + core::fmt::Debug>(first: T, second: T) {
        let value = Value::new(first).unwrap();
        assert_eq!(value.get(), first);
        value.set(second).unwrap();
        assert_eq!(value.get(), second);
        assert_eq!(value.update(|value| mem::replace(value, first)), Ok(second));
        let mut into = second;
        value.get_into(&mut into);
        assert_eq!(into, first);
    }
    comes_back(u8::MAX, 1);
    comes_back(i8::MIN, 1);
    comes_back(u32::MAX, 1);
    comes_back(i64::MIN, -1);
    comes_back(-0.5f32, f32::INFINITY);
    comes_back(f64::MIN_POSITIVE, -1.0);
    comes_back(true, false);
}

#[test]
fn narrow_integers_wrap_at_their_width_whatever_stands_above_them() {
    let value = Value::new(250u8).unwrap();
    for _ in 0..300 {
        value.fetch_add(1);
    }
    assert_eq!(value.get(), 38);
    value.fetch_sub(39);
    assert_eq!(value.get(), 255);
    assert_eq!(value.compare_exchange(255, 3), Ok(255));
    assert_eq!(value.compare_exchange(255, 4), Err(3));
    let signed = Value::new(i16::MAX).unwrap();
    assert_eq!(signed.fetch_add(1), i16::MAX);
    assert_eq!(signed.fetch_max(-5), i16::MIN);
    assert_eq!(signed.fetch_min(7), -5);
    assert_eq!(signed.get(), -5);
}

#[test]
fn concurrent_changes_of_a_scalar_lose_nothing() {
    let value = Value::new(0u64).unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    value.fetch_add(1);
                }
            });
            scope.spawn(|| (0..10_000).for_each(|_| value.update(|n| *n += 1).unwrap()));
        }
    });
    assert_eq!(value.get(), 40_000);
}

fn readers_and_writers<const N: usize>() {
    let value = Value::new([0u64; N]).expect("room");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut last = 0;
            while !done.load(Relaxed) {
                let row = value.get();
                assert!(row.iter().all(|n| *n == row[0]), "torn: {row:?}");
                assert!(row[0] >= last, "went back from {last} to {}", row[0]);
                last = row[0];
            }
        });
        let writers = [(); 2].map(|()| {
            scope.spawn(|| {
                for _ in 0..3_000 {
                    value.update(|row| *row = row.map(|n| n + 1)).expect("nobody dies");
                }
            })
        });
        writers.into_iter().for_each(|writer| writer.join().expect("no panic"));
        done.store(true, Relaxed);
        reader.join().expect("all was whole");
    });
    assert_eq!(value.get(), [6_000; N]);
}

#[test]
fn readers_see_whole_values_that_never_go_back_and_writers_lose_nothing() {
    readers_and_writers::<2>();
    readers_and_writers::<8>();
    readers_and_writers::<9>();
    readers_and_writers::<200>();
}

#[test]
fn a_panic_in_an_update_changes_nothing_and_is_told_to_nobody() {
    let value = Value::new([1, 2]).unwrap();
    panics(|| {
        let _ = value.update(|v| {
            v[0] = 7;
            quiet_panic();
        });
    });
    panics(|| {
        let mut guard = value.lock().unwrap();
        guard[0] = 7;
        quiet_panic();
    });
    assert_eq!(value.update(|v| *v), Ok([1, 2]));
    let scalar = Value::new(1.5).unwrap();
    panics(|| {
        let _ = scalar.update(|v| {
            *v = 2.5;
            quiet_panic();
        });
    });
    assert_eq!(scalar.get(), 1.5);
}

#[test]
fn a_guard_made_during_a_panic_commits() {
    struct WritesInDrop<'a>(&'a Value<[u8; 3]>);
    impl Drop for WritesInDrop<'_> {
        fn drop(&mut self) {
            self.0.lock().unwrap()[0] = 9;
        }
    }
    let value = Value::new([1, 2, 3]).unwrap();
    panics(|| {
        let _writes = WritesInDrop(&value);
        quiet_panic();
    });
    assert_eq!(value.get(), [9, 2, 3]);
}

#[test]
fn writing_inside_of_a_write_is_an_error_and_reading_is_not() {
    let value = Value::new([1, 2]).unwrap();
    value
        .update(|v| {
            v[0] = 7;
            assert_eq!(value.get(), [1, 2]);
            assert_eq!(value.set([3, 4]), Err(LockFailure::Deadlock));
            assert_eq!(value.update(|_| ()), Err(LockFailure::Deadlock));
            assert_eq!(value.lock().unwrap_err(), LockFailure::Deadlock);
        })
        .unwrap();
    assert_eq!(value.get(), [7, 2]);
}

#[test]
fn large_values_need_little_stack() {
    type Large = [u8; 4 << 20];
    let segment = Segment::options().sparse(true).anonymous(64 << 20).unwrap();
    // The first value has to come by somebody's stack.
    let made = thread::Builder::new()
        .stack_size(64 << 20)
        .spawn(move || Value::new_in(&segment, pod::zeroed::<Large>()).unwrap());
    let value = made.unwrap().join().unwrap();
    let changed = thread::Builder::new().stack_size(256 << 10).spawn(move || {
        value.update(|v| v[4_000_000] = 1).unwrap();
        value.lock().unwrap()[4_000_001] = 2;
        let mut copy = vec![0u8; size_of::<Large>()].into_boxed_slice();
        let whole: &mut Large = (&mut *copy).try_into().unwrap();
        value.get_into(whole);
        (whole[4_000_000], whole[4_000_001])
    });
    assert_eq!(changed.unwrap().join().unwrap(), (1, 2));
}

#[test]
fn names_are_checked_for_kind_and_type() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    let pose = Pose { at: 1, position: [1.0, 2.0, 3.0], flags: 7 };
    Value::create(&segment, "pose", pose).unwrap();
    segment.construct(Some("other"), &Shape::untyped("other", 1), 64, |_| {}).unwrap();
    assert_eq!(Value::<Pose>::open(&segment, "pose").unwrap().get(), pose);
    assert_eq!(
        Value::open_or_create(&segment, "pose", Pose { at: 2, ..pose }).unwrap().get(),
        pose
    );
    assert!(matches!(Value::create(&segment, "pose", pose), Err(Error::Exists { .. })));
    assert!(matches!(Value::<u64>::open(&segment, "pose"), Err(Error::Type { .. })));
    assert!(matches!(Value::<u64>::open(&segment, "other"), Err(Error::Kind { .. })));
    assert!(matches!(Value::<u64>::open(&segment, "none"), Err(Error::NotFound { .. })));
}

#[test]
fn a_ticket_leads_to_the_same_value_and_is_checked_for_type() {
    let value = Value::new([1, 2]).unwrap();
    assert!(serde_json::to_string(&value).is_err());
    let (ticket, sent) = transit::sending(|| serde_json::to_string(&value).unwrap());
    let same: Value<[i32; 2]> =
        transit::receiving(sent.segments.clone(), || serde_json::from_str(&ticket).unwrap());
    same.set([3, 4]).unwrap();
    assert_eq!(value.get(), [3, 4]);
    let wrong = transit::receiving(sent.segments, || serde_json::from_str::<Value<u64>>(&ticket));
    assert!(wrong.is_err());
}

#[test]
fn debug_shows_the_value() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    let hits = Value::create(&segment, "hits", 7u8).unwrap();
    assert_eq!(format!("{hits:?}"), r#"Value { name: Some("hits"), value: 7 }"#);
    let pair = Value::create(&segment, "pair", [1, 2]).unwrap();
    let shown = format!("{pair:?}");
    assert_eq!(shown, r#"Value { name: Some("pair"), value: [1, 2], writers: free }"#);
}
