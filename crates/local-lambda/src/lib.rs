//! Lambda on one machine. A function is a native binary that speaks the Lambda Runtime API. Each of
//! its processes is one execution environment and has one invocation at a time.
//!
//! An invocation that finds no free environment starts one, up to the function's concurrency.
//! Environments are reused, the most recently used first, and end after [`IDLE_TIME`] without work. No
//! process outlives this one: `lambda_runtime` exits when its Runtime API goes away.

mod config;
mod environment;
mod error;
mod fault;
pub mod function_url;
mod log;
mod pool;
mod runtime_api;
mod stats;
mod usage;
mod variables;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::join_all;
use tokio::task::AbortHandle;

pub use config::{FunctionConfig, PAYLOAD_BYTES_MAX};
pub use error::InvokeError;
pub use fault::{ProcessFault, ProcessFaults};
pub use log::LOG_BYTES_MAX;
use pool::Pool;
pub use pool::WAITERS_MAX;
use runtime_api::RuntimeApi;
pub use stats::{FunctionStats, INIT_SAMPLES_MAX};
pub use variables::ACCESS_KEY_ID;

/// An environment ends after this long without an invocation.
pub const IDLE_TIME: Duration = Duration::from_mins(1);

/// The Lambda service. Dropping it kills all processes; [`stop`](Self::stop) also waits until they are
/// gone.
pub struct Lambda {
    functions: BTreeMap<String, Function>,
    reaper: AbortHandle,
}

impl Lambda {
    /// Starts the service, but no process before its first invocation. Fails when two functions share a
    /// name, a log cannot be opened, or no port is free. Must run within a Tokio runtime.
    pub fn start(functions: Vec<FunctionConfig>) -> anyhow::Result<Self> {
        Self::start_with_idle_time(functions, IDLE_TIME)
    }

    /// As [`start`](Self::start), with `idle_time` in place of [`IDLE_TIME`].
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

    /// See [`Function::kill_one`]. `false` also if there is no such function.
    pub fn kill_one(&self, name: &str) -> bool {
        self.functions.get(name).is_some_and(Function::kill_one)
    }

    /// See [`Function::stats`]. `None` if there is no such function.
    pub fn stats(&self, name: &str) -> Option<FunctionStats> {
        self.functions.get(name).map(Function::stats)
    }

    /// Refuses further invocations, kills all processes, and returns when they are gone.
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
    /// busy, waits for at most the function's `slot_wait`. Dropping this future does not stop an
    /// invocation that has begun.
    pub async fn invoke(&self, payload: Bytes) -> Result<Bytes, InvokeError> {
        self.0.invoke(payload).await
    }

    /// Kills all its processes, including busy ones, and returns when they are gone. Invocations are
    /// throttled until [`start`](Self::start).
    pub async fn stop(&self) {
        self.0.stop().await;
    }

    /// Takes invocations again after [`stop`](Self::stop).
    pub fn start(&self) {
        self.0.restart();
    }

    /// Kills a random busy environment, or a random idle one if none is busy. `false` if there is none.
    pub fn kill_one(&self) -> bool {
        self.0.kill_one()
    }

    pub fn stats(&self) -> FunctionStats {
        self.0.stats()
    }
}
