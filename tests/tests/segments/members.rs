//! Who is attached, who lives.

use crossproc::{JoinHandle, Queue, Segment, spawn};
use tests::forked::fork;
use tests::outside::{go_on, stop};

/// Attaches, says under which id, and stays.
fn stay(segment: Segment, ids: Queue<u32>) {
    ids.put(segment.me().get()).unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
fn the_living_are_listed_and_the_dead_are_not_alive() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    let ids = Queue::bounded(4).unwrap();
    let begin = || spawn((segment.clone(), ids.clone()), stay).unwrap();
    let processes: Vec<(JoinHandle<()>, u32)> =
        (0..3).map(|_| begin()).map(|process| (process, ids.get().unwrap())).collect();
    let alive = |id: u32| segment.alive(crossproc::MemberId::new(id).unwrap());
    let listed =
        |pid: u32| segment.members().iter().any(|member| member.pid == pid && member.alive);
    for (process, id) in &processes {
        assert!(alive(*id) && listed(process.pid()));
    }
    stop(processes[0].0.pid());
    assert!(alive(processes[0].1), "a stopped process lives");
    go_on(processes[0].0.pid());
    for (process, id) in processes {
        let pid = process.pid();
        process.kill().unwrap();
        assert!(process.join().is_err());
        assert!(!alive(id) && !listed(pid));
    }
    assert!(segment.alive(segment.me()));
    assert!(listed(std::process::id()));
}

#[test]
fn one_process_is_one_member_and_a_forked_copy_is_another() {
    let outcome = spawn((Segment::anonymous(1 << 16).unwrap(),), |segment| {
        let me = segment.me();
        let thread = segment.clone();
        assert_eq!(std::thread::spawn(move || thread.me()).join().unwrap(), me);
        let copy = fork(|| {
            let mine = segment.me();
            i32::from(!(mine != me && segment.alive(mine) && segment.alive(me)))
        });
        assert_eq!(copy.wait(), 0);
        segment.me() == me
    });
    assert!(outcome.unwrap().join().unwrap());
}

#[test]
fn places_of_the_dead_are_given_to_the_living() {
    // More than the table has places, one after the other.
    const PROCESSES: u32 = 4200;
    let outcome = spawn((Segment::anonymous(1 << 16).unwrap(),), |segment| {
        let ended = (0..PROCESSES).map(|_| fork(|| i32::from(segment.me().get() == 0)).wait());
        assert!(ended.into_iter().all(|code| code == 0));
        let living: Vec<_> = segment.members().into_iter().filter(|member| member.alive).collect();
        living.len()
    });
    assert_eq!(outcome.unwrap().join().unwrap(), 1);
}
