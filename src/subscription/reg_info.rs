//! Where somebody is registered, as `application/reginfo+xml` says it (RFC 3680 §5), with the GRUU of each contact that has one (RFC
//! 5628). Every document is a whole one (`state="full"`).

use super::dialog_info::escaped;
use crate::registrar::binding::{Binding, BindingKey};
use crate::registrar::gruu;
use crate::registrar::location::Removal;
use std::fmt::Write;

/// Contacts of one document, and of those that are no more; further ones are not shown.
pub const CONTACTS_SHOWN_MAX: usize = 16;

/// What a subscriber has been told so far.
#[derive(Debug, Default)]
pub(super) struct Rolls {
    /// Of the next document (RFC 3680 §5.2): from 0, rising by one.
    version: u32,
    known: Vec<(BindingKey, String)>,
}

impl Rolls {
    /// The next document about `aor`. `why` is what became of a contact that is no more, where that is remembered.
    pub(super) fn document(
        &mut self,
        aor: &str,
        now: jiff::Timestamp,
        bindings: &[&Binding],
        why: impl Fn(&BindingKey) -> Option<Removal>,
    ) -> String {
        let shown = bindings.get(..CONTACTS_SHOWN_MAX).unwrap_or(bindings);
        let gone: Vec<_> = self
            .known
            .iter()
            .filter(|(key, _)| !bindings.iter().any(|binding| binding.key == *key))
            .collect();
        let state = match (shown.is_empty(), self.version) {
            (false, _) => "active",
            (true, 0) => "init",
            (true, _) => "terminated",
        };
        let entity = escaped(aor);
        let mut xml = String::with_capacity(256 + 384 * (shown.len() + gone.len()));
        // Writing to a String doesn't fail.
        let _ = write!(
            xml,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" \
             xmlns:gr=\"urn:ietf:params:xml:ns:gruuinfo\" version=\"{}\" state=\"full\">\r\n\
             <registration aor=\"{entity}\" id=\"a\" state=\"{state}\">\r\n",
            self.version
        );
        for binding in shown {
            let known = self.known.iter().any(|(key, _)| *key == binding.key);
            write_contact(&mut xml, aor, now, binding, if known { "refreshed" } else { "registered" });
        }
        for (key, uri) in gone {
            let event = match why(key) {
                Some(Removal::Expired) => "expired",
                Some(Removal::Evicted | Removal::FlowEnded | Removal::FlowFailed) => "deactivated",
                Some(Removal::Unregistered) | None => "unregistered",
            };
            let _ = write!(
                xml,
                "<contact id=\"{}\" state=\"terminated\" event=\"{event}\"><uri>{}</uri></contact>\r\n",
                id(key),
                escaped(uri)
            );
        }
        xml.push_str("</registration>\r\n</reginfo>\r\n");
        self.version = self.version.wrapping_add(1);
        self.known = shown.iter().map(|binding| (binding.key.clone(), binding.uri.to_string())).collect();
        xml
    }
}

fn write_contact(xml: &mut String, aor: &str, now: jiff::Timestamp, binding: &Binding, event: &str) {
    let left = binding.expires.duration_since(now).as_secs().max(0);
    let since = now.duration_since(binding.registered).as_secs().max(0);
    let (whole, thousandths) = (binding.q / 1_000, binding.q % 1_000);
    let _ = write!(
        xml,
        "<contact id=\"{}\" state=\"active\" event=\"{event}\" duration-registered=\"{since}\" expires=\"{left}\" \
         q=\"{whole}.{thousandths:03}\" callid=\"{}\" cseq=\"{}\"><uri>{}</uri>",
        id(&binding.key),
        escaped(&binding.call_id),
        binding.cseq,
        escaped(&binding.uri)
    );
    let wants = binding.extensions.as_ref().is_some_and(|extensions| extensions.epoch.is_some());
    if let Some(instance) = binding.instance().and_then(gruu::public).filter(|_| wants) {
        let _ = write!(xml, "<gr:pub-gruu uri=\"{};gr={}\"/>", escaped(aor), escaped(instance));
    }
    xml.push_str("</contact>\r\n");
}

/// The same in every document, and another for another contact (RFC 3680 §5.2).
fn id(key: &BindingKey) -> String {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key.device.device.as_bytes());
    hasher.update(&[0]);
    hasher.update(key.contact.as_bytes());
    format!("c{:08x}", hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_more_is_said_once_and_the_version_rises() {
        let mut rolls = Rolls::default();
        let now = "2026-11-24T09:30:00Z".parse().unwrap();
        let binding = Binding::sample("sip:a&b@192.0.2.7", "sip:a&b@192.0.2.7");
        let aor = "sip:101@pbx.example";
        let none = rolls.document(aor, now, &[], |_| None);
        assert!(none.contains("version=\"0\"") && none.contains("state=\"init\""), "{none}");
        let one = rolls.document(aor, now, &[&binding], |_| None);
        assert!(one.contains("version=\"1\"") && one.contains("id=\"a\" state=\"active\""), "{one}");
        assert!(
            one.contains("event=\"registered\"") && one.contains("<uri>sip:a&amp;b@192.0.2.7</uri>"),
            "{one}"
        );
        assert!(
            one.contains("expires=\"1800\" q=\"1.000\"") && one.contains("duration-registered=\"1800\""),
            "{one}"
        );
        let same = rolls.document(aor, now, &[&binding], |_| None);
        assert!(same.contains("event=\"refreshed\""), "{same}");
        let gone = rolls.document(aor, now, &[], |_| Some(Removal::Expired));
        assert!(gone.contains("state=\"terminated\" event=\"expired\""), "{gone}");
        assert!(gone.contains("id=\"a\" state=\"terminated\""), "{gone}");
        assert!(!rolls.document(aor, now, &[], |_| None).contains("<contact"));
    }

    #[test]
    fn a_contact_with_a_gruu_shows_it() {
        let extensions = crate::registrar::extensions::Extensions { epoch: Some(1), ..Default::default() };
        let binding = Binding {
            extensions: Some(std::sync::Arc::new(extensions)),
            ..Binding::sample("sip:a@192.0.2.7", "<urn:uuid:1>")
        };
        let xml = Rolls::default().document("sip:101@pbx.example", binding.registered, &[&binding], |_| None);
        assert!(xml.contains("<gr:pub-gruu uri=\"sip:101@pbx.example;gr=urn:uuid:1\"/>"), "{xml}");
    }

    #[test]
    fn more_contacts_than_fit_are_not_shown() {
        let bindings: Vec<Binding> =
            (0..40).map(|n| Binding::sample(&format!("sip:{n}@a"), &format!("sip:{n}@a"))).collect();
        let all: Vec<&Binding> = bindings.iter().collect();
        let mut rolls = Rolls::default();
        let xml = rolls.document("sip:101@pbx.example", bindings[0].registered, &all, |_| None);
        assert_eq!(xml.matches("<contact ").count(), CONTACTS_SHOWN_MAX);
    }
}
