//! What the daemon says to people by itself, and what it makes of their answer: values alone. How a call gets there, and its signalling, are in
//! `call`; how it sounds is in `voice`.

pub mod announce;
pub mod conference;
pub mod confirm;
pub mod say;
