//! The deployment that a command works on: the local stack, or one on AWS.

use anyhow::Context as _;
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use client::{aws, is_loopback, parse_url};
use reqwest::Url;

/// The default AWS endpoint of `podium local`.
const LOCAL_AWS_URL: &str = "http://127.0.0.1:7001";
/// The only region of the local stack.
const LOCAL_REGION: &str = "us-east-1";

#[derive(Debug, Clone, clap::Args)]
pub struct Deployment {
    /// Use this deployment on AWS, such as prod [default: the stack of `podium local`]
    #[arg(long, value_name = "NAME", conflicts_with = "aws_url")]
    pub environment: Option<String>,
    /// The deployment's project: the prefix of its table and queue names
    #[arg(long, value_name = "NAME", default_value = "podium")]
    project: String,
    /// The deployment's AWS region [default: from a queue's URL, your environment or your profile]
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// The AWS endpoint of the local stack [default: `http://127.0.0.1:7001`]
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    aws_url: Option<Url>,
}

impl Deployment {
    pub fn new(
        environment: Option<String>,
        project: String,
        region: Option<String>,
        aws_url: Option<Url>,
    ) -> Self {
        Self {
            environment,
            project,
            region,
            aws_url,
        }
    }

    /// The same, but at this endpoint unless a place was named.
    #[must_use]
    pub fn or_at(self, endpoint: Option<Url>) -> Self {
        let is_named = self.environment.is_some() || self.aws_url.is_some();
        Self {
            aws_url: if is_named { self.aws_url } else { endpoint },
            ..self
        }
    }

    /// The prefix of its table and queue names.
    pub fn prefix(&self) -> String {
        match &self.environment {
            Some(environment) => format!("{}-{environment}", self.project),
            None => self.project.clone(),
        }
    }

    /// The address of the local stack, if that is the deployment. The URL of a queue may say so, too.
    pub fn local(&self, queue: Option<&Url>) -> Option<String> {
        if self.environment.is_some() {
            return None;
        }
        if let Some(url) = &self.aws_url {
            return Some(url.as_str().trim_end_matches('/').to_owned());
        }
        match queue {
            Some(url) if is_loopback(url) => Some(url.origin().ascii_serialization()),
            Some(_) => None,
            None => Some(LOCAL_AWS_URL.to_owned()),
        }
    }

    /// The SDK configuration to reach it. The local stack accepts any credentials.
    pub async fn connect(&self, queue: Option<&Url>) -> anyhow::Result<SdkConfig> {
        if let Some(address) = self.local(queue) {
            let credentials = Credentials::new("any", "any", None, None, "podium local");
            let config = store::aws::config(LOCAL_REGION.to_owned(), credentials, Some(address));
            return Ok(config.into_builder().timeout_config(aws::timeouts()).build());
        }
        let region = self.region.clone();
        let region = region.or_else(|| queue.and_then(region_of).map(ToOwned::to_owned));
        aws::config(region)
            .await
            .context("could not connect to the deployment on AWS")
    }
}

/// The region in the URL of a queue, `sqs.REGION.amazonaws.com`.
fn region_of(queue: &Url) -> Option<&str> {
    let (region, domain) = queue.host_str()?.strip_prefix("sqs.")?.split_once('.')?;
    domain.starts_with("amazonaws.com").then_some(region)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        deployment: Deployment,
    }

    fn check(args: &str, queue: Option<&str>, expected: Option<&str>) {
        let parsed = Command::try_parse_from(std::iter::once("dlq").chain(args.split_whitespace()));
        let deployment = parsed.expect("the options are right").deployment;
        let queue = queue.map(|queue| parse_url(queue).expect("an address"));
        assert_eq!(
            deployment.local(queue.as_ref()).as_deref(),
            expected,
            "{args:?} {queue:?}"
        );
    }

    #[test]
    fn this_machine_is_meant_unless_another_place_is_named() {
        check("", None, Some("http://127.0.0.1:7001"));
        check(
            "--aws-url http://127.0.0.1:8001/",
            None,
            Some("http://127.0.0.1:8001"),
        );
        let on_this_machine = Some("http://localhost:8001/000000000000/x");
        check("", on_this_machine, Some("http://localhost:8001"));
        check("--environment prod", None, None);
        check("", Some("https://sqs.eu-west-1.amazonaws.com/1/x"), None);
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
