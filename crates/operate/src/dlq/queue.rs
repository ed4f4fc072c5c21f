//! One queue, and the requests that the subcommands make to it.

use std::{collections::HashMap, time::Duration};

use anyhow::Context as _;
use aws_sdk_sqs::{
    Client,
    types::{
        BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
        Message, MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
    },
};
use terminal::text::printable;

use super::{dead_letters::DeadLetter, pace::BATCH};

/// A long poll asks all of SQS's servers. A short one may miss messages.
const WAIT: Duration = Duration::from_secs(1);

/// About how many messages a queue holds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Depth {
    pub visible: u64,
    /// In flight or delayed.
    pub hidden: u64,
}

impl Depth {
    pub fn total(self) -> u64 {
        self.visible + self.hidden
    }
}

/// An entry of a batch that was refused, by its index in the batch.
#[derive(Debug)]
pub struct Refusal {
    pub index: usize,
    pub reason: String,
}

#[derive(Clone)]
pub struct Queue {
    client: Client,
    pub url: String,
}

impl Queue {
    pub fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// The last part of the URL.
    pub fn name(&self) -> &str {
        self.url
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .unwrap_or(&self.url)
    }

    pub async fn depth(&self) -> anyhow::Result<Depth> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        let answer = request.set_attribute_names(Some(names.to_vec())).send().await;
        let answer = answer.with_context(|| format!("could not read the size of {}", self.name()))?;
        let attributes = answer.attributes.unwrap_or_default();
        let [visible, taken, delayed] = names.map(|name| {
            let raw = attributes.get(&name);
            raw.and_then(|raw| raw.parse::<u64>().ok()).unwrap_or_default()
        });
        Ok(Depth {
            visible,
            hidden: taken + delayed,
        })
    }

    /// Receives up to `most` messages and hides them from other consumers for `visibility`.
    pub async fn receive(&self, most: usize, visibility: Duration) -> anyhow::Result<Vec<Message>> {
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(most.min(BATCH).try_into()?)
            .wait_time_seconds(seconds(WAIT))
            .visibility_timeout(seconds(visibility))
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .send()
            .await
            .with_context(|| format!("could not receive from {}", self.name()))?;
        Ok(answer.messages.unwrap_or_default())
    }

    /// Hides messages for `visibility` from now on; zero makes them visible again. Refused entries can be
    /// ignored: their messages are deleted or visible already.
    pub async fn change_visibility(&self, receipts: &[String], visibility: Duration) -> anyhow::Result<()> {
        let entries = receipts.iter().enumerate().map(|(index, receipt)| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(receipt)
                .visibility_timeout(seconds(visibility))
                .build()
        });
        let entries: Vec<_> = entries.collect::<Result<_, _>>()?;
        let request = self.client.change_message_visibility_batch().queue_url(&self.url);
        let answer = request.set_entries(Some(entries)).send().await;
        answer.with_context(|| {
            format!(
                "could not change the visibility of dead letters in {}",
                self.name()
            )
        })?;
        Ok(())
    }

    /// Deletes messages, and returns those that could not be deleted.
    pub async fn delete(&self, receipts: &[String]) -> anyhow::Result<Vec<Refusal>> {
        let entries = receipts.iter().enumerate().map(|(index, receipt)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(receipt)
                .build()
        });
        let entries: Vec<_> = entries.collect::<Result<_, _>>()?;
        let request = self.client.delete_message_batch().queue_url(&self.url);
        let answer = request.set_entries(Some(entries)).send().await;
        let answer = answer.with_context(|| format!("could not delete dead letters from {}", self.name()))?;
        let taken = answer.successful.iter().map(|entry| entry.id.as_str());
        Ok(refusals(receipts.len(), taken, &answer.failed))
    }

    /// Sends the bodies of dead letters. Returns the new message id of each, or why it was refused.
    pub async fn send(&self, dead_letters: &[DeadLetter]) -> anyhow::Result<Vec<Result<String, Refusal>>> {
        let entries = dead_letters.iter().enumerate().map(|(index, dead_letter)| {
            SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(&dead_letter.body)
                .build()
        });
        let entries: Vec<_> = entries.collect::<Result<_, _>>()?;
        let request = self.client.send_message_batch().queue_url(&self.url);
        let answer = request.set_entries(Some(entries)).send().await;
        let answer = answer.with_context(|| format!("could not send to {}", self.name()))?;
        let taken = answer.successful.iter().map(|entry| entry.id.as_str());
        let mut refused: HashMap<usize, Refusal> = refusals(dead_letters.len(), taken, &answer.failed)
            .into_iter()
            .map(|refusal| (refusal.index, refusal))
            .collect();
        let mut sent: HashMap<String, String> = answer
            .successful
            .into_iter()
            .map(|entry| (entry.id, entry.message_id))
            .collect();
        let outcome = |index: usize| match refused.remove(&index) {
            Some(refusal) => Err(refusal),
            None => Ok(sent.remove(&index.to_string()).unwrap_or_default()),
        };
        Ok((0..dead_letters.len()).map(outcome).collect())
    }
}

/// Every entry that SQS did not confirm, whether it reported a failure or nothing.
fn refusals<'a>(
    entries: usize,
    taken: impl Iterator<Item = &'a str>,
    failed: &[BatchResultErrorEntry],
) -> Vec<Refusal> {
    let taken: Vec<&str> = taken.collect();
    (0..entries)
        .filter(|index| !taken.contains(&index.to_string().as_str()))
        .map(|index| {
            let failure = failed.iter().find(|entry| entry.id == index.to_string());
            let reason = failure.map(|entry| {
                let detail = entry.message.as_deref().unwrap_or("SQS gave no details");
                printable(&format!("{}: {detail}", entry.code))
            });
            Refusal {
                index,
                reason: reason.unwrap_or_else(|| "SQS did not report a result".to_owned()),
            }
        })
        .collect()
}

fn seconds(span: Duration) -> i32 {
    i32::try_from(span.as_secs()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_was_not_taken_is_refused_even_if_nothing_is_said_of_it() {
        let failed = BatchResultErrorEntry::builder()
            .id("2")
            .code("InternalError")
            .message("try\nagain")
            .sender_fault(false)
            .build()
            .expect("it is whole");
        let refused: Vec<_> = refusals(4, ["0", "3"].into_iter(), &[failed])
            .into_iter()
            .map(|refusal| (refusal.index, refusal.reason))
            .collect();
        assert_eq!(
            refused,
            [
                (1, "SQS did not report a result".to_owned()),
                (2, "InternalError: try\u{fffd}again".to_owned()),
            ]
        );
    }
}
