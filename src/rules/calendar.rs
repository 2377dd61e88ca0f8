//! Time frames: membership of a moment by the reading of the wall clock in the frame's zone.

use serde::{Deserialize, Serialize};

/// A compiled time frame. Self-contained: excepted frames and calendars stand inside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frame {}

impl Frame {
    /// Whether the moment is inside, in `zone` unless the frame has its own. No allocation.
    #[must_use]
    pub fn contains(&self, at: jiff::Timestamp, zone: &jiff::tz::TimeZone) -> bool {
        let _ = (at, zone);
        todo!()
    }

    /// The same in words: `Tue 10:00 is inside mon-thu 08:00-17:30`, `10:00 is outside daily 22:00-06:00`.
    #[must_use]
    pub fn why(&self, at: jiff::Timestamp, zone: &jiff::tz::TimeZone) -> String {
        let _ = (at, zone);
        todo!()
    }
}
