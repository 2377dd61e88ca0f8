//! Bytes to [`Message`](super::Message): one pass, bounded before any work is done.

/// The largest message taken, in bytes. A datagram can't be larger; a stream that announces more is closed.
pub const MESSAGE_BYTES_MAX: usize = 65_535;
/// The most header fields of one message; a message with more is refused with 400.
pub const HEADERS_MAX: usize = 256;

/// What is wrong with bytes that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not SIP at all: counted and dropped.
    #[error("not a SIP message")]
    NotSip,
    /// RFC 5626 §3.5.1, RFC 5389: a CRLF keep-alive or nothing but white space.
    #[error("a keep-alive")]
    KeepAlive,
    #[error("more than {HEADERS_MAX} header fields")]
    TooManyHeaders,
    #[error("larger than {MESSAGE_BYTES_MAX} bytes")]
    TooLarge,
    #[error("a header line without a colon or with a bad name")]
    HeaderLine,
    #[error("the header section doesn't end")]
    Unterminated,
    #[error("the body is shorter than Content-Length says")]
    Truncated,
}
