//! Bytes to [`Message`](super::Message): one pass, bounded before any work is done.
//!
//! This file cuts: the start line, and the field lines one by one ([`Fields`]), for datagrams and for the framing of
//! streams alike, so that both see the same message. It judges nothing that a sender could be told with a 400: such a fault
//! is noted as a [`Defect`] and the cutting goes on, since the answer needs the fields that are sound.
//!
//! Line ends are CRLF; a bare LF is taken for one (some gateways send it, and a message is never passed on as it came).
//! A bare CR is a defect.

use super::name::Name;
use memchr::{memchr, memchr2, memrchr};

/// The largest message taken, in bytes. A datagram can't be larger; a stream that announces more is closed.
pub const MESSAGE_BYTES_MAX: usize = 65_535;
/// The most header fields of one message; a request with more is answered with 400, a response dropped.
pub const HEADERS_MAX: usize = 256;
/// The longest method; longer first words are no SIP.
pub const METHOD_BYTES_MAX: usize = 64;
/// The longest start line; a longer one is no SIP.
pub const START_LINE_BYTES_MAX: usize = 8_192;
/// The most bytes of line ends before a start line (RFC 3261 §7.5).
pub const LEADING_BYTES_MAX: usize = 64;

/// What is wrong with bytes that came in, and can't be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not SIP at all: counted and dropped; a stream is closed.
    #[error("not a SIP message")]
    NotSip,
    /// RFC 5626 §3.5.1, RFC 5389: a CRLF keep-alive, a STUN binding request, or nothing but white space.
    #[error("a keep-alive")]
    KeepAlive,
    #[error("larger than {MESSAGE_BYTES_MAX} bytes")]
    TooLarge,
    /// On a stream only: the Content-Length can't be read, so that nobody knows where the next message begins.
    #[error("the end of a message can't be found")]
    Unframed,
}

/// A fault of structure that leaves a message answerable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Defect {
    StartLine,
    HeaderLine,
    TooManyHeaders,
    Unterminated,
}

/// Where something stands in a message. Two bytes an offset are enough: `MESSAGE_BYTES_MAX`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u16,
    end: u16,
}

impl Span {
    /// Offsets beyond `MESSAGE_BYTES_MAX` don't occur: the length is judged first.
    fn new(start: usize, end: usize) -> Span {
        debug_assert!(start <= end && end <= MESSAGE_BYTES_MAX);
        Span { start: u16::try_from(start).unwrap_or(u16::MAX), end: u16::try_from(end).unwrap_or(u16::MAX) }
    }

    pub(super) fn range(self) -> std::ops::Range<usize> {
        usize::from(self.start)..usize::from(self.end)
    }

    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.range()).unwrap_or_default()
    }

    /// Where `part` stands, which was cut from `text`, a header section. What is empty stands nowhere.
    pub(super) fn within(text: &str, part: &str) -> Span {
        let start = part.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
        match start.checked_add(part.len()).filter(|end| *end <= text.len() && !part.is_empty()) {
            Some(end) => Span::new(start, end),
            None => Span::default(),
        }
    }

    pub(super) fn in_text(self, text: &str) -> &str {
        text.get(self.range()).unwrap_or("")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartLine {
    Request {
        method: Span,
        uri: Span,
    },
    /// `status` is 0 where it can't be read.
    Response {
        status: u16,
        reason: Span,
    },
}

/// A start line as it was cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) line: StartLine,
    pub(super) version_known: bool,
    pub(super) defect: Option<Defect>,
    /// Where the first field line begins.
    pub(super) end: usize,
}

/// Cuts the start line.
pub(super) fn start_line(bytes: &[u8]) -> Result<Start, ParseError> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(ParseError::TooLarge);
    }
    let at = leading(bytes)?;
    let rest = bytes.get(at..).unwrap_or_default();
    match first_word(rest) {
        Some(FirstWord::Method(len)) => request_line(bytes, at, at + len),
        Some(FirstWord::Version) => status_line(bytes, at),
        None => Err(ParseError::NotSip),
    }
}

enum FirstWord {
    /// Of that many bytes.
    Method(usize),
    Version,
}

fn first_word(text: &[u8]) -> Option<FirstWord> {
    let len = text.iter().take(METHOD_BYTES_MAX + 1).position(|b| !is_token(*b))?;
    match text.get(len)? {
        b' ' | b'\t' if len > 0 => Some(FirstWord::Method(len)),
        b'/' if text.get(..len)?.eq_ignore_ascii_case(b"SIP") => Some(FirstWord::Version),
        _ => None,
    }
}

/// Whether more bytes can make a start line of these: a stream of garbage is not waited for.
pub(super) fn may_begin(text: &[u8]) -> bool {
    let unfinished = text.len() <= METHOD_BYTES_MAX && text.iter().all(|b| is_token(*b));
    unfinished || first_word(text).is_some()
}

/// Skips line ends before the start line; tells keep-alives from garbage.
fn leading(bytes: &[u8]) -> Result<usize, ParseError> {
    let head = bytes.get(..bytes.len().min(LEADING_BYTES_MAX)).unwrap_or_default();
    match head.iter().position(|b| !matches!(b, b'\r' | b'\n')) {
        None if head.len() < LEADING_BYTES_MAX => Err(ParseError::KeepAlive),
        None => Err(ParseError::NotSip),
        Some(0) if is_stun(head) || head.iter().all(|b| matches!(b, 0 | b' ' | b'\t' | b'\r' | b'\n')) => {
            Err(ParseError::KeepAlive)
        }
        Some(at) => Ok(at),
    }
}

/// RFC 5389 §6: two zero bits, then the magic cookie.
fn is_stun(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|b| b & 0xc0 == 0) && bytes.get(4..8) == Some(&[0x21, 0x12, 0xa4, 0x42])
}

/// The line that begins at `at`: its end without the line end, and where the next one begins.
fn line(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let within = bytes.len().min(at + START_LINE_BYTES_MAX);
    let end = at + memchr(b'\n', bytes.get(at..within)?)?;
    let trimmed = if end > at && bytes.get(end - 1) == Some(&b'\r') { end - 1 } else { end };
    Some((trimmed, end + 1))
}

/// RFC 3261 §7.1. Spaces too many are a defect (RFC 4475 §3.1.2.8 to §3.1.2.10), the fields may still be sound.
fn request_line(bytes: &[u8], at: usize, method_end: usize) -> Result<Start, ParseError> {
    let (line_end, end) = line(bytes, at).ok_or(ParseError::NotSip)?;
    let trimmed = trim(bytes, method_end, line_end).1;
    let rest = bytes.get(method_end..trimmed).unwrap_or_default();
    let version_at = method_end + memrchr(b' ', rest).ok_or(ParseError::NotSip)? + 1;
    let version = bytes.get(version_at..trimmed).unwrap_or_default();
    if !version.get(..4).is_some_and(|v| v.eq_ignore_ascii_case(b"SIP/")) {
        return Err(ParseError::NotSip);
    }
    let (uri_start, uri_end) = trim(bytes, method_end, version_at);
    let uri = bytes.get(uri_start..uri_end).unwrap_or_default();
    let exact = uri_start == method_end + 1 && uri_end + 1 == version_at && trimmed == line_end;
    let sound = exact && !uri.is_empty() && uri.iter().all(|b| *b > b' ' && *b < 0x7f);
    Ok(Start {
        line: StartLine::Request { method: Span::new(at, method_end), uri: Span::new(uri_start, uri_end) },
        version_known: version.eq_ignore_ascii_case(b"SIP/2.0"),
        defect: (!sound).then_some(Defect::StartLine),
        end,
    })
}

/// RFC 3261 §7.2. The reason phrase may be empty and may be any UTF-8.
fn status_line(bytes: &[u8], at: usize) -> Result<Start, ParseError> {
    let (line_end, end) = line(bytes, at).ok_or(ParseError::NotSip)?;
    let text = bytes.get(at..line_end).unwrap_or_default();
    let version_len = memchr(b' ', text).ok_or(ParseError::NotSip)?;
    let code_at = version_len + 1;
    let code_len = text.iter().skip(code_at).position(|b| *b == b' ').unwrap_or(text.len() - code_at);
    let code = text.get(code_at..code_at + code_len).unwrap_or_default();
    let status = if code.len() == 3 { decimal(code).unwrap_or(0) } else { 0 };
    let status = u16::try_from(status).ok().filter(|s| (100..=699).contains(s)).unwrap_or(0);
    let reason = trim(bytes, at + code_at + code_len, line_end);
    let bare_cr = memchr(b'\r', text).is_some();
    Ok(Start {
        line: StartLine::Response { status, reason: Span::new(reason.0, reason.1) },
        version_known: text.get(..version_len).is_some_and(|v| v.eq_ignore_ascii_case(b"SIP/2.0")),
        defect: (status == 0 || bare_cr).then_some(Defect::StartLine),
        end,
    })
}

/// One field line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: Name,
    pub(super) written: Span,
    pub(super) value: Span,
}

/// Cuts field lines until the empty line.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    /// A value went over several lines (RFC 3261 §7.3.1).
    pub(super) folded: bool,
    /// A line had no colon or a name that is no token, or there was a bare CR.
    pub(super) malformed: bool,
    /// Where the body begins, once the empty line has been met.
    pub(super) end: Option<usize>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Fields<'a> {
        Fields { bytes, at, folded: false, malformed: false, end: None }
    }

    /// From inside a field line to where the next field begins, over folds.
    fn line_end(&mut self, from: usize) -> Option<usize> {
        let mut at = from;
        loop {
            let hit = at + memchr2(b'\r', b'\n', self.bytes.get(at..)?)?;
            let next = if self.bytes.get(hit) == Some(&b'\n') {
                hit + 1
            } else if self.bytes.get(hit + 1) == Some(&b'\n') {
                hit + 2
            } else {
                self.malformed = true;
                at = hit + 1;
                continue;
            };
            if !matches!(self.bytes.get(next), Some(b' ' | b'\t')) {
                return Some(next);
            }
            self.folded = true;
            at = next;
        }
    }
}

impl Iterator for Fields<'_> {
    type Item = Field;

    fn next(&mut self) -> Option<Field> {
        loop {
            let at = self.at;
            match (self.bytes.get(at)?, self.bytes.get(at + 1)) {
                (b'\n', _) => self.end = Some(at + 1),
                (b'\r', Some(b'\n')) => self.end = Some(at + 2),
                _ => {}
            }
            if self.end.is_some() {
                return None;
            }
            let rest = self.bytes.get(at..)?;
            let name_len = rest.iter().position(|b| !is_token(*b))?;
            let gap = rest.iter().skip(name_len).position(|b| !matches!(b, b' ' | b'\t'))?;
            let colon = at + name_len + gap;
            let sound = name_len > 0 && self.bytes.get(colon) == Some(&b':');
            self.at = self.bytes.len();
            self.at = self.line_end(if sound { colon + 1 } else { at })?;
            if !sound {
                self.malformed = true;
                continue;
            }
            let value = trim(self.bytes, colon + 1, self.at);
            return Some(Field {
                name: Name::parse(rest.get(..name_len)?),
                written: Span::new(at, at + name_len),
                value: Span::new(value.0, value.1),
            });
        }
    }
}

/// What Content-Length says (RFC 3261 §20.14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Length {
    #[default]
    Absent,
    Given(usize),
    /// No number, or there are two of them.
    Unreadable,
}

impl Length {
    /// Takes one more Content-Length field.
    pub(super) fn and(self, value: &[u8]) -> Length {
        match (self, decimal(value)) {
            (Length::Absent, Some(length)) => {
                usize::try_from(length).map_or(Length::Unreadable, Length::Given)
            }
            _ => Length::Unreadable,
        }
    }
}

/// Digits only, at least one; `None` beyond 32 bits.
pub(super) fn decimal(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u32, |sum, b| {
        let digit = b.is_ascii_digit().then(|| u32::from(b - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// The range without white space and line ends at both ends.
fn trim(bytes: &[u8], mut start: usize, mut end: usize) -> (usize, usize) {
    let blank = |at: usize| matches!(bytes.get(at), Some(b' ' | b'\t' | b'\r' | b'\n'));
    while start < end && blank(start) {
        start += 1;
    }
    while end > start && blank(end - 1) {
        end -= 1;
    }
    (start, end)
}

/// RFC 3261 §25.1 `token`.
pub(super) fn is_token(byte: u8) -> bool {
    const TOKEN: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0u8;
        while byte < 128 {
            table[byte as usize] = byte.is_ascii_alphanumeric()
                || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
            byte += 1;
        }
        table
    };
    TOKEN[usize::from(byte)]
}
