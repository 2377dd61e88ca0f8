//! Framing on reliable transports: Content-Length (RFC 3261 §18.3), CRLF keep-alives (RFC 5626 §3.5.1).

use super::parse::ParseError;
use bytes::{Bytes, BytesMut};

/// What came next on a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// One whole message.
    Message(Bytes),
    /// A double CRLF ping, to be answered with one CRLF.
    Ping,
}

/// Cuts a byte stream into messages, however it is segmented.
#[derive(Debug, Default)]
pub struct Framer {
    buf: BytesMut,
}

impl Framer {
    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    /// The next whole frame; `None` until more bytes come.
    ///
    /// # Errors
    /// The stream can't be framed any longer and is to be closed.
    pub fn next(&mut self) -> Result<Option<Frame>, ParseError> {
        todo!()
    }
}
