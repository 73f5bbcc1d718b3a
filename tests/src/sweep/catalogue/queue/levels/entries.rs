//! The states in which queues with levels are swept.

use crossproc_queue::PriorityQueue;

use super::super::Long;
use super::super::ends;
use super::{Busy, HIGH, LOW, closed, killed, many, waited};
use crate::sweep::catalogue::Entry;
use crate::sweep::scenario::Scenario;

type Bytes = [u64; 16];
type Numbers = PriorityQueue<u64>;

pub(in super::super::super) const ENTRIES: &[Entry] = &[
    Entry::new("levels put u64", "high, empty", || {
        killed::put::<u64>(HIGH, &[], &[1, 2], Busy::Yes)
    }),
    Entry::new("levels put u64", "high, one item", || {
        killed::put::<u64>(HIGH, &[11], &[1], Busy::No)
    }),
    Entry::new("levels put u64", "low", || killed::put::<u64>(LOW, &[11], &[1], Busy::No)),
    Entry::new("levels put 128 B", "high, empty", || {
        killed::put::<Bytes>(HIGH, &[], &[1, 2], Busy::Yes)
    }),
    Entry::new("levels put String", "high, in a block", || {
        killed::put::<Long>(HIGH, &[], &[1, 2], Busy::Yes)
    }),
    Entry::new("levels get u64", "from the high one", || {
        killed::get::<u64>(&[11, 12], &[1], Busy::Yes)
    }),
    Entry::new("levels get u64", "from the low one", || killed::get::<u64>(&[], &[1, 2], Busy::No)),
    Entry::new("levels get 128 B", "from the high one", || {
        killed::get::<Bytes>(&[11, 12], &[1], Busy::Yes)
    }),
    Entry::new("levels get 128 B", "from the low one", || {
        killed::get::<Bytes>(&[], &[1, 2], Busy::No)
    }),
    Entry::new("levels get String", "in a block", || {
        killed::get::<Long>(&[11, 12], &[1], Busy::Yes)
    }),
    Entry::new("levels get_timeout u64", "empty, sleeps", killed::in_vain::<u64>),
    Entry::new("levels put u64", "high, waiter asleep in get", || waited::in_get::<u64>(HIGH)),
    Entry::new("levels put u64", "low, waiter asleep in get", || waited::in_get::<u64>(LOW)),
    Entry::new("levels put u64", "high, waiter asleep in get for long", || {
        waited::in_get::<u64>(HIGH).map(Scenario::grown_old)
    }),
    Entry::new("levels get u64", "waiter asleep in put", waited::in_put::<u64>),
    Entry::new("levels get 128 B", "waiter asleep in put", waited::in_put::<Bytes>),
    Entry::new("levels put u64", "earlier death in put", || {
        killed::put_after_put::<u64>(Busy::Yes)
    }),
    Entry::new("levels put 128 B", "earlier death in put", || {
        killed::put_after_put::<Bytes>(Busy::No)
    }),
    Entry::new("levels get u64", "earlier death in get", killed::get_after_get::<u64>),
    Entry::new("levels get 128 B", "earlier death in get", killed::get_after_get::<Bytes>),
    Entry::new("levels close", "items at both", closed::with_items::<u64>),
    Entry::new("levels close", "waiter asleep in get", closed::in_get::<u64>),
    Entry::new("levels close", "waiter asleep in put, low", || closed::in_put::<u64>(LOW)),
    Entry::new("levels close", "waiter asleep in put, high", || closed::in_put::<u64>(HIGH)),
    Entry::new("levels close", "earlier death in put", closed::after_put::<u64>),
    Entry::new("levels close_now", "items at both", closed::close_now),
    Entry::new("levels put_many u64", "high, empty", || many::put::<u64>(4, &[], Busy::Yes)),
    Entry::new("levels put_many u64", "high, one item", || many::put::<u64>(5, &[11], Busy::No)),
    Entry::new("levels try_put_many u64", "high, room for two", || {
        many::put::<u64>(3, &[11], Busy::Yes)
    }),
    Entry::new("levels put_many String", "high, in blocks", || {
        many::put::<Long>(4, &[], Busy::Yes)
    }),
    Entry::new("levels get_many u64", "from both", || {
        many::get::<u64>(many::get_many, true, Busy::Yes)
    }),
    Entry::new("levels get_many 128 B", "from both", || {
        many::get::<Bytes>(many::get_many, false, Busy::Yes)
    }),
    Entry::new("levels drain u64", "from both", || many::get::<u64>(many::drain, false, Busy::No)),
    Entry::new("levels peek u64", "at the high one", || many::peek::<u64>(&[11])),
    Entry::new("levels peek 128 B", "at the low one", || many::peek::<Bytes>(&[])),
    Entry::new("levels peek String", "in a block", || many::peek::<Long>(&[11])),
    Entry::new("levels put_many u64", "high, waiter asleep in get", || {
        many::waiter_in_get::<u64>(HIGH)
    }),
    Entry::new("levels put_many u64", "low, waiter asleep in get", || {
        many::waiter_in_get::<u64>(LOW)
    }),
    Entry::new("levels get_many u64", "waiter asleep in put", many::waiter_in_put::<u64>),
    Entry::new("levels put_many u64", "earlier death in it", || {
        many::put_after_put::<u64>(Busy::Yes)
    }),
    Entry::new("levels producer", "the first", || ends::first(Numbers::producer)),
    Entry::new("levels consumer", "the first", || ends::first(Numbers::consumer)),
    Entry::new("levels producer", "the second", ends::second::<Numbers>),
    Entry::new(
        "levels producer",
        "the last one died in its drop",
        ends::first_after_death::<Numbers>,
    ),
    Entry::new("levels producer + put", "another comes and goes", || {
        ends::join_beside_leave::<Numbers>()
    }),
    Entry::new("levels Producer::clone", "the last", ends::cloned::<Numbers>),
    Entry::new("levels Producer drop", "the last, empty", || ends::last::<Numbers>(&[])),
    Entry::new("levels Producer drop", "the last, both full", || ends::last::<Numbers>(&[1, 2])),
    Entry::new("levels Producer drop", "not the last", ends::not_last::<Numbers>),
    Entry::new("levels Producer drop", "the last, waiter asleep in get", || {
        ends::last_waited_for::<Numbers>()
    }),
    Entry::new("levels Producer drop", "the last, waiter asleep in get for long", || {
        ends::last_waited_for::<Numbers>().map(Scenario::grown_old)
    }),
    Entry::new("levels Producer drop", "not the last, waiter asleep", || {
        ends::not_last_waited_for::<Numbers>()
    }),
    Entry::new("levels Producer drop", "the last, earlier death in producer", || {
        ends::last_after_death::<Numbers>(false)
    }),
    Entry::new("levels Producer drop", "the last, earlier death in drop", || {
        ends::last_after_death::<Numbers>(true)
    }),
    Entry::new("levels Consumer drop", "waiter asleep in put, low", || {
        ends::last_consumer_waited_for::<Numbers>(50)
    }),
    Entry::new("levels Consumer drop", "waiter asleep in put, high", || {
        ends::last_consumer_waited_for::<Numbers>(51)
    }),
    Entry::new("levels Consumer sent", "the last", ends::sent::<Numbers>),
    Entry::new("levels Producer received", "on its way", ends::received::<Numbers>),
    Entry::new("levels get u64", "the last producer dead", || {
        ends::finds_the_last_dead::<Numbers>(false)
    }),
    Entry::new("levels put u64", "the last consumer dead", || {
        ends::finds_the_last_dead::<Numbers>(true)
    }),
];
