//! Ids as identity providers and learning systems give them, from a post to the boards.

use domain::{BoardDocument, UserDocument};
use serde_json::{Value, json};

use crate::stack::TestStack;
use crate::tables::user_of;

/// Each id, and how a path names it: percent-encoded by Python's `urllib.parse.quote`, and as base64url by `basenc`.
const IDS: [(&str, &str, &str); 6] = [
    ("auth0|5f7c", "auth0%7C5f7c", "~YXV0aDB8NWY3Yw"),
    ("us-east-1:12ab", "us-east-1%3A12ab", "~dXMtZWFzdC0xOjEyYWI"),
    (
        "guest_corp#EXT#@tenant",
        "guest_corp%23EXT%23%40tenant",
        "~Z3Vlc3RfY29ycCNFWFQjQHRlbmFudA",
    ),
    (
        "jane.o'neil+hr@corp.example",
        "jane.o%27neil%2Bhr%40corp.example",
        "~amFuZS5vJ25laWwraHJAY29ycC5leGFtcGxl",
    ),
    ("owner/repo", "owner%2Frepo", "~b3duZXIvcmVwbw"),
    (
        "course-v1:Org+Course+Run",
        "course-v1%3AOrg%2BCourse%2BRun",
        "~Y291cnNlLXYxOk9yZytDb3Vyc2UrUnVu",
    ),
];

/// Every user has an activity in every program, so that keys made of the wrong ids would meet.
fn activities() -> Vec<Value> {
    let users = IDS
        .iter()
        .flat_map(|(user, ..)| IDS.iter().map(move |(program, ..)| (user, program)));
    users
        .map(|(user, program)| {
            json!({"user_id": user, "program_id": program, "activity_id": program, "kind": "task_completed"})
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_of_other_systems_are_counted_and_read_by_each_of_their_addresses() {
    let stack = TestStack::start(|_| {}).await;
    let activities = activities();
    stack.post_all(&activities).await;
    // Again: each is the same activity.
    stack.post_all(&activities).await;
    stack.wait_until_counted(activities.len() as u64).await;

    let board: BoardDocument = read(&stack, "/v1/boards/global").await;
    let mut users: Vec<_> = IDS.map(|(id, ..)| format!("{id}=60/6")).into();
    users.sort();
    let rows = board.entries.iter();
    let rows: Vec<_> = rows
        .map(|entry| format!("{}={}/{}", user_of(entry), entry.points, entry.activities))
        .collect();
    assert_eq!(rows, users);

    for (id, encoded, base64url) in IDS {
        for segment in [encoded, base64url] {
            let user: UserDocument = read(&stack, &format!("/v1/boards/global/users/{segment}")).await;
            assert_eq!(user_of(&user.entry), id, "{segment}");
            assert_eq!((user.entry.points, user.entry.activities), (60, 6), "{segment}");

            let path = format!("/v1/boards/program:{segment}");
            let board: BoardDocument = read(&stack, &path).await;
            assert_eq!(board.heading.board.to_string(), format!("program:{id}"), "{path}");
            assert_eq!(board.entries.len(), IDS.len(), "{path}");
            let user: UserDocument = read(&stack, &format!("{path}/users/{segment}")).await;
            assert_eq!(user_of(&user.entry), id, "{path}");
            assert_eq!((user.entry.points, user.entry.activities), (10, 1), "{path}");
        }
    }
    let search = "/v1/boards/global/users?search=%23ext%23";
    let found: domain::SearchDocument = read(&stack, search).await;
    let found: Vec<_> = found.entries.iter().map(user_of).collect();
    assert_eq!(found, ["guest_corp#EXT#@tenant"]);
    stack.stop().await;
}

async fn read<T: serde::de::DeserializeOwned>(stack: &TestStack, path: &str) -> T {
    let response = stack.get(path).await;
    let status = response.status();
    let text = response.text().await.expect("an answer");
    assert_eq!(status, 200, "{path}: {text}");
    serde_json::from_str(&text).expect("a document")
}
