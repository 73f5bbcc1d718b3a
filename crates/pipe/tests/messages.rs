//! What is sent is what is received: whole, in order, of any size.
#![cfg(not(crossproc_loom))]

use std::thread;
use std::time::Duration;

use crossproc_message::Message;
use crossproc_pipe::{Pipe, PipeEnd, RecvError, SendError, TryRecvError, TrySendError};
use crossproc_segment::Segment;
use serde::{Deserialize, Serialize};

type Answer = Result<(), Box<dyn std::error::Error>>;

/// Longer than anything takes.
const MINUTE: Duration = Duration::from_secs(60);

fn pattern(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at * 31 + seed) % 251).unwrap_or(0)).collect()
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
enum Order {
    Move { robot: String, by: (f64, f64) },
    Stop,
}

#[test]
fn items_of_any_type_come_in_order() -> Answer {
    let (a, b) = Pipe::<Order, u64>::new()?;
    let order = || Order::Move { robot: "r2".into(), by: (0.5, -1.0) };
    a.send(&order())?;
    a.send(&Order::Stop)?;
    b.send(&7)?;
    assert_eq!(b.recv()?, order());
    assert_eq!(b.recv()?, Order::Stop);
    assert_eq!(a.recv()?, 7);
    Ok(())
}

#[test]
fn small_items_go_round_the_ring_many_times() -> Answer {
    let (tx, rx) = Pipe::<()>::options().capacity(64).one_way::<u64>()?;
    for round in 0..1000u64 {
        let fits = (round % 4) + 1;
        (0..fits).try_for_each(|n| tx.send(&(round * 10 + n)))?;
        assert_eq!(fits == 4, matches!(tx.try_send(&0), Err(TrySendError::Full)));
        if fits < 4 {
            assert_eq!(rx.recv()?, round * 10);
            (1..fits).try_for_each(|n| rx.recv().map(|got| assert_eq!(got, round * 10 + n)))?;
            assert_eq!(rx.recv()?, 0);
        } else {
            (0..fits).try_for_each(|n| rx.recv().map(|got| assert_eq!(got, round * 10 + n)))?;
        }
        assert!(matches!(rx.try_recv(), Err(TryRecvError::Empty)));
    }
    Ok(())
}

/// Every length around every border: words, the end of the ring, half of it, parts.
#[test]
fn bytes_of_every_length_arrive_as_they_were() -> Answer {
    for capacity in [64, 256] {
        let (tx, rx) = Pipe::<()>::options().capacity(capacity).one_way::<()>()?;
        let sending = thread::spawn(move || {
            (0..1200).try_for_each(|length| tx.send_bytes(&pattern(length, capacity)))
        });
        let mut buffer = vec![0; 1200];
        for length in 0..1200 {
            let wanted = pattern(length, capacity);
            if length % 2 == 0 {
                assert_eq!(rx.recv_bytes()?, wanted, "length {length}");
            } else {
                assert_eq!(rx.recv_into(&mut buffer)?, length);
                assert_eq!(buffer[..length], wanted, "length {length}");
            }
        }
        assert!(matches!(rx.recv_bytes(), Err(RecvError::Closed)));
        sending.join().map_err(|_| "the sender panicked")??;
    }
    Ok(())
}

#[test]
fn sixteen_mebibytes_stream_through_a_small_pipe() -> Answer {
    let (a, b) = Pipe::<Vec<u8>, Vec<u8>>::new()?;
    let big = pattern(16 << 20, 1);
    let echo = thread::spawn(move || -> Result<(), String> {
        let got = b.recv().map_err(|error| error.to_string())?;
        b.send(&got).map_err(|error| error.to_string())
    });
    a.send(&big)?;
    assert!(a.recv()? == big);
    echo.join().map_err(|_| "the echo panicked")??;
    Ok(())
}

#[test]
fn both_ends_send_large_messages_at_once() -> Answer {
    let (a, b) = Pipe::<Vec<u8>, Vec<u8>>::options().capacity(4096).pair()?;
    let big = pattern(300_000, 2);
    thread::scope(|scope| {
        for end in [&a, &b] {
            scope.spawn(|| (0..5).for_each(|_| assert!(end.send(&big).is_ok())));
            scope.spawn(|| (0..5).for_each(|_| assert!(end.recv().is_ok_and(|got| got == big))));
        }
    });
    Ok(())
}

#[test]
fn an_empty_message_is_a_message() -> Answer {
    let (tx, rx) = Pipe::one_way::<()>()?;
    assert!(!rx.poll(Duration::ZERO));
    tx.send_bytes(b"")?;
    assert!(rx.poll(Duration::ZERO) && rx.poll(None));
    assert_eq!(rx.recv_bytes()?, b"");
    for text in ["hello", "", "a", "", "", "world"] {
        tx.send_bytes(text.as_bytes())?;
    }
    for text in ["hello", "", "a", "", "", "world"] {
        assert!(rx.poll(None));
        assert_eq!(rx.recv_bytes()?, text.as_bytes());
    }
    assert!(!rx.poll(Duration::ZERO));
    Ok(())
}

#[test]
fn a_long_message_that_is_left_in_hand_is_still_told_of() -> Answer {
    let (tx, rx) = Pipe::<()>::options().capacity(64).one_way::<()>()?;
    // The sender stays open: it is not the end of the pipe that is told of.
    let sending = thread::spawn(move || tx.send_bytes(&pattern(1000, 3)).map(|()| tx));
    let refused = rx.recv_into(&mut [0; 999]);
    assert!(matches!(refused, Err(RecvError::BufferTooShort { bytes: 1000, room: 999 })));
    let _tx = sending.join().map_err(|_| "the sender panicked")??;
    assert!(rx.poll(Duration::ZERO));
    assert_eq!(rx.recv_bytes()?, pattern(1000, 3));
    assert!(!rx.poll(Duration::ZERO));
    Ok(())
}

#[test]
fn polling_takes_nothing_and_merges_nothing() -> Answer {
    let (tx, rx) = Pipe::<()>::options().capacity(64).one_way::<()>()?;
    let sending = thread::spawn(move || {
        tx.send_bytes(&pattern(1000, 3))?;
        tx.send_bytes(b"next")
    });
    assert!(rx.poll(None));
    assert!(rx.poll(None));
    let mut short = [0; 999];
    let refused = rx.recv_into(&mut short);
    assert!(matches!(refused, Err(RecvError::BufferTooShort { bytes: 1000, room: 999 })));
    assert_eq!(rx.recv_bytes()?, pattern(1000, 3));
    assert!(rx.poll(None));
    assert_eq!(rx.recv_bytes()?, b"next");
    sending.join().map_err(|_| "the sender panicked")??;
    Ok(())
}

#[test]
fn a_message_that_is_too_long_is_passed_over_whole() -> Answer {
    let (tx, rx) = Pipe::<()>::options().capacity(64).one_way::<()>()?;
    rx.set_max_len(20);
    let sending = thread::spawn(move || {
        for length in [20, 21, 500, 0, 600] {
            tx.send_bytes(&pattern(length, length))?;
        }
        tx.send_bytes(b"last")
    });
    assert_eq!(rx.recv_bytes()?, pattern(20, 20));
    assert!(matches!(rx.recv_bytes(), Err(RecvError::TooLong { bytes: 21, limit: 20 })));
    assert!(rx.poll(None), "polling does not swallow the news");
    assert!(matches!(rx.recv_bytes(), Err(RecvError::TooLong { bytes: 500, limit: 20 })));
    assert_eq!(rx.recv_bytes()?, b"");
    assert!(matches!(rx.recv_bytes(), Err(RecvError::TooLong { bytes: 600, limit: 20 })));
    assert_eq!(rx.recv_bytes()?, b"last");
    sending.join().map_err(|_| "the sender panicked")??;
    Ok(())
}

#[test]
fn a_long_message_that_is_given_up_half_way_is_never_delivered() -> Answer {
    let (tx, rx) = Pipe::<()>::options().capacity(64).one_way::<()>()?;
    let late = tx.send_bytes_timeout(&pattern(1000, 4), Duration::from_millis(1));
    assert!(matches!(late, Err(TrySendError::Full)));
    assert!(matches!(rx.try_recv_bytes(), Err(TryRecvError::Empty)));
    // What was in hand is dropped for what begins now, be it short or long.
    tx.send_bytes(b"short")?;
    assert_eq!(rx.recv_bytes()?, b"short");
    let late = tx.send_bytes_timeout(&pattern(1000, 4), Duration::from_millis(1));
    assert!(matches!(late, Err(TrySendError::Full)));
    assert!(matches!(rx.try_recv_bytes(), Err(TryRecvError::Empty)));
    let sending = thread::spawn(move || tx.send_bytes(&pattern(700, 5)));
    assert_eq!(rx.recv_bytes()?, pattern(700, 5));
    sending.join().map_err(|_| "the sender panicked")??;
    Ok(())
}

#[test]
fn what_has_arrived_of_a_long_message_waits_for_the_rest() -> Answer {
    let (tx, rx) = Pipe::<()>::options().capacity(64).one_way::<()>()?;
    let sending = thread::spawn(move || tx.send_bytes(&pattern(1000, 6)));
    let mut looks = 0;
    let got = loop {
        match rx.try_recv_bytes() {
            Ok(got) => break got,
            Err(TryRecvError::Empty) => looks += 1,
            Err(error) => return Err(error.into()),
        }
        thread::yield_now();
    };
    assert!(looks > 0);
    assert_eq!(got, pattern(1000, 6));
    sending.join().map_err(|_| "the sender panicked")??;
    Ok(())
}

#[test]
fn trying_to_send_what_can_only_go_in_parts_says_so() -> Answer {
    let (tx, rx) = Pipe::<()>::options().capacity(256).one_way::<()>()?;
    assert_eq!((tx.capacity(), tx.longest_piece()), (256, 120));
    let refused = tx.try_send_bytes(&[0; 121]);
    assert!(matches!(refused, Err(TrySendError::TooLong { bytes: 121, limit: 120 })));
    tx.try_send_bytes(&[1; 120])?;
    assert_eq!(rx.recv_bytes()?, [1; 120]);
    Ok(())
}

#[test]
fn a_message_of_another_type_is_dropped_and_the_next_comes() -> Answer {
    let (tx, rx) = Pipe::one_way::<(u32, String)>()?;
    tx.send_bytes(b"rubbish")?;
    tx.send(&(1, "one".into()))?;
    assert!(matches!(rx.recv(), Err(RecvError::Malformed(_))));
    assert_eq!(rx.recv()?, (1, "one".to_string()));
    let (tx, rx) = Pipe::one_way::<u64>()?;
    tx.send_bytes(b"1234567")?;
    tx.send(&1)?;
    assert!(matches!(rx.recv(), Err(RecvError::Malformed(_))));
    assert_eq!(rx.recv()?, 1);
    Ok(())
}

#[test]
fn a_message_is_written_and_read_in_place() -> Answer {
    let (mut tx, mut rx) = Pipe::<()>::options().capacity(1 << 12).one_way::<()>()?;
    for round in 0..100 {
        let length = round * 19 % 2000;
        let wanted = pattern(length, round);
        let mut reserved = tx.reserve(2000)?;
        reserved.write_at(0, &wanted[..length / 2]);
        reserved.write_at(length / 2, &wanted[length / 2..]);
        reserved.commit(length)?;
        let borrowed = rx.borrow()?;
        let mut got = vec![0; length];
        borrowed.read_at(0, &mut got);
        assert_eq!((borrowed.len(), got), (length, wanted));
    }
    Ok(())
}

#[test]
fn a_reservation_that_is_dropped_was_never_sent() -> Answer {
    let (mut tx, mut rx) = Pipe::<()>::options().capacity(256).one_way::<()>()?;
    for _ in 0..100 {
        drop(tx.reserve(100)?);
        drop(tx.try_reserve(100)?);
        assert!(rx.try_borrow().is_err());
        tx.send_bytes(b"sent")?;
        std::mem::forget(rx.borrow()?);
        assert_eq!(rx.recv_bytes()?, b"sent");
    }
    assert!(matches!(tx.reserve(121), Err(SendError::TooLong { bytes: 121, limit: 120 })));
    Ok(())
}

#[test]
fn a_message_in_parts_can_be_borrowed_too() -> Answer {
    let (tx, mut rx) = Pipe::<()>::options().capacity(64).one_way::<()>()?;
    let sending = thread::spawn(move || tx.send_bytes(&pattern(500, 8)));
    let borrowed = rx.borrow()?;
    let mut got = vec![0; 400];
    borrowed.read_at(100, &mut got);
    assert_eq!(got, pattern(500, 8)[100..]);
    drop(borrowed);
    sending.join().map_err(|_| "the sender panicked")??;
    Ok(())
}

#[test]
fn a_pipe_of_another_type_or_direction_is_not_opened() -> Answer {
    use crossproc_pipe::OneWay;
    let segment = Segment::anonymous(1 << 20)?;
    let _made = Pipe::<u64, String>::create(&segment, "pipe")?;
    assert!(Pipe::<u64, u64>::open(&segment, "pipe").is_err());
    assert!(Pipe::<String, u64>::open(&segment, "pipe").is_err());
    assert!(OneWay::<u64>::open(&segment, "pipe").is_err());
    assert!(Pipe::<u64, String>::create(&segment, "pipe").is_err());
    assert!(Pipe::<u64, String>::open_or_create(&segment, "pipe")?.first().is_ok());
    Ok(())
}

/// Round trips of items of a size, so often that the ring goes round many times.
fn round_trips<T: Message + Copy + PartialEq + std::fmt::Debug>(item: T) -> Answer {
    let (here, there) = Pipe::<T, T>::options().capacity(256).pair()?;
    thread::scope(|scope| {
        scope.spawn(move || {
            while let Ok(item) = there.recv() {
                assert!(there.send(&item).is_ok());
            }
        });
        for _ in 0..500 {
            here.send(&item)?;
            assert_eq!(here.recv()?, item);
        }
        drop(here);
        Ok(())
    })
}

#[test]
fn small_items_of_each_size_go_round_the_ring() -> Answer {
    round_trips(())?;
    round_trips(1u8)?;
    round_trips(1u64)?;
    // These leave room at the end of the ring.
    round_trips((1u64, 2u8))?;
    round_trips((1u64, 2u64))?;
    // The largest in a post, and larger ones.
    round_trips([3u64; 3])?;
    round_trips([4u64; 4])?;
    round_trips([8u64; 8])
}

/// With no thread but the one that sends, at either end.
#[test]
fn two_that_send_a_long_message_before_they_receive_get_along() -> Answer {
    for (capacity, length) in [(64, 1000), (4096, 300_000), (65_536, 4 << 20)] {
        let (a, b) = Pipe::<Vec<u8>, Vec<u8>>::options().capacity(capacity).pair()?;
        let turn = |end: PipeEnd<Vec<u8>, Vec<u8>>, seed: usize| -> Result<(), String> {
            for round in 0..3usize {
                let sent = end.send_timeout(&pattern(length, seed + round), MINUTE);
                sent.map_err(|error| error.to_string())?;
                let got = end.recv_timeout(MINUTE).map_err(|error| error.to_string())?;
                assert!(got == pattern(length, 1 - seed + round));
            }
            Ok(())
        };
        thread::scope(|scope| {
            let one = scope.spawn(|| turn(a, 0));
            let other = scope.spawn(|| turn(b, 1));
            assert_eq!((one.join().ok(), other.join().ok()), (Some(Ok(())), Some(Ok(()))));
        });
    }
    Ok(())
}
