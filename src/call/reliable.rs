//! Reliable provisional responses to the caller (RFC 3262 §3): our own RSeq, one response at a time, repeated until its PRACK comes.
//!
//! What it is not: it writes no response; the caller does.

use super::office::Office;
use super::unacked::Wait;
use crate::clock::Now;
use crate::sip::{Message, Method, Name};
use crate::transaction::ServerId;
use crate::transaction::timers::T1;
use bytes::Bytes;
use std::time::{Duration, Instant};

/// The option tag.
pub const TAG: &str = "100rel";

/// What the caller's INVITE says of reliable provisional responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    Unable,
    Able,
    Required,
}

/// How a provisional response goes to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Plain,
    /// With this RSeq.
    Reliable(u32),
    /// Once the one that is not acknowledged yet is.
    Later,
    /// Not at all.
    Unsaid,
}

#[derive(Debug)]
pub struct Reliable {
    wish: Wish,
    /// RSeq of the newest; 0: none was sent.
    rseq: u32,
    unacknowledged: Option<Unacknowledged>,
}

#[derive(Debug)]
struct Unacknowledged {
    /// It has a description.
    described: bool,
    status: u16,
    bytes: Bytes,
    /// `None`: repeated no more, since a final response was sent.
    next: Option<Instant>,
    interval: Duration,
    give_up: Instant,
}

impl Reliable {
    #[must_use]
    pub fn of(invite: &Message) -> Reliable {
        let names = |name| invite.elements(name).any(|tag| tag.eq_ignore_ascii_case(TAG));
        let wish = match (names(Name::Require), names(Name::Supported)) {
            (true, _) => Wish::Required,
            (false, true) => Wish::Able,
            (false, false) => Wish::Unable,
        };
        Reliable { wish, rseq: 0, unacknowledged: None }
    }

    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.wish > Wish::Unable
    }

    /// How to send a response other than 100, with a description or without. To a caller who has made no offer and was made none yet, the
    /// first reliable response has to have one (RFC 3262 §5): `owes_offer`.
    pub fn manner(&mut self, office: &mut Office, described: bool, owes_offer: bool) -> Manner {
        match self.wish {
            Wish::Unable => return Manner::Plain,
            Wish::Able if !described => return Manner::Plain,
            Wish::Required if owes_offer && !described => return Manner::Unsaid,
            Wish::Able | Wish::Required => {}
        }
        if self.unacknowledged.is_some() {
            return Manner::Later;
        }
        // RFC 3262 §3: the first one is drawn; far enough from the end that no call gets there.
        self.rseq = match self.rseq {
            0 => u32::try_from(office.ids.word() >> 34).unwrap_or(0) + 1,
            last => last + 1,
        };
        Manner::Reliable(self.rseq)
    }

    /// It was sent.
    pub fn sent(&mut self, now: Now, status: u16, described: bool, bytes: Bytes) {
        self.unacknowledged = Some(Unacknowledged {
            described,
            status,
            bytes,
            next: Some(now.mono + T1),
            interval: T1,
            give_up: now.mono + 64 * T1,
        });
    }

    /// Takes a PRACK: whether the response that it acknowledges has a description. `None`: it acknowledges nothing that waits for it.
    pub fn acknowledged(&mut self, invite: &Message, prack: &Message) -> Option<bool> {
        let (rseq, cseq) = rack(prack)?;
        let fits = rseq == self.rseq && invite.cseq().is_some_and(|invite| invite.number == cseq);
        let acknowledged = self.unacknowledged.take_if(|_| fits)?;
        Some(acknowledged.described)
    }

    /// RFC 3262 §3: a 2xx waits for the PRACK of a response with a description.
    #[must_use]
    pub fn holds_the_answer(&self) -> bool {
        self.unacknowledged.as_ref().is_some_and(|response| response.described)
    }

    /// A final response was sent: the PRACK is still taken, and nothing repeated.
    pub fn rest(&mut self) {
        if let Some(response) = &mut self.unacknowledged {
            response.next = None;
        }
    }

    /// Repeats the response when that is due: T1, doubled each time (RFC 3262 §3).
    pub fn timeout(&mut self, office: &mut Office, now: Now, server: ServerId) -> Wait {
        let Some(response) = &mut self.unacknowledged else { return Wait::On };
        let Some(next) = response.next else { return Wait::On };
        if now.mono >= response.give_up {
            response.next = None;
            return Wait::GivenUp;
        }
        if now.mono >= next {
            office.respond(now, server, response.status, response.bytes.clone());
            response.interval = response.interval.saturating_mul(2);
            response.next = Some(now.mono + response.interval);
        }
        Wait::On
    }

    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let response = self.unacknowledged.as_ref()?;
        Some(response.next?.min(response.give_up))
    }
}

/// RSeq and CSeq number of a PRACK's RAck (RFC 3262 §7.2). `None`: there is none, it can't be read, or it is of another method.
fn rack(prack: &Message) -> Option<(u32, u32)> {
    let mut words = prack.value(Name::RAck)?.split_ascii_whitespace();
    let mut number = || words.next()?.parse().ok();
    let (rseq, cseq) = (number()?, number()?);
    (words.next() == Some(Method::Invite.word()) && words.next().is_none()).then_some((rseq, cseq))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Writer;

    fn rack_of(value: &str) -> Option<(u32, u32)> {
        let mut w = Writer::request("PRACK", "sip:x@y");
        w.header(Name::RAck, value);
        rack(&Message::parse(w.finish()).unwrap())
    }

    #[test]
    fn a_rack_names_the_response_the_number_and_the_method() {
        assert_eq!(rack_of("776656 1 INVITE"), Some((776_656, 1)));
        assert_eq!(rack_of(" 4294967295   2  INVITE "), Some((u32::MAX, 2)));
        for wrong in [
            "",
            "1",
            "1 INVITE",
            "1 2",
            "1 2 invite",
            "1 2 UPDATE",
            "1 2 INVITE 3",
            "-1 2 INVITE",
            "4294967296 1 INVITE",
        ] {
            assert_eq!(rack_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_the_invite_says_decides_who_may_have_it() {
        let of = |fields: &str| {
            let text = format!("INVITE sip:x@y SIP/2.0\r\n{fields}Content-Length: 0\r\n\r\n");
            Reliable::of(&Message::parse(text.into()).unwrap()).wish
        };
        assert_eq!(of(""), Wish::Unable);
        assert_eq!(of("Supported: timer\r\n"), Wish::Unable);
        assert_eq!(of("k: timer, 100REL\r\n"), Wish::Able);
        assert_eq!(of("Supported: 100rel\r\nRequire: 100rel\r\n"), Wish::Required);
    }
}
