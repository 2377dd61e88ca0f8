//! Who a request is from (rulings, "People, identity, lists"): a registered flow or credentials (a device's or a trunk's), then `accept_from` of a device or a
//! trunk, then a stranger.

use super::Switch;
use crate::clock::Now;
use crate::registrar::binding::DeviceKey;
use crate::registrar::digest::{Account, Verdict};
use crate::rules::compile::BySource;
use crate::rules::model::UnknownSource;
use crate::rules::{Domain, Ruleset};
use crate::sip::{Flow, Message, Name, Uri, Writer, status};
use crate::transaction::ServerId;
use bytes::Bytes;
use std::sync::Arc;

/// Who a request is from.
#[derive(Clone, Debug)]
pub enum Sender {
    Device { domain: Arc<Domain>, key: DeviceKey },
    Trunk { domain: Arc<Domain>, trunk: Arc<str> },
}

impl Sender {
    /// Whoever has proved to be this account of the domain.
    pub(super) fn of(domain: Arc<Domain>, account: Account) -> Sender {
        match account {
            Account::Device(key) => Sender::Device { domain, key },
            Account::Trunk { trunk, .. } => Sender::Trunk { domain, trunk },
        }
    }
}

/// What a request that is from nobody we know gets.
#[derive(Debug)]
pub enum Unknown {
    /// 401 with challenges (RFC 3261 §22.2), or another refusal.
    Answer(Bytes),
    /// `unknown_source = "silent"`: nothing at all.
    Silence,
}

impl Switch {
    /// The domain that a request is for: what its Request-URI names, else the default one, else the only one.
    pub(super) fn domain_of(&self, request: &Message) -> Option<Arc<Domain>> {
        let named = Uri::parse(request.request_uri()).and_then(|uri| self.rules.domain(uri.host));
        let default = || self.config.default_domain.as_deref().and_then(|name| self.rules.domain(name));
        let only = || {
            let mut domains = self.rules.domains();
            domains.next().filter(|_| domains.next().is_none())
        };
        named.or_else(default).or_else(only).cloned()
    }

    /// Who sent this.
    pub(super) fn identify(&mut self, now: Now, flow: &Flow, request: &Message) -> Result<Sender, Unknown> {
        let from_user = request.from().map(|from| from.uri.user_unescaped()).unwrap_or_default();
        if let Some(key) = self.registered_flow(flow, &from_user) {
            let domain = self.rules.domain(&key.domain).cloned();
            if let Some(domain) = domain.filter(|domain| domain.device(&key.device).is_some()) {
                return Ok(Sender::Device { domain, key });
            }
        }
        if request.value(Name::Authorization).is_none()
            && request.value(Name::ProxyAuthorization).is_none()
            && let Some(sender) = self.by_wire(flow, &from_user, request)
        {
            return Ok(sender);
        }
        let Some(domain) = self.domain_of(request) else {
            return Err(Unknown::Answer(super::response::plain(request, 404)));
        };
        match self.verify(now, flow, &domain, request) {
            Verdict::Verified(account) => Ok(Sender::of(domain, account)),
            Verdict::Malformed => {
                Err(Unknown::Answer(super::response::with_reason(request, 400, "Bad Credentials")))
            }
            verdict => match self.by_wire(flow, &from_user, request) {
                // Its credentials are for somebody else, or stale; its address is enough.
                Some(sender) => Ok(sender),
                None => Err(self.challenge(now, flow, &domain, request, verdict)),
            },
        }
    }

    /// What a request gets that is from nobody we know: nothing of it is kept.
    pub(super) fn turn_away(&mut self, server: ServerId, unknown: Unknown) {
        match unknown {
            Unknown::Answer(bytes) => self.office.respond_once(server, bytes),
            Unknown::Silence => self.office.transactions.forget(server),
        }
    }

    /// Whom the connection's certificate, the flow of a trunk or the address tells. Credentials that hold are heard before any of them.
    fn by_wire(&self, flow: &Flow, from_user: &str, request: &Message) -> Option<Sender> {
        let by_flow = || self.registered_trunk(flow);
        self.by_certificate(flow, request)
            .or_else(by_flow)
            .or_else(|| by_source(&self.rules, flow, from_user))
    }

    /// Judges the credentials for this domain's realm.
    pub(super) fn verify(
        &mut self,
        now: Now,
        flow: &Flow,
        domain: &Arc<Domain>,
        request: &Message,
    ) -> Verdict {
        let secret = |user: &str| {
            if let Some(device) = domain.device_by_auth(user) {
                return Some((Account::Device(device.key.clone()), device.ha1.clone()?));
            }
            let (trunk, ha1) = domain.trunk_by_auth(user)?;
            Some((Account::Trunk { domain: domain.name().clone(), trunk: trunk.clone() }, ha1))
        };
        let verdict = self.digest.verify(now, domain.name(), flow.remote.ip(), request, &secret);
        if matches!(verdict, Verdict::Wrong) {
            self.counters.auth_failures_total += 1;
        }
        self.judged(now, flow, request, &verdict);
        verdict
    }

    /// 401: the same for users that exist and users that don't.
    pub(super) fn challenge(
        &mut self,
        now: Now,
        flow: &Flow,
        domain: &Arc<Domain>,
        request: &Message,
        verdict: Verdict,
    ) -> Unknown {
        if domain.unknown_source() == UnknownSource::Silent && verdict == Verdict::Missing {
            return Unknown::Silence;
        }
        self.counters.challenges_total += 1;
        let mut w = Writer::reply(
            request,
            401,
            status::reason_phrase(401),
            Some(&super::response::stateless_tag(request)),
        );
        let challenges =
            self.digest.challenge(now, domain.name(), flow.remote.ip(), verdict == Verdict::Stale);
        let offered = if takes_one_challenge(request) { 1 } else { challenges.len() };
        for challenge in challenges.into_iter().take(offered) {
            w.header(Name::WwwAuthenticate, challenge);
        }
        Unknown::Answer(w.finish())
    }

    /// A trunk whose registration came by this flow, whoever calls by it. Not where it came through a proxy (RFC 3327): by that come others
    /// as well.
    fn registered_trunk(&self, flow: &Flow) -> Option<Sender> {
        let key = self.office.location.by_flow(flow).filter(|key| key.trunk().is_some())?;
        if self.office.location.of(key).iter().any(|binding| !binding.path().is_empty()) {
            return None;
        }
        let domain = self.rules.domain(&key.domain)?;
        let trunk = domain.trunk(key.trunk()?).filter(|trunk| trunk.registers_here)?;
        Some(Sender::Trunk { domain: domain.clone(), trunk: trunk.name.clone() })
    }

    /// A device whose registration came by this flow; where several share it (a phone with several accounts), the one that the From
    /// names.
    fn registered_flow(&self, flow: &Flow, from_user: &str) -> Option<DeviceKey> {
        let names = |key: &&DeviceKey| {
            let device = self.rules.domain(&key.domain).and_then(|domain| domain.device(&key.device));
            device.is_some_and(|device| {
                device.addresses_of_record.iter().any(|address| &**address == from_user)
            })
        };
        self.office.location.by_flow(flow).filter(names).cloned()
    }
}

/// Phones that give up when any challenge has an algorithm that they lack, instead of taking another (RFC 8760 §2.3 wants the latter):
/// libre before 2.0, so Debian 12's baresip; and SIP.js, the phone of many browsers. They get the first algorithm alone.
const ONE_CHALLENGE: &[&str] = &["baresip v0.", "baresip v1.", "SIP.js/"];

fn takes_one_challenge(request: &Message) -> bool {
    let agent = request.value(Name::UserAgent).unwrap_or_default();
    ONE_CHALLENGE.iter().any(|start| agent.starts_with(start))
}

fn by_source(rules: &Ruleset, flow: &Flow, from_user: &str) -> Option<Sender> {
    match rules.by_source(flow.remote, from_user)? {
        BySource::Device(key) => {
            let domain = rules.domain(&key.domain)?.clone();
            Some(Sender::Device { domain, key })
        }
        BySource::Trunk { domain, trunk } => {
            Some(Sender::Trunk { domain: rules.domain(&domain)?.clone(), trunk })
        }
    }
}
