//! Live status: what is set beside the rules, of users, time frames and hot-desk phones. Durable before it is acknowledged, known to
//! the signalling plane before the next call, over by itself when its time has come.

use super::until;
use crate::rules::{FrameStatus, SeatStatus, Status, StatusKey, StatusObject, UserStatus};
use crate::store::{Store, StoreError};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// All statuses that are set.
#[derive(Debug, Default)]
pub struct Statuses {
    set: Mutex<BTreeMap<StatusKey, Status>>,
}

/// One object's next status; `None`: back to the rules.
pub type Next = (StatusKey, Option<Status>);

impl Statuses {
    /// Those of the store; what has ended meanwhile is dropped there, too.
    ///
    /// # Errors
    /// The store can't be read or written.
    pub fn restore(store: &dyn Store, now: Timestamp) -> Result<Statuses, StoreError> {
        let mut set = BTreeMap::new();
        for (key, status) in store.statuses()? {
            if has_ended(&status, now) {
                store.put_status(&key, None)?;
            } else {
                set.insert(key, status);
            }
        }
        Ok(Statuses { set: Mutex::new(set) })
    }

    #[must_use]
    pub fn all(&self) -> Vec<(StatusKey, Status)> {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        set.iter().map(|(k, s)| (k.clone(), s.clone())).collect()
    }

    /// One status, unless it has ended.
    #[must_use]
    pub fn of(&self, key: &StatusKey, now: Timestamp) -> Option<Status> {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        set.get(key).filter(|s| !has_ended(s, now)).cloned()
    }

    /// Changes the status of one object, and by it perhaps that of others: durable, then remembered, then handed to `publish`; all
    /// under one lock, so that two writers can't leave the store and the signalling plane with different last words. Gives the
    /// status of the object itself. Blocks on the disk.
    ///
    /// # Errors
    /// The store can't be written; then nothing has changed, but what was written before that.
    pub fn change(
        &self,
        store: &dyn Store,
        key: &StatusKey,
        change: &Change,
        now: Timestamp,
        mut publish: impl FnMut(StatusKey, Option<Status>),
    ) -> Result<Option<Status>, StoreError> {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let before = set.get(key).filter(|s| !has_ended(s, now)).cloned();
        let after = change.apply(before, now);
        let others = match (&key.object, change, &after) {
            (StatusObject::Device(_), Change::Seat(change), Some(Status::Device(seat))) => {
                change.left(&set, key, seat)
            }
            _ => Vec::new(),
        };
        // Whom a log-in replaces goes first: torn in between, they are logged in nowhere, not twice.
        for (key, status) in others.into_iter().chain([(key.clone(), after.clone())]) {
            store.put_status(&key, status.as_ref())?;
            match &status {
                Some(status) => set.insert(key.clone(), status.clone()),
                None => set.remove(&key),
            };
            publish(key, status);
        }
        Ok(after)
    }
}

fn has_ended(status: &Status, now: Timestamp) -> bool {
    status.until().is_some_and(|until| until <= now)
}

/// A change: a field that is absent stays, `Some(None)` returns to the rules.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    User(UserChange),
    Frame(FrameChange),
    Seat(SeatChange),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserChange {
    pub dnd: Option<Option<bool>>,
    pub forward: Option<Option<String>>,
    pub rule: Option<Option<String>>,
    /// Only queues that are named change.
    pub queues: BTreeMap<Arc<str>, Option<bool>>,
    pub until: Option<Option<Timestamp>>,
}

/// A flip begins anew: it has no end unless it comes with one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FrameChange {
    pub on: Option<Option<bool>>,
    pub until: Option<Option<Timestamp>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeatChange {
    pub user: Option<Option<Arc<str>>>,
    pub until: Option<Option<Timestamp>>,
    /// When the user's day at a phone that isn't theirs ends at the latest.
    pub log_out: Option<Timestamp>,
    /// The user may stay logged in at other phones.
    pub keep_elsewhere: bool,
}

/// A text, or null.
fn text(name: &str, value: Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if !text.is_empty() => Ok(Some(text)),
        other => Err(format!("`{name}` is a text or null, not {other}")),
    }
}

fn fields(body: &[u8], example: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(body).map_err(|e| format!("not JSON: {e}"))? {
        Value::Object(fields) => Ok(fields),
        _ => Err(format!("write an object such as {example}")),
    }
}

fn until_when(value: Value, zone: &TimeZone, now: Timestamp) -> Result<Option<Timestamp>, String> {
    text("until", value)?.map(|t| until::parse(&t, zone, now)).transpose()
}

impl UserChange {
    /// The body of `PATCH .../users/{name}/status`.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn parse(body: &[u8], zone: &TimeZone, now: Timestamp) -> Result<UserChange, String> {
        let mut change = UserChange::default();
        for (name, value) in fields(body, r#"{"dnd": true}"#)? {
            match name.as_str() {
                "dnd" => change.dnd = Some(boolean("dnd", &value)?),
                "forward" => change.forward = Some(text(&name, value)?),
                "rule" => change.rule = Some(text(&name, value)?),
                "until" => change.until = Some(until_when(value, zone, now)?),
                "queues" => {
                    let Value::Object(queues) = value else {
                        return Err(r#"`queues` is an object such as {"support": true}"#.into());
                    };
                    for (queue, value) in queues {
                        let logged_in = boolean(&queue, &value)?;
                        change.queues.insert(queue.into(), logged_in);
                    }
                }
                other => {
                    return Err(format!(
                        "unknown field `{other}`; there are dnd, forward, rule, queues and until"
                    ));
                }
            }
        }
        Ok(change)
    }

    /// `None` where nothing is left that differs from the rules.
    fn apply(&self, before: UserStatus) -> Option<UserStatus> {
        let mut after = before;
        if let Some(dnd) = self.dnd {
            after.dnd = dnd;
        }
        if let Some(forward) = &self.forward {
            after.forward.clone_from(forward);
        }
        if let Some(rule) = &self.rule {
            after.rule.clone_from(rule);
        }
        for (queue, logged_in) in &self.queues {
            match logged_in {
                Some(logged_in) => after.queues.insert(queue.clone(), *logged_in),
                None => after.queues.remove(queue),
            };
        }
        if let Some(until) = self.until {
            after.until = until;
        }
        let set = after.dnd.is_some()
            || after.forward.is_some()
            || after.rule.is_some()
            || !after.queues.is_empty();
        set.then_some(after)
    }
}

fn boolean(name: &str, value: &Value) -> Result<Option<bool>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(on) => Ok(Some(*on)),
        other => Err(format!("`{name}` is true, false or null, not {other}")),
    }
}

impl FrameChange {
    /// The body of `PATCH .../time-frames/{name}/status`.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn parse(body: &[u8], zone: &TimeZone, now: Timestamp) -> Result<FrameChange, String> {
        let mut change = FrameChange::default();
        for (name, value) in fields(body, r#"{"override": "on"}"#)? {
            match name.as_str() {
                "override" => {
                    change.on = Some(match text(&name, value)?.as_deref() {
                        None | Some("auto") => None,
                        Some("on") => Some(true),
                        Some("off") => Some(false),
                        Some(other) => {
                            return Err(format!(
                                "`override` is \"on\", \"off\", or null for the clock, not `{other}`"
                            ));
                        }
                    });
                }
                "until" => change.until = Some(until_when(value, zone, now)?),
                other => return Err(format!("unknown field `{other}`; there are override and until")),
            }
        }
        Ok(change)
    }

    fn apply(&self, before: Option<FrameStatus>) -> Option<FrameStatus> {
        let after = match self.on {
            Some(on) => on.map(|on| FrameStatus { on, until: None }),
            None => before,
        };
        after.map(|status| FrameStatus { until: self.until.unwrap_or(status.until), ..status })
    }
}

impl SeatChange {
    /// The body of `PATCH .../devices/{name}/status`. `log_out` and `keep_elsewhere` are of the user, whom only the rules know.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn parse(body: &[u8], zone: &TimeZone, now: Timestamp) -> Result<SeatChange, String> {
        let mut change = SeatChange::default();
        for (name, value) in fields(body, r#"{"hotdesk": "priya"}"#)? {
            match name.as_str() {
                "hotdesk" => change.user = Some(text(&name, value)?.map(Arc::from)),
                "until" => change.until = Some(until_when(value, zone, now)?),
                other => return Err(format!("unknown field `{other}`; there are hotdesk and until")),
            }
        }
        Ok(change)
    }

    fn apply(&self, before: Option<SeatStatus>, now: Timestamp) -> Option<SeatStatus> {
        let after = match &self.user {
            Some(user) => user.clone().map(|user| SeatStatus { user, since: now, until: None }),
            None => before,
        };
        let seat = after?;
        let asked = self.until.unwrap_or(seat.until);
        let until = asked.into_iter().chain(self.log_out).min();
        Some(SeatStatus { until, ..seat })
    }

    /// The phones that the user leaves by sitting down at this one.
    fn left(&self, set: &BTreeMap<StatusKey, Status>, at: &StatusKey, seat: &SeatStatus) -> Vec<Next> {
        if self.keep_elsewhere || self.user.is_none() {
            return Vec::new();
        }
        let theirs = |(key, status): (&StatusKey, &Status)| match status {
            Status::Device(other) => {
                (other.user == seat.user && key.domain == at.domain && key != at).then(|| (key.clone(), None))
            }
            Status::User(_) | Status::TimeFrame(_) => None,
        };
        set.iter().filter_map(theirs).collect()
    }
}

impl Change {
    /// `None` where nothing is left that differs from the rules. A status of another kind, which can't be, counts as none.
    fn apply(&self, before: Option<Status>, now: Timestamp) -> Option<Status> {
        match (self, before) {
            (Change::User(change), Some(Status::User(before))) => change.apply(before).map(Status::User),
            (Change::User(change), _) => change.apply(UserStatus::default()).map(Status::User),
            (Change::Frame(change), Some(Status::TimeFrame(before))) => {
                change.apply(Some(before)).map(Status::TimeFrame)
            }
            (Change::Frame(change), _) => change.apply(None).map(Status::TimeFrame),
            (Change::Seat(change), Some(Status::Device(before))) => {
                change.apply(Some(before), now).map(Status::Device)
            }
            (Change::Seat(change), _) => change.apply(None, now).map(Status::Device),
        }
    }
}

#[cfg(test)]
mod tests;
