//! Agents as those who are called, and what they say to requests within calls.

use super::agent::{Act, Agent, Desk, Phase, Session};
use super::wire::Heard;
use std::fmt::Write as _;

/// What a phone does with a call, as often as this says.
#[derive(Clone, Copy)]
enum Script {
    Answers,
    AnswersAtOnce,
    RefusesLater,
    RefusesAtOnce,
    Rings,
    Dead,
    OnlyTries,
    AnswersTwice,
    AnswersBroken,
    AnswersWrongly,
    HangsUpAtOnce,
    AnswersAndVanishes,
    Deflects,
}

const PHONE: &[(u64, Script)] = &[
    (40, Script::Answers),
    (6, Script::AnswersAtOnce),
    (14, Script::RefusesLater),
    (6, Script::RefusesAtOnce),
    (20, Script::Rings),
    (5, Script::Dead),
    (2, Script::OnlyTries),
    (3, Script::AnswersTwice),
    (2, Script::AnswersBroken),
    (1, Script::AnswersWrongly),
    (3, Script::HangsUpAtOnce),
    (1, Script::AnswersAndVanishes),
    (2, Script::Deflects),
];

/// Moments at which people do things: few, so that things happen at once.
const MOMENTS: &[u64] = &[0, 20, 200, 1_000, 1_000, 2_000, 2_000, 3_000, 4_000, 6_000];

impl Agent {
    /// The first lines of a response to that.
    fn head(heard: &Heard<'_>) -> String {
        let mut text = String::with_capacity(256);
        for via in &heard.vias {
            let _ = write!(text, "{via}\r\n");
        }
        let _ = write!(
            text,
            "From: {}\r\nCall-ID: {}\r\nCSeq: {} {}\r\n",
            heard.from, heard.call_id, heard.cseq, heard.about
        );
        text
    }

    fn written(&self, status: u16, head: &str, to: &str, fields: &str, body: &str) -> String {
        let Agent { name, host, .. } = self;
        let contact = if (300..400).contains(&status) {
            String::new()
        } else {
            format!("Contact: <sip:{name}@{host}>\r\n")
        };
        let mut text = String::with_capacity(512 + body.len());
        let _ = write!(text, "SIP/2.0 {status} Said\r\n{head}To: {to}\r\n{contact}{fields}");
        if !body.is_empty() {
            text += "Content-Type: application/sdp\r\n";
        }
        let _ = write!(text, "Content-Length: {}\r\n\r\n{body}", body.len());
        text
    }

    fn reply(&mut self, desk: &mut Desk<'_>, heard: &Heard<'_>, status: u16, body: &str) {
        if heard.about != "INVITE" && desk.dice.chance(3) {
            desk.sends.push(self.written(100, &Agent::head(heard), heard.to, "", ""));
        }
        let bytes = self.written(status, &Agent::head(heard), heard.to, "", body);
        self.said.insert(format!("{} {}", heard.branch(), heard.about), bytes.clone());
        desk.sends.push(bytes);
    }

    fn session_of(&self, heard: &Heard<'_>) -> Option<usize> {
        let tag = heard.to_tag();
        self.sessions.iter().rposition(|session| {
            session.call_id == heard.call_id && (session.own_tag == tag || tag.is_empty())
        })
    }

    pub fn request(&mut self, desk: &mut Desk<'_>, heard: &Heard<'_>) {
        if heard.method == "ACK" {
            return self.acknowledged(heard);
        }
        if let Some(said) = self.said.get(&format!("{} {}", heard.branch(), heard.about)) {
            return desk.sends.push(said.clone());
        }
        let session = self.session_of(heard);
        match (heard.method, session) {
            ("INVITE", None) if heard.to_tag().is_empty() => self.invited(desk, heard),
            ("INVITE", Some(_)) if heard.to_tag().is_empty() => {} // it has said nothing to it so far
            ("OPTIONS", None) => self.reply(desk, heard, 200, ""),
            (_, None) => self.reply(desk, heard, 481, ""),
            ("CANCEL", Some(session)) => self.told_to_stop(desk, session, heard),
            ("BYE", Some(session)) => self.ended(desk, session, heard),
            ("INVITE", Some(session)) => self.asked_anew(desk, session, heard),
            ("UPDATE", Some(session)) => self.updated(desk, session, heard),
            ("PRACK", Some(_)) => {
                self.reply(desk, heard, 200, "");
                let of = |pending: &&mut super::agent::Pending| {
                    pending.call_id == heard.call_id && pending.status < 200
                };
                self.pending.iter_mut().filter(of).for_each(|pending| pending.waiting = false);
            }
            ("NOTIFY", Some(session)) => {
                let status = desk.dice.weighed(&[(20, 200), (1, 481), (1, 500)]);
                self.reply(desk, heard, status, "");
                // Whoever has transferred lets go, sooner or later.
                if heard.body.contains(" 200") && desk.dice.chance(70) {
                    desk.act(100, session, Act::HangUp);
                }
            }
            ("INFO" | "OPTIONS" | "MESSAGE", Some(_)) => self.reply(desk, heard, 200, ""),
            _ => self.reply(desk, heard, 405, ""),
        }
    }

    fn invited(&mut self, desk: &mut Desk<'_>, heard: &Heard<'_>) {
        let own_tag = self.fresh("u");
        self.sessions.push(Session {
            call_id: heard.call_id.to_owned(),
            own: format!("{};tag={own_tag}", heard.to),
            own_tag,
            theirs: heard.from.to_owned(),
            target: heard.target().to_owned(),
            cseq: 100,
            branch: heard.branch().to_owned(),
            invite_cseq: heard.cseq,
            head: Agent::head(heard),
            offered: !heard.body.is_empty(),
            version: 1,
            ..Session::default()
        });
        let session = self.sessions.len() - 1;
        if desk.closing {
            return desk.act(0, session, Act::Refuse(480));
        }
        self.plan(desk, session, heard);
    }

    fn plan(&mut self, desk: &mut Desk<'_>, session: usize, heard: &Heard<'_>) {
        let script = desk.dice.weighed(PHONE);
        let later = desk.dice.pick(MOMENTS);
        let rings = desk.dice.pick(&[0, 0, 10, 100]);
        let reliably = heard.text.contains("100rel") && desk.dice.chance(40);
        let ring = match desk.dice.below(10) {
            _ if reliably => Act::RingReliably,
            0..3 if self.trunk => Act::EarlyMedia,
            _ => Act::Ring,
        };
        match script {
            Script::Dead => return,
            Script::OnlyTries => return desk.act(0, session, Act::Trying),
            Script::AnswersAtOnce => return desk.act(0, session, Act::Answer),
            Script::RefusesAtOnce => {
                let status = desk.dice.pick(&[486, 480, 404, 500, 503, 488, 408, 603]);
                if self.trunk {
                    desk.act(0, session, Act::Trying);
                }
                return desk.act(0, session, Act::Refuse(status));
            }
            _ => desk.act(rings, session, ring),
        }
        if desk.dice.chance(10) {
            desk.act(rings + 300, session, Act::Ring);
        }
        let later = rings + later;
        match script {
            Script::Answers => desk.act(later, session, Act::Answer),
            Script::RefusesLater => {
                let status = desk.dice.pick(&[486, 603, 480, 487, 500]);
                desk.act(later, session, Act::Refuse(status));
            }
            Script::AnswersTwice => {
                desk.act(later, session, Act::Answer);
                let more = desk.dice.pick(&[0, 5, 600]);
                desk.act(later + more, session, Act::AnswerAgain);
            }
            Script::AnswersBroken => desk.act(later, session, Act::AnswerBroken),
            Script::AnswersWrongly => desk.act(later, session, Act::AnswerWrongly),
            Script::HangsUpAtOnce => {
                desk.act(later, session, Act::Answer);
                desk.act(later, session, Act::HangUp); // BYE before ACK
            }
            Script::AnswersAndVanishes => {
                desk.act(later, session, Act::Answer);
                desk.act(later + 1, session, Act::Vanish);
            }
            Script::Deflects => desk.act(later, session, Act::Refuse(302)),
            _ => {}
        }
    }

    pub fn progress(&mut self, desk: &mut Desk<'_>, session: usize, act: Act) {
        let of = &mut self.sessions[session];
        of.phase = Phase::Early;
        let (head, own) = (of.head.clone(), of.own.clone());
        let key = format!("{} INVITE", of.branch);
        let bytes = match act {
            Act::Trying => {
                let to = own.split(";tag=").next().unwrap_or_default();
                self.written(100, &head, to, "", "")
            }
            Act::EarlyMedia => {
                let body = self.description("sendrecv", 1);
                self.written(183, &head, &own, "", &body)
            }
            Act::RingReliably => {
                of.rseq += 1;
                let (call_id, rseq) = (of.call_id.clone(), of.rseq);
                let fields = format!("Require: 100rel\r\nRSeq: {rseq}\r\n");
                let bytes = self.written(180, &head, &own, &fields, "");
                self.said.insert(key, bytes.clone());
                return self.send_until_acknowledged(desk, session, (call_id, 0), 180, bytes);
            }
            _ => self.written(180, &head, &own, "", ""),
        };
        self.said.insert(key, bytes.clone());
        desk.sends.push(bytes);
    }

    pub fn answer(&mut self, desk: &mut Desk<'_>, session: usize, act: Act) {
        let of = &mut self.sessions[session];
        of.phase = Phase::Confirmed;
        let (head, own, key) = (of.head.clone(), of.own.clone(), format!("{} INVITE", of.branch));
        let id = (of.call_id.clone(), of.invite_cseq);
        let broken = act == Act::AnswerBroken;
        let body = match broken {
            true if desk.dice.chance(50) => String::new(),
            true => "v=0\r\nm=audio\r\n".to_owned(),
            false => self.description("sendrecv", 1),
        };
        let fields = "Allow: INVITE, ACK, CANCEL, BYE, UPDATE, NOTIFY, REFER\r\n";
        let bytes = self.written(200, &head, &own, fields, &body);
        self.said.insert(key, bytes.clone());
        self.quiet(id.0.clone());
        self.send_until_acknowledged(desk, session, id, 200, bytes);
        if desk.dice.chance(20) {
            // Those who are called hang up, too: at the very moments at which callers do.
            let wait = desk.dice.pick(&[0, 500, 1_000, 2_000, 5_000]);
            desk.act(wait, session, Act::HangUp);
        }
        self.plan_talk(desk, session);
    }

    /// What it has said reliably is not said any more.
    fn quiet(&mut self, call_id: String) {
        let of = |pending: &&mut super::agent::Pending| pending.call_id == call_id && pending.status < 200;
        self.pending.iter_mut().filter(of).for_each(|pending| pending.waiting = false);
    }

    pub fn answer_again(&mut self, desk: &mut Desk<'_>, session: usize) {
        let own_tag = self.fresh("v");
        let of = &self.sessions[session];
        let to = of.own.split(";tag=").next().unwrap_or_default();
        let own = format!("{to};tag={own_tag}");
        let twin = Session {
            phase: Phase::Confirmed,
            call_id: of.call_id.clone(),
            own: own.clone(),
            own_tag,
            theirs: of.theirs.clone(),
            target: of.target.clone(),
            cseq: 200,
            invite_cseq: of.invite_cseq,
            head: of.head.clone(),
            offered: of.offered,
            version: 1,
            ..Session::default()
        };
        let (head, id) = (of.head.clone(), (of.call_id.clone(), of.invite_cseq));
        self.sessions.push(twin);
        let body = self.description("sendrecv", 1);
        let bytes = self.written(200, &head, &own, "", &body);
        self.send_until_acknowledged(desk, self.sessions.len() - 1, id, 200, bytes);
    }

    pub fn answer_wrongly(&mut self, desk: &mut Desk<'_>, session: usize) {
        let of = &self.sessions[session];
        let head = of.head.replacen(&format!("CSeq: {} INVITE", of.invite_cseq), "CSeq: 4711 OPTIONS", 1);
        let bytes = self.written(200, &head, &of.own.clone(), "", "");
        desk.sends.push(bytes);
    }

    pub fn refuse(&mut self, desk: &mut Desk<'_>, session: usize, status: u16) {
        let of = &mut self.sessions[session];
        of.phase = Phase::Ended;
        let (head, own, key) = (of.head.clone(), of.own.clone(), format!("{} INVITE", of.branch));
        let id = (of.call_id.clone(), of.invite_cseq);
        let moved = desk.extensions[desk.dice.index(desk.extensions.len())].clone();
        let fields = match status {
            302 => format!("Contact: <sip:{moved}@{}>\r\n", crate::DOMAIN),
            503 => "Retry-After: 1\r\n".to_owned(),
            _ => String::new(),
        };
        let bytes = self.written(status, &head, &own, &fields, "");
        self.said.insert(key, bytes.clone());
        self.quiet(id.0.clone());
        self.send_until_acknowledged(desk, session, id, status, bytes);
    }

    fn told_to_stop(&mut self, desk: &mut Desk<'_>, session: usize, heard: &Heard<'_>) {
        self.reply(desk, heard, 200, "");
        if matches!(self.sessions[session].phase, Phase::Confirmed | Phase::Ended) {
            return; // its answer has crossed the CANCEL
        }
        match desk.dice.below(20) {
            0 => desk.act(0, session, Act::Answer),
            1 => desk.act(2_000, session, Act::Refuse(487)),
            2 => self.sessions[session].phase = Phase::Ended, // it forgets to say so
            _ => self.refuse(desk, session, 487),
        }
    }

    fn ended(&mut self, desk: &mut Desk<'_>, session: usize, heard: &Heard<'_>) {
        self.reply(desk, heard, 200, "");
        self.sessions[session].phase = Phase::Ended;
        let tag = &self.sessions[session].own_tag;
        let of = |pending: &&mut super::agent::Pending| {
            pending.call_id == heard.call_id && pending.bytes.contains(tag.as_str())
        };
        self.pending.iter_mut().filter(of).for_each(|pending| pending.waiting = false);
    }

    fn acknowledged(&mut self, heard: &Heard<'_>) {
        let tag = heard.to_tag();
        let mine = |pending: &&mut super::agent::Pending| {
            pending.waiting
                && pending.call_id == heard.call_id
                && pending.cseq == heard.cseq
                && pending.bytes.contains(tag)
        };
        self.pending.iter_mut().filter(mine).for_each(|pending| pending.waiting = false);
    }

    /// A re-INVITE.
    fn asked_anew(&mut self, desk: &mut Desk<'_>, session: usize, heard: &Heard<'_>) {
        if self.sessions[session].phase != Phase::Confirmed {
            return self.reply(desk, heard, 481, "");
        }
        if !heard.contact.is_empty() {
            self.sessions[session].target = heard.target().to_owned();
        }
        self.sessions[session].version += 1;
        let version = self.sessions[session].version;
        let status =
            desk.dice.weighed(&[(40, 200), (3, 488), (3, 491), (1, 481), (1, 408), (1, 500), (2, 0)]);
        let held = heard.body.contains("a=sendonly");
        let body = match status {
            200 if desk.dice.chance(2) => "v=0\r\nm=audio\r\n".to_owned(),
            200 => self.description(if held { "recvonly" } else { "sendrecv" }, version),
            _ => String::new(),
        };
        if status == 0 {
            return; // it says nothing at all
        }
        let bytes = self.written(status, &Agent::head(heard), heard.to, "", &body);
        self.said.insert(format!("{} INVITE", heard.branch()), bytes.clone());
        self.send_until_acknowledged(desk, session, (heard.call_id.to_owned(), heard.cseq), status, bytes);
        if status == 481 {
            self.sessions[session].phase = Phase::Ended;
        }
    }

    fn updated(&mut self, desk: &mut Desk<'_>, session: usize, heard: &Heard<'_>) {
        if self.sessions[session].phase == Phase::Ended {
            return self.reply(desk, heard, 481, "");
        }
        let status = desk.dice.weighed(&[(20, 200), (2, 491), (1, 488), (1, 500)]);
        let body = if status == 200 && !heard.body.is_empty() {
            self.description("sendrecv", 2)
        } else {
            String::new()
        };
        self.reply(desk, heard, status, &body);
    }
}
