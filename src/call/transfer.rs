//! Blind transfer (RFC 3515, RFC 5589 §6): a party of an answered call asks for the other one to be connected with somebody else. The
//! new leg is decided as a call of whoever transfers, rings on their side of the relay, and takes their place once it has answered
//! and the other party has agreed to its session.
//!
//! The new leg is invited without an offer (RFC 3725 §4.4's way round): its own offer goes to the other party in a re-INVITE, and their answer
//! back in the ACK, so nobody is held to a session that was agreed with somebody else.
//!
//! Invariants: until then the call is as it was, and stays so when the transfer fails; whoever transfers hears exactly one final NOTIFY,
//! unless they wanted none; at most one transfer is on its way in a call.

use super::branch::{Callee, State as BranchState};
use super::caller::plain_response;
use super::headers::{self, AGENT};
use super::join::Joining;
use super::log::{Ending, text};
use super::office::Office;
use super::record::TransferRecord;
use super::ring::Ring;
use super::seats::is_of;
use super::{Call, State, referral};
use crate::clock::Now;
use crate::dialog::Dialog;
use crate::relay::Side;
use crate::rules::explain::Step;
use crate::rules::{Domain, Walk};
use crate::sip::{Flow, Message, Method, Name, Writer, status};
use crate::transaction::{ClientId, ServerId};
use std::sync::Arc;
use std::time::Instant;

/// Transfers of one call; one more is answered with 403.
const TRANSFERS_MAX: usize = 16;
/// How long the implicit subscription is said to last (RFC 3515 §2.4.4): longer than anything rings.
const NOTICE_EXPIRES_S: u32 = 3600;

/// Who wants to transfer.
pub struct Transferor {
    pub side: Side,
    pub domain: Arc<Domain>,
    /// `None`: a trunk.
    pub device: Option<Arc<str>>,
    /// What their dialog is known to come by.
    pub flow: Flow,
}

/// What they want: the call that they would make, and how the rules begin to see it.
pub struct Referral {
    pub invite: Message,
    pub walk: Walk,
    /// As they stand in the record: `device:101a`.
    pub by: String,
    /// Their URI, for Referred-By (RFC 3892).
    pub referred_by: String,
    /// What they dialled.
    pub to: String,
}

/// A transfer on its way.
#[derive(Debug)]
pub struct Transfer {
    /// The side of whoever transfers.
    pub from: Side,
    invite: Message,
    referred_by: String,
    record: TransferRecord,
    /// The walk of the call itself, which comes back when the transfer is over.
    before: Walk,
    /// Whether they want to hear of it, and the `id` of their subscription.
    notice: Option<Option<u32>>,
    pub stage: Stage,
}

#[derive(Debug)]
pub enum Stage {
    /// The rules are at it.
    Deciding,
    Ringing(Box<Ring>),
    /// Somebody has answered: the other party is asked.
    Joining(Joining),
}

/// Whoever has transferred the call: gets a BYE once their last NOTIFY is answered, unless they send one first.
#[derive(Debug)]
pub struct Leaver {
    pub dialog: Box<Dialog>,
    pub flow: Flow,
    pub notify: ClientId,
}

impl Transfer {
    #[must_use]
    pub fn ring(&self) -> Option<&Ring> {
        match &self.stage {
            Stage::Ringing(ring) => Some(ring),
            Stage::Deciding | Stage::Joining(_) => None,
        }
    }

    pub fn ring_mut(&mut self) -> Option<&mut Ring> {
        match &mut self.stage {
            Stage::Ringing(ring) => Some(ring),
            Stage::Deciding | Stage::Joining(_) => None,
        }
    }

    /// A ring stage begins.
    pub fn begin(&mut self, ring: Box<Ring>) {
        self.stage = Stage::Ringing(ring);
    }

    /// The walk of the call itself.
    #[must_use]
    pub fn before(&self) -> &Walk {
        &self.before
    }

    /// The INVITE that whoever transfers would have sent.
    #[must_use]
    pub fn invite(&self) -> &Message {
        &self.invite
    }

    #[must_use]
    pub fn referred_by(&self) -> &str {
        &self.referred_by
    }

    pub(super) fn joining(&mut self) -> Option<&mut Joining> {
        match &mut self.stage {
            Stage::Joining(joining) => Some(joining),
            Stage::Deciding | Stage::Ringing(_) => None,
        }
    }
}

impl Call {
    pub(super) fn transfer(&self) -> Option<&Transfer> {
        match &self.state {
            State::Answered(bridge) => bridge.transfer.as_deref(),
            State::Ringing(_) | State::Over(_) => None,
        }
    }

    pub(super) fn transfer_mut(&mut self) -> Option<&mut Transfer> {
        match &mut self.state {
            State::Answered(bridge) => bridge.transfer.as_deref_mut(),
            State::Ringing(_) | State::Over(_) => None,
        }
    }

    /// Who sends a request that comes in this place of an answered call. `None`: it belongs to no dialog here.
    pub fn transferor(&mut self, (side, branch): (Side, usize), message: &Message) -> Option<Transferor> {
        let State::Answered(_) = self.state else { return None };
        let side = self.seat(side, branch, message)?;
        let (device, flow) = if self.caller_sits(side) {
            (self.log.from.origin.strip_prefix("device:").map(Arc::from), self.caller.flow)
        } else {
            let branch = self.branch_at(side)?;
            let device = match &branch.callee {
                Callee::Device { device, .. } => Some(device.clone()),
                Callee::Trunk { .. } => None,
            };
            (device, branch.flow)
        };
        Some(Transferor { side, domain: self.domain.clone(), device, flow })
    }

    /// Takes a REFER of whoever is on that side.
    #[allow(clippy::too_many_arguments)] // a request, as every other comes in, and what the switch has read of it
    pub fn refer(
        &mut self,
        office: &mut Office,
        now: Now,
        server: ServerId,
        flow: Flow,
        side: Side,
        message: &Message,
        referral: Referral,
    ) {
        let refuse = |office: &mut Office, code| {
            office.respond(now, server, code, plain_response(message, code, None))
        };
        let State::Answered(bridge) = &mut self.state else { return refuse(office, 481) };
        if bridge.is_unsettled() || self.leaver.is_some() {
            return refuse(office, 491); // one after the other
        }
        if self.log.transfers.len() >= TRANSFERS_MAX {
            return refuse(office, 403);
        }
        let first = bridge.refers == 0;
        bridge.refers += 1;
        let Some((dialog, _)) = self.dialog(side) else { return refuse(office, 481) };
        if dialog.receive(message).is_err() {
            return refuse(office, 500); // RFC 3261 §12.2.2
        }
        self.seen_on(side, flow);
        let wanted = referral::wants_notice(message);
        let mut w = Writer::reply(message, 202, status::reason_phrase(202), None);
        w.header(Name::Contact, office.contact(&flow));
        if !wanted {
            w.field("Refer-Sub", "false"); // RFC 4488 §4
        }
        w.header(Name::Server, AGENT);
        office.respond(now, server, 202, w.finish());
        // RFC 3515 §2.4.6: the first of a dialog needs no id, any later one has the CSeq of its REFER.
        let id = message.cseq().map(|cseq| cseq.number).filter(|_| !first);
        self.begin_transfer(office, now, side, wanted.then_some(id), referral);
    }

    fn begin_transfer(
        &mut self,
        office: &mut Office,
        now: Now,
        from: Side,
        notice: Option<Option<u32>>,
        referral: Referral,
    ) {
        let Referral { invite, walk, by, referred_by, to } = referral;
        self.loop_token = headers::loop_token(&invite, &by);
        self.offer = None;
        self.history = super::History::default(); // of the call before; this one begins here
        let before = std::mem::replace(&mut self.walk, walk);
        let record = TransferRecord { at: text(now.wall), by, to, status: 0, answered_by: None };
        let stage = Stage::Deciding;
        let transfer = Transfer { from, invite, referred_by, record, before, notice, stage };
        if let State::Answered(bridge) = &mut self.state {
            bridge.transfer = Some(Box::new(transfer));
        }
        self.notify(office, now, 100);
        let own = self.asks().cloned();
        let next = self.walk.start(&office.live(&self.domain, now, own.as_ref()));
        self.proceed(office, now, next);
    }

    /// Tells whoever transfers how it stands (RFC 3515 §2.4.5): a final status ends their subscription.
    pub(super) fn notify(&mut self, office: &mut Office, now: Now, code: u16) -> Option<ClientId> {
        let transfer = self.transfer()?;
        let (side, id) = (transfer.from, transfer.notice?);
        let client = self.next_client();
        let branch = headers::branch(office);
        let (dialog, flow) = self.dialog(side)?;
        let mut w = dialog.request(Method::Notify, None, headers::hop(office, &flow, &branch));
        w.header(Name::Contact, office.contact(&flow));
        match id {
            Some(id) => w.field("Event", format_args!("refer;id={id}")),
            None => w.field("Event", "refer"),
        };
        if code < 200 {
            w.field("Subscription-State", format_args!("active;expires={NOTICE_EXPIRES_S}"));
        } else {
            w.field("Subscription-State", "terminated;reason=noresource");
        }
        w.header(Name::UserAgent, AGENT);
        let line = format!("SIP/2.0 {code} {}\r\n", status::reason_phrase(code));
        self.byes += 1;
        office.request(now, client, flow, w.body("message/sipfrag;version=2.0", line.as_bytes()));
        Some(client)
    }

    /// The transfer came to nothing: the call is as it was, unless whoever transferred has left it.
    pub(super) fn transfer_failed(&mut self, office: &mut Office, now: Now, code: u16) {
        self.leave_all(office, now, &[], "cancelled");
        self.notify(office, now, code);
        let Some(from) = self.transfer().map(|transfer| transfer.from) else { return };
        self.transfer_over(code, None);
        if matches!(&self.state, State::Answered(bridge) if bridge.absent == Some(from)) {
            self.answer_passes(office, now, 487);
            self.part(office, now, from.other(), &[]);
            self.over(office, now, Ending { outcome: "answered", status: 200 });
        }
    }

    /// The call ends while a transfer is on its way.
    pub(super) fn drop_transfer(&mut self, office: &mut Office, now: Now) {
        if self.transfer().is_none() {
            return;
        }
        self.abandon(office, now);
        self.leave_all(office, now, &[], "caller_gone");
        self.notify(office, now, 487);
        self.transfer_over(487, None);
    }

    /// Writes down what came of the transfer; the call's own walk is back.
    pub(super) fn transfer_over(&mut self, code: u16, answered_by: Option<String>) {
        let State::Answered(bridge) = &mut self.state else { return };
        let Some(transfer) = bridge.transfer.take() else { return };
        let Transfer { mut record, before, .. } = *transfer;
        let walk = std::mem::replace(&mut self.walk, before);
        let tag = format!("transfer:{}", record.to);
        let asked = format!("{} transfers the other party to {}", record.by, record.to);
        let came = match &answered_by {
            Some(by) => format!("the transfer is answered by {by}"),
            None => format!("the transfer fails: {code} {}", status::reason_phrase(code)),
        };
        let step = |why| Step { tag: tag.clone(), why, ..Step::default() };
        let steps = [step(asked)].into_iter().chain(walk.explanation().steps).chain([step(came)]).collect();
        (record.status, record.answered_by) = (code, answered_by);
        self.log.transfers.push((record, steps));
    }

    /// A BYE of whoever transfers, before the transfer is over: it goes on without them (RFC 5589 §6.1). `false`: it is nobody's
    /// who does.
    pub(super) fn transferor_leaves(&mut self, side: Side) -> bool {
        let State::Answered(bridge) = &mut self.state else { return false };
        let leaves = bridge.transfer.as_ref().is_some_and(|transfer| transfer.from == side);
        if leaves {
            bridge.absent = Some(side);
        }
        leaves
    }

    /// A request of somebody who is leaving the call, or whose answer to a transfer is not taken yet. `false`: it is somebody else's.
    pub(super) fn request_of_leaver(
        &mut self,
        office: &mut Office,
        now: Now,
        server: ServerId,
        branch: usize,
        message: &Message,
    ) -> bool {
        let bye = message.method() == Method::Bye;
        let left = self.leaver.as_ref().is_some_and(|leaver| is_of(&leaver.dialog, message));
        let answered = |index: usize| match &self.branches.get(index)?.state {
            BranchState::Answered { dialog, .. } => Some(is_of(dialog, message)),
            _ => None,
        };
        let new = answered(branch) == Some(true);
        let joining = self.transfer_mut().and_then(Transfer::joining);
        let joining = joining.filter(|joining| new && joining.branch == branch);
        if !left && joining.is_none() {
            return false;
        }
        let mut waits = false;
        if let Some(joining) = joining {
            joining.lost |= bye;
            waits = joining.lost && joining.again.is_some();
        }
        if left && bye {
            self.leaver = None;
        }
        let code = if bye { 200 } else { 481 };
        office.respond(now, server, code, plain_response(message, code, None));
        if waits {
            self.abandon(office, now); // nobody is left to ask for again
            self.transfer_failed(office, now, 487);
        }
        true
    }

    /// A NOTIFY is answered, or never will be.
    pub(super) fn told(&mut self, office: &mut Office, now: Now, client: ClientId) {
        let Some(mut leaver) = self.leaver.take_if(|leaver| leaver.notify == client) else { return };
        let client = self.next_client();
        let branch = headers::branch(office);
        let mut w = leaver.dialog.request(Method::Bye, None, headers::hop(office, &leaver.flow, &branch));
        w.header(Name::UserAgent, AGENT);
        self.byes += 1;
        office.request(now, client, leaver.flow, w.finish());
    }

    pub(super) fn transfer_timeout(&mut self, office: &mut Office, now: Now) {
        if self.transfer().is_none() {
            return;
        }
        self.lose_patience(office, now);
        if let Some(ring) = self.state.ring_mut() {
            let mut orders = Vec::new();
            ring.poll(now.mono, &mut orders);
            self.ring_on(office, now, orders);
        }
        let again = self.transfer_mut().and_then(Transfer::joining).and_then(|joining| joining.again);
        if again.is_some_and(|at| at <= now.mono) {
            let client = self.next_client();
            self.ask_to_join(office, now, client);
        }
    }

    pub(super) fn transfer_deadline(&self) -> Option<Instant> {
        match &self.transfer()?.stage {
            Stage::Deciding => None,
            Stage::Ringing(ring) => {
                let patience = self.branches.iter().filter_map(|branch| branch.patience);
                ring.deadline().into_iter().chain(patience).min()
            }
            Stage::Joining(joining) => joining.again,
        }
    }
}
