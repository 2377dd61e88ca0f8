//! More comes than can be done: what is part of something that was begun, what is new, and how the new is refused (RFC 3261 §21.5.4: 503 with Retry-After).
//!
//! A registration is refused before a call, a call before nothing else: what stands in a dialog, answers to us, and calls for help never are.
//! `backlog` says when. A refusal keeps nothing (RFC 3261 §8.2.7).

use super::backlog::Class;
use super::{Action, Counters, Event, Input, Switch, urgent};
use crate::clock::Now;
use crate::sip::{Flow, Message, glance};
use crate::subscription;
use crate::transaction::REFUSED_TAG;
use bytes::Bytes;
use std::ops::Range;
use std::time::{Duration, Instant};

/// When nothing was refused for so long, it is over.
pub const OVER_AFTER: Duration = Duration::from_secs(1);
/// Refusals that are said in a second to datagrams; what goes beyond is dropped (RFC 3261 §21.5.4 leaves us that): saying them would cost calls, and
/// it comes again. What came by a connection does not (§17.1.2.2), and is always answered.
pub const REFUSALS_S: u32 = 20_000;
/// What Retry-After says of a call, in seconds: whoever is told sends us nothing else for so long (RFC 3261 §21.5.4), so it is short.
const CALL_AGAIN_S: Range<u32> = 1..5;
/// Of everything else: phones that come back all at once are spread.
const OTHER_AGAIN_S: Range<u32> = 5..30;

/// Whether things are refused, and what was.
#[derive(Debug, Default)]
pub(super) struct Overload {
    episode: Option<Episode>,
    /// Refusals that may still be said, in millionths, as of `seen`.
    allowed: u64,
    seen: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Episode {
    began: Instant,
    last: Instant,
    /// What had been refused before.
    before: Refused,
}

/// What was refused since the start, by what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refused {
    calls: u64,
    registrations: u64,
    others: u64,
}

impl Refused {
    fn of(counters: &Counters) -> Refused {
        Refused {
            calls: counters.overload_calls_total,
            registrations: counters.overload_registrations_total,
            others: counters.overload_others_total,
        }
    }
}

impl Overload {
    #[must_use]
    pub(super) fn is_on(&self) -> bool {
        self.episode.is_some()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.episode.map(|episode| episode.last + OVER_AFTER)
    }

    /// One more, after those; `true` where it is the first.
    fn refused(&mut self, now: Instant, before: Refused) -> bool {
        let begins = self.episode.is_none();
        self.episode.get_or_insert(Episode { began: now, last: now, before }).last = now;
        begins
    }

    /// Whether one more refusal may be said.
    fn says(&mut self, now: Instant) -> bool {
        const WHOLE: u64 = 1_000_000;
        let full = u64::from(REFUSALS_S / 10) * WHOLE;
        let passed = self.seen.map(|seen| now.saturating_duration_since(seen).as_micros());
        let gained = passed
            .map_or(full, |us| u64::try_from(us).unwrap_or(u64::MAX).saturating_mul(u64::from(REFUSALS_S)));
        self.allowed = self.allowed.saturating_add(gained).min(full);
        self.seen = Some(now);
        let left = self.allowed.checked_sub(WHOLE);
        self.allowed = left.unwrap_or(self.allowed);
        left.is_some()
    }

    /// What there is to tell of one that is over.
    fn over(&mut self, now: Instant, refused: Refused) -> Option<Event> {
        let episode = self.episode.take_if(|episode| now >= episode.last + OVER_AFTER)?;
        let Refused { calls, registrations, others } = episode.before;
        let calls = refused.calls.saturating_sub(calls);
        let registrations = refused.registrations.saturating_sub(registrations);
        let others = refused.others.saturating_sub(others);
        let for_ms = episode.last.saturating_duration_since(episode.began).as_millis();
        let for_ms = u64::try_from(for_ms).unwrap_or(u64::MAX);
        Some(Event::OverloadEnded { for_ms, calls, registrations, others })
    }
}

impl Switch {
    /// What these bytes are to us, where more has come than can be done at once. [`Switch::admits`] has let them in.
    pub fn class(&mut self, now: Now, flow: &Flow, bytes: &[u8]) -> Class {
        let method = bytes.split(|byte| *byte == b' ').next().unwrap_or_default();
        match method {
            b"ACK" if ours(bytes).is_some_and(|tag| tag.starts_with(REFUSED_TAG)) => Class::Spent,
            // Responses; and a CANCEL is sent to whom we have answered (RFC 3261 §9.1).
            b"SIP/2.0" | b"ACK" | b"CANCEL" => Class::Begun,
            _ if self.is_in_dialog(bytes) => Class::Begun,
            b"INVITE" if urgent::is_call_for_help(bytes, &self.rules) => Class::Begun,
            b"INVITE" if self.is_ours(now, flow) => Class::Call,
            b"REGISTER" => Class::Registration,
            _ => Class::Other,
        }
    }

    /// Refuses a request for which there is no time. One that is a retransmission of what we do already is taken in all the same: it is not new.
    pub fn refuse(&mut self, now: Now, class: Class, flow: Flow, bytes: Bytes, out: &mut Vec<Action>) {
        if self.overload.refused(now.mono, Refused::of(&self.counters)) {
            self.counters.overloads_total += 1;
            self.told.push(Event::OverloadBegan {});
        }
        match class {
            Class::Call => self.counters.overload_calls_total += 1,
            Class::Registration => self.counters.overload_registrations_total += 1,
            Class::Begun | Class::Other | Class::Spent => self.counters.overload_others_total += 1,
        }
        if !flow.transport.is_reliable() && !self.overload.says(now.mono) {
            self.counters.overload_dropped_total += 1;
            return self.flush(out);
        }
        let Ok(mut message) = Message::parse(bytes) else { return self.flush(out) };
        message.mark();
        let again_s = if class == Class::Call { CALL_AGAIN_S } else { OTHER_AGAIN_S };
        match self.office.transactions.refuse(flow, message, again_s) {
            Ok((flow, bytes)) => out.push(Action::Send { flow, bytes }),
            Err(message) => return self.handle(now, Input::Packet { flow, message: *message }, out),
        }
        self.flush(out);
    }

    /// Tells of an overload that is over.
    pub(super) fn calm(&mut self, now: Now) {
        self.told.extend(self.overload.over(now.mono, Refused::of(&self.counters)));
    }

    /// Whether it names a dialog that stands, by the tag that only its party was told.
    fn is_in_dialog(&mut self, bytes: &[u8]) -> bool {
        let Some(tag) = ours(bytes).and_then(|tag| std::str::from_utf8(tag).ok()) else { return false };
        if let Some(key) = subscription::of_tag(tag) {
            return self.notifier.holder(key).is_some();
        }
        let call = self.calls.place(tag).and_then(|(key, ..)| self.calls.get_mut(key));
        call.is_some_and(|call| call.has_tag(tag))
    }
}

/// Our tag, where the sender was told one.
fn ours(bytes: &[u8]) -> Option<&[u8]> {
    glance::field(bytes, "To", Some(b't')).and_then(glance::tag)
}
