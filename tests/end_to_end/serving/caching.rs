//! Validators, caching and HEAD, with a fixed clock.

use identity::{Access, Readers};
use jiff::{SignedDuration, Timestamp};
use lambda_http::http::header::{
    ACCEPT_ENCODING, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, ETAG, IF_NONE_MATCH, RANGE, VARY,
};
use lambda_http::http::{Request, Response};
use lambda_http::{Body, http};
use reqwest::Method;
use serde_json::{Value, json};
use serve::Serve;

use super::header;
use crate::login::callers::{restricted, token, with_context};
use crate::tables::{Functions, time};

const PATHS: [&str; 6] = [
    "/v1/boards",
    "/v1/status",
    "/v1/boards/global",
    "/v1/boards/global/history",
    "/v1/boards/global/users?search=a",
    "/v1/boards/global/users/ann",
];

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

fn serve_to(functions: &Functions, readers: Readers) -> Serve {
    functions.serve_to(Access {
        readers,
        ..restricted()
    })
}

#[tokio::test]
async fn what_only_some_may_read_is_kept_by_its_reader_only() {
    let (functions, at) = published().await;
    let readers = serve_to(&functions, Readers::Login);
    let public = serve_to(&functions, Readers::Public);
    for path in PATHS {
        let answer = functions.get(path, at).await;
        let etag = header(answer.headers(), ETAG);
        let private = &format!("/v1/private/{}", &path["/v1/".len()..]);
        for (serve, path, (if_none_match, status)) in [
            (&readers, path, ("", 200)),
            (&readers, path, (etag, 304)),
            (&public, private, ("", 200)),
            (&public, private, (etag, 304)),
        ] {
            let request = request(Method::GET, path, (IF_NONE_MATCH, if_none_match));
            let response = serve
                .handle(with_context(request, &token(&json!({"sub": "ann"}))), at)
                .await;
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
        (Method::OPTIONS, "/v1/status", 405, "GET, HEAD"),
        (Method::TRACE, "/v1/status", 405, "GET, HEAD"),
        (Method::POST, "/v1/boards/x", 405, "GET, HEAD"),
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
