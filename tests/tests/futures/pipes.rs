//! Pipes between a task and a process that blocks, or dies.

use std::io::ErrorKind;

use crossproc::{Pipe, Queue, RecvError, SendError, spawn};
use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{kill, one_thread, stand_still, threads};

#[test]
fn a_task_asks_a_process_that_blocks() {
    for runtime in [one_thread(), threads()] {
        let (mut ours, theirs) = Pipe::<String, usize>::new().unwrap();
        let child = spawn((theirs,), |end| {
            while let Ok(text) = end.recv() {
                end.send(&text.len()).unwrap();
            }
        });
        runtime.block_on(async {
            for length in (0..300_000).step_by(9973) {
                ours.send_async(&"x".repeat(length)).await.unwrap();
                assert_eq!(ours.recv_async().await.unwrap(), length);
            }
        });
        drop(ours);
        child.unwrap().join().unwrap();
    }
}

#[test]
fn a_stream_ends_when_the_sender_is_killed() {
    let (tx, rx) = Pipe::one_way::<u64>().unwrap();
    let child = spawn((tx,), |tx| {
        tx.send(&1).unwrap();
        stand_still();
    });
    let mut stream = rx.into_stream();
    one_thread().block_on(async {
        assert_eq!(stream.next().await.unwrap().unwrap(), 1);
        let (next, ()) = tokio::join!(stream.next(), async { kill(child.unwrap()) });
        assert!(next.is_none());
        assert!(matches!(stream.into_inner().recv_async().await, Err(RecvError::Closed)));
    });
}

#[test]
fn a_send_that_waits_for_room_fails_when_the_receiver_is_killed() {
    let (mut tx, rx) = Pipe::<Vec<u8>>::options().capacity(256).one_way::<Vec<u8>>().unwrap();
    let child = spawn((rx,), |_rx| stand_still());
    let long = vec![7; 10_000];
    one_thread().block_on(async {
        let (sent, ()) = tokio::join!(tx.send_async(&long), async { kill(child.unwrap()) });
        assert!(matches!(sent, Err(SendError::Closed)));
    });
}

#[test]
fn a_reader_tells_a_writer_that_was_done_from_one_that_was_killed() {
    for is_done in [true, false] {
        let (tx, rx) = Pipe::one_way::<()>().unwrap();
        let written = Queue::<()>::bounded(1).unwrap();
        let child = spawn((tx, is_done, written.clone()), |tx, is_done, written| {
            one_thread().block_on(async {
                let mut writer = tx.into_writer();
                writer.write_all(&[7; 100_000]).await.unwrap();
                if is_done {
                    writer.shutdown().await.unwrap();
                }
                written.put(()).unwrap();
                stand_still();
            });
        });
        one_thread().block_on(async {
            let mut reader = rx.into_reader();
            let mut all = vec![0; 100_000];
            reader.read_exact(&mut all).await.unwrap();
            assert!(all == [7; 100_000]);
            written.get_async().await.unwrap();
            let killing = async { kill(child.unwrap()) };
            let (end, ()) = tokio::join!(reader.read(&mut all), killing);
            match end {
                Ok(0) => assert!(is_done),
                Err(error) => assert!(!is_done && error.kind() == ErrorKind::ConnectionReset),
                Ok(more) => panic!("{more} bytes that nobody wrote"),
            }
        });
    }
}
