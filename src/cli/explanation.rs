//! An explanation for people: step by step, with places and alternatives. Calls that were and calls that never were look alike.

use crate::rules::Explanation;
use std::fmt::Write;

/// Lines for the terminal.
#[must_use]
pub fn render(explanation: &Explanation) -> String {
    let Explanation { tags, steps, legs, outcome, generation } = explanation;
    let mut out = String::new();
    // Writing to a String can't fail.
    for step in steps {
        let _ = write!(out, "{}", step.tag);
        if !step.at.is_empty() {
            let _ = write!(out, "  ({})", step.at);
        }
        out.push('\n');
        if !step.why.is_empty() {
            let _ = writeln!(out, "    {}", step.why);
        }
        for passed in &step.passed_over {
            let _ = writeln!(out, "    not {}: {}", passed.what, passed.why);
        }
    }
    if !legs.is_empty() {
        out.push_str("rings\n");
    }
    for leg in legs {
        let _ = write!(out, "    {} from {} s for {} s", leg.to, leg.start_s, leg.for_s);
        if let Some(key) = &leg.confirm {
            let _ = write!(out, ", to be confirmed with {key}");
        }
        let shown = match (&leg.caller_id.name, &leg.caller_id.number) {
            (Some(name), Some(number)) => format!("{name} <{number}>"),
            (Some(one), None) | (None, Some(one)) => one.clone(),
            (None, None) => String::new(),
        };
        if !shown.is_empty() {
            let _ = write!(out, ", showing {shown}");
        }
        out.push('\n');
    }
    let status = outcome.status.map(|s| format!(" with {s}")).unwrap_or_default();
    // Files that nobody has applied are of no generation.
    let by = if *generation == 0 { "the files".to_owned() } else { format!("generation {generation}") };
    let _ = writeln!(out, "outcome: {}{status}, by {by}", outcome.kind);
    let _ = writeln!(out, "tags: {}", tags.join("  "));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::explain::{Leg, Outcome, PassedOver, Step};

    #[test]
    fn each_step_has_its_place_its_reason_and_what_was_passed_over() {
        let explanation = Explanation {
            tags: vec!["user:osei".into(), "ring:101a@0+60".into()],
            steps: vec![Step {
                tag: "rule:osei/Clinic hours".into(),
                at: "users/101-osei.toml:14:1".into(),
                why: "open: Tue 10:00 is inside mon-thu 08:00-17:30".into(),
                passed_over: vec![PassedOver {
                    what: "rule:osei/Night".into(),
                    why: "10:00 is outside".into(),
                }],
            }],
            legs: vec![Leg { to: "device:101a".into(), for_s: 60, ..Leg::default() }],
            outcome: Outcome { kind: "ring".into(), status: None },
            generation: 12,
        };
        assert_eq!(
            render(&explanation),
            "rule:osei/Clinic hours  (users/101-osei.toml:14:1)\n    open: Tue 10:00 is inside mon-thu 08:00-17:30\n    \
             not rule:osei/Night: 10:00 is outside\nrings\n    device:101a from 0 s for 60 s\noutcome: ring, by generation \
             12\ntags: user:osei  ring:101a@0+60\n"
        );
    }
}
