//! The Via header field (RFC 3261 §20.42, RFC 3581).

use super::params::{BLANK, Params};
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
        let (protocol, rest) = text.split_once('/')?;
        let (version, rest) = rest.split_once('/')?;
        if !protocol.trim_matches(BLANK).eq_ignore_ascii_case("SIP") || version.trim_matches(BLANK) != "2.0" {
            return None;
        }
        let (transport, rest) = rest.trim_start_matches(BLANK).split_once(BLANK)?;
        if transport.is_empty() || !transport.bytes().all(super::parse::is_token) {
            return None;
        }
        let (sent_by, params) = rest.find(';').map_or((rest, ""), |end| rest.split_at(end));
        let (host, port) = host_port(sent_by.trim_matches(BLANK))?;
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
