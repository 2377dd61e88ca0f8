//! Session descriptions (RFC 8866) and what offer/answer (RFC 3264) needs of them. Line by line: what isn't ours to
//! change passes byte for byte.

use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};

/// Media lines of one description; one with more is refused with 488.
pub const MEDIA_LINES_MAX: usize = 32;

/// Where a party wants to receive the audio that we relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audio {
    pub rtp: SocketAddr,
    /// `a=rtcp` (RFC 3605), else the RTP port plus one; the RTP address itself with `a=rtcp-mux` (RFC 5761).
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
}

/// The first audio stream that is not refused (port 0) and runs over RTP.
///
/// # Errors
/// See [`SdpError`].
pub fn audio(description: &[u8]) -> Result<Audio, SdpError> {
    let _ = description;
    todo!()
}

/// The same description with its first live audio stream pointed at our relay: `c=` and `o=` addresses, the port, `a=rtcp`;
/// ICE and other attributes that would lead around the relay are removed, other media get port 0.
///
/// # Errors
/// See [`SdpError`].
pub fn anchor(description: &[u8], address: IpAddr, rtp_port: u16, rtcp_port: u16) -> Result<Bytes, SdpError> {
    let _ = (description, address, rtp_port, rtcp_port);
    todo!()
}
