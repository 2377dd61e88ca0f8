//! Peers that have shown by a certificate who they are (RFC 5922), for as long as their connections stand; and the trunks that they are.
//!
//! A trunk is known so where it speaks TLS and its proxy is a name that the certificate has: whom we would call by that name and believe by
//! that certificate may call us by it.

use super::Switch;
use super::identity::Sender;
use crate::rules::Domain;
use crate::rules::model::TrunkTransport;
use crate::sip::{ConnectionId, Flow, Message};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// The names of each, in small letters. As many as there are connections, at most.
#[derive(Debug, Default)]
pub(super) struct Certified(FxHashMap<ConnectionId, Vec<Arc<str>>>);

impl Certified {
    pub(super) fn learn(&mut self, flow: &Flow, names: Vec<Arc<str>>) {
        if let Some(connection) = flow.connection {
            self.0.insert(connection, names);
        }
    }

    pub(super) fn forget(&mut self, flow: &Flow) {
        if let Some(connection) = flow.connection {
            self.0.remove(&connection);
        }
    }
}

impl Switch {
    /// The trunk that a request comes from by the certificate of its connection: one of the domain that it is for, else of any.
    pub(super) fn by_certificate(&self, flow: &Flow, request: &Message) -> Option<Sender> {
        let names = self.certified.0.get(&flow.connection?)?;
        let of = |domain: &Arc<Domain>| {
            let is_named = |proxy: &str| names.iter().any(|name| host(proxy).eq_ignore_ascii_case(name));
            let mut trunks = domain.trunks().filter(|trunk| trunk.transport == TrunkTransport::Tls);
            let trunk = trunks.find(|trunk| trunk.proxy.as_deref().is_some_and(is_named))?;
            Some(Sender::Trunk { domain: domain.clone(), trunk: trunk.name.clone() })
        };
        let meant = self.domain_of(request);
        meant.as_ref().and_then(of).or_else(|| self.rules.domains().find_map(of))
    }
}

/// Of `host` or `host:port`; an address in brackets is nobody's name.
fn host(proxy: &str) -> &str {
    match proxy.rsplit_once(':') {
        Some((host, _)) if !host.contains(':') => host,
        _ => proxy,
    }
}
