//! Points that are corrected, weighed by a quantity, given and capped: what each leads to on the boards.

use domain::UserDocument;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::tables::{Functions, render, time};

const POLICY: &str = r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{
    "task_completed":10,
    "walk":{"per":1000,"points":5,"max":20},
    "award":{"given":{"max":25}},
    "quiz":{"points":10,"max_per_day":25}
},"titles":{"walk":"Steps"}}]"#;

/// A Wednesday.
const NOW: &str = "2026-11-18T10:00:00Z";

fn activity(user: &str, id: &str, kind: &str, more: &Value) -> Value {
    let mut activity = json!({"user_id": user, "activity_id": id, "program_id": "p", "kind": kind});
    activity
        .as_object_mut()
        .expect("an object")
        .extend(more.as_object().expect("an object").clone());
    activity
}

fn void(user: &str, id: &str, activity: &str) -> Value {
    json!({"correction_id": id, "user_id": user, "voids": activity, "reason": "entered twice"})
}

fn adjustment(user: &str, id: &str, points: i64) -> Value {
    json!({"correction_id": id, "user_id": user, "program_id": "p", "points": points, "reason": "agreed"})
}

/// The board of a window once everything is counted.
async fn board(functions: &mut Functions, window: &str, now: Timestamp) -> String {
    functions.count(now).await;
    functions.publish(now).await;
    let board = functions
        .board(&format!("/v1/boards/global?window={window}"), now)
        .await;
    let rows = board.entries.iter().map(|entry| entry.points).sum::<i64>();
    assert_eq!(
        rows, board.heading.points,
        "the sum of the board is that of its rows"
    );
    render(&board)
}

#[tokio::test]
async fn quantities_are_weighed_and_given_points_taken_over() {
    let mut functions = Functions::scoring(POLICY).await;
    let now = time(NOW);
    let posted = json!([
        activity("ann", "1", "walk", &json!({"quantity": 2_999})),
        activity("ann", "2", "walk", &json!({"quantity": 50_000})),
        activity("bob", "1", "award", &json!({"points": 25})),
        activity("bob", "2", "award", &json!({"points": 0})),
    ]);
    let accepted = "202 accepted; accepted; accepted; accepted";
    assert_eq!(functions.send("activities", &posted, now).await, accepted);
    let again = accepted.replace("accepted", "duplicate");
    assert_eq!(functions.send("activities", &posted, now).await, again);
    assert_eq!(board(&mut functions, "all", now).await, "1.ann=30/2 2.bob=25/2");
}

#[tokio::test]
async fn an_amount_that_the_kind_does_not_take_is_refused_with_its_field_and_limit() {
    let functions = Functions::scoring(POLICY).await;
    let check = async |kind: &str, more: &Value, expected: &str| {
        let sent = activity("ann", "1", kind, more);
        let expected = format!("422 rejected: {expected}");
        assert_eq!(functions.send("activities", &sent, time(NOW)).await, expected);
    };
    check(
        "walk",
        &json!({}),
        "missing_field quantity is missing; walk is worth points by it",
    )
    .await;
    check(
        "award",
        &json!({}),
        "missing_field points is missing; award is worth points by it",
    )
    .await;
    check(
        "task_completed",
        &json!({"points": 5}),
        "unknown_field points cannot be sent for task_completed; the scoring policy determines its points",
    )
    .await;
    check(
        "award",
        &json!({"points": 5, "quantity": 5}),
        "unknown_field quantity cannot be sent for award, whose points do not depend on it",
    )
    .await;
    check(
        "award",
        &json!({"points": 26}),
        "out_of_range points is 26; award is worth at most 25",
    )
    .await;
    check(
        "walk",
        &json!({"quantity": -1}),
        "out_of_range quantity is -1; it must be a whole number from 0 to 1000000000000",
    )
    .await;
    check(
        "walk",
        &json!({"quantity": "7"}),
        "wrong_type quantity must be a whole number, not a string",
    )
    .await;

    let kept = activity("ann", "2", "walk", &json!({"quantity": 1_000}));
    assert_eq!(
        functions.send("activities", &kept, time(NOW)).await,
        "202 accepted"
    );
    let other = activity("ann", "2", "walk", &json!({"quantity": 2_000}));
    let conflict = functions.send("activities", &other, time(NOW)).await;
    assert!(conflict.starts_with("409 conflict"), "{conflict}");
    assert!(conflict.contains("other content: quantity differs"), "{conflict}");
}

#[tokio::test]
async fn a_void_takes_its_activity_out_once_and_an_adjustment_adds_points_below_zero_too() {
    let mut functions = Functions::scoring(POLICY).await;
    let now = time(NOW);
    // An adjustment may come before any activity of its person.
    let sent = functions
        .send("corrections", &adjustment("cy", "a1", -7), now)
        .await;
    assert_eq!(sent, "202 accepted");
    for (user, id) in [("ann", "1"), ("ann", "2"), ("bob", "1")] {
        functions
            .post(&activity(user, id, "task_completed", &json!({})), now)
            .await;
    }
    assert_eq!(
        board(&mut functions, "all", now).await,
        "1.ann=20/2 2.bob=10/1 3.cy=-7/0"
    );

    let unknown = functions
        .send("corrections", &void("ann", "c0", "none"), now)
        .await;
    assert!(
        unknown.starts_with("422 rejected: unknown_activity voids names an activity that ann does not have"),
        "{unknown}"
    );
    let voids = json!([
        void("ann", "c1", "1"),
        void("ann", "c2", "1"),
        void("bob", "c3", "1")
    ]);
    assert_eq!(
        functions.send("corrections", &voids, now).await,
        "202 accepted; duplicate; accepted"
    );
    assert_eq!(
        functions.send("corrections", &voids, now).await,
        "202 duplicate; duplicate; duplicate"
    );
    // Posted again, a void activity stays void. Whoever has neither points nor activities is on no board.
    functions
        .post(&activity("bob", "1", "task_completed", &json!({})), now)
        .await;
    assert_eq!(board(&mut functions, "all", now).await, "1.ann=10/1 2.cy=-7/0");

    let adjusted = json!([
        adjustment("bob", "a1", 3),
        adjustment("ann", "a1", -10),
        adjustment("cy", "a2", 7)
    ]);
    assert_eq!(
        functions.send("corrections", &adjusted, now).await,
        "202 accepted; accepted; accepted"
    );
    let other = functions
        .send("corrections", &adjustment("bob", "a1", 4), now)
        .await;
    assert!(
        other.contains("conflict: conflict correction_id was sent before with other content: points differs"),
        "{other}"
    );
    for window in ["all", "month", "week", "day"] {
        assert_eq!(
            board(&mut functions, window, now).await,
            "1.bob=3/0 2.ann=0/1",
            "{window}"
        );
    }
    let response = functions.get("/v1/boards/global/users/cy", now).await;
    assert_eq!(response.status(), 404);
    let response = functions.get("/v1/boards/global/users/ann", now).await;
    let ann: UserDocument = serde_json::from_slice(response.body()).expect("a document");
    assert_eq!((ann.entry.rank, ann.entry.points, ann.percentile), (2, 0, 50.0));
}

#[tokio::test]
async fn boards_rank_below_zero_and_tie_at_zero() {
    let mut functions = Functions::scoring(POLICY).await;
    let now = time(NOW);
    let most = 1_000_000;
    let corrections: Vec<_> = [("ann", most), ("bob", -most), ("cy", 5), ("dee", -5)]
        .map(|(user, points)| adjustment(user, "a1", points))
        .into();
    functions.send("corrections", &json!(corrections), now).await;
    for user in ["cy", "dee", "eve"] {
        functions
            .post(&activity(user, "1", "task_completed", &json!({})), now)
            .await;
    }
    functions
        .send(
            "corrections",
            &json!([
                adjustment("cy", "a2", -15),
                adjustment("dee", "a2", -5),
                adjustment("eve", "a1", -10)
            ]),
            now,
        )
        .await;
    let expected = "1.ann=1000000/0 2.cy=0/1 2.dee=0/1 2.eve=0/1 5.bob=-1000000/0";
    assert_eq!(board(&mut functions, "all", now).await, expected);
    for (user, rank, percentile) in [("ann", 1, 100.0), ("eve", 2, 80.0), ("bob", 5, 20.0)] {
        let response = functions
            .get(&format!("/v1/boards/global/users/{user}"), now)
            .await;
        let found: UserDocument = serde_json::from_slice(response.body()).expect("a document");
        assert_eq!((found.entry.rank, found.percentile), (rank, percentile), "{user}");
    }
}

#[tokio::test]
async fn a_cap_is_of_a_day_and_a_void_revives_what_it_had_suppressed() {
    let mut functions = Functions::scoring(POLICY).await;
    let now = time(NOW);
    let quiz = |id: &str, at: &str| activity("ann", id, "quiz", &json!({"occurred_at": at}));
    for (id, at) in [("1", NOW), ("2", NOW), ("3", NOW), ("4", "2026-11-17T10:00:00Z")] {
        functions.post(&quiz(id, at), now).await;
    }
    assert_eq!(board(&mut functions, "all", now).await, "1.ann=35/4");
    assert_eq!(board(&mut functions, "day", now).await, "1.ann=25/3");
    functions.send("corrections", &void("ann", "c1", "1"), now).await;
    assert_eq!(board(&mut functions, "all", now).await, "1.ann=30/3");
    // One more of that day reaches the cap again, whenever it arrives.
    let later = time("2026-11-19T09:00:00Z");
    functions.post(&quiz("5", NOW), later).await;
    assert_eq!(board(&mut functions, "week", later).await, "1.ann=35/4");
}

#[tokio::test]
async fn what_arrives_after_the_grace_of_a_period_counts_in_longer_ones_alone() {
    let mut functions = Functions::scoring(POLICY).await;
    // Sunday, the last day of week 46; its grace ends with Monday.
    let sunday = "2026-11-15T12:00:00Z";
    let task = |user: &str| activity(user, "1", "task_completed", &json!({"occurred_at": sunday}));
    functions.post(&task("ann"), time("2026-11-16T23:59:59Z")).await;
    functions.post(&task("bob"), time("2026-11-17T00:00:00Z")).await;
    let now = time("2026-11-17T00:01:00Z");
    assert_eq!(board(&mut functions, "all", now).await, "1.ann=10/1 1.bob=10/1");
    let points = async |user: &str| {
        let response = functions
            .get(&format!("/v1/boards/global/users/{user}?window=month"), now)
            .await;
        let found: UserDocument = serde_json::from_slice(response.body()).expect("a document");
        found
            .history
            .iter()
            .map(|then| format!("{}={}", &then.at.to_string()[5..10], then.points))
            .collect::<Vec<_>>()
            .join(" ")
    };
    // The week before has ann's points, which she therefore earned in it; bob's are of nobody knows when.
    assert_eq!(points("ann").await, "11-01=0 11-09=0 11-16=10 11-17=10 11-17=10");
    assert_eq!(points("bob").await, "11-01=0 11-09=10 11-16=10 11-17=10 11-17=10");
}

#[tokio::test]
async fn corrections_are_listed_for_a_user_page_by_page() {
    let functions = Functions::scoring(POLICY).await;
    let now = time(NOW);
    functions
        .post(&activity("ann", "1", "task_completed", &json!({})), now)
        .await;
    let sent = json!([
        void("ann", "c1", "1"),
        adjustment("ann", "a1", -5),
        adjustment("ann", "a2", 5),
        adjustment("bob", "a3", 5)
    ]);
    functions.send("corrections", &sent, now).await;
    let list = async |query: &str| {
        let request = lambda_http::http::Request::get(format!("http://localhost/v1/corrections?{query}"))
            .body(lambda_http::Body::Empty)
            .expect("a request");
        let response = functions.ingest.handle(request, now).await;
        let body: Value = serde_json::from_str(response.body()).expect("JSON");
        (response.status().as_u16(), body)
    };
    let (status, first) = list("user_id=ann&limit=2").await;
    assert_eq!(status, 200, "{first}");
    assert_eq!(
        first["corrections"],
        json!([
            {"correction_id": "a1", "user_id": "ann", "program_id": "p", "points": -5, "occurred_at": "2026-11-18T10:00:00.000000001Z",
             "received_at": "2026-11-18T10:00:00.000000001Z", "reason": "agreed"},
            {"correction_id": "a2", "user_id": "ann", "program_id": "p", "points": 5, "occurred_at": "2026-11-18T10:00:00.000000002Z",
             "received_at": "2026-11-18T10:00:00.000000002Z", "reason": "agreed"},
        ])
    );
    let cursor = first["next_cursor"].as_str().expect("there is more");
    let (_, rest) = list(&format!("user_id=ann&cursor={cursor}")).await;
    assert_eq!(
        rest,
        json!({"corrections": [
            {"correction_id": "c1", "user_id": "ann", "program_id": "p", "voids": "1", "kind": "task_completed",
             "occurred_at": "2026-11-18T10:00:00Z", "received_at": "2026-11-18T10:00:00Z", "reason": "entered twice"},
        ], "next_cursor": null})
    );
    for (query, field) in [
        ("", "user_id"),
        ("user_id=ann&limit=0", "limit"),
        ("user_id=ann&cursor=x", "cursor"),
        ("user_id=ann&from=1", "from"),
    ] {
        let (status, problem) = list(query).await;
        assert_eq!(
            (status, problem["field"].as_str()),
            (400, Some(field)),
            "{query}: {problem}"
        );
    }
}

#[tokio::test]
async fn the_policy_says_what_each_kind_is_worth() {
    let mut functions = Functions::scoring(POLICY).await;
    let now = time(NOW);
    let response = functions.get("/v1/policy", now).await;
    assert_eq!(response.status(), 503, "nothing is counted yet");
    functions
        .post(&activity("ann", "1", "task_completed", &json!({})), now)
        .await;
    functions.count(now).await;
    let response = functions.get("/v1/policy", now).await;
    assert_eq!(response.status(), 200);
    let policy: Value = serde_json::from_slice(response.body()).expect("JSON");
    let kinds: Value = serde_json::from_str(POLICY).expect("JSON");
    assert_eq!(
        policy,
        json!({"versions": kinds, "time_zone": "UTC", "seasons": [], "period_grace_hours": 24, "tie_break": "shared", "pending": []})
    );
}
