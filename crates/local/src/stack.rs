//! Wires the whole stack on one machine, as Terraform does on AWS.

mod carrying;
mod config;
mod directory;
mod functions;
mod listen;
mod queues;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use aws_credential_types::Credentials;
use axum::Router;
use bytes::Bytes;
use domain::Calendar;
use jiff::Timestamp;
use local_http::{AllowedHosts, Host, raise_open_files_limit};
use store::schema::{TableNames, create_tables, stream_coins};
use store::{Generations, Quests, Rules};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use self::carrying::{Carrying, Counting, Rewarding, Telling, invoker};
pub use self::config::{StackConfig, Webhook};
pub use self::directory::keep_new_files_private;
use self::directory::{DataDir, create_private};
use self::functions::{check_binaries, functions};
use self::listen::{bind, reachable};
use self::queues::create_queues;
use crate::dynamodb::{DynamoDb, TtlSweeper};
use crate::endpoint::{self, Services};
use crate::event_source::EventSource;
use crate::lambda::{Function, Lambda};
use crate::pipe::Pipe;
use crate::scheduler::Schedule;
use crate::settings;
use crate::sqs::{Queue, Sqs};
use crate::web::{self, Functions};

const REGION: &str = "us-east-1";
/// How long running invocations have to finish when the stack stops.
const STOP_GRACE: Duration = Duration::from_secs(5);
const TTL_SWEEP_EVERY: Duration = Duration::from_mins(1);

/// A running stack.
pub struct Stack {
    /// Reachable from this machine.
    pub web_url: String,
    /// Reachable from this machine.
    pub aws_url: String,
    pub tables: TableNames,
    pub dynamodb: DynamoDb,
    pub lambda: Lambda,
    pub queue: Queue,
    pub dead_letter_queue: Queue,
    /// From which ingest takes activities, unless the stack is coupled.
    pub events_queue: Queue,
    pub events_dead_letter_queue: Queue,
    /// The mapping from it to ingest. `None` in a coupled stack.
    events: Option<EventSource>,
    /// `None` in a coupled stack, which sends nothing to its queues.
    counting: Option<Counting>,
    /// `None` without quests.
    rewarding: Option<Rewarding>,
    /// `None` without webhooks.
    telling: Option<Telling>,
    snapshots: Schedule,
    /// Aborts the injector when dropped.
    injector: JoinSet<()>,
    ttl: TtlSweeper,
    servers: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    logs: Logs,
    /// The settings by which existing counts were not made, and which take effect with a rebuild.
    pub pending_rules: Vec<&'static str>,
    /// Whether the existing counts are of an earlier version and stand still until a rebuild.
    pub has_former_counts: bool,
    /// Released after everything above has ended.
    _data: Option<DataDir>,
}

/// The directory of the functions' logs.
struct Logs {
    path: PathBuf,
    /// Removes the directory when dropped.
    _temporary: Option<TempDir>,
}

impl Logs {
    fn open(config: &StackConfig, data: Option<&DataDir>) -> anyhow::Result<Self> {
        let path = match (&config.log_dir, data) {
            (Some(path), _) => {
                create_private(path)?;
                path.clone()
            }
            (None, Some(data)) => data.directory("logs")?,
            (None, None) => {
                let temporary = tempfile::Builder::new().prefix("podium-logs-").tempdir();
                let temporary = temporary.context("cannot create a temporary directory for the logs")?;
                return Ok(Self {
                    path: temporary.path().to_owned(),
                    _temporary: Some(temporary),
                });
            }
        };
        Ok(Self {
            path,
            _temporary: None,
        })
    }
}

impl Stack {
    /// Returns once the stack answers requests.
    pub async fn start(config: StackConfig) -> anyhow::Result<Self> {
        // Checked here because otherwise every function would fail on it, one by one.
        config.time_zone.parse::<Calendar>()?;
        check_binaries(&config)?;
        let (stop, _) = watch::channel(false);
        let mut servers = Vec::new();
        raise_open_files_limit();
        let data = config.data_dir.as_deref().map(DataDir::open).transpose()?;
        let data_directory = |name: &str| data.as_ref().map(|data| data.directory(name)).transpose();
        let logs = Logs::open(&config, data.as_ref())?;

        let (aws_listener, aws_url) = bind(config.listen, config.aws_port).await?;
        let (web_listener, web_url) = bind(config.listen, config.port).await?;
        let dynamodb = DynamoDb::open(data_directory("dynamodb")?.as_deref())?;
        let sqs = Sqs::new(aws_url.clone(), data_directory("sqs")?)?;
        let queues = create_queues(&sqs, &config)?;
        let hosts = allowed_hosts(&config);
        let services = Services {
            dynamodb: dynamodb.clone(),
            sqs: sqs.clone(),
            secrets: secrets(&config.webhooks).into(),
            faults: config.faults.clone(),
        };
        let aws = endpoint::router(services, hosts.clone());
        let mut serve = |listener: TcpListener, router: Router| {
            servers.push(tokio::spawn(local_http::serve(listener, router, stopped(&stop))));
        };
        serve(aws_listener, aws.clone());
        let internal_aws_url = if reachable(config.listen).is_loopback() {
            aws_url.clone()
        } else {
            // Calls of the functions stay on loopback.
            let (listener, url) = bind(Ipv4Addr::LOCALHOST.into(), 0).await?;
            serve(listener, aws);
            url
        };
        let tables = TableNames::prefixed("podium");
        let client = dynamodb_client(&internal_aws_url);
        prepare(&client, &tables, &config).await?;
        let generations = settled(&client, &tables, &config).await?;

        // After the endpoint, so that no function starts without it.
        let lambda = Lambda::start(functions(
            &config,
            &internal_aws_url,
            &tables,
            &queues,
            &logs.path,
        )?)?;
        let function = |name: &str| {
            lambda
                .function(name)
                .with_context(|| format!("there is no function {name}"))
        };
        let carrying = Carrying {
            config: &config,
            dynamodb: &dynamodb,
            tables: &tables,
            data: data.as_ref(),
        };
        let (counting, rewarding, telling) = carrying.start(&queues, function)?;
        let events = carrying.events(&queues, function)?;
        let injector = carrying.injector(&queues, counting.as_ref(), rewarding.as_ref(), telling.as_ref());
        let snapshots = snapshots(config.snapshot_every, function("snapshot")?);

        let router = web::router(
            &Functions {
                ingest: function(if config.coupled { "coupled" } else { "ingest" })?,
                serve: function("serve")?,
                directory: function("directory")?,
            },
            hosts,
            &config.access,
            config.login.as_ref(),
            config.quests.is_some(),
        )?;
        serve(web_listener, router);
        Ok(Self {
            web_url,
            aws_url,
            tables,
            ttl: dynamodb.start_ttl_sweeper(TTL_SWEEP_EVERY),
            dynamodb,
            lambda,
            queue: queues.main,
            dead_letter_queue: queues.dead_letters,
            events_queue: queues.events,
            events_dead_letter_queue: queues.events_dead_letters,
            events,
            counting,
            rewarding,
            telling,
            snapshots,
            injector,
            servers,
            stop,
            logs,
            pending_rules: generations.pending(),
            has_former_counts: generations.is_former(generations.live),
            _data: data,
        })
    }

    /// The directory of the functions' logs.
    pub fn log_dir(&self) -> &Path {
        &self.logs.path
    }

    /// The pipe from the facts to the queue. Panics in a coupled stack, which has none.
    pub fn pipe(&self) -> &Pipe {
        &self.counting().pipe
    }

    /// The mapping from the queue to the aggregator. Panics in a coupled stack, which has none.
    pub fn aggregation(&self) -> &EventSource {
        &self.counting().aggregation
    }

    /// The pipe from the facts to the queue of rewards. Panics without quests.
    pub fn facts_pipe(&self) -> &Pipe {
        &self.rewarding().pipe
    }

    /// The mapping from the queue to the function that gives coins. Panics without quests.
    pub fn rewards(&self) -> &EventSource {
        &self.rewarding().rewards
    }

    /// The queue of that function, and its DLQ. Panics without quests.
    pub fn rewards_queues(&self) -> (&Queue, &Queue) {
        let Rewarding {
            queue, dead_letters, ..
        } = self.rewarding();
        (queue, dead_letters)
    }

    /// The pipe from the coins to the queues of webhooks. Panics without webhooks.
    pub fn coins_pipe(&self) -> &Pipe {
        &self
            .telling
            .as_ref()
            .expect("a stack without webhooks tells nobody")
            .pipe
    }

    /// The queue of each webhook, and its DLQ.
    pub fn notices_queues(&self) -> impl Iterator<Item = (&Queue, &Queue)> {
        let queues = self.telling.iter().flat_map(|telling| &telling.queues);
        queues.map(|(queue, dead_letters)| (queue, dead_letters))
    }

    fn rewarding(&self) -> &Rewarding {
        let rewarding = self.rewarding.as_ref();
        rewarding.expect("a stack without quests has no rewards")
    }

    fn counting(&self) -> &Counting {
        let counting = self.counting.as_ref();
        counting.expect("a coupled stack has no pipe and no aggregator")
    }

    /// Stops from front to back, so that work in progress is kept. Leaves no process behind.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.injector.shutdown().await;
        self.stop.send_replace(true);
        self.snapshots.stop(STOP_GRACE).await;
        if let Some(events) = self.events {
            events.stop(STOP_GRACE).await;
        }
        let mut pipe = Ok(());
        if let Some(counting) = self.counting {
            counting.aggregation.stop(STOP_GRACE).await;
            pipe = counting.pipe.stop().await;
        }
        if let Some(rewarding) = self.rewarding {
            rewarding.rewards.stop(STOP_GRACE).await;
            pipe = pipe.and(rewarding.pipe.stop().await);
        }
        if let Some(telling) = self.telling {
            for notices in telling.notices {
                notices.stop(STOP_GRACE).await;
            }
            pipe = pipe.and(telling.pipe.stop().await);
        }
        self.lambda.stop().await;
        self.ttl.stop().await;
        for server in self.servers {
            // A client may keep its connection open.
            if tokio::time::timeout(STOP_GRACE, server).await.is_err() {
                tracing::debug!("a client still had a connection open when the stack stopped");
            }
        }
        pipe
    }
}

/// Invokes the function of snapshots again and again.
fn snapshots(every: Duration, snapshot: Function) -> Schedule {
    let invoke = invoker(snapshot);
    Schedule::start(every, move || {
        let invocation = invoke(Bytes::from_static(b"{}"));
        async { invocation.await.map(drop) }
    })
}

/// Loopback, the names that were added, and the address that was asked for, which no web page can own.
fn allowed_hosts(config: &StackConfig) -> AllowedHosts {
    let listen = (!config.listen.is_unspecified()).then(|| Host::address(config.listen));
    AllowedHosts::with(config.allowed_hosts.iter().cloned().chain(listen))
}

/// The secret of each webhook, by its id.
fn secrets(webhooks: &[Webhook]) -> BTreeMap<String, String> {
    let secrets = webhooks.iter();
    secrets
        .map(|webhook| (webhook.id.clone(), webhook.secret.clone()))
        .collect()
}

/// Makes the tables, as far as they are not there, with what the functions read in them.
async fn prepare(
    client: &aws_sdk_dynamodb::Client,
    tables: &TableNames,
    config: &StackConfig,
) -> anyhow::Result<()> {
    create_tables(client, tables)
        .await
        .context("cannot create the tables")?;
    if !config.webhooks.is_empty() {
        stream_coins(client, tables).await?;
    }
    configure_quests(client, tables, config.quests.as_deref()).await
}

/// Writes the quests where the functions read them. Without any, those of before are no longer in force.
async fn configure_quests(
    client: &aws_sdk_dynamodb::Client,
    tables: &TableNames,
    quests: Option<&str>,
) -> anyhow::Result<()> {
    let table = Quests::new(client.clone(), tables.coins.clone());
    if quests.is_some() || !table.configured().await?.is_empty() {
        table.configure(quests.unwrap_or("[]")).await?;
    }
    Ok(())
}

/// The generations of the existing counts, with the configured rules.
async fn settled(
    client: &aws_sdk_dynamodb::Client,
    tables: &TableNames,
    config: &StackConfig,
) -> anyhow::Result<Generations> {
    let generations = store::generations::read(client, &tables.standings).await?;
    let configured = Rules {
        standing_shards: settings::STANDING_SHARDS.to_string().parse()?,
        calendar: config
            .time_zone
            .parse::<Calendar>()?
            .with_seasons(config.seasons.clone()),
        scoring_policy: config.scoring_policy.clone(),
        period_grace: Some(config.period_grace),
        tie_break: config.tie_break,
    };
    Ok(generations.settled(&configured, Timestamp::now()))
}

/// A client of the stack's own endpoint.
pub fn dynamodb_client(aws_url: &str) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(&sdk_config(aws_url))
}

/// The SDK configuration for the stack's own endpoint, which accepts any credentials.
pub fn sdk_config(aws_url: &str) -> aws_types::SdkConfig {
    let credentials = Credentials::new("local", "local", None, None, "local");
    store::aws::config(REGION.to_owned(), credentials, Some(aws_url.to_owned()))
}

fn stopped(stop: &watch::Sender<bool>) -> impl Future<Output = ()> + Send + 'static {
    let mut stop = stop.subscribe();
    async move { drop(stop.wait_for(|&stop| stop).await) }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn reason(config: StackConfig) -> String {
        let started = Stack::start(config).await;
        started.err().expect("the stack cannot start").to_string()
    }

    #[cfg(unix)]
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_error_at_the_start_says_what_was_tried_with_which_path() {
        use std::os::unix::fs::PermissionsExt as _;

        let programs = tempfile::tempdir().expect("a directory");
        for name in ["ingest", "aggregator", "snapshot", "serve", "directory"] {
            let path = programs.path().join(name);
            std::fs::write(&path, "never started").expect("it is written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
        }
        // A directory where the stack has a file, and the reverse.
        for (name, is_directory, tried) in [
            ("dynamodb", false, "cannot create the directory "),
            ("dynamodb/dynamodb.sqlite", true, "cannot open the database "),
            ("sqs", false, "cannot create the directory "),
            ("sqs/podium-activities.jsonl", true, "cannot read "),
            ("sqs/podium-activities.fresh", true, "cannot write "),
            ("logs", false, "cannot create the directory "),
            ("logs/ingest.log", true, "cannot open the log of ingest, "),
            ("pipe.json", true, "cannot read "),
        ] {
            let data = tempfile::tempdir().expect("a directory");
            let path = data.path().join(name);
            let parent = path.parent().expect("it is in the data directory");
            std::fs::create_dir_all(parent).expect("it is created");
            let made = if is_directory {
                std::fs::create_dir(&path)
            } else {
                std::fs::write(&path, "")
            };
            made.expect("it is made");
            let started = Stack::start(StackConfig {
                port: 0,
                aws_port: 0,
                data_dir: Some(data.path().to_owned()),
                bin_dir: programs.path().to_owned(),
                ..StackConfig::new().expect("the running program has a directory")
            });
            let error = format!("{:#}", started.await.err().expect("the stack cannot start"));
            let expected = format!("{tried}{}: ", path.display());
            assert!(
                error.contains(&expected),
                "{expected:?} is missing from {error:?}"
            );
        }
    }

    #[tokio::test]
    async fn binaries_are_checked_before_a_port_is_taken() {
        let directory = tempfile::tempdir().expect("a directory");
        // The stack would fail on this port if it came to take it.
        let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let mut config = StackConfig {
            port: taken.local_addr().expect("it is bound").port(),
            bin_dir: directory.path().to_owned(),
            ..StackConfig::new().expect("the running program has a directory")
        };
        let all = reason(config.clone()).await;
        let expected = format!(
            "cannot start the functions in {}: missing: ingest, aggregator, snapshot, serve, directory\n",
            directory.path().display()
        );
        assert!(all.starts_with(&expected), "{all}");
        assert!(all.contains("cargo build --workspace --bins\n"), "{all}");
        assert!(all.contains("cargo install --path crates/serve"), "{all}");

        std::fs::create_dir(directory.path().join("serve")).expect("it is made");
        std::fs::write(directory.path().join("ingest"), "no program").expect("it is written");
        let some = reason(config.clone()).await;
        let expected = if cfg!(unix) {
            ": missing: aggregator, snapshot, serve, directory; not executable: ingest\n"
        } else {
            ": missing: aggregator, snapshot, serve, directory\n"
        };
        assert!(some.contains(expected), "{some}");

        config.coupled = true;
        let coupled = reason(config).await;
        assert!(
            coupled.contains(": missing: coupled, snapshot, serve, directory\n"),
            "{coupled}"
        );
    }
}
