//! Items written and read where they lie.
#![cfg(not(crossproc_loom))]

use std::thread;
use std::time::Duration;

use crossproc_message::Pod;
use crossproc_queue::{GetError, PutError, Queue, TryGetError, TryPutError};
use crossproc_segment::Segment;

const AT_ONCE: Duration = Duration::from_millis(1);

#[derive(Pod, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Frame {
    number: u64,
    pixels: [u8; 4096],
}

#[test]
fn what_is_written_in_place_is_what_get_brings() {
    let queue = Queue::<Frame>::bounded(2).unwrap();
    let mut place = queue.reserve().unwrap();
    // SAFETY: nobody else writes there.
    let frame = unsafe { place.as_mut() };
    (frame.number, frame.pixels) = (7, [9; 4096]);
    place.commit().unwrap();
    assert_eq!(queue.get().unwrap(), Frame { number: 7, pixels: [9; 4096] });

    let small = Queue::<[u32; 4]>::bounded(2).unwrap();
    let mut place = small.try_reserve().unwrap();
    place.write(&[1, 2, 3, 4]);
    place.commit().unwrap();
    assert_eq!(small.try_get_ref().unwrap().read(), [1, 2, 3, 4]);
    assert_eq!(small.get().unwrap(), [1, 2, 3, 4]);
}

#[test]
fn a_place_that_is_dropped_is_an_item_never_put() {
    let queue = Queue::<Frame>::bounded(2).unwrap();
    drop(queue.reserve().unwrap());
    // The one that was dropped is the oldest, so its place is free again.
    let (mut place, other) = (queue.reserve().unwrap(), queue.try_reserve().unwrap());
    assert!(matches!(queue.try_reserve(), Err(TryPutError::Full(()))));
    assert!(matches!(queue.reserve_timeout(AT_ONCE), Err(TryPutError::Full(()))));
    place.write(&Frame { number: 1, pixels: [0; 4096] });
    place.commit().unwrap();
    drop(other);
    assert_eq!(queue.get().unwrap().number, 1);
    assert!(queue.is_empty());
    queue.close();
    assert!(matches!(queue.reserve(), Err(PutError::Closed(()))));
    assert!(matches!(queue.get_ref(), Err(GetError::Closed)));
}

#[test]
fn an_item_that_is_not_released_stays_first_and_others_wait_for_it() {
    let queue = Queue::<Frame>::bounded(3).unwrap();
    for number in [1, 2] {
        queue.put(Frame { number, pixels: [0; 4096] }).unwrap();
    }
    let item = queue.get_ref().unwrap();
    assert!(matches!(queue.try_get(), Err(TryGetError::Empty)));
    assert!(matches!(queue.get_ref_timeout(AT_ONCE), Err(TryGetError::Empty)));
    thread::scope(|scope| {
        let waiter = scope.spawn(|| queue.get().unwrap().number);
        assert_eq!(item.read().number, 1);
        drop(item);
        assert_eq!(waiter.join().unwrap(), 1);
    });
    queue.get_ref().unwrap().release().unwrap();
    assert!(queue.is_empty());
}

#[test]
fn bytes_of_every_length_are_written_and_read_in_place() {
    let queue = Queue::<Vec<u8>>::bounded(2).unwrap();
    for len in [0, 1, 95, 96, 97, 4096, 1 << 20] {
        let bytes: Vec<u8> = (0..=250).cycle().take(len).collect();
        let mut room = queue.reserve_bytes(len + 10).unwrap();
        room.write_at(0, &bytes);
        room.commit_first(len).unwrap();
        queue.put(bytes.clone()).unwrap();
        assert_eq!(queue.peek().unwrap(), bytes);
        assert_eq!(queue.get().unwrap(), bytes);
        let item = queue.get_bytes_ref().unwrap();
        assert_eq!((item.len(), item.to_vec()), (len, bytes.clone()));
        // SAFETY: nobody writes there.
        assert_eq!(unsafe { item.as_slice() }, bytes);
        let mut last = vec![0; len / 2];
        item.read_at(len - len / 2, &mut last);
        assert_eq!(last, bytes[len - len / 2..]);
        item.release().unwrap();
    }
    assert!(queue.is_empty());
}

#[test]
fn bytes_that_are_given_up_leave_no_memory_behind() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let queue = Queue::<Vec<u8>>::create(&segment, "bytes", 2).unwrap();
    for _ in 0..100 {
        drop(queue.reserve_bytes(300_000).unwrap());
        let mut room = queue.reserve_bytes(300_000).unwrap();
        // SAFETY: nobody else writes there.
        unsafe { room.as_mut_slice() }.fill(1);
        room.commit().unwrap();
        drop(queue.get_bytes_ref().unwrap());
        queue.get_bytes_ref().unwrap().release().unwrap();
    }
    let refused = queue.reserve_bytes(2 << 20).unwrap_err();
    assert!(matches!(refused, PutError::OutOfMemory { .. }), "{refused}");
    assert!(matches!(queue.reserve_bytes(usize::MAX), Err(PutError::TooLarge { .. })));
    assert!(queue.is_empty());
}
