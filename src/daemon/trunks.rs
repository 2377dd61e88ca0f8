//! Proxies of trunks, resolved at the edge: once at start and with every generation, then every minute, and told to the signalling
//! plane when they change.

use crate::admin::Admin;
use crate::admin::generation::Generations;
use crate::net::signalling::Handle;
use crate::net::signalling::connections::Expected;
use crate::rules::model::TrunkTransport;
use crate::switch::Input;
use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// How often names are looked up again.
pub const RESOLVE_EVERY: Duration = Duration::from_secs(60);
/// Addresses of one proxy that are kept, in the resolver's order.
pub const ADDRESSES_MAX: usize = 16;

/// A trunk by its domain and its name.
type Key = (Arc<str>, Arc<str>);
/// What is known of a proxy: its text and its addresses (empty where the last look-up failed).
type Known = BTreeMap<Key, (String, Vec<SocketAddr>)>;

/// Runs as long as the daemon does.
pub async fn keep_resolved(admin: Arc<Admin>) {
    let mut applied = admin.events.applied();
    let mut ticks = tokio::time::interval(RESOLVE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut known = Known::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            Ok(()) = applied.changed() => {}
        }
        let asked = proxies(&admin.generations);
        // The system's resolver blocks, and may for long: never on a thread of the runtime.
        let Ok(found) =
            tokio::task::spawn_blocking(move || asked.into_iter().map(resolve).collect::<Vec<_>>()).await
        else {
            continue;
        };
        known.retain(|key, _| found.iter().any(|(k, _, _)| k == key));
        // Before the addresses: the first message to one may follow at once.
        admin.plane.expect(expected(&known, &found));
        for (key, proxy, result) in found {
            learn(&mut known, &admin.plane, key, proxy, result);
        }
    }
}

/// Trunk, `host[:port]`, and the port where none is given (RFC 3261 §19.1.2).
fn proxies(generations: &Generations) -> Vec<(Key, String, u16)> {
    let mut asked = Vec::new();
    for live in generations.all() {
        for trunk in live.domain.trunks() {
            let port = match trunk.transport {
                TrunkTransport::Udp | TrunkTransport::Tcp => 5060,
                TrunkTransport::Tls => 5061,
            };
            if let Some(proxy) = &trunk.proxy {
                asked.push(((live.stored.domain.clone(), trunk.name.clone()), proxy.clone(), port));
            }
        }
    }
    asked
}

/// Who is at which address: the name in the configuration, wherever it led (RFC 5922 §4).
fn expected(known: &Known, found: &[(Key, String, std::io::Result<Vec<SocketAddr>>)]) -> Expected {
    let mut expected = Expected::default();
    for (key, proxy, result) in found {
        let before = || known.get(key).filter(|(p, _)| p == proxy).map(|(_, addresses)| addresses);
        let Some(addresses) = result.as_ref().ok().or_else(before) else { continue };
        let name: Arc<str> = match proxy.rsplit_once(':') {
            Some((host, _)) if !host.contains(':') || host.ends_with(']') => host.trim_matches(['[', ']']),
            _ => proxy.trim_matches(['[', ']']),
        }
        .into();
        for address in addresses {
            let names = expected.entry(*address).or_default();
            if !names.contains(&name) {
                names.push(name.clone());
            }
        }
    }
    expected
}

fn resolve((key, proxy, port): (Key, String, u16)) -> (Key, String, std::io::Result<Vec<SocketAddr>>) {
    let result = addresses(&proxy, port);
    (key, proxy, result)
}

fn addresses(proxy: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    let bare = proxy.trim_start_matches('[').trim_end_matches(']');
    let found = if let Ok(address) = bare.parse::<std::net::IpAddr>() {
        vec![SocketAddr::new(address, port)]
    } else if proxy.contains(':') {
        proxy.to_socket_addrs()?.collect()
    } else {
        (proxy, port).to_socket_addrs()?.collect()
    };
    Ok(found.into_iter().take(ADDRESSES_MAX).collect())
}

/// A failed look-up keeps the addresses that worked before: a resolver that is down must not take the trunk down.
fn learn(
    known: &mut Known,
    plane: &Handle,
    key: Key,
    proxy: String,
    result: std::io::Result<Vec<SocketAddr>>,
) {
    let before = known.get(&key).filter(|(p, _)| *p == proxy).map(|(_, a)| a.clone());
    match result {
        Ok(addresses) => {
            // Resolvers turn their answers round for balance; that alone is no change.
            let mut sorted = addresses.clone();
            sorted.sort_unstable();
            if before.as_ref() != Some(&sorted) {
                tracing::info!(domain = %key.0, trunk = %key.1, ?addresses, "{proxy} is resolved");
                let (domain, trunk) = key.clone();
                plane.input(Input::TrunkResolved { domain, trunk, addresses });
            }
            known.insert(key, (proxy, sorted));
        }
        Err(error) => {
            if before.is_none() {
                tracing::warn!(domain = %key.0, trunk = %key.1, %error, "{proxy} can't be resolved; trying again");
                known.insert(key, (proxy, Vec::new()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_addresses_need_no_resolver_and_get_the_default_port() {
        for (proxy, expected) in [
            ("127.0.0.2", "127.0.0.2:5060"),
            ("127.0.0.2:5080", "127.0.0.2:5080"),
            ("::1", "[::1]:5060"),
            ("[::1]", "[::1]:5060"),
            ("[::1]:5080", "[::1]:5080"),
        ] {
            assert_eq!(addresses(proxy, 5060).unwrap(), [expected.parse().unwrap()], "{proxy}");
        }
    }
}
