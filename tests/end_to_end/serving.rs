//! HTTP behaviour that clients and caches rely on: validators, freshness, compression, methods and CORS.

use std::io::Read as _;
use std::time::Duration;

use domain::{Board, BoardBuilder, BoardDocument, Freshness, Tally, UserId, Window};
use flate2::read::GzDecoder;
use jiff::{SignedDuration, Timestamp};
use lambda_http::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, ETAG, HeaderMap, IF_NONE_MATCH, VARY,
};
use lambda_http::http::{Request, Response};
use lambda_http::{Body, http};
use reqwest::Method;
use serde_json::json;
use store::Snapshots;

use crate::stack::TestStack;
use crate::tables::{Functions, time};

const PATHS: [&str; 6] = [
    "/v1/boards",
    "/v1/status",
    "/v1/boards/global",
    "/v1/boards/global/history",
    "/v1/boards/global/users?search=a",
    "/v1/boards/global/users/ann",
];

fn header(headers: &HeaderMap, name: http::HeaderName) -> &str {
    headers
        .get(name)
        .map_or("", |value| value.to_str().expect("text"))
}

/// Boards with one activity, and when they were published.
async fn published() -> (Functions, Timestamp) {
    let at = time("2026-11-21T09:00:00Z");
    let mut functions = Functions::start("UTC").await;
    let activity = json!({"user_id": "ann", "program_id": "p", "kind": "task_completed"});
    functions.post(&activity, at).await;
    functions.count(at).await;
    functions.publish(at).await;
    (functions, at)
}

async fn ask(functions: &Functions, path: &str, if_none_match: &str, now: Timestamp) -> Response<Body> {
    let request = Request::get(format!("http://localhost{path}")).header(IF_NONE_MATCH, if_none_match);
    let request = request.body(Body::Empty).expect("a request");
    functions.serve.handle(request, now).await
}

#[tokio::test]
async fn a_validator_lasts_until_a_new_snapshot_or_until_the_document_is_stale() {
    let (functions, at) = published().await;
    for path in PATHS {
        let first = functions.get(path, at).await;
        let etag = header(first.headers(), ETAG);
        assert!(etag.starts_with("W/\""), "{path}: {etag}");
        // The bound is three minutes.
        for (seconds, expected) in [(0, 304), (59, 304), (180, 304), (181, 200)] {
            let response = ask(&functions, path, etag, at + SignedDuration::from_secs(seconds)).await;
            assert_eq!(response.status(), expected, "{path} after {seconds} s");
            let is_same = header(response.headers(), ETAG) == etag;
            assert_eq!(is_same, expected == 304, "{path} after {seconds} s");
        }
    }
    let stale = functions
        .get("/v1/boards/global", at + SignedDuration::from_secs(181))
        .await;
    let stale_etag = header(stale.headers(), ETAG);
    functions.publish(at + SignedDuration::from_secs(182)).await;
    let mended = ask(
        &functions,
        "/v1/boards/global",
        stale_etag,
        at + SignedDuration::from_secs(183),
    )
    .await;
    assert_eq!(mended.status(), 200, "a new snapshot has a new validator");
}

#[tokio::test]
async fn a_validator_matches_weakly_in_a_list_and_as_a_star() {
    let (functions, at) = published().await;
    for path in PATHS {
        let first = functions.get(path, at).await;
        let etag = header(first.headers(), ETAG);
        let strong = etag.trim_start_matches("W/");
        for (if_none_match, expected) in [
            (etag.to_owned(), 304),
            (strong.to_owned(), 304),
            (format!("\"other\", {etag}"), 304),
            (format!("W/\"other\",{strong} , \"third\""), 304),
            ("*".to_owned(), 304),
            ("\"other\"".to_owned(), 200),
            (strong.trim_matches('"').to_owned(), 200),
            (String::new(), 200),
        ] {
            let response = ask(&functions, path, &if_none_match, at).await;
            assert_eq!(response.status(), expected, "{path} {if_none_match}");
            assert_eq!(response.body().is_empty(), expected == 304);
            for name in [ETAG, CACHE_CONTROL, VARY] {
                let (now, before) = (&response.headers()[&name], &first.headers()[&name]);
                assert_eq!(now, before, "{path} {if_none_match} {name}");
            }
        }
    }
}

#[tokio::test]
async fn a_document_may_be_cached_until_the_next_snapshot_is_due() {
    let (functions, at) = published().await;
    // A snapshot is due every 60 seconds. A late one, or the recovery of a stale board, may come at any
    // moment.
    for (age_ms, max_age) in [
        (0, 60),
        (1, 60),
        (1_000, 60),
        (30_500, 30),
        (59_500, 1),
        (60_500, 1),
        (180_000, 1),
        (180_001, 5),
        (9_999_000, 5),
    ] {
        for path in PATHS {
            let response = functions
                .get(path, at + SignedDuration::from_millis(age_ms))
                .await;
            let expected = format!("public, max-age={max_age}");
            assert_eq!(
                header(response.headers(), CACHE_CONTROL),
                expected,
                "{path} after {age_ms} ms"
            );
        }
    }
}

/// Publishes a board as of two hours ago that the stack's own snapshots do not touch.
async fn publish_long_ago(stack: &TestStack, users: u64) {
    let client = aws_sdk_dynamodb::Client::new(&local::sdk_config(&stack.stack.aws_url));
    let snapshots = Snapshots::new(client, stack.stack.tables.snapshots.clone());
    let board: Board = "program:archive".parse().expect("a board");
    let mut builder = BoardBuilder::new(10_000);
    for user in 0..users {
        let id: UserId = format!("user-{user:04}").parse().expect("a user");
        let (points, activities) = (user, 1);
        builder.add(&id, Tally { points, activities });
    }
    let then = Timestamp::now() - SignedDuration::from_hours(2);
    let calendar: domain::Calendar = "UTC".parse().expect("a zone");
    let previous = snapshots.latest(&board, Window::All).await.expect("the head");
    let freshness = Freshness {
        generated_at: then,
        lag_seconds: None,
        backlog: 0,
    };
    snapshots
        .publish(
            &board,
            calendar.span(Window::All, then),
            previous,
            builder.finish(),
            freshness,
            None,
        )
        .await
        .expect("published");
}

/// A stack that has published its first snapshot. The next one is an hour away.
async fn quiet_stack() -> TestStack {
    let stack = TestStack::start(|config| config.snapshot_every = Duration::from_hours(1)).await;
    while stack.status().await.is_none() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stack
}

async fn send(stack: &TestStack, method: Method, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
    let mut request = stack
        .http
        .request(method, format!("{}{path}", stack.stack.web_url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("the stack responds")
}

async fn check_compression(stack: &TestStack) {
    let large = "/v1/boards/program:archive?limit=100";
    let plain = send(stack, Method::GET, large, &[]).await;
    let plain: BoardDocument = plain.json().await.expect("a board document");
    for (path, accepted, is_compressed) in [
        (large, "gzip", true),
        (large, "br, gzip;q=0.5", true),
        // A star accepts any coding, and identity is the simplest.
        (large, "*", false),
        (large, "", false),
        (large, "identity", false),
        (large, "br", false),
        (large, "gzip;q=0", false),
        (large, "gzip; q=0.0, br", false),
        (large, "gzip;q=0, *", false),
        ("/v1/status", "gzip", false),
    ] {
        let response = send(stack, Method::GET, path, &[(ACCEPT_ENCODING.as_str(), accepted)]).await;
        assert_eq!(response.status(), 200);
        let encoding = header(response.headers(), CONTENT_ENCODING).to_owned();
        assert_eq!(
            encoding == "gzip",
            is_compressed,
            "{path} {accepted:?}: {encoding:?}"
        );
        assert_eq!(header(response.headers(), VARY), "accept-encoding");
        let body = response.bytes().await.expect("a body");
        let mut json = Vec::new();
        if is_compressed {
            GzDecoder::new(&body[..]).read_to_end(&mut json).expect("gzip");
        } else {
            json.extend_from_slice(&body);
        }
        if path == large {
            let document: BoardDocument = serde_json::from_slice(&json).expect("a board document");
            assert_eq!(document.entries, plain.entries, "{accepted:?}");
            assert!(
                !is_compressed || body.len() * 2 < json.len(),
                "{accepted:?} is not half as long"
            );
        }
    }
}

async fn check_methods(stack: &TestStack) {
    for path in [
        "/v1/boards",
        "/v1/status",
        "/v1/boards/global",
        "/v1/boards/program:archive/users/user-0007",
    ] {
        let got = send(stack, Method::GET, path, &[]).await;
        let asked = send(stack, Method::HEAD, path, &[]).await;
        assert_eq!(asked.status(), 200, "{path}");
        for name in [ETAG, VARY, http::header::CONTENT_TYPE] {
            assert_eq!(asked.headers()[&name], got.headers()[&name], "{path} {name}");
        }
        let etag = header(got.headers(), ETAG).to_owned();
        assert!(
            asked.bytes().await.expect("a body").is_empty(),
            "HEAD has no body"
        );
        let conditional = [
            (IF_NONE_MATCH.as_str(), etag.as_str()),
            (ACCEPT_ENCODING.as_str(), "gzip"),
        ];
        let unchanged = send(stack, Method::GET, path, &conditional).await;
        assert_eq!(unchanged.status(), 304, "{path}");
        assert!(!unchanged.headers().contains_key(CONTENT_ENCODING), "{path}");
        assert_eq!(header(unchanged.headers(), ETAG), etag);
        assert!(
            unchanged.bytes().await.expect("a body").is_empty(),
            "304 has no body"
        );
    }
    assert_eq!(send(stack, Method::HEAD, "/v1/boards/x", &[]).await.status(), 400);
}

async fn check_other_origins(stack: &TestStack) {
    let origin = ("origin", "https://boards.example.com");
    let gzip = (ACCEPT_ENCODING.as_str(), "gzip");
    let preflight = send(
        stack,
        Method::OPTIONS,
        "/v1/boards/global",
        &[
            origin,
            gzip,
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", "if-none-match"),
        ],
    )
    .await;
    assert_eq!(preflight.status(), 204);
    assert!(!preflight.headers().contains_key(CONTENT_ENCODING));
    assert!(!preflight.headers().contains_key(VARY));
    for (name, expected) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", "GET, HEAD"),
        ("access-control-allow-headers", "if-none-match"),
        ("access-control-max-age", "86400"),
    ] {
        assert_eq!(preflight.headers()[name], expected);
    }
    // Pages must be able to read errors, too.
    for (path, status) in [
        ("/v1/boards/global", 200),
        ("/v1/boards/x", 400),
        ("/v1/nothing", 404),
    ] {
        let response = send(stack, Method::GET, path, &[origin]).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["access-control-allow-origin"], "*", "{path}");
        assert_eq!(
            response.headers()["access-control-expose-headers"],
            "etag, retry-after",
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_travel_over_http_as_they_should() {
    let stack = quiet_stack().await;
    publish_long_ago(&stack, 200).await;
    check_compression(&stack).await;
    check_methods(&stack).await;
    check_other_origins(&stack).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_outlives_its_generation_for_an_hour_and_then_says_so() {
    let stack = quiet_stack().await;
    let path = "/v1/boards/program:archive?limit=50";
    publish_long_ago(&stack, 120).await;
    let first: BoardDocument = stack.get(path).await.json().await.expect("a board document");
    let next = format!(
        "{path}&cursor={}",
        first.next_cursor.expect("there are more rows")
    );
    assert_eq!(stack.get(&next).await.status(), 200);
    // Replaces the first generation as of two hours ago, so that its hour has passed.
    publish_long_ago(&stack, 120).await;
    stack
        .stack
        .dynamodb
        .sweep_ttl()
        .await
        .expect("expired items are deleted");
    let response = stack.get(&next).await;
    assert_eq!(response.status(), 410);
    let problem: serde_json::Value = response.json().await.expect("a problem");
    assert_eq!(
        (&problem["code"], &problem["field"]),
        (&json!("cursor_expired"), &json!("cursor"))
    );
    let newest: BoardDocument = stack.get(path).await.json().await.expect("a board document");
    assert_eq!(
        newest.heading.generation, 2,
        "starting again without a cursor works"
    );
    stack.stop().await;
}
