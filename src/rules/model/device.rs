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
    pub srtp: Srtp,
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
