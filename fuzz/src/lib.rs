//! What the fuzz targets do with their bytes: a module a target, a function of the same name. libFuzzer calls it (`fuzz_targets/`), and
//! `tests/corpus.rs` of the package, which has this file as a module of its own, with what is kept in `corpus/`.

pub mod admin;
pub mod bytes;
pub mod media;
pub mod rules_edit;
pub mod rules_source;
pub mod sdp;
pub mod sip_message;
pub mod sip_stream;
pub mod store;
pub mod transactions;
pub mod trees;

/// A target: its name, which is that of its corpus, and what it does.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: &[Target] = &[
    ("sip_message", sip_message::sip_message),
    ("sip_stream", sip_stream::sip_stream),
    ("sdp", sdp::sdp),
    ("media", media::media),
    ("transactions", transactions::transactions),
    ("store", store::store),
    ("admin", admin::admin),
    ("rules_source", rules_source::rules_source),
    ("trees", trees::trees),
    ("rules_edit", rules_edit::rules_edit),
];

/// The text that the input begins with.
pub fn text(data: &[u8]) -> &str {
    match std::str::from_utf8(data) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&data[..error.valid_up_to()]).unwrap_or_default(),
    }
}
