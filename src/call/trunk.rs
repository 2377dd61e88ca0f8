//! Legs to the outside: by which trunk of the route and which of its places, what it is told, and when the next one takes over.

use super::Call;
use super::branch::{Callee, Progress};
use super::device::Reach;
use super::errand::Errand;
use super::fork::Invitation;
use super::geolocation::{self, Carried, Given};
use super::headers::{self, Onward};
use super::history::History;
use super::lines::{QUARANTINE, Standing, Target};
use super::office::{Named, Office};
use super::verdict;
use crate::clock::Now;
use crate::registrar::Location;
use crate::registrar::binding::{Binding, DeviceKey};
use crate::rules::domain::TrunkView;
use crate::rules::{Diverter, LegOutcome, PlannedLeg};
use crate::sip::{ConnectionId, Flow, Message, Name};
use std::sync::Arc;
use std::time::Duration;

/// A place that has not even said 100 for so long gives way to the next one of its trunk or route. Over UDP the INVITE has then been sent four
/// times (at 0, 0.5, 1.5 and 3.5 s), and RFC 3261 §17.2.1 wants a 100 within 200 ms: nobody is there. Timer B would take 32 s, in which
/// callers give up. The last one gets all of timer B.
/// A phone that is reached by several flows gets the same for each of them but the last.
pub(super) const SILENCE: Duration = Duration::from_secs(4);

/// One way out: a trunk, and one of the places that it leads to.
#[derive(Clone, Debug)]
pub struct Way {
    pub trunk: Arc<str>,
    pub target: Target,
    /// Of a trunk that registers here: where it has registered from.
    pub contact: Option<Box<Binding>>,
}

/// Where a trunk that registers here can be called, best first. What has registered before the rules said by what it is reached is not called by
/// anything else.
pub fn contacts<'l>(
    location: &'l Location,
    domain: &Arc<str>,
    trunk: &TrunkView,
) -> impl Iterator<Item = &'l Binding> + use<'l> {
    let only = trunk.transport.only();
    let all = location.of(&DeviceKey::of_trunk(domain, &trunk.name)).iter();
    all.filter(move |contact| only.is_none_or(|only| only == contact.flow.transport))
}

fn registered_ways(location: &Location, domain: &Arc<str>, trunk: &TrunkView) -> Vec<Way> {
    let way = |contact: &Binding| Way {
        trunk: trunk.name.clone(),
        target: Target { transport: contact.flow.transport, remote: contact.flow.remote, name: None },
        contact: Some(Box::new(contact.clone())),
    };
    contacts(location, domain, trunk).map(way).collect()
}

/// The Request-URI of a call for this number to that contact: the number in the place of its user (RFC 6140 §5.3 for one with `bnc`; of
/// any other contact it is what gateways and PBXs look for there).
fn at_contact(contact: &str, number: &str) -> String {
    let (scheme, rest) = contact.split_once(':').unwrap_or(("sip", contact));
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    let place: Vec<&str> = place.split(';').filter(|part| !part.eq_ignore_ascii_case("bnc")).collect();
    format!("{scheme}:{}@{}", headers::escape_user(number), place.join(";"))
}

/// Ways that one leg tries at the most; RFC 3263 §4.3 gives no end, and callers give up long before so many.
const WAYS_MAX: usize = 16;

impl Call {
    /// By the first trunk that leads somewhere and has a channel free; an emergency call takes one beyond the limit.
    pub(super) fn invite_outside(
        &mut self,
        office: &mut Office,
        now: Now,
        leg: usize,
        planned: &PlannedLeg,
        number: &Arc<str>,
        trunks: &[Arc<str>],
    ) -> Result<(), LegOutcome> {
        let domain = self.domain.clone();
        let Office { lines, ids, location, .. } = office;
        let (mut open, mut shut) = (Vec::new(), Vec::new());
        for trunk in lines.registered_first(&domain, trunks) {
            let key = (domain.name().clone(), trunk.clone());
            if let Some(trunk) = domain.trunk(&trunk).filter(|trunk| trunk.registers_here) {
                open.extend(registered_ways(location, domain.name(), trunk));
                continue;
            }
            for target in lines.drawn(&key, &mut || ids.word()) {
                let is_open = lines.standing(now.mono, &key, &target) == Standing::Open;
                let ways = if is_open { &mut open } else { &mut shut };
                ways.push(Way { trunk: trunk.clone(), target, contact: None });
            }
        }
        // What is passed over is better than nothing; and an emergency call leaves nothing untried.
        let is_emergency = self.walk.is_emergency();
        if is_emergency || open.iter().all(|way| lines.is_full(&domain, &way.trunk)) {
            open.append(&mut shut);
        }
        if self.wants_tls() {
            let led = !open.is_empty();
            open.retain(|way| way.target.transport.is_secure());
            if led && open.is_empty() {
                return Err(self.leg_unsecured(now, format!("tel:{number}")));
            }
        }
        open.truncate(WAYS_MAX);
        self.invite_trunk(office, now, leg, planned, number, &open)
    }

    /// The trunk of a branch and the place that it calls there.
    fn place_of(&self, index: usize) -> Option<(Named, Target)> {
        let branch = self.branches.get(index)?;
        let Callee::Trunk { trunk, .. } = &branch.callee else { return None };
        let Flow { transport, remote, connection, .. } = branch.flow;
        let target = Target { transport, remote, name: connection.and_then(ConnectionId::server) };
        Some(((self.domain.name().clone(), trunk.clone()), target))
    }

    /// A place of a trunk did not take the call before anything rang: one that says 503 (RFC 3261 §21.5.4), or nothing, is passed over
    /// for a while.
    pub(super) fn passes_over(
        &self,
        office: &mut Office,
        now: Now,
        index: usize,
        response: Option<&Message>,
    ) {
        let time = match response {
            Some(response) if response.status() == 503 => {
                let wished = response.number(Name::RetryAfter).map(|s| Duration::from_secs(s.into()));
                wished.unwrap_or(QUARANTINE)
            }
            Some(_) => return,
            None => QUARANTINE,
        };
        if let Some((trunk, target)) = self.place_of(index) {
            office.lines.quarantine(now.mono, &trunk, target, time);
        }
    }

    /// By the first of these ways that can be gone (RFC 3263 §4.3).
    fn invite_trunk(
        &mut self,
        office: &mut Office,
        now: Now,
        leg: usize,
        planned: &PlannedLeg,
        number: &Arc<str>,
        ways: &[Way],
    ) -> Result<(), LegOutcome> {
        let domain = self.domain.clone();
        let mut full: Option<&Arc<str>> = None;
        for (index, Way { trunk: name, target: place, contact }) in ways.iter().enumerate() {
            let Some(trunk) = domain.trunk(name) else { continue };
            let is_full = office.lines.is_full(&domain, name);
            if is_full && !self.walk.is_emergency() {
                if full.replace(name) != Some(name) {
                    let entry = self.log.leg(now, format!("tel:{number}"));
                    self.log.leg_ended(now, entry, None, &format!("trunk {name} is full"));
                }
                continue;
            }
            let flow = match contact {
                Some(contact) => Some(contact.flow),
                None => office.flow_to(place),
            };
            let Some(flow) = flow else { continue };
            let key = (domain.name().clone(), name.clone());
            // No limit keeps an emergency call from going out, but the carrier has limits of its own.
            if is_full && !self.holds(&key) {
                office.errands.push(Errand::MakeWay { on: key.clone() });
            }
            let target = match contact {
                Some(contact) => at_contact(contact.target(), number),
                None => {
                    let host = trunk.proxy.clone().unwrap_or_else(|| flow.remote.to_string());
                    let scheme = if self.wants_tls() { "sips" } else { "sip" };
                    format!("{scheme}:{}@{host}", headers::escape_user(number))
                }
            };
            let history = self.onward(planned, &target);
            let onward = Some(Onward {
                wants: trunk.diversion,
                trusted: trunk.trust,
                remote_party: trunk.remote_party_id,
                signed: self.signs_for(planned, trunk),
                history: &history,
            });
            let next = ways.get(index + 1..).unwrap_or_default().to_vec();
            let patience = (!next.is_empty()).then(|| now.mono + SILENCE);
            let callee = Callee::Trunk { trunk: name.clone(), number: number.clone(), next };
            let ticket = self.charge(office, now, (leg, planned))?;
            let channel = Some(office.lines.channel(&key).charged(ticket));
            let reach = contact.as_ref().map(|contact| Reach::of(contact)).unwrap_or_default();
            let invitation =
                Invitation { leg, planned, callee, target: &target, flow, onward, channel, patience, reach };
            return self.ring_at(office, now, &invitation);
        }
        Err(LegOutcome::Failed)
    }

    /// What a trunk may be told of the way so far: what came in, and each of our own forwards, to the next who forwards and at last
    /// to the target.
    fn onward(&self, planned: &PlannedLeg, target: &str) -> History {
        let mut history = self.history.clone();
        let station = |by: &Diverter| format!("sip:{}@{}", headers::escape_user(&by.who), self.domain.name());
        let next = planned.diversions.iter().skip(1).map(station).chain([target.to_owned()]);
        for (by, to) in planned.diversions.iter().zip(next) {
            history.divert(&station(by), by.reason, &to);
        }
        history
    }

    /// Where an emergency call comes from, for whoever takes it: as the rules say, else as the caller does. By no other call, and to no
    /// phone: whoever isn't to send help has no business knowing.
    pub(super) fn location_onward(
        &self,
        office: &mut Office,
        now: Now,
        invitation: &Invitation<'_>,
    ) -> Option<Carried> {
        if !self.walk.is_emergency() || invitation.onward.is_none() {
            return None;
        }
        let from = invitation.planned.caller_id.number.as_deref().unwrap_or("unknown");
        let of_rules = self
            .walk
            .location()
            .and_then(|location| geolocation::of_rules(office, now, &self.domain, location, from));
        of_rules.or_else(|| match geolocation::given(office, &self.caller.invite) {
            Given::Sound(carried) => Some(carried),
            Given::Nothing | Given::Malformed => None, // the call goes out all the same
        })
    }

    /// Whether the signature that came with the call (RFC 8224) goes on by this trunk: it speaks of the number that the leg shows.
    fn signs_for(&self, planned: &PlannedLeg, trunk: &TrunkView) -> bool {
        let shown = planned.caller_id.number.as_deref();
        self.by_trunk && !trunk.strips_identity && shown.is_some() && shown == self.walk.caller_e164()
    }

    /// A trunk asks who we are (RFC 3261 §22.1): the same INVITE once more with the credentials that we register with, as another
    /// transaction of the same Call-ID and From with a CSeq one higher (§8.1.3.5). `false`: there is nothing to say, or nothing new.
    pub(super) fn answers_challenge(
        &mut self,
        office: &mut Office,
        now: Now,
        index: usize,
        response: &Message,
    ) -> bool {
        let Some(branch) = self.branches.get_mut(index).filter(|branch| branch.is_calling()) else {
            return false;
        };
        let Callee::Trunk { trunk, .. } = &branch.callee else { return false };
        let Some(login) = self.domain.login(trunk) else { return false };
        let Some(mut session) = branch.answered.answer(&login, response) else { return false };
        let cnonce = format!("{:016x}", office.ids.word());
        let (field, credentials) = session.credentials("INVITE", branch.request.request_uri(), &cnonce);
        self.invite_again(office, now, index, &[(field, &credentials)])
    }

    /// The INVITE of a branch once more, with these fields, as another transaction of the same Call-ID and From with a CSeq one higher
    /// (RFC 3261 §8.1.3.5).
    pub(super) fn invite_again(
        &mut self,
        office: &mut Office,
        now: Now,
        index: usize,
        fields: &[(Name, &str)],
    ) -> bool {
        let name = headers::first_branch(office, self.loop_token);
        let client = self.next_client();
        let Some(branch) = self.branches.get_mut(index) else { return false };
        let number = branch.cseq().saturating_add(1);
        let bytes = headers::again(office, &name, &branch.flow, &branch.request, number, fields);
        let Ok(request) = Message::parse(bytes.clone()) else { return false };
        branch.request = request;
        branch.client = client;
        branch.patience = branch.patience.map(|_| now.mono + SILENCE);
        office.request(now, client, branch.flow, bytes);
        true
    }

    /// Leaves places of trunks, and flows of phones, that have been silent for too long, where another one takes the leg over.
    pub(super) fn lose_patience(&mut self, office: &mut Office, now: Now) {
        for index in 0..self.branches.len() {
            let Some(branch) = self.branches.get_mut(index) else { return };
            if branch.patience.take_if(|at| *at <= now.mono).is_none()
                || !branch.is_calling()
                || branch.progress() > Progress::Nothing
                || !self.tries_next(office, now, index, (verdict::Onward::Place, true))
            {
                continue;
            }
            self.passes_over(office, now, index, None);
            let branch = &mut self.branches[index];
            self.log.leg_ended(now, branch.entry, None, "no response");
            if let Some(channel) = &branch.channel {
                office.lines.failed(channel);
            }
            branch.leave(office, now, &[]); // should it wake up: CANCEL, or ACK and BYE
        }
    }

    /// Whether another place of the trunk, or another trunk, takes the leg over.
    pub(super) fn tries_next_way(
        &mut self,
        office: &mut Office,
        now: Now,
        index: usize,
        onward: verdict::Onward,
    ) -> bool {
        let branch = &self.branches[index];
        let (leg, stage) = (branch.leg, branch.stage);
        let Callee::Trunk { trunk, number, mut next } = branch.callee.clone() else { return false };
        let Some(ring) = self.state.ring() else { return false };
        match onward {
            verdict::Onward::Nothing => return false,
            verdict::Onward::Trunk => next.retain(|way| way.trunk != trunk),
            verdict::Onward::Place => {}
        }
        if stage != self.stage || !ring.is_ringing(leg) {
            return false;
        }
        let planned = ring.plan().legs[leg].clone();
        self.invite_trunk(office, now, leg, &planned, &number, &next).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::at_contact;

    #[test]
    fn a_number_stands_in_the_place_of_the_contacts_user() {
        for (contact, target) in [
            ("sip:198.51.100.3:5060;bnc", "sip:+12145550105@198.51.100.3:5060"),
            ("sip:pbx@198.51.100.3;transport=tcp", "sip:+12145550105@198.51.100.3;transport=tcp"),
            ("sips:[2001:db8::1]:5061", "sips:+12145550105@[2001:db8::1]:5061"),
        ] {
            assert_eq!(at_contact(contact, "+12145550105"), target);
        }
    }
}
