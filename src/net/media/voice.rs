//! Between a relay thread and the voice plane: two bounded queues, and no wake-up but the one that the voice plane gives once a tick.
//!
//! What it is not: it knows no sound. A relay thread never waits here: what finds no room is dropped and counted.

use crate::net::poll::Waker;
use crate::relay::{Heard, Said};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// Packets that wait for the voice plane; more are dropped and counted. A tick of 20 ms of two thousand parties that are tapped.
pub const HEARD_MAX: usize = 2048;
/// Packets that wait for a relay thread; more are refused ([`Unsaid`]). One of a tick of each party that is spoken to, and there are no more
/// of those: who comes last in a tick is heard as well as who comes first.
pub const SAID_MAX: usize = 20_000;

/// The relay thread's end.
pub(super) struct Voice {
    heard: SyncSender<Heard>,
    said: Receiver<Said>,
    unheard: Arc<AtomicU64>,
}

impl Voice {
    pub(super) fn new(waker: Waker) -> (Voice, VoicePort) {
        let (heard, hear) = sync_channel(HEARD_MAX);
        let (say, said) = sync_channel(SAID_MAX);
        let unheard = Arc::new(AtomicU64::new(0));
        let port = VoicePort { heard: hear, said: say, waker, unheard: unheard.clone() };
        (Voice { heard, said, unheard }, port)
    }

    pub(super) fn heard(&self, heard: Heard) {
        if self.heard.try_send(heard).is_err() {
            self.unheard.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn said(&self) -> Option<Said> {
        self.said.try_recv().ok()
    }
}

/// The voice plane's end at one relay thread.
pub struct VoicePort {
    heard: Receiver<Heard>,
    said: SyncSender<Said>,
    waker: Waker,
    unheard: Arc<AtomicU64>,
}

impl VoicePort {
    /// The next packet that a tapped party has sent; `None` when there is none yet. To be asked until then once a tick: nobody is woken for it.
    #[must_use]
    pub fn heard(&self) -> Option<Heard> {
        self.heard.try_recv().ok()
    }

    /// Gives the relay thread a packet to send. It is sent at the next [`VoicePort::wake`], of which there is one a tick.
    ///
    /// # Errors
    /// There is no room, or the relay thread has ended: this packet goes unsaid, the next may not.
    pub fn say(&self, said: Said) -> Result<(), Unsaid> {
        self.said.try_send(said).map_err(|error| match error {
            TrySendError::Full(_) => Unsaid::Full,
            TrySendError::Disconnected(_) => Unsaid::Ended,
        })
    }

    /// Has the relay thread send what was said since the last time.
    pub fn wake(&self) {
        self.waker.wake();
    }

    /// Packets that the voice plane didn't hear because it was behind, since the start.
    #[must_use]
    pub fn unheard(&self) -> u64 {
        self.unheard.load(Ordering::Relaxed)
    }
}

/// Why a packet was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsaid {
    #[error("{SAID_MAX} packets wait for the relay thread")]
    Full,
    #[error("the relay thread has ended")]
    Ended,
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // some instant to count from
mod tests {
    use super::*;
    use crate::net::poll::Poll;
    use crate::relay::{RelayId, Side, Spoken};
    use std::time::Instant;

    fn ends() -> (Voice, VoicePort) {
        Voice::new(Waker::new(&Poll::new().unwrap(), 0).unwrap())
    }

    #[test]
    fn a_voice_plane_that_is_behind_misses_what_comes_and_it_is_counted() {
        let (voice, port) = ends();
        let at = Instant::now();
        for n in 0..HEARD_MAX as u64 + 3 {
            voice.heard(Heard { id: RelayId(n), side: Side::A, at, packet: Spoken::new() });
        }
        assert_eq!(port.unheard(), 3);
        let heard: Vec<u64> = std::iter::from_fn(|| port.heard()).map(|heard| heard.id.0).collect();
        assert!(heard.into_iter().eq(0..HEARD_MAX as u64), "the oldest are there, in order");
    }

    #[test]
    fn a_relay_thread_that_is_behind_or_gone_refuses_what_is_said() {
        let (voice, port) = ends();
        let said = Said { id: RelayId(1), side: Side::B, packet: Spoken::new() };
        assert!((0..SAID_MAX).all(|_| port.say(said.clone()).is_ok()));
        assert_eq!(port.say(said.clone()), Err(Unsaid::Full));
        assert_eq!(voice.said(), Some(said.clone()));
        assert_eq!(port.say(said.clone()), Ok(()));
        drop(voice);
        assert_eq!(port.say(said), Err(Unsaid::Ended));
    }
}
