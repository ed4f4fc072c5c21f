//! The whole path of an activity through a real deployment, in an AWS emulator that enforces IAM and verifies tokens.
//!
//! What the emulator lacks, and is therefore tested on mocked AWS only:
//!
//! - CloudFront's signed requests to a function URL (it calls it unsigned), HTTP APIs as CloudFront's origin, and its cache.
//! - The permission that Cloud Control adds to a function's policy.
//! - HTTP API's access log and with it the metric of refused tokens, its throttling, and AWS WAF.
//! - Who signed a request to a function URL; `emulator.rs` adds it to the context.
//! - Pipes with filters and templates: the tests run both, with the permissions of their roles.
//! - HTTP API looks at a token's `alg`, and wants `exp`; the emulator verifies RS256 whatever `alg` says.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::AttributeValue;
use local::pipe::Pipe;
use serde_json::{Value, json};

use crate::applied::{Applied, Plan};
use crate::deployment::{EVENT_BUS, MAIL, QUESTS};
use crate::emulator::Emulator;
use crate::pipe;
use crate::provider::Provider;

/// Employee number n has n activities of ten points each.
const EMPLOYEES: u32 = 10;
/// For the coins to follow the activities.
const PATIENCE: Duration = Duration::from_secs(60);

fn activities() -> Vec<String> {
    let activity = |employee: u32, n: u32| {
        json!({
            "activity_id": format!("task-{n}"),
            "user_id": format!("employee-{employee:02}"),
            "program_id": "onboarding",
            "kind": "task_completed",
        })
    };
    (1..=EMPLOYEES)
        .flat_map(|employee| (0..employee).map(move |n| activity(employee, n)))
        .map(|activity| activity.to_string())
        .collect()
}

fn board() -> Vec<Value> {
    (1..=EMPLOYEES)
        .map(|rank| {
            let activities = EMPLOYEES + 1 - rank;
            json!({
                "rank": rank,
                "user_id": format!("employee-{activities:02}"),
                "points": 10 * activities,
                "activities": activities,
            })
        })
        .collect()
}

/// Runs the `podium` command against the emulator.
async fn podium(emulator: &Emulator, arguments: &[&str]) -> String {
    let output = emulator
        .command(crate::stack::bin_dir().join("podium"))
        .args(arguments)
        .output()
        .await
        .expect("podium runs");
    let (said, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "podium {arguments:?}: {error}{said}\n{}",
        emulator.log()
    );
    said.into_owned()
}

async fn post(emulator: &Emulator, ingest_url: &str, file: &Path) {
    let file = file.to_str().expect("a path of ASCII");
    // The emulator adds no record to the stream for a statement, so each request has one activity.
    let one_a_request = ["--batch", "1"];
    let arguments = [
        &["import", file, "--url", ingest_url, "--sign"][..],
        &one_a_request,
    ]
    .concat();
    podium(emulator, &arguments).await;
}

/// What an address answers: the status, and the body.
async fn answer(emulator: &Emulator, url: &str, arguments: &[&str]) -> (u16, Value) {
    let output = emulator
        .command("curl")
        .args(["--silent", "--show-error", "--max-time", "60", "--cacert"])
        .arg(emulator.certificate())
        .args(["--write-out", "\n%{http_code}"])
        .args(arguments)
        .arg(url)
        .output()
        .await
        .expect("curl runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    let (body, status) = said.rsplit_once('\n').unwrap_or_else(|| panic!("{url}: {error}"));
    let status = status.parse().expect("a status");
    (status, serde_json::from_str(body).unwrap_or_default())
}

async fn status(emulator: &Emulator, url: &str, arguments: &[&str]) -> u16 {
    answer(emulator, url, arguments).await.0
}

async fn published(emulator: &Emulator, serve_url: &str) -> Vec<Value> {
    entries(&read_signed(emulator, &format!("{serve_url}v1/boards/program:onboarding")).await)
}

/// Reads a document with a signed request.
async fn read_signed(emulator: &Emulator, url: &str) -> Value {
    let scope = format!("aws:amz:{}:lambda", crate::emulator::REGION);
    let user = format!("{0}:{0}", crate::emulator::ADMIN);
    let (status, document) = answer(emulator, url, &["--aws-sigv4", &scope, "--user", &user]).await;
    assert_eq!(status, 200, "{url}: {document}");
    document
}

fn entries(document: &Value) -> Vec<Value> {
    let mut entries = document["entries"].as_array().expect("entries").clone();
    for entry in &mut entries {
        // `change` depends on when the previous snapshot ran.
        entry.as_object_mut().expect("an object").remove("change");
    }
    entries
}

#[tokio::test]
async fn an_applied_deployment_counts_each_activity_once() {
    let Some(emulator) = Emulator::start().await else {
        return;
    };
    let provider = Provider::start(&emulator).await;
    let oidc = format!(
        r#"oidc={{issuer="{}",audiences=["podium"],client_id="page"}}"#,
        provider.issuer
    );
    let public = [
        "readers=public".to_owned(),
        QUESTS.to_owned(),
        MAIL.to_owned(),
        EVENT_BUS.to_owned(),
        another_system(&emulator).await,
        oidc.clone(),
    ];
    // The bus is that of others, so it is there before.
    emulator.aws("events create-event-bus --name learning", &[]).await;
    let Some(mut deployment) = Applied::apply(&emulator, &public).await else {
        return;
    };
    let plan = deployment.second_plan().await;
    // The emulator returns the default of another type of authorizer.
    let returned =
        [r#"aws_apigatewayv2_authorizer.token[0] authorizer_payload_format_version: "2.0" -> null"#];
    assert_eq!(plan.differences(), returned);
    updates_the_version_before_in_place(&deployment, &returned).await;
    emulator.without_required_keys("podium-dev-snapshot").await;
    emulator.with_statements("podium-dev-aggregator").await;

    let ingest_url = deployment.function_url("ingest_url").await;
    let serve_url = deployment.function_url("serve_url").await;
    refuses_unsigned_requests(&emulator, &ingest_url, &serve_url).await;

    let pipes = start_pipes(&emulator, &plan).await;
    let mailbox = Mailbox::subscribe(&emulator).await;

    let directory = tempfile::TempDir::new().expect("a temporary directory");
    for file in ["once.jsonl", "again.jsonl"] {
        let file = directory.path().join(file);
        std::fs::write(&file, activities().join("\n")).expect("a file can be written");
        post(&emulator, &ingest_url, &file).await;
    }
    let stages = smoke(&emulator, &deployment, &ingest_url, &serve_url).await;
    println!("{stages}");
    assert_eq!(published(&emulator, &serve_url).await, board());
    everyone_has_a_coin(&emulator, &serve_url).await;
    everyone_s_coin_is_mailed(&emulator, &mailbox).await;
    an_event_on_the_bus_is_counted(&emulator, &serve_url).await;
    what_is_done_in_another_system_is_counted(&emulator, &serve_url).await;
    what_is_done_in_podium_is_in_the_other_system(&emulator).await;
    mailbox.unsubscribe(&emulator).await;
    for pipe in pipes {
        pipe.stop().await.expect("the pipe stops");
    }

    let api_url = deployment.api_url().await;
    tokens_may_do_what_their_scopes_say(&emulator, &provider, &api_url).await;
    each_role_is_refused_what_is_not_its_own(&emulator).await;

    assert_eq!(
        callers_of_serve(&emulator).await,
        ["apigateway.amazonaws.com", "cloudfront.amazonaws.com"]
    );
    let login = [
        "readers=login".to_owned(),
        "self_reporting=true".to_owned(),
        QUESTS.to_owned(),
        oidc,
    ];
    deployment.change(&login).await;
    assert_eq!(callers_of_serve(&emulator).await, ["apigateway.amazonaws.com"]);
    readers_log_in(&emulator, &provider, &api_url).await;
    employees_post_for_themselves(&emulator, &provider, &api_url).await;

    assert_eq!(deployment.destroy().await, "");
    assert_eq!(left_over(&emulator).await, Vec::<String>::new());
}

/// Starts local pipes with the planned parameters. They send with the permissions of the pipes' roles. They read as the
/// administrator, because the emulator cannot tell which stream a request is for, and denies every role that names a
/// stream.
async fn start_pipes(emulator: &Emulator, plan: &Plan) -> Vec<Pipe> {
    let reading = emulator.as_administrator();
    let role = emulator.as_role("podium-dev-pipe").await;
    let planned = plan.resource("aws_pipes_pipe.activities");
    let activities = pipe::start_planned(planned, &reading, &role).expect("the pipe starts");
    let mut pipes = vec![activities];
    for name in ["facts", "coins"] {
        let role = format!("podium-dev-{name}-pipe");
        let publisher = emulator.publisher(&role).await;
        let planned = plan.resource(&format!("aws_pipes_pipe.events[{name:?}]"));
        let role = emulator.as_role(&role).await;
        let pipe = pipe::start_planned_to_topic(planned, &reading, &role, move |topic, bodies| {
            publisher.clone().publish(topic, bodies)
        });
        pipes.push(pipe.expect("the pipe starts"));
    }
    pipes
}

/// Every employee has completed a task, so each has the coin of [`QUESTS`], which came by the topic.
async fn everyone_has_a_coin(emulator: &Emulator, serve_url: &str) {
    let found = async {
        loop {
            let coins = read_signed(emulator, &format!("{serve_url}v1/quests/first-task/coins")).await;
            let coins = coins["coins"].as_array().expect("coins");
            let users = coins.iter().filter_map(|coin| coin["user_id"].as_str());
            let users: BTreeSet<_> = users.filter(|user| user.starts_with("employee-")).collect();
            if users.len() == EMPLOYEES as usize {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    assert!(found.is_ok(), "not everyone has a coin: {}", emulator.log());
    let coins = read_signed(emulator, &format!("{serve_url}v1/users/employee-01/coins")).await;
    assert_eq!(coins["balance"], 5, "{coins}");
    assert_eq!(coins["coins"][0]["evidence"], json!(["task-0"]), "{coins}");
}

/// Makes the tables of a system from which people move in, and returns the variable that names them. Its kinds are Podium's,
/// which are worth what the scoring policy says.
async fn another_system(emulator: &Emulator) -> String {
    podium(emulator, &["legacy", "tables", "--prefix", "edl"]).await;
    let described = emulator
        .aws("dynamodb describe-table --table-name edl-Activities", &[])
        .await;
    let mapping = json!({
        "table": "edl-Activities",
        "map": {
            "activity_id": "event_id", "user_id": "employee_id", "program_id": "program_id", "kind": "activity_type",
            "occurred_at": "ts",
        },
        "joined": {"ts_event": ["ts", "event_id"]},
    });
    let legacy = json!({
        "prefix": "edl",
        "stream_arn": described["Table"]["LatestStreamArn"],
        "mapping": mapping.to_string(),
    });
    format!("legacy={legacy}")
}

/// Puts an item into the other system's table, and waits until it is on the board.
async fn what_is_done_in_another_system_is_counted(emulator: &Emulator, serve_url: &str) {
    let now = jiff::Timestamp::now().strftime("%FT%TZ").to_string();
    let item = json!({
        "employee_id": {"S": "mover"}, "ts_event": {"S": format!("{now}#evt-1")}, "event_id": {"S": "evt-1"},
        "program_id": {"S": "moved"}, "activity_type": {"S": "task_completed"}, "ts": {"S": now},
    });
    let put = ["--table-name", "edl-Activities", "--item", &item.to_string()];
    emulator.aws("dynamodb put-item", &put).await;
    let counted = listed(
        emulator,
        &format!("{serve_url}v1/boards/program:moved/users/mover"),
    )
    .await;
    assert_eq!(counted["entry"]["activities"], 1, "{counted}");
}

/// Waits until what was posted before is in the other system's table, marked, and nothing that came from there.
async fn what_is_done_in_podium_is_in_the_other_system(emulator: &Emulator) {
    let scan = [
        "--table-name",
        "edl-Activities",
        "--filter-expression",
        "origin = :podium",
        "--expression-attribute-values",
        r#"{":podium": {"S": "podium"}}"#,
    ];
    let own = activities().len() as u64;
    let carried = async {
        loop {
            let found = emulator.aws("dynamodb scan", &scan).await;
            let items = found["Items"].as_array().cloned().unwrap_or_default();
            if items.len() as u64 >= own {
                return items;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let carried = tokio::time::timeout(2 * PATIENCE, carried).await;
    let carried = carried.unwrap_or_else(|_| panic!("nothing is carried back: {}", emulator.log()));
    assert!(
        carried.iter().all(|item| item["employee_id"]["S"] != "mover"),
        "{carried:?}"
    );
}

/// Puts an event on the bus, whose detail is an activity, and waits until it is on the board.
async fn an_event_on_the_bus_is_counted(emulator: &Emulator, serve_url: &str) {
    let detail = json!({"user_id": "guest", "program_id": "visits", "kind": "task_completed"});
    let entry = json!({
        "EventBusName": "learning",
        "Source": "com.example.lms",
        "DetailType": "Course Completed",
        "Detail": detail.to_string(),
    });
    // The rule's pattern does not choose this one.
    let mut other = entry.clone();
    other["Source"] = "com.example.hr".into();
    let entries = json!([entry, other]).to_string();
    let put = emulator.aws("events put-events", &["--entries", &entries]).await;
    assert_eq!(put["FailedEntryCount"], 0, "{put}");
    let counted = listed(
        emulator,
        &format!("{serve_url}v1/boards/program:visits/users/guest"),
    )
    .await;
    assert_eq!(counted["entry"]["activities"], 1, "{counted}");
}

/// Waits until somebody is on a board.
async fn listed(emulator: &Emulator, url: &str) -> Value {
    let scope = format!("aws:amz:{}:lambda", crate::emulator::REGION);
    let user = format!("{0}:{0}", crate::emulator::ADMIN);
    let listed = async {
        loop {
            let (status, document) = answer(emulator, url, &["--aws-sigv4", &scope, "--user", &user]).await;
            if status == 200 {
                return document;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let listed = tokio::time::timeout(2 * PATIENCE, listed).await;
    listed.unwrap_or_else(|_| panic!("{url} lists nobody: {}", emulator.log()))
}

/// A queue that gets what the topic for mail gets. The emulator sends no mail.
struct Mailbox {
    queue_url: String,
    subscription_arn: String,
}

impl Mailbox {
    async fn subscribe(emulator: &Emulator) -> Self {
        let text = |answer: &Value, member: &str| answer[member].as_str().expect("a text").to_owned();
        let queue = emulator.aws("sqs create-queue --queue-name mailbox", &[]).await;
        let queue_url = text(&queue, "QueueUrl");
        let about = ["--queue-url", &queue_url, "--attribute-names", "QueueArn"];
        let about = emulator.aws("sqs get-queue-attributes", &about).await;
        let queue_arn = text(&about["Attributes"], "QueueArn");
        let topics = emulator.aws("sns list-topics", &[]).await;
        let topics = topics["Topics"].as_array().expect("topics").iter();
        let topic = topics
            .map(|topic| text(topic, "TopicArn"))
            .find(|arn| arn.ends_with(":podium-dev-coin-mail"));
        let topic = topic.expect("a topic for mail");
        let policy = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "Service": "sns.amazonaws.com" },
                "Action": "sqs:SendMessage",
                "Resource": queue_arn,
                "Condition": { "ArnEquals": { "aws:SourceArn": topic } },
            }],
        });
        // Nothing is received twice.
        let attributes = json!({ "Policy": policy.to_string(), "VisibilityTimeout": "43200" }).to_string();
        let allowed = ["--queue-url", &queue_url, "--attributes", &attributes];
        emulator.aws("sqs set-queue-attributes", &allowed).await;
        let subscription = ["--topic-arn", &topic, "--notification-endpoint", &queue_arn];
        let subscription = emulator.aws("sns subscribe --protocol sqs", &subscription).await;
        Self {
            queue_url,
            subscription_arn: text(&subscription, "SubscriptionArn"),
        }
    }

    /// The subject and the text of a mail, if there is one.
    async fn receive(&self, emulator: &Emulator) -> Option<(String, String)> {
        let wait = ["--queue-url", &self.queue_url, "--wait-time-seconds", "1"];
        let received = emulator.aws("sqs receive-message", &wait).await;
        let body = received.pointer("/Messages/0/Body")?.as_str()?;
        let envelope: Value = serde_json::from_str(body).expect("SNS sends JSON");
        let part = |name: &str| envelope[name].as_str().map(str::to_owned);
        Some((part("Subject")?, part("Message")?))
    }

    async fn unsubscribe(self, emulator: &Emulator) {
        let subscription = ["--subscription-arn", self.subscription_arn.as_str()];
        emulator.aws("sns unsubscribe", &subscription).await;
    }
}

/// Each coin is mailed once, by way of the coins' stream, their topic, the queue for mail and the function.
async fn everyone_s_coin_is_mailed(emulator: &Emulator, mailbox: &Mailbox) {
    let mut mailed = Vec::new();
    let all = async {
        while mailed.len() < EMPLOYEES as usize {
            let Some((subject, text)) = mailbox.receive(emulator).await else {
                continue;
            };
            assert_eq!(subject, "A coin was found");
            // Posts of other tests of this deployment find coins, too.
            let who = text.split(' ').next().expect("a name").to_owned();
            if who.starts_with("employee-") {
                assert!(
                    text.contains(" has found the coin Seed, which is worth 5.\n"),
                    "{text}"
                );
                mailed.push(who);
            }
        }
    };
    let all = tokio::time::timeout(PATIENCE, all).await;
    assert!(all.is_ok(), "only {mailed:?} are mailed: {}", emulator.log());
    let everyone: BTreeSet<_> = mailed.iter().collect();
    assert_eq!(everyone.len(), mailed.len(), "{mailed:?}");
}

/// The addresses, in Terraform, that resources had before page and API shared an origin.
const EARLIER_ADDRESSES: [(&str, &str); 3] = [
    (
        "aws_cloudfront_distribution.dashboard[0]",
        "aws_cloudfront_distribution.edge[0]",
    ),
    (
        "module.ingest_url.aws_lambda_function_url.this",
        "aws_lambda_function_url.ingest",
    ),
    (
        "module.serve_url.aws_lambda_function_url.this",
        "aws_lambda_function_url.serve",
    ),
];

/// A new distribution or URL would have another address.
async fn updates_the_version_before_in_place(deployment: &Applied<'_>, returned: &[&str]) {
    let plan = deployment.plan_after_addresses(&EARLIER_ADDRESSES).await;
    let moved = EARLIER_ADDRESSES.map(|(before, now)| format!("{before} -> {now}"));
    assert_eq!(plan.moved(), moved);
    assert_eq!(plan.differences(), returned);
}

async fn refuses_unsigned_requests(emulator: &Emulator, ingest_url: &str, serve_url: &str) {
    let body = r#"{"user_id":"ann","program_id":"x","kind":"task_completed"}"#;
    let ingest = format!("{ingest_url}v1/activities");
    assert_eq!(status(emulator, &ingest, &["--json", body]).await, 403);
    let serve = format!("{serve_url}v1/boards/global");
    assert_eq!(status(emulator, &serve, &[]).await, 403);
}

/// The body of a post whose id says what it tries.
fn tried_by(user: &str, name: &str) -> String {
    json!({
        "activity_id": name.replace(' ', "-"),
        "user_id": user,
        "program_id": "tokens",
        "kind": "task_completed",
    })
    .to_string()
}

/// The ids of the activities of a user that are in the table.
async fn recorded(emulator: &Emulator, user: &str) -> Vec<String> {
    let values = json!({ ":user": { "S": user } }).to_string();
    let arguments = [
        "--table-name",
        "podium-dev-activities",
        "--key-condition-expression",
        "user_id = :user",
        "--expression-attribute-values",
        &values,
    ];
    let found = emulator.aws("dynamodb query", &arguments).await;
    let items = found["Items"].as_array().expect("items").iter();
    items
        .map(|item| item["activity_id"]["S"].as_str().expect("an id").to_owned())
        .collect()
}

/// What is tried, with which token, and the status that it gets.
type Attempt = (&'static str, String, u16);

async fn attempts_to_post(provider: &Provider) -> Vec<Attempt> {
    const WRITE: &str = "openid podium:write";
    let now = jiff::Timestamp::now().as_second();
    vec![
        ("no scope", provider.token(json!({})).await, 403),
        (
            "other scope",
            provider.token(json!({ "scope": "openid podium:read" })).await,
            403,
        ),
        ("write", provider.token(json!({ "scope": WRITE })).await, 202),
        (
            "admin",
            provider.token(json!({ "scope": "podium:admin" })).await,
            202,
        ),
        (
            "scp",
            provider.token(json!({ "scp": ["podium:write"] })).await,
            202,
        ),
        (
            "client id",
            provider
                .token(json!({ "scope": WRITE, "aud": null, "client_id": "podium" }))
                .await,
            202,
        ),
        (
            "one of two audiences",
            provider
                .token(json!({ "scope": WRITE, "aud": ["other", "podium"] }))
                .await,
            202,
        ),
        (
            "other audience",
            provider
                .token(json!({ "scope": WRITE, "aud": "other", "client_id": "podium" }))
                .await,
            401,
        ),
        (
            "no audience",
            provider.token(json!({ "scope": WRITE, "aud": null })).await,
            401,
        ),
        (
            "other issuer",
            provider
                .token(json!({ "scope": WRITE, "iss": "https://id.example.com" }))
                .await,
            401,
        ),
        (
            "expired",
            provider.token(json!({ "scope": WRITE, "exp": now - 100 })).await,
            401,
        ),
        (
            "not yet valid",
            provider.token(json!({ "scope": WRITE, "nbf": now + 300 })).await,
            401,
        ),
        ("forged", provider.forged(json!({ "scope": WRITE })).await, 401),
        (
            "unknown key",
            provider.of_unknown_key(json!({ "scope": WRITE })).await,
            401,
        ),
        ("garbage", "a.b.c".to_owned(), 401),
    ]
}

/// Through the HTTP API and the authorizer that Terraform made.
async fn tokens_may_do_what_their_scopes_say(emulator: &Emulator, provider: &Provider, api_url: &str) {
    let url = format!("{api_url}v1/activities");
    let mut accepted = Vec::new();
    for (name, token, expected) in &attempts_to_post(provider).await {
        let bearer = format!("authorization: Bearer {token}");
        let body = tried_by("ann", name);
        let (status, said) = answer(emulator, &url, &["--json", &body, "--header", &bearer]).await;
        assert_eq!(status, *expected, "{name}: {said}\n{}", emulator.log());
        if *expected == 202 {
            accepted.push(name.replace(' ', "-"));
        }
    }
    let body = tried_by("ann", "no header");
    assert_eq!(status(emulator, &url, &["--json", &body]).await, 401);
    accepted.sort();
    assert_eq!(recorded(emulator, "ann").await, accepted);

    only_admins_reach_their_routes(emulator, provider, api_url).await;
    admins_edit_profiles(emulator, provider, api_url).await;
    whoever_has_a_token_reads_in_private(emulator, provider, api_url).await;
}

/// An activity is no correction, and nobody posts people, teams or programs.
async fn only_admins_reach_their_routes(emulator: &Emulator, provider: &Provider, api_url: &str) {
    let write = provider.token(json!({ "scope": "podium:write" })).await;
    let admin = provider.token(json!({ "scope": "podium:admin" })).await;
    for path in [
        "corrections",
        "corrections/1",
        "people/ann",
        "teams",
        "programs/x",
    ] {
        let url = format!("{api_url}v1/{path}");
        let to_admins = match path {
            "corrections" => 422,
            "corrections/1" => 404,
            _ => 405,
        };
        for (token, expected) in [(&write, 403), (&admin, to_admins)] {
            let bearer = format!("authorization: Bearer {token}");
            let body = tried_by("ann", "correct");
            let status = status(emulator, &url, &["--json", &body, "--header", &bearer]).await;
            assert_eq!(status, expected, "{path}");
        }
        assert_eq!(status(emulator, &url, &[]).await, 401, "{path}");
    }
}

async fn admins_edit_profiles(emulator: &Emulator, provider: &Provider, api_url: &str) {
    let url = format!("{api_url}v1/people/ann");
    let body = json!({ "display_name": "Ann Example", "team": "north" }).to_string();
    let put = ["--request", "PUT", "--json", &body];
    let write = provider.token(json!({ "scope": "podium:write" })).await;
    let write = format!("authorization: Bearer {write}");
    let refused = status(emulator, &url, &[&put[..], &["--header", &write]].concat()).await;
    assert_eq!(refused, 403);
    let admin = provider.token(json!({ "scope": "podium:admin" })).await;
    let admin = format!("authorization: Bearer {admin}");
    assert_eq!(status(emulator, &url, &["--header", &admin]).await, 404);
    let (created, said) = answer(emulator, &url, &[&put[..], &["--header", &admin]].concat()).await;
    assert_eq!(created, 201, "{said}\n{}", emulator.log());
    let (found, person) = answer(emulator, &url, &["--header", &admin]).await;
    assert_eq!(found, 200, "{person}");
    assert_eq!(person["display_name"], "Ann Example", "{person}");
    assert_eq!(status(emulator, &url, &["--header", &write]).await, 403);
}

/// The public boards are not here.
async fn whoever_has_a_token_reads_in_private(emulator: &Emulator, provider: &Provider, api_url: &str) {
    let bearer = format!("authorization: Bearer {}", provider.token(json!({})).await);
    let private = format!("{api_url}v1/private/boards/program:onboarding");
    let (status_with, document) = answer(emulator, &private, &["--header", &bearer]).await;
    assert_eq!(status_with, 200, "{document}");
    assert_eq!(entries(&document), board());
    assert_eq!(status(emulator, &private, &[]).await, 401);
    let public = format!("{api_url}v1/boards/global");
    assert_eq!(status(emulator, &public, &["--header", &bearer]).await, 404);
}

async fn readers_log_in(emulator: &Emulator, provider: &Provider, api_url: &str) {
    let url = format!("{api_url}v1/boards/program:onboarding");
    let bearer = format!("authorization: Bearer {}", provider.token(json!({})).await);
    let (status_with, document) = answer(emulator, &url, &["--header", &bearer]).await;
    assert_eq!(status_with, 200, "{document}");
    assert_eq!(entries(&document), board());
    let forged = format!("authorization: Bearer {}", provider.forged(json!({})).await);
    assert_eq!(status(emulator, &url, &["--header", &forged]).await, 401);
    assert_eq!(status(emulator, &url, &[]).await, 401);
}

async fn employees_post_for_themselves(emulator: &Emulator, provider: &Provider, api_url: &str) {
    let url = format!("{api_url}v1/activities");
    let bearer = format!(
        "authorization: Bearer {}",
        provider.token(json!({ "sub": "bob" })).await
    );
    let (own, foreign) = (tried_by("bob", "own"), tried_by("eve", "foreign"));
    for (body, expected) in [(format!("[{own},{foreign}]"), 207), (foreign, 403)] {
        let (status, said) = answer(emulator, &url, &["--json", &body, "--header", &bearer]).await;
        assert_eq!(status, expected, "{said}");
        let last = said["results"].as_array().and_then(|results| results.last());
        assert_eq!(last.expect("results")["status"], "forbidden", "{said}");
    }
    assert_eq!(recorded(emulator, "bob").await, ["own"]);
    assert_eq!(recorded(emulator, "eve").await, Vec::<String>::new());
}

/// Which services the policy of serve's alias allows to call it. It names nobody else.
async fn callers_of_serve(emulator: &Emulator) -> Vec<String> {
    let arguments = ["--function-name", "podium-dev-serve", "--qualifier", "live"];
    let policy = emulator.aws("lambda get-policy", &arguments).await;
    let policy = policy["Policy"].as_str().expect("a policy");
    let policy: Value = serde_json::from_str(policy).expect("JSON");
    let statements = policy["Statement"].as_array().expect("statements").iter();
    let mut callers: Vec<_> = statements
        .map(|statement| {
            let service = statement["Principal"]["Service"].as_str();
            service
                .unwrap_or_else(|| panic!("it is not a service: {statement}"))
                .to_owned()
        })
        .collect();
    callers.sort();
    callers
}

/// Posts one more activity and waits until it is on the board. All earlier ones are then on it, too.
async fn smoke(emulator: &Emulator, deployment: &Applied<'_>, ingest_url: &str, serve_url: &str) -> String {
    let (activities, dedup, standings) = (
        deployment.output("activities_table").await,
        deployment.output("dedup_table").await,
        deployment.output("standings_table").await,
    );
    let arguments = [
        ["--ingest-url", ingest_url],
        ["--serve-url", serve_url],
        ["--activities-table", &activities],
        ["--dedup-table", &dedup],
        ["--standings-table", &standings],
    ];
    podium(
        emulator,
        &[&["smoke", "--sign"], arguments.as_flattened()].concat(),
    )
    .await
}

/// `allowed`, or the error code that the role got.
fn verdict<T, E>(attempt: Result<T, aws_sdk_dynamodb::error::SdkError<E>>) -> String
where
    E: aws_sdk_dynamodb::error::ProvideErrorMetadata,
{
    match attempt {
        Ok(_) => "allowed".to_owned(),
        Err(error) => error.code().unwrap_or("no answer").to_owned(),
    }
}

/// Tries get, query, scan, put and delete on each table, and lists what the function's role allows.
async fn attempts(emulator: &Emulator, function: &str) -> Vec<String> {
    let config = emulator.as_role(&format!("podium-dev-{function}")).await;
    let client = aws_sdk_dynamodb::Client::new(&config);
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let tables = [
        ("activities", "user_id", Some("activity_id")),
        ("dedup", "activity", None),
        ("standings", "shard", Some("member")),
        ("snapshots", "board", Some("part")),
        ("people", "directory", Some("id")),
        ("coins", "user_id", Some("coin_id")),
        ("progress", "user_id", None),
        ("notices", "notice", None),
    ];
    let mut lines = Vec::new();
    for (name, partition, sort) in tables {
        let table = format!("podium-dev-{name}");
        let key = [Some(partition), sort].into_iter().flatten();
        let key: std::collections::HashMap<_, _> = key
            .map(|attribute| (attribute.to_owned(), text("~test")))
            .collect();
        let get = client
            .get_item()
            .table_name(&table)
            .set_key(Some(key.clone()))
            .send()
            .await;
        let put = client
            .put_item()
            .table_name(&table)
            .set_item(Some(key.clone()))
            .send()
            .await;
        let update = client
            .update_item()
            .table_name(&table)
            .set_key(Some(key.clone()))
            .send()
            .await;
        let delete = client
            .delete_item()
            .table_name(&table)
            .set_key(Some(key))
            .send()
            .await;
        let scan = client.scan().table_name(&table).limit(1).send().await;
        let query = client
            .query()
            .table_name(&table)
            .key_condition_expression("#key = :value")
            .expression_attribute_names("#key", partition)
            .expression_attribute_values(":value", text("~test"))
            .send()
            .await;
        let verdicts = [
            ("get", verdict(get)),
            ("query", verdict(query)),
            ("scan", verdict(scan)),
            ("put", verdict(put)),
            ("update", verdict(update)),
            ("delete", verdict(delete)),
        ];
        let allowed: Vec<_> = verdicts
            .iter()
            .filter_map(|(what, verdict)| match verdict.as_str() {
                "AccessDeniedException" => None,
                "allowed" => Some((*what).to_owned()),
                other => Some(format!("{what}: {other}")),
            })
            .collect();
        lines.push(format!("{function} {name}: {}", allowed.join(" ")));
    }
    lines
}

async fn each_role_is_refused_what_is_not_its_own(emulator: &Emulator) {
    let mut lines = Vec::new();
    for function in crate::deployment::FUNCTIONS {
        lines.extend(attempts(emulator, function).await);
    }
    assert_eq!(
        lines,
        [
            "ingest activities: get query put",
            "ingest dedup: ",
            "ingest standings: ",
            "ingest snapshots: ",
            "ingest people: ",
            "ingest coins: ",
            "ingest progress: ",
            "ingest notices: ",
            "aggregator activities: ",
            "aggregator dedup: put update",
            "aggregator standings: get update",
            "aggregator snapshots: ",
            "aggregator people: ",
            "aggregator coins: ",
            "aggregator progress: ",
            "aggregator notices: ",
            // On AWS only heartbeats: the emulator ignores the condition on the key.
            "snapshot activities: query put",
            "snapshot dedup: ",
            "snapshot standings: get query",
            "snapshot snapshots: get put",
            "snapshot people: query scan",
            "snapshot coins: ",
            "snapshot progress: ",
            "snapshot notices: ",
            "serve activities: query",
            "serve dedup: ",
            "serve standings: get query",
            "serve snapshots: get query",
            "serve people: get",
            "serve coins: get query",
            "serve progress: ",
            "serve notices: ",
            "directory activities: ",
            "directory dedup: ",
            "directory standings: ",
            "directory snapshots: ",
            "directory people: get query put delete",
            "directory coins: ",
            "directory progress: ",
            "directory notices: ",
            "rewards activities: query scan",
            "rewards dedup: ",
            "rewards standings: get",
            "rewards snapshots: ",
            "rewards people: ",
            "rewards coins: get query put delete",
            "rewards progress: get put",
            "rewards notices: ",
            "notifier activities: ",
            "notifier dedup: ",
            "notifier standings: get",
            "notifier snapshots: ",
            "notifier people: ",
            "notifier coins: ",
            "notifier progress: ",
            "notifier notices: get put",
            "bridge activities: ",
            "bridge dedup: ",
            "bridge standings: get",
            "bridge snapshots: ",
            "bridge people: ",
            "bridge coins: ",
            "bridge progress: ",
            "bridge notices: ",
        ]
    );
}

/// The resources of the deployment that still exist in the account.
async fn left_over(emulator: &Emulator) -> Vec<String> {
    let lists = [
        ("dynamodb list-tables", "/TableNames"),
        ("sqs list-queues", "/QueueUrls"),
        ("lambda list-functions", "/Functions"),
        ("lambda list-event-source-mappings", "/EventSourceMappings"),
        ("iam list-roles", "/Roles"),
        ("iam list-policies --scope Local", "/Policies"),
        ("logs describe-log-groups", "/logGroups"),
        ("pipes list-pipes", "/Pipes"),
        ("events list-rules --event-bus-name learning", "/Rules"),
        ("scheduler list-schedules", "/Schedules"),
        ("s3api list-buckets", "/Buckets"),
        ("cloudfront list-distributions", "/DistributionList/Items"),
        (
            "cloudfront list-origin-access-controls",
            "/OriginAccessControlList/Items",
        ),
        (
            "cloudfront list-cache-policies --type custom",
            "/CachePolicyList/Items",
        ),
        (
            "cloudfront list-response-headers-policies --type custom",
            "/ResponseHeadersPolicyList/Items",
        ),
        ("apigatewayv2 get-apis", "/Items"),
        ("sns list-topics", "/Topics"),
        ("sns list-subscriptions", "/Subscriptions"),
        ("cloudwatch describe-alarms", "/MetricAlarms"),
        ("cloudwatch list-dashboards", "/DashboardEntries"),
    ];
    let mut left = Vec::new();
    for (command, list) in lists {
        let answer = emulator.aws(command, &[]).await;
        for item in answer
            .pointer(list)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if item.to_string().contains("podium-dev") {
                left.push(format!("{command}: {item}"));
            }
        }
    }
    left
}
