//! Sockets, threads and the clock: the edge that moves bytes.

pub mod clock;
pub mod media;
pub mod poll;
