//! The event packages that we notify of, and what each wants (RFC 6665 §5).

use crate::sip::{Message, Name, Params};

/// What Allow-Events says (RFC 6665 §8.2.2).
pub const ALLOW_EVENTS: &str = "dialog, message-summary, reg";

/// Seconds that a subscription lasts where its SUBSCRIBE says nothing (RFC 4235 §3.4; RFC 3842 §3.4 leaves it to us).
pub const EXPIRES_DEFAULT_S: u32 = 3_600;
/// Seconds; a longer wish is cut to it (RFC 6665 §4.2.1.1).
pub const EXPIRES_MAX_S: u32 = 7_200;
/// Seconds; a shorter wish but for 0 is answered 423. RFC 6665 §4.2.1.1 forbids that from an hour on.
pub const EXPIRES_MIN_S: u32 = 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Package {
    /// RFC 3842: what waits in a mailbox.
    MessageSummary,
    /// RFC 4235: the calls of a user.
    Dialog,
    /// RFC 3680: where a user is registered.
    Reg,
}

impl Package {
    #[must_use]
    pub fn parse(name: &str) -> Option<Package> {
        // RFC 6665 §8.4: compared with case.
        [Package::MessageSummary, Package::Dialog, Package::Reg]
            .into_iter()
            .find(|package| package.name() == name)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Package::MessageSummary => "message-summary",
            Package::Dialog => "dialog",
            Package::Reg => "reg",
        }
    }

    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Package::MessageSummary => "application/simple-message-summary",
            Package::Dialog => "application/dialog-info+xml",
            Package::Reg => "application/reginfo+xml",
        }
    }

    /// Whether the subscriber can read what it would get. Without an Accept it takes what the package is made of.
    #[must_use]
    pub fn is_acceptable(self, request: &Message) -> bool {
        let wanted = self.content_type();
        let takes = |range: &str| {
            let range = range.split(';').next().unwrap_or_default().trim();
            range == "*/*" || range == "application/*" || range.eq_ignore_ascii_case(wanted)
        };
        let mut ranges = request.elements(Name::Accept).peekable();
        ranges.peek().is_none() || ranges.any(takes)
    }
}

/// An Event field (RFC 6665 §8.2.1): the package's name, and the `id` that tells subscriptions of one dialog apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    pub name: &'a str,
    pub id: Option<&'a str>,
}

/// The longest Event that is kept; it is repeated in every NOTIFY.
pub const EVENT_BYTES_MAX: usize = 128;

impl<'a> Event<'a> {
    /// Of a request; `o` is its compact form. `None` where there is none, or one that is too long.
    #[must_use]
    pub fn of(request: &'a Message) -> Option<Event<'a>> {
        let value = request.other("Event").or_else(|| request.other("o"))?.trim();
        if value.len() > EVENT_BYTES_MAX {
            return None;
        }
        let (name, params) = value.split_at(value.find(';').unwrap_or(value.len()));
        Some(Event { name: name.trim(), id: Params::find(params, "id") })
    }
}

impl std::fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)?;
        self.id.map_or(Ok(()), |id| write!(f, ";id={id}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fields: &str) -> Message {
        Message::parse(format!("SUBSCRIBE sip:101@pbx.example SIP/2.0\r\n{fields}\r\n\r\n").into()).unwrap()
    }

    #[test]
    fn an_event_is_read_with_its_id_and_in_its_compact_form() {
        let message = request("Event: message-summary ; id=7;x=y");
        let event = Event::of(&message).unwrap();
        assert_eq!((event.name, event.id), ("message-summary", Some("7")));
        assert_eq!(event.to_string(), "message-summary;id=7");
        assert_eq!(Event::of(&request("o: dialog")).unwrap().name, "dialog");
        assert_eq!(Event::of(&request("Subject: none")), None);
        assert_eq!(Event::of(&request(&format!("Event: {}", "x".repeat(200)))), None);
    }

    #[test]
    fn a_package_is_acceptable_by_its_type_by_a_range_and_without_a_word() {
        for (accept, says) in [
            ("Accept: application/simple-message-summary;q=0.5", true),
            ("Accept: text/plain, application/*", true),
            ("Subject: none", true),
            ("Accept: application/pidf+xml", false),
        ] {
            assert_eq!(Package::MessageSummary.is_acceptable(&request(accept)), says, "{accept}");
        }
    }
}
