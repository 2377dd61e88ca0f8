//! What stands on a connection: TLS or not, and above it a stream of SIP messages or a WebSocket. Bytes of the socket go in and messages
//! come out, and the other way; there is no socket here and no time.

use super::unsent::Unsent;
use super::websocket::WebSocket;
use crate::net::tls::Tls;
use crate::sip::stream::{Frame, Framer};
use crate::sip::{ParseError, Transport};
use bytes::Bytes;
use rustls::Connection as Session;
use rustls::pki_types::CertificateDer;
use std::io::{BufRead, Write};
use std::sync::Arc;

/// Why nothing more can come of a connection. What there was to say about it is among the unsent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// What stands on it is no SIP, or too much of it.
    Unframed(ParseError),
    /// TLS or WebSocket could not be agreed on.
    Handshake,
    /// The peer has said goodbye, or broken the rules of TLS or WebSocket.
    Over,
}

pub(super) struct Stack {
    /// Boxed: most connections have none, and it is large.
    tls: Option<Box<Session>>,
    framing: Framing,
    /// TLS has ended.
    over: Option<Broken>,
}

enum Framing {
    Stream(Framer),
    Web(Box<WebSocket>),
}

impl Stack {
    /// For a connection that was accepted. `None`: we have no certificate to show.
    pub(super) fn accepted(transport: Transport, tls: &Tls, unsent_bytes_max: usize) -> Option<Stack> {
        let session = match transport.is_secure() {
            true => Some(Session::Server(tls.accept(transport)?)),
            false => None,
        };
        let framing = match transport.is_web() {
            true => Framing::Web(Box::new(WebSocket::new(unsent_bytes_max))),
            false => Framing::Stream(Framer::default()),
        };
        Some(Stack::new(session, framing, unsent_bytes_max))
    }

    /// For one that we open, to a peer that has to be each of `names`. `None`: by that transport or to those names none can be.
    pub(super) fn opening(
        transport: Transport,
        tls: &Tls,
        names: &[Arc<str>],
        unsent_bytes_max: usize,
    ) -> Option<Stack> {
        let session = match transport {
            Transport::Tcp => None,
            Transport::Tls => Some(Session::Client(tls.connect(names)?)),
            // RFC 7118: browsers connect to servers, and nobody to browsers.
            Transport::Ws | Transport::Wss | Transport::Udp => return None,
        };
        Some(Stack::new(session, Framing::Stream(Framer::default()), unsent_bytes_max))
    }

    fn new(session: Option<Session>, framing: Framing, unsent_bytes_max: usize) -> Stack {
        let tls = session.map(|mut session| {
            session.set_buffer_limit(Some(unsent_bytes_max));
            Box::new(session)
        });
        Stack { tls, framing, over: None }
    }

    /// Whether the handshakes are over.
    pub(super) fn is_ready(&self) -> bool {
        let secured = self.tls.as_ref().is_none_or(|tls| !tls.is_handshaking());
        match &self.framing {
            Framing::Stream(_) => secured,
            Framing::Web(web) => web.is_open(),
        }
    }

    /// Whether a part of a message has come and the rest is awaited.
    pub(super) fn is_amid_message(&self) -> bool {
        match &self.framing {
            Framing::Stream(framer) => framer.is_amid_message(),
            Framing::Web(web) => web.is_amid_message(),
        }
    }

    /// What the peer has shown of itself.
    pub(super) fn certificates(&self) -> &[CertificateDer<'static>] {
        self.tls.as_ref().and_then(|tls| tls.peer_certificates()).unwrap_or_default()
    }

    /// What a handshake of ours begins with.
    pub(super) fn begin(&mut self, unsent: &mut Unsent) {
        self.drain(unsent);
    }

    /// Takes what the socket had. Take all messages after each.
    pub(super) fn receive(&mut self, mut bytes: &[u8], unsent: &mut Unsent) {
        let Some(tls) = &mut self.tls else { return self.framing.push(bytes) };
        while !bytes.is_empty() && self.over.is_none() {
            let handshaking = tls.is_handshaking();
            let taken = tls.read_tls(&mut bytes).unwrap_or(0);
            if tls.process_new_packets().is_err() {
                self.over = Some(if handshaking { Broken::Handshake } else { Broken::Over });
            }
            while let Ok(plain) = tls.reader().into_first_chunk() {
                let octets = plain.len();
                if octets == 0 {
                    self.over = Some(Broken::Over); // a goodbye: nothing follows
                    break;
                }
                self.framing.push(plain);
                tls.reader().consume(octets);
            }
            if taken == 0 {
                break;
            }
        }
        self.drain(unsent);
    }

    /// The next whole message, or ping.
    ///
    /// # Errors
    /// The connection is to be left.
    pub(super) fn next(&mut self, unsent: &mut Unsent) -> Result<Option<Frame>, Broken> {
        let next = match &mut self.framing {
            Framing::Stream(framer) => framer.next().map_err(Broken::Unframed),
            Framing::Web(web) => web.next(),
        };
        self.drain(unsent);
        match (next, self.over) {
            // What came before the end still counts.
            (Ok(None), Some(broken)) => Err(broken),
            (next, _) => next,
        }
    }

    /// # Errors
    /// More waits than may, or the peer can't be told anything yet.
    pub(super) fn send(&mut self, message: Bytes, unsent: &mut Unsent) -> Result<(), Broken> {
        match (&mut self.framing, &mut self.tls) {
            (Framing::Stream(_), None) => unsent.push(message),
            (Framing::Stream(_), Some(tls)) => {
                tls.writer().write_all(&message).map_err(|_| Broken::Over)?;
            }
            (Framing::Web(web), _) => web.send(message)?,
        }
        self.drain(unsent);
        Ok(())
    }

    /// Says goodbye, where TLS or WebSocket have a word for it.
    pub(super) fn leave(&mut self, unsent: &mut Unsent) {
        if let Framing::Web(web) = &mut self.framing {
            web.leave();
        }
        self.drain(unsent);
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        self.drain(unsent);
    }

    /// Moves what the layers have to say to the unsent.
    fn drain(&mut self, unsent: &mut Unsent) {
        if let Framing::Web(web) = &mut self.framing {
            let said = web.said();
            match &mut self.tls {
                // The limit of its buffer is the limit of what may wait; beyond it the frame is cut, and the peer hangs up.
                Some(tls) => drop(tls.writer().write_all(&said)),
                None => unsent.push(said),
            }
        }
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                if tls.write_tls(unsent).is_err() {
                    break;
                }
            }
        }
    }
}

impl Framing {
    fn push(&mut self, bytes: &[u8]) {
        match self {
            Framing::Stream(framer) => framer.push(bytes),
            Framing::Web(web) => web.push(bytes),
        }
    }
}
