//! The torture messages of RFC 4475 and RFC 5118 (`README.md` says where they come from): through the parser, through the switch in
//! this process, and to the running daemon over UDP and TCP; and what those RFCs leave out of RFC 3261: requests (§8, §18) and dialogs (§12
//! to §15), message by message, as `docs/conformance.md` tells.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test says by panicking that it failed

mod conformance;
mod dialogs;
mod early;
mod messages;
mod parser;
mod requests;
mod sessions;
#[path = "../support/mod.rs"]
mod support;
mod switch;
mod wire;
