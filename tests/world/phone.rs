//! A scripted phone. It reads what the switch writes through `rsip`, code that is not ours, and writes its own messages as text.
//! It retransmits as RFC 3261 §17 says, in a few lines: what it sends again, until when, is all that it keeps.

mod hearing;
mod reoffer;

use crate::guard::Guard;
use bytes::Bytes;
use rsip::SipMessage;
use rsip::prelude::{HasHeaders, HeadersExt, UntypedHeader};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

const T1: Duration = Duration::from_millis(500);

/// What the phone does with an INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// 180, then 200.
    Answer { after: Duration },
    /// 180, then nothing.
    Ring,
    /// 180, then this.
    Refuse { status: u16, after: Duration },
    /// 100, then this at once: a trunk that can't.
    Fails(u16),
    /// 183 with a description, then nothing: the announcement of a network.
    EarlyMedia,
    /// 183 with a description, then 200.
    EarlyAnswer { after: Duration },
    /// Nothing at all.
    Dead,
}

/// Where the phone describes the session of a call that it makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Describes {
    /// In its INVITE.
    Invite,
    /// In its ACK, or in its PRACK: the offer is to come from the other side.
    Ack,
    /// In neither, though it was made an offer: no sound phone does that.
    Nothing,
}

/// Something that is sent until it is answered.
struct Repeat {
    bytes: Bytes,
    next: Duration,
    interval: Duration,
    until: Duration,
}

/// An INVITE that this phone has got.
struct Incoming {
    invite: rsip::Request,
    tag: String,
    /// When the script answers.
    due: Option<Duration>,
    finished: bool,
    /// Its provisional response is not acknowledged: a 2xx has to wait (RFC 3262 §3).
    unacknowledged: bool,
}

/// A call that this phone makes.
struct Outgoing {
    to_tag: Option<String>,
    /// Before the answer.
    early_tag: Option<String>,
    invite_branch: String,
    /// Hangs up this long after the answer.
    talk: Duration,
    hang_up_at: Option<Duration>,
    /// Of the newest reliable response.
    rseq: Option<u32>,
    describes: Describes,
}

pub struct Phone {
    pub address: SocketAddr,
    /// What it takes its address for and writes of itself: another one where a NAT stands before it.
    pub named: SocketAddr,
    pub user: String,
    pub script: Script,
    pub outbox: Vec<Bytes>,
    /// Final responses to this phone's INVITEs: by Call-ID, each once.
    pub finals: BTreeMap<String, Vec<u16>>,
    /// Provisional responses other than 100, in order.
    pub provisionals: Vec<u16>,
    /// The CANCELs that came: their Reasons.
    pub cancels: Vec<Vec<String>>,
    /// ACKs to this phone's 2xx, and BYEs in its calls.
    pub acks: u32,
    pub byes: u32,
    /// The BYEs that came, as text; and the methods of all requests that came, each once.
    pub ends: Vec<String>,
    pub heard: Vec<String>,
    /// The OPTIONS that came, and the bodies of the MESSAGEs.
    pub options: u32,
    pub messages: Vec<String>,
    /// Of a trunk that asks who we are.
    pub guard: Option<Guard>,
    /// The INVITEs that came (and were let in), each once, as text.
    pub invites: Vec<String>,
    /// The re-INVITEs that came, each once, as text; and what it answers to them.
    pub reinvites: Vec<String>,
    /// 100: that and nothing more; 180: that until it is cancelled.
    pub reinvite_status: u16,
    /// A re-INVITE that waits for its CANCEL.
    asked: Option<rsip::Request>,
    /// Its tag in calls that come; else one that is new each time.
    pub own_tag: Option<String>,
    /// Final responses to its other requests within calls, in order: method and status.
    pub told: Vec<(String, u16)>,
    /// The ACKs that came with a description, and the last one of them as text.
    pub answered_offers: u32,
    pub last_answer: String,
    /// The NOTIFYs that came, each once, as text; and what it answers to the next ones (0: nothing).
    pub notifies: Vec<String>,
    pub notify_status: u16,
    /// The MESSAGEs that came, each once, as text; and what it answers to the next ones (0: nothing).
    pub texts: Vec<String>,
    pub message_status: u16,
    /// Final responses to its SUBSCRIBEs, in order, as text.
    pub subscribed: Vec<String>,
    /// Its subscriptions: by Call-ID, our peer's tag and the number of the last request.
    dialogs: BTreeMap<String, (String, u32)>,
    /// Its provisional responses are reliable.
    pub reliable: bool,
    /// The PRACKs that came, each once: their RAck.
    pub pracks: Vec<String>,
    /// Final responses to its own PRACKs.
    pub pracked: Vec<u16>,
    /// The 200s to its INVITEs that had a description, and those that had none.
    pub described: (u32, u32),
    /// Its 200 describes another session than its 183.
    pub changes_its_mind: bool,
    /// Of the calls that it makes from now on.
    pub describes: Describes,
    /// What it describes in the place of the usual.
    pub session: Option<String>,
    /// Final responses to its re-INVITEs, in order, as text.
    pub reoffered: Vec<String>,
    /// Its re-INVITEs by their branch: the call, the number of the request, and whether it asks for an offer.
    reoffers: BTreeMap<String, (String, u64, bool)>,
    /// Where its 3xx send a call.
    pub moved_to: Option<String>,
    /// Of every request that this phone makes.
    pub max_forwards: u8,
    /// More header fields in them, each with its line end.
    pub extra: String,
    /// Calls that this phone answered and that were neither ACKed nor BYEd yet.
    pub open_answers: BTreeMap<String, bool>,
    repeats: BTreeMap<String, Repeat>,
    answers: BTreeMap<String, Bytes>,
    incoming: BTreeMap<String, Incoming>,
    outgoing: BTreeMap<String, Outgoing>,
    count: u64,
    now: Duration,
}

impl Phone {
    pub fn new(address: &str, user: &str, script: Script) -> Phone {
        Phone {
            address: address.parse().unwrap(),
            named: address.parse().unwrap(),
            user: user.to_owned(),
            script,
            outbox: Vec::new(),
            finals: BTreeMap::new(),
            provisionals: Vec::new(),
            cancels: Vec::new(),
            acks: 0,
            byes: 0,
            ends: Vec::new(),
            heard: Vec::new(),
            options: 0,
            messages: Vec::new(),
            guard: None,
            invites: Vec::new(),
            reinvites: Vec::new(),
            reinvite_status: 200,
            asked: None,
            own_tag: None,
            told: Vec::new(),
            answered_offers: 0,
            last_answer: String::new(),
            notifies: Vec::new(),
            notify_status: 200,
            texts: Vec::new(),
            message_status: 200,
            subscribed: Vec::new(),
            dialogs: BTreeMap::new(),
            reliable: false,
            pracks: Vec::new(),
            pracked: Vec::new(),
            described: (0, 0),
            changes_its_mind: false,
            describes: Describes::Invite,
            session: None,
            reoffered: Vec::new(),
            reoffers: BTreeMap::new(),
            moved_to: None,
            max_forwards: 70,
            extra: String::new(),
            open_answers: BTreeMap::new(),
            repeats: BTreeMap::new(),
            answers: BTreeMap::new(),
            incoming: BTreeMap::new(),
            outgoing: BTreeMap::new(),
            count: 0,
            now: Duration::ZERO,
        }
    }

    pub fn register(&mut self, now: Duration) {
        self.now = now;
        let call_id = self.fresh("reg");
        let extra = format!("Contact: <sip:{}@{}>\r\nExpires: 3600\r\n", self.user, self.named);
        let user = self.user.clone();
        self.request("REGISTER", &format!("sip:{}", crate::DOMAIN), &user, None, &call_id, 1, &extra, "");
    }

    /// Calls, and hangs up `talk` after the answer. Returns the Call-ID.
    pub fn call(&mut self, now: Duration, to: &str, talk: Duration) -> String {
        self.now = now;
        let call_id = self.fresh("call");
        let extra = format!("Contact: <sip:{}@{}>\r\n", self.user, self.named);
        let uri = if to.starts_with("urn:") { to.to_owned() } else { format!("sip:{to}@{}", crate::DOMAIN) };
        let to = if to.starts_with("urn:") { "sos" } else { to };
        let offer = if self.describes == Describes::Invite { self.offer() } else { String::new() };
        let branch = self.request("INVITE", &uri, to, None, &call_id, 1, &extra, &offer);
        self.finals.insert(call_id.clone(), Vec::new());
        self.outgoing.insert(
            call_id.clone(),
            Outgoing {
                to_tag: None,
                early_tag: None,
                invite_branch: branch,
                talk,
                hang_up_at: None,
                rseq: None,
                describes: self.describes,
            },
        );
        call_id
    }

    /// Subscribes to the `event` of `to` for so many seconds, with these fields more. Returns the Call-ID.
    pub fn subscribe(&mut self, now: Duration, event: &str, to: &str, expires: u32, more: &str) -> String {
        let contact = format!("Contact: <sip:{}@{}>\r\n{more}", self.user, self.named);
        self.subscribe_as(now, event, to, expires, &contact)
    }

    /// The same, with its Contact among the fields.
    pub fn subscribe_as(
        &mut self,
        now: Duration,
        event: &str,
        to: &str,
        expires: u32,
        fields: &str,
    ) -> String {
        self.now = now;
        let call_id = self.fresh("sub");
        let extra = format!("Event: {event}\r\nExpires: {expires}\r\n{fields}");
        let uri = format!("sip:{to}@{}", crate::DOMAIN);
        self.request("SUBSCRIBE", &uri, to, None, &call_id, 1, &extra, "");
        call_id
    }

    /// Refreshes a subscription, or gives it up with 0.
    pub fn resubscribe(&mut self, now: Duration, call_id: &str, event: &str, to: &str, expires: u32) {
        self.now = now;
        let (tag, cseq) = self.dialogs.get(call_id).cloned().unwrap_or_default();
        self.dialogs.insert(call_id.to_owned(), (tag.clone(), cseq + 1));
        let extra = format!(
            "Contact: <sip:{}@{}>\r\nEvent: {event}\r\nExpires: {expires}\r\n",
            self.user, self.named
        );
        let uri = format!("sip:{}", crate::net::switch_address());
        self.request("SUBSCRIBE", &uri, to, Some(&tag), call_id, cseq + 1, &extra, "");
    }

    /// A request in a call that this phone made or answered: its own word for the dialog. `fields` end with a line end.
    pub fn within(&mut self, now: Duration, call_id: &str, method: &str, fields: &str) {
        self.now = now;
        self.count += 1;
        let (branch, cseq) = (self.fresh("z9hG4bK"), 100 + self.count);
        let bytes = self.in_dialog(call_id, method, cseq, &branch, fields, "");
        self.send_repeating(format!("{branch}{method}"), bytes);
    }

    /// A request as if from the party with the tag `from`, in a dialog that this phone has no part in.
    pub fn pretend(&mut self, now: Duration, method: &str, call_id: &str, from: &str, to: &str) {
        self.now = now;
        let (branch, address, domain) = (self.fresh("z9hG4bK"), self.named, crate::DOMAIN);
        let bytes = format!(
            "{method} sip:{} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch={branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:x@{domain}>;tag={from}\r\nTo: <sip:y@{domain}>;tag={to}\r\nCall-ID: {call_id}\r\n\
             CSeq: 999 {method}\r\nContact: <sip:x@{address}>\r\nContent-Length: 0\r\n\r\n",
            crate::net::switch_address()
        );
        self.send_repeating(format!("{branch}{method}"), bytes.into());
    }

    /// A REFER outside of any dialog, with these fields.
    pub fn refer_apart(&mut self, now: Duration, to: &str, fields: &str) {
        self.now = now;
        let call_id = self.fresh("refer");
        let extra = format!("Contact: <sip:{}@{}>\r\n{fields}", self.user, self.named);
        self.request("REFER", &format!("sip:{to}@{}", crate::DOMAIN), to, None, &call_id, 1, &extra, "");
    }

    /// A dialog of this phone's as somebody else's Replaces would name it (RFC 3891): by the tag of the other party, then its own.
    pub fn replaces(&self, call_id: &str) -> String {
        let (own, other) = match (self.outgoing.get(call_id), self.incoming.get(call_id)) {
            (Some(call), _) => {
                let theirs = call.to_tag.clone().or_else(|| call.early_tag.clone());
                (format!("t{call_id}"), theirs.unwrap_or_default())
            }
            (None, Some(call)) => {
                let from = call.invite.from_header().unwrap().value().to_owned();
                (call.tag.clone(), from.split("tag=").nth(1).unwrap().to_owned())
            }
            (None, None) => panic!("no call {call_id}"),
        };
        format!("{call_id};to-tag={other};from-tag={own}")
    }

    /// Sends a text to somebody.
    pub fn text(&mut self, now: Duration, to: &str, text: &str) {
        self.now = now;
        let (address, user, domain, hops) = (self.named, self.user.clone(), crate::DOMAIN, self.max_forwards);
        let (branch, call_id) = (self.fresh("z9hG4bK"), self.fresh("msg"));
        let bytes = format!(
            "MESSAGE sip:{to}@{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch={branch}\r\nMax-Forwards: {hops}\r\n\
             From: <sip:{user}@{domain}>;tag=t{call_id}\r\nTo: <sip:{to}@{domain}>\r\nCall-ID: {call_id}\r\n\
             CSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        );
        self.send_repeating(format!("{branch}MESSAGE"), bytes.into());
    }

    /// The Call-ID of the newest call that came to this phone.
    pub fn newest_call(&self) -> String {
        let newest = self.invites.last().expect("somebody has called");
        let line = newest.lines().find(|line| line.starts_with("Call-ID:")).unwrap();
        line["Call-ID:".len()..].trim().to_owned()
    }

    /// Its subscriptions, which it forgets: as a phone does that was switched off.
    pub fn take_dialogs(&mut self) -> BTreeMap<String, (String, u32)> {
        std::mem::take(&mut self.dialogs)
    }

    /// Takes another phone's subscriptions for its own.
    pub fn adopt(&mut self, dialogs: &BTreeMap<String, (String, u32)>) {
        self.dialogs.extend(dialogs.clone());
    }

    pub fn cancel(&mut self, now: Duration, call_id: &str, to: &str) {
        self.now = now;
        let branch = self.outgoing[call_id].invite_branch.clone();
        let uri = format!("sip:{to}@{}", crate::DOMAIN);
        let bytes = self.message("CANCEL", &uri, to, None, call_id, 1, &branch, "", "");
        self.send_repeating(format!("{branch}CANCEL"), bytes);
    }

    pub fn receive(&mut self, now: Duration, bytes: &Bytes) {
        self.now = now;
        match SipMessage::try_from(bytes.clone()).expect("rsip reads what we write") {
            SipMessage::Request(request) => self.receive_request(request),
            SipMessage::Response(response) => self.receive_response(&response),
        }
    }

    pub fn wake(&mut self, now: Duration) {
        self.now = now;
        self.repeats.retain(|_, repeat| repeat.until > now);
        for repeat in self.repeats.values_mut().filter(|repeat| repeat.next <= now) {
            self.outbox.push(repeat.bytes.clone());
            repeat.interval = (repeat.interval * 2).min(8 * T1);
            repeat.next = now + repeat.interval;
        }
        let due: Vec<String> = self.due_answers();
        for call_id in due {
            self.answer(&call_id);
        }
        let ending: Vec<String> = self
            .outgoing
            .iter()
            .filter(|(_, call)| call.hang_up_at.is_some_and(|at| at <= now))
            .map(|(id, _)| id.clone())
            .collect();
        for call_id in ending {
            self.hang_up(&call_id);
        }
    }

    pub fn deadline(&self) -> Option<Duration> {
        let repeats = self.repeats.values().map(|repeat| repeat.next.min(repeat.until));
        let answers = self
            .incoming
            .values()
            .filter(|call| !call.finished && !call.unacknowledged)
            .filter_map(|call| call.due);
        let ends = self.outgoing.values().filter_map(|call| call.hang_up_at);
        repeats.chain(answers).chain(ends).min()
    }

    fn due_answers(&self) -> Vec<String> {
        let due = |call: &Incoming| {
            !call.finished && !call.unacknowledged && call.due.is_some_and(|at| at <= self.now)
        };
        self.incoming.iter().filter(|(_, call)| due(call)).map(|(id, _)| id.clone()).collect()
    }

    #[allow(clippy::too_many_arguments)] // the parts of a request, in their order on the wire
    fn request(
        &mut self,
        method: &str,
        uri: &str,
        to: &str,
        to_tag: Option<&str>,
        call_id: &str,
        cseq: u32,
        extra: &str,
        body: &str,
    ) -> String {
        let branch = self.fresh("z9hG4bK");
        let bytes = self.message(method, uri, to, to_tag, call_id, cseq, &branch, extra, body);
        self.send_repeating(format!("{branch}{method}"), bytes);
        branch
    }

    #[allow(clippy::too_many_arguments)] // as above
    fn message(
        &self,
        method: &str,
        uri: &str,
        to: &str,
        to_tag: Option<&str>,
        call_id: &str,
        cseq: u32,
        branch: &str,
        extra: &str,
        body: &str,
    ) -> Bytes {
        let (address, user, domain) = (self.named, &self.user, crate::DOMAIN);
        let (max_forwards, more) = (self.max_forwards, &self.extra);
        let to_tag = to_tag.map(|tag| format!(";tag={tag}")).unwrap_or_default();
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch={branch}\r\nMax-Forwards: {max_forwards}\r\n\
             From: \"{user}\" <sip:{user}@{domain}>;tag=t{call_id}\r\nTo: <sip:{to}@{domain}>{to_tag}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n{extra}{more}{content}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into()
    }

    fn reply(&mut self, request: &rsip::Request, status: u16, tag: &str, body: &str, key: &str) -> Bytes {
        let mut text = format!("SIP/2.0 {status} Whatever\r\n");
        for header in request.headers().iter() {
            match header {
                rsip::Header::To(to) if !to.value().contains("tag=") => {
                    text += &format!("To: {};tag={tag}\r\n", to.value());
                }
                rsip::Header::Via(_)
                | rsip::Header::From(_)
                | rsip::Header::To(_)
                | rsip::Header::CallId(_)
                | rsip::Header::CSeq(_) => text += &format!("{header}\r\n"),
                _ => {}
            }
        }
        match &self.moved_to {
            Some(to) if (300..400).contains(&status) => text += &format!("Contact: {to}\r\n"),
            _ => text += &format!("Contact: <sip:{}@{}>\r\n", self.user, self.named),
        }
        if !body.is_empty() {
            text += "Content-Type: application/sdp\r\n";
        }
        text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        let bytes = Bytes::from(text);
        self.answers.insert(key.to_owned(), bytes.clone());
        self.outbox.push(bytes.clone());
        bytes
    }

    fn send_repeating(&mut self, key: String, bytes: Bytes) {
        self.outbox.push(bytes.clone());
        self.send_again(key, bytes);
    }

    fn send_again(&mut self, key: String, bytes: Bytes) {
        let repeat = Repeat { bytes, next: self.now + T1, interval: T1, until: self.now + 64 * T1 };
        self.repeats.insert(key, repeat);
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.count += 1;
        format!("{prefix}{}n{}", self.address.port(), self.count)
            + &self.address.ip().to_string().replace('.', "x")
    }

    fn offer(&self) -> String {
        if let Some(session) = &self.session {
            return session.clone();
        }
        let ip = self.address.ip();
        format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=sendrecv\r\n"
        )
    }
}

fn branch_of(message: &impl HeadersExt) -> String {
    let via = message.via_header().unwrap().value();
    via.split("branch=").nth(1).unwrap().split(';').next().unwrap().to_owned()
}
