//! Ingestion: accepts activities over HTTP and stores each as a fact. It depends on no later stage.

pub mod body;
mod config;

use domain::{Activity, ActivityId, Intake, Rejection, UserId};
use futures::StreamExt as _;
use futures::stream;
use jiff::Timestamp;
use lambda_http::http::header::CONTENT_TYPE;
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Request, Response};
use problem::Problem;
use serde::Serialize;
use serde_json::json;
use store::{Activities, Recorded};
use telemetry::{Meter, Metric};
use uuid::Uuid;

pub use body::{MAX_ACTIVITIES, MAX_BODY_BYTES};
pub use config::{Config, MaxActivityAge};

/// The most concurrent puts for one request.
const PUTS_AT_ONCE: usize = 16;
const RETRY_AFTER_SECONDS: u32 = 2;

pub struct Ingest {
    activities: Activities,
    intake: Intake,
    meter: Meter,
}

/// The result of one activity. Answers have one for each activity, in the order of the request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ItemResult {
    pub status: ItemStatus,
    /// The client's id, or the generated one if it sent none. Absent for a rejected activity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity_id: Option<ActivityId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Rejection>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemStatus {
    Accepted,
    /// The user already has an activity with this id, which stays as it was first sent.
    Duplicate,
    Rejected,
    /// It may or may not have been stored. Sending it again with the same id is safe.
    Unavailable,
}

impl Ingest {
    pub fn connect(config: Config) -> anyhow::Result<Self> {
        let client = aws_sdk_dynamodb::Client::new(&store::aws::config_from_env()?);
        Ok(Self::new(
            Activities::new(client, config.activities_table.clone()),
            config,
        ))
    }

    pub fn new(activities: Activities, config: Config) -> Self {
        Self {
            activities,
            intake: Intake {
                policy: config.scoring_policy,
                max_age: config.max_activity_age.0,
            },
            meter: Meter::from_env("ingest"),
        }
    }

    pub async fn warm_up(&self) {
        self.activities.warm_up().await;
    }

    /// Answers one request, received at `received_at`.
    pub async fn handle(&self, request: Request, received_at: Timestamp) -> Response<String> {
        match self.parse(&request, received_at) {
            Ok(parsed) => answer(&self.keep(parsed, received_at).await),
            Err(refusal) if request.method() == Method::HEAD => problem::without_body(*refusal),
            Err(refusal) => *refusal,
        }
    }

    /// Parses a request into one result per activity. If the request as a whole is invalid, returns the
    /// answer to it as the error.
    pub fn parse(
        &self,
        request: &Request,
        received_at: Timestamp,
    ) -> Result<Vec<Result<Activity, Rejection>>, Box<Response<String>>> {
        if request.uri().path() != "/v1/activities" {
            return Err(Box::new(
                problem::unknown_path(request.uri().path()).into_response(),
            ));
        }
        if request.method() != Method::POST {
            return Err(Box::new(problem::method_not_allowed(request.method(), "POST")));
        }
        let items = body::check_headers(request.headers()).and_then(|()| body::split(request.body()));
        let items = items.map_err(|problem| {
            self.meter.emit(received_at, &[(Metric::Rejected, 1.0)]);
            Box::new(problem.into_response())
        })?;
        let parsed = items
            .into_iter()
            .map(|raw| self.intake.parse(raw, received_at, || new_id(received_at)));
        Ok(parsed.collect())
    }

    /// Stores the valid ones, and returns the result of each.
    pub async fn keep(
        &self,
        parsed: Vec<Result<Activity, Rejection>>,
        received_at: Timestamp,
    ) -> Vec<ItemResult> {
        let kept: Vec<(ItemResult, f64)> = stream::iter(parsed)
            .map(|activity| self.keep_one(activity, received_at))
            .buffered(PUTS_AT_ONCE)
            .collect()
            .await;
        let count = |status| kept.iter().filter(|(result, _)| result.status == status).count();
        #[expect(clippy::cast_precision_loss, reason = "at most 100 items")]
        self.meter.emit(
            received_at,
            &[
                (Metric::BatchSize, kept.len() as f64),
                (Metric::Accepted, count(ItemStatus::Accepted) as f64),
                (Metric::Duplicates, count(ItemStatus::Duplicate) as f64),
                (Metric::Rejected, count(ItemStatus::Rejected) as f64),
                (Metric::Unavailable, count(ItemStatus::Unavailable) as f64),
                (
                    Metric::ActivitiesWriteUnits,
                    kept.iter().fold(0.0, |sum, (_, units)| sum + units),
                ),
            ],
        );
        kept.into_iter().map(|(result, _)| result).collect()
    }

    async fn keep_one(
        &self,
        parsed: Result<Activity, Rejection>,
        received_at: Timestamp,
    ) -> (ItemResult, f64) {
        let activity = match parsed {
            Ok(activity) => activity,
            Err(rejection) => {
                let result = ItemResult {
                    status: ItemStatus::Rejected,
                    activity_id: None,
                    user_id: None,
                    error: Some(rejection),
                };
                return (result, 0.0);
            }
        };
        let (status, write_units) = match self.activities.record(&activity, received_at).await {
            Ok(Recorded::Accepted { write_units }) => (ItemStatus::Accepted, write_units),
            Ok(Recorded::Duplicate) => (ItemStatus::Duplicate, 0.0),
            Err(error) => {
                tracing::error!(
                    kind = error.kind(),
                    error = error.with_causes(),
                    "An activity could not be stored. The client is asked to send it again."
                );
                (ItemStatus::Unavailable, 0.0)
            }
        };
        let result = ItemResult {
            status,
            activity_id: Some(activity.id),
            user_id: Some(activity.user),
            error: None,
        };
        (result, write_units)
    }
}

/// An id for an activity that was sent without one.
fn new_id(received_at: Timestamp) -> ActivityId {
    let seconds = received_at.as_second().unsigned_abs();
    let nanos = received_at.subsec_nanosecond().unsigned_abs();
    let id = Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos));
    id.to_string()
        .parse()
        .expect("a UUID has only characters of an id")
}

/// The answer to a request whose activities have these results.
pub fn answer(results: &[ItemResult]) -> Response<String> {
    let count = |status| results.iter().filter(|result| result.status == status).count();
    let (rejected, unavailable) = (count(ItemStatus::Rejected), count(ItemStatus::Unavailable));
    if unavailable > 0 {
        let detail = format!(
            "{unavailable} of {} activities could not be stored. Send the same request again: activities that were accepted are not counted twice.",
            results.len()
        );
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            .with("results", json!(results))
            .retry_after(RETRY_AFTER_SECONDS)
            .into_response();
    }
    if rejected == results.len() {
        let first = results.iter().find_map(|result| result.error.as_ref());
        let detail = match (first, rejected) {
            (Some(error), 1) => format!("The activity is not valid: {}", error.detail),
            (Some(error), _) => format!(
                "None of the {rejected} activities is valid. The first one: {}",
                error.detail
            ),
            (None, _) => "No activity is valid.".to_owned(),
        };
        return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_activity", detail)
            .with("results", json!(results))
            .into_response();
    }
    let status = if rejected == 0 {
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
