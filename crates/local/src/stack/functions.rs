//! The functions of a stack: their binaries, and the configuration that each of them gets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use identity::Access;
use serde_json::{Value, json};
use store::schema::TableNames;

use super::config::StackConfig;
use super::queues::{NoticesQueues, Queues};
use crate::lambda::FunctionConfig;
use crate::settings::{self, FunctionSettings};
use crate::sqs::Queue;

/// How long a request waits for a busy function. Lambda would start another environment; on one
/// machine a short wait is better than a refusal.
const SLOT_WAIT: Duration = Duration::from_secs(5);

fn names(config: &StackConfig) -> Vec<&'static str> {
    let mut names = if config.coupled {
        vec!["coupled", "snapshot", "serve", "directory"]
    } else {
        vec!["ingest", "aggregator", "snapshot", "serve", "directory"]
    };
    if config.quests.is_some() {
        names.push("rewards");
    }
    if !config.webhooks.is_empty() {
        names.push("notifier");
    }
    names
}

/// Fails unless every function has an executable binary. Without this check the stack would say that it
/// is ready, and then every request would fail.
pub(super) fn check_binaries(config: &StackConfig) -> anyhow::Result<()> {
    let (mut missing, mut not_executable) = (Vec::new(), Vec::new());
    for name in names(config) {
        let path = binary(&config.bin_dir, name);
        if !path.is_file() {
            missing.push(name);
        } else if !is_executable(&path) {
            not_executable.push(name);
        }
    }
    let problems: Vec<_> = [("missing", missing), ("not executable", not_executable)]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(problem, names)| format!("{problem}: {}", names.join(", ")))
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    let install = |name| format!("cargo install --path crates/{name}");
    let installs: Vec<_> = names(config).into_iter().map(install).collect();
    anyhow::bail!(
        "cannot start the functions in {}: {}\n\
         In a checkout of Podium, build them: cargo build --workspace --bins\n\
         For an installed podium, install them next to it: {}",
        config.bin_dir.display(),
        problems.join("; "),
        installs.join(" && ")
    )
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(_path: &Path) -> bool {
    true
}

/// The variables that each function reads. A function gets no others.
const INGEST_READS: &[&str] = &[
    "ACTIVITIES_TABLE",
    "SCORING_POLICY",
    "MAX_ACTIVITY_AGE_DAYS",
    "EVENT_MAPPING",
];
const ACCESS_READS: &[&str] = &Access::VARIABLES;
const COUNTING_READS: &[&str] = &[
    "DEDUP_TABLE",
    "STANDINGS_TABLE",
    "STANDING_SHARDS",
    "TIME_ZONE",
    "SEASONS",
    "SCORING_POLICY",
    "PERIOD_GRACE_HOURS",
    "TIE_BREAK",
];
const QUEUES_READS: &[&str] = &["QUEUE_URL", "DEAD_LETTER_QUEUE_URL"];
const SNAPSHOT_READS: &[&str] = &[
    "ACTIVITIES_TABLE",
    "STANDINGS_TABLE",
    "STANDING_SHARDS",
    "SNAPSHOTS_TABLE",
    "PEOPLE_TABLE",
    "TIME_ZONE",
    "SEASONS",
    "LISTED_USERS",
    "PROGRAM_BOARDS",
    "TEAM_BOARDS",
    "TEAM_SCORE",
    "MIN_TEAM_SIZE",
    "QUEUE_URL",
    "DEAD_LETTER_QUEUE_URL",
];
const SERVE_READS: &[&str] = &[
    "SNAPSHOTS_TABLE",
    "PEOPLE_TABLE",
    "ACTIVITIES_TABLE",
    "COINS_TABLE",
    "STANDINGS_TABLE",
    "STANDING_SHARDS",
    "TIME_ZONE",
    "SEASONS",
    "SNAPSHOT_EVERY_SECONDS",
    "STALE_AGE_SECONDS",
    "STALE_LAG_SECONDS",
    "STALE_BACKLOG",
    "LEGACY_ANSWER",
];

const DIRECTORY_READS: &[&str] = &["PEOPLE_TABLE"];
const REWARDS_READS: &[&str] = &[
    "ACTIVITIES_TABLE",
    "COINS_TABLE",
    "PROGRESS_TABLE",
    "STANDINGS_TABLE",
    "TIME_ZONE",
    "SCORING_POLICY",
    "FINAL_AFTER_SECONDS",
];
const NOTIFIER_READS: &[&str] = &["NOTICES_TABLE", "STANDINGS_TABLE", "GIVE_UP_AFTER_SECONDS"];

/// The variables of all functions.
fn variables(
    config: &StackConfig,
    aws_url: &str,
    tables: &TableNames,
    queues: &Queues,
) -> anyhow::Result<Vec<(&'static str, String)>> {
    let stale_age = config.snapshot_every * settings::STALE_AFTER_SNAPSHOTS;
    let variables = [
        ("AWS_ENDPOINT_URL", aws_url.to_owned()),
        ("ENVIRONMENT", "local".to_owned()),
        ("ACTIVITIES_TABLE", tables.activities.clone()),
        ("DEDUP_TABLE", tables.dedup.clone()),
        ("STANDINGS_TABLE", tables.standings.clone()),
        ("SNAPSHOTS_TABLE", tables.snapshots.clone()),
        ("PEOPLE_TABLE", tables.people.clone()),
        ("COINS_TABLE", tables.coins.clone()),
        ("PROGRESS_TABLE", tables.progress.clone()),
        ("NOTICES_TABLE", tables.notices.clone()),
        (
            "GIVE_UP_AFTER_SECONDS",
            config.give_up_after.as_secs().to_string(),
        ),
        ("FINAL_AFTER_SECONDS", config.final_after.as_secs().to_string()),
        ("QUEUE_URL", queues.main.url()),
        ("DEAD_LETTER_QUEUE_URL", queues.dead_letters.url()),
        ("SCORING_POLICY", serde_json::to_string(&config.scoring_policy)?),
        ("MAX_ACTIVITY_AGE_DAYS", config.max_activity_age.clone()),
        ("EVENT_MAPPING", config.event_mapping.clone()),
        ("TIME_ZONE", config.time_zone.clone()),
        ("SEASONS", serde_json::to_string(&config.seasons)?),
        ("STANDING_SHARDS", settings::STANDING_SHARDS.to_string()),
        ("PERIOD_GRACE_HOURS", config.period_grace.hours().to_string()),
        ("TIE_BREAK", config.tie_break.to_string()),
        ("LISTED_USERS", settings::LISTED_USERS.to_string()),
        ("PROGRAM_BOARDS", settings::PROGRAM_BOARDS.to_string()),
        ("TEAM_BOARDS", config.team_boards.to_string()),
        ("TEAM_SCORE", config.team_score.to_string()),
        ("MIN_TEAM_SIZE", settings::MIN_TEAM_SIZE.to_string()),
        (
            "SNAPSHOT_EVERY_SECONDS",
            config.snapshot_every.as_secs().max(1).to_string(),
        ),
        ("STALE_AGE_SECONDS", stale_age.as_secs().max(3).to_string()),
        ("STALE_LAG_SECONDS", settings::STALE_LAG.as_secs().to_string()),
        ("STALE_BACKLOG", settings::STALE_BACKLOG.to_string()),
        ("LEGACY_ANSWER", config.legacy_answer.to_string()),
    ];
    Ok(variables.into_iter().chain(config.access.variables()).collect())
}

/// The configuration of every function of a stack.
pub(super) fn functions(
    config: &StackConfig,
    aws_url: &str,
    tables: &TableNames,
    queues: &Queues,
    log_dir: &Path,
) -> anyhow::Result<Vec<FunctionConfig>> {
    let variables = variables(config, aws_url, tables, queues)?;
    let function = |name: &str, settings: FunctionSettings, reads: &[&str]| {
        let own = variables.iter().filter(|(variable, _)| {
            matches!(*variable, "AWS_ENDPOINT_URL" | "ENVIRONMENT") || reads.contains(variable)
        });
        FunctionConfig {
            environment: own
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect::<BTreeMap<_, _>>(),
            concurrency: settings.concurrency,
            timeout: config.function_timeout.unwrap_or(settings.timeout),
            faults: config.faults.of_processes(),
            memory_mb: settings.memory_mb,
            log_file: Some(log_dir.join(format!("{name}.log"))),
            slot_wait: SLOT_WAIT,
            ..FunctionConfig::new(name, binary(&config.bin_dir, name))
        }
    };
    let mut functions = if config.coupled {
        let reads = [INGEST_READS, ACCESS_READS, COUNTING_READS].concat();
        vec![function("coupled", settings::INGEST, &reads)]
    } else {
        let mut ingest = function("ingest", settings::INGEST, &[INGEST_READS, ACCESS_READS].concat());
        set_queues(&mut ingest, &queues.events, &queues.events_dead_letters);
        let reads = [COUNTING_READS, QUEUES_READS].concat();
        vec![ingest, function("aggregator", settings::AGGREGATOR, &reads)]
    };
    functions.push(function("snapshot", settings::SNAPSHOT, SNAPSHOT_READS));
    functions.push(function(
        "serve",
        settings::SERVE,
        &[SERVE_READS, ACCESS_READS].concat(),
    ));
    functions.push(function(
        "directory",
        settings::DIRECTORY,
        &[DIRECTORY_READS, ACCESS_READS].concat(),
    ));
    if let Some(queues) = &queues.rewards {
        let mut rewards = function("rewards", settings::REWARDS, REWARDS_READS);
        set_queues(&mut rewards, &queues.main, &queues.dead_letters);
        functions.push(rewards);
    }
    if let Some(queues) = &queues.notices {
        let mut notifier = function("notifier", settings::NOTIFIER, NOTIFIER_READS);
        notifier.concurrency = settings::NOTIFIER.concurrency * queues.webhooks.len();
        let own = [
            ("DESTINATIONS", destinations(queues)),
            // A receiver on this machine is what one tries webhooks with.
            ("ALLOW_LOOPBACK", "true".to_owned()),
        ];
        notifier
            .environment
            .extend(own.map(|(name, value)| (name.to_owned(), value)));
        functions.push(notifier);
    }
    debug_assert!(
        functions
            .iter()
            .map(|function| function.name.as_str())
            .eq(names(config)),
        "the stack starts the functions whose binaries are checked"
    );
    Ok(functions)
}

/// Gives a function its own queues, in place of those of counting.
fn set_queues(function: &mut FunctionConfig, main: &Queue, dead_letters: &Queue) {
    for (name, queue) in [("QUEUE_URL", main), ("DEAD_LETTER_QUEUE_URL", dead_letters)] {
        function.environment.insert(name.to_owned(), queue.url());
    }
}

/// Where each webhook is, and its queues. A secret is found by the id of its webhook.
fn destinations(queues: &NoticesQueues) -> String {
    let destinations = queues.webhooks.iter().map(|of| {
        json!({
            "id": of.webhook.id,
            "queue_url": of.main.url(),
            "dead_letter_queue_url": of.dead_letters.url(),
            "url": of.webhook.url,
            "secret_id": of.webhook.id,
        })
    });
    Value::Array(destinations.collect()).to_string()
}

fn binary(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}
