//! Legs to the outside: by which trunk of the route, what it is told, and when the next one takes over.

use super::Call;
use super::branch::{Callee, Progress};
use super::device::Reach;
use super::fork::Invitation;
use super::headers::{self, Onward};
use super::history::History;
use super::office::Office;
use crate::clock::Now;
use crate::rules::domain::TrunkView;
use crate::rules::{Diverter, LegOutcome, PlannedLeg};
use crate::sip::{Flow, Message, Name};
use std::sync::Arc;
use std::time::Duration;

/// A trunk that has not even said 100 for so long gives way to the next one of its route. Over UDP the INVITE has then been sent four
/// times (at 0, 0.5, 1.5 and 3.5 s), and RFC 3261 §17.2.1 wants a 100 within 200 ms: nobody is there. Timer B would take 32 s, in which
/// callers give up. The last trunk of a route gets all of timer B.
/// A phone that is reached by several flows gets the same for each of them but the last.
pub(super) const SILENCE: Duration = Duration::from_secs(4);

impl Call {
    /// By the first trunk that has an address and a channel free; an emergency call takes one beyond the limit.
    pub(super) fn invite_trunk(
        &mut self,
        office: &mut Office,
        now: Now,
        leg: usize,
        planned: &PlannedLeg,
        number: &Arc<str>,
        trunks: &[Arc<str>],
    ) -> Result<(), LegOutcome> {
        let domain = self.domain.clone();
        let trunks = office.registered_first(&domain, trunks);
        for (index, name) in trunks.iter().enumerate() {
            let Some(trunk) = domain.trunk(name) else { continue };
            if office.is_full(&domain, name) && !self.walk.is_emergency() {
                let entry = self.log.leg(now, format!("tel:{number}"));
                self.log.leg_ended(now, entry, None, &format!("trunk {name} is full"));
                continue;
            }
            let Some(transport) = headers::transport_of(trunk.transport) else { continue };
            let key = (domain.name().clone(), name.clone());
            let Some(remote) = office.trunks.get(&key).and_then(|addresses| addresses.first()).copied()
            else {
                continue;
            };
            let Some(local) = office.listener(transport).map(|listener| listener.bound) else { continue };
            let flow = Flow { transport, local, remote, connection: None };
            let host = trunk.proxy.clone().unwrap_or_else(|| remote.to_string());
            let target = format!("sip:{}@{host}", headers::escape_user(number));
            let history = self.onward(planned, &target);
            let onward = Some(Onward {
                wants: trunk.diversion,
                trusted: trunk.trust,
                signed: self.signs_for(planned, trunk),
                history: &history,
            });
            let next = trunks.get(index + 1..).unwrap_or_default().to_vec();
            let patience = (!next.is_empty()).then(|| now.mono + SILENCE);
            let callee = Callee::Trunk { trunk: name.clone(), number: number.clone(), next };
            let channel = Some(office.channel(&key));
            let reach = Reach::default();
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

    /// Leaves trunks, and flows of phones, that have been silent for too long, where another one takes the leg over.
    pub(super) fn lose_patience(&mut self, office: &mut Office, now: Now) {
        for index in 0..self.branches.len() {
            let Some(branch) = self.branches.get_mut(index) else { return };
            if branch.patience.take_if(|at| *at <= now.mono).is_none()
                || !branch.is_calling()
                || branch.progress() > Progress::Nothing
                || !(self.tries_next_trunk(office, now, index, true)
                    || self.tries_next_flow(office, now, index, true))
            {
                continue;
            }
            let branch = &mut self.branches[index];
            self.log.leg_ended(now, branch.entry, None, "no response");
            if let Some(channel) = &branch.channel {
                office.trunk_failed(channel);
            }
            branch.leave(office, now, &[]); // should it wake up: CANCEL, or ACK and BYE
        }
    }

    /// Whether another trunk takes the leg over.
    pub(super) fn tries_next_trunk(
        &mut self,
        office: &mut Office,
        now: Now,
        index: usize,
        may: bool,
    ) -> bool {
        let branch = &self.branches[index];
        let (leg, stage) = (branch.leg, branch.stage);
        let Callee::Trunk { number, next, .. } = branch.callee.clone() else { return false };
        let Some(ring) = self.state.ring() else { return false };
        if !may || stage != self.stage || !ring.is_ringing(leg) {
            return false;
        }
        let planned = ring.plan().legs[leg].clone();
        self.invite_trunk(office, now, leg, &planned, &number, &next).is_ok()
    }
}
