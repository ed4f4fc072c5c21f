//! The answer to a request, and what it means.

use std::{error::Error as _, fmt, time::Duration};

use reqwest::{
    StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};
use serde::de::DeserializeOwned;

use crate::describe;
use crate::wire::{ItemError, PostAnswer, Problem, Verdict};

/// One verdict for each item sent, in order.
#[derive(Debug)]
pub struct Verdicts {
    pub results: Vec<Verdict>,
    /// The server's `Retry-After`. It matters only if an item was `Unavailable`.
    pub retry_after: Option<Duration>,
}

/// A request without the answer that it asks for. What it was to store may be stored or not.
#[derive(Debug)]
pub struct PostError {
    pub failure: Failure,
    pub detail: String,
    pub retry_after: Option<Duration>,
}

/// The kinds of failure, few enough to count by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// There are no valid credentials and no token. Nothing was sent.
    NotAuthorized,
    Connect,
    Timeout,
    Broken,
    Status(u16),
    BadAnswer,
}

impl Failure {
    /// Whether a retry may succeed. Retrying is always safe: ids make a repeat harmless, and a profile is replaced
    /// by the same one.
    pub fn is_transient(self) -> bool {
        match self {
            Self::Connect | Self::Timeout | Self::Broken => true,
            Self::Status(status) => matches!(status, 408 | 429 | 500..),
            Self::NotAuthorized | Self::BadAnswer => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAuthorized => f.write_str("not authorized"),
            Self::Connect => f.write_str("could not connect"),
            Self::Timeout => f.write_str("timed out"),
            Self::Broken => f.write_str("connection broken"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::BadAnswer => f.write_str("invalid answer"),
        }
    }
}

impl fmt::Display for PostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.failure {
            Failure::Status(_) => write!(f, "the server answered {}", self.detail),
            Failure::BadAnswer => write!(f, "the server sent an invalid answer: {}", self.detail),
            failure => write!(f, "{failure} ({})", self.detail),
        }
    }
}

impl PostError {
    pub(crate) fn from_transport(error: &reqwest::Error) -> Self {
        let failure = if error.is_connect() {
            Failure::Connect
        } else if error.is_timeout() {
            Failure::Timeout
        } else {
            Failure::Broken
        };
        Self {
            failure,
            detail: innermost(error),
            retry_after: None,
        }
    }

    pub(crate) fn not_authorized(error: &anyhow::Error) -> Self {
        Self {
            failure: Failure::NotAuthorized,
            detail: format!("{error:#}"),
            retry_after: None,
        }
    }

    pub(crate) fn bad_answer(detail: &str) -> Self {
        let detail = detail.to_owned();
        Self {
            failure: Failure::BadAnswer,
            detail,
            retry_after: None,
        }
    }
}

/// The innermost cause ("Connection refused") says more than the layers above it.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    let mut source = error.source();
    while let Some(deeper) = source {
        cause = deeper;
        source = deeper.source();
    }
    cause.to_string()
}

/// Only seconds are supported, because a date would require both clocks to agree.
pub(crate) fn parse_retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// An answer that was read whole.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The verdicts on so many items.
    pub fn verdicts(self, items: usize) -> Result<Verdicts, PostError> {
        let has_verdicts = self.status.is_success()
            || matches!(
                self.status,
                StatusCode::FORBIDDEN
                    | StatusCode::CONFLICT
                    | StatusCode::UNPROCESSABLE_ENTITY
                    | StatusCode::SERVICE_UNAVAILABLE
            );
        match serde_json::from_slice::<PostAnswer>(&self.body) {
            Ok(PostAnswer { results }) if has_verdicts && results.len() == items => Ok(Verdicts {
                results,
                retry_after: self.retry_after,
            }),
            Ok(PostAnswer { results }) if self.status.is_success() => Err(PostError::bad_answer(&format!(
                "it has {} verdicts for {items} items",
                results.len()
            ))),
            Err(error) if self.status.is_success() => Err(PostError::bad_answer(&error.to_string())),
            _ => Err(self.error()),
        }
    }

    /// The document of a success.
    pub fn document<T: DeserializeOwned>(&self) -> Result<T, PostError> {
        if !self.status.is_success() {
            return Err(self.error());
        }
        serde_json::from_slice(&self.body).map_err(|error| PostError::bad_answer(&error.to_string()))
    }

    /// What the answer says is wrong with what was sent, if another attempt would not change that.
    pub fn refusal(&self) -> Option<ItemError> {
        if !matches!(self.status.as_u16(), 400 | 413 | 422) {
            return None;
        }
        let problem = self.problem();
        let code = problem.reason.or(problem.code);
        Some(ItemError {
            code: code.unwrap_or_else(|| Failure::Status(self.status.as_u16()).to_string()),
            field: problem.field,
            detail: problem
                .detail
                .unwrap_or_else(|| describe(self.status, &self.body)),
        })
    }

    /// Whether it is the problem with this code.
    pub fn is_problem(&self, code: &str) -> bool {
        !self.status.is_success() && self.problem().code.as_deref() == Some(code)
    }

    fn problem(&self) -> Problem {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn error(&self) -> PostError {
        PostError {
            failure: Failure::Status(self.status.as_u16()),
            detail: describe(self.status, &self.body),
            retry_after: self.retry_after,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, items: usize, expected: &str) {
        let answer = Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            retry_after: None,
            body: body.into(),
        };
        let answer = match answer.verdicts(items) {
            Ok(Verdicts { results, .. }) => format!("{results:?}"),
            Err(error) => format!("{error} (again: {})", error.failure.is_transient()),
        };
        assert_eq!(answer, expected);
    }

    #[test]
    fn verdicts_and_refusals() {
        let accepted = r#"{"results":[{"status":"accepted","activity_id":"a"}]}"#;
        check(202, accepted, 1, "[Accepted]");
        check(
            207,
            r#"{"results":[{"status":"duplicate","activity_id":"a"},
                {"status":"rejected","activity_id":null,
                 "error":{"code":"unknown_kind","field":"kind","detail":"no"}}]}"#,
            2,
            r#"[Duplicate, Rejected { error: ItemError { code: "unknown_kind", field: Some("kind"), detail: "no" } }]"#,
        );
        check(
            409,
            r#"{"title":"Conflict","status":409,"fields":["kind"],"results":[{"status":"conflict","activity_id":"a",
                "fields":["kind"],"error":{"code":"conflict","field":"activity_id","detail":"no"}}]}"#,
            1,
            r#"[Conflict { error: ItemError { code: "conflict", field: Some("activity_id"), detail: "no" }, fields: ["kind"] }]"#,
        );
        check(409, "", 1, "the server answered 409 Conflict (again: false)");
        check(
            503,
            r#"{"title":"Unavailable","status":503,"results":[{"status":"unavailable"}]}"#,
            1,
            "[Unavailable]",
        );
        check(
            503,
            "busy",
            1,
            "the server answered 503 Service Unavailable (again: true)",
        );
        check(
            429,
            "",
            1,
            "the server answered 429 Too Many Requests (again: true)",
        );
        check(502, "", 1, "the server answered 502 Bad Gateway (again: true)");
        check(
            400,
            r#"{"title":"Bad Request","status":400,"detail":"not JSON"}"#,
            1,
            "the server answered 400: not JSON (again: false)",
        );
        check(404, "", 1, "the server answered 404 Not Found (again: false)");
        check(
            202,
            accepted,
            2,
            "the server sent an invalid answer: it has 1 verdicts for 2 items (again: false)",
        );
    }
}
