//! Values to bytes.

use super::{Message, Name};
use bytes::Bytes;
use std::fmt::Display;

/// Writes one message, header by header in the order given.
pub struct Writer {
    buf: bytes::BytesMut,
}

impl Writer {
    #[must_use]
    pub fn request(method: &str, uri: &str) -> Writer {
        let _ = (method, uri);
        todo!()
    }
    #[must_use]
    pub fn response(status: u16, reason: &str) -> Writer {
        let _ = (status, reason);
        todo!()
    }
    /// A response to `request` as RFC 3261 §8.2.6 wants it: status line, every Via, From, To (with `to_tag` added where
    /// the request has none), Call-ID, CSeq.
    #[must_use]
    pub fn reply(request: &Message, status: u16, reason: &str, to_tag: Option<&str>) -> Writer {
        let _ = (request, status, reason, to_tag);
        todo!()
    }
    /// Writes `Name: value`. Line ends inside the value are written as spaces: a value can't start a header of its own.
    pub fn header(&mut self, name: Name, value: impl Display) -> &mut Writer {
        let _ = (name, value.to_string());
        todo!()
    }
    /// A header field by its name on the wire.
    pub fn field(&mut self, name: &str, value: impl Display) -> &mut Writer {
        let _ = (name, value.to_string(), &self.buf);
        todo!()
    }
    /// Copies every field of that name from `message`, bytes unchanged.
    pub fn copy(&mut self, message: &Message, name: Name) -> &mut Writer {
        let _ = (message, name);
        todo!()
    }
    /// Content-Type, Content-Length and the body.
    #[must_use]
    pub fn body(self, content_type: &str, body: &[u8]) -> Bytes {
        let _ = (content_type, body);
        todo!()
    }
    /// `Content-Length: 0` and the end.
    #[must_use]
    pub fn finish(self) -> Bytes {
        todo!()
    }
}
