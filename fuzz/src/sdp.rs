//! Any description, given to a party that has said what it likes of itself before: what can be read can be pointed at the relay; what we
//! say can be read, shows the relay and nobody else, and holds where the one that it is made of holds; said again it is the same; a
//! description that is refused changes nothing.
//!
//! The first byte says how the party is reached and secured; then what it has described itself, if it has, up to a NUL; then
//! what it is given.

use bytes::Bytes;
use ringtree::sdp::keying::{Srtp, Terms, Way};
use ringtree::sdp::payload::{Renumbering, beside_sound};
use ringtree::sdp::{
    Audio, Direction, Fingerprint, Keying, Origin, Ports, audio, both_ways, inactive, sending, spoken,
};
use std::net::IpAddr;
use std::sync::Arc;

/// What we add to a description: an `o=`, addresses, keys of each suite, a fingerprint, a candidate.
const ADDED_MAX: usize = 2_048;

pub fn sdp(data: &[u8]) {
    let Some((setting, data)) = data.split_first() else { return };
    let (heard, given) = match data.iter().position(|byte| *byte == 0) {
        Some(at) => (Some(Bytes::copy_from_slice(&data[..at])), &data[at + 1..]),
        None => (None, data),
    };
    voices(heard.as_deref().unwrap_or_default(), given);
    let mut origin = Origin::new(7 << 33, keying(*setting));
    if let Some(heard) = &heard {
        let before = origin.keying.protection();
        origin.keying.renew(heard);
        if origin.hear(heard).is_err() {
            assert_eq!(origin.keying.protection(), before, "what is refused changes nothing");
        }
    }
    let ports = ports(*setting);
    let read = audio(given);
    let Ok(once) = origin.describe(given, ports) else {
        assert!(read.is_err(), "what can be read can be relayed: {read:?}");
        assert_eq!(origin.standing(), None);
        return;
    };
    assert_eq!(origin.describe(given, ports).as_ref(), Ok(&once), "the same once more");
    let room = ADDED_MAX + 64 * once.iter().filter(|byte| **byte == b'\n').count();
    assert!(once.len() <= given.len() + heard.as_ref().map_or(0, Bytes::len) + room, "it grows");
    let Ok(read) = read else { return };
    said(read, audio(&once).expect("what we say can be read"), ports);
    let again = Origin::new(7 << 33, keying(*setting)).describe(&once, ports).expect("ours can be relayed");
    said(read, audio(&again).expect("what we say of that, too"), ports);
}

/// What we say of a session, beside what we were told of it.
fn said(given: Audio, ours: Audio, ports: Ports) {
    assert_eq!(holds(ours), holds(given), "held as it was");
    if !ours.on_hold {
        assert_eq!((ours.rtp.ip(), ours.rtp.port()), (ports.address, ports.rtp));
        assert!(ours.rtcp == ours.rtp || (ours.rtcp.ip(), ours.rtcp.port()) == (ports.address, ports.rtcp));
    }
}

/// Whether the party wants to hear nothing.
fn holds(audio: Audio) -> bool {
    audio.on_hold || matches!(audio.direction, Direction::SendOnly | Direction::Inactive)
}

fn ports(setting: u8) -> Ports {
    let address: IpAddr =
        if setting & 0x80 == 0 { [192, 0, 2, 1].into() } else { [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into() };
    Ports { address, rtp: 20_000, rtcp: if setting & 0x40 == 0 { 20_001 } else { 30_001 } }
}

fn keying(setting: u8) -> Keying {
    let identity = (setting & 0x20 == 0).then(|| Arc::new(Fingerprint::of(b"a certificate")));
    let mut keying = Keying::new([7; 32], identity);
    keying.terms = Terms {
        srtp: [Srtp::Optional, Srtp::Off, Srtp::Required, Srtp::Optional][usize::from(setting & 3)],
        way: [Way::Clear, Way::Tls, Way::WebSocket, Way::Tls][usize::from(setting >> 2 & 3)],
    };
    keying
}

/// What we make of a description for ourselves, and where two number their codecs differently.
fn voices(heard: &[u8], given: &[u8]) {
    let _ = (Renumbering::between(heard, given), beside_sound(given, spoken::EVENTS));
    let Ok(before) = audio(given) else { return };
    for (changed, direction) in [
        (both_ways(given), Direction::SendRecv),
        (inactive(given), Direction::Inactive),
        (sending(given), Direction::SendOnly),
    ] {
        let after = audio(&changed).expect("as readable as before");
        assert_eq!(after.direction, direction);
        assert_eq!(after.rtp.port(), before.rtp.port());
    }
    if let Ok(formats) = spoken::formats(given)
        && let Some(format) = formats.first()
    {
        let answer = spoken::answer(given, format, formats.get(1)).expect("a readable offer");
        let answer = audio(&answer).expect("our own answer");
        assert!(!matches!((before.direction, answer.direction), (Direction::SendOnly, Direction::SendRecv)));
    }
}
