//! Every kind of bad input has its status and a problem document that names the field and the limit. Valid
//! activities in the same request are stored.

use reqwest::Method;
use serde_json::Value;

use crate::stack::TestStack;

const GOOD: &str = r#"{"user_id":"ann","program_id":"p","kind":"task_completed"}"#;

struct Case {
    method: Method,
    path: &'static str,
    content_type: Option<&'static str>,
    body: Vec<u8>,
    /// Status, code, field and part of the detail.
    expected: (u16, &'static str, &'static str, &'static str),
}

/// A request that is invalid as a whole, so nothing in it can be stored.
fn framing(body: impl Into<Vec<u8>>, expected: (u16, &'static str, &'static str, &'static str)) -> Case {
    Case {
        method: Method::POST,
        path: "/v1/activities",
        content_type: Some("application/json"),
        body: body.into(),
        expected,
    }
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn framing_cases() -> Vec<Case> {
    let with_type = |content_type, expected| Case {
        content_type,
        ..framing(GOOD, expected)
    };
    let with_method = |method| Case {
        method,
        ..framing("", (405, "method_not_allowed", "", "Use POST"))
    };
    let malformed = |body: &[u8]| framing(body, (400, "malformed_json", "body", "not valid JSON"));
    let too_large = format!(r#"{{"metadata":{{"x":"{}"}}}}"#, "x".repeat(257 * 1024));
    let just_too_large = format!("{GOOD}{}", " ".repeat(256 * 1024 + 1 - GOOD.len()));
    let too_many = format!("[{}]", vec![GOOD; 101].join(","));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    vec![
        malformed(b""),
        malformed(b"hello"),
        malformed(b"{"),
        malformed(b"[{},"),
        malformed(b"{}{}"),
        malformed(b"{'user_id':'ann'}"),
        malformed(b"{\"user_id\":\"ann\",}"),
        malformed(b"{\"user_id\":\"a\0b\"}"),
        malformed(b"NaN"),
        malformed(b"{\"a\":01}"),
        malformed(b"{\"user_id\":\"line\nbreak\"}"),
        framing(
            *b"{\"user_id\":\"\xff\xfe\"}",
            (400, "malformed_json", "body", "not valid UTF-8"),
        ),
        framing(
            *b"\xff\xfe{\0}\0",
            (400, "malformed_json", "body", "is in UTF-16 (little-endian)"),
        ),
        framing(
            *b"\0{\0}",
            (400, "malformed_json", "body", "is in UTF-16 (big-endian)"),
        ),
        framing(
            *b"\xef\xbb\xbf\xef\xbb\xbf{}",
            (400, "malformed_json", "body", "two byte order marks"),
        ),
        framing(
            *b"\x1f\x8b\x08",
            (400, "malformed_json", "body", "content-encoding: gzip"),
        ),
        framing(
            *b"\xef\xbb\xbf{}",
            (422, "invalid_activity", "", "user_id is missing"),
        ),
        framing(*b"\xc3", (400, "malformed_json", "body", "not valid UTF-8")),
        framing("[]", (422, "empty_batch", "body", "1 to 100")),
        framing("7", (422, "not_an_activity", "body", "a number")),
        framing("\"text\"", (422, "not_an_activity", "body", "a string")),
        framing("null", (422, "not_an_activity", "body", "null")),
        framing("true", (422, "not_an_activity", "body", "a boolean")),
        framing(too_many, (413, "too_many_activities", "body", "more than 100")),
        framing(too_large, (413, "body_too_large", "body", "at most 262144")),
        framing(just_too_large, (413, "body_too_large", "body", "is 262145 bytes")),
        framing(
            deep,
            (422, "invalid_activity", "", "must be a JSON object, not an array"),
        ),
        with_type(
            None,
            (415, "unsupported_media_type", "content-type", "is missing"),
        ),
        with_type(
            Some("text/plain"),
            (
                415,
                "unsupported_media_type",
                "content-type",
                "must be application/json",
            ),
        ),
        with_type(
            Some("application/x-www-form-urlencoded"),
            (415, "unsupported_media_type", "content-type", "must be"),
        ),
        with_type(
            Some("text/json; charset=utf-8"),
            (415, "unsupported_media_type", "content-type", "+json"),
        ),
        with_type(
            Some("application/jsonp"),
            (415, "unsupported_media_type", "content-type", "must be"),
        ),
        with_method(Method::GET),
        with_method(Method::PUT),
        with_method(Method::DELETE),
        with_method(Method::PATCH),
        Case {
            path: "/v1/activities/",
            ..framing(GOOD, (404, "not_found", "", "but /v1/activities does"))
        },
        Case {
            path: "/v1/activity",
            ..framing(GOOD, (404, "not_found", "", "but /v1/activities does"))
        },
        Case {
            path: "/v1/boards",
            ..framing(GOOD, (405, "method_not_allowed", "", "Use GET"))
        },
    ]
}

/// An invalid activity: its JSON, then the code, field and part of the detail.
#[rustfmt::skip] // One case per row.
fn item_cases() -> Vec<(String, &'static str, &'static str, &'static str)> {
    let with = |more: &str| GOOD.replace('}', &format!(",{more}}}"));
    let user = |user: &str| GOOD.replace("ann", user);
    let long = |length| "x".repeat(length);
    let nested = format!("{}1{}", "[".repeat(9), "]".repeat(9));
    vec![
        ("{}".into(), "missing_field", "user_id", "is missing"),
        (r#"{"user_id":"ann"}"#.into(), "missing_field", "program_id", "is missing"),
        (r#"{"user_id":"ann","program_id":"p"}"#.into(), "missing_field", "kind", "is missing"),
        (r#"{"user_id":null,"program_id":"p","kind":"task_completed"}"#.into(), "missing_field", "user_id", "is missing"),
        ("7".into(), "not_an_object", "", "not a number"),
        ("[]".into(), "not_an_object", "", "not an array"),
        ("null".into(), "not_an_object", "", "not null"),
        (user(""), "empty", "user_id", "1 to 128"),
        (user(&long(129)), "too_long", "user_id", "at most 128"),
        (user("a b"), "illegal_character", "user_id", "use only"),
        (user(r"CORP\\ann"), "illegal_character", "user_id", r"'\\'"),
        (user(r#"a\"b"#), "illegal_character", "user_id", "'\"'"),
        (user("<b>"), "illegal_character", "user_id", "'<'"),
        (user("zoë"), "illegal_character", "user_id", "'ë'"),
        (user(r"a\u0000"), "illegal_character", "user_id", r"'\0'"),
        (user(r"a\u202eb"), "illegal_character", "user_id", "use only"),
        (user(r"\ud800"), "malformed", "user_id", "not valid JSON text"),
        (user("~heartbeat"), "reserved", "user_id", "reserved"),
        (user("~anything"), "reserved", "user_id", "reserved"),
        (user("."), "dot_segment", "user_id", "no address"),
        (user(".."), "dot_segment", "user_id", "no address"),
        (GOOD.replace("\"p\"", "\"..\""), "dot_segment", "program_id", "no address"),
        (with(r#""activity_id":".""#), "dot_segment", "activity_id", "no address"),
        (GOOD.replace("user_id", "userId"), "unknown_field", "userId", "its name is user_id"),
        (GOOD.replace("kind", "type"), "unknown_field", "type", "its name is kind"),
        (format!(r#"{{"activities":[{GOOD}]}}"#), "unknown_field", "activities", "send the array itself"),
        (format!(r#"{{"data":{GOOD}}}"#), "unknown_field", "data", "send the activity itself"),
        (GOOD.replace("\"ann\"", "7"), "wrong_type", "user_id", "a string, not a number"),
        (GOOD.replace("\"ann\"", "{}"), "wrong_type", "user_id", "a string, not an object"),
        (GOOD.replace("\"ann\"", "[\"ann\"]"), "wrong_type", "user_id", "a string, not an array"),
        (GOOD.replace("\"ann\"", "true"), "wrong_type", "user_id", "a string, not a boolean"),
        (GOOD.replace("\"p\"", "\"\""), "empty", "program_id", "1 to 128"),
        (GOOD.replace("\"p\"", &format!("\"{}\"", long(129))), "too_long", "program_id", "at most 128"),
        (GOOD.replace("\"p\"", "\"p<q\""), "illegal_character", "program_id", "'<'"),
        (GOOD.replace("task_completed", "nap_taken"), "unknown_kind", "kind", "use one of: learning_milestone"),
        (GOOD.replace("task_completed", "Task Completed"), "illegal_character", "kind", "a-z"),
        (GOOD.replace("task_completed", ""), "empty", "kind", "1 to 64"),
        (with(r#""activity_id":"""#), "empty", "activity_id", "1 to 128"),
        (with(&format!(r#""activity_id":"{}""#, long(129))), "too_long", "activity_id", "at most 128"),
        (with(r#""activity_id":"a>1""#), "illegal_character", "activity_id", "'>'"),
        (with(r#""activity_id":12"#), "wrong_type", "activity_id", "a string"),
        (with(r#""occurred_at":"2999-01-01T00:00:00Z""#), "in_the_future", "occurred_at", "5 minutes"),
        (with(r#""occurred_at":"2020-01-01T00:00:00Z""#), "too_old", "occurred_at", "31 days"),
        (with(r#""occurred_at":"1969-07-20T20:17:00Z""#), "too_old", "occurred_at", "1970"),
        (with(r#""occurred_at":"9999-12-31T23:59:59Z""#), "in_the_future", "occurred_at", "5 minutes"),
        (with(r#""occurred_at":"-000100-01-01T00:00:00Z""#), "invalid_time", "occurred_at", "RFC 3339"),
        (with(r#""occurred_at":"99999-01-01T00:00:00Z""#), "invalid_time", "occurred_at", "RFC 3339"),
        (with(r#""occurred_at":"today""#), "invalid_time", "occurred_at", "RFC 3339"),
        (with(r#""occurred_at":"2026-11-21""#), "invalid_time", "occurred_at", "RFC 3339"),
        (with(r#""occurred_at":"2026-11-21T10:00:00""#), "invalid_time", "occurred_at", "with an offset"),
        (with(r#""occurred_at":"2026-02-30T10:00:00Z""#), "invalid_time", "occurred_at", "RFC 3339"),
        (with(r#""occurred_at":1795255200"#), "wrong_type", "occurred_at", "2026-11-21T10:00:00Z"),
        (with(r#""occurred_at":"2026-11-21T10:00:60Z""#), "invalid_time", "occurred_at", "23:59:60 UTC"),
        (with(r#""metadata":7"#), "wrong_type", "metadata", "a JSON object, not a number"),
        (with(r#""metadata":"{}""#), "wrong_type", "metadata", "a JSON object, not a string"),
        (with(&format!(r#""metadata":{{"x":"{}"}}"#, long(1100))), "too_long", "metadata", "at most 1024"),
        (with(&format!(r#""metadata":{{"x":{nested}}}"#)), "too_deep", "metadata", "8 levels"),
        (with(r#""metadata":{"x":1e400}"#), "out_of_range", "metadata.x", "64-bit float"),
        (with(r#""metadata":{"x":1,"x":2}"#), "duplicate_field", "metadata.x", "more than once"),
        (with(r#""metadata":{"x":"\ud800"}"#), "malformed", "metadata.x", "not valid JSON text"),
        (with(r#""user_id":"bob""#), "duplicate_field", "user_id", "more than once"),
        (with(r#""points":1000000"#), "unknown_field", "points", "scoring policy"),
        (with(r#""ocurred_at":"2026-11-21T10:00:00Z""#), "unknown_field", "ocurred_at", "its name is occurred_at"),
        (with(r#""team":"blue""#), "unknown_field", "team", "its fields are"),
        (with(r#""schema_version":2"#), "unsupported_schema_version", "schema_version", "only 1"),
        (with(r#""schema_version":99999999999999999999"#), "unsupported_schema_version", "schema_version", "only 1"),
        (with(r#""schema_version":-1"#), "unsupported_schema_version", "schema_version", "only 1"),
        (with(r#""schema_version":1.0"#), "unsupported_schema_version", "schema_version", "only 1"),
        (with(r#""schema_version":"1""#), "wrong_type", "schema_version", "a whole number, not a string"),
    ]
}

/// Asserts that a problem is the expected one, and shows the input if not.
fn check(sent: &str, problem: &Value, expected: (&str, &str, &str)) {
    let text = |name: &str| problem[name].as_str().unwrap_or_default();
    let (code, field, detail) = expected;
    let matches = text("code") == code && text("field") == field && text("detail").contains(detail);
    let sent: String = sent.chars().take(120).collect();
    assert!(matches, "{sent}\n  gave {problem}\n  not {expected:?}");
}

async fn stack() -> TestStack {
    TestStack::start(|config| config.max_activity_age = "31".into()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_cannot_be_read_is_refused_whole() {
    let stack = stack().await;
    for Case {
        method,
        path,
        content_type,
        body,
        expected,
    } in framing_cases()
    {
        let (status, code, field, detail) = expected;
        let sent = format!(
            "{method} {path} {content_type:?} {}",
            String::from_utf8_lossy(&body)
        );
        let mut request = stack
            .http
            .request(method, format!("{}{path}", stack.stack.web_url))
            .body(body);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let response = request.send().await.expect("the stack answers");
        let content_type = response.headers()["content-type"]
            .to_str()
            .expect("text")
            .to_owned();
        let (got, text) = (response.status().as_u16(), response.text().await.expect("text"));
        let problem: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{sent}: {text}"));
        assert_eq!(content_type, "application/problem+json");
        check(&sent, &problem, (code, field, detail));
        assert_eq!(
            (got, problem["status"].as_u64()),
            (status, Some(status.into())),
            "{sent:.120}"
        );
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_activity_is_refused_and_the_good_ones_beside_it_are_kept() {
    let stack = stack().await;
    let mut kept = 0;
    for (at, (bad, code, field, detail)) in item_cases().into_iter().enumerate() {
        let alone = stack.post(&bad).await;
        assert_eq!(alone.status(), 422, "{bad}");
        assert_eq!(alone.headers()["content-type"], "application/problem+json");
        if bad.starts_with('{') {
            let alone: Value = alone.json().await.expect("a problem");
            check(&bad, &alone["results"][0]["error"], (code, field, detail));
        }

        let good = format!(
            r#"{{"activity_id":"good-{at}","user_id":"good","program_id":"p","kind":"task_completed"}}"#
        );
        let mixed = stack.post(&format!("[{bad},{good}]")).await;
        assert_eq!(mixed.status(), 207, "{bad}");
        let mixed: Value = mixed.json().await.expect("results");
        check(&bad, &mixed["results"][0]["error"], (code, field, detail));
        assert_eq!(mixed["results"][0]["status"], "rejected");
        assert_eq!(mixed["results"][1]["status"], "accepted");
        kept += 1;
    }
    let status = stack.wait_until_counted(kept).await.status;
    assert_eq!(status.dead_letters, 0);
    stack.stop().await;
}
