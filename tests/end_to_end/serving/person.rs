//! One person's document: what it costs, and how old it may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use domain::UserDocument;
use identity::Access;
use jiff::{SignedDuration, Timestamp};
use lambda_http::Body;
use lambda_http::http::Request;
use serde_json::{Value, json};
use serve::Serve;
use store::generations;
use store::keys::CountGeneration;
use store::{Generations, Rebuilds};
use tokio::net::TcpListener;

use crate::stack::http_client;
use crate::tables::{Functions, time, user_of};

const KINDS: [&str; 3] = ["task_completed", "program_check_in", "learning_milestone"];

const COLD_MAX: f64 = 6.0;
const WARM_MAX: f64 = 1.0;

async fn get(serve: &Serve, path: &str, now: Timestamp) -> Value {
    let request = Request::get(format!("http://localhost{path}"));
    let request = request.body(Body::Empty).expect("a request");
    let response = serve.handle(request, now).await;
    assert_eq!(response.status(), 200, "{path}: {:?}", response.body());
    serde_json::from_slice(response.body()).expect("JSON")
}

async fn person(serve: &Serve, user: &str, now: Timestamp) -> UserDocument {
    let path = format!("/v1/boards/global/users/{user}?around=2");
    serde_json::from_value(get(serve, &path, now).await).expect("a user document")
}

/// A new instance of the function.
fn instance(functions: &Functions) -> Serve {
    functions.serve_to(Access::open())
}

fn activity(user: &str, kind: &str) -> Value {
    json!({"user_id": user, "program_id": "p", "kind": kind})
}

async fn post(functions: &mut Functions, activities: Vec<Value>, now: Timestamp) {
    for batch in activities.chunks(ingest::MAX_ITEMS) {
        functions.post(&Value::from(batch), now).await;
    }
    functions.count(now).await;
}

#[tokio::test]
async fn a_person_costs_few_read_units_listed_or_not() {
    let at = time("2026-11-21T09:00:00Z");
    let mut functions = Functions::listing(900, "UTC").await;
    // Two pages, and users who are not listed. Many users share their points.
    let users: Vec<String> = (0..1_100).map(|number| format!("user-{number:04}")).collect();
    let activities = users.iter().zip((0..).map(|number| KINDS[number % 3]));
    let activities = activities.map(|(user, kind)| activity(user, kind)).collect();
    post(&mut functions, activities, at).await;
    functions.publish(at).await;
    // Some have more points by now. They move by a page or more on the next board.
    let now = at + SignedDuration::from_secs(30);
    let gained = users.iter().step_by(90);
    post(
        &mut functions,
        gained.map(|user| activity(user, KINDS[2])).collect(),
        now,
    )
    .await;

    let board = functions.board("/v1/boards/global?limit=1000", now).await;
    assert_eq!(board.listed, 900);
    let rows = board.entries;
    let read = async |user: &str| {
        let serve = instance(&functions);
        let read = async |expected: f64| {
            let before = functions.read_units();
            let document = person(&serve, user, now).await;
            let units = functions.read_units() - before;
            assert!(units <= expected, "{units} read units for {user}");
            document
        };
        let cold = read(COLD_MAX).await;
        assert_eq!(read(WARM_MAX).await, cold);
        cold
    };
    for (at, row) in rows.iter().enumerate().step_by(45) {
        let document = read(user_of(row)).await;
        assert_eq!(document.entry, *row);
        assert_eq!(document.above, rows[at.saturating_sub(2)..at]);
        assert_eq!(document.below, rows[at + 1..(at + 3).min(rows.len())]);
    }
    let is_listed = |user: &String| rows.iter().any(|row| user_of(row) == user);
    let rest = users.iter().enumerate().filter(|(number, _)| number % 90 != 0);
    let unlisted: Vec<_> = rest
        .map(|(_, user)| user)
        .filter(|user| !is_listed(user))
        .collect();
    for user in unlisted.into_iter().step_by(20) {
        let document = read(user).await;
        assert!(
            document.entry.rank <= 900 && document.entry.points == rows[899].points,
            "they share the last rank"
        );
        assert_eq!(document.above, rows[898..]);
        assert_eq!(document.below, []);
    }
}

#[tokio::test]
async fn a_persons_document_names_the_team_to_those_who_see_the_person() {
    let at = time("2026-11-21T09:00:00Z");
    let mut functions = Functions::start("UTC").await;
    let users = ["ann", "bob", "cy"];
    let activities = users.map(|user| activity(user, KINDS[0]));
    post(&mut functions, activities.to_vec(), at).await;
    functions.put_person("ann", &json!({"team": "red"})).await;
    functions
        .put_person("cy", &json!({"team": "red", "visibility": "hidden"}))
        .await;
    functions.publish(at).await;
    let team = async |path: &str, now| {
        let document: UserDocument =
            serde_json::from_value(get(&functions.serve, path, now).await).expect("a user document");
        document.team.map(|team| team.team_id.to_string())
    };
    let red = Some("red".to_owned());
    assert_eq!(team("/v1/boards/global/users/ann", at).await, red);
    assert_eq!(team("/v1/boards/global/users/bob", at).await, None);
    assert_eq!(team("/v1/private/boards/global/users/cy", at).await, red);
    // The row of someone who is concealed now stands until the next snapshot.
    functions
        .put_person("ann", &json!({"team": "red", "visibility": "anonymous"}))
        .await;
    assert_eq!(team("/v1/boards/global/users/ann", at).await, None);
    assert_eq!(team("/v1/private/boards/global/users/ann", at).await, red);

    functions.put_person("ann", &json!({"team": "blue"})).await;
    let tomorrow = time("2026-11-22T00:01:00Z");
    functions.publish(tomorrow).await;
    let yesterday = "/v1/boards/global/users/ann?period=2026-11-21";
    assert_eq!(team(yesterday, tomorrow).await, Some("blue".to_owned()));
}

#[tokio::test]
async fn a_persons_document_is_kept_until_the_next_snapshot_is_due() {
    let at = time("2026-11-21T09:00:00Z");
    let after = |seconds| at + SignedDuration::from_secs(seconds);
    let mut functions = Functions::start("UTC").await;
    post(&mut functions, vec![activity("ann", KINDS[0])], at).await;
    functions.publish(at).await;
    let [first, other] = [instance(&functions), instance(&functions)];
    let generation = async |serve: &Serve, now| person(serve, "ann", now).await.heading.generation;
    assert_eq!(generation(&first, after(1)).await, 1);
    assert_eq!(generation(&other, after(1)).await, 1);

    // Snapshots follow every 60 seconds. This one is early.
    functions.publish(after(20)).await;
    assert_eq!(generation(&first, after(59)).await, 1);
    // A board is always read anew, and the documents of persons do not fall behind it.
    let board = get(&other, "/v1/boards/global", after(30)).await;
    assert_eq!(board["generation"], 2);
    assert_eq!(generation(&other, after(30)).await, 2);
    assert_eq!(generation(&first, after(60)).await, 2);
    // It is kept again, and read at each request once the next snapshot is late.
    functions.publish(after(70)).await;
    assert_eq!(generation(&first, after(79)).await, 2);
    assert_eq!(generation(&first, after(80)).await, 3);
    assert_eq!(generation(&first, after(200)).await, 3);
    functions.publish(after(201)).await;
    assert_eq!(generation(&first, after(202)).await, 4);

    // The clock of a snapshot is ahead by an hour.
    functions.publish(after(3_900)).await;
    assert_eq!(generation(&first, after(300)).await, 5);
    functions.publish(after(3_910)).await;
    assert_eq!(generation(&first, after(359)).await, 5);
    assert_eq!(generation(&first, after(360)).await, 6);
}

#[tokio::test]
async fn counters_of_a_deleted_generation_are_not_taken_for_those_of_a_person() {
    let at = time("2026-11-21T09:00:00Z");
    let now = at + SignedDuration::from_secs(1);
    // Ann is listed and Bob is not.
    let mut functions = Functions::listing(1, "UTC").await;
    let change = async |functions: &Functions, to: &dyn Fn(&Generations) -> Generations| {
        let table = &functions.tables.standings;
        let known = generations::read(&functions.client, table).await.expect("read");
        let changed = generations::replace(&functions.client, table, &known, to(&known)).await;
        changed.expect("changed").expect("no other process changes them");
    };
    post(&mut functions, vec![activity("zoe", KINDS[0])], at).await;
    change(&functions, &|known| known.with_rebuild().0).await;
    let activities = [("ann", 2), ("ann", 0), ("bob", 2)].map(|(user, kind)| activity(user, KINDS[kind]));
    post(&mut functions, activities.to_vec(), at).await;
    change(&functions, &|known| known.completed().expect("it is being built")).await;
    functions.publish(at).await;
    let serve = instance(&functions);
    let read = async || [person(&serve, "ann", now).await, person(&serve, "bob", now).await];
    let before = read().await;
    assert_eq!(before.each_ref().map(|document| document.entry.points), [35, 25]);

    change(&functions, &|known| known.switched().expect("it is complete")).await;
    change(&functions, &|known| known.alone().expect("there are two").0).await;
    let (client, table) = (functions.client.clone(), functions.tables.standings.clone());
    let rebuilds = Rebuilds::new(client, table);
    let deleted = rebuilds.delete(CountGeneration::FIRST).await.expect("deleted");
    assert!(deleted >= 3, "{deleted} standings");
    assert_eq!(read().await, before);
}

/// Passes a request on, but answers an eventually consistent read as if nothing were there yet.
async fn miss(
    State((aws_url, missed)): State<(String, Arc<AtomicU64>)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let content_type = HeaderValue::from_static("application/x-amz-json-1.0");
    let asked: Value = serde_json::from_slice(&body).expect("JSON");
    if asked["ConsistentRead"] != true {
        missed.fetch_add(1, Ordering::Relaxed);
        return ([("content-type", content_type)], "{}").into_response();
    }
    let mut request = http_client().post(aws_url).body(body);
    for name in ["content-type", "x-amz-target", "authorization", "x-amz-date"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value.clone());
        }
    }
    let answer = request.send().await.expect("the tables answer");
    let status = answer.status();
    let body = answer.bytes().await.expect("a body");
    (status, [("content-type", content_type)], body).into_response()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_was_written_a_moment_ago_is_read_consistently() {
    let at = time("2026-11-21T09:00:00Z");
    let mut functions = Functions::start("UTC").await;
    post(&mut functions, vec![activity("ann", KINDS[0])], at).await;
    functions.publish(at).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let missed = Arc::new(AtomicU64::new(0));
    let state = (functions.aws_url.clone(), Arc::clone(&missed));
    let router = axum::Router::new().fallback(miss).with_state(state);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let serve = functions.serve_through(&url);
    assert_eq!(person(&serve, "ann", at).await.entry.points, 10);
    assert_eq!(missed.load(Ordering::Relaxed), 1, "one page");
}
