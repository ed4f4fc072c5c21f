//! Runs the pipes that Terraform planned between any stream and any queue or topic, because the AWS emulator stores
//! pipes, but runs them without filters and templates, if at all.

mod planned;
mod sdk_record;
mod sdk_stream;
mod shards;
mod template;
mod tests;

use anyhow::Context as _;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use aws_types::SdkConfig;
use local::pipe::{DeadLetter, Pipe, SendFailure};
use serde_json::Value;

use self::planned::{Planned, Target};
use self::sdk_stream::SdkStream;

/// Starts a planned pipe to a queue. `pipe` is the values of an `aws_pipes_pipe` as `terraform show -json` prints
/// them.
///
/// Reads the stream with the permissions of `reading`, and sends to the queues with those of `sending`.
/// Fails on a value that the local pipe does not support.
pub fn start_planned(pipe: &Value, reading: &SdkConfig, sending: &SdkConfig) -> anyhow::Result<Pipe> {
    let planned = Planned::of(pipe)?;
    let Target::Queue(path) = &planned.target else {
        anyhow::bail!("{} does not send to a queue", planned.config.name)
    };
    let target = SdkQueue::new(sending, path)?;
    start(planned, reading, sending, move |bodies| {
        let target = target.clone();
        async move { target.send(bodies).await }
    })
}

/// The same to a topic. `publish` gets its ARN and the messages, and returns those that were refused.
pub fn start_planned_to_topic<Sent>(
    pipe: &Value,
    reading: &SdkConfig,
    sending: &SdkConfig,
    publish: impl Fn(String, Vec<String>) -> Sent + Send + Sync + 'static,
) -> anyhow::Result<Pipe>
where
    Sent: Future<Output = anyhow::Result<Vec<SendFailure>>> + Send + 'static,
{
    let planned = Planned::of(pipe)?;
    let Target::Topic(arn) = &planned.target else {
        anyhow::bail!("{} does not send to a topic", planned.config.name)
    };
    let arn = arn.clone();
    start(planned, reading, sending, move |bodies| {
        publish(arn.clone(), bodies)
    })
}

fn start<Sent>(
    planned: Planned,
    reading: &SdkConfig,
    sending: &SdkConfig,
    send: impl Fn(Vec<String>) -> Sent + Send + Sync + 'static,
) -> anyhow::Result<Pipe>
where
    Sent: Future<Output = anyhow::Result<Vec<SendFailure>>> + Send + 'static,
{
    let dead_letters = SdkQueue::new(sending, &planned.dead_letters)?;
    let source = SdkStream::new(aws_sdk_dynamodbstreams::Client::new(reading), planned.stream_arn);
    let template = planned.template;
    let send = move |records: Vec<String>| {
        let bodies: anyhow::Result<Vec<_>> = match &template {
            None => Ok(records),
            Some(template) => records.iter().map(|record| template.render(record)).collect(),
        };
        let failures = bodies.map(&send);
        async move { failures?.await }
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
    /// The role of a pipe may not ask for the URL of a queue, which ends in `path`.
    fn new(config: &SdkConfig, path: &str) -> anyhow::Result<Self> {
        let endpoint = config.endpoint_url().context("an emulator has an endpoint")?;
        Ok(Self {
            sqs: aws_sdk_sqs::Client::new(config),
            url: format!("{endpoint}/{path}"),
        })
    }

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
