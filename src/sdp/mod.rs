//! Session descriptions (RFC 8866) and what offer/answer (RFC 3264) needs of them. Line by line: what isn't ours to
//! change passes byte for byte.
//!
//! What it is not: it negotiates no codec (but keys, in `keying`) and knows no offer from an answer. Host names in `c=` are not resolved: such a
//! description is refused.

mod anchor;
mod base64;
mod crypto;
mod fingerprint;
mod hold;
pub mod keying;
mod layout;
pub mod origin;
pub mod payload;
mod read;
pub mod spoken;
#[cfg(test)]
mod tests;

use anchor::anchor;
pub use fingerprint::{Fingerprint, Role};
pub use hold::{both_ways, inactive, sending};
pub use keying::{Keying, Protection};
pub use origin::{Origin, Ports};
pub use read::audio;

use std::net::SocketAddr;

/// Media lines of one description; one with more is refused with 488.
pub const MEDIA_LINES_MAX: usize = 32;

/// Where a party wants to receive the audio that we relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audio {
    pub rtp: SocketAddr,
    /// `a=rtcp` (RFC 3605), else the RTP port plus one; the RTP address itself with `a=rtcp-mux` (RFC 5761): of an offer
    /// that holds only once the answer has it too.
    pub rtcp: SocketAddr,
    pub direction: Direction,
    /// The address is 0.0.0.0 or the like: nothing may be sent (RFC 3264 §8.4 hold of old).
    pub on_hold: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

/// Why a description is refused: answered with 488 and a Warning (RFC 3261 §20.43).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    #[error("not a session description")]
    Malformed,
    #[error("more than {MEDIA_LINES_MAX} media lines")]
    TooManyMedia,
    #[error("no audio that can be relayed")]
    NoAudio,
    #[error("a media or connection line can't be read")]
    BadLine,
    #[error("SRTP is required")]
    NotSecured,
    #[error("SRTP is off")]
    Secured,
    #[error("no SRTP key and no fingerprint that we take")]
    NoKeys,
    #[error("SRTP is required, and keys in a description by TLS alone")]
    KeysInTheClear,
}
