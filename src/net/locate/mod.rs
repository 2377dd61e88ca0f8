//! Locating SIP servers (RFC 3263): from what a trunk's proxy says to the servers that it means, by NAPTR, SRV, A and AAAA.
//!
//! What it is not: it asks no name server itself ([`Records`] does, [`dns`] over the network), keeps no answer and draws no lots:
//! ranks and weights go to whoever calls, who draws for each call (RFC 2782).

pub mod dns;

use crate::call::lines::Server;
use crate::sip::Transport;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Addresses of one proxy that are kept, in order of rank; more are left out.
pub const ADDRESSES_MAX: usize = 16;
/// NAPTR records that are followed.
const NAPTR_MAX: usize = 8;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// A name, or an address (IPv6 without brackets).
    pub host: String,
    pub port: Option<u16>,
    /// `None`: DNS says (RFC 3263 §4.1).
    pub transport: Option<Transport>,
}

/// What was found, by rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub servers: Vec<Server>,
    /// How long it holds; `None`: nobody was asked.
    pub ttl: Option<Duration>,
}

/// Why nothing was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No name server gave an answer that can be used: what was known before may still hold.
    #[error("no answer for {name}: {why}")]
    NoAnswer { name: String, why: String },
    /// RFC 2782: a target of `.` says that the service is not to be had.
    #[error("{name} says that there is no such service")]
    NotOffered { name: String },
    #[error("{name} has no address that we can send to")]
    NoAddress { name: String },
    /// What is sent by a transport is sent from a listener of it.
    #[error("{name} is to be reached by {transport}, and `[sip] listen` has no `{transport}://`")]
    NoListener { name: String, transport: &'static str },
}

/// Records of one name and kind, and how long they hold. None at all is an answer too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    pub records: Vec<T>,
    pub ttl: Duration,
}

/// RFC 3403, as far as SIP needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naptr {
    pub order: u16,
    pub preference: u16,
    pub flags: String,
    pub service: String,
    pub replacement: String,
}

/// RFC 2782.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    pub priority: u16,
    pub weight: u16,
    pub port: u16,
    /// Empty: the root, so no such service.
    pub target: String,
}

/// Whoever answers: name servers, or a table in a test.
pub trait Records {
    fn naptr(&self, name: &str) -> impl Future<Output = Result<Answer<Naptr>, Fault>> + Send;
    fn srv(&self, name: &str) -> impl Future<Output = Result<Answer<Srv>, Fault>> + Send;
    /// A and AAAA.
    fn addresses(&self, name: &str) -> impl Future<Output = Result<Answer<IpAddr>, Fault>> + Send;
}

/// What we can send by: the transports that we listen on, and on which family of addresses. In order of preference where DNS has none.
pub type Ours = [(Transport, SocketAddr)];

/// Finds the servers that a proxy means.
///
/// # Errors
/// Nobody answered, or there is nothing that we could send to.
pub async fn locate(
    records: &(impl Records + Sync),
    question: &Question,
    ours: &Ours,
) -> Result<Found, Fault> {
    let mut search = Search { records, ours, servers: Vec::new(), ttl: None, fault: None };
    let Question { host, port, transport } = question;
    if let Some(transport) = transport
        && !ours.iter().any(|(ours, _)| ours == transport)
    {
        return Err(Fault::NoListener { name: host.clone(), transport: transport.scheme() });
    }
    let fallback = transport.or_else(|| default_transport(ours));
    let no_address = || Fault::NoAddress { name: host.clone() };
    if let Ok(address) = host.parse::<IpAddr>() {
        // RFC 3263 §4.2: an address needs no look-up, and its transport is UDP where none is named (§4.1).
        let transport = fallback.ok_or_else(no_address)?;
        search.add(0, 0, transport, &[address], port.unwrap_or(transport.default_port()));
    } else if let Some(port) = port {
        // §4.2: a port is explicit, so there is no SRV to look for.
        search.host(fallback.ok_or_else(no_address)?, host, *port).await?;
    } else if let Some(transport) = transport {
        if !search.service(*transport, 0, &service_name(*transport, host)).await? {
            search.host(*transport, host, transport.default_port()).await?;
        }
    } else {
        search.by_naptr(host).await?;
    }
    let Search { mut servers, ttl, fault, .. } = search;
    servers.sort_by_key(|server| server.rank);
    truncate(&mut servers);
    match (servers.is_empty(), fault) {
        (false, _) => Ok(Found { servers, ttl }),
        (true, Some(fault)) => Err(fault),
        (true, None) => Err(no_address()),
    }
}

struct Search<'a, R> {
    records: &'a R,
    ours: &'a Ours,
    servers: Vec<Server>,
    /// The shortest of all that was asked.
    ttl: Option<Duration>,
    /// Why a part of it was not found; counts only where nothing was.
    fault: Option<Fault>,
}

impl<R: Records + Sync> Search<'_, R> {
    /// RFC 3263 §4.1: what the domain offers, in its order; without NAPTR the SRV of each transport of ours; without those its address.
    async fn by_naptr(&mut self, host: &str) -> Result<(), Fault> {
        let answer = self.records.naptr(host).await?;
        self.holds(answer.ttl);
        let mut offered: Vec<(Transport, Naptr)> = answer
            .records
            .into_iter()
            .filter(|naptr| naptr.flags.eq_ignore_ascii_case("s"))
            .filter_map(|naptr| Some((self.transport_of(&naptr.service)?, naptr)))
            .collect();
        offered.sort_by_key(|(_, naptr)| (naptr.order, naptr.preference));
        // RFC 3403 §4.1: once an order has matched, higher ones are not looked at.
        let order = offered.first().map(|(_, naptr)| naptr.order);
        offered.retain(|(_, naptr)| Some(naptr.order) == order);
        let mut found = false;
        for (place, (transport, naptr)) in (0..).zip(offered.into_iter().take(NAPTR_MAX)) {
            found |= self.service(transport, place << 16, &naptr.replacement).await?;
        }
        if found {
            return Ok(());
        }
        let mut tried = Vec::new();
        for transport in self.ours.iter().map(|(transport, _)| *transport) {
            if !tried.contains(&transport) && !transport.is_web() {
                tried.push(transport);
                if self.service(transport, 0, &service_name(transport, host)).await? {
                    return Ok(());
                }
            }
        }
        match default_transport(self.ours) {
            Some(transport) => self.host(transport, host, transport.default_port()).await,
            None => Ok(()),
        }
    }

    /// The servers of an SRV name. `false`: it has none, and another way may be looked for.
    async fn service(&mut self, transport: Transport, rank: u32, name: &str) -> Result<bool, Fault> {
        let answer = self.records.srv(name).await?;
        self.holds(answer.ttl);
        let mut records = answer.records;
        records.sort_by_key(|srv| srv.priority);
        if let [only] = records.as_slice()
            && only.target.is_empty()
        {
            return Err(Fault::NotOffered { name: name.to_owned() });
        }
        for srv in records.iter().filter(|srv| !srv.target.is_empty()).take(ADDRESSES_MAX) {
            let rank = rank | u32::from(srv.priority);
            match self.records.addresses(&srv.target).await {
                Ok(answer) => {
                    self.holds(answer.ttl);
                    self.add(rank, srv.weight, transport, &answer.records, srv.port);
                }
                Err(fault) => self.fault = Some(fault), // its neighbours may be there
            }
        }
        Ok(!records.is_empty())
    }

    /// RFC 3263 §4.2: the name's own addresses.
    async fn host(&mut self, transport: Transport, host: &str, port: u16) -> Result<(), Fault> {
        let answer = self.records.addresses(host).await?;
        self.holds(answer.ttl);
        self.add(0, 0, transport, &answer.records, port);
        Ok(())
    }

    /// One server, with those of its addresses that we can send to.
    fn add(&mut self, rank: u32, weight: u16, transport: Transport, addresses: &[IpAddr], port: u16) {
        let reached = |ip: &&IpAddr| {
            self.ours.iter().any(|(ours, local)| *ours == transport && local.is_ipv4() == ip.is_ipv4())
        };
        let addresses: Vec<SocketAddr> =
            addresses.iter().filter(reached).map(|ip| SocketAddr::new(*ip, port)).collect();
        if !addresses.is_empty() {
            self.servers.push(Server { rank, transport, weight, addresses, name: None });
        }
    }

    fn holds(&mut self, ttl: Duration) {
        self.ttl = Some(self.ttl.map_or(ttl, |before| before.min(ttl)));
    }

    /// RFC 3263 §4.1: the services of SIP that we can speak.
    fn transport_of(&self, service: &str) -> Option<Transport> {
        let transport = match service.to_ascii_uppercase().as_str() {
            "SIP+D2U" => Transport::Udp,
            "SIP+D2T" => Transport::Tcp,
            "SIPS+D2T" => Transport::Tls,
            _ => return None,
        };
        self.ours.iter().any(|(ours, _)| *ours == transport).then_some(transport)
    }
}

/// UDP, or what else we have (RFC 3263 §4.1).
fn default_transport(ours: &Ours) -> Option<Transport> {
    let has_udp = ours.iter().any(|(transport, _)| *transport == Transport::Udp);
    if has_udp { Some(Transport::Udp) } else { ours.first().map(|(transport, _)| *transport) }
}

/// RFC 3263 §4.2, Table 1; a WebSocket is opened by clients alone (RFC 7118 §4.1), and ours is none.
fn service_name(transport: Transport, host: &str) -> String {
    let service = match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp | Transport::Ws => "_sip._tcp",
        Transport::Tls | Transport::Wss => "_sips._tcp",
    };
    format!("{service}.{host}")
}

/// The first [`ADDRESSES_MAX`] of all.
fn truncate(servers: &mut Vec<Server>) {
    let mut left = ADDRESSES_MAX;
    for server in servers.iter_mut() {
        server.addresses.truncate(left);
        left -= server.addresses.len();
    }
    servers.retain(|server| !server.addresses.is_empty());
}

#[cfg(test)]
mod tests;
