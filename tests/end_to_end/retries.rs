//! What a client learns when it sends an activity again, or when the store does not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_credential_types::Credentials;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use domain::EventMapping;
use identity::Access;
use ingest::{Config, Ingest, MaxActivityAge};
use jiff::Timestamp;
use lambda_http::http::Request;
use lambda_http::{Body, Context, RequestExt as _};
use local::settings;
use serde_json::{Value, json};
use store::Activities;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::stack::http_client;
use crate::tables::{Functions, time};

pub fn post(body: &Value) -> Request<Body> {
    Request::post("http://localhost/v1/activities")
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .expect("a request")
}

/// Posts at `now` and renders the answer.
pub async fn posted(ingest: &Ingest, body: &Value, now: Timestamp) -> String {
    rendered(&ingest.handle(post(body), now).await)
}

/// The status, and each result with the fields that differ.
pub fn rendered(response: &lambda_http::Response<String>) -> String {
    let answer: Value = serde_json::from_str(response.body()).expect("JSON");
    let results = answer["results"].as_array().expect("results");
    let results = results.iter().map(|result| {
        let fields = result["fields"].as_array().into_iter().flatten();
        let fields = fields.map(|field| format!(" {}", field.as_str().expect("a name")));
        format!(
            "{}{}",
            result["status"].as_str().expect("a status"),
            fields.collect::<String>()
        )
    });
    let results: Vec<_> = results.collect();
    format!("{} {}", response.status().as_u16(), results.join(", "))
}

pub fn with(activity: &Value, changes: &Value) -> Value {
    let mut other = activity.clone();
    for (name, value) in changes.as_object().expect("an object") {
        other[name] = value.clone();
    }
    other
}

#[tokio::test]
async fn an_activity_sent_again_is_a_duplicate_and_another_one_with_its_id_a_conflict() {
    let functions = Functions::start("UTC").await;
    let [first, later] = ["2026-11-21T10:00:00Z", "2026-11-21T10:01:00Z"].map(time);
    let check = async |body: Value, now, expected: &str| {
        assert_eq!(posted(&functions.ingest, &body, now).await, expected, "{body}");
    };
    let full = json!({"activity_id": "a1", "user_id": "ann", "program_id": "p", "kind": "task_completed",
        "occurred_at": "2026-11-20T09:00:00.5Z", "metadata": {"a": 1, "b": [2]}});
    let bare = json!({"activity_id": "a2", "user_id": "ann", "program_id": "p", "kind": "task_completed"});
    check(json!([full, bare]), first, "202 accepted, accepted").await;
    check(json!([full, bare]), later, "202 duplicate, duplicate").await;
    check(full.clone(), later, "202 duplicate").await;

    let other_program = with(&full, &json!({"program_id": "q"}));
    check(other_program.clone(), later, "409 conflict program_id").await;
    let other_all = with(
        &full,
        &json!({"program_id": "q", "kind": "program_check_in", "occurred_at": "2026-11-20T09:00:00Z", "metadata": {}}),
    );
    check(
        other_all.clone(),
        later,
        "409 conflict program_id kind occurred_at metadata",
    )
    .await;
    check(
        json!([other_program, other_all]),
        later,
        "409 conflict program_id, conflict program_id kind occurred_at metadata",
    )
    .await;
    check(
        json!([other_program, {}, bare]),
        later,
        "207 conflict program_id, rejected, duplicate",
    )
    .await;
    // What was not sent differs from nothing, and the same instant and JSON are the same.
    let short = json!({"activity_id": "a1", "user_id": "ann", "program_id": "p", "kind": "task_completed"});
    check(short, later, "202 duplicate").await;
    let restyled = with(
        &full,
        &json!({"occurred_at": "2026-11-20T10:00:00.500+01:00", "metadata": {"b": [2], "a": 1}}),
    );
    check(restyled, later, "202 duplicate").await;
    check(
        with(&bare, &json!({"occurred_at": "2026-11-20T09:00:00Z"})),
        later,
        "202 duplicate",
    )
    .await;
    check(
        with(&bare, &json!({"metadata": {}})),
        later,
        "409 conflict metadata",
    )
    .await;
    // The same id of another user is another activity.
    check(
        with(&other_program, &json!({"user_id": "bob"})),
        later,
        "202 accepted",
    )
    .await;
    // Within one request as well: the first is accepted.
    let both = json!([
        with(&bare, &json!({"activity_id": "a3"})),
        with(&bare, &json!({"activity_id": "a3", "kind": "program_check_in"}))
    ]);
    check(both, later, "207 accepted, conflict kind").await;
}

/// Passes a request on, but answers the first put of an activity with a failure after it was stored.
async fn lose_first_answer(
    State((aws_url, is_lost)): State<(String, Arc<AtomicBool>)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut request = http_client().post(aws_url).body(body);
    for name in ["content-type", "x-amz-target", "authorization", "x-amz-date"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value.clone());
        }
    }
    let answer = request.send().await.expect("the tables answer");
    if !is_lost.swap(true, Ordering::Relaxed) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let status = answer.status();
    let body = answer.bytes().await.expect("a body");
    let content_type = HeaderValue::from_static("application/x-amz-json-1.0");
    (status, [("content-type", content_type)], body).into_response()
}

pub fn ingest(aws_url: &str, table: &str) -> Ingest {
    let credentials = Credentials::new("id", "secret", None, None, "test");
    let aws = store::aws::config("us-east-1".into(), credentials, Some(aws_url.to_owned()));
    let config = Config {
        activities_table: table.to_owned(),
        scoring_policy: settings::SCORING_POLICY.parse().expect("a policy"),
        max_activity_age: MaxActivityAge(None),
        event_mapping: EventMapping::default(),
        queue: None,
        access: Access::open(),
    };
    let client = aws_sdk_dynamodb::Client::new(&aws);
    Ingest::new(Activities::new(client, table.to_owned()), config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_write_whose_answer_was_lost_is_accepted() {
    let functions = Functions::start("UTC").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let is_lost = Arc::new(AtomicBool::new(false));
    let state = (functions.aws_url.clone(), Arc::clone(&is_lost));
    let router = axum::Router::new().fallback(lose_first_answer).with_state(state);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let ingest = ingest(&url, &functions.tables.activities);

    let now = time("2026-11-21T10:00:00Z");
    let activity =
        json!({"activity_id": "a1", "user_id": "ann", "program_id": "p", "kind": "task_completed"});
    assert_eq!(posted(&ingest, &activity, now).await, "202 accepted");
    assert!(is_lost.load(Ordering::Relaxed), "no answer was lost");
    assert_eq!(posted(&ingest, &activity, now).await, "202 duplicate");
    // An answer lost for an activity that was there before.
    is_lost.store(false, Ordering::Relaxed);
    let later = time("2026-11-21T10:01:00Z");
    assert_eq!(posted(&ingest, &activity, later).await, "202 duplicate");
    is_lost.store(false, Ordering::Relaxed);
    let other = with(&activity, &json!({"kind": "program_check_in"}));
    assert_eq!(posted(&ingest, &other, later).await, "409 conflict kind");
}

/// The clock stands still and jumps to the next timer, so that nothing is waited for.
#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_unavailable_before_the_invocation_ends() {
    // It accepts connections and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let ingest = ingest(&url, "activities");
    let now = time("2026-11-21T10:00:00Z");
    let mut context = Context::default();
    // 1.2 s are left, of which the last second is for the answer.
    context.deadline = u64::try_from(now.as_millisecond()).expect("after 1970") + 1_200;
    let activity = json!({"user_id": "ann", "program_id": "p", "kind": "task_completed"});
    let all = vec![activity; ingest::MAX_ITEMS];
    let request = post(&Value::from(all)).with_lambda_context(context);
    let log = tempfile::NamedTempFile::new().expect("a file");
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(Arc::new(log.reopen().expect("it is there")))
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);

    let begun = Instant::now();
    let response = ingest.handle(request, now).await;
    assert!(
        begun.elapsed() < Duration::from_millis(1_200),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (503, &HeaderValue::from_static("2"))
    );
    let answer: Value = serde_json::from_str(response.body()).expect("JSON");
    let results = answer["results"].as_array().expect("results");
    assert_eq!(results.len(), ingest::MAX_ITEMS);
    assert!(
        results.iter().all(|result| result["status"] == "unavailable"),
        "{answer}"
    );
    let log = std::fs::read_to_string(log.path()).expect("text");
    assert!(
        log.contains("count=100") && log.lines().count() == 1,
        "one line for all: {log}"
    );
}
