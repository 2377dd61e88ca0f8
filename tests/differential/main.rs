//! Two readers of the same thing, one of them not ours: messages against `rsip` and `ezk-sip-types`, where those are right, and the digest
//! scheme against Python's own. (What the compiled trees decide is held against an interpreter of the rules in `src/rules/naive`.)

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)] // in a test, to stop is to fail

mod digest;
mod drawn;
mod messages;
mod readers;
mod torture;
