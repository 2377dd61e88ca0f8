//! Who is let in at the door: before anything of a message is read, and after its credentials were looked at (RFC 3261 §26.1.5, §26.3.2.4).

use super::strangers::ShutOut;
use super::urgent;
use super::{Event, Switch};
use crate::call::office::Office;
use crate::clock::Now;
use crate::registrar::digest::Verdict;
use crate::rules::Ruleset;
use crate::sip::{Flow, Message, Name, glance};
use std::net::SocketAddr;

impl Switch {
    /// Whether a message that came by this flow is to be looked at. The edge asks before it reads one, so that what is refused costs
    /// a look-up. Whom we speak with is let in from wherever they speak: a phone's contact need not be where it registers from. A few calls for help are let in from anywhere.
    pub fn admits(&mut self, now: Now, flow: &Flow, bytes: &[u8]) -> bool {
        if self.is_known(flow) || self.proven.is_used(now.mono, flow) || self.speaks_with(bytes) {
            return true;
        }
        let vouched = || is_vouched_for(&self.rules, &self.office, flow.remote);
        let ip = flow.remote.ip();
        if self.strangers.admits(now.mono, ip, flow.transport, vouched) {
            return true;
        }
        let is_one = || urgent::is_call_for_help(bytes, &self.rules);
        let admitted = self.strangers.admits_call_for_help(now.mono, ip, flow.transport, is_one);
        self.counters.urgent_admitted_total += u64::from(admitted);
        self.counters.stranger_drops_total += u64::from(!admitted);
        admitted
    }

    /// Whether this answers a request of ours, or stands within a call: it names a branch or a tag that only its party was told.
    fn speaks_with(&mut self, bytes: &[u8]) -> bool {
        if self.office.transactions.awaits(bytes) {
            return true;
        }
        let tag = glance::field(bytes, "To", Some(b't')).and_then(glance::tag);
        let Some(tag) = tag.and_then(|tag| std::str::from_utf8(tag).ok()) else { return false };
        let call = self.calls.place(tag).and_then(|(key, ..)| self.calls.get_mut(key));
        call.is_some_and(|call| call.has_tag(tag))
    }

    /// Hands a message that was read to the transaction layer; an emergency call, and what follows within it (an answer waits for its
    /// PRACK, RFC 3262 §3), has room there where nothing else has any more.
    pub(super) fn take_in(&mut self, now: Now, flow: Flow, message: Message) {
        let urgent = self.office.transactions.is_full()
            && (urgent::is_emergency_invite(&message, &self.rules)
                || self.is_within_emergency_call(&message));
        let Office { transactions, events, .. } = &mut self.office;
        match urgent {
            true => transactions.receive_urgent(now.mono, flow, message, events),
            false => transactions.receive(now.mono, flow, message, events),
        }
    }

    /// Whether this is a request within an emergency call of ours, of either party.
    fn is_within_emergency_call(&mut self, message: &Message) -> bool {
        let place = message.is_request().then(|| self.in_dialog(message)).flatten();
        place.and_then(|(key, _)| self.calls.get_mut(key)).is_some_and(|call| call.is_emergency())
    }

    /// Whether this is somebody whom we know, or an address of the rules.
    pub(super) fn is_ours(&mut self, now: Now, flow: &Flow) -> bool {
        self.is_known(flow)
            || self.proven.is_used(now.mono, flow)
            || is_vouched_for(&self.rules, &self.office, flow.remote)
    }

    /// A flow that has registered, or whose certificate is a trunk's.
    fn is_known(&self, flow: &Flow) -> bool {
        self.office.location.knows(flow) || self.certified.is_trunk(flow)
    }

    /// What a stranger's credentials were counts for or against where they came from. What shows nothing about where that is counts for
    /// nothing: no credentials, broken ones, and those that answer no challenge of ours that was sent there.
    pub(super) fn judged(&mut self, now: Now, flow: &Flow, request: &Message, verdict: &Verdict) {
        if self.is_known(flow) {
            return;
        }
        match verdict {
            Verdict::Missing | Verdict::Malformed | Verdict::Stale => return,
            Verdict::Verified(_) => {
                self.strangers.verified(now.mono, flow.remote.ip());
                return self.proven.learn(now.mono, flow);
            }
            Verdict::Wrong => self.proven.forget(flow),
        }
        if is_vouched_for(&self.rules, &self.office, flow.remote) {
            return;
        }
        let said = request.values(Name::Authorization).chain(request.values(Name::ProxyAuthorization));
        let out = self.strangers.failed(now.mono, flow.remote.ip(), said.collect::<Vec<_>>());
        let Some(ShutOut { source, lasts }) = out else { return };
        self.counters.shut_outs_total += 1;
        self.told.push(Event::StrangerShutOut { source: source.to_string(), for_s: lasts.as_secs() });
    }
}

/// Whether this is an address of the rules, or one that a trunk's name leads to.
fn is_vouched_for(rules: &Ruleset, office: &Office, remote: SocketAddr) -> bool {
    rules.is_known_source(remote) || office.lines.leads_to(remote.ip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::lines::Server;
    use crate::relay::{Command, PortPair, Report};
    use crate::rules::Domain;
    use crate::rules::diagnostic::Files;
    use crate::rules::domain::Secrets;
    use crate::sip::{Transport, Writer};
    use crate::switch::config::{Config, Listener};
    use crate::switch::{Action, Input};
    use std::sync::Arc;

    const RULES: &str = "schema = 1
[domain]
name = \"pbx.example\"
timezone = \"America/New_York\"
country = \"US\"
[user.ann]
ext = \"100\"
[device.ann1]
user = \"ann\"
accept_from = [\"127.0.1.0/24\"]
[trunk.line]
proxy = \"203.0.113.5\"
[class.national]
match = [\"+1.\"]
[class.emergency]
match = [\"911\"]
[[route]]
classes = [\"national\", \"emergency\"]
via = [\"line\"]
";
    const ANN: &str = "127.0.1.1:5060";
    const LINE: &str = "203.0.113.5:5060";

    struct Bench {
        switch: Switch,
        now: Now,
    }

    impl Bench {
        fn new() -> Bench {
            let bound: SocketAddr = "127.0.0.1:5060".parse().unwrap();
            let advertise = bound.to_string();
            let listeners = vec![Listener { transport: Transport::Udp, bound, advertise }];
            let config = Config {
                listeners,
                default_domain: None,
                digest: vec![crate::sip::auth::Algorithm::Md5],
                expiry: crate::registrar::location::Expiry {
                    min_s: 60,
                    max_s: 7200,
                    default_s: 3600,
                    spread_percent: 0,
                },
                calls_max: 100,
                node: 0,
                ports_low: 16,
                media_advertise: None,
                media_advertise_ipv6: None,
                fingerprint: None,
                srtp: crate::sdp::keying::Srtp::Optional,
                unsolicited_mwi: false,
                strangers: crate::switch::strangers::Limits::default(),
                session: crate::call::session_timer::Limits::default(),
                drain_after: std::time::Duration::from_secs(60),
            };
            let files = Files([(Arc::from("domain.toml"), Arc::from(RULES))].into());
            let model = crate::rules::source::load(&files).model.unwrap();
            let domain = Domain::compile(&model, Secrets::default(), 1).unwrap();
            let mut bench = Bench { switch: Switch::new(config, [7; 32]), now: crate::net::clock::now() };
            bench.input(Input::Rules(Arc::new(Ruleset::new([Arc::new(domain)]))));
            let addresses = vec![LINE.parse().unwrap()];
            let server = Server { rank: 0, transport: Transport::Udp, weight: 0, addresses, name: None };
            let (domain, trunk) = ("pbx.example".into(), "line".into());
            bench.input(Input::TrunkResolved { domain, trunk, servers: vec![server] });
            bench
        }

        fn input(&mut self, input: Input) -> Vec<Message> {
            let (mut actions, mut sent) = (Vec::new(), Vec::new());
            self.switch.handle(self.now, input, &mut actions);
            for action in actions {
                match action {
                    Action::Send { bytes, .. } => sent.push(Message::parse(bytes).unwrap()),
                    Action::Media(Command::Grow { pairs }) => {
                        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
                        let ports = (20_000..).step_by(2).take(pairs);
                        let pairs =
                            ports.map(|port| PortPair { rtp: at(port), rtcp: at(port + 1) }).collect();
                        sent.extend(self.input(Input::Media(Report::Opened { pairs, exhausted: true })));
                    }
                    _ => {}
                }
            }
            sent
        }

        fn give(&mut self, from: &str, bytes: bytes::Bytes) -> Vec<Message> {
            let (local, remote) = ("127.0.0.1:5060".parse().unwrap(), from.parse().unwrap());
            let flow = Flow { transport: Transport::Udp, local, remote, connection: None };
            self.input(Input::Packet { flow, message: Message::parse(bytes).unwrap() })
        }

        /// Ann's request for that number; within the dialog that this message of ours stands in.
        fn ann(
            &mut self,
            method: &str,
            cseq: u32,
            number: &str,
            ours: Option<&Message>,
            more: &str,
        ) -> Vec<Message> {
            let to = ours.and_then(|ours| ours.value(Name::To)).map(str::to_owned);
            let to = to.unwrap_or_else(|| format!("<sip:{number}@pbx.example>"));
            let text = format!(
                "{method} sip:{number}@pbx.example SIP/2.0\r\nVia: SIP/2.0/UDP {ANN};branch=z9hG4bK{method}{cseq}{number}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:ann1@pbx.example>;tag=a{number}\r\nTo: {to}\r\nCall-ID: {number}\r\n\
                 CSeq: {cseq} {method}\r\nContact: <sip:ann1@{ANN}>\r\n{more}Content-Length: 0\r\n\r\n"
            );
            self.give(ANN, text.into())
        }

        /// Ann dials that number and the trunk says that it rings there, for sure: what she was told, and the INVITE.
        fn ringing(&mut self, number: &str) -> (Message, Message) {
            let sent = self.ann("INVITE", 1, number, None, "Supported: 100rel\r\n");
            let invite = sent.into_iter().find(Message::is_request).expect("it goes out");
            let mut w = Writer::reply(&invite, 183, "", Some("line"));
            w.header(Name::Contact, format_args!("<sip:line@{LINE}>"));
            w.header(Name::Require, "100rel").header(Name::RSeq, 1);
            let sdp = "v=0\r\no=- 1 1 IN IP4 203.0.113.5\r\ns=-\r\nc=IN IP4 203.0.113.5\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
            let told = self.give(LINE, w.body("application/sdp", sdp.as_bytes()));
            let is_told = |message: &Message| !message.is_request() && message.status() > 100;
            (told.into_iter().find(is_told).expect("Ann hears of it"), invite)
        }
    }

    fn statuses(sent: &[Message]) -> Vec<u16> {
        sent.iter().filter(|sent| !sent.is_request()).map(Message::status).collect()
    }

    #[test]
    fn what_follows_within_an_emergency_call_has_room_in_a_full_table_and_other_calls_have_not() {
        for (number, is_let_in) in [("911", true), ("+12025550199", false)] {
            let mut bench = Bench::new();
            let (told, invite) = bench.ringing(number);
            bench.switch.office.transactions.limit(1, 1);
            assert!(bench.switch.office.transactions.is_full());
            let rack = format!("RAck: {} 1 INVITE\r\n", told.value(Name::RSeq).unwrap_or("1"));
            let pracked = bench.ann("PRACK", 2, number, Some(&told), &rack);
            assert_eq!(statuses(&pracked).contains(&503), !is_let_in, "{number}: {:?}", statuses(&pracked));
            let mut w = Writer::reply(&invite, 200, "OK", Some("line"));
            w.header(Name::Contact, format_args!("<sip:line@{LINE}>"));
            bench.give(LINE, w.finish());
            bench.ann("ACK", 1, number, Some(&told), "");
            for (cseq, method) in [(3, "UPDATE"), (4, "BYE")] {
                let answered = statuses(&bench.ann(method, cseq, number, Some(&told), ""));
                assert_eq!(answered, [if is_let_in { 200 } else { 503 }], "{method} to {number}");
            }
        }
    }
}
