//! Turns a planned pipe into the config of the local pipe, and refuses values that it does not support.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use local::pipe::PipeConfig;
use serde::Deserialize;
use serde_json::Value;

use super::template::Template;

pub struct Planned {
    pub config: PipeConfig,
    pub stream_arn: String,
    pub target: Target,
    pub template: Option<Template>,
    /// `ACCOUNT/NAME`, the path of the queue's URL.
    pub dead_letters: String,
}

/// Where a pipe sends messages.
pub enum Target {
    /// `ACCOUNT/NAME`, the path of the queue's URL.
    Queue(String),
    /// The ARN.
    Topic(String),
}

/// An `aws_pipes_pipe`. A block is a list of one object. Unset values are null, empty or absent.
#[derive(Deserialize)]
struct PipeResource {
    name: String,
    source: String,
    target: String,
    source_parameters: [SourceParameters; 1],
    #[serde(default)]
    target_parameters: Vec<TargetParameters>,
    #[serde(default)]
    enrichment: Value,
    #[serde(default)]
    enrichment_parameters: Value,
    desired_state: Option<String>,
}

#[derive(Deserialize)]
struct TargetParameters {
    input_template: Option<String>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct SourceParameters {
    dynamodb_stream_parameters: [StreamParameters; 1],
    #[serde(default)]
    filter_criteria: Vec<FilterCriteria>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct FilterCriteria {
    filter: Vec<Filter>,
}

#[derive(Deserialize)]
struct Filter {
    pattern: String,
}

#[derive(Deserialize)]
struct StreamParameters {
    starting_position: String,
    batch_size: usize,
    on_partial_batch_item_failure: Option<String>,
    maximum_batching_window_in_seconds: Option<i64>,
    parallelization_factor: Option<i64>,
    maximum_retry_attempts: Option<i64>,
    maximum_record_age_in_seconds: Option<i64>,
    dead_letter_config: [DeadLetterConfig; 1],
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct DeadLetterConfig {
    arn: String,
}

impl Planned {
    pub fn of(pipe: &Value) -> anyhow::Result<Self> {
        let resource = PipeResource::deserialize(pipe).context("not the values of an aws_pipes_pipe")?;
        resource.ensure_honoured()?;
        let [source] = &resource.source_parameters;
        let [stream] = &source.dynamodb_stream_parameters;
        let [dead_letters] = &stream.dead_letter_config;
        let patterns: Vec<_> = source
            .filter_criteria
            .iter()
            .flat_map(|all| &all.filter)
            .collect();
        ensure!(
            patterns.len() <= 1,
            "the local pipe supports one filter pattern, but the plan has {}",
            patterns.len()
        );
        let filter = patterns.first().map(|filter| filter.pattern.parse());
        let retries = bound("maximum_retry_attempts", stream.maximum_retry_attempts)?;
        let age = bound(
            "maximum_record_age_in_seconds",
            stream.maximum_record_age_in_seconds,
        )?;
        Ok(Self {
            config: PipeConfig {
                name: resource.name.clone(),
                batch_size: stream.batch_size,
                filter: filter.transpose()?,
                maximum_retry_attempts: retries,
                maximum_record_age: age.map(|age| Duration::from_secs(age.into())),
                checkpoint: None,
            },
            stream_arn: stream_arn(&resource.source)?,
            target: target(&resource.target)?,
            template: resource.template(),
            dead_letters: queue_path(&dead_letters.arn)?,
        })
    }
}

impl PipeResource {
    fn template(&self) -> Option<Template> {
        let templates = self.target_parameters.iter();
        let mut templates = templates.filter_map(|parameters| parameters.input_template.as_deref());
        templates
            .next()
            .filter(|text| !text.is_empty())
            .map(Template::new)
    }

    fn ensure_honoured(&self) -> anyhow::Result<()> {
        let [source] = &self.source_parameters;
        let [stream] = &source.dynamodb_stream_parameters;
        let position = &stream.starting_position;
        ensure!(
            position == "TRIM_HORIZON",
            "the local pipe starts at TRIM_HORIZON, but the plan has starting_position {position}"
        );
        let on_failure = stream.on_partial_batch_item_failure.as_deref();
        ensure!(
            on_failure == Some("AUTOMATIC_BISECT"),
            "the local pipe bisects a failing batch (AUTOMATIC_BISECT), but the plan has {}",
            on_failure.unwrap_or("no such setting")
        );
        let window = stream.maximum_batching_window_in_seconds.unwrap_or(0);
        ensure!(
            window == 0,
            "the local pipe does not wait for a batch to fill, but the plan waits {window} s"
        );
        let factor = stream.parallelization_factor.unwrap_or(1);
        ensure!(
            factor == 1,
            "the local pipe sends one batch at a time, but the plan sends {factor}"
        );
        let state = self.desired_state.as_deref().unwrap_or("RUNNING");
        ensure!(
            state == "RUNNING",
            "the local pipe is RUNNING, but the plan has desired_state {state}"
        );
        for (name, value) in [
            ("enrichment", &self.enrichment),
            ("enrichment_parameters", &self.enrichment_parameters),
        ]
        .into_iter()
        .chain(
            self.target_parameters
                .iter()
                .flat_map(|target| &target.others)
                .map(|(name, value)| (name.as_str(), value)),
        )
        .chain(source.others.iter().map(|(name, value)| (name.as_str(), value)))
        .chain(stream.others.iter().map(|(name, value)| (name.as_str(), value)))
        {
            ensure!(
                is_unset(value),
                "the local pipe does not support {name}, but the plan sets it to {value}"
            );
        }
        Ok(())
    }
}

/// Terraform prints an empty block with all its attributes unset.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.iter().all(is_unset),
        Value::Object(fields) => fields.values().all(is_unset),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// AWS takes an unset value or -1 as no limit.
fn bound(name: &str, planned: Option<i64>) -> anyhow::Result<Option<u32>> {
    match planned {
        // The provider omits a zero when it creates a pipe, but sends it on an update.
        Some(0) => anyhow::bail!(
            "a {name} of 0 is ambiguous: creating and updating the pipe would treat it differently"
        ),
        Some(planned) if planned > 0 => {
            let bound = u32::try_from(planned).with_context(|| format!("{name} is {planned}"))?;
            Ok(Some(bound))
        }
        _ => Ok(None),
    }
}

/// The account and the resource of `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
fn resource<'a>(arn: &'a str, service: &str) -> Option<(&'a str, &'a str)> {
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    match parts[..] {
        ["arn", _, named, _, account, resource] if named == service => Some((account, resource)),
        _ => None,
    }
}

fn stream_arn(arn: &str) -> anyhow::Result<String> {
    let stream = resource(arn, "dynamodb").filter(|(_, resource)| resource.contains("/stream/"));
    stream.with_context(|| format!("{arn} is not the ARN of a table's stream"))?;
    Ok(arn.to_owned())
}

fn target(arn: &str) -> anyhow::Result<Target> {
    if resource(arn, "sns").is_some() {
        return Ok(Target::Topic(arn.to_owned()));
    }
    match queue_path(arn) {
        Ok(path) => Ok(Target::Queue(path)),
        Err(_) => bail!("{arn} is the ARN of neither a queue nor a topic"),
    }
}

/// `ACCOUNT/NAME`, the path of a queue's URL.
fn queue_path(arn: &str) -> anyhow::Result<String> {
    let queue = resource(arn, "sqs").with_context(|| format!("{arn} is not the ARN of a queue"))?;
    Ok(format!("{}/{}", queue.0, queue.1))
}
