//! `podium webhooks`, and the webhooks of a local stack.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use local::Webhook;
use notifier::address::Reach;
use notifier::webhook::Secrets;
use notifier::{MAIL, WEBHOOKS_MAX, is_webhook_id};
use operate::deployment::Deployment;
use serde::Deserialize;
use store::Notices;
use url::Url;

use crate::small_file;

pub const HELP: &str = "\
A webhook gets every coin that is issued or revoked, as a CloudEvent that is signed as Standard Webhooks specifies. On
AWS, Terraform's variable webhooks says where it is. On one machine, the file of `podium local --webhooks` does:
  [{\"id\": \"crm\", \"url\": \"http://127.0.0.1:9000/coins\", \"secret\": \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"}]
A receiver on another machine must have an https address that is public.

If its receiver answers 410 Gone, a webhook gets no more, and what it would have got is in its DLQ. When it wants events
again:

  podium webhooks resume crm --environment prod
  podium dlq redrive --of webhook-crm --environment prod

A webhook under a new address gets events without that.";

const WEBHOOKS_BYTES_MAX: u64 = 16 * 1024;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Send events again to a webhook whose receiver answered 410 Gone
    Resume(ResumeArgs),
}

#[derive(clap::Args)]
pub struct ResumeArgs {
    /// The id of the webhook
    webhook: String,
    #[command(flatten)]
    deployment: Deployment,
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let Command::Resume(ResumeArgs { webhook, deployment }) = command;
    let config = deployment.connect(None).await?;
    let table = format!("{}-notices", deployment.prefix());
    let notices = Notices::new(aws_sdk_dynamodb::Client::new(&config), table);
    if !notices.resume(&webhook).await? {
        bail!("the webhook {webhook} was not ended, or there is none; nothing is changed");
    }
    println!(
        "{webhook} gets events again. What it did not get is in its DLQ: podium dlq redrive --of webhook-{webhook}"
    );
    Ok(ExitCode::SUCCESS)
}

/// A line of the file of `podium local --webhooks`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    id: String,
    url: Url,
    secret: String,
}

/// Reads the webhooks of a local stack. An error names the file and the field.
pub fn read(file: &Path) -> anyhow::Result<Vec<Webhook>> {
    let name = format!("the file {} (--webhooks)", file.display());
    let json = small_file::read(file, &name, WEBHOOKS_BYTES_MAX)?;
    let given: Vec<Given> = serde_json::from_slice(&json).with_context(|| {
        format!("{name} is not valid; expected [{{\"id\": ID, \"url\": URL, \"secret\": \"whsec_...\"}}]")
    })?;
    ensure!(
        given.len() <= WEBHOOKS_MAX,
        "{name} has {} webhooks; at most {WEBHOOKS_MAX} are allowed",
        given.len()
    );
    let mut ids = BTreeSet::new();
    let webhooks = given.into_iter().map(|Given { id, url, secret }| {
        ensure!(
            is_webhook_id(&id) && id != MAIL,
            "{name}: id is {id:?}; it must be 1 to 20 of a-z 0-9 -, and not {MAIL:?}"
        );
        ensure!(ids.insert(id.clone()), "{name} has the id {id:?} twice");
        let place = |error: anyhow::Error| error.context(format!("{name}: the webhook {id}"));
        Reach { loopback: true }
            .check(&url)
            .map_err(|error| place(error.into()))?;
        Secrets::parse(&secret).map_err(place)?;
        Ok(Webhook {
            url: url.into(),
            id,
            secret,
        })
    });
    webhooks.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhooks_that_cannot_be_used_are_refused_with_file_webhook_and_reason() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("webhooks.json");
        let check = |json: &str| {
            std::fs::write(&file, json).expect("it is written");
            read(&file).map_err(|error| format!("{error:#}"))
        };
        let good = r#"{"id":"crm","url":"http://127.0.0.1:9000/coins","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}"#;
        assert_eq!(check(&format!("[{good}]")).expect("webhooks").len(), 1);
        let place = format!("the file {} (--webhooks)", file.display());
        for (json, reason) in [
            ("{}".to_owned(), " is not valid; expected [{\"id\": ID"),
            (
                good.replace("crm", "CRM"),
                r#": id is "CRM"; it must be 1 to 20 of a-z 0-9 -, and not "mail""#,
            ),
            (good.replace("crm", "mail"), r#": id is "mail"; it must"#),
            (format!("{good},{good}"), r#" has the id "crm" twice"#),
            (
                good.replace("127.0.0.1", "crm.example"),
                ": the webhook crm: the address must begin with https://",
            ),
            (
                good.replace("http://127.0.0.1", "https://10.0.0.1"),
                ": the webhook crm: the address is not a public one",
            ),
            (
                good.replace("whsec_", "whsec_%"),
                ": the webhook crm: the secret must be base64, after whsec_",
            ),
            ([good; 6].join(","), " has 6 webhooks; at most 5 are allowed"),
        ] {
            let json = if json == "{}" { json } else { format!("[{json}]") };
            let error = check(&json).expect_err("it is invalid");
            assert!(error.starts_with(&format!("{place}{reason}")), "{error}");
        }
    }
}
