//! One contact of one device.

use super::extensions::Extensions;
use crate::sip::{Flow, Uri};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A device across generations of the rules: its domain and its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeviceKey {
    pub domain: Arc<str>,
    pub device: Arc<str>,
}

/// Before the name of a trunk that registers here: no device has such a name.
const TRUNK: &str = "trunk:";

impl DeviceKey {
    /// Under which a trunk registers.
    #[must_use]
    pub fn of_trunk(domain: &Arc<str>, trunk: &str) -> DeviceKey {
        DeviceKey { domain: domain.clone(), device: format!("{TRUNK}{trunk}").into() }
    }

    /// The trunk that it is of, if it is of one.
    #[must_use]
    pub fn trunk(&self) -> Option<&str> {
        self.device.strip_prefix(TRUNK)
    }
}

/// What makes a binding one and the same: the device, and the instance (RFC 5626) or else the contact URI.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BindingKey {
    pub device: DeviceKey,
    pub contact: Arc<str>,
}

/// One contact (RFC 3261 §10.2.1), as kept in memory and in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    pub key: BindingKey,
    /// The contact as given; [`Binding::target`] is what a request line gets of it.
    pub uri: Arc<str>,
    /// Where an INVITE goes: the contact's own address, or the observed flow where the rulings say so
    /// (the topmost Via's sent-by differs from the source, TCP).
    pub flow: Flow,
    pub call_id: Arc<str>,
    pub cseq: u32,
    /// Thousandths; 1000 where the contact gives none.
    pub q: u16,
    pub expires: jiff::Timestamp,
    pub registered: jiff::Timestamp,
    pub user_agent: Option<Arc<str>>,
    /// What RFC 3327, RFC 5626 and RFC 5627 add; most have none of it. The store writes it behind the rest, so that what
    /// was written before there was any of it is still read.
    #[serde(skip)]
    pub extensions: Option<Arc<Extensions>>,
}

/// What wakes a sleeping phone (RFC 8599 §6): parameters of its contact's URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushTarget<'a> {
    pub provider: &'a str,
    /// The phone, as the provider knows it.
    pub prid: &'a str,
    pub param: Option<&'a str>,
}

impl Binding {
    /// The Request-URI of an INVITE for it: the contact without the headers that none may have (RFC 3261 §19.1.1).
    #[must_use]
    pub fn target(&self) -> &str {
        Uri::parse(&self.uri).map_or(&*self.uri, |uri| uri.without_headers())
    }

    /// The proxies that a request to it visits (RFC 3327), in order: values of Route.
    #[must_use]
    pub fn path(&self) -> &[Arc<str>] {
        self.extensions.as_ref().map_or(&[], |extensions| &extensions.path)
    }

    /// `<urn:uuid:...>`: the phone, whatever its address (RFC 5626 §4.1).
    #[must_use]
    pub fn instance(&self) -> Option<&str> {
        let kept = self.extensions.as_ref().and_then(|extensions| extensions.instance.as_deref());
        // Without a flow of its own its instance alone is its key.
        kept.or_else(|| Some(&*self.key.contact).filter(|key| key.starts_with('<')))
    }

    /// Which flow of its instance it is (RFC 5626); `None` where outbound is not applied.
    #[must_use]
    pub fn reg_id(&self) -> Option<u32> {
        self.extensions.as_ref()?.reg_id
    }

    /// How the phone is woken, where it has said so.
    #[must_use]
    pub fn push(&self) -> Option<PushTarget<'_>> {
        if !self.uri.contains("pn-p") {
            return None;
        }
        let uri = Uri::parse(&self.uri)?;
        let provider = uri.param("pn-provider").filter(|provider| !provider.is_empty())?;
        let prid = uri.param("pn-prid").filter(|prid| !prid.is_empty())?;
        Some(PushTarget { provider, prid, param: uri.param("pn-param") })
    }

    /// A phone that is to be woken and whose connection is gone: nothing sent to it arrives.
    #[must_use]
    pub fn is_asleep(&self) -> bool {
        self.flow.transport.is_reliable() && self.flow.connection.is_none() && self.push().is_some()
    }
}

#[cfg(test)]
impl Binding {
    /// One of the device 101a, by UDP.
    pub(crate) fn sample(uri: &str, contact: &str) -> Binding {
        let device = DeviceKey { domain: "pbx.example".into(), device: "101a".into() };
        Binding {
            key: BindingKey { device, contact: contact.into() },
            uri: uri.into(),
            flow: Flow {
                transport: crate::sip::Transport::Udp,
                local: "192.0.2.1:5060".parse().unwrap(),
                remote: "198.51.100.9:5060".parse().unwrap(),
                connection: None,
            },
            call_id: "call-1".into(),
            cseq: 1,
            q: 1_000,
            expires: "2026-11-24T10:00:00Z".parse().unwrap(),
            registered: "2026-11-24T09:00:00Z".parse().unwrap(),
            user_agent: None,
            extensions: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_says_in_its_contact_how_it_is_woken() {
        let uri = "sip:101@192.0.2.7;pn-provider=fcm;pn-param=project;pn-prid=00fc13ad";
        let binding = Binding::sample(uri, uri);
        let push = binding.push().unwrap();
        assert_eq!((push.provider, push.prid, push.param), ("fcm", "00fc13ad", Some("project")));
        assert!(!binding.is_asleep(), "a datagram may arrive");
        for uri in ["sip:101@192.0.2.7", "sip:101@a;pn-provider=fcm", "sip:101@a;pn-provider;pn-prid=1"] {
            assert_eq!(Binding::sample(uri, uri).push(), None, "{uri}");
        }
    }

    #[test]
    fn the_instance_is_kept_beside_the_key_or_is_it() {
        assert_eq!(Binding::sample("sip:a@b", "<urn:uuid:1>").instance(), Some("<urn:uuid:1>"));
        assert_eq!(Binding::sample("sip:a@b", "sip:a@b").instance(), None);
        let extensions =
            Extensions { instance: Some("<urn:uuid:1>".into()), reg_id: Some(2), ..Extensions::default() };
        let flow = Binding {
            extensions: Some(Arc::new(extensions)),
            ..Binding::sample("sip:a@b", "<urn:uuid:1>;reg-id=2")
        };
        assert_eq!((flow.instance(), flow.reg_id()), (Some("<urn:uuid:1>"), Some(2)));
    }
}
