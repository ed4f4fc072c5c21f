//! What the dashboard draws and looks up: points over time, sums per window, positions and searches.

use domain::documents::{HistoryDocument, SearchDocument};
use domain::{BoardDocument, BoardsDocument, UserDocument};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::tables::{Functions, render, render_ranks, time};

async fn get<T: DeserializeOwned>(functions: &Functions, path: &str, now: Timestamp) -> T {
    let response = functions.get(path, now).await;
    assert_eq!(response.status(), 200, "{path}: {:?}", response.body());
    serde_json::from_slice(response.body()).expect("the document")
}

async fn task(functions: &mut Functions, user: &str, program: &str, occurred_at: &str, now: &str) {
    let activity =
        json!({"user_id": user, "program_id": program, "kind": "task_completed", "occurred_at": occurred_at});
    functions.post(&activity, time(now)).await;
    functions.count(time(now)).await;
}

/// A task of program `p` that is posted and counted when it occurs.
async fn task_at(functions: &mut Functions, user: &str, at: &str) {
    task(functions, user, "p", at, at).await;
}

fn known(points: Option<i64>) -> String {
    points.map_or("-".to_owned(), |points| points.to_string())
}

/// One line a sample, of time, total and each user's points: `09:00 10 ann:10 bob:-`.
fn render_history(history: &HistoryDocument) -> Vec<String> {
    let at = history.at.iter().zip(&history.total).enumerate();
    at.map(|(sample, (at, total))| {
        let users = history
            .users
            .iter()
            .map(|user| format!("{}:{}", user.user_id, known(user.points[sample])));
        let users: Vec<_> = users.collect();
        let total = known(*total);
        format!("{} {total} {}", &at.to_string()[11..16], users.join(" "))
    })
    .collect()
}

#[tokio::test]
async fn a_history_shows_how_points_grew_and_begins_anew_with_the_window() {
    let mut functions = Functions::start("UTC").await;
    task_at(&mut functions, "ann", "2026-11-21T23:57:00Z").await;
    functions.publish(time("2026-11-21T23:58:00Z")).await;
    task_at(&mut functions, "bob", "2026-11-21T23:58:10Z").await;
    task_at(&mut functions, "bob", "2026-11-21T23:58:20Z").await;
    functions.publish(time("2026-11-21T23:59:00Z")).await;
    let path = |window| format!("/v1/boards/global/history?window={window}");
    let now = time("2026-11-21T23:59:30Z");
    for window in ["all", "day"] {
        let history = get(&functions, &path(window), now).await;
        assert_eq!(
            render_history(&history),
            [
                "23:57 - bob:0 ann:10",
                "23:58 10 bob:0 ann:10",
                "23:59 30 bob:20 ann:10"
            ]
        );
    }

    task_at(&mut functions, "ann", "2026-11-22T00:00:10Z").await;
    functions.publish(time("2026-11-22T00:01:00Z")).await;
    let now = time("2026-11-22T00:01:30Z");
    let day = get(&functions, &path("day"), now).await;
    assert_eq!(render_history(&day), ["00:00 - ann:10", "00:01 10 ann:10"]);
    let all = get(&functions, &path("all"), now).await;
    assert_eq!(
        render_history(&all),
        [
            "23:57 - ann:10 bob:0",
            "23:58 10 ann:10 bob:0",
            "23:59 30 ann:10 bob:20",
            "00:01 40 ann:20 bob:20"
        ]
    );
}

#[tokio::test]
async fn a_history_of_any_length_stays_small() {
    let mut functions = Functions::start("UTC").await;
    let start = time("2026-11-21T09:00:00Z");
    task_at(&mut functions, "ann", "2026-11-21T08:00:00Z").await;
    for minute in 0..150 {
        functions.publish(start + SignedDuration::from_mins(minute)).await;
    }
    let history: HistoryDocument = get(
        &functions,
        "/v1/boards/global/history",
        start + SignedDuration::from_mins(150),
    )
    .await;
    // Every minute for an hour, then every second one.
    let gaps = history
        .at
        .windows(2)
        .map(|pair| pair[1].duration_since(pair[0]).as_mins());
    let gaps: Vec<i64> = gaps.collect();
    assert!(
        history.at.len() <= usize::from(domain::history::MAX_SAMPLES) + 1,
        "{}",
        history.at.len()
    );
    assert!(gaps.iter().all(|gap| (1..=4).contains(gap)), "{gaps:?}");
    assert_eq!(history.at.first(), Some(&time("2026-11-21T08:00:00Z")));
    assert_eq!(history.at.last(), Some(&(start + SignedDuration::from_mins(149))));
}

/// The points of each user of a history at some times.
fn points_at(history: &HistoryDocument, at: &[&str]) -> Vec<String> {
    let at = at.iter().map(|at| {
        let upto = history.at.partition_point(|then| *then <= time(at));
        let users = history.users.iter().map(|user| {
            let points = upto.checked_sub(1).and_then(|last| user.points[last]);
            format!("{}:{}", user.user_id, known(points))
        });
        users.collect::<Vec<_>>().join(" ")
    });
    at.collect()
}

#[tokio::test]
async fn a_history_goes_back_to_the_first_fact_and_late_facts_show_when_they_occurred() {
    let mut functions = Functions::start("UTC").await;
    let now = "2026-11-21T12:00:00Z";
    // Ann does something every other day for 30 days, and bob on one day.
    for day in 0..15_i64 {
        let occurred_at = time(now) - SignedDuration::from_hours(24 * (30 - 2 * day));
        task(&mut functions, "ann", "p", &occurred_at.to_string(), now).await;
    }
    task(&mut functions, "bob", "q", "2026-11-11T12:00:00Z", now).await;
    functions.publish(time(now)).await;
    let history: HistoryDocument = get(&functions, "/v1/boards/global/history", time(now)).await;
    let dates = [
        "2026-10-23T00:00:00Z",
        "2026-11-06T13:00:00Z",
        "2026-11-20T13:00:00Z",
    ];
    assert_eq!(history.at[0], time("2026-10-22T12:00:00Z"));
    assert!(history.at.len() <= 34, "{}", history.at.len());
    assert_eq!(history.at.last(), Some(&time(now)));
    assert_eq!(
        points_at(&history, &dates),
        ["ann:10 bob:0", "ann:80 bob:0", "ann:150 bob:10"]
    );
    // The same activities in the week that began on the 16th, and on the board of one program.
    let week: HistoryDocument = get(&functions, "/v1/boards/global/history?window=week", time(now)).await;
    assert_eq!(week.at[0], time("2026-11-17T12:00:00Z"));
    assert_eq!(
        points_at(&week, &["2026-11-17T13:00:00Z", now]),
        ["ann:10", "ann:20"]
    );
    let program: HistoryDocument = get(&functions, "/v1/boards/program:q/history", time(now)).await;
    assert_eq!(points_at(&program, &["2026-11-11T13:00:00Z"]), ["bob:10"]);

    // Late facts. A large change shows at once when it occurred, and a small one within the hour.
    for (minute, late) in [(1, 1), (2, 12), (3, 1)] {
        let now = time(now) + SignedDuration::from_mins(minute);
        for _ in 0..late {
            task(
                &mut functions,
                "ann",
                "p",
                "2026-10-30T12:00:00Z",
                &now.to_string(),
            )
            .await;
        }
        functions.publish(now).await;
    }
    let soon = time("2026-11-21T12:03:00Z");
    let history: HistoryDocument = get(&functions, "/v1/boards/global/history", soon).await;
    assert_eq!(
        points_at(&history, &dates),
        ["ann:10 bob:0", "ann:210 bob:0", "ann:280 bob:10"]
    );
    let later = time("2026-11-21T13:10:00Z");
    functions.publish(later).await;
    let history: HistoryDocument = get(&functions, "/v1/boards/global/history", later).await;
    assert_eq!(
        points_at(&history, &dates),
        ["ann:10 bob:0", "ann:220 bob:0", "ann:290 bob:10"]
    );
}

#[tokio::test]
async fn anyones_points_over_time_follow_from_the_counters() {
    let mut functions = Functions::start("Europe/Berlin").await;
    // A Saturday; the week began on the 16th.
    let now = "2026-11-21T12:00:00Z";
    for occurred_at in [
        "2026-10-25T12:00:00Z",
        "2026-11-02T12:00:00Z",
        "2026-11-10T12:00:00Z",
        "2026-11-17T12:00:00Z",
        "2026-11-20T12:00:00Z",
        "2026-11-21T11:00:00Z",
    ] {
        task(&mut functions, "ann", "p", occurred_at, occurred_at).await;
    }
    task(&mut functions, "ann", "q", "2026-11-20T12:00:00Z", now).await;
    functions.publish(time(now)).await;
    let check = async |board: &str, window: &str, expected: &str| {
        let path = format!("/v1/boards/{board}/users/ann?window={window}");
        let document: UserDocument = get(&functions, &path, time(now)).await;
        let past = document.history.iter();
        let past: Vec<_> = past
            .map(|then| format!("{}={}", &then.at.to_string()[5..13], then.points))
            .collect();
        assert_eq!(past.join(" "), expected, "{board} {window}");
    };
    check(
        "global",
        "all",
        "09-30T22=0 10-31T23=10 11-08T23=20 11-15T23=30 11-19T23=40 11-20T23=60 11-21T12=70",
    )
    .await;
    check("global", "week", "11-15T23=0 11-19T23=10 11-20T23=30 11-21T12=40").await;
    check("global", "day", "11-20T23=0 11-21T12=10").await;
    check(
        "program:q",
        "week",
        "11-15T23=0 11-19T23=0 11-20T23=10 11-21T12=10",
    )
    .await;
}

#[tokio::test]
async fn boards_are_listed_by_what_they_come_to_in_the_window() {
    let mut functions = Functions::start("UTC").await;
    let now = "2026-11-21T12:00:00Z";
    for (program, occurred_at) in [
        ("old", "2026-11-01T12:00:00Z"),
        ("old", "2026-11-02T12:00:00Z"),
        ("new", now),
    ] {
        task(&mut functions, "ann", program, occurred_at, now).await;
    }
    functions.publish(time(now)).await;
    let check = async |window: &str, expected: &[&str]| {
        let path = format!("/v1/boards?window={window}");
        let list: BoardsDocument = get(&functions, &path, time(now)).await;
        let boards = list.boards.iter();
        let boards: Vec<_> = boards
            .map(|board| {
                format!(
                    "{}={}/{}",
                    board.board, board.sums.points, board.sums.participants
                )
            })
            .collect();
        assert_eq!(boards, expected);
        assert_eq!(list.window.name.as_str(), window);
    };
    check("all", &["global=30/1", "program:old=20/1", "program:new=10/1"]).await;
    check("day", &["global=10/1", "program:new=10/1", "program:old=0/0"]).await;
}

#[tokio::test]
async fn a_place_on_the_board_and_a_part_of_an_id_are_found() {
    let mut functions = Functions::start("UTC").await;
    let now = "2026-11-21T12:00:00Z";
    for (user, tasks) in [("Ann.Lee", 3), ("joanna", 2), ("bob", 2), ("ANNE", 1)] {
        for _ in 0..tasks {
            task_at(&mut functions, user, now).await;
        }
    }
    functions.publish(time(now)).await;
    let from = async |from: u64| -> BoardDocument {
        get(
            &functions,
            &format!("/v1/boards/global?limit=2&from={from}"),
            time(now),
        )
        .await
    };
    let page = from(2).await;
    assert_eq!(render(&page), "2.bob=20/2 2.joanna=20/2");
    assert_eq!((page.from, page.listed), (2, 4));
    assert_eq!(page.next_cursor.as_deref(), Some("1.3"));
    assert_eq!(render(&from(4).await), "4.ANNE=10/1");
    assert_eq!(render(&from(5).await), "");

    let search = async |text: &str| {
        let path = format!("/v1/boards/global/users?search={text}");
        let found: SearchDocument = get(&functions, &path, time(now)).await;
        render_ranks(&found.entries)
    };
    assert_eq!(search("ann").await, "1.Ann.Lee 2.joanna 4.ANNE");
    assert_eq!(search("ann&limit=1").await, "1.Ann.Lee");
    assert_eq!(search("zoe").await, "");
}

#[tokio::test]
async fn an_id_in_another_case_is_named() {
    let mut functions = Functions::start("UTC").await;
    let (yesterday, now) = ("2026-11-20T12:00:00Z", "2026-11-21T12:00:00Z");
    for (user, program, at) in [
        ("ann", "Chess", yesterday),
        ("ann", "Chess", now),
        ("Ann", "Chess", now),
        ("ANN", "chess", yesterday),
        ("bob", "chess", yesterday),
        ("annie", "chess", now),
    ] {
        task(&mut functions, user, program, at, at).await;
    }
    functions.publish(time(now)).await;
    let check = async |path: &str, status: u16, expected: &[&str]| {
        let response = functions.get(path, time(now)).await;
        assert_eq!(response.status(), status, "{path}");
        let document: serde_json::Value = serde_json::from_slice(response.body()).expect("JSON");
        assert_eq!(document["other_case"], json!(expected), "{path}");
        if status == 404 {
            let detail = document["detail"].as_str().expect("text");
            assert_eq!(
                detail.contains("other_case"),
                !expected.is_empty(),
                "{path}: {detail}"
            );
        }
    };
    let users = "/v1/boards/global/users";
    check(&format!("{users}/ann"), 200, &["ANN", "Ann"]).await;
    check(&format!("{users}/Ann?window=day"), 200, &["ann"]).await;
    check(&format!("{users}/bob"), 200, &[]).await;
    check(&format!("{users}/aNN"), 404, &["ann", "ANN", "Ann"]).await;
    check(&format!("{users}/aNN?window=day"), 404, &["Ann", "ann"]).await;
    // Bob did nothing today.
    check(&format!("{users}/BOB?window=day"), 404, &["bob"]).await;
    check(&format!("{users}/zoe"), 404, &[]).await;
    check("/v1/boards/program:chess/users/Annie", 404, &["annie"]).await;
    check(
        "/v1/boards/program:CHESS",
        404,
        &["program:Chess", "program:chess"],
    )
    .await;
    check(
        "/v1/boards/program:CHESS/history",
        404,
        &["program:Chess", "program:chess"],
    )
    .await;
    check("/v1/boards/program:golf", 404, &[]).await;
    for many in ["ZOE", "ZOe", "ZoE", "Zoe", "zOE", "zOe"] {
        task(&mut functions, many, "chess", now, now).await;
    }
    functions.publish(time("2026-11-21T12:01:00Z")).await;
    let many = functions.get(&format!("{users}/zoe"), time(now)).await;
    let many: serde_json::Value = serde_json::from_slice(many.body()).expect("JSON");
    assert_eq!(
        many["other_case"].as_array().map(Vec::len),
        Some(serve::MAX_OTHER_CASE)
    );
}
