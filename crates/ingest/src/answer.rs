//! What a request is answered, from the result of each of its items.

use domain::{ActivityId, CorrectionId, Rejection, RejectionCode, UserId};
use lambda_http::Response;
use lambda_http::http::StatusCode;
use lambda_http::http::header::CONTENT_TYPE;
use problem::Problem;
use serde::Serialize;
use serde_json::json;

use crate::body::{CLOUD_EVENT, CLOUD_EVENT_BATCH};

pub const RETRY_AFTER_SECONDS: u32 = 2;

/// What a request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Items {
    Activities,
    /// One `CloudEvent`.
    Event,
    /// An array of them.
    EventBatch,
    Corrections,
}

impl Items {
    pub fn one(self) -> &'static str {
        match self {
            Self::Activities => "activity",
            Self::Event | Self::EventBatch => "event",
            Self::Corrections => "correction",
        }
    }

    pub fn many(self) -> &'static str {
        match self {
            Self::Activities => "activities",
            Self::Event | Self::EventBatch => "events",
            Self::Corrections => "corrections",
        }
    }

    /// With its article.
    pub fn a(self) -> &'static str {
        match self {
            Self::Activities => "an activity",
            Self::Event | Self::EventBatch => "an event",
            Self::Corrections => "a correction",
        }
    }

    fn id(self) -> &'static str {
        match self {
            Self::Activities => "activity_id",
            Self::Event | Self::EventBatch => "id",
            Self::Corrections => "correction_id",
        }
    }

    fn invalid(self) -> &'static str {
        match self {
            Self::Activities => "invalid_activity",
            Self::Event | Self::EventBatch => "invalid_event",
            Self::Corrections => "invalid_correction",
        }
    }

    pub fn not_one(self) -> &'static str {
        match self {
            Self::Activities => "not_an_activity",
            Self::Event | Self::EventBatch => "not_an_event",
            Self::Corrections => "not_a_correction",
        }
    }

    /// What the body of a request must be.
    pub fn expected(self) -> String {
        match self {
            Self::Activities | Self::Corrections => {
                format!("{} (a JSON object) or an array of {}", self.a(), self.many())
            }
            Self::Event => format!("an event (a JSON object); send several as {CLOUD_EVENT_BATCH}"),
            Self::EventBatch => format!("an array of events; send a single one as {CLOUD_EVENT}"),
        }
    }

    pub fn too_many(self) -> &'static str {
        match self {
            Self::Activities => "too_many_activities",
            Self::Event | Self::EventBatch => "too_many_events",
            Self::Corrections => "too_many_corrections",
        }
    }
}

/// The result of one activity or correction. Answers have one for each, in the order of the request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ItemResult {
    pub status: ItemStatus,
    /// The client's id, or the generated one if it sent none. Absent for a rejected activity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity_id: Option<ActivityId>,
    /// The same of a correction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correction_id: Option<CorrectionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The correction that had taken the activity out before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_correction_id: Option<CorrectionId>,
    /// The fields in which a conflicting activity differs from the stored one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Rejection>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemStatus {
    Accepted,
    /// The user already has this activity.
    Duplicate,
    /// The user already has another activity with this id, which stays as it was first sent.
    Conflict,
    Rejected,
    /// The caller may not post for this user.
    Forbidden,
    /// It may or may not have been stored. Sending it again with the same id is safe.
    Unavailable,
}

pub fn conflict(items: Items, fields: &[&'static str]) -> Rejection {
    let differ = if fields.len() == 1 { "differs" } else { "differ" };
    let (one, id) = (items.one(), items.id());
    let detail = format!(
        "was sent before with other content: {} {differ}. That {one} stays as it is. Send another one with another {id}",
        fields.join(", ")
    );
    Rejection::new(RejectionCode::Conflict, id, detail)
}

/// The answer to a request whose items have these results.
pub fn answer(items: Items, results: &[ItemResult]) -> Response<String> {
    let many = items.many();
    let count = |status| results.iter().filter(|result| result.status == status).count();
    let forbidden = count(ItemStatus::Forbidden);
    let rejected = count(ItemStatus::Rejected) + forbidden;
    let unavailable = count(ItemStatus::Unavailable);
    if unavailable > 0 {
        let detail = format!(
            "{unavailable} of {} {many} could not be stored. Send the same request again: {many} that were accepted are not counted twice.",
            results.len()
        );
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            .with("results", json!(results))
            .retry_after(RETRY_AFTER_SECONDS)
            .into_response();
    }
    let conflicting = count(ItemStatus::Conflict);
    if rejected + conflicting == results.len() && !results.is_empty() {
        return none_kept(items, results, conflicting, forbidden);
    }
    let status = if rejected + conflicting == 0 {
        StatusCode::ACCEPTED
    } else {
        StatusCode::MULTI_STATUS
    };
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json")
        .body(json!({ "results": results }).to_string())
        .expect("the headers are constants")
}

/// The answer if nothing was kept: the first reason, which stands for all if there is one item.
fn none_kept(items: Items, results: &[ItemResult], conflicting: usize, forbidden: usize) -> Response<String> {
    let first = results.iter().find_map(|result| result.error.as_ref());
    let first = first.map_or_else(String::new, |error| error.detail.clone());
    let of_all = results.len();
    let (one, many) = (items.one(), items.many());
    if forbidden == of_all {
        let detail = match of_all {
            1 => format!("You may not post this {one}: {first}."),
            _ => format!("You may not post any of the {of_all} {many}. The first one: {first}."),
        };
        return Problem::new(StatusCode::FORBIDDEN, "forbidden", detail)
            .field("user_id")
            .with("results", json!(results))
            .into_response();
    }
    if conflicting == 0 {
        let detail = match of_all {
            1 => format!("The {one} is not valid: {first}"),
            _ => format!("None of the {of_all} {many} is valid. The first one: {first}"),
        };
        return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, items.invalid(), detail)
            .with("results", json!(results))
            .into_response();
    }
    let detail = match of_all {
        1 => format!("The {one} is in conflict with another one: {first}."),
        _ => format!(
            "None of the {of_all} {many} is kept, {conflicting} because of a conflict. The first one: {first}"
        ),
    };
    let problem = Problem::new(StatusCode::CONFLICT, "conflict", detail).with("results", json!(results));
    match results {
        [only] => problem.with("fields", json!(only.fields)),
        _ => problem,
    }
    .into_response()
}
