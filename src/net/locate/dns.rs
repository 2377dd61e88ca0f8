//! Records from name servers: those of the system (`/etc/resolv.conf`, `/etc/hosts`), or those that are configured.

use super::{Answer, Fault, Naptr, Records, Srv};
use crate::net::clock;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// How long one name server has for one question, and how often it is asked again: the most that one look-up takes is their product for
/// each server, and nobody waits for it.
const TIMEOUT: Duration = Duration::from_secs(3);
const ATTEMPTS: usize = 2;
/// How long "there is no such record" holds where the answer doesn't say.
const NEGATIVE_TTL: Duration = Duration::from_secs(60);

/// Asks name servers. Keeps no answers: whoever asks knows for how long they hold.
#[derive(Clone)]
pub struct Dns {
    resolver: TokioResolver,
}

impl Dns {
    /// By these name servers, or those of the system where there are none.
    ///
    /// # Errors
    /// The system's configuration can't be read.
    pub fn new(servers: &[SocketAddr]) -> Result<Dns, String> {
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio().map_err(|e| e.to_string())?
        } else {
            let servers = servers.iter().map(name_server).collect();
            let config = ResolverConfig::from_name_servers(servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        set(builder.options_mut());
        Ok(Dns { resolver: builder.build().map_err(|e| e.to_string())? })
    }
}

fn set(options: &mut ResolverOpts) {
    options.timeout = TIMEOUT;
    options.attempts = ATTEMPTS;
    options.cache_size = 0;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

/// A name with a dot in it is whole: the system's search list is for short ones.
fn whole(name: &str) -> String {
    if name.contains('.') && !name.ends_with('.') { format!("{name}.") } else { name.to_owned() }
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(clock::mono())
}

/// No record is an answer; no answer is a fault.
fn judged<T>(name: &str, error: &NetError) -> Result<Answer<T>, Fault> {
    if error.is_no_records_found() || error.is_nx_domain() {
        return Ok(Answer { records: Vec::new(), ttl: NEGATIVE_TTL });
    }
    Err(Fault::NoAnswer { name: name.to_owned(), why: error.to_string() })
}

impl Dns {
    async fn lookup<T>(
        &self,
        name: &str,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Result<Answer<T>, Fault> {
        match self.resolver.lookup(whole(name), kind).await {
            Ok(lookup) => {
                let records = lookup.answers().iter().filter_map(|record| read(&record.data)).collect();
                Ok(Answer { records, ttl: left(lookup.valid_until()) })
            }
            Err(error) => judged(name, &error),
        }
    }
}

impl Records for Dns {
    async fn naptr(&self, name: &str) -> Result<Answer<Naptr>, Fault> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let read = |data: &RData| match data {
            RData::NAPTR(naptr) => Some(Naptr {
                order: naptr.order,
                preference: naptr.preference,
                flags: text(&naptr.flags),
                service: text(&naptr.services),
                replacement: naptr.replacement.to_ascii(),
            }),
            _ => None,
        };
        self.lookup(name, RecordType::NAPTR, read).await
    }

    async fn srv(&self, name: &str) -> Result<Answer<Srv>, Fault> {
        let read = |data: &RData| match data {
            RData::SRV(srv) => Some(Srv {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: srv.target.to_ascii().trim_end_matches('.').to_owned(),
            }),
            _ => None,
        };
        self.lookup(name, RecordType::SRV, read).await
    }

    async fn addresses(&self, name: &str) -> Result<Answer<IpAddr>, Fault> {
        match self.resolver.lookup_ip(whole(name)).await {
            Ok(lookup) => Ok(Answer { records: lookup.iter().collect(), ttl: left(lookup.valid_until()) }),
            Err(error) => judged(name, &error),
        }
    }
}
