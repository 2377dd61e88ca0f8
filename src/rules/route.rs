//! `route`: what would happen to a call that never was. The same walk as a live call's, with ring stages that end as `given`
//! says.

use super::destination::parse_destination;
use super::domain::Domain;
use super::explain::Explanation;
use super::facts::{CallFacts, Caller, Dialled, Live, Origin, UserStatus, Verified};
use super::given::GivenLive;
use super::model::{Decline, Destination, Given, Name};
use super::plan::{LegEnd, LegOutcome, LegTarget, RingPlan};
use super::walk::{HOPS_MAX, Next, Walk};
use std::sync::Arc;

/// A call to decide.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// An extension, a number, a destination, or `urn:service:sos`.
    pub to: String,
    /// A number, an extension, `anonymous` or `unknown`; none at all is `unknown`.
    #[serde(default)]
    pub from: Option<String>,
    #[serde(default)]
    pub from_name: Option<String>,
    #[serde(default)]
    pub from_device: Option<String>,
    /// `queue:support`: as if it came through this.
    #[serde(default)]
    pub via: Option<String>,
    /// RFC 3339, or civil time in the domain's zone.
    #[serde(default)]
    pub at: Option<String>,
}

/// What is wrong with a question; a decision is never an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    #[error("`{0}` is no time: write `2026-11-24T10:00`, or RFC 3339 with an offset")]
    Time(String),
    #[error("there is no {kind} `{name}` in this domain")]
    Unknown { kind: &'static str, name: String },
    #[error("`{0}` is no destination: write `kind:name`, as in `user:osei`")]
    Destination(String),
    #[error("`given` {0}")]
    Given(String),
}

/// Decides one call. `live` is what the daemon knows; without it every device is registered, idle, and answers.
///
/// # Errors
/// A time that is none, or names that the domain doesn't have.
pub fn route(
    domain: &Arc<Domain>,
    query: &Query,
    given: &Given,
    live: Option<&dyn Live>,
    now: jiff::Timestamp,
) -> Result<Explanation, RouteError> {
    let facts = facts(domain, query, given, now)?;
    let state = GivenLive::new(domain, given, live)?;
    let mut walk = Walk::dry(domain.clone(), facts, given.screen_refused);
    let mut next = walk.start(&state);
    // A walk rings at most once for each place that it comes to.
    for _ in 0..=HOPS_MAX {
        let (Next::Ring, Some(plan)) = (&next, walk.plan()) else { break };
        let Some(ends) = ends(plan, given) else { break };
        next = walk.ended(&state, &ends);
    }
    Ok(walk.explanation())
}

fn facts(
    domain: &Domain,
    query: &Query,
    given: &Given,
    now: jiff::Timestamp,
) -> Result<CallFacts, RouteError> {
    let at = query.at.as_deref().map_or(Ok(now), |text| parse_time(text, &domain.zone))?;
    Ok(CallFacts {
        at,
        caller: caller(domain, query)?,
        dialled: dialled(domain, &query.to)?,
        psap_callback: given.psap_callback,
        verified: match given.verified.as_deref() {
            Some("passed") => Verified::Passed,
            Some("failed") => Verified::Failed,
            _ => Verified::NotChecked,
        },
        earlier_hops: 0,
    })
}

/// RFC 3339, or civil time in this zone.
///
/// # Errors
/// A text that is neither.
pub fn parse_time(text: &str, zone: &jiff::tz::TimeZone) -> Result<jiff::Timestamp, RouteError> {
    let wrong = || RouteError::Time(text.to_owned());
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(at);
    }
    let civil: jiff::civil::DateTime = text.parse().map_err(|_| wrong())?;
    civil.to_zoned(zone.clone()).map(|zoned| zoned.timestamp()).map_err(|_| wrong())
}

fn caller(domain: &Domain, query: &Query) -> Result<Caller, RouteError> {
    let from = query.from.as_deref().unwrap_or_default();
    let name = query.from_name.as_deref().map(Name::from);
    let anonymous = from == "anonymous";
    let raw: Name = if from == "unknown" { "".into() } else { from.into() };
    let origin = match (&query.from_device, &query.via) {
        (Some(device), _) => {
            if domain.device(device).is_none() {
                return Err(RouteError::Unknown { kind: "device", name: device.clone() });
            }
            Origin::Device(device.as_str().into())
        }
        (None, Some(via)) => {
            Origin::Via(parse_destination(via).ok_or_else(|| RouteError::Destination(via.clone()))?)
        }
        (None, None) if domain.extensions.contains(from) => Origin::Extension(raw.clone()),
        (None, None) => Origin::Outside,
    };
    Ok(Caller { origin, raw, name, anonymous })
}

fn dialled(domain: &Domain, to: &str) -> Result<Dialled, RouteError> {
    if to.eq_ignore_ascii_case("urn:service:sos") || to.to_ascii_lowercase().starts_with("urn:service:sos.") {
        return Ok(Dialled::Sos);
    }
    if !to.contains(':') {
        return Ok(Dialled::Text(to.into()));
    }
    let destination = parse_destination(to).ok_or_else(|| RouteError::Destination(to.to_owned()))?;
    match &destination {
        Destination::User(user) | Destination::Handset(user) => known_user(domain, user)?,
        Destination::Device(device) if domain.device(device).is_none() => {
            return Err(RouteError::Unknown { kind: "device", name: device.to_string() });
        }
        _ => {}
    }
    Ok(Dialled::Destination(destination))
}

pub(super) fn known_user(domain: &Domain, user: &str) -> Result<(), RouteError> {
    match domain.user(user) {
        Some(_) => Ok(()),
        None => Err(RouteError::Unknown { kind: "user", name: user.to_owned() }),
    }
}

/// How a ring stage ends that nobody answers; `None` where somebody does.
fn ends(plan: &RingPlan, given: &Given) -> Option<Vec<LegEnd>> {
    let ends: Vec<LegEnd> = plan
        .legs
        .iter()
        .enumerate()
        .map(|(leg, planned)| LegEnd { leg, outcome: end(&planned.to, given) })
        .collect();
    let start = |outcome: LegOutcome| {
        let of = ends.iter().filter(|end| end.outcome == outcome);
        of.filter_map(|end| plan.legs.get(end.leg)).map(|leg| leg.start).min()
    };
    match (start(LegOutcome::Answered), start(LegOutcome::Declined)) {
        (None, _) => Some(ends),
        // A decline that stops everything comes before any answer that starts no earlier.
        (Some(answered), Some(declined)) if plan.decline == Decline::Stop && declined <= answered => {
            Some(ends.into_iter().filter(|end| end.outcome != LegOutcome::Answered).collect())
        }
        (Some(_), _) => None,
    }
}

fn end(to: &LegTarget, given: &Given) -> LegOutcome {
    let name: Name = match to {
        LegTarget::Device(device) => device.clone(),
        LegTarget::Outside { number, .. } => format!("tel:{number}").into(),
    };
    let lists = [
        (&given.declined, LegOutcome::Declined),
        (&given.busy, LegOutcome::Busy),
        (&given.no_answer, LegOutcome::NoAnswer),
        // Nobody pressed the key: it rang, and nobody took the call.
        (&given.unconfirmed, LegOutcome::NoAnswer),
        (&given.offline, LegOutcome::Offline),
    ];
    lists.iter().find(|(list, _)| list.contains(&name)).map_or(LegOutcome::Answered, |(_, outcome)| *outcome)
}

/// Nothing is known: every device is registered and idle.
#[derive(Clone, Copy, Debug, Default)]
pub struct Idle;

impl Live for Idle {
    fn offline(&self, _: &str) -> bool {
        false
    }
    fn active_calls(&self, _: &str) -> u32 {
        0
    }
    fn status(&self, _: &str) -> Option<&UserStatus> {
        None
    }
    fn frame_override(&self, _: &str) -> Option<bool> {
        None
    }
    fn trunk_down(&self, _: &str) -> bool {
        false
    }
}
