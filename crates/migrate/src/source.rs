//! The other system's tables, and Podium beside them.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::AttributeValue;
use bridge::{Item, Mapping};
use operate::deployment::Deployment;
use terminal::text::shell_word;

use crate::state::{File, Files};

/// Its own tables besides that of the events, which only the published system has.
const PROGRESS: &str = "ProgramProgress";
const TOTALS: &str = "EmployeeTotals";
const LEADERBOARD: &str = "GlobalLeaderboard";

/// Where `podium local` answers unless told otherwise.
const LOCAL_URL: &str = "http://127.0.0.1:7000";

/// Of the prefix of tables, by the rules for their names.
const PREFIX_BYTES_MAX: usize = 200;

#[derive(Clone, Debug, clap::Args)]
pub struct Legacy {
    /// The prefix of the other system's tables, such as edl-dev
    #[arg(long = "from", value_name = "PREFIX", value_parser = parse_prefix)]
    pub prefix: String,
    /// Which attribute is which field [default: PREFIX.podium-mapping.json, or the published system's]
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
}

fn parse_prefix(raw: &str) -> anyhow::Result<String> {
    ensure!(
        (1..=PREFIX_BYTES_MAX).contains(&raw.len()),
        "must have 1 to {PREFIX_BYTES_MAX} characters"
    );
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    ensure!(
        raw.chars().all(is_allowed) && !raw.starts_with('.'),
        "is the beginning of the names of tables: use letters, digits, _, - and ."
    );
    Ok(raw.to_owned())
}

/// The other system.
#[derive(Clone)]
pub struct Source {
    pub config: SdkConfig,
    pub client: Client,
    pub mapping: Mapping,
    prefix: String,
}

impl Legacy {
    /// The prefix, and the address of Podium unless it is the usual one, as the next commands want them.
    pub fn named(&self, url: &str) -> String {
        let url = url.trim_end_matches('/');
        if url == LOCAL_URL {
            self.prefix.clone()
        } else {
            format!("{} --url {}", self.prefix, shell_word(url))
        }
    }

    pub fn files(&self) -> Files {
        Files::new(&self.prefix)
    }

    pub fn mapping(&self) -> anyhow::Result<Mapping> {
        let files = self.files();
        let path = self.mapping.clone().unwrap_or_else(|| files.path(File::Mapping));
        let text = if self.mapping.is_some() {
            let text = fs::read_to_string(&path);
            Some(text.with_context(|| format!("could not read {}", path.display()))?)
        } else {
            files.text(File::Mapping)?
        };
        let Some(text) = text else {
            return Ok(Mapping::published(&self.prefix));
        };
        text.parse()
            .with_context(|| format!("the mapping {} cannot be used", path.display()))
    }

    pub async fn connect(&self) -> anyhow::Result<Source> {
        let config = client::aws::config(None).await;
        let config = config.context("could not connect to AWS, where the other system's tables are")?;
        Ok(Source {
            client: Client::new(&config),
            config,
            mapping: self.mapping()?,
            prefix: self.prefix.clone(),
        })
    }
}

/// Podium's own tables. Without an option they are where the environment says, if that is on this machine.
pub fn podium(deployment: &Deployment) -> Deployment {
    deployment.clone().or_at(client::aws::local_endpoint())
}

/// What the other system has summed up for a person, in a program or in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub points: i64,
    pub count: i64,
}

impl Source {
    /// Reads a page of one of several segments of a table, consistently. Returns its items, and where it goes on.
    pub async fn page(
        &self,
        table: &str,
        (segment, segments): (i32, i32),
        after: Option<Item>,
    ) -> anyhow::Result<(Vec<Item>, Option<Item>)> {
        let scan = self.client.scan().table_name(table).consistent_read(true);
        let scan = scan.segment(segment).total_segments(segments);
        let page = scan.set_exclusive_start_key(after).send().await;
        let page = page.with_context(|| unreadable(table))?;
        Ok((page.items.unwrap_or_default(), page.last_evaluated_key))
    }

    /// The names of its table of sums by program, and of its table of totals.
    pub fn progress_table(&self) -> String {
        format!("{}-{PROGRESS}", self.prefix)
    }

    pub fn totals_table(&self) -> String {
        format!("{}-{TOTALS}", self.prefix)
    }

    pub fn leaderboard_table(&self) -> String {
        format!("{}-{LEADERBOARD}", self.prefix)
    }

    /// Whether it has a table. Only the published system has those of sums.
    pub async fn has(&self, table: &str) -> anyhow::Result<bool> {
        match self.client.describe_table().table_name(table).send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DescribeTableError::is_resource_not_found_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(error).with_context(|| unreadable(table)),
        }
    }

    /// The ARN of the stream of the table of events.
    pub async fn stream_arn(&self) -> anyhow::Result<String> {
        stream_arn(&self.client, &self.mapping.table).await
    }

    /// All items of a person in a table that is keyed by person first.
    pub async fn of_person(&self, table: &str, attribute: &str, person: &str) -> anyhow::Result<Vec<Item>> {
        let query = self.client.query().table_name(table).consistent_read(true);
        let query = query
            .key_condition_expression("#person = :person")
            .expression_attribute_names("#person", attribute)
            .expression_attribute_values(":person", AttributeValue::S(person.to_owned()));
        let mut pages = query.into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(item.with_context(|| unreadable(table))?);
        }
        Ok(items)
    }
}

pub async fn stream_arn(client: &Client, table: &str) -> anyhow::Result<String> {
    let described = client.describe_table().table_name(table).send().await;
    let described = described.with_context(|| unreadable(table))?;
    let arn = described.table.and_then(|described| described.latest_stream_arn);
    arn.with_context(|| {
        format!(
            "the table {table} has no stream; switch it on with `aws dynamodb update-table --table-name {table} \
             --stream-specification StreamEnabled=true,StreamViewType=NEW_IMAGE`"
        )
    })
}

fn unreadable(table: &str) -> String {
    format!(
        "could not read the table {table}; check --from, AWS_REGION, AWS_ENDPOINT_URL and the permissions of your \
         AWS credentials"
    )
}

/// The whole number in an attribute; 0 if there is none.
pub fn whole(item: &HashMap<String, AttributeValue>, name: &str) -> i64 {
    let number = item.get(name).and_then(|value| value.as_n().ok());
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// The text in an attribute; empty if there is none.
pub fn text<'a>(item: &'a HashMap<String, AttributeValue>, name: &str) -> &'a str {
    item.get(name)
        .and_then(|value| value.as_s().ok())
        .map_or("", String::as_str)
}
