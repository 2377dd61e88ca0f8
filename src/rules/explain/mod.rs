//! Explanations: the path of a walk, rendered in the operator's own names.

mod reasons;
mod render;

pub(super) use render::render;

use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// `route --json`, the body of `POST /v1/route`, and part of each call record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    pub tags: Vec<String>,
    pub steps: Vec<Step>,
    pub legs: Vec<Leg>,
    pub outcome: Outcome,
    pub generation: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub tag: String,
    /// `users/101-osei.toml:14:1`; empty for what no file says (built-in emergency numbers, the implied rule).
    pub at: String,
    pub why: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PassedOver {
    pub what: String,
    pub why: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Leg {
    /// `device:101a`, `tel:+12025550181`.
    pub to: String,
    pub start_s: u64,
    pub for_s: u64,
    pub confirm: Option<String>,
    pub caller_id: LegCallerId,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LegCallerId {
    pub name: Option<String>,
    pub number: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// `ring`, `answered_by_system`, `outside`, `reject`.
    pub kind: String,
    pub status: Option<u16>,
}

impl Explanation {
    /// For people: a line a step with its place, what was passed over below it, then the legs and the end.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let width =
            self.steps.iter().map(|step| step.tag.chars().count()).max().unwrap_or(0).min(TAG_WIDTH_MAX);
        for step in &self.steps {
            let _ = write!(text, "{:width$}  {}", step.tag, step.why);
            let _ = if step.at.is_empty() { writeln!(text) } else { writeln!(text, "  [{}]", step.at) };
            for other in &step.passed_over {
                let _ = writeln!(text, "{:width$}    not {}: {}", "", other.what, other.why);
            }
        }
        for leg in &self.legs {
            let _ = write!(text, "rings {} from {} s for {} s", leg.to, leg.start_s, leg.for_s);
            let shown =
                [&leg.caller_id.name, &leg.caller_id.number].into_iter().flatten().map(String::as_str);
            let shown: Vec<&str> = shown.collect();
            if !shown.is_empty() {
                let _ = write!(text, ", showing {}", shown.join(" "));
            }
            let _ = match &leg.confirm {
                Some(key) => writeln!(text, ", who takes it confirms with {key}"),
                None => writeln!(text),
            };
        }
        let _ = match (self.outcome.kind.as_str(), self.outcome.status) {
            ("reject", Some(status)) => writeln!(text, "=> refused with {status}"),
            ("answered_by_system", _) => writeln!(text, "=> answered by the system"),
            (kind, _) => writeln!(text, "=> {kind}"),
        };
        text
    }
}

/// A longer tag pushes its own line to the right, not all of them.
const TAG_WIDTH_MAX: usize = 36;
