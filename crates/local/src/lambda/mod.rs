//! Lambda on one machine. A function is a native binary that speaks the Lambda Runtime API; each of
//! its processes is one execution environment, with one invocation at a time.
//!
//! An environment is started when an invocation finds none free, up to the function's concurrency; it
//! is used again, the most recently used first, and ended when it has been idle for a while. A process
//! lives no longer than this one: when its Runtime API goes away, `lambda_runtime` ends it.

mod environment;
mod error;
mod faulty;
mod log;
mod pool;
mod runtime_api;
mod stats;
mod usage;
mod variables;

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::join_all;
use tokio::task::AbortHandle;

use crate::faults::Faults;
use environment::EnvironmentId;
pub use error::InvokeError;
pub use log::LOG_BYTES_MAX;
use pool::Pool;
pub use pool::WAITERS_MAX;
use runtime_api::RuntimeApi;
pub use stats::{FunctionStats, INIT_SAMPLES_MAX};

/// What an invocation may carry, and what it may answer: 6 MB, as on AWS.
pub const PAYLOAD_BYTES_MAX: usize = 6 * 1024 * 1024;

/// An environment ends when it has been idle this long.
pub const IDLE_TIME: Duration = Duration::from_mins(1);

/// One function.
#[derive(Debug, Clone)]
pub struct FunctionConfig {
    pub name: String,
    /// The program that speaks the Lambda Runtime API.
    pub binary: PathBuf,
    /// Its own variables. Beyond these a process gets what Lambda sets, and nothing else.
    pub environment: BTreeMap<String, String>,
    /// How many environments there are at most; at least 1.
    pub concurrency: usize,
    /// How long an invocation may take; its process is killed after that.
    pub timeout: Duration,
    /// An environment that is found above this is ended after its invocation.
    pub memory_mb: u32,
    /// Where the output of its processes is appended; without one it is dropped.
    pub log_file: Option<PathBuf>,
    /// How long an invocation waits for a free environment before it is throttled.
    pub slot_wait: Duration,
    /// What befalls its invocations.
    pub faults: Faults,
}

impl FunctionConfig {
    /// Ten environments of 128 MB, 3 s to answer, no log, and throttling at once: AWS's defaults but
    /// for the concurrency.
    pub fn new(name: impl Into<String>, binary: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            binary: binary.into(),
            environment: BTreeMap::new(),
            concurrency: 10,
            timeout: Duration::from_secs(3),
            memory_mb: 128,
            log_file: None,
            slot_wait: Duration::ZERO,
            faults: Faults::none(),
        }
    }
}

/// The Lambda service. Dropping it kills all processes; [`stop`](Self::stop) also waits for their end.
pub struct Lambda {
    functions: BTreeMap<String, Function>,
    reaper: AbortHandle,
}

impl Lambda {
    /// Starts the service; no process is started before it is invoked. Fails when two functions share
    /// a name, a log cannot be opened, or no port is free. To be called within a Tokio runtime.
    pub fn start(functions: Vec<FunctionConfig>) -> anyhow::Result<Self> {
        Self::start_with_idle_time(functions, IDLE_TIME)
    }

    /// As [`start`](Self::start), with another time than [`IDLE_TIME`].
    pub fn start_with_idle_time(functions: Vec<FunctionConfig>, idle_time: Duration) -> anyhow::Result<Self> {
        let runtime_api = Arc::new(RuntimeApi::start()?);
        let mut by_name = BTreeMap::new();
        for config in functions {
            let name = config.name.clone();
            let function = Function(Arc::new(Pool::new(config, Arc::clone(&runtime_api))?));
            anyhow::ensure!(
                by_name.insert(name.clone(), function).is_none(),
                "two functions are called {name}"
            );
        }
        let pools = by_name.values().map(|function| Arc::clone(&function.0)).collect();
        let reaper = tokio::spawn(reap(pools, idle_time)).abort_handle();
        Ok(Self {
            functions: by_name,
            reaper,
        })
    }

    pub fn function(&self, name: &str) -> Option<Function> {
        self.functions.get(name).cloned()
    }

    /// All functions, by name.
    pub fn functions(&self) -> impl Iterator<Item = &Function> {
        self.functions.values()
    }

    /// See [`Function::kill_one`]; `false` too if there is no such function.
    pub fn kill_one(&self, name: &str) -> bool {
        self.functions.get(name).is_some_and(Function::kill_one)
    }

    /// See [`Function::stats`]; `None` if there is no such function.
    pub fn stats(&self, name: &str) -> Option<FunctionStats> {
        self.functions.get(name).map(Function::stats)
    }

    /// Refuses all further invocations, kills all processes, and returns when none is left.
    pub async fn stop(self) {
        join_all(self.functions.values().map(|function| function.0.close())).await;
    }
}

impl Drop for Lambda {
    fn drop(&mut self) {
        self.reaper.abort();
        for function in self.functions.values() {
            function.0.abandon();
        }
    }
}

async fn reap(pools: Vec<Arc<Pool>>, idle_time: Duration) {
    const CHECKS_PER_IDLE_TIME: u32 = 4;
    const CHECK_EVERY_MIN: Duration = Duration::from_millis(5);
    let mut checks = tokio::time::interval((idle_time / CHECKS_PER_IDLE_TIME).max(CHECK_EVERY_MIN));
    loop {
        checks.tick().await;
        for pool in &pools {
            pool.reap(idle_time);
        }
    }
}

/// A handle to one function; a clone is the same function.
#[derive(Clone)]
pub struct Function(Arc<Pool>);

impl fmt::Debug for Function {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Function")
            .field(&self.0.config.name)
            .finish()
    }
}

impl Function {
    pub fn name(&self) -> &str {
        &self.0.config.name
    }

    pub fn config(&self) -> &FunctionConfig {
        &self.0.config
    }

    /// Invokes the function with a JSON document and returns its answer. When all environments are
    /// busy it waits for its turn, for at most the function's `slot_wait`. An invocation that has
    /// begun goes on when this future is dropped.
    pub async fn invoke(&self, payload: Bytes) -> Result<Bytes, InvokeError> {
        self.0.invoke(payload).await
    }

    /// Kills all its processes, busy ones too, and returns when they are gone. Until
    /// [`start`](Self::start) it is throttled.
    pub async fn stop(&self) {
        self.0.stop().await;
    }

    /// Takes invocations again after [`stop`](Self::stop).
    pub fn start(&self) {
        self.0.restart();
    }

    /// Kills one environment, a random one of the busy ones or else any. `false` if there is none.
    pub fn kill_one(&self) -> bool {
        self.0.kill_one()
    }

    pub fn stats(&self) -> FunctionStats {
        self.0.stats()
    }
}
