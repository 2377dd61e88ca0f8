//! What connections are held to.

use std::time::Duration;

/// See [`Limits::handshakes_at_once_of_source`].
pub const HANDSHAKES_AT_ONCE: u32 = 1_000;
/// See [`Limits::handshakes_s_of_source`]: a tenth of a processor at the most.
pub const HANDSHAKES_S: u32 = 100;

/// Every bound, with what happens there.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// One more is closed at once.
    pub connections_max: usize,
    /// One more from the same address (of IPv6: from the same /64) is closed at once.
    pub of_source_max: usize,
    /// Accepted ones whose TLS or WebSocket handshake is not over; one more is closed at once.
    pub handshakes_max: usize,
    /// Of these, from the same address; one more is closed at once, so that nobody holds them all. What is honest is over in
    /// milliseconds.
    pub handshakes_of_source_max: usize,
    /// Handshakes that one source may begin at once, and then each second, whatever becomes of them; one more connection is closed at once. All
    /// phones of an office come back at once when its power does; a signature of ours takes 0.1 to 1 ms.
    pub handshakes_at_once_of_source: u32,
    pub handshakes_s_of_source: u32,
    /// A peer that lets more than this wait is closed: it doesn't read.
    pub unsent_bytes_max: usize,
    /// A connection that we open has to stand by then. Two tries of the system at 0 and 1 s, and time for the second to come back. A
    /// trunk that has another behind it has 4 s to say something (`call::trunk`): a datagram goes to it within them.
    pub connect_within: Duration,
    /// The handshakes of TLS and WebSocket together have to be over by then.
    pub handshake_within: Duration,
    /// A message that began has to end by then, and the first one has to come by then.
    pub message_within: Duration,
    /// A connection that says nothing for so long is closed. Longer than a registration that is refreshed in time.
    pub silence_max: Duration,
    /// What we have said last has to be fetched by then, before a connection that went wrong is closed.
    pub leave_within: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: 20_000,
            of_source_max: 5_000,
            handshakes_max: 1_000,
            handshakes_of_source_max: 125,
            handshakes_at_once_of_source: HANDSHAKES_AT_ONCE,
            handshakes_s_of_source: HANDSHAKES_S,
            unsent_bytes_max: 256 * 1024,
            connect_within: Duration::from_secs(2),
            handshake_within: Duration::from_secs(10),
            message_within: Duration::from_secs(30),
            silence_max: Duration::from_secs(2 * 3600),
            leave_within: Duration::from_secs(2),
        }
    }
}
