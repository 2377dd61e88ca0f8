//! Our tags: they name the call and its side, so that an in-dialog request finds its call without a table.

use super::office::{CallKey, Office};
use crate::relay::Side;

/// Our tag in a dialog of a call: it names the side, the call and, on side B, the branch, so that an in-dialog request finds its call
/// without a table. Unpredictable all the same.
pub(super) fn tag(office: &mut Office, side: Side, key: CallKey, branch: usize) -> String {
    let word = office.ids.word();
    match side {
        Side::A => format!("a{:x}.{word:016x}", key.0),
        Side::B => format!("b{:x}.{branch:x}.{word:016x}", key.0),
    }
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
