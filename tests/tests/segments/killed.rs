//! Processes that are killed while they make segments and objects.

use crossproc::crates::segment::{Error, Shape};
use crossproc::{JoinError, JoinHandle, Queue, Segment, spawn};
use tests::dice::Dice;
use tests::outside::{until, until_asleep};
use tests::traces::{own_name, own_names};

fn kill(process: JoinHandle<()>) {
    process.kill().unwrap();
    assert!(matches!(process.join(), Err(JoinError::Signalled { signal: 9, .. })));
}

#[test]
fn a_killed_maker_leaves_whole_segments_only() {
    let name = own_name("whole");
    let mine = || own_names().into_iter().filter(|name| name.contains("whole"));
    let mut dice = Dice::new(1);
    for round in 0..15 {
        let maker = spawn((format!("{name}{round}-"),), |name| {
            for n in 0u64.. {
                drop(Segment::create(&format!("{name}{n}"), 1 << 16).unwrap());
            }
        });
        let goal = 1 + usize::try_from(dice.roll(20)).unwrap();
        until("some are made", || mine().count() >= goal);
        dice.dither();
        kill(maker.unwrap());
        for file in mine() {
            let name = file.strip_prefix("crossproc.").unwrap();
            let segment = Segment::open(name).unwrap();
            assert!(segment.construct(Some("x"), &shape(), 100, |_| {}).is_ok());
            Segment::unlink(name).unwrap();
        }
    }
}

fn shape() -> Shape {
    Shape::untyped("test", 1)
}

/// Begins to make an object, says so, and never ends.
fn begin(segment: Segment, begun: Queue<()>) {
    let never = |_| {
        begun.put(()).unwrap();
        loop {
            std::thread::park();
        }
    };
    drop(segment.construct(Some("x"), &shape(), 300 << 10, never));
}

#[test]
fn an_object_whose_maker_was_killed_is_made_by_the_next() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let begun = Queue::bounded(1).unwrap();
    for _ in 0..5 {
        let maker = spawn((segment.clone(), begun.clone()), begin).unwrap();
        begun.get().unwrap();
        // While it lives, the object is not there, and its name is not to be had.
        assert!(matches!(segment.find("x", &shape()), Err(Error::NotFound { .. })));
        assert!(segment.objects().is_empty());
        let next = spawn((segment.clone(),), |segment| {
            segment.find_or_construct("x", &shape(), 300 << 10, |_| {}).unwrap().1
        });
        let next = next.unwrap();
        until_asleep(next.pid());
        assert!(next.is_alive());
        kill(maker);
        assert!(next.join().unwrap(), "it was made anew");
        assert!(segment.find("x", &shape()).is_ok());
        segment.remove("x").unwrap();
        // Had the dead kept their memory, there would be no room for the next.
    }
}

/// Makes and removes objects that fill much of the segment.
fn churn(segment: Segment, me: u32, rounds: crossproc::Value<u64>) {
    for n in 0u64.. {
        let name = format!("{me}-{}", n % 3);
        match segment.construct(Some(&name), &shape(), 50 << 10, |_| {}) {
            Ok(object) => drop(object),
            Err(Error::NoRoom { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        let before = format!("{me}-{}", (n + 2) % 3);
        match segment.remove(&before) {
            Ok(()) | Err(Error::NotFound { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        rounds.fetch_add(1);
    }
}

#[test]
fn the_memory_of_killed_makers_comes_back() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let rounds = crossproc::Value::new(0u64).unwrap();
    let mut dice = Dice::new(2);
    let begin = |me: u32| spawn((segment.clone(), me, rounds.clone()), churn).unwrap();
    let mut makers = vec![begin(0), begin(1)];
    for me in 2..42 {
        let goal = rounds.get() + 1 + dice.roll(40);
        until("they make some", || rounds.get() >= goal);
        dice.dither();
        let unlucky = dice.index(&makers);
        kill(makers.swap_remove(unlucky));
        // What the dead left under a name is there, and whole.
        for object in segment.objects() {
            assert_eq!((object.kind.as_str(), object.bytes), ("test", 50 << 10));
        }
        makers.push(begin(me));
    }
    makers.into_iter().for_each(kill);
    for object in segment.objects() {
        segment.remove(&object.name).unwrap();
    }
    let all = segment.construct(Some("all"), &shape(), 900 << 10, |_| {});
    assert!(all.is_ok(), "{}", all.unwrap_err());
}
