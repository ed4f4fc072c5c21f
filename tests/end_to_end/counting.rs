//! The aggregator's verdict on each message of a batch.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde_json::json;

use crate::tables::{Functions, reason_of};

const NOW: &str = "2026-11-18T10:00:00Z";

fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

/// The message that the pipe sends for an activity.
fn message(user: &str, id: &str, kind: &str) -> String {
    let image = json!({
        "user_id": {"S": user},
        "activity_id": {"S": id},
        "program_id": {"S": "p"},
        "kind": {"S": kind},
        "occurred_at": {"S": NOW},
        "received_at": {"S": NOW},
        "schema_version": {"N": "1"},
    });
    json!({"eventName": "INSERT", "dynamodb": {"NewImage": image}}).to_string()
}

fn task(user: &str, id: &str) -> String {
    message(user, id, "task_completed")
}

async fn counted(functions: &Functions) -> String {
    functions.publish(now()).await;
    let board = functions.board("/v1/boards/global", now()).await;
    crate::tables::render(&board)
}

#[tokio::test]
async fn an_activity_counts_once_within_a_batch_and_across_batches() {
    let functions = Functions::start("UTC").await;
    let batch = vec![
        task("ann", "1"),
        task("ann", "1"),
        task("ann", "2"),
        task("bob", "1"),
    ];
    for _ in 0..3 {
        assert!(functions.deliver(batch.clone(), now()).await.is_empty());
    }
    assert_eq!(counted(&functions).await, "1.ann=20/2 2.bob=10/1");
}

#[tokio::test]
async fn one_user_may_have_more_activities_than_a_transaction_holds() {
    let functions = Functions::start("UTC").await;
    let batch: Vec<_> = (0..350).map(|n| task("ann", &n.to_string())).collect();
    assert!(functions.deliver(batch, now()).await.is_empty());
    assert_eq!(counted(&functions).await, "1.ann=3500/350");
}

#[tokio::test]
async fn what_can_never_be_counted_is_a_dead_letter_at_once_and_delays_no_other() {
    let functions = Functions::start("UTC").await;
    let batch = vec![
        task("ann", "1"),
        "not json".to_owned(),
        message("ann", "2", "retired_kind"),
        task("ann", "3").replace("INSERT", "REMOVE"),
        message("not a user", "4", "task_completed"),
        task("bob", "5"),
    ];
    assert!(
        functions.deliver(batch.clone(), now()).await.is_empty(),
        "no message is deferred"
    );
    assert_eq!(counted(&functions).await, "1.ann=10/1 1.bob=10/1");

    let dead_letters = functions.all_dead_letters().await;
    let mut reasons: Vec<_> = dead_letters
        .iter()
        .map(|dead_letter| {
            assert!(
                batch.iter().any(|body| body == dead_letter.body()),
                "the body is unchanged, for a redrive"
            );
            let [code, reason] = reason_of(dead_letter);
            format!("{code}: {reason}")
        })
        .collect();
    reasons.sort();
    assert_eq!(
        reasons,
        [
            "not_a_stream_record: expected ident at line 1 column 2",
            r#"not_an_activity: user_id has the character ' ' at byte 3; use only ASCII letters, digits and punctuation except " \ < >"#,
            "not_an_insert: eventName is \"REMOVE\"; it must be INSERT",
            "not_scored: kind is \"retired_kind\", which is not in the scoring policy; use one of: learning_milestone, program_check_in, task_completed",
        ]
    );
}

#[tokio::test]
async fn dead_letters_are_sent_on_also_when_they_are_too_large_for_one_batch() {
    let functions = Functions::start("UTC").await;
    let batch: Vec<_> = (0..7).map(|_| "x".repeat(400_000)).collect();
    assert!(functions.deliver(batch, now()).await.is_empty());
    assert_eq!(functions.all_dead_letters().await.len(), 7);
}

#[tokio::test]
async fn a_batch_is_deferred_while_the_generations_are_corrupt() {
    let functions = Functions::start("UTC").await;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let key = [("shard", text("control")), ("member", text("generations"))];
    let put = functions
        .client
        .put_item()
        .table_name(&functions.tables.standings);
    let [shard, member] = key.clone();
    let put = put
        .item(shard.0, shard.1)
        .item(member.0, member.1)
        .item("live", text("first"))
        .send()
        .await;
    put.expect("the item is written");
    let batch = vec![task("ann", "1"), "not json".to_owned(), task("bob", "2")];
    let failed = functions.deliver(batch.clone(), now()).await;
    assert_eq!(failed.len(), 2, "both activities are deferred");
    assert_eq!(functions.all_dead_letters().await.len(), 1);

    let delete = functions
        .client
        .delete_item()
        .table_name(&functions.tables.standings);
    let [shard, member] = key;
    let deleted = delete.key(shard.0, shard.1).key(member.0, member.1).send().await;
    deleted.expect("the item is deleted");
    let failed = functions.deliver(batch, now()).await;
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(counted(&functions).await, "1.ann=10/1 1.bob=10/1");
}

#[tokio::test]
async fn what_cannot_be_counted_in_time_is_delivered_again_and_counts_then() {
    let functions = Functions::start("UTC").await;
    functions.take_away_standings().await;
    let failed = functions
        .deliver(vec![task("ann", "1"), task("bob", "2")], now())
        .await;
    assert_eq!(failed.len(), 2, "both are deferred");
    assert!(
        functions.all_dead_letters().await.is_empty(),
        "a fault of the store makes no dead letters"
    );

    functions.give_back_standings().await;
    assert!(
        functions
            .deliver(vec![task("ann", "1"), task("bob", "2")], now())
            .await
            .is_empty()
    );
    assert_eq!(counted(&functions).await, "1.ann=10/1 1.bob=10/1");
}
