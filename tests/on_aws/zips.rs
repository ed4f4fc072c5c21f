//! Runs the local stack from the zips that `scripts/build` makes for Lambda, not from the functions' binaries.

#![cfg(target_os = "linux")]

use std::fs::{File, Permissions};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use domain::documents::CoinsDocument;
use local::Webhook;
use local::lambda::{InvokeError, Lambda};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use zip::ZipArchive;

use crate::deployment::{FUNCTIONS, QUESTS};
use crate::stack::TestStack;

/// The directory of the zips from `scripts/build`, for the architecture of this machine.
const ZIPS: &str = "PODIUM_TEST_ZIPS";
const PATIENCE: Duration = Duration::from_secs(60);
/// Lambda's limit for an unpacked function.
const BOOTSTRAP_BYTES_MAX: u64 = 250 * 1024 * 1024;

/// Unpacks each bootstrap to a file named after its function. Prints a notice and returns `None` without zips.
fn unpacked() -> Option<TempDir> {
    let Some(zips) = std::env::var_os(ZIPS).filter(|path| !path.is_empty()) else {
        eprintln!("skipped: set {ZIPS} to the directory that scripts/build wrote the zips to");
        return None;
    };
    let directory = TempDir::new().expect("a temporary directory");
    for function in FUNCTIONS {
        let zip = PathBuf::from(&zips).join(function).join("bootstrap.zip");
        unpack(&zip, &directory.path().join(function));
    }
    Some(directory)
}

fn unpack(zip: &Path, binary: &Path) {
    let file = File::open(zip).unwrap_or_else(|error| panic!("{}: {error}", zip.display()));
    let mut archive = ZipArchive::new(file).expect("a zip");
    assert_eq!(
        archive.len(),
        1,
        "{}: the zip must contain only the bootstrap",
        zip.display()
    );
    // Lambda's OS-only runtimes start the file with this name.
    let bootstrap = archive.by_name("bootstrap").expect("a bootstrap");
    // Lambda keeps the mode and starts the file as a user who does not own it.
    let mode = bootstrap.unix_mode().expect("a mode");
    assert_eq!(mode & 0o777, 0o755, "{}", zip.display());
    let mut file = File::create(binary).expect("a file");
    // Reads to the end, where the zip crate compares the checksum.
    let written = std::io::copy(&mut bootstrap.take(BOOTSTRAP_BYTES_MAX), &mut file)
        .unwrap_or_else(|error| panic!("{}: {error}", zip.display()));
    assert!(
        written < BOOTSTRAP_BYTES_MAX,
        "{}: more than {written} bytes",
        zip.display()
    );
    file.set_permissions(Permissions::from_mode(mode))
        .expect("the mode");
}

/// The quests as JSON, which is an expression of Terraform's language, too.
fn quests() -> Option<String> {
    QUESTS.strip_prefix("quests=").map(str::to_owned)
}

/// The coins of a user once there are any: rewards and counting do not wait for each other.
async fn coins(stack: &TestStack, user: &str) -> CoinsDocument {
    let path = format!("/v1/users/{user}/coins");
    let found = async {
        loop {
            let answer = stack.get(&path).await;
            if answer.status() == 200 {
                return answer.json().await.expect("a document of coins");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    found.unwrap_or_else(|_| panic!("{user} has no coins after {PATIENCE:?}"))
}

/// A webhook, and the events that its receiver gets.
async fn receiver() -> (Webhook, UnboundedReceiver<Bytes>) {
    let (sender, told) = unbounded_channel();
    let receive = move |event: Bytes| {
        drop(sender.send(event));
        std::future::ready(())
    };
    let router = Router::new().route("/", post(receive));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let webhook = Webhook {
        id: "crm".to_owned(),
        url: format!("http://{}/", listener.local_addr().expect("an address")),
        secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
    };
    tokio::spawn(async { axum::serve(listener, router).await });
    (webhook, told)
}

/// 100 activities of ten users: one of `u0`, three of `u1`, five of `u2` and so on.
fn activities() -> Vec<Value> {
    let activity = |index: usize| {
        json!({
            "activity_id": format!("a{index}"),
            "user_id": format!("u{}", index.isqrt()),
            "program_id": "wellness",
            "kind": "task_completed",
        })
    };
    (0..100).map(activity).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_deployed_counts_and_ranks() {
    let Some(functions) = unpacked() else { return };
    let logs = TempDir::new().expect("a temporary directory");
    let (webhook, mut told) = receiver().await;
    let stack = TestStack::start(|config| {
        functions.path().clone_into(&mut config.bin_dir);
        config.log_dir = Some(logs.path().to_owned());
        config.quests = quests();
        config.webhooks = vec![webhook];
    })
    .await;
    let person = format!("{}/v1/people/u9", stack.stack.web_url);
    let person = stack.http.put(person).json(&json!({ "display_name": "Ada" }));
    let created = person.send().await.expect("the stack answers");
    assert_eq!(created.status(), 201);
    stack.post_all(&activities()).await;
    stack.wait_until_counted(100).await;

    let board = stack.whole_board("global", 100).await;
    let listed: Vec<_> = board
        .entries
        .iter()
        .map(|entry| {
            (
                entry.rank,
                entry.user_id.as_ref().map(ToString::to_string),
                entry.points,
            )
        })
        .collect();
    let expected: Vec<_> = (1..=10)
        .map(|rank: u8| {
            let user = 10 - rank;
            (
                u64::from(rank),
                Some(format!("u{user}")),
                10 * (2 * i64::from(user) + 1),
            )
        })
        .collect();
    assert_eq!(listed, expected);
    let name = board.entries[0].name.as_ref().map(ToString::to_string);
    assert_eq!(name.as_deref(), Some("Ada"));
    let coins = coins(&stack, "u9").await;
    assert_eq!((coins.coins.len(), coins.balance), (1, 5), "{coins:?}");
    for _ in 0..10 {
        let event = tokio::time::timeout(PATIENCE, told.recv()).await;
        assert!(event.is_ok(), "a coin is not told of");
    }
    for function in stack.stack.lambda.functions() {
        let (config, stats) = (function.config(), function.stats());
        assert!(config.binary.starts_with(functions.path()), "{:?}", config.binary);
        assert!(
            stats.cold_starts > 0 && stats.errors == 0,
            "{}: {stats:?}",
            config.name
        );
    }
    stack.stop().await;
    // The bridge is not on one machine.
    for function in FUNCTIONS.into_iter().filter(|function| *function != "bridge") {
        check_log(function, &logs.path().join(format!("{function}.log")));
    }
}

/// Checks that every line of a log is JSON, as `CloudWatch` needs it, and that none is an error.
fn check_log(function: &str, log: &Path) {
    let text = std::fs::read_to_string(log).expect("a log");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{function}: {line}")))
        .collect();
    assert!(lines.iter().all(|line| line["level"] != "ERROR"), "{text}");
    // These report no metrics of their own; Lambda counts their requests.
    if !["serve", "directory"].contains(&function) {
        let measured = lines.iter().any(|line| line["Stage"] == function);
        assert!(measured, "{function} reports no metric: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_names_the_variable_that_it_lacks() {
    /// The endpoint is only set outside AWS, and the environment is only a dimension of metrics. Without quests, there
    /// are no coins, and without a queue of events, ingest takes requests alone.
    const OPTIONAL: [&str; 2] = ["AWS_ENDPOINT_URL", "ENVIRONMENT"];
    let Some(functions) = unpacked() else { return };
    let (webhook, _told) = receiver().await;
    let stack = TestStack::start(|config| {
        functions.path().clone_into(&mut config.bin_dir);
        config.quests = quests();
        config.webhooks = vec![webhook];
    })
    .await;
    let logs = TempDir::new().expect("a temporary directory");
    let mut tried = 0;
    for function in stack.stack.lambda.functions() {
        let given = &function.config().environment;
        let optional = |name: &str| {
            let of_function = (function.name(), name);
            OPTIONAL.contains(&name)
                || [("serve", "COINS_TABLE"), ("ingest", "QUEUE_URL")].contains(&of_function)
        };
        for variable in given.keys().filter(|name| !optional(name.as_str())) {
            let log = logs.path().join(format!("{}-{variable}", function.name()));
            let mut config = function.config().clone();
            config.environment.remove(variable);
            config.log_file = Some(log.clone());
            let lambda = Lambda::start(vec![config]).expect("a Lambda service");
            let lacking = lambda.function(function.name()).expect("the function");
            let answer = lacking.invoke("{}".into()).await;
            lambda.stop().await;
            assert!(
                matches!(answer, Err(InvokeError::Unavailable(_))),
                "{} starts without {variable}: {answer:?}",
                function.name()
            );
            let told = std::fs::read_to_string(&log).expect("a log");
            let reason = format!("the environment variable {variable} is not set");
            assert!(told.contains(&reason), "{}: {told}", function.name());
            tried += 1;
        }
    }
    assert!(tried >= FUNCTIONS.len(), "{tried} variables tried");
    stack.stop().await;
}
