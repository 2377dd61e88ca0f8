//! One message: the bytes as they came, and where in them everything stands.
//!
//! Invariants: the bytes never change; every span lies in the header section. Text is read with folds as spaces and stray
//! bytes that are no UTF-8 as `?` (RFC 3261 §7.3.1 lets a fold be a space; Latin-1 in a display name must not cost the
//! call). Such a message keeps a readable copy of its header section, of the same length, so that one set of spans fits
//! both; all others share the bytes. [`Message::headers`] gives the bytes as they came.

use super::marks::{AddressMark, Marks, ViaMark};
use super::params::Elements;
use super::parse::{Defect, Field, Fields, HEADERS_MAX, Length, Span, StartLine, decimal, start_line};
use super::{Method, Name, NameAddr, ParseError, Via};
use bytes::Bytes;
use bytestring::ByteString;
use smallvec::SmallVec;
use std::net::SocketAddr;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq {
    pub number: u32,
    pub method: Method,
}

/// A parsed message. Cheap to clone: it shares the bytes and the table.
#[derive(Clone, Debug)]
pub struct Message {
    bytes: Bytes,
    /// The header section as text.
    section: ByteString,
    marks: Option<Marks>,
    pub(super) start: StartLine,
    pub(super) version_known: bool,
    pub(super) fields: Arc<[Field]>,
    pub(super) length: Length,
    pub(super) defect: Option<Defect>,
    body_at: usize,
    source: Option<SocketAddr>,
}

/// Fields of a message that need no allocation while they are gathered.
const FIELDS_USUAL: usize = 32;

impl Message {
    /// Parses one datagram, or one framed message of a stream. The structure only: start line and header fields;
    /// [`Message::check`] judges the values, and faults of structure that an answer can be given to.
    ///
    /// # Errors
    /// Bytes that can't be answered.
    pub fn parse(bytes: Bytes) -> Result<Message, ParseError> {
        let start = start_line(&bytes)?;
        let mut cut = Fields::new(&bytes, start.end);
        let mut fields: SmallVec<[Field; FIELDS_USUAL]> = SmallVec::new();
        let mut length = Length::Absent;
        let mut full = false;
        for field in cut.by_ref() {
            if fields.len() == HEADERS_MAX {
                full = true;
                break;
            }
            if field.name == Name::ContentLength {
                length = length.and(field.value.of(&bytes));
            }
            fields.push(field);
        }
        let (folded, malformed, end) = (cut.folded, cut.malformed, cut.end);
        let defect = start.defect.or(match end {
            _ if full => Some(Defect::TooManyHeaders),
            _ if malformed => Some(Defect::HeaderLine),
            None => Some(Defect::Unterminated),
            Some(_) => None,
        });
        let body_at = end.unwrap_or(bytes.len());
        Ok(Message {
            section: readable(bytes.slice(..body_at), &fields, folded),
            marks: None,
            start: start.line,
            version_known: start.version_known,
            fields: Arc::from(fields.as_slice()),
            length,
            defect,
            body_at,
            source: None,
            bytes,
        })
    }

    /// Finds what every layer asks for, once. Without it each reads for itself.
    pub fn mark(&mut self) {
        let text = &*self.section;
        let address = |address: Option<NameAddr<'_>>| address.map(|address| AddressMark::of(&address, text));
        let via = self.top_via().map(|via| ViaMark::of(&via, text));
        self.marks = Some(Marks { via, from: address(self.from()), to: address(self.to()) });
    }

    /// Notes where a request came from: [`Writer::reply`](super::Writer::reply) then adds `received` and `rport` to the
    /// topmost Via (RFC 3261 §18.2.1, RFC 3581 §4).
    pub fn set_source(&mut self, source: SocketAddr) {
        self.source = Some(source);
    }

    #[must_use]
    pub fn source(&self) -> Option<SocketAddr> {
        self.source
    }

    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    #[must_use]
    pub fn is_request(&self) -> bool {
        matches!(self.start, StartLine::Request { .. })
    }

    /// A request's method; of a response the CSeq's.
    #[must_use]
    pub fn method(&self) -> Method {
        match self.start {
            StartLine::Request { method, .. } => Method::parse(method.of(&self.bytes)),
            StartLine::Response { .. } => self.cseq().map_or(Method::Other, |cseq| cseq.method),
        }
    }

    /// The method as written (of use for `Method::Other`): of a request, or of a response's CSeq.
    #[must_use]
    pub fn method_text(&self) -> &str {
        match self.start {
            StartLine::Request { method, .. } => self.text(method),
            StartLine::Response { .. } => {
                self.value(Name::CSeq).and_then(|cseq| cseq.split_ascii_whitespace().nth(1)).unwrap_or("")
            }
        }
    }

    /// The Request-URI; empty for a response.
    #[must_use]
    pub fn request_uri(&self) -> &str {
        match self.start {
            StartLine::Request { uri, .. } => self.text(uri),
            StartLine::Response { .. } => "",
        }
    }

    /// The status of a response; 0 for a request.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self.start {
            StartLine::Request { .. } => 0,
            StartLine::Response { status, .. } => status,
        }
    }

    /// The reason phrase of a response as it came; empty for a request.
    #[must_use]
    pub fn reason_phrase(&self) -> &str {
        match self.start {
            StartLine::Request { .. } => "",
            StartLine::Response { reason, .. } => self.text(reason),
        }
    }

    /// Every header field in order: its name, the name as written, and the value byte for byte (folds and all), without
    /// the white space around it.
    pub fn headers(&self) -> impl Iterator<Item = (Name, &[u8], &[u8])> {
        self.fields.iter().map(|f| (f.name, f.written.of(&self.bytes), f.value.of(&self.bytes)))
    }

    /// The values of that name byte for byte, as [`Message::headers`] has them.
    pub(super) fn raw_values(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.fields.iter().filter(move |field| field.name == name).map(|field| field.value.of(&self.bytes))
    }

    /// The first value of that name as text, unfolded; `None` where it is absent.
    #[must_use]
    pub fn value(&self, name: Name) -> Option<&str> {
        self.values(name).next()
    }

    /// Every field of that name, whole, unfolded, in order.
    pub fn values(&self, name: Name) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |f| f.name == name).map(|f| self.text(f.value))
    }

    /// Every element of a header that may be a comma-separated list (Via, Contact, Route, ...), in order, over all
    /// its fields; commas inside quotes and angle brackets don't separate. Empty elements are passed over.
    pub fn elements(&self, name: Name) -> impl Iterator<Item = &str> {
        self.values(name).flat_map(Elements::new)
    }

    /// The first value of a header field that `Name` doesn't know, by its name (without case).
    #[must_use]
    pub fn other(&self, name: &str) -> Option<&str> {
        let named = |f: &&Field| {
            f.name == Name::Other && f.written.of(&self.bytes).eq_ignore_ascii_case(name.as_bytes())
        };
        self.fields.iter().find(named).map(|f| self.text(f.value))
    }

    /// The addresses of a Contact, Route, Record-Route, Path, P-Asserted-Identity, Diversion...; elements that are none
    /// (`*` too) are passed over.
    pub fn addresses(&self, name: Name) -> impl Iterator<Item = NameAddr<'_>> {
        self.elements(name).filter_map(NameAddr::parse)
    }

    #[must_use]
    pub fn top_via(&self) -> Option<Via<'_>> {
        match &self.marks {
            Some(marks) => marks.via.map(|via| via.in_text(&self.section)),
            None => self.elements(Name::Via).next().and_then(Via::parse),
        }
    }

    #[must_use]
    pub fn from(&self) -> Option<NameAddr<'_>> {
        match &self.marks {
            Some(marks) => marks.from.map(|address| address.in_text(&self.section)),
            None => self.value(Name::From).and_then(NameAddr::parse),
        }
    }

    #[must_use]
    pub fn to(&self) -> Option<NameAddr<'_>> {
        match &self.marks {
            Some(marks) => marks.to.map(|address| address.in_text(&self.section)),
            None => self.value(Name::To).and_then(NameAddr::parse),
        }
    }

    /// The Call-ID; empty where there is none.
    #[must_use]
    pub fn call_id(&self) -> &str {
        self.value(Name::CallId).unwrap_or("")
    }

    /// `None` where it is absent or isn't `number method` with a number below 2^31 (RFC 3261 §8.1.1.5).
    #[must_use]
    pub fn cseq(&self) -> Option<CSeq> {
        let (number, method) = self.value(Name::CSeq)?.split_once([' ', '\t'])?;
        let number = decimal(number.as_bytes()).filter(|n| *n < 1 << 31)?;
        Some(CSeq { number, method: Method::parse(method.trim().as_bytes()) })
    }

    /// `None` where the field is absent (taken as 70, RFC 3261 §16.3) or no number up to 255.
    #[must_use]
    pub fn max_forwards(&self) -> Option<u8> {
        self.number(Name::MaxForwards).and_then(|n| u8::try_from(n).ok())
    }

    /// A header that is one decimal number: Expires, Min-Expires, Retry-After. What follows `;` or `(` is passed over.
    /// A number above 2^32-1 reads as that: it is a time too long, not an absent one.
    #[must_use]
    pub fn number(&self, name: Name) -> Option<u32> {
        let text = self.value(name)?.split([';', '(']).next()?.trim().as_bytes();
        let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        digits.then(|| decimal(text).unwrap_or(u32::MAX))
    }

    /// The values of every field of that name, for those that [`Name`] has no word for; those that are no UTF-8 are passed over.
    pub fn fields<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let of_name = move |(_, word, _): &(Name, &[u8], &[u8])| word.eq_ignore_ascii_case(name.as_bytes());
        self.headers()
            .filter(of_name)
            .filter_map(|(_, _, value)| std::str::from_utf8(value).ok())
            .map(str::trim)
    }

    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.value(Name::ContentType)
    }

    /// The body as Content-Length bounds it, else to the end of the datagram (RFC 3261 §18.3); shares the bytes.
    #[must_use]
    pub fn body(&self) -> Bytes {
        let rest = self.bytes.len() - self.body_at;
        let length = match self.length {
            Length::Given(length) => length.min(rest),
            Length::Absent | Length::Unreadable => rest,
        };
        self.bytes.slice(self.body_at..self.body_at + length)
    }

    /// The bytes that came after the header section, whatever Content-Length says.
    pub(super) fn body_available(&self) -> usize {
        self.bytes.len() - self.body_at
    }

    pub(super) fn text(&self, span: Span) -> &str {
        span.in_text(&self.section)
    }
}

/// The header section as text; a copy where the bytes can't be read so.
fn readable(section: Bytes, fields: &[Field], folded: bool) -> ByteString {
    if !folded && let Ok(text) = ByteString::try_from(section.clone()) {
        return text;
    }
    let mut copy = section.to_vec();
    for field in fields.iter().filter(|_| folded) {
        for byte in copy.get_mut(field.value.range()).unwrap_or_default() {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
    }
    let mut at = 0;
    while let Err(stray) = std::str::from_utf8(copy.get(at..).unwrap_or_default()) {
        let from = at + stray.valid_up_to();
        at = stray.error_len().map_or(copy.len(), |length| from + length);
        copy.get_mut(from..at).unwrap_or_default().fill(b'?');
    }
    String::from_utf8(copy).unwrap_or_default().into() // proved above
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:bob@biloxi.com SIP/2.0\r\n\
        Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds, SIP/2.0/TCP [2001:db8::1]:5070;branch=x\r\n\
        Max-Forwards: 70\r\n\
        t: Bob <sip:bob@biloxi.com>\r\n\
        FROM : \"Alice, \\\"A\\\"\" <sip:alice@atlanta.com>;tag=1928301774\r\n\
        i: a84b4c76e66710@pc33.atlanta.com\r\n\
        CSeq: 314159\r\n INVITE\r\n\
        Contact: <sip:alice@pc33.atlanta.com>, \"b, c\" <sip:b,c@d>;q=0.5\r\n\
        X-Other: one\r\n\
        Content-Length: 4\r\n\r\nbodyrest";

    fn message(text: impl AsRef<[u8]>) -> Message {
        Message::parse(Bytes::copy_from_slice(text.as_ref())).unwrap()
    }

    #[test]
    fn an_invite_shows_what_it_says() {
        let invite = message(INVITE);
        assert_eq!(invite.check(), Ok(()));
        assert_eq!((invite.method(), invite.request_uri()), (Method::Invite, "sip:bob@biloxi.com"));
        assert_eq!(invite.from().unwrap().display_unescaped(), "Alice, \"A\"");
        assert_eq!(invite.from().unwrap().tag(), Some("1928301774"));
        assert_eq!(invite.to().unwrap().uri.user, "bob");
        assert_eq!(invite.call_id(), "a84b4c76e66710@pc33.atlanta.com");
        assert_eq!(invite.cseq(), Some(CSeq { number: 314_159, method: Method::Invite }));
        assert_eq!(invite.max_forwards(), Some(70));
        assert_eq!(invite.top_via().unwrap().branch(), Some("z9hG4bK776asdhds"));
        assert_eq!(invite.elements(Name::Via).count(), 2);
        assert_eq!(invite.addresses(Name::Contact).map(|c| c.uri.user).collect::<Vec<_>>(), ["alice", "b,c"]);
        assert_eq!(invite.other("x-other"), Some("one"));
        assert_eq!(invite.body(), "body");
    }

    #[test]
    fn what_is_found_once_reads_as_what_is_read_each_time() {
        let latin = INVITE.replace("t: Bob", "t: B\u{f6}b").replace("\u{f6}", "\u{1}").into_bytes();
        let latin: Vec<u8> = latin.into_iter().map(|b| if b == 1 { 0xf6 } else { b }).collect();
        let tel = INVITE.replace("<sip:bob@biloxi.com>", "tel:+12025550100;ext=7").into_bytes();
        let broken =
            INVITE.replace("Via: SIP/2.0", "Via: HTTP/2.0").replace("t: Bob", "t: \"Bob").into_bytes();
        for text in [INVITE.as_bytes(), &latin, &tel, &broken] {
            let read = message(text);
            let mut found = read.clone();
            found.mark();
            assert_eq!((found.top_via(), found.from(), found.to()), (read.top_via(), read.from(), read.to()));
        }
    }

    #[test]
    fn a_fold_reads_as_spaces_and_is_kept_in_the_bytes() {
        let invite = message(INVITE);
        assert_eq!(invite.value(Name::CSeq), Some("314159   INVITE"));
        let raw = invite.headers().find(|(name, ..)| *name == Name::CSeq).unwrap().2;
        assert_eq!(raw, b"314159\r\n INVITE");
    }

    #[test]
    fn latin_1_in_a_display_name_does_not_cost_the_call() {
        let text = INVITE.replace("t: Bob", "t: B\u{1}b").into_bytes();
        let latin: Vec<u8> = text.into_iter().map(|b| if b == 1 { 0xf6 } else { b }).collect();
        let invite = message(&latin);
        assert_eq!(invite.check(), Ok(()));
        assert_eq!(invite.to().unwrap().display, "B?b");
        assert!(invite.headers().any(|(_, _, value)| value.starts_with(b"B\xf6b")));
    }

    #[test]
    fn a_response_takes_its_method_from_cseq() {
        let text = INVITE.replace("INVITE sip:bob@biloxi.com SIP/2.0", "SIP/2.0 180 Es l\u{e4}utet");
        let response = message(text);
        assert_eq!(response.check(), Ok(()));
        assert_eq!((response.status(), response.reason_phrase()), (180, "Es l\u{e4}utet"));
        assert_eq!((response.method(), response.method_text()), (Method::Invite, "INVITE"));
    }

    #[test]
    fn keepalives_and_garbage_are_told_apart() {
        let error = |bytes: &[u8]| Message::parse(Bytes::copy_from_slice(bytes)).err();
        assert_eq!(error(b"\r\n\r\n"), Some(ParseError::KeepAlive));
        assert_eq!(error(b""), Some(ParseError::KeepAlive));
        assert_eq!(error(b"\0\0\0\0"), Some(ParseError::KeepAlive));
        assert_eq!(error(b"\0\x01\0\0\x21\x12\xa4\x42abcdefghijkl"), Some(ParseError::KeepAlive));
        assert_eq!(error(b"GET / HTTP/1.1\r\n\r\n"), Some(ParseError::NotSip));
        assert_eq!(error(&[0x80; 172]), Some(ParseError::NotSip));
        assert_eq!(error(&[b'a'; 70_000]), Some(ParseError::TooLarge));
    }
}
