//! Status codes and their default reason phrases (RFC 3261 §21 and the RFCs that add to it).

/// The default reason phrase; the empty text for a code that has none.
#[must_use]
pub fn reason_phrase(status: u16) -> &'static str {
    let _ = status;
    todo!()
}
