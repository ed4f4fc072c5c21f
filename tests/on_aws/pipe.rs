//! The planned pipe, run here between any stream and any queue: an emulator of AWS keeps pipes and
//! does not run them.

mod planned;
mod sdk_record;
mod sdk_stream;
mod shards;
mod tests;

use anyhow::Context as _;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use aws_types::SdkConfig;
use local::pipe::{DeadLetter, Pipe, SendFailure};
use serde_json::Value;

use self::planned::Planned;
use self::sdk_stream::SdkStream;

/// Runs what Terraform planned: `pipe` is the values of an `aws_pipes_pipe` as `terraform show -json`
/// prints them.
///
/// Fails on a value that the pipe does not honour, and if one of the queues is not there.
pub async fn start_planned(pipe: &Value, config: &SdkConfig) -> anyhow::Result<Pipe> {
    let planned = Planned::of(pipe)?;
    let sqs = aws_sdk_sqs::Client::new(config);
    let target = SdkQueue::find(&sqs, &planned.target).await?;
    let dead_letters = SdkQueue::find(&sqs, &planned.dead_letters).await?;
    let source = SdkStream::new(aws_sdk_dynamodbstreams::Client::new(config), planned.stream_arn);
    let send = move |bodies: Vec<String>| {
        let target = target.clone();
        async move { target.send(bodies).await }
    };
    let dead_letter = move |letter: DeadLetter| {
        let dead_letters = dead_letters.clone();
        async move {
            let failures = dead_letters.send(vec![letter.document().to_string()]).await?;
            match failures.into_iter().next() {
                Some(failure) => Err(anyhow::Error::msg(failure.reason)),
                None => Ok(()),
            }
        }
    };
    Pipe::start(source, planned.config, send, dead_letter)
}

#[derive(Clone)]
struct SdkQueue {
    sqs: aws_sdk_sqs::Client,
    url: String,
}

impl SdkQueue {
    async fn find(sqs: &aws_sdk_sqs::Client, name: &str) -> anyhow::Result<Self> {
        let found = sqs.get_queue_url().queue_name(name).send().await;
        let url = found
            .with_context(|| format!("finding the queue {name}"))?
            .queue_url
            .with_context(|| format!("the queue {name} has no URL"))?;
        Ok(Self {
            sqs: sqs.clone(),
            url,
        })
    }

    /// The messages that were not taken; an error if none were.
    async fn send(&self, bodies: Vec<String>) -> anyhow::Result<Vec<SendFailure>> {
        let entries = bodies
            .into_iter()
            .enumerate()
            .map(|(index, body)| {
                SendMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .message_body(body)
                    .build()
            })
            .collect::<Result<Vec<_>, _>>()?;
        let sent = self
            .sqs
            .send_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries))
            .send()
            .await
            .with_context(|| format!("sending to {}", self.url))?;
        sent.failed
            .into_iter()
            .map(|failed| {
                Ok(SendFailure {
                    index: failed.id.parse()?,
                    reason: failed.message.unwrap_or(failed.code),
                })
            })
            .collect()
    }
}
