use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::http::request::Parts;
use tokio::sync::mpsc;

use super::*;
use crate::{install_tls, parse_url};

/// What the server answers, and where it tells what it was asked.
#[derive(Clone)]
struct Script {
    status: u16,
    body: &'static str,
    asked: mpsc::Sender<String>,
}

async fn answer(
    State(script): State<Script>,
    parts: Parts,
    body: Bytes,
) -> (
    StatusCode,
    [(axum::http::HeaderName, &'static str); 1],
    &'static str,
) {
    let body = str::from_utf8(&body).expect("text");
    let kind = parts
        .headers
        .get("content-type")
        .map_or("", |kind| kind.to_str().expect("text"));
    let asked = format!("{} {} {kind} {body}", parts.method, parts.uri);
    script
        .asked
        .send(asked.trim_end().to_owned())
        .await
        .expect("the test listens");
    let status = StatusCode::from_u16(script.status).expect("a status");
    (status, [(RETRY_AFTER, "7")], script.body)
}

/// Sends a request to a server with this answer, and compares what it was asked, and what became of it.
async fn check<T: std::fmt::Debug>(
    request: impl AsyncFn(Api) -> Result<T, PostError>,
    (status, body): (u16, &'static str),
    (asked, expected): (&str, &str),
) {
    install_tls();
    let (sender, mut receiver) = mpsc::channel(1);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}/podium", listener.local_addr().expect("an address"));
    let script = Script {
        status,
        body,
        asked: sender,
    };
    let router = Router::new().fallback(answer).with_state(script);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let api = Api::new(parse_url(&url).expect("an address"), Duration::from_secs(30)).expect("a client");
    let became = match request(api).await {
        Ok(became) => format!("{became:?}"),
        Err(error) => format!(
            "{error} (again: {}, {:?})",
            error.failure.is_transient(),
            error.retry_after
        ),
    };
    assert_eq!(receiver.recv().await.as_deref(), Some(asked));
    assert_eq!(became, expected);
}

fn user(id: &str) -> UserId {
    id.parse().expect("an id")
}

fn ann() -> Person {
    Person {
        display_name: Some("Ann Lee".parse().expect("a name")),
        ..Person::default()
    }
}

#[tokio::test]
async fn a_profile_is_kept_or_refused() {
    let asked = concat!(
        "PUT /podium/v1/people/~YXV0aDB8NWY3Yw application/json ",
        r#"{"display_name":"Ann Lee","team":null,"visibility":"listed"}"#
    );
    let put = async |api: Api| api.put_person(&user("auth0|5f7c"), &ann()).await;
    for (answer, expected) in [
        (
            (
                201,
                r#"{"user_id":"auth0|5f7c","display_name":"Ann Lee","team":null,"visibility":"listed","outcome":"created","other_case":["Auth0|5f7c"]}"#,
            ),
            r#"Kept(PersonAnswer { outcome: Created, other_case: [UserId("Auth0|5f7c")] })"#,
        ),
        (
            (200, r#"{"outcome":"unchanged"}"#),
            "Kept(PersonAnswer { outcome: Unchanged, other_case: [] })",
        ),
        (
            (
                422,
                r#"{"title":"Unprocessable Content","status":422,"code":"invalid_person","field":"team","reason":"too_long","detail":"no"}"#,
            ),
            r#"Refused(ItemError { code: "too_long", field: Some("team"), detail: "no" })"#,
        ),
        (
            (400, ""),
            r#"Refused(ItemError { code: "status 400", field: None, detail: "400 Bad Request" })"#,
        ),
        (
            (
                403,
                r#"{"title":"Forbidden","status":403,"detail":"admins only"}"#,
            ),
            "the server answered 403: admins only (again: false, Some(7s))",
        ),
        (
            (404, r#"{"title":"Not Found","status":404,"code":"not_found"}"#),
            "the server answered 404: Not Found (again: false, Some(7s))",
        ),
        (
            (429, ""),
            "the server answered 429 Too Many Requests (again: true, Some(7s))",
        ),
        (
            (503, ""),
            "the server answered 503 Service Unavailable (again: true, Some(7s))",
        ),
        (
            (200, "{}"),
            "the server sent an invalid answer: missing field `outcome` at line 1 column 2 (again: false, None)",
        ),
    ] {
        check(put, answer, (asked, expected)).await;
    }
}

#[tokio::test]
async fn a_profile_is_read_or_is_not_there() {
    let get = async |api: Api| api.person(&user("ann")).await;
    for (answer, expected) in [
        (
            (
                200,
                r#"{"user_id":"ann","display_name":"Ann Lee","team":null,"visibility":"listed"}"#,
            ),
            r#"Some(Person { display_name: Some(DisplayName("Ann Lee")), team: None, visibility: Listed })"#,
        ),
        (
            (
                404,
                r#"{"title":"Not Found","status":404,"code":"person_not_found"}"#,
            ),
            "None",
        ),
        // An address without a directory.
        (
            (404, r#"{"title":"Not Found","status":404,"code":"not_found"}"#),
            "the server answered 404: Not Found (again: false, Some(7s))",
        ),
    ] {
        check(get, answer, ("GET /podium/v1/people/ann", expected)).await;
    }
}

#[tokio::test]
async fn people_are_listed_by_page() {
    let page = (
        200,
        r#"{"people":[{"user_id":"ann","display_name":null,"team":"ops","visibility":"hidden"}],"next_cursor":"YW5u"}"#,
    );
    let expected = concat!(
        r#"PeopleDocument { people: [PersonEntry { user_id: UserId("ann"), person: Person { "#,
        r#"display_name: None, team: Some(TeamId("ops")), visibility: Hidden } }], next_cursor: Some("YW5u") }"#,
    );
    let first = async |api: Api| api.people(None).await;
    check(first, page, ("GET /podium/v1/people?limit=1000", expected)).await;
    let next = async |api: Api| api.people(Some("YW5u")).await;
    check(
        next,
        page,
        ("GET /podium/v1/people?limit=1000&cursor=YW5u", expected),
    )
    .await;
}

#[tokio::test]
async fn a_profile_is_deleted() {
    let delete = async |api: Api| api.delete_person(&user("ann")).await;
    check(delete, (204, ""), ("DELETE /podium/v1/people/ann", "()")).await;
    let expected = "the server answered 503 Service Unavailable (again: true, Some(7s))";
    check(delete, (503, ""), ("DELETE /podium/v1/people/ann", expected)).await;
}
