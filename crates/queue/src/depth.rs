//! How many messages a queue holds.

use anyhow::Context as _;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName::{
    ApproximateNumberOfMessages, ApproximateNumberOfMessagesDelayed, ApproximateNumberOfMessagesNotVisible,
};

/// All messages of a queue: waiting, in flight and delayed.
pub async fn depth(client: &Client, queue_url: &str) -> anyhow::Result<u64> {
    let attributes = [
        ApproximateNumberOfMessages,
        ApproximateNumberOfMessagesNotVisible,
        ApproximateNumberOfMessagesDelayed,
    ];
    let output = client
        .get_queue_attributes()
        .queue_url(queue_url)
        .set_attribute_names(Some(attributes.into()))
        .send()
        .await
        .context("reading a queue's depth")?;
    let counts = output.attributes.unwrap_or_default();
    counts
        .values()
        .map(|count| {
            count
                .parse::<u64>()
                .with_context(|| format!("the queue reports a depth of {count:?}, which is not a number"))
        })
        .sum()
}
