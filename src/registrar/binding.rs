//! One contact of one device.

use crate::sip::{Flow, Uri};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A device across generations of the rules: its domain and its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeviceKey {
    pub domain: Arc<str>,
    pub device: Arc<str>,
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
}

impl Binding {
    /// The Request-URI of an INVITE for it: the contact without the headers that none may have (RFC 3261 §19.1.1).
    #[must_use]
    pub fn target(&self) -> &str {
        Uri::parse(&self.uri).map_or(&*self.uri, |uri| uri.without_headers())
    }
}
