//! The Via header field (RFC 3261 §20.42, RFC 3581).

use super::params::{BLANK, Params, after_blanks, cut, split_once, trimmed};
use super::uri::host_port;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// `UDP`, `TCP`, ... as written.
    pub transport: &'a str,
    /// Host without brackets.
    pub host: &'a str,
    pub port: Option<u16>,
    /// With the leading `;`, or empty.
    pub params: &'a str,
}

impl<'a> Via<'a> {
    /// Reads one element. `None` for another protocol than SIP/2.0, a sent-by that is no host, or empty parameters.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Via<'a>> {
        let rest = match text.strip_prefix("SIP/2.0/") {
            Some(rest) => rest,
            None => after_version(text)?,
        };
        let (transport, rest) = after_blanks(rest).split_once(BLANK)?;
        if transport.is_empty() || !transport.bytes().all(super::parse::is_token) {
            return None;
        }
        let (sent_by, params) = cut(rest, b';');
        let (host, port) = host_port(trimmed(sent_by))?;
        Params::are_sound(params).then_some(Via { transport, host, port, params })
    }

    /// The value of a parameter (`Some("")` for a flag), names compared without case.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&'a str> {
        Params::find(self.params, name)
    }

    #[must_use]
    pub fn branch(&self) -> Option<&'a str> {
        self.param("branch")
    }
}

/// What follows the protocol and its version, with all the case and space that they may have.
fn after_version(text: &str) -> Option<&str> {
    let (protocol, rest) = split_once(text, b'/')?;
    let (version, rest) = split_once(rest, b'/')?;
    (trimmed(protocol).eq_ignore_ascii_case("SIP") && trimmed(version) == "2.0").then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::Via;

    #[test]
    fn a_via_is_read_with_all_the_space_it_may_have() {
        let via = Via::parse(
            "SIP / 2.0 / UDP   [2001:db8::9:1] : 5070 ; received=[2001:db8::9:255] ;rport; branch = z9hG4bKas3",
        );
        let via = via.unwrap();
        assert_eq!((via.transport, via.host, via.port), ("UDP", "2001:db8::9:1", Some(5070)));
        assert_eq!((via.branch(), via.param("rport")), (Some("z9hG4bKas3"), Some("")));
        assert_eq!(via.param("received"), Some("[2001:db8::9:255]"));
    }

    #[test]
    fn what_can_not_be_answered_by_is_refused() {
        for text in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0/UDP ;branch=x",
            "SIP/3.0/UDP a",
            "HTTP/2.0/UDP a",
            "SIP/2.0/U P a",
            "SIP/2.0/UDP a b",
            "SIP/2.0/UDP a:0x1",
            "SIP/2.0/UDP a;;branch=x",
            "SIP/2.0/UDP a;=x",
            "SIP/2.0/UDP 2001:db8::9:1;branch=x",
        ] {
            assert_eq!(Via::parse(text), None, "{text}");
        }
    }
}
