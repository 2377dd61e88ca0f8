//! The torture messages of RFC 4475 and RFC 5118 (`README.md` says where they come from): through the parser, through the switch in
//! this process, and to the running daemon over UDP and TCP; and what those RFCs leave out of RFC 3261: requests (§8, §18) and dialogs (§12
//! to §15), message by message, as `docs/conformance.md` tells. That page and the one of other people's clients are held to their tests here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test says by panicking that it failed

mod clients;
mod conformance;
mod dialogs;
mod early;
mod messages;
mod parser;
mod requests;
mod security;
mod sessions;
#[path = "../support/mod.rs"]
mod support;
mod switch;
mod wire;
