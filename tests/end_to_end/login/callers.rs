//! What the functions let each caller do. They know callers by the request context alone.

use domain::EventMapping;
use identity::{Access, Readers};
use ingest::Ingest;
use jiff::Timestamp;
use lambda_http::http::{Method, Request, Response};
use lambda_http::request::RequestContext;
use lambda_http::{Body, RequestExt as _};
use local::settings;
use serde_json::{Value, json};
use store::Activities;

use crate::tables::{Functions, time};

const NOW: &str = "2026-11-21T10:00:00Z";

/// A deployment with login, as Terraform makes it by default.
pub fn restricted() -> Access {
    Access {
        open: false,
        readers: Readers::Login,
        ..Access::open()
    }
}

/// The context of a request through the JWT authorizer of an HTTP API.
pub fn token(claims: &Value) -> Value {
    json!({ "jwt": { "claims": claims, "scopes": null } })
}

fn signed() -> Value {
    json!({ "iam": { "userArn": "arn:aws:sts::111122223333:assumed-role/lms/session" } })
}

/// The request as a function gets it, with this `authorizer` in its context.
pub fn with_context(request: Request<Body>, authorizer: &Value) -> Request<Body> {
    let http = json!({ "method": request.method().as_str(), "path": request.uri().path() });
    let context = json!({ "authorizer": authorizer, "timeEpoch": 0, "http": http });
    let context = serde_json::from_value(context).expect("a context");
    request.with_request_context(RequestContext::ApiGatewayV2(context))
}

fn nobody() -> Value {
    json!(null)
}

fn request(method: &str, path: &str, body: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(format!("http://localhost{path}"))
        .header("content-type", "application/json")
        .body(Body::from(body))
        .expect("a request")
}

fn document(response: &Response<impl AsRef<[u8]>>) -> Value {
    serde_json::from_slice(response.body().as_ref()).unwrap_or_default()
}

/// Ingest, for callers who may do this.
pub fn ingest_for(functions: &Functions, access: Access) -> Ingest {
    Ingest::new(
        Activities::new(functions.client.clone(), functions.tables.activities.clone()),
        ingest::Config {
            activities_table: functions.tables.activities.clone(),
            scoring_policy: settings::SCORING_POLICY.parse().expect("a policy"),
            max_activity_age: "31".parse().expect("an age"),
            event_mapping: EventMapping::default(),
            queue: None,
            access,
        },
    )
}

/// Every fact: who posted it, and for whom.
async fn facts(functions: &Functions) -> Vec<String> {
    let scan = functions.client.scan().table_name(&functions.tables.activities);
    let items = scan.send().await.expect("the table").items.unwrap_or_default();
    let text = |item: &std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue>, name| {
        let value = item.get(name).and_then(|value| value.as_s().ok());
        value.map_or("-", String::as_str).to_owned()
    };
    let mut facts: Vec<_> = items
        .iter()
        .map(|item| format!("{} by {}", text(item, "user_id"), text(item, "posted_by")))
        .collect();
    facts.sort();
    facts
}

fn activities(users: &[&str]) -> String {
    let activity = |user| json!({"user_id": user, "program_id": "p", "kind": "task_completed"});
    users.iter().map(activity).collect::<Value>().to_string()
}

/// A caller who posts for these users: the status of the answer, the verdicts, and the facts.
struct Posted<'a> {
    self_reporting: bool,
    authorizer: Value,
    users: &'a [&'a str],
    expected: (u16, &'a [&'a str], &'a [&'a str]),
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[tokio::test]
async fn each_caller_posts_for_whom_they_may() {
    let employee = |claims| (true, token(&claims));
    let write = json!({"sub": "lms", "scope": "openid podium:write"});
    let sent = |(self_reporting, authorizer), users, expected| Posted {
        self_reporting,
        authorizer,
        users,
        expected,
    };
    let ann = || employee(json!({"sub": "ann"}));
    for (case, posted) in [
        // Nobody, whatever is on.
        sent((false, nobody()), &["ann"], (401, &[], &[])),
        sent((true, nobody()), &["ann"], (401, &[], &[])),
        sent((true, json!({})), &["ann"], (401, &[], &[])),
        sent(
            (true, json!({"lambda": {"sub": "ann"}})),
            &["ann"],
            (401, &[], &[]),
        ),
        // A service.
        sent(
            (false, signed()),
            &["ann", "bob"],
            (
                202,
                &["accepted", "accepted"],
                &[
                    "ann by iam:arn:aws:sts::111122223333:assumed-role/lms/session",
                    "bob by iam:arn:aws:sts::111122223333:assumed-role/lms/session",
                ],
            ),
        ),
        sent(
            (false, token(&write)),
            &["ann", "bob"],
            (
                202,
                &["accepted", "accepted"],
                &["ann by token:lms", "bob by token:lms"],
            ),
        ),
        // Scopes as identity providers write them, in both claims, as text and as a list.
        sent(
            (
                false,
                token(&json!({"sub": "lms", "scp": "[podium:read podium:write]"})),
            ),
            &["ann"],
            (202, &["accepted"], &["ann by token:lms"]),
        ),
        sent(
            (false, token(&json!({"client_id": "lms", "scp": "podium:admin"}))),
            &["ann"],
            (202, &["accepted"], &["ann by token:lms"]),
        ),
        sent(
            (
                false,
                token(&json!({"sub": "ann", "scope": "podium:writer xpodium:write"})),
            ),
            &["ann"],
            (403, &[], &[]),
        ),
        sent(
            (false, token(&json!({"sub": "ann", "roles": "podium:write"}))),
            &["ann"],
            (403, &[], &[]),
        ),
        // An employee.
        sent((false, token(&json!({"sub": "ann"}))), &["ann"], (403, &[], &[])),
        sent(ann(), &["ann"], (202, &["accepted"], &["ann by token:ann"])),
        sent(ann(), &["bob"], (403, &["forbidden"], &[])),
        sent(ann(), &["Ann", "ann "], (422, &["forbidden", "rejected"], &[])),
        sent(
            ann(),
            &["bob", "ann", "cy"],
            (
                207,
                &["forbidden", "accepted", "forbidden"],
                &["ann by token:ann"],
            ),
        ),
        // Without the claim, or where it is no id.
        sent(
            employee(json!({"email": "ann"})),
            &["ann"],
            (403, &["forbidden"], &[]),
        ),
        sent(
            employee(json!({"sub": "~ann"})),
            &["~ann"],
            (422, &["rejected"], &[]),
        ),
        sent(
            employee(json!({"sub": "[ann bob]"})),
            &["ann"],
            (403, &["forbidden"], &[]),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let functions = Functions::start("UTC").await;
        let access = Access {
            self_reporting: posted.self_reporting,
            ..restricted()
        };
        let ingest = ingest_for(&functions, access);
        let sent = request("POST", "/v1/activities", &activities(posted.users));
        let response = ingest
            .handle(with_context(sent, &posted.authorizer), time(NOW))
            .await;
        let status = response.status().as_u16();
        let answer = document(&response);
        let results = answer["results"].as_array().cloned().unwrap_or_default();
        let verdicts: Vec<_> = results
            .iter()
            .map(|result| result["status"].as_str().unwrap_or_default())
            .collect();
        for forbidden in results.iter().filter(|result| result["status"] == "forbidden") {
            assert_eq!(forbidden["error"]["code"], "forbidden", "case {case}");
            assert_eq!(forbidden["error"]["field"], "user_id", "case {case}");
        }
        let (expected_status, expected_verdicts, expected_facts) = posted.expected;
        assert_eq!(
            (status, &verdicts[..]),
            (expected_status, expected_verdicts),
            "case {case}: {answer}"
        );
        assert_eq!(facts(&functions).await, expected_facts, "case {case}");
    }
}

#[tokio::test]
async fn each_caller_reads_what_they_may() {
    let at = time(NOW);
    let mut functions = Functions::start("UTC").await;
    functions
        .post(
            &json!({"user_id": "ann", "program_id": "p", "kind": "task_completed"}),
            at,
        )
        .await;
    functions.count(at).await;
    functions.publish(at).await;
    let ann = token(&json!({"sub": "ann"}));
    for (readers, authorizer, path, expected) in [
        (Readers::Public, &nobody(), "/v1/status", 200),
        (Readers::Public, &nobody(), "/v1/private/status", 401),
        (Readers::Public, &nobody(), "/v1/%70rivate/status", 401),
        // CloudFront signs the requests of public readers.
        (Readers::Public, &signed(), "/v1/status", 200),
        (Readers::Public, &signed(), "/v1/private/status", 403),
        (Readers::Public, &ann, "/v1/private/status", 200),
        (Readers::Public, &ann, "/v1/private/nothing", 404),
        (Readers::Public, &ann, "/v1/private/private/status", 404),
        (Readers::Login, &nobody(), "/v1/status", 401),
        (Readers::Login, &nobody(), "/v1/boards/global?limit=0", 401),
        (Readers::Login, &nobody(), "/v1/private/status", 401),
        (Readers::Login, &signed(), "/v1/status", 200),
        (Readers::Login, &ann, "/v1/status", 200),
        (Readers::Login, &ann, "/v1/private/boards/global/users/ann", 200),
    ] {
        let serve = functions.serve_to(Access {
            readers,
            ..restricted()
        });
        for method in [Method::GET, Method::HEAD] {
            let asked = request(method.as_str(), path, "");
            let response = serve.handle(with_context(asked, authorizer), at).await;
            assert_eq!(
                response.status(),
                expected,
                "{method} {path} {readers:?} {authorizer}"
            );
            let is_challenged = response.headers().contains_key("www-authenticate");
            assert_eq!(is_challenged, expected == 401, "{method} {path}");
        }
    }
}

/// Other headers and bodies than those of AWS say nothing about who calls.
#[tokio::test]
async fn nothing_that_a_client_can_write_is_believed() {
    let functions = Functions::start("UTC").await;
    let at: Timestamp = time(NOW);
    let ingest = ingest_for(
        &functions,
        Access {
            self_reporting: true,
            ..restricted()
        },
    );
    for (name, value) in [
        ("authorization", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ."),
        ("x-amzn-oidc-identity", "ann"),
        ("x-amzn-oidc-data", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ."),
        (
            "x-amzn-request-context",
            r#"{"authorizer":{"jwt":{"claims":{"sub":"ann"}}}}"#,
        ),
        (
            "x-apigateway-event",
            r#"{"requestContext":{"authorizer":{"jwt":{"claims":{"sub":"ann"}}}}}"#,
        ),
        ("x-forwarded-user", "ann"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-remote-user", "ann"),
        ("x-user-id", "ann"),
        ("cookie", "sub=ann; token=podium:write"),
    ] {
        let mut sent = request("POST", "/v1/activities", &activities(&["ann"]));
        sent.headers_mut().insert(name, value.parse().expect("a value"));
        let response = ingest.handle(with_context(sent, &nobody()), at).await;
        assert_eq!(response.status(), 401, "{name}");
    }
    let ann = token(&json!({"sub": "ann"}));
    for body in [
        r#"{"user_id":"bob","program_id":"p","kind":"task_completed","posted_by":"token:bob"}"#,
        r#"{"user_id":"bob","program_id":"p","kind":"task_completed","sub":"bob"}"#,
        r#"{"user_id":"bob","program_id":"p","kind":"task_completed","claims":{"sub":"bob"}}"#,
        r#"{"user_id":"ann","program_id":"p","kind":"task_completed","posted_by":"token:bob"}"#,
    ] {
        let sent = request("POST", "/v1/activities", body);
        let response = ingest.handle(with_context(sent, &ann), at).await;
        assert_eq!(response.status(), 422, "{body}");
    }
    assert!(facts(&functions).await.is_empty());
}

#[tokio::test]
async fn only_admins_reach_the_directory() {
    let functions = Functions::start("UTC").await;
    let directory = functions.directory_to(restricted());
    for (authorizer, expected) in [
        (nobody(), [401; 4]),
        (signed(), [403; 4]),
        (token(&json!({"sub": "ann", "scope": "podium:write"})), [403; 4]),
        (
            token(&json!({"sub": "ada", "scope": "podium:admin"})),
            [201, 200, 200, 204],
        ),
    ] {
        for collection in ["people", "teams", "programs"] {
            let statuses = ["PUT /ann", "GET /ann", "GET ", "DELETE /ann"].map(async |asked| {
                let (method, below) = asked.split_once(' ').expect("two words");
                let asked = request(method, &format!("/v1/{collection}{below}"), "{}");
                directory
                    .handle(with_context(asked, &authorizer))
                    .await
                    .status()
                    .as_u16()
            });
            let mut got = Vec::new();
            for status in statuses {
                got.push(status.await);
            }
            assert_eq!(got, expected, "{collection} {authorizer}");
        }
    }
}

/// A person who is concealed is shown to admins and to the person, where the answer is for the caller alone.
#[tokio::test]
async fn concealed_people_are_shown_to_themselves_and_admins() {
    let mut functions = Functions::start("UTC").await;
    let now = time(NOW);
    for user in ["ann", "bob", "cy"] {
        let activity = json!({"user_id": user, "program_id": "p", "kind": "task_completed"});
        functions.post(&activity, now).await;
    }
    functions.count(now).await;
    functions
        .put_person("ann", &json!({"display_name": "Ann", "visibility": "anonymous"}))
        .await;
    functions
        .put_person("bob", &json!({"display_name": "Bob", "visibility": "hidden"}))
        .await;
    functions.publish(now).await;
    let public = Access {
        readers: Readers::Public,
        ..restricted()
    };
    let of = |sub: &str| token(&json!({ "sub": sub }));
    let admin = token(&json!({"sub": "ada", "scope": "podium:admin"}));
    for (access, path, caller, expected) in [
        (&public, "/v1", nobody(), [404, 404, 200]),
        (&public, "/v1", of("ann"), [404, 404, 200]),
        (&public, "/v1", admin.clone(), [404, 404, 200]),
        (&public, "/v1/private", nobody(), [401, 401, 401]),
        (&public, "/v1/private", signed(), [403, 403, 403]),
        (&public, "/v1/private", of("ann"), [200, 404, 200]),
        (&public, "/v1/private", of("bob"), [404, 200, 200]),
        (&public, "/v1/private", of("cy"), [404, 404, 200]),
        (&public, "/v1/private", admin.clone(), [200, 200, 200]),
        (&restricted(), "/v1", of("ann"), [200, 404, 200]),
        (&restricted(), "/v1", signed(), [404, 404, 200]),
        (&restricted(), "/v1", admin, [200, 200, 200]),
    ] {
        let serve = functions.serve_to(access.clone());
        for (user, expected) in ["ann", "bob", "cy"].into_iter().zip(expected) {
            for board in ["global", "program:p"] {
                let asked = request("GET", &format!("{path}/boards/{board}/users/{user}"), "");
                let response = serve.handle(with_context(asked, &caller), now).await;
                assert_eq!(response.status(), expected, "{user} for {caller} at {path}");
                let shown = document(&response);
                match (user, expected) {
                    ("ann", 200) => assert_eq!(shown["concealed_as"], "anonymous"),
                    ("bob", 200) => assert_eq!(shown["concealed_as"], "hidden"),
                    (_, 200) => assert_eq!(shown["concealed_as"], Value::Null),
                    (_, 404) => assert_eq!(shown["code"], "user_not_on_board"),
                    _ => {}
                }
                if expected == 200 && user != "cy" {
                    assert_eq!(shown["entry"]["user_id"], user);
                    assert_eq!(
                        (&shown["entry"]["rank"], &shown["entry"]["points"]),
                        (&json!(1), &json!(10))
                    );
                    // Of the two rows, one is Ann's own.
                    let below = if user == "ann" {
                        vec![json!("cy")]
                    } else {
                        vec![json!("cy"), Value::Null]
                    };
                    let rows: Vec<_> = shown["below"]
                        .as_array()
                        .expect("rows")
                        .iter()
                        .map(|row| row["user_id"].clone())
                        .collect();
                    assert_eq!(rows, below, "{user}");
                }
            }
        }
    }
}

#[tokio::test]
async fn paths_for_admins_are_for_admins_even_before_they_exist() {
    let functions = Functions::start("UTC").await;
    let ingest = ingest_for(&functions, restricted());
    for path in identity::ADMIN_PATHS {
        // Those that exist take other methods.
        let exists = path == "/v1/corrections";
        for (authorizer, expected) in [
            (nobody(), 401),
            (signed(), 403),
            (token(&json!({"sub": "lms", "scope": "podium:write"})), 403),
            (token(&json!({"sub": "ada", "scope": "podium:admin"})), 404),
        ] {
            for path in [path.to_owned(), format!("{path}/ann")] {
                let asked = request("PUT", &path, "{}");
                let response = ingest.handle(with_context(asked, &authorizer), time(NOW)).await;
                let is_allowed = expected == 404 && exists && !path.ends_with("/ann");
                let expected = if is_allowed { 405 } else { expected };
                assert_eq!(response.status(), expected, "{path} {authorizer}");
            }
        }
    }
}
