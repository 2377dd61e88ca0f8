//! The fast path over virtual links between network namespaces, and over loopback: what two phones and a stranger notice, and who has
//! passed their packets on. Needs root, and a kernel that takes the program: without them it fails.

#![cfg(feature = "fast-path")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's way to fail

#[path = "support/plane.rs"]
mod plane;

use plane::{Desk, hear, rtp};
use ringtree::net::clock;
use ringtree::net::media::{DSCP_EF, FastPath};
use ringtree::relay::{Command, Media, RelayId, Side};
use rustix::net::{AddressFamily, SendFlags, SocketType};
use rustix::thread::{CapabilitySet, CapabilitySets, LinkNameSpaceType, move_into_link_name_space};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(5);
/// A packet of sound each.
const TICK: Duration = Duration::from_millis(20);

/// Three machines: a relay in the middle, a phone on each side.
struct Lan {
    name: String,
}

const RELAY: &str = "relay";
const PHONES: [&str; 2] = ["a", "b"];

impl Lan {
    fn new() -> Lan {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let lan = Lan {
            name: format!("ringtree-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)),
        };
        for machine in [RELAY, PHONES[0], PHONES[1]] {
            ip(&format!("netns add {}", lan.machine(machine)));
            ip(&format!("-n {} link set lo up", lan.machine(machine)));
        }
        let relay = lan.machine(RELAY);
        // Its media has an address of its own.
        ip(&format!("-n {relay} address add 10.70.0.1/32 dev lo"));
        ip(&format!("-n {relay} address add fd70::1/128 dev lo nodad"));
        for (n, phone) in (1..).zip(PHONES) {
            let machine = lan.machine(phone);
            ip(&format!("-n {relay} link add to_{phone} type veth peer name eth0 netns {machine}"));
            ip(&format!("-n {relay} address add 10.70.{n}.1/24 dev to_{phone}"));
            ip(&format!("-n {relay} address add fd70:{n}::1/64 dev to_{phone} nodad"));
            ip(&format!("-n {relay} link set to_{phone} up"));
            ip(&format!("-n {machine} address add 10.70.{n}.2/24 dev eth0"));
            ip(&format!("-n {machine} address add fd70:{n}::2/64 dev eth0 nodad"));
            ip(&format!("-n {machine} link set eth0 up"));
            ip(&format!("-n {machine} route add default via 10.70.{n}.1"));
            ip(&format!("-n {machine} route add default via fd70:{n}::1"));
        }
        lan
    }

    fn machine(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }

    /// On that machine.
    fn on<T: Send>(&self, machine: &str, act: impl FnOnce() -> T + Send) -> T {
        let namespace = std::fs::File::open(format!("/run/netns/{}", self.machine(machine))).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                act()
            });
            thread.join().unwrap()
        })
    }

    fn phone(&self, machine: &str, ip: &str) -> UdpSocket {
        self.on(machine, || plane::phone(ip, SOON))
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for machine in [RELAY, PHONES[0], PHONES[1]] {
            let name = self.machine(machine);
            let _ = std::process::Command::new("ip").args(["netns", "delete", &name]).status();
        }
    }
}

fn ip(arguments: &str) {
    let done = std::process::Command::new("ip").args(arguments.split(' ')).output().expect("iproute2");
    assert!(done.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Sends a packet whose checksum is its sender's own work, as of a phone: whoever receives it looks whether it is right. (What is sent in
/// one piece leaves it to the virtual link, which never makes one.)
fn send(phone: &UdpSocket, packet: &[u8], to: SocketAddr) {
    rustix::net::sendto(phone, &packet[..4], SendFlags::MORE, &to).unwrap();
    rustix::net::sendto(phone, &packet[4..], SendFlags::empty(), &to).unwrap();
}

/// A call between two phones, by a relay with a fast path.
struct Call {
    desk: Desk,
    fast: Arc<FastPath>,
    a: UdpSocket,
    b: UdpSocket,
    sequence: u16,
    /// Packets sent each way.
    sent: u64,
}

const ID: RelayId = RelayId(1);

impl Call {
    /// Opened, and talked until the kernel passes on both streams.
    fn established(lan: &Lan, interfaces: &[&str], ours: &str, a: UdpSocket, b: UdpSocket) -> Call {
        let interfaces: Vec<String> = interfaces.iter().map(ToString::to_string).collect();
        let ours = ours.parse().unwrap();
        let (desk, fast) = lan.on(RELAY, || {
            let fast = Arc::new(FastPath::start(&interfaces, ours, DSCP_EF).expect("root, and Linux 6.6"));
            (Desk::start_with(ours, 4, 1, None, Some(&fast), SOON), fast)
        });
        desk.tell(Command::Open { id: ID, a: desk.pairs[0], b: Some(desk.pairs[1]) });
        for (side, phone) in [(Side::A, &a), (Side::B, &b)] {
            let rtp = Some(phone.local_addr().unwrap());
            desk.tell(Command::Point { id: ID, side, rtp, rtcp: None, expected: None });
        }
        desk.settle();
        let mut call = Call { desk, fast, a, b, sequence: 0, sent: 0 };
        call.talk_until(2);
        call
    }

    fn ours(&self) -> [SocketAddr; 2] {
        [self.desk.pairs[0].rtp, self.desk.pairs[1].rtp]
    }

    /// A packet each way, heard by the other one as it was sent, from our port.
    fn talk(&mut self) {
        self.sequence = self.sequence.wrapping_add(1);
        self.sent += 1;
        let [ours_a, ours_b] = self.ours();
        send(&self.a, &rtp(self.sequence, "from a"), ours_a);
        assert_eq!(hear(&self.b), (rtp(self.sequence, "from a"), ours_b));
        self.b.send_to(&rtp(self.sequence, "from b"), ours_b).unwrap();
        assert_eq!(hear(&self.a), (rtp(self.sequence, "from b"), ours_a));
    }

    /// Until the kernel passes on so many streams.
    #[allow(clippy::disallowed_methods)] // how long that takes
    fn talk_until(&mut self, streams: u64) {
        let start = Instant::now();
        while self.fast.streams() != streams {
            assert!(start.elapsed() < SOON, "the kernel passes on {} streams", self.fast.streams());
            self.talk();
            clock::rest(TICK);
        }
    }

    /// Talks on for so many packets each way, all of which the kernel alone passes on.
    fn talk_in_the_kernel(&mut self, packets: u64) {
        for _ in 0..packets {
            self.talk();
        }
    }

    fn close(&self) -> Media {
        self.desk.close(ID)
    }
}

#[test]
fn phones_hear_each_other_through_the_kernel_and_the_relay_sees_none_of_it_but_the_figures() {
    for (ours, a, b) in [("10.70.0.1", "10.70.1.2", "10.70.2.2"), ("fd70::1", "fd70:1::2", "fd70:2::2")] {
        let lan = Lan::new();
        let (a, b) = (lan.phone("a", a), lan.phone("b", b));
        let mut call = Call::established(&lan, &["to_a", "to_b"], ours, a, b);
        let before = call.sent;
        call.talk_in_the_kernel(500);
        let media = call.close();
        let in_the_kernel = call.fast.packets();
        assert!(in_the_kernel >= 1000, "{in_the_kernel} of them");
        assert!(in_the_kernel <= 2 * (call.sent - before) + 2, "{in_the_kernel}: only since then");
        assert_eq!((media.a_to_b.packets, media.b_to_a.packets), (call.sent, call.sent));
        assert_eq!(media.a_to_b.bytes, call.sent * 18);
        assert_eq!((media.a_to_b.lost, media.a_to_b.dropped, media.b_to_a.lost), (0, 0, 0));
        assert_eq!(call.fast.streams(), 0);
    }
}

#[test]
fn packets_are_marked_as_configured_and_grow_older() {
    let lan = Lan::new();
    let (a, b) = (lan.phone("a", "10.70.1.2"), lan.phone("b", "10.70.2.2"));
    let mut call = Call::established(&lan, &["to_a", "to_b"], "10.70.0.1", a, b);
    let frames = lan.on("b", || {
        let socket =
            rustix::net::socket(AddressFamily::PACKET, SocketType::RAW, Some(rustix::net::eth::IP)).unwrap();
        UdpSocket::from(socket)
    });
    frames.set_read_timeout(Some(SOON)).unwrap();
    call.talk();
    let mut frame = [0; 256];
    let octets = frames.recv(&mut frame).unwrap();
    let [_, traffic_class, .., ttl, protocol, _, _] = frame[14..26] else { panic!("{octets} octets") };
    assert_eq!((traffic_class >> 2, protocol), (DSCP_EF, 17));
    assert_eq!(ttl, 63, "a sender's 64, less one");
    assert_eq!(frame[26..30], [10, 70, 0, 1]);
}

#[test]
fn phones_of_the_same_machine_hear_each_other_through_the_kernel() {
    let lan = Lan::new();
    let (a, b) = (lan.phone(RELAY, "127.0.0.2"), lan.phone(RELAY, "127.0.0.3"));
    let mut call = Call::established(&lan, &["lo"], "127.0.0.1", a, b);
    call.talk_in_the_kernel(200);
    let media = call.close();
    assert!(call.fast.packets() >= 400);
    assert_eq!((media.a_to_b.packets, media.b_to_a.packets), (call.sent, call.sent));
}

#[test]
fn packets_from_off_the_path_are_not_passed_on_and_change_nothing() {
    let lan = Lan::new();
    let (a, b) = (lan.phone("a", "10.70.1.2"), lan.phone("b", "10.70.2.2"));
    let mut call = Call::established(&lan, &["to_a", "to_b"], "10.70.0.1", a, b);
    let (other_port, other_side) = (lan.phone("a", "10.70.1.2"), lan.phone("b", "10.70.2.2"));
    let [ours_a, ours_b] = call.ours();
    // With the very SSRC and the next sequence numbers.
    for n in 1..=50 {
        for (stranger, to) in [(&other_port, ours_a), (&other_side, ours_a), (&other_port, ours_b)] {
            stranger.send_to(&rtp(call.sequence.wrapping_add(n), "mine"), to).unwrap();
        }
    }
    call.talk_in_the_kernel(20);
    assert_eq!(call.fast.streams(), 2);
    // What comes up waits behind the strangers' packets.
    for (phone, ours, other) in [(&call.a, ours_a, &call.b), (&call.b, ours_b, &call.a)] {
        let mut extended = rtp(call.sequence.wrapping_add(1), "\0\0\0\0");
        extended[0] |= 0x10;
        phone.send_to(&extended, ours).unwrap();
        assert_eq!(hear(other).0, extended);
    }
    let media = call.close();
    assert_eq!((media.a_to_b.dropped, media.b_to_a.dropped), (100, 50));
    assert_eq!((media.a_to_b.packets, media.a_to_b.lost), (call.sent + 1, 0));
}

#[test]
fn a_tap_brings_packets_back_before_it_counts() {
    let lan = Lan::new();
    let (a, b) = (lan.phone("a", "10.70.1.2"), lan.phone("b", "10.70.2.2"));
    let mut call = Call::established(&lan, &["to_a", "to_b"], "10.70.0.1", a, b);
    let voice = call.desk.plane.voice_ports().remove(0);
    call.talk_in_the_kernel(20);
    assert!(voice.heard().is_none());
    call.desk.tell(Command::Tap { id: ID, side: Side::A, on: true });
    call.desk.settle();
    assert_eq!(call.fast.streams(), 0);
    let before = call.fast.packets();
    for _ in 0..10 {
        // As many as a listener is given at once.
        call.talk();
        let heard = voice.heard().expect("a copy of each");
        assert_eq!(heard.packet[..], rtp(call.sequence, "from a"));
    }
    assert_eq!(call.fast.packets(), before);
    // The other way is nobody's business: it is established again.
    call.talk_until(1);
    call.desk.tell(Command::Tap { id: ID, side: Side::A, on: false });
    call.desk.settle();
    call.talk_until(2);
    call.talk_in_the_kernel(20);
    let media = call.close();
    assert_eq!((media.a_to_b.packets, media.b_to_a.packets, media.a_to_b.lost), (call.sent, call.sent, 0));
}

#[test]
fn what_is_no_plain_packet_of_its_stream_goes_by_the_relay() {
    let lan = Lan::new();
    let (a, b) = (lan.phone("a", "10.70.1.2"), lan.phone("b", "10.70.2.2"));
    let mut call = Call::established(&lan, &["to_a", "to_b"], "10.70.0.1", a, b);
    call.talk_in_the_kernel(20);
    let [ours_a, ours_b] = call.ours();
    // RTCP on the RTP port (RFC 5761) leaves by the RTCP port, as b sends it.
    let listener =
        SocketAddr::new(call.b.local_addr().unwrap().ip(), call.b.local_addr().unwrap().port() + 1);
    let rtcp = lan.on("b", || UdpSocket::bind(listener).unwrap());
    rtcp.set_read_timeout(Some(SOON)).unwrap();
    let report = [0x80, 201, 0, 1, 1, 2, 3, 4];
    call.a.send_to(&report, ours_a).unwrap();
    assert_eq!(hear(&rtcp), (report.to_vec(), call.desk.pairs[1].rtcp));
    // An extension of the header, and a packet that says to be longer than it is.
    let mut extended = rtp(call.sequence.wrapping_add(1), "\0\0\0\0");
    extended[0] |= 0x10;
    call.a.send_to(&extended, ours_a).unwrap();
    assert_eq!(hear(&call.b), (extended.clone(), ours_b));
    extended[15] = 9;
    call.a.send_to(&extended, ours_a).unwrap();
    call.sequence = call.sequence.wrapping_add(1);
    call.talk_in_the_kernel(20);
    assert_eq!(call.fast.streams(), 2, "none of that was another stream");
    // Another SSRC is.
    let mut other = rtp(40_000, "anew");
    other[8..12].copy_from_slice(&[9, 9, 9, 9]);
    call.a.send_to(&other, ours_a).unwrap();
    assert_eq!(hear(&call.b), (other, ours_b));
    assert_eq!(call.fast.streams(), 1);
    let media = call.close();
    assert_eq!((media.a_to_b.packets, media.a_to_b.lost), (call.sent + 2, 0));
    assert_eq!((media.a_to_b.dropped, media.a_to_b.malformed), (1, 1));
}

#[test]
fn a_stream_whose_numbers_begin_anew_goes_by_the_relay_until_it_is_established_again() {
    let lan = Lan::new();
    let (a, b) = (lan.phone("a", "10.70.1.2"), lan.phone("b", "10.70.2.2"));
    let mut call = Call::established(&lan, &["to_a", "to_b"], "10.70.0.1", a, b);
    call.talk_in_the_kernel(20);
    call.sequence = call.sequence.wrapping_add(20_000);
    call.talk();
    assert_eq!(call.fast.streams(), 2, "one packet may be a stray");
    call.talk();
    assert_eq!(call.fast.streams(), 0);
    call.talk_until(2);
    let (before, sent) = (call.fast.packets(), call.sent);
    call.talk_in_the_kernel(100);
    let media = call.close();
    assert!(call.fast.packets() - before >= 200);
    assert_eq!((media.a_to_b.packets, media.b_to_a.packets), (call.sent, sent + 100));
    assert_eq!((media.a_to_b.lost, media.b_to_a.lost), (0, 0));
}

#[test]
fn a_stream_goes_on_by_another_way_when_routes_change() {
    let lan = Lan::new();
    let (a, b) = (lan.phone("a", "10.70.1.2"), lan.phone("b", "10.70.2.2"));
    let mut call = Call::established(&lan, &["to_a", "to_b"], "10.70.0.1", a, b);
    // b moves to another link, with its address.
    let (relay, machine) = (lan.machine(RELAY), lan.machine("b"));
    ip(&format!("-n {relay} link add new_b type veth peer name eth1 netns {machine}"));
    ip(&format!("-n {relay} link set new_b up"));
    ip(&format!("-n {machine} link set eth1 up"));
    ip(&format!("-n {machine} route add 10.70.0.1/32 dev eth1"));
    ip(&format!("-n {relay} route add 10.70.2.2/32 dev new_b src 10.70.0.1"));
    ip(&format!("-n {machine} link set eth0 down"));
    ip(&format!("-n {machine} address add 10.70.2.2/32 dev eth1"));
    // What comes in there goes by the relay; what goes out there by the kernel, within a second or two.
    let patience = Duration::from_millis(200);
    call.b.set_read_timeout(Some(patience)).unwrap();
    let mut room = [0; 64];
    let reached = (0..20).any(|_| {
        call.sequence += 1;
        call.a.send_to(&rtp(call.sequence, "from a"), call.ours()[0]).unwrap();
        call.b.recv(&mut room).is_ok()
    });
    assert!(reached, "b hears nothing any more");
    assert_eq!(call.fast.streams(), 2);
}

#[test]
fn without_the_right_to_load_programs_it_says_so_and_is_not_there() {
    let lan = Lan::new();
    let error = lan.on(RELAY, || {
        let none = CapabilitySet::empty();
        let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
        rustix::thread::set_capabilities(None, sets).unwrap();
        FastPath::start(&["to_a".to_owned()], "10.70.0.1".parse().unwrap(), DSCP_EF).err().unwrap()
    });
    let text = error.to_string();
    assert!(text.starts_with("the kernel doesn't take") && text.contains("ermi"), "{text}");
}

#[test]
fn the_rights_of_the_drop_in_are_enough() {
    let lan = Lan::new();
    let rights = CapabilitySet::BPF | CapabilitySet::NET_ADMIN;
    assert!(
        include_str!("../systemd/fast-path.conf").contains("\nAmbientCapabilities=CAP_BPF CAP_NET_ADMIN\n")
    );
    let streams = lan.on(RELAY, || {
        let sets = CapabilitySets { effective: rights, permitted: rights, inheritable: rights };
        rustix::thread::set_capabilities(None, sets).unwrap();
        FastPath::start(&["to_a".to_owned()], "10.70.0.1".parse().unwrap(), DSCP_EF).unwrap().streams()
    });
    assert_eq!(streams, 0);
}

#[test]
fn interfaces_and_addresses_that_will_not_do_are_named() {
    let lan = Lan::new();
    let refused = |interface: &str, ours: &str| {
        let interface = vec![interface.to_owned()];
        lan.on(RELAY, || {
            FastPath::start(&interface, ours.parse().unwrap(), DSCP_EF).err().unwrap().to_string()
        })
    };
    assert_eq!(refused("eth7", "10.70.0.1"), "there is no interface eth7");
    let all = "it needs one address in [media] listen, and :: is all of them";
    assert_eq!(refused("to_a", "::"), all);
    ip(&format!("-n {} tuntap add tun7 mode tun", lan.machine(RELAY)));
    assert_eq!(refused("tun7", "10.70.0.1"), "the interface tun7 is not one of Ethernet");
}
