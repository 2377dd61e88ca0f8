//! The media plane over loopback sockets where its sides are secured: what phones notice, and who stands beside their way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's way to fail

#[path = "support/plane.rs"]
mod plane;

use dimpl::{Config, Dtls, DtlsCertificate, Output, SrtpProfile};
use plane::{Desk, rtp};
use ringtree::net::clock;
use ringtree::net::media::Identity;
use ringtree::relay::{Command, Media, RelayId, Side};
use ringtree::sdp::keying::{Association, Context};
use ringtree::sdp::{Fingerprint, Protection, Role};
use ringtree::srtp::{Inbound, Keys, Master, Outbound, Suite, TRAILER_BYTES_MAX};
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::ops::Deref;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ID: RelayId = RelayId(1);

struct World {
    desk: Desk,
    fingerprint: Fingerprint,
}

impl Deref for World {
    type Target = Desk;

    fn deref(&self) -> &Desk {
        &self.desk
    }
}

/// A relay between the two, whose sides are secured like this.
fn world(a: (&UdpSocket, Protection), b: (&UdpSocket, Protection)) -> World {
    let identity = Identity::make().unwrap();
    let fingerprint = identity.fingerprint();
    let world = World { desk: Desk::start(LOOPBACK, 3, 1, Some(identity), SOON), fingerprint };
    world.tell(Command::Open { id: ID, a: world.pairs[0], b: Some(world.pairs[1]) });
    for (side, (phone, by)) in [(Side::A, a), (Side::B, b)] {
        world.tell(Command::Secure { id: ID, side, by });
        world.tell(Command::Point { id: ID, side, rtp: phone.local_addr().ok(), rtcp: None, expected: None });
    }
    world.settle();
    world
}

impl World {
    fn close(&self) -> Media {
        self.desk.close(ID)
    }
}

fn phone() -> UdpSocket {
    plane::phone("127.0.0.1", SOON)
}

fn sealed(outbound: &mut Outbound, plain: &[u8]) -> Vec<u8> {
    let mut buffer = [plain, &[0; TRAILER_BYTES_MAX]].concat();
    let octets = outbound.rtp(&mut buffer, plain.len()).unwrap();
    buffer.truncate(octets);
    buffer
}

fn hear(socket: &UdpSocket) -> Vec<u8> {
    plane::hear(socket).0
}

fn opened(inbound: &mut Inbound, mut packet: Vec<u8>) -> Vec<u8> {
    let octets = inbound.rtp(&mut packet).unwrap();
    packet.truncate(octets);
    packet
}

fn keys(suite: Suite, of: u8) -> Keys {
    Keys { theirs: Master::derive(suite, &[of; 32], 0), ours: Master::derive(suite, &[of + 100; 32], 0) }
}

#[test]
fn sound_crosses_between_the_clear_and_every_suite() {
    for suite in Suite::ALL {
        let (a, b) = (phone(), phone());
        let keys = keys(suite, 1);
        let world = world((&a, Protection::Sdes(keys.clone(), Context(1))), (&b, Protection::Plain));
        let (mut outbound, mut inbound) = (Outbound::new(&keys.theirs), Inbound::new(&keys.ours));
        for sequence in 1..=20 {
            a.send_to(&sealed(&mut outbound, &rtp(sequence, "from a")), world.pairs[0].rtp).unwrap();
            assert_eq!(hear(&b), rtp(sequence, "from a"));
            b.send_to(&rtp(sequence, "from b"), world.pairs[1].rtp).unwrap();
            assert_eq!(opened(&mut inbound, hear(&a)), rtp(sequence, "from b"));
        }
        let media = world.close();
        assert_eq!((media.a_to_b.packets, media.b_to_a.packets, media.a_to_b.dropped), (20, 20, 0));
    }
}

#[test]
fn replayed_forged_and_off_path_packets_are_dropped_and_move_nothing() {
    let (a, b, stranger) = (phone(), phone(), phone());
    let keys = keys(Suite::AesCm128HmacSha1_80, 1);
    let world = world((&a, Protection::Sdes(keys.clone(), Context(1))), (&b, Protection::Plain));
    let to = world.pairs[0].rtp;
    let mut outbound = Outbound::new(&keys.theirs);
    // Before the phone is heard a latch takes the first that fits: not without the key.
    let mut forger = Outbound::new(&Master::derive(Suite::AesCm128HmacSha1_80, &[9; 32], 0));
    stranger.send_to(&sealed(&mut forger, &rtp(1, "forged")), to).unwrap();
    stranger.send_to(&rtp(2, "in the clear"), to).unwrap();
    let first = sealed(&mut outbound, &rtp(1, "from a"));
    a.send_to(&first, to).unwrap();
    assert_eq!(hear(&b), rtp(1, "from a"));
    a.send_to(&first, to).unwrap();
    stranger.send_to(&first, to).unwrap();
    stranger.send_to(&sealed(&mut outbound, &rtp(2, "taken from the way")), to).unwrap();
    a.send_to(&sealed(&mut outbound, &rtp(3, "last")), to).unwrap();
    assert_eq!(hear(&b), rtp(3, "last"));
    b.send_to(&rtp(1, "from b"), world.pairs[1].rtp).unwrap();
    assert!(!hear(&a).is_empty(), "it goes to the phone");
    let media = world.close();
    assert_eq!((media.a_to_b.packets, media.a_to_b.dropped), (2, 5));
}

/// The end of a handshake that a phone is.
struct Shaking {
    dtls: Dtls,
    socket: UdpSocket,
    role: Role,
}

fn certificate() -> DtlsCertificate {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["phone.test".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    DtlsCertificate { certificate: certificate.der().to_vec(), private_key: key.serialize_der() }
}

impl Shaking {
    fn new(socket: UdpSocket, certificate: &DtlsCertificate, role: Role) -> Shaking {
        let config = Arc::new(Config::builder().build().unwrap());
        let mut dtls = Dtls::new_auto(config, certificate.clone(), clock::mono());
        dtls.set_active(role == Role::Client);
        Shaking { dtls, socket, role }
    }

    /// Until the keys are there, and nothing is left to say. `shown`: the fingerprint that the other end has to have.
    fn shake(&mut self, to: std::net::SocketAddr, shown: &Fingerprint) -> Option<Keys> {
        self.socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let deadline = clock::mono() + SOON;
        let (mut keys, mut buffer) = (None, [0; 4096]);
        while clock::mono() < deadline {
            if self.dtls.handle_timeout(clock::mono()).is_err() {
                return None;
            }
            let mut connected = false;
            loop {
                match self.dtls.poll_output(&mut buffer) {
                    Output::Packet(packet) => {
                        self.socket.send_to(packet, to).unwrap();
                    }
                    Output::Timeout(_) => break,
                    Output::Connected => connected = true,
                    Output::PeerCert(certificate) => assert!(shown.is_of(certificate)),
                    Output::KeyingMaterial(material, profile) => {
                        keys = Some(split(&material, profile, self.role))
                    }
                    _ => {}
                }
            }
            if let (Some(keys), true) = (&keys, connected || keys.is_some()) {
                self.socket.set_read_timeout(Some(SOON)).unwrap();
                return Some(keys.clone());
            }
            if let Ok(octets) = self.socket.recv(&mut buffer)
                && self.dtls.handle_packet(&buffer[..octets]).is_err()
            {
                return None;
            }
        }
        None
    }
}

/// RFC 5764 §4.2, as the phone has them: `theirs` is what it protects with.
fn split(material: &[u8], profile: SrtpProfile, role: Role) -> Keys {
    let suite = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Suite::AesCm128HmacSha1_80,
        SrtpProfile::AEAD_AES_128_GCM => Suite::AeadAes128Gcm,
        _ => Suite::AeadAes256Gcm,
    };
    let (key, salt) = (suite.key_bytes(), suite.salt_bytes());
    let of = |n: usize| {
        let salt_at = 2 * key + n * salt;
        let both = [&material[n * key..(n + 1) * key], &material[salt_at..salt_at + salt]].concat();
        Master::new(suite, &both).unwrap()
    };
    match role {
        Role::Client => Keys { theirs: of(0), ours: of(1) },
        Role::Server => Keys { theirs: of(1), ours: of(0) },
    }
}

fn association(role: Role, certificate: &DtlsCertificate) -> Protection {
    let fingerprint = Fingerprint::of(&certificate.certificate);
    Protection::Dtls(Association { role, fingerprint, tls_id: None, ice: None })
}

/// The phone's first packets may be there before its keys are.
fn say_until_heard(
    from: &UdpSocket,
    to: std::net::SocketAddr,
    outbound: &mut Outbound,
    at: &UdpSocket,
) -> Vec<u8> {
    say_from(1, from, to, outbound, at)
}

/// The same from that number on.
fn say_from(
    first: u16,
    from: &UdpSocket,
    to: std::net::SocketAddr,
    outbound: &mut Outbound,
    at: &UdpSocket,
) -> Vec<u8> {
    at.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut buffer = [0; 2048];
    for sequence in first..first + 200 {
        from.send_to(&sealed(outbound, &rtp(sequence, "from a")), to).unwrap();
        if let Ok(octets) = at.recv(&mut buffer) {
            at.set_read_timeout(Some(SOON)).unwrap();
            return buffer[..octets].to_vec();
        }
    }
    panic!("never heard")
}

#[test]
fn who_shakes_hands_hears_who_has_keys_and_is_heard_whoever_begins() {
    for phone_is in [Role::Client, Role::Server] {
        let (a, b) = (phone(), phone());
        let certificate = certificate();
        let ours = if phone_is == Role::Client { Role::Server } else { Role::Client };
        let keys_b = keys(Suite::AesCm128HmacSha1_32, 2);
        let world =
            world((&a, association(ours, &certificate)), (&b, Protection::Sdes(keys_b.clone(), Context(1))));
        let mut shaking = Shaking::new(a, &certificate, phone_is);
        let keys_a = shaking.shake(world.pairs[0].rtp, &world.fingerprint).expect("keys");
        let mut inbound_b = Inbound::new(&keys_b.ours);
        let heard =
            say_until_heard(&shaking.socket, world.pairs[0].rtp, &mut Outbound::new(&keys_a.theirs), &b);
        assert!(opened(&mut inbound_b, heard).ends_with(b"from a"));
        let said = sealed(&mut Outbound::new(&keys_b.theirs), &rtp(1, "from b"));
        b.send_to(&said, world.pairs[1].rtp).unwrap();
        let mut inbound_a = Inbound::new(&keys_a.ours);
        let heard = loop {
            let packet = hear(&shaking.socket);
            if packet[0] >> 6 == 2 {
                break packet; // else the end of the handshake
            }
        };
        assert_eq!(opened(&mut inbound_a, heard), rtp(1, "from b"));
    }
}

#[test]
fn who_has_shaken_hands_is_heard_by_whoever_comes_in_the_place_of_the_other_party() {
    let (a, b, newcomer) = (phone(), phone(), phone());
    let certificate = certificate();
    let world = world((&a, association(Role::Server, &certificate)), (&b, Protection::Plain));
    let to = world.pairs[0].rtp;
    let mut shaking = Shaking::new(a, &certificate, Role::Client);
    let keys = shaking.shake(to, &world.fingerprint).expect("keys");
    let mut outbound = Outbound::new(&keys.theirs);
    assert!(say_until_heard(&shaking.socket, to, &mut outbound, &b).ends_with(b"from a"));
    let by = RelayId::of_call(ID.0, 2);
    world.tell(Command::Succeed { id: ID, by, b: world.pairs[2] });
    assert_eq!(world.closed(ID), Media::default(), "the ports of the other party are free");
    world.tell(Command::Point {
        id: by,
        side: Side::B,
        rtp: newcomer.local_addr().ok(),
        rtcp: None,
        expected: None,
    });
    world.settle();
    shaking.socket.send_to(&sealed(&mut outbound, &rtp(400, "on")), to).unwrap();
    let heard = plane::hear(&newcomer);
    assert_eq!(heard, (rtp(400, "on"), world.pairs[2].rtp));
    newcomer.send_to(&rtp(7, "hello"), world.pairs[2].rtp).unwrap();
    let heard = loop {
        let packet = hear(&shaking.socket);
        if packet[0] >> 6 == 2 {
            break packet; // else the end of the handshake
        }
    };
    assert_eq!(opened(&mut Inbound::new(&keys.ours), heard), rtp(7, "hello"));
}

/// Who has shaken hands, or has told its keys, goes on at another relay: at the same ports, as a leg that was asked does when it takes its
/// call, or at others, of another thread, as in an attended transfer.
#[test]
fn who_goes_on_at_another_relay_keeps_its_keys() {
    let certificate = certificate();
    let identity = Identity::make().unwrap();
    let fingerprint = identity.fingerprint();
    let desk = Desk::start(LOOPBACK, 8, 2, Some(identity), SOON);
    let point = |id, side, phone: &UdpSocket| {
        desk.tell(Command::Point { id, side, rtp: phone.local_addr().ok(), rtcp: None, expected: None });
    };
    for (n, (shakes, elsewhere)) in (0..).zip([(true, false), (true, true), (false, false), (false, true)]) {
        let (a, b) = (phone(), phone());
        let (home, pairs) = (RelayId(1 + 2 * n), &desk.pairs);
        let by = match shakes {
            true => association(Role::Server, &certificate),
            false => Protection::Sdes(keys(Suite::AesCm128HmacSha1_80, 1), Context(n)),
        };
        desk.tell(Command::Open { id: home, a: pairs[0], b: Some(pairs[1]) });
        desk.tell(Command::Secure { id: home, side: Side::A, by: by.clone() });
        point(home, Side::A, &a);
        point(home, Side::B, &b);
        let mut shaking = Shaking::new(a, &certificate, Role::Client);
        let keys = match &by {
            Protection::Sdes(keys, _) => keys.clone(),
            _ => shaking.shake(pairs[0].rtp, &fingerprint).expect("keys"),
        };
        let (mut outbound, mut inbound) = (Outbound::new(&keys.theirs), Inbound::new(&keys.ours));
        say_from(65_000, &shaking.socket, pairs[0].rtp, &mut outbound, &b);
        say_from(400, &shaking.socket, pairs[0].rtp, &mut outbound, &b); // it has rolled over
        let (other, side, ports) = match elsewhere {
            true => (RelayId(2 + 2 * n), Side::A, [pairs[2], pairs[3]]),
            false => (RelayId::of_call(home.0, 1), Side::B, [pairs[1], pairs[0]]),
        };
        let secure = Command::Secure { id: other, side, by };
        let open = Command::Open { id: other, a: ports[0], b: Some(ports[1]) };
        let goes_on = Command::HandOver { id: home, side: Side::A, to: (other, side) };
        if elsewhere {
            [open, secure, goes_on].into_iter().for_each(|command| desk.tell(command));
            desk.close(home);
        } else {
            desk.tell(goes_on);
            desk.close(home);
            [open, secure].into_iter().for_each(|command| desk.tell(command));
        }
        b.set_nonblocking(true).unwrap();
        while b.recv(&mut [0; 2048]).is_ok() {} // what has crossed before
        b.set_nonblocking(false).unwrap();
        point(other, side, &shaking.socket);
        point(other, side.other(), &b);
        let [ours, theirs] = if side == Side::A { ports } else { [ports[1], ports[0]] };
        let heard = say_from(900, &shaking.socket, ours.rtp, &mut outbound, &b);
        assert!(heard.ends_with(b"from a"));
        b.send_to(&rtp(7, "from b"), theirs.rtp).unwrap();
        let heard = loop {
            let packet = hear(&shaking.socket);
            if packet[0] >> 6 == 2 {
                break packet; // else the end of the handshake
            }
        };
        assert_eq!(opened(&mut inbound, heard), rtp(7, "from b"), "{shakes} {elsewhere}");
        desk.close(other);
    }
}

/// The library that phones shake hands by. It shows a certificate of ECDSA: of RSA `dimpl` takes none.
#[test]
fn openssl_shakes_hands_and_both_have_the_same_keys() {
    let (a, b) = (phone(), phone());
    let certificate = certificate();
    let world = world((&a, association(Role::Server, &certificate)), (&b, Protection::Plain));
    let folder = tempfile::tempdir().unwrap();
    let (shown, key) = (folder.path().join("certificate"), folder.path().join("key"));
    std::fs::write(&shown, &certificate.certificate).unwrap();
    std::fs::write(&key, &certificate.private_key).unwrap();
    let to = world.pairs[0].rtp;
    let mut openssl = std::process::Command::new("timeout")
        .args(["20", "openssl", "s_client", "-dtls1_2", "-connect", &to.to_string()])
        .args(["-certform", "DER", "-cert", shown.to_str().unwrap()])
        .args(["-keyform", "DER", "-key", key.to_str().unwrap()])
        .args(["-use_srtp", "SRTP_AES128_CM_SHA1_80", "-keymatexport", "EXTRACTOR-dtls_srtp"])
        .args(["-keymatexportlen", "60"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is installed (.ci/packages test)");
    let lines = BufReader::new(openssl.stdout.take().unwrap()).lines().map_while(Result::ok);
    let exported = lines
        .into_iter()
        .find_map(|line| line.trim().strip_prefix("Keying material: ").map(str::to_owned))
        .expect("a handshake");
    let material: Vec<u8> = (0..exported.len() / 2)
        .map(|n| u8::from_str_radix(&exported[2 * n..2 * n + 2], 16).unwrap())
        .collect();
    assert_eq!(material.len(), 60);
    let keys = split(&material, SrtpProfile::AES128_CM_SHA1_80, Role::Client);
    let heard = say_until_heard(&a, to, &mut Outbound::new(&keys.theirs), &b);
    assert!(heard.ends_with(b"from a"));
    b.send_to(&rtp(1, "from b"), world.pairs[1].rtp).unwrap();
    assert_eq!(opened(&mut Inbound::new(&keys.ours), hear(&a)), rtp(1, "from b"));
    openssl.kill().unwrap();
    openssl.wait().unwrap();
}

#[test]
fn who_shows_another_certificate_than_was_said_gets_no_keys() {
    let (a, b) = (phone(), phone());
    let world = world((&a, association(Role::Server, &certificate())), (&b, Protection::Plain));
    let mut shaking = Shaking::new(a, &certificate(), Role::Client);
    let keys = shaking.shake(world.pairs[0].rtp, &world.fingerprint);
    if let Some(keys) = keys {
        // The impostor may believe it is through: nobody hears it.
        for sequence in 1..=20 {
            let packet = sealed(&mut Outbound::new(&keys.theirs), &rtp(sequence, "impostor"));
            shaking.socket.send_to(&packet, world.pairs[0].rtp).unwrap();
        }
    }
    world.settle();
    b.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(b.recv(&mut [0; 2048]).is_err());
    assert_eq!(world.close().a_to_b.packets, 0);
}

#[test]
fn noise_on_every_protocol_is_counted_and_no_more() {
    let (a, b) = (phone(), phone());
    let certificate = certificate();
    let world = world((&a, association(Role::Server, &certificate)), (&b, Protection::Plain));
    let mut noise = 1_u32;
    for first in [0_u8, 1, 20, 22, 23, 63, 64, 128, 144, 200, 255] {
        for length in [1_usize, 4, 12, 13, 20, 28, 60, 200, 1400] {
            let mut octets = vec![first];
            octets.extend((1..length).map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                noise.to_be_bytes()[0]
            }));
            a.send_to(&octets, world.pairs[0].rtp).unwrap();
        }
    }
    // It still shakes hands.
    let mut shaking = Shaking::new(a, &certificate, Role::Client);
    let keys = shaking.shake(world.pairs[0].rtp, &world.fingerprint).expect("keys");
    let heard = say_until_heard(&shaking.socket, world.pairs[0].rtp, &mut Outbound::new(&keys.theirs), &b);
    assert!(heard.ends_with(b"from a"));
}
