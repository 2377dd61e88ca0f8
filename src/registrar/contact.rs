//! What the Contact fields of a REGISTER ask for (RFC 3261 §10.2.1, §10.2.2, §10.3 steps 6 and 7).

use super::extensions::Asked;
use super::location::{CONTACTS_MAX, Terms};
use crate::sip::{Flow, Message, Name, NameAddr, Refusal, Scheme, Transport, Uri};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

/// The longest contact URI or instance that is kept; a REGISTER with a longer one is refused with 400. Push parameters
/// (RFC 8599) make them long.
pub const CONTACT_BYTES_MAX: usize = 2_048;

/// Seconds: see RFC 3261 §10.3 step 7.
const HOUR_S: u32 = 3_600;

/// Where a URI or a Via gives no port (RFC 3261 §19.1.2, §18.2.2).
const DEFAULT_PORT: u16 = 5060;

/// What one REGISTER wants of the bindings.
#[derive(Debug)]
pub(super) enum Wishes<'a> {
    /// No Contact: a question only.
    Fetch,
    /// `Contact: *`.
    RemoveAll,
    Contacts(SmallVec<[Wish<'a>; 1]>),
}

#[derive(Debug)]
pub(super) struct Wish<'a> {
    uri: Uri<'a>,
    /// The URI as given: the answer shows it so (RFC 3261 §10.3 step 8).
    pub target: &'a str,
    /// What tells this contact from the device's others.
    pub key: Cow<'a, str>,
    /// Thousandths.
    pub q: u16,
    /// Seconds, within the limits; 0 removes.
    pub expires_s: u32,
    pub instance: Option<&'a str>,
    /// Where outbound is applied (RFC 5626 §6).
    pub reg_id: Option<u32>,
}

impl<'a> Wishes<'a> {
    /// # Errors
    /// 400 where a Contact can't be read or `*` stands wrongly, 423 where one wishes for too short a time, 439 where a
    /// flow is to be kept that the first hop doesn't keep.
    pub(super) fn read(
        message: &'a Message,
        asked: &Asked<'a>,
        terms: &Terms<'_>,
    ) -> Result<Wishes<'a>, Refusal> {
        let mut wishes: SmallVec<[Wish<'a>; 1]> = SmallVec::new();
        let mut star = false;
        for element in message.elements(Name::Contact) {
            if element == "*" {
                star = true;
            } else if wishes.len() == CONTACTS_MAX {
                return Err(bad("Too Many Contacts"));
            } else {
                wishes.push(Wish::read(element, message, asked, terms)?);
            }
        }
        let lasting = wishes.iter().filter(|wish| wish.expires_s > 0);
        if wishes.iter().any(|wish| wish.reg_id.is_some()) && lasting.count() > 1 {
            return Err(bad("One Flow A Registration")); // RFC 5626 §6
        }
        match (star, wishes.is_empty()) {
            (false, true) => Ok(Wishes::Fetch),
            (false, false) => Ok(Wishes::Contacts(wishes)),
            // RFC 3261 §10.3 step 6: alone, and with Expires: 0.
            (true, true) if message.number(Name::Expires) == Some(0) => Ok(Wishes::RemoveAll),
            (true, _) => Err(bad("Wildcard Contact Needs Expires 0 And No Other")),
        }
    }

    /// Whether a contact that is to stand is a `sips` URI.
    pub(super) fn ask_for_sips(&self) -> bool {
        let is_sips = |wish: &Wish<'_>| wish.uri.scheme == Scheme::Sips && wish.expires_s > 0;
        matches!(self, Wishes::Contacts(wishes) if wishes.iter().any(is_sips))
    }

    /// Whether the binding with this key is to be changed.
    pub(super) fn name(&self, key: &str) -> bool {
        match self {
            Wishes::Fetch => false,
            Wishes::RemoveAll => true,
            Wishes::Contacts(wishes) => wishes.iter().any(|wish| wish.key == key),
        }
    }
}

impl<'a> Wish<'a> {
    fn read(
        element: &'a str,
        message: &Message,
        asked: &Asked<'_>,
        terms: &Terms<'_>,
    ) -> Result<Wish<'a>, Refusal> {
        let contact = NameAddr::parse(element).ok_or(bad("Bad Contact"))?;
        if !matches!(contact.uri.scheme, Scheme::Sip | Scheme::Sips) {
            return Err(bad("Contact Is No SIP URI"));
        }
        let uri = contact.uri;
        let target = uri.text;
        // RFC 5627 §5.1: a GRUU of ours as a contact would come back here for ever.
        if uri.param("gr").is_some() && uri.host.eq_ignore_ascii_case(terms.domain) {
            return Err(Refusal { status: 403, reason: "Contact Is A GRUU" });
        }
        let instance = contact.param("+sip.instance").filter(|instance| !instance.is_empty());
        let reg_id = contact.param("reg-id").filter(|_| instance.is_some());
        let reg_id = flow_of_instance(reg_id, asked)?;
        let key = key(instance, reg_id, uri.without_headers());
        if target.len() > CONTACT_BYTES_MAX || key.len() > CONTACT_BYTES_MAX {
            return Err(bad("Contact Too Long"));
        }
        // RFC 3261 §10.3 step 7: the parameter, else the header field, else our default. What isn't a number counts
        // as absent (§20.10).
        let wished = match contact.param("expires").and_then(seconds) {
            Some(seconds) => seconds,
            None => message.number(Name::Expires).unwrap_or(terms.expiry.default_s),
        };
        // RFC 3261 §10.3 step 7: what lasts for an hour is never too brief.
        if wished > 0 && wished < terms.expiry.min_s.min(HOUR_S) {
            return Err(Refusal { status: 423, reason: "Interval Too Brief" });
        }
        let q = preference(&contact);
        let expires_s = terms.grant(wished, &key);
        Ok(Wish { uri, target, key, q, expires_s, instance, reg_id })
    }

    /// Where an INVITE for this contact goes (rulings, On the wire): the observed flow where the phone stands behind
    /// something that changes addresses, came by a connection, asks for outbound, or names an address that can't be used
    /// as it is; else the contact's own address and transport. The first proxy of a Path stands before all of that.
    pub(super) fn flow(
        &self,
        observed: Flow,
        asked: &Asked<'_>,
        message: &Message,
        bound: &[(Transport, SocketAddr)],
    ) -> Flow {
        if let Some(proxy) = asked.path.first().and_then(|proxy| NameAddr::parse(proxy)) {
            return by_uri(&proxy.uri, observed, bound).unwrap_or(observed);
        }
        let as_it_came = observed.transport.is_reliable()
            || self.reg_id.is_some() // RFC 5626 §7: by the flow, and by no other way
            || !sent_by_is(message, observed.remote);
        if as_it_came { observed } else { by_uri(&self.uri, observed, bound).unwrap_or(observed) }
    }
}

/// The address and transport that a URI names, where it names an address that can be sent to; the flow that was observed where
/// that is the same, and where we have no socket for that transport.
fn by_uri(uri: &Uri<'_>, observed: Flow, bound: &[(Transport, SocketAddr)]) -> Option<Flow> {
    // A secure one can't be expected to be who it says without a name; it is reached by what it registered by.
    let transport = match Transport::of_uri(uri.param("transport"), uri.scheme == Scheme::Sips)? {
        transport @ (Transport::Udp | Transport::Tcp) => transport,
        Transport::Tls | Transport::Ws | Transport::Wss => return None,
    };
    let port = uri.port.unwrap_or(DEFAULT_PORT);
    let ip = uri.host.parse::<IpAddr>().ok()?;
    let usable =
        port != 0 && !ip.is_unspecified() && !ip.is_multicast() && ip.is_ipv4() == observed.remote.is_ipv4();
    let remote = SocketAddr::new(ip, port);
    if !usable || (transport, remote) == (observed.transport, observed.remote) {
        return None;
    }
    let local = if transport == observed.transport {
        observed.local
    } else {
        listener(transport, observed.local, bound)?
    };
    Some(Flow { transport, local, remote, connection: None })
}

/// Where our listener of this transport is bound: the one at the same address as that one, else the first of its family.
fn listener(
    transport: Transport,
    beside: SocketAddr,
    bound: &[(Transport, SocketAddr)],
) -> Option<SocketAddr> {
    let fits = |(of, at): &&(Transport, SocketAddr)| *of == transport && at.is_ipv4() == beside.is_ipv4();
    let mut fitting = bound.iter().filter(fits).map(|(_, at)| *at);
    let first = fitting.clone().next();
    fitting.find(|at| at.ip() == beside.ip()).or(first)
}

/// RFC 5626 §6: whether outbound is applied, and to which flow of the instance.
fn flow_of_instance(reg_id: Option<&str>, asked: &Asked<'_>) -> Result<Option<u32>, Refusal> {
    // RFC 5626 §4.2: from 1 to 2^31 - 1. What is none is ignored.
    let number = |text: &str| text.parse().ok().filter(|n| (1..1 << 31).contains(n));
    let Some(reg_id) = reg_id.and_then(number).filter(|_| asked.wants_outbound()) else { return Ok(None) };
    match asked.first_hop_keeps_flows() {
        true => Ok(Some(reg_id)),
        false => Err(Refusal { status: 439, reason: "First Hop Lacks Outbound Support" }),
    }
}

/// Whether the topmost Via names the source itself: no NAT between.
fn sent_by_is(message: &Message, source: SocketAddr) -> bool {
    message.top_via().is_some_and(|via| {
        via.port.unwrap_or(DEFAULT_PORT) == source.port()
            && via.host.parse::<IpAddr>().is_ok_and(|ip| ip == source.ip())
    })
}

/// RFC 5626 §6: the instance and the flow of it, whatever the URI; else the URI.
fn key<'a>(instance: Option<&'a str>, reg_id: Option<u32>, target: &'a str) -> Cow<'a, str> {
    match (instance, reg_id) {
        (Some(instance), None) => instance.into(),
        (Some(instance), Some(reg_id)) => format!("{instance};reg-id={reg_id}").into(),
        (None, _) => comparable(target),
    }
}

/// The URI so that equal ones read the same (RFC 3261 §19.1.4), as far as a phone that repeats itself needs it: scheme, host
/// and parameters without case. The order of parameters counts, and so do escapes.
fn comparable(uri: &str) -> Cow<'_, str> {
    let scheme_end = uri.find(':').map_or(0, |colon| colon + 1);
    let host_start = uri.rfind('@').map_or(scheme_end, |at| at + 1);
    let (Some(scheme), Some(user), Some(rest)) =
        (uri.get(..scheme_end), uri.get(scheme_end..host_start), uri.get(host_start..))
    else {
        return uri.into();
    };
    let upper = |text: &str| text.bytes().any(|byte| byte.is_ascii_uppercase());
    if !upper(scheme) && !upper(rest) {
        return uri.into();
    }
    format!("{}{user}{}", scheme.to_ascii_lowercase(), rest.to_ascii_lowercase()).into()
}

/// A number too large to be held is as large as can be.
fn seconds(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}

/// How much a contact is preferred, in thousandths: its `q`, and 1 without one that can be read.
#[must_use]
pub fn preference(contact: &NameAddr<'_>) -> u16 {
    contact.param("q").and_then(thousandths).unwrap_or(1_000)
}

/// A qvalue (RFC 3261 §25.1) as thousandths.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" | "" => Some(fraction),
        "1" if fraction == 0 => Some(1_000),
        _ => None,
    }
}

pub(super) fn bad(reason: &'static str) -> Refusal {
    Refusal { status: 400, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qvalue_is_read_as_thousandths() {
        for (text, q) in
            [("1", 1_000), ("1.0", 1_000), ("0", 0), ("0.5", 500), ("0.25", 250), ("0.001", 1), (".7", 700)]
        {
            assert_eq!(thousandths(text), Some(q), "{text}");
        }
        for text in ["1.1", "2", "0.1234", "-1", "x", "0.x"] {
            assert_eq!(thousandths(text), None, "{text}");
        }
    }

    #[test]
    fn uris_compare_without_case_but_for_the_user() {
        assert_eq!(comparable("SIP:Bob@Example.COM;Transport=TCP"), "sip:Bob@example.com;transport=tcp");
        assert_eq!(comparable("sip:Example.com"), "sip:example.com");
        assert!(matches!(comparable("sip:Bob@example.com"), Cow::Borrowed(_)));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_qvalue_or_not_without_a_panic(text in ".*") {
            if let Some(q) = thousandths(&text) {
                proptest::prop_assert!(q <= 1_000);
            }
        }
    }
}
