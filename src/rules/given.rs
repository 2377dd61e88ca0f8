//! `given`: live state set by hand, for golden tests and `route --given K=V`.

use super::domain::Domain;
use super::facts::{Live, UserStatus};
use super::model::{Given, Name, Spent};
use super::route::{RouteError, known_user};
use super::source;
use std::collections::BTreeMap;
use toml::Table;

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
        .chain(given.spent.keys())
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
    for class in given.spent.values().flat_map(BTreeMap::keys) {
        if !domain.classes.iter().any(|known| known.name == *class) {
            return unknown("class", class);
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

    fn spent(&self, user: &str, class: &str) -> Spent {
        let given = self.given.spent.get(user).and_then(|classes| classes.get(class)).copied();
        given.or_else(|| self.below.map(|live| live.spent(user, class))).unwrap_or_default()
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
        let more = source::given(text).map_err(|why| RouteError::Given(format!("`{text}`: {why}")))?;
        merge(&mut given, more);
    }
    Ok(given)
}

/// The same from the JSON of `POST /v1/route`, already a table.
///
/// # Errors
/// What is wrong with it.
pub fn merge_given(given: &mut Given, table: &Table) -> Result<(), String> {
    let text = toml::to_string(table).map_err(|error| error.to_string())?;
    merge(given, source::given(&text)?);
    Ok(())
}

fn merge(given: &mut Given, more: Given) {
    let Given {
        offline,
        busy,
        no_answer,
        declined,
        active_calls,
        spent,
        dnd,
        forward,
        rule,
        time_frame,
        hotdesk,
        agents,
        screen_refused,
        unconfirmed,
        trunk_down,
        psap_callback,
        verified,
    } = more;
    given.offline.extend(offline);
    given.busy.extend(busy);
    given.no_answer.extend(no_answer);
    given.declined.extend(declined);
    given.unconfirmed.extend(unconfirmed);
    given.trunk_down.extend(trunk_down);
    given.dnd.extend(dnd);
    given.active_calls.extend(active_calls);
    for (user, classes) in spent {
        given.spent.entry(user).or_default().extend(classes);
    }
    given.forward.extend(forward);
    given.rule.extend(rule);
    given.time_frame.extend(time_frame);
    given.hotdesk.extend(hotdesk);
    given.agents.extend(agents);
    given.screen_refused |= screen_refused;
    given.psap_callback |= psap_callback;
    given.verified = verified.or(given.verified.take());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn repeated_keys_of_given_merge() {
        let given =
            parse_given(&[r#"offline=["201a"]"#, r#"offline=["201b"]"#, r#"time_frame={storm="on"}"#])
                .unwrap();
        assert_eq!(given.offline, ["201a".into(), "201b".into()]);
        assert_eq!(given.time_frame.get("storm"), Some(&true));
    }

    #[test]
    fn what_is_spent_is_given_by_user_and_class() {
        let texts = [
            r#"spent={osei={premium={calls_at_once=1}}}"#,
            r#"spent={osei={world={time_per_day="1h30m", calls_per_hour=4}}}"#,
        ];
        let given = parse_given(&texts).unwrap();
        let world = Spent { calls_per_hour: 4, time_per_day: Duration::from_secs(5400), ..Spent::default() };
        assert_eq!(given.spent["osei"]["world"], world);
        assert_eq!(given.spent["osei"]["premium"].calls_at_once, 1);
        let wrong = parse_given(&[r#"spent={osei={world={minutes=3}}}"#]).unwrap_err().to_string();
        assert!(wrong.contains("calls_per_hour"), "{wrong}");
    }

    #[test]
    fn a_mistake_in_given_says_what_to_write() {
        let wrong = |text: &str| parse_given(&[text]).unwrap_err().to_string();
        assert!(
            wrong(r#"offlin=["201a"]"#).contains("did you mean `offline`"),
            "{}",
            wrong(r#"offlin=["201a"]"#)
        );
        assert!(wrong(r#"colour="x""#).contains("trunk_down"), "{}", wrong(r#"colour="x""#));
        assert!(wrong(r#"offline="201a""#).contains("must be a list"));
        assert!(wrong("offline=[").contains("`offline=[`"));
        assert!(wrong(r#"time_frame={storm="maybe"}"#).contains("`\"on\"`"));
        assert!(wrong(r#"forward={osei="nowhere"}"#).contains("no destination"));
    }
}
