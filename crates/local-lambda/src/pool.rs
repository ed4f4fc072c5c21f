//! The environments of one function: starts, reuses and ends them.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use bytes::Bytes;
use jiff::SignedDuration;
use rand::seq::IndexedRandom;
use tokio::{
    process::Command,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch},
    time::{Instant, timeout},
};
use uuid::Uuid;

use crate::{
    config::{FunctionConfig, PAYLOAD_BYTES_MAX},
    environment::{Ending, Environment, Invocation, Lease, RequestId, Running},
    error::InvokeError,
    fault::ProcessFault,
    log::{LOG_BYTES_MAX, Log},
    runtime_api::RuntimeApi,
    stats::{Counters, FunctionStats},
    variables::{arn, variables},
};

/// How long a process may take from its start to its first request for an invocation, as on AWS.
const INIT_WAIT_MAX: Duration = Duration::from_secs(10);

/// How long a process may take from its answer to its next request for an invocation.
const NEXT_WAIT_MAX: Duration = Duration::from_secs(10);

/// The maximum number of invocations that wait for a function's environments. Further ones are throttled
/// at once.
pub const WAITERS_MAX: usize = 1_000;

/// The delay after a failed start. It doubles with each further failure.
const START_DELAY: Duration = Duration::from_millis(100);
const START_DELAY_MAX: Duration = Duration::from_secs(5);

pub struct Pool {
    pub config: FunctionConfig,
    arn: Arc<str>,
    runtime_api: Arc<RuntimeApi>,
    log: Option<Arc<Log>>,
    /// One permit per environment that may be busy. Waiting invocations are served first in, first out.
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// The most recently used is last.
    idle: Mutex<Vec<Lease>>,
    fleet: watch::Sender<Fleet>,
    starts: Mutex<Starts>,
    counters: Mutex<Counters>,
}

/// All environments with a process. They share a lock with the phase, so that none is added to a stopped
/// function.
#[derive(Default)]
struct Fleet {
    phase: Phase,
    live: Vec<Arc<Environment>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    Stopped,
    /// Final: the Runtime API is gone.
    Closed,
}

impl Phase {
    fn check(self) -> Result<(), InvokeError> {
        match self {
            Self::Open => Ok(()),
            Self::Stopped => Err(InvokeError::Throttled),
            Self::Closed => Err(InvokeError::Unavailable(
                "the Lambda service has stopped".to_owned(),
            )),
        }
    }
}

/// The backoff of a function whose processes do not start.
#[derive(Default)]
struct Starts {
    failures: u32,
    not_before: Option<Instant>,
}

fn start_delay(failures: u32) -> Duration {
    START_DELAY
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(START_DELAY_MAX)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts an invocation as waiting until dropped.
struct Waiter<'a>(&'a AtomicUsize);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    pub fn new(mut config: FunctionConfig, runtime_api: Arc<RuntimeApi>) -> anyhow::Result<Self> {
        // Processes run in their program's directory, where a relative path would mean another file.
        config.binary = std::path::absolute(&config.binary)
            .with_context(|| format!("cannot find the program {}", config.binary.display()))?;
        let name = &config.name;
        anyhow::ensure!(config.concurrency > 0, "function {name} has no concurrency");
        anyhow::ensure!(
            config.concurrency <= Semaphore::MAX_PERMITS,
            "function {name} has too much concurrency"
        );
        let open = |path: PathBuf| {
            let what = format!("cannot open the log of {name}, {}", path.display());
            Log::open(path, LOG_BYTES_MAX).context(what)
        };
        let log = config.log_file.clone().map(open).transpose()?.map(Arc::new);
        Ok(Self {
            arn: arn(name).into(),
            runtime_api,
            log,
            slots: Arc::new(Semaphore::new(config.concurrency)),
            waiting: AtomicUsize::new(0),
            idle: Mutex::default(),
            fleet: watch::Sender::default(),
            starts: Mutex::default(),
            counters: Mutex::default(),
            config,
        })
    }

    pub async fn invoke(self: &Arc<Self>, payload: Bytes) -> Result<Bytes, InvokeError> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(InvokeError::PayloadTooLarge);
        }
        let slot = self
            .slot()
            .await
            .inspect_err(|_| locked(&self.counters).throttles += 1)?;
        let (reply, answer) = oneshot::channel();
        // Spawned because, as on AWS, an invocation goes on when its caller goes away.
        tokio::spawn(Arc::clone(self).run(slot, payload, reply));
        answer
            .await
            .unwrap_or_else(|_| Err(InvokeError::Unavailable("the runtime has ended".to_owned())))
    }

    async fn slot(&self) -> Result<OwnedSemaphorePermit, InvokeError> {
        self.fleet.borrow().phase.check()?;
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(slot);
        }
        let ahead = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiter = Waiter(&self.waiting);
        if ahead >= WAITERS_MAX {
            return Err(InvokeError::Throttled);
        }
        let slot = timeout(self.config.slot_wait, Arc::clone(&self.slots).acquire_owned()).await;
        let slot = slot
            .map_err(|_| InvokeError::Throttled)?
            .map_err(|_| InvokeError::Throttled)?;
        self.fleet.borrow().phase.check()?;
        Ok(slot)
    }

    async fn run(
        self: Arc<Self>,
        slot: OwnedSemaphorePermit,
        payload: Bytes,
        reply: oneshot::Sender<Result<Bytes, InvokeError>>,
    ) {
        let (mut lease, until) = match self.hand_over(payload).await {
            Ok(running) => running,
            Err(error) => {
                // The caller may have gone away.
                drop(reply.send(Err(error)));
                return;
            }
        };
        self.inject_faults(&lease.environment);
        let answer = lease.answer(until).await;
        locked(&self.counters).answered(&answer);
        if self.may_be_used_again(&lease) {
            // Before the answer, so that the caller's next invocation finds a warm process.
            lease.idle_since = Instant::now();
            debug_assert!(
                !lease.environment.is_running(),
                "an idle environment has no invocation"
            );
            locked(&self.idle).push(lease);
            drop((slot, reply.send(answer)));
        } else {
            drop(reply.send(answer));
            lease.gone().await;
        }
    }

    /// Injects the faults of an invocation that this environment has just received.
    fn inject_faults(self: &Arc<Self>, environment: &Arc<Environment>) {
        let Some(faults) = &self.config.faults else {
            return;
        };
        for (fault, after) in faults.draw() {
            let (pool, environment, faults) = (Arc::clone(self), Arc::clone(environment), Arc::clone(faults));
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                let had_effect = match fault {
                    ProcessFault::Kill => environment.end(Ending::Killed),
                    ProcessFault::OverMemory => environment.end(Ending::OverMemory),
                    ProcessFault::Freeze => environment.freeze(),
                    ProcessFault::KillAll => pool.kill_all(),
                };
                if had_effect {
                    faults.count(fault);
                }
            });
        }
    }

    fn may_be_used_again(&self, lease: &Lease) -> bool {
        if self.is_over_memory(&lease.environment) {
            lease.environment.end(Ending::OverMemory);
        }
        lease.is_usable()
    }

    /// Gives the invocation to the most recently used environment, or to a new one. Returns the
    /// environment and the deadline.
    async fn hand_over(self: &Arc<Self>, payload: Bytes) -> Result<(Lease, Instant), InvokeError> {
        let mut invocation = Invocation {
            id: RequestId(Uuid::new_v4()),
            payload,
            timeout: self.config.timeout,
            deadline_error: (self.config.faults.as_ref())
                .map_or(SignedDuration::ZERO, |faults| faults.deadline_error()),
        };
        loop {
            let mut lease = match self.take_idle() {
                Some(lease) => lease,
                None => self.start().await?,
            };
            match lease.hand_over(invocation, Instant::now() + NEXT_WAIT_MAX).await {
                // The deadline does not include the start of the process.
                Ok(()) => return Ok((lease, Instant::now() + self.config.timeout)),
                // The process has not asked for this invocation, so another may take it.
                Err(returned) => {
                    invocation = returned;
                    lease.environment.end(Ending::TimedOut);
                    lease.gone().await;
                }
            }
        }
    }

    fn take_idle(&self) -> Option<Lease> {
        let mut idle = locked(&self.idle);
        let position = idle.iter().rposition(Lease::is_usable)?;
        Some(idle.remove(position))
    }

    fn is_over_memory(&self, environment: &Environment) -> bool {
        const BYTES_PER_MB: u64 = 1024 * 1024;
        environment.is_sample_due()
            && environment.sample().rss_bytes > u64::from(self.config.memory_mb) * BYTES_PER_MB
    }

    async fn start(self: &Arc<Self>) -> Result<Lease, InvokeError> {
        let not_before = locked(&self.starts).not_before;
        if let Some(not_before) = not_before {
            tokio::time::sleep_until(not_before).await;
        }
        let started_at = Instant::now();
        let started = match self.spawn() {
            Ok(mut lease) => self.init(&mut lease, started_at).await.map(|()| lease),
            Err(error) => Err(error),
        };
        match &started {
            Ok(_) => {
                *locked(&self.starts) = Starts::default();
                locked(&self.counters).started(started_at.elapsed());
            }
            Err(InvokeError::Unavailable(reason)) => {
                let mut starts = locked(&self.starts);
                starts.failures = starts.failures.saturating_add(1);
                starts.not_before = Some(Instant::now() + start_delay(starts.failures));
                tracing::warn!(
                    function = self.config.name,
                    reason,
                    "a function's process did not start"
                );
            }
            // Stopped or killed during the start.
            Err(_) => {}
        }
        started.inspect_err(|_| locked(&self.counters).errors += 1)
    }

    fn spawn(self: &Arc<Self>) -> Result<Lease, InvokeError> {
        let (environment, lease, exit) = Environment::new();
        let mut phase = Phase::Open;
        self.fleet.send_modify(|fleet| {
            phase = fleet.phase;
            if phase == Phase::Open {
                fleet.live.push(Arc::clone(&environment));
            }
        });
        phase.check()?;
        self.runtime_api.add(&environment, &self.arn);
        match environment.spawn(self.command(&environment), self.log.as_ref()) {
            Ok(running) => {
                tokio::spawn(Arc::clone(self).supervise(Arc::clone(&environment), running, exit));
                Ok(lease)
            }
            Err(error) => {
                self.forget(&environment);
                let binary = self.config.binary.display();
                Err(InvokeError::Unavailable(format!(
                    "cannot start {binary}: {error}"
                )))
            }
        }
    }

    fn command(&self, environment: &Environment) -> Command {
        let address = self.runtime_api.address.to_string();
        let mut command = Command::new(&self.config.binary);
        if let Some(folder) = self.config.binary.parent() {
            command.current_dir(folder);
        }
        // Functions must not depend on the developer's own environment.
        command.env_clear().envs(variables(
            &self.config,
            environment.id,
            &address,
            jiff::Timestamp::now(),
        ));
        // Its own process group, so that Ctrl-C at the terminal reaches only the stack, which lets
        // invocations finish.
        #[cfg(unix)]
        command.process_group(0);
        command
    }

    async fn init(&self, lease: &mut Lease, started_at: Instant) -> Result<(), InvokeError> {
        let Err(error) = lease.ready(started_at + INIT_WAIT_MAX).await else {
            return Ok(());
        };
        let environment = Arc::clone(&lease.environment);
        environment.end(Ending::FailedInit);
        lease.gone().await;
        match environment.ending() {
            // Neither is the function's fault, so there is no backoff.
            Some(Ending::Stopped) => return Err(InvokeError::Throttled),
            Some(Ending::Killed) => return Err(error),
            _ => {}
        }
        let name = &self.config.name;
        Err(InvokeError::Unavailable(match error {
            InvokeError::Exited { status } => {
                format!(
                    "{name} ended while it started ({status}): {}",
                    environment.last_error_line()
                )
            }
            InvokeError::TimedOut => {
                format!(
                    "{name} did not start within {} s: {}",
                    INIT_WAIT_MAX.as_secs(),
                    environment.last_error_line()
                )
            }
            error => format!("{name} did not start: {error}"),
        }))
    }

    /// Waits for a process to end. Removes it from all lists before its end is announced.
    async fn supervise(
        self: Arc<Self>,
        environment: Arc<Environment>,
        running: Running,
        exit: watch::Sender<Option<String>>,
    ) {
        let status = running.ended().await;
        let ending = environment.ending();
        let has_crashed = ending.is_none() && environment.has_started();
        if has_crashed {
            tracing::warn!(
                function = self.config.name,
                status,
                "a function's process crashed"
            );
        }
        let is_other = |lease: &Lease| lease.environment.id != environment.id;
        locked(&self.idle).retain(is_other);
        {
            // Under one lock, so that the stats do not count the process twice.
            let mut counters = locked(&self.counters);
            counters.ended(ending, has_crashed, environment.usage());
            self.forget(&environment);
        }
        exit.send_replace(Some(status));
    }

    fn forget(&self, environment: &Environment) {
        self.runtime_api.remove(environment.id);
        self.fleet
            .send_modify(|fleet| fleet.live.retain(|live| live.id != environment.id));
    }

    /// Ends environments that have been idle for `idle_time`.
    pub fn reap(&self, idle_time: Duration) {
        for lease in locked(&self.idle)
            .iter()
            .filter(|lease| lease.idle_since.elapsed() >= idle_time)
        {
            lease.environment.end(Ending::Idle);
        }
    }

    pub fn kill_one(&self) -> bool {
        let fleet = self.fleet.borrow();
        let live: Vec<_> = fleet.live.iter().filter(|live| live.ending().is_none()).collect();
        let busy: Vec<_> = live.iter().copied().filter(|live| live.is_running()).collect();
        let candidates = if busy.is_empty() { live } else { busy };
        let chosen = candidates.choose(&mut rand::rng());
        if let Some(environment) = chosen {
            environment.end(Ending::Killed);
        }
        chosen.is_some()
    }

    /// `false` if there are no environments.
    fn kill_all(&self) -> bool {
        let fleet = self.fleet.borrow();
        let killed = fleet
            .live
            .iter()
            .filter(|environment| environment.end(Ending::Killed));
        killed.count() > 0
    }

    pub async fn stop(&self) {
        self.end_all(Phase::Stopped);
        self.gone().await;
    }

    pub async fn close(&self) {
        self.end_all(Phase::Closed);
        self.gone().await;
    }

    /// Closes without waiting until the processes are gone.
    pub fn abandon(&self) {
        self.end_all(Phase::Closed);
    }

    fn end_all(&self, phase: Phase) {
        self.fleet.send_modify(|fleet| {
            if fleet.phase != Phase::Closed {
                fleet.phase = phase;
            }
            for environment in &fleet.live {
                environment.end(Ending::Stopped);
            }
        });
    }

    async fn gone(&self) {
        // The channel is open: this pool owns the sender.
        drop(
            self.fleet
                .subscribe()
                .wait_for(|fleet| fleet.live.is_empty())
                .await,
        );
    }

    pub fn restart(&self) {
        self.fleet.send_modify(|fleet| {
            if fleet.phase == Phase::Stopped {
                fleet.phase = Phase::Open;
            }
        });
    }

    pub fn stats(&self) -> FunctionStats {
        let counters = locked(&self.counters);
        let live = self.fleet.borrow().live.clone();
        counters.stats(&live)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_of_a_start_grows_to_its_bound() {
        let delays: Vec<_> = [1, 2, 3, 6, 7, u32::MAX]
            .map(|failures| start_delay(failures).as_millis())
            .into();
        assert_eq!(delays, [100, 200, 400, 3_200, 5_000, 5_000]);
    }
}
