//! A 2xx to an INVITE that waits for its ACK: repeated by the transaction user, on every transport (RFC 3261 §13.3.1.4).

use super::office::Office;
use crate::clock::Now;
use crate::transaction::ServerId;
use crate::transaction::timers::{T1, T2};
use bytes::Bytes;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub struct Unacked {
    pub server: ServerId,
    bytes: Bytes,
    next: Instant,
    interval: Duration,
    give_up: Instant,
}

/// What the clock made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    On,
    /// 64*T1 without an ACK: the dialog is to be ended with BYE.
    GivenUp,
}

impl Unacked {
    #[must_use]
    pub fn new(now: Now, server: ServerId, bytes: Bytes) -> Unacked {
        Unacked { server, bytes, next: now.mono + T1, interval: T1, give_up: now.mono + 64 * T1 }
    }

    /// Repeats the response when that is due.
    pub fn timeout(&mut self, office: &mut Office, now: Now) -> Wait {
        if now.mono >= self.give_up {
            return Wait::GivenUp;
        }
        if now.mono >= self.next {
            office.respond(now, self.server, 200, self.bytes.clone());
            self.interval = (2 * self.interval).min(T2);
            self.next = now.mono + self.interval;
        }
        Wait::On
    }

    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.next.min(self.give_up)
    }
}
