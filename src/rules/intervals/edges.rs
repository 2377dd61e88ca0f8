//! The moments at which a frame's answer could change: a superset, cheap to list.

use super::{Interval, floor};
use crate::rules::calendar::{Frame, Zone};
use jiff::Timestamp;
use jiff::tz::TimeZone;

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

/// For each zone that takes part, the minutes of its days that are named somewhere.
pub(super) struct Edges<'f> {
    zones: Vec<(&'f TimeZone, Vec<u16>)>,
}

impl<'f> Edges<'f> {
    pub fn of(frame: &'f Frame, zone: &'f TimeZone) -> Edges<'f> {
        let mut edges = Edges { zones: Vec::new() };
        edges.add(frame, zone);
        edges
    }

    /// An excepted frame without a zone takes that of the frame that names it. Frames can't except themselves, so this ends.
    fn add(&mut self, frame: &'f Frame, zone: &'f TimeZone) {
        let zone = frame.zone.as_ref().map_or(zone, Zone::time_zone);
        let index = self.zones.iter().position(|(known, _)| *known == zone).unwrap_or_else(|| {
            // Dates change at midnight.
            self.zones.push((zone, vec![0]));
            self.zones.len() - 1
        });
        if let Some((_, minutes)) = self.zones.get_mut(index) {
            for minute in frame.parts.iter().flat_map(|part| part.clock_edges()) {
                if !minutes.contains(&minute) {
                    minutes.push(minute);
                }
            }
        }
        for excepted in &frame.except {
            self.add(&excepted.frame, zone);
        }
    }

    /// As seconds, in order, each once; the first is the horizon's start.
    pub fn moments(&self, horizon: Interval) -> Vec<i64> {
        let mut moments = vec![floor(horizon.start)];
        for (zone, minutes) in &self.zones {
            for stretch in stretches(zone, horizon) {
                stretch.edges(minutes, &mut moments);
            }
        }
        moments.sort_unstable();
        moments.dedup();
        moments
    }
}

/// Part of the horizon in which the zone keeps one offset, so that its clock runs evenly.
struct Stretch {
    start: i64,
    end: i64,
    offset: i64,
}

fn stretches(zone: &TimeZone, horizon: Interval) -> Vec<Stretch> {
    let (start, end) = (floor(horizon.start), floor(horizon.end));
    let offset = |at: Timestamp| i64::from(zone.to_offset(at).seconds());
    let mut stretches = vec![Stretch { start, end, offset: offset(horizon.start) }];
    for change in zone.following(horizon.start) {
        let at = change.timestamp();
        if at >= horizon.end {
            break;
        }
        if let Some(last) = stretches.last_mut() {
            last.end = floor(at);
        }
        stretches.push(Stretch { start: floor(at), end, offset: offset(at) });
    }
    stretches
}

impl Stretch {
    /// Its own start, and these minutes of each of its days.
    fn edges(&self, minutes: &[u16], into: &mut Vec<i64>) {
        into.push(self.start);
        let day = |second: i64| (second + self.offset).div_euclid(SECONDS_PER_DAY);
        for day in day(self.start)..=day(self.end) {
            let midnight = day * SECONDS_PER_DAY - self.offset;
            let seconds = minutes.iter().map(|minute| midnight + i64::from(*minute) * 60);
            into.extend(seconds.filter(|second| self.start < *second && *second < self.end));
        }
    }
}
