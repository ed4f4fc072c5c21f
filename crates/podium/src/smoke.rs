//! `podium smoke`: follows one activity through a deployment, stage by stage.

mod figures;

use std::{fmt::Write as _, process::ExitCode, time::Duration};

use anyhow::{Context as _, anyhow, bail, ensure};
use client::wire::{ItemError, UserDocument, Verdict};
use client::{Api, Authorization, Credentials, Failure, PostError, Target, aws, parse_url};
use domain::worth::Form;
use domain::{ActivityId, Board, FactKey, Kind, ProgramId, UserId, Window, Worth};
use jiff::Timestamp;
use reqwest::Url;
use serde_json::json;
use store::keys::StandingKey;
use store::ledger::LedgerKey;
use store::{Activities, Blocks, Facts, Standings, generations};
use terminal::duration;
use terminal::text::{age, printable, printable_json};
use tokio::time::{Instant, sleep, timeout_at};

use self::figures::{Figures, Stage};

/// Long enough for a cold start.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How often to look for the activity among the counts, and on the board.
const COUNTED_POLL: Duration = Duration::from_millis(250);
const BOARD_POLL: Duration = Duration::from_secs(1);

pub const HELP: &str = "\
It posts one new activity, which must be accepted, and posts it again, which must be a duplicate. With
--dedup-table it waits until the activity is counted. Then it waits until a new
snapshot shows it on the board of its program. The activity stays. Those of the program podium-smoke are
on no board that people see: its own is not listed, and the global one leaves them out.

Signing requests and reading tables need your AWS credentials, from the environment or a profile.
AWS_ENDPOINT_URL selects another endpoint for the tables, such as that of `podium local`.

Exit status: 0 if the activity reached the board, 1 if not; the message names the stage where it is stuck.";

#[derive(clap::Args)]
pub struct Args {
    /// The address to post activities to [default: --url]
    #[arg(long, value_name = "URL", env = "PODIUM_INGEST_URL", value_parser = parse_url)]
    ingest_url: Option<Url>,
    /// The address to read boards and status from [default: --url]
    #[arg(long, value_name = "URL", env = "PODIUM_SERVE_URL", value_parser = parse_url)]
    serve_url: Option<Url>,
    /// The table of activities, to check that the activity is stored
    #[arg(long, value_name = "NAME")]
    activities_table: Option<String>,
    /// The table of keys that left the standings, to see when the activity is counted; needs the other tables
    #[arg(long, value_name = "NAME", requires = "standings_table")]
    dedup_table: Option<String>,
    /// The table of standings, to see when the activity is counted; needs the other tables
    #[arg(long, value_name = "NAME", requires_all = ["dedup_table", "activities_table"])]
    standings_table: Option<String>,
    /// The user of the activity
    #[arg(long, value_name = "ID", default_value = "podium-smoke")]
    user: UserId,
    /// The program of the activity
    #[arg(long, value_name = "ID", default_value = domain::id::SMOKE_PROGRAM)]
    program: ProgramId,
    /// The kind of the activity; the deployment's scoring policy must have it
    #[arg(long, default_value = "task_completed")]
    kind: Kind,
    /// How long to wait for the board after the activity is accepted
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse)]
    timeout: Duration,
    /// Print the results as one line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    credentials: Credentials,
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let is_json = args.json;
    let smoke = Smoke::new(args).await?;
    let mut figures = Figures::new(&smoke.id);
    let outcome = smoke
        .run(&mut figures, |stage, figures| {
            if !is_json {
                println!("{}", figures.line(stage));
            }
        })
        .await;
    if is_json {
        figures.failure = outcome.as_ref().err().map(|error| format!("{error:#}"));
        println!("{}", printable_json(&serde_json::to_string(&figures)?));
    }
    outcome.map(|()| ExitCode::SUCCESS)
}

/// One activity and the deployment to check.
struct Smoke {
    ingest: Api,
    serve: Api,
    activities: Option<Activities>,
    counts: Option<Counts>,
    is_authorized: bool,
    id: ActivityId,
    user: UserId,
    program: ProgramId,
    kind: Kind,
    timeout: Duration,
}

/// The tables that say whether the activity is counted.
struct Counts {
    client: aws_sdk_dynamodb::Client,
    facts: Facts,
    blocks: Blocks,
    standings_table: String,
}

impl Counts {
    async fn is_counted(&self, activity: &FactKey) -> anyhow::Result<bool> {
        let generations = generations::read(&self.client, &self.standings_table).await?;
        let generation = generations.live;
        let (Some(fact), Some(rules)) = (self.facts.get(activity).await?, generations.rules(generation))
        else {
            return Ok(false);
        };
        let shards = rules.standing_shards;
        let standings = Standings::new(self.client.clone(), self.standings_table.clone(), shards);
        let key = LedgerKey::new(fact.received_at, &fact.fact.id());
        let (user, program) = (fact.fact.user().clone(), fact.fact.program().clone());
        let standing = StandingKey::new(generation, shards, user, program);
        let Some(ledger) = standings.ledger(&standing).await? else {
            return Ok(false);
        };
        if ledger.holds(key) || !ledger.may_have_spilled(key) {
            return Ok(ledger.holds(key));
        }
        let held = self.blocks.holding(&standing, ledger.epoch, &[key]).await?;
        Ok(held.contains(&key))
    }
}

impl Smoke {
    async fn new(args: Args) -> anyhow::Result<Self> {
        let ingest_url = args.ingest_url.unwrap_or_else(|| args.target.url.clone());
        let serve_url = args.serve_url.unwrap_or(args.target.url);
        let tables = if args.activities_table.is_some() || args.dedup_table.is_some() {
            let config = aws::config(args.credentials.region(&ingest_url)).await;
            let config = config.context("could not read the tables")?;
            Some(aws_sdk_dynamodb::Client::new(&config))
        } else {
            None
        };
        let mut counts = None;
        if let (Some(client), Some(activities), Some(standings_table), Some(dedup)) = (
            &tables,
            &args.activities_table,
            args.standings_table,
            args.dedup_table,
        ) {
            counts = Some(Counts {
                client: client.clone(),
                facts: Facts::new(client.clone(), activities.clone()),
                blocks: Blocks::new(client.clone(), dedup),
                standings_table,
            });
        }
        let authorization = args.credentials.authorization(&ingest_url).await?;
        // The id is new in every run, since a repeated one would be a duplicate.
        let id = format!(
            "smoke-{}-{:016x}",
            Timestamp::now().as_millisecond(),
            rand::random::<u64>()
        );
        Ok(Self {
            is_authorized: !matches!(authorization, Authorization::None),
            ingest: Api::new(ingest_url, ANSWER_TIMEOUT)?.authorized_by(authorization.clone()),
            serve: Api::new(serve_url, ANSWER_TIMEOUT)?.authorized_by(authorization),
            activities: tables
                .zip(args.activities_table)
                .map(|(client, table)| Activities::new(client, table)),
            counts,
            id: id.parse().context("could not make an activity id")?,
            user: args.user,
            program: args.program,
            kind: args.kind,
            timeout: args.timeout,
        })
    }

    fn board(&self) -> Board {
        Board::Program(self.program.clone())
    }

    /// Follows the activity. Calls `passed` after each stage.
    async fn run(&self, figures: &mut Figures, passed: impl Fn(Stage, &Figures)) -> anyhow::Result<()> {
        let before = self.read_board().await;
        let before = before.context("nothing was sent, because the boards cannot be read")?;
        figures.activities_before = before.as_ref().map_or(0, |before| before.entry.activities);

        let accepted_at = self.ingest(figures).await?;
        passed(Stage::Ingest, figures);
        let deadline = accepted_at + self.timeout;

        if let Some(counts) = &self.counts {
            let activity = FactKey {
                user: self.user.clone(),
                id: (&self.id).into(),
            };
            let counted = poll(deadline, COUNTED_POLL, async || {
                Ok(counts.is_counted(&activity).await?.then_some(()))
            });
            if let Err(last_error) = counted.await {
                return Err(self.stuck(figures, "counted", COUNTING, last_error).await);
            }
            figures.counted_seconds = Some(accepted_at.elapsed().as_secs_f64());
        }
        passed(Stage::Counted, figures);

        // Users below the listed ones are shown with their current points. Therefore the snapshot must be
        // newer, too.
        let is_newer = |now: &UserDocument| {
            before.as_ref().is_none_or(|before| {
                now.generation > before.generation && now.entry.activities > before.entry.activities
            })
        };
        let published = poll(deadline, BOARD_POLL, async || {
            Ok(self.read_board().await?.filter(is_newer))
        });
        let shown = match published.await {
            Ok(shown) => shown,
            Err(last_error) if self.counts.is_some() => {
                return Err(self.stuck(figures, "published", PUBLISHING, last_error).await);
            }
            Err(last_error) => {
                let to_check = format!("{COUNTING}; and {PUBLISHING}");
                return Err(self.stuck(figures, "on the board", &to_check, last_error).await);
            }
        };
        figures.published_seconds = Some(accepted_at.elapsed().as_secs_f64());
        figures.shown = Some(shown.into());
        passed(Stage::Published, figures);
        passed(Stage::Served, figures);
        Ok(())
    }

    /// Posts the activity twice. Returns when it was accepted.
    async fn ingest(&self, figures: &mut Figures) -> anyhow::Result<Instant> {
        let mut activity = json!({
            "activity_id": self.id,
            "user_id": self.user,
            "program_id": self.program,
            "kind": self.kind,
            "occurred_at": Timestamp::now(),
        });
        // A kind may be worth points by a quantity, or as many as are given: as little as can be.
        match self.worth().await.map(|worth| worth.form) {
            Some(Form::PerQuantity { .. }) => activity[Worth::QUANTITY] = 1.into(),
            Some(Form::Given { .. }) => activity[Worth::POINTS] = 0.into(),
            Some(Form::Fixed(_)) | None => {}
        }
        let body = json!([activity]).to_string();
        let begun = Instant::now();
        match self.post(&body).await? {
            Verdict::Accepted => {}
            other => bail!("not accepted: the activity is {}", describe(&other)),
        }
        let accepted_at = Instant::now();
        figures.accepted_seconds = Some((accepted_at - begun).as_secs_f64());
        match self
            .post(&body)
            .await
            .context("accepted at first, but the repeat failed")?
        {
            Verdict::Duplicate => figures.is_duplicate = true,
            other => bail!(
                "accepted, but the repeat is {} instead of a duplicate: it may be counted twice",
                describe(&other)
            ),
        }
        if let Some(activities) = &self.activities {
            let is_stored = activities.is_recorded(&self.user, &self.id).await?;
            figures.stored = Some(is_stored);
            ensure!(
                is_stored,
                "accepted, but not in the table of activities; is --activities-table the table of this deployment?"
            );
        }
        Ok(accepted_at)
    }

    /// What the kind is worth, if the policy says so. If it does not, ingest will.
    async fn worth(&self) -> Option<Worth> {
        let policy = self.serve.policy().await.ok()?;
        policy.worth(&self.kind, Timestamp::now()).ok().cloned()
    }

    async fn post(&self, body: &str) -> anyhow::Result<Verdict> {
        let answer = self.ingest.post_activities(body.into(), 1).await;
        let verdicts = answer.map_err(|error| self.not_accepted(&error))?;
        verdicts
            .results
            .into_iter()
            .next()
            .context("the server sent no verdict")
    }

    fn not_accepted(&self, error: &PostError) -> anyhow::Error {
        let base = self.ingest.base();
        let advice = match error.failure {
            Failure::Status(401 | 403) if self.is_authorized => {
                "for signed requests, check --region, this machine's clock, and that your AWS credentials may \
                 invoke the function (lambda:InvokeFunctionUrl and lambda:InvokeFunction); for a token, its \
                 audience and scope"
            }
            Failure::Status(401 | 403) => {
                "the address requires a signature (--sign) or a token (--token-command)"
            }
            Failure::Status(_) | Failure::BadAnswer => "check the address and the log of ingest",
            Failure::NotAuthorized | Failure::Connect | Failure::Timeout | Failure::Broken => {
                return anyhow!("not accepted by {base}: {}", self.ingest.explain(error));
            }
        };
        anyhow!("not accepted by {base}: {error}; {advice}")
    }

    async fn read_board(&self) -> anyhow::Result<Option<UserDocument>> {
        self.serve.find_user(&self.board(), &self.user, Window::All).await
    }

    /// Describes where the activity is stuck, what to check, and what the last snapshot says.
    async fn stuck(
        &self,
        figures: &Figures,
        stage: &str,
        to_check: &str,
        last_error: Option<anyhow::Error>,
    ) -> anyhow::Error {
        let reached = match (figures.counted_seconds, figures.stored) {
            (Some(_), _) => "counted",
            (None, Some(true)) => "accepted and stored",
            (None, _) => "accepted",
        };
        let within = age(self.timeout.as_secs_f64());
        let mut sentence = format!("{reached} but not {stage} within {within}: check {to_check}");
        if let Some(error) = last_error {
            let _ = write!(sentence, ". The last check failed: {error:#}");
        }
        if let Ok(status) = self.serve.status().await {
            let _ = write!(sentence, ". {}", figures::describe_status(&status));
        }
        anyhow!(sentence)
    }
}

const COUNTING: &str = "the pipe, the depth of the queue, the dead letters and the aggregator's log";
const PUBLISHING: &str = "the snapshot's schedule and log";

fn describe(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Accepted => "accepted".to_owned(),
        Verdict::Duplicate => "a duplicate".to_owned(),
        Verdict::Rejected {
            error: ItemError { code, detail, .. },
        }
        | Verdict::Forbidden {
            error: ItemError { code, detail, .. },
        }
        | Verdict::Conflict {
            error: ItemError { code, detail, .. },
            ..
        } => format!("rejected ({}): {}", printable(code), printable(detail)),
        Verdict::Unavailable => "not stored, because the store is unavailable".to_owned(),
    }
}

/// Calls `look` until it returns a value or the deadline passes. After the deadline, returns the error of
/// the last call, if it failed.
async fn poll<T>(
    deadline: Instant,
    pace: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> Result<T, Option<anyhow::Error>> {
    let mut last_error = None;
    while let Ok(seen) = timeout_at(deadline, look()).await {
        match seen {
            Ok(Some(seen)) => return Ok(seen),
            Ok(None) => last_error = None,
            Err(error) => last_error = Some(error),
        }
        if Instant::now() >= deadline {
            break;
        }
        sleep(pace.min(deadline - Instant::now())).await;
    }
    Err(last_error)
}
