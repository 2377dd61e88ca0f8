//! The real daemon, killed, without room to write, and started on what is left of its store: it loses nothing that it has acknowledged, and
//! it starts by itself, or says what to do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that can't go on has failed

mod damage;
mod disk;
mod kills;
mod office;
#[path = "../support/mod.rs"]
mod support;
