//! Header field names, with their compact forms (RFC 3261 §7.3.3, §20).

/// The header fields that the daemon reads or writes; any other one is `Other` and passes by its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    Accept,
    AlertInfo,
    Allow,
    AuthenticationInfo,
    Authorization,
    CallId,
    Contact,
    ContentLength,
    ContentType,
    CSeq,
    Date,
    Diversion,
    Expires,
    From,
    HistoryInfo,
    MaxForwards,
    MinExpires,
    MinSe,
    PAssertedIdentity,
    Path,
    Priority,
    Privacy,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyRequire,
    RAck,
    RSeq,
    Reason,
    RecordRoute,
    RemotePartyId,
    Require,
    RetryAfter,
    Route,
    Server,
    SessionExpires,
    SessionId,
    Subject,
    Supported,
    To,
    Unsupported,
    UserAgent,
    Via,
    Warning,
    WwwAuthenticate,
    Other,
}

impl Name {
    /// The name of a field line, in any case, compact forms included.
    #[must_use]
    pub fn parse(text: &[u8]) -> Name {
        let Some(first) = text.first() else { return Name::Other };
        // Length and first letter leave at most two candidates; one comparison settles each.
        let candidate = match (text.len(), first.to_ascii_lowercase()) {
            (1, b'c') => return Name::ContentType,
            (1, b'f') => return Name::From,
            (1, b'i') => return Name::CallId,
            (1, b'k') => return Name::Supported,
            (1, b'l') => return Name::ContentLength,
            (1, b'm') => return Name::Contact,
            (1, b's') => return Name::Subject,
            (1, b't') => return Name::To,
            (1, b'v') => return Name::Via,
            (1, b'x') => return Name::SessionExpires,
            (2, b't') => Name::To,
            (3, b'v') => Name::Via,
            (4, b'c') => Name::CSeq,
            (4, b'd') => Name::Date,
            (4, b'f') => Name::From,
            (4, b'p') => Name::Path,
            (4, b'r') if text.get(1).is_some_and(|b| b.eq_ignore_ascii_case(&b'a')) => Name::RAck,
            (4, b'r') => Name::RSeq,
            (5, b'a') => Name::Allow,
            (5, b'r') => Name::Route,
            (6, b'a') => Name::Accept,
            (6, b'm') => Name::MinSe,
            (6, b'r') => Name::Reason,
            (6, b's') => Name::Server,
            (7, b'c') if text.get(1).is_some_and(|b| b.eq_ignore_ascii_case(&b'a')) => Name::CallId,
            (7, b'c') => Name::Contact,
            (7, b'e') => Name::Expires,
            (7, b'p') => Name::Privacy,
            (7, b'r') => Name::Require,
            (7, b's') => Name::Subject,
            (7, b'w') => Name::Warning,
            (8, b'p') => Name::Priority,
            (9, b'd') => Name::Diversion,
            (9, b's') => Name::Supported,
            (10, b'a') => Name::AlertInfo,
            (10, b's') => Name::SessionId,
            (10, b'u') => Name::UserAgent,
            (11, b'm') => Name::MinExpires,
            (11, b'r') => Name::RetryAfter,
            (11, b'u') => Name::Unsupported,
            (12, b'c') => Name::ContentType,
            (12, b'h') => Name::HistoryInfo,
            (12, b'm') => Name::MaxForwards,
            (12, b'r') => Name::RecordRoute,
            (13, b'a') => Name::Authorization,
            (13, b'p') => Name::ProxyRequire,
            (14, b'c') => Name::ContentLength,
            (15, b'r') => Name::RemotePartyId,
            (15, b's') => Name::SessionExpires,
            (16, b'w') => Name::WwwAuthenticate,
            (18, b'p') => Name::ProxyAuthenticate,
            (19, b'a') => Name::AuthenticationInfo,
            (19, b'p') if text.get(1).is_some_and(|b| b.eq_ignore_ascii_case(&b'-')) => {
                Name::PAssertedIdentity
            }
            (19, b'p') => Name::ProxyAuthorization,
            _ => return Name::Other,
        };
        // Most senders write a name as RFC 3261 does, and that is told by one comparison of memory.
        let word = candidate.word().as_bytes();
        if word == text || word.eq_ignore_ascii_case(text) { candidate } else { Name::Other }
    }

    /// The name as we write it; empty for `Other`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Name::Accept => "Accept",
            Name::AlertInfo => "Alert-Info",
            Name::Allow => "Allow",
            Name::AuthenticationInfo => "Authentication-Info",
            Name::Authorization => "Authorization",
            Name::CallId => "Call-ID",
            Name::Contact => "Contact",
            Name::ContentLength => "Content-Length",
            Name::ContentType => "Content-Type",
            Name::CSeq => "CSeq",
            Name::Date => "Date",
            Name::Diversion => "Diversion",
            Name::Expires => "Expires",
            Name::From => "From",
            Name::HistoryInfo => "History-Info",
            Name::MaxForwards => "Max-Forwards",
            Name::MinExpires => "Min-Expires",
            Name::MinSe => "Min-SE",
            Name::PAssertedIdentity => "P-Asserted-Identity",
            Name::Path => "Path",
            Name::Priority => "Priority",
            Name::Privacy => "Privacy",
            Name::ProxyAuthenticate => "Proxy-Authenticate",
            Name::ProxyAuthorization => "Proxy-Authorization",
            Name::ProxyRequire => "Proxy-Require",
            Name::RAck => "RAck",
            Name::RSeq => "RSeq",
            Name::Reason => "Reason",
            Name::RecordRoute => "Record-Route",
            Name::RemotePartyId => "Remote-Party-ID",
            Name::Require => "Require",
            Name::RetryAfter => "Retry-After",
            Name::Route => "Route",
            Name::Server => "Server",
            Name::SessionExpires => "Session-Expires",
            Name::SessionId => "Session-ID",
            Name::Subject => "Subject",
            Name::Supported => "Supported",
            Name::To => "To",
            Name::Unsupported => "Unsupported",
            Name::UserAgent => "User-Agent",
            Name::Via => "Via",
            Name::Warning => "Warning",
            Name::WwwAuthenticate => "WWW-Authenticate",
            Name::Other => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    const ALL: &[Name] = &[
        Name::Accept,
        Name::AlertInfo,
        Name::Allow,
        Name::AuthenticationInfo,
        Name::Authorization,
        Name::CallId,
        Name::Contact,
        Name::ContentLength,
        Name::ContentType,
        Name::CSeq,
        Name::Date,
        Name::Diversion,
        Name::Expires,
        Name::From,
        Name::HistoryInfo,
        Name::MaxForwards,
        Name::MinExpires,
        Name::PAssertedIdentity,
        Name::Path,
        Name::Priority,
        Name::Privacy,
        Name::ProxyAuthenticate,
        Name::ProxyAuthorization,
        Name::ProxyRequire,
        Name::Reason,
        Name::RecordRoute,
        Name::RemotePartyId,
        Name::Require,
        Name::RetryAfter,
        Name::Route,
        Name::Server,
        Name::Subject,
        Name::Supported,
        Name::To,
        Name::Unsupported,
        Name::UserAgent,
        Name::MinSe,
        Name::RAck,
        Name::RSeq,
        Name::SessionExpires,
        Name::SessionId,
        Name::Via,
        Name::Warning,
        Name::WwwAuthenticate,
    ];

    #[test]
    fn every_word_reads_back_in_any_case() {
        for &name in ALL {
            assert_eq!(Name::parse(name.word().as_bytes()), name);
            assert_eq!(Name::parse(name.word().to_ascii_uppercase().as_bytes()), name);
            assert_eq!(Name::parse(name.word().to_ascii_lowercase().as_bytes()), name);
        }
    }

    #[test]
    fn compact_forms_read_as_their_long_forms() {
        for (short, long) in [
            ("m", "Contact"),
            ("i", "Call-ID"),
            ("l", "Content-Length"),
            ("c", "Content-Type"),
            ("f", "From"),
            ("s", "Subject"),
            ("k", "Supported"),
            ("t", "To"),
            ("v", "Via"),
            ("x", "Session-Expires"),
        ] {
            assert_eq!(Name::parse(short.as_bytes()).word(), long);
            assert_eq!(Name::parse(short.to_ascii_uppercase().as_bytes()).word(), long);
        }
    }

    #[test]
    fn a_near_miss_is_other() {
        for text in ["", "z", "Vib", "Call-IE", "Contacts", "P-Asserted-Identitx", "Froma", "Tö"] {
            assert_eq!(Name::parse(text.as_bytes()), Name::Other, "{text}");
        }
    }
}
