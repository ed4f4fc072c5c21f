//! One execution environment: a process and its state.

use std::{
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use jiff::SignedDuration;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::{
    io::AsyncRead,
    process::{Child, Command},
    sync::{Notify, mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};
use uuid::Uuid;

use crate::{
    error::InvokeError,
    log::{self, Log},
    usage::{self, Usage},
};

/// How long output is read after the process has ended. A child process may hold the output open.
const OUTPUT_WAIT_MAX: Duration = Duration::from_millis(500);

/// A process has at most one request in progress; the rest is room for stray ones.
const EVENTS_MAX: usize = 4;

/// Reading `/proc` costs about as much as an invocation, so it is not done after each one.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);

/// Identifies an environment in the URL of its Runtime API. Random, so that no other process on the
/// machine can answer in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct EnvironmentId(pub(super) Uuid);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct RequestId(pub(super) Uuid);

impl TryFrom<String> for EnvironmentId {
    type Error = uuid::Error;
    fn try_from(raw: String) -> Result<Self, uuid::Error> {
        raw.parse().map(Self)
    }
}

impl TryFrom<String> for RequestId {
    type Error = uuid::Error;
    fn try_from(raw: String) -> Result<Self, uuid::Error> {
        raw.parse().map(Self)
    }
}

pub struct Invocation {
    pub id: RequestId,
    pub payload: Bytes,
    pub timeout: Duration,
    /// Added to the deadline that the process is told.
    pub deadline_error: SignedDuration,
}

/// A request of a process to its Runtime API.
pub enum Event {
    /// The process waits for an invocation.
    Next(oneshot::Sender<Invocation>),
    Answer(Result<Bytes, InvokeError>),
    InitError(InvokeError),
}

/// Why a process was ended. A process that ends without a reason has crashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    TimedOut,
    OverMemory,
    FailedInit,
    Idle,
    Stopped,
    Killed,
}

/// The shared part of an environment. Only the holder of its [`Lease`] can invoke it.
pub struct Environment {
    pub id: EnvironmentId,
    events: mpsc::Sender<Event>,
    kill: Notify,
    ending: OnceLock<Ending>,
    pid: OnceLock<u32>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    has_started: bool,
    running: Option<RequestId>,
    usage: Usage,
    sampled_at: Option<Instant>,
    last_error_line: String,
}

impl Environment {
    /// An environment without a process yet, its only lease, and the sender of its exit status.
    pub fn new() -> (Arc<Self>, Lease, watch::Sender<Option<String>>) {
        let (events, received) = mpsc::channel(EVENTS_MAX);
        let (exit, exited) = watch::channel(None);
        let environment = Arc::new(Self {
            id: EnvironmentId(Uuid::new_v4()),
            events,
            kill: Notify::new(),
            ending: OnceLock::new(),
            pid: OnceLock::new(),
            state: Mutex::default(),
        });
        let lease = Lease {
            environment: Arc::clone(&environment),
            events: received,
            exited,
            next: None,
            idle_since: Instant::now(),
        };
        (environment, lease, exit)
    }

    /// Kills the process. Only the first reason counts; `false` if there already is one.
    pub fn end(&self, reason: Ending) -> bool {
        let is_first = self.ending.set(reason).is_ok();
        if is_first {
            self.kill.notify_one();
        }
        is_first
    }

    /// Freezes the process during its invocation, until it is killed at its timeout. `false` if it has
    /// no invocation.
    ///
    /// A frozen process does not outlive this one: when the parent of a process group that has stopped, with
    /// all its threads, is gone, the kernel sends it SIGHUP and SIGCONT.
    pub fn freeze(&self) -> bool {
        let pid = self
            .pid()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw);
        let is_busy = self.ending().is_none() && self.is_running();
        is_busy && pid.is_some_and(|pid| kill_process(pid, Signal::STOP).is_ok())
    }

    pub fn ending(&self) -> Option<Ending> {
        self.ending.get().copied()
    }

    pub fn pid(&self) -> Option<u32> {
        self.pid.get().copied()
    }

    /// Whether the process has ever asked for an invocation.
    pub fn has_started(&self) -> bool {
        self.state().has_started
    }

    pub fn is_running(&self) -> bool {
        self.state().running.is_some()
    }

    /// Marks the invocation as answered. `false` if it is not the current one.
    pub fn finish(&self, id: RequestId) -> bool {
        self.state().running.take_if(|running| *running == id).is_some()
    }

    /// Passes an event on to the holder of the lease.
    pub async fn tell(&self, event: Event) {
        // Without a lease the process is being killed, and its events no longer matter.
        drop(self.events.send(event).await);
    }

    /// The usage at the last sample.
    pub fn usage(&self) -> Usage {
        self.state().usage
    }

    /// Samples the usage. Returns the last sample if the process is gone.
    pub fn sample(&self) -> Usage {
        let read = self.pid().and_then(usage::read);
        let mut state = self.state();
        state.sampled_at = Some(Instant::now());
        if let Some(usage) = read {
            state.usage = usage;
        }
        state.usage
    }

    pub fn is_sample_due(&self) -> bool {
        self.state()
            .sampled_at
            .is_none_or(|at| at.elapsed() >= SAMPLE_EVERY)
    }

    pub fn last_error_line(&self) -> String {
        self.state().last_error_line.clone()
    }

    fn keep_error_line(&self, lines: &[u8]) {
        let text = String::from_utf8_lossy(lines);
        let is_informative = |line: &&str| {
            // The last line of a panic only explains how to get a backtrace.
            !line.trim().is_empty() && !line.starts_with("note: run with `RUST_BACKTRACE")
        };
        if let Some(line) = text.lines().rfind(is_informative) {
            line.trim().clone_into(&mut self.state().last_error_line);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the process. The caller must await [`Running::ended`] in a separate task.
    pub fn spawn(self: &Arc<Self>, mut command: Command, log: Option<&Arc<Log>>) -> std::io::Result<Running> {
        let stdout = if log.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        };
        let mut child = command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(pid) = child.id() {
            self.pid.get_or_init(|| pid);
        }
        let mut outputs = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            outputs.push(copy(stdout, log.cloned(), |_| ()));
        }
        if let Some(stderr) = child.stderr.take() {
            let environment = Arc::clone(self);
            outputs.push(copy(stderr, log.cloned(), move |lines| {
                environment.keep_error_line(lines);
            }));
        }
        Ok(Running {
            environment: Arc::clone(self),
            child,
            outputs,
        })
    }
}

fn copy(
    output: impl AsyncRead + Unpin + Send + 'static,
    log: Option<Arc<Log>>,
    on_lines: impl FnMut(&[u8]) + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(async move { log::copy_lines(output, log.as_deref(), on_lines).await })
}

/// A process, and the tasks that copy its output.
pub struct Running {
    environment: Arc<Environment>,
    child: Child,
    outputs: Vec<JoinHandle<()>>,
}

impl Running {
    /// Waits for the process to end, and kills it on request. Returns its exit status once all of its
    /// output is in the log.
    pub async fn ended(mut self) -> String {
        let status = tokio::select! {
            status = self.child.wait() => status,
            () = self.environment.kill.notified() => {
                self.environment.sample();
                match self.child.start_kill() {
                    Ok(()) => self.child.wait().await,
                    Err(error) => Err(error),
                }
            }
        };
        for mut output in self.outputs {
            if timeout(OUTPUT_WAIT_MAX, &mut output).await.is_err() {
                output.abort();
            }
        }
        status.map_or_else(|error| error.to_string(), |status| status.to_string())
    }
}

/// The right to invoke an environment. Dropping it ends the environment.
pub struct Lease {
    pub environment: Arc<Environment>,
    events: mpsc::Receiver<Event>,
    exited: watch::Receiver<Option<String>>,
    /// Set while the process waits for an invocation.
    next: Option<oneshot::Sender<Invocation>>,
    pub idle_since: Instant,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.environment.end(Ending::Stopped);
    }
}

/// The first of the things that a lease waits for.
enum Heard {
    Event(Event),
    Exited(String),
    Late,
}

impl Lease {
    pub fn is_usable(&self) -> bool {
        self.environment.ending().is_none() && self.exited.borrow().is_none()
    }

    /// Waits until the process is gone.
    pub async fn gone(&mut self) {
        // An error means that the task that watched the process is gone, and the process with it.
        drop(self.exited.wait_for(Option::is_some).await);
    }

    /// Waits until the process asks for an invocation, after its start and after each answer.
    pub async fn ready(&mut self, until: Instant) -> Result<(), InvokeError> {
        while self.next.is_none() {
            match self.hear(until).await {
                Heard::Event(Event::Next(next)) => self.next = Some(next),
                Heard::Event(Event::InitError(error)) => return Err(error),
                // A late answer to an earlier invocation.
                Heard::Event(Event::Answer(_)) => {}
                Heard::Exited(status) => return Err(InvokeError::Exited { status }),
                Heard::Late => return Err(InvokeError::TimedOut),
            }
        }
        self.environment.state().has_started = true;
        Ok(())
    }

    /// Gives the process the invocation once it asks for one. Returns the invocation if it does not.
    pub async fn hand_over(&mut self, mut invocation: Invocation, until: Instant) -> Result<(), Invocation> {
        loop {
            // A process whose connection broke asks again on a new one.
            while let Ok(event) = self.events.try_recv() {
                if let Event::Next(next) = event {
                    self.next = Some(next);
                }
            }
            let Some(next) = self.next.take() else {
                if self.ready(until).await.is_err() {
                    return Err(invocation);
                }
                continue;
            };
            let before = self.environment.state().running.replace(invocation.id);
            debug_assert_eq!(before, None, "an environment has one invocation at a time");
            match next.send(invocation) {
                Ok(()) => return Ok(()),
                Err(returned) => {
                    self.environment.state().running = None;
                    invocation = returned;
                }
            }
        }
    }

    /// Waits for the answer to the current invocation. Kills the process when it is late.
    pub async fn answer(&mut self, until: Instant) -> Result<Bytes, InvokeError> {
        let answer = loop {
            match self.hear(until).await {
                Heard::Event(Event::Answer(answer)) => break answer,
                Heard::Event(Event::Next(next)) => {
                    self.next = Some(next);
                    break Err(InvokeError::Unhandled {
                        error_type: "Runtime.NoAnswer".to_owned(),
                        message: "the function asked for its next invocation without an answer".to_owned(),
                    });
                }
                Heard::Event(Event::InitError(_)) => {}
                Heard::Exited(status) => break Err(InvokeError::Exited { status }),
                Heard::Late => {
                    self.environment.end(Ending::TimedOut);
                    break Err(InvokeError::TimedOut);
                }
            }
        };
        self.environment.state().running = None;
        answer
    }

    async fn hear(&mut self, until: Instant) -> Heard {
        tokio::select! {
            // Events that the process sent before it ended count.
            biased;
            Some(event) = self.events.recv() => Heard::Event(event),
            exited = self.exited.wait_for(Option::is_some) => Heard::Exited(
                exited.ok().and_then(|status| status.clone()).unwrap_or_else(|| "unknown".to_owned()),
            ),
            () = tokio::time::sleep_until(until) => Heard::Late,
        }
    }
}
