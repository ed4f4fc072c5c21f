//! What travels over HTTP: compression, methods, problems, other origins and cursors.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::Duration;

use domain::{Board, BoardBuilder, BoardDocument, Freshness, Shown, Tally, UserId, Window};
use flate2::read::GzDecoder;
use jiff::{SignedDuration, Timestamp};
use lambda_http::http;
use lambda_http::http::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use reqwest::Method;
use serde_json::{Value, json};
use store::Snapshots;
use store::overview::BoardOverview;

use super::header;
use crate::stack::TestStack;

/// Publishes a board as of two hours ago that the stack's own snapshots do not touch.
async fn publish_long_ago(stack: &TestStack, users: u64) {
    let client = aws_sdk_dynamodb::Client::new(&local::sdk_config(&stack.stack.aws_url));
    let snapshots = Snapshots::new(client, stack.stack.tables.snapshots.clone());
    let board: Board = "program:archive".parse().expect("a board");
    let mut builder = BoardBuilder::new(10_000);
    for user in 0..users {
        let id: UserId = format!("user-{user:04}").parse().expect("a user");
        let (points, activities) = (i64::try_from(user).expect("a small number"), 1);
        builder.add(&id, &Shown::Listed(None), Tally { points, activities }, None);
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
            (calendar.span(Window::All, then), calendar.date(then)),
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
            details: domain::Details::default(),
        });
        let listed = snapshots.publish_overview(&overview).await.expect("published");
        assert!(listed.is_some(), "no other run published the list");
    }
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
        (large, "gzip;Q=0", false),
        (large, "GZip;Q=0.001", true),
        (large, "gzip;q=0.4, identity;q=0.5", false),
        (large, "gzip, identity;q=0", true),
        // None that there is would be accepted: sent as it is, which the RFC leaves to the server.
        (large, "identity;q=0", false),
        (large, "*;q=0", false),
        ("/v1/status", "gzip", true),
        ("/v1/status", "gzip;q=2", false),
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

/// Page and API have one origin, so no page of another one may read an answer.
async fn check_other_origins(stack: &TestStack) {
    let origin = ("origin", "https://boards.example.com");
    let asks = [
        origin,
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "if-none-match"),
    ];
    let preflight = send(stack, Method::OPTIONS, "/v1/boards/global", &asks).await;
    assert_eq!(preflight.status(), 405);
    let mut answers = vec![preflight];
    for path in ["/v1/boards/global", "/v1/boards/x", "/v1/nothing"] {
        answers.push(send(stack, Method::GET, path, &[origin]).await);
    }
    for answer in answers {
        let mut names = answer.headers().keys().map(http::HeaderName::as_str);
        assert!(
            !names.any(|name| name.starts_with("access-control-")),
            "{answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_travel_over_http_as_they_should() {
    let stack = quiet_stack().await;
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
