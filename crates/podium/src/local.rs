//! `podium local`: the whole system on this machine.

use std::future;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use client::parse_parameter;
use domain::{EventMapping, ScoringPolicy, Seasons, TeamScore};
use local::settings::{self, Batching};
use local::{ALLOWED_HOSTS_MAX, Access, Host, IssuerUrl, Login, Readers, Stack, StackConfig};
use operate::reconcile::rewards;
use serde_json::json;
use store::rules::{PeriodGrace, TieBreak};
use store::schema::TableNames;
use tokio::signal::unix::{SignalKind, signal};

use terminal::duration;
use terminal::text::{counted, grouped};

use crate::{quests, small_file, webhooks};

pub const HELP: &str = "\
When it is ready, it prints one line of JSON on standard output: the addresses, the process id and
the directory of the logs. Ctrl-C stops it and leaves no process behind.

The AWS endpoint provides DynamoDB, DynamoDB Streams and SQS, and accepts any credentials:
  aws --endpoint-url http://127.0.0.1:7001 dynamodb list-tables

Without --oidc-issuer there is no login. By default only this machine can connect. In a container, use
--listen 0.0.0.0 and publish the ports to the host's loopback address (docker run -p 127.0.0.1:7000:7000 ...).

With --oidc-issuer, the API takes access tokens (JWT) of that identity provider for --oidc-audience, signed by
RS256, RS384, RS512 or ES256. A token with the scope podium:write posts for anyone, one with podium:admin also
administers; with --self-reporting any other token posts for its own user. Give --oidc-client-id the id of a
public client with this stack's address as its redirect URI, and people can log in on the page:
  podium local --oidc-issuer https://id.example.com --oidc-audience https://podium.example.com \\
      --oidc-client-id podium-page --self-reporting
The AWS endpoint stays open to whoever reaches it.

Both ports answer only requests whose host is localhost, a loopback address or the address of --listen,
so that no web page can reach them under a name of its own. Add the name of this machine or of a
container with --allowed-host.

The file of --scoring is JSON of the same form as Terraform's variable scoring_policy:
  [{\"effective_from\": \"1970-01-01T00:00:00Z\", \"points\": {\"task_completed\": 10, \"mentoring\": 30}}]
Besides a number, a kind can be worth
  {\"points\": 10, \"max_per_day\": 50}          10 points, at most 50 a day for each user and program
  {\"per\": 1000, \"points\": 10, \"max\": 200}  10 points for each 1000 of the activity's quantity, at most 200
  {\"given\": {\"max\": 25}}                   the points that come with the activity, at most 25
each with max_per_day if you like. \"titles\": {KIND: TEXT} says what people call a kind.

The file of --seasons is JSON of the same form as Terraform's variable seasons:
  [{\"id\": \"autumn-2026\", \"title\": \"Autumn\", \"first_day\": \"2026-09-01\", \"last_day\": \"2026-11-30\"}]
They do not overlap. One can be added or changed until its first day; after that it takes `podium rebuild run`.

The file of --event-mapping says which fields of an activity events have, by their type, as Terraform's variable event_mapping:
  {\"com.example.course.completed\": {
     \"map\": {\"user_id\": \"data.learner.id\", \"program_id\": \"data.course\"}, \"set\": {\"kind\": \"learning_milestone\"}}}
A path begins with data., or is id, source, type, subject or time. The data of other types are activities.

podium starts the programs ingest, aggregator, snapshot, serve and directory, rewards if there are quests, and notifier if there
are webhooks, from its own directory.";

/// The policy travels in an environment variable, which Linux limits to 128 KiB.
const SCORING_BYTES_MAX: u64 = 64 * 1024;
const SEASONS_BYTES_MAX: u64 = 64 * 1024;
const EVENT_MAPPING_BYTES_MAX: u64 = 64 * 1024;

#[derive(clap::Args)]
pub struct Args {
    /// The IP address to listen on, for both ports; 0.0.0.0 means every address of this machine.
    /// Everyone who can reach it can read and post
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    listen: IpAddr,
    /// Also answer requests for this host, on both ports; can be repeated
    #[arg(long, value_name = "NAME", value_parser = Host::parse_name)]
    allowed_host: Vec<Host>,
    /// The port of the API and the dashboard; 0 picks a free one
    #[arg(long, default_value_t = 7000)]
    port: u16,
    /// The port of the AWS endpoint; 0 picks a free one
    #[arg(long, default_value_t = 7001)]
    aws_port: u16,
    /// Keep the data in this directory, which one stack at a time can use; without it, the data is
    /// lost when the stack stops
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The directory for the functions' logs [default: in the data directory, or a temporary one that
    /// is removed when the stack stops]
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,
    /// The time zone of days, weeks, months and seasons: an IANA name such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
    /// The seasons, as a JSON file [default: none]
    #[arg(long, value_name = "FILE")]
    seasons: Option<PathBuf>,
    /// The points per kind of activity, as a JSON file [default: `task_completed` 10,
    /// `program_check_in` 5, `learning_milestone` 25]
    #[arg(long, value_name = "FILE")]
    scoring: Option<PathBuf>,
    /// Which fields of an activity events have, as a JSON file [default: their data are activities]
    #[arg(long, value_name = "FILE")]
    event_mapping: Option<PathBuf>,
    /// How long after the end of a day, week, month or season an activity or correction may arrive that still counts in
    /// it, in hours; in all time, everything counts
    #[arg(long, value_name = "HOURS", default_value_t = settings::PERIOD_GRACE_HOURS, value_parser = clap::value_parser!(u16).range(0..=i64::from(PeriodGrace::MAX_HOURS)))]
    period_grace_hours: u16,
    /// How equal points are ranked: "shared" (they share a rank) or "earlier" (whose last counted activity occurred
    /// earlier is ahead). With data that were counted by the other one, it takes `podium rebuild run`
    #[arg(long, value_name = "RULE", default_value_t)]
    tie_break: TieBreak,
    /// How teams are ranked: by the "sum" of their members' points, the "mean" over all members, or "top:N", the sum
    /// of the N best members
    #[arg(long, value_name = "SCORE", default_value_t)]
    team_score: TeamScore,
    /// The quests whose coins people get, as a JSON file; `podium quests check` tells what is wrong with one
    #[arg(long, value_name = "FILE")]
    quests: Option<PathBuf>,
    /// Who is told of coins, as a JSON file; `podium help webhooks` shows its form
    #[arg(long, value_name = "FILE", requires = "quests")]
    webhooks: Option<PathBuf>,
    /// How long an event is tried for a webhook, before it becomes a dead letter
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "72h", requires = "webhooks")]
    give_up_after: Duration,
    /// Also answer GET /v1/legacy/leaderboard, for pages that were written for the system that Podium replaces
    #[arg(long)]
    legacy_answer: bool,
    /// How often the boards are published
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "60s")]
    snapshot_every: Duration,
    /// The maximum age of an activity in days, or "unlimited"
    #[arg(long, value_name = "DAYS", default_value = "unlimited", value_parser = parse_age)]
    max_activity_age: String,
    /// How the aggregator takes messages: "prompt" (up to 10, at once) or "thrifty" (up to 500 within
    /// a second, which costs less)
    #[arg(long, value_name = "MODE", default_value = "thrifty")]
    batching: Batching,
    #[command(flatten, next_help_heading = "Login")]
    login: LoginArgs,
}

/// The most parameters that the page adds to its requests.
const PARAMETERS_MAX: usize = 10;

#[derive(clap::Args)]
struct LoginArgs {
    /// Require tokens of this identity provider: its address, exactly as in the tokens
    #[arg(long, value_name = "URL", requires = "oidc_audience")]
    oidc_issuer: Option<IssuerUrl>,
    /// The audience that tokens must be for
    #[arg(long, value_name = "AUDIENCE", requires = "oidc_issuer")]
    oidc_audience: Option<String>,
    /// The client id by which people log in on the page
    #[arg(long, value_name = "ID", requires = "oidc_issuer")]
    oidc_client_id: Option<String>,
    /// The scopes that the page asks for [default: openid, and `offline_access` if the provider has it]
    #[arg(long, value_name = "SCOPES", requires = "oidc_issuer")]
    oidc_scope: Option<String>,
    /// Add this to the page's requests to the provider; can be repeated. An audience that is a web address is
    /// sent as resource=AUDIENCE, unless resource= is given
    #[arg(long, value_name = "NAME=VALUE", requires = "oidc_issuer", value_parser = parse_parameter)]
    oidc_parameter: Vec<(String, String)>,
    /// The claim of a token that holds the user's id
    #[arg(long, value_name = "CLAIM", requires = "oidc_issuer", default_value = Access::USER_CLAIM)]
    user_claim: String,
    /// Who may read: "public" (everyone) or "login" (who has a token)
    #[arg(long, value_name = "WHO", requires = "oidc_issuer", default_value = "login")]
    readers: Readers,
    /// Let everyone with a token post for themselves
    #[arg(long, requires = "oidc_issuer")]
    self_reporting: bool,
}

impl LoginArgs {
    /// Who may do what, and who issues the tokens.
    fn read(self) -> anyhow::Result<(Access, Option<Login>)> {
        let (Some(issuer), Some(audience)) = (self.oidc_issuer, self.oidc_audience) else {
            return Ok((Access::open(), None));
        };
        ensure!(
            self.oidc_parameter.len() <= PARAMETERS_MAX,
            "--oidc-parameter is given {} times; at most {PARAMETERS_MAX} parameters can be added",
            self.oidc_parameter.len()
        );
        let access = Access {
            open: false,
            readers: self.readers,
            self_reporting: self.self_reporting,
            user_claim: self.user_claim,
            ..Access::open()
        };
        let login = Login {
            issuer,
            audience,
            client_id: self.oidc_client_id,
            scope: self.oidc_scope,
            parameters: self.oidc_parameter,
        };
        Ok((access, Some(login)))
    }
}

/// What to do when the stack cannot listen; `None` for any other error.
fn listen_hint(error: &anyhow::Error) -> Option<&'static str> {
    let cause = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<io::Error>())?;
    match cause.kind() {
        io::ErrorKind::AddrInUse => {
            Some("is another stack running? Choose other ports with --port and --aws-port")
        }
        io::ErrorKind::AddrNotAvailable => Some("choose an address of this machine with --listen"),
        _ => None,
    }
}

fn parse_age(raw: &str) -> Result<String, String> {
    let is_days = raw.parse::<u16>().is_ok_and(|days| days > 0);
    if is_days || raw == "unlimited" {
        Ok(raw.to_owned())
    } else {
        Err(format!(
            "expected a number of days from 1 to {}, or \"unlimited\"",
            u16::MAX
        ))
    }
}

/// Reads a scoring policy in the form of Terraform's variable. An error names the file, and the line or the
/// field.
pub fn read_scoring_policy(file: &Path) -> anyhow::Result<ScoringPolicy> {
    let name = format!("the scoring policy {} (--scoring)", file.display());
    let json = small_file::read(file, &name, SCORING_BYTES_MAX)?;
    serde_json::from_slice(&json).with_context(|| {
        format!(
            "{name} is not valid; expected [{{\"effective_from\": TIME, \"points\": {{KIND: WORTH}}}}], as \
             `podium help local` describes"
        )
    })
}

/// Reads a list of seasons in the form of Terraform's variable.
fn read_seasons(file: &Path) -> anyhow::Result<Seasons> {
    let name = format!("the file {} (--seasons)", file.display());
    let json = small_file::read(file, &name, SEASONS_BYTES_MAX)?;
    let json = std::str::from_utf8(&json).with_context(|| format!("{name} is not UTF-8"))?;
    json.parse().with_context(|| format!("{name} is not valid"))
}

/// Reads a mapping of events in the form of Terraform's variable.
fn read_event_mapping(file: &Path) -> anyhow::Result<String> {
    let name = format!("the file {} (--event-mapping)", file.display());
    let json = small_file::read(file, &name, EVENT_MAPPING_BYTES_MAX)?;
    let json = String::from_utf8(json).with_context(|| format!("{name} is not UTF-8"))?;
    json.parse::<EventMapping>()
        .with_context(|| format!("{name} is not valid"))?;
    Ok(json)
}

/// What whoever starts the stack should know.
fn warn(stack: &Stack, listen: IpAddr, has_login: bool) {
    if !listen.is_loopback() && has_login {
        eprintln!(
            "Warning: listening on {listen}. The AWS endpoint has no login: everyone who can reach it can read \
             and change everything. Let nobody else reach its port."
        );
    } else if !listen.is_loopback() {
        eprintln!(
            "Warning: listening on {listen}. There is no login: everyone who can reach this address can read \
             everything and post activities. Without --listen only this machine can connect."
        );
    }
    if stack.has_former_counts {
        eprintln!(
            "Warning: these data were counted by an earlier version of Podium. Boards stand as they were until \
             `podium rebuild run` counts everything again."
        );
    }
    if !stack.pending_rules.is_empty() {
        eprintln!(
            "Warning: these data were counted by other settings ({}). Boards keep the former ones until \
             `podium rebuild run` counts everything again by those of now.",
            stack.pending_rules.join(", ")
        );
    }
}

/// Gives the coins that new quests owe for activities of before, while the stack works.
async fn catch_up(client: aws_sdk_dynamodb::Client, tables: &TableNames) {
    match rewards::catch_up(client, tables).await {
        Ok(None) => {}
        Ok(Some(findings)) if findings.left == 0 && findings.repaired == 0 => {}
        Ok(Some(findings)) if findings.left == 0 => eprintln!(
            "The quests have changed: {} of {} got or lost coins by activities of before.",
            grouped(findings.repaired),
            counted(findings.users, "user", "users")
        ),
        Ok(Some(findings)) => eprintln!(
            "The quests have changed, but {} could not be looked at; run `podium reconcile --rewards --repair`.",
            counted(findings.left, "user", "users")
        ),
        Err(error) => eprintln!(
            "podium: activities of before could not all be looked at by the new quests; run `podium reconcile --rewards \
             --repair`, or start again: {error:#}"
        ),
    }
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_max_level(tracing::Level::WARN)
        .init();
    local::keep_new_files_private();
    let defaults = StackConfig::new()?;
    ensure!(
        args.allowed_host.len() <= ALLOWED_HOSTS_MAX,
        "--allowed-host is given {} times; at most {ALLOWED_HOSTS_MAX} hosts can be added",
        args.allowed_host.len()
    );
    let scoring_policy = match &args.scoring {
        Some(file) => read_scoring_policy(file)?,
        None => defaults.scoring_policy.clone(),
    };
    let seasons = args
        .seasons
        .as_deref()
        .map(read_seasons)
        .transpose()?
        .unwrap_or_default();
    let event_mapping = match &args.event_mapping {
        Some(file) => read_event_mapping(file)?,
        None => defaults.event_mapping.clone(),
    };
    let quests = args.quests.as_deref().map(quests::read_with_text).transpose()?;
    // Where there are none, nothing is started for them.
    let quests = quests.and_then(|(quests, text)| (!quests.is_empty()).then_some(text));
    let has_quests = quests.is_some();
    let webhooks = args.webhooks.as_deref().map(webhooks::read).transpose()?;
    let listen = args.listen;
    let (access, login) = args.login.read()?;
    let has_login = login.is_some();
    let config = StackConfig {
        listen,
        allowed_hosts: args.allowed_host,
        port: args.port,
        aws_port: args.aws_port,
        log_dir: args.log_dir,
        data_dir: args.data_dir,
        time_zone: args.time_zone,
        seasons,
        event_mapping,
        legacy_answer: args.legacy_answer,
        scoring_policy,
        period_grace: args.period_grace_hours.try_into()?,
        tie_break: args.tie_break,
        team_score: args.team_score,
        quests,
        webhooks: webhooks.unwrap_or_default(),
        give_up_after: args.give_up_after,
        snapshot_every: args.snapshot_every,
        max_activity_age: args.max_activity_age,
        batching: args.batching,
        visibility_timeout: settings::VISIBILITY_TIMEOUT,
        access,
        login,
        ..defaults
    };
    // Registered before anything starts, so that a signal during the start also stops the stack cleanly.
    let mut interrupted = signal(SignalKind::interrupt()).context("cannot wait for Ctrl-C")?;
    let mut terminated = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let stack = Stack::start(config)
        .await
        .map_err(|error| match listen_hint(&error) {
            Some(hint) => anyhow::anyhow!("{error:#}; {hint}"),
            None => error,
        })?;
    let ready = json!({
        "web": stack.web_url,
        "aws": stack.aws_url,
        "pid": std::process::id(),
        "logs": stack.log_dir(),
    });
    let mut stdout = io::stdout();
    writeln!(stdout, "{ready}")
        .and_then(|()| stdout.flush())
        .context("cannot write the addresses to standard output")?;
    eprintln!("The dashboard and the API: {}", stack.web_url);
    eprintln!("The AWS endpoint:          {}", stack.aws_url);
    eprintln!("The functions' logs:       {}", stack.log_dir().display());
    warn(&stack, listen, has_login);
    let catching_up = async {
        if has_quests {
            let client = aws_sdk_dynamodb::Client::new(&local::sdk_config(&stack.aws_url));
            Box::pin(catch_up(client, &stack.tables)).await;
        }
        future::pending::<()>().await;
    };
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
        // It never ends. Stopped meanwhile, the next start does it again.
        () = catching_up => {}
    }
    eprintln!("Stopping ...");
    stack.stop().await?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scoring_policy_that_cannot_be_used_is_refused_with_its_file_and_place() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("policy.json");
        let read = |json: &str| {
            std::fs::write(&file, json).expect("it is written");
            read_scoring_policy(&file)
        };
        let good = r#"[{"effective_from": "2026-01-01T00:00:00Z", "points": {"mentoring": 30}}]"#;
        let policy = read(good).expect("a policy");
        assert_eq!(policy, good.parse().expect("a policy"));

        let large = " ".repeat(64 * 1024 + 1);
        for (json, reason) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("[\n{]", "at line 2 column 2"),
            ("[]", "1 to 100 versions"),
            (r#"[{"points": {"a": 1}}]"#, "missing field `effective_from`"),
            (
                r#"[{"effective_from": "yesterday", "points": {"a": 1}}]"#,
                "at line 1",
            ),
            (
                r#"[{"effective_from": "2026-01-01T00:00:00Z", "points": {"a": -1}}]"#,
                "a has points -1; it must be a whole number from 0 to 1000000",
            ),
            (
                r#"[{"effective_from": "2026-01-01T00:00:00Z", "score": {"a": 1}}]"#,
                "unknown field `score`",
            ),
            (&large, "is larger than 65536 bytes"),
        ] {
            let error = format!("{:#}", read(json).expect_err("it is invalid"));
            let place = format!("the scoring policy {} (--scoring)", file.display());
            assert!(error.starts_with(&place) && error.contains(reason), "{error}");
        }
        let missing = read_scoring_policy(&directory.path().join("none.json"));
        let error = format!("{:#}", missing.expect_err("there is no file"));
        assert!(
            error.starts_with("cannot read the scoring policy ") && error.contains("none.json"),
            "{error}"
        );
    }
}
