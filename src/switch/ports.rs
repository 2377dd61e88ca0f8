//! The relay's ports as signalling sees them: more are asked for before they run out.

use super::{Action, Switch};
use crate::call::office::CallKey;
use crate::relay::{Command, Report};

/// Pairs that the media plane is asked to open at a time.
const GROW_PAIRS: usize = 256;

/// Whether more relay ports are to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    Possible,
    /// Asked for; the report is awaited.
    Asked,
    Exhausted,
}

impl Switch {
    pub(super) fn media(&mut self, report: Report) {
        match report {
            Report::Opened { pairs, exhausted } => {
                self.office.ports.add(pairs);
                self.growth = if exhausted { Growth::Exhausted } else { Growth::Possible };
            }
            Report::Closed { id, media } => {
                self.with_call(CallKey(id.0), |call, office| call.relay_closed(office, media));
            }
        }
    }

    /// Asks for more relay ports before they run out.
    pub(super) fn grow(&mut self, out: &mut Vec<Action>) {
        if self.growth == Growth::Possible && self.office.ports.len() < self.config.ports_low {
            self.growth = Growth::Asked;
            out.push(Action::Media(Command::Grow { pairs: GROW_PAIRS.max(self.config.ports_low) }));
        }
    }
}
