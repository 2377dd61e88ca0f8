//! Ears and a voice: what the daemon hears of parties and says to them, as values and machines. Who asks for what is signalling's
//! matter; the threads that tick, and the files, are in `net::voice`.
//!
//! What it is not: it opens no socket and reads no file. Packets come from the relay as copies ("taps") and go to it whole and plain; the
//! relay alone protects, latches and sends.

pub mod clip;
pub mod codec;
pub mod collect;
pub mod digit;
pub mod ear;
pub mod endpoint;
pub mod event;
pub mod g722;
pub mod half;
pub mod in_band;
pub mod jitter;
pub mod line;
#[cfg(test)]
mod measure;
pub mod mix;
pub mod mouth;
pub mod opus;
pub mod packet;
pub mod prompt;
pub mod recording;
mod resample;
pub mod room;
pub mod tone;

use crate::relay::{RelayId, Side};
use crate::rules::model::Pin;
use collect::{Collect, Why};
use digit::Digit;
pub use mouth::Repeat;
use packet::{Format, Seed};
use room::RoomId;
use std::sync::Arc;
use std::time::Duration;

/// Sounds in one list; what is beyond is not played.
pub const SOUNDS_MAX: usize = 64;

/// A party: one side of one relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spot {
    pub relay: RelayId,
    pub side: Side,
}

/// What can be played.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sound {
    /// A file that the rules of a domain name, relative to where they lie.
    File {
        domain: Arc<str>,
        file: Arc<str>,
    },
    /// One of our prompts, by name, in the domain's own set where it has one.
    Prompt {
        domain: Arc<str>,
        name: &'static str,
    },
    /// A tone of a country (ISO 3166). It does not end by itself but for a beep.
    Tone {
        kind: tone::Kind,
        country: Arc<str>,
    },
    Pause(Duration),
}

/// What signalling asks of ears and voice.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Hear that party, and speak to it in this format.
    Open {
        at: Spot,
        format: Format,
        seed: Seed,
    },
    /// Play these sounds one after the other, in the place of what is played; told of by [`Report::Played`] under `number`. A sound that
    /// can't be played is left out, and told of by [`Report::Missing`].
    Play {
        at: Spot,
        number: u32,
        sounds: Arc<[Sound]>,
        repeat: Repeat,
    },
    Stop {
        at: Spot,
    },
    /// Gather a number; told of by [`Report::Collected`].
    Collect {
        at: Spot,
        rules: Collect,
    },
    /// The party has pressed a key, and said so in signalling (INFO).
    Dialled {
        at: Spot,
        digit: Digit,
    },
    /// Look which of these PINs it is that the party has entered; told of by [`Report::Checked`]. It takes a while: they are hashed so.
    Check {
        at: Spot,
        said: String,
        pins: Arc<[Pin]>,
    },
    /// Say this key to the party.
    Say {
        at: Spot,
        digit: Digit,
    },
    /// The party hears all others of this room and is heard by them, beside what is played to it. Whoever is in another room leaves that.
    Join {
        at: Spot,
        room: RoomId,
    },
    /// It hears nobody any more, and nobody it.
    Leave {
        at: Spot,
    },
    /// No more of it.
    Close {
        at: Spot,
    },
    /// Write what both parties of this relay say to a file of this name. `formats`: how those of side A and B speak, as far as is known.
    Record {
        relay: RelayId,
        file: Arc<str>,
        formats: [Vec<Format>; 2],
    },
    /// Whose relay is recorded speaks so from now on: somebody else has come, or has agreed on another session.
    Speaks {
        relay: RelayId,
        formats: [Vec<Format>; 2],
    },
    /// Write what all in this room say to a file of this name, also while nobody is there.
    RecordRoom {
        room: RoomId,
        file: Arc<str>,
    },
    /// The recording is over: [`Report::Recorded`] tells what became of it.
    EndRecording {
        of: Subject,
    },
}

impl Command {
    /// What it is about.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match self {
            Command::Open { at, .. }
            | Command::Play { at, .. }
            | Command::Stop { at }
            | Command::Collect { at, .. }
            | Command::Dialled { at, .. }
            | Command::Check { at, .. }
            | Command::Say { at, .. }
            | Command::Join { at, .. }
            | Command::Leave { at }
            | Command::Close { at } => Subject::Relay(at.relay),
            Command::Record { relay, .. } | Command::Speaks { relay, .. } => Subject::Relay(*relay),
            Command::RecordRoom { room, .. } => Subject::Room(*room),
            Command::EndRecording { of } => *of,
        }
    }
}

/// What a command or a recording is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    Relay(RelayId),
    Room(RoomId),
}

impl Subject {
    /// Which of so many threads it belongs to.
    #[must_use]
    pub fn thread(self, count: usize) -> usize {
        match self {
            Subject::Relay(id) => id.thread(count),
            Subject::Room(RoomId(number)) => (number % (count as u64).max(1)) as usize,
        }
    }
}

/// What ears and voice tell.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// What was to be played under this number has been, to its end.
    Played {
        at: Spot,
        number: u32,
    },
    /// The party has pressed a key.
    Digit {
        at: Spot,
        digit: Digit,
    },
    Collected {
        at: Spot,
        digits: String,
        why: Why,
    },
    /// What the party has entered is the PIN of this index, or none of them.
    Checked {
        at: Spot,
        pin: Option<usize>,
    },
    /// A sound could not be played.
    Missing {
        at: Spot,
        sound: Sound,
        why: String,
    },
    /// A recording lies in its file, or could not be written.
    Recorded {
        of: Subject,
        result: Result<Duration, String>,
    },
}

impl Report {
    /// What it is about.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match self {
            Report::Played { at, .. }
            | Report::Digit { at, .. }
            | Report::Collected { at, .. }
            | Report::Checked { at, .. }
            | Report::Missing { at, .. } => Subject::Relay(at.relay),
            Report::Recorded { of, .. } => *of,
        }
    }
}
