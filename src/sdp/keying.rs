//! How the media of one dialog is secured: what its peer has said of it, what we say, and what follows for the relay. In the clear, by
//! keys in the descriptions (SDES, RFC 4568), or by a DTLS handshake (RFC 5763) with ICE-lite (RFC 8445 §2.5) where the peer has ICE.
//!
//! What we say does not depend on whether we offer or answer: before the peer has said anything we offer what its [`Terms`] allow;
//! from then on we say what has been agreed, which is an answer as well as the next offer (RFC 3264 §8). One key for each suite and
//! dialog is ours, so that a phone which rang in vain knows no key of who has answered; it changes when the peer offers with another key.
//!
//! Invariant: what is refused changes nothing.

use super::SdpError;
use super::crypto::{CRYPTO_LINES_MAX, Crypto};
use super::fingerprint::{Fingerprint, Role, Setup};
use super::origin::Ports;
use super::read::{Line, MediaLine, Sections, lines};
use crate::srtp::{Keys, Master, Suite};
use sha2::{Digest as _, Sha256};
use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use zeroize::{Zeroize as _, Zeroizing};

/// Octets of an ICE user name or password, and of the name of a stream; a description with a longer one is refused (RFC 8839 §5.4 has 256).
const NAME_BYTES_MAX: usize = 256;

/// Whether a party's media is to be secured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Srtp {
    Off,
    #[default]
    Optional,
    Required,
}

/// How a party's signalling reaches us: what is said in it is worth what keeps it from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    #[default]
    Clear,
    Tls,
    /// A browser, which knows nothing but DTLS.
    WebSocket,
}

/// What a party is offered, and what is taken from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    pub srtp: Srtp,
    pub way: Way,
}

/// What the relay does with the packets of a party.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Protection {
    #[default]
    Plain,
    Sdes(Keys, Context),
    Dtls(Association),
}

/// Names a crypto context (RFC 3711 §3.2.3): as long as it is the same, other keys leave the packets' numbers as they are. Another dialog has
/// another one, and whoever takes its media elsewhere with another key (RFC 4568 §7.1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context(pub u64);

/// A DTLS association (RFC 8842 §3) that is to give the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Association {
    pub role: Role,
    /// Of the certificate that the peer has to show.
    pub fingerprint: Fingerprint,
    /// Which one it is where the same certificate has several.
    pub tls_id: Option<Box<str>>,
    pub ice: Option<Ice>,
}

impl Association {
    /// Whether it goes on: the same certificate, the same roles. ICE may have begun anew (RFC 8842 §4).
    #[must_use]
    pub fn is_same(&self, other: &Association) -> bool {
        (self.role, &self.fingerprint, &self.tls_id) == (other.role, &other.fingerprint, &other.tls_id)
    }
}

/// The two ends of connectivity checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ice {
    pub ours: Credentials,
    pub theirs: Credentials,
}

/// `a=ice-ufrag` and `a=ice-pwd` (RFC 8839 §5.4).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub ufrag: Box<str>,
    pub pwd: Zeroizing<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.ufrag)
    }
}

/// Octets that the keys of ours in one dialog follow from.
#[derive(Clone)]
struct Secret([u8; 32]);

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// See the module.
#[derive(Clone)]
pub struct Keying {
    pub terms: Terms,
    secret: Secret,
    /// Of our certificate; without one there is no DTLS.
    identity: Option<Arc<Fingerprint>>,
    heard: Option<Heard>,
    /// Where the peer receives, as it has said last.
    at: Option<SocketAddr>,
    /// Times that it was elsewhere when its key changed.
    moves: u32,
    /// Times that the peer has begun ICE anew (RFC 8445 §9).
    restarts: u32,
    /// Times that our keys have been changed.
    renewals: u32,
}

impl fmt::Debug for Keying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keying")
            .field("terms", &self.terms)
            .field("heard", &self.heard)
            .finish_non_exhaustive()
    }
}

/// What the peer has said.
#[derive(Clone, Debug)]
struct Heard {
    proto: Box<str>,
    /// RTCP on the RTP port (RFC 5761).
    muxed: bool,
    /// The name of the stream, and whether it is bundled (RFC 9143).
    mid: Option<Box<str>>,
    bundled: bool,
    by: By,
}

#[derive(Clone, Debug)]
enum By {
    Nothing,
    Crypto(Crypto),
    Dtls { role: Role, fingerprint: Fingerprint, tls_id: Option<Box<str>>, ice: Option<Credentials> },
}

/// What our description says of how the audio is carried, beside addresses.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Carriage {
    /// The profile in the `m=` line; `None`: as it came.
    pub(super) proto: Option<Box<str>>,
    /// Whole lines of the session, and of the stream, without line ends.
    pub(super) of_session: Vec<String>,
    pub(super) of_stream: Vec<Zeroizing<String>>,
    /// ICE is on: there is a candidate, and RTCP is on its port.
    pub(super) ice: bool,
    /// The profile is ours, and with it the name of the stream and where RTCP goes.
    pub(super) secured: bool,
    pub(super) muxed: bool,
}

impl Keying {
    #[must_use]
    pub fn new(secret: [u8; 32], identity: Option<Arc<Fingerprint>>) -> Keying {
        Keying {
            terms: Terms::default(),
            secret: Secret(secret),
            identity,
            heard: None,
            at: None,
            moves: 0,
            restarts: 0,
            renewals: 0,
        }
    }

    /// Looks whether what the peer has described can be agreed to.
    ///
    /// # Errors
    /// It isn't secured as its terms want, or in no way that we know.
    pub fn check(&self, description: &[u8]) -> Result<(), SdpError> {
        self.read(description).map(|_| ())
    }

    /// The peer has described its session.
    ///
    /// # Errors
    /// See [`Keying::check`]; things are as they were then.
    pub fn hear(&mut self, description: &[u8]) -> Result<(), SdpError> {
        let heard = self.read(description)?;
        let (before, now) = (self.heard.as_ref().and_then(Heard::ice), heard.ice());
        if before.is_some() && now.is_some() && before != now {
            self.restarts += 1;
        }
        self.heard = Some(heard);
        self.at = receives_at(description).or(self.at);
        Ok(())
    }

    /// The peer offers this next: where its key is another one or gone, ours is another one, too, in the answer and from it on (RFC 4568 §7.1.4):
    /// one that begins again where it began before would repeat its keystream. To be said before it is heard, and of offers alone: an answer
    /// agrees to the key that we have offered.
    pub fn renew(&mut self, offer: &[u8]) {
        let before = match self.heard.as_ref().map(|heard| &heard.by) {
            Some(By::Crypto(crypto)) => &crypto.master,
            Some(By::Nothing | By::Dtls { .. }) | None => return,
        };
        let another = match self.read(offer) {
            Ok(Heard { by: By::Crypto(crypto), .. }) => crypto.master != *before,
            Ok(_) => true,
            Err(_) => false,
        };
        if another {
            self.renewals += 1;
            self.moves += u32::from(receives_at(offer).is_some_and(|at| self.at.is_some_and(|it| it != at)));
        }
    }

    /// What has been agreed, as the relay carries it out.
    #[must_use]
    pub fn protection(&self) -> Protection {
        match self.heard.as_ref().map(|heard| &heard.by) {
            None | Some(By::Nothing) => Protection::Plain,
            Some(By::Crypto(crypto)) => {
                let theirs = crypto.master.clone();
                Protection::Sdes(Keys { ours: self.key(theirs.suite()), theirs }, self.context())
            }
            Some(By::Dtls { role, fingerprint, tls_id, ice }) => Protection::Dtls(Association {
                role: *role,
                fingerprint: fingerprint.clone(),
                tls_id: tls_id.clone(),
                ice: ice.clone().map(|theirs| Ice { ours: self.credentials(), theirs }),
            }),
        }
    }

    fn read(&self, description: &[u8]) -> Result<Heard, SdpError> {
        let sections = Sections::cut(description)?;
        let stream = sections.audio();
        let media = lines(stream).next().ok_or(SdpError::NoAudio)?;
        let proto = MediaLine::parse(media.value)?.proto.to_ascii_uppercase();
        let secured = proto.contains("SAVP");
        let dtls = proto.starts_with("UDP/TLS/");
        let crypto = (!dtls).then(|| self.chosen(stream)).flatten();
        let by = match (self.terms.srtp, crypto) {
            (Srtp::Off, _) if secured => return Err(SdpError::Secured),
            (Srtp::Off, _) => By::Nothing,
            (Srtp::Required, Some(_)) if self.terms.way == Way::Clear => {
                return Err(SdpError::KeysInTheClear);
            }
            (_, Some(crypto)) => By::Crypto(crypto),
            (_, None) => match self.dtls(sections.session, stream)? {
                Some(by) => by,
                None if secured => return Err(SdpError::NoKeys),
                None if self.terms.srtp == Srtp::Required => return Err(SdpError::NotSecured),
                None => By::Nothing,
            },
        };
        let mid = value(stream, b"mid").map(name).transpose()?;
        let grouped = |line: Line<'_>| {
            let of_bundle = |value: &[u8]| {
                let mut words = value.split(|b| *b == b' ');
                words.next() == Some(b"BUNDLE")
                    && mid.as_ref().is_some_and(|mid| words.any(|w| w == mid.as_bytes()))
            };
            line.attribute().is_some_and(|(name, value)| name == b"group" && of_bundle(value))
        };
        Ok(Heard {
            muxed: value(stream, b"rtcp-mux").is_some(),
            bundled: lines(sections.session).any(grouped),
            proto: proto.into(),
            mid,
            by,
        })
    }

    /// The line that is agreed to: of those we take, the one that has been agreed to before, else the peer's first (RFC 4568 §5.1.2).
    fn chosen(&self, stream: &[u8]) -> Option<Crypto> {
        let values = lines(stream).filter_map(|line| line.attribute()).filter(|(name, _)| *name == b"crypto");
        let mut taken = values.take(CRYPTO_LINES_MAX).filter_map(|(_, value)| Crypto::parse(value));
        let agreed = match self.heard.as_ref().map(|heard| &heard.by) {
            Some(By::Crypto(crypto)) => Some(crypto.master.suite()),
            _ => None,
        };
        let first = taken.next()?;
        let same = taken.find(|crypto| Some(crypto.master.suite()) == agreed);
        Some(if Some(first.master.suite()) == agreed { first } else { same.unwrap_or(first) })
    }

    /// What the peer says of a handshake; `None`: nothing.
    fn dtls(&self, session: &[u8], stream: &[u8]) -> Result<Option<By>, SdpError> {
        let either = |wanted| value(stream, wanted).or_else(|| value(session, wanted));
        let fingerprints = || {
            let of = |section| lines(section).filter_map(|line| line.attribute());
            of(stream).chain(of(session)).filter(|(name, _)| *name == b"fingerprint")
        };
        if self.identity.is_none() || fingerprints().next().is_none() {
            return Ok(None);
        }
        let taken = fingerprints().take(CRYPTO_LINES_MAX).filter_map(|(_, value)| Fingerprint::parse(value));
        let fingerprint = taken.max_by_key(Fingerprint::strength).ok_or(SdpError::NoKeys)?;
        let tls_id = either(b"tls-id").map(name).transpose()?;
        // RFC 8842 §5: without a=setup the answerer is active.
        let setup =
            either(b"setup").map_or(Ok(Setup::ActPass), |it| Setup::parse(it).ok_or(SdpError::NoKeys))?;
        let role = match (setup, self.heard.as_ref().map(|heard| &heard.by)) {
            (Setup::Active, _) => Role::Server,
            (Setup::Passive, _) => Role::Client,
            // RFC 8842 §5.5: as long as it is the same association, roles stay.
            (Setup::ActPass, Some(By::Dtls { role, fingerprint: before, tls_id: id, .. }))
                if *before == fingerprint && *id == tls_id =>
            {
                *role
            }
            // Whoever begins has to know where to: a phone behind a NAT finds us, and not the other way round.
            (Setup::ActPass, _) => Role::Server,
        };
        // Of two that are lite nobody checks: each is where its description says (RFC 8445 §6.2).
        let lite = value(session, b"ice-lite").is_some();
        let ice = match (either(b"ice-ufrag"), either(b"ice-pwd")) {
            (Some(ufrag), Some(pwd)) if !lite => {
                Some(Credentials { ufrag: name(ufrag)?, pwd: Zeroizing::new(name(pwd)?.into_string()) })
            }
            _ => None,
        };
        Ok(Some(By::Dtls { role, fingerprint, tls_id, ice }))
    }

    /// What our next description says, made of one with this profile; `foreign`: that one isn't plain itself.
    pub(super) fn carriage(&self, proto: &str, foreign: bool, ports: Ports) -> Carriage {
        let plain = |proto: Option<&str>| Carriage {
            proto: proto.map(Box::from),
            of_session: Vec::new(),
            of_stream: Vec::new(),
            ice: false,
            secured: proto.is_some(),
            muxed: false,
        };
        let in_the_clear = if !foreign && proto.ends_with('F') { "RTP/AVPF" } else { "RTP/AVP" };
        let Some(heard) = &self.heard else {
            return match (self.terms.srtp, self.terms.way, self.identity.as_deref()) {
                (Srtp::Optional | Srtp::Required, Way::WebSocket, Some(identity)) => {
                    self.handshake("UDP/TLS/RTP/SAVPF", (identity, "actpass"), true, ports)
                }
                (Srtp::Required, Way::Clear, Some(identity)) => {
                    self.handshake("UDP/TLS/RTP/SAVP", (identity, "actpass"), false, ports)
                }
                (Srtp::Required, _, _) => self.offer("RTP/SAVP"),
                (Srtp::Optional, Way::Tls, _) => self.offer(in_the_clear), // RFC 8643
                (Srtp::Off | Srtp::Optional, _, _) => plain(foreign.then_some(in_the_clear)),
            };
        };
        let mut carriage = match (&heard.by, self.identity.as_deref()) {
            (By::Crypto(Crypto { tag, master }), _) => self.cryptos(&heard.proto, [(*tag, master.suite())]),
            (By::Dtls { role, ice, .. }, Some(identity)) => {
                self.handshake(&heard.proto, (identity, role.setup()), ice.is_some(), ports)
            }
            (By::Dtls { .. } | By::Nothing, _) => {
                let same = !foreign && heard.proto.eq_ignore_ascii_case(proto);
                plain(Some(&*heard.proto).filter(|_| !same))
            }
        };
        carriage.muxed = heard.muxed && carriage.secured;
        if let Some(mid) = heard.mid.as_deref().filter(|_| carriage.secured) {
            carriage.of_stream.push(Zeroizing::new(format!("a=mid:{mid}")));
            if heard.bundled {
                carriage.of_session.push(format!("a=group:BUNDLE {mid}"));
            }
        }
        carriage
    }

    /// All suites that we take.
    fn offer(&self, proto: &str) -> Carriage {
        self.cryptos(proto, (1..).zip(Suite::ALL))
    }

    fn cryptos(&self, proto: &str, suites: impl IntoIterator<Item = (u32, Suite)>) -> Carriage {
        let line = |(tag, suite)| {
            let value = Crypto { tag, master: self.key(suite) }.write();
            Zeroizing::new(format!("a=crypto:{}", *value))
        };
        Carriage {
            proto: Some(proto.into()),
            of_session: Vec::new(),
            of_stream: suites.into_iter().map(line).collect(),
            ice: false,
            secured: true,
            muxed: false,
        }
    }

    fn handshake(
        &self,
        proto: &str,
        (identity, setup): (&Fingerprint, &str),
        ice: bool,
        ports: Ports,
    ) -> Carriage {
        let mut of_session = Vec::new();
        let mut of_stream: Vec<Zeroizing<String>> = Vec::new();
        let mut say = |line: String| of_stream.push(Zeroizing::new(line));
        say(format!("a=fingerprint:{identity}"));
        say(format!("a=setup:{setup}"));
        if ice {
            let Credentials { ufrag, pwd } = self.credentials();
            of_session.push("a=ice-lite".to_owned());
            say(format!("a=ice-ufrag:{ufrag}"));
            say(format!("a=ice-pwd:{}", *pwd));
            // RFC 8445 §5.1.2.1: type preference 126 of a host candidate, the only address, component 1.
            say(format!("a=candidate:1 1 UDP 2130706431 {} {} typ host", ports.address, ports.rtp));
            say("a=end-of-candidates".to_owned());
        }
        if self.heard.is_none() && ice {
            of_session.push("a=group:BUNDLE 0".to_owned());
            say("a=mid:0".to_owned());
        }
        Carriage { proto: Some(proto.into()), of_session, of_stream, ice, secured: true, muxed: true }
    }

    fn key(&self, suite: Suite) -> Master {
        Master::derive(suite, &self.secret.0, self.renewals)
    }

    fn context(&self) -> Context {
        let hash = Sha256::new()
            .chain_update(self.secret.0)
            .chain_update("context")
            .chain_update(self.moves.to_be_bytes())
            .finalize();
        Context(hash.first_chunk().map_or(0, |octets| u64::from_be_bytes(*octets)))
    }

    fn credentials(&self) -> Credentials {
        let hash = Sha256::new()
            .chain_update(self.secret.0)
            .chain_update("ice")
            .chain_update(self.restarts.to_be_bytes())
            .finalize();
        let mut text = Zeroizing::new(String::with_capacity(2 * hash.len()));
        for octet in &hash {
            let _ = write!(text, "{octet:02x}"); // to a String nothing fails
        }
        let (ufrag, pwd) = text.split_at_checked(8).unwrap_or_default();
        Credentials { ufrag: ufrag.into(), pwd: Zeroizing::new(pwd.get(..32).unwrap_or_default().to_owned()) }
    }
}

impl Heard {
    fn ice(&self) -> Option<&Credentials> {
        match &self.by {
            By::Dtls { ice, .. } => ice.as_ref(),
            By::Nothing | By::Crypto(_) => None,
        }
    }
}

/// Where the peer receives; `None`: nowhere just now.
fn receives_at(description: &[u8]) -> Option<SocketAddr> {
    super::audio(description).ok().filter(|audio| !audio.on_hold).map(|audio| audio.rtp)
}

/// The value of the first such attribute.
fn value<'a>(section: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    lines(section)
        .filter_map(|line| line.attribute())
        .find(|(name, _)| *name == wanted)
        .map(|(_, value)| value)
}

/// A word that is repeated in what we write.
fn name(value: &[u8]) -> Result<Box<str>, SdpError> {
    let sound = !value.is_empty() && value.len() <= NAME_BYTES_MAX && value.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(value).ok().filter(|_| sound).map(Box::from).ok_or(SdpError::BadLine)
}

#[cfg(test)]
mod tests;
