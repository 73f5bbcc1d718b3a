//! The states in which the pipe is swept.

use crossproc_pipe::{OneWay, Receiver};
use crossproc_queue::Queue;

use super::alone::{self, Deed};
use super::{Parts, Whole, meet, moved, waited};
use crate::sweep::catalogue::Entry;
use crate::sweep::scenario::Scenario;

pub(in super::super) const ENTRIES: &[Entry] = &[
    Entry::new("pipe send u64", "empty", || alone::send::<u64>(0, &[], true)),
    Entry::new("pipe send u64", "two messages", || alone::send::<u64>(0, &[1, 2], true)),
    Entry::new("pipe send u64", "last place, wrap", || alone::send::<u64>(3, &[1, 2, 3], true)),
    Entry::new("pipe send u64", "its first", || alone::send::<u64>(5, &[1], false)),
    Entry::new("pipe recv u64", "one message", || alone::recv::<u64>(0, &[1], true)),
    Entry::new("pipe recv u64", "full", || alone::recv::<u64>(0, &[1, 2, 3, 4], true)),
    Entry::new("pipe recv u64", "wrap", || alone::recv::<u64>(3, &[1, 2], true)),
    Entry::new("pipe recv u64", "in a line to be stored to", || {
        alone::recv::<u64>(5, &[1, 2], true)
    }),
    Entry::new("pipe recv u64", "one message, in its post", alone::recv_posted),
    Entry::new("pipe recv u64", "its first", || alone::recv::<u64>(5, &[1, 2], false)),
    Entry::new("pipe send bytes", "empty", || alone::send::<Whole>(0, &[], true)),
    Entry::new("pipe send bytes", "one message, wrap", || alone::send::<Whole>(1, &[1], true)),
    Entry::new("pipe recv bytes", "two messages", || alone::recv::<Whole>(0, &[1, 2], true)),
    Entry::new("pipe recv bytes", "two messages, wrap", || alone::recv::<Whole>(1, &[1, 2], true)),
    Entry::new("pipe send in parts", "empty", || alone::send::<Parts>(0, &[], true)),
    Entry::new("pipe send in parts", "wrap", || alone::send::<Parts>(1, &[], true)),
    Entry::new("pipe recv in parts", "one message", || alone::recv::<Parts>(0, &[1], false)),
    Entry::new("pipe recv in parts", "one message, wrap", || alone::recv::<Parts>(1, &[1], false)),
    Entry::new("pipe reserve + commit", "one message", || alone::reserve(&[1])),
    Entry::new("pipe borrow + drop", "two messages", || alone::borrow(&[1, 2])),
    Entry::new("pipe try_send u64", "full", || alone::send_in_vain::<u64>(&[1, 2, 3, 4], false)),
    Entry::new("pipe send_timeout u64", "full, sleeps", || {
        alone::send_in_vain::<u64>(&[1, 2, 3, 4], true)
    }),
    Entry::new("pipe try_recv u64", "empty", || alone::recv_in_vain::<u64>(false)),
    Entry::new("pipe recv_timeout u64", "empty, sleeps", || alone::recv_in_vain::<u64>(true)),
    Entry::new("pipe close", "two messages", || alone::close(&[1, 2])),
    Entry::new("listener bind", "name not there", || meet::bind(false)).slow(),
    Entry::new("listener bind", "of a dead listener", || meet::bind(true)).slow(),
    Entry::new("listener drop", "alone", meet::give_up),
    Entry::new("listener accept", "a connector asleep in connect", meet::accept),
    Entry::new("pipe connect", "a listener asleep in accept", meet::connect),
    Entry::new("pipe end sent", "in a queue", moved::sent::<Queue<Receiver<u64>>>),
    Entry::new("pipe end sent", "in another pipe", moved::sent::<OneWay<Receiver<u64>>>),
    Entry::new("pipe end received", "in a queue", moved::received::<Queue<Receiver<u64>>>),
    Entry::new("pipe end received", "in another pipe", moved::received::<OneWay<Receiver<u64>>>),
    Entry::new("pipe close_send", "two messages", || alone::close_send(&[1, 2])),
    Entry::new("pipe close_send", "empty", || alone::close_send(&[])),
    Entry::new("pipe close_send", "waiter asleep in recv", waited::close_send_in_recv),
    Entry::new("pipe take + send u64", "earlier death in send", || {
        alone::successor::<u64>(Deed::Send, &[1])
    }),
    Entry::new("pipe take + recv u64", "earlier death in recv", || {
        alone::successor::<u64>(Deed::Recv, &[1, 2, 3])
    }),
    Entry::new("pipe take + send in parts", "earlier death in send", || {
        alone::successor::<Parts>(Deed::Send, &[])
    }),
    Entry::new("pipe recv u64 to the end", "earlier death in send", || alone::heir::<u64>(&[1])),
    Entry::new("pipe recv in parts to the end", "earlier death in send", || {
        alone::heir::<Parts>(&[])
    }),
    Entry::new("pipe send u64", "waiter asleep in recv", waited::in_recv::<u64>),
    Entry::new("pipe send u64", "waiter asleep in recv for long", || {
        waited::in_recv::<u64>().map(Scenario::grown_old)
    }),
    Entry::new("pipe send in parts", "waiter asleep in recv", waited::in_recv::<Parts>),
    Entry::new("pipe recv u64", "waiter asleep in send", || waited::in_send::<u64>(&[1, 2, 3, 4])),
    Entry::new("pipe recv u64", "waiter asleep in send for long", || {
        waited::in_send::<u64>(&[1, 2, 3, 4]).map(Scenario::grown_old)
    }),
    Entry::new("pipe close", "waiter asleep in recv", waited::close_in_recv),
    Entry::new("pipe close", "waiter asleep in send", || waited::close_in_send(&[1, 2, 3, 4])),
];
