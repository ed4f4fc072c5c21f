//! Teams: their board, the boards of their members, and the titles of teams and programs.

use domain::{BoardsDocument, TeamsDocument};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::tables::{Functions, render, time};

fn minute(minutes: i64) -> Timestamp {
    time("2026-11-21T12:00:00Z") + SignedDuration::from_mins(minutes)
}

async fn tasks(functions: &mut Functions, user: &str, count: usize) {
    for _ in 0..count {
        let activity = json!({"user_id": user, "program_id": "p", "kind": "task_completed"});
        functions.post(&activity, minute(0)).await;
    }
    functions.count(minute(0)).await;
}

/// The status and the code of a problem, or the JSON of a document.
async fn get(functions: &Functions, path: &str, now: Timestamp) -> Result<Value, String> {
    let response = functions.get(path, now).await;
    let body: Value = serde_json::from_slice(response.body()).expect("JSON");
    match body["code"].as_str() {
        Some(code) => Err(format!("{} {code}", response.status().as_u16())),
        None => Ok(body),
    }
}

/// The rows of a board of people, or the problem.
async fn board(functions: &Functions, board: &str, now: Timestamp) -> String {
    match get(functions, &format!("/v1/boards/{board}"), now).await {
        Ok(document) => render(&serde_json::from_value(document).expect("a board")),
        Err(problem) => problem,
    }
}

/// The rows of the board of teams with score and members, or the problem.
async fn teams(functions: &Functions, query: &str, now: Timestamp) -> String {
    match get(functions, &format!("/v1/boards/teams{query}"), now).await {
        Ok(document) => {
            let document: TeamsDocument = serde_json::from_value(document).expect("the board of teams");
            let rows = document.entries.iter().map(|row| {
                let title = row.title.as_ref().map_or("-", |title| title.as_str());
                format!(
                    "{}.{} {title} {}/{}",
                    row.rank, row.team_id, row.score, row.members
                )
            });
            rows.collect::<Vec<_>>().join(", ")
        }
        Err(problem) => problem,
    }
}

async fn person(functions: &Functions, board: &str, user: &str, now: Timestamp) -> String {
    let path = format!("/v1/private/boards/{board}/users/{user}");
    match get(functions, &path, now).await {
        Ok(document) => format!("{} {}", document["entry"]["rank"], document["entry"]["points"]),
        Err(problem) => problem,
    }
}

#[tokio::test]
async fn members_have_a_board_and_points_follow_whoever_changes_teams() {
    let mut functions = Functions::start("UTC").await;
    for (user, count) in [("ann", 3), ("bob", 2), ("cy", 5), ("dee", 1)] {
        tasks(&mut functions, user, count).await;
    }
    functions.publish(minute(0)).await;
    assert_eq!(teams(&functions, "", minute(0)).await, "404 no_teams");
    assert_eq!(
        board(&functions, "team:red", minute(0)).await,
        "404 team_not_published"
    );

    for (user, person) in [
        ("ann", json!({"team": "red"})),
        ("bob", json!({"team": "red", "visibility": "anonymous"})),
        ("cy", json!({"team": "red", "visibility": "hidden"})),
        ("dee", json!({"team": "blue"})),
        ("idle", json!({"team": "blue"})),
    ] {
        functions.put_person(user, &person).await;
    }
    functions.publish(minute(1)).await;
    assert_eq!(
        teams(&functions, "", minute(1)).await,
        "1.red - 100/3, 2.blue - 10/2"
    );
    assert_eq!(
        teams(&functions, "?window=week&limit=1&from=2", minute(1)).await,
        "2.blue - 10/2"
    );
    assert_eq!(
        board(&functions, "team:red", minute(1)).await,
        "1.ann=30/3 2.?=20/2"
    );
    assert_eq!(board(&functions, "team:blue", minute(1)).await, "1.dee=10/1");
    // The hidden member sees the own place; who is in another team has none.
    assert_eq!(person(&functions, "team:red", "cy", minute(1)).await, "1 50");
    for (team, user) in [("red", "dee"), ("blue", "cy"), ("blue", "idle")] {
        let board = format!("team:{team}");
        assert_eq!(
            person(&functions, &board, user, minute(1)).await,
            "404 user_not_on_board"
        );
    }
    let first = get(&functions, "/v1/boards/teams?limit=1", minute(1))
        .await
        .unwrap();
    let cursor = first["next_cursor"]
        .as_str()
        .expect("there are two teams")
        .to_owned();

    functions.put_person("ann", &json!({"team": "blue"})).await;
    functions.publish(minute(2)).await;
    assert_eq!(
        teams(&functions, "", minute(2)).await,
        "1.red - 70/2, 2.blue - 40/3"
    );
    assert_eq!(board(&functions, "team:red", minute(2)).await, "1.?=20/2");
    assert_eq!(
        board(&functions, "team:blue", minute(2)).await,
        "1.ann=30/3 2.dee=10/1"
    );
    // The second page is of the generation that the first one was.
    let second = format!("?limit=1&cursor={cursor}");
    assert_eq!(teams(&functions, &second, minute(2)).await, "2.blue - 10/2");

    for user in ["ann", "bob", "cy", "dee", "idle"] {
        functions.put_person(user, &json!({})).await;
    }
    functions.publish(minute(3)).await;
    assert_eq!(board(&functions, "team:red", minute(3)).await, "");
    assert_eq!(teams(&functions, "", minute(3)).await, "404 no_teams");
    functions.publish(minute(4)).await;
    // A reader asks again when the next snapshot is due.
    assert_eq!(
        board(&functions, "team:red", minute(6)).await,
        "410 team_not_published"
    );
}

#[tokio::test]
async fn teams_and_programs_have_titles_and_archived_programs_leave_the_list() {
    let mut functions = Functions::start("UTC").await;
    tasks(&mut functions, "ann", 1).await;
    functions.put_person("ann", &json!({"team": "red"})).await;
    for (path, body, expected) in [
        (
            "teams/red",
            json!({"title": "The Reds"}),
            r#"201 {"outcome":"created","team_id":"red","title":"The Reds"}"#,
        ),
        (
            "teams/red",
            json!({"title": "The Reds"}),
            r#"200 {"outcome":"unchanged","team_id":"red","title":"The Reds"}"#,
        ),
        (
            "programs/p",
            json!({"title": "Walk"}),
            r#"201 {"archived":false,"order":null,"outcome":"created","program_id":"p","title":"Walk"}"#,
        ),
    ] {
        assert_eq!(functions.ask_directory("PUT", path, &body).await, expected);
    }
    let refused = functions
        .ask_directory("PUT", "programs/p", &json!({"order": -1}))
        .await;
    assert!(
        refused.starts_with("422 ")
            && refused.contains("order is -1; it must be a whole number from 0 to 9999"),
        "{refused}"
    );
    functions.publish(minute(1)).await;
    assert_eq!(teams(&functions, "", minute(1)).await, "1.red The Reds 10/1");
    for (board, title) in [
        ("team:red", json!("The Reds")),
        ("program:p", json!("Walk")),
        ("global", Value::Null),
    ] {
        let document = get(&functions, &format!("/v1/boards/{board}"), minute(1)).await;
        assert_eq!(document.unwrap()["title"], title, "{board}");
    }
    let boards = async |now| {
        let list = get(&functions, "/v1/boards", now).await.unwrap();
        let list: BoardsDocument = serde_json::from_value(list).expect("a list");
        let boards = list.boards.iter().map(|summary| {
            let title = summary.title.as_ref().map_or("-", |title| title.as_str());
            format!("{} {title}", summary.board)
        });
        (list.teams, boards.collect::<Vec<_>>().join(", "))
    };
    assert_eq!(
        boards(minute(1)).await,
        (1, "global -, program:p Walk".to_owned())
    );

    let archived = json!({"title": "Walk", "archived": true});
    functions.ask_directory("PUT", "programs/p", &archived).await;
    assert_eq!(
        functions.ask_directory("GET", "programs", &Value::Null).await,
        r#"200 {"next_cursor":null,"programs":[{"archived":true,"order":null,"program_id":"p","title":"Walk"}]}"#
    );
    functions.publish(minute(2)).await;
    assert_eq!(boards(minute(2)).await, (1, "global -".to_owned()));
    assert_eq!(board(&functions, "program:p", minute(2)).await, "1.ann=10/1");

    for path in ["teams/red", "programs/p"] {
        let deleted = functions.ask_directory("DELETE", path, &Value::Null).await;
        assert_eq!(deleted, "204");
        let gone = functions.ask_directory("GET", path, &Value::Null).await;
        assert!(gone.starts_with("404 "), "{gone}");
    }
    functions.publish(minute(3)).await;
    assert_eq!(teams(&functions, "", minute(3)).await, "1.red - 10/1");
    assert_eq!(boards(minute(3)).await, (1, "global -, program:p -".to_owned()));
}

#[tokio::test]
async fn teams_are_listed_by_page() {
    let functions = Functions::start("UTC").await;
    for team in ["a", "b", "c"] {
        functions
            .ask_directory("PUT", &format!("teams/{team}"), &json!({"title": team}))
            .await;
    }
    let first = functions
        .ask_directory("GET", "teams?limit=2", &Value::Null)
        .await;
    assert_eq!(
        first,
        r#"200 {"next_cursor":"Yg","teams":[{"team_id":"a","title":"a"},{"team_id":"b","title":"b"}]}"#
    );
    let second = functions
        .ask_directory("GET", "teams?limit=2&cursor=Yg", &Value::Null)
        .await;
    assert_eq!(
        second,
        r#"200 {"next_cursor":null,"teams":[{"team_id":"c","title":"c"}]}"#
    );
}
