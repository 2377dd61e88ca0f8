//! Attended transfer (RFC 5589 §7): whoever transfers speaks with both parties, in two calls with us, and wants them to speak with each
//! other. The party of the other call comes over with its dialog ([`super::guest`]); it is asked for its session by a re-INVITE
//! without one, and from there on all is as when a blind transfer is answered ([`super::join`]). A trunk gets an offer instead, of what the
//! other party has last said of itself: many refuse a re-INVITE without a description, or answer it with the session as it was.
//!
//! Invariants: a party that has come over is either put in the place of whoever transfers, or given back with the session that it had, which
//! it is offered anew where it was offered another; a re-INVITE that gets no final response is cancelled after [`ANSWER_WITHIN`].

use super::branch::State as BranchState;
use super::challenged::Within;
use super::errand::{Errand, Note};
use super::guest::{Guest, Home};
use super::headers::{self, AGENT};
use super::join::{ANSWER_WITHIN, GLARES_MAX, Joining, after_glare};
use super::office::{Effect, Office};
use super::transfer::{Stage, Transfer};
use super::{Call, verdict};
use crate::call::branch::Callee;
use crate::clock::Now;
use crate::relay::Side;
use crate::rules::LegOutcome;
use crate::sip::{Message, Method, Name, Writer};
use crate::transaction::ClientId;
use std::time::Instant;

/// The new party has come, and is asked for its session.
#[derive(Debug)]
pub struct Asking {
    pub branch: usize,
    /// Where it has come from; `None`: by itself, with a Replaces of its own.
    pub home: Option<Home>,
    pub(super) client: ClientId,
    pub(super) cseq: u32,
    /// It was made an offer, and what it says is the answer.
    offered: bool,
    glares: u32,
    /// When it is asked again.
    pub again: Option<Instant>,
    /// When our re-INVITE is cancelled.
    pub until: Option<Instant>,
    /// It has hung up.
    pub lost: bool,
    /// It answers nothing any more, or knows of no such dialog, which is ended therefore (RFC 3261 §12.2.1.2).
    silent: bool,
}

impl Call {
    /// Whether its transfer waits for a party of another call.
    #[must_use]
    pub fn fetches(&self) -> bool {
        matches!(self.transfer().map(|transfer| &transfer.stage), Some(Stage::Fetching { .. }))
    }

    /// The side of whoever is transferred.
    #[must_use]
    pub fn transferred(&self) -> Option<Side> {
        self.transfer().map(|transfer| transfer.from.other())
    }

    /// There is nobody to be had: the transfer fails.
    pub fn fetched_nobody(&mut self, office: &mut Office, now: Now, code: u16) {
        if self.fetches() {
            self.transfer_failed(office, now, code);
        }
    }

    /// The party has come. Its branch.
    pub fn fetched(&mut self, office: &mut Office, now: Now, guest: Guest) -> Option<usize> {
        let client = self.key.client(0); // until it is asked
        let (branch, home) = self.seat_guest(now, guest);
        if let Some(transfer) = self.transfer_mut() {
            transfer.record.call = Some(home.id.clone());
            transfer.stage = Stage::Asking(Asking::new(client, branch, Some(home)));
        }
        self.ask_for_session(office, now);
        Some(branch)
    }

    /// A re-INVITE without a description: the answer to it is an offer (RFC 3264 §5). To a trunk one with an offer, where there is one to
    /// make.
    pub(super) fn ask_for_session(&mut self, office: &mut Office, now: Now) {
        let client = self.next_client();
        let name = headers::branch(office);
        let Some(index) = self.transfer_mut().and_then(Transfer::asking).map(|asking| asking.branch) else {
            return;
        };
        let callee = self.branches.get(index).map(|branch| branch.callee.clone());
        let offer = callee.and_then(|callee| self.offers(&callee));
        let described =
            offer.and_then(|(side, offer)| self.describe_offer_to(office, index, side, &offer).ok());
        let Some(branch) = self.branches.get_mut(index) else { return };
        let BranchState::Answered { dialog, .. } = &mut branch.state else { return };
        branch.client = client; // its 2xx may come again later
        let flow = headers::flow_towards(dialog, branch.flow, branch.behind_nat);
        let mut w = dialog.request(Method::Invite, None, headers::hop(office, &flow, &name));
        let cseq = dialog.local_cseq();
        branch.peer.write_session(office, &flow, &mut w);
        w.header(Name::UserAgent, AGENT);
        let callee = branch.callee.clone();
        self.name_referrer(&mut w, Some(&callee));
        if let Some(asking) = self.transfer_mut().and_then(Transfer::asking) {
            (asking.client, asking.cseq, asking.again) = (client, cseq, None);
            asking.until = Some(now.mono + ANSWER_WITHIN);
            asking.offered = described.is_some();
        }
        let bytes = w.described(described.as_deref());
        self.send_within(office, now, Within::Branch(index), client, flow, bytes);
    }

    /// ACK to the answer of whoever was made an offer.
    fn acknowledge_asked(&mut self, office: &mut Office, index: usize, client: ClientId, cseq: u32) {
        let name = headers::branch(office);
        let Some(branch) = self.branches.get_mut(index) else { return };
        let BranchState::Answered { dialog, .. } = &mut branch.state else { return };
        let flow = headers::flow_towards(dialog, branch.flow, branch.behind_nat);
        let mut w = dialog.request(Method::Ack, Some(cseq), headers::hop(office, &flow, &name));
        self.write_credentials(Side::B, Some(client), &mut w);
        let bytes = w.finish();
        office.effect(Effect::Send { flow, bytes: bytes.clone() });
        if let Some(BranchState::Answered { ack, .. }) =
            self.branches.get_mut(index).map(|branch| &mut branch.state)
        {
            *ack = Some(bytes);
        }
    }

    /// What the party says to it. `false`: this is no response to that.
    pub(super) fn asking_response(
        &mut self,
        office: &mut Office,
        now: Now,
        client: ClientId,
        message: &Message,
    ) -> bool {
        let Some(asking) = self.transfer_mut().and_then(Transfer::asking) else { return false };
        if asking.client != client || asking.again.is_some() {
            return false;
        }
        let (index, cseq, offered) = (asking.branch, asking.cseq, asking.offered);
        match message.status() {
            ..200 => {}
            200..=299 => {
                if offered {
                    asking.again = Some(now.mono); // nothing is on its way any more
                }
                if let Some(branch) = self.branches.get_mut(index)
                    && let BranchState::Answered { dialog, .. } = &mut branch.state
                {
                    dialog.refresh(message);
                    branch.peer.answered(now, message);
                    if offered {
                        branch.peer.origin.accepted();
                    }
                }
                if offered {
                    self.acknowledge_asked(office, index, client, cseq);
                }
                let Some(offer) = headers::description(message) else {
                    self.abandon(office, now);
                    self.transfer_failed(office, now, 488);
                    return true;
                };
                let heard = self.branches.get_mut(index).map(|branch| match offered {
                    true => branch.peer.hear(&offer), // it is the answer to ours
                    false => branch.peer.hear_offer(&offer),
                });
                if !matches!(heard, Some(Ok(()))) {
                    self.abandon(office, now);
                    self.transfer_failed(office, now, 488);
                    return true;
                }
                let home =
                    self.transfer_mut().and_then(Transfer::asking).and_then(|asking| asking.home.take());
                let joining = Joining { home, acked: offered, ..Joining::of(index, offer, cseq) };
                self.join(office, now, joining);
            }
            491 if asking.glares < GLARES_MAX => {
                asking.glares += 1;
                let ours = self.branches.get(index).is_some_and(|branch| branch.is_ours());
                let wait = after_glare(office, ours);
                if let Some(asking) = self.transfer_mut().and_then(Transfer::asking) {
                    (asking.again, asking.until) = (Some(now.mono + wait), None);
                }
            }
            code => {
                asking.again = Some(now.mono); // nothing is on its way any more
                asking.silent = matches!(code, 408 | 481);
                self.abandon(office, now);
                self.transfer_failed(office, now, code);
            }
        }
        true
    }

    /// The re-INVITE got no final response.
    pub(super) fn asking_failed(&mut self, office: &mut Office, now: Now, client: ClientId) -> bool {
        let ours = |asking: &&mut Asking| asking.client == client;
        let Some(asking) = self.transfer_mut().and_then(Transfer::asking).filter(ours) else { return false };
        (asking.silent, asking.again) = (true, Some(now.mono));
        self.abandon(office, now);
        self.transfer_failed(office, now, 408);
        true
    }

    /// A new party that has answered in vain: one that was called gets its ACK and a BYE, one that has come from another call goes back to
    /// the session that it had there; one that is silent gets a BYE, wherever it has come from.
    pub(super) fn abandon(&mut self, office: &mut Office, now: Now) {
        if let Some(client) = self.transfer_mut().and_then(Transfer::asking).map(|asking| asking.client) {
            self.forget(client);
        }
        let Some(transfer) = self.transfer_mut() else { return };
        let (index, home, (lost, silent), cseq, answered, pending, offered) = match &mut transfer.stage {
            Stage::Joining(it) => {
                (it.branch, it.home.take(), (it.lost, false), it.ack_cseq, !it.acked, false, it.acked)
            }
            Stage::Asking(it) => {
                let gone = (it.lost, it.silent);
                (it.branch, it.home.take(), gone, it.cseq, false, it.is_pending(), it.offered)
            }
            Stage::Deciding | Stage::Ringing(_) | Stage::Fetching { .. } => return,
        };
        let Some(branch) = self.branches.get_mut(index) else { return };
        // Where its response is still to come, that is acknowledged all the same.
        let after = if pending { BranchState::Leaving } else { BranchState::Ended(LegOutcome::Failed) };
        let BranchState::Answered { mut dialog, ack } = std::mem::replace(&mut branch.state, after) else {
            return;
        };
        if branch.owes_ack() {
            branch.state = BranchState::Leaving; // BYE, once it has come
            return;
        }
        if pending {
            office.cancel(now, branch.client, &[]); // else nobody would wait for its end
        }
        branch.arrived = None;
        if let Some(ack) = ack {
            let flow = headers::flow_towards(&dialog, branch.flow, branch.behind_nat);
            branch.dismissed.push((dialog.id.remote_tag.clone(), flow, ack)); // should its 2xx come again
        }
        // What it had agreed on holds again.
        let session = if home.is_some() && !offered { branch.peer.origin.agreed() } else { None };
        if answered || pending {
            let (flow, ack) = branch.ack_of(office, &mut dialog, cseq, session.as_deref());
            branch.dismissed.push((dialog.id.remote_tag.clone(), flow, ack.clone()));
            if answered {
                office.effect(Effect::Send { flow, bytes: ack });
            }
        }
        self.log.leg_ended(now, branch.entry, Some(200), verdict::word(LegOutcome::Failed));
        match home {
            Some(home) if !lost && !silent => {
                let guest = Box::new(branch.as_guest(office, home, dialog, offered));
                office.errands.push(Errand::Return { from: self.key, guest });
            }
            home => {
                branch.channel = None;
                let flow = headers::flow_towards(&dialog, branch.flow, branch.behind_nat);
                if !lost {
                    self.bye_in(office, now, &mut dialog, flow);
                }
                office.errands.extend(home.map(|home| Errand::Gone { home }));
            }
        }
    }

    /// The new party stays: the call that it has come from is told.
    pub(super) fn keep_guest(&mut self, office: &mut Office, from: Side) {
        let to = self.label_at(from.other());
        let call = self.log.id.clone();
        let Some(transfer) = self.transfer_mut() else { return };
        let by = transfer.record.by.clone();
        if let Some(home) = transfer.joining().and_then(|joining| joining.home.take()) {
            office.errands.push(Errand::Kept { home, note: Note { by, to, call } });
        }
    }

    /// Referred-By (RFC 3892 §2.1) in what the party on that side is asked.
    pub(super) fn tell_referrer(&mut self, w: &mut Writer, side: Side) {
        let callee = match self.caller_sits(side) {
            true => Some(self.caller_as_callee()),
            false => self.branch_at(side).map(|branch| branch.callee.clone()),
        };
        self.name_referrer(w, callee.as_ref());
    }

    /// Who transfers is told to phones, and to trunks that are trusted.
    fn name_referrer(&self, w: &mut Writer, to: Option<&Callee>) {
        let told = match to {
            Some(Callee::Device { .. }) => true,
            Some(Callee::Trunk { trunk, .. }) => self.domain.trunk(trunk).is_some_and(|trunk| trunk.trust),
            None => false,
        };
        if let Some(transfer) = self.transfer().filter(|transfer| told && !transfer.referred_by().is_empty())
        {
            w.field("Referred-By", format_args!("<{}>", transfer.referred_by()));
        }
    }
}

impl Asking {
    pub(super) fn new(client: ClientId, branch: usize, home: Option<Home>) -> Asking {
        Asking {
            branch,
            home,
            client,
            cseq: 0,
            offered: false,
            glares: 0,
            again: None,
            until: None,
            lost: false,
            silent: false,
        }
    }

    /// Our re-INVITE is on its way.
    fn is_pending(&self) -> bool {
        self.cseq != 0 && self.again.is_none()
    }
}
