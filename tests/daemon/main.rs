//! The real binary: the command line, the daemon's start and stop, and the admin socket. Temporary directories, ports that the
//! system picks, no sleeps: a daemon is up when it has printed what it bound.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's way to fail

mod admin;
mod audio;
mod behaviour;
mod command_line;
mod files;
mod history;
mod objects;
mod roles;
mod running;
mod start;
