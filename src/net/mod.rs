//! Sockets, threads and the clock: the edge that moves bytes.

pub mod clock;
pub mod listen;
pub mod locate;
pub mod media;
pub mod poll;
pub mod signalling;
pub mod tally;
pub mod tls;
pub mod traffic;
pub mod voice;
