use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use client::{Failure, install_tls, parse_url};
use serde_json::{Value, json};
use tokio::time::sleep_until;

use super::*;

/// A server that accepts everything once `opens_after` has passed since it was started.
#[derive(Clone)]
struct Server {
    opens: Instant,
    accepted: Arc<AtomicU64>,
    /// Counted for other clients, in addition to what this server accepts.
    counted_besides: u64,
    fails_with: Option<StatusCode>,
}

impl Server {
    fn new(opens_after: Duration) -> Self {
        let opens = Instant::now() + opens_after;
        Self {
            opens,
            accepted: Arc::default(),
            counted_besides: 0,
            fails_with: None,
        }
    }

    async fn serve(self) -> Api {
        install_tls();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new()
            .route("/v1/activities", post(accept))
            .route("/v1/status", get(status))
            .with_state(self);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let url = parse_url(&format!("http://{address}")).expect("an address");
        Api::new(url, Duration::from_secs(30)).expect("a client")
    }
}

async fn accept(State(server): State<Server>, body: Bytes) -> Response {
    sleep_until(server.opens).await;
    if let Some(status) = server.fails_with {
        return status.into_response();
    }
    let items: Vec<Value> = serde_json::from_slice(&body).expect("an array");
    server.accepted.fetch_add(items.len() as u64, Ordering::Relaxed);
    let results: Vec<Value> = items.iter().map(|_| json!({"status": "accepted"})).collect();
    (StatusCode::ACCEPTED, json!({ "results": results }).to_string()).into_response()
}

async fn status(State(server): State<Server>) -> String {
    let accepted = server.accepted.load(Ordering::Relaxed);
    let besides = if accepted > 0 { server.counted_besides } else { 0 };
    json!({
        "freshness": {"age_seconds": 1, "lag_seconds": null, "backlog": 0, "stale": false},
        "counted": {"activities": 100 + accepted + besides, "points": 1},
    })
    .to_string()
}

fn plan(rate: f64, length_ms: u64) -> Plan {
    Plan {
        rate,
        length: Some(Duration::from_millis(length_ms)),
        users: 10,
        programs: 2,
        batch: 1,
        seed: 1,
        back: None,
        new_leaders_every: None,
        outstanding_max: 1_000,
        drain_max: Duration::from_secs(30),
    }
}

async fn load(server: Server, plan: &Plan) -> Figures {
    let api = server.serve().await;
    run(&api, &api, plan, pending(), |_| ()).await
}

#[tokio::test]
async fn sends_what_was_planned_and_waits_until_it_is_counted() {
    let figures = load(
        Server::new(Duration::ZERO),
        &Plan {
            batch: 5,
            ..plan(200.0, 500)
        },
    )
    .await;
    assert_eq!(
        figures.counts,
        Counts {
            sent: 100,
            accepted: 100,
            ..Counts::default()
        }
    );
    assert_eq!(figures.post.count, 20);
    assert!(
        matches!(figures.drain, Drain::Counted { certain: true, .. }),
        "{:?}",
        figures.drain
    );
    assert!(figures.is_clean());
}

#[tokio::test]
async fn a_stall_shows_in_every_request_it_held_up() {
    // Due over one second, answered at its end: a closed loop would see one slow request. The
    // one due first waits for all of it, and the median one for about half of it.
    let server = Server::new(Duration::from_secs(1));
    let figures = load(server, &plan(100.0, 1_000)).await;
    assert_eq!(figures.counts.accepted, 100);
    assert!(figures.post.max >= Duration::from_millis(800), "{}", figures.post);
    assert!(figures.post.p50 >= Duration::from_millis(300), "{}", figures.post);
}

#[tokio::test]
async fn what_is_due_beyond_the_bound_is_not_sent_but_counted() {
    let server = Server::new(Duration::from_secs(1));
    let figures = load(
        server,
        &Plan {
            outstanding_max: 5,
            ..plan(100.0, 500)
        },
    )
    .await;
    assert_eq!((figures.counts.sent, figures.counts.accepted), (5, 5));
    assert_eq!(figures.counts.errors.get(&LoadError::Overflow), Some(&45));
    assert!(!figures.is_clean());
}

#[tokio::test]
async fn failures_are_counted_by_kind_and_never_sent_again() {
    let mut server = Server::new(Duration::ZERO);
    server.fails_with = Some(StatusCode::TOO_MANY_REQUESTS);
    let figures = load(server, &plan(100.0, 200)).await;
    let expected = LoadError::Failed(Failure::Status(429));
    assert_eq!(
        figures.counts.errors.into_iter().collect::<Vec<_>>(),
        [(expected, 20)]
    );
    assert_eq!(figures.post.count, 20);
}

#[tokio::test]
async fn another_load_makes_the_reading_unsure() {
    let mut server = Server::new(Duration::ZERO);
    server.counted_besides = 1;
    let figures = load(server, &plan(100.0, 200)).await;
    assert!(
        matches!(figures.drain, Drain::Counted { certain: false, .. }),
        "{:?}",
        figures.drain
    );
}

#[tokio::test]
async fn stops_when_told_to() {
    let api = Server::new(Duration::ZERO).serve().await;
    let forever = Plan {
        length: None,
        ..plan(100.0, 1)
    };
    let figures = run(&api, &api, &forever, sleep(Duration::from_millis(200)), |_| ()).await;
    assert!(figures.counts.sent > 0);
    assert_eq!(figures.counts.sent, figures.counts.accepted);
    assert_eq!(figures.drain, Drain::NotAwaited);
}

#[test]
fn requests_are_due_at_even_distances() {
    let started = Instant::now();
    let schedule = Schedule::of_plan(
        &Plan {
            batch: 10,
            ..plan(100.0, 1_000)
        },
        started,
    );
    let due_ms = |request| schedule.due(request).map(|due| (due - started).as_millis());
    assert_eq!([0, 1, 9, 10].map(due_ms), [Some(0), Some(100), Some(900), None]);
}

#[tokio::test]
async fn a_request_begun_late_counts_the_delay() {
    let api = Server::new(Duration::ZERO).serve().await;
    let due = Instant::now();
    sleep(Duration::from_millis(200)).await;
    let ended = post_once(api, Vec::new(), due).await;
    assert!(ended.latency >= Duration::from_millis(200), "{:?}", ended.latency);
}
