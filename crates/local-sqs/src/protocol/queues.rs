//! The operations on queues.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Nothing;
use crate::attributes::{QueueAttributes, QueueName};
use crate::error::SqsError;
use crate::queue::Queue;
use crate::sqs::Sqs;
use crate::timestamp::Timestamp;

/// How many queues one page of a list may have.
const MAX_PAGE: usize = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateQueue {
    queue_name: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    // The service's own model does not write this member in Pascal case.
    #[serde(default, rename = "tags")]
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ByName {
    queue_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ByUrl {
    queue_url: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct QueueUrl {
    queue_url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListQueues {
    #[serde(default)]
    queue_name_prefix: String,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct QueueUrls {
    queue_urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListSources {
    queue_url: String,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SourceUrls {
    #[serde(rename = "queueUrls")]
    queue_urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetAttributes {
    queue_url: String,
    #[serde(default)]
    attribute_names: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Attributes {
    attributes: BTreeMap<&'static str, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetAttributes {
    queue_url: String,
    attributes: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tags {
    tags: BTreeMap<String, String>,
}

impl Sqs {
    /// As on AWS, and unlike `create_queue`, this does not change a queue that exists with other attributes.
    pub(super) fn call_create_queue(&self, request: &CreateQueue) -> Result<QueueUrl, SqsError> {
        if !request.tags.is_empty() {
            return Err(SqsError::UnsupportedOperation("A queue's tags".to_owned()));
        }
        let name: QueueName = request.queue_name.parse()?;
        let wanted = QueueAttributes::default().overlaid(&request.attributes)?;
        let queue = self.open_or_create(&name, wanted)?;
        let attributes = queue.attributes();
        if attributes.clone().overlaid(&request.attributes)? != attributes {
            return Err(SqsError::QueueNameExists);
        }
        Ok(QueueUrl {
            queue_url: queue.url(),
        })
    }

    pub(super) fn call_get_queue_url(&self, request: &ByName) -> Result<QueueUrl, SqsError> {
        let queue = self
            .queue(&request.queue_name)
            .ok_or(SqsError::QueueDoesNotExist)?;
        Ok(QueueUrl {
            queue_url: queue.url(),
        })
    }

    pub(super) fn call_list_queues(&self, request: ListQueues) -> Result<QueueUrls, SqsError> {
        let mut queues = self.queues();
        queues.retain(|queue| queue.name().as_str().starts_with(&request.queue_name_prefix));
        let (queue_urls, next_token) = page(queues, request.max_results, request.next_token)?;
        Ok(QueueUrls {
            queue_urls,
            next_token,
        })
    }

    pub(super) fn call_list_dead_letter_source_queues(
        &self,
        request: ListSources,
    ) -> Result<SourceUrls, SqsError> {
        let sources = self.sources_of(self.queue_at(&request.queue_url)?.name());
        let (queue_urls, next_token) = page(sources, request.max_results, request.next_token)?;
        Ok(SourceUrls {
            queue_urls,
            next_token,
        })
    }

    /// The queues that use this dead-letter queue.
    pub(super) fn sources_of(&self, dead_letter_queue: &QueueName) -> Vec<Queue> {
        let mut queues = self.queues();
        queues.retain(|queue| {
            let redrive = queue.attributes().redrive;
            redrive.is_some_and(|redrive| redrive.dead_letter_queue == *dead_letter_queue)
        });
        queues
    }

    pub(super) fn call_get_queue_attributes(&self, request: &GetAttributes) -> Result<Attributes, SqsError> {
        let queue = self.queue_at(&request.queue_url)?;
        let wants_all = request.attribute_names.iter().any(|name| name == "All");
        let mut attributes = all_attributes(&queue);
        attributes
            .retain(|&name, _| wants_all || request.attribute_names.iter().any(|wanted| wanted == name));
        Ok(Attributes { attributes })
    }

    pub(super) fn call_set_queue_attributes(&self, request: &SetAttributes) -> Result<Nothing, SqsError> {
        let queue = self.queue_at(&request.queue_url)?;
        let attributes = queue.attributes().overlaid(&request.attributes)?;
        self.check_redrive(queue.name(), &attributes)?;
        queue.inner.set_attributes(attributes, Timestamp::now())?;
        Ok(Nothing {})
    }

    pub(super) fn call_purge_queue(&self, request: &ByUrl) -> Result<Nothing, SqsError> {
        self.queue_at(&request.queue_url)?.purge()?;
        Ok(Nothing {})
    }

    pub(super) fn call_delete_queue(&self, request: &ByUrl) -> Result<Nothing, SqsError> {
        self.delete_queue(self.queue_at(&request.queue_url)?.name())?;
        Ok(Nothing {})
    }

    pub(super) fn call_list_queue_tags(&self, request: &ByUrl) -> Result<Tags, SqsError> {
        self.queue_at(&request.queue_url)?;
        Ok(Tags {
            tags: BTreeMap::new(),
        })
    }
}

fn all_attributes(queue: &Queue) -> BTreeMap<&'static str, String> {
    let settings = queue.inner.settings();
    let depth = queue.depth();
    let mut attributes: BTreeMap<_, _> = settings.attributes.rendered().into_iter().collect();
    attributes.extend([
        ("QueueArn", queue.arn()),
        ("CreatedTimestamp", settings.created.as_secs().to_string()),
        ("LastModifiedTimestamp", settings.modified.as_secs().to_string()),
        ("ApproximateNumberOfMessages", depth.visible.to_string()),
        (
            "ApproximateNumberOfMessagesNotVisible",
            depth.in_flight.to_string(),
        ),
        ("ApproximateNumberOfMessagesDelayed", depth.delayed.to_string()),
    ]);
    attributes
}

/// The URLs of one page, and the token of the next page: the last name on this one.
fn page(
    mut queues: Vec<Queue>,
    max_results: Option<usize>,
    after: Option<String>,
) -> Result<(Vec<String>, Option<String>), SqsError> {
    let max = max_results.unwrap_or(MAX_PAGE);
    if !(1..=MAX_PAGE).contains(&max) {
        return Err(SqsError::InvalidParameterValue(format!(
            "MaxResults is 1 to {MAX_PAGE}."
        )));
    }
    if let Some(after) = after {
        queues.retain(|queue| queue.name().as_str() > after.as_str());
    }
    let more = queues.len() > max;
    queues.truncate(max);
    let last = queues.last().map(|queue| queue.name().to_string());
    Ok((queues.iter().map(Queue::url).collect(), last.filter(|_| more)))
}
