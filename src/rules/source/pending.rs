//! What of the rule language is read and validated, but not carried out yet. The one list of it: whoever carries a line out
//! deletes it here, and its warnings end.

/// By `table.key`, or `table.key=value` where only that value is missing; what it is, in words.
pub(super) const NOT_CARRIED_OUT: &[(&str, &str)] = &[
    ("attendant", "auto-attendants"),
    ("codes", "feature codes, but `pickup`"),
    ("destination.attendant", "auto-attendants"),
    ("destination.directory", "dial-by-name directories"),
    ("destination.queue", "queues"),
    ("destination.voicemail", "voicemail"),
    ("directory", "dial-by-name directories"),
    ("domain.operator", "the operator key of voicemail"),
    ("mailbox", "voicemail"),
    ("policy.voicemail_full", "voicemail"),
    ("queue", "queues"),
    ("rule.screen", "call screening"),
    ("trunk.codecs", "choosing codecs"),
    ("user.directory", "dial-by-name directories"),
    ("user.screen_pop", "screen pops"),
    ("user.sms_number", "text messages"),
    ("user.voicemail", "voicemail"),
];

/// The words for one entry, unless it is carried out.
pub(super) fn words(entry: &str) -> Option<&'static str> {
    self::entry(&[entry]).map(|(_, words)| words)
}

/// The entry that these parts make, with its words. Asked of every key that is read, so it makes no text: hardly any is as long.
pub(super) fn entry(parts: &[&str]) -> Option<(&'static str, &'static str)> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let is_made_of = |mut entry: &str| {
        parts.iter().all(|part| match entry.strip_prefix(part) {
            Some(rest) => {
                entry = rest;
                true
            }
            None => false,
        })
    };
    NOT_CARRIED_OUT.iter().find(|(key, _)| key.len() == length && is_made_of(key)).copied()
}

/// Whether a call that needs it can't go on: where it goes, whom it rings and who is asked. All else is a trimming.
pub(super) fn ends_the_call(entry: &str) -> bool {
    ["destination.", "rule.", "ring.", "target.", "forward."].iter().any(|table| entry.starts_with(table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stand_in_order_and_are_found() {
        assert!(NOT_CARRIED_OUT.is_sorted_by(|a, b| a.0 < b.0));
        assert!(NOT_CARRIED_OUT.iter().all(|(key, text)| words(key) == Some(text)));
        assert_eq!(words("user.ext"), None);
        assert_eq!(entry(&["user", ".", "directory"]).map(|(key, _)| key), Some("user.directory"));
        assert_eq!(entry(&["user", ".", "directors"]), None);
    }
}
