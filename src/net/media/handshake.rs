//! DTLS handshakes of media (RFC 5763, RFC 5764): a thread of their own, since one costs a relay thread more than a thousand packets. Relay
//! threads hand it the datagrams of a handshake; it answers from the same socket, and its result is a `Command::Handshaken`.
//!
//! Bounds: [`DATAGRAMS_MAX`] wait for it, [`HANDSHAKES_MAX`] are under way, each for [`HANDSHAKE_FOR`] at most. What is over them is
//! dropped, and its sender says it again.
//!
//! Invariant: keys are given only once the peer has shown the certificate that its description has the fingerprint of.

use super::ports::Pair;
use super::thread::Handed;
use crate::net::clock;
use crate::net::poll::Waker;
use crate::net::tally::Handshakes as Tally;
use crate::relay::forward::Channel;
use crate::relay::{Command, RelayId, Side};
use crate::sdp::keying::Association;
use crate::sdp::{Fingerprint, Role};
use crate::srtp::{Keys, Master, Suite};
use dimpl::{Config, Dtls, DtlsCertificate, KeyingMaterial, Output, SrtpProfile};
use rustc_hash::FxHashMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Datagrams that wait for the thread; more are dropped.
pub const DATAGRAMS_MAX: usize = 1024;
/// Handshakes that are under way, or were until [`LINGER`] ago; datagrams of one more are dropped until there is room.
pub const HANDSHAKES_MAX: usize = 512;
/// How long a handshake may take.
pub const HANDSHAKE_FOR: Duration = Duration::from_secs(20);
/// How long a peer that has lost our last flight gets it again.
const LINGER: Duration = Duration::from_secs(10);
/// A handshake is looked at no sooner than this again, whatever it wants.
const STEP: Duration = Duration::from_millis(5);
/// The longest datagram of ours.
const OUT_BYTES_MAX: usize = 2048;
/// RFC 6347 §4.1: content type, version, epoch, sequence number, length.
const RECORD_HEADER_BYTES: usize = 13;

/// What we show in handshakes: a certificate of this run of the daemon.
#[derive(Clone, Debug)]
pub struct Identity {
    certificate: DtlsCertificate,
}

/// No certificate could be made.
#[derive(Debug, thiserror::Error)]
#[error("media: no certificate for DTLS can be made: {0}")]
pub struct NoIdentity(String);

impl Identity {
    /// Makes a key and a certificate for it. Nobody has to know it beforehand: its fingerprint is in each description.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn make() -> Result<Identity, NoIdentity> {
        let broken = |error: rcgen::Error| NoIdentity(error.to_string());
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(broken)?;
        let mut certificate = rcgen::CertificateParams::new(Vec::new()).map_err(broken)?;
        certificate.distinguished_name = rcgen::DistinguishedName::new();
        certificate.distinguished_name.push(rcgen::DnType::CommonName, "ringtree");
        let certificate = certificate.self_signed(&key).map_err(broken)?;
        let certificate = certificate.der().to_vec();
        Ok(Identity { certificate: DtlsCertificate { certificate, private_key: key.serialize_der() } })
    }

    /// What our descriptions say of it.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate.certificate)
    }
}

/// Which port of a relay a handshake is for.
pub(super) type Of = (RelayId, Side, Channel);

/// A datagram of a handshake; without octets: it is for us to begin.
pub(super) struct Datagram {
    pub of: Of,
    /// Where it came in, and the answer goes out.
    pub pair: Arc<Pair>,
    pub association: Association,
    pub peer: SocketAddr,
    pub datagram: Vec<u8>,
}

/// What a relay thread is given beside the commands of signalling.
pub(super) enum Given {
    /// The keys of a handshake.
    Handshaken(Command),
    /// A party that comes from a relay of another thread.
    Handed(Handed),
}

/// A way to a relay thread that keeps it from nothing, not even from ending.
pub(super) struct Way {
    pub given: SyncSender<Given>,
    pub waker: Waker,
}

impl Way {
    /// `false`: there is no room.
    pub fn try_give(&self, given: Given) -> bool {
        let has_room = self.given.try_send(given).is_ok();
        self.waker.wake();
        has_room
    }
}

enum Message {
    Datagram(Box<Datagram>),
    /// The relay is closed.
    Closed(RelayId),
    /// It has another name, and another party on side B.
    Succeeded(RelayId, RelayId),
}

/// A relay thread's way to the handshakes; without one there are none.
#[derive(Clone)]
pub(super) struct Handshakes {
    queue: Option<SyncSender<Message>>,
    tally: Arc<Tally>,
}

impl Handshakes {
    /// Starts the thread. Results go to the relay thread that the relay belongs to. Without an identity there are no handshakes.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(identity: Option<Identity>, threads: Arc<[Way]>) -> std::io::Result<Handshakes> {
        let tally = Arc::<Tally>::default();
        let Some(Identity { certificate }) = identity else { return Ok(Handshakes { queue: None, tally }) };
        let config = Config::builder().handshake_timeout(HANDSHAKE_FOR).build();
        let config = Arc::new(config.map_err(std::io::Error::other)?);
        let (sender, queue) = sync_channel(DATAGRAMS_MAX);
        let under_way = FxHashMap::default();
        let desk = Desk { config, certificate, threads, under_way, tally: tally.clone() };
        std::thread::Builder::new().name("media-dtls".to_owned()).spawn(move || desk.run(&queue))?;
        Ok(Handshakes { queue: Some(sender), tally })
    }

    pub(super) fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    pub(super) fn offer(&self, datagram: Datagram) {
        // Its sender says it again.
        if let Some(queue) = &self.queue
            && queue.try_send(Message::Datagram(Box::new(datagram))).is_err()
        {
            self.tally.dropped.add();
        }
    }

    pub(super) fn succeeded(&self, id: RelayId, by: RelayId) {
        if let Some(queue) = &self.queue {
            let _ = queue.try_send(Message::Succeeded(id, by)); // else what is under way ends by itself
        }
    }

    pub(super) fn closed(&self, id: RelayId) {
        if let Some(queue) = &self.queue {
            let _ = queue.try_send(Message::Closed(id)); // else it ends by itself
        }
    }
}

/// The thread.
struct Desk {
    config: Arc<Config>,
    certificate: DtlsCertificate,
    threads: Arc<[Way]>,
    under_way: FxHashMap<Of, Handshake>,
    tally: Arc<Tally>,
}

struct Handshake {
    dtls: Dtls,
    association: Association,
    pair: Arc<Pair>,
    channel: Channel,
    peer: SocketAddr,
    /// When it wants to be looked at again.
    next: Instant,
    /// When it is over, come to an end or not.
    ends: Instant,
    stage: Stage,
}

enum Stage {
    /// `keys` wait for the certificate, where they are there first.
    Unproven {
        keys: Option<Keys>,
    },
    Proven,
    /// Its keys are given.
    Done,
}

/// It can't go on.
struct Failed(String);

impl Desk {
    /// Until the last relay thread has ended.
    fn run(mut self, queue: &Receiver<Message>) {
        loop {
            let next = self.under_way.values().map(|handshake| handshake.next).min();
            let message = match next {
                Some(at) => queue.recv_timeout(at.saturating_duration_since(clock::mono())),
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let now = clock::mono();
            match message {
                Ok(Message::Datagram(datagram)) => self.datagram(now, *datagram),
                Ok(Message::Closed(id)) => self.under_way.retain(|(of, ..), _| *of != id),
                Ok(Message::Succeeded(id, by)) => self.succeeded(id, by),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let due = |handshake: &Handshake| handshake.next <= now;
            let due: Vec<_> = self.under_way.iter().filter(|(_, it)| due(it)).map(|(key, _)| *key).collect();
            due.into_iter().for_each(|key| self.advance(now, key, None));
        }
    }

    /// What is under way with the party of side A goes on.
    fn succeeded(&mut self, id: RelayId, by: RelayId) {
        for channel in [Channel::Rtp, Channel::Rtcp] {
            self.under_way.remove(&(id, Side::B, channel));
            if let Some(handshake) = self.under_way.remove(&(id, Side::A, channel)) {
                self.under_way.insert((by, Side::A, channel), handshake);
            }
        }
    }

    fn datagram(&mut self, now: Instant, datagram: Datagram) {
        let Datagram { of: key, pair, association, peer, datagram } = datagram;
        if alerts_in_the_clear(&datagram) {
            return;
        }
        let known = self.under_way.get(&key).is_some_and(|it| it.association.is_same(&association));
        if !known {
            self.under_way.remove(&key);
            // What is left of one that is over begins no other.
            let begins = association.role == Role::Client || is_client_hello(&datagram);
            if !begins {
                return;
            }
            if self.under_way.len() >= HANDSHAKES_MAX {
                return self.tally.dropped.add();
            }
            let mut dtls = Dtls::new_auto(self.config.clone(), self.certificate.clone(), now);
            dtls.set_active(association.role == Role::Client);
            let stage = Stage::Unproven { keys: None };
            let ends = now + HANDSHAKE_FOR;
            let handshake =
                Handshake { dtls, association, pair, channel: key.2, peer, next: now, ends, stage };
            self.under_way.insert(key, handshake);
        } else if datagram.is_empty() {
            return; // it has begun
        }
        if let Some(handshake) = self.under_way.get_mut(&key) {
            handshake.peer = peer;
        }
        self.advance(now, key, Some(&datagram).filter(|datagram| !datagram.is_empty()));
    }

    /// Lets a handshake look at the clock, and at a datagram.
    fn advance(&mut self, now: Instant, key: Of, datagram: Option<&Vec<u8>>) {
        let Some(handshake) = self.under_way.get_mut(&key) else { return };
        // What a library for the wire may not survive costs this handshake, not all of them.
        let advanced = match handshake.ends <= now {
            true => Err(Failed("the peer has not gone on".to_owned())),
            false => catch_unwind(AssertUnwindSafe(|| handshake.advance(now, datagram)))
                .unwrap_or_else(|_| Err(Failed("it has panicked".to_owned()))),
        };
        match advanced {
            Ok(None) => {}
            Ok(Some(keys)) => {
                self.tally.done.add();
                let of = Box::new(handshake.association.clone());
                let (id, side, channel) = key;
                if let Some(way) = self.threads.get(id.thread(self.threads.len())) {
                    let command = Command::Handshaken { id, side, channel, of, keys };
                    // The relay thread never waits for this one, so it goes on taking what it is given.
                    let _ = way.given.send(Given::Handshaken(command));
                    way.waker.wake();
                }
            }
            Err(Failed(why)) => {
                if !matches!(handshake.stage, Stage::Done) {
                    self.tally.failed.add();
                    tracing::warn!(relay = key.0.0, peer = %handshake.peer, why, "a DTLS handshake has failed: this side has no media");
                }
                self.under_way.remove(&key);
            }
        }
    }
}

impl Handshake {
    /// Some: the keys, once.
    fn advance(&mut self, now: Instant, datagram: Option<&Vec<u8>>) -> Result<Option<Keys>, Failed> {
        let broken = |error: dimpl::Error| Failed(error.to_string());
        self.dtls.handle_timeout(now).map_err(broken)?;
        let mut keys = self.drain()?;
        if let Some(datagram) = datagram {
            self.dtls.handle_packet(datagram).map_err(broken)?;
            keys = keys.or(self.drain()?);
        }
        if keys.is_some() {
            (self.stage, self.ends) = (Stage::Done, now + LINGER);
        }
        self.next = self.next.max(now + STEP).min(self.ends);
        Ok(keys)
    }

    /// Sends what is to be sent. Some: the keys, and the peer is who it has to be.
    fn drain(&mut self) -> Result<Option<Keys>, Failed> {
        let mut buffer = Zeroizing::new([0; OUT_BYTES_MAX]);
        let mut ready = None;
        loop {
            match self.dtls.poll_output(&mut buffer[..]) {
                Output::Packet(packet) => {
                    let socket = match self.channel {
                        Channel::Rtp => &self.pair.rtp,
                        Channel::Rtcp => &self.pair.rtcp,
                    };
                    let _ = socket.send_to(packet, self.peer); // what is lost is sent again
                }
                Output::Timeout(at) => {
                    self.next = at;
                    return Ok(ready);
                }
                Output::PeerCert(certificate) => {
                    if !self.association.fingerprint.is_of(certificate) {
                        let why = "the peer's certificate is not the one that its description says";
                        return Err(Failed(why.to_owned()));
                    }
                    if let Stage::Unproven { keys } = &mut self.stage {
                        ready = keys.take();
                        self.stage = Stage::Proven;
                    }
                }
                Output::KeyingMaterial(material, profile) => {
                    let given = keys(&material, profile, self.association.role)
                        .ok_or_else(|| Failed("no SRTP".to_owned()))?;
                    match &mut self.stage {
                        Stage::Unproven { keys } => *keys = Some(given),
                        Stage::Proven => ready = Some(given),
                        Stage::Done => {}
                    }
                }
                Output::BufferTooSmall { .. } => {
                    return Err(Failed("a datagram that is too long".to_owned()));
                }
                Output::Connected | Output::ApplicationData(_) | Output::CloseNotify => {}
                _ => {} // outputs that a later version may have
            }
        }
    }
}

/// Whether there is an alert in a datagram that nobody has sealed (content type 21, epoch 0). Anybody can forge one, and it would end a
/// handshake: it is passed over (RFC 6347 §4.1.2.7), and a peer that really gives up is given up when its time is over.
fn alerts_in_the_clear(mut datagram: &[u8]) -> bool {
    while let Some((header, rest)) = datagram.split_at_checked(RECORD_HEADER_BYTES) {
        if header.first() == Some(&21) && header.get(3..5) == Some(&[0, 0]) {
            return true;
        }
        let length = header.last_chunk().map_or(0, |octets| usize::from(u16::from_be_bytes(*octets)));
        datagram = rest.get(length..).unwrap_or_default();
    }
    false
}

/// Whether a datagram begins with a ClientHello: a record of the handshake (22, 13 octets), and of that the first message (1).
fn is_client_hello(datagram: &[u8]) -> bool {
    datagram.first() == Some(&22) && datagram.get(13) == Some(&1)
}

/// RFC 5764 §4.2: the client's key, the server's, the client's salt, the server's.
fn keys(material: &KeyingMaterial, profile: SrtpProfile, role: Role) -> Option<Keys> {
    let suite = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Suite::AesCm128HmacSha1_80,
        SrtpProfile::AEAD_AES_128_GCM => Suite::AeadAes128Gcm,
        SrtpProfile::AEAD_AES_256_GCM => Suite::AeadAes256Gcm,
        _ => return None,
    };
    let (key, salt) = (suite.key_bytes(), suite.salt_bytes());
    let of = |n: usize| {
        let key_at = n * key;
        let salt_at = 2 * key + n * salt;
        let parts = [material.get(key_at..key_at + key)?, material.get(salt_at..salt_at + salt)?];
        Master::new(suite, &Zeroizing::new(parts.concat()))
    };
    let (client, server) = (of(0)?, of(1)?);
    Some(match role {
        Role::Client => Keys { ours: client, theirs: server },
        Role::Server => Keys { ours: server, theirs: client },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(content_type: u8, epoch: u8, octets: &[u8]) -> Vec<u8> {
        let mut record = vec![content_type, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 1, 0, octets.len() as u8];
        record.extend(octets);
        record
    }

    #[test]
    fn an_alert_that_anybody_could_have_sent_is_known_wherever_it_stands() {
        let (hello, alert, sealed) =
            (record(22, 0, &[1; 40]), record(21, 0, &[2, 40]), record(21, 1, &[7; 24]));
        assert!(alerts_in_the_clear(&alert));
        assert!(alerts_in_the_clear(&[hello.clone(), alert.clone()].concat()));
        assert!(!alerts_in_the_clear(&[hello, sealed].concat()));
        assert!(!alerts_in_the_clear(&alert[..12]) && !alerts_in_the_clear(&[]));
    }
}
