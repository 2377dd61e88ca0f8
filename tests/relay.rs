//! The media plane over loopback sockets: what two phones and a stranger notice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's way to fail

#[path = "support/plane.rs"]
mod plane;
#[path = "relay/speech.rs"]
mod speech;

use plane::{Desk, hear, rtp};
use ringtree::net::media::{DSCP_EF, Plane, Ports, Range, Reporter};
use ringtree::relay::rewriting::Key;
use ringtree::relay::{Command, Media, RelayId, Report, Said, Side, Source};
use ringtree::rtp::Header;
use ringtree::sdp::payload::Renumbering;
use ringtree::voice::digit::Digit;
use ringtree::voice::event::Hearing;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(5);
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Relays between phones; they are told apart by a number.
struct World(Desk);

impl Deref for World {
    type Target = Desk;

    fn deref(&self) -> &Desk {
        &self.0
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Desk {
        &mut self.0
    }
}

fn world(threads: usize) -> World {
    world_at(LOOPBACK, threads)
}

fn world_at(ip: IpAddr, threads: usize) -> World {
    World(Desk::start(ip, 4, threads, None, SOON))
}

impl World {
    fn open(&self, id: u64, a: &UdpSocket, b: &UdpSocket) {
        let id = RelayId(id);
        self.plane.command(Command::Open { id, a: self.pairs[0], b: Some(self.pairs[1]) }).unwrap();
        for (side, phone) in [(Side::A, a), (Side::B, b)] {
            let rtp = Some(phone.local_addr().unwrap());
            self.plane.command(Command::Point { id, side, rtp, rtcp: None, expected: None }).unwrap();
        }
        self.settle();
    }

    fn close(&self, id: u64) -> Media {
        self.0.close(RelayId(id))
    }
}

fn phone(ip: &str) -> UdpSocket {
    plane::phone(ip, SOON)
}

#[test]
fn audio_flows_both_ways_and_comes_from_our_ports() {
    let world = world(1);
    let (a, b) = (phone("127.0.0.1"), phone("127.0.0.1"));
    world.open(1, &a, &b);
    let (ours_a, ours_b) = (world.pairs[0].rtp, world.pairs[1].rtp);
    for sequence in 1..=50 {
        a.send_to(&rtp(sequence, "from a"), ours_a).unwrap();
        assert_eq!(hear(&b), (rtp(sequence, "from a"), ours_b));
        b.send_to(&rtp(sequence, "from b"), ours_b).unwrap();
        assert_eq!(hear(&a), (rtp(sequence, "from b"), ours_a));
    }
    let media = world.close(1);
    assert_eq!((media.a_to_b.packets, media.b_to_a.packets), (50, 50));
    assert_eq!(media.a_to_b.bytes, 50 * 18);
    assert_eq!((media.a_to_b.lost, media.a_to_b.dropped, media.one_way), (0, 0, false));
    assert!(media.a_to_b.first_packet_ms.is_some());
}

#[test]
fn a_phone_of_ipv4_and_one_of_ipv6_hear_each_other() {
    let world = world_at(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 1);
    let (a, b) = (phone("127.0.0.1"), phone("::1"));
    world.open(1, &a, &b);
    let ours_a = SocketAddr::new(LOOPBACK, world.pairs[0].rtp.port());
    let ours_b = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), world.pairs[1].rtp.port());
    for sequence in 1..=5 {
        a.send_to(&rtp(sequence, "from four"), ours_a).unwrap();
        assert_eq!(hear(&b), (rtp(sequence, "from four"), ours_b));
        b.send_to(&rtp(sequence, "from six"), ours_b).unwrap();
        assert_eq!(hear(&a), (rtp(sequence, "from six"), ours_a));
    }
    let media = world.close(1);
    assert_eq!((media.a_to_b.packets, media.b_to_a.packets, media.a_to_b.dropped), (5, 5, 0));
}

#[test]
fn packets_from_off_the_path_change_nothing_however_many_there_are() {
    let world = world(1);
    let (a, b) = (phone("127.0.0.1"), phone("127.0.0.1"));
    world.open(1, &a, &b);
    let (ours_a, ours_b) = (world.pairs[0].rtp, world.pairs[1].rtp);
    a.send_to(&rtp(1, "a"), ours_a).unwrap();
    hear(&b);
    b.send_to(&rtp(1, "b"), ours_b).unwrap();
    hear(&a);
    // With the very SSRC and the next sequence numbers; from the same address, from another, and on the port of the other party.
    for (ip, to) in [("127.0.0.1", ours_a), ("127.0.72.9", ours_a), ("127.0.72.9", ours_b)] {
        let stranger = phone(ip);
        for sequence in 2..102 {
            stranger.send_to(&rtp(sequence, "mine"), to).unwrap();
        }
    }
    a.send_to(&rtp(2, "still a"), ours_a).unwrap();
    assert_eq!(hear(&b), (rtp(2, "still a"), ours_b), "nothing came between");
    b.send_to(&rtp(2, "still b"), ours_b).unwrap();
    assert_eq!(hear(&a), (rtp(2, "still b"), ours_a));
    let media = world.close(1);
    assert_eq!((media.a_to_b.packets, media.b_to_a.packets), (2, 2));
    assert_eq!((media.a_to_b.dropped, media.b_to_a.dropped), (200, 100));
    assert_eq!((media.a_to_b.malformed, media.a_to_b.lost), (0, 0));
}

#[test]
fn a_party_may_begin_another_stream_from_where_it_is_heard() {
    let world = world(1);
    let (a, b) = (phone("127.0.0.1"), phone("127.0.0.1"));
    world.open(1, &a, &b);
    a.send_to(&rtp(1, "before the hold"), world.pairs[0].rtp).unwrap();
    hear(&b);
    let mut other = rtp(40_000, "after it");
    other[8..12].copy_from_slice(&[9, 9, 9, 9]);
    a.send_to(&other, world.pairs[0].rtp).unwrap();
    assert_eq!(hear(&b).0, other);
    let media = world.close(1);
    assert_eq!((media.a_to_b.packets, media.a_to_b.lost, media.a_to_b.dropped), (2, 0, 0));
}

#[test]
fn what_is_no_rtp_is_dropped_and_counted_and_telephone_events_pass_untouched() {
    let world = world(1);
    let (a, b) = (phone("127.0.0.1"), phone("127.0.0.1"));
    world.open(1, &a, &b);
    let ours = world.pairs[0].rtp;
    let cut = [&rtp(1, "x")[..11], &[0x8f, 0, 0, 1], &[0x80], &[], b"hello", &[0xff; 1400]];
    for packet in cut {
        a.send_to(packet, ours).unwrap();
    }
    // Digit 5, its end, sent three times with one timestamp (RFC 4733 §2.5.1.4).
    let mut digit = rtp(1, "");
    digit[1] = 101;
    digit.extend([5, 0x8a, 0x03, 0x20]);
    for sequence in 1..=3 {
        digit[3] = sequence;
        a.send_to(&digit, ours).unwrap();
        assert_eq!(hear(&b).0, digit);
    }
    let media = world.close(1);
    assert_eq!((media.a_to_b.packets, media.a_to_b.malformed), (3, cut.len() as u64));
}

#[test]
fn loss_before_us_is_in_the_record() {
    let world = world(1);
    let (a, b) = (phone("127.0.0.1"), phone("127.0.0.1"));
    world.open(1, &a, &b);
    for sequence in [65_534, 65_535, 2, 1, 5] {
        a.send_to(&rtp(sequence, ""), world.pairs[0].rtp).unwrap();
        hear(&b);
    }
    let media = world.close(1);
    assert_eq!((media.a_to_b.packets, media.a_to_b.lost), (5, 3));
}

#[test]
fn rtcp_goes_to_the_port_after_the_rtp_port() {
    let world = world(1);
    let a = phone("127.0.0.1");
    let a_rtcp = phone("127.0.0.1");
    let (b, b_rtcp) = loop {
        let rtp = phone("127.0.0.1");
        let next = rtp.local_addr().unwrap().port().checked_add(1);
        if let Some(Ok(rtcp)) = next.map(|port| UdpSocket::bind(("127.0.0.1", port))) {
            break (rtp, rtcp);
        }
    };
    b_rtcp.set_read_timeout(Some(SOON)).unwrap();
    world.open(1, &a, &b);
    let report = [0x80, 201, 0, 1, 1, 2, 3, 4];
    a_rtcp.send_to(&report, world.pairs[0].rtcp).unwrap();
    assert_eq!(hear(&b_rtcp), (report.to_vec(), world.pairs[1].rtcp));
}

#[test]
fn a_stranger_does_not_take_over_a_stream() {
    let world = world(1);
    let (a, b) = (phone("127.0.0.1"), phone("127.0.0.1"));
    let strangers = [phone("127.0.0.1"), phone("127.0.0.2")];
    world.open(1, &a, &b);
    a.send_to(&rtp(1, "a"), world.pairs[0].rtp).unwrap();
    hear(&b);
    for stranger in &strangers {
        for sequence in 2..100 {
            stranger.send_to(&rtp(sequence, "stranger"), world.pairs[0].rtp).unwrap();
        }
    }
    a.send_to(&rtp(2, "a"), world.pairs[0].rtp).unwrap();
    assert_eq!(hear(&b).0, rtp(2, "a"), "nothing of the strangers came between");
    b.send_to(&rtp(1, "b"), world.pairs[1].rtp).unwrap();
    assert_eq!(hear(&a).0, rtp(1, "b"), "and the answer goes where it went");
    let media = world.close(1);
    assert_eq!((media.a_to_b.packets, media.a_to_b.dropped), (2, 2 * 98));
}

#[test]
fn a_stranger_who_is_first_does_not_hear_who_calls_a_phone_behind_a_nat() {
    let world = world(1);
    let (a, b, stranger) = (phone("127.0.0.1"), phone("127.0.0.1"), phone("127.0.72.9"));
    world.open(1, &a, &b);
    let (id, side, rtp_of_sdp) = (RelayId(1), Side::A, "192.168.77.5:4000".parse().ok());
    world.tell(Command::Point { id, side, rtp: rtp_of_sdp, rtcp: None, expected: Some(LOOPBACK) });
    world.settle();
    for sequence in 1..100 {
        stranger.send_to(&rtp(sequence, "here I am"), world.pairs[0].rtp).unwrap();
        stranger.send_to(&[0x80, 201, 0, 1, 1, 2, 3, 4], world.pairs[0].rtcp).unwrap();
    }
    a.send_to(&rtp(1, "a"), world.pairs[0].rtp).unwrap();
    assert_eq!(hear(&b).0, rtp(1, "a"), "nothing of the stranger came between");
    b.send_to(&rtp(1, "the secret"), world.pairs[1].rtp).unwrap();
    assert_eq!(hear(&a).0, rtp(1, "the secret"));
    assert_eq!(world.close(1).a_to_b.dropped, 2 * 99);
}

#[test]
fn a_phone_behind_a_nat_is_answered_where_it_is_heard() {
    let world = world(1);
    let (a, b) = (phone("127.0.0.1"), phone("127.0.0.1"));
    world.open(1, &a, &b);
    let rtp_of_sdp = Some("192.168.77.5:4000".parse().unwrap());
    world
        .plane
        .command(Command::Point {
            id: RelayId(1),
            side: Side::A,
            rtp: rtp_of_sdp,
            rtcp: None,
            expected: None,
        })
        .unwrap();
    world.settle();
    a.send_to(&rtp(1, "hello"), world.pairs[0].rtp).unwrap();
    hear(&b);
    b.send_to(&rtp(1, "hello a"), world.pairs[1].rtp).unwrap();
    assert_eq!(hear(&a).0, rtp(1, "hello a"));
}

#[test]
fn what_waits_from_an_earlier_call_is_not_heard_in_the_next() {
    let world = world(1);
    let (a, b) = (phone("127.0.0.1"), phone("127.0.0.1"));
    a.send_to(&rtp(1, "stale"), world.pairs[0].rtp).unwrap();
    world.open(1, &a, &b);
    a.send_to(&rtp(2, "fresh"), world.pairs[0].rtp).unwrap();
    assert_eq!(hear(&b).0, rtp(2, "fresh"));
    assert_eq!(world.close(1).a_to_b.packets, 1);
}

#[test]
fn ports_of_a_closed_relay_serve_the_next_one() {
    let world = world(1);
    let (a, b) = (phone("127.0.0.1"), phone("127.0.0.1"));
    for id in 1..=20 {
        world.open(id, &a, &b);
        a.send_to(&rtp(1, "again"), world.pairs[0].rtp).unwrap();
        assert_eq!(hear(&b).0, rtp(1, "again"));
        assert_eq!(world.close(id).a_to_b.packets, 1);
    }
}

#[test]
fn the_voice_plane_speaks_to_a_party_that_is_alone_and_hears_it() {
    let mut world = world(1);
    let voice = world.plane.voice_ports().pop().unwrap();
    assert!(world.plane.voice_ports().is_empty());
    let (id, a) = (RelayId(1), phone("127.0.0.1"));
    world.plane.command(Command::Open { id, a: world.pairs[0], b: None }).unwrap();
    let at = a.local_addr().unwrap();
    // There is nobody on side B: what is asked for it changes nothing.
    for side in [Side::A, Side::B] {
        world.plane.command(Command::Point { id, side, rtp: Some(at), rtcp: None, expected: None }).unwrap();
        world.plane.command(Command::Feed { id, side, from: Source::Voice }).unwrap();
    }
    world.plane.command(Command::Tap { id, side: Side::A, on: true }).unwrap();
    world.settle();
    a.send_to(&rtp(1, "hello?"), world.pairs[0].rtp).unwrap();
    for side in [Side::B, Side::A] {
        voice.say(Said { id, side, packet: rtp(7, "press one").into() }).unwrap();
    }
    voice.wake();
    assert_eq!(hear(&a), (rtp(7, "press one"), world.pairs[0].rtp));
    world.settle();
    let heard =
        std::iter::from_fn(|| voice.heard()).map(|heard| (heard.id, heard.side, heard.packet.to_vec()));
    assert_eq!(heard.collect::<Vec<_>>(), [(id, Side::A, rtp(1, "hello?"))]);
    let media = world.close(1);
    assert_eq!((media.a_to_b.packets, media.b_to_a.packets, media.one_way), (1, 0, false));
    voice.say(Said { id, side: Side::A, packet: rtp(8, "too late").into() }).unwrap();
    voice.wake();
}

#[test]
fn music_takes_the_place_of_the_other_party_and_gives_it_back() {
    let mut world = world(1);
    let voice = world.plane.voice_ports().pop().unwrap();
    let (a, b) = (phone("127.0.0.1"), phone("127.0.0.1"));
    world.open(1, &a, &b);
    let (id, side) = (RelayId(1), Side::A);
    let (ours_a, ours_b) = (world.pairs[0].rtp, world.pairs[1].rtp);
    world.plane.command(Command::Feed { id, side, from: Source::Voice }).unwrap();
    world.settle();
    b.send_to(&rtp(1, "not for a"), ours_b).unwrap();
    // Both come to the same thread; what b says reaches it before a is heard at b.
    a.send_to(&rtp(1, "still there?"), ours_a).unwrap();
    assert_eq!(hear(&b).0, rtp(1, "still there?"), "b hears a all the time");
    voice.say(Said { id, side, packet: rtp(1, "la la la").into() }).unwrap();
    voice.wake();
    assert_eq!(hear(&a), (rtp(1, "la la la"), ours_a));
    world.plane.command(Command::Feed { id, side, from: Source::Party }).unwrap();
    world.settle();
    voice.say(Said { id, side, packet: rtp(2, "la").into() }).unwrap();
    voice.wake();
    world.settle();
    b.send_to(&rtp(2, "here I am"), ours_b).unwrap();
    assert_eq!(hear(&a), (rtp(2, "here I am"), ours_a));
}

#[test]
fn closing_what_was_never_opened_is_answered() {
    let world = world(1);
    assert_eq!(world.close(99), Media::default());
}

#[test]
fn an_exhausted_range_says_so_and_gives_what_it_has() {
    let (sender, reports) = sync_channel(64);
    let reporter: Reporter = Arc::new(move |report| {
        sender.send(report).unwrap();
        None
    });
    // Two pairs that were free a moment ago, on an address that no other test uses.
    let first = phone("127.0.72.1").local_addr().unwrap().port() & !3;
    let range = Range::Within(first..=first + 3);
    let ports = Ports::open(IpAddr::from([127, 0, 72, 1]), range, DSCP_EF, 1).unwrap();
    let plane = Plane::start(ports, 1, None, None, &reporter).unwrap();
    let _first = reports.recv_timeout(SOON).unwrap();
    plane.command(Command::Grow { pairs: 100 }).unwrap();
    match reports.recv_timeout(SOON).unwrap() {
        Report::Opened { pairs, exhausted } => assert!(exhausted && pairs.len() == 1, "{pairs:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn relays_are_spread_over_threads() {
    let world = world(2);
    let (a, b) = (phone("127.0.0.1"), phone("127.0.0.1"));
    let (c, d) = (phone("127.0.0.1"), phone("127.0.0.1"));
    for (id, pairs, phones) in [(2, &world.pairs[..2], [&a, &b]), (3, &world.pairs[2..], [&c, &d])] {
        let id = RelayId(id);
        world.plane.command(Command::Open { id, a: pairs[0], b: Some(pairs[1]) }).unwrap();
        for (side, phone) in [(Side::A, phones[0]), (Side::B, phones[1])] {
            let rtp = Some(phone.local_addr().unwrap());
            world.plane.command(Command::Point { id, side, rtp, rtcp: None, expected: None }).unwrap();
        }
    }
    // There is no word from the second thread that it is ready; a phone repeats itself until it is heard.
    for (from, to, ours) in [(&a, &b, world.pairs[0].rtp), (&c, &d, world.pairs[2].rtp)] {
        to.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut buffer = [0; 64];
        let heard = (1..250).any(|sequence| {
            from.send_to(&rtp(sequence, "x"), ours).unwrap();
            to.recv_from(&mut buffer).is_ok()
        });
        assert!(heard);
    }
}

/// The same packet of that payload type.
fn numbered(payload_type: u8, sequence: u16, text: &str) -> Vec<u8> {
    let mut packet = rtp(sequence, text);
    packet[1] = payload_type;
    packet
}

/// The table between two descriptions with events of these numbers.
fn between(given: u8, own: u8) -> Option<Renumbering> {
    let of = |n| {
        format!(
            "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 {n}\r\na=rtpmap:{n} telephone-event/8000\r\n"
        )
    };
    Renumbering::between(of(given).as_bytes(), of(own).as_bytes()).unwrap()
}

#[test]
fn each_party_hears_the_numbers_that_it_has_for_a_codec() {
    let world = world(1);
    let (a, b) = (phone("127.0.0.1"), phone("127.0.0.1"));
    world.open(1, &a, &b);
    let (ours_a, ours_b) = (world.pairs[0].rtp, world.pairs[1].rtp);
    let id = RelayId(1);
    world.plane.command(Command::Renumber { id, side: Side::B, by: between(101, 96) }).unwrap();
    world.settle();
    a.send_to(&numbered(0x80 | 101, 1, "event"), ours_a).unwrap();
    assert_eq!(hear(&b).0, numbered(0x80 | 96, 1, "event"), "its marker stays");
    a.send_to(&numbered(0, 2, "sound"), ours_a).unwrap();
    assert_eq!(hear(&b).0, numbered(0, 2, "sound"));
    b.send_to(&numbered(101, 1, "back"), ours_b).unwrap();
    assert_eq!(hear(&a).0, numbered(101, 1, "back"), "this way nothing differs");
    world.plane.command(Command::Renumber { id, side: Side::B, by: None }).unwrap();
    world.settle();
    a.send_to(&numbered(101, 3, "event"), ours_a).unwrap();
    assert_eq!(hear(&b).0, numbered(101, 3, "event"));
    assert_eq!(world.close(1).a_to_b.packets, 3);
}

#[test]
fn a_key_that_was_pressed_in_signalling_is_heard_in_the_stream_of_whoever_pressed_it() {
    let world = world(1);
    let (a, b) = (phone("127.0.0.1"), phone("127.0.0.1"));
    world.open(1, &a, &b);
    let ours_a = world.pairs[0].rtp;
    let key = Key { event: 11, payload_type: 101, lasts: 800 };
    world.plane.command(Command::Press { id: RelayId(1), side: Side::B, key }).unwrap();
    world.settle();
    let mut keys = Hearing::default();
    let mut told = Vec::new();
    for sequence in 1..=15 {
        a.send_to(&rtp(sequence, "sound"), ours_a).unwrap();
        let (packet, _) = hear(&b);
        let header = Header::parse(&packet).unwrap();
        assert_eq!((header.sequence, header.ssrc), (sequence, 0x0102_0304), "one stream");
        match header.payload_type {
            101 => told.push((sequence, keys.packet(header.timestamp, &packet[12..]))),
            _ => assert_eq!(packet, rtp(sequence, "sound")),
        }
    }
    assert_eq!(told.iter().filter_map(|(_, key)| *key).map(Digit::char).collect::<String>(), "#");
    assert_eq!(told.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
    assert_eq!(world.close(1).a_to_b.packets, 15);
}
