//! A caller whom we have answered ourselves, and who may stay for hours: its session timer (RFC 4028). A phone that is gone would sit in a
//! conference for ever.
//!
//! Invariant: at most one refresh of ours is on its way.

use super::Call;
use super::headers::{self, AGENT};
use super::log::Ending;
use super::office::Office;
use super::served::SYSTEM;
use super::session_timer::Due;
use super::state::State;
use crate::clock::Now;
use crate::relay::Side;
use crate::sip::{Message, Method, Name};
use crate::transaction::ClientId;

/// RFC 3326, in the BYE of a session that nobody refreshes.
const EXPIRED: &str = "SIP;cause=408;text=\"Session timer expired\"";

/// The newest refresh of ours.
#[derive(Debug)]
pub(super) struct Refresh {
    client: ClientId,
    method: Method,
    cseq: u32,
    /// It has no final response yet.
    awaited: bool,
}

impl Call {
    /// Refreshes the session of a caller whom we have answered, or ends it.
    pub(super) fn lasting_timeout(&mut self, office: &mut Office, now: Now) {
        if !matches!(&self.state, State::Served(served) if !served.is_refusing()) {
            return;
        }
        match self.caller.peer.session.timeout(now) {
            Due::Nothing => {}
            Due::Refresh => self.refresh_served(office, now),
            Due::End => self.lose_served(office, now, "has not refreshed the session"),
        }
    }

    /// UPDATE where the caller takes it, else a re-INVITE with the description that it has (RFC 4028 §7.4).
    fn refresh_served(&mut self, office: &mut Office, now: Now) {
        let peer = &mut self.caller.peer;
        let (method, description) =
            if peer.updates { (Method::Update, None) } else { (Method::Invite, peer.origin.agreed()) };
        let client = self.next_client();
        let name = headers::branch(office);
        let Some((dialog, flow)) = self.dialog(Side::A) else { return };
        let mut w = dialog.request(method, None, headers::hop(office, &flow, &name));
        let cseq = dialog.local_cseq();
        w.header(Name::Contact, self.caller.contact(office, &flow));
        headers::abilities(&mut w);
        self.caller.peer.session.write_request(&mut w);
        w.header(Name::UserAgent, AGENT);
        let bytes = w.described(description.as_deref());
        if let State::Served(served) = &mut self.state {
            served.refresh = Some(Refresh { client, method, cseq, awaited: true });
        }
        self.send(office, now, Side::A, client, flow, bytes);
    }

    /// A response to such a refresh. `false`: it is to something else.
    pub(super) fn lasting_response(
        &mut self,
        office: &mut Office,
        now: Now,
        client: ClientId,
        message: &Message,
    ) -> bool {
        let State::Served(served) = &mut self.state else { return false };
        let Some(refresh) = served.refresh.as_mut().filter(|refresh| refresh.client == client) else {
            return false;
        };
        let code = message.status();
        if code < 200 {
            return true;
        }
        let (method, cseq) = (refresh.method, refresh.cseq);
        let awaited = std::mem::replace(&mut refresh.awaited, false);
        if code < 300 && method == Method::Invite {
            self.acknowledge_passed(office, Side::A, cseq, None, Some(client)); // again with each that is repeated
        }
        if !awaited {
            return true;
        }
        match code {
            200..=299 => {
                if let Some((dialog, _)) = self.dialog(Side::A) {
                    dialog.refresh(message);
                }
                self.caller.peer.learn(message);
                self.caller.peer.session.accepted(now, message);
                if let Some(description) = headers::description(message) {
                    self.point(office, Side::A, &description);
                    self.mind_hold(office);
                }
            }
            408 | 481 => self.lose_served(office, now, &format!("has answered a refresh with {code}")),
            422 if self.caller.peer.session.lengthen(message) => self.refresh_served(office, now),
            _ => self.caller.peer.session.put_off(now, None),
        }
        true
    }

    /// Such a refresh got no response. `false`: it was another request.
    pub(super) fn lasting_failed(&mut self, office: &mut Office, now: Now, client: ClientId) -> bool {
        let State::Served(served) = &self.state else { return false };
        if served.refresh.as_ref().is_none_or(|refresh| refresh.client != client || !refresh.awaited) {
            return false;
        }
        self.lose_served(office, now, "has not answered a refresh");
        true
    }

    /// The caller is gone.
    fn lose_served(&mut self, office: &mut Office, now: Now, why: &str) {
        let who = self.label_at(Side::A);
        self.log.why = Some(("session_expired", format!("{who} {why}")));
        if matches!(&self.state, State::Served(served) if served.is_acknowledged()) {
            self.bye(office, now, Side::A, &[EXPIRED]);
        }
        self.over(office, now, Ending { outcome: SYSTEM, status: 200 });
    }
}
