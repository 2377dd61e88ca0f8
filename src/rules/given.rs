//! `given`: live state set by hand, for golden tests and `route --given K=V`.

use super::destination::parse_destination;
use super::domain::Domain;
use super::facts::{Live, UserStatus};
use super::model::{Given, Name};
use super::route::{RouteError, known_user};
use std::collections::BTreeMap;
use toml::{Table, Value};

/// Live state as given, over what is really so.
pub(super) struct GivenLive<'a> {
    given: &'a Given,
    below: Option<&'a dyn Live>,
    statuses: BTreeMap<Name, UserStatus>,
}

impl<'a> GivenLive<'a> {
    /// # Errors
    /// Names that the domain doesn't have.
    pub fn new(
        domain: &Domain,
        given: &'a Given,
        below: Option<&'a dyn Live>,
    ) -> Result<GivenLive<'a>, RouteError> {
        check(domain, given)?;
        let mut statuses: BTreeMap<Name, UserStatus> = BTreeMap::new();
        let users = given.dnd.iter().chain(given.forward.keys()).chain(given.rule.keys());
        for user in users {
            let status = statuses
                .entry(user.clone())
                .or_insert_with(|| below.and_then(|live| live.status(user)).cloned().unwrap_or_default());
            if given.dnd.contains(user) {
                status.dnd = Some(true);
            }
            if let Some(forward) = given.forward.get(user) {
                status.forward = Some(forward.to_string());
            }
            if let Some(rule) = given.rule.get(user) {
                status.rule = Some(rule.to_string());
            }
        }
        Ok(GivenLive { given, below, statuses })
    }
}

fn check(domain: &Domain, given: &Given) -> Result<(), RouteError> {
    let unknown = |kind: &'static str, name: &Name| Err(RouteError::Unknown { kind, name: name.to_string() });
    let ends = [&given.offline, &given.busy, &given.no_answer, &given.declined, &given.unconfirmed];
    for name in ends.into_iter().flatten().chain(given.hotdesk.keys()) {
        if !name.starts_with("tel:") && domain.device(name).is_none() {
            return unknown("device", name);
        }
    }
    let users = given
        .dnd
        .iter()
        .chain(given.active_calls.keys())
        .chain(given.forward.keys())
        .chain(given.hotdesk.values());
    for user in users {
        known_user(domain, user)?;
    }
    for (user, rule) in &given.rule {
        known_user(domain, user)?;
        let tree = domain.user_tree(user);
        if !tree.is_some_and(|tree| tree.rules.iter().any(|r| r.name.as_ref() == Some(rule))) {
            return unknown("rule", rule);
        }
    }
    for frame in given.time_frame.keys() {
        if !domain.trees.frames.iter().any(|named| named.name == *frame) {
            return unknown("time frame", frame);
        }
    }
    for trunk in &given.trunk_down {
        if domain.trunk(trunk).is_none() {
            return unknown("trunk", trunk);
        }
    }
    Ok(())
}

impl Live for GivenLive<'_> {
    fn offline(&self, device: &str) -> bool {
        let given = self.given.offline.iter().any(|name| &**name == device);
        given || self.below.is_some_and(|live| live.offline(device))
    }

    fn active_calls(&self, user: &str) -> u32 {
        let given = self.given.active_calls.get(user).copied();
        given.unwrap_or_else(|| self.below.map_or(0, |live| live.active_calls(user)))
    }

    fn status(&self, user: &str) -> Option<&UserStatus> {
        self.statuses.get(user).or_else(|| self.below.and_then(|live| live.status(user)))
    }

    fn frame_override(&self, frame: &str) -> Option<bool> {
        let given = self.given.time_frame.get(frame).copied();
        given.or_else(|| self.below.and_then(|live| live.frame_override(frame)))
    }

    fn trunk_down(&self, trunk: &str) -> bool {
        let given = self.given.trunk_down.iter().any(|name| &**name == trunk);
        given || self.below.is_some_and(|live| live.trunk_down(trunk))
    }

    fn trunk_full(&self, trunk: &str) -> bool {
        self.below.is_some_and(|live| live.trunk_full(trunk))
    }

    fn seated(&self, device: &str) -> Option<&str> {
        let given = self.given.hotdesk.get(device).map(|user| &**user);
        given.or_else(|| self.below.and_then(|live| live.seated(device)))
    }
}

/// Reads `--given K=V`: each is TOML; repeated keys merge.
///
/// # Errors
/// What is wrong with which of them.
pub fn parse_given<S: AsRef<str>>(texts: &[S]) -> Result<Given, RouteError> {
    let mut given = Given::default();
    for text in texts {
        let text = text.as_ref();
        let wrong = |why: String| RouteError::Given(format!("`{text}`: {why}"));
        let table: Table = toml::from_str(text).map_err(|error| wrong(error.message().to_owned()))?;
        merge_given(&mut given, &table).map_err(wrong)?;
    }
    Ok(given)
}

/// The same from the JSON of `POST /v1/route`, already a table.
///
/// # Errors
/// What is wrong with it.
pub fn merge_given(given: &mut Given, table: &Table) -> Result<(), String> {
    for (key, value) in table {
        match key.as_str() {
            "offline" => given.offline.extend(names(value)?),
            "busy" => given.busy.extend(names(value)?),
            "no_answer" => given.no_answer.extend(names(value)?),
            "declined" => given.declined.extend(names(value)?),
            "unconfirmed" => given.unconfirmed.extend(names(value)?),
            "trunk_down" => given.trunk_down.extend(names(value)?),
            "dnd" => given.dnd.extend(names(value)?),
            "rule" => given.rule.extend(map(value, name)?),
            "hotdesk" => given.hotdesk.extend(map(value, name)?),
            "agents" => given.agents.extend(map(value, names)?),
            "active_calls" => given.active_calls.extend(map(value, count)?),
            "time_frame" => given.time_frame.extend(map(value, on_or_off)?),
            "forward" => given.forward.extend(map(value, |to| {
                let text = name(to)?;
                parse_destination(&text).ok_or_else(|| format!("`{text}` is no destination"))
            })?),
            "screen" => given.screen_refused = &*name(value)? == "refused",
            "verified" => {
                let said = name(value)?;
                if !["passed", "failed"].contains(&&*said) {
                    return Err(format!("wants \"passed\" or \"failed\", not {value}"));
                }
                given.verified = Some(said);
            }
            "psap_callback" => {
                given.psap_callback = value.as_bool().ok_or("psap_callback is true or false")?
            }
            other => return Err(format!("has no `{other}`: it knows {KEYS}")),
        }
    }
    Ok(())
}

const KEYS: &str = "offline, busy, no_answer, declined, active_calls, dnd, forward, rule, time_frame, hotdesk, agents, screen, \
                    unconfirmed, trunk_down, psap_callback, verified";

fn name(value: &Value) -> Result<Name, String> {
    value.as_str().map(Name::from).ok_or_else(|| format!("wants a text in quotes, not {value}"))
}

fn names(value: &Value) -> Result<Vec<Name>, String> {
    match value.as_array() {
        Some(array) => array.iter().map(name).collect(),
        None => Err(format!("wants a list as in `[\"101a\"]`, not {value}")),
    }
}

fn count(value: &Value) -> Result<u32, String> {
    let count = value.as_integer().and_then(|n| u32::try_from(n).ok());
    count.ok_or_else(|| format!("wants a number of calls, not {value}"))
}

fn on_or_off(value: &Value) -> Result<bool, String> {
    match (value.as_str(), value.as_bool()) {
        (Some("on"), _) | (_, Some(true)) => Ok(true),
        (Some("off"), _) | (_, Some(false)) => Ok(false),
        _ => Err(format!("wants \"on\" or \"off\", not {value}")),
    }
}

fn map<T>(value: &Value, read: impl Fn(&Value) -> Result<T, String>) -> Result<BTreeMap<Name, T>, String> {
    let Some(table) = value.as_table() else {
        return Err(format!("wants a table as in `{{ osei = ... }}`, not {value}"));
    };
    table.iter().map(|(key, value)| Ok((Name::from(key.as_str()), read(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_keys_of_given_merge() {
        let given =
            parse_given(&[r#"offline=["201a"]"#, r#"offline=["201b"]"#, r#"time_frame={storm="on"}"#])
                .unwrap();
        assert_eq!(given.offline, ["201a".into(), "201b".into()]);
        assert_eq!(given.time_frame.get("storm"), Some(&true));
    }

    #[test]
    fn a_mistake_in_given_says_what_to_write() {
        let wrong = |text: &str| parse_given(&[text]).unwrap_err().to_string();
        assert!(wrong(r#"offlin=["201a"]"#).contains("it knows offline"), "{}", wrong(r#"offlin=["201a"]"#));
        assert!(wrong(r#"offline="201a""#).contains(r#"["101a"]"#));
        assert!(wrong("offline=[").contains("`offline=[`"));
        assert!(wrong(r#"forward={osei="nowhere"}"#).contains("no destination"));
    }
}
