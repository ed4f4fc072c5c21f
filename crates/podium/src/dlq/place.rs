//! Where the letters are: the stack on this machine, a deployment on AWS, or queues by their URLs.

use std::fmt;

use anyhow::{Context as _, bail, ensure};
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_sdk_sqs::{Client, error::SdkError, operation::get_queue_url::GetQueueUrlError};
use reqwest::Url;

use super::queue::Queue;
use crate::{
    aws,
    client::{is_loopback, parse_url},
};

/// Where `podium local` has its AWS services, unless it is told otherwise.
const LOCAL_AWS_URL: &str = "http://127.0.0.1:7001";
/// The one region of the stack on this machine.
const LOCAL_REGION: &str = "us-east-1";

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
    /// A deployment on AWS, such as prod; without it, the stack on this machine
    #[arg(long, value_name = "NAME", conflicts_with = "aws_url")]
    environment: Option<String>,
    /// The project of that deployment, with which the names of its queues begin
    #[arg(long, value_name = "NAME", default_value = "podium")]
    project: String,
    /// The deployment's AWS region [default: that of a queue's URL, of your environment or profile]
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// The AWS services of the stack on this machine [default: where `podium local` has them]
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    aws_url: Option<Url>,
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
        let local = self.local();
        let config = match &local {
            Some(address) => store::aws::config(
                LOCAL_REGION.to_owned(),
                Credentials::new("any", "any", None, None, "podium local"),
                Some(address.clone()),
            ),
            None => self.aws_config().await?,
        };
        let prefix = match &self.environment {
            Some(environment) => format!("{}-{environment}", self.project),
            None => self.project.clone(),
        };
        Ok(Connection {
            client: Client::new(&config),
            prefix,
            local,
            place: self,
        })
    }

    /// The address of the stack on this machine, if that is meant.
    fn local(&self) -> Option<String> {
        if self.environment.is_some() {
            return None;
        }
        let origin = |url: &Url| url.as_str().trim_end_matches('/').to_owned();
        if let Some(url) = &self.aws_url {
            return Some(origin(url));
        }
        match self.dead_letter_queue.as_ref().or(self.queue.as_ref()) {
            Some(url) if is_loopback(url) => Some(url.origin().ascii_serialization()),
            Some(_) => None,
            None => Some(LOCAL_AWS_URL.to_owned()),
        }
    }

    async fn aws_config(&self) -> anyhow::Result<SdkConfig> {
        let named = self.dead_letter_queue.as_ref().or(self.queue.as_ref());
        let region = self.region.clone();
        let region = region.or_else(|| named.and_then(region_of).map(ToOwned::to_owned));
        aws::config(region).await.context("the queues cannot be reached")
    }
}

/// The region in the address of a queue, `sqs.REGION.amazonaws.com`.
fn region_of(queue: &Url) -> Option<&str> {
    let (region, domain) = queue.host_str()?.strip_prefix("sqs.")?.split_once('.')?;
    domain.starts_with("amazonaws.com").then_some(region)
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
            (None, Some(_)) if self.place.environment.is_none() => {
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
        match (&self.local, &self.place.environment) {
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

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        place: Place,
    }

    fn check(args: &str, expected: Option<&str>) {
        let args = args.split_whitespace();
        let place = Command::try_parse_from(std::iter::once("dlq").chain(args.clone()));
        let place = place.expect("the options are right").place;
        assert_eq!(
            place.local().as_deref(),
            expected,
            "{:?}",
            args.collect::<Vec<_>>()
        );
    }

    #[test]
    fn this_machine_is_meant_unless_another_place_is_named() {
        check("", Some("http://127.0.0.1:7001"));
        check("--aws-url http://127.0.0.1:8001/", Some("http://127.0.0.1:8001"));
        check(
            "--dead-letter-queue http://localhost:8001/000000000000/x",
            Some("http://localhost:8001"),
        );
        check("--environment prod", None);
        check(
            "--dead-letter-queue https://sqs.eu-west-1.amazonaws.com/1/x",
            None,
        );
        check("--queue https://sqs.eu-west-1.amazonaws.com/1/x", None);
    }

    #[test]
    fn the_region_is_in_the_url_of_a_queue() {
        for (url, expected) in [
            ("https://sqs.eu-west-1.amazonaws.com/1/x", Some("eu-west-1")),
            ("https://sqs.cn-north-1.amazonaws.com.cn/1/x", Some("cn-north-1")),
            ("https://queue.example.com/1/x", None),
            ("http://127.0.0.1:7001/1/x", None),
        ] {
            assert_eq!(region_of(&parse_url(url).expect("an address")), expected, "{url}");
        }
    }
}
