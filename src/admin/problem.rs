//! Errors of the admin socket as problem documents (RFC 9457): a stable type, a title, what is wrong this time, and members of
//! its own where a program can act on them.

use crate::store::StoreError;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// Of a problem document (RFC 9457 §3).
pub const CONTENT_TYPE: &str = "application/problem+json";

/// One problem document.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    /// The last part of `urn:ringtree:problem:NAME`: a promise.
    name: &'static str,
    detail: String,
    members: Map<String, Value>,
}

impl Problem {
    #[must_use]
    pub fn new(status: StatusCode, name: &'static str, detail: impl Into<String>) -> Problem {
        Problem { status, name, detail: detail.into(), members: Map::new() }
    }

    /// Nothing of this name: 404.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// The request itself is wrong: 400.
    #[must_use]
    pub fn malformed(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// Well formed, but it can't be: 422.
    #[must_use]
    pub fn invalid(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
    }

    /// The signalling plane gave no answer: 503.
    #[must_use]
    pub fn no_answer() -> Problem {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "no-answer",
            "the signalling plane did not answer; is the daemon stopping?",
        )
    }

    /// A fault of ours: 500.
    #[must_use]
    pub fn fault(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "fault", detail)
    }

    /// Adds a member of its own.
    #[must_use]
    pub fn with(mut self, member: &str, value: Value) -> Problem {
        self.members.insert(member.to_owned(), value);
        self
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        let said = error.to_string();
        match error {
            StoreError::Conflict { current, .. } => {
                Problem::new(StatusCode::PRECONDITION_FAILED, "generation-conflict", said)
                    .with("current", json!(current))
            }
            StoreError::Write(_) | StoreError::Read(_) | StoreError::Locked(_) | StoreError::Open { .. } => {
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "store", said)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = self.members;
        body.insert("type".into(), format!("urn:ringtree:problem:{}", self.name).into());
        body.insert("title".into(), self.name.replace('-', " ").into());
        body.insert("status".into(), self.status.as_u16().into());
        body.insert("detail".into(), self.detail.into());
        (self.status, [(header::CONTENT_TYPE, CONTENT_TYPE)], Value::Object(body).to_string()).into_response()
    }
}
