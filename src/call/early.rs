//! Dialogs before the answer: reliable provisional responses of the legs acknowledged (RFC 3262 §4), PRACKs of the caller taken (§3), and
//! the descriptions that cross in them (§5).
//!
//! Invariant: each reliable response of a leg gets one PRACK, in order within its early dialog; one that offers gets it with the caller's
//! answer, or not at all.

use super::branch::State as BranchState;
use super::caller::plain_response;
use super::capabilities::{self, ALLOW};
use super::challenged::Within;
use super::headers::{self, AGENT};
use super::log::Ending;
use super::media::Anchor;
use super::office::Office;
use super::reliable;
use super::unacked::Wait;
use super::{Call, State};
use crate::clock::Now;
use crate::dialog::Dialog;
use crate::relay::Side;
use crate::sip::{Message, Method, Name, Writer, status};
use crate::transaction::ServerId;
use bytes::Bytes;

/// Early dialogs of one branch in which something reliable was said (phones behind a forking proxy); the responses of one more are not
/// acknowledged.
const EARLY_MAX: usize = 8;

/// One early dialog of a branch. Each has an RSeq space of its own.
#[derive(Debug)]
pub struct Early {
    pub dialog: Box<Dialog>,
    /// Of the newest response that was taken.
    rseq: u32,
    /// Offer and answer are exchanged.
    pub agreed: bool,
    /// The session that was described in it last.
    pub description: Option<Bytes>,
    /// The PRACK waits for the caller's answer to what the response offers.
    pub owes_answer: bool,
}

impl Call {
    /// A provisional response of a leg: sees to its PRACK where it wants one. `false`: it is to be passed over, as a repetition, or since
    /// one is missing before it.
    pub(super) fn take_provisional(
        &mut self,
        office: &mut Office,
        now: Now,
        index: usize,
        message: &Message,
    ) -> bool {
        if !message.elements(Name::Require).any(|tag| tag.eq_ignore_ascii_case(reliable::TAG)) {
            return true;
        }
        let branch = &mut self.branches[index];
        branch.peer.learn(message);
        let tag = message.to().and_then(|to| to.tag());
        let (Some(rseq), Some(tag)) = (message.number(Name::RSeq), tag) else { return false };
        let known = branch.early.iter().position(|early| early.dialog.id.remote_tag == tag);
        let at = match known.and_then(|at| branch.early.get(at)) {
            Some(early) if rseq.checked_sub(1) != Some(early.rseq) => return false,
            Some(_) => known.unwrap_or_default(),
            None if branch.early.len() >= EARLY_MAX => return false,
            None => {
                let Some(dialog) = Dialog::uac(&branch.request, message) else { return false };
                let dialog = Box::new(dialog);
                branch.early.push(Early {
                    dialog,
                    rseq,
                    agreed: false,
                    description: None,
                    owes_answer: false,
                });
                branch.early.len() - 1
            }
        };
        let invited_without = branch.request.body().is_empty();
        let description = headers::description(message);
        let Some(early) = branch.early.get_mut(at) else { return false };
        early.rseq = rseq;
        if description.is_some() {
            early.description = description.clone();
        }
        match description {
            Some(offer) if invited_without && !early.agreed => {
                self.offer_early(office, now, (index, at), &offer)
            }
            answer => {
                early.agreed |= answer.is_some();
                self.acknowledge_early(office, now, (index, at), None);
                true
            }
        }
    }

    /// What a leg offers that was invited without an offer goes on to the caller, who made none either. `false`: that can't be.
    fn offer_early(
        &mut self,
        office: &mut Office,
        now: Now,
        (index, at): (usize, usize),
        offer: &Bytes,
    ) -> bool {
        let ringing = matches!(self.state, State::Ringing(_)) && self.branches[index].is_calling();
        if !ringing || !self.caller.takes_reliable() || self.caller.given().is_some() {
            return false;
        }
        if self.anchor.is_none() {
            self.anchor = Anchor::reserve(office, self.key); // the first description of the call
        }
        let Ok(rewritten) = self.describe(office, Side::A, offer) else { return false };
        if self.point_branch(office, index, Side::B, offer).is_err() {
            return false;
        }
        if let Some(early) = self.branches[index].early.get_mut(at) {
            early.owes_answer = true;
        }
        self.caller.early_media(office, now, rewritten);
        true
    }

    /// PRACK (RFC 3262 §4).
    fn acknowledge_early(
        &mut self,
        office: &mut Office,
        now: Now,
        (index, at): (usize, usize),
        description: Option<&[u8]>,
    ) {
        let client = self.next_client();
        let name = headers::branch(office);
        let branch = &mut self.branches[index];
        let (Some(early), Some(invite)) = (branch.early.get_mut(at), branch.request.cseq()) else { return };
        let flow = headers::flow_towards(&early.dialog, branch.flow, branch.behind_nat);
        let mut w = early.dialog.request(Method::Prack, None, headers::hop(office, &flow, &name));
        w.header(Name::RAck, format_args!("{} {} {}", early.rseq, invite.number, Method::Invite.word()));
        w.header(Name::UserAgent, AGENT);
        let bytes = w.described(description);
        self.byes += 1;
        self.send_within(office, now, Within::Early(index, at), client, flow, bytes);
    }

    /// PRACK of the caller, whatever has become of the call since.
    pub(super) fn prack(&mut self, office: &mut Office, now: Now, server: ServerId, message: &Message) {
        let refuse = |office: &mut Office, code| {
            office.respond(now, server, code, plain_response(message, code, None))
        };
        if self.caller.dialog.as_mut().is_some_and(|dialog| dialog.receive(message).is_err()) {
            return refuse(office, 500); // RFC 3261 §12.2.2
        }
        let Some(described) = self.caller.acknowledged(message) else { return refuse(office, 481) };
        let description = headers::description(message);
        let without = headers::description(&self.caller.invite).is_none();
        match (description, self.caller.given()) {
            (answer, _) if without && described => {
                refuse(office, 200);
                self.answer_early(office, now, answer);
            }
            (Some(offer), Some(_)) => self.prack_offers(office, now, server, message, &offer),
            (Some(_), None) => refuse(office, 488), // the offer of the INVITE has no answer yet
            (None, _) => refuse(office, 200),
        }
        match &mut self.state {
            State::Answered(bridge) => {
                if let Some(unsaid) = bridge.unsaid.take() {
                    let unacked = self.caller.accept(office, now, unsaid.description);
                    bridge.await_ack(Side::A, unacked);
                }
            }
            State::Ringing(_) | State::Served(_) => self.caller.go_on(office, now),
            State::Over(_) => {}
        }
    }

    /// The caller's answer to what a leg offered in a provisional response.
    fn answer_early(&mut self, office: &mut Office, now: Now, answer: Option<Bytes>) {
        if let Some(answer) = &answer {
            self.point(office, Side::A, answer);
        }
        let owing = self.branches.iter().enumerate().find_map(|(index, branch)| {
            Some((index, branch.early.iter().position(|early| early.owes_answer)?))
        });
        if let Some((index, at)) = owing {
            let rewritten =
                answer.as_deref().and_then(|answer| self.describe_to(office, index, Side::B, answer).ok());
            let branch = &mut self.branches[index];
            let awaits = matches!(branch.state, BranchState::Calling(_) | BranchState::Answered { .. });
            if let Some(early) = branch.early.get_mut(at) {
                (early.owes_answer, early.agreed) = (false, true);
            }
            if awaits {
                self.acknowledge_early(office, now, (index, at), rewritten.as_deref());
            }
        }
        self.offer = answer; // of the legs that are called from now on
    }

    /// Another request of the caller in its early dialog.
    pub(super) fn early_request(
        &mut self,
        office: &mut Office,
        now: Now,
        server: ServerId,
        message: &Message,
    ) {
        let late = self.caller.dialog.as_mut().is_some_and(|dialog| dialog.receive(message).is_err());
        let code = match message.method() {
            _ if late => 500, // RFC 3261 §12.2.2
            Method::Options => return office.respond(now, server, 200, capabilities::answer(message, None)),
            Method::Refer => 403,
            Method::Update => return self.update_of_caller(office, now, server, message),
            _ => 405,
        };
        let mut w = Writer::reply(message, code, status::reason_phrase(code), None);
        w.header(Name::Allow, ALLOW);
        office.respond(now, server, code, w.finish());
    }

    /// CANCEL of a caller whose 200 waits for a PRACK: as if nobody had answered. `false`: it cancels something else.
    pub(super) fn cancel_unsaid(
        &mut self,
        office: &mut Office,
        now: Now,
        invite: ServerId,
        cancel: &Message,
    ) -> bool {
        let State::Answered(bridge) = &self.state else { return false };
        if bridge.unsaid.is_none() || invite != self.caller.server {
            return false;
        }
        let reasons: Vec<&str> = cancel.values(Name::Reason).collect();
        self.part(office, now, Side::B, &reasons);
        self.over(office, now, Ending { outcome: "caller_gone", status: 487 });
        true
    }

    /// RFC 3262 §3: no PRACK in 64*T1 ends the call with a 5xx. `true`: it has.
    pub(super) fn prack_timeout(&mut self, office: &mut Office, now: Now) -> bool {
        if self.caller.await_prack(office, now) == Wait::On {
            return false;
        }
        match self.state {
            State::Ringing(_) | State::Served(_) => self.refuse(office, now, 504, "failed", Vec::new()),
            State::Answered(_) => {
                self.answer_passes(office, now, 487);
                self.part(office, now, Side::B, &[]);
                self.over(office, now, Ending { outcome: "failed", status: 504 });
            }
            State::Over(_) => {}
        }
        true
    }
}
