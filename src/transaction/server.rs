//! The server machine of every method but INVITE and ACK: RFC 3261 §17.2.2 (figure 8).

use super::servers::Port;
use super::status::Class;
use super::timers::timer_j;
use bytes::Bytes;
use std::time::Instant;

#[derive(Debug)]
pub(super) enum Server {
    /// Nothing was answered yet; retransmissions are absorbed.
    Trying,
    Proceeding {
        last: Bytes,
    },
    /// Retransmissions get the stored final response.
    Completed {
        response: Bytes,
        timer_j: Instant,
    },
    Terminated,
}

impl Server {
    /// The request came again.
    pub(super) fn retransmitted(self, port: &mut Port<'_>) -> Server {
        match &self {
            Server::Trying | Server::Terminated => port.absorbed(),
            Server::Proceeding { last: response } | Server::Completed { response, .. } => {
                port.retransmit(response.clone());
            }
        }
        self
    }

    pub(super) fn respond(self, now: Instant, class: Class, response: Bytes, port: &mut Port<'_>) -> Server {
        match (self, class) {
            (Server::Trying | Server::Proceeding { .. }, Class::Provisional) => {
                port.send(response.clone());
                Server::Proceeding { last: response }
            }
            (Server::Trying | Server::Proceeding { .. }, Class::Success | Class::Failure) => {
                port.send(response.clone());
                match timer_j(port.reliable()) {
                    Some(wait) => Server::Completed { response, timer_j: now + wait },
                    None => Server::Terminated,
                }
            }
            // RFC 3261 §17.2.2: any other final response is discarded.
            (state @ (Server::Completed { .. } | Server::Terminated), _) => state,
        }
    }

    pub(super) fn timeout(self, now: Instant) -> Server {
        match self {
            Server::Completed { timer_j, .. } if timer_j <= now => Server::Terminated,
            state @ (Server::Trying
            | Server::Proceeding { .. }
            | Server::Completed { .. }
            | Server::Terminated) => state,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Server::Completed { timer_j, .. } => Some(*timer_j),
            Server::Trying | Server::Proceeding { .. } | Server::Terminated => None,
        }
    }
}
