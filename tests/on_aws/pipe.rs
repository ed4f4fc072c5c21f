//! Runs the pipe that Terraform planned between any stream and any queue, because the AWS emulator
//! stores pipes but does not run them.

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

/// Starts the planned pipe. `pipe` is the values of an `aws_pipes_pipe` as `terraform show -json` prints
/// them.
///
/// Reads the stream with the permissions of `reading`, and sends to the queues with those of `sending`.
/// Fails on a value that the local pipe does not support.
pub fn start_planned(pipe: &Value, reading: &SdkConfig, sending: &SdkConfig) -> anyhow::Result<Pipe> {
    let planned = Planned::of(pipe)?;
    let sqs = aws_sdk_sqs::Client::new(sending);
    let endpoint = sending.endpoint_url().context("an emulator has an endpoint")?;
    let queue = |path: &str| SdkQueue {
        sqs: sqs.clone(),
        // The role of a pipe may not ask for the URL.
        url: format!("{endpoint}/{path}"),
    };
    let target = queue(&planned.target);
    let dead_letters = queue(&planned.dead_letters);
    let source = SdkStream::new(aws_sdk_dynamodbstreams::Client::new(reading), planned.stream_arn);
    let send = move |bodies: Vec<String>| {
        let target = target.clone();
        async move { target.send(bodies).await }
    };
    let dead_letter = move |dead_letter: DeadLetter| {
        let dead_letters = dead_letters.clone();
        async move {
            let failures = dead_letters
                .send(vec![dead_letter.document().to_string()])
                .await?;
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
    /// Returns the messages that the queue refused, or an error if the call failed.
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
