//! What becomes of an array of activities, which ingest records in few calls.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use domain::Activity;
use ingest::Ingest;
use lambda_http::{Context, RequestExt as _};
use serde_json::{Value, json};
use store::inserts::MAX_STATEMENTS;
use store::{Activities, Received, Recorded};
use tokio::net::TcpListener;

use crate::retries::{ingest, post, posted, rendered, with};
use crate::stack::http_client;
use crate::tables::{Functions, time};

const NOW: &str = "2026-11-21T10:00:00Z";
const LATER: &str = "2026-11-21T10:01:00Z";

/// What happens to a call on its way to the tables. Statements are given by place.
#[derive(Clone, Copy, Debug)]
enum Step {
    Pass,
    /// The call takes effect, and is answered with a failure.
    LoseAnswer,
    /// These statements do not take effect, and are answered with this code.
    Refuse(&'static [usize], &'static str),
    /// These take effect, and are answered with an internal error.
    LoseStatements(&'static [usize]),
    /// The first key of a `BatchGetItem` is left unprocessed.
    LeaveKey,
    Stall,
}

/// Between ingest and the tables: takes the next step with each call, and passes all after the last one.
#[derive(Clone, Default)]
struct Between(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    aws_url: String,
    steps: VecDeque<Step>,
    calls: Vec<String>,
}

impl Between {
    async fn start(functions: &Functions) -> (Self, Ingest) {
        let (between, url) = Self::listen(functions).await;
        let ingest = ingest(&url, &functions.tables.activities);
        (between, ingest)
    }

    async fn listen(functions: &Functions) -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let between = Self::default();
        between.script().aws_url.clone_from(&functions.aws_url);
        let router = axum::Router::new().fallback(pass).with_state(between.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (between, url)
    }

    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.0.lock().expect("no test panicked with it")
    }

    fn then(&self, steps: impl IntoIterator<Item = Step>) {
        self.script().steps = steps.into_iter().collect();
    }

    /// The calls since the last time, each with its number of statements: `PutItem, 25 statements`.
    fn calls(&self) -> String {
        std::mem::take(&mut self.script().calls).join(", ")
    }
}

async fn pass(State(between): State<Between>, headers: HeaderMap, body: Bytes) -> Response {
    let mut call: Value = serde_json::from_slice(&body).expect("JSON");
    let operation = headers["x-amz-target"].to_str().expect("text").rsplit('.').next();
    let (aws_url, step) = {
        let mut script = between.script();
        script.calls.push(match call["Statements"].as_array() {
            Some(statements) => format!("{} statements", statements.len()),
            None => operation.expect("an operation").to_owned(),
        });
        (
            script.aws_url.clone(),
            script.steps.pop_front().unwrap_or(Step::Pass),
        )
    };
    let mut left = Value::Null;
    match step {
        Step::Stall => std::future::pending().await,
        Step::Refuse(places, _) => {
            let statements = call["Statements"].as_array_mut().expect("statements");
            let mut place = 0..;
            statements.retain(|_| !places.contains(&place.next().expect("endless")));
        }
        Step::LeaveKey => {
            let requests = call["RequestItems"].as_object_mut().expect("requests");
            let (table, request) = requests.iter_mut().next().expect("a table");
            let key = request["Keys"].as_array_mut().expect("keys").remove(0);
            left = json!({ table: { "Keys": [key], "ConsistentRead": true } });
        }
        Step::Pass | Step::LoseAnswer | Step::LoseStatements(_) => {}
    }
    let (status, mut answer) = if call["Statements"].as_array().is_some_and(Vec::is_empty) {
        (StatusCode::OK, json!({ "Responses": [] }))
    } else {
        send(&aws_url, &headers, &call).await
    };
    let error = |code| json!({ "Error": { "Code": code, "Message": "as the test says" } });
    match step {
        Step::LoseAnswer => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Step::Refuse(places, code) => {
            let responses = answer["Responses"].as_array_mut().expect("responses");
            for &place in places {
                responses.insert(place, error(code));
            }
        }
        Step::LoseStatements(places) => {
            for &place in places {
                answer["Responses"][place] = error("InternalServerError");
            }
        }
        Step::LeaveKey => answer["UnprocessedKeys"] = left,
        Step::Pass | Step::Stall => {}
    }
    let content_type = HeaderValue::from_static("application/x-amz-json-1.0");
    (status, [("content-type", content_type)], answer.to_string()).into_response()
}

async fn send(aws_url: &str, headers: &HeaderMap, call: &Value) -> (StatusCode, Value) {
    let mut request = http_client().post(aws_url).body(call.to_string());
    for name in ["content-type", "x-amz-target", "authorization", "x-amz-date"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value.clone());
        }
    }
    let answer = request.send().await.expect("the tables answer");
    let status = answer.status();
    let body = answer.bytes().await.expect("a body");
    (status, serde_json::from_slice(&body).expect("JSON"))
}

fn activity(id: &str) -> Value {
    json!({"activity_id": id, "user_id": "ann", "program_id": "p", "kind": "task_completed"})
}

fn activities(count: usize) -> Value {
    (0..count).map(|at| activity(&format!("a{at}"))).collect()
}

fn accepted(count: usize) -> String {
    format!("202 {}", vec!["accepted"; count].join(", "))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_array_takes_a_call_for_every_25_activities_and_one_activity_a_put() {
    let functions = Functions::start("UTC").await;
    let (between, ingest) = Between::start(&functions).await;
    let check = async |body: Value, count: usize, calls: &str| {
        let got = posted(&ingest, &body, time(NOW)).await;
        assert_eq!(got, accepted(count));
        // Calls of one request are concurrent.
        let mut got: Vec<_> = between.calls().split(", ").map(str::to_owned).collect();
        got.sort_unstable();
        assert_eq!(got.join(", "), calls);
    };
    check(activities(60), 60, "10 statements, 25 statements, 25 statements").await;
    check(activity("b1"), 1, "PutItem").await;
    check(json!([activity("b2")]), 1, "PutItem").await;
    check(json!([activity("b3"), activity("b4")]), 2, "2 statements").await;

    let mixed = json!([activity("c1"), {}, activity("c2")]);
    let got = posted(&ingest, &mixed, time(NOW)).await;
    assert_eq!(got, "207 accepted, rejected, accepted");
    assert_eq!(between.calls(), "2 statements");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_repeated_within_a_request_is_compared_with_its_first() {
    let functions = Functions::start("UTC").await;
    let (between, ingest) = Between::start(&functions).await;
    let other = with(&activity("a1"), &json!({"kind": "program_check_in"}));
    let of_bob = with(&activity("a1"), &json!({"user_id": "bob"}));
    let all = json!([activity("a1"), other, activity("a1"), of_bob, activity("a2")]);
    assert_eq!(
        posted(&ingest, &all, time(NOW)).await,
        "207 accepted, conflict kind, duplicate, accepted, accepted"
    );
    assert_eq!(between.calls(), "3 statements, PutItem, PutItem");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facts_in_the_way_are_read_and_compared() {
    let functions = Functions::start("UTC").await;
    let (between, ingest) = Between::start(&functions).await;
    assert_eq!(posted(&ingest, &activities(2), time(NOW)).await, accepted(2));
    between.calls();
    let other = with(&activity("a1"), &json!({"program_id": "q"}));
    let all = json!([activity("a0"), activity("new"), other]);
    between.then([Step::Pass, Step::LeaveKey]);
    assert_eq!(
        posted(&ingest, &all, time(LATER)).await,
        "207 duplicate, accepted, conflict program_id"
    );
    assert_eq!(between.calls(), "3 statements, BatchGetItem, BatchGetItem");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inserts_whose_answer_was_lost_are_accepted() {
    let functions = Functions::start("UTC").await;
    let (between, ingest) = Between::start(&functions).await;
    between.then([Step::LoseAnswer]);
    assert_eq!(posted(&ingest, &activities(3), time(NOW)).await, accepted(3));
    assert_eq!(between.calls(), "3 statements, 3 statements, BatchGetItem");
    // Lost for what was there before, and for what is new.
    between.then([Step::LoseAnswer]);
    let other = with(&activity("a1"), &json!({"kind": "program_check_in"}));
    let all = json!([activity("a0"), other, activity("new")]);
    assert_eq!(
        posted(&ingest, &all, time(LATER)).await,
        "207 duplicate, conflict kind, accepted"
    );
    // Lost for one statement.
    between.then([Step::LoseStatements(&[1])]);
    let all = json!([activity("b0"), activity("b1"), activity("a0")]);
    assert_eq!(
        posted(&ingest, &all, time(LATER)).await,
        "202 accepted, accepted, duplicate"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttled_statement_is_sent_again_alone() {
    let functions = Functions::start("UTC").await;
    let (between, ingest) = Between::start(&functions).await;
    for (at, code) in [
        "ThrottlingError",
        "TransactionConflict",
        "ProvisionedThroughputExceeded",
    ]
    .into_iter()
    .enumerate()
    {
        between.then([Step::Refuse(&[0, 2], code), Step::Refuse(&[1], code)]);
        let all = json!([0, 1, 2].map(|place| activity(&format!("a{at}-{place}"))));
        assert_eq!(posted(&ingest, &all, time(NOW)).await, accepted(3), "{code}");
        assert_eq!(between.calls(), "3 statements, 2 statements, 1 statements");
        assert_eq!(
            posted(&ingest, &all, time(LATER)).await,
            "202 duplicate, duplicate, duplicate"
        );
        between.calls();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stays_throttled_is_unavailable_and_the_rest_stays_accepted() {
    let functions = Functions::start("UTC").await;
    let (between, ingest) = Between::start(&functions).await;
    between.then(
        [
            Step::Refuse(&[1], "ThrottlingError"),
            Step::Refuse(&[0], "ThrottlingError"),
        ]
        .into_iter()
        .chain([Step::Refuse(&[0], "ThrottlingError"); 2]),
    );
    assert_eq!(
        posted(&ingest, &activities(3), time(NOW)).await,
        "503 accepted, unavailable, accepted"
    );
    assert_eq!(
        between.calls(),
        "3 statements, 1 statements, 1 statements, 1 statements"
    );
    assert_eq!(
        posted(&ingest, &activities(3), time(LATER)).await,
        "202 duplicate, accepted, duplicate"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recorded_before_the_time_is_up_is_accepted() {
    let functions = Functions::start("UTC").await;
    let (between, ingest) = Between::start(&functions).await;
    between.then([Step::Refuse(&[0], "ThrottlingError"), Step::Stall]);
    let mut context = Context::default();
    // 3 s are left, of which the last one is for the answer.
    context.deadline = u64::try_from(time(NOW).as_millisecond()).expect("after 1970") + 3_000;
    let request = post(&activities(2)).with_lambda_context(context);
    let answer = ingest.handle(request, time(NOW)).await;
    assert_eq!(rendered(&answer), "503 unavailable, accepted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_is_refused_for_good_is_not_sent_again() {
    let functions = Functions::start("UTC").await;
    let (between, url) = Between::listen(&functions).await;
    let store = Activities::new(
        aws_sdk_dynamodb::Client::new(&local::sdk_config(&url)),
        functions.tables.activities.clone(),
    );
    let parsed: Vec<Activity> = (0..3)
        .map(|at| Activity {
            id: format!("a{at}").parse().expect("an id"),
            user: "ann".parse().expect("an id"),
            program: "p".parse().expect("an id"),
            kind: "task_completed".parse().expect("a kind"),
            occurred_at: time(NOW),
            amount: None,
            metadata: None,
            origin: None,
        })
        .collect();
    let received: Vec<_> = parsed
        .iter()
        .map(|activity| Received {
            activity,
            at: time(NOW),
            posted_by: None,
        })
        .collect();
    between.then([Step::Refuse(&[1], "ValidationError")]);
    let mut results = vec![None; 3];
    let error = store
        .record_all(&received, &mut results)
        .await
        .expect_err("one is refused");
    assert_eq!(
        error.with_causes(),
        "recording activities failed: ValidationError: as the test says"
    );
    assert_eq!(between.calls(), "3 statements");
    // The units of a call stand with its first insert.
    let recorded = |write_units| Some(Recorded::Accepted { write_units });
    assert_eq!(results, [recorded(2.0), None, recorded(0.0)]);

    // A call that the table refuses as a whole.
    let twice = [received[1], received[1]];
    let mut results = vec![None; 2];
    let error = store
        .record_all(&twice, &mut results)
        .await
        .expect_err("two for one item");
    assert!(
        error.with_causes().contains("duplicates"),
        "{}",
        error.with_causes()
    );
    assert_eq!(results, [None, None]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_call_of_which_nothing_happened_is_sent_again() {
    const EVERY: [usize; MAX_STATEMENTS] = {
        let mut every = [0; MAX_STATEMENTS];
        let mut at = 0;
        while at < MAX_STATEMENTS {
            every[at] = at;
            at += 1;
        }
        every
    };
    let functions = Functions::start("UTC").await;
    let (between, ingest) = Between::start(&functions).await;
    between.then([Step::Refuse(&EVERY, "ThrottlingError"); 3]);
    let got = posted(&ingest, &activities(MAX_STATEMENTS), time(NOW)).await;
    assert_eq!(got, accepted(MAX_STATEMENTS));
    assert_eq!(between.calls(), ["25 statements"; 4].join(", "));
}
