//! Agents as those who call.

use super::agent::{Act, Agent, Desk, Mischief, Phase, Session};
use super::offices::BLOCKED;
use super::wire::{Heard, between};
use crate::DOMAIN;
use std::fmt::Write as _;

/// What callers do after a while, as often as this says.
const TALKS: &[(u64, Option<u64>)] = &[
    (2, Some(0)),
    (3, Some(500)),
    (4, Some(1_000)),
    (4, Some(2_000)),
    (4, Some(5_000)),
    (2, Some(20_000)),
    (3, None),
];

impl Agent {
    pub fn dial(&mut self, desk: &mut Desk<'_>, to: &str) {
        if desk.closing {
            return;
        }
        let body = match desk.dice.below(100) {
            0..8 => String::new(),
            8..10 => "v=0\r\nm=nothing at all\r\n".to_owned(),
            10..13 => self.description("sendrecv", 1).replace("RTP/AVP 0 101", "RTP/AVP 96"),
            _ => self.description("sendrecv", 1),
        };
        let reliable = if desk.dice.chance(12) { "Supported: 100rel\r\n" } else { "" };
        let session = self.invite(desk, to, reliable, &body);
        let of = &mut self.sessions[session];
        of.never_acks = desk.dice.chance(2);
        of.ignores_reliable = desk.dice.chance(10);
        of.talks = desk.dice.weighed(TALKS);
        if desk.dice.chance(18) {
            let wait = desk.dice.pick(&[0, 5, 100, 1_000, 2_000, 4_000, 9_000]);
            desk.act(wait, session, Act::Cancel);
        }
        if desk.dice.chance(2) {
            let wait = desk.dice.between(0, 8_000);
            desk.act(wait, session, Act::Vanish);
        }
    }

    /// A new call. Returns its session.
    pub fn invite(&mut self, desk: &mut Desk<'_>, to: &str, fields: &str, body: &str) -> usize {
        let (branch, call_id) = (self.fresh("z9hG4bKi"), self.fresh("c"));
        let own_tag = self.fresh("t");
        let own = match self.trunk {
            true if desk.dice.chance(15) => format!("<sip:{BLOCKED}@{}>;tag={own_tag}", self.host),
            true => format!("<sip:+12025550{}@{}>;tag={own_tag}", desk.dice.between(200, 299), self.host),
            false => format!("<sip:{}@{DOMAIN}>;tag={own_tag}", self.name),
        };
        let theirs = format!("<sip:{to}@{DOMAIN}>");
        self.sessions.push(Session {
            outgoing: true,
            call_id,
            own_tag,
            own,
            theirs,
            target: format!("sip:{to}@{DOMAIN}"),
            cseq: 1,
            branch: branch.clone(),
            invite_cseq: 1,
            offered: !body.is_empty(),
            version: 1,
            ..Session::default()
        });
        let session = self.sessions.len() - 1;
        let bytes = self.in_dialog(session, "INVITE", 1, &branch, fields, body);
        self.send(desk, "INVITE", Some(session), branch, bytes);
        session
    }

    pub fn cancel(&mut self, desk: &mut Desk<'_>, session: usize) {
        let of = &mut self.sessions[session];
        if of.cancelled {
            return;
        }
        if of.phase == Phase::Calling {
            of.cancels = true; // RFC 3261 §9.1: once something has come back
            return;
        }
        of.cancelled = true;
        let branch = of.branch.clone();
        let bytes = self.in_dialog(session, "CANCEL", 1, &branch, "", "");
        // A CANCEL has no tag in its To, as the INVITE had none.
        let theirs = &self.sessions[session].theirs;
        let plain = theirs.split(";tag=").next().unwrap_or(theirs);
        let bytes = bytes.replacen(&format!("To: {theirs}"), &format!("To: {plain}"), 1);
        let uri = between(plain).to_owned();
        let (_, rest) = bytes.split_once(" SIP/2.0").unwrap_or_default();
        let bytes = format!("CANCEL {uri} SIP/2.0{rest}");
        self.send(desk, "CANCEL", Some(session), branch, bytes);
    }

    pub fn response(&mut self, desk: &mut Desk<'_>, heard: &Heard<'_>) {
        let found = self
            .clients
            .iter()
            .rposition(|client| client.branch == heard.branch() && client.method == heard.about);
        let Some(at) = found else { return };
        let status = heard.status;
        if heard.about == "INVITE" {
            return self.invite_response(desk, at, heard);
        }
        if status < 200 {
            return;
        }
        self.clients[at].waiting = false;
        if let (Some(session), "BYE", _) | (Some(session), _, 481) =
            (self.clients[at].session, heard.about, status)
        {
            self.sessions[session].phase = Phase::Ended; // RFC 3261 §12.2.1.2
        }
    }

    fn invite_response(&mut self, desk: &mut Desk<'_>, at: usize, heard: &Heard<'_>) {
        let Some(session) = self.clients[at].session else { return };
        let first = self.clients[at].branch == self.sessions[session].branch;
        let status = heard.status;
        self.clients[at].waiting = false;
        if status < 200 {
            if first {
                self.hears(desk, session, heard);
            }
            return;
        }
        if let Some((of, ack)) = &self.clients[at].ack {
            if *of == status {
                desk.sends.push(ack.clone());
            }
            return;
        }
        if status >= 300 {
            let ack = acknowledgement(&self.clients[at].bytes, heard);
            desk.sends.push(ack.clone());
            self.clients[at].ack = Some((status, ack));
            if first || status == 481 || status == 408 {
                self.sessions[session].phase = Phase::Ended;
            }
            return;
        }
        if first {
            let of = &mut self.sessions[session];
            if of.phase == Phase::Ended {
                return;
            }
            of.theirs = heard.to.to_owned();
            of.target = heard.target().to_owned();
            of.phase = Phase::Confirmed;
        }
        if self.sessions[session].never_acks {
            return;
        }
        let asked = !self.clients[at].bytes.contains("application/sdp");
        let body =
            if asked && !heard.body.is_empty() { self.description("sendrecv", 1) } else { String::new() };
        let branch = self.fresh("z9hG4bKa");
        let ack = self.in_dialog(session, "ACK", heard.cseq, &branch, "", &body);
        desk.sends.push(ack.clone());
        self.clients[at].ack = Some((status, ack));
        if first {
            self.answered(desk, session);
        }
    }

    /// A provisional response to its first INVITE.
    fn hears(&mut self, desk: &mut Desk<'_>, session: usize, heard: &Heard<'_>) {
        let of = &mut self.sessions[session];
        if of.phase == Phase::Calling {
            of.phase = Phase::Early;
        }
        if of.cancels && of.phase == Phase::Early {
            return self.cancel(desk, session);
        }
        let Some(rseq) = heard.rseq else { return };
        if of.ignores_reliable || rseq <= of.rseq {
            return;
        }
        of.rseq = rseq;
        let (theirs, target) = (of.theirs.clone(), of.target.clone());
        (of.theirs, of.target) = (heard.to.to_owned(), heard.target().to_owned());
        let body = if !of.offered && !heard.body.is_empty() {
            self.description("sendrecv", 1)
        } else {
            String::new()
        };
        let fields = format!("RAck: {rseq} {} INVITE\r\n", heard.cseq);
        self.within(desk, session, "PRACK", &fields, &body);
        let of = &mut self.sessions[session];
        if of.phase == Phase::Early {
            (of.theirs, of.target) = (theirs, target);
        }
    }

    /// The call is up: what it does with it.
    pub fn answered(&mut self, desk: &mut Desk<'_>, session: usize) {
        let Session { cancels, talks, .. } = self.sessions[session];
        if cancels || desk.closing {
            return desk.act(0, session, Act::HangUp); // the answer has crossed its CANCEL
        }
        if let Some(talks) = talks {
            desk.act(talks, session, Act::HangUp);
        }
        self.plan_talk(desk, session);
    }

    /// What happens in a call that is up.
    pub fn plan_talk(&mut self, desk: &mut Desk<'_>, session: usize) {
        const ACTS: &[(u64, Act)] = &[
            (6, Act::Hold),
            (4, Act::Ask),
            (1, Act::BrokenOffer),
            (3, Act::Update),
            (2, Act::Info),
            (1, Act::Options),
            (6, Act::Transfer),
            (4, Act::TransferAttended),
            (1, Act::OldNumber),
            (1, Act::Vanish),
        ];
        while desk.dice.chance(22) {
            let act = desk.dice.weighed(ACTS);
            let wait = desk.dice.pick(&[0, 50, 500, 1_000, 1_500, 2_000, 4_000]);
            desk.act(wait, session, act);
            if act == Act::Hold {
                let wait = wait + desk.dice.pick(&[20, 500, 1_500]);
                desk.act(wait, session, Act::Resume);
            }
        }
    }

    pub fn mischief(&mut self, desk: &mut Desk<'_>, mischief: Mischief) {
        let (branch, call_id) = (self.fresh("z9hG4bKm"), self.fresh("m"));
        let Agent { host, name, .. } = &*self;
        let request = |method: &str, to: &str, fields: &str, body: &str| {
            let mut text = format!(
                "{method} sip:100@{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {host};branch={branch}\r\nMax-Forwards: 70\r\n\
                 From: <sip:{name}@{DOMAIN}>;tag=m{call_id}\r\nTo: <sip:100@{DOMAIN}>{to}\r\nCall-ID: {call_id}\r\nCSeq: 7 {method}\r\n{fields}"
            );
            if !body.is_empty() {
                text += "Content-Type: application/sdp\r\n";
            }
            let _ = write!(text, "Content-Length: {}\r\n\r\n{body}", body.len());
            text
        };
        let tag = format!(";tag=a{:x}.{:016x}", desk.dice.between(1, 30), desk.dice.word());
        match mischief {
            Mischief::StrayResponse => desk.sends.push(format!(
                "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch={branch}\r\nFrom: <sip:x@{DOMAIN}>;tag=b1.0.1\r\n\
                 To: <sip:y@{DOMAIN}>{tag}\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\nContact: <sip:y@{host}>\r\nContent-Length: 0\r\n\r\n"
            )),
            Mischief::StrayBye => {
                let bytes = request("BYE", &tag, "", "");
                self.send(desk, "BYE", None, branch, bytes);
            }
            Mischief::StrayAck => desk.sends.push(request("ACK", &tag, "", "")),
            Mischief::StrayCancel => {
                let bytes = request("CANCEL", "", "", "");
                self.send(desk, "CANCEL", None, branch, bytes);
            }
            Mischief::NoContact | Mischief::BrokenSession if self.trunk => {}
            Mischief::NoContact => drop(self.odd_invite(desk, "100", true, &self.description("sendrecv", 1))),
            Mischief::BrokenSession => drop(self.invite(desk, "100", "", "v=0\r\nm=audio 4000 RTP/AVP 0\r\nc=IN IP4 nowhere\r\n")),
            Mischief::Garbage => desk.sends.push(request("INVITE", "", "Max-Forwards: many\r\n", "")),
            Mischief::Merged => self.merged(desk),
        }
    }

    fn odd_invite(&mut self, desk: &mut Desk<'_>, to: &str, bare: bool, body: &str) -> usize {
        let session = self.invite(desk, to, "", body);
        if let (true, Some(sent), Some(client)) = (bare, desk.sends.last_mut(), self.clients.last_mut()) {
            let contact = format!("Contact: <sip:{}@{}>\r\n", self.name, self.host);
            *sent = sent.replacen(&contact, "", 1);
            client.bytes.clone_from(sent);
        }
        session
    }

    /// An INVITE of its own comes once more, by another way (RFC 3261 §8.2.2.2).
    fn merged(&mut self, desk: &mut Desk<'_>) {
        let branch = self.fresh("z9hG4bKw");
        let waits = |session: &&Session| session.outgoing && session.phase == Phase::Early;
        let Some(of) = self.sessions.iter().find(waits) else { return };
        let Some(invite) = self.clients.iter().find(|client| client.branch == of.branch) else { return };
        let bytes = invite.bytes.replacen(&of.branch, &branch, 1);
        desk.sends.push(bytes);
    }
}

/// The ACK to a refusal (RFC 3261 §17.1.1.3).
fn acknowledgement(invite: &str, refusal: &Heard<'_>) -> String {
    let uri = invite.split(' ').nth(1).unwrap_or_default();
    let via = invite.split("\r\n").nth(1).unwrap_or_default();
    format!(
        "ACK {uri} SIP/2.0\r\n{via}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} ACK\r\nContent-Length: 0\r\n\r\n",
        refusal.from, refusal.to, refusal.call_id, refusal.cseq
    )
}
