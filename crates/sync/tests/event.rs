//! One process: the forms of waiting, pulses, names, tickets, words written over.
#![cfg(not(crossproc_loom))]

use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::{AtomicBool, AtomicU32};

use crossproc_segment::wait::wait_any;
use crossproc_segment::{Error, Segment, Shape, transit};
use crossproc_sync::{Deadline, Event};

/// Waits until somebody is asleep on the event, or about to be.
fn until_waited_for(event: &Event) {
    while !format!("{event:?}").contains("with waiters") {
        thread::yield_now();
    }
}

#[test]
fn a_set_lets_all_through_who_wait_and_all_who_come_later() {
    let event = Event::new().unwrap();
    let news = AtomicU32::new(0);
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..5)
            .map(|_| {
                scope.spawn(|| {
                    event.wait();
                    news.load(Relaxed)
                })
            })
            .collect();
        until_waited_for(&event);
        news.store(7, Relaxed);
        event.set();
        assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap() == 7));
    });
    event.wait();
    assert!(event.wait_timeout(Duration::ZERO));
    assert!(event.is_set());
}

/// Whether the thread `tid` of this process sleeps.
fn is_asleep(tid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/self/task/{tid}/stat")).expect("a thread of ours");
    let (_, after_name) = stat.rsplit_once(") ").expect("a name");
    after_name.starts_with('S')
}

#[test]
fn one_set_and_a_clear_right_after_it_let_all_through_who_sleep() {
    let event = Event::new().unwrap();
    for _ in 0..50 {
        thread::scope(|scope| {
            let (says, hears) = mpsc::channel();
            let waits: [fn(&Event) -> bool; 3] = [
                |event| {
                    event.wait();
                    true
                },
                |event| event.wait_timeout(Duration::from_secs(60)),
                |event| event.wait_deadline(Deadline::after(Duration::from_secs(60))),
            ];
            let waiters = waits.map(|wait| {
                let (event, says) = (&event, says.clone());
                scope.spawn(move || {
                    // SAFETY: a question about the calling thread.
                    says.send(unsafe { libc::gettid() }).unwrap();
                    wait(event)
                })
            });
            for _ in &waiters {
                let tid = hears.recv().unwrap();
                while !is_asleep(tid) {
                    thread::yield_now();
                }
            }
            event.set();
            event.clear();
            assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap()));
        });
    }
}

#[test]
fn one_pulse_is_enough_for_one_who_sleeps() {
    let event = Event::new().unwrap();
    for _ in 0..500 {
        thread::scope(|scope| {
            let waiter = scope.spawn(|| event.wait());
            until_waited_for(&event);
            event.set();
            event.clear();
            waiter.join().unwrap();
        });
    }
}

#[test]
fn time_runs_out_only_while_it_is_clear() {
    let event = Event::new().unwrap();
    let past = Deadline::from_nanos(1);
    assert!(!event.wait_deadline(past));
    assert!(!event.wait_timeout(Duration::from_millis(30)));
    event.set();
    assert!(event.wait_deadline(past));
    event.clear();
    assert!(!event.wait_timeout(Duration::ZERO));
}

#[test]
fn a_set_and_a_clear_that_race_lose_no_news() {
    // The consumer clears and then looks; whoever is not seen then has set it again.
    const ROUNDS: u32 = 20_000;
    let event = Event::new().unwrap();
    let told: [AtomicU32; 2] = Default::default();
    thread::scope(|scope| {
        for told in &told {
            let event = &event;
            scope.spawn(move || {
                for round in 1..=ROUNDS {
                    told.store(round, Relaxed);
                    event.set();
                }
            });
        }
        while told.iter().any(|told| told.load(Relaxed) < ROUNDS) {
            event.wait();
            event.clear();
        }
    });
}

#[test]
fn two_events_make_a_handshake() {
    let (ping, pong) = (Event::new().unwrap(), Event::new().unwrap());
    let (theirs, count) = ((ping.clone(), pong.clone()), AtomicU32::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2_000 {
                theirs.0.wait();
                theirs.0.clear();
                count.store(count.load(Relaxed) + 1, Relaxed);
                theirs.1.set();
            }
        });
        for round in 1..=2_000 {
            ping.set();
            pong.wait();
            pong.clear();
            assert_eq!(count.load(Relaxed), round);
        }
    });
}

#[test]
fn waiters_that_gave_up_cost_one_wake_and_nothing_else() {
    let event = Event::new().unwrap();
    assert!(!event.wait_timeout(Duration::from_millis(1)));
    until_waited_for(&event);
    event.set();
    event.clear();
    assert_eq!(format!("{event:?}"), "Event { name: None, state: clear, cleared 1 times }");
}

#[test]
fn an_event_is_one_of_several_things_that_can_be_waited_for() {
    let (one, two) = (Event::new().unwrap(), Event::new().unwrap());
    assert_eq!(wait_any(&[&one, &two], Duration::from_millis(1)), Ok(vec![]));
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait_any(&[&one, &two], None));
        until_waited_for(&two);
        two.set();
        assert_eq!(waiter.join().unwrap(), Ok(vec![1]));
    });
    one.set();
    assert_eq!(wait_any(&[&one, &two], None), Ok(vec![0, 1]));
}

#[test]
fn names_are_checked_for_kind() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    segment.construct(Some("other"), &Shape::untyped("other", 1), 64, |_| {}).unwrap();
    Event::create(&segment, "ready").unwrap();
    assert!(matches!(Event::create(&segment, "ready"), Err(Error::Exists { .. })));
    assert!(matches!(Event::open(&segment, "never"), Err(Error::NotFound { .. })));
    assert!(matches!(Event::open(&segment, "other"), Err(Error::Kind { .. })));
    Event::open_or_create(&segment, "never").unwrap().set();
    assert!(Event::open(&segment, "never").unwrap().is_set());
}

#[test]
fn a_word_that_was_written_over_is_a_set_or_a_clear_event_and_hangs_nobody() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    let event = Event::create(&segment, "ready").unwrap();
    let object = segment.find("ready", &Shape::untyped("event", 1)).unwrap();
    // SAFETY: the event's word is at the beginning of its body.
    let word = unsafe { object.body().cast::<AtomicU32>().as_ref() };
    for bad in [u32::MAX, 1 << 31 | 1 << 30, 1 << 30 | 5, (1 << 30) - 1, 1 << 30] {
        word.store(bad, SeqCst);
        assert_eq!(event.is_set(), bad >> 31 == 1);
        event.set();
        assert!(event.is_set());
        event.wait();
        event.clear();
        assert!(!event.is_set());
        assert!(!event.wait_timeout(Duration::from_millis(1)));
    }
    // A sleeper whose word was written over looks when its slice ends.
    word.store(0, SeqCst);
    let came = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            event.wait();
            came.store(true, SeqCst);
        });
        until_waited_for(&event);
        word.store(1 << 31, SeqCst);
    });
    assert!(came.load(SeqCst));
}

#[test]
fn a_ticket_leads_to_the_same_event_and_is_only_made_on_the_way_to_another_process() {
    let event = Event::new().unwrap();
    assert!(serde_json::to_string(&event).is_err());
    let (ticket, sent) = transit::sending(|| serde_json::to_string(&event).unwrap());
    let same: Event = transit::receiving(sent.segments, || serde_json::from_str(&ticket).unwrap());
    event.set();
    assert!(same.is_set());
    assert!(serde_json::from_str::<Event>(&ticket).is_err());
}

#[test]
fn debug_tells_the_state() {
    let event = Event::create(&Segment::anonymous(1 << 16).unwrap(), "ready").unwrap();
    let clear = r#"Event { name: Some("ready"), state: clear, cleared 0 times }"#;
    assert_eq!(format!("{event:?}"), clear);
    event.set();
    let set = r#"Event { name: Some("ready"), state: set, cleared 0 times }"#;
    assert_eq!(format!("{event:?}"), set);
}
