//! SRTP and SRTCP (RFC 3711, RFC 7714): packets of one stream protected and opened where they lie.
//!
//! What it is not: it agrees on no keys (those come from `sdp` or from a DTLS handshake), and knows no sockets. What of the standard isn't
//! carried out: key derivation rates other than zero, master key identifiers (MKI), SRTCP without encryption, and null ciphers; nothing that
//! asks for them is agreed to.

mod context;
mod keys;
mod transform;

pub use context::{Inbound, Outbound, Refused};
pub use keys::{Keys, Master, Suite};
pub use transform::TRAILER_BYTES_MAX;
