//! Relays of whose streams the kernel passes some on (`fast`): what still comes up of them, and when they are looked at.

use super::super::fast::FastPath;
use super::{Live, Relays};
use crate::relay::forward::Channel;
use crate::relay::{Command, Side};
use std::net::SocketAddr;
use std::time::Instant;

impl Live {
    fn look_beside(&mut self, now: Instant, fast: &FastPath) {
        let Some(b) = &self.b else { return };
        // They are bound.
        if let (Ok(a), Ok(b)) = (self.a.rtp.local_addr(), b.rtp.local_addr()) {
            self.carriage.look(now, fast, &mut self.relay, (a, b));
        }
    }
}

impl Relays {
    /// `octets` came into the buffer, from there, of a relay of which the kernel carries a stream.
    pub(super) fn beside(
        &mut self,
        now: Instant,
        at: usize,
        (side, channel): (Side, Channel),
        octets: usize,
        from: SocketAddr,
    ) {
        let (Some(fast), Some(Some(live))) = (&self.fast, self.relays.get_mut(at)) else { return };
        live.carriage.catch_up(now, fast, &mut live.relay, side, from);
        let (forward, octets) = live.judge(now, (side, channel), from, &mut self.buffer, octets, &self.voice);
        live.carriage.settle(now, fast, &mut live.relay);
        live.send(forward, self.buffer.get(..octets).unwrap_or_default());
    }

    /// Takes the streams of a relay from the kernel before a command to it is carried out; those that go on as they were are
    /// established again when they are next looked at.
    pub(super) fn take_back(&mut self, now: Instant, command: &Command) {
        if let Some(fast) = &self.fast
            && let Some(id) = command.relay()
            && let Some(live) = super::live(&self.index, &mut self.relays, id)
        {
            live.carriage.withdraw(now, fast, &mut live.relay);
        }
    }

    /// The look of each second, before it is looked who is heard.
    pub(super) fn look_beside(&mut self, now: Instant) {
        let Some(fast) = &self.fast else { return };
        fast.look();
        for live in self.relays.iter_mut().flatten() {
            live.look_beside(now, fast);
        }
    }
}
