//! Both phones of every call, as plain text over UDP: enough SIP for a caller and a callee that need no challenge. It is
//! written apart from ringtree's own SIP on purpose: a load generator should not share the faults of what it measures.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// RFC 3261 §17.1.1.1.
const T1: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(8);

pub struct Phones {
    server: SocketAddr,
    caller: UdpSocket,
    callee: UdpSocket,
    /// Makes branches, tags and Call-IDs unique.
    count: u32,
    byes: Vec<String>,
}

impl Phones {
    pub fn new(server: SocketAddr, local: IpAddr) -> Phones {
        let socket = || {
            let socket = UdpSocket::bind(SocketAddr::new(local, 0)).expect("a port");
            socket.set_read_timeout(Some(Duration::from_millis(1))).expect("set");
            socket
        };
        Phones { server, caller: socket(), callee: socket(), count: 0, byes: Vec::new() }
    }

    /// Registers `user`, calls them from `caller` and answers. `own` are the media addresses of caller and callee; the answer
    /// says where each has to send.
    pub fn call(&mut self, user: &str, own: [SocketAddr; 2]) -> [SocketAddr; 2] {
        self.register(user);
        let server = self.server;
        let me = self.caller.local_addr().expect("bound");
        let (branch, id) = (self.unique(), self.unique());
        let body = sdp(own[0]);
        let head = |method: &str, uri: &str, branch: &str, routes: &str, to: &str, cseq: u32| {
            format!(
                "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n{routes}\
                 From: <sip:caller@{ip}>;tag={id}\r\nTo: {to}\r\nCall-ID: {id}\r\nCSeq: {cseq} {method}\r\n",
                ip = server.ip()
            )
        };
        let target = format!("sip:{user}@{server}");
        let to = format!("<sip:{user}@{}>", server.ip());
        let invite = format!(
            "{}Contact: <sip:caller@{me}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            head("INVITE", &target, &branch, "", &to, 1),
            body.len()
        );
        let (answer, callee_sends) = self.ring(&invite, &id, user, own[1]);
        let routes: String =
            fields(&answer, "Record-Route").rev().map(|route| format!("Route: {route}\r\n")).collect();
        let remote = uri(field(&answer, "Contact")).to_owned();
        let to = field(&answer, "To").to_owned();
        let mut within = |method: &str, cseq: u32| {
            let branch = self.unique();
            head(method, &remote, &branch, &routes, &to, cseq) + "Content-Length: 0\r\n\r\n"
        };
        let (ack, bye) = (within("ACK", 1), within("BYE", 2));
        self.caller.send_to(ack.as_bytes(), server).expect("sent");
        self.byes.push(bye);
        [media(&answer), callee_sends]
    }

    /// Ends every call.
    pub fn hang_up(&mut self) {
        for bye in std::mem::take(&mut self.byes) {
            self.caller.send_to(bye.as_bytes(), self.server).expect("sent");
            let end = Instant::now() + T1;
            while Instant::now() < end {
                if let Some((request, from)) = received(&self.callee)
                    && request.starts_with("BYE ")
                {
                    self.reply(&request, from, "200 OK", "");
                }
                if received(&self.caller).is_some_and(|answer| field(&answer.0, "CSeq").ends_with("BYE")) {
                    break;
                }
            }
        }
    }

    fn register(&mut self, user: &str) {
        let (branch, server, me) = (self.unique(), self.server, self.callee.local_addr().expect("bound"));
        let request = format!(
            "REGISTER sip:{server} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@{ip}>;tag={branch}\r\nTo: <sip:{user}@{ip}>\r\nCall-ID: {branch}\r\nCSeq: 1 REGISTER\r\n\
             Contact: <sip:{user}@{me}>\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n",
            ip = server.ip()
        );
        let end = Instant::now() + PATIENCE;
        let mut again = Instant::now();
        loop {
            assert!(Instant::now() < end, "no answer to REGISTER {user}");
            if Instant::now() >= again {
                self.callee.send_to(request.as_bytes(), server).expect("sent");
                again = Instant::now() + T1;
            }
            if let Some((answer, _)) = received(&self.callee)
                && field(&answer, "Call-ID") == branch
            {
                assert!(answer.starts_with("SIP/2.0 200"), "REGISTER {user}: {answer}");
                return;
            }
        }
    }

    /// Sends the INVITE until it is answered with 200, and answers what reaches the callee. Returns that 200, and where the
    /// callee has to send its media.
    fn ring(&mut self, invite: &str, id: &str, user: &str, callee_media: SocketAddr) -> (String, SocketAddr) {
        let end = Instant::now() + PATIENCE;
        let (mut again, mut interval, mut offered) = (Instant::now(), T1, None);
        loop {
            assert!(Instant::now() < end, "no final answer to INVITE {user}");
            if offered.is_none() && Instant::now() >= again {
                self.caller.send_to(invite.as_bytes(), self.server).expect("sent");
                again = Instant::now() + interval;
                interval *= 2;
            }
            if let Some((request, from)) = received(&self.callee)
                && request.starts_with("INVITE ")
            {
                offered = Some(media(&request));
                self.reply(&request, from, "180 Ringing", "");
                self.reply(&request, from, "200 OK", &sdp(callee_media));
            }
            if let Some((answer, _)) = received(&self.caller)
                && field(&answer, "Call-ID") == id
                && field(&answer, "CSeq") == "1 INVITE"
                && !answer.starts_with("SIP/2.0 1")
            {
                assert!(answer.starts_with("SIP/2.0 200"), "INVITE {user}: {answer}");
                return (answer, offered.expect("the callee was offered media"));
            }
        }
    }

    fn reply(&self, request: &str, to: SocketAddr, status: &str, body: &str) {
        let mut answer = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "Record-Route"] {
            for value in fields(request, name) {
                answer += &format!("{name}: {value}\r\n");
            }
        }
        let tag = if field(request, "To").contains("tag=") { "" } else { ";tag=callee" };
        for name in ["From", "To", "Call-ID", "CSeq"] {
            let tag = if name == "To" { tag } else { "" };
            answer += &format!("{name}: {}{tag}\r\n", field(request, name));
        }
        answer += &format!("Contact: <sip:{}>\r\n", self.callee.local_addr().expect("bound"));
        if !body.is_empty() {
            answer += "Content-Type: application/sdp\r\n";
        }
        answer += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        self.callee.send_to(answer.as_bytes(), to).expect("sent");
    }

    fn unique(&mut self) -> String {
        self.count += 1;
        format!("{}x{}", std::process::id(), self.count)
    }
}

fn received(socket: &UdpSocket) -> Option<(String, SocketAddr)> {
    let mut datagram = [0; 4096];
    let (length, from) = socket.recv_from(&mut datagram).ok()?;
    Some((String::from_utf8_lossy(&datagram[..length]).into_owned(), from))
}

fn fields<'a>(message: &'a str, name: &'a str) -> impl DoubleEndedIterator<Item = &'a str> {
    let head = message.split("\r\n\r\n").next().unwrap_or_default();
    head.lines().filter_map(move |line| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn field<'a>(message: &'a str, name: &'a str) -> &'a str {
    fields(message, name).next().unwrap_or_default()
}

fn uri(name_addr: &str) -> &str {
    name_addr.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or(name_addr, |(uri, _)| uri)
}

fn sdp(media: SocketAddr) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n\
         a=rtpmap:8 PCMA/8000\r\na=ptime:20\r\n",
        ip = media.ip(),
        port = media.port()
    )
}

/// The media address of a message's SDP.
fn media(message: &str) -> SocketAddr {
    let line =
        |start: &str| message.lines().find_map(|line| line.strip_prefix(start)).expect("a line of SDP");
    let port = line("m=audio ").split(' ').next().and_then(|port| port.parse().ok()).expect("a port");
    SocketAddr::new(line("c=IN IP4 ").trim().parse().expect("an address"), port)
}
