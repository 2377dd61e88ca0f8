//! The way out, and the way in from outside: trunks, dial rules, routes.

use super::{At, Auth, CallerId, Name, SecretRef, Srtp};
use crate::number::Pattern;
use crate::rules::diagnostic::Span;
use crate::sip::Transport;
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Trunk {
    pub span: Span,
    /// `host[:port]` of the SIP peer.
    pub proxy: Option<At<String>>,
    pub transport: TrunkTransport,
    pub register: Option<Registration>,
    /// It registers at us, with its `auth`: calls to it go where it has registered from.
    pub registers_here: bool,
    /// Of calls that come in with credentials.
    pub auth: Option<Auth>,
    pub accept_from: Vec<AcceptFrom>,
    pub channels: Option<u32>,
    /// How often each place that it leads to is asked how it is (OPTIONS).
    pub ping: Option<Duration>,
    /// Where the number stands that a call by it is for.
    pub called: Called,
    pub country: Name,
    pub area_code: Option<Name>,
    pub screens_caller_id: bool,
    pub diversion: Diversion,
    pub trust: bool,
    pub remote_party_id: bool,
    /// Callers by it are told that their call is forwarded (181).
    pub says_forwarded: bool,
    /// What becomes of the STIR/SHAKEN Identity of the caller (RFC 8224).
    pub identity: PassedIdentity,
    /// `None`: as the daemon has it for all.
    pub srtp: Option<Srtp>,
    /// By their names in SDP, in order of preference; empty: as offered.
    pub codecs: Vec<Name>,
}

/// How we register at a trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    pub span: Span,
    pub user: Name,
    pub secret: At<SecretRef>,
    pub expires: Duration,
    /// One registration for all our numbers (RFC 6140).
    pub gin: bool,
}

/// Where an INVITE that comes in by a trunk says what number was called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Called {
    /// In its Request-URI, and where that is our Contact, in To, else in P-Called-Party-ID.
    #[default]
    Uri,
    To,
    PCalledPartyId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PassedIdentity {
    Pass,
    Strip,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrunkTransport {
    Udp,
    Tcp,
    Tls,
    /// As its NAPTR and SRV records say (RFC 3263 §4.1).
    Any,
}

impl TrunkTransport {
    /// The one that a trunk is reached by; `None`: any.
    #[must_use]
    pub fn only(self) -> Option<Transport> {
        match self {
            TrunkTransport::Udp => Some(Transport::Udp),
            TrunkTransport::Tcp => Some(Transport::Tcp),
            TrunkTransport::Tls => Some(Transport::Tls),
            TrunkTransport::Any => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Diversion {
    None,
    Diversion,
    HistoryInfo,
    Both,
}

/// An address or a range, with an optional port: `203.0.113.16/28`, `127.0.0.2:5070`, `[2001:db8::]/64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptFrom {
    pub address: std::net::IpAddr,
    pub prefix: u8,
    pub port: Option<u16>,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dial {
    pub span: Span,
    pub dialled: Pattern,
    pub strip: usize,
    pub prefix: Name,
    pub rewrite_as: Option<Name>,
    pub class: Option<Name>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    pub span: Span,
    pub name: Option<Name>,
    pub classes: Vec<Name>,
    pub site: Option<Name>,
    pub via: Vec<Name>,
    pub caller_id: Option<CallerId>,
}
