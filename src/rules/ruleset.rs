//! All domains, immutable, and the look-ups that go across them.

use super::diagnostic::{Diagnostic, Severity, Span};
use super::domain::Domain;
use super::model::AcceptFrom;
use super::outgoing::HABITUAL_PREFIXES;
use super::sources::{self, Sources};
use crate::number::Pattern;
use crate::registrar::binding::DeviceKey;
use rustc_hash::FxHashSet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

#[derive(Debug, Default)]
pub struct Ruleset {
    /// By name in lower case.
    domains: BTreeMap<Arc<str>, Arc<Domain>>,
    sources: Arc<Sources>,
    emergencies: OnceLock<Emergencies>,
}

/// The emergency numbers of all domains, and what may stand before them. There are few, whatever the number of domains.
#[derive(Debug)]
struct Emergencies {
    /// Found by one look each: a flood of what is none walks over the few patterns alone.
    numbers: FxHashSet<Box<str>>,
    patterns: BTreeSet<Pattern>,
    prefixes: BTreeSet<Box<str>>,
}

/// Who a request is from, by its source address alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BySource {
    Device(DeviceKey),
    Trunk { domain: Arc<str>, trunk: Arc<str> },
}

/// Two domains that would both claim a request: the range of `second` overlaps one of `first`.
#[derive(Clone, Debug)]
pub struct Overlap {
    /// Names of the domains; the diagnostic's place is in the files of `second`.
    pub first: Arc<str>,
    pub second: Arc<str>,
    pub diagnostic: Diagnostic,
}

impl Ruleset {
    #[must_use]
    pub fn new(domains: impl IntoIterator<Item = Arc<Domain>>) -> Ruleset {
        let domains: BTreeMap<Arc<str>, Arc<Domain>> = domains.into_iter().map(by_name).collect();
        let sources = Arc::new(Sources::of(domains.iter()));
        Ruleset { domains, sources, emergencies: OnceLock::new() }
    }

    /// This one with the domain put in place of its earlier generation.
    #[must_use]
    pub fn with(&self, domain: Arc<Domain>) -> Ruleset {
        let (name, domain) = by_name(domain);
        let unmoved = self.domains.get(&name).is_some_and(|old| sources::same(old, &domain));
        let mut domains = self.domains.clone();
        domains.insert(name, domain);
        let sources = if unmoved { self.sources.clone() } else { Arc::new(Sources::of(domains.iter())) };
        Ruleset { domains, sources, emergencies: OnceLock::new() }
    }

    /// Compared without case.
    #[must_use]
    pub fn domain(&self, name: &str) -> Option<&Arc<Domain>> {
        self.domains.get(name).or_else(|| self.domains.get(name.to_lowercase().as_str()))
    }

    pub fn domains(&self) -> impl Iterator<Item = &Arc<Domain>> {
        self.domains.values()
    }

    /// `accept_from` of devices (with their From user: an extension of the device's user, its name or `auth.user`), then of
    /// trunks.
    #[must_use]
    pub fn by_source(&self, source: SocketAddr, from_user: &str) -> Option<BySource> {
        let mut devices = self.claiming(source).filter_map(|domain| device_from(domain, source, from_user));
        if let Some(device) = devices.next() {
            return Some(BySource::Device(device));
        }
        self.claiming(source).find_map(|domain| {
            let (trunk, _) =
                domain.trunks.iter().find(|(_, t)| t.accept_from.iter().any(|a| covers(a, source)))?;
            Some(BySource::Trunk { domain: domain.name.clone(), trunk: trunk.clone() })
        })
    }

    /// The domains that may know this source.
    fn claiming(&self, source: SocketAddr) -> impl Iterator<Item = &Arc<Domain>> {
        self.sources.claiming(source).filter_map(|name| self.domains.get(name))
    }

    /// Whether any trunk or device accepts this address at all: such sources are never shut out.
    #[must_use]
    pub fn is_known_source(&self, source: SocketAddr) -> bool {
        self.claiming(source).any(|domain| domain.claims.iter().any(|(_, range)| covers(range, source)))
    }

    /// Whether some domain takes this text for an emergency number. Gathered when first asked: asking is for what is refused.
    #[must_use]
    pub fn is_emergency_number(&self, text: &str) -> bool {
        let Emergencies { numbers, patterns, prefixes } = self.emergencies();
        let is_one =
            |text: &str| numbers.contains(text) || patterns.iter().any(|pattern| pattern.matches(text));
        is_one(text) || prefixes.iter().filter_map(|prefix| text.strip_prefix(&**prefix)).any(is_one)
    }

    /// Every text that [`Ruleset::is_emergency_number`] takes for one, while they are few. `None`: there are patterns, which take too many.
    #[must_use]
    pub fn emergency_numbers(&self) -> Option<Vec<String>> {
        let Emergencies { numbers, patterns, prefixes } = self.emergencies();
        let before = || std::iter::once("").chain(prefixes.iter().map(|prefix| &**prefix));
        let all = numbers.iter().flat_map(|number| before().map(move |before| format!("{before}{number}")));
        patterns.is_empty().then(|| all.collect::<BTreeSet<_>>().into_iter().collect())
    }

    fn emergencies(&self) -> &Emergencies {
        self.emergencies.get_or_init(|| {
            let domains = || self.domains.values();
            let all = || domains().flat_map(|domain| &domain.emergency_numbers).map(|(pattern, _)| pattern);
            let lines = domains().filter_map(|domain| domain.outside_line.as_deref());
            Emergencies {
                numbers: all().filter_map(Pattern::literal).map(Box::from).collect(),
                patterns: all().filter(|pattern| pattern.literal().is_none()).cloned().collect(),
                prefixes: lines.chain(HABITUAL_PREFIXES).map(Box::from).collect(),
            }
        })
    }

    /// The ranges that two domains both claim: a request from there would have no one domain.
    #[must_use]
    pub fn check_overlaps(&self) -> Vec<Overlap> {
        let mut overlaps = Vec::new();
        let domains: Vec<&Arc<Domain>> = self.domains.values().collect();
        for (index, second) in domains.iter().enumerate() {
            for first in domains.iter().take(index) {
                for (what, range) in &second.claims {
                    if let Some((other, _)) = first.claims.iter().find(|(_, claimed)| overlap(claimed, range))
                    {
                        overlaps.push(overlap_of(first, second, other, what, range.span));
                    }
                }
            }
        }
        overlaps
    }
}

fn by_name(domain: Arc<Domain>) -> (Arc<str>, Arc<Domain>) {
    (Arc::from(domain.name().to_lowercase()), domain)
}

impl Domain {
    /// Whether any range of addresses is claimed by both.
    #[must_use]
    pub fn may_overlap(&self, other: &Domain) -> bool {
        self.claims.iter().any(|(_, range)| other.claims.iter().any(|(_, claimed)| overlap(claimed, range)))
    }
}

/// A device of the domain that accepts this source, by the From user.
fn device_from(domain: &Domain, source: SocketAddr, from_user: &str) -> Option<DeviceKey> {
    let candidates = domain.accepting.get(from_user)?.iter().filter_map(|name| domain.device_entry(name));
    let mut accepting =
        candidates.filter(|device| device.accept_from.iter().any(|range| covers(range, source)));
    accepting.next().map(|device| device.view.key.clone())
}

fn overlap_of(first: &Domain, second: &Domain, theirs: &str, ours: &str, span: Span) -> Overlap {
    Overlap {
        first: first.name.clone(),
        second: second.name.clone(),
        diagnostic: Diagnostic {
            severity: Severity::Error,
            code: "accept-from-overlap",
            span,
            message: format!("`{ours}` accepts addresses that `{theirs}` of {} accepts too", first.name),
            help: Some(
                "a source address can belong to one domain only: narrow one of the ranges, or give a port"
                    .to_owned(),
            ),
            related: None,
        },
    }
}

/// Whether a source stands inside a range; an IPv4 address that came by an IPv6 socket counts as IPv4.
fn covers(range: &AcceptFrom, source: SocketAddr) -> bool {
    range.port.is_none_or(|port| port == source.port())
        && same_prefix(range.address, source.ip(), range.prefix)
}

fn overlap(a: &AcceptFrom, b: &AcceptFrom) -> bool {
    let ports = a.port.is_none() || b.port.is_none() || a.port == b.port;
    ports && same_prefix(a.address, b.address, a.prefix.min(b.prefix))
}

fn same_prefix(a: IpAddr, b: IpAddr, prefix: u8) -> bool {
    let high = |bits: u32, prefix: u8| bits.checked_sub(u32::from(prefix));
    match (a.to_canonical(), b.to_canonical()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let shift = high(32, prefix.min(32)).unwrap_or(0);
            (u64::from(a.to_bits()) >> shift) == (u64::from(b.to_bits()) >> shift)
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let shift = high(128, prefix.min(128)).unwrap_or(0);
            a.to_bits().checked_shr(shift).unwrap_or(0) == b.to_bits().checked_shr(shift).unwrap_or(0)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::compile::Secrets;
    use crate::rules::diagnostic::Files;

    fn domain(name: &str, trunk: &str, device: &str) -> Arc<Domain> {
        let text = format!(
            "schema = 1\n[domain]\nname = \"{name}\"\ntimezone = \"UTC\"\ncountry = \"US\"\n\
             [trunk.t]\nproxy = \"192.0.2.1\"\naccept_from = [{trunk}]\n\
             [user.ann]\next = \"101\"\nname = {{ first = \"A\", last = \"X\" }}\n\
             [device.a1]\nuser = \"ann\"\nauth = {{ user = \"secretive\", secret = \"plain:x\" }}\naccept_from = [{device}]\n"
        );
        let loaded = crate::rules::source::load(&Files([("domain.toml".into(), text.into())].into()));
        let model = loaded.model.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        Arc::new(Domain::compile(&model, Secrets::default(), 1).unwrap())
    }

    fn from(ruleset: &Ruleset, source: &str, user: &str) -> Option<String> {
        Some(match ruleset.by_source(source.parse().unwrap(), user)? {
            BySource::Device(key) => format!("{} device {}", key.domain, key.device),
            BySource::Trunk { domain, trunk } => format!("{domain} trunk {trunk}"),
        })
    }

    #[test]
    fn a_source_is_a_device_by_its_from_user_else_a_trunk_else_a_stranger() {
        let rules = Ruleset::new([domain("one.test", "\"198.51.100.0/24\"", "\"198.51.100.7\"")]);
        assert_eq!(from(&rules, "198.51.100.7:5060", "101").unwrap(), "one.test device a1");
        assert_eq!(from(&rules, "198.51.100.7:5060", "secretive").unwrap(), "one.test device a1");
        assert_eq!(from(&rules, "198.51.100.7:5060", "102").unwrap(), "one.test trunk t");
        assert_eq!(from(&rules, "198.51.100.8:5060", "101").unwrap(), "one.test trunk t");
        assert_eq!(from(&rules, "203.0.113.1:5060", "101"), None);
        assert_eq!(from(&rules, "[::ffff:198.51.100.8]:5060", "x").unwrap(), "one.test trunk t");
        assert!(rules.is_known_source("198.51.100.9:1".parse().unwrap()));
        assert!(!rules.is_known_source("203.0.113.1:5060".parse().unwrap()));
    }

    #[test]
    fn emergency_numbers_are_told_while_no_pattern_takes_more_of_them() {
        let rules = Ruleset::new([domain("one.test", "", "")]);
        let numbers = rules.emergency_numbers().unwrap();
        assert!(["911", "9911", "0911"].iter().all(|number| numbers.iter().any(|told| told == number)));
        assert!(numbers.iter().all(|number| rules.is_emergency_number(number)), "{numbers:?}");
        let with = |class: &str| {
            let text = format!(
                "schema = 1\n[domain]\nname = \"one.test\"\ntimezone = \"UTC\"\ncountry = \"US\"\n\
                 [trunk.t]\nproxy = \"192.0.2.1\"\n[[route]]\nclasses = [\"emergency\"]\nvia = [\"t\"]\n{class}"
            );
            let loaded = crate::rules::source::load(&Files([("domain.toml".into(), text.into())].into()));
            let model = loaded.model.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
            Ruleset::new([Arc::new(Domain::compile(&model, Secrets::default(), 1).unwrap())])
        };
        let told = with("[class.emergency]\nmatch = [\"777\"]\n").emergency_numbers().unwrap();
        assert!(told.contains(&"777".to_owned()) && told.contains(&"9777".to_owned()), "{told:?}");
        assert_eq!(with("[class.emergency]\nmatch = [\"77X\"]\n").emergency_numbers(), None);
    }

    #[test]
    fn a_range_belongs_to_one_domain_a_port_can_part_them() {
        let both = |a: &str, b: &str| {
            let rules = Ruleset::new([domain("one.test", a, ""), domain("two.test", b, "")]);
            rules.check_overlaps().into_iter().map(|o| o.diagnostic.message).collect::<Vec<_>>()
        };
        let found = both("\"198.51.100.0/24\"", "\"198.51.100.128/25\"");
        assert_eq!(found, ["`trunk.t` accepts addresses that `trunk.t` of one.test accepts too"]);
        assert!(both("\"198.51.100.0/25\"", "\"198.51.100.128/25\"").is_empty());
        assert!(both("\"198.51.100.1:5060\"", "\"198.51.100.1:5070\"").is_empty());
        assert_eq!(both("\"198.51.100.1\"", "\"198.51.100.1:5070\"").len(), 1);
        assert!(both("\"0.0.0.0/0\"", "\"2001:db8::/32\"").is_empty());
    }

    #[test]
    fn a_source_is_found_among_many_domains_by_its_narrowest_range_and_after_each_edit() {
        let range = |n: u32| format!("\"10.{}.{}.0/24\", \"[2001:db8:{n:x}::]/48\"", n / 256, n % 256);
        let named = |n: u32, range: &str| domain(&format!("d{n}.test"), range, "");
        let rules = Ruleset::new((0..300).map(|n| named(n, &range(n))));
        assert_eq!(from(&rules, "10.1.2.3:5060", "x").unwrap(), "d258.test trunk t");
        assert_eq!(from(&rules, "[2001:db8:fe:1::1]:5060", "x").unwrap(), "d254.test trunk t");
        assert_eq!(from(&rules, "10.2.0.1:5060", "x"), None);
        let moved = rules.with(named(258, "\"10.2.0.1:5070\""));
        assert_eq!(from(&moved, "10.1.2.3:5060", "x"), None);
        assert_eq!(from(&moved, "10.2.0.1:5060", "x"), None);
        assert_eq!(from(&moved, "10.2.0.1:5070", "x").unwrap(), "d258.test trunk t");
        let unmoved = moved.with(named(258, "\"10.2.0.1:5071\""));
        assert_eq!(from(&unmoved, "10.2.0.1:5071", "x").unwrap(), "d258.test trunk t");
        let everybody = unmoved.with(domain("e.test", "\"0.0.0.0/0\"", ""));
        assert_eq!(from(&everybody, "203.0.113.9:1", "x").unwrap(), "e.test trunk t");
    }

    #[test]
    fn a_domain_is_found_without_case_and_replaced_by_its_next_generation() {
        let rules = Ruleset::new([domain("One.Test", "", "")]);
        assert!(rules.domain("oNE.tEST").is_some());
        let rules = rules.with(domain("one.test", "\"198.51.100.1\"", ""));
        assert_eq!(rules.domains().count(), 1);
        assert!(rules.is_known_source("198.51.100.1:5060".parse().unwrap()));
    }
}
