//! What of one relay's streams the kernel passes on. Looked at once a second: a stream that is established, and was the second before,
//! is handed to the kernel, and what it has carried goes into the relay's own statistics.

use super::bytes::Counts;
use super::{Entry, FastPath};
use crate::net::clock;
use crate::relay::Side;
use crate::relay::established::{Carried, Flow};
use crate::relay::forward::{PACKETS_A_LOOK, Relay};
use crate::relay::stats::DROPOUT_MAX;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Both streams of a relay.
#[derive(Debug, Default)]
pub(in crate::net::media) struct Carriage {
    a: Leg,
    b: Leg,
}

#[derive(Debug, Default)]
struct Leg {
    /// Established at the last look, when so many packets had come.
    noticed: Option<(Flow, u64)>,
    carried: Option<Entry>,
}

const SIDES: [Side; 2] = [Side::A, Side::B];

impl Carriage {
    /// Whether the kernel passes on any of its streams.
    pub(in crate::net::media) fn carries(&self) -> bool {
        self.a.carried.is_some() || self.b.carried.is_some()
    }

    /// The look of each second, before the relay's own. `ours`: the addresses of its RTP ports, of side A and of side B.
    pub(in crate::net::media) fn look(
        &mut self,
        now: Instant,
        fast: &FastPath,
        relay: &mut Relay,
        ours: (SocketAddr, SocketAddr),
    ) {
        for side in SIDES {
            let leg = self.leg(side);
            if let Some(entry) = &mut leg.carried {
                let before = entry.told.0;
                if let Some(counts) = fast.counts(entry) {
                    entry.tell(now, fast, relay, side, &counts);
                }
                // The kernel sets no limit. The relay does, for as long as this goes on.
                let floods = entry.told.0 - before > u64::from(PACKETS_A_LOOK);
                if floods || !fast.reroute(entry) {
                    leg.end(now, fast, relay, side);
                }
                continue;
            }
            let established = relay.established(side);
            let noticed = established.map(|established| (established.flow, relay.came(side)));
            let goes_on = match (leg.noticed, noticed) {
                (Some((before, had)), Some((flow, has))) => before == flow && has > had,
                _ => false,
            };
            leg.noticed = noticed;
            if let Some(established) = established.filter(|_| goes_on) {
                let ours = match side {
                    Side::A => ours,
                    Side::B => (ours.1, ours.0),
                };
                leg.carried = fast.establish(ours, &established);
            }
        }
    }

    /// A packet from there has come to the relay itself: if it is one of a stream that the kernel passes on, or could take the
    /// place of one, what that has carried comes before it.
    pub(in crate::net::media) fn catch_up(
        &mut self,
        now: Instant,
        fast: &FastPath,
        relay: &mut Relay,
        side: Side,
        from: SocketAddr,
    ) {
        let of_it = |entry: &&mut Entry| entry.flow.from == from || relay.may_move(side, from);
        if let Some(entry) = self.leg(side).carried.as_mut().filter(of_it)
            && let Some(counts) = fast.counts(entry)
        {
            entry.tell(now, fast, relay, side, &counts);
        }
    }

    /// The relay itself has had a packet: streams that are no longer what they were are taken from the kernel.
    pub(in crate::net::media) fn settle(&mut self, now: Instant, fast: &FastPath, relay: &mut Relay) {
        for side in SIDES {
            let leg = self.leg(side);
            let stands = leg.carried.as_ref().is_none_or(|entry| {
                relay.established(side).is_some_and(|established| {
                    // A stream whose numbers begin anew is one that the kernel has to be told of anew.
                    let step = established.progress.sequence.wrapping_sub(entry.sequence);
                    established.flow == entry.flow && step < DROPOUT_MAX
                })
            });
            if !stands {
                leg.end(now, fast, relay, side);
            }
        }
    }

    /// Takes all from the kernel: something else is to be done with these packets from here on.
    pub(in crate::net::media) fn withdraw(&mut self, now: Instant, fast: &FastPath, relay: &mut Relay) {
        for side in SIDES {
            self.leg(side).end(now, fast, relay, side);
        }
    }

    fn leg(&mut self, side: Side) -> &mut Leg {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }
}

impl Leg {
    fn end(&mut self, now: Instant, fast: &FastPath, relay: &mut Relay, side: Side) {
        self.noticed = None;
        if let Some(mut entry) = self.carried.take()
            && let Some(counts) = fast.withdraw(&entry)
        {
            entry.tell(now, fast, relay, side, &counts);
        }
    }
}

impl Entry {
    /// Tells the relay what has passed since it was told last.
    fn tell(&mut self, now: Instant, fast: &FastPath, relay: &mut Relay, side: Side, counts: &Counts) {
        let (packets, octets) =
            (counts.packets.saturating_sub(self.told.0), counts.octets.saturating_sub(self.told.1));
        if packets == 0 {
            return;
        }
        self.told = (counts.packets, counts.octets);
        self.sequence = counts.sequence;
        fast.passed(packets);
        let measured = (counts.measured_ns != 0).then(|| {
            let ago = clock::monotonic_ns().saturating_sub(counts.measured_ns);
            now.checked_sub(Duration::from_nanos(ago)).unwrap_or(now)
        });
        let carried = Carried {
            packets,
            octets,
            sequence: counts.sequence,
            timestamp: counts.timestamp,
            measured,
            jitter: f64::from(counts.jitter) / 16.0,
        };
        relay.carried(now, side, &carried);
    }
}
