//! HTTP behaviour that clients and caches rely on: validators, freshness, compression, methods and CORS.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::Duration;

use domain::{Board, BoardBuilder, BoardDocument, Freshness, Tally, UserId, Window};
use flate2::read::GzDecoder;
use jiff::{SignedDuration, Timestamp};
use lambda_http::http::header::{
    ACCEPT_ENCODING, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE,
    ETAG, HeaderMap, IF_NONE_MATCH, RANGE, VARY,
};
use lambda_http::http::{Request, Response};
use lambda_http::{Body, http};
use reqwest::Method;
use serde_json::{Value, json};
use store::Snapshots;
use store::overview::BoardOverview;

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

fn request(method: Method, path: &str, (name, value): (http::HeaderName, &str)) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(format!("http://localhost{path}"))
        .header(name, value)
        .body(Body::Empty)
        .expect("a request")
}

async fn ask(functions: &Functions, path: &str, if_none_match: &str, now: Timestamp) -> Response<Body> {
    let request = request(Method::GET, path, (IF_NONE_MATCH, if_none_match));
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

#[tokio::test]
async fn boards_for_signed_requests_are_kept_by_their_reader_only() {
    let (functions, at) = published().await;
    let serve = functions.serve_to(serve::Readers::Signed);
    for path in PATHS {
        let public = functions.get(path, at).await;
        let etag = header(public.headers(), ETAG);
        for (if_none_match, status) in [("", 200), (etag, 304)] {
            let request = request(Method::GET, path, (IF_NONE_MATCH, if_none_match));
            let response = serve.handle(request, at).await;
            assert_eq!(response.status(), status, "{path}");
            let cached = header(response.headers(), CACHE_CONTROL);
            assert_eq!(cached, "private, max-age=60", "{path} {status}");
        }
    }
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_the_length_of_its_body() {
    let (functions, at) = published().await;
    let etag = header(functions.get("/v1/status", at).await.headers(), ETAG).to_owned();
    let plain = (ACCEPT_ENCODING, "identity");
    let mut cases: Vec<_> = PATHS.into_iter().map(|path| (path, plain.clone())).collect();
    cases.extend([
        ("/v1/boards/global", (ACCEPT_ENCODING, "gzip, identity;q=0")),
        ("/v1/boards/global", (ACCEPT_ENCODING, "identity;q=0")),
        ("/v1/status", (IF_NONE_MATCH, etag.as_str())),
        ("/v1/boards/x", plain.clone()),
        ("/v1/boards/program:x", plain.clone()),
        ("/v1/nothing", plain.clone()),
        ("/v1/activities", plain.clone()),
    ]);
    for (path, header) in cases {
        for is_ingest in [false, true] {
            let answer = async |method| {
                let request = request(method, path, header.clone());
                let response = if is_ingest {
                    functions.ingest.handle(request, at).await.map(Body::from)
                } else {
                    functions.serve.handle(request, at).await
                };
                let (mut parts, body) = response.into_parts();
                let told = parts.headers.remove(CONTENT_LENGTH);
                let told = told.map(|length| {
                    length
                        .to_str()
                        .expect("digits")
                        .parse::<usize>()
                        .expect("a number")
                });
                (parts.status, parts.headers, body.len(), told)
            };
            let (status, headers, length, _) = answer(Method::GET).await;
            let length = (length > 0).then_some(length);
            let expected = (status, headers, 0, length);
            assert_eq!(answer(Method::HEAD).await, expected, "{path} {header:?}");
        }
    }
}

#[tokio::test]
async fn what_a_request_asks_beyond_the_document_is_ignored_or_refused_by_name() {
    let (functions, at) = published().await;
    for path in PATHS {
        let whole = functions.get(path, at).await;
        let part = request(Method::GET, path, (RANGE, "bytes=0-9"));
        let answer = functions.serve.handle(part, at).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.body(), whole.body(), "{path}");
    }
    for (method, path, status, allowed) in [
        (Method::OPTIONS, "/v1/status", 204, "GET, HEAD, OPTIONS"),
        (Method::TRACE, "/v1/status", 405, "GET, HEAD, OPTIONS"),
        (Method::POST, "/v1/boards/x", 405, "GET, HEAD, OPTIONS"),
        (Method::OPTIONS, "/v1/nothing", 404, ""),
        (Method::POST, "/v1/activities/", 404, ""),
    ] {
        let secret = request(method.clone(), path, (AUTHORIZATION, "a secret"));
        let answer = functions.serve.handle(secret, at).await;
        assert_eq!(answer.status(), status, "{method} {path}");
        assert_eq!(header(answer.headers(), ALLOW), allowed, "{method} {path}");
        let body = String::from_utf8_lossy(answer.body()).into_owned();
        assert!(!body.contains("secret"), "{method} {path}: {body}");
    }
}

/// What a client has after it sent `etag`: what it had if the answer is 304, and the new document otherwise.
async fn refreshed(functions: &Functions, path: &str, etag: &str, had: &Value, now: Timestamp) -> Value {
    let response = ask(functions, path, etag, now).await;
    if response.status() == 304 {
        return had.clone();
    }
    assert_ne!(
        header(response.headers(), ETAG),
        etag,
        "{path}: new content has a new validator"
    );
    document(&response)
}

/// A document without its age, which no validator covers.
fn document(response: &Response<Body>) -> Value {
    let mut document: Value = serde_json::from_slice(response.body()).expect("JSON");
    document["freshness"]["age_seconds"].take();
    document
}

#[tokio::test]
async fn no_304_hides_what_was_counted_since() {
    let at = time("2026-11-21T09:00:00Z");
    let mut functions = Functions::listing(1, "UTC").await;
    let post = async |functions: &mut Functions, user: &str, occurred_at: &str, now: Timestamp| {
        let activity =
            json!({"user_id": user, "program_id": "p", "kind": "task_completed", "occurred_at": occurred_at});
        functions.post(&activity, now).await;
        functions.count(now).await;
    };
    for user in ["ann", "ann", "bob"] {
        post(&mut functions, user, "2026-11-21T08:00:00Z", at).await;
    }
    functions.publish(at).await;
    // Ann is listed and Bob is not.
    for (user, occurred_at, is_changed) in [
        ("ann", "2026-11-21T08:30:00Z", false),
        ("ann", "2026-11-20T08:30:00Z", true),
        ("bob", "2026-11-21T08:30:00Z", true),
        ("bob", "2026-11-20T08:30:00Z", true),
    ] {
        let path = format!("/v1/boards/global/users/{user}");
        let now = at + SignedDuration::from_secs(30);
        let before = functions.get(&path, now).await;
        let etag = header(before.headers(), ETAG);
        post(&mut functions, user, occurred_at, now).await;
        let after = document(&functions.get(&path, now).await);
        assert_eq!(after != document(&before), is_changed, "{user} {occurred_at}");
        let kept = refreshed(&functions, &path, etag, &document(&before), now).await;
        assert_eq!(kept, after, "{user} {occurred_at}");
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
    let overview = snapshots.overview().await.expect("the list of boards");
    let mut overview = overview.expect("a snapshot was published");
    if !overview.lists(&board) {
        overview.generation += 1;
        overview.boards.push(BoardOverview {
            board,
            windows: BTreeMap::new(),
        });
        let listed = snapshots.publish_overview(&overview).await.expect("published");
        assert!(listed.is_some(), "no other run published the list");
    }
}

/// A stack that has published its first snapshot. The next one is an hour away.
async fn quiet_stack() -> TestStack {
    quiet_stack_for(None).await
}

async fn quiet_stack_for(allowed_origin: Option<&str>) -> TestStack {
    let stack = TestStack::start(|config| {
        config.snapshot_every = Duration::from_hours(1);
        config.allowed_origin = allowed_origin.map(str::to_owned);
    })
    .await;
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
        ("/v1/status", "gzip, identity;q=0", true),
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
        for name in [ETAG, VARY, CONTENT_TYPE] {
            assert_eq!(asked.headers()[&name], got.headers()[&name], "{path} {name}");
        }
        // The age of the others may have one more digit in the second answer.
        if path.contains("archive") {
            assert_eq!(
                asked.headers()[CONTENT_LENGTH],
                got.headers()[CONTENT_LENGTH],
                "{path}"
            );
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
        for method in [Method::GET, Method::HEAD] {
            let unchanged = send(stack, method, path, &conditional).await;
            assert_eq!(unchanged.status(), 304, "{path}");
            assert!(!unchanged.headers().contains_key(CONTENT_ENCODING), "{path}");
            assert!(!unchanged.headers().contains_key(CONTENT_LENGTH), "{path}");
            assert_eq!(header(unchanged.headers(), ETAG), etag);
            assert!(
                unchanged.bytes().await.expect("a body").is_empty(),
                "304 has no body"
            );
        }
    }
    assert_eq!(send(stack, Method::HEAD, "/v1/boards/x", &[]).await.status(), 400);
}

/// Whatever has no document has a problem document, wherever the origin answers it.
async fn check_problems(stack: &TestStack) {
    for (method, path, status, detail) in [
        (Method::GET, "/v2/boards", 404, "/v1/boards does"),
        (Method::GET, "/v1", 404, "GET /v1/boards"),
        (Method::GET, "//v1/boards", 404, "/v1/boards does"),
        (Method::GET, "/healthz", 404, "/v1/status does"),
        (Method::GET, "/v1/boards/", 404, "/v1/boards does"),
        (Method::GET, "/index.html", 404, "GET /v1/boards"),
        (Method::POST, "/v1/activities/", 404, "/v1/activities does"),
        (Method::POST, "/v1/activity", 404, "/v1/activities does"),
        (Method::POST, "/activities", 404, "/v1/activities does"),
        (Method::GET, "/v1/activities", 405, "Use POST"),
        (Method::POST, "/v1/boards", 405, "Use GET"),
        (Method::POST, "/", 405, "Use GET"),
        (Method::DELETE, "/app.js", 405, "Use GET"),
    ] {
        let response = send(stack, method.clone(), path, &[]).await;
        assert_eq!(response.status(), status, "{method} {path}");
        assert_eq!(
            header(response.headers(), CONTENT_TYPE),
            "application/problem+json"
        );
        assert_eq!(
            response.headers().contains_key(ALLOW),
            status == 405,
            "{method} {path}"
        );
        let problem: Value = response.json().await.expect("a problem");
        let given = problem["detail"].as_str().expect("text");
        assert!(given.contains(detail), "{method} {path}: {given}");
    }
    for path in ["/", "/app.js", "/nothing", "/v1/nothing", "/v1/activities"] {
        let [asked, got] = [Method::HEAD, Method::GET].map(|method| send(stack, method, path, &[]));
        let (asked, got) = (asked.await, got.await);
        assert_eq!(asked.status(), got.status(), "{path}");
        for name in [CONTENT_TYPE, CONTENT_LENGTH] {
            assert_eq!(asked.headers()[&name], got.headers()[&name], "{path} {name}");
        }
    }
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
    // As on AWS by default.
    let stack = quiet_stack_for(Some("*")).await;
    publish_long_ago(&stack, 200).await;
    check_compression(&stack).await;
    check_methods(&stack).await;
    check_problems(&stack).await;
    check_other_origins(&stack).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_outlives_its_generation_for_an_hour_and_then_says_so() {
    let stack = quiet_stack().await;
    let path = "/v1/boards/program:archive?limit=50";
    publish_long_ago(&stack, 120).await;
    let first: BoardDocument = stack.get(path).await.json().await.expect("a board document");
    let other_origin = [("origin", "https://boards.example.com")];
    let answer = send(&stack, Method::GET, path, &other_origin).await;
    let mut names = answer.headers().keys().map(http::HeaderName::as_str);
    assert!(
        !names.any(|name| name.starts_with("access-control-")),
        "the local stack lets no other origin read it"
    );
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
    let problem: Value = response.json().await.expect("a problem");
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
