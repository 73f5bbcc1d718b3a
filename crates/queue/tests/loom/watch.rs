//! One who waits at the read end and looks at its place alone, beside those who take from it and fill it.
//!
//! Weakened by hand, once each, and red: the acquire of its look (`of_two_who_watch_..`); the place
//! watched on though its item is gone (`who_watches_sees_..`).

use loom::sync::Arc;

use super::shared::{Shared, id, model, model_within, spawn};

/// Watches for so many looks; what it took.
fn watch(shared: &Shared, looks: u32) -> Option<u64> {
    let (ring, mut payload) = (shared.ring(), [0; 2]);
    let mut watch = ring.watch_head();
    let taken = (0..looks).any(|_| ring.take_words_watched(&mut watch, &mut payload));
    assert!(!taken || payload[1] == payload[0] * 7, "torn");
    taken.then_some(payload[0])
}

fn sorted(shared: &Arc<Shared>, mine: Option<u64>) -> Vec<u64> {
    let mut all: Vec<_> = mine.into_iter().chain(shared.noted()).chain(shared.drain()).collect();
    all.sort_unstable();
    all
}

#[test]
fn what_comes_is_whole_when_it_is_seen() {
    model(|| {
        let shared = Shared::new(1);
        let producer = spawn(&shared, |s| assert!(s.put_once(id(1), 10)));
        let mine = watch(&shared, 3);
        producer.join().unwrap();
        assert_eq!(sorted(&shared, mine), [10]);
        shared.assert_exact_capacity();
    });
}

/// It comes to another place, or a second time to the same.
#[test]
fn who_watches_sees_what_comes_after_an_item_that_another_took() {
    for capacity in [1, 2] {
        model_within(2, move || {
            let shared = Shared::new(capacity);
            let ring = shared.ring();
            let mut watch = ring.watch_head();
            let rival = spawn(&shared, |s| {
                assert!(s.put_once(id(1), 10));
                let taken = s.try_take().ok();
                s.note(taken.into_iter(), false);
                s.put_once(id(1), 11);
            });
            let mut payload = [0; 2];
            let mut look = |mine: &mut Vec<u64>| {
                if ring.take_words_watched(&mut watch, &mut payload) {
                    mine.push(payload[0]);
                    watch = ring.watch_head();
                }
            };
            let mut mine = Vec::new();
            look(&mut mine);
            rival.join().unwrap();
            // Nobody else takes any more: one look finds out where, the next takes it.
            (0..2 * shared.accepted()).for_each(|_| look(&mut mine));
            shared.note(mine.into_iter(), false);
            assert_eq!(shared.ring().len(), 0, "left behind");
            assert_eq!(sorted(&shared, None), [10, 11][..shared.accepted()]);
            shared.assert_exact_capacity();
        });
    }
}

/// Each watched before there was anything.
#[test]
fn of_two_who_watch_one_takes_it() {
    model_within(2, || {
        let shared = Shared::new(2);
        let ring = shared.ring();
        let mut mine = ring.watch_head();
        let rival = spawn(&shared, |s| s.note(watch(s, 2).into_iter(), false));
        assert!(shared.put_once(id(1), 10));
        let mut payload = [0; 2];
        let taken = ring.take_words_watched(&mut mine, &mut payload);
        rival.join().unwrap();
        assert_eq!(sorted(&shared, taken.then_some(payload[0])), [10]);
        shared.assert_exact_capacity();
    });
}
