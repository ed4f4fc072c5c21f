//! Logs and metrics of the functions. Every metric's name stands here, once.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The namespace of all metrics in `CloudWatch`.
pub const NAMESPACE: &str = "Podium";

/// Starts structured logging to standard output, in the format and at the level that Lambda's
/// logging configuration asks for.
pub fn init() {
    lambda_runtime::tracing::init_default_subscriber();
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident: $unit:literal,)*) => {
        /// What a stage measures. Displayed by the same name in `CloudWatch`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Metric {
            $($(#[$doc])* $name,)*
        }

        impl Metric {
            pub const EVERY: &[Self] = &[$(Self::$name,)*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// A unit as `CloudWatch` spells it.
            pub fn unit(self) -> &'static str {
                match self { $(Self::$name => $unit,)* }
            }
        }
    };
}

metrics! {
    /// Activities that were new and are kept.
    Accepted: "Count",
    /// Activities that were there already, at ingestion, or counted already, in the aggregator.
    Duplicates: "Count",
    /// Activities that were refused as invalid.
    Rejected: "Count",
    /// Activities that could not be kept, and were answered with 503.
    Unavailable: "Count",
    /// Activities of one request, or messages of one batch.
    BatchSize: "Count",
    /// Activities that were counted.
    Applied: "Count",
    /// Messages that can never be counted and went to the dead-letter queue.
    DeadLettered: "Count",
    /// Messages that were left to be delivered again.
    Deferred: "Count",
    Transactions: "Count",
    /// Transactions that met another one at the same item, or a throttled table.
    Conflicts: "Count",
    Retries: "Count",
    /// From the receipt of an activity until it was counted; the longest of a batch.
    CountedAfter: "Milliseconds",
    ActivitiesWriteUnits: "Count",
    DedupWriteUnits: "Count",
    StandingsWriteUnits: "Count",
    StandingsReadUnits: "Count",
    SnapshotsWriteUnits: "Count",
    /// From sending a heartbeat until it was counted, or until now while it is on its way.
    Lag: "Seconds",
    /// Messages in the queue.
    Backlog: "Count",
    /// Messages in the dead-letter queue.
    DeadLetters: "Count",
    SnapshotDuration: "Milliseconds",
    /// Between the snapshot that is replaced and its replacement.
    SnapshotAge: "Seconds",
    /// Standings that a snapshot read.
    Entries: "Count",
    PagesWritten: "Count",
    /// Boards, in a window each, that were published.
    Published: "Count",
    /// Completeness: activities that the last reconciliation found not to be counted, and did not repair.
    /// This one and the next two are told with every snapshot once there was a reconciliation.
    Uncounted: "Count",
    /// Uniqueness: what it found to be counted without being an activity, or more than once.
    Unfounded: "Count",
    /// Agreement: sums that it found not to be those of what they are made of.
    Disagreeing: "Count",
}

/// Where a metric belongs to: its dimensions in `CloudWatch`.
#[derive(Clone, Debug)]
pub struct Meter {
    environment: String,
    stage: &'static str,
}

impl Meter {
    /// `stage` is the function's; the environment is named by `ENVIRONMENT`.
    pub fn from_env(stage: &'static str) -> Self {
        Self {
            environment: std::env::var("ENVIRONMENT").unwrap_or_else(|_| "local".to_owned()),
            stage,
        }
    }

    /// Writes the values as one line in `CloudWatch`'s embedded metric format, which `CloudWatch`
    /// turns into metrics without a call.
    pub fn emit(&self, now: Timestamp, values: &[(Metric, f64)]) {
        println!("{}", self.render(now, values));
    }

    fn render(&self, now: Timestamp, values: &[(Metric, f64)]) -> Value {
        let metrics: Vec<_> = values
            .iter()
            .map(|(metric, _)| json!({"Name": metric.name(), "Unit": metric.unit()}))
            .collect();
        let mut line = Map::new();
        line.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": now.as_millisecond(),
                "CloudWatchMetrics": [{
                    "Namespace": NAMESPACE,
                    "Dimensions": [["Environment", "Stage"]],
                    "Metrics": metrics,
                }],
            }),
        );
        line.insert("Environment".to_owned(), self.environment.clone().into());
        line.insert("Stage".to_owned(), self.stage.into());
        for (metric, value) in values {
            line.insert(metric.name().to_owned(), (*value).into());
        }
        Value::Object(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Terraform reads the names from here, for its alarms and its dashboard.
    const METRICS_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../terraform/metrics.json");

    #[test]
    fn terraform_knows_every_metric() {
        let metrics: Map<_, _> = Metric::EVERY
            .iter()
            .map(|metric| (metric.name().to_owned(), metric.unit().into()))
            .collect();
        let rendered = json!({"namespace": NAMESPACE, "metrics": metrics});
        if std::env::var_os("PODIUM_WRITE_METRICS").is_some() {
            std::fs::write(METRICS_FILE, format!("{rendered:#}\n")).expect("the file can be written");
        }
        let file = std::fs::read_to_string(METRICS_FILE).expect("the file is there");
        let known: Value = serde_json::from_str(&file).expect("the file is JSON");
        assert_eq!(
            known, rendered,
            "terraform/metrics.json is not what the enum Metric says. Renew it with \
             `PODIUM_WRITE_METRICS=1 cargo test --workspace --lib -- terraform_knows_every_metric`, and \
             see to the alarms that name a metric which is gone."
        );
    }

    #[test]
    fn a_line_has_the_form_that_cloudwatch_reads() {
        let meter = Meter {
            environment: "dev".to_owned(),
            stage: "ingest",
        };
        let line = meter.render(
            Timestamp::from_millisecond(1_800_000_000_123).unwrap(),
            &[(Metric::Accepted, 3.0), (Metric::Lag, 0.25)],
        );
        assert_eq!(
            line,
            json!({
                "_aws": {
                    "Timestamp": 1_800_000_000_123_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "Podium",
                        "Dimensions": [["Environment", "Stage"]],
                        "Metrics": [{"Name": "Accepted", "Unit": "Count"}, {"Name": "Lag", "Unit": "Seconds"}],
                    }],
                },
                "Environment": "dev",
                "Stage": "ingest",
                "Accepted": 3.0,
                "Lag": 0.25,
            })
        );
    }
}
