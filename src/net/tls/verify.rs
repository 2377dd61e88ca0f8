//! Who is at the other end: what a certificate says of a SIP domain (RFC 5922).
//!
//! Deviations, so that the certificates that carriers have are taken: a name with a wildcard counts for a server (RFC 5922 §7.2 forbids it),
//! and DNS names count beside SIP URIs.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use std::sync::Arc;

/// Names of one certificate that are looked at.
const NAMES_MAX: usize = 64;

/// Believes a server whose certificate is signed by somebody in `roots` and says every one of `names`: an address that two names lead to is
/// neither's alone.
#[derive(Debug)]
pub(super) struct Expecting {
    roots: Arc<RootCertStore>,
    names: Vec<ServerName<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Expecting {
    pub(super) fn each(roots: Arc<RootCertStore>, names: Vec<ServerName<'static>>) -> Expecting {
        Expecting { roots, names, algorithms: ring::default_provider().signature_verification_algorithms }
    }

    /// Believes no server.
    pub(super) fn nobody(roots: Arc<RootCertStore>) -> Expecting {
        Expecting::each(roots, Vec::new())
    }
}

impl ServerCertVerifier for Expecting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _asked_for: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms)?;
        if self.names.is_empty() || !self.names.iter().all(|name| is_for(end_entity, name)) {
            return Err(CertificateError::NotValidForName.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Whether a certificate says this name: by DNS name or address, or by a SIP URI (RFC 5922 §7.1).
pub(super) fn is_for(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    let by_dns = ParsedCertificate::try_from(certificate)
        .is_ok_and(|certificate| verify_server_name(&certificate, name).is_ok());
    by_dns || sip_domains(certificate).iter().any(|domain| domain.eq_ignore_ascii_case(&name.to_str()))
}

/// The domains that a certificate names by SIP URIs: those without a user (RFC 5922 §7.1).
fn sip_domains(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else { return Vec::new() };
    let of_sip = |uri: &str| {
        let (scheme, rest) = uri.split_once(':')?;
        let host = rest.split([';', '?']).next()?;
        let named = scheme.eq_ignore_ascii_case("sip") && !host.is_empty() && !host.contains('@');
        named.then(|| host.to_ascii_lowercase())
    };
    certificate.valid_uri_names().take(NAMES_MAX).filter_map(of_sip).collect()
}

/// Asks clients for a certificate and turns nobody away for theirs: phones show what their maker put in. Whose certificate is signed by
/// somebody whom we believe is found out afterwards, by [`Asking::names_of`].
#[derive(Debug)]
pub(super) struct Asking(Arc<dyn ClientCertVerifier>);

impl Asking {
    pub(super) fn new(strict: Arc<dyn ClientCertVerifier>) -> Asking {
        Asking(strict)
    }

    /// RFC 5922 §7.1: the SIP domains that a certificate names, else its DNS names, in small letters; no wildcards (§7.2).
    pub(super) fn names_of(&self, shown: &[CertificateDer<'_>], now: UnixTime) -> Vec<Arc<str>> {
        let Some((end_entity, intermediates)) = shown.split_first() else { return Vec::new() };
        if self.0.verify_client_cert(end_entity, intermediates, now).is_err() {
            return Vec::new();
        }
        let mut names = sip_domains(end_entity);
        if names.is_empty()
            && let Ok(certificate) = webpki::EndEntityCert::try_from(end_entity)
        {
            let dns = certificate.valid_dns_names().filter(|name| !name.contains('*'));
            names.extend(dns.take(NAMES_MAX).map(str::to_ascii_lowercase));
        }
        names.into_iter().map(Arc::from).collect()
    }
}

impl ClientCertVerifier for Asking {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
