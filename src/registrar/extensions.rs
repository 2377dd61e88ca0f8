//! What a REGISTER says beyond RFC 3261: the way to its contacts (RFC 3327), the instance and flow of each (RFC 5626), and
//! that it wants URIs of its own (RFC 5627). Most say nothing of the kind, and pay nothing for it.

use super::contact::bad;
use crate::sip::{Message, Name, NameAddr, Refusal};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Proxies on the way to a contact; a REGISTER that names more is refused with 400.
pub const PATH_MAX: usize = 8;
/// What they may have in bytes together; a REGISTER with a longer Path is refused with 400.
pub const PATH_BYTES_MAX: usize = 2_048;

/// Kept of a contact that has any of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Extensions {
    /// The proxies that a request to it visits, in order, each as written (RFC 3327 §5.3).
    pub path: Vec<Arc<str>>,
    /// `+sip.instance` without its quotes: `<urn:uuid:...>`.
    pub instance: Option<Arc<str>>,
    /// Which flow of its instance this is (RFC 5626 §4.2); `None` where outbound is not applied.
    pub reg_id: Option<u32>,
    /// What temporary GRUUs of the instance are bound to: another one with each Call-ID that it registers by (RFC 5627
    /// §5.4).
    pub epoch: Option<u64>,
}

/// What one REGISTER asks for, beside its contacts.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub path: Vec<&'a str>,
    message: &'a Message,
}

impl<'a> Asked<'a> {
    /// # Errors
    /// 400 for a Path that no Route can be made of.
    pub(super) fn read(message: &'a Message) -> Result<Asked<'a>, Refusal> {
        let mut path = Vec::new();
        let mut bytes = 0;
        for element in message.elements(Name::Path) {
            bytes += element.len();
            if path.len() == PATH_MAX || bytes > PATH_BYTES_MAX {
                return Err(bad("Path Too Long"));
            }
            // RFC 3327 §4: a Route value, which must be that of a loose router.
            if NameAddr::parse(element).is_none_or(|proxy| proxy.uri.param("lr").is_none()) {
                return Err(bad("Bad Path"));
            }
            path.push(element);
        }
        Ok(Asked { path, message })
    }

    pub(super) fn wants_outbound(&self) -> bool {
        supports(self.message, "outbound")
    }

    pub(super) fn wants_gruu(&self) -> bool {
        supports(self.message, "gruu")
    }

    /// RFC 5626 §6: we are the first hop, or it says in its Path URI that it keeps flows. That URI is the one that was added
    /// first, so the last one (RFC 3327 §5.2 puts later ones before it).
    pub(super) fn first_hop_keeps_flows(&self) -> bool {
        let direct = self.message.elements(Name::Via).nth(1).is_none();
        let keeps =
            |proxy: &&str| NameAddr::parse(proxy).is_some_and(|proxy| proxy.uri.param("ob").is_some());
        match self.path.last() {
            None => direct,
            Some(proxy) => keeps(proxy),
        }
    }
}

/// Whether the sender understands an extension (RFC 3261 §20.37).
#[must_use]
pub fn supports(message: &Message, tag: &str) -> bool {
    let named = |name| message.elements(name).any(|known| known.eq_ignore_ascii_case(tag));
    named(Name::Supported) || named(Name::Require)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(fields: &str) -> Message {
        let text = format!("REGISTER sip:pbx.example SIP/2.0\r\n{fields}\r\n\r\n");
        Message::parse(text.into()).unwrap()
    }

    #[test]
    fn a_path_is_taken_in_order_and_must_be_made_of_loose_routers() {
        let message = register("Path: <sip:p2.example;lr>, <sip:p1.example;lr;ob>");
        assert_eq!(
            &Asked::read(&message).unwrap().path[..],
            ["<sip:p2.example;lr>", "<sip:p1.example;lr;ob>"]
        );
        for path in ["<sip:p1.example>", "p1", "<sip:p1.example;lr>, <"] {
            assert_eq!(Asked::read(&register(&format!("Path: {path}"))).unwrap_err().status, 400, "{path}");
        }
        let many = ["<sip:p;lr>"; PATH_MAX + 1].join(", ");
        assert_eq!(Asked::read(&register(&format!("Path: {many}"))).unwrap_err().status, 400);
    }

    #[test]
    fn the_first_hop_is_we_or_says_that_it_keeps_flows() {
        let via = "Via: SIP/2.0/UDP a;branch=z9hG4bK1";
        let by_proxy = "Via: SIP/2.0/UDP p;branch=z9hG4bK2, SIP/2.0/UDP a;branch=z9hG4bK1";
        for (fields, keeps) in [
            (via.to_owned(), true),
            (by_proxy.to_owned(), false),
            (format!("{by_proxy}\r\nPath: <sip:p;lr>"), false),
            (format!("{by_proxy}\r\nPath: <sip:p;lr;ob>"), true),
            (format!("{by_proxy}\r\nPath: <sip:p2;lr>, <sip:p;lr;ob>"), true),
        ] {
            let message = register(&fields);
            assert_eq!(Asked::read(&message).unwrap().first_hop_keeps_flows(), keeps, "{fields}");
        }
    }

    #[test]
    fn an_extension_is_supported_by_either_field() {
        let message = register("Supported: path, Outbound\r\nRequire: gruu");
        assert!(["path", "outbound", "gruu"].iter().all(|tag| supports(&message, tag)));
        assert!(!supports(&message, "100rel"));
    }
}
