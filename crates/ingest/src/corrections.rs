//! Corrections: admins take activities out or add points, and list what was corrected.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{Correction, CorrectionId, Fact, FactId, Rejection, RejectionCode, UserId, Void};
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use lambda_http::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Request, RequestExt as _, Response};
use problem::body::{check_headers, decode};
use problem::query::{self, Query};
use problem::{Problem, invalid};
use serde::Serialize;
use serde_json::json;
use store::StoreError;
use store::corrections::{Corrected, CorrectionsPage, RecordedCorrection};
use tokio::time::{Instant, timeout_at};

use crate::answer::{ItemStatus, Items, answer};
use crate::{CALLS_AT_ONCE, Ingest, Kept, TOO_LATE, body, new_id, reason, received};

pub const PATH: &str = "/v1/corrections";
const LISTED_MAX: u16 = 1_000;
const LISTED_DEFAULT: u16 = 100;

/// A correction as it is listed.
#[derive(Serialize)]
struct Listed<'a> {
    correction_id: &'a CorrectionId,
    user_id: &'a UserId,
    program_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    voids: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    points: Option<i32>,
    occurred_at: Timestamp,
    received_at: Timestamp,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    posted_by: Option<&'a str>,
}

/// Which corrections to list.
struct Listing {
    user: UserId,
    after: Option<String>,
    limit: u16,
}

impl Ingest {
    pub(crate) async fn corrections(
        &self,
        request: &Request,
        received_at: Timestamp,
        deadline: Instant,
    ) -> Response<String> {
        let caller = self.access.caller(request.request_context_ref());
        if !caller.administers {
            return caller.refusal("correct points").into_response();
        }
        match *request.method() {
            Method::POST => match self.parse_corrections(request, received_at) {
                Ok(parsed) => {
                    let by = caller.name.as_deref();
                    self.correct(parsed, by, received_at, deadline).await
                }
                Err(refusal) => *refusal,
            },
            Method::GET | Method::HEAD => match Listing::of(request) {
                Ok(listing) => self.list(&listing, deadline).await,
                Err(problem) => problem.into_response(),
            },
            _ => problem::method_not_allowed(request.method(), "GET, HEAD, POST"),
        }
    }

    fn parse_corrections(
        &self,
        request: &Request,
        received_at: Timestamp,
    ) -> Result<Vec<Result<Correction, Rejection>>, Box<Response<String>>> {
        let decoded = check_headers(request.headers())
            .and_then(|encoding| decode(encoding, request.body()))
            .map_err(|problem| self.refused(problem, received_at))?;
        let items = body::split(&decoded, Items::Corrections)
            .map_err(|problem| self.refused(problem, received_at))?;
        let parsed = items.into_iter().enumerate().map(|(place, raw)| {
            let received_at = received(received_at, place);
            Correction::parse(raw, received_at, || new_id(received_at))
        });
        Ok(parsed.collect())
    }

    /// Records the valid ones. Those that are not recorded by the deadline are unavailable.
    async fn correct(
        &self,
        parsed: Vec<Result<Correction, Rejection>>,
        by: Option<&str>,
        received_at: Timestamp,
        deadline: Instant,
    ) -> Response<String> {
        let calls: Vec<_> = parsed
            .into_iter()
            .enumerate()
            .map(|(place, parsed)| self.correct_one(parsed, by, received(received_at, place), deadline))
            .collect();
        let kept: Vec<Kept> = stream::iter(calls).buffered(CALLS_AT_ONCE).collect().await;
        self.tell(Items::Corrections, &kept, received_at);
        let results: Vec<_> = kept.into_iter().map(|kept| kept.result).collect();
        answer(Items::Corrections, &results)
    }

    async fn correct_one(
        &self,
        parsed: Result<Correction, Rejection>,
        by: Option<&str>,
        received_at: Timestamp,
        deadline: Instant,
    ) -> Kept {
        let correction = match parsed {
            Ok(correction) => correction,
            Err(rejection) => return Kept::rejected(rejection),
        };
        let mut kept = Kept::of_correction(&correction);
        let corrected = timeout_at(deadline, self.activities.correct(&correction, received_at, by)).await;
        match corrected {
            Ok(Ok(Corrected::Accepted { write_units })) => kept.accept(write_units),
            Ok(Ok(Corrected::Duplicate { first })) => {
                kept.result.status = ItemStatus::Duplicate;
                kept.result.first_correction_id = Some(first).filter(|first| *first != correction.id);
            }
            Ok(Ok(Corrected::Conflict { fields })) => kept.conflict(Items::Corrections, fields),
            Ok(Ok(Corrected::UnknownActivity)) => {
                let detail = format!(
                    "names an activity that {} does not have; check user_id and activity_id, and if the activity is yet to be posted, post it first",
                    correction.user
                );
                return Kept::rejected(Rejection::new(RejectionCode::UnknownActivity, "voids", detail));
            }
            Ok(Err(error)) => kept.failure = Some(reason(&error)),
            Err(_) => kept.failure = Some(TOO_LATE.to_owned()),
        }
        kept
    }

    async fn list(&self, listing: &Listing, deadline: Instant) -> Response<String> {
        let page = self
            .activities
            .corrections(&listing.user, listing.after.as_deref(), listing.limit);
        let (failure, is_corrupt) = match timeout_at(deadline, page).await {
            Ok(Ok(page)) => return listed(&page),
            Ok(Err(error)) => (reason(&error), matches!(error, StoreError::Corrupt { .. })),
            Err(_) => (TOO_LATE.to_owned(), false),
        };
        tracing::error!(failure, "Corrections could not be read.");
        if is_corrupt {
            let detail = "A stored correction cannot be decoded. Trying again does not help; tell the operator of Podium.";
            return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "corrupt_data", detail).into_response();
        }
        let detail = "The corrections cannot be read at the moment. Try again in a few seconds.";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            .retry_after(crate::answer::RETRY_AFTER_SECONDS)
            .into_response()
    }
}

fn listed(page: &CorrectionsPage) -> Response<String> {
    let corrections: Vec<_> = page.corrections.iter().filter_map(Listed::of).collect();
    let next_cursor = page.next.as_ref().map(|id| URL_SAFE_NO_PAD.encode(id));
    Response::builder()
        .status(StatusCode::OK)
        .header(CONTENT_TYPE, "application/json")
        .header(CACHE_CONTROL, "no-store")
        .body(json!({ "corrections": corrections, "next_cursor": next_cursor }).to_string())
        .expect("the headers are constants")
}

impl<'a> Listed<'a> {
    /// `None` for an activity, which is no correction.
    fn of(recorded: &'a RecordedCorrection) -> Option<Self> {
        let fact = &recorded.fact;
        let (correction_id, reason, voids, kind, points) = match fact {
            Fact::Activity(_) => return None,
            Fact::Void(Void {
                correction,
                reason,
                activity,
                ..
            }) => (
                correction,
                reason,
                Some(activity.id.as_str()),
                Some(activity.kind.as_str()),
                None,
            ),
            Fact::Adjustment(adjustment) => (
                &adjustment.correction,
                &adjustment.reason,
                None,
                None,
                Some(adjustment.points),
            ),
        };
        Some(Self {
            correction_id,
            user_id: fact.user(),
            program_id: fact.program().as_str(),
            voids,
            kind,
            points,
            occurred_at: fact.occurred_at(),
            received_at: recorded.received_at,
            reason: reason.as_str(),
            posted_by: recorded.posted_by.as_deref(),
        })
    }
}

impl Listing {
    fn of(request: &Request) -> Result<Self, Problem> {
        let mut query = Query::parse(request.uri().query().unwrap_or_default())?;
        let Some(user) = query.take("user_id") else {
            let detail = "The parameter user_id is missing. Set it to the id of a user.";
            return Err(invalid("invalid_parameter", "user_id", detail.to_owned()));
        };
        let user = user
            .parse()
            .map_err(|error| invalid("invalid_parameter", "user_id", format!("The user_id {error}.")))?;
        let after = query.take("cursor").map(|cursor| {
            let id = URL_SAFE_NO_PAD.decode(&cursor).ok();
            id.and_then(|id| String::from_utf8(id).ok())
                .filter(|id| id.starts_with(FactId::OF_CORRECTIONS))
                .ok_or_else(|| query::invalid_cursor(&cursor))
        });
        let listing = Self {
            user,
            after: after.transpose()?,
            limit: query.number("limit", LISTED_DEFAULT, 1..=LISTED_MAX)?,
        };
        query.finish()?;
        Ok(listing)
    }
}
