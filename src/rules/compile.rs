//! [`Model`] -> [`Domain`]: what the daemon holds of one domain, and decides by.

use super::diagnostic::Diagnostic;
use super::model::Model;
use crate::registrar::binding::DeviceKey;
use crate::registrar::digest::Ha1;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// The secrets of one domain, resolved at the edge: HA1 by device name, for the realm that is the domain's name.
#[derive(Clone, Default)]
pub struct Secrets(pub BTreeMap<Arc<str>, Ha1>);

/// One domain, compiled.
#[derive(Debug)]
pub struct Domain {}

impl Domain {
    /// # Errors
    /// What can only be seen while compiling (an unconditional forwarding loop).
    pub fn compile(model: &Model, secrets: Secrets, generation: u64) -> Result<Domain, Vec<Diagnostic>> {
        let _ = (model, secrets, generation);
        todo!()
    }
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        todo!()
    }
    #[must_use]
    pub fn generation(&self) -> u64 {
        todo!()
    }
    /// The device whose `auth.user` this is.
    #[must_use]
    pub fn device_by_auth(&self, auth_user: &str) -> Option<&DeviceView> {
        let _ = auth_user;
        todo!()
    }
    #[must_use]
    pub fn device(&self, name: &str) -> Option<&DeviceView> {
        let _ = name;
        todo!()
    }
    #[must_use]
    pub fn trunk(&self, name: &str) -> Option<&TrunkView> {
        let _ = name;
        todo!()
    }
    /// The user of this name, with its extensions and devices.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<&UserView> {
        let _ = name;
        todo!()
    }
    pub fn users(&self) -> impl Iterator<Item = &UserView> {
        std::iter::empty()
    }
}

/// What the signalling plane needs to know of a device.
#[derive(Clone, Debug)]
pub struct DeviceView {
    pub key: DeviceKey,
    pub auth_user: Option<Arc<str>>,
    pub ha1: Option<Ha1>,
    pub user: Option<Arc<str>>,
    /// What a To of its REGISTER may name: the extensions of its user, the device's name, its `auth.user`.
    pub addresses_of_record: Vec<Arc<str>>,
}

#[derive(Clone, Debug)]
pub struct TrunkView {
    pub name: Arc<str>,
    /// `host[:port]`.
    pub proxy: Option<String>,
    pub transport: super::model::TrunkTransport,
    pub diversion: super::model::Diversion,
    pub trust: bool,
    pub remote_party_id: bool,
    pub screens_caller_id: bool,
    pub channels: Option<u32>,
}

#[derive(Clone, Debug)]
pub struct UserView {
    pub name: Arc<str>,
    pub display: Arc<str>,
    pub extensions: Vec<Arc<str>>,
    pub devices: Vec<Arc<str>>,
    /// For `until` as `HH:MM`.
    pub zone: Arc<str>,
}

/// All domains, immutable; the look-ups that go across them.
#[derive(Debug, Default)]
pub struct Ruleset {}

/// Who a request is from, by its source address alone.
#[derive(Clone, Debug)]
pub enum BySource {
    Device(DeviceKey),
    Trunk { domain: Arc<str>, trunk: Arc<str> },
}

impl Ruleset {
    #[must_use]
    pub fn new(domains: impl IntoIterator<Item = Arc<Domain>>) -> Ruleset {
        let _ = domains.into_iter().count();
        todo!()
    }
    /// This one with the domain put in place of its earlier generation.
    #[must_use]
    pub fn with(&self, domain: Arc<Domain>) -> Ruleset {
        let _ = domain;
        todo!()
    }
    /// Compared without case.
    #[must_use]
    pub fn domain(&self, name: &str) -> Option<&Arc<Domain>> {
        let _ = name;
        todo!()
    }
    pub fn domains(&self) -> impl Iterator<Item = &Arc<Domain>> {
        std::iter::empty()
    }
    /// `accept_from` of devices (with their From user: an extension of the device's user, its name or `auth.user`), then of
    /// trunks.
    #[must_use]
    pub fn by_source(&self, source: SocketAddr, from_user: &str) -> Option<BySource> {
        let _ = (source, from_user);
        todo!()
    }
    /// Whether any trunk or device accepts this address at all: such sources are never shut out.
    #[must_use]
    pub fn is_known_source(&self, source: SocketAddr) -> bool {
        let _ = source;
        todo!()
    }
}
