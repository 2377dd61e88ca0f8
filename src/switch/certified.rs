//! Peers that have shown by a certificate who they are (RFC 5922), for as long as their connections stand; and the trunks that they are.
//!
//! A trunk is known so where it speaks TLS and its proxy is a name that the certificate has: whom we would call by that name and believe by
//! that certificate may call us by it. Several domains may have the same carrier. Its call is then that domain's which it names, or
//! whose number it is for, or the default one's; never the first one's that happens to have written the carrier's name.

use super::Switch;
use super::identity::Sender;
use crate::rules::model::TrunkTransport;
use crate::rules::{Domain, Ruleset};
use crate::sip::{ConnectionId, Flow, Message, Uri};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// As many as there are connections, at most.
#[derive(Debug, Default)]
pub(super) struct Certified(FxHashMap<ConnectionId, Shown>);

#[derive(Debug)]
struct Shown {
    /// In small letters.
    names: Vec<Arc<str>>,
    /// By the rules of now, some trunk is one of them.
    is_trunk: bool,
}

impl Certified {
    pub(super) fn learn(&mut self, rules: &Ruleset, flow: &Flow, names: Vec<Arc<str>>) {
        if let Some(connection) = flow.connection {
            let is_trunk = is_any_trunk(rules, &names);
            self.0.insert(connection, Shown { names, is_trunk });
        }
    }

    pub(super) fn forget(&mut self, flow: &Flow) {
        if let Some(connection) = flow.connection {
            self.0.remove(&connection);
        }
    }

    pub(super) fn rules_changed(&mut self, rules: &Ruleset) {
        for shown in self.0.values_mut() {
            shown.is_trunk = is_any_trunk(rules, &shown.names);
        }
    }

    /// Whether who is at the other end has shown to be a trunk of ours.
    pub(super) fn is_trunk(&self, flow: &Flow) -> bool {
        flow.connection.and_then(|id| self.0.get(&id)).is_some_and(|shown| shown.is_trunk)
    }
}

impl Switch {
    /// The trunk that a request comes from by the certificate of its connection.
    pub(super) fn by_certificate(&self, flow: &Flow, request: &Message) -> Option<Sender> {
        let shown = self.certified.0.get(&flow.connection?).filter(|shown| shown.is_trunk)?;
        let of = |domain: &Arc<Domain>| Some((domain.clone(), trunk_of(domain, &shown.names)?));
        let uri = Uri::parse(request.request_uri());
        let named = uri.and_then(|uri| self.rules.domain(uri.host)).and_then(of);
        let (domain, trunk) = named.or_else(|| {
            let mut having: Vec<(Arc<Domain>, Arc<str>)> = self.rules.domains().filter_map(of).collect();
            if having.len() > 1 {
                let number = uri.map_or("", |uri| uri.user);
                self.keep_meant(&mut having, number);
            }
            having.pop()
        })?;
        Some(Sender::Trunk { domain, trunk })
    }

    /// Of several domains that have the carrier the one whose number is called, else the default one, else none: nobody can say
    /// whose call it is.
    fn keep_meant(&self, having: &mut Vec<(Arc<Domain>, Arc<str>)>, number: &str) {
        let is_ours = |(domain, trunk): &(Arc<Domain>, Arc<str>)| {
            domain.normalised(trunk, number).is_some_and(|number| domain.has_number(&number))
        };
        match having.iter().filter(|entry| is_ours(entry)).count() {
            0 => {
                let default = self.config.default_domain.as_deref();
                having.retain(|(domain, _)| Some(&**domain.name()) == default);
            }
            1 => having.retain(is_ours),
            _ => having.clear(),
        }
    }
}

fn is_any_trunk(rules: &Ruleset, names: &[Arc<str>]) -> bool {
    rules.domains().any(|domain| trunk_of(domain, names).is_some())
}

/// The trunk of the domain that has one of these names.
fn trunk_of(domain: &Domain, names: &[Arc<str>]) -> Option<Arc<str>> {
    let is_named = |proxy: &str| names.iter().any(|name| host(proxy).eq_ignore_ascii_case(name));
    let mut trunks = domain.trunks().filter(|trunk| trunk.transport == TrunkTransport::Tls);
    let trunk = trunks.find(|trunk| trunk.proxy.as_deref().is_some_and(is_named))?;
    Some(trunk.name.clone())
}

/// Of `host` or `host:port`; an address in brackets is nobody's name.
fn host(proxy: &str) -> &str {
    match proxy.rsplit_once(':') {
        Some((host, _)) if !host.contains(':') => host,
        _ => proxy,
    }
}
