//! Ends: closed, taken, moved, shared by threads, waited for.
#![cfg(not(crossproc_loom))]

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crossproc_message::{decode, encode};
use crossproc_pipe::{
    Error, OneWay, Peer, Pipe, PipeEnd, Receiver, RecvError, SendError, Sender, TryRecvError,
    TrySendError,
};
use crossproc_segment::Segment;
use crossproc_segment::wait::{Look, WaitFd, Waitable, wait_any};
use crossproc_sys::clock::Deadline;
use crossproc_sys::poll;

const MINUTE: Duration = Duration::from_secs(60);

type Answer = Result<(), Box<dyn std::error::Error>>;

#[test]
fn a_dropped_end_is_seen_after_all_was_received() -> Answer {
    let (a, b) = Pipe::<u64, u64>::new()?;
    a.send(&1)?;
    a.send(&2)?;
    drop(a);
    assert_eq!(b.peer(), Peer::Closed);
    assert!(matches!(b.send(&3), Err(SendError::Closed)));
    assert!(matches!(b.try_send(&3), Err(TrySendError::Closed)));
    assert_eq!(b.iter().collect::<Result<Vec<_>, _>>()?, [1, 2]);
    assert!(matches!(b.try_recv(), Err(TryRecvError::Closed)));
    assert!(matches!(b.recv_bytes(), Err(RecvError::Closed)));
    Ok(())
}

#[test]
fn a_close_wakes_all_who_wait_at_either_end() -> Answer {
    let (a, b) = Pipe::<u64, u64>::options().capacity(64).pair()?;
    while a.try_send(&1).is_ok() {}
    thread::scope(|scope| {
        let sending = scope.spawn(|| a.send(&2));
        let receiving = scope.spawn(|| a.recv());
        let at_peer = scope.spawn(|| (0..5).map(|_| b.recv()).collect::<Vec<_>>());
        // The peer takes what is there and waits for more, the sender gets through.
        assert!(sending.join().is_ok_and(|sent| sent.is_ok()));
        a.close();
        assert!(receiving.join().is_ok_and(|got| matches!(got, Err(RecvError::NotOwned))));
        assert!(at_peer.join().is_ok_and(|got| got.iter().all(Result::is_ok)));
        assert!(matches!(b.recv(), Err(RecvError::Closed)));
    });
    assert!(matches!(a.send(&1), Err(SendError::NotOwned)));
    assert!(matches!(a.try_recv(), Err(TryRecvError::NotOwned)));
    assert!(a.poll(None), "so that who polls finds out");
    Ok(())
}

#[test]
fn who_waits_for_room_hears_of_the_end() -> Answer {
    let (tx, rx) = Pipe::<()>::options().capacity(64).one_way::<u64>()?;
    while tx.try_send(&1).is_ok() {}
    let sending = thread::spawn(move || tx.send(&2));
    rx.close();
    assert!(matches!(sending.join(), Ok(Err(SendError::Closed))));
    Ok(())
}

#[test]
fn an_end_is_taken_once_and_again_when_it_was_closed() -> Answer {
    let segment = Segment::anonymous(1 << 20)?;
    let pipe = OneWay::<u64>::create(&segment, "pipe")?;
    let rx = pipe.receiver()?;
    assert_eq!(rx.peer(), Peer::Absent);
    assert!(matches!(rx.try_recv(), Err(TryRecvError::Empty)), "nobody is not the end");
    let tx = pipe.sender()?;
    assert!(matches!(pipe.sender(), Err(Error::Taken { .. })));
    tx.send(&1)?;
    tx.send(&2)?;
    drop(tx);
    assert_eq!(rx.recv()?, 1);
    drop(rx);
    // Successors go on where their predecessors had got.
    let (tx, rx) = (pipe.sender()?, pipe.receiver()?);
    tx.send(&3)?;
    assert_eq!((rx.recv()?, rx.recv()?), (2, 3));
    Ok(())
}

fn moved<T: crossproc_message::Message>(item: &T) -> Result<T, Box<dyn std::error::Error>> {
    let mut bytes = Vec::new();
    let sent = encode(item, &mut bytes)?;
    Ok(decode(&bytes, sent.segments)?)
}

#[test]
fn an_end_that_was_sent_belongs_to_its_receiver_alone() -> Answer {
    let (a, b) = Pipe::<u64, String>::new()?;
    let mut bytes = Vec::new();
    let sent = encode(&a, &mut bytes)?;
    assert!(!a.is_owned());
    assert!(matches!(a.send(&1), Err(SendError::NotOwned)));
    assert!(matches!(a.recv(), Err(RecvError::NotOwned)));
    assert!(matches!(b.peer(), Peer::Moving(_)));
    assert!(matches!(b.try_recv(), Err(TryRecvError::Empty)), "on its way is not the end");
    let arrived: PipeEnd<u64, String> = decode(&bytes, sent.segments.clone())?;
    drop(a);
    arrived.send(&7)?;
    assert_eq!(b.recv()?, 7);
    b.send(&"back".to_string())?;
    assert_eq!(arrived.recv()?, "back");
    // The same message again brings nothing: the end is taken.
    assert!(decode::<PipeEnd<u64, String>>(&bytes, sent.segments).is_err());
    Ok(())
}

#[test]
fn both_ends_move_and_the_old_handles_close_nothing() -> Answer {
    let (a, b) = Pipe::<u64, String>::new()?;
    let (new_a, new_b) = (moved(&a)?, moved(&b)?);
    drop((a, b));
    new_b.send(&"moved".to_string())?;
    assert_eq!(new_a.recv()?, "moved");
    drop(new_a);
    assert!(matches!(new_b.recv(), Err(RecvError::Closed)));
    Ok(())
}

#[test]
fn what_was_in_hand_goes_along() -> Answer {
    let (tx, rx) = Pipe::<()>::options().capacity(64).one_way::<Vec<u8>>()?;
    let big = vec![7; 1000];
    thread::scope(|scope| {
        let sending = scope.spawn(|| tx.send(&big));
        // Whole in hand: polling has put it together.
        assert!(rx.poll(None));
        let rx = moved(&rx)?;
        assert_eq!(rx.recv()?, big);
        assert!(sending.join().is_ok_and(|sent| sent.is_ok()));
        // And a part of one.
        let late = tx.send_timeout(&big, Duration::from_millis(1));
        assert!(late.is_err_and(|error| error.is_full()));
        assert!(matches!(rx.try_recv(), Err(TryRecvError::Empty)));
        let rx = moved(&rx)?;
        tx.send(&vec![1])?;
        assert_eq!(rx.recv()?, [1]);
        Ok(())
    })
}

#[test]
fn what_was_in_hand_is_dropped_once_another_has_gone_on() -> Answer {
    let (tx, rx) = Pipe::<()>::options().capacity(64).one_way::<Vec<u8>>()?;
    thread::scope(|scope| {
        let sending = scope.spawn(|| tx.send(&vec![7; 1000]));
        assert!(rx.poll(None));
        assert!(sending.join().is_ok_and(|sent| sent.is_ok()));
        Ok::<(), RecvError>(())
    })?;
    let mut bytes = Vec::new();
    let sent = encode(&rx, &mut bytes)?;
    let successor: Receiver<Vec<u8>> = decode(&bytes, sent.segments.clone())?;
    tx.send(&vec![1])?;
    tx.send(&vec![2])?;
    assert_eq!((successor.recv()?.len(), successor.recv()?), (1000, vec![1]));
    successor.close();
    // The same message once more, as from a queue whose consumer was killed with it.
    let again: Receiver<Vec<u8>> = decode(&bytes, sent.segments)?;
    assert_eq!(again.recv()?, [2]);
    Ok(())
}

#[test]
fn an_old_message_and_an_old_handle_do_nothing_to_a_later_move() -> Answer {
    let (tx, rx) = Pipe::one_way::<u64>()?;
    let (mut old, mut new) = (Vec::new(), Vec::new());
    let first = encode(&tx, &mut old)?;
    let arrived: Sender<u64> = decode(&old, first.segments.clone())?;
    let second = encode(&arrived, &mut new)?;
    // All of this process, which has sent it off in both.
    first.take_back();
    assert!(!tx.take_back() && !tx.is_owned() && !arrived.is_owned());
    assert!(encode(&tx, &mut Vec::new()).is_err());
    assert!(decode::<Sender<u64>>(&old, first.segments).is_err());
    let last: Sender<u64> = decode(&new, second.segments.clone())?;
    second.take_back();
    assert!(last.is_owned() && !arrived.is_owned());
    last.send(&1)?;
    assert_eq!(rx.recv()?, 1);
    Ok(())
}

#[test]
fn an_end_that_is_sent_once_more_arrives_with_the_last_message() -> Answer {
    let (tx, rx) = Pipe::one_way::<u64>()?;
    let (mut old, mut new) = (Vec::new(), Vec::new());
    let first = encode(&tx, &mut old)?;
    let second = encode(&tx, &mut new)?;
    first.take_back();
    assert!(!tx.is_owned());
    assert!(decode::<Sender<u64>>(&old, first.segments).is_err());
    let arrived: Sender<u64> = decode(&new, second.segments)?;
    arrived.send(&1)?;
    assert_eq!(rx.recv()?, 1);
    Ok(())
}

#[test]
fn an_end_that_came_back_goes_on_where_it_was() -> Answer {
    let (a, b) = Pipe::<u64, u64>::options().capacity(64).pair()?;
    for item in 0..20 {
        a.send(&item)?;
        b.send(&item)?;
        let sent = encode(&a, &mut Vec::new())?;
        sent.take_back();
        assert!(a.is_owned());
        assert_eq!((a.recv()?, b.recv()?), (item, item));
    }
    Ok(())
}

#[test]
fn a_close_by_the_other_half_waits_for_places_in_the_rings() -> Answer {
    let segment = Segment::anonymous(1 << 20)?;
    let pipe = Pipe::<u64, u64>::create(&segment, "pipe")?;
    let (mut a, b) = (pipe.first()?, pipe.second()?);
    let (tx, rx) = a.halves();
    let mut place = tx.reserve(16)?;
    rx.close();
    assert!(matches!(b.peer(), Peer::Present(_)) && pipe.first().is_err());
    assert!(matches!(rx.try_recv(), Err(TryRecvError::NotOwned)));
    place.write_at(0, &[9; 16]);
    assert!(matches!(place.commit(16), Err(SendError::NotOwned)));
    assert_eq!(b.peer(), Peer::Closed);
    assert!(matches!(b.try_recv(), Err(TryRecvError::Closed)));

    // The same the other way round; what was only looked at is the successor's.
    let mut a = pipe.first()?;
    b.send(&5)?;
    let (tx, rx) = a.halves();
    let item = rx.borrow()?;
    tx.close();
    assert!(matches!(b.peer(), Peer::Present(_)) && pipe.first().is_err());
    drop(item);
    assert_eq!(b.peer(), Peer::Closed);
    assert_eq!(pipe.first()?.recv()?, 5);
    Ok(())
}

#[test]
fn a_place_that_was_forgotten_keeps_no_end_open() -> Answer {
    let (mut tx, mut rx) = Pipe::one_way::<()>()?;
    tx.send_bytes(b"a")?;
    std::mem::forget(tx.reserve(8)?);
    std::mem::forget(rx.borrow()?);
    tx.close();
    assert_eq!(rx.peer(), Peer::Closed);
    rx.close();
    assert_eq!(tx.peer(), Peer::Closed);
    // By the other half, it is the last handle's drop that closes.
    let (mut a, b) = Pipe::<u64, u64>::new()?;
    let (half, other) = a.halves();
    std::mem::forget(half.reserve(8)?);
    other.close();
    assert!(matches!(b.peer(), Peer::Present(_)));
    drop(a);
    assert_eq!(b.peer(), Peer::Closed);
    Ok(())
}

#[test]
fn an_end_goes_through_a_pipe() -> Answer {
    let (out, inside) = Pipe::one_way::<Sender<u64>>()?;
    let (tx, rx) = Pipe::one_way::<u64>()?;
    out.send(&tx)?;
    drop(tx);
    let tx = inside.recv()?;
    tx.send(&5)?;
    assert_eq!(rx.recv()?, 5);
    drop(tx);
    assert!(matches!(rx.recv(), Err(RecvError::Closed)));
    Ok(())
}

#[test]
fn an_end_whose_message_was_refused_is_back() -> Answer {
    let (out, inside) = Pipe::one_way::<Sender<u64>>()?;
    drop(inside);
    let (tx, rx) = Pipe::one_way::<u64>()?;
    assert!(matches!(out.send(&tx), Err(SendError::Closed)));
    assert!(tx.is_owned() && tx.take_back());
    tx.send(&1)?;
    assert_eq!(rx.recv()?, 1);
    Ok(())
}

#[test]
fn an_end_whose_message_and_handles_are_gone_is_closed() -> Answer {
    let (tx, rx) = Pipe::one_way::<u64>()?;
    let mut bytes = Vec::new();
    let sent = encode(&tx, &mut bytes)?;
    assert!(matches!(tx.send(&1), Err(SendError::NotOwned)));
    drop(tx);
    sent.take_back();
    drop(sent);
    assert!(matches!(rx.recv(), Err(RecvError::Closed)));
    Ok(())
}

#[test]
fn half_of_an_end_is_not_sent() -> Answer {
    let (a, _b) = Pipe::<u64, u64>::new()?;
    let (tx, _rx) = a.split();
    let mut bytes = Vec::new();
    assert!(encode(&tx, &mut bytes).is_err());
    assert!(tx.is_owned());
    Ok(())
}

#[test]
fn threads_share_an_end_and_nothing_mixes() -> Answer {
    const THREADS: u64 = 3;
    const ITEMS: u64 = 2000;
    let (tx, rx) = Pipe::<()>::options().capacity(256).one_way::<(u64, Vec<u64>)>()?;
    let mut seen = vec![Vec::new(); 3];
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let tx = &tx;
            scope.spawn(move || {
                for item in 0..ITEMS {
                    let length = usize::try_from(item % 60).unwrap_or(0);
                    tx.send(&(thread, vec![item; length]))
                        .unwrap_or_else(|error| panic!("{error}"));
                }
            });
        }
        let (out, all) = mpsc::channel();
        for _ in 0..2 {
            let (rx, out) = (&rx, out.clone());
            scope.spawn(move || {
                while let Ok(item) = rx.recv() {
                    let last = item.1.len() == 1 && item.1[0] == u64::MAX;
                    if last || out.send(item).is_err() {
                        break;
                    }
                }
            });
        }
        drop(out);
        for (thread, items) in all.iter().take(usize::try_from(THREADS * ITEMS).unwrap_or(0)) {
            let list: &mut Vec<_> = &mut seen[usize::try_from(thread).unwrap_or(0)];
            assert!(items.iter().all(|item| *item == items[0]), "torn");
            list.push(items.first().copied().unwrap_or(0));
        }
        (0..2).for_each(|_| drop(tx.send(&(0, vec![u64::MAX]))));
    });
    assert!(seen.iter().all(|list| list.len() as u64 == ITEMS));
    Ok(())
}

#[test]
fn a_fast_thread_and_others_take_turns() -> Answer {
    const ITEMS: u64 = 20_000;
    let (tx, rx) = Pipe::one_way::<u64>()?;
    let sum = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..ITEMS).for_each(|item| drop(tx.send(&item))));
        }
        (0..2 * ITEMS).map(|_| rx.recv().unwrap_or(u64::MAX)).sum::<u64>()
    });
    assert_eq!(sum, ITEMS * (ITEMS - 1));
    Ok(())
}

#[test]
fn pipes_are_waited_for_together_and_the_closed_one_leaves() -> Answer {
    let pipes: Vec<_> = (0..4).map(|_| Pipe::one_way::<u64>()).collect::<Result<_, _>>()?;
    let (senders, mut open): (Vec<_>, Vec<_>) = pipes.into_iter().unzip();
    let sending = thread::spawn(move || {
        for (sender, tx) in (0..).zip(senders) {
            (0..10).for_each(|item| drop(tx.send(&(sender * 100 + item))));
        }
    });
    let mut all = Vec::new();
    while !open.is_empty() {
        let items = open.iter().map(|rx| rx as &dyn Waitable);
        let ready = wait_any(&items.collect::<Vec<_>>(), None)?;
        for at in ready.into_iter().rev() {
            match open[at].try_recv() {
                Ok(item) => all.push(item),
                Err(TryRecvError::Closed) => drop(open.remove(at)),
                Err(TryRecvError::Empty) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    all.sort_unstable();
    assert_eq!(all, (0..4).flat_map(|s| (0..10).map(move |i| s * 100 + i)).collect::<Vec<u64>>());
    sending.join().map_err(|_| "the sender panicked")?;
    Ok(())
}

#[test]
fn a_long_message_is_ready_when_the_last_part_has_come() -> Answer {
    let (tx, rx) = Pipe::<()>::options().capacity(64).one_way::<Vec<u8>>()?;
    let sending = thread::spawn(move || tx.send(&vec![1; 5000]));
    assert_eq!(wait_any(&[&rx], None)?, [0]);
    assert_eq!(rx.try_recv()?.len(), 5000);
    sending.join().map_err(|_| "the sender panicked")??;
    Ok(())
}

#[test]
fn a_descriptor_tells_of_a_message_and_of_the_end() -> Answer {
    let (tx, rx) = Pipe::one_way::<u64>()?;
    let fd = WaitFd::new(rx.items())?;
    let readable = |patience| poll::readable(&fd, Some(Deadline::after(patience)));
    assert!(!readable(Duration::ZERO)?);
    tx.send(&1)?;
    assert!(readable(MINUTE)?);
    assert_eq!(rx.try_recv()?, 1);
    fd.rearm();
    assert!(!readable(Duration::ZERO)?);
    drop(tx);
    assert!(readable(MINUTE)?);
    assert!(matches!(rx.try_recv(), Err(TryRecvError::Closed)));
    Ok(())
}

#[test]
fn asking_for_room_writes_nothing() -> Answer {
    let (mut tx, rx) = Pipe::<()>::options().capacity(64).one_way::<()>()?;
    // The room up to the ring's end is too short for the longest message, so there would be a pad.
    tx.send_bytes(&[1; 24])?;
    tx.send_bytes(&[2; 8])?;
    assert_eq!((rx.recv_bytes()?.len(), rx.recv_bytes()?.len()), (24, 8));
    let mut place = tx.reserve(0)?;
    let word = place.as_mut_ptr().as_ptr().cast::<[u8; 8]>().wrapping_sub(1);
    drop(place);
    // SAFETY: the word that a record has before its payload, which nobody writes to now.
    let before = unsafe { word.read() };
    assert_eq!(wait_any(&[&tx.space_for(24)], None)?, [0]);
    // SAFETY: as above.
    assert_eq!(unsafe { word.read() }, before);
    Ok(())
}

/// Nothing more comes, though the other end is there.
fn is_at_its_end(end: &PipeEnd<u64, u64>) {
    assert!(matches!(end.peer(), Peer::Present(_)));
    assert!(matches!(end.recv(), Err(RecvError::Closed)));
    assert!(matches!(end.try_recv(), Err(TryRecvError::Closed)));
    assert!(end.poll(None) && end.is_ready(Look::Quick));
}

#[test]
fn one_direction_ends_and_the_other_goes_on() -> Answer {
    let (a, b) = Pipe::<u64, u64>::new()?;
    a.send(&1)?;
    a.close_send();
    a.close_send();
    assert!(a.is_owned());
    assert!(matches!(a.send(&2), Err(SendError::NotOwned)));
    assert!(matches!(a.try_send(&2), Err(TrySendError::NotOwned)));
    assert!(matches!(a.send_bytes(b"2"), Err(SendError::NotOwned)));
    assert!(a.space().is_ready(Look::Quick), "so that who waits for it finds out");
    assert_eq!(b.recv()?, 1);
    is_at_its_end(&b);
    for number in 0..3 {
        b.send(&number)?;
        assert_eq!(a.recv()?, number);
    }
    b.close_send();
    assert!(matches!(a.recv(), Err(RecvError::Closed)));
    drop(a);
    assert_eq!(b.peer(), Peer::Closed);
    Ok(())
}

#[test]
fn who_waits_hears_that_no_more_is_sent() -> Answer {
    let (a, b) = Pipe::<u64, u64>::options().capacity(64).pair()?;
    thread::scope(|scope| {
        let receiving = scope.spawn(|| b.recv());
        a.close_send();
        assert!(receiving.join().is_ok_and(|got| matches!(got, Err(RecvError::Closed))));
        // And a thread of this side, which waits for room.
        while b.try_send(&1).is_ok() {}
        let sending = scope.spawn(|| b.send(&2));
        b.close_send();
        assert!(sending.join().is_ok_and(|sent| matches!(sent, Err(SendError::NotOwned))));
    });
    let all: Result<Vec<_>, _> = a.iter().collect();
    assert!(all?.iter().all(|&number| number == 1));
    Ok(())
}

#[test]
fn dropping_the_sending_half_ends_its_direction() -> Answer {
    let (a, b) = Pipe::<u64, u64>::new()?;
    let (tx, rx) = a.split();
    tx.send(&1)?;
    drop(tx);
    assert_eq!(b.iter().collect::<Result<Vec<_>, _>>()?, [1]);
    b.send(&2)?;
    assert_eq!(rx.recv()?, 2);
    // The other way round nothing ends: what comes may still be answered.
    let (_tx, rx) = b.split();
    drop(rx);
    Ok(())
}

#[test]
fn that_no_more_is_sent_goes_along_with_the_end() -> Answer {
    let segment = Segment::anonymous(1 << 20)?;
    let pipe = Pipe::<u64, u64>::closed_in(&segment)?;
    let (a, b) = (pipe.first()?, pipe.second()?);
    a.close_send();
    let mut bytes = Vec::new();
    let sent = encode(&a, &mut bytes)?;
    assert!(matches!(b.recv(), Err(RecvError::Closed)));
    // Refused, and so back here.
    sent.take_back();
    assert!(a.is_owned() && matches!(a.send(&1), Err(SendError::NotOwned)));
    let a = moved(&a)?;
    assert!(a.is_owned() && matches!(a.send(&1), Err(SendError::NotOwned)));
    b.send(&1)?;
    assert_eq!(a.recv()?, 1);
    drop(a);
    // A successor begins anew.
    let a = pipe.first()?;
    a.send(&2)?;
    assert_eq!(b.recv()?, 2);
    Ok(())
}
