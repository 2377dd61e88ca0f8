//! Whether one time frame lies inside another, for frames of weekly hours alone: by the minutes of one week.

use super::super::calendar::{Frame, Part};
use super::super::model::{Model, Name, When};
use jiff::civil::{DateTime, date};
use std::collections::HashMap;

const MINUTES: usize = 7 * 24 * 60;

/// The minutes of a week in which each frame holds, worked out once a frame.
#[derive(Default)]
pub(super) struct Weeks(HashMap<Name, Option<Vec<bool>>>);

impl Weeks {
    /// Whether every minute of the later is one of the earlier. False where that can't be seen from the week alone.
    pub(super) fn covers(&mut self, model: &Model, earlier: &When, later: &When) -> bool {
        let (Some(earlier), Some(later)) = (single(earlier), single(later)) else { return false };
        let (Some(outer), Some(inner)) = (model.time_frames.get(earlier), model.time_frames.get(later))
        else {
            return false;
        };
        // What the earlier excepts could be the later's; what the later excepts only makes it smaller.
        if outer.value.zone != inner.value.zone || !outer.value.except.is_empty() {
            return false;
        }
        self.work_out(earlier, &outer.value);
        self.work_out(later, &inner.value);
        match (self.0.get(earlier), self.0.get(later)) {
            (Some(Some(outer)), Some(Some(inner))) => {
                inner.iter().zip(outer).all(|(inner, outer)| !inner || *outer)
            }
            _ => false,
        }
    }

    fn work_out(&mut self, name: &Name, frame: &Frame) {
        if !self.0.contains_key(name) {
            self.0.insert(name.clone(), minutes(frame));
        }
    }
}

/// The frame of a condition that stands alone.
fn single(when: &When) -> Option<&Name> {
    match when {
        When::AnyOf(conditions) => match conditions.as_slice() {
            [one] if !one.negated => Some(&one.frame),
            _ => None,
        },
        When::Always => None,
    }
}

fn minutes(frame: &Frame) -> Option<Vec<bool>> {
    if frame.forced.is_some() || frame.parts.is_empty() {
        return None;
    }
    // Any Monday will do.
    let monday = date(2026, 1, 5).at(0, 0, 0, 0);
    let mut week = vec![false; MINUTES];
    for part in &frame.parts {
        let Part::Weekly(weekly) = part else { return None };
        let mut civil: DateTime = monday;
        for inside in &mut week {
            *inside |= weekly.contains(&civil);
            civil = civil.checked_add(jiff::SignedDuration::from_mins(1)).ok()?;
        }
    }
    Some(week)
}
