//! What the parties of a stream notice, and somebody who isn't one.

use super::super::TRAILER_BYTES_MAX;
use super::super::keys::{Master, Suite};
use super::*;
use proptest::prelude::*;

fn master(suite: Suite) -> Master {
    Master::derive(suite, &[9; 32], 0)
}

fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 160]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

fn report(ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

fn sealed(outbound: &mut Outbound, packet: &[u8]) -> Vec<u8> {
    let mut buffer = [packet, &[0; TRAILER_BYTES_MAX]].concat();
    let octets = match rtp::is_rtcp(packet) {
        true => outbound.rtcp(&mut buffer, packet.len()).unwrap(),
        false => outbound.rtp(&mut buffer, packet.len()).unwrap(),
    };
    buffer.truncate(octets);
    buffer
}

fn opened(inbound: &mut Inbound, mut packet: Vec<u8>) -> Result<Vec<u8>, Refused> {
    let octets = if rtp::is_rtcp(&packet) { inbound.rtcp(&mut packet)? } else { inbound.rtp(&mut packet)? };
    packet.truncate(octets);
    Ok(packet)
}

#[test]
fn every_suite_opens_what_it_sealed_and_hides_it() {
    for suite in Suite::ALL {
        let (mut outbound, mut inbound) = (Outbound::new(&master(suite)), Inbound::new(&master(suite)));
        for sequence in 0..5 {
            let plain = rtp(7, sequence, b"what nobody else may hear");
            let packet = sealed(&mut outbound, &plain);
            assert!(!packet.windows(6).any(|six| six == b"nobody"), "{suite:?}");
            assert_eq!(opened(&mut inbound, packet).unwrap(), plain, "{suite:?}");
            let plain = report(7, b"four of them");
            let packet = sealed(&mut outbound, &plain);
            assert!(!packet.windows(4).any(|four| four == b"four"), "{suite:?}");
            assert_eq!(opened(&mut inbound, packet).unwrap(), plain, "{suite:?}");
        }
    }
}

#[test]
fn what_was_there_before_is_not_taken_again() {
    for suite in Suite::ALL {
        let (mut outbound, mut inbound) = (Outbound::new(&master(suite)), Inbound::new(&master(suite)));
        let (first, report) =
            (sealed(&mut outbound, &rtp(7, 1, b"one")), sealed(&mut outbound, &report(7, b"rr..")));
        for packet in [&first, &report] {
            assert!(opened(&mut inbound, packet.clone()).is_ok());
            assert_eq!(opened(&mut inbound, packet.clone()), Err(Refused::Replayed), "{suite:?}");
        }
        for sequence in 2..400 {
            let packet = sealed(&mut outbound, &rtp(7, sequence, b"more"));
            assert!(opened(&mut inbound, packet).is_ok());
        }
        assert_eq!(opened(&mut inbound, first), Err(Refused::Replayed), "{suite:?}: too old to know");
    }
}

#[test]
fn packets_out_of_order_are_taken_within_the_window() {
    let suite = Suite::AesCm128HmacSha1_80;
    let (mut outbound, mut inbound) = (Outbound::new(&master(suite)), Inbound::new(&master(suite)));
    let packets: Vec<_> = (0..100).map(|n| sealed(&mut outbound, &rtp(7, n, b"voice"))).collect();
    for packet in packets.into_iter().rev() {
        assert!(opened(&mut inbound, packet).is_ok());
    }
}

#[test]
fn rollovers_are_counted_on_both_sides_though_packets_are_lost_and_swapped_there() {
    for suite in Suite::ALL {
        let (mut outbound, mut inbound) = (Outbound::new(&master(suite)), Inbound::new(&master(suite)));
        let mut sequence = 65_500_u16;
        for round in 0..20_000_u32 {
            sequence = sequence.wrapping_add(1 + u16::try_from(round % 17).unwrap());
            let swap = round % 3 == 0;
            let ahead = swap.then(|| sealed(&mut outbound, &rtp(7, sequence.wrapping_add(1), b"b")));
            let packet = sealed(&mut outbound, &rtp(7, sequence, b"a"));
            for packet in ahead.into_iter().chain([packet]) {
                assert!(opened(&mut inbound, packet).is_ok(), "{suite:?} {round}");
            }
            sequence = sequence.wrapping_add(u16::from(swap));
        }
    }
}

#[test]
fn no_index_is_used_twice() {
    let mut outbound = Outbound::new(&master(Suite::AeadAes128Gcm));
    sealed(&mut outbound, &rtp(7, 5, b"one"));
    let mut again = [rtp(7, 5, b"two"), vec![0; TRAILER_BYTES_MAX]].concat();
    assert_eq!(outbound.rtp(&mut again, 15), Err(Refused::Replayed));
    sealed(&mut outbound, &rtp(8, 5, b"another source"));
}

/// What the party hears of these packets: the sequence numbers that they came by.
/// A party of many sources that comes back to its first: were that forgotten, its second packet would go under the index of its first.
#[test]
fn no_index_is_used_twice_however_many_sources_there_are() {
    for suite in Suite::ALL {
        let mut outbound = Outbound::new(&master(suite));
        for ssrc in 0..u32::try_from(PROTECTED_MAX).unwrap() {
            sealed(&mut outbound, &rtp(ssrc, 5, b"one"));
        }
        let mut again = [&rtp(0, 5, b"two")[..], &[0; TRAILER_BYTES_MAX]].concat();
        assert_eq!(outbound.rtp(&mut again, 15), Err(Refused::Replayed), "{suite:?}");
        let mut more = [&rtp(1 << 20, 5, b"one")[..], &[0; TRAILER_BYTES_MAX]].concat();
        assert_eq!(
            outbound.rtp(&mut more, 15),
            Err(Refused::Exhausted),
            "{suite:?}: one more than there is room for"
        );
        sealed(&mut outbound, &rtp(0, 6, b"on")); // who was there goes on
    }
}

fn heard(outbound: &mut Outbound, inbound: &mut Inbound, sequences: impl Iterator<Item = u16>) -> Vec<u16> {
    let mut heard = Vec::new();
    for sequence in sequences {
        let plain = rtp(7, sequence, &sequence.to_be_bytes());
        let mut buffer = [plain.clone(), vec![0; TRAILER_BYTES_MAX]].concat();
        let Ok(octets) = outbound.rtp(&mut buffer, plain.len()) else { continue };
        buffer.truncate(octets);
        let opened = opened(inbound, buffer).expect("it is authentic, and new");
        heard.push(u16::from_be_bytes(*opened.last_chunk().unwrap()));
    }
    heard
}

#[test]
fn a_source_that_begins_its_numbers_anew_is_heard_on_and_one_stray_mutes_nobody() {
    for (before, after) in [(20_000, 100), (100, 60_000), (1000, 40_000), (60_000, 59_000), (5, 65_000)] {
        let suite = Suite::AesCm128HmacSha1_80;
        let (mut outbound, mut inbound) = (Outbound::new(&master(suite)), Inbound::new(&master(suite)));
        let numbers = |from: u16| (0..400).map(move |n| from.wrapping_add(n));
        assert!(heard(&mut outbound, &mut inbound, numbers(before)).into_iter().eq(numbers(before)));
        let restarted = heard(&mut outbound, &mut inbound, numbers(after));
        assert!(restarted.into_iter().eq(numbers(after).skip(1)), "all but the first, {before} to {after}");
        let back = heard(&mut outbound, &mut inbound, numbers(before).skip(200));
        assert!(back.len() >= 199, "and once more: {}", back.len());
    }
    let (mut outbound, mut inbound) =
        (Outbound::new(&master(Suite::AeadAes128Gcm)), Inbound::new(&master(Suite::AeadAes128Gcm)));
    let stray = [10, 11, 30_011, 12, 13, 45_000, 14];
    assert_eq!(heard(&mut outbound, &mut inbound, stray.into_iter()), [10, 11, 12, 13, 14]);
}

/// The key of another offer.
fn another(suite: Suite) -> Master {
    Master::derive(suite, &[9; 32], 1)
}

/// Both ends of a stream that has rolled over once; the last number was 40.
fn rolled_over(suite: Suite) -> (Outbound, Inbound) {
    let (mut outbound, mut inbound) = (Outbound::new(&master(suite)), Inbound::new(&master(suite)));
    for sequence in [65_000, 20, 40] {
        assert!(opened(&mut inbound, sealed(&mut outbound, &rtp(7, sequence, b"a"))).is_ok());
    }
    (outbound, inbound)
}

#[test]
fn rollovers_go_on_under_another_key() {
    for suite in Suite::ALL {
        let (mut outbound, mut inbound) = rolled_over(suite);
        sealed(&mut outbound, &report(7, b"rr.."));
        outbound.rekey(&another(suite));
        inbound = inbound.rekeyed(&another(suite));
        let packets = [41, 39, 42].map(|sequence| sealed(&mut outbound, &rtp(7, sequence, b"b")));
        for packet in &packets {
            assert!(opened(&mut inbound, packet.clone()).is_ok(), "{suite:?}");
            assert_eq!(opened(&mut inbound, packet.clone()), Err(Refused::Replayed), "{suite:?}");
        }
        let packet = sealed(&mut outbound, &report(7, b"rr.."));
        assert_eq!(inbound.transform.rtcp_index(&packet), Some(1), "SRTCP is counted on, too");
        assert!(opened(&mut inbound, packet).is_ok(), "{suite:?}");
    }
}

#[test]
fn a_peer_that_begins_its_rollovers_anew_with_its_key_is_heard_on() {
    for suite in Suite::ALL {
        for (first, second) in [(41, 42), (60_000, 60_001), (65_535, 0)] {
            let (_, inbound) = rolled_over(suite);
            // Once more another key, before anything has come under the last one.
            let mut inbound = inbound.rekeyed(&master(suite)).rekeyed(&another(suite));
            let mut outbound = Outbound::new(&another(suite));
            for sequence in [first, second] {
                let packet = sealed(&mut outbound, &rtp(7, sequence, b"b"));
                assert!(opened(&mut inbound, packet).is_ok(), "{suite:?} {sequence}");
            }
        }
    }
}

#[test]
fn a_forged_packet_settles_nothing_of_a_source_that_has_another_key() {
    let suite = Suite::AesCm128HmacSha1_80;
    for begins_anew in [false, true] {
        let (mut outbound, inbound) = rolled_over(suite);
        let mut inbound = inbound.rekeyed(&another(suite));
        for sequence in 0..1000 {
            let forged = rtp(7, sequence * 60, &[0; 30]);
            assert_eq!(opened(&mut inbound, forged), Err(Refused::Forged));
        }
        match begins_anew {
            true => outbound = Outbound::new(&another(suite)),
            false => outbound.rekey(&another(suite)),
        }
        assert!(opened(&mut inbound, sealed(&mut outbound, &rtp(7, 41, b"b"))).is_ok());
        let other = Outbound::new(&another(suite));
        let mut other = if begins_anew { rolled_over_under(another(suite)) } else { other };
        assert!(opened(&mut inbound, sealed(&mut other, &rtp(7, 42, b"c"))).is_err(), "it is settled by now");
    }
}

/// What a stream under that key is after a rollover.
fn rolled_over_under(key: Master) -> Outbound {
    let mut outbound = Outbound::new(&key);
    [65_000, 20].into_iter().for_each(|sequence| drop(sealed(&mut outbound, &rtp(7, sequence, b"a"))));
    outbound
}

#[test]
fn made_up_sources_displace_none_that_was_heard() {
    let suite = Suite::AesCm128HmacSha1_80;
    let (mut outbound, mut inbound) = (Outbound::new(&master(suite)), Inbound::new(&master(suite)));
    for sequence in [65_000, 20, 40] {
        assert!(opened(&mut inbound, sealed(&mut outbound, &rtp(7, sequence, b"a"))).is_ok());
    }
    for ssrc in 100..1000 {
        assert_eq!(opened(&mut inbound, rtp(ssrc, 1, &[0; 30])), Err(Refused::Forged));
    }
    assert!(opened(&mut inbound, sealed(&mut outbound, &rtp(7, 41, b"a"))).is_ok(), "the rollover is known");
    assert_eq!(inbound.rtp.known.len(), 1);
    for ssrc in 100..1000 {
        // Of so many no single one of ours would protect packets.
        let mut outbound = Outbound::new(&master(suite));
        assert!(opened(&mut inbound, sealed(&mut outbound, &rtp(ssrc, 1, b"a"))).is_ok());
    }
    assert_eq!(inbound.rtp.known.len(), SOURCES_MAX);
}

#[test]
fn srtcp_that_says_it_is_not_encrypted_is_not_believed() {
    for suite in Suite::ALL {
        let mut inbound = Inbound::new(&master(suite));
        // RFC 3711 §3.4: E is 0, index 1; the tag is noise.
        let packet = [report(7, b"goodbye."), vec![0, 0, 0, 1], vec![0; 10]].concat();
        assert!(opened(&mut inbound, packet).is_err(), "{suite:?}");
        let packet = [report(7, b"goodbye."), vec![0; 16], vec![0, 0, 0, 1]].concat();
        assert!(opened(&mut inbound, packet).is_err(), "{suite:?}");
    }
}

/// `webrtc-srtp`'s name for each suite.
fn theirs(suite: Suite) -> webrtc_srtp::protection_profile::ProtectionProfile {
    use webrtc_srtp::protection_profile::ProtectionProfile;
    match suite {
        Suite::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
        Suite::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Suite::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        Suite::AesCm128HmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
    }
}

fn webrtc(suite: Suite) -> webrtc_srtp::context::Context {
    let master = master(suite);
    webrtc_srtp::context::Context::new(master.key(), master.salt(), theirs(suite), None, None).unwrap()
}

#[test]
fn another_implementation_opens_what_we_seal_and_we_what_it_seals() {
    for suite in Suite::ALL {
        let (mut outbound, mut inbound) = (Outbound::new(&master(suite)), Inbound::new(&master(suite)));
        let (mut to, mut from) = (webrtc(suite), webrtc(suite));
        for sequence in (0..40).map(|n| 65_520_u16.wrapping_add(n)) {
            let plain = rtp(7, sequence, b"twenty milliseconds");
            assert_eq!(to.decrypt_rtp(&sealed(&mut outbound, &plain)).unwrap(), plain, "{suite:?}");
            let packet = from.encrypt_rtp(&plain).unwrap().to_vec();
            assert_eq!(opened(&mut inbound, packet).unwrap(), plain, "{suite:?}");
            let plain = report(7, &sequence.to_be_bytes().repeat(8));
            assert_eq!(to.decrypt_rtcp(&sealed(&mut outbound, &plain)).unwrap(), plain, "{suite:?}");
            let packet = from.encrypt_rtcp(&plain).unwrap().to_vec();
            assert_eq!(opened(&mut inbound, packet).unwrap(), plain, "{suite:?}");
        }
    }
}

fn suites() -> impl Strategy<Value = Suite> {
    proptest::sample::select(Suite::ALL.to_vec())
}

proptest! {
    #[test]
    fn a_packet_with_one_bit_changed_is_refused_and_left_as_it_is(
        suite in suites(),
        payload in proptest::collection::vec(any::<u8>(), 0..60),
        rtcp in any::<bool>(),
        at in any::<proptest::sample::Index>(),
        bit in 0..8,
    ) {
        let (mut outbound, mut inbound) = (Outbound::new(&master(suite)), Inbound::new(&master(suite)));
        let plain = if rtcp { report(7, &payload) } else { rtp(7, 9, &payload) };
        let mut packet = sealed(&mut outbound, &plain);
        let at = at.index(packet.len());
        packet[at] ^= 1_u8 << bit;
        let mut opened = packet.clone();
        let result = if rtcp { inbound.rtcp(&mut opened) } else { inbound.rtp(&mut opened) };
        prop_assert!(result.is_err());
        prop_assert_eq!(opened, packet);
    }

    #[test]
    fn any_bytes_are_refused(suite in suites(), packet in proptest::collection::vec(any::<u8>(), 0..80)) {
        let mut inbound = Inbound::new(&master(suite));
        prop_assert!(inbound.rtp(&mut packet.clone()).is_err());
        prop_assert!(inbound.rtcp(&mut packet.clone()).is_err());
        let mut outbound = Outbound::new(&master(suite));
        for octets in [0, packet.len(), packet.len() + 1] {
            let _ = outbound.rtp(&mut packet.clone(), octets);
            let _ = outbound.rtcp(&mut packet.clone(), octets);
        }
    }
}
