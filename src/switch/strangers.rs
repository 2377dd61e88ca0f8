//! Sources that nobody vouches for, and what each may cost us (RFC 3261 §26.1.5): so many messages a second, so many wrong credentials.
//! Who goes too far is shut out for a while: nothing of theirs is read any more.
//!
//! Anybody can write any address above a datagram. So nothing counts towards shutting out but what shows that its sender receives what
//! is sent there: a wrong answer to a challenge of ours that went to that address (`Verdict::Wrong`). What else comes costs its
//! rate, and datagrams have one of their own: connections from there, whose ends have shaken hands, don't share in it.
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
use crate::sip::Transport;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
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
/// Emergency calls that are let in from a source which is shut out or sends too much, at once, by datagrams and by connections each; one more each [`FORGIVEN_EVERY`], so that whoever
/// guesses passwords by them has no more tries than who is never shut out.
pub const CALLS_FOR_HELP_MAX: u32 = 10;
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

/// What may still come.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Messages, in thousandths, as of `seen`.
    tokens: u64,
    seen: Instant,
}

/// Calls for help let in and not forgotten yet, as of `helped`: what datagrams have used up, that anybody may have sent, is not missing where
/// connections come from.
#[derive(Clone, Copy, Debug)]
struct Helps {
    datagrams: u32,
    connections: u32,
    helped: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Source {
    datagrams: Bucket,
    connections: Bucket,
    /// Wrong credentials not forgiven yet, as of `judged`.
    failures: u32,
    judged: Instant,
    /// The wrong credentials that came last, hashed: the same again are a retransmission and tell nobody anything.
    last: Option<u64>,
    times: u32,
    helps: Helps,
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
    /// Hashes what may come again, so that nobody can make two that look the same.
    hasher: RandomState,
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
            hasher: RandomState::new(),
            sources_max: SOURCES_MAX,
        }
    }

    /// Whether a message from there is to be looked at. `vouched` is asked where it would be refused, once an address.
    pub fn admits(
        &mut self,
        now: Instant,
        ip: IpAddr,
        transport: Transport,
        vouched: impl FnOnce() -> bool,
    ) -> bool {
        if self.limits.messages_s == 0 && self.shut.is_empty() {
            return true;
        }
        let prefix = Prefix::of(ip);
        let out = self.shut.get(&prefix).is_some_and(|shut| shut.until > now);
        let (limits, rules) = (self.limits, self.rules);
        let source = self.source(now, prefix);
        let bucket = if transport.is_reliable() { &mut source.connections } else { &mut source.datagrams };
        if bucket.take(now, limits) && !out {
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

    /// Whether what [`Strangers::admits`] has refused is let in all the same: a call for help, and not too many of them. `is_one` looks at it
    /// where it could be.
    pub fn admits_call_for_help(
        &mut self,
        now: Instant,
        ip: IpAddr,
        transport: Transport,
        is_one: impl FnOnce() -> bool,
    ) -> bool {
        let helps = &mut self.source(now, Prefix::of(ip)).helps;
        helps.forget(now);
        let count = if transport.is_reliable() { &mut helps.connections } else { &mut helps.datagrams };
        let admitted = *count < CALLS_FOR_HELP_MAX && is_one();
        *count += u32::from(admitted);
        admitted
    }

    /// It has answered a challenge that was sent there with these credentials, and they were wrong.
    pub fn failed(&mut self, now: Instant, ip: IpAddr, credentials: impl Hash) -> Option<ShutOut> {
        let (prefix, said) = (Prefix::of(ip), self.hasher.hash_one(credentials));
        let (limits, is_out) = (self.limits, self.shut.contains_key(&prefix));
        let source = self.source(now, prefix);
        source.forgive(now, 0);
        if source.last.replace(said) == Some(said) {
            return None;
        }
        source.failures = source.failures.saturating_add(1);
        if limits.tries == 0 || source.failures < limits.tries || is_out {
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

    /// Its credentials were right: behind one address there may be many phones, and one of them has an old password.
    pub fn verified(&mut self, now: Instant, ip: IpAddr) {
        self.source(now, Prefix::of(ip)).forgive(now, 1);
    }

    /// The rules have changed, and with them who is vouched for: whoever was shut out may be somebody now.
    pub fn rules_changed(&mut self) {
        self.rules += 1;
    }

    /// Sources whose rate is known.
    #[must_use]
    pub fn sources(&self) -> usize {
        self.young.len() + self.old.len()
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

    fn source(&mut self, now: Instant, prefix: Prefix) -> &mut Source {
        if self.young.len() >= self.sources_max / 2 && !self.young.contains_key(&prefix) {
            self.old = std::mem::take(&mut self.young);
        }
        let full = u64::from(self.limits.messages_s) * u64::from(BURST_S) * 1_000;
        let times = self.shut.get(&prefix).map_or(0, |shut| shut.times);
        let bucket = Bucket { tokens: full, seen: now };
        let new = Source {
            datagrams: bucket,
            connections: bucket,
            failures: 0,
            judged: now,
            last: None,
            times,
            helps: Helps { datagrams: 0, connections: 0, helped: now },
            vouched: None,
        };
        let old = &mut self.old;
        self.young.entry(prefix).or_insert_with(|| old.remove(&prefix).unwrap_or(new))
    }
}

impl Bucket {
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
}

impl Helps {
    fn forget(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.helped).as_secs() / FORGIVEN_EVERY.as_secs();
        if passed > 0 {
            let passed = u32::try_from(passed).unwrap_or(u32::MAX);
            self.datagrams = self.datagrams.saturating_sub(passed);
            self.connections = self.connections.saturating_sub(passed);
            self.helped = now;
        }
    }
}

impl Source {
    /// What time has forgiven, and this.
    fn forgive(&mut self, now: Instant, failures: u32) {
        let passed = now.saturating_duration_since(self.judged).as_secs() / FORGIVEN_EVERY.as_secs();
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
    use crate::sip::Transport::{Tcp, Tls, Udp};

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
        let mut admitted = |at: Instant, from: &str| {
            (0..1_000).filter(|_| strangers.admits(at, ip(from), Udp, || false)).count()
        };
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
                strangers.admits(now, ip("192.0.2.1"), Udp, || {
                    asked += 1;
                    true
                })
            })
            .count();
        assert_eq!((admitted, asked), (1_000, 1));
        strangers.rules_changed();
        assert!(!strangers.admits(now, ip("192.0.2.1"), Udp, || false), "new rules are asked anew");
    }

    #[test]
    fn wrong_credentials_shut_a_source_out_for_longer_each_time() {
        let (mut strangers, mut now) = strangers();
        for lasts in [60, 120, 240, 480, 960, 960] {
            let outs: Vec<_> = (0..3).filter_map(|n| strangers.failed(now, ip("192.0.2.1"), n)).collect();
            assert_eq!(outs, [ShutOut { source: Prefix::of(ip("192.0.2.1")), lasts: s(lasts) }]);
            assert!(!strangers.admits(now, ip("192.0.2.1"), Udp, || false));
            assert!(strangers.admits(now, ip("192.0.2.2"), Udp, || false));
            assert_eq!(strangers.deadline(), Some(now + s(lasts)));
            now += s(lasts);
            strangers.timeout(now);
            assert!(strangers.admits(now, ip("192.0.2.1"), Udp, || false));
            assert_eq!(strangers.shut_out(), 0);
        }
    }

    #[test]
    fn a_phone_with_an_old_password_shuts_nobody_out() {
        let (mut strangers, mut now) = strangers();
        for n in 0..1_000 {
            assert_eq!(strangers.failed(now, ip("192.0.2.1"), n), None);
            now += s(30);
        }
        // Nor does one in an office whose other phones are right.
        for n in 0..1_000 {
            assert_eq!(strangers.failed(now, ip("192.0.2.1"), n), None);
            strangers.verified(now, ip("192.0.2.1"));
        }
    }

    #[test]
    fn the_same_wrong_credentials_again_are_one_try() {
        let (mut strangers, now) = strangers();
        assert!((0..1_000).all(|_| strangers.failed(now, ip("192.0.2.1"), "guess").is_none()));
        assert_eq!(strangers.failed(now, ip("192.0.2.1"), "another"), None);
        assert!(strangers.failed(now, ip("192.0.2.1"), "a third").is_some());
    }

    #[test]
    fn what_datagrams_use_up_is_not_missing_where_connections_come_from() {
        let (mut strangers, now) = strangers();
        let mut admitted = |transport| {
            (0..100).filter(|_| strangers.admits(now, ip("192.0.2.1"), transport, || false)).count()
        };
        assert_eq!((admitted(Udp), admitted(Tls), admitted(Tcp), admitted(Udp)), (40, 40, 0, 0));
    }

    #[test]
    fn a_crowd_pushes_nobody_out_of_the_shut_out_and_the_table_has_an_end() {
        let (mut strangers, now) = strangers();
        strangers.sources_max = 64;
        assert_eq!((0..3).filter_map(|n| strangers.failed(now, ip("192.0.2.1"), n)).count(), 1);
        for n in 0..10_000u32 {
            strangers.admits(now, IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n)), Udp, || false);
            assert!(strangers.young.len() + strangers.old.len() <= 64);
        }
        assert!(!strangers.admits(now, ip("192.0.2.1"), Udp, || false));
    }

    #[test]
    fn a_few_calls_for_help_are_let_in_and_what_is_none_costs_none_of_them() {
        let (mut strangers, now) = strangers();
        let mut admitted = |after, calls, is_one| {
            let admits =
                |_: &u32| strangers.admits_call_for_help(now + after, ip("192.0.2.1"), Udp, || is_one);
            (0..calls).filter(admits).count()
        };
        assert_eq!(admitted(s(0), 1_000, false), 0);
        assert_eq!(admitted(s(0), 1_000, true), 10);
        assert_eq!(admitted(s(14), 1_000, true), 0);
        assert_eq!(admitted(s(31), 1_000, true), 2);
        assert_eq!(admitted(s(3_600), 1_000, true), 10);
    }

    #[test]
    fn forged_calls_for_help_use_up_none_of_those_by_connections() {
        let (mut strangers, now) = strangers();
        let mut admitted = |transport| {
            let admits = |_: &u32| strangers.admits_call_for_help(now, ip("192.0.2.1"), transport, || true);
            (0..100).filter(admits).count()
        };
        assert_eq!((admitted(Udp), admitted(Tls), admitted(Tcp), admitted(Udp)), (10, 10, 0, 0));
    }

    #[test]
    fn limits_of_nought_limit_nothing() {
        let (_, now) = strangers();
        let mut strangers = Strangers::new(Limits { messages_s: 0, tries: 0, ..LIMITS });
        assert!((0..10_000).all(|_| strangers.admits(now, ip("192.0.2.1"), Udp, || false)));
        assert!((0..1_000).all(|n| strangers.failed(now, ip("192.0.2.1"), n).is_none()));
    }
}
