//! Requests within a dialog that a trunk answers with a challenge (RFC 3261 §22): sent once more with credentials, under another number and
//! as another transaction. To the rest of the call it stays the request that it was: it keeps its first name.

use super::branch::Callee;
use super::headers;
use super::office::Office;
use super::{Call, State};
use crate::clock::Now;
use crate::dialog::Dialog;
use crate::relay::Side;
use crate::sip::challenge::{Answered, Login};
use crate::sip::{Flow, Message, Method, Name, Writer};
use crate::transaction::ClientId;
use bytes::Bytes;

/// Requests of one call that are kept for a challenge; of more, the oldest is not answered for.
const SENT_MAX: usize = 16;

/// In which of a call's dialogs a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Within {
    Caller,
    Branch(usize),
    /// The early dialog at that index of a branch.
    Early(usize, usize),
}

/// A request in a dialog with a trunk that we have credentials for.
#[derive(Debug)]
pub struct Sent {
    /// What the call knows it by, and its transaction now.
    first: ClientId,
    client: ClientId,
    within: Within,
    flow: Flow,
    request: Message,
    answered: Answered,
}

impl Call {
    /// Sends a request in the dialog on that side.
    pub(super) fn send(
        &mut self,
        office: &mut Office,
        now: Now,
        side: Side,
        client: ClientId,
        flow: Flow,
        bytes: Bytes,
    ) {
        let within = self.index_at(side).map_or(Within::Caller, Within::Branch);
        self.send_within(office, now, within, client, flow, bytes);
    }

    /// Sends a request in that dialog.
    pub(super) fn send_within(
        &mut self,
        office: &mut Office,
        now: Now,
        within: Within,
        client: ClientId,
        flow: Flow,
        bytes: Bytes,
    ) {
        if self.login_of(within).is_some()
            && let Ok(request) = Message::parse(bytes.clone())
        {
            if self.sent.len() >= SENT_MAX {
                self.sent.remove(0);
            }
            let answered = Answered::default();
            self.sent.push(Sent { first: client, client, within, flow, request, answered });
        }
        office.request(now, client, flow, bytes);
    }

    /// Who we are to the trunk there, where it is one that may want to know.
    fn login_of(&self, within: Within) -> Option<Login> {
        let trunk = match within {
            Within::Branch(index) | Within::Early(index, _) => match &self.branches.get(index)?.callee {
                Callee::Trunk { trunk, .. } => trunk,
                Callee::Device { .. } => return None,
            },
            Within::Caller => self.log.from.origin.strip_prefix("trunk:")?,
        };
        self.domain.login(trunk)
    }

    /// What the call knows a request by.
    pub(super) fn first_name(&self, client: ClientId) -> ClientId {
        self.sent.iter().find(|sent| sent.client == client).map_or(client, |sent| sent.first)
    }

    /// The transaction that a request has now.
    pub(super) fn last_name(&self, first: ClientId) -> ClientId {
        self.sent.iter().find(|sent| sent.first == first).map_or(first, |sent| sent.client)
    }

    /// An INVITE in a dialog that is about to end: CANCEL, and its final response is waited for like that of a BYE. A challenge is not
    /// answered any more.
    pub(super) fn forgo(&mut self, office: &mut Office, now: Now, first: ClientId) {
        office.cancel(now, self.last_name(first), &[]);
        self.forget(first);
        self.byes += 1;
    }

    /// A challenge to that request is not answered any more.
    pub(super) fn forget(&mut self, first: ClientId) {
        self.sent.retain(|sent| sent.first != first);
    }

    /// A request has its final response. That of an INVITE may come again.
    pub(super) fn answered_finally(&mut self, first: ClientId) {
        self.sent.retain(|sent| sent.first != first || sent.request.method() == Method::Invite);
    }

    /// 401 or 407 to a request within a dialog: once more, with credentials. `false`: there is nothing to say, or nothing new.
    pub(super) fn answers_in_dialog(
        &mut self,
        office: &mut Office,
        now: Now,
        client: ClientId,
        response: &Message,
    ) -> bool {
        let Some(at) = self.sent.iter().position(|sent| sent.client == client) else { return false };
        let within = self.sent[at].within;
        let Some(login) = self.login_of(within) else { return false };
        let Some(mut session) = self.sent[at].answered.answer(&login, response) else { return false };
        let Some(cseq) = self.dialog_within(within).map(|dialog| dialog.count()) else { return false };
        self.clients += 1;
        let client = self.key.client(self.clients);
        let sent = &mut self.sent[at];
        let cnonce = format!("{:016x}", office.ids.word());
        let method = sent.request.method_text();
        let (field, credentials) = session.credentials(method, sent.request.request_uri(), &cnonce);
        let name = headers::branch(office);
        let bytes = headers::again(office, &name, &sent.flow, &sent.request, cseq, &[(field, &credentials)]);
        let Ok(request) = Message::parse(bytes.clone()) else { return false };
        let before = std::mem::replace(&mut sent.client, client);
        sent.request = request;
        let (first, flow) = (sent.first, sent.flow);
        if let Some(branch) = self.branches.iter_mut().find(|branch| branch.client == before) {
            branch.client = client; // its 2xx may come again later
        }
        self.renumber(first, cseq);
        office.request(now, client, flow, bytes);
        true
    }

    fn dialog_within(&mut self, within: Within) -> Option<&mut Dialog> {
        match within {
            Within::Caller => self.caller.dialog.as_deref_mut(),
            Within::Branch(index) => self.branches.get_mut(index)?.dialog_mut(),
            Within::Early(index, at) => self.branches.get_mut(index)?.early_dialog_mut(at),
        }
    }

    /// The ACK to a 2xx has the number of the INVITE that was let in.
    fn renumber(&mut self, first: ClientId, cseq: u32) {
        let State::Answered(bridge) = &mut self.state else { return };
        bridge.renumber(first, cseq);
        if let Some(joining) = self.transfer_mut().and_then(|transfer| transfer.joining())
            && joining.client == first
        {
            joining.cseq = cseq;
        }
        if let Some(asking) = self.transfer_mut().and_then(|transfer| transfer.asking())
            && asking.client == first
        {
            asking.cseq = cseq;
        }
    }

    /// RFC 3261 §13.2.2.4: the ACK has the credentials of its INVITE.
    pub(super) fn write_credentials(&mut self, side: Side, first: Option<ClientId>, w: &mut Writer) {
        let invite = match first {
            Some(first) => self.sent.iter().find(|sent| sent.first == first).map(|sent| &sent.request),
            None => match self.branch_at(side) {
                Some(branch) if branch.is_ours() => Some(&branch.request),
                _ => None,
            },
        };
        if let Some(invite) = invite {
            w.copy(invite, Name::Authorization).copy(invite, Name::ProxyAuthorization);
        }
    }
}
