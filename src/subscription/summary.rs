//! What waits in a mailbox, as message-summary says it (RFC 3842 §5).

use serde::{Deserialize, Serialize};

/// The voice messages of one mailbox. The urgent ones are among the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Counts {
    pub new: u32,
    pub old: u32,
    pub new_urgent: u32,
    pub old_urgent: u32,
}

/// The body of a NOTIFY. `account` is the mailbox's URI, without brackets.
#[must_use]
pub fn body(counts: Counts, account: &str) -> String {
    let Counts { new, old, new_urgent, old_urgent } = counts;
    let waiting = if new > 0 { "yes" } else { "no" };
    format!(
        "Messages-Waiting: {waiting}\r\nMessage-Account: {account}\r\nVoice-Message: {new}/{old} ({new_urgent}/{old_urgent})\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lamp_is_lit_by_new_messages_alone() {
        let heard = Counts { old: 8, old_urgent: 2, ..Counts::default() };
        assert_eq!(
            body(heard, "sip:101@pbx.example"),
            "Messages-Waiting: no\r\nMessage-Account: sip:101@pbx.example\r\nVoice-Message: 0/8 (0/2)\r\n"
        );
        let new = Counts { new: 1, ..heard };
        assert!(body(new, "sip:101@pbx.example").starts_with("Messages-Waiting: yes\r\n"));
    }
}
