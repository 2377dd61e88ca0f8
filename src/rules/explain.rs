//! Explanations: the path of a walk, rendered in the operator's own names.

use serde::{Deserialize, Serialize};

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
