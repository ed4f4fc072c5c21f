//! Ingestion: accepts activities over HTTP and from a queue, and stores each as a fact. It depends on no later stage.

mod answer;
pub mod body;
mod config;
mod corrections;
mod events;
pub mod invocation;

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use domain::{Activity, Amount, Correction, Event, EventMapping, Intake, Rejection, RejectionCode};
use futures::StreamExt as _;
use futures::stream;
use identity::{Access, Caller, Posts};
use jiff::{SignedDuration, Timestamp};
use lambda_http::http::Method;
use lambda_http::{Request, RequestExt as _, Response};
use problem::Problem;
use problem::body::{check_headers, decode};
use queue::Queues;
use serde_json::value::RawValue;
use store::inserts::MAX_STATEMENTS;
use store::{Activities, Received, Recorded, StoreError};
use telemetry::{Meter, Metric};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

pub use answer::{ItemResult, ItemStatus, Items, answer};
pub use body::MAX_ITEMS;
pub use config::{Config, MaxActivityAge, QueueUrls};

/// The most concurrent calls to the store for one request.
const CALLS_AT_ONCE: usize = 16;
/// What is not stored within this time is answered as unavailable: a client waits no longer for a store that
/// does not answer.
const STORE_WITHIN: Duration = Duration::from_secs(8);
const TOO_LATE: &str = "the store did not answer in time";
/// The time for the answer. Without it Lambda would end the invocation, and the client would get no answer.
const ANSWER_MARGIN: Duration = Duration::from_secs(1);

pub struct Ingest {
    activities: Activities,
    intake: Intake,
    /// For admins who log in: without an age limit, since they carry over what happened long ago.
    intake_of_admins: Intake,
    event_mapping: EventMapping,
    access: Access,
    /// Where activities come by a queue.
    queues: Option<Queues>,
    meter: Meter,
}

/// The activities of a request, in its order, or why each is not valid, and who posted them.
pub struct Posted {
    pub of: Items,
    items: Vec<Result<Activity, Rejection>>,
    by: Option<String>,
}

impl Ingest {
    pub fn connect(config: Config) -> anyhow::Result<Self> {
        let aws = store::aws::config_from_env()?;
        let client = aws_sdk_dynamodb::Client::new(&aws);
        let queues = config.queue.clone().map(|urls| Queues {
            client: aws_sdk_sqs::Client::new(&aws),
            queue_url: urls.main,
            dead_letter_queue_url: urls.dead_letters,
        });
        let activities = Activities::new(client, config.activities_table.clone());
        Ok(Self {
            queues,
            ..Self::new(activities, config)
        })
    }

    /// Over HTTP alone.
    pub fn new(activities: Activities, config: Config) -> Self {
        Self {
            activities,
            intake_of_admins: Intake {
                policy: config.scoring_policy.clone(),
                max_age: None,
            },
            intake: Intake {
                policy: config.scoring_policy,
                max_age: config.max_activity_age.0,
            },
            event_mapping: config.event_mapping,
            access: config.access,
            queues: None,
            meter: Meter::from_env("ingest"),
        }
    }

    pub async fn warm_up(&self) {
        self.activities.warm_up().await;
    }

    /// Answers one request, received at `received_at`, before its invocation ends.
    pub async fn handle(&self, request: Request, received_at: Timestamp) -> Response<String> {
        let deadline = Instant::now() + time_to_store(&request, received_at);
        let answered = match request.uri().path() {
            corrections::PATH => self.corrections(&request, received_at, deadline).await,
            _ => match self.parse(&request, received_at) {
                Ok(posted) => answer(posted.of, &self.keep(posted, received_at, deadline).await),
                Err(refusal) => *refusal,
            },
        };
        if request.method() == Method::HEAD {
            return problem::without_body(answered);
        }
        answered
    }

    /// Parses a request into one result per activity, and judges whether its caller may post them. If the
    /// request as a whole is refused, returns the answer to it as the error.
    pub fn parse(&self, request: &Request, received_at: Timestamp) -> Result<Posted, Box<Response<String>>> {
        let caller = self.access.caller(request.request_context_ref());
        let path = request.uri().path();
        if path != "/v1/activities" {
            let problem = if identity::is_for_admins(path) && !caller.administers {
                caller.refusal("administer Podium")
            } else {
                problem::unknown_path(path)
            };
            return Err(Box::new(problem.into_response()));
        }
        if caller.posts == Posts::Never {
            return Err(Box::new(caller.refusal("post activities").into_response()));
        }
        if request.method() != Method::POST {
            return Err(Box::new(problem::method_not_allowed(request.method(), "POST")));
        }
        let decoded = check_headers(request.headers())
            .and_then(|encoding| decode(encoding, request.body()))
            .map_err(|problem| self.refused(problem, received_at))?;
        let split = |of| Ok((of, body::split(&decoded, of)?));
        let (of, items) = body::posted(request.headers())
            .and_then(split)
            .map_err(|problem| self.refused(problem, received_at))?;
        // Without login everyone is an admin, and the limit would bind nobody.
        let is_named_admin = caller.administers && caller.name.is_some();
        let intake = if is_named_admin {
            &self.intake_of_admins
        } else {
            &self.intake
        };
        let parsed = items.into_iter().enumerate().map(|(place, raw)| {
            let received_at = received(received_at, place);
            permitted(self.activity(of, raw, intake, received_at)?, &caller)
        });
        let items = parsed.collect();
        Ok(Posted {
            of,
            items,
            by: caller.name,
        })
    }

    fn activity(
        &self,
        of: Items,
        raw: &RawValue,
        intake: &Intake,
        received_at: Timestamp,
    ) -> Result<Activity, Rejection> {
        match of {
            Items::Event | Items::EventBatch => {
                Event::of_cloud_event(raw)?.activity(&self.event_mapping, intake, received_at)
            }
            Items::Activities | Items::Corrections => intake.parse(raw, received_at, || new_id(received_at)),
        }
    }

    /// The answer to a request that is refused as a whole.
    fn refused(&self, problem: Problem, received_at: Timestamp) -> Box<Response<String>> {
        self.meter.emit(received_at, &[(Metric::Rejected, 1.0)]);
        Box::new(problem.into_response())
    }

    /// Stores the valid ones of a request, and returns the result of each. Those that are not stored by the deadline
    /// are unavailable.
    pub async fn keep(&self, posted: Posted, received_at: Timestamp, deadline: Instant) -> Vec<ItemResult> {
        let of = posted.of;
        let kept = self.store(posted, received_at, deadline).await;
        self.tell(of, &kept, received_at);
        kept.into_iter().map(|kept| kept.result).collect()
    }

    async fn store(&self, posted: Posted, received_at: Timestamp, deadline: Instant) -> Vec<Kept> {
        let mut kept = Vec::with_capacity(posted.items.len());
        let mut valid = Vec::with_capacity(posted.items.len());
        for (place, parsed) in posted.items.into_iter().enumerate() {
            match parsed {
                Ok(activity) => {
                    kept.push(Kept::of_activity(&activity));
                    valid.push((place, activity));
                }
                Err(rejection) => kept.push(Kept::rejected(rejection)),
            }
        }
        for (place, recorded) in self
            .record(&valid, posted.by.as_deref(), received_at, deadline)
            .await
        {
            kept[place].settle(posted.of, recorded);
        }
        kept
    }

    /// Logs what could not be stored, and emits the metrics of a request.
    fn tell(&self, items: Items, kept: &[Kept], received_at: Timestamp) {
        let count = |status| kept.iter().filter(|kept| kept.result.status == status).count();
        // In an outage every activity fails alike, so one line says it for all of a request.
        if let Some(first_reason) = kept.iter().find_map(|kept| kept.failure.as_deref()) {
            tracing::error!(
                items = items.many(),
                count = count(ItemStatus::Unavailable),
                first_reason,
                "What was posted could not be stored. The client is asked to send it again."
            );
        }
        let metrics = vec![
            (Metric::BatchSize, as_float(kept.len())),
            (Metric::Accepted, as_float(count(ItemStatus::Accepted))),
            (Metric::Duplicates, as_float(count(ItemStatus::Duplicate))),
            (
                Metric::Rejected,
                as_float(
                    count(ItemStatus::Rejected) + count(ItemStatus::Forbidden) + count(ItemStatus::Conflict),
                ),
            ),
            (Metric::Unavailable, as_float(count(ItemStatus::Unavailable))),
            (Metric::ActivitiesWriteUnits, write_units(kept)),
        ];
        self.emit(received_at, metrics);
    }

    /// Every request writes a line, so its length is a cost: what is nothing is left out.
    fn emit(&self, at: Timestamp, mut metrics: Vec<(Metric, f64)>) {
        metrics.retain(|(_, value)| *value > 0.0);
        self.meter.emit(at, &metrics);
    }

    /// Records activities, each with its place in the request.
    async fn record(
        &self,
        valid: &[(usize, Activity)],
        posted_by: Option<&str>,
        received_at: Timestamp,
        deadline: Instant,
    ) -> Vec<(usize, Outcome)> {
        let mut seen = HashSet::with_capacity(valid.len());
        let (first, repeated): (Vec<_>, Vec<_>) = valid
            .iter()
            .partition(|(_, activity)| seen.insert((&activity.user, &activity.id)));
        let mut recorded = Vec::with_capacity(valid.len());
        // No call takes two of one id, and a repeat is compared with the first.
        for calls in [first.chunks(MAX_STATEMENTS), repeated.chunks(1)] {
            let calls: Vec<_> = calls
                .map(|call| self.record_in_one_call(call, posted_by, received_at, deadline))
                .collect();
            let outcomes: Vec<_> = stream::iter(calls).buffered(CALLS_AT_ONCE).collect().await;
            recorded.extend(outcomes.into_iter().flatten());
        }
        recorded
    }

    async fn record_in_one_call(
        &self,
        call: &[&(usize, Activity)],
        posted_by: Option<&str>,
        received_at: Timestamp,
        deadline: Instant,
    ) -> Vec<(usize, Outcome)> {
        let received = call.iter().map(|(place, activity)| Received {
            activity,
            at: received(received_at, *place),
            posted_by,
        });
        let received: Vec<_> = received.collect();
        let mut results = vec![None; call.len()];
        let sent = self.send(&received, &mut results, deadline).await;
        let failure = sent.err().unwrap_or_default();
        let outcomes = results
            .into_iter()
            .map(|result| result.ok_or_else(|| failure.clone()));
        call.iter().map(|(place, _)| *place).zip(outcomes).collect()
    }

    /// Fills in the results that are known by the deadline. Fails with the reason if some are not.
    async fn send(
        &self,
        received: &[Received<'_>],
        results: &mut [Option<Recorded>],
        deadline: Instant,
    ) -> Result<(), String> {
        // Activities whose turn comes too late are not sent at all.
        if Instant::now() >= deadline {
            return Err(TOO_LATE.to_owned());
        }
        let recorded = timeout_at(deadline, async {
            match received {
                [only] => results[0] = Some(self.activities.record(only).await?),
                _ => self.activities.record_all(received, results).await?,
            }
            Ok::<_, StoreError>(())
        });
        match recorded.await {
            Ok(recorded) => recorded.map_err(|error| reason(&error)),
            Err(_) => Err(TOO_LATE.to_owned()),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most 100 items")]
fn as_float(count: usize) -> f64 {
    count as f64
}

fn write_units(kept: &[Kept]) -> f64 {
    kept.iter().fold(0.0, |sum, kept| sum + kept.write_units)
}

/// Why something was not stored, for the log.
fn reason(error: &StoreError) -> String {
    format!("{}: {}", error.kind(), error.with_causes())
}

/// What was recorded, or why nothing was, for the log.
type Outcome = Result<Recorded, String>;

/// What became of one activity of a request.
struct Kept {
    result: ItemResult,
    write_units: f64,
    /// Why it is unavailable, for the log.
    failure: Option<String>,
}

impl Kept {
    fn new(status: ItemStatus) -> Self {
        Self {
            result: ItemResult {
                status,
                activity_id: None,
                correction_id: None,
                user_id: None,
                first_correction_id: None,
                fields: Vec::new(),
                error: None,
            },
            write_units: 0.0,
            failure: None,
        }
    }

    /// Unavailable, until more is known.
    fn of_activity(activity: &Activity) -> Self {
        let mut kept = Self::new(ItemStatus::Unavailable);
        kept.result.activity_id = Some(activity.id.clone());
        kept.result.user_id = Some(activity.user.clone());
        kept
    }

    fn of_correction(correction: &Correction) -> Self {
        let mut kept = Self::new(ItemStatus::Unavailable);
        kept.result.correction_id = Some(correction.id.clone());
        kept.result.user_id = Some(correction.user.clone());
        kept
    }

    fn rejected(rejection: Rejection) -> Self {
        let mut kept = Self::new(match rejection.code {
            RejectionCode::Forbidden => ItemStatus::Forbidden,
            _ => ItemStatus::Rejected,
        });
        kept.result.error = Some(rejection);
        kept
    }

    fn accept(&mut self, write_units: f64) {
        self.result.status = ItemStatus::Accepted;
        self.write_units = write_units;
    }

    fn conflict(&mut self, items: Items, fields: Vec<&'static str>) {
        self.result.status = ItemStatus::Conflict;
        self.result.error = Some(answer::conflict(items, &fields));
        self.result.fields = fields;
    }

    fn settle(&mut self, items: Items, outcome: Outcome) {
        match outcome {
            Ok(Recorded::Accepted { write_units }) => self.accept(write_units),
            Ok(Recorded::Duplicate) => self.result.status = ItemStatus::Duplicate,
            Ok(Recorded::Conflict { fields }) => self.conflict(items, fields),
            Err(failure) => self.failure = Some(failure),
        }
    }
}

/// How long activities may be stored, so that the answer is sent before Lambda ends the invocation.
fn time_to_store(request: &Request, received_at: Timestamp) -> Duration {
    let Some(context) = request.lambda_context_ref() else {
        return STORE_WITHIN;
    };
    let now = u64::try_from(received_at.as_millisecond()).unwrap_or_default();
    let left = Duration::from_millis(context.deadline.saturating_sub(now));
    left.saturating_sub(ANSWER_MARGIN).min(STORE_WITHIN)
}

/// When the activity at a place of a request was received. The nanosecond tells a fact that an attempt for
/// this activity stored from one for an equal activity in the same request.
fn received(received_at: Timestamp, place: usize) -> Timestamp {
    let place = i64::try_from(place).expect("a request has few activities");
    received_at + SignedDuration::from_nanos(place)
}

/// The activity, if the caller may post for its user.
fn permitted(activity: Activity, caller: &Caller) -> Result<Activity, Rejection> {
    let detail = match &caller.posts {
        Posts::ForAnyone => return Ok(activity),
        Posts::For(user) if *user == activity.user => return own(activity),
        Posts::For(user) => format!("is not your own; you may post for {user} alone"),
        Posts::ForNoUser | Posts::Never => {
            "cannot be compared with your login, which names no user".to_owned()
        }
    };
    Err(Rejection::new(RejectionCode::Forbidden, "user_id", detail))
}

/// The activity of someone who posts for himself, unless he gives himself points or says where it is from.
fn own(activity: Activity) -> Result<Activity, Rejection> {
    if matches!(activity.amount, Some(Amount::Points(_))) {
        let detail = format!(
            "of {} can be given by others only, not by whom they are for",
            activity.kind
        );
        return Err(Rejection::new(RejectionCode::Forbidden, "points", detail));
    }
    // Mirroring leaves out what has an origin.
    if activity.origin.is_some() {
        let detail = "can be sent by other systems only";
        return Err(Rejection::new(RejectionCode::Forbidden, "origin", detail));
    }
    Ok(activity)
}

/// An id for what was sent without one.
fn new_id<Id: FromStr<Err: fmt::Debug>>(received_at: Timestamp) -> Id {
    let seconds = received_at.as_second().unsigned_abs();
    let nanos = received_at.subsec_nanosecond().unsigned_abs();
    let id = Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos));
    id.to_string()
        .parse()
        .expect("a UUID has only characters of an id")
}
