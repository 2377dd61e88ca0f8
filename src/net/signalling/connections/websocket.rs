//! SIP over a WebSocket, our side of it (RFC 7118): the handshake with the subprotocol `sip`, one message a WebSocket message.
//!
//! The frames of RFC 6455 (masks, fragments, pings, closing) are tungstenite's; here it reads from one buffer and writes to another.

use super::stack::Broken;
use crate::sip::ParseError;
use crate::sip::parse::MESSAGE_BYTES_MAX;
use crate::sip::stream::Frame;
use bytes::{Buf, Bytes, BytesMut};
use std::io::{self, ErrorKind, Read, Write};
use tungstenite::handshake::MidHandshake;
use tungstenite::handshake::server::{
    Callback, ErrorResponse, Request, Response, ServerHandshake, write_response,
};
use tungstenite::http::{HeaderValue, StatusCode};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Error, HandshakeError, Message, Utf8Bytes};

/// RFC 7118 §4.1.
const SUBPROTOCOL: &str = "sip";
/// What a connection that idles keeps for reading; a message takes more while it is read.
const READ_BYTES: usize = 512;

pub(super) struct WebSocket {
    state: State,
    /// What was said where no pipe is left to say it: a refusal.
    last_words: Vec<u8>,
    /// Something has come since the last whole frame.
    amid: bool,
}

enum State {
    Handshake(MidHandshake<ServerHandshake<Pipe, Subprotocol>>),
    Open(tungstenite::WebSocket<Pipe>),
    Over,
}

/// Two buffers that tungstenite takes for a socket.
#[derive(Default)]
struct Pipe {
    inbox: BytesMut,
    outbox: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.inbox.is_empty() {
            self.inbox = BytesMut::new();
            return Err(ErrorKind::WouldBlock.into());
        }
        let octets = buffer.len().min(self.inbox.len());
        self.inbox.copy_to_slice(buffer.get_mut(..octets).unwrap_or_default());
        Ok(octets)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outbox.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes clients that offer the subprotocol, and no others.
struct Subprotocol;

impl Callback for Subprotocol {
    fn on_request(self, request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
        const FIELD: &str = "Sec-WebSocket-Protocol";
        let fields = request.headers().get_all(FIELD).iter().filter_map(|value| value.to_str().ok());
        let offered = fields.flat_map(|value| value.split(',')).any(|word| word.trim() == SUBPROTOCOL);
        if offered {
            response.headers_mut().insert(FIELD, HeaderValue::from_static(SUBPROTOCOL));
            return Ok(response);
        }
        let mut refusal = ErrorResponse::new(Some("Sec-WebSocket-Protocol: sip is wanted\n".to_owned()));
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        Err(refusal)
    }
}

impl WebSocket {
    /// `unsent_bytes_max`: what may wait to be sent.
    pub(super) fn new(unsent_bytes_max: usize) -> WebSocket {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(unsent_bytes_max.max(1))
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let handshake = ServerHandshake::start(Pipe::default(), Subprotocol, Some(config));
        WebSocket { state: State::Handshake(handshake), last_words: Vec::new(), amid: false }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// As near as can be told from outside: something came after the last whole frame.
    pub(super) fn is_amid_message(&self) -> bool {
        self.amid && self.is_open()
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.amid = true;
        if let Some(pipe) = self.pipe() {
            pipe.inbox.extend_from_slice(bytes);
        }
    }

    fn pipe(&mut self) -> Option<&mut Pipe> {
        match &mut self.state {
            State::Handshake(handshake) => Some(handshake.get_mut().get_mut()),
            State::Open(socket) => Some(socket.get_mut()),
            State::Over => None,
        }
    }

    /// What is to be sent.
    pub(super) fn said(&mut self) -> Bytes {
        let mut said = self.pipe().map(|pipe| std::mem::take(&mut pipe.outbox)).unwrap_or_default();
        said.append(&mut self.last_words);
        said.into()
    }

    pub(super) fn next(&mut self) -> Result<Option<Frame>, Broken> {
        self.state = match std::mem::replace(&mut self.state, State::Over) {
            State::Handshake(handshake) => match handshake.handshake() {
                Ok(socket) => {
                    self.amid = false;
                    State::Open(socket)
                }
                Err(HandshakeError::Interrupted(handshake)) => State::Handshake(handshake),
                Err(HandshakeError::Failure(error)) => {
                    self.last_words = refusal(&error);
                    return Err(Broken::Handshake);
                }
            },
            state @ (State::Open(_) | State::Over) => state,
        };
        match &mut self.state {
            State::Handshake(_) => Ok(None),
            State::Over => Err(Broken::Over),
            State::Open(_) => self.read(),
        }
    }

    fn read(&mut self) -> Result<Option<Frame>, Broken> {
        let State::Open(socket) = &mut self.state else { return Ok(None) };
        loop {
            let bytes = match socket.read() {
                Ok(Message::Text(text)) => Bytes::from(text),
                Ok(Message::Binary(bytes)) => bytes,
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_)) => {
                    self.amid = false;
                    continue; // tungstenite answers
                }
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(self.broken(&error)),
            };
            self.amid = false;
            // RFC 7118 §6: the keep-alives of streams may be used here as well.
            match &bytes[..] {
                b"\r\n\r\n" => return Ok(Some(Frame::Ping)),
                blank if blank.iter().all(|byte| matches!(byte, b'\r' | b'\n')) => {}
                _ => return Ok(Some(Frame::Message(bytes))),
            }
        }
    }

    fn broken(&mut self, error: &Error) -> Broken {
        let (code, broken) = match error {
            Error::Capacity(_) => (CloseCode::Size, Broken::Unframed(ParseError::TooLarge)),
            Error::Utf8(_) => (CloseCode::Invalid, Broken::Over),
            Error::Protocol(_) => (CloseCode::Protocol, Broken::Over),
            _ => return Broken::Over,
        };
        if let State::Open(socket) = &mut self.state {
            // It says so where it still can.
            let _ = socket.close(Some(CloseFrame { code, reason: Utf8Bytes::default() }));
            let _ = socket.flush();
        }
        broken
    }

    /// # Errors
    /// The handshake is not over, or the socket is.
    pub(super) fn send(&mut self, message: Bytes) -> Result<(), Broken> {
        let State::Open(socket) = &mut self.state else { return Err(Broken::Over) };
        // RFC 7118 §5: either kind; browsers read text more easily.
        let message = match Utf8Bytes::try_from(message.clone()) {
            Ok(text) => Message::Text(text),
            Err(_) => Message::Binary(message),
        };
        socket.send(message).map_err(|_| Broken::Over)
    }

    /// RFC 6455 §5.5.1: a server that goes away says 1001.
    pub(super) fn leave(&mut self) {
        if let State::Open(socket) = &mut self.state
            && socket.can_write()
        {
            let _ = socket.close(Some(CloseFrame { code: CloseCode::Away, reason: Utf8Bytes::default() }));
            let _ = socket.flush();
        }
    }
}

/// What an HTTP client hears that is no WebSocket, or not ours.
fn refusal(error: &Error) -> Vec<u8> {
    let mut refusal = match error {
        Error::Http(refusal) => refusal.as_ref().clone(),
        _ => tungstenite::http::Response::new(Some(
            b"a WebSocket is wanted, with the subprotocol sip\n".to_vec(),
        )),
    };
    if refusal.status().is_success() {
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
    }
    let body = refusal.body().clone().unwrap_or_default();
    refusal.headers_mut().insert("Connection", HeaderValue::from_static("close"));
    refusal.headers_mut().insert("Content-Length", HeaderValue::from(body.len()));
    let mut text = Vec::new();
    if write_response(&mut text, &refusal).is_err() {
        return Vec::new();
    }
    text.extend_from_slice(&body);
    text
}
