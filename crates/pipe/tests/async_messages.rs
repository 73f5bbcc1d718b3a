//! Futures, streams, sinks and bytes over a pipe, in one process.
#![cfg(not(crossproc_loom))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use crossproc_pipe::future::RecvItem;
use crossproc_pipe::{Pipe, Receiver, RecvError, SendError, Sender};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _, TryStreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::{Builder, Runtime};

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

fn threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(3).enable_time().build().unwrap()
}

fn pipe<T: crossproc_message::Message>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    Pipe::<T>::options().capacity(capacity).one_way::<T>().unwrap()
}

/// Counts how often it was woken.
#[derive(Default)]
struct Bell(AtomicU32);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll<T: crossproc_message::Message>(
    future: &mut RecvItem<'_, T>,
    bell: &Arc<Bell>,
) -> Poll<Result<T, RecvError>> {
    future.poll_unpin(&mut Context::from_waker(&Waker::from(Arc::clone(bell))))
}

#[test]
fn futures_at_one_end_meet_a_thread_that_blocks_at_the_other() {
    for runtime in [one_thread(), threads()] {
        let (a, b) = Pipe::<u64, u64>::options().capacity(64).pair().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                while let Ok(item) = b.recv() {
                    b.send(&(item + 1)).unwrap();
                }
            });
            let mut a = a;
            runtime.block_on(async {
                for item in 0..2000 {
                    a.send_async(&item).await.unwrap();
                    assert_eq!(a.recv_async().await.unwrap(), item + 1);
                }
            });
        });
    }
}

#[test]
fn messages_of_any_length_go_both_ways_at_once() {
    let runtime = one_thread();
    let (mut a, mut b) = Pipe::<String, String>::options().capacity(1024).pair().unwrap();
    let texts: Vec<String> = (0..60).map(|n| "x".repeat(n * n)).collect();
    let exchange = async |end: &mut crossproc_pipe::PipeEnd<String, String>| {
        let (tx, rx) = end.halves();
        let send = async {
            for text in &texts {
                tx.send_async(text).await.unwrap();
            }
        };
        let recv = async {
            for text in &texts {
                assert_eq!(&rx.recv_async().await.unwrap(), text);
            }
        };
        tokio::join!(send, recv);
    };
    runtime.block_on(async { tokio::join!(exchange(&mut a), exchange(&mut b)) });
}

/// Each task does one after the other; and so does a thread that blocks at the other end.
#[test]
fn two_that_send_a_long_message_before_they_receive_get_along() {
    let text = |n: usize| "x".repeat(20_000 + n);
    let exchange = async |end: &mut crossproc_pipe::PipeEnd<String, String>| {
        for n in 0..3 {
            end.send_async(&text(n)).await.unwrap();
            assert!(end.recv_async().await.unwrap() == text(n));
        }
    };
    let pair = || Pipe::<String, String>::options().capacity(1024).pair().unwrap();
    let (mut a, mut b) = pair();
    one_thread().block_on(async { tokio::join!(exchange(&mut a), exchange(&mut b)) });

    let (mut a, b) = pair();
    let blocking = thread::spawn(move || {
        for n in 0..3 {
            b.send(&text(n)).unwrap();
            assert!(b.recv().unwrap() == text(n));
        }
    });
    one_thread().block_on(exchange(&mut a));
    blocking.join().unwrap();
}

#[test]
fn a_send_that_is_dropped_half_way_was_not_made() {
    let (mut tx, rx) = pipe::<String>(256);
    let long = "long".repeat(1000);
    for steps in 0..10 {
        let mut send = tx.send_async(&long);
        for _ in 0..steps {
            assert!((&mut send).now_or_never().is_none());
            // What has come of it is in the receiver's hand then.
            assert!(rx.recv_async().now_or_never().is_none());
        }
        assert!((&mut send).now_or_never().is_none());
        drop(send);
        one_thread().block_on(async {
            let short = "short".to_owned();
            let (sent, got) = tokio::join!(tx.send_async(&short), rx.recv_async());
            sent.unwrap();
            assert_eq!(got.unwrap(), "short");
        });
    }
}

#[test]
fn a_receive_that_is_dropped_takes_nothing_with_it() {
    let (tx, rx) = pipe::<u64>(64);
    threads().block_on(async {
        let sending = thread::spawn(move || (0..3000).for_each(|item| tx.send(&item).unwrap()));
        let mut got = Vec::new();
        let mut micros = 0;
        while got.last() != Some(&2999) {
            micros = (micros + 7) % 130;
            tokio::select! {
                item = rx.recv_async() => got.push(item.unwrap()),
                item = rx.recv_async() => got.push(item.unwrap()),
                () = tokio::time::sleep(Duration::from_micros(micros)) => {}
            }
        }
        assert!(got.into_iter().eq(0..3000));
        sending.join().unwrap();
    });
}

#[test]
fn several_futures_at_one_receiver_get_a_message_each() {
    let (tx, rx) = pipe::<u64>(4096);
    let bell = Arc::new(Bell::default());
    let mut futures: Vec<_> = (0..50).map(|_| rx.recv_async()).collect();
    assert!(futures.iter_mut().all(|future| poll(future, &bell).is_pending()));
    (0..50).for_each(|item| tx.send(&item).unwrap());
    for (count, future) in (1..).zip(&mut futures) {
        while bell.0.load(SeqCst) < count {
            thread::yield_now();
        }
        let Poll::Ready(Ok(item)) = poll(future, &bell) else { panic!("it was its turn") };
        assert_eq!(item, u64::from(count) - 1);
    }
}

#[test]
fn a_stream_ends_and_a_sink_fails_when_the_other_end_is_closed() {
    one_thread().block_on(async {
        let (tx, rx) = pipe::<u64>(64);
        let mut sink = tx.into_sink();
        let receiving = tokio::spawn(rx.into_stream().try_collect::<Vec<_>>());
        for item in 0..100 {
            sink.feed(item).await.unwrap();
        }
        sink.close().await.unwrap();
        assert!(receiving.await.unwrap().unwrap().into_iter().eq(0..100));

        let (tx, rx) = pipe::<u64>(64);
        let mut sink = tx.into_sink();
        let mut stream = rx.into_stream();
        assert!(stream.next().now_or_never().is_none());
        let sending = tokio::spawn(async move {
            loop {
                if let Err(error) = sink.send(1).await {
                    return error;
                }
            }
        });
        assert_eq!(stream.next().await.unwrap().unwrap(), 1);
        // The end closes with it, though futures waited at it.
        drop(stream);
        assert!(matches!(sending.await.unwrap(), SendError::Closed));
    });
}

#[test]
fn an_end_that_is_closed_here_ends_what_waits_at_it() {
    one_thread().block_on(async {
        let (a, _b) = Pipe::<u64, u64>::new().unwrap();
        let waits = tokio::join!(a.recv_async(), async { a.close() }).0;
        assert!(matches!(waits, Err(RecvError::NotOwned)));
    });
}

#[test]
fn bytes_come_as_they_were_written_whatever_the_pieces() {
    for runtime in [one_thread(), threads()] {
        runtime.block_on(async {
            let (a, b) = Pipe::<(), ()>::options().capacity(1024).pair().unwrap();
            let (a, mut b) = (a.into_byte_stream(), b.into_byte_stream());
            let sent: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
            let echo = tokio::spawn(async move {
                let (mut reader, mut writer) = tokio::io::split(a);
                let copied = tokio::io::copy(&mut reader, &mut writer).await.unwrap();
                writer.shutdown().await.unwrap();
                copied
            });
            let (mut reader, mut writer) = tokio::io::split(&mut b);
            let mut got = Vec::new();
            let write = async {
                for piece in sent.chunks(777) {
                    writer.write_all(piece).await.unwrap();
                }
                writer.shutdown().await.unwrap();
            };
            tokio::join!(write, async { reader.read_to_end(&mut got).await.unwrap() });
            assert!(got == sent);
            assert_eq!(echo.await.unwrap(), 100_000);
            drop((reader, writer));
            assert_eq!(b.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        });
    }
}

#[test]
fn a_writer_whose_reader_is_gone_is_told() {
    one_thread().block_on(async {
        let (tx, rx) = pipe::<()>(256);
        let mut writer = tx.into_writer();
        drop(rx.into_reader());
        let error = writer.write_all(b"bytes").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        writer.shutdown().await.unwrap();
    });
}
