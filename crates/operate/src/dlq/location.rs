//! Where the dead letters are: on the local stack, in a deployment on AWS, or in queues given by URL.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, bail, ensure};
use aws_sdk_sqs::{Client, error::SdkError, operation::get_queue_url::GetQueueUrlError};
use client::parse_url;
use reqwest::Url;

use super::queue::Queue;
use crate::deployment::Deployment;

/// A DLQ of a deployment: the part of its name between the deployment's and `-dlq`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Of(String);

impl FromStr for Of {
    type Err = String;

    fn from_str(raw: &str) -> Result<Self, String> {
        let is_webhook = raw.strip_prefix(Self::WEBHOOK).is_some_and(|id| !id.is_empty());
        if is_webhook || Self::FIXED.contains(&raw) {
            Ok(Self(raw.to_owned()))
        } else {
            Err(format!("expected {}, or webhook-ID", Self::FIXED.join(", ")))
        }
    }
}

impl Of {
    const ACTIVITIES: &str = "activities";
    const REWARDS: &str = "rewards";
    const BRIDGE: &str = "bridge";
    const EVENTS: &str = "events";
    const MAIL: &str = "mail";
    const SNAPSHOT: &str = "snapshot";
    /// The DLQs whose names are known.
    const FIXED: [&str; 9] = [
        Self::ACTIVITIES,
        Self::BRIDGE,
        Self::EVENTS,
        Self::REWARDS,
        Self::MAIL,
        "pipe",
        "facts-pipe",
        "coins-pipe",
        Self::SNAPSHOT,
    ];
    /// How the others begin.
    const WEBHOOK: &str = "webhook-";

    /// Whether a function reads the queue that it belongs to.
    fn can_be_redriven(&self) -> bool {
        [
            Self::ACTIVITIES,
            Self::BRIDGE,
            Self::EVENTS,
            Self::REWARDS,
            Self::MAIL,
        ]
        .contains(&self.0.as_str())
            || self.0.starts_with(Self::WEBHOOK)
    }
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the dead letters are. Shared by the subcommands.
#[derive(Debug, Clone, clap::Args)]
pub struct Location {
    /// Which DLQ to use: activities, bridge, events, rewards, webhook-ID or mail (messages that the function could not use), pipe,
    /// facts-pipe or coins-pipe (positions in a stream that the pipe gave up on), or snapshot (runs that failed; on AWS
    /// only)
    #[arg(long, value_name = "QUEUE", default_value = Of::ACTIVITIES)]
    of: Of,
    #[command(flatten)]
    deployment: Deployment,
    /// The URL of the queue to which `redrive` sends dead letters [default: found by its name]
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    queue: Option<Url>,
    /// The URL of the DLQ [default: found by its name]
    #[arg(long, value_name = "URL", value_parser = parse_url, conflicts_with = "of")]
    dead_letter_queue: Option<Url>,
}

/// A connection to the queues of one deployment.
pub struct Connection<'a> {
    client: Client,
    /// The beginning of the queues' names.
    prefix: String,
    /// The address of the local stack, if that is in use.
    local: Option<String>,
    location: &'a Location,
}

impl Location {
    pub async fn connect(&self) -> anyhow::Result<Connection<'_>> {
        let config = self.deployment.connect(self.queue_url()).await?;
        Ok(Connection {
            client: Client::new(&config),
            prefix: self.deployment.prefix(),
            local: self.deployment.local(self.queue_url()),
            location: self,
        })
    }

    /// A URL that the operator gave. It also says where the deployment is.
    fn queue_url(&self) -> Option<&Url> {
        self.dead_letter_queue.as_ref().or(self.queue.as_ref())
    }
}

impl Connection<'_> {
    /// The DLQ that was chosen.
    pub async fn dead_letter_queue(&self) -> anyhow::Result<Queue> {
        if let Some(url) = &self.location.dead_letter_queue {
            return Ok(Queue::new(self.client.clone(), url.as_str().to_owned()));
        }
        let name = self.name(&self.location.of.0);
        let found = self.find(&name).await?;
        found.with_context(|| self.missing(&name))
    }

    /// The queue to which a redrive sends dead letters.
    pub async fn main(&self, dead_letter_queue: &Queue) -> anyhow::Result<Queue> {
        let main = match (&self.location.queue, &self.location.dead_letter_queue) {
            (Some(url), _) => Queue::new(self.client.clone(), url.as_str().to_owned()),
            (None, Some(_)) if self.location.deployment.environment.is_none() => {
                bail!(
                    "--queue is missing: give the URL of the queue to which the dead letters should be sent"
                )
            }
            (None, _) => {
                let of = self.of(dead_letter_queue.name()).filter(Of::can_be_redriven);
                let queue = of.map_or_else(|| Of::ACTIVITIES.to_owned(), |of| of.0);
                let name = format!("{}-{queue}", self.prefix);
                let found = self.find(&name).await?;
                found.with_context(|| self.missing(&name))?
            }
        };
        ensure!(
            main.url != dead_letter_queue.url,
            "--queue and --dead-letter-queue are the same; with --queue, give the queue that the function reads"
        );
        Ok(main)
    }

    /// Every DLQ that exists, or the error if one cannot be found.
    pub async fn all(&self) -> Vec<(String, anyhow::Result<Queue>)> {
        if let Some(url) = &self.location.dead_letter_queue {
            let queue = Queue::new(self.client.clone(), url.as_str().to_owned());
            return vec![(queue.name().to_owned(), Ok(queue))];
        }
        let mut all = Vec::new();
        for of in Of::FIXED {
            let name = self.name(of);
            if let Some(found) = self.find(&name).await.transpose() {
                all.push((name, found));
            }
        }
        let of_webhooks = format!("{}-{}", self.prefix, Of::WEBHOOK);
        let listed = self
            .client
            .list_queues()
            .queue_name_prefix(&of_webhooks)
            .send()
            .await;
        match listed {
            Ok(listed) => {
                let queues = listed.queue_urls.unwrap_or_default().into_iter();
                let queues = queues.map(|url| Queue::new(self.client.clone(), url));
                let dead_letters = queues.filter(|queue| self.of(queue.name()).is_some());
                all.extend(dead_letters.map(|queue| (queue.name().to_owned(), Ok(queue))));
            }
            Err(error) => {
                let error = anyhow::Error::new(error).context("could not list the queues of webhooks");
                all.push((of_webhooks, Err(error)));
            }
        }
        all
    }

    fn name(&self, of: &str) -> String {
        format!("{}-{of}-dlq", self.prefix)
    }

    /// Which DLQ has this name.
    fn of(&self, name: &str) -> Option<Of> {
        let of = name.strip_prefix(&self.prefix)?.strip_prefix('-')?;
        of.strip_suffix("-dlq")?.parse().ok()
    }

    async fn find(&self, name: &str) -> anyhow::Result<Option<Queue>> {
        let found = self.client.get_queue_url().queue_name(name).send().await;
        match found {
            Ok(found) => {
                let url = found.queue_url.context("SQS gave no URL")?;
                Ok(Some(Queue::new(self.client.clone(), url)))
            }
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => {
                let is_unreachable =
                    matches!(error, SdkError::DispatchFailure(_) | SdkError::TimeoutError(_));
                let context = match &self.local {
                    Some(address) if is_unreachable => format!(
                        "nothing answers at {address}; start a stack with `podium local`, name another stack \
                         with --aws-url, or a deployment on AWS with --environment"
                    ),
                    _ => format!("could not look up the queue {name}"),
                };
                Err(anyhow::Error::new(error).context(context))
            }
        }
    }

    fn missing(&self, name: &str) -> String {
        match (&self.local, &self.location.deployment.environment) {
            (Some(_), _) if self.location.of.0 == Of::SNAPSHOT => format!(
                "the queue {name} exists on AWS only, where its schedule writes to it; name a deployment with \
                 --environment. A failed snapshot of the local stack is in its log"
            ),
            (Some(address), _) if self.location.of.0 == Of::REWARDS => format!(
                "there is no queue {name} at {address}, since that stack has no quests: start it with `podium local --quests \
                 FILE`, or name another stack with --aws-url"
            ),
            (Some(address), _) => {
                format!("there is no queue {name} at {address}; check --of, --project and --aws-url")
            }
            (None, Some(_)) => format!(
                "there is no queue {name} in this account and region; check --of, --environment, --project, \
                 --region and AWS_PROFILE"
            ),
            (None, None) => {
                format!("there is no queue {name}; give --environment, or the queue's URL with --queue")
            }
        }
    }
}

fn is_missing(error: &SdkError<GetQueueUrlError>) -> bool {
    error
        .as_service_error()
        .is_some_and(GetQueueUrlError::is_queue_does_not_exist)
}
