//! The states in which the queue is swept.

use crossproc_queue::Queue;

use super::killed::{self, Deed};
use super::{Long, Short, closed, ends, many, over, places, waited};
use crate::sweep::catalogue::Entry;
use crate::sweep::scenario::Scenario;

type Bytes = [u64; 16];
type Numbers = Queue<u64>;

pub(in super::super) const ENTRIES: &[Entry] = &[
    Entry::new("queue put u64", "empty", || killed::put::<u64>(3, 0, &[])),
    Entry::new("queue put u64", "two items", || killed::put::<u64>(4, 0, &[1, 2])),
    Entry::new("queue put u64", "last place", || killed::put::<u64>(3, 0, &[1, 2])),
    Entry::new("queue put u64", "wrap, capacity 3", || killed::put::<u64>(3, 5, &[1])),
    Entry::new("queue put u64", "wrap, capacity 1", || killed::put::<u64>(1, 3, &[])),
    Entry::new("queue get u64", "two items", || killed::get::<u64>(3, 0, &[1, 2])),
    Entry::new("queue get u64", "full", || killed::get::<u64>(3, 0, &[1, 2, 3])),
    Entry::new("queue get u64", "wrap, capacity 3", || killed::get::<u64>(3, 5, &[1, 2])),
    Entry::new("queue get u64", "wrap, capacity 1", || killed::get::<u64>(1, 3, &[1])),
    Entry::new("queue get 64 B", "two items", || killed::get::<[u64; 8]>(3, 4, &[1, 2])),
    Entry::new("queue get 64 B", "at the producers' heels", || {
        killed::get::<[u64; 8]>(32, 31, &[1, 2])
    }),
    Entry::new("queue try_put u64", "full", || {
        killed::in_vain::<u64>(2, &[1, 2], killed::try_put_item)
    }),
    Entry::new("queue put_timeout u64", "full, sleeps", || {
        killed::in_vain::<u64>(2, &[1, 2], killed::put_timeout_item)
    }),
    Entry::new("queue try_get u64", "empty", || {
        killed::in_vain::<u64>(2, &[], killed::try_get_item)
    }),
    Entry::new("queue get_timeout u64", "empty, sleeps", || {
        killed::in_vain::<u64>(2, &[], killed::get_timeout_item)
    }),
    Entry::new("queue put u64", "earlier death in put", || {
        killed::double::<u64>(Deed::Put, Deed::Put, 4, &[1])
    }),
    Entry::new("queue get u64", "earlier death in put", || {
        killed::double::<u64>(Deed::Put, Deed::Get, 4, &[1, 2, 3])
    }),
    Entry::new("queue put u64", "earlier death in get", || {
        killed::double::<u64>(Deed::Get, Deed::Put, 4, &[1, 2])
    }),
    Entry::new("queue get u64", "earlier death in get", || {
        killed::double::<u64>(Deed::Get, Deed::Get, 4, &[1, 2, 3])
    }),
    Entry::new("queue put + get + get u64", "earlier death in put", || {
        killed::past_the_dead::<u64>(4)
    }),
    Entry::new("queue put + get + get 128 B", "earlier death in put", || {
        killed::past_the_dead::<Bytes>(4)
    }),
    Entry::new("queue put u64", "waiter asleep in get", || waited::in_get::<u64>(2)),
    Entry::new("queue get u64", "waiter asleep in put", || waited::in_put::<u64>(&[1, 2])),
    Entry::new("queue put u64", "waiter asleep in get for long", || {
        waited::in_get::<u64>(2).map(Scenario::grown_old)
    }),
    Entry::new("queue get u64", "waiter asleep in put for long", || {
        waited::in_put::<u64>(&[1, 2]).map(Scenario::grown_old)
    }),
    Entry::new("queue close", "two items", || closed::with_items::<u64>(&[1, 2])),
    Entry::new("queue close", "waiter asleep in get", closed::in_get::<u64>),
    Entry::new("queue close", "waiter asleep in put", || closed::in_put::<u64>(&[1, 2])),
    Entry::new("queue put 128 B", "two items", || killed::put::<Bytes>(3, 4, &[1, 2])),
    Entry::new("queue get 128 B", "two items", || killed::get::<Bytes>(3, 4, &[1, 2])),
    Entry::new("queue get 128 B", "earlier death in get", || {
        killed::double::<Bytes>(Deed::Get, Deed::Get, 4, &[1, 2, 3])
    }),
    Entry::new("queue put 128 B", "earlier death in put", || {
        killed::double::<Bytes>(Deed::Put, Deed::Put, 4, &[1])
    }),
    Entry::new("queue put 128 B", "earlier death in get", || {
        killed::double::<Bytes>(Deed::Get, Deed::Put, 4, &[1, 2])
    }),
    Entry::new("queue get 128 B", "earlier death in put", || {
        killed::double::<Bytes>(Deed::Put, Deed::Get, 4, &[1, 2, 3])
    }),
    Entry::new("queue get 128 B", "waiter asleep in put", || waited::in_put::<Bytes>(&[1, 2])),
    Entry::new("queue put String", "in the slot", || killed::put::<Short>(3, 4, &[1, 2])),
    Entry::new("queue get String", "in the slot", || killed::get::<Short>(3, 4, &[1, 2])),
    Entry::new("queue get String", "in the slot, at the producers' heels", || {
        killed::get::<Short>(32, 31, &[1, 2])
    }),
    Entry::new("queue put String", "in the slot, earlier death in put", || {
        killed::double::<Short>(Deed::Put, Deed::Put, 4, &[1])
    }),
    Entry::new("queue get String", "in the slot, earlier death in put", || {
        killed::double::<Short>(Deed::Put, Deed::Get, 4, &[1, 2, 3])
    }),
    Entry::new("queue put String", "in the slot, waiter asleep in get", || {
        waited::in_get::<Short>(2)
    }),
    Entry::new("queue get String", "in the slot, waiter asleep in put", || {
        waited::in_put::<Short>(&[1, 2])
    }),
    Entry::new("queue put String", "in a block", || killed::put::<Long>(3, 4, &[1, 2])),
    Entry::new("queue get String", "in a block", || killed::get::<Long>(3, 4, &[1, 2])),
    Entry::new("queue put String", "in a block, earlier death in put", || {
        killed::double::<Long>(Deed::Put, Deed::Put, 4, &[1])
    }),
    Entry::new("queue get String", "in a block, earlier death in get", || {
        killed::double::<Long>(Deed::Get, Deed::Get, 4, &[1, 2, 3])
    }),
    Entry::new("queue put String", "in a block, waiter asleep in get", || {
        waited::in_get::<Long>(2)
    }),
    Entry::new("queue try_put_many u64", "room for more", || {
        many::put::<u64>(5, 4, &[1], many::try_put_many)
    }),
    Entry::new("queue try_put_many u64", "room for two", || {
        many::put::<u64>(3, 2, &[1], many::try_put_many)
    }),
    Entry::new("queue put_many u64", "wrap, capacity 4", || {
        many::put::<u64>(4, 6, &[], many::put_many)
    }),
    Entry::new("queue put_many String", "in blocks", || {
        many::put::<Long>(5, 4, &[1], many::put_many)
    }),
    Entry::new("queue put_many u64", "earlier death in it", many::put_after_put::<u64>),
    Entry::new("queue put_many u64", "waiter asleep in get", many::waiter_in_get::<u64>),
    Entry::new("queue get_many u64", "four items", || many::get::<u64>(4, 3, &[1, 2, 3, 4])),
    Entry::new("queue get_many u64", "two items, wrap", || many::get::<u64>(3, 2, &[1, 2])),
    Entry::new("queue get_many 128 B", "four items", || many::get::<Bytes>(4, 3, &[1, 2, 3, 4])),
    Entry::new("queue get_many u64", "earlier death in put_many", many::get_after_put::<u64>),
    Entry::new("queue get_many u64", "earlier death in it", many::get_after_get::<u64>),
    Entry::new("queue put_over u64", "full, earlier death in get_many", || {
        many::put_over_after_get::<u64>()
    }),
    Entry::new("queue close", "earlier death in put_many", many::close_after_put::<u64>),
    Entry::new("queue get_many u64", "waiter asleep in put", many::waiter_in_put::<u64>),
    Entry::new("queue reserve + commit", "two items", || {
        places::commit(5, &[1, 2], places::reserve_commit)
    }),
    Entry::new("queue reserve + drop", "two items", || {
        places::nothing(&[1, 2], places::reserve_drop)
    }),
    Entry::new("queue get_ref + release", "two items", || {
        places::release(5, &[1, 2], places::ref_release)
    }),
    Entry::new("queue get_ref + drop", "two items", || places::nothing(&[1, 2], places::ref_drop)),
    Entry::new("queue reserve_bytes + commit", "two items", || {
        places::commit(5, &[1, 2], places::bytes_commit)
    }),
    Entry::new("queue reserve_bytes + drop", "two items", || {
        places::nothing(&[1, 2], places::bytes_drop)
    }),
    Entry::new("queue get_bytes_ref + release", "two items", || {
        places::release(5, &[1, 2], places::bytes_release)
    }),
    Entry::new("queue get_bytes_ref + drop", "two items", || {
        places::nothing(&[1, 2], places::bytes_ref_drop)
    }),
    Entry::new("queue peek u64", "two items", || places::nothing::<u64>(&[1, 2], places::peek)),
    Entry::new("queue peek 128 B", "two items", || places::nothing::<Bytes>(&[1, 2], places::peek)),
    Entry::new("queue peek String", "in a block", || {
        places::nothing::<Long>(&[1, 2], places::peek)
    }),
    Entry::new("queue producer", "the first", || ends::first(Numbers::producer)),
    Entry::new("queue consumer", "the first", || ends::first(Numbers::consumer)),
    Entry::new("queue producer", "the second", ends::second::<Numbers>),
    Entry::new(
        "queue producer",
        "the last one died in its drop",
        ends::first_after_death::<Numbers>,
    ),
    Entry::new(
        "queue producer + put",
        "another comes and goes",
        ends::join_beside_leave::<Numbers>,
    ),
    Entry::new("queue Producer::clone", "the last", ends::cloned::<Numbers>),
    Entry::new("queue Producer drop", "the last, empty", || ends::last::<Numbers>(&[])),
    Entry::new("queue Producer drop", "the last, full", || ends::last::<Numbers>(&[1, 2])),
    Entry::new("queue Producer drop", "not the last", ends::not_last::<Numbers>),
    Entry::new(
        "queue Producer drop",
        "the last, waiter asleep in get",
        ends::last_waited_for::<Numbers>,
    ),
    Entry::new("queue Producer drop", "the last, waiter asleep in get for long", || {
        ends::last_waited_for::<Numbers>().map(Scenario::grown_old)
    }),
    Entry::new(
        "queue Producer drop",
        "not the last, waiter asleep",
        ends::not_last_waited_for::<Numbers>,
    ),
    Entry::new("queue Producer drop", "the last, earlier death in producer", || {
        ends::last_after_death::<Numbers>(false)
    }),
    Entry::new("queue Producer drop", "the last, earlier death in drop", || {
        ends::last_after_death::<Numbers>(true)
    }),
    Entry::new("queue Consumer drop", "waiter asleep in put", || {
        ends::last_consumer_waited_for::<Numbers>(50)
    }),
    Entry::new("queue Consumer sent", "the last", ends::sent::<Numbers>),
    Entry::new("queue Producer received", "on its way", ends::received::<Numbers>),
    Entry::new("queue get u64", "the last producer dead", || {
        ends::finds_the_last_dead::<Numbers>(false)
    }),
    Entry::new("queue put u64", "the last consumer dead", || {
        ends::finds_the_last_dead::<Numbers>(true)
    }),
    Entry::new("queue close_now", "three items", closed::close_now),
    Entry::new("queue put_over u64", "room", over::room::<u64>),
    Entry::new("queue put_over u64", "full", over::full::<u64>),
    Entry::new("queue put_over 128 B", "full", over::full::<Bytes>),
    Entry::new("queue put_over String", "full, in blocks", over::full::<Long>),
    Entry::new("queue put_over u64", "full, earlier death in it", over::full_after_death::<u64>),
    Entry::new(
        "queue put_over 128 B",
        "full, earlier death in it",
        over::full_after_death::<Bytes>,
    ),
];
