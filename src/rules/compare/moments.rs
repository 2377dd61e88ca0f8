//! The moments that have to be looked at: one for each combination of time frames that occurs, with all the time at which it does.
//!
//! Which frames take part is known from what leads where; so that what is decided at one moment holds for the whole of its time, as
//! far as time decides.

use super::Side;
use crate::rules::calendar::Frame;
use crate::rules::intervals::{Interval, Intervals, Schedule};
use crate::rules::model::Name;
use crate::rules::reach::{Kind, Object};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Combinations that are kept apart: beyond, the rarest are not looked at.
const COMBINATIONS_MAX: usize = 256;

/// A combination of time frames.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// The first moment of its time.
    pub at: Timestamp,
    pub when: Intervals,
}

/// A frame as read in a zone, on one of the sides.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Timed {
    after: bool,
    frame: Name,
    zone: Name,
}

/// Moments by the frames that take part, each set worked out once.
pub(super) struct Moments {
    horizon: Interval,
    before: Schedule,
    after: Schedule,
    known: FxHashMap<Vec<Timed>, Arc<Vec<Moment>>>,
}

impl Moments {
    pub fn new(horizon: Interval) -> Moments {
        let schedule = || Schedule::new(horizon);
        Moments { horizon, before: schedule(), after: schedule(), known: FxHashMap::default() }
    }

    /// For something that these objects take part in, on either side.
    pub fn of(
        &mut self,
        before: &Side<'_>,
        after: &Side<'_>,
        parts: [&BTreeSet<Object>; 2],
    ) -> Arc<Vec<Moment>> {
        let [old, new] = parts;
        let timed: Vec<Timed> =
            timed(before, old, false).into_iter().chain(timed(after, new, true)).collect();
        if let Some(known) = self.known.get(&timed) {
            return known.clone();
        }
        let holds = timed.iter().filter_map(|timed| {
            let (side, schedule) =
                if timed.after { (after, &mut self.after) } else { (before, &mut self.before) };
            let frame: &Frame = &side.model.time_frames.get(&timed.frame)?.value;
            let zone = TimeZone::get(&timed.zone).ok()?;
            Some(schedule.of(&timed.frame, frame, &timed.zone, &zone))
        });
        let holds: Vec<Arc<Intervals>> = holds.collect();
        let moments = Arc::new(combinations(&holds, self.horizon));
        self.known.insert(timed, moments.clone());
        moments
    }
}

/// The frames among the parts, each in every zone that it may be read in.
fn timed(side: &Side<'_>, parts: &BTreeSet<Object>, after: bool) -> BTreeSet<Timed> {
    let users = parts.iter().filter(|part| part.kind == Kind::User);
    let zones = users.filter_map(|user| Some(&side.model.users.get(&user.name)?.zone));
    let zones: BTreeSet<&Name> = zones.chain([&side.model.domain.zone]).collect();
    let mut found = BTreeSet::new();
    for part in parts {
        let name: Name = match part.kind {
            Kind::TimeFrame => part.name.clone(),
            Kind::Calendar => format!("calendar:{}", part.name).into(),
            _ => continue,
        };
        let Some(frame) = side.model.time_frames.get(&name) else { continue };
        match &frame.value.zone {
            Some(zone) => {
                found.insert(Timed { after, frame: name, zone: zone.name().clone() });
            }
            None => found.extend(zones.iter().map(|zone| Timed {
                after,
                frame: name.clone(),
                zone: (*zone).clone(),
            })),
        }
    }
    found
}

/// The horizon cut at every edge, pieces with the same frames put together; the most time first.
fn combinations(holds: &[Arc<Intervals>], horizon: Interval) -> Vec<Moment> {
    let mut edges: Vec<Timestamp> = vec![horizon.start];
    edges.extend(holds.iter().flat_map(|intervals| intervals.iter().flat_map(|i| [i.start, i.end])));
    edges.retain(|edge| horizon.contains(*edge));
    edges.sort_unstable();
    edges.dedup();
    let mut pieces: FxHashMap<Vec<bool>, Vec<Interval>> = FxHashMap::default();
    for (index, start) in edges.iter().enumerate() {
        let end = edges.get(index + 1).copied().unwrap_or(horizon.end);
        let which = holds.iter().map(|intervals| intervals.contains(*start)).collect();
        pieces.entry(which).or_default().push(Interval::new(*start, end));
    }
    let moment = |pieces: Vec<Interval>| {
        let at = pieces.iter().map(|piece| piece.start).min()?;
        Some(Moment { at, when: Intervals::any_of(pieces) })
    };
    let mut moments: Vec<Moment> = pieces.into_values().filter_map(moment).collect();
    moments.sort_by_key(|moment| (std::cmp::Reverse(moment.when.total()), moment.at));
    moments.truncate(COMBINATIONS_MAX);
    moments
}
