//! Trunks as calls see them: where each leads (RFC 3263), in which order its places are tried, how many calls it carries, how it fares.
//!
//! What it is not: it resolves no names and asks nobody how they are; what others find out stands here, so that calls go by it.
//!
//! Invariant: what is said of a place is forgotten with the place, so a trunk holds no more than its places do.

use super::budgets::Ticket;
use super::office::Named;
use crate::rules::Domain;
use crate::sip::{Flow, ServerName, Transport};
use rustc_hash::FxHashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// After a 503 without Retry-After (RFC 3261 §21.5.4), and after silence: so long a place is passed over where there is another.
pub const QUARANTINE: Duration = Duration::from_secs(30);
/// A Retry-After beyond this is cut to it: nobody is shut out for hours by one response.
pub const QUARANTINE_MAX: Duration = Duration::from_secs(600);

/// One server of a trunk, as DNS or an address names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Server {
    /// Lower ones are tried first (the order of NAPTR, then the priority of SRV).
    pub rank: u32,
    pub transport: Transport,
    /// Among equals of one rank, how often it comes first (RFC 2782); 0: seldom.
    pub weight: u16,
    /// Of one host, in the order in which they are tried.
    pub addresses: Vec<SocketAddr>,
    /// Who has to be there, by TLS.
    pub name: Option<ServerName>,
}

/// One place that a request to a trunk may go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    pub transport: Transport,
    pub remote: SocketAddr,
    /// Who has to be there, by TLS: where two trunks lead to one address, each has its own connection.
    pub name: Option<ServerName>,
}

/// A call that a trunk carries: it counts against the trunk's `channels` as long as this is held.
#[derive(Clone, Debug)]
pub struct Channel {
    trunk: Named,
    /// Held for its count alone.
    held: Option<Arc<()>>,
    /// What it counts for against a budget.
    ticket: Option<Arc<Ticket>>,
}

impl Channel {
    /// Whose channel it is.
    #[must_use]
    pub fn trunk(&self) -> &Named {
        &self.trunk
    }

    /// What the call counts for against a budget goes where its channel goes.
    #[must_use]
    pub fn charged(self, ticket: Option<Arc<Ticket>>) -> Channel {
        Channel { ticket, ..self }
    }

    #[must_use]
    pub fn ticket(&self) -> Option<&Arc<Ticket>> {
        self.ticket.as_ref()
    }

    /// The trunk carries it no more; what it counts for goes on where the next one takes it over.
    pub fn release(&mut self) {
        self.held = None;
    }

    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// It counts for nothing any more.
    pub fn uncharge(&mut self) {
        self.ticket = None;
    }
}

/// What has become of a trunk's calls since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Both ways: each attempt that went out to it, and each call that came in.
    pub calls: u64,
    /// Of these, attempts that it did not take.
    pub failures: u64,
}

#[derive(Debug, Default)]
struct Line {
    servers: Vec<Server>,
    /// We should be registered there and are not.
    unregistered: bool,
    /// Places that have said they can't, or nothing, and until when they are passed over.
    quarantined: Vec<(Target, Instant)>,
    /// Places that don't answer when they are asked how they are (`trunk::health` says so).
    silent: Vec<Target>,
    /// What its channels hold.
    held: Arc<()>,
    tally: Tally,
}

/// How a place of a trunk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Open,
    /// It is passed over until then, unless there is nothing else.
    Quarantined {
        until: Instant,
    },
    /// It doesn't answer: likewise, until it does.
    Silent,
}

/// Every trunk that has been resolved or has carried a call.
#[derive(Debug, Default)]
pub struct Lines {
    by_trunk: FxHashMap<Named, Line>,
}

impl Lines {
    /// The proxy of a trunk leads there now.
    pub fn resolved(&mut self, trunk: &Named, mut servers: Vec<Server>) {
        servers.sort_by_key(|server| server.rank); // stable: among equals the edge's order stands
        let line = self.line(trunk);
        let is_there =
            |target: &Target| servers.iter().flat_map(Server::targets).any(|place| place == *target);
        line.quarantined.retain(|(target, _)| is_there(target));
        line.silent.retain(is_there);
        line.servers = servers;
    }

    /// A place has said that it can't, or nothing: for so long it is passed over.
    pub fn quarantine(&mut self, now: Instant, trunk: &Named, target: Target, time: Duration) {
        let until = now + time.min(QUARANTINE_MAX);
        let Some(line) = self.by_trunk.get_mut(trunk) else { return };
        line.quarantined.retain(|(other, until)| *other != target && *until > now);
        if line.servers.iter().flat_map(Server::targets).any(|place| place == target) {
            line.quarantined.push((target, until));
        }
    }

    /// Whether a place answers when it is asked how it is.
    pub fn set_silent(&mut self, trunk: &Named, target: Target, is_silent: bool) {
        let line = self.line(trunk);
        line.silent.retain(|other| *other != target);
        if is_silent {
            line.silent.push(target);
        } else {
            line.quarantined.retain(|(other, _)| *other != target); // it speaks again
        }
    }

    #[must_use]
    pub fn standing(&self, now: Instant, trunk: &Named, target: &Target) -> Standing {
        let Some(line) = self.by_trunk.get(trunk) else { return Standing::Open };
        if line.silent.contains(target) {
            return Standing::Silent;
        }
        let quarantined = line.quarantined.iter().find(|(other, until)| other == target && *until > now);
        quarantined.map_or(Standing::Open, |(_, until)| Standing::Quarantined { until: *until })
    }

    /// Forgets the trunks that the rules name no more, once they carry no call.
    pub fn keep(&mut self, is_named: impl Fn(&Named) -> bool) {
        self.by_trunk.retain(|trunk, line| is_named(trunk) || Arc::strong_count(&line.held) > 1);
    }

    /// Every place of a trunk by rank, without a draw among equals: for whoever stays with one as long as it works.
    #[must_use]
    pub fn places(&self, trunk: &Named) -> Vec<Target> {
        let servers = self.by_trunk.get(trunk).map(|line| line.servers.as_slice()).unwrap_or_default();
        servers.iter().flat_map(Server::targets).collect()
    }

    /// Whether any trunk leads to this address.
    #[must_use]
    pub fn leads_to(&self, ip: IpAddr) -> bool {
        let mut servers = self.by_trunk.values().flat_map(|line| &line.servers);
        servers.any(|server| server.addresses.iter().any(|address| address.ip() == ip))
    }

    #[must_use]
    pub fn leads_nowhere(&self, trunk: &Named) -> bool {
        self.by_trunk.get(trunk).is_none_or(|line| line.servers.is_empty())
    }

    /// The places of a trunk in the order in which one call tries them: by rank, and among equals as drawn (RFC 2782).
    #[must_use]
    pub fn drawn(&self, trunk: &Named, word: &mut dyn FnMut() -> u64) -> Vec<Target> {
        let servers = self.by_trunk.get(trunk).map(|line| line.servers.as_slice()).unwrap_or_default();
        let ranks = servers.chunk_by(|a, b| a.rank == b.rank);
        ranks.flat_map(|equals| draw(equals, word)).flat_map(Server::targets).collect()
    }

    pub fn set_registered(&mut self, trunk: &Named, is_registered: bool) {
        self.line(trunk).unregistered = !is_registered;
    }

    /// Whether we should be registered there and are not.
    #[must_use]
    pub fn is_unregistered(&self, trunk: &Named) -> bool {
        self.by_trunk.get(trunk).is_some_and(|line| line.unregistered)
    }

    /// These trunks of a domain in the order in which they are to be tried: those that we should be registered at and are not come last.
    /// They may take a call all the same, which is better than none.
    #[must_use]
    pub fn registered_first(&self, domain: &Domain, trunks: &[Arc<str>]) -> Vec<Arc<str>> {
        let is_out = |trunk: &&Arc<str>| self.is_unregistered(&(domain.name().clone(), Arc::clone(trunk)));
        let (out, mut first): (Vec<&Arc<str>>, Vec<&Arc<str>>) = trunks.iter().partition(is_out);
        first.extend(out);
        first.into_iter().cloned().collect()
    }

    /// One more call on this trunk, until the channel is dropped.
    #[must_use]
    pub fn channel(&mut self, trunk: &Named) -> Channel {
        let line = self.line(trunk);
        line.tally.calls += 1;
        Channel { trunk: trunk.clone(), held: Some(line.held.clone()), ticket: None }
    }

    /// The trunk did not take the call: nobody there, or it can't.
    pub fn failed(&mut self, channel: &Channel) {
        if let Some(line) = self.by_trunk.get_mut(&channel.trunk) {
            line.tally.failures += 1;
        }
    }

    /// How a trunk has fared.
    #[must_use]
    pub fn tally_of(&self, trunk: &Named) -> Tally {
        self.by_trunk.get(trunk).map_or_else(Tally::default, |line| line.tally)
    }

    /// Calls that the trunk carries now, both ways.
    #[must_use]
    pub fn channels_in_use(&self, trunk: &Named) -> usize {
        self.by_trunk.get(trunk).map_or(0, |line| Arc::strong_count(&line.held) - 1)
    }

    /// Channels that are held, of all trunks.
    #[must_use]
    pub fn held(&self) -> usize {
        self.by_trunk.values().map(|line| Arc::strong_count(&line.held) - 1).sum()
    }

    /// Whether the trunk carries as many calls as its `channels` allow.
    #[must_use]
    pub fn is_full(&self, domain: &Domain, trunk: &str) -> bool {
        let limit = domain.trunk(trunk).and_then(|trunk| trunk.channels);
        limit.is_some_and(|limit| {
            let key = (domain.name().clone(), Arc::from(trunk));
            self.channels_in_use(&key) >= limit as usize
        })
    }

    fn line(&mut self, trunk: &Named) -> &mut Line {
        self.by_trunk.entry(trunk.clone()).or_default()
    }
}

impl Target {
    /// Whether this flow leads there.
    #[must_use]
    pub fn is_at(&self, flow: &Flow) -> bool {
        (self.transport, self.remote) == (flow.transport, flow.remote)
    }
}

impl Server {
    fn targets(&self) -> impl Iterator<Item = Target> {
        let Server { transport, name, .. } = *self;
        self.addresses.iter().map(move |remote| Target { transport, remote: *remote, name })
    }
}

/// RFC 2782, "Weight": a number up to the sum of weights says who is next, those of weight 0 standing before all others.
fn draw<'s>(equals: &'s [Server], word: &mut dyn FnMut() -> u64) -> Vec<&'s Server> {
    let mut left: Vec<&Server> = equals.iter().collect();
    left.sort_by_key(|server| server.weight != 0);
    let mut drawn = Vec::with_capacity(left.len());
    while left.len() > 1 {
        let sum: u64 = left.iter().map(|server| u64::from(server.weight)).sum();
        let at = word() % (sum + 1);
        let mut running = 0;
        let next = left.iter().position(|server| {
            running += u64::from(server.weight);
            running >= at
        });
        drawn.push(left.remove(next.unwrap_or(0)));
    }
    drawn.extend(left);
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Ids;

    fn server(rank: u32, weight: u16, last: u8) -> Server {
        let addresses = vec![SocketAddr::from(([192, 0, 2, last], 5060))];
        Server { rank, transport: Transport::Udp, weight, addresses, name: None }
    }

    fn trunk() -> Named {
        ("pbx.example".into(), "carrier".into())
    }

    fn lasts(targets: &[Target]) -> Vec<u8> {
        let last = |target: &Target| match target.remote {
            SocketAddr::V4(v4) => v4.ip().octets()[3],
            SocketAddr::V6(_) => 0,
        };
        targets.iter().map(last).collect()
    }

    #[test]
    fn equals_are_drawn_by_weight_and_ranks_never_change_places() {
        let mut lines = Lines::default();
        lines.resolved(&trunk(), vec![server(2, 0, 9), server(1, 75, 1), server(1, 25, 2), server(1, 0, 3)]);
        let mut ids = Ids::new([3; 32], 0);
        let mut firsts = [0_u32; 4];
        for _ in 0..4000 {
            let order = lasts(&lines.drawn(&trunk(), &mut || ids.word()));
            assert_eq!(order[3], 9);
            firsts[usize::from(order[0])] += 1;
        }
        let [_, heavy, light, none] = firsts;
        assert!((2850..3150).contains(&heavy) && (850..1150).contains(&light), "{firsts:?}");
        assert!((1..120).contains(&none), "the one without a weight is seldom first: {firsts:?}");
    }

    #[test]
    fn a_seed_repeats_its_draws_and_a_single_server_needs_none() {
        let mut lines = Lines::default();
        lines.resolved(&trunk(), vec![server(0, 1, 1), server(0, 1, 2), server(0, 1, 3)]);
        let run = |seed| {
            let mut ids = Ids::new([seed; 32], 0);
            (0..20).map(|_| lasts(&lines.drawn(&trunk(), &mut || ids.word()))).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        lines.resolved(&trunk(), vec![server(0, 1, 1), server(1, 1, 2)]);
        assert_eq!(lasts(&lines.drawn(&trunk(), &mut || unreachable!())), [1, 2]);
    }

    #[test]
    fn a_place_is_passed_over_for_its_time_and_forgotten_with_its_address() {
        let mut lines = Lines::default();
        lines.resolved(&trunk(), vec![server(0, 0, 1), server(1, 0, 2)]);
        let [one, two] = lines.places(&trunk())[..] else { panic!("two places") };
        let now = crate::net::clock::mono();
        let after = |lines: &Lines, time, place| lines.standing(now + time, &trunk(), place);
        lines.quarantine(now, &trunk(), one, Duration::from_secs(40));
        let until = now + Duration::from_secs(40);
        assert_eq!(after(&lines, Duration::from_secs(39), &one), Standing::Quarantined { until });
        assert_eq!(after(&lines, Duration::from_secs(39), &two), Standing::Open);
        assert_eq!(after(&lines, Duration::from_secs(40), &one), Standing::Open);
        lines.quarantine(now, &trunk(), one, Duration::from_secs(1_000_000));
        assert_eq!(after(&lines, QUARANTINE_MAX, &one), Standing::Open);
        lines.set_silent(&trunk(), two, true);
        assert_eq!(after(&lines, QUARANTINE_MAX, &two), Standing::Silent);
        lines.resolved(&trunk(), vec![server(1, 0, 2)]);
        lines.resolved(&trunk(), vec![server(0, 0, 1), server(1, 0, 2)]);
        assert_eq!(after(&lines, Duration::ZERO, &one), Standing::Open);
        lines.set_silent(&trunk(), two, false);
        assert_eq!(after(&lines, Duration::ZERO, &two), Standing::Open);
    }

    #[test]
    fn a_trunk_that_is_gone_is_kept_as_long_as_it_carries_a_call() {
        let mut lines = Lines::default();
        let channel = lines.channel(&trunk());
        lines.keep(|_| false);
        assert_eq!(lines.channels_in_use(&trunk()), 1);
        drop(channel);
        lines.keep(|_| false);
        assert_eq!(lines.tally_of(&trunk()), Tally::default());
    }
}
