//! How far users are with quests.

use domain::documents::UserQuestsDocument;
use ingest::MAX_ITEMS;
use jiff::{SignedDuration, Timestamp};
use lambda_http::Body;
use lambda_http::http::Response;
use serde_json::{Value, json};

use super::erasure::note_erasure;
use super::{activity, note_rules, rewards_of, tick, told};
use crate::tables::{Functions, time};

/// One quest of each form that says what is lacking, and of two that do not.
const QUESTS: &str = r#"[
    {"id":"all","version":1,"title":"All kinds","coin":{"name":"Jade","value":20},"per":"once",
     "rule":{"all":[{"kind":"task_completed"},{"kind":"program_check_in"},{"kind":"learning_milestone"}]}},
    {"id":"ordered","version":3,"title":"Learn, then do","coin":{"name":"Opal","value":5},"per":"once",
     "rule":{"ordered":[{"kind":"task_completed"},{"kind":"learning_milestone"}]}},
    {"id":"count","version":1,"title":"Two tasks a month","coin":{"name":"Amber","value":10},"per":"month",
     "rule":{"count":{"of":{"kind":"task_completed"},"at_least":2}}},
    {"id":"streak","version":1,"title":"Three days","coin":{"name":"Ruby","value":50},"per":"once",
     "rule":{"streak":{"of":{},"unit":"day","at_least":3}}}]"#;

/// The n-th moment at which nothing is kept of the one before.
fn at(step: i64) -> Timestamp {
    time("2026-11-21T09:00:00Z") + SignedDuration::from_secs(11 * step)
}

async fn ask(functions: &Functions, user: &str, now: Timestamp) -> Response<Body> {
    functions.get(&format!("/v1/users/{user}/quests"), now).await
}

async fn quests_of(functions: &Functions, user: &str, now: Timestamp) -> UserQuestsDocument {
    let response = ask(functions, user, now).await;
    assert_eq!(response.status(), 200, "{:?}", response.body());
    serde_json::from_slice(response.body()).expect("quests of a user")
}

/// A line for each quest: `ID VERSION: COINS coins[, PERIOD REACHED/NEEDED][, lacking WHAT]`.
async fn progress_of(functions: &Functions, user: &str, now: Timestamp) -> Vec<String> {
    let document = quests_of(functions, user, now).await;
    let quests = document.quests.iter().map(|quest| {
        let coins = format!("{} {}: {} coins", quest.quest_id, quest.version, quest.coins);
        let Some(progress) = &quest.progress else {
            return coins;
        };
        let lacking = match progress.lacking.join(" + ") {
            none if none.is_empty() => none,
            some => format!(", lacking {some}"),
        };
        let (reached, needed) = (progress.reached, progress.needed);
        format!("{coins}, {} {reached}/{needed}{lacking}", progress.period)
    });
    quests.collect()
}

#[tokio::test]
async fn each_activity_and_each_void_shows_in_the_progress() {
    let mut functions = Functions::start("UTC").await;
    note_rules(&functions).await;
    let rewards = rewards_of(&functions, QUESTS).await;
    tick(&mut functions, &rewards, at(0)).await;
    assert_eq!(ask(&functions, "ann", at(0)).await.status(), 404);

    let post = async |functions: &mut Functions, id: &str, kind: &str, day: &str, step: i64| {
        let mut posted = activity("ann", id, kind);
        posted["occurred_at"] = format!("2026-11-{day}T08:00:00Z").into();
        functions.post(&posted, at(step)).await;
        told(functions, &rewards, at(step)).await;
        progress_of(functions, "ann", at(step)).await
    };
    let [task, check_in, milestone] = ["task_completed", "program_check_in", "learning_milestone"];
    assert_eq!(
        post(&mut functions, "a", task, "19", 1).await,
        [
            "all 1: 0 coins,  1/3, lacking an activity of the kind program_check_in + an activity of the kind learning_milestone",
            "ordered 3: 0 coins,  1/2, lacking an activity of the kind learning_milestone",
            "count 1: 0 coins, 2026-11 1/2",
            "streak 1: 0 coins,  1/3",
        ]
    );
    assert_eq!(
        post(&mut functions, "b", milestone, "20", 2).await,
        [
            "all 1: 0 coins,  2/3, lacking an activity of the kind program_check_in",
            "ordered 3: 1 coins",
            "count 1: 0 coins, 2026-11 1/2",
            "streak 1: 0 coins,  2/3",
        ]
    );
    let document = quests_of(&functions, "ann", at(2)).await;
    let all = document.quests[0].progress.as_ref().expect("progress");
    assert_eq!(
        all.in_words,
        "2 of 3 conditions: 2026-11-19 … 2026-11-20; lacking an activity of the kind program_check_in"
    );
    assert_eq!((document.balance, document.is_partial), (5, false));
    assert_eq!(
        post(&mut functions, "c", check_in, "21", 3).await,
        [
            "all 1: 1 coins",
            "ordered 3: 1 coins",
            "count 1: 0 coins, 2026-11 1/2",
            "streak 1: 1 coins",
        ]
    );
    assert_eq!(
        post(&mut functions, "d", task, "21", 4).await[2],
        "count 1: 1 coins"
    );
    assert_eq!(quests_of(&functions, "ann", at(4)).await.balance, 85);

    let void = json!({"correction_id": "v", "user_id": "ann", "voids": "b", "reason": "twice"});
    functions.send("corrections", &void, at(5)).await;
    told(&mut functions, &rewards, at(5)).await;
    assert_eq!(
        progress_of(&functions, "ann", at(5)).await,
        [
            "all 1: 0 coins,  2/3, lacking an activity of the kind learning_milestone",
            "ordered 3: 0 coins,  1/2, lacking an activity of the kind learning_milestone",
            "count 1: 1 coins",
            "streak 1: 0 coins,  1/3",
        ]
    );
    assert_eq!(quests_of(&functions, "ann", at(5)).await.balance, 10);
}

#[tokio::test]
async fn an_answer_is_kept_for_some_seconds_with_its_age() {
    let mut functions = Functions::start("UTC").await;
    note_rules(&functions).await;
    let rewards = rewards_of(&functions, QUESTS).await;
    functions
        .post(&activity("ann", "a", "task_completed"), at(0))
        .await;
    told(&mut functions, &rewards, at(0)).await;
    tick(&mut functions, &rewards, at(0)).await;
    let first = quests_of(&functions, "ann", at(0)).await;
    functions
        .post(&activity("ann", "b", "task_completed"), at(0))
        .await;
    told(&mut functions, &rewards, at(0)).await;
    let units = functions.read_units();
    let kept = quests_of(&functions, "ann", at(0) + SignedDuration::from_secs(9)).await;
    assert!(functions.read_units() <= units, "nothing is read for it");
    assert_eq!(kept.quests, first.quests);
    assert_eq!(kept.freshness.age_seconds, first.freshness.age_seconds + 9);
    let again = quests_of(&functions, "ann", at(1)).await;
    assert_eq!(again.quests[2].coins, 1);
}

#[tokio::test]
async fn who_is_concealed_and_who_is_unknown_get_the_same_answer() {
    let mut functions = Functions::start("UTC").await;
    note_rules(&functions).await;
    let rewards = rewards_of(&functions, QUESTS).await;
    for user in ["ann", "bob", "cy"] {
        functions
            .post(&activity(user, "a", "task_completed"), at(0))
            .await;
    }
    told(&mut functions, &rewards, at(0)).await;
    tick(&mut functions, &rewards, at(0)).await;
    functions
        .put_person("ann", &json!({"visibility": "hidden"}))
        .await;
    functions
        .put_person("bob", &json!({"visibility": "anonymous"}))
        .await;
    let refused = async |path: String, user: &str| {
        let response = functions.get(&path, at(0)).await;
        assert_eq!(response.status(), 404, "{path}");
        let headers = format!("{:?}", response.headers());
        headers + &String::from_utf8_lossy(response.body()).replace(user, "USER")
    };
    let expected = refused("/v1/users/nobody/coins".to_owned(), "nobody").await;
    for user in ["nobody", "ann", "bob"] {
        let answer = refused(format!("/v1/users/{user}/quests"), user).await;
        assert_eq!(answer, expected, "{user}");
    }
    // Those who may see them, and those whom nobody conceals.
    for path in ["private/users/ann", "private/users/bob", "users/cy"] {
        let response = functions.get(&format!("/v1/{path}/quests"), at(0)).await;
        assert_eq!(response.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn without_quests_nobody_is_known_and_no_activity_is_read() {
    let mut functions = Functions::start("UTC").await;
    functions
        .post(&activity("ann", "a", "task_completed"), at(0))
        .await;
    functions.count(at(0)).await;
    functions.publish(at(0)).await;
    let answers = [
        ask(&functions, "ann", at(0)).await,
        functions.get("/v1/users/ann/coins", at(0)).await,
    ];
    assert_eq!(answers[0].status(), 404);
    assert_eq!(answers[0].body().as_ref(), answers[1].body().as_ref());
}

#[tokio::test]
async fn activities_of_before_an_erasure_do_not_count() {
    let mut functions = Functions::start("UTC").await;
    note_rules(&functions).await;
    let rewards = rewards_of(&functions, QUESTS).await;
    tick(&mut functions, &rewards, at(0)).await;
    functions
        .post(&activity("ann", "a", "learning_milestone"), at(0))
        .await;
    note_erasure(&functions, "ann", at(1)).await;
    // Only what was erased is in the table.
    assert_eq!(ask(&functions, "ann", at(1)).await.status(), 404);
    functions
        .post(&activity("ann", "b", "task_completed"), at(2))
        .await;
    told(&mut functions, &rewards, at(2)).await;
    assert_eq!(
        progress_of(&functions, "ann", at(2)).await[0],
        "all 1: 0 coins,  1/3, lacking an activity of the kind program_check_in + an activity of the kind learning_milestone"
    );
}

/// Of more activities than are read, the first by id are missing. No activity is read without its void.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_very_many_activities_some_are_missing_and_the_answer_says_so() {
    const ACTIVITIES: usize = 3_200;
    let functions = Functions::start("UTC").await;
    note_rules(&functions).await;
    rewards_of(&functions, QUESTS).await;
    functions.publish(at(0)).await;
    let note = "x".repeat(1_000);
    let numbered = (0..ACTIVITIES).map(|number| {
        let mut posted = activity("ann", &format!("n{number:04}"), "program_check_in");
        posted["metadata"] = json!({ "note": note });
        posted
    });
    let first = activity("ann", "a", "learning_milestone");
    let last = activity("ann", "z", "task_completed");
    let activities: Vec<Value> = [first, last].into_iter().chain(numbered).collect();
    for batch in activities.chunks(MAX_ITEMS) {
        functions.post(&Value::from(batch), at(0)).await;
    }
    let lacking = async |step| {
        let document = quests_of(&functions, "ann", at(step)).await;
        assert!(document.is_partial);
        document.quests[0]
            .progress
            .as_ref()
            .expect("progress")
            .lacking
            .len()
    };
    assert_eq!(lacking(1).await, 1, "the milestone is missing");
    let void = json!({"correction_id": "v", "user_id": "ann", "voids": "z", "reason": "wrong"});
    functions.send("corrections", &void, at(1)).await;
    assert_eq!(lacking(2).await, 2, "the task is voided");
}
