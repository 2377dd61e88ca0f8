//! The client machine of every method but INVITE: RFC 3261 §17.1.2 (figure 6).

use super::Failure;
use super::clients::Port;
use super::status::Class;
use super::timers::{Repeat, TIMER_F, earlier, timer_k};
use crate::sip::Message;
use bytes::Bytes;
use std::time::Instant;

#[derive(Debug)]
pub(super) enum Client {
    Trying {
        request: Bytes,
        timer_e: Option<Repeat>,
        timer_f: Instant,
    },
    Proceeding {
        request: Bytes,
        timer_e: Option<Repeat>,
        timer_f: Instant,
    },
    /// Absorbs retransmissions of the final response.
    Completed {
        timer_k: Instant,
    },
    Terminated,
}

impl Client {
    pub(super) fn start(now: Instant, request: Bytes, port: &mut Port<'_>) -> Client {
        port.send(request.clone());
        Client::Trying { request, timer_e: Repeat::first(now, port.reliable()), timer_f: now + TIMER_F }
    }

    pub(super) fn receive(self, now: Instant, response: Message, port: &mut Port<'_>) -> Client {
        match (self, Class::of(response.status())) {
            // RFC 3261 §17.1.2.2: E runs on as it stood; when it fires it is set to T2.
            (
                Client::Trying { request, timer_e, timer_f }
                | Client::Proceeding { request, timer_e, timer_f },
                Class::Provisional,
            ) => {
                port.pass(response);
                Client::Proceeding { request, timer_e, timer_f }
            }
            (Client::Trying { .. } | Client::Proceeding { .. }, Class::Success | Class::Failure) => {
                port.pass(response);
                match timer_k(port.reliable()) {
                    Some(wait) => Client::Completed { timer_k: now + wait },
                    None => Client::Terminated,
                }
            }
            (state @ (Client::Completed { .. } | Client::Terminated), _) => state,
        }
    }

    pub(super) fn timeout(self, now: Instant, port: &mut Port<'_>) -> Client {
        match self {
            Client::Trying { timer_f, .. } | Client::Proceeding { timer_f, .. } if timer_f <= now => {
                port.fail(Failure::Timeout);
                Client::Terminated
            }
            Client::Trying { request, timer_e: Some(timer_e), timer_f } if timer_e.at <= now => {
                port.retransmit(request.clone());
                Client::Trying { request, timer_e: Some(timer_e.doubled_to_t2(now)), timer_f }
            }
            Client::Proceeding { request, timer_e: Some(timer_e), timer_f } if timer_e.at <= now => {
                port.retransmit(request.clone());
                Client::Proceeding { request, timer_e: Some(Repeat::steady(now)), timer_f }
            }
            Client::Completed { timer_k } if timer_k <= now => Client::Terminated,
            state @ (Client::Trying { .. }
            | Client::Proceeding { .. }
            | Client::Completed { .. }
            | Client::Terminated) => state,
        }
    }

    pub(super) fn transport_failed(self, port: &mut Port<'_>) -> Client {
        match self {
            // RFC 3261 §17.1.4.
            Client::Trying { .. } | Client::Proceeding { .. } => {
                port.fail(Failure::Transport);
                Client::Terminated
            }
            state @ (Client::Completed { .. } | Client::Terminated) => state,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Client::Trying { timer_e, timer_f, .. } | Client::Proceeding { timer_e, timer_f, .. } => {
                Some(earlier(*timer_e, *timer_f))
            }
            Client::Completed { timer_k } => Some(*timer_k),
            Client::Terminated => None,
        }
    }
}
