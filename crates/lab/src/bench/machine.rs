//! A whole stack for one part of the measurements, and the threads that load it.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use client::{Api, parse_url};
use local::lambda::Function;
use local::settings::Batching;
use local::{Stack, StackConfig};
use serde_json::Value;
use telemetry::Metric;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep};

use super::cpu::LOAD_THREAD;
use super::metrics::{Line, MetricLog};
use super::{ANSWER_TIMEOUT, COUNTING_MAX};

/// One snapshot at the start. Another one would disturb the measurement.
const SNAPSHOT_EVERY: Duration = Duration::from_hours(24);

/// How often a log is read for newly counted activities.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// One thread can send far more load than the stack can handle on two processors.
const LOAD_THREADS: usize = 1;

/// The peak memory of any process of each function, in bytes.
#[derive(Debug, Default)]
pub struct Peaks(pub BTreeMap<String, u64>);

/// A running system.
pub struct Machine {
    pub stack: Stack,
    aggregator: MetricLog,
    load: LoadRuntime,
    logs: TempDir,
}

struct LoadRuntime(Option<Runtime>);

impl Drop for LoadRuntime {
    fn drop(&mut self) {
        // A runtime cannot be shut down blockingly from async code.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Machine {
    /// Starts a stack in memory and waits for its first snapshot to end.
    pub async fn start(batching: Batching) -> anyhow::Result<Self> {
        Self::configured(StackConfig {
            batching,
            ..StackConfig::new()?
        })
        .await
    }

    /// [`Self::start`] with other settings than the defaults.
    pub async fn configured(config: StackConfig) -> anyhow::Result<Self> {
        let logs = tempfile::Builder::new().prefix("podium-bench-").tempdir()?;
        let stack = Stack::start(StackConfig {
            port: 0,
            aws_port: 0,
            log_dir: Some(logs.path().to_owned()),
            snapshot_every: SNAPSHOT_EVERY,
            ..config
        })
        .await?;
        let load = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(LOAD_THREADS)
            .thread_name(LOAD_THREAD)
            .enable_all()
            .build()?;
        let mut machine = Self {
            stack,
            aggregator: MetricLog::new(logs.path().join("aggregator.log")),
            load: LoadRuntime(Some(load)),
            logs,
        };
        // The snapshot also sends a heartbeat, which is the aggregator's first batch.
        let first_snapshot = machine.log("snapshot");
        machine.first_line(first_snapshot).await?;
        let first_batch = machine.log("aggregator");
        machine.first_line(first_batch).await?;
        machine.aggregator.read()?;
        Ok(machine)
    }

    async fn first_line(&self, mut log: MetricLog) -> anyhow::Result<()> {
        let until = Instant::now() + COUNTING_MAX;
        while log.read()?.is_empty() {
            ensure!(
                Instant::now() < until,
                "the stack did not publish its first snapshot in time"
            );
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// All metrics of a function, from the first line of its log.
    pub fn log(&self, function: &str) -> MetricLog {
        MetricLog::new(self.logs.path().join(format!("{function}.log")))
    }

    pub fn function(&self, name: &str) -> anyhow::Result<Function> {
        let function = self.stack.lambda.function(name);
        function.with_context(|| format!("there is no function {name}"))
    }

    pub fn api(&self) -> anyhow::Result<Api> {
        let url = parse_url(&self.stack.web_url).map_err(anyhow::Error::msg)?;
        Api::new(url, ANSWER_TIMEOUT)
    }

    /// Runs `load` on separate threads, so that its CPU time can be told from the stack's.
    pub async fn load<T: Send + 'static>(
        &self,
        load: impl Future<Output = T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let runtime = self.load.0.as_ref().context("the load has ended")?;
        runtime.spawn(load).await.context("the load failed")
    }

    /// Waits until exactly `activities` more are counted than at the last call. Returns when that was
    /// and the aggregator's metrics until then. Fails if more are counted.
    pub async fn counted(&mut self, activities: u64) -> anyhow::Result<(Instant, Vec<Line>)> {
        let until = Instant::now() + COUNTING_MAX;
        let mut lines = Vec::new();
        loop {
            lines.extend(self.aggregator.read()?);
            let now = Instant::now();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count, and the cast saturates"
            )]
            let applied = super::metrics::sum(&lines, Metric::Applied) as u64;
            match applied {
                _ if applied == activities => return Ok((now, lines)),
                _ if applied > activities => {
                    bail!("{applied} activities were counted but only {activities} were posted")
                }
                _ if now > until => {
                    bail!("only {applied} of {activities} activities were counted within {COUNTING_MAX:?}")
                }
                _ => sleep(LOOK_EVERY).await,
            }
        }
    }

    /// Waits until the aggregator has settled so many more messages that were no new activities. Returns its
    /// metrics until then.
    pub async fn handled(&mut self, messages: u32) -> anyhow::Result<Vec<Line>> {
        let until = Instant::now() + COUNTING_MAX;
        let mut lines = Vec::new();
        while super::metrics::sum(&lines, Metric::Duplicates) < f64::from(messages) {
            ensure!(
                Instant::now() < until,
                "{messages} messages were not settled in time"
            );
            lines.extend(self.aggregator.read()?);
            sleep(LOOK_EVERY).await;
        }
        Ok(lines)
    }

    /// Waits until `messages` are in the queue.
    pub async fn queued(&self, messages: usize) -> anyhow::Result<()> {
        let until = Instant::now() + COUNTING_MAX;
        while self.stack.queue.depth().total() < messages {
            ensure!(
                Instant::now() < until,
                "{messages} messages did not reach the queue in time"
            );
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Records the functions' memory and stops the stack.
    pub async fn stop(self, peaks: &mut Peaks) -> anyhow::Result<()> {
        for function in self.stack.lambda.functions() {
            if let Some(bytes) = function.stats().max_rss_bytes {
                let peak = peaks.0.entry(function.name().to_owned()).or_default();
                *peak = bytes.max(*peak);
            }
        }
        drop(self.load);
        self.stack.stop().await
    }
}

/// One `DynamoDB` call within this process. `request` and the answer are the protocol's JSON.
pub async fn call(
    dynamodb: &local::dynamodb::DynamoDb,
    operation: &str,
    request: &Value,
) -> anyhow::Result<Bytes> {
    let answer = dynamodb.call(operation, Bytes::from(request.to_string())).await;
    ensure!(
        answer.status.is_success(),
        "{operation} failed: {}",
        String::from_utf8_lossy(&answer.body)
    );
    Ok(answer.body)
}
