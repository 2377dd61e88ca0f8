//! The real binary: the command line, the daemon's start and stop, and the admin socket. Temporary directories, ports that the
//! system picks, no sleeps: a daemon is up when it has printed what it bound.

mod admin;
mod command_line;
mod running;
mod start;
