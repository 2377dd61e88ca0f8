//! The pure core: transactions, dialogs, registrar, rules and calls composed into one machine. Input in, all of its effects out,
//! in order. No IO, no clock, no randomness of its own: the daemon, the simulator and the fuzzer drive the same code.

pub mod action;
pub mod config;
pub mod event;
pub mod input;

pub use action::Action;
pub use config::Config;
pub use event::Event;
pub use input::{Input, StatusKey};

use crate::clock::Now;
use std::time::Instant;

pub struct Switch {}

impl Switch {
    /// `seed` feeds branches, tags, Call-IDs and nonce keys.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32]) -> Switch {
        let _ = (config, seed);
        todo!()
    }

    /// Takes one input; its effects are appended to `out` in order. `Input::Timeout` is due at [`Switch::deadline`].
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Action>) {
        let _ = (now, input, out);
        todo!()
    }

    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        todo!()
    }

    /// The calls that are up, as the admin shows them (`GET /v1/calls`).
    #[must_use]
    pub fn calls(&self) -> Vec<crate::call::record::CallRecord> {
        todo!()
    }

    /// Every registration in force (`GET /v1/registrations`).
    pub fn registrations(&self) -> impl Iterator<Item = &crate::registrar::Binding> {
        std::iter::empty()
    }

    /// Gauges and counters for `GET /v1/status` and `/metrics`.
    #[must_use]
    pub fn counters(&self) -> Counters {
        todo!()
    }

    /// Decides a call that never was, with live state as it is (`POST /v1/route`).
    #[must_use]
    pub fn ruleset(&self) -> &std::sync::Arc<crate::rules::Ruleset> {
        todo!()
    }
}

/// What the switch counts. Names are those of the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    pub calls_active: u64,
    pub calls_total: u64,
    pub registrations: u64,
    pub requests_total: u64,
    pub responses_total: u64,
    /// Requests answered with 400.
    pub bad_requests_total: u64,
    pub challenges_total: u64,
    pub auth_failures_total: u64,
    pub transactions: u64,
    pub retransmissions_total: u64,
    pub relays_open: u64,
}
