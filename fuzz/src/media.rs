//! Datagrams and commands for one relay, in any order: RTP, RTCP, SRTP, STUN and DTLS, as they come and as a peer that knows the keys makes
//! them. What is sent on goes to the other side, to where it was pointed or whence somebody was heard; what a secured side sends counts only
//! if its peer made it; what leaves for it the peer can open; answers have the size of their requests or less room than an answer may have.

use super::bytes::Draw;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ringtree::ice::{self, ANSWER_BYTES_MAX};
use ringtree::net::clock;
use ringtree::relay::forward::{Channel, Forward, Relay, Why};
use ringtree::relay::rewriting::Key;
use ringtree::relay::secured::Arrival;
use ringtree::relay::{Side, Source};
use ringtree::rtp::{self, Header, Protocol};
use ringtree::sdp::keying::{Association, Context, Credentials, Ice};
use ringtree::sdp::payload::Renumbering;
use ringtree::sdp::{Fingerprint, Protection, Role};
use ringtree::sip::stun;
use ringtree::srtp::{Inbound, Keys, Master, Outbound, Suite, TRAILER_BYTES_MAX};
use sha1::Sha1;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Steps of one input.
const STEPS_MAX: usize = 64;
/// Octets of a datagram and what is put behind it.
const ROOM: usize = 600;
const SIDES: [Side; 2] = [Side::A, Side::B];
const CHANNELS: [Channel; 2] = [Channel::Rtp, Channel::Rtcp];
const PASSWORD: &str = "a password of ours, long enough";

pub fn media(data: &[u8]) {
    datagram(data);
    let mut draw = Draw(data);
    let mut world = World::new();
    for _ in 0..STEPS_MAX {
        if draw.is_done() {
            break;
        }
        world.step(&mut draw);
    }
    let media = world.relay.media(world.now);
    let carried = media.a_to_b.packets + media.b_to_a.packets;
    assert!(carried <= world.arrived, "{carried} packets were carried of {}", world.arrived);
    assert!(media.a_to_b.malformed <= media.a_to_b.dropped && media.b_to_a.malformed <= media.b_to_a.dropped);
}

/// The far end of a side: how it is secured, and what it would send and open.
struct Peer {
    by: Protection,
    /// For each of the ports: keys of a description are for both, each handshake gives its own.
    keyed: [Option<(Outbound, Inbound)>; 2],
}

impl Peer {
    fn plain() -> Peer {
        Peer { by: Protection::Plain, keyed: [None, None] }
    }

    fn keyed(by: Protection, keys: &Keys) -> Peer {
        let keyed = [(); 2].map(|()| Some((Outbound::new(&keys.theirs), Inbound::new(&keys.ours))));
        Peer { by, keyed }
    }

    fn at(&mut self, channel: Channel) -> Option<&mut (Outbound, Inbound)> {
        let apart = channel == Channel::Rtcp && matches!(self.by, Protection::Dtls(_));
        self.keyed[usize::from(apart)].as_mut()
    }
}

struct World {
    relay: Relay,
    now: Instant,
    peers: [Peer; 2],
    /// Where it may send to: what it was pointed at, and who was heard.
    known: [Vec<SocketAddr>; 2],
    arrived: u64,
    contexts: u64,
}

fn of(side: Side) -> usize {
    usize::from(side == Side::B)
}

fn address(draw: &mut Draw<'_>) -> SocketAddr {
    let all = [
        ([10, 0, 0, 1], 4000),
        ([10, 0, 0, 1], 4001),
        ([10, 0, 0, 2], 4000),
        ([198, 51, 100, 1], 4000),
        ([198, 51, 100, 1], 65_535),
        ([203, 0, 113, 9], 9),
    ];
    draw.of(&all).into()
}

impl World {
    fn new() -> World {
        let now = clock::now().mono;
        World {
            relay: Relay::new(now),
            now,
            peers: [Peer::plain(), Peer::plain()],
            known: [Vec::new(), Vec::new()],
            arrived: 0,
            contexts: 0,
        }
    }

    fn step(&mut self, draw: &mut Draw<'_>) {
        let op = draw.byte();
        let side = SIDES[usize::from(op >> 7)];
        let channel = CHANNELS[usize::from(op >> 6 & 1)];
        match op & 15 {
            0..=2 => {
                let (from, length) = (address(draw), draw.byte());
                let datagram = draw.take(usize::from(length)).to_vec();
                self.arrives(side, channel, from, datagram, false);
            }
            3..=5 => {
                let from = address(draw);
                let (packet, sealed) = (made(draw, channel), draw.flag());
                self.sent_by_peer(side, channel, from, packet, sealed);
            }
            6 => {
                let from = address(draw);
                let check = check(draw);
                self.arrives(side, Channel::Rtp, from, check, true);
            }
            7 => self.point(side, draw),
            8 => self.secure(side, draw),
            9 => {
                self.now += Duration::from_millis(u64::from(draw.pair()));
                let _ = self.relay.look(self.now);
                self.relay.replenish();
            }
            10 => {
                let from = draw.of(&[Source::Party, Source::Voice, Source::Nobody]);
                self.relay.feed(side, from);
                self.relay.tap(self.now, side, draw.flag());
            }
            11 => {
                let (one, other) = (described(draw), described(draw));
                self.relay.renumber(side, Renumbering::between(&one, &other).ok().flatten());
            }
            12 => {
                let key = Key { event: draw.byte(), payload_type: draw.byte() & 0x7f, lasts: draw.pair() };
                self.relay.press(side, key);
            }
            13 => {
                let packet = made(draw, Channel::Rtp);
                let forward = self.relay.said(side, &packet);
                self.leaves(side, forward, packet);
            }
            14 => {
                self.relay.succeed(self.now);
                self.peers[1] = Peer::plain();
                self.known[1].clear();
            }
            _ => {
                let _ = (self.relay.begins(side, channel), self.relay.established(side));
                if let Some(guard) = self.relay.hand_over(side) {
                    let mut other = Relay::new(self.now);
                    other.secure(side, self.peers[of(side)].by.clone());
                    let _ = other.inherit(self.now, side, guard, draw.flag());
                    // Here nothing is opened nor sealed for it any more.
                    self.peers[of(side)].keyed = [None, None];
                }
            }
        }
    }

    fn point(&mut self, side: Side, draw: &mut Draw<'_>) {
        let what = draw.byte();
        let rtp = (what & 1 == 0).then(|| address(draw));
        let rtcp = (what & 2 == 2).then(|| address(draw));
        let expected: Option<IpAddr> = (what & 4 == 4).then(|| address(draw).ip());
        self.relay.point(self.now, side, (rtp, rtcp), expected);
        let next = rtp.and_then(|rtp| Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?)));
        self.known[of(side)].extend(rtp.into_iter().chain(rtcp).chain(next));
    }

    fn secure(&mut self, side: Side, draw: &mut Draw<'_>) {
        let (how, secret) = (draw.byte(), draw.byte());
        let suite = Suite::ALL[usize::from(how >> 2 & 3)];
        let keys = Keys {
            theirs: Master::derive(suite, &[1; 32], u32::from(secret)),
            ours: Master::derive(suite, &[2; 32], u32::from(secret)),
        };
        // A context of its own each time, so that the peer begins anew, as the relay does.
        self.contexts += 1;
        let peer = match how & 3 {
            0 => Peer::plain(),
            1 => Peer::keyed(Protection::Sdes(keys.clone(), Context(self.contexts)), &keys),
            _ => {
                let association = Association {
                    role: if how & 16 == 0 { Role::Server } else { Role::Client },
                    fingerprint: Fingerprint::of(&self.contexts.to_be_bytes()),
                    tls_id: None,
                    ice: (how & 1 == 0).then(credentials),
                };
                let by = Protection::Dtls(association);
                if how & 32 == 0 { Peer { by, ..Peer::plain() } } else { Peer::keyed(by, &keys) }
            }
        };
        self.relay.secure(side, peer.by.clone());
        if let (Protection::Dtls(association), true) = (&peer.by, peer.keyed[0].is_some()) {
            for channel in CHANNELS {
                self.relay.handshaken(side, channel, association, &keys);
            }
        }
        self.peers[of(side)] = peer;
    }

    /// A packet that the peer has made, sealed as it would be.
    fn sent_by_peer(
        &mut self,
        side: Side,
        channel: Channel,
        from: SocketAddr,
        mut packet: Vec<u8>,
        seal: bool,
    ) {
        let mut authentic = false;
        if let Some((outbound, _)) = self.peers[of(side)].at(channel).filter(|_| seal) {
            let octets = packet.len();
            packet.resize(octets + TRAILER_BYTES_MAX, 0);
            let sealed = match channel {
                Channel::Rtp if !rtp::is_rtcp(&packet[..octets]) => outbound.rtp(&mut packet, octets),
                Channel::Rtp | Channel::Rtcp => outbound.rtcp(&mut packet, octets),
            };
            authentic = sealed.is_ok();
            packet.truncate(sealed.unwrap_or(octets));
        }
        self.arrives(side, channel, from, packet, authentic);
    }

    /// As a relay thread takes it from its socket.
    fn arrives(
        &mut self,
        side: Side,
        channel: Channel,
        from: SocketAddr,
        datagram: Vec<u8>,
        authentic: bool,
    ) {
        let mut buffer = datagram;
        let mut octets = buffer.len();
        self.arrived += 1;
        let secured = self.peers[of(side)].by != Protection::Plain;
        if self.relay.is_secured() {
            let mut answer = [0; ANSWER_BYTES_MAX];
            match self.relay.arrive(self.now, (side, channel), from, &mut buffer, &mut answer) {
                Arrival::Packet(left) => {
                    assert!(left <= octets, "opening makes it no longer");
                    octets = left;
                }
                Arrival::Checked(answered) => {
                    assert!(authentic && answered <= ANSWER_BYTES_MAX);
                    assert_eq!(Protocol::of(&answer), Some(Protocol::Stun));
                    self.known[of(side)].push(from);
                    return;
                }
                Arrival::Handshake => {
                    assert_eq!(Protocol::of(&buffer), Some(Protocol::Dtls));
                    return;
                }
                Arrival::Nothing => return,
            }
        }
        buffer.truncate(octets);
        let outcome = self.relay.packet(self.now, side, channel, from, &buffer);
        if outcome.tapped {
            assert!(channel == Channel::Rtp && Header::parse(&buffer).is_some(), "what is tapped is RTP");
        }
        if !matches!(outcome.forward, Forward::Drop(Why::NotRtp | Why::Stranger | Why::Flood)) {
            assert!(!secured || authentic, "what the peer did not make has been taken: {outcome:?}");
            self.known[of(side)].extend([from, SocketAddr::new(from.ip(), from.port().saturating_add(1))]);
        }
        if let Forward::SendTo { side: to, .. } = outcome.forward {
            assert_eq!(to, side.other());
        }
        if let Some(rewritten) = outcome.rewritten {
            let octets = buffer.len();
            let now = rewritten.write(&mut buffer, octets);
            assert!(now <= ROOM);
            buffer.truncate(now);
        }
        self.leaves(side.other(), outcome.forward, buffer);
    }

    fn leaves(&mut self, side: Side, forward: Forward, packet: Vec<u8>) {
        let Forward::SendTo { side: to_side, channel, to } = forward else { return };
        assert_eq!(to_side, side);
        let ips: Vec<IpAddr> = self.known[of(side)].iter().map(SocketAddr::ip).collect();
        assert!(ips.contains(&to.ip()), "{to} was never said nor heard");
        if !self.relay.is_secured() {
            return;
        }
        let octets = packet.len();
        let mut sealed = packet.clone();
        sealed.resize(octets + TRAILER_BYTES_MAX, 0);
        let peer = &mut self.peers[of(side)];
        let Some(left) = self.relay.leave((side, channel), &mut sealed, octets) else {
            assert!(peer.by != Protection::Plain, "a packet in the clear needs no leave");
            self.relay.unsent(side, channel, &packet);
            return;
        };
        sealed.truncate(left);
        let plain = peer.by == Protection::Plain;
        match peer.at(channel) {
            None => assert!(plain && sealed == packet, "without keys nothing is sent"),
            Some((_, inbound)) => {
                let opened =
                    if rtp::is_rtcp(&packet) { inbound.rtcp(&mut sealed) } else { inbound.rtp(&mut sealed) };
                let opened = opened.expect("what we seal the peer opens");
                // The sequence number may be one that goes on.
                let (before, after) = (&packet[4..], &sealed[4..opened]);
                assert!(before == after && packet[..2] == sealed[..2], "it holds what was sent");
            }
        }
    }
}

/// A packet of RTP or RTCP by a few draws.
fn made(draw: &mut Draw<'_>, channel: Channel) -> Vec<u8> {
    let (kind, sequence, length) = (draw.byte(), draw.pair(), draw.below(64));
    let ssrc = 1 + (kind >> 6);
    let mut packet = if channel == Channel::Rtcp || kind & 0x3f == 0x3f {
        vec![0x80, 200 + (kind & 7), 0, 1, 0, 0, 0, ssrc]
    } else {
        let [high, low] = sequence.to_be_bytes();
        let time = (u32::from(sequence) * 160).to_be_bytes();
        let mut header = vec![0x80 | draw.of(&[0, 0, 0x10, 1, 0x20]), kind & 0x9f, high, low];
        header.extend_from_slice(&time);
        header.extend_from_slice(&[0, 0, 0, ssrc]);
        header
    };
    packet.extend_from_slice(draw.take(length));
    packet
}

fn credentials() -> Ice {
    let one = |ufrag: &str, pwd: &str| Credentials { ufrag: ufrag.into(), pwd: pwd.to_owned().into() };
    Ice { ours: one("ours", PASSWORD), theirs: one("theirs", "another password, of theirs") }
}

/// A connectivity check that proves itself, with attributes of the input in it.
fn check(draw: &mut Draw<'_>) -> Vec<u8> {
    let name = b"ours:theirs\0";
    let mut out = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    out.extend_from_slice(&[draw.byte(); 12]);
    out.extend_from_slice(&[0, 6, 0, 11]);
    out.extend_from_slice(name);
    for _ in 0..draw.below(4) {
        let kind = draw.of(&[0x24u16, 0x25, 0x8029, 0x802a, 0x8022, 0x24, 0x25, 0x13]);
        let value = draw.take(8);
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0, u8::try_from(value.len()).unwrap_or(0)]);
        out.extend_from_slice(value);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    length(&mut out, 24);
    let mut mac = Hmac::<Sha1>::new_from_slice(PASSWORD.as_bytes()).expect("any length");
    mac.update(&out);
    out.extend_from_slice(&[0, 8, 0, 20]);
    out.extend_from_slice(&mac.finalize().into_bytes());
    length(&mut out, 8);
    let crc = crc32fast::hash(&out) ^ 0x5354_554e;
    out.extend_from_slice(&[0x80, 0x28, 0, 4]);
    out.extend_from_slice(&crc.to_be_bytes());
    out
}

/// What the header says follows it, with `more` to come.
fn length(message: &mut [u8], more: usize) {
    let octets = u16::try_from(message.len() - 20 + more).unwrap_or(0);
    message[2..4].copy_from_slice(&octets.to_be_bytes());
}

fn described(draw: &mut Draw<'_>) -> Vec<u8> {
    let (events, opus) = (96 + draw.byte() % 32, 96 + draw.byte() % 32);
    format!(
        "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 {events} {opus}\r\n\
         a=rtpmap:{events} telephone-event/8000\r\na=rtpmap:{opus} opus/48000/2\r\n"
    )
    .into_bytes()
}

/// The whole input as one datagram: at most one answer, not longer than an answer may be, and whatever is RTP is not RTCP.
fn datagram(data: &[u8]) {
    let source: SocketAddr = ([198, 51, 100, 1], 4000).into();
    let mut answer = [0; ANSWER_BYTES_MAX];
    if let Some(check) = ice::check(data, source, &credentials(), &mut answer) {
        assert!(check.answer <= ANSWER_BYTES_MAX && Protocol::of(data) == Some(Protocol::Stun));
    }
    if let Some(answer) = stun::answer(data, source) {
        assert!(stun::is_request(data) && answer.len() <= data.len().max(20) + 24);
    }
    assert!(!(rtp::is_rtcp(data) && Header::parse(data).is_some()));
    let mut relay = Relay::new(clock::now().mono);
    let _ = relay.packet(clock::now().mono, Side::A, Channel::Rtp, source, data);
}
