//! When the frames of a domain hold, each worked out once a zone.

use super::{Interval, Intervals};
use crate::rules::calendar::Frame;
use crate::rules::model::Name;
use jiff::tz::TimeZone;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// The most that is kept: frames times zones. Beyond it, what is asked for is worked out each time.
const KEPT_MAX: usize = 4096;

/// The intervals of named frames over one horizon. Frames are told apart by their names: one schedule is for one domain.
#[derive(Debug)]
pub struct Schedule {
    horizon: Interval,
    kept: FxHashMap<(Name, Name), Arc<Intervals>>,
}

impl Schedule {
    #[must_use]
    pub fn new(horizon: Interval) -> Schedule {
        Schedule { horizon, kept: FxHashMap::default() }
    }

    #[must_use]
    pub fn horizon(&self) -> Interval {
        self.horizon
    }

    /// When the frame of this name holds, as somebody in this zone sees it.
    pub fn of(&mut self, name: &Name, frame: &Frame, zone_name: &Name, zone: &TimeZone) -> Arc<Intervals> {
        self.of_with(name, frame, zone_name, zone, &|_| None)
    }

    /// The same with live overrides, of the frame itself too. They must stay the same over the life of the schedule.
    pub fn of_with(
        &mut self,
        name: &Name,
        frame: &Frame,
        zone_name: &Name,
        zone: &TimeZone,
        overrides: &dyn Fn(&str) -> Option<bool>,
    ) -> Arc<Intervals> {
        let key = (name.clone(), zone_name.clone());
        if let Some(known) = self.kept.get(&key) {
            return known.clone();
        }
        let found = Arc::new(match overrides(name) {
            Some(true) => Intervals::all(self.horizon),
            Some(false) => Intervals::none(),
            None => Intervals::of_frame_with(frame, zone, self.horizon, overrides),
        });
        if self.kept.len() < KEPT_MAX {
            self.kept.insert(key, found.clone());
        }
        found
    }
}
