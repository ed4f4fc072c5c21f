//! Which programs have a board, and that no board steps back.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use store::Standings;
use store::keys::CountGeneration;

use crate::tables::{Functions, render, rules, time};

async fn tasks(functions: &mut Functions, program: &str, count: usize, occurred_at: &str, now: Timestamp) {
    for _ in 0..count {
        let activity = json!({"user_id": "ann", "program_id": program, "kind": "task_completed", "occurred_at": occurred_at});
        functions.post(&activity, now).await;
    }
    functions.count(now).await;
}

/// The status of a program's board, and the code of the problem or the rows.
async fn board(functions: &Functions, program: &str, now: Timestamp) -> String {
    let response = functions.get(&format!("/v1/boards/program:{program}"), now).await;
    let body: Value = serde_json::from_slice(response.body()).expect("JSON");
    match body["code"].as_str() {
        Some(code) => format!("{} {code}", response.status().as_u16()),
        None => render(&serde_json::from_value(body).expect("a board")),
    }
}

async fn listed(functions: &Functions, now: Timestamp) -> Value {
    let response = functions.get("/v1/boards", now).await;
    let list: Value = serde_json::from_slice(response.body()).expect("JSON");
    let boards = list["boards"].as_array().expect("a list");
    let boards: Vec<_> = boards.iter().map(|board| board["board"].clone()).collect();
    json!([list["programs"], boards])
}

#[tokio::test]
async fn a_recent_program_gets_a_board_and_the_displaced_one_answers_that_it_has_none() {
    let mut functions = Functions::with_program_boards("UTC", "2").await;
    let minute = |minutes| time("2026-11-21T12:00:00Z") + SignedDuration::from_mins(minutes);
    tasks(&mut functions, "old", 4, "2026-11-01T12:00:00Z", minute(0)).await;
    tasks(&mut functions, "older", 3, "2026-11-02T12:00:00Z", minute(0)).await;
    functions.publish(minute(0)).await;
    assert_eq!(board(&functions, "older", minute(0)).await, "1.ann=30/3");
    let paged = functions
        .get("/v1/boards/program:older?cursor=1.0", minute(0))
        .await;
    assert_eq!(paged.status(), 200);

    // The next run finds that there are more programs than boards, and which are active; the one after it
    // publishes these.
    tasks(&mut functions, "new", 1, "2026-11-21T12:00:00Z", minute(0)).await;
    assert_eq!(board(&functions, "new", minute(0)).await, "404 board_not_found");
    functions.publish(minute(1)).await;
    assert_eq!(
        board(&functions, "new", minute(1)).await,
        "404 program_not_published"
    );
    functions.publish(minute(2)).await;
    assert_eq!(board(&functions, "new", minute(2)).await, "1.ann=10/1");
    assert_eq!(board(&functions, "old", minute(2)).await, "1.ann=40/4");
    assert_eq!(
        board(&functions, "older", minute(2)).await,
        "410 program_not_published"
    );
    for path in ["?cursor=1.0", "/history", "/users?search=a", "/users/ann"] {
        let response = functions
            .get(&format!("/v1/boards/program:older{path}"), minute(2))
            .await;
        assert_eq!(response.status(), 410, "{path}");
    }
    let with_new = json!([3, ["global", "program:old", "program:new"]]);
    assert_eq!(listed(&functions, minute(2)).await, with_new);

    // The displaced program comes back when it is the most active one.
    tasks(&mut functions, "older", 2, "2026-11-21T12:00:00Z", minute(2)).await;
    functions.publish(minute(3)).await;
    functions.publish(minute(4)).await;
    assert_eq!(board(&functions, "older", minute(4)).await, "1.ann=50/5");
    assert_eq!(
        board(&functions, "new", minute(4)).await,
        "410 program_not_published"
    );
    // When snapshots stop, its board is old but not gone.
    assert_eq!(board(&functions, "older", minute(90)).await, "1.ann=50/5");
}

#[tokio::test]
async fn reads_of_the_standings_are_consistent() {
    let mut functions = Functions::start("UTC").await;
    let now = time("2026-11-21T12:00:00Z");
    tasks(&mut functions, "p", 1, "2026-11-21T12:00:00Z", now).await;
    let rules = rules("UTC");
    let standings = Standings::new(
        functions.client.clone(),
        functions.tables.standings.clone(),
        rules.standing_shards,
    );
    let day = rules.calendar.day(now);
    let mut units = 0.0;
    let mut read = 0;
    for shard in standings.shards(CountGeneration::FIRST) {
        let consumed = standings
            .read_shard(shard, day, &[], |page| read += page.len())
            .await;
        units = f64::max(units, consumed.expect("the shard is read"));
    }
    // An eventually consistent read of up to 4 KB takes half a unit.
    assert_eq!((read, units.to_string()), (1, "1".to_owned()));
}
