//! What the planes of media and voice count. Each thread writes its own, once a tick or for what happens now and then, never for a packet;
//! read by anybody: a figure is right by itself, two of them may be an instant apart.

use super::media::FastPath;
use super::traffic::Count;
use std::sync::Arc;

/// What one voice thread counts.
#[derive(Debug, Default)]
pub struct Voice {
    /// Parties that are spoken to, and those of them in conference rooms; calls and rooms that are recorded. Now.
    pub parties: Count,
    pub members: Count,
    pub recordings: Count,
    /// Lists of sounds that were played to their end.
    pub played: Count,
    /// Sounds that could not be played.
    pub missing: Count,
    /// Keys that parties have pressed, in whatever way.
    pub keys: Count,
    /// Recordings that were begun, and twenty milliseconds each that are silent in them because the disk was too slow.
    pub recorded: Count,
    pub gaps: Count,
    /// Packets that came too late to be heard, and times that what was lost was concealed.
    pub late: Count,
    pub concealed: Count,
    /// Packets that were not heard because this thread was behind.
    pub unheard: Count,
}

/// What the thread of DTLS handshakes counts.
#[derive(Debug, Default)]
pub struct Handshakes {
    pub done: Count,
    pub failed: Count,
    /// Datagrams that found no room: too many handshakes were under way, or too many datagrams waited.
    pub dropped: Count,
}

/// All of it.
#[derive(Clone, Default)]
pub struct Tally {
    pub voice: Vec<Arc<Voice>>,
    pub handshakes: Arc<Handshakes>,
    /// Where there is a fast path.
    pub fast: Option<Arc<FastPath>>,
}

impl Tally {
    /// The sum of a figure over all voice threads.
    #[must_use]
    pub fn voices(&self, figure: fn(&Voice) -> &Count) -> u64 {
        self.voice.iter().map(|one| figure(one).value()).sum()
    }
}
