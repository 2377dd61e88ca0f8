//! Live status of users: what they have set beside the rules. Durable before it is acknowledged, known to the signalling plane
//! before the next call, over by itself when its time has come.

use super::until;
use crate::rules::UserStatus;
use crate::store::{Store, StoreError};
use crate::switch::StatusKey;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// All statuses that are set.
#[derive(Debug, Default)]
pub struct Statuses {
    set: Mutex<BTreeMap<StatusKey, UserStatus>>,
}

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
    pub fn all(&self) -> Vec<(StatusKey, UserStatus)> {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        set.iter().map(|(k, s)| (k.clone(), s.clone())).collect()
    }

    /// The status of one user, unless it has ended.
    #[must_use]
    pub fn of(&self, key: &StatusKey, now: Timestamp) -> Option<UserStatus> {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        set.get(key).filter(|s| !has_ended(s, now)).cloned()
    }

    /// Changes the status of one user: durable, then remembered, then handed to `publish`; all under one lock, so that two writers
    /// can't leave the store and the signalling plane with different last words. Blocks on the disk.
    ///
    /// # Errors
    /// The store can't be written; then nothing has changed.
    pub fn change(
        &self,
        store: &dyn Store,
        key: &StatusKey,
        change: &Change,
        now: Timestamp,
        publish: impl FnOnce(Option<UserStatus>),
    ) -> Result<Option<UserStatus>, StoreError> {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let before = set.get(key).filter(|s| !has_ended(s, now)).cloned().unwrap_or_default();
        let after = change.apply(before);
        store.put_status(key, after.as_ref())?;
        match &after {
            Some(status) => set.insert(key.clone(), status.clone()),
            None => set.remove(key),
        };
        publish(after.clone());
        Ok(after)
    }
}

fn has_ended(status: &UserStatus, now: Timestamp) -> bool {
    status.until.is_some_and(|until| until <= now)
}

/// A change: a field that is absent stays, `Some(None)` returns to the rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    pub dnd: Option<Option<bool>>,
    pub forward: Option<Option<String>>,
    pub rule: Option<Option<String>>,
    pub until: Option<Option<Timestamp>>,
}

impl Change {
    /// The body of `PATCH .../users/{name}/status`.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn parse(body: &[u8], zone: &TimeZone, now: Timestamp) -> Result<Change, String> {
        let body: Value = serde_json::from_slice(body).map_err(|e| format!("not JSON: {e}"))?;
        let Value::Object(fields) = body else {
            return Err(r#"write an object such as {"dnd": true}"#.into());
        };
        let mut change = Change::default();
        for (name, value) in fields {
            let text = |value: Value| match value {
                Value::Null => Ok(None),
                Value::String(text) if !text.is_empty() => Ok(Some(text)),
                other => Err(format!("`{name}` is a text or null, not {other}")),
            };
            match name.as_str() {
                "dnd" => {
                    change.dnd = Some(match value {
                        Value::Null => None,
                        Value::Bool(on) => Some(on),
                        other => return Err(format!("`dnd` is true, false or null, not {other}")),
                    });
                }
                "forward" => change.forward = Some(text(value)?),
                "rule" => change.rule = Some(text(value)?),
                "until" => {
                    change.until = Some(text(value)?.map(|t| until::parse(&t, zone, now)).transpose()?)
                }
                "queues" => return Err("`queues` is not carried out yet".into()),
                other => {
                    return Err(format!("unknown field `{other}`; there are dnd, forward, rule and until"));
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
        if let Some(until) = self.until {
            after.until = until;
        }
        (after.dnd.is_some() || after.forward.is_some() || after.rule.is_some()).then_some(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<Change, String> {
        Change::parse(body.as_bytes(), &TimeZone::UTC, "2026-11-24T15:00:00Z".parse().unwrap())
    }

    #[test]
    fn what_is_absent_stays_and_null_returns_to_the_rules() {
        let before =
            UserStatus { dnd: Some(true), forward: Some("tel:+12025550100".into()), ..UserStatus::default() };
        let after = parse(r#"{"forward": null}"#).unwrap().apply(before.clone()).unwrap();
        assert_eq!(after, UserStatus { dnd: Some(true), ..UserStatus::default() });
        assert_eq!(parse(r#"{"forward": null, "dnd": null}"#).unwrap().apply(before), None);
    }

    #[test]
    fn until_alone_keeps_no_status_alive() {
        assert_eq!(parse(r#"{"until": "18:00"}"#).unwrap().apply(UserStatus::default()), None);
    }

    #[test]
    fn a_wrong_body_says_what_to_write() {
        for (body, says) in [
            ("{", "not JSON"),
            ("[]", "write an object"),
            (r#"{"dnd": "on"}"#, "`dnd` is true, false or null"),
            (r#"{"forward": 7}"#, "`forward` is a text or null"),
            (r#"{"until": "6pm"}"#, "write `18:00`"),
            (r#"{"dn": true}"#, "unknown field `dn`"),
            (r#"{"queues": {"a": true}}"#, "not carried out yet"),
        ] {
            let said = parse(body).unwrap_err();
            assert!(said.contains(says), "{body} gave {said}");
        }
    }
}
