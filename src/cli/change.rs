//! What came of a change of the rules, whichever verb asked for it: a line, or the answer as JSON; refusals with their diagnostics.

use super::daemon::{failure, text};
use super::{Failure, out};
use crate::admin::client::Answer;
use hyper::StatusCode;
use serde_json::Value;

/// Prints what was done.
pub fn done(answer: &Answer, json: bool) -> Result<(), Failure> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if !answer.status.is_success() {
        if answer.status == StatusCode::UNPROCESSABLE_ENTITY {
            explain_refusal(&body);
        }
        return Err(failure(answer));
    }
    if json {
        out::json(&body);
        return Ok(());
    }
    for warning in body.get("warnings").and_then(Value::as_array).into_iter().flatten() {
        eprintln!("warning: {}", warning.as_str().unwrap_or_default());
    }
    let (domain, generation) =
        (text(&body, "domain"), body.get("generation").and_then(Value::as_u64).unwrap_or_default());
    if body.get("changed").and_then(Value::as_bool) == Some(false) {
        out::line(&format!("{domain}: generation {generation} is these rules already; nothing was written"));
        return Ok(());
    }
    out::line(&format!("{domain}: generation {generation} is live"));
    if let Some(trial) = body.get("trial").filter(|trial| !trial.is_null()) {
        let unless =
            if text(trial, "kind") == "confirm" { ", unless `ringtree confirm` comes before" } else { "" };
        out::line(&format!("it is taken back at {}{unless}", text(trial, "ends")));
    }
    Ok(())
}

/// Diagnostics as the daemon rendered them, and golden tests that failed.
pub fn explain_refusal(body: &Value) {
    eprint!("{}", text(body, "rendered"));
    let failures = body.get("expectations").and_then(|e| e.get("failures")).and_then(Value::as_array);
    for failure in failures.into_iter().flatten() {
        eprintln!(
            "{}: golden test `{}`: {}",
            text(failure, "at"),
            text(failure, "name"),
            text(failure, "message")
        );
    }
}
