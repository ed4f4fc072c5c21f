//! Terraform's defaults match the local stack, and each function gets the variables that it reads.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::{ScoringPolicy, Seasons, TeamScore};
use local::settings::{self, Batching, FunctionSettings};
use serde_json::{Value, json};
use store::rules::TieBreak;

use crate::deployment::{Deployment, FUNCTIONS, IN_TEST, QUESTS, by_default};

const WITHOUT_QUESTS: [&str; 4] = ["-var", "environment=test", "-var", "readers=public"];

/// The values of a deployment that the local stack also has.
fn deployed(deployment: &Deployment) -> Value {
    // The bridge is not on one machine: `podium migrate tail` and `mirror` are in its place.
    let functions = FUNCTIONS.into_iter().filter(|name| *name != "bridge");
    let functions = functions.map(|name| {
        let function = deployment.function(name);
        let settings = json!({
            "timeout_seconds": function["timeout"],
            "memory_mb": function["memory_size"],
            "concurrency": function["reserved_concurrent_executions"],
        });
        (name.to_owned(), settings)
    });
    json!({
        "functions": functions.collect::<serde_json::Map<_, _>>(),
        "counting": carrying(deployment, ["activities"; 3]),
        "events": taking(deployment, ["events[0]", "events_dead_letters[0]"]),
        "rewards": carrying(deployment, ["events[\"facts\"]", "rewards[0]", "rewards_dead_letters[0]"]),
        "notices": carrying(
            deployment,
            [
                "events[\"coins\"]",
                "notices[\"webhook-crm\"]",
                "notices_dead_letters[\"webhook-crm\"]",
            ],
        ),
    })
}

/// What carries facts, or coins, by a pipe and a queue to a function.
fn carrying(deployment: &Deployment, [pipe, queue, dead_letters]: [&str; 3]) -> Value {
    let pipe = deployment.resource(&format!("aws_pipes_pipe.{pipe}"));
    let pipe = &pipe["source_parameters"][0];
    let stream = &pipe["dynamodb_stream_parameters"][0];
    let mut carrying = taking(deployment, [queue, dead_letters]);
    carrying["pipe"] = json!({
        "batch_size": stream["batch_size"],
        "retries": stream["maximum_retry_attempts"],
        "record_age_seconds": stream["maximum_record_age_in_seconds"],
        "filter": parsed(&pipe["filter_criteria"][0]["filter"][0]["pattern"]),
    });
    carrying
}

/// JSON in a text.
fn parsed(text: &Value) -> Value {
    serde_json::from_str(text.as_str().expect("it is a text")).expect("it is JSON")
}

/// How a function takes messages of a queue.
fn taking(deployment: &Deployment, [queue, dead_letters]: [&str; 2]) -> Value {
    let resource = |kind: &str, name: &str| deployment.resource(&format!("{kind}.{name}"));
    let dead_letters = resource("aws_sqs_queue", dead_letters);
    let mapping = resource("aws_lambda_event_source_mapping", queue);
    let queue = resource("aws_sqs_queue", queue);
    json!({
        "queue": {
            "visibility_seconds": queue["visibility_timeout_seconds"],
            "retention_seconds": queue["message_retention_seconds"],
            "dead_letter_retention_seconds": dead_letters["message_retention_seconds"],
            "max_receives": parsed(&queue["redrive_policy"])["maxReceiveCount"],
        },
        "mapping": {
            "batch_size": mapping["batch_size"],
            "window_seconds": mapping["maximum_batching_window_in_seconds"],
            "concurrency": mapping["scaling_config"][0]["maximum_concurrency"],
        },
    })
}

/// The same values of the local stack.
fn local_stack(batching: Batching) -> Value {
    let function = |settings: FunctionSettings| {
        json!({
            "timeout_seconds": settings.timeout.as_secs(),
            "memory_mb": settings.memory_mb,
            "concurrency": settings.concurrency,
        })
    };
    json!({
        "functions": {
            "ingest": function(settings::INGEST),
            "aggregator": function(settings::AGGREGATOR),
            "snapshot": function(settings::SNAPSHOT),
            "serve": function(settings::SERVE),
            "directory": function(settings::DIRECTORY),
            "rewards": function(settings::REWARDS),
            // For a webhook and for mail.
            "notifier": function(FunctionSettings {
                concurrency: 2 * settings::NOTIFIER.concurrency,
                ..settings::NOTIFIER
            }),
        },
        "counting": local_carrying(batching, settings::AGGREGATOR, settings::PIPE_FILTER),
        "events": local_taking(
            settings::EVENTS_BATCH_SIZE,
            settings::EVENTS_WINDOW,
            settings::EVENTS_CONCURRENCY,
        ),
        "rewards": local_carrying(batching, settings::REWARDS, settings::PIPE_FILTER),
        "notices": local_carrying(Batching::Prompt, settings::NOTIFIER, settings::COINS_PIPE_FILTER),
    })
}

fn local_carrying(batching: Batching, function: FunctionSettings, filter: &str) -> Value {
    let mut carrying = local_taking(batching.batch_size(), batching.window(), function.concurrency);
    carrying["pipe"] = json!({
        "batch_size": settings::PIPE_BATCH_SIZE,
        "retries": settings::PIPE_MAX_RETRIES,
        "record_age_seconds": settings::PIPE_MAX_RECORD_AGE.as_secs(),
        "filter": serde_json::from_str::<Value>(filter).unwrap(),
    });
    carrying
}

fn local_taking(batch_size: usize, window: Duration, concurrency: usize) -> Value {
    json!({
        "queue": {
            "visibility_seconds": settings::VISIBILITY_TIMEOUT.as_secs(),
            "retention_seconds": settings::MESSAGE_RETENTION.as_secs(),
            "dead_letter_retention_seconds": settings::MESSAGE_RETENTION.as_secs(),
            "max_receives": settings::MAX_RECEIVES,
        },
        "mapping": {
            "batch_size": batch_size,
            "window_seconds": window.as_secs(),
            "concurrency": concurrency,
        },
    })
}

#[test]
fn what_is_deployed_by_default_is_what_runs_on_one_machine() {
    let Some(deployment) = by_default() else { return };
    assert_eq!(deployed(deployment), local_stack(Batching::default()));
}

#[test]
fn prompt_batching_is_the_same_in_both() {
    let Some(deployment) = Deployment::mocked(&[&IN_TEST[..], &["-var", "batching=prompt"]].concat()) else {
        return;
    };
    assert_eq!(deployed(&deployment), local_stack(Batching::Prompt));
}

#[test]
fn functions_find_the_settings_of_the_local_stack() {
    let Some(deployment) = by_default() else { return };
    let stale_age = settings::SNAPSHOT_EVERY * settings::STALE_AFTER_SNAPSHOTS;
    let seconds = |duration: Duration| duration.as_secs().to_string();
    let expected = [
        ("STANDING_SHARDS", settings::STANDING_SHARDS.to_string()),
        ("LISTED_USERS", settings::LISTED_USERS.to_string()),
        ("PROGRAM_BOARDS", settings::PROGRAM_BOARDS.to_string()),
        ("TEAM_BOARDS", settings::TEAM_BOARDS.to_string()),
        ("TEAM_SCORE", TeamScore::default().to_string()),
        ("MIN_TEAM_SIZE", settings::MIN_TEAM_SIZE.to_string()),
        ("SNAPSHOT_EVERY_SECONDS", seconds(settings::SNAPSHOT_EVERY)),
        ("STALE_AGE_SECONDS", seconds(stale_age)),
        ("STALE_LAG_SECONDS", seconds(settings::STALE_LAG)),
        ("STALE_BACKLOG", settings::STALE_BACKLOG.to_string()),
        ("TIME_ZONE", "UTC".to_owned()),
        ("SEASONS", "[]".to_owned()),
        ("LEGACY_ANSWER", "false".to_owned()),
        ("EVENT_MAPPING", settings::EVENT_MAPPING.to_owned()),
        ("PERIOD_GRACE_HOURS", settings::PERIOD_GRACE_HOURS.to_string()),
        ("TIE_BREAK", TieBreak::default().to_string()),
        ("FINAL_AFTER_SECONDS", seconds(settings::FINAL_AFTER)),
        ("GIVE_UP_AFTER_SECONDS", seconds(settings::GIVE_UP_AFTER)),
        ("USER_CLAIM", "sub".to_owned()),
        ("WRITE_SCOPE", "podium:write".to_owned()),
        ("ADMIN_SCOPE", "podium:admin".to_owned()),
    ];
    let all: Vec<_> = FUNCTIONS.map(|name| (name, deployment.environment(name))).into();
    for (variable, value) in expected {
        let found: Vec<_> = all
            .iter()
            .filter_map(|(name, environment)| Some((*name, environment.get(variable)?)))
            .collect();
        assert!(!found.is_empty(), "no function has {variable}");
        for (name, found) in found {
            assert_eq!(*found, value, "{variable} of {name}");
        }
    }
    let policy: ScoringPolicy = settings::SCORING_POLICY.parse().unwrap();
    for name in ["ingest", "aggregator", "rewards"] {
        let deployed: ScoringPolicy = deployment.environment(name)["SCORING_POLICY"].parse().unwrap();
        assert_eq!(deployed, policy, "{name}");
    }
}

/// Not the parser of the functions, so that what Terraform writes is seen as it is.
#[test]
fn functions_get_the_rules_of_the_variables() {
    let policy = json!([
        {"effective_from": "1970-01-01T00:00:00Z", "points": {"task": 10}},
        {
            "effective_from": "2026-07-01T00:00:00Z",
            "points": {
                "task": {"points": 5, "max_per_day": 10},
                "steps": {"per": 1000, "points": 1, "max": 20},
                "kudos": {"given": {"max": 50}},
            },
            "titles": {"steps": "Steps walked"},
        },
    ]);
    // JSON is an expression of Terraform's language, too.
    let policy_variable = format!("scoring_policy={policy}");
    let seasons =
        json!([{"id": "autumn", "title": null, "first_day": "2026-09-01", "last_day": "2026-11-30"}]);
    let seasons_variable = format!("seasons={seasons}");
    let variables = [
        policy_variable.as_str(),
        seasons_variable.as_str(),
        "period_grace_hours=48",
        "tie_break=earlier",
    ];
    let variables = variables.iter().flat_map(|variable| ["-var", variable]);
    let arguments: Vec<_> = IN_TEST.into_iter().chain(variables).collect();
    let Some(deployment) = Deployment::mocked(&arguments) else {
        return;
    };
    for name in ["ingest", "aggregator", "rewards"] {
        let found: Value =
            serde_json::from_str(&deployment.environment(name)["SCORING_POLICY"]).expect("JSON");
        assert_eq!(found, policy, "{name}");
    }
    assert_eq!(deployment.environment("aggregator")["PERIOD_GRACE_HOURS"], "48");
    assert_eq!(deployment.environment("aggregator")["TIE_BREAK"], "earlier");
    for name in ["aggregator", "snapshot", "serve"] {
        let found: Value = serde_json::from_str(&deployment.environment(name)["SEASONS"]).expect("JSON");
        assert_eq!(found, seasons, "{name}");
        let read: Seasons = deployment.environment(name)["SEASONS"].parse().expect("seasons");
        assert_eq!(read.get("autumn").expect("it is there").title.as_str(), "autumn");
    }
}

/// Reads a function's config from `environment`, and returns the names that it asked for.
fn read(name: &str, environment: &BTreeMap<String, String>) -> anyhow::Result<BTreeSet<String>> {
    let asked = RefCell::new(BTreeSet::new());
    let variable = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        environment.get(name).cloned()
    };
    match name {
        "ingest" => drop(ingest::Config::read(variable)?),
        "aggregator" => drop(aggregator::Config::read(variable)?),
        "snapshot" => drop(snapshot::Config::read(variable)?),
        "serve" => drop(serve::Config::read(variable)?),
        "directory" => drop(directory::Config::read(variable)?),
        "rewards" => drop(rewards::Config::read(variable)?),
        "notifier" => drop(notifier::Config::read(variable)?),
        "bridge" => drop(bridge::Config::read(variable)?),
        _ => unreachable!("there are eight functions"),
    }
    Ok(asked.into_inner())
}

#[test]
fn each_function_finds_what_it_reads_and_nothing_else() {
    let Some(deployment) = by_default() else { return };
    for name in FUNCTIONS {
        finds_what_it_reads_and_nothing_else(deployment, name);
    }
}

#[test]
fn without_quests_serve_knows_of_no_coins() {
    let Some(deployment) = Deployment::mocked(&WITHOUT_QUESTS) else {
        return;
    };
    let serve = deployment.environment("serve");
    let config = serve::Config::read(|name| serve.get(name).cloned()).expect("it reads its variables");
    assert!(config.quests.is_none());
    assert!(!serve.contains_key("ACTIVITIES_TABLE"));
    let addresses = deployment.resources().map(|(address, _)| address);
    let rewards: Vec<_> = addresses
        // The page's files are there in any case.
        .filter(|address| !address.starts_with("aws_s3_object.dashboard"))
        .filter(|address| {
            ["rewards", "coins", "progress", "facts", "notices", "notifier"]
                .iter()
                .any(|part| address.contains(part))
        })
        .collect();
    assert!(rewards.is_empty(), "{rewards:?}");
}

fn finds_what_it_reads_and_nothing_else(deployment: &Deployment, name: &str) {
    let mut environment = deployment.environment(name);
    // The telemetry of every function reads these two.
    assert_eq!(
        environment.remove("ENVIRONMENT").as_deref(),
        Some("podium-test"),
        "the dimension of the metrics of {name}"
    );
    assert_eq!(environment.remove("LOG_LEVEL").as_deref(), Some("info"), "{name}");
    // Its change alone makes Lambda start new processes, which read the quests.
    let digest = environment.remove("QUESTS_SHA256");
    assert_eq!(digest.is_some(), name == "rewards", "{name}");
    let asked = read(name, &environment).unwrap_or_else(|error| panic!("{name}: {error:#}"));
    let found: BTreeSet<_> = environment.into_keys().collect();
    assert_eq!(found, asked, "{name}");
}

/// Lambda takes a line of metrics for one of level INFO.
#[test]
fn no_log_level_drops_metrics() {
    let variables = ["log_level=ERROR", "expected_activities_per_day=10000000"];
    let variables = variables.iter().flat_map(|variable| ["-var", variable]);
    let arguments: Vec<_> = IN_TEST.into_iter().chain(variables).collect();
    let Some(deployment) = Deployment::mocked(&arguments) else {
        return;
    };
    for name in FUNCTIONS {
        let function = deployment.function(name);
        assert_eq!(deployment.environment(name)["LOG_LEVEL"], "error", "{name}");
        assert_eq!(
            function["logging_config"][0]["application_log_level"], "INFO",
            "{name}"
        );
        // At ten million activities a day, traces would cost more than a hundred dollars a month.
        assert_eq!(function["tracing_config"][0]["mode"], "PassThrough", "{name}");
    }
}

/// The variables about access of ingest, serve and directory, which have the same.
fn access(deployment: &Deployment) -> BTreeMap<String, String> {
    let of = |function: &str| {
        let mut environment = deployment.environment(function);
        environment.retain(|name, _| ACCESS.contains(&name.as_str()));
        environment
    };
    let access = of("ingest");
    for function in ["serve", "directory"] {
        assert_eq!(access, of(function), "{function}");
    }
    for function in ["aggregator", "snapshot", "rewards"] {
        assert_eq!(
            of(function),
            BTreeMap::new(),
            "{function} is not called by people"
        );
    }
    access
}

const ACCESS: [&str; 6] = [
    "ACCESS",
    "READERS",
    "SELF_REPORTING",
    "USER_CLAIM",
    "WRITE_SCOPE",
    "ADMIN_SCOPE",
];

fn check_access(arguments: &[&str], expected: [&str; 6]) {
    let Some(deployment) = Deployment::mocked(arguments) else {
        return;
    };
    let expected = ACCESS.into_iter().zip(expected);
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(access(&deployment), expected.collect(), "{arguments:?}");
}

#[test]
fn functions_know_who_may_do_what() {
    check_access(
        &IN_TEST,
        [
            "restricted",
            "public",
            "false",
            "sub",
            "podium:write",
            "podium:admin",
        ],
    );
    check_access(
        &[
            "-var",
            "environment=test",
            "-var",
            QUESTS,
            "-var",
            "readers=login",
            "-var",
            "self_reporting=true",
            "-var",
            r#"oidc={issuer="https://id.example.com",audiences=["podium"],user_claim="email",write_scope="podium/write",admin_scope="podium/admin"}"#,
        ],
        [
            "restricted",
            "login",
            "true",
            "email",
            "podium/write",
            "podium/admin",
        ],
    );
}

#[test]
fn each_function_is_given_its_own_tables_and_queues() {
    let Some(deployment) = by_default() else { return };
    let queue = |name: &str| deployment.resource(&format!("aws_sqs_queue.{name}"))["url"].clone();
    let own_queues = json!({
        "ingest": {
            "QUEUE_URL": queue("events[0]"),
            "DEAD_LETTER_QUEUE_URL": queue("events_dead_letters[0]"),
        },
        "bridge": {
            "EVENT_QUEUE_URL": queue("events[0]"),
            "QUEUE_URL": queue("bridge[0]"),
            "DEAD_LETTER_QUEUE_URL": queue("bridge_dead_letters[0]"),
        },
        "rewards": {
            "QUEUE_URL": queue("rewards[0]"),
            "DEAD_LETTER_QUEUE_URL": queue("rewards_dead_letters[0]"),
        },
    });
    let belongs = json!({
        "ACTIVITIES_TABLE": "podium-test-activities",
        "DEDUP_TABLE": "podium-test-dedup",
        "STANDINGS_TABLE": "podium-test-standings",
        "SNAPSHOTS_TABLE": "podium-test-snapshots",
        "PEOPLE_TABLE": "podium-test-people",
        "COINS_TABLE": "podium-test-coins",
        "PROGRESS_TABLE": "podium-test-progress",
        "NOTICES_TABLE": "podium-test-notices",
        "QUEUE_URL": queue("activities"),
        "DEAD_LETTER_QUEUE_URL": queue("activities_dead_letters"),
    });
    for name in FUNCTIONS {
        for (variable, value) in deployment.environment(name) {
            let own = own_queues[name].get(&variable);
            if let Some(expected) = own.or(belongs.get(&variable)) {
                assert_eq!(*expected, value, "{variable} of {name}");
            }
        }
    }
}

#[test]
fn reconcile_calls_a_board_old_when_serve_calls_it_stale() {
    let stale_age = settings::SNAPSHOT_EVERY * settings::STALE_AFTER_SNAPSHOTS;
    assert_eq!(operate::reconcile::BOARD_AGE_MAX.unsigned_abs(), stale_age);
}
