//! Logs and metrics of the functions. Every metric is defined here.

mod log;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub use log::init;

/// The namespace of all metrics in `CloudWatch`.
pub const NAMESPACE: &str = "Podium";

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident: $unit:literal,)*) => {
        /// A measurement of a stage. It has the same name in `CloudWatch`.
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
    /// Activities that were new and were stored.
    Accepted: "Count",
    /// At ingestion, activities that were already stored. In the aggregator, those already counted. In the
    /// notifier, events that were already sent.
    Duplicates: "Count",
    /// Messages with facts of people who were erased. They are not counted.
    Erased: "Count",
    /// Activities that were rejected as invalid.
    Rejected: "Count",
    /// Activities that could not be stored, and were answered with 503.
    Unavailable: "Count",
    /// Activities of one request, or messages of one batch.
    BatchSize: "Count",
    /// Activities that were counted.
    Applied: "Count",
    /// Messages that can never be counted and were sent to the DLQ.
    DeadLettered: "Count",
    /// Messages that will be delivered again.
    Deferred: "Count",
    /// Writes and reads of counting that were tried again, because another invocation was first or the table
    /// did not answer.
    Retries: "Count",
    /// Time from receiving an activity to counting it; the longest of a batch.
    CountedAfter: "Milliseconds",
    ActivitiesWriteUnits: "Count",
    /// Of proofs: reading the facts and coins of people.
    ProofReadUnits: "Count",
    /// Of rewards: of the tables of progress and of coins.
    CoinsWriteUnits: "Count",
    DedupReadUnits: "Count",
    DedupWriteUnits: "Count",
    StandingsWriteUnits: "Count",
    StandingsReadUnits: "Count",
    PeopleReadUnits: "Count",
    SnapshotsWriteUnits: "Count",
    /// Coins that were found or regained.
    Issued: "Count",
    /// Coins that were revoked, since activities were voided or others were first.
    Revoked: "Count",
    /// People whose activities could not change a coin, so that their facts were not read.
    GateHits: "Count",
    /// People whose facts were read although no coin changed.
    GateMisses: "Count",
    /// Events that a destination got.
    Notified: "Count",
    /// Events for receivers that wanted no more. They are in the DLQ.
    Ended: "Count",
    /// Time from sending a heartbeat to counting it, or until now while it is in transit; of rewards, until it is
    /// processed.
    Lag: "Seconds",
    /// Messages in the queue.
    Backlog: "Count",
    /// Messages in the DLQ.
    DeadLetters: "Count",
    SnapshotDuration: "Milliseconds",
    /// Time between a snapshot and the one that replaces it.
    SnapshotAge: "Seconds",
    /// Standings that a snapshot read.
    Entries: "Count",
    PagesWritten: "Count",
    /// Published boards, each in one window.
    Published: "Count",
    /// Completeness: activities that the last reconciliation found uncounted and did not repair. Every
    /// snapshot publishes this metric and the next two once there has been a reconciliation.
    Uncounted: "Count",
    /// Uniqueness: what is counted without an activity, or more than once.
    Unfounded: "Count",
    /// Agreement: standings that differ from the sum of their activities.
    Disagreeing: "Count",
}

/// Emits metrics with the dimensions of one stage.
#[derive(Clone, Debug)]
pub struct Meter {
    environment: String,
    stage: &'static str,
}

impl Meter {
    /// `stage` names the function. The variable `ENVIRONMENT` names the environment.
    pub fn from_env(stage: &'static str) -> Self {
        Self {
            environment: std::env::var("ENVIRONMENT").unwrap_or_else(|_| "local".to_owned()),
            stage,
        }
    }

    /// Writes the values as one line in the embedded metric format, from which `CloudWatch` creates
    /// metrics without an API call. No log level drops it.
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
            "terraform/metrics.json does not match the enum Metric. Renew it with \
             `PODIUM_WRITE_METRICS=1 cargo test --workspace --lib -- terraform_knows_every_metric`, and \
             check the alarms for metrics that were removed."
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
