//! Transfers (RFC 3515, RFC 5589): a party of an answered call asks for the other one to be connected with somebody else. Of a blind one
//! (§6) the new leg is decided as a call of whoever transfers, rings on their side of the relay, and takes their place once it has
//! answered and the other party has agreed to its session. For an attended one (§7) see [`super::attended`].
//!
//! The new leg is invited without an offer (RFC 3725 §4.4's way round): its own offer goes to the other party in a re-INVITE, and their answer
//! back in the ACK, so nobody is held to a session that was agreed with somebody else. One to the outside is offered what the other party
//! has last said of itself, and its answer is what the re-INVITE offers.
//!
//! Invariants: until then the call is as it was, and stays so when the transfer fails; whoever transfers hears exactly one final NOTIFY,
//! unless they wanted none; at most one transfer is on its way in a call.

use super::attended::Asking;
use super::branch::{Branch, Callee};
use super::device::Only;
use super::errand::Errand;
use super::headers::{self, AGENT};
use super::join::Joining;
use super::log::{Ending, text};
use super::notice::{Apart, Notice};
use super::office::{Named, Office};
use super::record::TransferRecord;
use super::ring::Ring;
use super::sips;
use super::{Call, State, referral};
use crate::clock::Now;
use crate::dialog::{Dialog, DialogId};
use crate::relay::Side;
use crate::rules::explain::Step;
use crate::rules::{Domain, Walk};
use crate::sdp;
use crate::sip::{Flow, Message, Name, Writer, status};
use crate::transaction::ServerId;
use bytes::Bytes;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Transfers of one call; one more is answered with 403.
const TRANSFERS_MAX: usize = 16;
/// How long another call may take to settle before its party is given up: as long as a transaction of its own may.
const FETCH_WITHIN: Duration = Duration::from_secs(32);
/// Who wants to transfer.
pub struct Transferor {
    pub side: Side,
    pub domain: Arc<Domain>,
    /// `None`: a trunk.
    pub device: Option<Arc<str>>,
    /// What their dialog is known to come by.
    pub flow: Flow,
}

/// What they want.
pub struct Referral {
    pub aim: Aim,
    /// As they stand in the record: `device:101a`.
    pub by: String,
    /// Their URI, for Referred-By (RFC 3892).
    pub referred_by: String,
    /// What they dialled, or whom they speak with.
    pub to: String,
}

/// Whom the other party is to be connected with.
pub enum Aim {
    /// Whoever takes the call that they would make.
    Call(Box<Dialled>),
    /// The party of a dialog of theirs, in another call; their user.
    Party(DialogId, Named),
    /// Nobody: there is no such dialog.
    Nobody,
}

/// A call that whoever transfers would make.
#[derive(Debug)]
pub struct Dialled {
    /// The INVITE that they would have sent.
    pub invite: Message,
    /// How the rules see it. While it is decided, that of the call itself, which comes back when the transfer is over.
    pub walk: Walk,
    /// The one phone that it is for, where a GRUU is called; kept like the walk.
    pub only: Option<Only>,
}

/// A transfer on its way.
#[derive(Debug)]
pub struct Transfer {
    /// The side of whoever transfers.
    pub from: Side,
    referred_by: String,
    pub(super) record: TransferRecord,
    /// Of a blind transfer.
    dialled: Option<Box<Dialled>>,
    /// It is none that the party on that side has asked for: somebody takes their place.
    takes_over: bool,
    pub(super) notice: Notice,
    pub stage: Stage,
}

#[derive(Debug)]
pub enum Stage {
    /// The rules are at it.
    Deciding,
    Ringing(Box<Ring>),
    /// The new party is in another call, which isn't settled yet.
    Fetching {
        until: Instant,
    },
    /// It has come, and is asked for its session.
    Asking(Asking),
    /// Somebody has answered: the other party is asked.
    Joining(Joining),
}

impl Transfer {
    /// None that anybody has asked for: somebody takes the place of whoever is on that side (RFC 3891).
    pub(super) fn take_over(from: Side, by: String, stage: Stage) -> Transfer {
        let record = TransferRecord { by, ..TransferRecord::default() };
        Transfer {
            from,
            referred_by: String::new(),
            record,
            dialled: None,
            takes_over: true,
            notice: Notice::Unwanted,
            stage,
        }
    }

    #[must_use]
    pub fn ring(&self) -> Option<&Ring> {
        match &self.stage {
            Stage::Ringing(ring) => Some(ring),
            Stage::Deciding | Stage::Fetching { .. } | Stage::Asking(_) | Stage::Joining(_) => None,
        }
    }

    pub fn ring_mut(&mut self) -> Option<&mut Ring> {
        match &mut self.stage {
            Stage::Ringing(ring) => Some(ring),
            Stage::Deciding | Stage::Fetching { .. } | Stage::Asking(_) | Stage::Joining(_) => None,
        }
    }

    /// A ring stage begins.
    pub fn begin(&mut self, ring: Box<Ring>) {
        self.stage = Stage::Ringing(ring);
    }

    /// The walk of the call itself.
    #[must_use]
    pub fn before(&self) -> Option<&Walk> {
        self.dialled.as_deref().map(|dialled| &dialled.walk)
    }

    /// The INVITE that whoever transfers would have sent.
    #[must_use]
    pub fn invite(&self) -> Option<&Message> {
        self.dialled.as_deref().map(|dialled| &dialled.invite)
    }

    #[must_use]
    pub fn referred_by(&self) -> &str {
        &self.referred_by
    }

    pub(super) fn joining(&mut self) -> Option<&mut Joining> {
        match &mut self.stage {
            Stage::Joining(joining) => Some(joining),
            Stage::Deciding | Stage::Ringing(_) | Stage::Fetching { .. } | Stage::Asking(_) => None,
        }
    }

    pub(super) fn asking(&mut self) -> Option<&mut Asking> {
        match &mut self.stage {
            Stage::Asking(asking) => Some(asking),
            Stage::Deciding | Stage::Ringing(_) | Stage::Fetching { .. } | Stage::Joining(_) => None,
        }
    }

    /// The branch of whoever is to take the place, once they have answered.
    pub(super) fn newcomer(&self) -> Option<usize> {
        match &self.stage {
            Stage::Asking(asking) => Some(asking.branch),
            Stage::Joining(joining) => Some(joining.branch),
            Stage::Deciding | Stage::Ringing(_) | Stage::Fetching { .. } => None,
        }
    }
}

impl Call {
    pub(super) fn transfer(&self) -> Option<&Transfer> {
        match &self.state {
            State::Answered(bridge) => bridge.transfer.as_deref(),
            State::Ringing(_) | State::Served(_) | State::Over(_) => None,
        }
    }

    pub(super) fn transfer_mut(&mut self) -> Option<&mut Transfer> {
        match &mut self.state {
            State::Answered(bridge) => bridge.transfer.as_deref_mut(),
            State::Ringing(_) | State::Served(_) | State::Over(_) => None,
        }
    }

    /// Who is in this place of an answered call, where their dialog is the one that is named. `None`: there is no such dialog here.
    pub fn transferor(
        &mut self,
        (side, branch): (Side, usize),
        names: impl FnOnce(&Dialog) -> bool,
    ) -> Option<Transferor> {
        let State::Answered(_) = self.state else { return None };
        let side = self.seat_of(side, branch, names)?;
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

    /// Whether a REFER of whoever is on that side can be taken now.
    ///
    /// # Errors
    /// The status that refuses it; nothing has happened then.
    pub fn may_take_refer(&mut self, side: Side, message: &Message) -> Result<(), u16> {
        let State::Answered(bridge) = &self.state else { return Err(481) };
        if bridge.is_unsettled() || self.leaver.is_some() {
            return Err(491); // one after the other
        }
        if self.log.transfers.len() >= TRANSFERS_MAX {
            return Err(403);
        }
        if is_apart(message) {
            // RFC 3515 §2.4.1: it is to have a Contact, for the NOTIFYs.
            return Dialog::uas(message, "new").map(drop).ok_or(400);
        }
        let Some((dialog, _)) = self.dialog(side) else { return Err(481) };
        dialog.receive(message).map_err(|_| 500_u16) // RFC 3261 §12.2.2
    }

    /// Takes a REFER of whoever is on that side, see [`Call::may_take_refer`].
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
        let State::Answered(bridge) = &mut self.state else { return };
        let tag = is_apart(message).then(|| format!("{:016x}", office.ids.word()));
        let first = bridge.refers == 0;
        bridge.refers += u32::from(tag.is_none());
        if tag.is_none() {
            self.seen_on(side, flow); // one beside the call may be of another program of theirs
        }
        let wanted = referral::wants_notice(message);
        let mut w = Writer::reply(message, 202, status::reason_phrase(202), tag.as_deref());
        if tag.is_some() {
            w.copy(message, Name::RecordRoute); // RFC 3261 §12.1.1
        }
        w.header(Name::Contact, office.contact(&flow, sips::is_to_answer(message)));
        if !wanted {
            w.field("Refer-Sub", "false"); // RFC 4488 §4
        }
        w.header(Name::Server, AGENT);
        office.respond(now, server, 202, w.finish());
        let apart = tag.and_then(|tag| Dialog::uas(message, &tag));
        let notice = match apart {
            _ if !wanted => Notice::Unwanted,
            Some(dialog) => {
                let behind_nat = headers::is_behind_nat(message, &flow);
                Notice::Apart(Box::new(Apart { dialog, flow, behind_nat }))
            }
            None => Notice::Within(message.cseq().map(|cseq| cseq.number).filter(|_| !first)),
        };
        self.begin_transfer(office, now, side, notice, referral);
    }

    fn begin_transfer(
        &mut self,
        office: &mut Office,
        now: Now,
        from: Side,
        notice: Notice,
        referral: Referral,
    ) {
        let Referral { aim, by, referred_by, to } = referral;
        let record = TransferRecord { at: text(self.log.moment(now)), by, to, ..TransferRecord::default() };
        let stage = Stage::Deciding;
        let takes_over = false;
        let mut transfer = Transfer { from, referred_by, record, dialled: None, takes_over, notice, stage };
        match aim {
            Aim::Call(mut dialled) => {
                self.loop_token = headers::loop_token(&dialled.invite, &transfer.record.by);
                self.offer = None;
                self.history = super::History::default(); // of the call before; this one begins here
                std::mem::swap(&mut self.walk, &mut dialled.walk);
                std::mem::swap(&mut self.only, &mut dialled.only);
                transfer.dialled = Some(dialled);
                self.begun(office, now, transfer);
                let own = self.asks().cloned();
                let next = self.walk.start(&office.live(&self.domain, now, own.as_ref()));
                self.proceed(office, now, next);
            }
            Aim::Party(dialog, user) => {
                transfer.stage = Stage::Fetching { until: now.mono + FETCH_WITHIN };
                self.begun(office, now, transfer);
                office.errands.push(Errand::Fetch { to: self.key, dialog, user });
            }
            Aim::Nobody => {
                self.begun(office, now, transfer);
                self.transfer_failed(office, now, 481); // RFC 3891 §3
            }
        }
    }

    /// What a leg is offered, and which side of the relay it faces: what the caller has offered. The leg of a transfer offers itself, but
    /// for one to the outside, where many don't take an INVITE without a description: that gets what the other party has last said of
    /// itself.
    pub(super) fn offers(&mut self, callee: &Callee) -> Option<(Side, Bytes)> {
        match (self.transfer(), callee) {
            (None, _) => Some((Side::B, self.offer.clone()?)),
            (Some(transfer), Callee::Trunk { .. }) => {
                let from = transfer.from;
                let said = self.peer(from.other()).heard.as_ref()?;
                Some((from, sdp::both_ways(said)))
            }
            (Some(_), Callee::Device { .. }) => None,
        }
    }

    /// The transfer is on its way, and whoever transfers hears so.
    fn begun(&mut self, office: &mut Office, now: Now, transfer: Transfer) {
        if let State::Answered(bridge) = &mut self.state {
            bridge.transfer = Some(Box::new(transfer));
        }
        self.notify(office, now, 100);
    }

    /// The transfer came to nothing: the call is as it was, unless whoever transferred has left it.
    pub(super) fn transfer_failed(&mut self, office: &mut Office, now: Now, code: u16) {
        self.leave_all(office, now, &[], "cancelled");
        self.notify(office, now, code);
        let Some(from) = self.transfer().map(|transfer| transfer.from) else { return };
        self.introduce();
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
        if let Some(client) = self.transfer_mut().and_then(Transfer::joining).and_then(|it| it.pending()) {
            self.forgo(office, now, client);
        }
        self.abandon(office, now);
        self.leave_all(office, now, &[], "caller_gone");
        self.notify(office, now, 487);
        self.transfer_over(487, None);
    }

    /// Writes down what came of the transfer; the call's own walk is back.
    pub(super) fn transfer_over(&mut self, code: u16, answered_by: Option<String>) {
        let newcomer = self.transfer().and_then(Transfer::newcomer).filter(|_| code == 200);
        if let Some(index) = newcomer.filter(|_| self.wants_tls()) {
            self.promise(index);
        }
        let State::Answered(bridge) = &mut self.state else { return };
        let Some(transfer) = bridge.transfer.take() else { return };
        let Transfer { mut record, dialled, takes_over, .. } = *transfer;
        if takes_over {
            let tag = format!("pickup:{}", record.by.trim_start_matches("device:"));
            let why = match code {
                200 => format!("{} is in that place", record.by),
                code => format!("{} does not get in: {code} {}", record.by, status::reason_phrase(code)),
            };
            return self.log.pickups.push(Step { tag, why, ..Step::default() });
        }
        let mut decided = Vec::new();
        if let Some(Dialled { walk, only, .. }) = dialled.map(|dialled| *dialled) {
            decided = std::mem::replace(&mut self.walk, walk).explanation().steps;
            self.only = only;
        }
        let tag = format!("transfer:{}", record.to);
        let mut asked = format!("{} transfers the other party to {}", record.by, record.to);
        if let Some(call) = &record.call {
            let _ = write!(asked, ", whom they speak with in call {call}"); // writing to a String can't fail
        }
        let came = match &answered_by {
            Some(by) => format!("the transfer is answered by {by}"),
            None => format!("the transfer fails: {code} {}", status::reason_phrase(code)),
        };
        let step = |why| Step { tag: tag.clone(), why, ..Step::default() };
        let steps = [step(asked)].into_iter().chain(decided).chain([step(came)]).collect();
        (record.status, record.answered_by) = (code, answered_by);
        self.log.transfers.push((record, steps));
    }

    pub(super) fn transfer_timeout(&mut self, office: &mut Office, now: Now) {
        if self.transfer().is_none() {
            return;
        }
        self.lose_patience(office, now);
        self.give_up_sleepers(office, now);
        if let Some(ring) = self.state.ring_mut() {
            let mut orders = Vec::new();
            ring.poll(now.mono, &mut orders);
            self.ring_on(office, now, orders);
        }
        self.give_up_asking(office, now);
        let due = |again: Option<Instant>| again.is_some_and(|at| at <= now.mono);
        match self.transfer().map(|transfer| &transfer.stage) {
            Some(Stage::Joining(joining)) if due(joining.again) => {
                let client = self.next_client();
                self.ask_to_join(office, now, client);
            }
            Some(Stage::Asking(asking)) if due(asking.again) => self.ask_for_session(office, now),
            Some(Stage::Fetching { until }) if *until <= now.mono => self.transfer_failed(office, now, 480),
            _ => {}
        }
    }

    pub(super) fn transfer_deadline(&self) -> Option<Instant> {
        match &self.transfer()?.stage {
            Stage::Deciding => None,
            Stage::Ringing(ring) => {
                let patience = self.branches.iter().filter_map(Branch::patience);
                ring.deadline().into_iter().chain(patience).chain(self.sleepers_deadline()).min()
            }
            Stage::Joining(joining) => joining.again.into_iter().chain(joining.until).min(),
            Stage::Asking(asking) => asking.again.into_iter().chain(asking.until).min(),
            Stage::Fetching { until } => Some(*until),
        }
    }
}

/// Whether a REFER begins a dialog of its own (RFC 4538) rather than being in the one of its call.
fn is_apart(refer: &Message) -> bool {
    refer.to().is_none_or(|to| to.tag().is_none())
}
