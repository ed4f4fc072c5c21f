//! Finding the DLQ: on the local stack, in a deployment, or by URL.

use super::bare;
use crate::cli::end;
use crate::stack::TestStack;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_answers_it_is_said() {
    // Nothing listens on the discard port.
    let ended = end(bare(&["list", "--aws-url", "http://127.0.0.1:9"])).await;
    assert!(
        ended.stderr.starts_with(
            "podium: nothing answers at http://127.0.0.1:9; start a stack with `podium local`, name another stack \
             with --aws-url, or a deployment on AWS with --environment: "
        ),
        "{}",
        ended.stderr
    );
    ended.check(1);
    let ended = end(bare(&[
        "list",
        "--environment",
        "prod",
        "--region",
        "eu-central-1",
    ]))
    .await;
    assert!(
        ended
            .stderr
            .contains("there are no AWS credentials; set AWS_PROFILE"),
        "{}",
        ended.stderr
    );
    ended.check(1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_is_found_by_its_name_and_queues_by_their_urls() {
    let stack = TestStack::start(|_| {}).await;
    let client = aws_sdk_sqs::Client::new(&local::sdk_config(&stack.stack.aws_url));
    let mut urls = Vec::new();
    for name in [
        "podium-test-activities",
        "podium-test-activities-dlq",
        "podium-test-snapshot-dlq",
    ] {
        let made = client
            .create_queue()
            .queue_name(name)
            .send()
            .await
            .expect("it is made");
        urls.push(made.queue_url.expect("it has a URL"));
    }
    let in_environment = |args: &[&str]| {
        let mut command = bare(args);
        command
            .args(["--environment", "test", "--region", "us-east-1"])
            .env("AWS_ENDPOINT_URL", &stack.stack.aws_url)
            .env("AWS_ACCESS_KEY_ID", "any")
            .env("AWS_SECRET_ACCESS_KEY", "any");
        end(command)
    };
    let put = async |url: &str| {
        let sent = client
            .send_message()
            .queue_url(url)
            .message_body("dead letter")
            .send()
            .await;
        sent.expect("it is sent");
    };
    let depth = async |url: &str| {
        let name = aws_sdk_sqs::types::QueueAttributeName::ApproximateNumberOfMessages;
        let asked = client
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(name.clone());
        let attributes = asked
            .send()
            .await
            .expect("it answers")
            .attributes
            .expect("attributes");
        attributes[&name].clone()
    };

    put(&urls[1]).await;
    put(&urls[2]).await;
    let listed = in_environment(&["list"]).await.check(0);
    assert!(
        listed.starts_with(
            "podium-test-activities-dlq  1 dead letter\npodium-test-snapshot-dlq    1 dead letter\n\n"
        ),
        "{listed}"
    );
    let redriven = in_environment(&["redrive"]).await.check(0);
    assert_eq!(
        redriven,
        "1 dead letter sent from podium-test-activities-dlq to podium-test-activities\n"
    );
    assert_eq!(
        (depth(&urls[0]).await, depth(&urls[1]).await),
        ("1".to_owned(), "0".to_owned())
    );
    let refused = in_environment(&["redrive", "--of", "snapshot"]).await;
    assert!(
        refused.stderr.contains("repeating an old run is useless"),
        "{}",
        refused.stderr
    );
    refused.check(1);

    put(&urls[1]).await;
    let lacking = end(bare(&["redrive", "--dead-letter-queue", &urls[1]])).await;
    assert!(
        lacking.stderr.contains("--queue is missing"),
        "{}",
        lacking.stderr
    );
    lacking.check(1);
    let redriven = end(bare(&[
        "redrive",
        "--dead-letter-queue",
        &urls[1],
        "--queue",
        &urls[0],
    ]))
    .await;
    redriven.check(0);
    assert_eq!(
        (depth(&urls[0]).await, depth(&urls[1]).await),
        ("2".to_owned(), "0".to_owned())
    );
    stack.stop().await;
}
