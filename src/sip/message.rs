//! One message: the bytes as they came, and where in them everything stands.

use super::{Method, Name, NameAddr, ParseError, Via};
use bytes::Bytes;

/// Why a request that parses can't be taken, as the peer hears it: a status and a reason phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub reason: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq {
    pub number: u32,
    pub method: Method,
}

/// A parsed message. Cheap to clone: it shares the bytes.
#[derive(Clone, Debug)]
pub struct Message {
    bytes: Bytes,
}

impl Message {
    /// Parses one datagram, or one framed message of a stream. The structure only: start line and header fields;
    /// [`Message::check`] judges the values.
    ///
    /// # Errors
    /// What is wrong, and whether the sender can be answered.
    pub fn parse(bytes: Bytes) -> Result<Message, ParseError> {
        let _ = bytes;
        todo!()
    }

    /// Whether the values that every message must have are there and well formed (RFC 3261 §8.1.1, §16.3):
    /// To, From, CSeq (with the request's method), Call-ID, Max-Forwards (0 to 255), Via, SIP/2.0, Content-Length.
    ///
    /// # Errors
    /// The status and reason to answer a request with; a response that fails is dropped.
    pub fn check(&self) -> Result<(), Refusal> {
        todo!()
    }

    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
    #[must_use]
    pub fn is_request(&self) -> bool {
        todo!()
    }
    /// A request's method; of a response the CSeq's.
    #[must_use]
    pub fn method(&self) -> Method {
        todo!()
    }
    /// The method as written (of use for `Method::Other`).
    #[must_use]
    pub fn method_text(&self) -> &str {
        todo!()
    }
    /// The Request-URI; empty for a response.
    #[must_use]
    pub fn request_uri(&self) -> &str {
        todo!()
    }
    /// The status of a response; 0 for a request.
    #[must_use]
    pub fn status(&self) -> u16 {
        todo!()
    }
    #[must_use]
    pub fn reason_phrase(&self) -> &str {
        todo!()
    }
    /// Every header field in order: its name, the name as written, the raw value (unfolded where it was folded? no:
    /// as written, trimmed).
    pub fn headers(&self) -> impl Iterator<Item = (Name, &[u8], &[u8])> {
        std::iter::empty()
    }
    /// The first value of that name as text; `None` where it is absent or not UTF-8.
    #[must_use]
    pub fn value(&self, name: Name) -> Option<&str> {
        let _ = name;
        todo!()
    }
    /// Every element of a header that may be a comma-separated list (Via, Contact, Route, ...), in order, over all
    /// its fields; commas inside quotes and angle brackets don't separate.
    pub fn elements(&self, name: Name) -> impl Iterator<Item = &str> {
        let _ = name;
        std::iter::empty()
    }
    /// Every field of that name, whole, in order.
    pub fn values(&self, name: Name) -> impl Iterator<Item = &str> {
        let _ = name;
        std::iter::empty()
    }
    /// The first value of a header field that `Name` doesn't know, by its name (without case).
    #[must_use]
    pub fn other(&self, name: &str) -> Option<&str> {
        let _ = name;
        todo!()
    }
    #[must_use]
    pub fn top_via(&self) -> Option<Via<'_>> {
        todo!()
    }
    #[must_use]
    pub fn from(&self) -> Option<NameAddr<'_>> {
        todo!()
    }
    #[must_use]
    pub fn to(&self) -> Option<NameAddr<'_>> {
        todo!()
    }
    /// The Call-ID; empty where there is none.
    #[must_use]
    pub fn call_id(&self) -> &str {
        todo!()
    }
    #[must_use]
    pub fn cseq(&self) -> Option<CSeq> {
        todo!()
    }
    /// `None` where the field is absent (taken as 70, RFC 3261 §16.3).
    #[must_use]
    pub fn max_forwards(&self) -> Option<u8> {
        todo!()
    }
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.value(Name::ContentType)
    }
    /// The body as Content-Length bounds it; shares the bytes.
    #[must_use]
    pub fn body(&self) -> Bytes {
        todo!()
    }
}
