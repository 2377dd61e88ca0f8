//! Whoever transfers on their way out of the call, and whoever is to take the place on their way in: what they ask meanwhile.

use super::branch::State as BranchState;
use super::caller::plain_response;
use super::office::Office;
use super::seats::is_of;
use super::transfer::{Stage, Transfer};
use super::{Call, State};
use crate::clock::Now;
use crate::dialog::Dialog;
use crate::relay::Side;
use crate::sip::{Flow, Message, Method};
use crate::transaction::{ClientId, ServerId};

/// Whoever has transferred the call: gets a BYE once their last NOTIFY is answered, unless they send one first.
#[derive(Debug)]
pub struct Leaver {
    pub dialog: Box<Dialog>,
    pub flow: Flow,
    pub notify: ClientId,
}

impl Call {
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
        let method = message.method();
        let bye = method == Method::Bye;
        let left = self.leaver.as_ref().is_some_and(|leaver| is_of(&leaver.dialog, message));
        let newcomer = self.transfer().and_then(Transfer::newcomer).filter(|index| *index == branch);
        let new =
            match newcomer.and_then(|index| self.branches.get_mut(index)).map(|branch| &mut branch.state) {
                Some(BranchState::Answered { dialog, .. }) if is_of(dialog, message) => {
                    let _ = dialog.receive(message); // whatever it is, it is refused
                    true
                }
                _ => false,
            };
        if !left && !new {
            return false;
        }
        let code = match method {
            Method::Bye => 200,
            Method::Invite | Method::Update if new => 491, // once it is in its place
            _ if new => 500,
            _ => 481,
        };
        office.respond(now, server, code, plain_response(message, code, None));
        if left && bye {
            self.leaver = None;
        }
        if new && bye && self.newcomer_leaves() {
            self.abandon(office, now); // nobody is left to ask
            self.transfer_failed(office, now, 487);
        }
        true
    }

    /// Whoever was to take the place has hung up. `true`: there is nothing more to wait for.
    fn newcomer_leaves(&mut self) -> bool {
        match self.transfer_mut().map(|transfer| &mut transfer.stage) {
            Some(Stage::Joining(joining)) => {
                joining.lost = true;
                joining.again.is_some()
            }
            Some(Stage::Asking(asking)) => {
                asking.lost = true;
                true
            }
            _ => false,
        }
    }

    /// A NOTIFY is answered, or never will be.
    pub(super) fn told(&mut self, office: &mut Office, now: Now, client: ClientId) {
        let Some(mut leaver) = self.leaver.take_if(|leaver| leaver.notify == client) else { return };
        self.bye_in(office, now, &mut leaver.dialog, leaver.flow);
    }
}
