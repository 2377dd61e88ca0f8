//! Where a message came from, and where one goes: the flow of RFC 5626 §3.

use std::net::SocketAddr;

/// The transport protocols of RFC 3261 §18 that the daemon speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    /// Whether the transport delivers by itself, so that timers A, E, G stay off (RFC 3261 §17).
    #[must_use]
    pub fn is_reliable(self) -> bool {
        self != Transport::Udp
    }

    /// The word of a Via header: `UDP`, `TCP` (RFC 3261 §18.1.1).
    #[must_use]
    pub fn via_word(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        }
    }
}

/// One accepted or opened connection of a reliable transport. Never reused while the daemon runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct ConnectionId(pub u64);

/// Where a message came from, and where one goes.
///
/// `local` is the address of our listener (also for a connection that we opened: then it is the listener whose
/// address we give in Via and Contact). A flow with `connection: None` on a reliable transport asks the network
/// edge to open a connection to `remote`, or to reuse one that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Flow {
    pub transport: Transport,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub connection: Option<ConnectionId>,
}
