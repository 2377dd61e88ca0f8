//! Trunks that nothing can be sent to, because the daemon doesn't listen by their transport: what goes out is sent from a listener. And mail
//! addresses, where it knows no server.

use crate::rules::Domain;
use crate::sip::Transport;

/// A line for each such trunk, with its place in the rules.
pub(super) fn warnings(domain: &Domain, listening: &[Transport]) -> Vec<String> {
    let trunks = domain.trunks().filter(|trunk| trunk.proxy.is_some());
    trunks
        .filter_map(|trunk| {
            let wanted = trunk.transport.only().filter(|wanted| !listening.contains(wanted))?;
            let place = domain.trunk_place(&trunk.name).map(|place| place.to_string()).unwrap_or_default();
            let scheme = wanted.scheme();
            let more = if wanted.is_secure() { " and `tls = { certificate, key }` beside it" } else { "" };
            Some(format!(
                "{place}: trunk {} has transport = \"{scheme}\", and `[sip] listen` has no `{scheme}://`: no call goes out by it until \
                 it has; write `\"{scheme}://0.0.0.0:{}\"` there{more}",
                trunk.name,
                wanted.default_port(),
            ))
        })
        .collect()
}

/// A line where staff are to be told of emergency calls by mail.
pub(super) fn unmailed(domain: &Domain) -> Option<String> {
    let addresses = domain.mailed_of_emergencies();
    (!addresses.is_empty()).then(|| {
        let (name, addresses) = (domain.name(), addresses.join(", "));
        format!("{name}: `notify` of [emergency] names {addresses}, and there is no mail: add `smtp` to [mail] in ringtree.toml and restart")
    })
}
