//! One subscription (RFC 6665 §4.2): its dialog, how long it lasts, and what is under way in it.
//!
//! One NOTIFY at a time: the next one waits for the answer to the one before, and says then how things are by then. So a subscriber never
//! sees two of them out of order, and one that is slow costs no more than one message.

use super::dialog_info::Reported;
use super::package::Package;
use super::reg_info::Rolls;
use super::{EVERY, Topic};
use crate::call::headers;
use crate::call::office::Office;
use crate::call::sips;
use crate::clock::Now;
use crate::dialog::Dialog;
use crate::registrar::binding::DeviceKey;
use crate::sip::{Flow, Message, Method, Name};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// Why a subscription ends (RFC 6665 §4.1.3): what its subscriber makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It ran out, or was given up by its subscriber.
    Timeout,
    /// It may no longer be: not to be tried again.
    Rejected,
    /// What it is about exists no more.
    NoResource,
}

impl Reason {
    fn word(self) -> &'static str {
        match self {
            Reason::Timeout => "timeout",
            Reason::Rejected => "rejected",
            Reason::NoResource => "noresource",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The subscriber knows how things are.
    Rests,
    /// It is to be told, but not before.
    Waits { until: Instant },
    /// A NOTIFY waits for its answer.
    Tells(Then),
    /// The last NOTIFY waits for its answer.
    Ends,
}

/// What comes after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Rest,
    /// Something has changed meanwhile.
    Tell,
    End(Reason),
}

#[derive(Debug)]
pub(super) struct Subscription {
    pub device: DeviceKey,
    pub topic: Topic,
    /// The URI that was subscribed to: what documents say they are about.
    pub entity: String,
    /// The value of the Event field, repeated in each NOTIFY (RFC 6665 §4.2.2).
    pub event: String,
    pub dialog: Dialog,
    pub flow: Flow,
    pub behind_nat: bool,
    pub expires: Instant,
    /// Of dialog: what its subscriber knows.
    pub reported: Reported,
    /// Of reg: likewise.
    pub rolls: Rolls,
    /// When the newest NOTIFY went out.
    pub told: Option<Instant>,
    pub state: State,
}

impl Subscription {
    /// Nothing more is to come but the answer to the last NOTIFY.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Ends | State::Tells(Then::End(_)))
    }

    /// What it is about has changed. `true`: it is to be told now.
    pub(super) fn changed(&mut self, now: Now) -> bool {
        match self.state {
            State::Rests => {
                let due = self.told.map_or(now.mono, |told| told + EVERY);
                self.state = State::Waits { until: due };
                due <= now.mono
            }
            State::Tells(Then::Rest) => {
                self.state = State::Tells(Then::Tell);
                false
            }
            State::Waits { .. } | State::Tells(Then::Tell | Then::End(_)) | State::Ends => false,
        }
    }

    /// It is asked for at once, however short ago the last NOTIFY was. `true`: it is to be told now.
    pub(super) fn asked(&mut self, now: Now) -> bool {
        match self.state {
            State::Rests | State::Waits { .. } => {
                self.state = State::Waits { until: now.mono };
                true
            }
            State::Tells(Then::Rest) => {
                self.state = State::Tells(Then::Tell);
                false
            }
            State::Tells(Then::Tell | Then::End(_)) | State::Ends => false,
        }
    }

    /// It is to end. `true`: with a NOTIFY now; else that follows the answer that is awaited.
    pub(super) fn end(&mut self, reason: Reason) -> bool {
        match self.state {
            State::Rests | State::Waits { .. } => true,
            State::Tells(Then::Rest | Then::Tell) => {
                self.state = State::Tells(Then::End(reason));
                false
            }
            State::Tells(Then::End(_)) | State::Ends => false,
        }
    }

    /// A NOTIFY was taken. What is to be done now.
    pub(super) fn answered(&mut self, now: Now) -> Next {
        match self.state {
            State::Tells(Then::Rest) => {
                self.state = State::Rests;
                Next::Nothing
            }
            State::Tells(Then::Tell) => {
                self.state = State::Rests;
                if self.changed(now) { Next::Tell } else { Next::Nothing }
            }
            State::Tells(Then::End(reason)) => Next::End(reason),
            State::Ends => Next::Forget,
            State::Rests | State::Waits { .. } => Next::Nothing,
        }
    }

    /// When the clock is to be looked at.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Rests => Some(self.expires),
            State::Waits { until } => Some(until.min(self.expires)),
            // Its transaction ends by itself.
            State::Tells(_) | State::Ends => None,
        }
    }

    /// The clock says so.
    pub(super) fn timeout(&self, now: Now) -> Next {
        match self.state {
            State::Rests | State::Waits { .. } if self.expires <= now.mono => Next::End(Reason::Timeout),
            State::Waits { until } if until <= now.mono => Next::Tell,
            State::Rests | State::Waits { .. } | State::Tells(_) | State::Ends => Next::Nothing,
        }
    }

    /// What is left of it.
    pub(super) fn left(&self, now: Now) -> Duration {
        self.expires.saturating_duration_since(now.mono)
    }

    /// A SUBSCRIBE in its dialog: where it came from now, and how long it is to last (RFC 6665 §4.2.1.4).
    pub(super) fn refresh(&mut self, now: Now, flow: Flow, request: &Message, lasts_s: u32) {
        self.dialog.refresh(request); // a target refresh request (RFC 6665 §4.1.2.2)
        self.flow = flow;
        self.behind_nat = headers::is_behind_nat(request, &flow);
        self.expires = now.mono + Duration::from_secs(lasts_s.into());
    }

    /// The NOTIFY, and the flow that it takes. `ends` is why it is the last one.
    pub(super) fn notify(
        &mut self,
        office: &mut Office,
        now: Now,
        document: Option<&[u8]>,
        ends: Option<Reason>,
    ) -> (Flow, Bytes) {
        let flow = headers::flow_towards(&self.dialog, self.flow, self.behind_nat);
        let branch = headers::branch(office);
        let left = self.left(now).as_secs();
        let mut w = self.dialog.request(Method::Notify, None, headers::hop(office, &flow, &branch));
        w.header(Name::Contact, office.contact(&flow, sips::is_sips(self.dialog.next_hop())));
        w.field("Event", &self.event);
        match ends {
            None => w.field("Subscription-State", format_args!("active;expires={left}")),
            Some(reason) => {
                w.field("Subscription-State", format_args!("terminated;reason={}", reason.word()))
            }
        };
        w.header(Name::UserAgent, headers::AGENT);
        let bytes = match document {
            Some(document) => w.body(self.package().content_type(), document),
            None => w.finish(),
        };
        (flow, bytes)
    }

    pub(super) fn package(&self) -> Package {
        self.topic.package
    }
}

/// What a subscription wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    Tell,
    End(Reason),
    Forget,
}
