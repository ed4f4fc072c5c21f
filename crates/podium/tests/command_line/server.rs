//! A server that accepts activities and profiles as the API does, and fails on demand.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{self, SocketAddr},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime};

/// A fault injected into one request.
#[derive(Clone, Copy)]
pub enum Fault {
    /// This status, without verdicts.
    Status(u16),
    /// The first half is stored. The rest is unavailable.
    HalfUnavailable,
    /// Everything is stored, but the answer is truncated.
    TornAnswer,
}

/// The state that survives a restart of the server.
#[derive(Default)]
pub struct Store {
    /// Accepted activities by id.
    pub accepted: BTreeMap<String, Value>,
    pub faults: VecDeque<Fault>,
    /// The server stops answering once this many items or profiles are accepted.
    pub stalls_at: Option<usize>,
    pub items_received: usize,
    /// Accepted items are forgotten at once.
    pub forgets: bool,
    /// Of the last POST.
    pub authorization: Option<String>,
    /// Profiles by the address of their user.
    pub people: BTreeMap<String, Value>,
    /// Profiles that were sent.
    pub puts: usize,
}

/// The people of one page, few enough for several pages.
const PEOPLE_A_PAGE: usize = 2;

impl Store {
    fn is_stalled(&self) -> bool {
        self.stalls_at
            .is_some_and(|at| self.accepted.len() + self.people.len() >= at)
    }
}

#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<Store>>);

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, Store> {
        self.0.lock().expect("no handler panics with it")
    }
}

/// Stops and closes all its connections when dropped.
pub struct Server {
    runtime: Option<Runtime>,
    listener: net::TcpListener,
    pub address: SocketAddr,
    pub store: Shared,
}

impl Server {
    pub fn start() -> Self {
        let listener = net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self::listening(listener, Shared::default())
    }

    /// Ends a server with all its connections, and starts one at its address, which nobody else can take
    /// meanwhile.
    pub fn restarted(self) -> Self {
        let listener = self.listener.try_clone().expect("a second handle");
        let store = self.store.clone();
        drop(self);
        Self::listening(listener, store)
    }

    fn listening(listener: net::TcpListener, store: Shared) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let accepting = listener.try_clone().expect("a second handle");
        accepting.set_nonblocking(true).expect("a mode of every socket");
        let address = listener.local_addr().expect("an address");
        let router = Router::new()
            .route("/v1/activities", post(accept))
            .route("/v1/status", get(status))
            .route("/v1/boards/{board}", get(board))
            .route("/v1/boards/{board}/users/{user}", get(user))
            .route("/v1/people", get(people))
            .route("/v1/people/{user}", put(person))
            .with_state(store.clone());
        runtime.spawn(async move {
            let accepting = TcpListener::from_std(accepting).expect("a socket that listens");
            axum::serve(accepting, router).await
        });
        Self {
            runtime: Some(runtime),
            listener,
            address,
            store,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

async fn accept(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let items: Vec<Value> = serde_json::from_slice(&body).expect("an array");
    assert!(body.len() <= 256 * 1024 && (1..=100).contains(&items.len()));
    if items.iter().any(|item| item["kind"] == "poison") {
        return problem(400, "the body is poisoned", None);
    }
    let fault = {
        let mut store = shared.lock();
        store.items_received += items.len();
        let authorization = headers.get(header::AUTHORIZATION);
        store.authorization = authorization.map(|value| value.to_str().expect("text").to_owned());
        store.faults.pop_front()
    };
    if let Some(Fault::Status(status)) = fault {
        return problem(status, "go away", None);
    }
    if shared.lock().is_stalled() {
        std::future::pending::<()>().await;
    }
    let half = items.len() / 2;
    let mut results = Vec::new();
    for (place, item) in items.into_iter().enumerate() {
        let is_unavailable = matches!(fault, Some(Fault::HalfUnavailable)) && place >= half;
        results.push(if is_unavailable {
            json!({"status": "unavailable", "activity_id": item["activity_id"]})
        } else {
            store_one(&shared, item)
        });
    }
    let all = |status: &str| results.iter().all(|result| result["status"] == status);
    match fault {
        Some(Fault::HalfUnavailable) => problem(503, "the store is busy", Some(results)),
        Some(Fault::TornAnswer) => (StatusCode::ACCEPTED, "{\"results\": [").into_response(),
        _ if all("rejected") => problem(422, "none is valid", Some(results)),
        _ if results.iter().any(|result| result["status"] == "rejected") => (
            StatusCode::MULTI_STATUS,
            json!({ "results": results }).to_string(),
        )
            .into_response(),
        _ => (StatusCode::ACCEPTED, json!({ "results": results }).to_string()).into_response(),
    }
}

fn store_one(shared: &Shared, item: Value) -> Value {
    let id = item["activity_id"]
        .as_str()
        .expect("every item has an id")
        .to_owned();
    if item["kind"] == "nonsense" {
        let detail = "there is no such kind";
        let error = json!({"code": "unknown_kind", "field": "kind", "detail": detail});
        return json!({"status": "rejected", "activity_id": id, "error": error});
    }
    let mut store = shared.lock();
    let earlier = store.accepted.insert(id.clone(), item);
    if store.forgets {
        store.accepted.clear();
    }
    let status = if earlier.is_some() {
        "duplicate"
    } else {
        "accepted"
    };
    json!({"status": status, "activity_id": id})
}

fn problem(status: u16, detail: &str, results: Option<Vec<Value>>) -> Response {
    let mut problem = json!({"title": "Problem", "status": status, "detail": detail});
    if let Some(results) = results {
        problem["results"] = results.into();
    }
    let headers = [
        (header::CONTENT_TYPE, "application/problem+json"),
        (header::RETRY_AFTER, "0"),
    ];
    let status = StatusCode::from_u16(status).expect("a status");
    (status, headers, problem.to_string()).into_response()
}

async fn status(State(shared): State<Shared>) -> String {
    let counted = shared.lock().accepted.len();
    json!({
        "freshness": {"age_seconds": 1, "lag_seconds": null, "backlog": 0, "stale": false},
        "counted": {"activities": counted, "points": counted},
    })
    .to_string()
}

/// No user is on any board.
async fn user() -> Response {
    let problem = json!({"title": "Not Found", "status": 404, "code": "user_not_on_board"});
    (StatusCode::NOT_FOUND, problem.to_string()).into_response()
}

/// The profiles by page, the last one first.
async fn people(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let mut store = shared.lock();
    if let Some(Fault::Status(status)) = store.faults.pop_front() {
        return problem(status, "go away", None);
    }
    let query = query.expect("a limit");
    let (_, cursor) = query.split_once("&cursor=").unwrap_or((&query, "0"));
    let from: usize = cursor.parse().expect("a number");
    let page = store.people.values().rev().skip(from).take(PEOPLE_A_PAGE);
    let people: Vec<_> = page.cloned().collect();
    let next = from + people.len();
    let next = (next < store.people.len()).then(|| next.to_string());
    json!({"people": people, "next_cursor": next})
        .to_string()
        .into_response()
}

async fn person(State(shared): State<Shared>, Path(user): Path<String>, body: Bytes) -> Response {
    let mut sent: Value = serde_json::from_slice(&body).expect("a profile");
    sent["user_id"] = user.as_str().into();
    let fault = {
        let mut store = shared.lock();
        store.puts += 1;
        store.faults.pop_front()
    };
    if let Some(Fault::Status(status)) = fault {
        return problem(status, "go away", None);
    }
    if shared.lock().is_stalled() {
        std::future::pending::<()>().await;
    }
    if sent["team"] == "poison" {
        let problem = json!({"title": "Problem", "status": 422, "code": "invalid_person", "field": "team",
                             "reason": "illegal_character", "detail": "the team is poisoned"});
        return (StatusCode::UNPROCESSABLE_ENTITY, problem.to_string()).into_response();
    }
    let mut store = shared.lock();
    let (status, outcome) = match store.people.insert(user.clone(), sent.clone()) {
        None => (StatusCode::CREATED, "created"),
        Some(kept) if kept == sent => (StatusCode::OK, "unchanged"),
        Some(_) => (StatusCode::OK, "changed"),
    };
    let others = store.people.keys();
    let others: Vec<_> = others
        .filter(|other| **other != user && other.eq_ignore_ascii_case(&user))
        .collect();
    sent["other_case"] = json!(others);
    sent["outcome"] = outcome.into();
    (status, sent.to_string()).into_response()
}

async fn board(Path(board): Path<String>, RawQuery(query): RawQuery) -> Response {
    if board != "global" {
        return problem(404, &format!("there is no board {board}"), None);
    }
    assert_eq!(query.as_deref(), Some("window=week&limit=3"));
    json!({
        "board": board,
        "window": {"name": "week", "first_day": "2026-11-16", "last_day": "2026-11-22",
                   "time_zone": "UTC"},
        "generation": 1, "participants": 1, "points": 10, "activities": 1,
        "entries": [{"rank": 1, "user_id": "ann", "points": 10, "activities": 1, "change": null}],
        "next_cursor": null,
        "freshness": {"generated_at": "2026-11-21T10:00:00Z", "age_seconds": 3, "lag_seconds": 0.4,
                      "backlog": 0, "stale": false, "stale_reasons": []},
    })
    .to_string()
    .into_response()
}
