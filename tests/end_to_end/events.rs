//! Events that others send: `CloudEvents` over HTTP, and what comes by the queue of events.

use std::time::Duration;

use domain::{Activity, Amount, EventMapping, Intake, Rejection};
use identity::Access;
use ingest::{Ingest, MAX_ITEMS, MaxActivityAge};
use lambda_http::Body;
use lambda_http::http::Request;
use local::faults::{Fault, Faults};
use local::sqs::NewMessage;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use store::Activities;

use crate::stack::{TestStack, eventually};
use crate::tables::{Functions, reason_of, time};

const NOW: &str = "2026-11-21T10:00:00Z";
const CASES_MIN: usize = 200;
const EVENT: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";

/// What the events of the corpus are mapped by.
const MAPPING: &str = r#"{
    "com.example.someotherevent": {
        "map": {"user_id": "data.appinfoA", "program_id": "source", "metadata.b": "data.appinfoB", "metadata.c": "data.appinfoC"},
        "set": {"kind": "program_check_in"}},
    "com.github.pull_request.opened": {
        "map": {"user_id": "data.sender.login", "program_id": "data.repository.full_name", "metadata.pull_request": "subject"},
        "set": {"kind": "task_completed", "metadata.via": "github"}},
    "com.example.course.completed": {
        "map": {"user_id": "subject", "program_id": "data.course", "quantity": "data.hours", "occurred_at": "data.at",
            "metadata.source": "source", "metadata.type": "type", "metadata.event": "id"},
        "set": {"kind": "hours_learned"}},
    "com.example.nap.taken": {"map": {"user_id": "data.who"}, "set": {"program_id": "p", "kind": "nap_taken"}}}"#;
const POLICY: &str = r#"[{"effective_from": "1970-01-01T00:00:00Z", "points": {"task_completed": 10, "program_check_in": 5,
    "hours_learned": {"per": 1, "points": 2}, "award": {"given": {"max": 25}}}}]"#;

/// A line of the corpus: an event, and the activity that it is or what is wrong with it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    event: Box<RawValue>,
    activity: Option<Value>,
    error: Option<NamedError>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedError {
    code: String,
    field: String,
}

fn corpus() -> Vec<Case> {
    let lines = include_str!("../corpus/cloud_events.jsonl").lines();
    let cases =
        lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")));
    cases.collect()
}

fn mapping() -> EventMapping {
    MAPPING.parse().expect("a mapping")
}

fn parse(event: &RawValue) -> Result<Activity, Rejection> {
    let intake = Intake {
        policy: POLICY.parse().expect("a policy"),
        max_age: None,
    };
    domain::Event::of_cloud_event(event)?.activity(&mapping(), &intake, time(NOW))
}

/// An activity as a client would write it.
fn written(activity: &Activity) -> Value {
    let mut fields = json!({
        "activity_id": activity.id,
        "user_id": activity.user,
        "program_id": activity.program,
        "kind": activity.kind,
        "occurred_at": activity.occurred_at,
    });
    match activity.amount {
        Some(Amount::Quantity(quantity)) => fields["quantity"] = quantity.into(),
        Some(Amount::Points(points)) => fields["points"] = points.into(),
        None => {}
    }
    if let Some(metadata) = &activity.metadata {
        fields["metadata"] = serde_json::from_str(metadata.as_str()).expect("JSON");
    }
    fields
}

fn named(error: &Value) -> NamedError {
    NamedError::deserialize(json!({ "code": error["code"], "field": error["field"] })).expect("an error")
}

/// Posts to ingest over the tables of `functions`.
async fn handle(functions: &Functions, content_type: &str, body: &str) -> (u16, Value) {
    let ingest = Ingest::new(
        Activities::new(functions.client.clone(), functions.tables.activities.clone()),
        ingest::Config {
            activities_table: functions.tables.activities.clone(),
            scoring_policy: POLICY.parse().expect("a policy"),
            max_activity_age: MaxActivityAge(None),
            event_mapping: mapping(),
            queue: None,
            access: Access::open(),
        },
    );
    let request = Request::post("http://localhost/v1/activities").header("content-type", content_type);
    let request = request.body(Body::from(body)).expect("a request");
    let response = ingest.handle(request, time(NOW)).await;
    let answer = serde_json::from_str(response.body()).expect("JSON");
    (response.status().as_u16(), answer)
}

#[test]
fn every_event_of_the_corpus_is_its_activity_or_has_its_error() {
    let corpus = corpus();
    assert!(corpus.len() >= CASES_MIN, "only {} cases", corpus.len());
    let mut wrong = Vec::new();
    for Case {
        event,
        activity,
        error,
    } in corpus
    {
        let got = match parse(&event) {
            Ok(activity) => (Some(written(&activity)), None),
            Err(rejection) => (None, Some(named(&json!(rejection)))),
        };
        let expected = (activity, error);
        if got != expected {
            wrong.push(format!("{event:.300}\n  is {got:?},\n not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A change of one member at a time, for each event of the corpus.
#[test]
fn no_change_of_an_event_has_an_error_without_a_field() {
    let values = [
        "null",
        "true",
        "0",
        "1e400",
        r#""""#,
        r#""a b""#,
        r#""\ud800""#,
        r#""\u0000""#,
        "{}",
        "[]",
        r#"{"x":1}"#,
    ];
    let mut judged = 0;
    for Case { event, .. } in corpus() {
        let Ok(members) = domain::json::object(event.get().as_bytes()) else {
            continue;
        };
        for at in 0..members.len() {
            for value in values {
                let changed = members.iter().enumerate().map(|(place, (name, old))| {
                    let value = if place == at { value } else { old.get() };
                    (name.clone(), value.to_owned())
                });
                let changed = domain::compose::object(&changed.collect::<Vec<_>>());
                let changed = RawValue::from_string(changed).expect("JSON");
                if let Err(rejection) = parse(&changed) {
                    let is_told = !rejection.field.is_empty() && !rejection.detail.is_empty();
                    assert!(is_told, "{changed}: {rejection:?}");
                }
                judged += 1;
            }
        }
    }
    assert!(judged > 10_000, "only {judged}");
}

#[tokio::test]
async fn the_corpus_in_batches_has_one_result_for_each_event() {
    let functions = Functions::start("UTC").await;
    let corpus = corpus();
    for cases in corpus.chunks(MAX_ITEMS) {
        let events: Vec<_> = cases.iter().map(|case| case.event.get()).collect();
        let (status, answer) = handle(&functions, BATCH, &format!("[{}]", events.join(","))).await;
        assert_eq!(status, 207, "{answer}");
        let results = answer["results"].as_array().expect("results");
        assert_eq!(results.len(), cases.len());
        for (case, result) in cases.iter().zip(results) {
            if let Some(error) = &case.error {
                assert_eq!(named(&result["error"]), *error, "{case:?}");
                continue;
            }
            // Several events of the corpus have the same source and id, and differ in their data.
            let status = result["status"].as_str().expect("a status");
            assert!(
                matches!(status, "accepted" | "duplicate" | "conflict"),
                "{case:?}: {result}"
            );
        }
    }
}

#[tokio::test]
async fn the_content_type_says_whether_a_request_has_one_event_or_a_batch() {
    let functions = Functions::start("UTC").await;
    let event = json!({"specversion": "1.0", "id": "1", "source": "/lms", "type": "t",
        "data": {"user_id": "ann", "program_id": "p", "kind": "task_completed"}});
    let batch = json!([event]).to_string();
    let event = event.to_string();
    let too_many = format!("[{}]", vec![event.as_str(); MAX_ITEMS + 1].join(","));
    for (content_type, body, expected) in [
        (EVENT, event.as_str(), (202, "accepted")),
        (
            "Application/CloudEvents+JSON; charset=UTF-8",
            &event,
            (202, "duplicate"),
        ),
        (BATCH, &batch, (202, "duplicate")),
        // CloudEvents has it that a batch may be empty.
        (BATCH, "[]", (202, "")),
        (EVENT, &batch, (422, "not_an_event")),
        (EVENT, "7", (422, "not_an_event")),
        (BATCH, &event, (422, "not_an_event")),
        (BATCH, &too_many, (413, "too_many_events")),
        (EVENT, "{}", (422, "invalid_event")),
        ("application/json", &event, (422, "invalid_activity")),
        ("application/cloudevents", &event, (415, "unsupported_media_type")),
    ] {
        let (status, answer) = handle(&functions, content_type, body).await;
        let word = answer["code"]
            .as_str()
            .or(answer["results"][0]["status"].as_str());
        assert_eq!(
            (status, word.unwrap_or_default()),
            expected,
            "{content_type} {body:.80}: {answer}"
        );
    }
}

#[tokio::test]
async fn an_event_in_binary_mode_is_refused_since_its_data_have_no_id() {
    let functions = Functions::start("UTC").await;
    let request = Request::post("http://localhost/v1/activities")
        .header("content-type", "application/json")
        .header("ce-specversion", "1.0")
        .body(Body::from(
            r#"{"user_id":"ann","program_id":"p","kind":"task_completed"}"#,
        ))
        .expect("a request");
    let response = functions.ingest.handle(request, time(NOW)).await;
    let answer: Value = serde_json::from_str(response.body()).expect("JSON");
    assert_eq!(
        (response.status().as_u16(), &answer["field"]),
        (415, &json!("ce-specversion"))
    );
    assert!(
        answer["detail"].as_str().expect("text").contains(EVENT),
        "{answer}"
    );
}

#[tokio::test]
async fn an_event_that_is_sent_again_with_other_data_is_in_conflict() {
    let functions = Functions::start("UTC").await;
    let event = |kind| {
        json!({"specversion": "1.0", "id": "1", "source": "/lms", "type": "t",
            "data": {"user_id": "ann", "program_id": "p", "kind": kind}})
    };
    handle(&functions, EVENT, &event("task_completed").to_string()).await;
    let (status, answer) = handle(&functions, EVENT, &event("program_check_in").to_string()).await;
    assert_eq!((status, &answer["fields"]), (409, &json!(["kind"])));
    let error = &answer["results"][0]["error"];
    assert_eq!(
        (&error["code"], &error["field"]),
        (&json!("conflict"), &json!("id"))
    );
    let detail = error["detail"].as_str().expect("text");
    assert!(detail.contains("Send another one with another id"), "{detail}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_event_and_a_duplicate_in_a_batch_reject_nothing_else() {
    let stack = TestStack::start(|config| MAPPING.clone_into(&mut config.event_mapping)).await;
    let event = |id: &str, user: &str| {
        json!({"specversion": "1.0", "id": id, "source": "/github", "type": "com.github.pull_request.opened",
            "data": {"sender": {"login": user}, "repository": {"full_name": "owner/repo"}}})
    };
    let batch = json!([
        event("1", "ann"),
        event("1", "ann"),
        event("2", "a b"),
        event("3", "bob")
    ]);
    for first in ["accepted", "duplicate"] {
        let request = stack.http.post(format!("{}/v1/activities", stack.stack.web_url));
        let request = request.header("content-type", BATCH).body(batch.to_string());
        let response = request.send().await.expect("the stack answers");
        assert_eq!(response.status(), 207);
        let answer: Value = response.json().await.expect("results");
        let results = answer["results"].as_array().expect("results");
        let statuses: Vec<_> = results.iter().map(|result| &result["status"]).collect();
        assert_eq!(statuses, [first, "duplicate", "rejected", first], "{answer}");
        assert_eq!(results[2]["error"]["field"], "data.sender.login");
    }
    stack.wait_until_counted(2).await;
    stack.stop().await;
}

/// Sends bodies to the queue of events.
fn send(stack: &TestStack, bodies: &[Value]) {
    let messages = bodies.iter().map(|body| NewMessage::new(body.to_string()));
    for sent in stack.stack.events_queue.send_batch(messages.collect()) {
        sent.expect("the queue takes it");
    }
}

/// The reasons of the dead letters of events, once there are so many.
async fn reasons(stack: &TestStack, count: usize) -> Vec<String> {
    let dead_letters = &stack.stack.events_dead_letter_queue;
    eventually("the dead letters are there", || {
        dead_letters.depth().visible >= count
    })
    .await;
    let received = dead_letters.receive(10, Duration::ZERO, None).await;
    let reasons = received
        .iter()
        .map(|dead_letter| reason_of(dead_letter).join(": "));
    let mut reasons: Vec<_> = reasons.collect();
    reasons.sort();
    reasons
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_to_the_queue_is_counted_once_and_what_is_no_activity_is_a_dead_letter() {
    let stack = TestStack::start(|config| MAPPING.clone_into(&mut config.event_mapping)).await;
    let of_bus = |user: &str| {
        json!({"version": "0", "id": "1", "detail-type": "com.github.pull_request.opened", "source": "com.github",
            "account": "111122223333", "time": "2026-11-21T09:00:00Z", "region": "us-east-1", "resources": [],
            "detail": {"sender": {"login": user}, "repository": {"full_name": "owner/repo"}}})
    };
    let cloud_event = |kind: &str| {
        json!({"specversion": "1.0", "id": "1", "source": "/lms", "type": "t",
            "data": {"user_id": "bob", "program_id": "p", "kind": kind}})
    };
    let plain = json!({"activity_id": "a-1", "user_id": "cy", "program_id": "p", "kind": "task_completed"});
    send(
        &stack,
        &[of_bus("ann"), cloud_event("task_completed"), plain.clone()],
    );
    stack.wait_until_counted(3).await;
    // Each of these was there before, or can never be stored.
    send(
        &stack,
        &[
            of_bus("ann"),
            plain,
            cloud_event("program_check_in"),
            of_bus("a b"),
            json!({"user_id": "cy", "program_id": "p", "kind": "task_completed"}),
            json!("text"),
        ],
    );
    let reasons = reasons(&stack, 4).await;
    let expected = [
        "conflict: id was sent before with other content: kind differs.",
        "rejected: a message must be a JSON object, not a string",
        "rejected: activity_id is missing",
        "rejected: data.sender.login: user_id has the character ' '",
    ];
    assert_eq!(reasons.len(), expected.len(), "{reasons:?}");
    for (reason, expected) in reasons.iter().zip(expected) {
        assert!(reason.starts_with(expected), "{reason} is not {expected}");
    }
    stack.wait_until_counted(3).await;
    let depth = stack.stack.events_queue.depth();
    assert_eq!((depth.visible, depth.in_flight), (0, 0));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_waits_in_the_queue_until_the_table_takes_it() {
    let faults = Faults::from_seed(1, []);
    let stack = TestStack::start(|config| {
        config.faults = faults.clone();
        // Longer than the test, so that only messages that the function reports are delivered again.
        config.visibility_timeout = Duration::from_hours(1);
    })
    .await;
    let table = stack.stack.tables.activities.clone();
    faults.raise(Fault::ServerError, [table.as_str()], 1.0);
    let activity = |at: u32| json!({"activity_id": format!("a-{at}"), "user_id": "ann", "program_id": "p", "kind": "task_completed"});
    send(&stack, &[activity(1), activity(2)]);
    eventually("the messages are delivered again", || {
        stack
            .stack
            .lambda
            .stats("ingest")
            .is_some_and(|stats| stats.invocations > 1)
    })
    .await;
    faults.lower(Fault::ServerError);
    stack.wait_until_counted(2).await;
    assert_eq!(stack.stack.events_dead_letter_queue.depth().visible, 0);
    stack.stop().await;
}
