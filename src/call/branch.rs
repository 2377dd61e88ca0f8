//! One INVITE towards one contact or trunk: a branch of the fork. A device with four contacts has one leg and four branches.

use super::aside::Aside;
use super::device::Reach;
use super::dialogs::Direction;
use super::early::Early;
use super::headers;
use super::lines::Channel;
use super::office::Office;
use super::peer::Peer;
use super::pickup::Arrived;
use super::trunk::Way;
use super::verdict;
use crate::clock::Now;
use crate::dialog::Dialog;
use crate::rules::LegOutcome;
use crate::sip::challenge::Answered;
use crate::sip::{Flow, Message, Method, Name};
use crate::transaction::ClientId;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Instant;

/// Whom a branch calls.
#[derive(Clone, Debug)]
pub enum Callee {
    Device {
        device: Arc<str>,
        user: Option<Arc<str>>,
    },
    /// `next`: the ways to try if this one fails before ringing.
    Trunk {
        trunk: Arc<str>,
        number: Arc<str>,
        next: Vec<Way>,
    },
}

impl Callee {
    /// As it stands in records and events.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Callee::Device { device, .. } => format!("device:{device}"),
            Callee::Trunk { number, .. } => format!("tel:{number}"),
        }
    }
}

#[derive(Debug)]
pub struct Branch {
    pub client: ClientId,
    /// The ring stage and the leg of its plan that this branch belongs to.
    pub stage: u32,
    pub leg: usize,
    pub callee: Callee,
    /// It called in another call, and withheld its identity there (RFC 3323).
    pub withheld: bool,
    /// Who began the dialog: it may have come here from another call.
    pub direction: Direction,
    pub flow: Flow,
    pub behind_nat: bool,
    /// Our INVITE as sent: what dialogs are made from.
    pub request: Message,
    pub sent: Instant,
    /// When a trunk that has said nothing at all is given up for the next one.
    pub patience: Option<Instant>,
    /// The challenges of its trunk that our INVITE has answered.
    pub answered: Answered,
    /// What it holds of its trunk, until it ends.
    pub channel: Option<Channel>,
    /// It is a leg of an emergency call, or of the call back after one, wherever it has gone since.
    pub emergency: bool,
    /// Of a phone: its contact, the way to it, and what else leads there.
    pub reach: Reach,
    /// Of one that is asked before it gets the call: a relay of its own.
    pub(super) aside: Option<Aside>,
    /// Of one that has come by itself.
    pub(super) arrived: Option<Box<Arrived>>,
    /// The phone's tag, once it has rung.
    pub early_tag: Option<Box<str>>,
    /// Where it has said something reliably.
    pub early: Vec<Early>,
    pub state: State,
    pub(super) peer: Peer,
    /// Index of its entry in the call record's legs.
    pub entry: usize,
    /// Answers that came too late: by To tag, the ACK to repeat. Each has had its BYE.
    pub dismissed: Vec<(String, Flow, Bytes)>,
}

/// Where a branch is. Data that belongs to a state lives in it.
#[derive(Debug)]
pub enum State {
    Calling(Progress),
    /// Cancelled: its final response is awaited.
    Leaving,
    /// Somebody answered here: the dialog, and the ACK to repeat when the 2xx is.
    Answered {
        dialog: Box<Dialog>,
        ack: Option<Bytes>,
    },
    /// Somebody answered here, and is asked whether they take the call (see [`super::confirm`]).
    Asked(Box<Asked>),
    /// Final, for this outcome.
    Ended(LegOutcome),
}

/// A dialog in which somebody is asked.
#[derive(Debug)]
pub struct Asked {
    pub dialog: Box<Dialog>,
    /// The ACK to repeat when the 2xx is.
    pub ack: Bytes,
    /// The session that its party has described.
    pub description: Bytes,
    /// The name of its BYE, which is awaited from the beginning: it is sent unless the call is taken or they hang up.
    pub bye: ClientId,
}

/// What an unanswered INVITE has heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    Nothing,
    /// 100: somebody is there. That tells no-answer from offline, and no more.
    Trying,
    /// 101 to 199: it rings; no other trunk may be tried after this.
    Ringing,
}

impl Branch {
    #[must_use]
    pub fn is_calling(&self) -> bool {
        matches!(self.state, State::Calling(_) | State::Asked(_))
    }

    /// When it is given up for another, if it has still said nothing by then.
    #[must_use]
    pub fn patience(&self) -> Option<Instant> {
        self.patience.filter(|_| matches!(self.state, State::Calling(Progress::Nothing)))
    }

    #[must_use]
    pub fn is_answered(&self) -> bool {
        matches!(self.state, State::Answered { .. })
    }

    /// We have begun its dialog, and chosen the Call-ID.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.direction == Direction::Recipient
    }

    /// The INVITE transaction is over or belongs to a dialog.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        matches!(self.state, State::Answered { .. } | State::Asked(_) | State::Ended(_))
    }

    #[must_use]
    pub fn progress(&self) -> Progress {
        match self.state {
            State::Calling(progress) => progress,
            State::Asked(_) => Progress::Ringing,
            State::Leaving | State::Answered { .. } | State::Ended(_) => Progress::Nothing,
        }
    }

    /// What this branch would mean if its time were up now.
    #[must_use]
    pub fn outcome_so_far(&self) -> LegOutcome {
        match self.state {
            State::Calling(Progress::Nothing) => LegOutcome::Offline,
            State::Calling(_) | State::Asked(_) => LegOutcome::NoAnswer,
            State::Leaving => LegOutcome::Cancelled,
            State::Answered { .. } => LegOutcome::Answered,
            State::Ended(outcome) => outcome,
        }
    }

    /// What a final response of 300 and above means here.
    #[must_use]
    pub fn outcome_of(&self, now: Now, status: u16) -> LegOutcome {
        verdict::of_status(
            status,
            now.mono.saturating_duration_since(self.sent),
            self.progress() > Progress::Nothing,
        )
    }

    /// Gives up on an unanswered branch: CANCEL, with these Reasons (RFC 3326). It can't win any more, and counts for nothing; its
    /// trunk carries it until the final response.
    pub fn leave(&mut self, office: &mut Office, now: Now, reasons: &[&str]) {
        if self.is_calling() {
            if self.leave_asked(office, now, reasons) {
                return;
            }
            self.state = State::Leaving;
            self.close_aside(office);
            if let Some(channel) = &mut self.channel {
                channel.uncharge();
            }
            if self.owes_ack() {
                return; // BYE, once it has come
            }
            office.cancel(now, self.client, reasons);
        }
    }

    /// It is over, for this outcome. What it was to be asked on is not needed any more.
    pub fn end(&mut self, office: &mut Office, outcome: LegOutcome) {
        self.state = State::Ended(outcome);
        self.close_aside(office);
    }

    fn close_aside(&mut self, office: &mut Office) {
        if let Some(aside) = &mut self.aside {
            aside.close(office, false);
        }
    }

    /// The CSeq number of our INVITE: higher where a challenge was answered.
    #[must_use]
    pub fn cseq(&self) -> u32 {
        match &self.arrived {
            Some(arrived) => arrived.dialog.local_cseq(),
            None => self.request.cseq().map_or(1, |cseq| cseq.number),
        }
    }

    /// Its dialog, once it has answered.
    pub fn dialog_mut(&mut self) -> Option<&mut Dialog> {
        match &mut self.state {
            State::Answered { dialog, .. } => Some(dialog),
            State::Calling(_) | State::Asked(_) | State::Leaving | State::Ended(_) => None,
        }
    }

    /// The early dialog at that index, or what has become of it.
    pub fn early_dialog_mut(&mut self, at: usize) -> Option<&mut Dialog> {
        let early = self.early.get_mut(at)?;
        match &mut self.state {
            State::Answered { dialog, .. } if dialog.id == early.dialog.id => Some(dialog),
            _ => Some(&mut early.dialog),
        }
    }

    /// The early dialog that a response belongs to, where something was said reliably in it.
    #[must_use]
    pub fn early_of(&self, response: &Message) -> Option<&Early> {
        let tag = response.to().and_then(|to| to.tag())?;
        self.early.iter().find(|early| early.dialog.id.remote_tag == tag)
    }

    /// The dialog that a 2xx makes or confirms or, of one that has come by itself, goes on with.
    #[must_use]
    pub fn dialog_of(&self, response: &Message) -> Option<Dialog> {
        if let Some(arrived) = &self.arrived {
            let mut dialog = arrived.dialog.clone();
            dialog.refresh(response);
            return Some(dialog);
        }
        match self.early_of(response) {
            Some(early) => early.dialog.confirmed(&self.request, response),
            None => Dialog::uac(&self.request, response),
        }
    }

    /// The ACK to a 2xx (RFC 3261 §13.2.2.4), in the dialog that it made, and the flow that it takes.
    #[must_use]
    pub fn ack(&self, office: &mut Office, dialog: &mut Dialog, description: Option<&[u8]>) -> (Flow, Bytes) {
        self.ack_of(office, dialog, self.cseq(), description)
    }

    /// The same to the 2xx of an INVITE with this CSeq number.
    #[must_use]
    pub fn ack_of(
        &self,
        office: &mut Office,
        dialog: &mut Dialog,
        cseq: u32,
        description: Option<&[u8]>,
    ) -> (Flow, Bytes) {
        let flow = headers::flow_towards(dialog, self.flow, self.behind_nat);
        let branch = headers::branch(office);
        let mut ack = dialog.request(Method::Ack, Some(cseq), headers::hop(office, &flow, &branch));
        // RFC 3261 §13.2.2.4: the credentials of its INVITE.
        if self.is_ours() {
            ack.copy(&self.request, Name::Authorization).copy(&self.request, Name::ProxyAuthorization);
        }
        let bytes = ack.described(description);
        (flow, bytes)
    }
}
