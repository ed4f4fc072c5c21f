//! The Lambda service with real processes: runs `examples/function.rs` over the real Runtime API.

mod function_binary;

use std::{
    collections::HashSet,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::future::join_all;
use jiff::SignedDuration;
use local_lambda::{
    Function, FunctionConfig, FunctionStats, InvokeError, Lambda, PAYLOAD_BYTES_MAX, ProcessFault,
    ProcessFaults,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    task::JoinHandle,
    time::{sleep, timeout},
};

use self::function_binary::example;

/// Prevents a failing test from hanging.
const PATIENCE: Duration = Duration::from_secs(30);

fn config() -> FunctionConfig {
    FunctionConfig {
        timeout: Duration::from_secs(20),
        memory_mb: 1_024,
        slot_wait: PATIENCE,
        ..FunctionConfig::new("worker", example("function"))
    }
}

fn start(config: FunctionConfig) -> (Lambda, Function) {
    let name = config.name.clone();
    let lambda = Lambda::start(vec![config]).unwrap();
    let function = lambda.function(&name).unwrap();
    (lambda, function)
}

async fn order(function: &Function, order: Value) -> Result<Value, InvokeError> {
    let answer = timeout(PATIENCE, function.invoke(order.to_string().into()))
        .await
        .expect("an answer in time");
    answer.map(|payload| serde_json::from_slice(&payload).unwrap())
}

async fn pid(function: &Function) -> u64 {
    order(function, json!({ "sleep_millis": 0 }))
        .await
        .unwrap()
        .as_u64()
        .unwrap()
}

fn is_alive(pid: u64) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited {PATIENCE:?} in vain until {what}");
}

/// Keeps one process of the function busy for this long.
async fn start_busy(function: &Function, millis: u64) -> JoinHandle<Result<Value, InvokeError>> {
    let busy = tokio::spawn({
        let function = function.clone();
        async move { order(&function, json!({ "sleep_millis": millis })).await }
    });
    eventually("one process is busy", || function.stats().busy == 1).await;
    busy
}

#[tokio::test]
async fn answers_from_one_warm_process() {
    let (lambda, function) = start(config());
    let first = pid(&function).await;
    for turn in 0..5 {
        assert_eq!(
            order(&function, json!({ "echo": { "turn": turn } })).await,
            Ok(json!({ "turn": turn }))
        );
    }
    assert_eq!(pid(&function).await, first);
    let stats = function.stats();
    assert_eq!((stats.cold_starts, stats.invocations, stats.errors), (1, 7, 0));
    assert_eq!(stats.init_micros.len(), 1);
    if cfg!(target_os = "linux") {
        assert!(stats.max_rss_bytes.unwrap() > 100_000);
        assert!(stats.cpu.is_some());
    }
    lambda.stop().await;
}

#[tokio::test]
async fn a_process_gets_what_lambda_sets_and_nothing_of_ours() {
    let mut config = config();
    config
        .environment
        .insert("TABLE".to_owned(), "activities".to_owned());
    let (lambda, function) = start(config);
    let described = order(&function, json!({ "describe": {} })).await.unwrap();
    let variables = described["variables"].as_object().unwrap();
    assert_eq!(variables["TABLE"], "activities");
    assert_eq!(variables["AWS_LAMBDA_FUNCTION_NAME"], "worker");
    assert_eq!(variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "1024");
    // Cargo sets it for this process.
    assert!(!variables.contains_key("CARGO_MANIFEST_DIR"));
    assert_eq!(
        described["arn"],
        "arn:aws:lambda:us-east-1:000000000000:function:worker"
    );
    assert_eq!(described["request_id"].as_str().unwrap().len(), 36);
    lambda.stop().await;
}

#[tokio::test]
async fn runs_as_many_at_once_as_it_may_and_the_rest_in_turn() {
    let (lambda, function) = start(FunctionConfig {
        concurrency: 2,
        ..config()
    });
    let answers = join_all((0..6).map(|_| order(&function, json!({ "sleep_millis": 50 })))).await;
    let pids: HashSet<_> = answers
        .into_iter()
        .map(|answer| answer.unwrap().as_u64().unwrap())
        .collect();
    let stats = function.stats();
    assert_eq!((pids.len(), stats.cold_starts, stats.environments), (2, 2, 2));
    // Consecutive invocations reuse the most recently used process.
    assert_eq!(pid(&function).await, pid(&function).await);
    lambda.stop().await;
}

#[tokio::test]
async fn throttles_when_no_environment_comes_free_in_time() {
    let slot_wait = Duration::from_millis(20);
    let (lambda, function) = start(FunctionConfig {
        concurrency: 1,
        slot_wait,
        ..config()
    });
    pid(&function).await;
    let busy = start_busy(&function, 2_000).await;
    assert_eq!(
        order(&function, json!({ "echo": 1 })).await,
        Err(InvokeError::Throttled)
    );
    assert!(busy.await.unwrap().is_ok());
    assert_eq!(function.stats().throttles, 1);
    lambda.stop().await;
}

#[tokio::test]
async fn goes_on_when_the_caller_goes_away() {
    let (lambda, function) = start(FunctionConfig {
        concurrency: 1,
        ..config()
    });
    let first = pid(&function).await;
    let payload = json!({ "sleep_millis": 100 }).to_string();
    assert!(
        timeout(Duration::from_millis(10), function.invoke(payload.into()))
            .await
            .is_err()
    );
    assert_eq!(pid(&function).await, first);
    assert_eq!(function.stats().invocations, 3);
    lambda.stop().await;
}

#[tokio::test]
async fn kills_what_takes_too_long() {
    let (lambda, function) = start(FunctionConfig {
        timeout: Duration::from_millis(500),
        ..config()
    });
    let late = pid(&function).await;
    assert_eq!(
        order(&function, json!({ "sleep_millis": 60_000 })).await,
        Err(InvokeError::TimedOut)
    );
    eventually("the late process is gone", || !is_alive(late)).await;
    assert_ne!(pid(&function).await, late);
    let stats = function.stats();
    assert_eq!(
        (stats.timeouts, stats.errors, stats.crashes, stats.cold_starts),
        (1, 1, 0, 2)
    );
    lambda.stop().await;
}

#[tokio::test]
async fn tells_how_a_function_failed() {
    let (lambda, function) = start(FunctionConfig {
        concurrency: 1,
        ..config()
    });
    let first = pid(&function).await;
    match order(&function, json!({ "fail": "no such board" })).await {
        Err(InvokeError::Unhandled { message, .. }) => assert_eq!(message, "no such board"),
        other => panic!("{other:?}"),
    }
    match order(&function, json!({ "fill": PAYLOAD_BYTES_MAX })).await {
        Err(InvokeError::Unhandled { error_type, .. }) => {
            assert_eq!(error_type, "Function.ResponseSizeTooLarge");
        }
        other => panic!("{other:?}"),
    }
    let largest = order(&function, json!({ "fill": PAYLOAD_BYTES_MAX - 2 }))
        .await
        .unwrap();
    assert_eq!(largest.as_str().unwrap().len(), PAYLOAD_BYTES_MAX - 2);
    let too_large = Bytes::from(vec![b' '; PAYLOAD_BYTES_MAX + 1]);
    assert_eq!(
        function.invoke(too_large).await,
        Err(InvokeError::PayloadTooLarge)
    );
    // The same process survives all of them.
    assert_eq!(pid(&function).await, first);
    lambda.stop().await;
}

#[tokio::test]
async fn replaces_a_process_that_ends() {
    let (lambda, function) = start(FunctionConfig {
        concurrency: 1,
        ..config()
    });
    let exited = order(&function, json!({ "exit": 3 })).await;
    assert_eq!(
        exited,
        Err(InvokeError::Exited {
            status: "exit status: 3".to_owned()
        })
    );
    let second = pid(&function).await;
    // An answer counts even if the process exits after it.
    assert_eq!(
        order(&function, json!({ "answer_then_exit": 4 })).await,
        Ok(json!("exiting"))
    );
    eventually("the process is gone", || !is_alive(second)).await;
    eventually("its end is known", || function.stats().environments == 0).await;
    assert_ne!(pid(&function).await, second);
    assert_eq!(function.stats().crashes, 2);
    lambda.stop().await;
}

#[tokio::test]
async fn tells_why_a_function_does_not_start() {
    let mut broken = config();
    broken
        .environment
        .insert("FAIL_INIT".to_owned(), "TABLE is not set".to_owned());
    let (lambda, function) = start(broken);
    for _ in 0..2 {
        match order(&function, json!({ "echo": 1 })).await {
            Err(InvokeError::Unavailable(reason)) => {
                assert!(reason.contains("exit status: 1"), "{reason}");
                assert!(reason.contains("TABLE is not set"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
    let stats = function.stats();
    assert_eq!((stats.cold_starts, stats.errors, stats.crashes), (0, 2, 0));
    lambda.stop().await;

    let (lambda, function) = start(FunctionConfig {
        binary: "/nowhere/at-all".into(),
        ..config()
    });
    match order(&function, json!({ "echo": 1 })).await {
        Err(InvokeError::Unavailable(reason)) => {
            assert!(reason.contains("/nowhere/at-all"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    lambda.stop().await;
}

#[tokio::test]
async fn ends_idle_processes() {
    let lambda = Lambda::start_with_idle_time(vec![config()], Duration::from_millis(20)).unwrap();
    let function = lambda.function("worker").unwrap();
    let first = pid(&function).await;
    eventually("the idle process is gone", || !is_alive(first)).await;
    assert_ne!(pid(&function).await, first);
    assert_eq!(function.stats().crashes, 0);
    lambda.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn replaces_a_process_above_its_memory() {
    let (lambda, function) = start(FunctionConfig {
        concurrency: 1,
        memory_mb: 64,
        ..config()
    });
    let first = order(&function, json!({ "leak_bytes": 100_000_000 }))
        .await
        .unwrap()
        .as_u64()
        .unwrap();
    eventually("the large process is gone", || !is_alive(first)).await;
    assert_ne!(pid(&function).await, first);
    assert_eq!(function.stats().over_memory, 1);
    lambda.stop().await;
}

#[tokio::test]
async fn logs_whole_lines_of_all_processes() {
    let folder = tempfile::tempdir().unwrap();
    let log_file = folder.path().join("worker.log");
    let (lambda, function) = start(FunctionConfig {
        log_file: Some(log_file.clone()),
        concurrency: 4,
        ..config()
    });
    let texts: Vec<_> = (0..4).map(|text| text.to_string().repeat(500)).collect();
    join_all(
        texts
            .iter()
            .map(|text| order(&function, json!({ "print": { "text": text, "lines": 200 } }))),
    )
    .await;
    lambda.stop().await;
    let log = std::fs::read_to_string(log_file).unwrap();
    for text in &texts {
        assert_eq!(log.lines().filter(|line| line == text).count(), 200);
    }
}

#[tokio::test]
async fn stop_leaves_no_process() {
    let (lambda, function) = start(FunctionConfig {
        concurrency: 3,
        ..config()
    });
    let pids = join_all((0..3).map(|_| order(&function, json!({ "sleep_millis": 50 })))).await;
    let busy = start_busy(&function, 60_000).await;
    lambda.stop().await;
    for pid in pids {
        assert!(!is_alive(pid.unwrap().as_u64().unwrap()));
    }
    assert!(matches!(busy.await.unwrap(), Err(InvokeError::Exited { .. })));
    function.start();
    assert!(matches!(
        order(&function, json!({ "echo": 1 })).await,
        Err(InvokeError::Unavailable(_))
    ));
}

#[tokio::test]
async fn a_stopped_function_is_throttled_until_it_starts() {
    let (lambda, function) = start(config());
    let first = pid(&function).await;
    function.stop().await;
    assert!(!is_alive(first));
    assert_eq!(
        order(&function, json!({ "echo": 1 })).await,
        Err(InvokeError::Throttled)
    );
    function.start();
    assert_ne!(pid(&function).await, first);
    assert_eq!(function.stats().crashes, 0);
    lambda.stop().await;
}

#[tokio::test]
async fn kills_a_busy_process_before_an_idle_one() {
    let (lambda, function) = start(FunctionConfig {
        concurrency: 2,
        ..config()
    });
    assert!(!lambda.kill_one("worker"), "there is no process yet");
    assert!(!lambda.kill_one("nobody"));
    join_all((0..2).map(|_| order(&function, json!({ "sleep_millis": 50 })))).await;
    eventually("both are idle", || function.stats().busy == 0).await;
    let busy = start_busy(&function, 60_000).await;
    assert!(lambda.kill_one("worker"));
    let killed = InvokeError::Exited {
        status: "signal: 9 (SIGKILL)".to_owned(),
    };
    assert_eq!(busy.await.unwrap(), Err(killed));
    let stats = function.stats();
    assert_eq!((stats.environments, stats.kills, stats.crashes), (1, 1, 0));
    // The idle one is next, which affects no invocation.
    assert!(function.kill_one());
    pid(&function).await;
    lambda.stop().await;
}

/// Returns a function's answer and stats when this fault is injected into each invocation.
/// Injects the same faults into every invocation, and counts them.
#[derive(Debug, Default)]
struct Same {
    deadline_error: SignedDuration,
    faults: Mutex<Vec<ProcessFault>>,
    counted: Mutex<Vec<ProcessFault>>,
}

impl ProcessFaults for Same {
    fn deadline_error(&self) -> SignedDuration {
        self.deadline_error
    }

    fn draw(&self) -> Vec<(ProcessFault, Duration)> {
        const AFTER: Duration = Duration::from_millis(100);
        let faults = self.faults.lock().unwrap();
        faults.iter().map(|fault| (*fault, AFTER)).collect()
    }

    fn count(&self, fault: ProcessFault) {
        self.counted.lock().unwrap().push(fault);
    }
}

async fn invoke_with_fault(
    fault: ProcessFault,
    payload: Value,
) -> (Result<Value, InvokeError>, FunctionStats) {
    let faults = Arc::new(Same {
        faults: Mutex::new(vec![fault]),
        ..Same::default()
    });
    let (lambda, function) = start(FunctionConfig {
        timeout: Duration::from_secs(2),
        faults: Some(Arc::clone(&faults) as _),
        ..config()
    });
    let answer = order(&function, payload).await;
    eventually("the fault is counted", || {
        *faults.counted.lock().unwrap() == [fault]
    })
    .await;
    eventually("the affected process is gone", || function.stats().busy == 0).await;
    let stats = function.stats();
    lambda.stop().await;
    (answer, stats)
}

#[tokio::test]
async fn faults_befall_invocations() {
    let payload = json!({ "sleep_millis": 60_000 });
    let (answer, stats) = invoke_with_fault(ProcessFault::Kill, payload.clone()).await;
    assert!(matches!(answer, Err(InvokeError::Exited { .. })), "{answer:?}");
    assert_eq!((stats.kills, stats.crashes), (1, 0));
    let (answer, stats) = invoke_with_fault(ProcessFault::OverMemory, payload.clone()).await;
    assert!(matches!(answer, Err(InvokeError::Exited { .. })), "{answer:?}");
    assert_eq!((stats.over_memory, stats.kills), (1, 0));
    let (answer, stats) = invoke_with_fault(ProcessFault::KillAll, payload).await;
    assert!(matches!(answer, Err(InvokeError::Exited { .. })), "{answer:?}");
    assert_eq!(stats.kills, 1);
    // Without the fault it would answer in time.
    let (answer, stats) = invoke_with_fault(ProcessFault::Freeze, json!({ "sleep_millis": 1_000 })).await;
    assert_eq!((answer, stats.timeouts), (Err(InvokeError::TimedOut), 1));
}

#[tokio::test]
async fn a_jump_of_the_clock_tells_another_deadline() {
    let (lambda, function) = start(FunctionConfig {
        timeout: Duration::from_secs(2),
        faults: Some(Arc::new(Same {
            deadline_error: SignedDuration::from_secs(3),
            ..Same::default()
        })),
        ..config()
    });
    let answer = order(&function, json!({ "describe": {} })).await;
    let left = answer.unwrap()["left_ms"].as_i64().unwrap();
    assert!(left > 2_000, "{left} ms");
    lambda.stop().await;
}

/// Makes this program the parent process that `no_process_outlives_this_one` kills.
const PARENT: &str = "PODIUM_TEST_PARENT";

/// The value of [`PARENT`] that freezes the busy process.
const FREEZING: &str = "freezing";

/// Part of other tests. It does nothing unless [`PARENT`] is set.
#[tokio::test]
async fn parent() {
    if std::env::var_os(PARENT).is_none() {
        return;
    }
    let faults = Arc::new(Same::default());
    let (_lambda, function) = start(FunctionConfig {
        concurrency: 2,
        faults: Some(Arc::clone(&faults) as _),
        ..config()
    });
    let idle_and_busy = join_all((0..2).map(|_| order(&function, json!({ "sleep_millis": 50 })))).await;
    for answer in idle_and_busy {
        println!("pid {}", answer.unwrap());
    }
    if std::env::var_os(PARENT).is_some_and(|mode| mode == FREEZING) {
        faults.faults.lock().unwrap().push(ProcessFault::Freeze);
    }
    println!("ready");
    drop(order(&function, json!({ "sleep_millis": 3_000 })).await);
    std::future::pending::<()>().await;
}

/// Starts a parent of two processes.
async fn parent_of_two(mode: &str) -> (tokio::process::Child, Vec<u64>) {
    let mut parent = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["parent", "--exact", "--nocapture"])
        .env(PARENT, mode)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let mut pids = Vec::new();
    while let Some(line) = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap() {
        if let Some((_, pid)) = line.split_once("pid ") {
            pids.push(pid.parse::<u64>().unwrap());
        }
        if line.ends_with("ready") {
            break;
        }
    }
    assert_eq!(pids.len(), 2);
    assert!(pids.iter().copied().all(is_alive));
    (parent, pids)
}

async fn end_with_their_parent(mut parent: tokio::process::Child, pids: Vec<u64>) {
    parent.kill().await.unwrap();
    eventually("the processes of a killed parent are gone", || {
        !pids.iter().copied().any(is_alive)
    })
    .await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn no_process_outlives_this_one() {
    let (parent, pids) = parent_of_two("1").await;
    end_with_their_parent(parent, pids).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn not_even_one_that_stands_still() {
    let (parent, pids) = parent_of_two(FREEZING).await;
    // The kernel wakes an orphaned group only if it has stopped, which is when all threads have.
    let is_frozen = |pid: &u64| {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task"))
            .into_iter()
            .flatten();
        let mut states = threads.map(|thread| {
            let stat = std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap_or_default();
            stat.rsplit(") ")
                .next()
                .is_some_and(|state| state.starts_with('T'))
        });
        states.next() == Some(true) && states.all(|is_stopped| is_stopped)
    };
    eventually("one process is frozen", || pids.iter().any(is_frozen)).await;
    end_with_their_parent(parent, pids).await;
}
