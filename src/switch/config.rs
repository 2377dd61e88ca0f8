//! What the switch is told at start; every limit is here by name.

pub use crate::call::office::Listener;
use crate::call::session_timer::Limits;
use crate::registrar::location::Expiry;
use crate::sdp::Fingerprint;
use crate::sip::auth::Algorithm;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Config {
    /// Our listeners: what they are bound to, and what Via and Contact say (behind NAT another address).
    pub listeners: Vec<Listener>,
    /// Used where nothing else tells a request's domain.
    pub default_domain: Option<String>,
    /// In the order in which challenges offer them.
    pub digest: Vec<Algorithm>,
    pub expiry: Expiry,
    /// Calls up at once; one more gets 503 with Retry-After (an emergency call never does).
    pub calls_max: usize,
    /// The node that ids carry.
    pub node: u16,
    /// Free port pairs below which the media plane is asked to open more.
    pub ports_low: usize,
    /// What our SDP says instead of the address that relay ports are bound to (behind NAT).
    pub media_advertise: Option<IpAddr>,
    /// What our SDP says to whoever is reached by IPv6, where the relay ports take both families; to others it says the other one.
    pub media_advertise_ipv6: Option<Ipv6Addr>,
    /// Of the certificate that the media plane shows in DTLS handshakes; without one nobody is offered any.
    pub fingerprint: Option<Arc<Fingerprint>>,
    /// Whether media is secured with devices and trunks whose rules don't say it.
    pub srtp: crate::sdp::keying::Srtp,
    /// A contact that has just registered is told what waits in its user's mailbox, without having subscribed.
    pub unsolicited_mwi: bool,
    /// What those may cost us whom nobody vouches for.
    pub strangers: super::strangers::Limits,
    /// What session timers ask for (RFC 4028).
    pub session: Limits,
    /// How long a drain waits for calls to end by themselves.
    pub drain_after: Duration,
}
