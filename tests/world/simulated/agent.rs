//! A phone, a trunk or a caller: one that keeps to RFC 3261 where it is not drawn otherwise, and retransmits as §17 says. What it does
//! next stands in its timers, so that a run is the order of its events and nothing else.

use super::dice::Dice;
use super::wire::Heard;
use crate::DOMAIN;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

pub const T1: u64 = 500;
pub const T2: u64 = 4000;
/// How long anything is sent again.
pub const GIVE_UP: u64 = 64 * T1;

/// What an agent has set its clock for.
#[derive(Clone, Debug)]
pub enum Timer {
    Register,
    Dial(String),
    Mischief(Mischief),
    /// A request is sent again.
    Client(usize),
    /// A response is sent again until its ACK or PRACK comes.
    Answer(usize),
    /// In one of its sessions.
    Act(usize, Act),
}

/// What somebody does in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Trying,
    Ring,
    /// 183 with a session.
    EarlyMedia,
    /// 180 that wants a PRACK.
    RingReliably,
    Answer,
    /// 200 with another tag: somebody else behind it has answered, too.
    AnswerAgain,
    /// 200 without anything that could be talked by.
    AnswerBroken,
    /// A response with the number of another request.
    AnswerWrongly,
    Refuse(u16),
    Cancel,
    HangUp,
    Hold,
    Resume,
    /// A re-INVITE without a session.
    Ask,
    BrokenOffer,
    Update,
    Info,
    Options,
    Transfer,
    TransferAttended,
    /// A request with a number from long ago.
    OldNumber,
    /// It is gone for a while, and says nothing to anybody.
    Vanish,
}

/// What nobody sound does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mischief {
    StrayResponse,
    StrayBye,
    StrayAck,
    StrayCancel,
    NoContact,
    BrokenSession,
    Garbage,
    Merged,
}

impl Mischief {
    pub const ALL: [Mischief; 8] = [
        Mischief::StrayResponse,
        Mischief::StrayBye,
        Mischief::StrayAck,
        Mischief::StrayCancel,
        Mischief::NoContact,
        Mischief::BrokenSession,
        Mischief::Garbage,
        Mischief::Merged,
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Phase {
    #[default]
    Calling,
    Early,
    Confirmed,
    Ended,
}

/// One INVITE of its own or of another's, and the dialog that came of it.
#[derive(Default)]
pub struct Session {
    pub outgoing: bool,
    pub phase: Phase,
    pub call_id: String,
    pub own_tag: String,
    /// The From of its requests, and the To of them.
    pub own: String,
    pub theirs: String,
    pub target: String,
    pub cseq: u32,
    /// Of the first INVITE: its branch and number and, of one that came, the lines that its responses repeat.
    pub branch: String,
    pub invite_cseq: u32,
    pub head: String,
    pub offered: bool,
    /// Its CANCEL waits for a provisional response, or has gone out.
    pub cancels: bool,
    pub cancelled: bool,
    pub never_acks: bool,
    pub ignores_reliable: bool,
    pub rseq: u32,
    pub version: u32,
    /// How long it talks.
    pub talks: Option<u64>,
}

/// A request of its own that is not finally answered, or lately was.
pub struct Client {
    pub branch: String,
    pub method: &'static str,
    pub session: Option<usize>,
    pub bytes: String,
    pub interval: u64,
    pub until: u64,
    pub waiting: bool,
    /// The ACK that goes out again with each repetition of the final response.
    pub ack: Option<(u16, String)>,
}

/// A response that is sent until it is acknowledged.
pub struct Pending {
    pub call_id: String,
    pub cseq: u32,
    pub session: usize,
    pub status: u16,
    pub bytes: String,
    pub interval: u64,
    pub until: u64,
    pub waiting: bool,
}

pub struct Agent {
    pub address: SocketAddr,
    pub host: String,
    pub name: String,
    pub trunk: bool,
    /// It hears and says nothing until then.
    pub gone_until: u64,
    pub sessions: Vec<Session>,
    pub clients: Vec<Client>,
    pub pending: Vec<Pending>,
    /// What it has said to each request, by branch and method.
    pub said: HashMap<String, String>,
    pub count: u64,
}

/// What an agent acts through.
pub struct Desk<'a> {
    pub now: u64,
    pub dice: &'a mut Dice,
    pub sends: Vec<String>,
    pub timers: Vec<(u64, Timer)>,
    pub extensions: &'a [String],
    /// Nobody begins anything any more.
    pub closing: bool,
}

impl Desk<'_> {
    pub fn after(&mut self, wait: u64, timer: Timer) {
        self.timers.push((self.now + wait, timer));
    }

    pub fn act(&mut self, wait: u64, session: usize, act: Act) {
        self.after(wait, Timer::Act(session, act));
    }
}

impl Agent {
    pub fn new(address: SocketAddr, name: &str, trunk: bool) -> Agent {
        Agent {
            address,
            host: address.to_string(),
            name: name.to_owned(),
            trunk,
            gone_until: 0,
            sessions: Vec::new(),
            clients: Vec::new(),
            pending: Vec::new(),
            said: HashMap::new(),
            count: 0,
        }
    }

    pub fn fresh(&mut self, prefix: &str) -> String {
        self.count += 1;
        format!("{prefix}{}.{}", self.host.split(':').next().unwrap_or_default(), self.count)
    }

    pub fn description(&self, direction: &str, version: u32) -> String {
        let ip = self.address.ip();
        format!(
            "v=0\r\no=- 1 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 101\r\n\
             a=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
        )
    }

    /// Sends a request in a new transaction; `text` begins behind its Via.
    pub fn send(
        &mut self,
        desk: &mut Desk<'_>,
        method: &'static str,
        session: Option<usize>,
        branch: String,
        bytes: String,
    ) {
        desk.sends.push(bytes.clone());
        let until = desk.now + GIVE_UP;
        self.clients.push(Client {
            branch,
            method,
            session,
            bytes,
            interval: T1,
            until,
            waiting: true,
            ack: None,
        });
        desk.after(T1, Timer::Client(self.clients.len() - 1));
    }

    pub fn wake(&mut self, desk: &mut Desk<'_>, timer: Timer) {
        if desk.now < self.gone_until {
            return self.sleep_on(desk, timer);
        }
        match timer {
            Timer::Register => self.register(desk),
            Timer::Dial(to) => self.dial(desk, &to),
            Timer::Mischief(mischief) => self.mischief(desk, mischief),
            Timer::Client(at) => self.repeat_request(desk, at),
            Timer::Answer(at) => self.repeat_answer(desk, at),
            Timer::Act(session, act) => self.act(desk, session, act),
        }
    }

    /// What it would have done while it was gone is done when it is back, or never.
    fn sleep_on(&mut self, desk: &mut Desk<'_>, timer: Timer) {
        let wait = self.gone_until - desk.now;
        if !matches!(timer, Timer::Mischief(_) | Timer::Dial(_)) {
            desk.after(wait, timer);
        }
    }

    fn repeat_request(&mut self, desk: &mut Desk<'_>, at: usize) {
        let client = &mut self.clients[at];
        if !client.waiting {
            return;
        }
        if client.until <= desk.now {
            client.waiting = false;
            let (method, session) = (client.method, client.session);
            return self.unanswered(method, session);
        }
        desk.sends.push(client.bytes.clone());
        client.interval *= 2;
        if client.method != "INVITE" {
            client.interval = client.interval.min(T2);
        }
        let wait = client.interval.min(client.until - desk.now);
        desk.after(wait, Timer::Client(at));
    }

    /// RFC 3261 §8.1.3.1, §12.2.1.2: that is a 408, and the dialog is over.
    fn unanswered(&mut self, method: &str, session: Option<usize>) {
        if let (Some(session), "INVITE" | "BYE") = (session, method) {
            self.sessions[session].phase = Phase::Ended;
        }
    }

    /// Sends a response until it is acknowledged.
    pub fn send_until_acknowledged(
        &mut self,
        desk: &mut Desk<'_>,
        session: usize,
        (call_id, cseq): (String, u32),
        status: u16,
        bytes: String,
    ) {
        desk.sends.push(bytes.clone());
        let until = desk.now + GIVE_UP;
        self.pending.push(Pending {
            call_id,
            cseq,
            session,
            status,
            bytes,
            interval: T1,
            until,
            waiting: true,
        });
        desk.after(T1, Timer::Answer(self.pending.len() - 1));
    }

    fn repeat_answer(&mut self, desk: &mut Desk<'_>, at: usize) {
        let pending = &mut self.pending[at];
        if !pending.waiting {
            return;
        }
        if pending.until <= desk.now {
            pending.waiting = false;
            let (session, status) = (pending.session, pending.status);
            if (200..300).contains(&status) {
                self.hang_up(desk, session); // RFC 3261 §13.3.1.4
            }
            return;
        }
        desk.sends.push(pending.bytes.clone());
        pending.interval = (2 * pending.interval).min(T2);
        let wait = pending.interval.min(pending.until - desk.now);
        desk.after(wait, Timer::Answer(at));
    }

    pub fn receive(&mut self, desk: &mut Desk<'_>, heard: &Heard<'_>) {
        if desk.now < self.gone_until {
            return;
        }
        match heard.status {
            0 => self.request(desk, heard),
            _ => self.response(desk, heard),
        }
    }

    /// Everybody goes home.
    pub fn leave(&mut self, desk: &mut Desk<'_>) {
        self.gone_until = 0;
        for session in 0..self.sessions.len() {
            let (outgoing, phase) = (self.sessions[session].outgoing, self.sessions[session].phase);
            match (outgoing, phase) {
                (_, Phase::Confirmed) => self.hang_up(desk, session),
                (true, Phase::Calling | Phase::Early) => self.cancel(desk, session),
                (false, Phase::Calling | Phase::Early) => self.refuse(desk, session, 480),
                (_, Phase::Ended) => {}
            }
        }
    }

    fn register(&mut self, desk: &mut Desk<'_>) {
        let (branch, call_id) = (self.fresh("z9hG4bKr"), self.fresh("r"));
        let Agent { host, name, .. } = self;
        let bytes = format!(
            "REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {host};branch={branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:{name}@{DOMAIN}>;tag={call_id}\r\nTo: <sip:{name}@{DOMAIN}>\r\nCall-ID: {call_id}\r\nCSeq: 1 REGISTER\r\n\
             Contact: <sip:{name}@{host}>\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n"
        );
        self.send(desk, "REGISTER", None, branch, bytes);
    }

    /// A request in a dialog. Returns its branch.
    pub fn within(
        &mut self,
        desk: &mut Desk<'_>,
        session: usize,
        method: &'static str,
        fields: &str,
        body: &str,
    ) -> String {
        self.sessions[session].cseq += 1;
        let cseq = self.sessions[session].cseq;
        let branch = self.fresh("z9hG4bKd");
        let bytes = self.in_dialog(session, method, cseq, &branch, fields, body);
        self.send(desk, method, Some(session), branch.clone(), bytes);
        branch
    }

    pub fn in_dialog(
        &self,
        session: usize,
        method: &str,
        cseq: u32,
        branch: &str,
        fields: &str,
        body: &str,
    ) -> String {
        let Session { call_id, own, theirs, target, .. } = &self.sessions[session];
        let Agent { host, name, .. } = self;
        let mut text = String::with_capacity(640 + body.len());
        let _ = write!(
            text,
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {host};branch={branch}\r\nMax-Forwards: 70\r\nFrom: {own}\r\nTo: {theirs}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:{name}@{host}>\r\n{fields}"
        );
        if !body.is_empty() {
            text += "Content-Type: application/sdp\r\n";
        }
        let _ = write!(text, "Content-Length: {}\r\n\r\n{body}", body.len());
        text
    }

    pub fn hang_up(&mut self, desk: &mut Desk<'_>, session: usize) {
        if self.sessions[session].phase == Phase::Confirmed {
            self.sessions[session].phase = Phase::Ended;
            self.within(desk, session, "BYE", "", "");
        }
    }
}
