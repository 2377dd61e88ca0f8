//! Secrets that the rules hold themselves: an HA1, or a literal one. Those in files and in the environment are the edge's to resolve.

use super::model::{Auth, SecretRef};
use crate::registrar::digest::Ha1;
use crate::sip::auth::{Algorithm, ha1};
use crate::sip::challenge::Secret;

/// Whether the edge has to resolve it, or to say why it can't.
pub(super) fn lies_outside(auth: &Auth) -> bool {
    match &auth.secret.value {
        SecretRef::File(_) | SecretRef::Env(_) | SecretRef::Masked => true,
        // An empty one is nobody's, and the edge says so.
        SecretRef::Plain(text) => text.is_empty(),
        SecretRef::Ha1Md5(_) | SecretRef::Ha1Sha256(_) => false,
    }
}

/// The HA1 of a device whose secret stands in the rules; `None` where it does not, or is empty.
#[must_use]
pub fn own(auth: &Auth, realm: &str) -> Option<Ha1> {
    match &auth.secret.value {
        SecretRef::Ha1Md5(hex) => Some(Ha1 { md5: Some(hex.to_ascii_lowercase().into()), sha256: None }),
        SecretRef::Ha1Sha256(hex) => Some(Ha1 { md5: None, sha256: Some(hex.to_ascii_lowercase().into()) }),
        SecretRef::Plain(text) if !text.is_empty() => Some(of_password(auth, realm, text)),
        SecretRef::Plain(_) | SecretRef::File(_) | SecretRef::Env(_) | SecretRef::Masked => None,
    }
}

/// What stands in the rules and proves us to others; `None` where it does not stand there, or is empty.
#[must_use]
pub fn own_secret(secret: &SecretRef) -> Option<Secret> {
    match secret {
        SecretRef::Ha1Md5(hex) => Some(Secret::Ha1(Algorithm::Md5, hex.to_ascii_lowercase().into())),
        SecretRef::Ha1Sha256(hex) => Some(Secret::Ha1(Algorithm::Sha256, hex.to_ascii_lowercase().into())),
        SecretRef::Plain(text) if !text.is_empty() => Some(Secret::Password(text.clone().into())),
        SecretRef::Plain(_) | SecretRef::File(_) | SecretRef::Env(_) | SecretRef::Masked => None,
    }
}

/// The HA1 of a password, by both algorithms.
#[must_use]
pub fn of_password(auth: &Auth, realm: &str, password: &str) -> Ha1 {
    let of = |algorithm| Some(ha1(algorithm, &auth.user, realm, password));
    Ha1 { md5: of(Algorithm::Md5), sha256: of(Algorithm::Sha256) }
}
