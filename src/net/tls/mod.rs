//! Certificates: what we show, and whom we believe. Read from PEM files all at once; a set that is wrong in one place is refused with file
//! and reason, and whoever has a set keeps the one that they have.
//!
//! It makes sessions and knows no sockets. TLS 1.2 and 1.3, by rustls with ring.

mod verify;

use crate::sip::Transport;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoClientAuth, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use verify::{Asking, Expecting};

/// The largest PEM file that is read; the bundle of a whole distribution has 220 KB.
pub const PEM_BYTES_MAX: u64 = 4 << 20;
/// Whom we believe where the configuration doesn't say: the bundle of Debian's `ca-certificates`.
pub const SYSTEM_CA: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A certificate with its chain, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Where everything lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Shown to whoever asks for no name, or for one that has no certificate of its own; and to servers that want to know who we are.
    pub own: Option<Pair>,
    /// Shown to whoever asks for that name (SNI, RFC 6066 §3).
    pub by_name: BTreeMap<String, Pair>,
    /// Who signs the certificates that clients may show. Without it none is asked for.
    pub client_ca: Option<PathBuf>,
    /// Who signs the certificates of the servers that we connect to.
    pub ca: Option<PathBuf>,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{} can't be read: {why}", .file.display())]
    Read { file: PathBuf, why: String },
    #[error("{} holds no certificate; a PEM file with `-----BEGIN CERTIFICATE-----` is wanted", .file.display())]
    NoCertificate { file: PathBuf },
    #[error("{} holds no private key; a PEM file with `-----BEGIN PRIVATE KEY-----` is wanted, without a password", .file.display())]
    NoKey { file: PathBuf },
    #[error("{}: {why}", .file.display())]
    Bad { file: PathBuf, why: String },
    #[error("{} is not the key of {}", .key.display(), .certificate.display())]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("{} is not for {name}", .certificate.display())]
    WrongName { certificate: PathBuf, name: String },
}

/// One set of certificates, read and checked. Sessions that it has made go on when another takes its place.
#[derive(Clone)]
pub struct Tls {
    server: Option<Arc<ServerConfig>>,
    /// For WebSockets: browsers break off where they are asked for a certificate and have none.
    web: Option<Arc<ServerConfig>>,
    client: ClientConfig,
    roots: Arc<RootCertStore>,
    /// Who judges the certificates of clients.
    asking: Option<Arc<Asking>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("serves", &self.server.is_some())
            .field("roots", &self.roots.len())
            .finish()
    }
}

impl Tls {
    /// Nothing to show, and nobody believed.
    ///
    /// # Errors
    /// None is expected.
    pub fn none() -> Result<Tls, TlsError> {
        Tls::with(None, None, RootCertStore::empty())
    }

    /// Reads and checks every file.
    ///
    /// # Errors
    /// The first file that is wrong.
    pub fn load(files: &Files) -> Result<Tls, TlsError> {
        let own = files.own.as_ref().map(certified).transpose()?;
        let mut names = BTreeMap::new();
        for (name, pair) in &files.by_name {
            let key = certified(pair)?;
            is_for(name, pair, &key)?;
            names.insert(name.to_ascii_lowercase(), key);
        }
        let asking = files.client_ca.as_deref().map(asking).transpose()?;
        let roots = match &files.ca {
            Some(file) => roots(file)?,
            None if Path::new(SYSTEM_CA).exists() => roots(Path::new(SYSTEM_CA))?,
            None => RootCertStore::empty(),
        };
        let shown = own.map(|own| Arc::new(Shown { own, names }));
        Tls::with(shown, asking, roots)
    }

    fn with(
        shown: Option<Arc<Shown>>,
        asking: Option<Arc<Asking>>,
        roots: RootCertStore,
    ) -> Result<Tls, TlsError> {
        let ours =
            |error: rustls::Error| TlsError::Bad { file: PathBuf::from("TLS"), why: error.to_string() };
        let roots = Arc::new(roots);
        let client = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(ours)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Expecting::nobody(roots.clone())));
        let mut client = match &shown {
            // RFC 5922 §7.5: who asks us for a certificate gets the one that we serve with.
            Some(shown) => {
                client.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown.own.clone())))
            }
            None => client.with_no_client_auth(),
        };
        // A session resumed would be one whose names nobody compares.
        client.resumption = rustls::client::Resumption::disabled();
        let serving = |verifier: Arc<dyn ClientCertVerifier>| {
            let Some(shown) = shown.clone() else { return Ok(None) };
            let server = ServerConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()
                .map_err(ours)?
                .with_client_cert_verifier(verifier)
                .with_cert_resolver(shown);
            Ok(Some(Arc::new(server)))
        };
        let web = serving(Arc::new(NoClientAuth))?;
        let server = match &asking {
            Some(asking) => serving(asking.clone())?,
            None => web.clone(),
        };
        Ok(Tls { server, web, client, roots, asking })
    }

    /// Whether there is a certificate to accept connections with.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.server.is_some()
    }

    /// Our side of a connection that was accepted.
    pub(super) fn accept(&self, transport: Transport) -> Option<ServerConnection> {
        let config = if transport.is_web() { &self.web } else { &self.server };
        ServerConnection::new(config.clone()?).ok()
    }

    /// Our side of a connection to a server that has to be every one of these names; the first is the one that it is asked for.
    pub(super) fn connect(&self, names: &[Arc<str>]) -> Option<ClientConnection> {
        let names: Vec<ServerName<'static>> =
            names.iter().map(|name| ServerName::try_from(name.to_string())).collect::<Result<_, _>>().ok()?;
        let first = names.first()?.clone();
        let mut config = self.client.clone();
        let expecting = Expecting::each(self.roots.clone(), names);
        config.dangerous().set_certificate_verifier(Arc::new(expecting));
        ClientConnection::new(Arc::new(config), first).ok()
    }

    /// Who a client is by the certificate that it has shown; empty where that is signed by nobody whom we believe.
    pub(super) fn names_of(&self, shown: &[CertificateDer<'_>], now: UnixTime) -> Vec<Arc<str>> {
        self.asking.as_ref().map_or(Vec::new(), |asking| asking.names_of(shown, now))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Which certificate is shown.
#[derive(Debug)]
struct Shown {
    own: Arc<CertifiedKey>,
    names: BTreeMap<String, Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.names.get(&name.to_ascii_lowercase()));
        Some(named.unwrap_or(&self.own).clone())
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let error = |why: String| TlsError::Read { file: file.to_owned(), why };
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(|e| error(e.to_string()))?;
    opened.take(PEM_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|e| error(e.to_string()))?;
    if bytes.len() as u64 > PEM_BYTES_MAX {
        return Err(error(format!("it has more than {PEM_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(file)?).collect();
    match found {
        Ok(found) if found.is_empty() => Err(TlsError::NoCertificate { file: file.to_owned() }),
        Ok(found) => Ok(found),
        Err(error) => Err(TlsError::Bad { file: file.to_owned(), why: error.to_string() }),
    }
}

fn certified(pair: &Pair) -> Result<Arc<CertifiedKey>, TlsError> {
    let bad = |file: &Path, why: String| TlsError::Bad { file: file.to_owned(), why };
    let chain = certificates(&pair.certificate)?;
    let key = match PrivateKeyDer::from_pem_slice(&read(&pair.key)?) {
        Ok(key) => key,
        Err(rustls::pki_types::pem::Error::NoItemsFound) => {
            return Err(TlsError::NoKey { file: pair.key.clone() });
        }
        Err(error) => return Err(bad(&pair.key, error.to_string())),
    };
    let key = ring::default_provider()
        .key_provider
        .load_private_key(key)
        .map_err(|error| bad(&pair.key, error.to_string()))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(Arc::new(certified))
        }
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(TlsError::Mismatch { certificate: pair.certificate.clone(), key: pair.key.clone() })
        }
        Err(error) => Err(bad(&pair.certificate, error.to_string())),
    }
}

/// A certificate that is to be shown to who asks for a name is one for that name.
fn is_for(name: &str, pair: &Pair, key: &CertifiedKey) -> Result<(), TlsError> {
    let wrong = || TlsError::WrongName { certificate: pair.certificate.clone(), name: name.to_owned() };
    let server = ServerName::try_from(name.to_owned()).map_err(|_| wrong())?;
    let end_entity = key.cert.first().ok_or_else(wrong)?;
    if verify::is_for(end_entity, &server) { Ok(()) } else { Err(wrong()) }
}

fn roots(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    // One that can't be read among a hundred costs the peers of that one alone.
    let (added, _) = roots.add_parsable_certificates(certificates(file)?);
    if added == 0 {
        return Err(TlsError::Bad {
            file: file.to_owned(),
            why: "none of its certificates can be read".into(),
        });
    }
    Ok(roots)
}

fn asking(file: &Path) -> Result<Arc<Asking>, TlsError> {
    let bad = |why: String| TlsError::Bad { file: file.to_owned(), why };
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(file)?), provider())
        .allow_unauthenticated()
        .build()
        .map_err(|error| bad(error.to_string()))?;
    Ok(Arc::new(Asking::new(verifier)))
}

#[cfg(test)]
mod tests;
