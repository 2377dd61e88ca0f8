//! What the switch wants done: effects as values.

use super::event::Event;
use crate::call::budgets::Usage;
use crate::registrar::Change;
use crate::relay::Command;
use crate::sip::Flow;
use crate::subscription::notice::Finished;
use crate::voice;
use bytes::Bytes;

#[derive(Clone, Debug)]
pub enum Action {
    /// Send these bytes on this flow; if that fails, come back with `Input::FlowFailed`.
    Send {
        flow: Flow,
        bytes: Bytes,
    },
    Media(Command),
    Voice(voice::Command),
    /// Keep this change of a registration (durable within 250 ms).
    Binding(Change),
    /// Keep what a user has spent (durable within 250 ms).
    Spent(Usage),
    /// To the event stream; a finished call's record comes as `Event::CallEnded` and is to be kept (within 250 ms).
    Event(Event),
    /// What came of `Input::Notice`; once each.
    Noticed(Finished),
    /// A drain is over: the daemon may stop.
    Drained,
}
