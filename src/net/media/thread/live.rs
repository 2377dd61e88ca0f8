//! A relay with its sockets: what comes by them is judged, and what is to be sent goes out.

use super::super::fast::carriage::Carriage;
use super::super::ports::Pair;
use super::super::voice::Voice;
use crate::relay::forward::{Channel, Forward, Outcome, Relay};
use crate::relay::{Heard, RelayId, Side};
use rustc_hash::FxHashMap;
use rustix::net::{RecvFlags, SendFlags};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

/// Stale packets thrown away from one socket when a relay opens. A flood that brings more has to pass the latch.
const STALE_MAX: usize = 2048;

/// A relay and its sockets.
pub(super) struct Live {
    pub(super) id: RelayId,
    pub(super) relay: Relay,
    /// What of it the kernel passes on.
    pub(super) carriage: Box<Carriage>,
    /// Its sockets are of IPv6, and take IPv4 as mapped addresses (RFC 4291 §2.5.5.2): those are seen nowhere but here.
    pub(super) both_families: bool,
    pub(super) a: Arc<Pair>,
    /// `None`: there is one party.
    pub(super) b: Option<Arc<Pair>>,
}

impl Live {
    pub(super) fn pair(&self, side: Side) -> Option<&Arc<Pair>> {
        match side {
            Side::A => Some(&self.a),
            Side::B => self.b.as_ref(),
        }
    }

    pub(super) fn socket(&self, side: Side, channel: Channel) -> Option<&UdpSocket> {
        let pair = self.pair(side)?;
        Some(match channel {
            Channel::Rtp => &pair.rtp,
            Channel::Rtcp => &pair.rtcp,
        })
    }

    /// See `Command::Point`; where there is no party nobody can be sent to.
    pub(super) fn point(
        &mut self,
        now: Instant,
        side: Side,
        to: (Option<SocketAddr>, Option<SocketAddr>),
        expected: Option<IpAddr>,
    ) {
        if side == Side::A || self.b.is_some() {
            self.relay.point(now, side, to, expected);
        }
    }

    /// What becomes of the packet in the first `octets` of the buffer, and how long it is then. The voice hears it where it listens.
    #[inline]
    pub(super) fn judge(
        &mut self,
        now: Instant,
        (side, channel): (Side, Channel),
        from: SocketAddr,
        buffer: &mut [u8],
        octets: usize,
        voice: &Voice,
    ) -> (Forward, usize) {
        let packet = &buffer[..octets];
        let Outcome { forward, tapped, rewritten } = self.relay.packet(now, side, channel, from, packet);
        if tapped {
            voice.heard(Heard { id: self.id, side, at: now, packet: packet.into() });
        }
        (forward, rewritten.map_or(octets, |it| it.write(buffer, octets)))
    }

    pub(super) fn send(&self, forward: Forward, packet: &[u8]) {
        if let Forward::SendTo { side, channel, to } = forward
            && let Some(socket) = self.socket(side, channel)
        {
            // Media that can't be sent now is of no use later.
            let _ = rustix::net::sendto(socket, packet, SendFlags::empty(), &self.as_sent_to(to));
        }
    }

    /// An address as its sockets take it.
    pub(super) fn as_sent_to(&self, to: SocketAddr) -> SocketAddr {
        if self.both_families { mapped(to) } else { to }
    }
}

/// The relay of that name, if it is open.
pub(super) fn live<'a>(
    index: &FxHashMap<RelayId, usize>,
    relays: &'a mut [Option<Live>],
    id: RelayId,
) -> Option<&'a mut Live> {
    relays.get_mut(*index.get(&id)?)?.as_mut()
}

/// The address as a socket of IPv6 wants it.
pub(super) fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddr::new(IpAddr::V6(v4.ip().to_ipv6_mapped()), v4.port()),
        SocketAddr::V6(_) => address,
    }
}

/// The address as it is in SDP.
pub(super) fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The next packet that waits, and where it comes from. By the system call itself: what the C library puts around it costs three
/// packets in a hundred.
pub(super) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
    let (octets, _, from) = rustix::net::recvfrom(socket, buffer, RecvFlags::empty()).ok()?;
    Some((octets, SocketAddr::try_from(from?).ok()?))
}

/// Throws away what came while the port was free: it belongs to an earlier call.
pub(super) fn drain(socket: &UdpSocket, buffer: &mut [u8]) {
    for _ in 0..STALE_MAX {
        if socket.recv_from(buffer).is_err() {
            return;
        }
    }
}
