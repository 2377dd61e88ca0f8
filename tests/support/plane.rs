//! A media plane over loopback sockets, without a daemon, and what its phones send.

#![allow(dead_code)] // each test binary compiles all of it and uses its part

use ringtree::net::media::{DSCP_EF, FastPath, Identity, Plane, Ports, Range, Reporter};
use ringtree::relay::{Command, Media, PortPair, RelayId, Report};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

pub struct Desk {
    pub plane: Plane,
    pub reports: Receiver<Report>,
    pub pairs: Vec<PortPair>,
    /// How long a report may take.
    soon: Duration,
}

impl Desk {
    /// With so many port pairs at that address.
    pub fn start(
        ip: IpAddr,
        pairs: usize,
        threads: usize,
        identity: Option<Identity>,
        soon: Duration,
    ) -> Desk {
        Desk::start_with(ip, pairs, threads, identity, None, soon)
    }

    /// And with a fast path.
    pub fn start_with(
        ip: IpAddr,
        pairs: usize,
        threads: usize,
        identity: Option<Identity>,
        fast: Option<&Arc<FastPath>>,
        soon: Duration,
    ) -> Desk {
        let (sender, reports) = sync_channel(64);
        let reporter: Reporter = Arc::new(move |report| {
            sender.send(report).unwrap();
            None
        });
        let ports = Ports::open(ip, Range::Any, DSCP_EF, pairs).unwrap();
        let plane = Plane::start(ports, threads, identity, fast, &reporter).unwrap();
        let Ok(Report::Opened { pairs: open, exhausted: false }) = reports.recv_timeout(soon) else {
            panic!("the pairs opened at first are reported first")
        };
        assert_eq!(open.len(), pairs);
        Desk { plane, reports, pairs: open, soon }
    }

    pub fn tell(&self, command: Command) {
        self.plane.command(command).unwrap();
    }

    /// Waits until the commands given so far are carried out: a growth by nothing is answered after them. (One thread.)
    pub fn settle(&self) {
        self.tell(Command::Grow { pairs: 0 });
        let report = self.reports.recv_timeout(self.soon).unwrap();
        assert_eq!(report, Report::Opened { pairs: vec![], exhausted: false });
    }

    pub fn close(&self, id: RelayId) -> Media {
        self.tell(Command::Close { id });
        self.closed(id)
    }

    /// What is reported next: that it has ended.
    pub fn closed(&self, id: RelayId) -> Media {
        match self.reports.recv_timeout(self.soon).unwrap() {
            Report::Closed { id: closed, media } if closed == id => media,
            other => panic!("{other:?}"),
        }
    }
}

/// A socket that waits so long for a packet.
pub fn phone(ip: &str, patience: Duration) -> UdpSocket {
    let socket = UdpSocket::bind((ip, 0)).unwrap();
    socket.set_read_timeout(Some(patience)).unwrap();
    socket
}

/// An RTP packet of PCMU with a payload that tells who spoke.
pub fn rtp(sequence: u16, text: &str) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend([1, 2, 3, 4]);
    packet.extend(text.as_bytes());
    packet
}

pub fn hear(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2048];
    let (octets, from) = socket.recv_from(&mut buffer).expect("a packet");
    (buffer[..octets].to_vec(), from)
}
