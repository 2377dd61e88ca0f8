//! Our tags: they name the call and its side, so that an in-dialog request finds its call without a table.

use super::office::{CallKey, Office};
use crate::dialog::DialogId;
use crate::relay::Side;
use sha2::{Digest as _, Sha256};

/// Our tag in a dialog of a call: it names the side, the call and, on side B, the branch, so that an in-dialog request finds its call
/// without a table. Unpredictable all the same.
pub(super) fn tag(office: &mut Office, side: Side, key: CallKey, branch: usize) -> String {
    let word = office.ids.word();
    match side {
        Side::A => format!("a{:x}.{word:016x}", key.0),
        Side::B => format!("b{:x}.{branch:x}.{word:016x}", key.0),
    }
}

/// A tag of ours as those are told it who watch the dialog (RFC 4235): good to take its place (RFC 3891) or to name it (RFC 4538), where
/// whoever comes has to be let in, and no good in a request within it, which counts by its tags alone.
#[must_use]
pub fn shown(tag: &str) -> String {
    let place = tag.rsplit_once('.').map_or(tag, |(place, _)| place);
    let digest = Sha256::digest(tag.as_bytes());
    digest.iter().take(8).fold(format!("{place}.w"), |shown, byte| format!("{shown}{byte:02x}"))
}

/// Whether that is our tag, or what it is shown as.
#[must_use]
pub fn is_named(tag: &str, named: &str) -> bool {
    tag == named || (named.contains(".w") && shown(tag) == named)
}

/// Whether that names the dialog, by our tag or by what it is shown as.
#[must_use]
pub fn names_dialog(dialog: &DialogId, named: &DialogId) -> bool {
    dialog.call_id == named.call_id
        && dialog.remote_tag == named.remote_tag
        && is_named(&dialog.local_tag, &named.local_tag)
}

/// What a tag of ours names: a call, the side of it, and on side B the branch.
pub type Place = (CallKey, Side, usize);

/// What a tag of ours names. The whole tag is still to be compared: anybody can write one.
#[must_use]
pub fn of_tag(tag: &str) -> Option<Place> {
    let mut parts = tag.get(1..)?.split('.');
    let key = CallKey(u64::from_str_radix(parts.next()?, 16).ok()?);
    match tag.as_bytes().first()? {
        b'a' => Some((key, Side::A, 0)),
        b'b' => Some((key, Side::B, usize::from_str_radix(parts.next()?, 16).ok()?)),
        _ => None,
    }
}
