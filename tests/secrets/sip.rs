//! Phones and servers of a few lines, that say just what the test wants them to: any secret, right or wrong.

use crate::support::{PATIENCE, clock};
use bytes::Bytes;
use ringtree::sip::Message;
use ringtree::sip::challenge::{Login, Session};
use std::fmt::Write;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub const DOMAIN: &str = "secrets.example";

/// Who asks.
pub struct Phone {
    pub socket: UdpSocket,
    pub server: SocketAddr,
    pub user: &'static str,
    pub count: AtomicU32,
}

/// A dialog that this phone has begun.
pub struct Dialog {
    id: String,
    to: String,
    target: String,
    cseq: u32,
}

/// What a request says beside what all say.
pub struct Asked<'a> {
    pub method: &'a str,
    pub target: &'a str,
    /// Fields and, behind an empty line, a body.
    pub fields: String,
    pub body: String,
}

/// The first value of a field, as the daemon writes it.
pub fn field<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// A reply to a request, with a tag of ours.
pub fn reply(request: &str, status: &str, fields: &str, body: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for line in request.lines().take_while(|line| !line.is_empty()) {
        if ["Via: ", "From: ", "Call-ID: ", "CSeq: "].iter().any(|name| line.starts_with(name)) {
            let _ = write!(text, "{line}\r\n");
        } else if line.starts_with("To: ") {
            let tag = if line.contains(";tag=") { "" } else { ";tag=callee" };
            let _ = write!(text, "{line}{tag}\r\n");
        }
    }
    let _ = write!(text, "{fields}Content-Length: {}\r\n\r\n{body}", body.len());
    text
}

/// Answers on this socket until the test is over: what `answer` gives for a request's method and text.
pub fn serve(socket: UdpSocket, mut answer: impl FnMut(&str, &str) -> Option<String> + Send + 'static) {
    std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let method = text.split(' ').next().unwrap_or_default();
            if let Some(answer) = answer(method, &text) {
                let _ = socket.send_to(answer.as_bytes(), from);
            }
        }
    });
}

impl Phone {
    pub fn new(user: &'static str, server: SocketAddr) -> Phone {
        let socket = UdpSocket::bind((crate::support::address(), 0)).expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(500))).expect("set");
        Phone { socket, server, user, count: AtomicU32::new(1) }
    }

    pub fn at(&self) -> SocketAddr {
        self.socket.local_addr().expect("bound")
    }

    fn text(&self, asked: &Asked<'_>, id: &str, to: &str, cseq: u32, branch: &str) -> String {
        let (me, user) = (self.at(), self.user);
        let Asked { method, target, fields, body } = asked;
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@{DOMAIN}>;tag=of-{user}\r\nTo: {to}\r\nCall-ID: {id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:{user}@{me}>\r\n{fields}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// Sends until there is a final answer to this request.
    fn exchange(&self, request: &str) -> String {
        let (id, cseq) = (field(request, "Call-ID").expect("one"), field(request, "CSeq").expect("one"));
        let deadline = clock() + PATIENCE;
        let mut buffer = [0; 8192];
        while clock() < deadline {
            self.socket.send_to(request.as_bytes(), self.server).expect("sent");
            while let Ok(length) = self.socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let is_final = text.starts_with("SIP/2.0 ") && !text.starts_with("SIP/2.0 1");
                if is_final && field(&text, "Call-ID") == Some(id) && field(&text, "CSeq") == Some(cseq) {
                    return text;
                }
            }
        }
        panic!("no answer to {request}");
    }

    /// Asks, answers a challenge where there is a log-in, and gives the status, the last answer and the dialog.
    pub fn ask(&self, asked: &Asked<'_>, login: Option<&Login>) -> (u16, String, Dialog) {
        let number = self.count.fetch_add(10, Ordering::Relaxed);
        let to = match asked.method {
            "REGISTER" => format!("<sip:{}@{DOMAIN}>", self.user),
            _ => format!("<{}>", asked.target),
        };
        let id = format!("{}-{number}", self.user);
        let mut dialog = Dialog { id, to, target: asked.target.to_owned(), cseq: number };
        let answer = self.within(asked, &mut dialog);
        let read = Message::parse(Bytes::from(answer.clone())).expect("an answer of ours");
        let session = login.and_then(|login| Session::of(login, &read));
        let Some((mut session, _)) = session else { return (read.status(), answer, dialog) };
        let (name, value) = session.credentials(asked.method, asked.target, "f00d");
        let fields = format!("{}: {value}\r\n{}", name.word(), asked.fields);
        let asked = Asked { fields, body: asked.body.clone(), ..*asked };
        let mut again =
            Dialog { to: dialog.to.split(";tag=").next().unwrap_or_default().to_owned(), ..dialog };
        let answer = self.within(&asked, &mut again);
        let read = Message::parse(Bytes::from(answer.clone())).expect("an answer of ours");
        (read.status(), answer, again)
    }

    /// Asks within a dialog, and acknowledges where that has to be.
    pub fn within(&self, asked: &Asked<'_>, dialog: &mut Dialog) -> String {
        dialog.cseq += 1;
        let branch = format!("{}{}", dialog.id, dialog.cseq);
        let request = self.text(asked, &dialog.id, &dialog.to, dialog.cseq, &branch);
        let answer = self.exchange(&request);
        if asked.method == "INVITE" {
            field(&answer, "To").expect("one").clone_into(&mut dialog.to);
            let is_up = answer.starts_with("SIP/2.0 2");
            if is_up && let Some(contact) = field(&answer, "Contact") {
                dialog.target =
                    contact.trim_start_matches('<').split('>').next().unwrap_or_default().to_owned();
            }
            let target = if is_up { dialog.target.as_str() } else { asked.target };
            let ack = Asked { method: "ACK", target, fields: String::new(), body: String::new() };
            let branch = if is_up { format!("{branch}a") } else { branch };
            let ack = self.text(&ack, &dialog.id, &dialog.to, dialog.cseq, &branch);
            self.socket.send_to(ack.as_bytes(), self.server).expect("sent");
        }
        answer
    }

    /// A request of this method within the dialog, which is answered with 200.
    pub fn says(&self, method: &str, fields: &str, body: &str, dialog: &mut Dialog) {
        let target = dialog.target.clone();
        let asked = Asked { method, target: &target, fields: fields.to_owned(), body: body.to_owned() };
        let answer = self.within(&asked, dialog);
        assert!(answer.starts_with("SIP/2.0 200 "), "{method}: {answer}");
    }
}
