//! The media of one call, as signalling sees it: two port pairs of the relay, the SDP that points parties at them, and where each
//! party wants to receive.

mod voice;

use super::aside::Aside;
use super::destination;
use super::office::{CallKey, Effect, Office};
use crate::relay::rewriting::Key;
use crate::relay::{Audio, Command, PortPair, RelayId, Side, Source};
use crate::sdp::payload::Renumbering;
use crate::sdp::{self, Direction, Origin, Ports, Protection, SdpError};
use crate::voice::packet::Format;
use bytes::Bytes;
use std::net::IpAddr;
use voice::Voiced;

/// The relay of one call; its id is the call's.
#[derive(Debug)]
pub struct Anchor {
    id: RelayId,
    a: PortPair,
    b: PortPair,
    state: State,
    /// How each party means to speak and to hear, A's first; nothing while it is on hold by an address of none.
    directions: [Option<Direction>; 2],
    /// Who is heard, as it was told last.
    audio: Audio,
    /// Whether each party takes its media by IPv6; nothing before it has said where.
    by_ipv6: [Option<bool>; 2],
    /// How each side is secured, as the relay has been told last.
    told: [Protection; 2],
    /// The payload types that each side is sent, where they are not those of the other party.
    renumbered: [Option<Renumbering>; 2],
    /// Who hears us, and not the other party.
    voiced: Voiced,
    /// It is recorded, of parties that speak so.
    records: Option<[Vec<Format>; 2]>,
    /// Where nobody is, A's side first.
    vacant: [bool; 2],
    /// The branch that side B was pointed at last.
    leads_to: Option<usize>,
}

/// A relay of this call whose place another one has taken: what is free once it is closed.
#[derive(Debug)]
pub(super) struct Superseded {
    pub id: RelayId,
    pub b: PortPair,
}

/// The call that a relay belongs to.
#[must_use]
pub fn call_of(relay: RelayId) -> CallKey {
    CallKey(relay.call())
}

/// The relay of that number of a call: 0 is its own, the others are those of legs that are asked apart.
#[must_use]
pub(super) fn relay_of(call: CallKey, n: u32) -> RelayId {
    RelayId::of_call(call.0, n)
}

/// Until the callee's side has said where it receives there is nothing to relay: a call that nobody answers costs the media plane
/// nothing.
#[derive(Debug)]
enum State {
    /// The ports are ours. What is to be told when the relay opens.
    Reserved(Vec<Command>),
    Open,
}

impl Anchor {
    /// Takes two port pairs. `None` when the ports are used up.
    pub fn reserve(office: &mut Office, call: CallKey) -> Option<Anchor> {
        let a = office.ports.take()?;
        let Some(b) = office.ports.take() else {
            office.ports.give(a);
            return None;
        };
        let state = State::Reserved(Vec::new());
        let (directions, audio) = ([Some(Direction::SendRecv); 2], Audio::BothWays);
        let (voiced, records) = (Voiced::default(), None);
        let id = relay_of(call, 0);
        let (by_ipv6, told, renumbered) = ([None; 2], Default::default(), Default::default());
        let (vacant, leads_to) = ([false; 2], None);
        Some(Anchor {
            id,
            a,
            b,
            state,
            directions,
            audio,
            by_ipv6,
            told,
            renumbered,
            voiced,
            records,
            vacant,
            leads_to,
        })
    }

    /// The description as a party on side `to` gets it, in the dialog of that origin: audio at our port that faces it.
    ///
    /// # Errors
    /// See [`SdpError`].
    pub fn rewrite(
        &self,
        office: &Office,
        to: Side,
        origin: &mut Origin,
        description: &[u8],
    ) -> Result<Bytes, SdpError> {
        let [a, b] = self.by_ipv6;
        let by_ipv6 = if to == Side::A { a } else { b };
        self.rewrite_by(office, to, by_ipv6.unwrap_or(false), origin, description)
    }

    /// As [`Anchor::rewrite`], for a party that has described nothing so far: it is reached by IPv6, or by IPv4.
    ///
    /// # Errors
    /// See [`SdpError`].
    pub fn rewrite_by(
        &self,
        office: &Office,
        to: Side,
        by_ipv6: bool,
        origin: &mut Origin,
        description: &[u8],
    ) -> Result<Bytes, SdpError> {
        let pair = match to {
            Side::A => self.a,
            Side::B => self.b,
        };
        let address = match office.media_advertise_ipv6 {
            Some(address) if by_ipv6 => address.into(),
            _ => office.media_advertise.unwrap_or_else(|| pair.rtp.ip()),
        };
        origin.describe(description, Ports { address, rtp: pair.rtp.port(), rtcp: pair.rtcp.port() })
    }

    /// The party on that side has said where it receives, and how that is secured; behind a NAT it is expected there. The callee's word opens
    /// the relay.
    pub fn point(
        &mut self,
        office: &mut Office,
        side: Side,
        description: &[u8],
        protection: Protection,
        expected: Option<IpAddr>,
    ) {
        let Ok(audio) = sdp::audio(description) else { return };
        let [a, b] = &mut self.directions;
        *(if side == Side::A { a } else { b }) = (!audio.on_hold).then_some(audio.direction);
        if !audio.on_hold {
            let [a, b] = &mut self.by_ipv6;
            *(if side == Side::A { a } else { b }) = Some(audio.rtp.is_ipv6());
        }
        let id = self.id;
        let allowed = |to| destination::allowed(office, &[self.a, self.b], to).filter(|_| !audio.on_hold);
        let rtp = allowed(audio.rtp);
        let rtcp = rtp.and_then(|_| allowed(audio.rtcp));
        // ICE finds out by itself where such a party is.
        let found = matches!(&protection, Protection::Dtls(association) if association.ice.is_some());
        let point = (!found).then_some(Command::Point { id, side, rtp, rtcp, expected });
        let told = &mut self.told[usize::from(side == Side::B)];
        let secure = (*told != protection).then(|| Command::Secure { id, side, by: protection.clone() });
        *told = protection;
        let commands = secure.into_iter().chain(point); // first the keys: nothing goes out in the clear
        match (&mut self.state, side) {
            (State::Open, _) => commands.for_each(|command| office.effect(Effect::Media(command))),
            (State::Reserved(held), Side::A) => held.extend(commands),
            (State::Reserved(held), Side::B) => {
                held.extend(commands);
                self.open(office);
            }
        }
    }

    /// What that party is sent has these payload types from now on.
    pub fn renumber(&mut self, office: &mut Office, side: Side, by: Option<Renumbering>) {
        let renumbered = &mut self.renumbered[usize::from(side == Side::B)];
        if *renumbered == by {
            return;
        }
        renumbered.clone_from(&by);
        let command = Command::Renumber { id: self.id, side, by };
        match &mut self.state {
            State::Open => office.effect(Effect::Media(command)),
            State::Reserved(held) => held.push(command),
        }
    }

    /// The party on that side is told of a key in the stream of the other one. `false`: it gets none.
    pub fn press(&self, office: &mut Office, side: Side, key: Key) -> bool {
        let hears = matches!(self.state, State::Open) && !self.is_voiced(side);
        if hears {
            office.effect(Effect::Media(Command::Press { id: self.id, side, key }));
        }
        hears
    }

    /// Whether a party is meant to be heard: it means to speak, and the other one to hear.
    fn is_to_be_heard(&self, side: Side) -> bool {
        let [a, b] = self.directions;
        let (speaker, hearer) = if side == Side::A { (a, b) } else { (b, a) };
        matches!(speaker, Some(Direction::SendRecv | Direction::SendOnly))
            && matches!(hearer, Some(Direction::SendRecv | Direction::RecvOnly))
    }

    /// The media plane has noticed who is heard. What is to be told of it, if anything: who isn't meant to be heard isn't missed.
    pub fn judge(&mut self, noticed: Audio) -> Option<Audio> {
        let missing = |side: Side| {
            // Who hears us doesn't hear the other party.
            noticed.misses(side) && self.is_to_be_heard(side) && !self.is_voiced(side.other())
        };
        let audio = Audio::missing(missing(Side::A), missing(Side::B));
        (std::mem::replace(&mut self.audio, audio) != audio).then_some(audio)
    }

    /// Relays from now on, though the callee's side has not said anything.
    fn open(&mut self, office: &mut Office) {
        if let State::Reserved(held) = &mut self.state {
            let held = std::mem::take(held);
            self.state = State::Open;
            office.effect(Effect::Media(Command::Open { id: self.id, a: self.a, b: Some(self.b) }));
            for command in held {
                office.effect(Effect::Media(command));
            }
        }
    }

    /// The branch that side B was pointed at last.
    #[must_use]
    pub fn leads_to(&self) -> Option<usize> {
        self.leads_to
    }

    /// Side B is pointed at that branch.
    pub fn lead_to(&mut self, branch: usize) {
        self.leads_to = Some(branch);
    }

    /// Whether nobody is on that side: what the other party says goes nowhere then.
    pub fn vacate(&mut self, office: &mut Office, side: Side, vacant: bool) {
        let before = &mut self.vacant[usize::from(side == Side::B)];
        if *before == vacant || !matches!(self.state, State::Open) {
            return;
        }
        *before = vacant;
        if !self.is_voiced(side) {
            self.feed_by_party(office, side);
        }
    }

    /// The party on that side, if one is there, hears the other one.
    fn feed_by_party(&self, office: &mut Office, side: Side) {
        let from = if self.vacant[usize::from(side == Side::B)] { Source::Nobody } else { Source::Party };
        office.effect(Effect::Media(Command::Feed { id: self.id, side, from }));
    }

    /// Whether the media plane was told to open it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    #[must_use]
    pub fn id(&self) -> RelayId {
        self.id
    }

    /// Takes over the ports of a leg that was asked apart, in the place of those that were to face it. A relay that is
    /// open already goes on under another name: what the caller has agreed to with it stays. So do the keys of the leg.
    pub(super) fn adopt(
        &mut self,
        office: &mut Office,
        aside: &mut Aside,
        successor: RelayId,
    ) -> Option<Superseded> {
        let heir = if let State::Open = self.state { successor } else { self.id };
        aside.hand_over(office, (heir, Side::B));
        aside.close(office, true);
        let b = std::mem::replace(&mut self.b, aside.pair);
        let State::Open = self.state else {
            office.ports.give(b);
            return None;
        };
        self.end_voice(office);
        let id = std::mem::replace(&mut self.id, successor);
        office.effect(Effect::Media(Command::Succeed { id, by: successor, b: aside.pair }));
        self.renumbered = Default::default();
        self.vacant = [false; 2];
        let [_, told] = &mut self.told;
        *told = Protection::Plain;
        Some(Superseded { id, b })
    }

    /// The party on that side goes on there with the keys that it has here. To be said before this one is closed.
    pub fn hand_over(&self, office: &mut Office, side: Side, to: (RelayId, Side)) {
        let secured = self.told[usize::from(side == Side::B)] != Protection::Plain;
        if let (State::Open, true) = (&self.state, secured) {
            office.effect(Effect::Media(Command::HandOver { id: self.id, side, to }));
        }
    }

    /// Stops relaying. `true`: the media plane will report, and the pairs are free only then (see [`Anchor::free`]).
    pub fn close(&mut self, office: &mut Office) -> bool {
        self.end_voice(office);
        let open = matches!(self.state, State::Open);
        if open {
            office.effect(Effect::Media(Command::Close { id: self.id }));
        }
        open
    }

    /// Gives the pairs back: to the end of the queue.
    pub fn free(self, office: &mut Office) {
        office.ports.give(self.a);
        office.ports.give(self.b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Ids;
    use crate::transaction::Transactions;
    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

    /// A description of a party's, that speaks and hears so.
    fn described(port: u16, direction: &str) -> String {
        format!(
            "v=0\r\no=x 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 0\r\na={direction}\r\n"
        )
    }

    #[test]
    fn who_is_on_hold_or_only_listens_is_not_missed() {
        let mut office = Office::new(Ids::new([1; 32], 0), Vec::new(), Transactions::default());
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let pair = |port| PortPair { rtp: at(port), rtcp: at(port + 1) };
        office.ports.add([pair(4000), pair(4002)]);
        let mut anchor = Anchor::reserve(&mut office, CallKey(1)).unwrap();
        for (of_caller, of_callee, noticed, told) in [
            ("sendrecv", "sendrecv", Audio::Silent, Some(Audio::Silent)),
            // The caller holds: its music plays, the callee listens.
            ("sendonly", "recvonly", Audio::CalleeSilent, Some(Audio::BothWays)),
            ("sendonly", "recvonly", Audio::Silent, Some(Audio::CallerSilent)),
            ("inactive", "inactive", Audio::Silent, Some(Audio::BothWays)),
            ("sendrecv", "sendrecv", Audio::BothWays, None),
            ("sendrecv", "sendrecv", Audio::CalleeSilent, Some(Audio::CalleeSilent)),
        ] {
            anchor.point(
                &mut office,
                Side::A,
                described(5000, of_caller).as_bytes(),
                Protection::Plain,
                None,
            );
            anchor.point(
                &mut office,
                Side::B,
                described(6000, of_callee).as_bytes(),
                Protection::Plain,
                None,
            );
            assert_eq!(anchor.judge(noticed), told, "{of_caller} {noticed:?}");
        }
    }

    #[test]
    fn each_party_is_told_the_address_of_its_own_family() {
        let mut office = Office::new(Ids::new([1; 32], 0), Vec::new(), Transactions::default());
        office.media_advertise = Some("192.0.2.1".parse().unwrap());
        office.media_advertise_ipv6 = Some("2001:db8::1".parse().unwrap());
        let at = |port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let pair = |port| PortPair { rtp: at(port), rtcp: at(port + 1) };
        office.ports.add([pair(4000), pair(4002)]);
        let mut anchor = Anchor::reserve(&mut office, CallKey(1)).unwrap();
        let offer = described(5000, "sendrecv");
        anchor.point(&mut office, Side::A, offer.as_bytes(), Protection::Plain, None);
        let mut origin = Origin::new(1, sdp::Keying::new([0; 32], None));
        let mut told = |anchor: &Anchor, side, by_ipv6: Option<bool>| {
            let described = match by_ipv6 {
                Some(by_ipv6) => anchor.rewrite_by(&office, side, by_ipv6, &mut origin, offer.as_bytes()),
                None => anchor.rewrite(&office, side, &mut origin, offer.as_bytes()),
            };
            sdp::audio(&described.unwrap()).unwrap().rtp.to_string()
        };
        assert_eq!(told(&anchor, Side::B, Some(true)), "[2001:db8::1]:4002", "a leg that is reached by IPv6");
        assert_eq!(told(&anchor, Side::B, Some(false)), "192.0.2.1:4002");
        let answer = described(6000, "sendrecv").replace("IP4 192.0.2.9", "IP6 2001:db8::9");
        anchor.point(
            &mut Office::new(Ids::new([2; 32], 0), Vec::new(), Transactions::default()),
            Side::B,
            answer.as_bytes(),
            Protection::Plain,
            None,
        );
        assert_eq!(told(&anchor, Side::A, None), "192.0.2.1:4000");
        assert_eq!(told(&anchor, Side::B, None), "[2001:db8::1]:4002", "in the dialog from then on");
    }
}
