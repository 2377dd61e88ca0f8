//! Sources that nobody vouches for, and what each may cost us (RFC 3261 §26.1.5): so many messages a second, so many challenges that it
//! never answers, so many wrong credentials. Who goes too far is shut out for a while: nothing of theirs is read any more.
//!
//! A source is an IPv4 address or an IPv6 /64: whoever has one address of a /64 has them all. What is written in a message (a User-Agent) is not
//! looked at: it is the sender's to choose.
//!
//! What it is not: it doesn't know who is vouched for. Registered flows and the addresses of devices and trunks are the switch's to tell,
//! and are never held back.
//!
//! Invariants: each call costs the same, however many sources there are; the tables have an end. Those who come at random addresses push
//! others out of the table of rates, never out of that of the shut-out.

use crate::deadlines::Deadlines;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Sources whose rate is known; at the limit the half that was heard of least recently is forgotten.
pub const SOURCES_MAX: usize = 65_536;
/// Sources that are shut out at once; one more is held to its rate alone.
pub const SHUT_OUT_MAX: usize = 16_384;
/// Seconds' worth of messages that may come at once: all phones of an office, after its power came back.
const BURST_S: u32 = 4;
/// Each of these a wrong credential is forgiven: a phone that tries an old password twice a minute for ever shuts nobody out.
const FORGIVEN_EVERY: Duration = Duration::from_secs(15);
/// Challenges without an answer that count as one wrong credential: who is new to us is challenged before they can answer.
const UNANSWERED_FOR_A_FAILURE: u32 = 10;
/// Who is shut out again and again is so for longer, up to so many doublings.
const DOUBLINGS_MAX: u32 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages a second; 0: no limit.
    pub messages_s: u32,
    /// Wrong credentials before a source is shut out; 0: never.
    pub tries: u32,
    pub shut_out: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { messages_s: 100, tries: 10, shut_out: Duration::from_secs(600) }
    }
}

/// What a source is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Prefix {
    V4(u32),
    V6(u64),
}

impl Prefix {
    #[must_use]
    pub fn of(ip: IpAddr) -> Prefix {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Prefix::V4(ip.to_bits()),
            IpAddr::V6(ip) => Prefix::V6((ip.to_bits() >> 64) as u64),
        }
    }
}

/// As events show it.
impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Prefix::V4(bits) => write!(f, "{}", std::net::Ipv4Addr::from_bits(*bits)),
            Prefix::V6(bits) => write!(f, "{}/64", std::net::Ipv6Addr::from_bits(u128::from(*bits) << 64)),
        }
    }
}

/// Somebody has gone too far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutOut {
    pub source: Prefix,
    pub lasts: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Source {
    /// Messages that may still come, in thousandths, as of `seen`.
    tokens: u64,
    seen: Instant,
    /// Wrong credentials not forgiven yet, in units of [`UNANSWERED_FOR_A_FAILURE`], as of `judged`.
    failures: u32,
    judged: Instant,
    times: u32,
    /// The address that was asked about last, of which rules, and whether it is vouched for.
    vouched: Option<(IpAddr, u64, bool)>,
}

#[derive(Clone, Copy, Debug)]
struct Shut {
    until: Instant,
    times: u32,
}

pub struct Strangers {
    limits: Limits,
    /// Keys are chosen by strangers: hashed with a key of its own. Heard of lately, and before.
    young: HashMap<Prefix, Source>,
    old: HashMap<Prefix, Source>,
    shut: HashMap<Prefix, Shut>,
    deadlines: Deadlines<Prefix>,
    /// Which rules say who is vouched for.
    rules: u64,
    sources_max: usize,
}

impl Strangers {
    #[must_use]
    pub fn new(limits: Limits) -> Strangers {
        Strangers {
            limits,
            young: HashMap::new(),
            old: HashMap::new(),
            shut: HashMap::new(),
            deadlines: Deadlines::new(),
            rules: 0,
            sources_max: SOURCES_MAX,
        }
    }

    /// Whether a message from there is to be looked at. `vouched` is asked where it would be refused, once an address.
    pub fn admits(&mut self, now: Instant, ip: IpAddr, vouched: impl FnOnce() -> bool) -> bool {
        if self.limits.messages_s == 0 && self.shut.is_empty() {
            return true;
        }
        let prefix = Prefix::of(ip);
        let out = self.shut.get(&prefix).is_some_and(|shut| shut.until > now);
        let (limits, rules) = (self.limits, self.rules);
        let source = self.source(now, prefix);
        if source.take(now, limits) && !out {
            return true;
        }
        match source.vouched {
            Some((asked, by, answer)) if asked == ip && by == rules => answer,
            Some(_) | None => {
                let answer = vouched();
                source.vouched = Some((ip, rules, answer));
                answer
            }
        }
    }

    /// It was challenged, and has said nothing yet.
    pub fn challenged(&mut self, now: Instant, ip: IpAddr) -> Option<ShutOut> {
        self.count(now, ip, 1)
    }

    /// It has answered a challenge, rightly or wrongly.
    pub fn answered(&mut self, now: Instant, ip: IpAddr) {
        self.source(now, Prefix::of(ip)).forgive(now, 1);
    }

    /// Its credentials were wrong.
    pub fn failed(&mut self, now: Instant, ip: IpAddr) -> Option<ShutOut> {
        self.count(now, ip, UNANSWERED_FOR_A_FAILURE)
    }

    /// Its credentials were right: behind one address there may be many phones, and one of them has an old password.
    pub fn verified(&mut self, now: Instant, ip: IpAddr) {
        self.source(now, Prefix::of(ip)).forgive(now, UNANSWERED_FOR_A_FAILURE);
    }

    /// The rules have changed, and with them who is vouched for: whoever was shut out may be somebody now.
    pub fn rules_changed(&mut self) {
        self.rules += 1;
    }

    /// Sources that are shut out.
    #[must_use]
    pub fn shut_out(&self) -> usize {
        self.shut.len()
    }

    pub fn timeout(&mut self, now: Instant) {
        while let Some((at, prefix)) = self.deadlines.pop(now) {
            if self.shut.get(&prefix).is_some_and(|shut| shut.until == at) {
                self.shut.remove(&prefix);
            }
        }
    }

    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    fn count(&mut self, now: Instant, ip: IpAddr, failures: u32) -> Option<ShutOut> {
        let prefix = Prefix::of(ip);
        let (limits, is_out) = (self.limits, self.shut.contains_key(&prefix));
        let source = self.source(now, prefix);
        source.forgive(now, 0);
        source.failures = source.failures.saturating_add(failures);
        if limits.tries == 0
            || source.failures < limits.tries.saturating_mul(UNANSWERED_FOR_A_FAILURE)
            || is_out
        {
            return None;
        }
        source.failures = 0;
        source.times = (source.times + 1).min(DOUBLINGS_MAX + 1);
        let times = source.times;
        if self.shut.len() >= SHUT_OUT_MAX {
            return None;
        }
        let lasts = limits.shut_out.saturating_mul(1 << (times - 1));
        let until = now + lasts;
        self.shut.insert(prefix, Shut { until, times });
        self.deadlines.arm(prefix, &mut None, Some(until));
        Some(ShutOut { source: prefix, lasts })
    }

    fn source(&mut self, now: Instant, prefix: Prefix) -> &mut Source {
        if self.young.len() >= self.sources_max / 2 && !self.young.contains_key(&prefix) {
            self.old = std::mem::take(&mut self.young);
        }
        let full = u64::from(self.limits.messages_s) * u64::from(BURST_S) * 1_000;
        let times = self.shut.get(&prefix).map_or(0, |shut| shut.times);
        let new = Source { tokens: full, seen: now, failures: 0, judged: now, times, vouched: None };
        let old = &mut self.old;
        self.young.entry(prefix).or_insert_with(|| old.remove(&prefix).unwrap_or(new))
    }

    /// It is vouched for after all.
    pub fn pardon(&mut self, ip: IpAddr) {
        self.shut.remove(&Prefix::of(ip));
    }
}

impl Source {
    /// Whether one more message is within the rate.
    fn take(&mut self, now: Instant, limits: Limits) -> bool {
        if limits.messages_s == 0 {
            return true;
        }
        let rate = u64::from(limits.messages_s);
        let passed_ms =
            u64::try_from(now.saturating_duration_since(self.seen).as_millis()).unwrap_or(u64::MAX);
        if passed_ms > 0 {
            self.tokens = self
                .tokens
                .saturating_add(passed_ms.saturating_mul(rate))
                .min(rate * u64::from(BURST_S) * 1_000);
            self.seen = now;
        }
        let left = self.tokens.checked_sub(1_000);
        self.tokens = left.unwrap_or(self.tokens);
        left.is_some()
    }

    /// What time has forgiven, and this.
    fn forgive(&mut self, now: Instant, failures: u32) {
        let every_ms = FORGIVEN_EVERY.as_millis() / u128::from(UNANSWERED_FOR_A_FAILURE);
        let passed = now.saturating_duration_since(self.judged).as_millis() / every_ms;
        let forgiven = u32::try_from(passed).unwrap_or(u32::MAX);
        if forgiven > 0 {
            self.judged = now;
        }
        self.failures = self.failures.saturating_sub(forgiven.saturating_add(failures));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { messages_s: 10, tries: 3, shut_out: Duration::from_secs(60) };

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn strangers() -> (Strangers, Instant) {
        (Strangers::new(LIMITS), crate::net::clock::now().mono)
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_source_has_its_burst_and_then_its_rate() {
        let (mut strangers, now) = strangers();
        let mut admitted =
            |at: Instant, from: &str| (0..1_000).filter(|_| strangers.admits(at, ip(from), || false)).count();
        assert_eq!(admitted(now, "192.0.2.1"), 40);
        assert_eq!(admitted(now + s(1), "192.0.2.1"), 10);
        assert_eq!(admitted(now + s(1), "192.0.2.2"), 40, "another source has its own");
        assert_eq!(admitted(now + s(3_600), "192.0.2.1"), 40, "and no more than its burst after a rest");
        assert_eq!(admitted(now, "2001:db8::1"), 40);
        assert_eq!(admitted(now, "2001:db8::ffff:1"), 0, "a /64 is one source");
        assert_eq!(admitted(now, "2001:db8:0:1::1"), 40);
        assert_eq!(
            admitted(now + s(3_600), "::ffff:192.0.2.1"),
            0,
            "the same host, whatever the socket says"
        );
    }

    #[test]
    fn who_is_vouched_for_is_asked_about_once_and_never_held_back() {
        let (mut strangers, now) = strangers();
        let mut asked = 0;
        let admitted = (0..1_000)
            .filter(|_| {
                strangers.admits(now, ip("192.0.2.1"), || {
                    asked += 1;
                    true
                })
            })
            .count();
        assert_eq!((admitted, asked), (1_000, 1));
        strangers.rules_changed();
        assert!(!strangers.admits(now, ip("192.0.2.1"), || false), "new rules are asked anew");
    }

    #[test]
    fn wrong_credentials_shut_a_source_out_for_longer_each_time() {
        let (mut strangers, mut now) = strangers();
        for lasts in [60, 120, 240, 480, 960, 960] {
            let outs: Vec<_> = (0..3).filter_map(|_| strangers.failed(now, ip("192.0.2.1"))).collect();
            assert_eq!(outs, [ShutOut { source: Prefix::of(ip("192.0.2.1")), lasts: s(lasts) }]);
            assert!(!strangers.admits(now, ip("192.0.2.1"), || false));
            assert!(strangers.admits(now, ip("192.0.2.2"), || false));
            assert_eq!(strangers.deadline(), Some(now + s(lasts)));
            now += s(lasts);
            strangers.timeout(now);
            assert!(strangers.admits(now, ip("192.0.2.1"), || false));
            assert_eq!(strangers.shut_out(), 0);
        }
    }

    #[test]
    fn a_phone_with_an_old_password_shuts_nobody_out() {
        let (mut strangers, mut now) = strangers();
        for _ in 0..1_000 {
            assert_eq!(strangers.failed(now, ip("192.0.2.1")), None);
            now += s(30);
        }
        // Nor does one in an office whose other phones are right.
        for _ in 0..1_000 {
            assert_eq!(strangers.failed(now, ip("192.0.2.1")), None);
            strangers.verified(now, ip("192.0.2.1"));
        }
    }

    #[test]
    fn challenges_that_are_never_answered_shut_out_and_answered_ones_do_not() {
        let (mut strangers, now) = strangers();
        let outs = (0..40).filter_map(|_| strangers.challenged(now, ip("192.0.2.1"))).count();
        assert_eq!(outs, 1);
        for _ in 0..1_000 {
            assert_eq!(strangers.challenged(now, ip("192.0.2.2")), None);
            strangers.answered(now, ip("192.0.2.2"));
        }
    }

    #[test]
    fn a_crowd_pushes_nobody_out_of_the_shut_out_and_the_table_has_an_end() {
        let (mut strangers, now) = strangers();
        strangers.sources_max = 64;
        assert_eq!((0..3).filter_map(|_| strangers.failed(now, ip("192.0.2.1"))).count(), 1);
        for n in 0..10_000u32 {
            strangers.admits(now, IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n)), || false);
            assert!(strangers.young.len() + strangers.old.len() <= 64);
        }
        assert!(!strangers.admits(now, ip("192.0.2.1"), || false));
    }

    #[test]
    fn limits_of_nought_limit_nothing() {
        let (_, now) = strangers();
        let mut strangers = Strangers::new(Limits { messages_s: 0, tries: 0, ..LIMITS });
        assert!((0..10_000).all(|_| strangers.admits(now, ip("192.0.2.1"), || false)));
        assert!((0..1_000).all(|_| strangers.failed(now, ip("192.0.2.1")).is_none()));
    }
}
