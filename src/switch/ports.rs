//! The relay's ports as signalling sees them: more are asked for before they run out.

use super::{Action, Counters, Switch};
use crate::call::media::call_of;
use crate::clock::Now;
use crate::relay::{Audio, Command, Report};
use std::time::{Duration, Instant};

/// Pairs that the media plane is asked to open at a time.
const GROW_PAIRS: usize = 256;

/// How soon ports are asked for again after there were none: whoever had them, or the file descriptors, may have given them back.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Whether more relay ports are to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    Possible,
    /// Asked for; the report is awaited.
    Asked,
    /// There were none; asked for again then.
    Exhausted {
        until: Instant,
    },
}

impl Switch {
    pub(super) fn media(&mut self, now: Now, report: Report) {
        match report {
            Report::Opened { pairs, exhausted } => {
                self.office.ports.add(pairs);
                let until = now.mono + AGAIN_AFTER;
                self.growth = if exhausted { Growth::Exhausted { until } } else { Growth::Possible };
            }
            Report::Closed { id, media } => {
                for stream in [media.a_to_b, media.b_to_a] {
                    self.counters.media_packets_total += stream.packets;
                    self.counters.media_lost_total += stream.lost;
                    self.counters.media_dropped_total += stream.dropped;
                    self.counters.media_malformed_total += stream.malformed;
                }
                self.with_call(call_of(id), |call, office| call.relay_closed(office, id, media));
            }
            Report::Audio { id, audio } => {
                // Of a leg that is asked apart nobody is told.
                self.with_call(call_of(id), |call, office| {
                    if call.relays_by(id) {
                        call.heard(office, audio);
                    }
                });
            }
        }
    }

    /// Asks for more relay ports before they run out.
    pub(super) fn grow(&mut self, now: Now, out: &mut Vec<Action>) {
        if matches!(self.growth, Growth::Exhausted { until } if until <= now.mono) {
            self.growth = Growth::Possible;
        }
        if self.growth == Growth::Possible && self.office.ports.len() < self.config.ports_low {
            self.growth = Growth::Asked;
            out.push(Action::Media(Command::Grow { pairs: GROW_PAIRS.max(self.config.ports_low) }));
        }
    }
}

impl Counters {
    /// A call has fallen silent, on one side or both; that it is heard again isn't counted.
    pub(super) fn count_silence(&mut self, audio: Audio) {
        match audio {
            Audio::BothWays => {}
            Audio::CallerSilent | Audio::CalleeSilent => self.one_way_total += 1,
            Audio::Silent => self.silent_total += 1,
        }
    }
}
