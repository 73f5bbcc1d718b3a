//! Each way of sending and receiving that blocks can be told how long, at either kind of handle.
#![cfg(not(crossproc_loom))]

use std::thread;
use std::time::{Duration, Instant};

use crossproc_pipe::{Pipe, PipeEnd, RecvError, TryRecvError, TrySendError};
use crossproc_sys::clock::Deadline;

type Answer = Result<(), Box<dyn std::error::Error>>;

const SOON: Duration = Duration::from_millis(5);

fn soon() -> Deadline {
    Deadline::after(SOON)
}

#[test]
fn bytes_go_and_come_in_every_form() -> Answer {
    let (tx, rx) = Pipe::one_way::<()>()?;
    let mut buffer = [0; 8];
    tx.send_bytes(b"a")?;
    tx.try_send_bytes(b"b")?;
    tx.send_bytes_timeout(b"c", SOON)?;
    tx.send_bytes_deadline(b"d", soon())?;
    assert_eq!((rx.recv_bytes()?, rx.try_recv_bytes()?), (b"a".to_vec(), b"b".to_vec()));
    assert_eq!(rx.recv_bytes_timeout(SOON)?, b"c");
    assert_eq!(rx.recv_bytes_deadline(soon())?, b"d");
    for text in [b"e", b"f", b"g", b"h"] {
        tx.send_bytes(text)?;
    }
    // At an offset, as the callee sees only the slice.
    assert_eq!((rx.recv_into(&mut buffer[3..])?, rx.try_recv_into(&mut buffer)?), (1, 1));
    assert_eq!(&buffer[..4], b"f\0\0e");
    assert_eq!(rx.recv_into_timeout(&mut buffer, SOON)?, 1);
    assert_eq!(rx.recv_into_deadline(&mut buffer, soon())?, 1);
    assert_eq!(&buffer[..1], b"h");
    Ok(())
}

fn fill(end: &PipeEnd<(), ()>) {
    while end.try_send_bytes(&[1; 8]).is_ok() {}
}

#[test]
fn an_end_of_two_directions_knows_the_same_forms() -> Answer {
    let (a, b) = Pipe::<(), ()>::options().capacity(64).pair()?;
    let mut buffer = [0; 8];
    a.send_bytes_timeout(b"a", SOON)?;
    a.send_bytes_deadline(b"b", soon())?;
    assert_eq!(
        (b.recv_bytes_timeout(SOON)?, b.recv_bytes_deadline(soon())?),
        (vec![b'a'], vec![b'b'])
    );
    assert!(matches!(b.try_recv_bytes(), Err(TryRecvError::Empty)));
    a.send_bytes(b"c")?;
    a.send_bytes(b"d")?;
    assert_eq!(b.recv_into_timeout(&mut buffer, SOON)?, 1);
    assert_eq!(b.recv_into_deadline(&mut buffer, soon())?, 1);
    assert!(matches!(b.try_recv_into(&mut buffer), Err(TryRecvError::Empty)));
    Ok(())
}

#[test]
fn each_form_gives_up_when_its_time_is_over_and_not_before() -> Answer {
    let (a, _b) = Pipe::<(), ()>::options().capacity(64).pair()?;
    let mut buffer = [0; 8];
    fill(&a);
    let start = Instant::now();
    assert!(matches!(a.send_bytes_timeout(&[1; 8], SOON), Err(TrySendError::Full)));
    assert!(matches!(a.send_bytes_deadline(&[1; 8], soon()), Err(TrySendError::Full)));
    assert!(matches!(a.recv_bytes_timeout(SOON), Err(TryRecvError::Empty)));
    assert!(matches!(a.recv_bytes_deadline(soon()), Err(TryRecvError::Empty)));
    assert!(matches!(a.recv_into_timeout(&mut buffer, SOON), Err(TryRecvError::Empty)));
    assert!(matches!(a.recv_into_deadline(&mut buffer, soon()), Err(TryRecvError::Empty)));
    assert!(start.elapsed() >= 6 * SOON);
    Ok(())
}

#[test]
fn places_are_waited_for_until_a_deadline() -> Answer {
    let (mut tx, mut rx) = Pipe::<()>::options().capacity(64).one_way::<()>()?;
    assert!(matches!(rx.borrow_deadline(soon()), Err(TryRecvError::Empty)));
    let mut place = tx.reserve_deadline(24, soon())?;
    place.write_at(0, b"here");
    place.commit(4)?;
    let _filling = tx.reserve(24)?.commit(24);
    assert!(matches!(tx.reserve_deadline(24, soon()).map(drop), Err(TrySendError::Full)));
    assert_eq!(rx.borrow_deadline(soon())?.len(), 4);
    Ok(())
}

#[test]
fn a_loop_that_has_its_end_ends_with_the_other_and_closes_its_own() -> Answer {
    let (tx, rx) = Pipe::one_way::<u64>()?;
    let adding = thread::spawn(move || rx.into_iter().sum::<Result<u64, _>>());
    (1..=4).try_for_each(|item| tx.send(&item))?;
    drop(tx);
    assert_eq!(adding.join().map_err(|_| "it panicked")??, 10);

    let (a, b) = Pipe::<u64, u64>::new()?;
    a.send(&1)?;
    a.send_bytes(b"no number")?;
    a.send(&2)?;
    let got: Vec<_> = b.into_iter().take(3).collect();
    assert!(matches!(got[..], [Ok(1), Err(RecvError::Malformed(_)), Ok(2)]), "{got:?}");
    assert!(matches!(a.recv(), Err(RecvError::Closed)));
    Ok(())
}
