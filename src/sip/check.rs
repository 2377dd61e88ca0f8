//! Whether the values that every message must have are there and well formed (RFC 3261 §8.1.1, §8.2, §16.3, and the
//! invalid messages of RFC 4475 §3.1.2). What depends on a method, an option or a policy is judged above.

use super::parse::{Defect, Length, MESSAGE_BYTES_MAX, StartLine};
use super::{Message, Method, Name, Scheme, Uri};

/// The longest Request-URI; a longer one is answered with 414. Twice what a contact of ours may have.
pub const REQUEST_URI_BYTES_MAX: usize = 4_096;

/// Why a request that parses can't be taken, as the peer hears it: a status and a reason phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub reason: &'static str,
}

const fn bad(reason: &'static str) -> Refusal {
    Refusal { status: 400, reason }
}

impl Message {
    /// Whether the values that every message must have are there and well formed: To, From, CSeq (with the request's
    /// method), Call-ID, Max-Forwards (0 to 255), Via, SIP/2.0, Content-Length, the Request-URI and its scheme.
    ///
    /// # Errors
    /// The status and reason to answer a request with; a response (or ACK) that fails is dropped.
    pub fn check(&self) -> Result<(), Refusal> {
        if !self.version_known {
            return Err(Refusal { status: 505, reason: "Version Not Supported" });
        }
        match self.defect {
            None => {}
            Some(Defect::StartLine) => return Err(bad("Bad Request Line")),
            Some(Defect::HeaderLine) => return Err(bad("Bad Header Line")),
            Some(Defect::TooManyHeaders) => return Err(bad("Too Many Header Fields")),
            // RFC 3261 §21.5.7: as much as there may be, and no end of it.
            Some(Defect::Unterminated) if self.bytes().len() >= MESSAGE_BYTES_MAX => {
                return Err(Refusal { status: 513, reason: "Message Too Large" });
            }
            Some(Defect::Unterminated) => return Err(bad("Header Section Does Not End")),
        }
        self.check_counts()?;
        self.top_via().ok_or(bad("Bad Via"))?;
        self.from().ok_or(bad("Bad From"))?;
        self.to().ok_or(bad("Bad To"))?;
        if self.call_id().is_empty() || self.call_id().bytes().any(|b| b <= b' ') {
            return Err(bad("Bad Call-ID"));
        }
        self.cseq().ok_or(bad("Bad CSeq"))?;
        self.check_length()?;
        match self.start {
            StartLine::Request { .. } => self.check_request(),
            StartLine::Response { .. } => Ok(()),
        }
    }

    /// RFC 3261 §8.1.1: one of each; §7.3.1: a field that is no list stands once (RFC 4475 §3.3.8, §3.3.9).
    fn check_counts(&self) -> Result<(), Refusal> {
        let (mut via, mut from, mut to, mut call_id, mut cseq, mut max_forwards) = (0, 0, 0, 0, 0, 0);
        let (mut content_type, mut expires) = (0, 0);
        for field in self.fields.iter() {
            match field.name {
                Name::Via => via += 1,
                Name::From => from += 1,
                Name::To => to += 1,
                Name::CallId => call_id += 1,
                Name::CSeq => cseq += 1,
                Name::MaxForwards => max_forwards += 1,
                Name::ContentType => content_type += 1,
                Name::Expires => expires += 1,
                _ => {}
            }
        }
        match () {
            () if via == 0 => Err(bad("Missing Via")),
            () if from == 0 => Err(bad("Missing From")),
            () if to == 0 => Err(bad("Missing To")),
            () if call_id == 0 => Err(bad("Missing Call-ID")),
            () if cseq == 0 => Err(bad("Missing CSeq")),
            () if from > 1 => Err(bad("Several From")),
            () if to > 1 => Err(bad("Several To")),
            () if call_id > 1 => Err(bad("Several Call-ID")),
            () if cseq > 1 => Err(bad("Several CSeq")),
            () if max_forwards > 1 => Err(bad("Several Max-Forwards")),
            () if content_type > 1 => Err(bad("Several Content-Type")),
            () if expires > 1 => Err(bad("Several Expires")),
            () => Ok(()),
        }
    }

    /// RFC 3261 §18.3: a datagram shorter than it says is a bad request; longer is cut.
    fn check_length(&self) -> Result<(), Refusal> {
        match self.length {
            Length::Absent => Ok(()),
            Length::Given(length) if length <= self.body_available() => Ok(()),
            // RFC 3261 §21.4.11: what a stream announced is not waited for.
            Length::Given(length) if length > MESSAGE_BYTES_MAX.saturating_sub(self.head_bytes()) => {
                Err(Refusal { status: 413, reason: "Request Entity Too Large" })
            }
            Length::Given(_) => Err(bad("Body Shorter Than Content-Length")),
            Length::Unreadable => Err(bad("Bad Content-Length")),
        }
    }

    fn head_bytes(&self) -> usize {
        self.bytes().len().saturating_sub(self.body_available())
    }

    fn check_request(&self) -> Result<(), Refusal> {
        // RFC 3261 §8.1.1.5; methods are compared with case, and unknown ones too.
        let cseq_method = self.value(Name::CSeq).and_then(|v| v.split_ascii_whitespace().nth(1));
        if cseq_method != Some(self.method_text()) {
            return Err(match self.method() {
                // RFC 4475 §3.1.2.18: what it would have been isn't ours to judge.
                Method::Other => Refusal { status: 501, reason: "Not Implemented" },
                _ => bad("CSeq Method Differs"), // RFC 4475 §3.1.2.17
            });
        }
        if self.value(Name::MaxForwards).is_some() && self.max_forwards().is_none() {
            return Err(bad("Bad Max-Forwards"));
        }
        if self.request_uri().len() > REQUEST_URI_BYTES_MAX {
            return Err(Refusal { status: 414, reason: "Request-URI Too Long" }); // RFC 3261 §21.4.12
        }
        let uri = Uri::parse(self.request_uri()).ok_or(bad("Bad Request-URI"))?;
        match uri.scheme {
            // RFC 3261 §16.3 item 2, §8.2.2.1.
            Scheme::Other => Err(Refusal { status: 416, reason: "Unsupported URI Scheme" }),
            // RFC 3261 §19.1.1: no headers in a Request-URI (RFC 4475 §3.1.2.11).
            _ if !uri.headers.is_empty() => Err(bad("Headers in Request-URI")),
            _ => Ok(()),
        }
    }
}
