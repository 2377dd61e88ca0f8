//! `[sip] tls` of `ringtree.toml` -> the files of certificates and keys. Whether they are what they should be is seen when they are read.

use super::{ConfigError, Source};
use crate::net::tls::{Files, Pair};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPair {
    certificate: PathBuf,
    key: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawTls {
    certificate: Option<Spanned<PathBuf>>,
    key: Option<Spanned<PathBuf>>,
    names: BTreeMap<String, RawPair>,
    client_ca: Option<Spanned<PathBuf>>,
    ca: Option<PathBuf>,
}

impl RawTls {
    /// # Errors
    /// What is there by half.
    pub(super) fn into_files(self, at: Source<'_>) -> Result<Files, ConfigError> {
        let own = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => {
                Some(Pair { certificate: certificate.into_inner(), key: key.into_inner() })
            }
            (None, None) => None,
            (Some(lonely), None) => {
                return Err(at.fault(lonely.span(), "a `certificate` needs its `key`".into()));
            }
            (None, Some(lonely)) => {
                return Err(at.fault(lonely.span(), "a `key` needs its `certificate`".into()));
            }
        };
        if let (None, Some(useless)) = (&own, &self.client_ca) {
            let message =
                "`client_ca` is for those who connect to us, which needs a `certificate` and its `key`";
            return Err(at.fault(useless.span(), message.into()));
        }
        let pair =
            |(name, pair): (String, RawPair)| (name, Pair { certificate: pair.certificate, key: pair.key });
        Ok(Files {
            own,
            by_name: self.names.into_iter().map(pair).collect(),
            client_ca: self.client_ca.map(Spanned::into_inner),
            ca: self.ca,
        })
    }
}
