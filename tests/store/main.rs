//! The store as the daemon uses it, and each defect of sled 0.34.7 that is known: none of them may lose an acknowledged edit.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

mod crash;
mod damage;
mod keeping;
mod world;
