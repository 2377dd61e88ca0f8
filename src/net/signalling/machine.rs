//! What the signalling thread drives: the switch, or in tests something simpler.

use crate::clock::Now;
use crate::sip::Flow;
use crate::switch::backlog::Class;
use crate::switch::{Action, Input, Switch};
use bytes::Bytes;
use std::time::Instant;

/// Input in, actions out, a deadline.
pub(crate) trait Machine {
    fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Action>);
    fn deadline(&self) -> Option<Instant>;

    /// Whether a message that came by this flow is to be read at all; `bytes` is what came.
    fn admits(&mut self, now: Now, flow: &Flow, bytes: &[u8]) -> bool {
        let _ = (now, flow, bytes);
        true
    }

    /// What a message is, where more has come than can be done at once.
    fn class(&mut self, now: Now, flow: &Flow, bytes: &[u8]) -> Class {
        let _ = (now, flow, bytes);
        Class::Begun
    }

    /// There is no time for it: what its sender is told.
    fn refuse(&mut self, now: Now, class: Class, flow: Flow, bytes: Bytes, out: &mut Vec<Action>) {
        let _ = (now, class, flow, bytes, out);
    }

    /// The numbers that are called for help, where they can be told.
    fn emergency_numbers(&self) -> Option<Vec<String>> {
        None
    }
}

impl Machine for Switch {
    fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Action>) {
        Switch::handle(self, now, input, out);
    }

    fn deadline(&self) -> Option<Instant> {
        Switch::deadline(self)
    }

    fn admits(&mut self, now: Now, flow: &Flow, bytes: &[u8]) -> bool {
        Switch::admits(self, now, flow, bytes)
    }

    fn class(&mut self, now: Now, flow: &Flow, bytes: &[u8]) -> Class {
        Switch::class(self, now, flow, bytes)
    }

    fn refuse(&mut self, now: Now, class: Class, flow: Flow, bytes: Bytes, out: &mut Vec<Action>) {
        Switch::refuse(self, now, class, flow, bytes, out);
    }

    fn emergency_numbers(&self) -> Option<Vec<String>> {
        self.ruleset().emergency_numbers()
    }
}
