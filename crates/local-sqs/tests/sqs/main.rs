//! The local queues as the AWS SDK for Rust sees them.

mod client;
mod moves;

use aws_sdk_sqs::error::SdkError;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageAttributeValue,
    MessageSystemAttributeName, QueueAttributeName,
};

use client::{
    arn, assert_none_in_flight, assert_none_visible, attribute, client, create, create_with_dead_letters,
    entry, receive, send, text,
};

#[tokio::test]
async fn a_message_goes_through_whole() {
    let client = client().await;
    let url = create(&client, "q").await;
    assert!(url.ends_with("/000000000000/q"), "{url}");
    let binary = MessageAttributeValue::builder()
        .data_type("Binary")
        .binary_value(Blob::new([0, 255]))
        .build()
        .unwrap();
    let sent = client
        .send_message()
        .queue_url(&url)
        .message_body("grüße \"you\"")
        .message_attributes("reason", text("x"))
        .message_attributes("raw", binary.clone())
        .send()
        .await
        .expect("it is sent");

    let received = receive(&client, &url).await.remove(0);
    assert_eq!(received.message_id, sent.message_id);
    assert_eq!(received.body.as_deref(), Some("grüße \"you\""));
    assert_eq!(received.md5_of_body, sent.md5_of_message_body);
    assert_eq!(received.md5_of_message_attributes, sent.md5_of_message_attributes);
    let attributes = received.message_attributes.expect("attributes");
    assert_eq!(attributes["reason"], text("x"));
    assert_eq!(attributes["raw"], binary);
    let system = received.attributes.expect("attributes of SQS");
    assert_eq!(system[&MessageSystemAttributeName::ApproximateReceiveCount], "1");
    assert!(system.contains_key(&MessageSystemAttributeName::SentTimestamp));

    let receipt = received.receipt_handle.expect("a receipt");
    client
        .delete_message()
        .queue_url(&url)
        .receipt_handle(receipt)
        .send()
        .await
        .unwrap();
    assert_none_in_flight(&client, &url).await;
}

#[tokio::test]
async fn only_the_attributes_asked_for_are_told() {
    let client = client().await;
    let url = create(&client, "q").await;
    for (wanted, expected) in [
        (None, vec![]),
        (Some("user.id"), vec!["user.id"]),
        (Some("user.*"), vec!["user.id", "user.name"]),
        (Some(".*"), vec!["other", "user.id", "user.name"]),
    ] {
        let mut request = client.send_message().queue_url(&url).message_body("x");
        for name in ["user.id", "user.name", "other"] {
            request = request.message_attributes(name, text("v"));
        }
        request.send().await.unwrap();
        let request = client.receive_message().queue_url(&url);
        let request = request.set_message_attribute_names(wanted.map(|name| vec![name.to_owned()]));
        let received = request.send().await.unwrap().messages.unwrap().remove(0);
        let mut names: Vec<_> = received
            .message_attributes
            .unwrap_or_default()
            .into_keys()
            .collect();
        names.sort();
        assert_eq!(names, expected, "{wanted:?}");
        assert_eq!(received.md5_of_message_attributes.is_some(), !expected.is_empty());
        assert_eq!(received.attributes.unwrap_or_default().len(), 0);
    }
}

#[tokio::test]
async fn a_batch_answers_for_each_of_its_entries() {
    let client = client().await;
    let url = create(&client, "q").await;
    let request = client.send_message_batch().queue_url(&url);
    let sent = request
        .entries(entry("good", "a"))
        .entries(entry("bad", "\u{1}"))
        .entries(entry("fine", "b"))
        .send()
        .await
        .expect("the batch is taken");
    let ids: Vec<_> = sent.successful.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["good", "fine"]);
    let failed: Vec<_> = sent
        .failed
        .iter()
        .map(|one| (one.id.as_str(), one.code.as_str()))
        .collect();
    assert_eq!(failed, [("bad", "InvalidMessageContents")]);

    let received = receive(&client, &url).await;
    assert_eq!(received.len(), 2);
    let mut changes = client.change_message_visibility_batch().queue_url(&url);
    let mut deletions = client.delete_message_batch().queue_url(&url);
    let receipts = received
        .iter()
        .map(|one| one.receipt_handle.as_deref().expect("a receipt"));
    for (index, receipt) in receipts.chain(["nonsense"]).enumerate() {
        let change = ChangeMessageVisibilityBatchRequestEntry::builder()
            .id(index.to_string())
            .receipt_handle(receipt)
            .visibility_timeout(60);
        changes = changes.entries(change.build().unwrap());
        let deletion = DeleteMessageBatchRequestEntry::builder()
            .id(index.to_string())
            .receipt_handle(receipt);
        deletions = deletions.entries(deletion.build().unwrap());
    }
    let hidden = changes.send().await.unwrap();
    assert_eq!((hidden.successful.len(), hidden.failed.len()), (2, 1));
    let deleted = deletions.send().await.unwrap();
    assert_eq!((deleted.successful.len(), deleted.failed.len()), (2, 1));
    assert_eq!(deleted.failed[0].code, "ReceiptHandleIsInvalid");
    assert_none_in_flight(&client, &url).await;
}

/// The error by which the service refuses a call.
fn refusal<T, E, R>(outcome: Result<T, SdkError<E, R>>) -> E {
    let Err(SdkError::ServiceError(error)) = outcome else {
        panic!("the service must refuse the call");
    };
    error.into_err()
}

#[tokio::test]
async fn errors_are_typed() {
    let client = client().await;
    let url = create(&client, "q").await;
    let missing = format!("{url}-missing");

    let request = client.send_message().queue_url(&missing).message_body("a");
    assert!(refusal(request.send().await).is_queue_does_not_exist());
    let request = client.get_queue_url().queue_name("missing");
    assert!(refusal(request.send().await).is_queue_does_not_exist());
    let request = client.delete_message().queue_url(&url).receipt_handle("nonsense");
    assert!(refusal(request.send().await).is_receipt_handle_is_invalid());
    let request = client.create_queue().queue_name("q");
    let request = request.attributes(QueueAttributeName::DelaySeconds, "7");
    assert!(refusal(request.send().await).is_queue_name_exists());
    let request = client.set_queue_attributes().queue_url(&url);
    let request = request.attributes(QueueAttributeName::DelaySeconds, "-1");
    assert!(refusal(request.send().await).is_invalid_attribute_value());
    let request = client.add_permission().queue_url(&url).label("l").actions("*");
    let request = request.aws_account_ids("1");
    assert!(refusal(request.send().await).is_unsupported_operation());
    let request = client.start_message_move_task().source_arn(arn("missing"));
    assert!(refusal(request.send().await).is_resource_not_found_exception());
}

#[tokio::test]
async fn visibility_cannot_change_once_a_message_is_visible_again() {
    let client = client().await;
    let url = create(&client, "q").await;
    send(&client, &url, "a").await;
    let receipt = receive(&client, &url).await.remove(0).receipt_handle.unwrap();
    let mut outcomes = Vec::new();
    for _ in 0..2 {
        let request = client
            .change_message_visibility()
            .queue_url(&url)
            .visibility_timeout(0);
        outcomes.push(request.receipt_handle(&receipt).send().await);
    }
    assert!(refusal(outcomes.remove(1)).is_message_not_inflight());
}

#[tokio::test]
async fn a_batch_that_breaks_a_rule_is_refused_whole() {
    let client = client().await;
    let url = create(&client, "q").await;
    let half = "x".repeat(600_000);
    let eleven: Vec<String> = (0..11).map(|index| index.to_string()).collect();
    let batches = [
        (vec![], "AWS.SimpleQueueService.EmptyBatchRequest"),
        (
            eleven.iter().map(|id| entry(id, "a")).collect(),
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        ),
        (
            vec![entry("a", "1"), entry("a", "2")],
            "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
        ),
        (
            vec![entry("a b", "1")],
            "AWS.SimpleQueueService.InvalidBatchEntryId",
        ),
        (
            vec![entry("a", &half), entry("b", &half)],
            "AWS.SimpleQueueService.BatchRequestTooLong",
        ),
    ];
    for (entries, code) in batches {
        let request = client.send_message_batch().queue_url(&url);
        let error = refusal(request.set_entries(Some(entries)).send().await);
        assert_eq!(error.meta().code(), Some(code), "{error:?}");
    }
    assert_none_visible(&client, &url).await;
}

#[tokio::test]
async fn queues_are_listed_described_and_deleted() {
    let client = client().await;
    create(&client, "dead").await;
    let urls = [
        create_with_dead_letters(&client, "q-1", "dead").await,
        create_with_dead_letters(&client, "q-2", "dead").await,
    ];
    let listed = client.list_queues().queue_name_prefix("q-").send().await.unwrap();
    assert_eq!(listed.queue_urls.unwrap_or_default(), urls);
    let pages = client
        .list_queues()
        .max_results(2)
        .into_paginator()
        .items()
        .send();
    let all: Vec<String> = pages.collect::<Result<_, _>>().await.unwrap();
    assert_eq!(all.len(), 3);

    let request = client.get_queue_attributes().queue_url(&urls[0]);
    let request = request.attribute_names(QueueAttributeName::All);
    let attributes = request.send().await.unwrap().attributes.unwrap();
    assert_eq!(attributes[&QueueAttributeName::QueueArn], arn("q-1"));
    assert_eq!(attributes[&QueueAttributeName::VisibilityTimeout], "30");
    assert!(attributes[&QueueAttributeName::RedrivePolicy].contains(&arn("dead")));
    let request = client.list_dead_letter_source_queues();
    let dead = client
        .get_queue_url()
        .queue_name("dead")
        .send()
        .await
        .unwrap()
        .queue_url;
    let sources = request.set_queue_url(dead).send().await.unwrap();
    assert_eq!(sources.queue_urls, urls);

    let request = client.set_queue_attributes().queue_url(&urls[0]);
    let request = request.attributes(QueueAttributeName::RedrivePolicy, "");
    request
        .attributes(QueueAttributeName::DelaySeconds, "60")
        .send()
        .await
        .unwrap();
    send(&client, &urls[0], "late").await;
    let delayed = QueueAttributeName::ApproximateNumberOfMessagesDelayed;
    assert_eq!(attribute(&client, &urls[0], delayed.clone()).await, "1");
    assert_eq!(
        attribute(&client, &urls[0], QueueAttributeName::RedrivePolicy).await,
        ""
    );
    client.purge_queue().queue_url(&urls[0]).send().await.unwrap();
    assert_eq!(attribute(&client, &urls[0], delayed).await, "0");

    client.delete_queue().queue_url(&urls[0]).send().await.unwrap();
    let purged = client.purge_queue().queue_url(&urls[0]).send().await;
    assert!(refusal(purged).is_queue_does_not_exist());
}
