//! Where the letters are: the stack on this machine, a deployment on AWS, or queues by their URLs.

use std::fmt;

use anyhow::{Context as _, bail, ensure};
use aws_sdk_sqs::{Client, error::SdkError, operation::get_queue_url::GetQueueUrlError};
use reqwest::Url;

use super::queue::Queue;
use crate::deployment::Deployment;
use client::parse_url;

/// Which of the dead-letter queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Of {
    /// What the aggregator could not count
    Activities,
    /// Positions in the stream that the pipe gave up
    Pipe,
    /// Runs of the snapshot that failed or could not be started
    Snapshot,
}

impl Of {
    const ALL: [Self; 3] = [Self::Activities, Self::Pipe, Self::Snapshot];

    /// What the queue's name ends with.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Activities => "-activities-dlq",
            Self::Pipe => "-pipe-dlq",
            Self::Snapshot => "-snapshot-dlq",
        }
    }
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Activities => "activities",
            Self::Pipe => "pipe",
            Self::Snapshot => "snapshot",
        })
    }
}

/// Where the letters are; shared by the subcommands.
#[derive(Debug, Clone, clap::Args)]
pub struct Place {
    /// Which dead-letter queue
    #[arg(long, value_name = "QUEUE", value_enum, default_value_t = Of::Activities)]
    of: Of,
    #[command(flatten)]
    deployment: Deployment,
    /// The queue that letters are sent to again, if not by its name
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    queue: Option<Url>,
    /// The dead-letter queue, if not by its name
    #[arg(long, value_name = "URL", value_parser = parse_url, conflicts_with = "of")]
    dead_letter_queue: Option<Url>,
}

/// A connection to the queues of one place.
pub struct Connection<'a> {
    client: Client,
    /// What the queues' names begin with.
    prefix: String,
    /// The stack's address, if it is the one on this machine.
    local: Option<String>,
    place: &'a Place,
}

impl Place {
    pub async fn connect(&self) -> anyhow::Result<Connection<'_>> {
        let config = self.deployment.connect(self.queue_url()).await?;
        Ok(Connection {
            client: Client::new(&config),
            prefix: self.deployment.prefix(),
            local: self.deployment.local(self.queue_url()),
            place: self,
        })
    }

    /// A queue that is named by its URL says where it is.
    fn queue_url(&self) -> Option<&Url> {
        self.dead_letter_queue.as_ref().or(self.queue.as_ref())
    }
}

impl Connection<'_> {
    /// The queue of the letters that are meant.
    pub async fn dead_letters(&self) -> anyhow::Result<Queue> {
        if let Some(url) = &self.place.dead_letter_queue {
            return Ok(Queue::new(self.client.clone(), url.as_str().to_owned()));
        }
        let name = self.name(self.place.of);
        let found = self.find(&name).await?;
        found.with_context(|| self.missing(&name))
    }

    /// The queue that letters are sent to again.
    pub async fn main(&self, dead_letters: &Queue) -> anyhow::Result<Queue> {
        let main = match (&self.place.queue, &self.place.dead_letter_queue) {
            (Some(url), _) => Queue::new(self.client.clone(), url.as_str().to_owned()),
            (None, Some(_)) if self.place.deployment.environment.is_none() => {
                bail!("--queue is missing: the URL of the queue that the letters are to be sent to")
            }
            (None, _) => {
                let name = format!("{}-activities", self.prefix);
                let found = self.find(&name).await?;
                found.with_context(|| self.missing(&name))?
            }
        };
        ensure!(
            main.url != dead_letters.url,
            "--queue and --dead-letter-queue are the same; give the queue that the aggregator reads with --queue"
        );
        Ok(main)
    }

    /// Every dead-letter queue that there is; one that cannot be looked at with the reason.
    pub async fn all(&self) -> Vec<(String, anyhow::Result<Queue>)> {
        if let Some(url) = &self.place.dead_letter_queue {
            let queue = Queue::new(self.client.clone(), url.as_str().to_owned());
            return vec![(queue.name().to_owned(), Ok(queue))];
        }
        let mut all = Vec::new();
        for of in Of::ALL {
            let name = self.name(of);
            if let Some(found) = self.find(&name).await.transpose() {
                all.push((name, found));
            }
        }
        all
    }

    fn name(&self, of: Of) -> String {
        format!("{}{}", self.prefix, of.suffix())
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
                let is_away = matches!(error, SdkError::DispatchFailure(_) | SdkError::TimeoutError(_));
                let looking = match &self.local {
                    Some(address) if is_away => format!(
                        "nothing answers at {address}; start `podium local`, say where it is with --aws-url, \
                         or name a deployment on AWS with --environment"
                    ),
                    _ => format!("looking for the queue {name} failed"),
                };
                Err(anyhow::Error::new(error).context(looking))
            }
        }
    }

    fn missing(&self, name: &str) -> String {
        match (&self.local, &self.place.deployment.environment) {
            (Some(address), _) => format!("there is no queue {name} at {address}"),
            (None, Some(_)) => format!(
                "there is no queue {name} in this account and region; look at --environment, --project, \
                 --region and AWS_PROFILE"
            ),
            (None, None) => format!("there is no queue {name}; give --environment, or the queue's URL"),
        }
    }
}

fn is_missing(error: &SdkError<GetQueueUrlError>) -> bool {
    error
        .as_service_error()
        .is_some_and(GetQueueUrlError::is_queue_does_not_exist)
}
