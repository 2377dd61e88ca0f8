//! What becomes of packets, as the parties and the call record notice it.

use super::*;
use crate::relay::rewriting::Key;
use std::time::Duration;

const RTP: [u8; 12] = [0x80, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4];
const RTCP: [u8; 8] = [0x80, 201, 0, 1, 1, 2, 3, 4];

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A relay between a caller at 10.0.0.1:4000 and a callee at 10.0.0.2:5000.
fn pointed(now: Instant) -> Relay {
    let mut relay = Relay::new(now);
    relay.point(now, Side::A, (Some(at("10.0.0.1:4000")), None), None);
    relay.point(now, Side::B, (Some(at("10.0.0.2:5000")), None), None);
    relay
}

/// Where a packet goes; nobody has tapped the relay.
fn packet(
    relay: &mut Relay,
    now: Instant,
    side: Side,
    channel: Channel,
    from: SocketAddr,
    packet: &[u8],
) -> Forward {
    let Outcome { forward, tapped, rewritten } = relay.packet(now, side, channel, from, packet);
    assert!(!tapped && rewritten.is_none());
    forward
}

fn send_to(side: Side, channel: Channel, to: &str) -> Forward {
    Forward::SendTo { side, channel, to: at(to) }
}

#[test]
fn packets_cross_both_ways() {
    let now = Instant::now();
    let mut relay = pointed(now);
    let forward = packet(&mut relay, now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
    assert_eq!(forward, send_to(Side::B, Channel::Rtp, "10.0.0.2:5000"));
    let forward = packet(&mut relay, now, Side::B, Channel::Rtp, at("10.0.0.2:5000"), &RTP);
    assert_eq!(forward, send_to(Side::A, Channel::Rtp, "10.0.0.1:4000"));
    let media = relay.media(now);
    assert_eq!((media.a_to_b.packets, media.b_to_a.packets), (1, 1));
}

#[test]
fn rtcp_crosses_on_the_next_port() {
    let now = Instant::now();
    let mut relay = pointed(now);
    let forward = packet(&mut relay, now, Side::A, Channel::Rtcp, at("10.0.0.1:4001"), &RTCP);
    assert_eq!(forward, send_to(Side::B, Channel::Rtcp, "10.0.0.2:5001"));
}

#[test]
fn rtcp_leaves_towards_each_party_as_that_party_sends_it() {
    let now = Instant::now();
    let mut relay = pointed(now);
    packet(&mut relay, now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
    let forward = packet(&mut relay, now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTCP);
    assert_eq!(forward, send_to(Side::B, Channel::Rtcp, "10.0.0.2:5001"), "muxed in, apart out");
    let forward = packet(&mut relay, now, Side::B, Channel::Rtcp, at("10.0.0.2:5001"), &RTCP);
    assert_eq!(forward, send_to(Side::A, Channel::Rtp, "10.0.0.1:4000"), "apart in, muxed out");
}

#[test]
fn rtcp_alone_does_not_lock_the_source_of_rtp() {
    let now = Instant::now();
    let mut relay = pointed(now);
    let forward = packet(&mut relay, now, Side::A, Channel::Rtp, at("203.0.113.9:1"), &RTCP);
    assert_eq!(forward, Forward::Drop(Why::Stranger));
    let forward = packet(&mut relay, now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
    assert_eq!(forward, send_to(Side::B, Channel::Rtp, "10.0.0.2:5000"));
}

#[test]
fn rtcp_of_a_stranger_is_dropped_once_rtp_is_heard() {
    let now = Instant::now();
    let mut relay = pointed(now);
    packet(&mut relay, now, Side::A, Channel::Rtp, at("198.51.100.7:61000"), &RTP);
    let forward = packet(&mut relay, now, Side::A, Channel::Rtcp, at("203.0.113.9:4001"), &RTCP);
    assert_eq!(forward, Forward::Drop(Why::Stranger));
    let forward = packet(&mut relay, now, Side::A, Channel::Rtcp, at("198.51.100.7:61007"), &RTCP);
    assert_eq!(forward, send_to(Side::B, Channel::Rtcp, "10.0.0.2:5001"));
}

#[test]
fn reports_that_came_first_from_elsewhere_do_not_draw_those_of_the_other_party_away() {
    let now = Instant::now();
    let mut relay = pointed(now);
    relay.point(now, Side::A, (Some(at("192.168.1.5:4000")), None), Some(at("198.51.100.7:5060").ip()));
    let stranger = at("203.0.113.9:4001");
    let forward = packet(&mut relay, now, Side::A, Channel::Rtcp, stranger, &RTCP);
    assert_eq!(forward, Forward::Drop(Why::Stranger), "before any RTP");
    let now = now + crate::relay::latch::GRACE;
    packet(&mut relay, now, Side::A, Channel::Rtcp, stranger, &RTCP);
    packet(&mut relay, now, Side::A, Channel::Rtp, at("198.51.100.7:61000"), &RTP);
    let forward = packet(&mut relay, now, Side::B, Channel::Rtcp, at("10.0.0.2:5001"), &RTCP);
    assert_eq!(forward, send_to(Side::A, Channel::Rtcp, "192.168.1.5:4001"), "not to the stranger");
    packet(&mut relay, now, Side::A, Channel::Rtcp, at("198.51.100.7:61001"), &RTCP);
    let forward = packet(&mut relay, now, Side::B, Channel::Rtcp, at("10.0.0.2:5001"), &RTCP);
    assert_eq!(forward, send_to(Side::A, Channel::Rtcp, "198.51.100.7:61001"));
}

#[test]
fn the_goodbye_of_who_has_left_draws_no_reports_to_them() {
    let now = Instant::now();
    let mut relay = pointed(now);
    packet(&mut relay, now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
    // Transferred: somebody else is on side A, and the one before has sent no RTCP so far.
    relay.point(now, Side::A, (Some(at("10.0.0.3:6000")), None), None);
    let forward = packet(&mut relay, now, Side::A, Channel::Rtcp, at("10.0.0.1:4001"), &RTCP);
    assert_eq!(forward, Forward::Drop(Why::Stranger));
    let forward = packet(&mut relay, now, Side::B, Channel::Rtcp, at("10.0.0.2:5001"), &RTCP);
    assert_eq!(forward, send_to(Side::A, Channel::Rtcp, "10.0.0.3:6001"));
    // The newcomer's are taken, before its RTP as well.
    let forward = packet(&mut relay, now, Side::A, Channel::Rtcp, at("10.0.0.3:6001"), &RTCP);
    assert_eq!(forward, send_to(Side::B, Channel::Rtcp, "10.0.0.2:5001"));
}

#[test]
fn a_newcomer_behind_the_nat_of_who_has_left_reports_before_it_speaks() {
    let now = Instant::now();
    let mut relay = pointed(now);
    relay.point(now, Side::A, (Some(at("192.168.1.4:4000")), None), None);
    packet(&mut relay, now, Side::A, Channel::Rtp, at("198.51.100.7:61000"), &RTP);
    relay.point(now, Side::A, (Some(at("192.168.1.5:4000")), None), None);
    let goodbye = packet(&mut relay, now, Side::A, Channel::Rtcp, at("198.51.100.7:61001"), &RTCP);
    assert_eq!(goodbye, Forward::Drop(Why::Stranger));
    let report = [0x80, 201, 0, 1, 9, 9, 9, 9];
    let forward = packet(&mut relay, now, Side::A, Channel::Rtcp, at("198.51.100.7:62001"), &report);
    assert_eq!(forward, send_to(Side::B, Channel::Rtcp, "10.0.0.2:5001"));
    let forward = packet(&mut relay, now, Side::B, Channel::Rtcp, at("10.0.0.2:5001"), &RTCP);
    assert_eq!(forward, send_to(Side::A, Channel::Rtcp, "198.51.100.7:62001"));
}

#[test]
fn garbage_and_strangers_are_dropped_and_counted() {
    let now = Instant::now();
    let mut relay = pointed(now);
    packet(&mut relay, now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
    let from = at("10.0.0.1:4000");
    assert_eq!(
        packet(&mut relay, now, Side::A, Channel::Rtp, from, b"GET / HTTP/1.1\r\n"),
        Forward::Drop(Why::NotRtp)
    );
    assert_eq!(packet(&mut relay, now, Side::A, Channel::Rtcp, from, &RTP), Forward::Drop(Why::NotRtp));
    let stranger = packet(&mut relay, now, Side::A, Channel::Rtp, at("10.0.0.9:4000"), &RTP);
    assert_eq!(stranger, Forward::Drop(Why::Stranger));
    assert_eq!((relay.media(now).a_to_b.dropped, relay.media(now).a_to_b.malformed), (3, 2));
    assert_eq!(relay.media(now).a_to_b.packets, 1);
}

#[test]
fn nothing_is_sent_to_a_party_that_is_not_pointed() {
    let now = Instant::now();
    let mut relay = Relay::new(now);
    relay.point(now, Side::A, (Some(at("10.0.0.1:4000")), None), None);
    let forward = packet(&mut relay, now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
    assert_eq!(forward, Forward::Drop(Why::NoDestination));
    assert_eq!(relay.media(now).a_to_b.packets, 0);
    assert_eq!(relay.media(now).a_to_b.dropped, 0);
}

#[test]
fn one_way_audio_is_told_after_a_while_only() {
    let now = Instant::now();
    let mut relay = pointed(now);
    packet(&mut relay, now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
    assert!(!relay.media(now + Duration::from_secs(1)).one_way);
    assert!(relay.media(now + ONE_WAY_AFTER).one_way);
    packet(&mut relay, now, Side::B, Channel::Rtp, at("10.0.0.2:5000"), &RTP);
    assert!(!relay.media(now + ONE_WAY_AFTER).one_way);
}

#[test]
fn one_way_audio_is_noticed_while_it_lasts_once_both_are_pointed() {
    let now = Instant::now();
    let mut relay = Relay::new(now);
    relay.point(now, Side::A, (Some(at("10.0.0.1:4000")), None), None);
    let answered = now + Duration::from_secs(60);
    assert_eq!(relay.look(answered), None, "it rings: nobody is to speak");
    relay.point(answered, Side::B, (Some(at("10.0.0.2:5000")), None), None);
    packet(&mut relay, answered, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
    assert_eq!(relay.look(answered + ONE_WAY_AFTER), Some(Audio::CalleeSilent));
    packet(&mut relay, answered, Side::B, Channel::Rtp, at("10.0.0.2:5000"), &RTP);
    assert_eq!(relay.look(answered + ONE_WAY_AFTER), Some(Audio::BothWays));
}

#[test]
fn a_party_hears_the_other_one_the_voice_or_nobody_as_it_is_fed() {
    let now = Instant::now();
    let mut relay = pointed(now);
    let (a, b) = (at("10.0.0.1:4000"), at("10.0.0.2:5000"));
    let to_b = send_to(Side::B, Channel::Rtp, "10.0.0.2:5000");
    let nothing = Forward::Drop(Why::NoDestination);
    for (feed, of_a, of_voice) in
        [(Source::Party, to_b, nothing), (Source::Voice, nothing, to_b), (Source::Nobody, nothing, nothing)]
    {
        relay.feed(Side::B, feed);
        assert_eq!(packet(&mut relay, now, Side::A, Channel::Rtp, a, &RTP), of_a, "{feed:?}");
        assert_eq!(relay.said(Side::B, &RTP), of_voice, "{feed:?}");
        let back = packet(&mut relay, now, Side::B, Channel::Rtp, b, &RTP);
        assert_eq!(back, send_to(Side::A, Channel::Rtp, "10.0.0.1:4000"), "{feed:?}");
    }
    let report = packet(&mut relay, now, Side::A, Channel::Rtcp, at("10.0.0.1:4001"), &RTCP);
    assert_eq!(report, nothing, "reports of a stream that b doesn't get");
    assert_eq!(relay.media(now).a_to_b.dropped, 0);
}

#[test]
fn a_tap_copies_what_its_side_sends_and_no_strangers_packet() {
    let now = Instant::now();
    let mut relay = pointed(now);
    relay.tap(now, Side::A, true);
    relay.feed(Side::B, Source::Nobody);
    let from = at("10.0.0.1:4000");
    assert!(relay.packet(now, Side::A, Channel::Rtp, from, &RTP).tapped, "also while nobody else hears it");
    assert!(!relay.packet(now, Side::A, Channel::Rtp, at("10.0.0.9:4000"), &RTP).tapped);
    assert!(!relay.packet(now, Side::A, Channel::Rtcp, at("10.0.0.1:4001"), &RTCP).tapped);
    assert!(!relay.packet(now, Side::B, Channel::Rtp, at("10.0.0.2:5000"), &RTP).tapped);
    relay.tap(now, Side::A, false);
    assert!(!relay.packet(now, Side::A, Channel::Rtp, from, &RTP).tapped);
    assert_eq!(relay.media(now).a_to_b.packets, 1, "what the voice plane got was passed on");
}

#[test]
fn a_party_that_floods_takes_no_room_from_other_ears() {
    let now = Instant::now();
    let mut relay = pointed(now);
    relay.tap(now, Side::A, true);
    let mut tapped = |now| relay.packet(now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP).tapped;
    assert_eq!((0..1000).filter(|_| tapped(now)).count(), usize::from(TAPPED_MAX));
    assert!(tapped(now + TAP_EVERY));
}

#[test]
fn more_than_any_speech_needs_is_dropped_and_a_stranger_uses_up_nothing() {
    let now = Instant::now();
    let mut relay = pointed(now);
    let (a, to_b) = (at("10.0.0.1:4000"), send_to(Side::B, Channel::Rtp, "10.0.0.2:5000"));
    for _ in 0..PACKETS_A_LOOK {
        assert_eq!(packet(&mut relay, now, Side::A, Channel::Rtp, a, &RTP), to_b);
        packet(&mut relay, now, Side::A, Channel::Rtp, at("10.0.0.9:4000"), &RTP);
    }
    let flood = Forward::Drop(Why::Flood);
    assert_eq!(packet(&mut relay, now, Side::A, Channel::Rtp, a, &RTP), flood);
    assert_eq!(packet(&mut relay, now, Side::A, Channel::Rtcp, at("10.0.0.1:4001"), &RTCP), flood);
    let back = packet(&mut relay, now, Side::B, Channel::Rtp, at("10.0.0.2:5000"), &RTP);
    assert_eq!(back, send_to(Side::A, Channel::Rtp, "10.0.0.1:4000"), "the other party is heard");
    relay.replenish();
    assert_eq!(packet(&mut relay, now, Side::A, Channel::Rtp, a, &RTP), to_b);
    assert_eq!(relay.media(now).a_to_b.packets, u64::from(PACKETS_A_LOOK) + 1);
}

#[test]
fn a_session_that_is_refreshed_makes_nobody_silent_who_pauses() {
    let now = Instant::now();
    let mut relay = pointed(now);
    let heard = now + Duration::from_secs(1);
    packet(&mut relay, heard, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
    packet(&mut relay, heard, Side::B, Channel::Rtp, at("10.0.0.2:5000"), &RTP);
    assert_eq!(relay.look(heard), None);
    relay.point(heard, Side::A, (Some(at("10.0.0.1:4000")), None), None);
    assert_eq!(relay.look(heard + ONE_WAY_AFTER), None);
}

#[test]
fn what_the_voice_says_goes_where_the_party_is_heard_and_is_rtp() {
    let now = Instant::now();
    let mut relay = Relay::new(now);
    relay.feed(Side::A, Source::Voice);
    assert_eq!(relay.said(Side::A, &RTP), Forward::Drop(Why::NoDestination));
    relay.point(now, Side::A, (Some(at("192.168.1.5:4000")), None), None);
    assert_eq!(relay.said(Side::A, &RTP), send_to(Side::A, Channel::Rtp, "192.168.1.5:4000"));
    packet(&mut relay, now, Side::A, Channel::Rtp, at("198.51.100.7:61000"), &RTP);
    assert_eq!(relay.said(Side::A, &RTP), send_to(Side::A, Channel::Rtp, "198.51.100.7:61000"));
    assert_eq!(relay.said(Side::A, &RTCP), Forward::Drop(Why::NotRtp));
}

#[test]
fn what_shares_the_port_with_rtp_is_told_by_its_first_octet() {
    let now = Instant::now();
    let mut relay = pointed(now);
    let from = at("10.0.0.1:4000");
    let stun_binding = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let dtls_hello = [22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for datagram in [&stun_binding[..], &dtls_hello, &[64, 0], &[]] {
        let forward = packet(&mut relay, now, Side::A, Channel::Rtp, from, datagram);
        assert_eq!(forward, Forward::Drop(Why::NotRtp), "{datagram:?}");
    }
    assert_eq!(relay.media(now).a_to_b.dropped, 4);
    let forward = packet(&mut relay, now, Side::A, Channel::Rtp, at("198.51.100.7:1"), &stun_binding);
    assert_eq!(forward, Forward::Drop(Why::NotRtp));
    let forward = packet(&mut relay, now, Side::A, Channel::Rtp, from, &RTP);
    assert_eq!(forward, send_to(Side::B, Channel::Rtp, "10.0.0.2:5000"), "none of that locked the source");
}

#[test]
fn keys_that_were_pressed_while_nothing_was_sent_are_not_told_to_whoever_comes_next() {
    let now = Instant::now();
    let mut relay = pointed(now);
    let key = Key { event: 5, payload_type: 101, lasts: 800 };
    relay.press(Side::B, key);
    relay.point(now, Side::B, (Some(at("10.0.0.3:6000")), None), None);
    let outcome = relay.packet(now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
    assert_eq!((outcome.forward, outcome.rewritten), (send_to(Side::B, Channel::Rtp, "10.0.0.3:6000"), None));
    relay.press(Side::B, key);
    let outcome = relay.packet(now, Side::A, Channel::Rtp, at("10.0.0.1:4000"), &RTP);
    assert!(outcome.rewritten.is_some(), "whoever is there is told");
}
