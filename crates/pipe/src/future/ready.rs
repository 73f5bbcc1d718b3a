//! What the futures of a pipe wait for.

use std::sync::Weak;
use std::task::Context;

use crossproc_segment::Object;
use crossproc_segment::wait::{Look, Source, TaskWait, Waitable};

use crate::end::End;
use crate::raw::View;
use crate::share::Share;

/// That a message is there, or room. Unlike [`Items`](crate::Items) and [`Space`](crate::Space) it does
/// not keep the end open, not even while it is looked at: whoever waits for it may be gone before that is
/// noticed.
struct Ready {
    end: Weak<End>,
    view: View,
    what: What,
    /// Keeps mapped what the view reaches.
    object: Object,
}

#[derive(Clone, Copy)]
enum What {
    Message,
    /// Room for a record with so many bytes.
    Room(u64),
}

impl Waitable for Ready {
    fn is_ready(&self, look: Look) -> bool {
        let Some(end) = self.end.upgrade() else { return true };
        match self.what {
            What::Message => end.has_message(look),
            What::Room(bytes) => end.has_room(look, bytes),
        }
    }

    fn source(&self) -> Source<'_> {
        let eventcount = match self.what {
            What::Message => self.view.items(),
            What::Room(_) => self.view.space(),
        };
        Source::EventCount(self.object.segment(), eventcount)
    }
}

/// Has the task woken when a message is there, or none can come.
pub(super) fn stay_to_recv(end: &Share, wait: &mut TaskWait, cx: &Context<'_>) {
    stay(end, wait, cx, What::Message);
}

/// Has the task woken when there is room for so many bytes in one piece, or none can be sent.
pub(super) fn stay_to_send(end: &Share, wait: &mut TaskWait, cx: &Context<'_>, bytes: usize) {
    let view = &end.out.view;
    let bytes = bytes as u64;
    // A longer one goes in parts, which are as long as this at most.
    let piece = if bytes <= view.longest() { bytes } else { view.longest() / 2 };
    stay(end, wait, cx, What::Room(piece));
}

fn stay(end: &Share, wait: &mut TaskWait, cx: &Context<'_>, what: What) {
    // The weak reference keeps the address from being used otherwise.
    let key = match what {
        What::Message => 0,
        What::Room(bytes) => bytes + 1,
    };
    let view = match what {
        What::Message => end.inlet.view,
        What::Room(_) => end.out.view,
    };
    let ready = || Ready { end: end.downgrade(), view, what, object: end.object.clone() };
    wait.stay(cx, (std::ptr::from_ref::<End>(end).addr(), key), ready);
}
