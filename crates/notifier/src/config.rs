use std::str::FromStr;
use std::time::Duration;

use queue::Queues;
use serde::Deserialize;
use store::aws::{parsed, required};
use url::Url;

/// The most webhooks of a deployment: their settings have to fit into the environment of a function.
pub const WEBHOOKS_MAX: usize = 5;
/// The id of the destination that mails.
pub const MAIL: &str = "mail";
const DESTINATIONS_MAX: usize = WEBHOOKS_MAX + 1;
const WEBHOOK_ID_CHARS_MAX: usize = 20;

/// Whether an id can be a part of the name of a queue.
pub fn is_webhook_id(id: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=WEBHOOK_ID_CHARS_MAX).contains(&id.len()) && id.chars().all(is_allowed)
}

/// What this function reads from its environment.
#[derive(Clone, Debug)]
pub struct Config {
    /// `NOTICES_TABLE`, for what was sent.
    pub notices_table: String,
    /// `STANDINGS_TABLE`, for the notes of who was erased.
    pub standings_table: String,
    /// `DESTINATIONS`
    pub destinations: Destinations,
    /// `GIVE_UP_AFTER_SECONDS`: how long an event is tried before it becomes a dead letter.
    pub give_up_after: Duration,
    /// `ALLOW_LOOPBACK`: whether a receiver may be on this machine, and without TLS there. Only a local stack sets it.
    pub allow_loopback: bool,
}

/// Who is told, each by a queue of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destinations(pub Vec<Destination>);

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Destination {
    /// Names it in metrics, in the log and in commands.
    pub id: String,
    pub queue_url: String,
    pub dead_letter_queue_url: String,
    #[serde(flatten)]
    pub to: Receiver,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Receiver {
    Webhook {
        url: Url,
        /// Of Secrets Manager: the name or the ARN of the secret that signs.
        secret_id: String,
    },
    /// A topic whose subscribers get mail.
    Mail { topic_arn: String },
}

#[derive(Debug, thiserror::Error)]
pub enum InvalidDestinations {
    #[error("it must be a JSON array of destinations: {0}")]
    Json(#[from] serde_json::Error),
    #[error("there are {0} destinations; at most {DESTINATIONS_MAX} are allowed")]
    TooMany(usize),
}

impl FromStr for Destinations {
    type Err = InvalidDestinations;

    fn from_str(raw: &str) -> Result<Self, InvalidDestinations> {
        let destinations: Vec<Destination> = serde_json::from_str(raw)?;
        if destinations.len() > DESTINATIONS_MAX {
            return Err(InvalidDestinations::TooMany(destinations.len()));
        }
        Ok(Self(destinations))
    }
}

impl Destination {
    /// Whether messages of the queue with this ARN are for it.
    pub fn has_queue(&self, arn: &str) -> bool {
        let of_arn = arn.rsplit(':').next();
        let of_url = self.queue_url.rsplit('/').next();
        of_arn.is_some() && of_arn == of_url
    }

    pub fn queues(&self, client: &aws_sdk_sqs::Client) -> Queues {
        Queues {
            client: client.clone(),
            queue_url: self.queue_url.clone(),
            dead_letter_queue_url: self.dead_letter_queue_url.clone(),
        }
    }
}

impl Config {
    /// Looks each setting up with `variable`; [`store::aws::variable`] reads the process's environment.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let give_up_after = parsed(&variable, "GIVE_UP_AFTER_SECONDS")?;
        Ok(Self {
            notices_table: required(&variable, "NOTICES_TABLE")?,
            standings_table: required(&variable, "STANDINGS_TABLE")?,
            destinations: parsed(&variable, "DESTINATIONS")?,
            give_up_after: Duration::from_secs(give_up_after),
            allow_loopback: parsed(&variable, "ALLOW_LOOPBACK")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_webhooks_or_mail_and_found_by_their_queue() {
        let webhook = r#"{"id":"crm","queue_url":"https://sqs.example/123/podium-webhook-crm","dead_letter_queue_url":"d",
            "url":"https://crm.example/coins","secret_id":"podium/crm"}"#;
        let mail = r#"{"id":"mail","queue_url":"https://sqs.example/123/podium-mail","dead_letter_queue_url":"d","topic_arn":"t"}"#;
        let destinations: Destinations = format!("[{webhook},{mail}]").parse().unwrap();
        let [crm, mail] = &destinations.0[..] else {
            panic!("two destinations")
        };
        assert!(matches!(&crm.to, Receiver::Webhook { secret_id, .. } if secret_id == "podium/crm"));
        assert!(matches!(&mail.to, Receiver::Mail { topic_arn } if topic_arn == "t"));
        let arn = "arn:aws:sqs:eu-central-1:123:podium-webhook-crm";
        assert!(crm.has_queue(arn) && !mail.has_queue(arn));
        let many = format!("[{}]", [webhook; DESTINATIONS_MAX + 1].join(","));
        let error = many.parse::<Destinations>().unwrap_err().to_string();
        assert_eq!(error, "there are 7 destinations; at most 6 are allowed");
    }
}
