//! The global board as the system that Podium replaces answered it.

use lambda_http::Body;
use lambda_http::http::Request;
use lambda_http::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use serde_json::{Value, json};

use crate::tables::{Functions, time};

const PATH: &str = "/v1/legacy/leaderboard";

fn ask() -> Request<Body> {
    let request = Request::get(format!("http://localhost{PATH}"));
    request.body(Body::Empty).expect("a request")
}

#[tokio::test]
async fn pages_of_the_former_system_read_the_first_twenty_each_with_a_rank_of_his_own() {
    let mut functions = Functions::start("UTC").await;
    let now = time("2026-11-21T10:00:00.5Z");
    let early = functions.get(PATH, now).await;
    assert_eq!(early.status(), 503, "nothing is published");

    // 25 users with 10 points each; ann has hers by two check-ins, and bob five more.
    let activity = |user: &str, kind: &str| json!({"user_id": user, "program_id": "p", "kind": kind});
    for user in 0..24 {
        let activity = activity(&format!("user-{user:02}"), "task_completed");
        functions.post(&activity, now).await;
    }
    for (user, kind) in [
        ("ann", "program_check_in"),
        ("ann", "program_check_in"),
        ("bob", "task_completed"),
        ("bob", "program_check_in"),
    ] {
        functions.post(&activity(user, kind), now).await;
    }
    functions
        .put_person("user-03", &json!({"visibility": "anonymous"}))
        .await;
    functions
        .put_person("user-04", &json!({"visibility": "hidden"}))
        .await;
    functions.count(now).await;
    functions.publish(now).await;

    let response = functions.get(PATH, now).await;
    assert_eq!(response.status(), 200);
    let document: Value = serde_json::from_slice(response.body()).expect("JSON");
    let mut top = vec![
        json!({"rank": 1, "employee_id": "bob", "total_points": 15, "total_completed": 2}),
        json!({"rank": 2, "employee_id": "ann", "total_points": 10, "total_completed": 2}),
    ];
    // Nobody learns who is anonymous or hidden.
    let users = (0..24).filter(|user| ![3, 4].contains(user));
    top.extend((3..=20).zip(users).map(|(rank, user)| {
        json!({"rank": rank, "employee_id": format!("user-{user:02}"), "total_points": 10, "total_completed": 1})
    }));
    let expected = json!({"leaderboard_id": "GLOBAL", "as_of": "LATEST", "generated_at": "2026-11-21T10:00:00Z",
        "top_size": 20, "top": top});
    assert_eq!(document, expected);

    // Caches keep it as they keep a board.
    let board = functions.get("/v1/boards/global", now).await;
    assert_eq!(response.headers()[CACHE_CONTROL], board.headers()[CACHE_CONTROL]);
    let mut again = ask();
    again
        .headers_mut()
        .insert(IF_NONE_MATCH, response.headers()[ETAG].clone());
    let again = functions.serve.handle(again, now).await;
    assert_eq!(again.status(), 304);

    // Those pages are of another origin, and read nothing else.
    for answer in [&response, &again] {
        assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    }
    assert!(!board.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
}

#[tokio::test]
async fn without_being_asked_for_it_the_former_answer_is_nowhere() {
    let functions = Functions::start("UTC").await;
    let response = functions
        .serve_without_legacy()
        .handle(ask(), time("2026-11-21T10:00:00Z"))
        .await;
    let answer: Value = serde_json::from_slice(response.body()).expect("JSON");
    assert_eq!(
        (response.status().as_u16(), &answer["code"]),
        (404, &json!("not_found"))
    );
}
