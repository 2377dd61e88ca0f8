//! What agents do in a session when its time has come, and in calls that are up.

use super::agent::{Act, Agent, Desk, Phase, Session};
use crate::DOMAIN;

impl Agent {
    pub fn act(&mut self, desk: &mut Desk<'_>, session: usize, act: Act) {
        let of = &self.sessions[session];
        let (phase, outgoing) = (of.phase, of.outgoing);
        let early = matches!(phase, Phase::Calling | Phase::Early);
        match act {
            Act::Trying | Act::Ring | Act::EarlyMedia | Act::RingReliably if !outgoing && early => {
                self.progress(desk, session, act);
            }
            Act::Answer | Act::AnswerBroken if !outgoing && early => self.answer(desk, session, act),
            Act::AnswerAgain if !outgoing && phase == Phase::Confirmed => self.answer_again(desk, session),
            Act::AnswerWrongly if !outgoing && early => self.answer_wrongly(desk, session),
            Act::Refuse(status) if !outgoing && early => self.refuse(desk, session, status),
            Act::Cancel if outgoing && early => self.cancel(desk, session),
            Act::HangUp => self.hang_up(desk, session),
            Act::Vanish => self.gone_until = desk.now + desk.dice.pick(&[1_000, 5_000, 40_000, 100_000]),
            _ if phase == Phase::Confirmed => self.talk(desk, session, act),
            _ => {}
        }
    }

    /// Something in an answered call.
    fn talk(&mut self, desk: &mut Desk<'_>, session: usize, act: Act) {
        self.sessions[session].version += 1;
        let version = self.sessions[session].version;
        match act {
            Act::Hold | Act::Resume => {
                let body = self.description(if act == Act::Hold { "sendonly" } else { "sendrecv" }, version);
                self.within(desk, session, "INVITE", "", &body);
            }
            Act::Ask => drop(self.within(desk, session, "INVITE", "", "")),
            Act::BrokenOffer => drop(self.within(desk, session, "INVITE", "", "v=0\r\nm=nothing\r\n")),
            Act::Update => {
                let body = self.description("sendrecv", version);
                self.within(desk, session, "UPDATE", "", &body);
            }
            Act::Info => drop(self.within(desk, session, "INFO", "", "")),
            Act::Options => drop(self.within(desk, session, "OPTIONS", "", "")),
            Act::OldNumber => {
                let branch = self.fresh("z9hG4bKo");
                let bytes = self.in_dialog(session, "INFO", 0, &branch, "", "");
                self.send(desk, "INFO", Some(session), branch, bytes);
            }
            Act::Transfer => {
                let to = desk.extensions[desk.dice.index(desk.extensions.len())].clone();
                let fields = format!("Refer-To: <sip:{to}@{DOMAIN}>\r\n");
                self.within(desk, session, "REFER", &fields, "");
            }
            Act::TransferAttended => self.transfer_attended(desk, session),
            _ => {}
        }
    }

    /// The party of this session is to be connected with that of another one (RFC 5589 §7).
    fn transfer_attended(&mut self, desk: &mut Desk<'_>, session: usize) {
        let talking = |at: &usize| self.sessions[*at].phase == Phase::Confirmed && *at != session;
        let Some(other) = (0..self.sessions.len()).find(talking) else { return };
        let Session { call_id, own_tag, theirs, .. } = &self.sessions[other];
        let their_tag = theirs.split("tag=").nth(1).unwrap_or_default();
        let fields = format!(
            "Refer-To: <sip:x@{DOMAIN}?Replaces={call_id}%3Bto-tag%3D{their_tag}%3Bfrom-tag%3D{own_tag}>\r\n"
        );
        self.within(desk, session, "REFER", &fields, "");
    }
}
