//! What the parties of a secured relay notice, and whoever stands beside their way.

#![allow(clippy::disallowed_methods)] // some instant to count from

use super::super::forward::Forward;
use super::*;
use crate::sdp::Fingerprint;
use crate::sdp::keying::{Context, Credentials, Ice};
use crate::srtp::{Inbound, Master, Outbound, Suite, TRAILER_BYTES_MAX};
use zeroize::Zeroizing;

const SUITE: Suite = Suite::AesCm128HmacSha1_80;

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn keys(of: u8) -> Keys {
    Keys { theirs: Master::derive(SUITE, &[of; 32], 0), ours: Master::derive(SUITE, &[of + 100; 32], 0) }
}

/// Of the same dialog.
fn sdes(keys: Keys) -> Protection {
    Protection::Sdes(keys, Context(1))
}

/// A caller with keys at 10.0.0.1:4000, a callee in the clear at 10.0.0.2:5000.
fn relay(now: Instant) -> Relay {
    let mut relay = Relay::new(now);
    relay.secure(Side::A, sdes(keys(1)));
    relay.point(now, Side::A, (Some(at("10.0.0.1:4000")), None), None);
    relay.point(now, Side::B, (Some(at("10.0.0.2:5000")), None), None);
    relay
}

fn rtp(sequence: u16) -> Vec<u8> {
    let [high, low] = sequence.to_be_bytes();
    let mut packet = vec![0x80, 0, high, low, 0, 0, 0, 160, 1, 2, 3, 4];
    packet.extend([0x55; 160]);
    packet
}

fn sealed(outbound: &mut Outbound, plain: &[u8]) -> Vec<u8> {
    let mut buffer = [plain, &[0; TRAILER_BYTES_MAX]].concat();
    let octets = outbound.rtp(&mut buffer, plain.len()).unwrap();
    buffer.truncate(octets);
    buffer
}

/// What goes out for a datagram: to whom, and what.
fn passed(relay: &mut Relay, side: Side, from: &str, datagram: &[u8]) -> Option<(SocketAddr, Vec<u8>)> {
    let now = Instant::now();
    let mut buffer = [datagram, &[0; TRAILER_BYTES_MAX]].concat();
    let (datagram, mut answer) = (&mut buffer[..datagram.len()], [0; ANSWER_BYTES_MAX]);
    let Arrival::Packet(octets) = relay.arrive(now, (side, Channel::Rtp), at(from), datagram, &mut answer)
    else {
        return None;
    };
    let outcome = relay.packet(now, side, Channel::Rtp, at(from), &buffer[..octets]);
    let Forward::SendTo { side, channel, to } = outcome.forward else { return None };
    let octets = relay.leave((side, channel), &mut buffer, octets)?;
    buffer.truncate(octets);
    Some((to, buffer))
}

#[test]
fn what_one_side_secures_the_other_has_in_the_clear() {
    let mut relay = relay(Instant::now());
    let mut phone = (Outbound::new(&keys(1).theirs), Inbound::new(&keys(1).ours));
    let packet = sealed(&mut phone.0, &rtp(1));
    assert_eq!(passed(&mut relay, Side::A, "10.0.0.1:4000", &packet), Some((at("10.0.0.2:5000"), rtp(1))));
    let (to, mut packet) = passed(&mut relay, Side::B, "10.0.0.2:5000", &rtp(9)).unwrap();
    assert_eq!(to, at("10.0.0.1:4000"));
    let octets = phone.1.rtp(&mut packet).unwrap();
    assert_eq!(packet[..octets], rtp(9));
}

#[test]
fn each_side_has_keys_of_its_own() {
    let mut relay = relay(Instant::now());
    relay.secure(Side::B, sdes(keys(2)));
    let mut caller = Outbound::new(&keys(1).theirs);
    let mut callee = Inbound::new(&keys(2).ours);
    let packet = sealed(&mut caller, &rtp(1));
    let (_, mut out) = passed(&mut relay, Side::A, "10.0.0.1:4000", &packet).unwrap();
    assert_ne!(out, packet);
    let octets = callee.rtp(&mut out).unwrap();
    assert_eq!(out[..octets], rtp(1));
}

#[test]
fn what_is_not_authentic_moves_no_latch_and_is_counted() {
    let now = Instant::now();
    let mut relay = relay(now);
    let mut phone = Outbound::new(&keys(1).theirs);
    let forged = sealed(&mut Outbound::new(&keys(7).theirs), &rtp(1));
    // Before the phone was heard, from where its NAT might have sent it: the address is private.
    for packet in [&rtp(1), &forged] {
        assert_eq!(passed(&mut relay, Side::A, "203.0.113.9:4000", packet), None);
    }
    let packet = sealed(&mut phone, &rtp(1));
    assert!(passed(&mut relay, Side::A, "198.51.100.7:61000", &packet).is_some(), "the phone is heard");
    assert_eq!(passed(&mut relay, Side::A, "198.51.100.7:61000", &packet), None, "once");
    // Even from the very address of its description, which would take the latch back.
    assert_eq!(passed(&mut relay, Side::A, "10.0.0.1:4000", &forged), None);
    let (to, _) = passed(&mut relay, Side::B, "10.0.0.2:5000", &rtp(1)).unwrap();
    assert_eq!(to, at("198.51.100.7:61000"));
    let media = relay.media(now);
    assert_eq!((media.a_to_b.packets, media.a_to_b.dropped), (1, 4));
}

#[test]
fn a_re_offer_with_the_same_keys_goes_on_and_with_others_takes_them_once_they_come() {
    let mut relay = relay(Instant::now());
    let mut phone = Outbound::new(&keys(1).theirs);
    for sequence in [65_000, 100] {
        let packet = sealed(&mut phone, &rtp(sequence));
        assert!(passed(&mut relay, Side::A, "10.0.0.1:4000", &packet).is_some());
    }
    relay.secure(Side::A, sdes(keys(1)));
    let packet = sealed(&mut phone, &rtp(101));
    assert!(passed(&mut relay, Side::A, "10.0.0.1:4000", &packet).is_some(), "after a rollover");
    relay.secure(Side::A, sdes(keys(3)));
    let packet = sealed(&mut phone, &rtp(102));
    assert!(passed(&mut relay, Side::A, "10.0.0.1:4000", &packet).is_some(), "it hasn't got our answer yet");
    let packet = sealed(&mut Outbound::new(&keys(7).theirs), &rtp(103));
    assert_eq!(passed(&mut relay, Side::A, "10.0.0.1:4000", &packet), None, "nobody's key");
    let packet = sealed(&mut Outbound::new(&keys(3).theirs), &rtp(103));
    assert!(passed(&mut relay, Side::A, "10.0.0.1:4000", &packet).is_some());
    let packet = sealed(&mut phone, &rtp(104));
    assert_eq!(passed(&mut relay, Side::A, "10.0.0.1:4000", &packet), None, "by the key of before");
    relay.secure(Side::A, Protection::Plain);
    assert!(passed(&mut relay, Side::A, "10.0.0.1:4000", &rtp(103)).is_some());
}

#[test]
fn whoever_comes_after_somebody_with_keys_has_streams_of_their_own() {
    let mut relay = relay(Instant::now());
    let mut phone = (Outbound::new(&keys(1).theirs), Inbound::new(&keys(1).ours));
    for sequence in [65_000, 100] {
        let packet = sealed(&mut phone.0, &rtp(sequence));
        assert!(passed(&mut relay, Side::A, "10.0.0.1:4000", &packet).is_some());
        let (_, mut packet) = passed(&mut relay, Side::B, "10.0.0.2:5000", &rtp(sequence)).unwrap();
        assert!(phone.1.rtp(&mut packet).is_ok());
    }
    // The same dialog: both go on after the rollover.
    relay.secure(Side::A, sdes(keys(3)));
    phone.0.rekey(&keys(3).theirs);
    phone.1 = phone.1.rekeyed(&keys(3).ours);
    let packet = sealed(&mut phone.0, &rtp(101));
    assert!(passed(&mut relay, Side::A, "10.0.0.1:4000", &packet).is_some());
    let (_, mut packet) = passed(&mut relay, Side::B, "10.0.0.2:5000", &rtp(101)).unwrap();
    assert!(phone.1.rtp(&mut packet).is_ok());
    // Somebody else, who knows of no rollover.
    relay.secure(Side::A, Protection::Sdes(keys(5), Context(2)));
    let mut newcomer = (Outbound::new(&keys(5).theirs), Inbound::new(&keys(5).ours));
    let packet = sealed(&mut newcomer.0, &rtp(102));
    assert!(passed(&mut relay, Side::A, "10.0.0.1:4000", &packet).is_some());
    let (_, mut packet) = passed(&mut relay, Side::B, "10.0.0.2:5000", &rtp(102)).unwrap();
    assert!(newcomer.1.rtp(&mut packet).is_ok());
}

fn association(ice: bool) -> Association {
    let credentials = |ufrag: &str| Credentials { ufrag: ufrag.into(), pwd: Zeroizing::new("p".repeat(24)) };
    Association {
        role: Role::Server,
        fingerprint: Fingerprint::of(b"of the peer"),
        tls_id: None,
        ice: ice.then(|| Ice { ours: credentials("ours"), theirs: credentials("them") }),
    }
}

#[test]
fn nothing_passes_before_the_handshake_and_late_keys_of_another_are_passed_over() {
    let now = Instant::now();
    let mut relay = relay(now);
    relay.secure(Side::A, Protection::Dtls(association(false)));
    let packet = sealed(&mut Outbound::new(&keys(1).theirs), &rtp(1));
    assert_eq!(passed(&mut relay, Side::A, "10.0.0.1:4000", &packet), None);
    assert_eq!(passed(&mut relay, Side::B, "10.0.0.2:5000", &rtp(1)), None, "not in the clear");
    let other = Association { fingerprint: Fingerprint::of(b"of somebody else"), ..association(false) };
    relay.handshaken(Side::A, Channel::Rtp, &other, &keys(1));
    assert_eq!(passed(&mut relay, Side::A, "10.0.0.1:4000", &packet), None);
    relay.handshaken(Side::A, Channel::Rtp, &association(false), &keys(1));
    assert!(passed(&mut relay, Side::A, "10.0.0.1:4000", &packet).is_some());
    relay.secure(Side::A, Protection::Dtls(association(false)));
    let packet = sealed(&mut Outbound::new(&keys(1).theirs), &rtp(2));
    assert!(passed(&mut relay, Side::A, "10.0.0.1:4000", &packet).is_some(), "a re-offer goes on");
    relay.secure(Side::A, Protection::Dtls(other));
    let packet = sealed(&mut Outbound::new(&keys(1).theirs), &rtp(3));
    assert_eq!(
        passed(&mut relay, Side::A, "10.0.0.1:4000", &packet),
        None,
        "another certificate: another handshake"
    );
}

#[test]
fn handshakes_come_from_where_the_party_may_be_and_nowhere_else() {
    let now = Instant::now();
    let mut relay = relay(now);
    let hello = [22, 254, 253, 0];
    let arrive = |relay: &mut Relay, from: &str| {
        relay.arrive(now, (Side::A, Channel::Rtp), at(from), &mut hello.clone(), &mut [0; ANSWER_BYTES_MAX])
    };
    assert_eq!(arrive(&mut relay, "10.0.0.1:4000"), Arrival::Nothing, "none was agreed on");
    relay.secure(Side::A, Protection::Dtls(association(false)));
    assert_eq!(arrive(&mut relay, "10.0.0.1:4000"), Arrival::Handshake);
    relay.point(now, Side::A, (Some(at("203.0.113.1:4000")), None), None);
    assert_eq!(arrive(&mut relay, "203.0.113.2:4000"), Arrival::Nothing);
    relay.secure(Side::A, Protection::Dtls(association(true)));
    assert_eq!(arrive(&mut relay, "203.0.113.1:4000"), Arrival::Nothing, "ICE has found nobody yet");
}

#[test]
fn whose_keys_have_gone_to_another_relay_is_neither_heard_nor_spoken_to_here() {
    let now = Instant::now();
    let mut relay = relay(now);
    assert!(relay.hand_over(Side::B).is_none(), "in the clear");
    let mut phone = (Outbound::new(&keys(1).theirs), Inbound::new(&keys(1).ours));
    for sequence in [65_000, 100] {
        let packet = sealed(&mut phone.0, &rtp(sequence));
        assert!(passed(&mut relay, Side::A, "10.0.0.1:4000", &packet).is_some());
        let (_, mut packet) = passed(&mut relay, Side::B, "10.0.0.2:5000", &rtp(sequence)).unwrap();
        assert!(phone.1.rtp(&mut packet).is_ok());
    }
    let guard = relay.hand_over(Side::A).unwrap();
    let packet = sealed(&mut phone.0, &rtp(101));
    assert_eq!(passed(&mut relay, Side::A, "10.0.0.1:4000", &packet), None);
    assert_eq!(passed(&mut relay, Side::A, "10.0.0.1:4000", &rtp(102)), None);
    assert_eq!(passed(&mut relay, Side::B, "10.0.0.2:5000", &rtp(101)), None, "not in the clear either");
    // The other relay knows of somebody else there at first.
    let mut other = self::relay(now);
    let guard = other.inherit(now, Side::B, guard, false).unwrap_err();
    other.secure(Side::B, Protection::Sdes(keys(1), Context(2)));
    let guard = other.inherit(now, Side::B, guard, false).unwrap_err();
    // It has offered another key on the way.
    other.secure(Side::B, sdes(keys(3)));
    assert!(other.inherit(now, Side::B, guard, false).is_ok());
    phone.0.rekey(&keys(3).theirs);
    phone.1 = phone.1.rekeyed(&keys(3).ours);
    let packet = sealed(&mut phone.0, &rtp(103));
    assert!(passed(&mut other, Side::B, "10.0.0.2:5000", &packet).is_some());
    let packet = sealed(&mut Outbound::new(&keys(1).theirs), &rtp(103));
    let (_, mut packet) = passed(&mut other, Side::A, "10.0.0.1:4000", &packet).unwrap();
    assert!(phone.1.rtp(&mut packet).is_ok(), "after its rollover");
}

/// How a browser that has shaken hands and chosen its pair goes on at another relay.
fn browser_goes_on(stays: bool, before: Association, after: Association) -> Relay {
    let now = Instant::now();
    let mut home = Relay::new(now);
    home.secure(Side::A, Protection::Dtls(before.clone()));
    home.handshaken(Side::A, Channel::Rtp, &before, &keys(1));
    let mut check = crate::ice::tests::nomination(before.ice.as_ref().unwrap());
    let mut answer = [0; ANSWER_BYTES_MAX];
    let of = (Side::A, Channel::Rtp);
    let arrival = home.arrive(now, of, at("203.0.113.1:4000"), &mut check, &mut answer);
    assert!(matches!(arrival, Arrival::Checked(_)));
    let mut other = Relay::new(now);
    other.point(now, Side::A, (Some(at("10.0.0.2:5000")), None), None);
    other.secure(Side::B, Protection::Dtls(after));
    let guard = home.hand_over(Side::A).unwrap();
    assert!(other.inherit(now, Side::B, guard, stays).is_ok());
    other
}

#[test]
fn a_browser_that_stays_at_its_ports_is_spoken_to_at_once_and_elsewhere_once_it_is_found_there() {
    let mut browser = Inbound::new(&keys(1).ours);
    let mut same = browser_goes_on(true, association(true), association(true));
    let (to, mut packet) = passed(&mut same, Side::A, "10.0.0.2:5000", &rtp(1)).unwrap();
    assert_eq!(to, at("203.0.113.1:4000"));
    assert!(browser.rtp(&mut packet).is_ok());
    let mut elsewhere = browser_goes_on(false, association(true), association(true));
    assert_eq!(passed(&mut elsewhere, Side::A, "10.0.0.2:5000", &rtp(2)), None);
    let mut check = crate::ice::tests::nomination(association(true).ice.as_ref().unwrap());
    let of = (Side::B, Channel::Rtp);
    // What it has chosen before counts for nothing.
    let from = at("203.0.113.1:61000");
    let arrival = elsewhere.arrive(Instant::now(), of, from, &mut check, &mut [0; ANSWER_BYTES_MAX]);
    assert!(matches!(arrival, Arrival::Checked(_)));
    let (to, mut packet) = passed(&mut elsewhere, Side::A, "10.0.0.2:5000", &rtp(2)).unwrap();
    assert_eq!(to, from);
    assert!(browser.rtp(&mut packet).is_ok());
    let packet = sealed(&mut Outbound::new(&keys(1).theirs), &rtp(1));
    assert!(passed(&mut elsewhere, Side::B, "203.0.113.1:61000", &packet).is_some());
}
