//! The redrive of dead letters.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{ListMessageMoveTasksResultEntry, MessageSystemAttributeName, QueueAttributeName};
use std::time::Duration;
use tokio::time::{Instant, sleep};

use crate::client::{
    PATIENCE, arn, attribute, client, create, create_with_dead_letters, receive, send, start_move,
};

/// Puts `count` messages into the dead-letter queue of `url`.
async fn dead_letter(client: &Client, url: &str, count: usize) {
    for index in 0..count {
        send(client, url, &index.to_string()).await;
    }
    let mut received = 0;
    while received < count {
        let request = client.receive_message().queue_url(url).visibility_timeout(0);
        let request = request.max_number_of_messages(1);
        received += request.send().await.unwrap().messages.unwrap_or_default().len();
    }
    assert!(receive(client, url).await.is_empty());
}

async fn ended(client: &Client, source: &str) -> ListMessageMoveTasksResultEntry {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let request = client.list_message_move_tasks().source_arn(arn(source));
        let task = request.send().await.unwrap().results.unwrap().remove(0);
        if task.status.as_deref() != Some("RUNNING") {
            return task;
        }
        assert!(Instant::now() < deadline, "the task does not end: {task:?}");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn dead_letters_go_back_to_where_they_came_from_as_new_messages() {
    let client = client().await;
    let dead = create(&client, "dead").await;
    let urls = [
        create_with_dead_letters(&client, "q-1", "dead").await,
        create_with_dead_letters(&client, "q-2", "dead").await,
    ];
    for url in &urls {
        dead_letter(&client, url, 1).await;
    }
    let request = client.receive_message().queue_url(&dead).visibility_timeout(0);
    let request = request.max_number_of_messages(10);
    let request = request.message_system_attribute_names(MessageSystemAttributeName::All);
    let dead_letters = request.send().await.unwrap().messages.unwrap();
    let sources: Vec<_> = dead_letters
        .iter()
        .map(|one| {
            let attributes = one.attributes.as_ref().unwrap();
            attributes[&MessageSystemAttributeName::DeadLetterQueueSourceArn].clone()
        })
        .collect();
    assert_eq!(sources, [arn("q-1"), arn("q-2")]);

    start_move(&client, "dead").await;
    let task = ended(&client, "dead").await;
    assert_eq!(task.status.as_deref(), Some("COMPLETED"));
    assert_eq!(task.approximate_number_of_messages_moved, 2);
    for url in &urls {
        let message = receive(&client, url).await.remove(0);
        assert!(
            dead_letters
                .iter()
                .all(|dead_letter| dead_letter.message_id != message.message_id)
        );
        let system = message.attributes.unwrap();
        assert_eq!(system[&MessageSystemAttributeName::ApproximateReceiveCount], "1");
    }
    assert!(receive(&client, &dead).await.is_empty());
}

#[tokio::test]
async fn a_move_keeps_to_its_rate_and_can_be_cancelled() {
    let client = client().await;
    let dead = create(&client, "dead").await;
    let url = create_with_dead_letters(&client, "q", "dead").await;
    dead_letter(&client, &url, 5).await;
    let start = || client.start_message_move_task().source_arn(arn("dead"));
    let task = start().max_number_of_messages_per_second(1).send().await.unwrap();
    let second = start().send().await.unwrap_err().into_service_error();
    assert_eq!(
        second.meta().code(),
        Some("InvalidParameterValue"),
        "one task at a time"
    );

    let handle = task.task_handle.unwrap();
    let cancel = client
        .cancel_message_move_task()
        .task_handle(handle)
        .send()
        .await
        .unwrap();
    let moved = cancel.approximate_number_of_messages_moved;
    assert!(moved < 5, "{moved} at once");
    assert_eq!(ended(&client, "dead").await.status.as_deref(), Some("CANCELLED"));
    let visible = QueueAttributeName::ApproximateNumberOfMessages;
    assert_ne!(attribute(&client, &dead, visible).await, "0");
}

#[tokio::test]
async fn a_message_without_a_source_fails_the_move_and_stays() {
    let client = client().await;
    let dead = create(&client, "dead").await;
    create_with_dead_letters(&client, "q", "dead").await;
    send(&client, &dead, "direct").await;
    start_move(&client, "dead").await;
    let task = ended(&client, "dead").await;
    assert_eq!(task.status.as_deref(), Some("FAILED"));
    assert_eq!(
        task.failure_reason.as_deref(),
        Some("CouldNotDetermineMessageSource")
    );

    let request = client.start_message_move_task().source_arn(arn("dead"));
    request.destination_arn(arn("q")).send().await.unwrap();
    assert_eq!(ended(&client, "dead").await.status.as_deref(), Some("COMPLETED"));
}
