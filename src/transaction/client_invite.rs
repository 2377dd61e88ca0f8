//! The client INVITE machine: RFC 3261 §17.1.1 (figure 5), with Accepted of RFC 6026 §7.2 (its figure 1).
//!
//! It also holds back our CANCEL until a provisional response has come (RFC 3261 §9.1).

use super::Failure;
use super::clients::Port;
use super::hop_by_hop;
use super::status::Class;
use super::timers::{CANCELLED, Repeat, TIMER_B, TIMER_M, earlier, timer_d};
use crate::sip::Message;
use bytes::Bytes;
use std::time::Instant;

#[derive(Debug)]
pub(super) enum ClientInvite {
    /// Nothing came back yet. `cancel` is a CANCEL that waits for a provisional response.
    Calling {
        request: Bytes,
        timer_a: Option<Repeat>,
        timer_b: Instant,
        cancel: Option<Bytes>,
    },
    /// It rings. `give_up` is set once it is cancelled.
    Proceeding {
        request: Bytes,
        give_up: Option<Instant>,
    },
    /// A non-2xx final response came; its retransmissions get the ACK again.
    Completed {
        ack: Bytes,
        timer_d: Instant,
    },
    /// A 2xx came; more of them, from the same or from other branches of a fork, are passed up.
    Accepted {
        timer_m: Instant,
    },
    Terminated,
}

impl ClientInvite {
    pub(super) fn start(now: Instant, request: Bytes, port: &mut Port<'_>) -> ClientInvite {
        port.send(request.clone());
        let timer_a = Repeat::first(now, port.reliable());
        ClientInvite::Calling { request, timer_a, timer_b: now + TIMER_B, cancel: None }
    }

    pub(super) fn receive(self, now: Instant, response: Message, port: &mut Port<'_>) -> ClientInvite {
        match (self, Class::of(response.status())) {
            (ClientInvite::Calling { request, cancel, .. }, Class::Provisional) => {
                port.pass(response);
                // RFC 3261 §9.1: now the CANCEL may go.
                let give_up = cancel.map(|cancel| {
                    port.cancel(cancel);
                    now + CANCELLED
                });
                ClientInvite::Proceeding { request, give_up }
            }
            (state @ ClientInvite::Proceeding { .. }, Class::Provisional) => {
                port.pass(response);
                state
            }
            (ClientInvite::Calling { .. } | ClientInvite::Proceeding { .. }, Class::Success) => {
                port.pass(response);
                ClientInvite::Accepted { timer_m: now + TIMER_M }
            }
            (
                ClientInvite::Calling { request, .. } | ClientInvite::Proceeding { request, .. },
                Class::Failure,
            ) => {
                // RFC 3261 §17.1.1.3. The request is one that we wrote, so it parses.
                let ack = hop_by_hop::ack(request, &response);
                if let Some(ack) = &ack {
                    port.send(ack.clone());
                }
                port.pass(response);
                match (ack, timer_d(port.reliable())) {
                    (Some(ack), Some(wait)) => ClientInvite::Completed { ack, timer_d: now + wait },
                    (_, None) | (None, _) => ClientInvite::Terminated,
                }
            }
            (ClientInvite::Completed { ack, timer_d }, Class::Failure) => {
                port.retransmit(ack.clone());
                ClientInvite::Completed { ack, timer_d }
            }
            (state @ ClientInvite::Accepted { .. }, Class::Success) => {
                port.pass(response);
                state
            }
            (state @ ClientInvite::Completed { .. }, Class::Provisional | Class::Success)
            | (state @ ClientInvite::Accepted { .. }, Class::Provisional | Class::Failure)
            | (state @ ClientInvite::Terminated, _) => state,
        }
    }

    /// The transaction user gives up. `cancel` writes the CANCEL of a request.
    pub(super) fn cancel(
        self,
        now: Instant,
        cancel: impl FnOnce(Bytes) -> Option<Bytes>,
        port: &mut Port<'_>,
    ) -> ClientInvite {
        match self {
            ClientInvite::Calling { request, timer_a, timer_b, cancel: None } => {
                let cancel = cancel(request.clone());
                ClientInvite::Calling { request, timer_a, timer_b, cancel }
            }
            ClientInvite::Proceeding { request, give_up: None } => {
                if let Some(cancel) = cancel(request.clone()) {
                    port.cancel(cancel);
                }
                ClientInvite::Proceeding { request, give_up: Some(now + CANCELLED) }
            }
            state @ (ClientInvite::Calling { cancel: Some(_), .. }
            | ClientInvite::Proceeding { give_up: Some(_), .. }
            | ClientInvite::Completed { .. }
            | ClientInvite::Accepted { .. }
            | ClientInvite::Terminated) => state,
        }
    }

    pub(super) fn timeout(self, now: Instant, port: &mut Port<'_>) -> ClientInvite {
        match self {
            ClientInvite::Calling { timer_b, .. } if timer_b <= now => {
                port.fail(Failure::Timeout);
                ClientInvite::Terminated
            }
            ClientInvite::Calling { request, timer_a: Some(timer_a), timer_b, cancel }
                if timer_a.at <= now =>
            {
                port.retransmit(request.clone());
                let timer_a = Some(timer_a.doubled(now));
                ClientInvite::Calling { request, timer_a, timer_b, cancel }
            }
            // RFC 3261 §9.1: the peer lost the CANCEL, or doesn't know it; the INVITE counts as cancelled.
            ClientInvite::Proceeding { give_up: Some(at), .. } if at <= now => {
                port.fail(Failure::Timeout);
                ClientInvite::Terminated
            }
            ClientInvite::Completed { timer_d: at, .. } | ClientInvite::Accepted { timer_m: at }
                if at <= now =>
            {
                ClientInvite::Terminated
            }
            state @ (ClientInvite::Calling { .. }
            | ClientInvite::Proceeding { .. }
            | ClientInvite::Completed { .. }
            | ClientInvite::Accepted { .. }
            | ClientInvite::Terminated) => state,
        }
    }

    pub(super) fn transport_failed(self, port: &mut Port<'_>) -> ClientInvite {
        match self {
            // RFC 3261 §17.1.4. After a CANCEL nobody is left who would tell of the end.
            ClientInvite::Calling { .. } | ClientInvite::Proceeding { give_up: Some(_), .. } => {
                port.fail(Failure::Transport);
                ClientInvite::Terminated
            }
            // The ACK can't be delivered; the final response has been passed up, so there is nothing to say.
            ClientInvite::Completed { .. } => ClientInvite::Terminated,
            // There is nothing to send, and the peer may answer by a new connection (RFC 3261 §18.2.2).
            state @ (ClientInvite::Proceeding { give_up: None, .. }
            | ClientInvite::Accepted { .. }
            | ClientInvite::Terminated) => state,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            ClientInvite::Calling { timer_a, timer_b, .. } => Some(earlier(*timer_a, *timer_b)),
            ClientInvite::Proceeding { give_up, .. } => *give_up,
            ClientInvite::Completed { timer_d, .. } => Some(*timer_d),
            ClientInvite::Accepted { timer_m } => Some(*timer_m),
            ClientInvite::Terminated => None,
        }
    }
}
