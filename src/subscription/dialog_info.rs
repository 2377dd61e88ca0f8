//! What a user's calls are, as `application/dialog-info+xml` says it (RFC 4235 §4). Every document is a whole one (`state="full"`): a
//! subscriber that has missed one knows all again with the next.

use crate::call::dialogs::{DialogName, Direction, Phase, Shown};
use std::fmt::Write;

/// Dialogs of one document, oldest first; further ones are not shown, so that it stays a datagram.
pub const DIALOGS_MAX: usize = 16;
/// Bytes of a dialog's texts, which are the phones' own, escaped; one with more is not shown, for the same reason.
const DIALOG_BYTES_MAX: usize = 2048;

/// What a subscriber has been told so far.
#[derive(Debug, Default)]
pub(super) struct Reported {
    /// Of the next document (RFC 4235 §4.1.1): from 0, rising by one.
    version: u32,
    dialogs: Vec<DialogName>,
}

impl Reported {
    /// The next document about `entity`, the watched user's URI. What was told before and is no more is told as terminated, once.
    pub(super) fn document(&mut self, entity: &str, dialogs: &[Shown]) -> String {
        let entity = escaped(entity);
        let mut shown = Vec::new();
        let mut written = String::new();
        for dialog in dialogs {
            let start = written.len();
            write_dialog(&mut written, dialog, &entity);
            if written.len() - start > DIALOG_BYTES_MAX {
                written.truncate(start);
            } else {
                shown.push(dialog.name);
            }
            if shown.len() == DIALOGS_MAX {
                break;
            }
        }
        let mut xml = String::with_capacity(256 + written.len());
        // Writing to a String doesn't fail.
        let _ = write!(
            xml,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"{}\" \
             state=\"full\" entity=\"{entity}\">\r\n",
            self.version
        );
        for gone in self.dialogs.iter().filter(|name| !shown.contains(name)) {
            let _ = write!(xml, "<dialog id=\"{}\"><state>terminated</state></dialog>\r\n", id(*gone));
        }
        xml.push_str(&written);
        xml.push_str("</dialog-info>\r\n");
        self.version = self.version.wrapping_add(1);
        self.dialogs = shown;
        xml
    }
}

fn write_dialog(xml: &mut String, dialog: &Shown, entity: &str) {
    let direction = match dialog.direction {
        Direction::Initiator => "initiator",
        Direction::Recipient => "recipient",
    };
    let state = match dialog.phase {
        Phase::Trying => "trying",
        Phase::Early => "early",
        Phase::Confirmed => "confirmed",
    };
    let _ = write!(xml, "<dialog id=\"{}\" call-id=\"{}\"", id(dialog.name), escaped(&dialog.call_id));
    for (name, tag) in [("local-tag", &dialog.local_tag), ("remote-tag", &dialog.remote_tag)] {
        if let Some(tag) = tag {
            let _ = write!(xml, " {name}=\"{}\"", escaped(tag));
        }
    }
    let _ = write!(xml, " direction=\"{direction}\">\r\n<state>{state}</state>\r\n");
    let _ = write!(xml, "<local><identity>{entity}</identity><target uri=\"{entity}\"/></local>\r\n");
    if let Some(remote) = &dialog.remote {
        let uri = escaped(&remote.uri);
        let display = remote.name.as_deref().map(|name| format!(" display=\"{}\"", escaped(name)));
        let display = display.unwrap_or_default();
        let _ =
            write!(xml, "<remote><identity{display}>{uri}</identity><target uri=\"{uri}\"/></remote>\r\n");
    }
    xml.push_str("</dialog>\r\n");
}

/// Unique in every document, the same in all that are about this dialog (RFC 4235 §4.1.2).
fn id(name: DialogName) -> String {
    format!("{:x}-{}", name.call.0, name.place)
}

/// Text inside an element or a quoted attribute. What XML 1.0 can't hold at all (§2.2) is left out.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::dialogs::Party;
    use crate::call::office::CallKey;

    fn shown(place: usize, phase: Phase) -> Shown {
        Shown {
            name: DialogName { call: CallKey(0x1f), place },
            phase,
            direction: Direction::Recipient,
            call_id: "a<b".into(),
            local_tag: None,
            remote_tag: Some("ours".into()),
            remote: Some(Party {
                name: Some("Rita \"R\" & Co\u{7}".into()),
                uri: "sip:101@pbx.example".into(),
            }),
        }
    }

    #[test]
    fn a_dialog_whose_texts_would_not_fit_is_not_shown_and_the_others_are() {
        let long = Shown { call_id: "\"".repeat(400).into(), ..shown(1, Phase::Early) };
        let document = Reported::default().document("sip:200@pbx.example", &[long, shown(2, Phase::Early)]);
        assert!(document.contains("id=\"1f-2\"") && !document.contains("id=\"1f-1\""), "{document}");
        let longest = Shown { call_id: "x".repeat(1500).into(), ..shown(1, Phase::Early) };
        let many = vec![longest; DIALOGS_MAX * 2];
        assert!(Reported::default().document("sip:200@pbx.example", &many).len() < 40_000);
    }

    #[test]
    fn the_version_rises_by_one_and_what_has_ended_is_said_once() {
        let mut reported = Reported::default();
        let first =
            reported.document("sip:200@pbx.example", &[shown(1, Phase::Early), shown(2, Phase::Trying)]);
        assert!(first.contains("version=\"0\" state=\"full\" entity=\"sip:200@pbx.example\""), "{first}");
        assert!(
            first.contains(
                "<dialog id=\"1f-1\" call-id=\"a&lt;b\" remote-tag=\"ours\" direction=\"recipient\">"
            )
        );
        assert!(
            first.contains("<identity display=\"Rita &quot;R&quot; &amp; Co\">sip:101@pbx.example<"),
            "{first}"
        );
        let second = reported.document("sip:200@pbx.example", &[shown(2, Phase::Confirmed)]);
        assert!(second.contains("version=\"1\""));
        assert!(second.contains("<dialog id=\"1f-1\"><state>terminated</state></dialog>"), "{second}");
        assert!(second.contains("<state>confirmed</state>"), "{second}");
        let third = reported.document("sip:200@pbx.example", &[shown(2, Phase::Confirmed)]);
        assert!(!third.contains("terminated"), "{third}");
    }

    #[test]
    fn a_document_about_many_calls_stays_a_datagram() {
        let many: Vec<_> = (1..200).map(|place| shown(place, Phase::Confirmed)).collect();
        let document = Reported::default().document("sip:200@pbx.example", &many);
        assert_eq!(document.matches("<dialog ").count(), DIALOGS_MAX);
        assert!(document.len() < 16_000, "{}", document.len());
    }

    proptest::proptest! {
        #[test]
        fn no_name_leaves_its_place(name in ".*", uri in ".*") {
            let mut dialog = shown(1, Phase::Early);
            dialog.remote = Some(Party { name: Some(name.into()), uri: uri.into() });
            let document = Reported::default().document("sip:200@pbx.example", &[dialog]);
            let plain = Reported::default().document("sip:200@pbx.example", &[shown(1, Phase::Early)]);
            let marks = |text: &str| text.chars().filter(|c| "<>\"".contains(*c)).count();
            proptest::prop_assert_eq!(marks(&document), marks(&plain));
        }
    }
}
