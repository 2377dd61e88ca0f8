//! The packets of relays with a secured side: opened, judged as any other, and sealed again. Handshakes go to a thread of their own.

use super::super::handshake::Datagram;
use super::{Live, Relays};
use crate::relay::forward::{Channel, Forward};
use crate::relay::secured::Arrival;
use crate::relay::{RelayId, Side};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

impl Live {
    /// As [`Live::send`], of the first `octets` of the buffer. `false`: they could not be sealed.
    pub(super) fn send_sealed(&mut self, forward: Forward, buffer: &mut [u8], octets: usize) -> bool {
        let Forward::SendTo { side, channel, .. } = forward else { return true };
        let sealed = self.relay.leave((side, channel), buffer, octets);
        let Some(packet) = sealed.and_then(|octets| buffer.get(..octets)) else { return false };
        self.send(forward, packet);
        true
    }
}

impl Relays {
    /// `octets` came into the buffer, from there.
    pub(super) fn secured(
        &mut self,
        now: Instant,
        at: usize,
        (side, channel): (Side, Channel),
        octets: usize,
        from: SocketAddr,
    ) {
        let Some(Some(live)) = self.relays.get_mut(at) else { return };
        let Some(datagram) = self.buffer.get_mut(..octets) else { return };
        match live.relay.arrive(now, (side, channel), from, datagram, &mut self.answer) {
            Arrival::Packet(octets) => {
                let (forward, octets) =
                    live.judge(now, (side, channel), from, &mut self.buffer, octets, &self.voice);
                if !live.send_sealed(forward, &mut self.buffer, octets)
                    && let (Forward::SendTo { side, channel, .. }, Some(packet)) =
                        (forward, self.buffer.get(..octets))
                {
                    live.relay.unsent(side, channel, packet);
                }
            }
            Arrival::Checked(octets) => {
                if let (Some(socket), Some(answer)) = (live.socket(side, channel), self.answer.get(..octets))
                {
                    let _ = socket.send_to(answer, live.as_sent_to(from)); // its sender asks again
                }
                let id = live.id;
                self.begin_handshakes(id, side);
            }
            Arrival::Handshake => {
                let datagram = datagram.to_vec();
                let association = live.relay.association(side).cloned();
                if let (Some(association), Some(pair)) = (association, live.pair(side)) {
                    let (id, pair) = (live.id, Arc::clone(pair));
                    let (of, peer) = ((id, side, channel), live.as_sent_to(from));
                    self.handshakes.offer(Datagram { of, pair, association, peer, datagram });
                }
            }
            Arrival::Nothing => {}
        }
    }

    /// Begins the handshakes of that side, where that is for us to do and can be done.
    pub(super) fn begin_handshakes(&mut self, id: RelayId, side: Side) {
        let Some(live) = super::live(&self.index, &mut self.relays, id) else { return };
        for channel in [Channel::Rtp, Channel::Rtcp] {
            let Some((association, peer)) = live.relay.begins(side, channel) else { continue };
            let Some(pair) = live.pair(side).map(Arc::clone) else { return };
            let (of, peer) = ((id, side, channel), live.as_sent_to(peer));
            self.handshakes.offer(Datagram { of, pair, association, peer, datagram: Vec::new() });
        }
    }
}
