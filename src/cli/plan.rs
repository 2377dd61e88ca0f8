//! `ringtree plan`: what other rules would decide.

use super::daemon::{self, Daemon, parse};
use super::{Exit, Failure, change, out, rules_dir};
use crate::admin::client::{Ask, segment};
use crate::admin::plan::{Plan as Planned, Recorded};
use crate::daemon::directory;
use crate::net::clock;
use crate::rules::compare::{Comparison, DECISIONS_MAX, Difference, Side, compare};
use clap::Args;
use hyper::{Method, StatusCode};
use serde::de::DeserializeOwned;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Say in words what rules of a directory would change, before they are applied
///
/// Decisions are compared, not texts: calls are tried by the rules that are live and by those of the directory, from outside and
/// inside, with phones that answer and that don't, at every time that makes a difference. What differs is told with its times; then
/// how many of the recorded calls would go elsewhere. Nothing is applied. Exit 0 when nothing differs, 1 when something does, 2
/// when the rules are broken.
///
/// Example: ringtree plan my-rules --rules routing-rules/harbour-dental
#[derive(Args)]
pub struct Plan {
    /// The directory with the new rules
    dir: PathBuf,
    /// Compare with the rules of this directory instead of the daemon's
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

impl Plan {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        let mut exit = Exit::Done;
        for dir in directory::domains(&self.dir).map_err(Failure::input)? {
            let planned = match &self.rules {
                Some(rules) => by_files(rules, &dir)?,
                None => by_daemon(&self.daemon, &dir)?,
            };
            if self.json {
                out::json(&planned);
            } else {
                for warning in &planned.warnings {
                    eprintln!("warning: {warning}");
                }
                out::text(&text(&planned));
            }
            if !planned.comparison.differences.is_empty() || planned.recorded.elsewhere > 0 {
                exit = Exit::No;
            }
        }
        Ok(exit)
    }
}

fn by_files(rules: &Path, dir: &Path) -> Result<Planned, Failure> {
    let (model, domain) = rules_dir::read(dir, None)?;
    let (old_model, old_domain) = rules_dir::read(rules, Some(domain.name()))?;
    let before = Side { model: &old_model, domain: &old_domain };
    let comparison = compare(&before, &Side { model: &model, domain: &domain }, clock::now().wall);
    let name = domain.name().to_string();
    Ok(Planned { domain: name, comparison, ..Planned::default() })
}

fn by_daemon(daemon: &Daemon, dir: &Path) -> Result<Planned, Failure> {
    ask(daemon, dir, |domain| format!("/v1/domains/{}/rules/plan", segment(domain)))
}

/// Sends the rules of a directory, and reads the answer. With errors the diagnostics are printed.
pub(super) fn ask<A: DeserializeOwned>(
    daemon: &Daemon,
    dir: &Path,
    path: impl Fn(&str) -> String,
) -> Result<A, Failure> {
    let files = directory::read(dir).map_err(Failure::input)?;
    let unnamed = || {
        Failure::input(format!("{} names no domain; `ringtree check {0}` says what is wrong", dir.display()))
    };
    let domain = directory::domain_name(&files).ok_or_else(unnamed)?;
    let answer = daemon.answer(Ask::new(Method::POST, &path(&domain)).json(&files.0))?;
    if !answer.status.is_success() {
        if answer.status == StatusCode::UNPROCESSABLE_ENTITY {
            change::explain_refusal(&serde_json::from_slice(&answer.body).unwrap_or_default());
        }
        return Err(daemon::failure(&answer));
    }
    serde_json::from_value(parse(&answer)?)
        .map_err(|e| Failure::fault(format!("the answer can't be read: {e}")))
}

/// A sentence a line. What several have in common, their time with its dates, stands once, above them.
fn told(text: &mut String, differences: &[Difference]) {
    let mut said: Vec<&str> = Vec::new();
    for difference in differences {
        let when = difference.when.as_str();
        let rest = |one: &Difference| one.text.strip_prefix(when)?.strip_prefix(", ").map(str::to_owned);
        let same: Vec<String> =
            differences.iter().filter(|one| !when.is_empty() && one.when == when).filter_map(rest).collect();
        if same.len() < 2 {
            let _ = writeln!(text, "- {}", difference.text);
        } else if !said.contains(&when) {
            said.push(when);
            let _ = writeln!(text, "- {when}:");
            for rest in same {
                let _ = writeln!(text, "    - {rest}");
            }
        }
    }
}

fn text(planned: &Planned) -> String {
    let Comparison { changed, differences, not_compared, entries_not_tried, .. } = &planned.comparison;
    if changed.is_empty() {
        return format!("{}: nothing differs\n", planned.domain);
    }
    let mut text = format!("{}: {}\n", planned.domain, changed.join(" "));
    if differences.is_empty() {
        text.push_str("no call that was tried is decided otherwise\n");
    }
    told(&mut text, differences);
    if *not_compared > 0 {
        let _ = writeln!(
            text,
            "stopped after {DECISIONS_MAX} decisions: {not_compared} extensions and numbers were not compared"
        );
    }
    if *entries_not_tried > 0 {
        let _ = writeln!(
            text,
            "{entries_not_tried} further entries of lists differ and were not tried as callers"
        );
    }
    let Recorded { calls, elsewhere, since } = &planned.recorded;
    if let Some(since) = since {
        let _ = write!(text, "{elsewhere} of {calls} recorded calls since {since} would go elsewhere");
        text.push_str(if *elsewhere > 0 { "; `ringtree replay` lists them\n" } else { "\n" });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_several_differences_have_is_said_once_above_them() {
        let difference = |when: &str, rest: &str| Difference {
            text: if when == "always" { rest.to_owned() } else { format!("{when}, {rest}") },
            when: when.to_owned(),
            ..Difference::default()
        };
        let lunch = "Mon-Fri 12:00-13:00, not on 25 Dec 2026";
        let differences = [
            difference(lunch, "calls to 101 now ring Sam"),
            difference("on 24 Dec 2026", "calls to 102 now ring Sam"),
            difference("always", "calls to 103 now ring Sam"),
            difference("always", "calls to 104 now ring Sam"),
            difference(lunch, "calls to 105 now ring Sam"),
        ];
        let mut text = String::new();
        told(&mut text, &differences);
        assert_eq!(
            text,
            format!(
                "- {lunch}:\n    - calls to 101 now ring Sam\n    - calls to 105 now ring Sam\n\
                 - on 24 Dec 2026, calls to 102 now ring Sam\n- calls to 103 now ring Sam\n- calls to 104 now ring Sam\n"
            )
        );
    }
}
