//! Ends that go to other processes.

use std::time::Duration;

use crossproc::{
    OneWay, Peer, Pipe, PipeEnd, Queue, Receiver, RecvError, Segment, SendError, Sender,
    TryRecvError, spawn, wait_any,
};
use crossproc_sys::process::exit_now;
use tests::forked::{How, copy};
use tests::outside::until_asleep;

fn echo(end: PipeEnd<String, String>) -> u32 {
    let mut count = 0;
    for item in &end {
        end.send(&item.unwrap()).unwrap();
        count += 1;
    }
    count
}

#[test]
fn an_end_goes_to_a_child_and_everything_comes_back() {
    let (here, there) = Pipe::<String, String>::new().unwrap();
    let child = spawn((there,), echo).unwrap();
    let big = "crossproc ".repeat(1 << 20);
    for text in ["a", "", "some longer text", &big] {
        here.send(&text.to_string()).unwrap();
        assert!(here.recv().unwrap() == text);
    }
    here.close();
    assert_eq!(child.join().unwrap(), 4);
}

#[test]
fn a_parent_and_a_child_that_both_send_much_before_they_receive_get_along() {
    fn exchange(end: PipeEnd<Vec<u8>, Vec<u8>>, mine: u8) -> (usize, u8) {
        end.send(&vec![mine; 5 << 20]).unwrap();
        let got = end.recv().unwrap();
        assert!(got.iter().all(|byte| *byte == got[0]));
        (got.len(), got[0])
    }
    let (here, there) = Pipe::new().unwrap();
    let child = spawn((there, 2), exchange).unwrap();
    assert_eq!(exchange(here, 1), (5 << 20, 2));
    assert_eq!(child.join().unwrap(), (5 << 20, 1));
}

#[test]
fn the_old_handle_of_an_end_that_went_to_a_child_closes_nothing() {
    let (here, there) = Pipe::<String, String>::new().unwrap();
    let child = spawn((there,), echo).unwrap();
    // The handle was dropped by now; the child's is another.
    here.send(&"still there".to_string()).unwrap();
    assert_eq!(here.recv().unwrap(), "still there");
    assert!(matches!(here.peer(), Peer::Present(_)));
    drop(here);
    assert_eq!(child.join().unwrap(), 1);
}

fn take_ends(ends: Queue<Sender<u64>>) {
    for (number, tx) in (0..).zip(ends.iter()) {
        tx.unwrap().send(&number).unwrap();
    }
}

#[test]
fn ends_go_through_a_queue() {
    let ends = Queue::bounded(4).unwrap();
    let child = spawn((ends.clone(),), take_ends).unwrap();
    let receivers: Vec<Receiver<u64>> = (0..4)
        .map(|_| {
            let (tx, rx) = Pipe::one_way().unwrap();
            ends.put(tx).unwrap();
            rx
        })
        .collect();
    for (number, rx) in (0..).zip(&receivers) {
        assert_eq!(rx.recv().unwrap(), number);
        assert!(matches!(rx.recv(), Err(RecvError::Closed)));
    }
    ends.close();
    child.join().unwrap();
}

/// In a process of its own, which has no other threads.
fn forks(how: How) {
    let (a, b) = Pipe::<u64, u64>::new().unwrap();
    a.send(&1).unwrap();
    let Some(copy) = copy(how).unwrap() else {
        let is_refused = !a.is_owned()
            && matches!(a.send(&2), Err(SendError::NotOwned))
            && matches!(b.try_recv(), Err(TryRecvError::NotOwned));
        a.close();
        drop((a, b));
        exit_now(i32::from(!is_refused));
    };
    assert_eq!(copy.wait(), 0);
    b.send(&2).unwrap();
    assert_eq!((b.recv().unwrap(), a.recv().unwrap()), (1, 2));
}

#[test]
fn a_copy_of_the_process_has_no_end_and_closes_none() {
    for how in [How::Fork, How::Clone, How::Clone3] {
        spawn((how,), forks).unwrap().join().unwrap();
    }
}

fn hold(rx: Receiver<u64>, started: Sender<()>) {
    started.send(&()).unwrap();
    // Until it is killed.
    assert!(rx.recv().is_err());
}

#[test]
fn a_sender_waiting_for_room_hears_of_the_receivers_death() {
    let (tx, rx) = Pipe::<()>::options().capacity(64).one_way::<u64>().unwrap();
    let (started, has_started) = Pipe::one_way::<()>().unwrap();
    // The child reads nothing of what comes here: it waits at another pipe.
    let (_keep, other) = Pipe::one_way::<u64>().unwrap();
    let child = spawn((rx, other, started), |rx, other, started| {
        hold(other, started);
        drop::<Receiver<u64>>(rx);
    })
    .unwrap();
    has_started.recv().unwrap();
    while tx.try_send(&1).is_ok() {}
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| tx.send(&2));
        child.kill().unwrap();
        assert!(matches!(sending.join().unwrap(), Err(SendError::Closed)));
    });
    assert_eq!(tx.peer(), Peer::Died);
    assert!(child.join().is_err());
}

#[test]
fn wait_any_hears_of_the_senders_death() {
    let (tx, rx) = Pipe::one_way::<u64>().unwrap();
    let (started, has_started) = Pipe::one_way::<()>().unwrap();
    let (_keep, other) = Pipe::one_way::<u64>().unwrap();
    let child = spawn((tx, other, started), |tx: Sender<u64>, other, started| {
        tx.send(&1).unwrap();
        hold(other, started);
    })
    .unwrap();
    has_started.recv().unwrap();
    assert_eq!(wait_any(&[&rx], None).unwrap(), [0]);
    assert_eq!(rx.try_recv().unwrap(), 1);
    assert!(wait_any(&[&rx], Duration::ZERO).unwrap().is_empty());
    child.kill().unwrap();
    assert_eq!(wait_any(&[&rx], None).unwrap(), [0]);
    assert!(matches!(rx.try_recv(), Err(TryRecvError::Closed)));
    assert!(child.join().is_err());
}

#[test]
fn a_long_message_whose_sender_is_killed_half_way_never_comes() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let pipe = OneWay::<Vec<u8>>::create(&segment, "pipe").unwrap();
    let rx = pipe.receiver().unwrap();
    let child = spawn((pipe.clone(),), |pipe: OneWay<Vec<u8>>| {
        let tx = pipe.sender().unwrap();
        tx.send(&vec![1; 10]).unwrap();
        tx.send(&vec![2; 1 << 20]).unwrap();
    })
    .unwrap();
    assert_eq!(rx.recv().unwrap(), [1; 10]);
    // It fills the pipe and waits for room.
    until_asleep(child.pid());
    child.kill().unwrap();
    assert!(matches!(rx.recv(), Err(RecvError::Closed)));
    assert!(child.join().is_err());
    // The next takes the end, and its message is not mixed with what is left of the other.
    let next = spawn((pipe,), |pipe: OneWay<Vec<u8>>| {
        pipe.sender().unwrap().send(&vec![3; 1 << 20]).unwrap();
    })
    .unwrap();
    loop {
        match rx.recv() {
            Ok(got) => {
                assert!(got.len() == 1 << 20 && got.iter().all(|&byte| byte == 3));
                break;
            }
            Err(RecvError::Closed) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
    next.join().unwrap();
}
