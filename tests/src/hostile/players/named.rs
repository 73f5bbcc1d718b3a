//! The segment itself: names, members, memory.

use std::hint::black_box;
use std::os::fd::AsFd;

use anyhow::Result;
use crossproc::{Lock, MemberId, Queue, Segment, Value};

use crate::hostile::answer::Answer;
use crate::hostile::hand::{Hand, Play, Primitive};

pub(super) fn primitive() -> Primitive {
    Primitive { name: "segment", attach, die_in: None, keep: None }
}

struct Named {
    segment: Segment,
    word: Value<u16>,
}

fn attach(segment: &Segment) -> Result<Box<dyn Play>> {
    let word = Value::open_or_create(segment, "segment.word", 1u16)?;
    Ok(Box::new(Named { segment: segment.clone(), word }))
}

impl Play for Named {
    fn play(&self, hand: &Hand<'_>) {
        self.lists(hand);
        self.names(hand);
        self.memory(hand);
        hand.timed("attach again", || {
            let fd = self.segment.as_fd().try_clone_to_owned();
            fd.map_err(|_| ()).map_or(Answer::Other, |fd| Segment::from_fd(fd).into())
        });
    }
}

impl Named {
    fn lists(&self, hand: &Hand<'_>) {
        hand.timed("objects", || {
            black_box(self.segment.objects());
        });
        hand.timed("members", || {
            black_box(self.segment.members());
        });
        hand.timed("alive", || {
            let ids = [1, 2, 3, 0x0fff_ffff].into_iter().filter_map(MemberId::new);
            for id in ids {
                black_box(self.segment.alive(id));
            }
        });
        hand.timed("Debug", || drop(format!("{:?}", self.segment)));
    }

    fn names(&self, hand: &Hand<'_>) {
        let segment = &self.segment;
        hand.waits("create, open, remove, open", || {
            let made = Value::create(segment, "segment.made", 4u32);
            hand.point();
            let opened = Value::<u32>::open(segment, "segment.made");
            let removed = segment.remove("segment.made");
            drop((made, opened));
            drop(Value::<u32>::open(segment, "segment.made"));
            Answer::from(removed)
        });
        hand.timed("open another kind", || Lock::open(segment, "segment.word"));
        hand.timed("open another type", || Value::<u32>::open(segment, "segment.word"));
        hand.timed("remove what is not there", || segment.remove("segment.nothing"));
        hand.timed("get", || {
            black_box(self.word.get());
        });
    }

    fn memory(&self, hand: &Hand<'_>) {
        let segment = &self.segment;
        hand.timed("alloc, free", || {
            let blocks = segment.blocks();
            let taken: Vec<_> =
                [1, 64, 200, 4096, 9000].iter().filter_map(|&bytes| blocks.alloc(bytes)).collect();
            hand.point();
            for block in taken {
                // SAFETY: blocks of a byte or more, this process's alone.
                unsafe { blocks.ptr(&block).write(1) };
                blocks.free(block);
            }
        });
        hand.waits("fill, remove", || {
            let name = |at: usize| format!("segment.queue{at}");
            let made: Vec<_> =
                (0..6).map(|at| Queue::<u64>::create(segment, &name(at), 3000)).collect();
            let answer = made.into_iter().find_map(Result::err).map_or(Answer::Done, Answer::from);
            for at in 0..6 {
                // Those that were not made cannot be removed.
                let _ = segment.remove(&name(at));
            }
            answer
        });
    }
}
