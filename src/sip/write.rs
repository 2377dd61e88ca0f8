//! Values to bytes. What the writer writes, [`Message::parse`] reads; no value can start a line of its own.

use super::params::{Elements, Params};
use super::parse::is_token;
use super::{Message, Name, Via};
use bytes::{BufMut, Bytes, BytesMut};
use std::fmt::{self, Display, Write as _};
use std::net::SocketAddr;

/// Room for most messages, so that writing one allocates once.
const MESSAGE_BYTES_USUAL: usize = 1_024;

/// Writes one message, header by header in the order given.
pub struct Writer {
    buf: BytesMut,
}

impl Writer {
    #[must_use]
    pub fn request(method: &str, uri: &str) -> Writer {
        let mut writer = Writer { buf: BytesMut::with_capacity(MESSAGE_BYTES_USUAL) };
        writer.on_one_line(method.as_bytes()).raw(b" ").on_one_line(uri.as_bytes()).raw(b" SIP/2.0\r\n");
        writer
    }

    /// An empty `reason` is written as [`reason_phrase`](super::status::reason_phrase) has it.
    #[must_use]
    pub fn response(status: u16, reason: &str) -> Writer {
        let mut writer = Writer { buf: BytesMut::with_capacity(MESSAGE_BYTES_USUAL) };
        let reason = if reason.is_empty() { super::status::reason_phrase(status) } else { reason };
        writer.raw(b"SIP/2.0 ").text(status).raw(b" ").on_one_line(reason.as_bytes()).raw(b"\r\n");
        writer
    }

    /// A response to `request` as RFC 3261 §8.2.6 wants it: status line, every Via, From, To (with `to_tag` added where
    /// the request has none), Call-ID, CSeq. The topmost Via gets `received` and `rport` where the request's source is
    /// known ([`Message::set_source`]).
    #[must_use]
    pub fn reply(request: &Message, status: u16, reason: &str, to_tag: Option<&str>) -> Writer {
        let mut writer = Writer::response(status, reason);
        match (request.source(), request.value(Name::Via)) {
            (Some(source), Some(first)) => {
                writer.topmost_via(first, request.top_via(), source);
                request.raw_values(Name::Via).skip(1).for_each(|via| writer.copied(Name::Via, via));
            }
            _ => {
                writer.copy(request, Name::Via);
            }
        }
        writer.copy(request, Name::From);
        let tagged = request.to().is_some_and(|to| to.tag().is_some());
        match (to_tag.filter(|_| !tagged), request.raw_values(Name::To).next()) {
            // Byte for byte: the caller may have written Latin-1.
            (Some(tag), Some(to)) => {
                writer.raw(b"To: ").on_one_line(to).raw(b";tag=").text(tag).raw(b"\r\n");
            }
            _ => {
                writer.copy(request, Name::To);
            }
        }
        writer.copy(request, Name::CallId).copy(request, Name::CSeq);
        writer
    }

    /// Writes `Name: value`. Line ends inside the value are written as spaces: a value can't start a header of its own.
    /// `Name::Other` writes nothing: it has no word ([`Writer::field`] takes one).
    pub fn header(&mut self, name: Name, value: impl Display) -> &mut Writer {
        self.field(name.word(), value)
    }

    /// A header field by its name on the wire. A name that is no token writes nothing.
    pub fn field(&mut self, name: &str, value: impl Display) -> &mut Writer {
        if !name.is_empty() && name.bytes().all(is_token) {
            self.line(name, value);
        }
        self
    }

    /// Copies every field of that name from `message`, bytes unchanged but for line ends, which are written as spaces
    /// (a fold is one, RFC 3261 §7.3.1).
    pub fn copy(&mut self, message: &Message, name: Name) -> &mut Writer {
        for value in message.raw_values(name).filter(|_| name != Name::Other) {
            self.copied(name, value);
        }
        self
    }

    /// Content-Type, Content-Length and the body.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: &[u8]) -> Bytes {
        self.header(Name::ContentType, content_type).header(Name::ContentLength, body.len());
        self.raw(b"\r\n").raw(body);
        self.buf.freeze()
    }

    /// With a session description, or without one.
    #[must_use]
    pub fn described(self, description: Option<&[u8]>) -> Bytes {
        match description {
            Some(description) => self.body("application/sdp", description),
            None => self.finish(),
        }
    }

    /// `Content-Length: 0` and the end.
    #[must_use]
    pub fn finish(mut self) -> Bytes {
        self.raw(b"Content-Length: 0\r\n\r\n");
        self.buf.freeze()
    }

    /// RFC 3581 §4: `rport` is filled where it was asked for, and `received` added then, or where the sent-by is not the
    /// source's address (RFC 3261 §18.2.1). What the sender wrote there itself is dropped.
    fn topmost_via(&mut self, value: &str, via: Option<Via<'_>>, source: SocketAddr) {
        let mut elements = Elements::new(value);
        let top = elements.next().unwrap_or("");
        // Where the first field holds none, the topmost stands in another.
        let Some(via) = via.filter(|_| !top.is_empty()) else { return self.line("Via", value) };
        let rport = via.param("rport").is_some();
        let received = rport || via.host.parse() != Ok(source.ip());
        let sent_by = top.get(..top.len() - via.params.len()).unwrap_or(top).trim_end();
        self.raw(b"Via: ").on_one_line(sent_by.as_bytes());
        let ours = |name: &str| name.eq_ignore_ascii_case("rport") || name.eq_ignore_ascii_case("received");
        for param in Params::new(via.params).filter(|param| !ours(param.name)) {
            self.raw(b";").on_one_line(param.text.as_bytes());
        }
        if received {
            self.raw(b";received=").text(source.ip());
        }
        if rport {
            self.raw(b";rport=").text(source.port());
        }
        self.raw(b"\r\n");
        if !elements.rest().is_empty() {
            self.line("Via", elements.rest().trim());
        }
    }

    fn copied(&mut self, name: Name, value: &[u8]) {
        self.raw(name.word().as_bytes()).raw(b": ").on_one_line(value).raw(b"\r\n");
    }

    fn line(&mut self, name: &str, value: impl Display) {
        self.raw(name.as_bytes()).raw(b": ").text(value).raw(b"\r\n");
    }

    fn raw(&mut self, bytes: &[u8]) -> &mut Writer {
        self.buf.put_slice(bytes);
        self
    }

    /// Text with its line ends as spaces.
    fn text(&mut self, value: impl Display) -> &mut Writer {
        // Neither this writer nor a `Display` of a plain value fails.
        let _ = write!(OneLine(self), "{value}");
        self
    }

    fn on_one_line(&mut self, bytes: &[u8]) -> &mut Writer {
        let mut rest = bytes;
        while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
            self.raw(rest.get(..at).unwrap_or_default()).raw(b" ");
            rest = rest.get(at + 1..).unwrap_or_default();
        }
        self.raw(rest)
    }
}

struct OneLine<'a>(&'a mut Writer);

impl fmt::Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.on_one_line(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Method;

    fn request(via: &str, to: &str) -> Message {
        let mut writer = Writer::request("INVITE", "sip:bob@example.com");
        writer.header(Name::Via, via).header(Name::From, "<sip:a@example.com>;tag=1").header(Name::To, to);
        writer.header(Name::CallId, "x").header(Name::CSeq, "1 INVITE");
        Message::parse(writer.finish()).unwrap()
    }

    #[test]
    fn a_value_can_not_start_a_line_of_its_own() {
        let mut writer = Writer::request("OPTIONS", "sip:a@b\r\nEvil: 1");
        writer
            .header(Name::Subject, "x\r\nEvil: 1\r\n\r\n")
            .field("X\r\nEvil", "1")
            .field("X-Y", "z\nEvil: 2");
        let message = Message::parse(writer.finish()).unwrap();
        assert_eq!(message.other("Evil"), None);
        assert_eq!(message.value(Name::Subject), Some("x  Evil: 1"));
        assert_eq!(message.other("x-y"), Some("z Evil: 2"));
    }

    #[test]
    fn a_reply_goes_back_the_way_the_request_came() {
        let mut invite = request(
            "SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bK1;received=9.9.9.9, SIP/2.0/UDP p;branch=z9hG4bK0",
            "<sip:bob@example.com>",
        );
        invite.set_source("192.0.2.7:1024".parse().unwrap());
        let reply = Message::parse(Writer::reply(&invite, 180, "", Some("t")).finish()).unwrap();
        assert_eq!(reply.check(), Ok(()));
        assert_eq!((reply.status(), reply.reason_phrase(), reply.method()), (180, "Ringing", Method::Invite));
        let vias: Vec<_> = reply.elements(Name::Via).collect();
        let top = "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;received=192.0.2.7;rport=1024";
        assert_eq!(vias, [top, "SIP/2.0/UDP p;branch=z9hG4bK0"]);
        assert_eq!(reply.to().unwrap().tag(), Some("t"));
    }

    #[test]
    fn received_is_added_only_where_sent_by_differs_or_rport_was_asked_for() {
        let mut invite = request("SIP/2.0/UDP 192.0.2.7:5062;branch=z9hG4bK1", "<sip:b@c>;tag=theirs");
        invite.set_source("192.0.2.7:1024".parse().unwrap());
        let reply = Message::parse(Writer::reply(&invite, 200, "", Some("ours")).finish()).unwrap();
        assert_eq!(reply.value(Name::Via), Some("SIP/2.0/UDP 192.0.2.7:5062;branch=z9hG4bK1"));
        assert_eq!(reply.to().unwrap().tag(), Some("theirs"));
        invite.set_source("192.0.2.8:1024".parse().unwrap());
        let reply = Message::parse(Writer::reply(&invite, 200, "", None).finish()).unwrap();
        assert_eq!(reply.top_via().unwrap().param("received"), Some("192.0.2.8"));
    }

    #[test]
    fn a_body_is_measured() {
        let bytes = Writer::request("MESSAGE", "sip:a@b").body("text/plain", b"hello");
        let message = Message::parse(bytes).unwrap();
        assert_eq!((message.content_type(), message.body()), (Some("text/plain"), "hello".into()));
        assert_eq!(message.value(Name::ContentLength), Some("5"));
    }
}
