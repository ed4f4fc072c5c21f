//! One queue, and the calls that the tools make on it.

use std::{collections::HashMap, time::Duration};

use anyhow::Context as _;
use aws_sdk_sqs::{
    Client,
    types::{
        BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
        Message, MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
    },
};

use super::{letters::Letter, pace::BATCH};
use terminal::text::printable;

/// A long poll asks all of SQS's servers, where a short one may miss what is there.
const WAIT: Duration = Duration::from_secs(1);

/// How many messages a queue holds, about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Depth {
    pub visible: u64,
    /// Handed out to somebody, or delayed.
    pub hidden: u64,
}

impl Depth {
    pub fn total(self) -> u64 {
        self.visible + self.hidden
    }
}

/// An entry of a batch that was refused, by its place in the batch.
#[derive(Debug)]
pub struct Refusal {
    pub place: usize,
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

    /// What the URL ends with.
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
        let answer =
            answer.with_context(|| format!("asking how many messages {} has failed", self.name()))?;
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

    /// Takes up to `most` messages, which nobody else sees for `visibility`.
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
            .with_context(|| format!("receiving from {} failed", self.name()))?;
        Ok(answer.messages.unwrap_or_default())
    }

    /// Hides messages for `visibility` from now on, or shows them again, if that is zero. An entry
    /// that is refused is of a message that is gone or shown already.
    pub async fn change_visibility(&self, receipts: &[String], visibility: Duration) -> anyhow::Result<()> {
        let entries = receipts.iter().enumerate().map(|(place, receipt)| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(place.to_string())
                .receipt_handle(receipt)
                .visibility_timeout(seconds(visibility))
                .build()
        });
        let entries: Vec<_> = entries.collect::<Result<_, _>>()?;
        let request = self.client.change_message_visibility_batch().queue_url(&self.url);
        let answer = request.set_entries(Some(entries)).send().await;
        answer.with_context(|| format!("changing the visibility of letters of {} failed", self.name()))?;
        Ok(())
    }

    /// Deletes messages. Gives those that were refused.
    pub async fn delete(&self, receipts: &[String]) -> anyhow::Result<Vec<Refusal>> {
        let entries = receipts.iter().enumerate().map(|(place, receipt)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(place.to_string())
                .receipt_handle(receipt)
                .build()
        });
        let entries: Vec<_> = entries.collect::<Result<_, _>>()?;
        let request = self.client.delete_message_batch().queue_url(&self.url);
        let answer = request.set_entries(Some(entries)).send().await;
        let answer = answer.with_context(|| format!("deleting letters of {} failed", self.name()))?;
        let told = answer.successful.iter().map(|entry| entry.id.as_str());
        Ok(refusals(receipts.len(), told, &answer.failed))
    }

    /// Sends the bodies of letters. Gives the new id of each, or why it was refused.
    pub async fn send(&self, letters: &[Letter]) -> anyhow::Result<Vec<Result<String, Refusal>>> {
        let entries = letters.iter().enumerate().map(|(place, letter)| {
            SendMessageBatchRequestEntry::builder()
                .id(place.to_string())
                .message_body(&letter.body)
                .build()
        });
        let entries: Vec<_> = entries.collect::<Result<_, _>>()?;
        let request = self.client.send_message_batch().queue_url(&self.url);
        let answer = request.set_entries(Some(entries)).send().await;
        let answer = answer.with_context(|| format!("sending to {} failed", self.name()))?;
        let told = answer.successful.iter().map(|entry| entry.id.as_str());
        let mut refused: HashMap<usize, Refusal> = refusals(letters.len(), told, &answer.failed)
            .into_iter()
            .map(|refusal| (refusal.place, refusal))
            .collect();
        let mut sent: HashMap<String, String> = answer
            .successful
            .into_iter()
            .map(|entry| (entry.id, entry.message_id))
            .collect();
        let outcome = |place: usize| match refused.remove(&place) {
            Some(refusal) => Err(refusal),
            None => Ok(sent.remove(&place.to_string()).unwrap_or_default()),
        };
        Ok((0..letters.len()).map(outcome).collect())
    }
}

/// All entries that were not told to have been taken.
fn refusals<'a>(
    entries: usize,
    taken: impl Iterator<Item = &'a str>,
    failed: &[BatchResultErrorEntry],
) -> Vec<Refusal> {
    let taken: Vec<&str> = taken.collect();
    (0..entries)
        .filter(|place| !taken.contains(&place.to_string().as_str()))
        .map(|place| {
            let told = failed.iter().find(|entry| entry.id == place.to_string());
            let reason = told.map(|entry| {
                let detail = entry.message.as_deref().unwrap_or("no more is said");
                printable(&format!("{}: {detail}", entry.code))
            });
            Refusal {
                place,
                reason: reason.unwrap_or_else(|| "SQS did not say what became of it".to_owned()),
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
            .map(|refusal| (refusal.place, refusal.reason))
            .collect();
        assert_eq!(
            refused,
            [
                (1, "SQS did not say what became of it".to_owned()),
                (2, "InternalError: try\u{fffd}again".to_owned()),
            ]
        );
    }
}
