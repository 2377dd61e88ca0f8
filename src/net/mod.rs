//! Sockets, threads and the clock: the edge that moves bytes.

pub mod clock;
