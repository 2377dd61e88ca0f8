//! What registers, and how it shows who it is.

use super::{AcceptFrom, At, Name, Permission};
use crate::rules::diagnostic::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Encrypted media (RFC 3711, 4568).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Srtp {
    Off,
    Optional,
    Required,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    pub span: Span,
    /// `None`: a spare device.
    pub user: Option<Name>,
    pub primary: bool,
    pub auth: Option<Auth>,
    pub accept_from: Vec<AcceptFrom>,
    pub site: Option<Name>,
    pub hotdesk: bool,
    pub kind: DeviceKind,
    pub push: Option<Push>,
    pub record: DeviceRecord,
    /// `None`: as the daemon has it for all.
    pub srtp: Option<Srtp>,
    pub model: Option<Name>,
    /// Twelve small hexadecimal digits.
    pub mac: Option<Name>,
    pub alert_internal: Option<Name>,
    pub alert_external: Option<Name>,
    pub restrict: BTreeMap<Name, Permission>,
    pub location: Option<At<Name>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceKind {
    Phone,
    /// Woken by push before it is rung (RFC 8599).
    MobileApp,
    Gateway,
}

/// How a sleeping app is woken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    pub provider: Name,
    /// How long its leg waits for it to register.
    pub wait: Duration,
}

/// Whether calls on a device are recorded; its word goes before its user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceRecord {
    Always,
    Never,
    Inherit,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Auth {
    pub user: Name,
    pub secret: At<SecretRef>,
}

/// A secret as the source names it. Never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecretRef {
    /// Relative to the rules' base directory.
    File(String),
    Env(String),
    Ha1Md5(String),
    Ha1Sha256(String),
    Plain(String),
    /// `plain:***` of an export: keep the one that is there.
    Masked,
}

impl std::fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SecretRef::File(_) => "file:***",
            SecretRef::Env(_) => "env:***",
            SecretRef::Ha1Md5(_) | SecretRef::Ha1Sha256(_) => "ha1:***",
            SecretRef::Plain(_) | SecretRef::Masked => "plain:***",
        })
    }
}

/// In which words a phone is told where a call comes from, so that it rings another way (Alert-Info). They differ by vendor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RingTone {
    /// RFC 7462.
    #[default]
    Urn,
    Snom,
    /// Yealink, Grandstream and others: the ring tones of GR-506 by number.
    Bellcore,
}

impl RingTone {
    /// By the words of `model`, of which the first is the maker.
    #[must_use]
    pub fn of_model(model: &str) -> RingTone {
        let is =
            |maker: &str| model.get(..maker.len()).is_some_and(|start| start.eq_ignore_ascii_case(maker));
        if is("snom") {
            RingTone::Snom
        } else if ["yealink", "grandstream", "fanvil", "cisco spa"].into_iter().any(is) {
            RingTone::Bellcore
        } else {
            RingTone::Urn
        }
    }

    /// The value of Alert-Info. The URI of the vendors' forms means nothing to them, and has to be there.
    #[must_use]
    pub fn alert_info(self, inside: bool) -> &'static str {
        match (self, inside) {
            (RingTone::Urn, true) => "<urn:alert:source:internal>",
            (RingTone::Urn, false) => "<urn:alert:source:external>",
            (RingTone::Snom, true) => "<http://localhost>;info=alert-internal",
            (RingTone::Snom, false) => "<http://localhost>;info=alert-external",
            (RingTone::Bellcore, true) => "<http://localhost>;info=Bellcore-dr1",
            (RingTone::Bellcore, false) => "<http://localhost>;info=Bellcore-dr2",
        }
    }
}
