//! The server INVITE machine: RFC 3261 §17.2.1 (figure 7), with Accepted of RFC 6026 §7.1 (its figure 2).
//!
//! A failing transport changes nothing here: the figures stay where they are and inform the transaction user, and the
//! switch hears of a dead flow before this layer does.

use super::servers::Port;
use super::status::Class;
use super::timers::{Repeat, TIMER_H, TIMER_L, earlier, timer_i};
use crate::sip::{Flow, Message};
use bytes::Bytes;
use std::time::Instant;

#[derive(Debug)]
pub(super) enum ServerInvite {
    /// `last` is the newest provisional response; `None`: the transaction user has not said anything yet.
    Proceeding {
        last: Option<Bytes>,
    },
    /// A non-2xx final response was sent and waits for its ACK.
    Completed {
        response: Bytes,
        timer_g: Option<Repeat>,
        timer_h: Instant,
    },
    /// Acknowledged; absorbs more ACKs.
    Confirmed {
        timer_i: Instant,
    },
    /// A 2xx was sent; absorbs INVITEs, passes ACKs up (RFC 6026 §7.1).
    Accepted {
        last: Bytes,
        timer_l: Instant,
    },
    Terminated,
}

impl ServerInvite {
    /// RFC 3261 §17.2.1: no 100 yet. The transaction user answers at once, with a 100 where nothing better is at hand; a stranger may
    /// have to get nothing at all.
    pub(super) fn start() -> ServerInvite {
        ServerInvite::Proceeding { last: None }
    }

    /// The INVITE came again.
    pub(super) fn retransmitted(self, port: &mut Port<'_>) -> ServerInvite {
        match &self {
            ServerInvite::Proceeding { last: Some(response) } | ServerInvite::Completed { response, .. } => {
                port.retransmit(response.clone());
            }
            ServerInvite::Proceeding { last: None }
            | ServerInvite::Confirmed { .. }
            | ServerInvite::Accepted { .. }
            | ServerInvite::Terminated => {
                port.absorbed();
            }
        }
        self
    }

    pub(super) fn ack(self, now: Instant, source: Flow, ack: Message, port: &mut Port<'_>) -> ServerInvite {
        match self {
            ServerInvite::Completed { .. } => match timer_i(port.reliable()) {
                Some(wait) => ServerInvite::Confirmed { timer_i: now + wait },
                None => ServerInvite::Terminated,
            },
            // RFC 6026 §7.1: an ACK to a 2xx has a branch of its own; one that hasn't is passed up all the same.
            ServerInvite::Accepted { .. } => {
                port.pass_ack(source, ack);
                self
            }
            ServerInvite::Proceeding { .. } | ServerInvite::Confirmed { .. } | ServerInvite::Terminated => {
                self
            }
        }
    }

    pub(super) fn respond(
        self,
        now: Instant,
        class: Class,
        response: Bytes,
        port: &mut Port<'_>,
    ) -> ServerInvite {
        match (self, class) {
            (ServerInvite::Proceeding { .. }, Class::Provisional) => {
                port.send(response.clone());
                ServerInvite::Proceeding { last: Some(response) }
            }
            (ServerInvite::Proceeding { .. }, Class::Success) => {
                port.send(response.clone());
                ServerInvite::Accepted { last: response, timer_l: now + TIMER_L }
            }
            (ServerInvite::Proceeding { .. }, Class::Failure) => {
                port.send(response.clone());
                let timer_g = Repeat::first(now, port.reliable());
                ServerInvite::Completed { response, timer_g, timer_h: now + TIMER_H }
            }
            (ServerInvite::Accepted { timer_l, .. }, Class::Success) => {
                port.retransmit(response.clone());
                ServerInvite::Accepted { last: response, timer_l }
            }
            (state @ ServerInvite::Accepted { .. }, Class::Provisional | Class::Failure)
            | (
                state @ (ServerInvite::Completed { .. }
                | ServerInvite::Confirmed { .. }
                | ServerInvite::Terminated),
                _,
            ) => state,
        }
    }

    pub(super) fn timeout(self, now: Instant, port: &mut Port<'_>) -> ServerInvite {
        match self {
            ServerInvite::Completed { timer_h, .. } if timer_h <= now => {
                port.unacknowledged();
                ServerInvite::Terminated
            }
            ServerInvite::Completed { response, timer_g: Some(timer_g), timer_h } if timer_g.at <= now => {
                port.retransmit(response.clone());
                let timer_g = Some(timer_g.doubled_to_t2(now));
                ServerInvite::Completed { response, timer_g, timer_h }
            }
            ServerInvite::Confirmed { timer_i: at } | ServerInvite::Accepted { timer_l: at, .. }
                if at <= now =>
            {
                ServerInvite::Terminated
            }
            state @ (ServerInvite::Proceeding { .. }
            | ServerInvite::Completed { .. }
            | ServerInvite::Confirmed { .. }
            | ServerInvite::Accepted { .. }
            | ServerInvite::Terminated) => state,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            ServerInvite::Proceeding { .. } | ServerInvite::Terminated => None,
            ServerInvite::Completed { timer_g, timer_h, .. } => Some(earlier(*timer_g, *timer_h)),
            ServerInvite::Confirmed { timer_i } => Some(*timer_i),
            ServerInvite::Accepted { timer_l, .. } => Some(*timer_l),
        }
    }

    /// Whether a CANCEL still has an effect (RFC 3261 §9.2: only before the final response).
    pub(super) fn is_proceeding(&self) -> bool {
        matches!(self, ServerInvite::Proceeding { .. })
    }

    /// The response that went out last; `None` once it is of no more use.
    pub(super) fn last_response(&self) -> Option<&Bytes> {
        match self {
            ServerInvite::Proceeding { last } => last.as_ref(),
            ServerInvite::Accepted { last, .. } => Some(last),
            ServerInvite::Completed { response, .. } => Some(response),
            ServerInvite::Confirmed { .. } | ServerInvite::Terminated => None,
        }
    }
}
