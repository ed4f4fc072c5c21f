//! The stack as a whole: what on AWS Terraform wires, wired on one machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use aws_credential_types::Credentials;
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use store::schema::{TableNames, create_tables};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::dynamodb::{DynamoDb, TtlSweeper};
use crate::endpoint;
use crate::event_source::{EventSource, EventSourceMapping};
use crate::faults::{Fault, Faults, Striker};
use crate::lambda::{Function, FunctionConfig, Lambda};
use crate::pipe::{Pipe, PipeConfig, SendFailure, TableStream};
use crate::scheduler::Schedule;
use crate::settings::{self, Batching, FunctionSettings};
use crate::sqs::{NewMessage, Queue, QueueAttributes, Redrive, Sqs};
use crate::web;

const REGION: &str = "us-east-1";
/// How long running invocations have to finish when the stack stops.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// How long a request waits for a function that is busy. Lambda would start another environment;
/// on one machine a short wait serves better than a refusal.
const SLOT_WAIT: Duration = Duration::from_secs(5);
const TTL_SWEEP_EVERY: Duration = Duration::from_mins(1);
/// How late a message is delivered that a fault holds back.
const LATE: std::ops::Range<Duration> = Duration::from_millis(500)..Duration::from_secs(5);

/// How the stack is started.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// The port of the web origin; 0 takes a free one.
    pub port: u16,
    /// The port of the AWS endpoint; 0 takes a free one.
    pub aws_port: u16,
    /// Where the data is kept over restarts; without it, it is gone when the stack stops.
    pub data_dir: Option<PathBuf>,
    /// Where each function's log goes.
    pub log_dir: PathBuf,
    /// Where the binaries of the functions are.
    pub bin_dir: PathBuf,
    /// An IANA name.
    pub time_zone: String,
    pub snapshot_every: Duration,
    /// In days, or `unlimited`.
    pub max_activity_age: String,
    pub batching: Batching,
    /// When a message whose invocation died is delivered again.
    pub visibility_timeout: Duration,
    /// How long every function may take, if not as long as its settings say.
    pub function_timeout: Option<Duration>,
    /// What goes wrong.
    pub faults: Faults,
    /// Whether one function stores, counts and answers, as before Podium, in place of ingest and of all
    /// that counts behind it. Only `podium compare` sets it.
    pub coupled: bool,
}

impl StackConfig {
    /// The stack's defaults, with the functions' binaries beside the running program.
    pub fn new() -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding the running program")?;
        let bin_dir = program
            .parent()
            .context("the running program is in no directory")?;
        Ok(Self {
            port: 7000,
            aws_port: 7001,
            data_dir: None,
            log_dir: std::env::temp_dir().join(format!("podium-logs-{}", std::process::id())),
            bin_dir: bin_dir.to_owned(),
            time_zone: "UTC".to_owned(),
            snapshot_every: settings::SNAPSHOT_EVERY,
            max_activity_age: "unlimited".to_owned(),
            batching: Batching::default(),
            visibility_timeout: settings::VISIBILITY_TIMEOUT,
            function_timeout: None,
            faults: Faults::none(),
            coupled: false,
        })
    }
}

/// The way of a fact to its count.
struct CountedFrom {
    pipe: Pipe,
    queue: EventSource,
}

/// A running stack.
pub struct Stack {
    pub web_url: String,
    pub aws_url: String,
    pub tables: TableNames,
    pub dynamodb: DynamoDb,
    pub lambda: Lambda,
    pub queue: Queue,
    pub dead_letter_queue: Queue,
    /// `None` in a coupled stack, whose queues nothing is sent to.
    counted_from: Option<CountedFrom>,
    snapshots: Schedule,
    /// Aborted when it is dropped.
    striker: JoinSet<()>,
    ttl: TtlSweeper,
    servers: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

impl Stack {
    /// Starts everything and returns once requests are answered.
    pub async fn start(config: StackConfig) -> anyhow::Result<Self> {
        // Every function would fail on it, one by one.
        config.time_zone.parse::<domain::Calendar>()?;
        let (stop, _) = watch::channel(false);
        let mut servers = Vec::new();
        let place = |name: &str| config.data_dir.as_ref().map(|directory| directory.join(name));

        // The endpoint is there before any function is, which would otherwise find no one.
        let (aws_listener, aws_url) = bind(config.aws_port).await?;
        let dynamodb = DynamoDb::open(place("dynamodb").as_deref())?;
        let sqs = Sqs::new(aws_url.clone(), place("sqs"))?;
        let queues = create_queues(&sqs, config.visibility_timeout)?;
        servers.push(tokio::spawn({
            let (dynamodb, sqs, stop) = (dynamodb.clone(), sqs.clone(), stopped(&stop));
            let faults = config.faults.clone();
            async move {
                let served = endpoint::serve_with_faults(aws_listener, dynamodb, sqs, faults, stop);
                if let Err(error) = served.await {
                    tracing::error!(%error, "the AWS endpoint failed");
                }
            }
        }));
        let tables = TableNames::prefixed("podium");
        create_tables(&dynamodb_client(&aws_url), &tables).await?;

        let lambda = Lambda::start(functions(&config, &aws_url, &tables, &queues))?;
        let function = |name: &str| {
            lambda
                .function(name)
                .with_context(|| format!("there is no function {name}"))
        };
        let counted_from = if config.coupled {
            None
        } else {
            let checkpoint = place("pipe.json");
            Some(CountedFrom {
                pipe: start_pipe(&dynamodb, &tables, &queues, checkpoint, config.faults.clone())?,
                queue: start_aggregation(&config, &queues, function("aggregator")?)?,
            })
        };
        let striker = start_striker(&config.faults, &queues.main, counted_from.as_ref(), &tables);
        let snapshots = Schedule::start(config.snapshot_every, {
            let invoke = invoker(function("snapshot")?);
            move || {
                let invocation = invoke(Bytes::from_static(b"{}"));
                async { invocation.await.map(drop) }
            }
        });

        let (web_listener, web_url) = bind(config.port).await?;
        let ingest = function(if config.coupled { "coupled" } else { "ingest" })?;
        let router = web::router(ingest, function("serve")?);
        servers.push(tokio::spawn({
            let stop = stopped(&stop);
            async move {
                let served = axum::serve(without_delay(web_listener), router)
                    .with_graceful_shutdown(stop)
                    .await;
                if let Err(error) = served {
                    tracing::error!(%error, "the web origin failed");
                }
            }
        }));
        Ok(Self {
            web_url,
            aws_url,
            tables,
            ttl: dynamodb.start_ttl_sweeper(TTL_SWEEP_EVERY),
            dynamodb,
            lambda,
            queue: queues.main,
            dead_letter_queue: queues.dead_letters,
            counted_from,
            snapshots,
            striker,
            servers,
            stop,
        })
    }

    /// The pipe from the facts to the queue. A coupled stack has none, and must not be asked.
    pub fn pipe(&self) -> &Pipe {
        &self.counted_from().pipe
    }

    /// What has the messages of the queue counted. A coupled stack has none, and must not be asked.
    pub fn aggregation(&self) -> &EventSource {
        &self.counted_from().queue
    }

    fn counted_from(&self) -> &CountedFrom {
        let counted_from = self.counted_from.as_ref();
        counted_from.expect("in a coupled stack nothing is counted behind ingestion")
    }

    /// Stops from the front to the back, so that what is under way is kept, and leaves no process.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.striker.shutdown().await;
        self.stop.send_replace(true);
        self.snapshots.stop(STOP_GRACE).await;
        let mut pipe = Ok(());
        if let Some(counted_from) = self.counted_from {
            counted_from.queue.stop(STOP_GRACE).await;
            pipe = counted_from.pipe.stop().await;
        }
        self.lambda.stop().await;
        self.ttl.stop().await;
        for server in self.servers {
            // A connection that a client keeps open must not hold up the end.
            if tokio::time::timeout(STOP_GRACE, server).await.is_err() {
                tracing::debug!("a connection was still open");
            }
        }
        pipe
    }
}

struct Queues {
    main: Queue,
    dead_letters: Queue,
    pipe_dead_letters: Queue,
}

fn create_queues(sqs: &Sqs, visibility_timeout: Duration) -> anyhow::Result<Queues> {
    let kept = QueueAttributes {
        message_retention: settings::MESSAGE_RETENTION,
        ..QueueAttributes::default()
    };
    let dead_letters = sqs.create_queue("podium-activities-dlq", kept.clone())?;
    let pipe_dead_letters = sqs.create_queue("podium-pipe-dlq", kept.clone())?;
    let main = sqs.create_queue(
        "podium-activities",
        QueueAttributes {
            visibility_timeout,
            redrive: Some(Redrive {
                dead_letter_queue: dead_letters.name().clone(),
                max_receive_count: settings::MAX_RECEIVES,
            }),
            ..kept
        },
    )?;
    Ok(Queues {
        main,
        dead_letters,
        pipe_dead_letters,
    })
}

fn start_pipe(
    dynamodb: &DynamoDb,
    tables: &TableNames,
    queues: &Queues,
    checkpoint: Option<PathBuf>,
    faults: Faults,
) -> anyhow::Result<Pipe> {
    let config = PipeConfig {
        name: "podium".to_owned(),
        batch_size: settings::PIPE_BATCH_SIZE,
        filter: Some(settings::PIPE_FILTER.parse()?),
        maximum_retry_attempts: Some(settings::PIPE_MAX_RETRIES),
        maximum_record_age: Some(settings::PIPE_MAX_RECORD_AGE),
        checkpoint,
    };
    let (target, dead_letters) = (queues.main.clone(), queues.pipe_dead_letters.clone());
    let send = move |bodies: Vec<String>| {
        let delay = delivery_delay(&faults);
        let message = |body| NewMessage {
            delay,
            ..NewMessage::new(body)
        };
        let sent = target.send_batch(bodies.into_iter().map(message).collect());
        let failures = sent.into_iter().enumerate().filter_map(|(index, sent)| {
            let reason = sent.err()?.to_string();
            Some(SendFailure { index, reason })
        });
        std::future::ready(Ok(failures.collect()))
    };
    let dead_letter = move |letter: crate::pipe::DeadLetter| {
        let mut taken = dead_letters.send_batch(vec![NewMessage::new(letter.document().to_string())]);
        std::future::ready(taken.remove(0).map(drop).map_err(anyhow::Error::from))
    };
    let source = TableStream::new(dynamodb.clone(), &tables.activities);
    Pipe::start(source, config, send, dead_letter)
}

fn start_aggregation(
    config: &StackConfig,
    queues: &Queues,
    aggregator: Function,
) -> anyhow::Result<EventSource> {
    let mapping = EventSourceMapping {
        queue: queues.main.clone(),
        batch_size: config.batching.batch_size(),
        batching_window: config.batching.window(),
        maximum_concurrency: settings::AGGREGATOR.concurrency,
        faults: config.faults.clone(),
    };
    Ok(mapping.start(invoker(aggregator))?)
}

/// How late a batch of messages is to be delivered.
fn delivery_delay(faults: &Faults) -> Option<Duration> {
    let mut draw = faults.draw(Fault::DeliverLate)?;
    faults.count(Fault::DeliverLate);
    Some(draw.within(LATE))
}

fn start_striker(
    faults: &Faults,
    queue: &Queue,
    counted_from: Option<&CountedFrom>,
    tables: &TableNames,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    if let Some(CountedFrom { pipe, .. }) = counted_from.filter(|_| !faults.are_none()) {
        let striker = Striker {
            faults: faults.clone(),
            queue: queue.clone(),
            pipe: pipe.restarter(),
            tables: tables.clone(),
        };
        tasks.spawn(striker.run());
    }
    tasks
}

/// What the functions read from their environments.
const INGEST_READS: &[&str] = &["ACTIVITIES_TABLE", "SCORING_POLICY", "MAX_ACTIVITY_AGE_DAYS"];
const COUNTING_READS: &[&str] = &[
    "DEDUP_TABLE",
    "STANDINGS_TABLE",
    "STANDING_SHARDS",
    "MARKER_LIFETIME_DAYS",
    "TIME_ZONE",
    "SCORING_POLICY",
];
const QUEUES_READS: &[&str] = &["QUEUE_URL", "DEAD_LETTER_QUEUE_URL"];
const SNAPSHOT_READS: &[&str] = &[
    "ACTIVITIES_TABLE",
    "STANDINGS_TABLE",
    "STANDING_SHARDS",
    "SNAPSHOTS_TABLE",
    "TIME_ZONE",
    "LISTED_USERS",
    "QUEUE_URL",
    "DEAD_LETTER_QUEUE_URL",
];
const SERVE_READS: &[&str] = &[
    "SNAPSHOTS_TABLE",
    "STANDINGS_TABLE",
    "STANDING_SHARDS",
    "TIME_ZONE",
    "SNAPSHOT_EVERY_SECONDS",
    "STALE_AGE_SECONDS",
    "STALE_LAG_SECONDS",
    "STALE_BACKLOG",
    "ALLOWED_ORIGIN",
];

fn functions(
    config: &StackConfig,
    aws_url: &str,
    tables: &TableNames,
    queues: &Queues,
) -> Vec<FunctionConfig> {
    let stale_age = config.snapshot_every * settings::STALE_AFTER_SNAPSHOTS;
    let variables = [
        ("AWS_ENDPOINT_URL", aws_url.to_owned()),
        ("ENVIRONMENT", "local".to_owned()),
        ("ACTIVITIES_TABLE", tables.activities.clone()),
        ("DEDUP_TABLE", tables.dedup.clone()),
        ("STANDINGS_TABLE", tables.standings.clone()),
        ("SNAPSHOTS_TABLE", tables.snapshots.clone()),
        ("QUEUE_URL", queues.main.url()),
        ("DEAD_LETTER_QUEUE_URL", queues.dead_letters.url()),
        ("SCORING_POLICY", settings::SCORING_POLICY.to_owned()),
        ("MAX_ACTIVITY_AGE_DAYS", config.max_activity_age.clone()),
        ("TIME_ZONE", config.time_zone.clone()),
        ("STANDING_SHARDS", settings::STANDING_SHARDS.to_string()),
        ("MARKER_LIFETIME_DAYS", settings::MARKER_LIFETIME_DAYS.to_string()),
        ("LISTED_USERS", settings::LISTED_USERS.to_string()),
        (
            "SNAPSHOT_EVERY_SECONDS",
            config.snapshot_every.as_secs().max(1).to_string(),
        ),
        ("STALE_AGE_SECONDS", stale_age.as_secs().max(3).to_string()),
        ("STALE_LAG_SECONDS", settings::STALE_LAG.as_secs().to_string()),
        ("STALE_BACKLOG", settings::STALE_BACKLOG.to_string()),
        ("ALLOWED_ORIGIN", "*".to_owned()),
    ];
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
            faults: config.faults.clone(),
            memory_mb: settings.memory_mb,
            log_file: Some(config.log_dir.join(format!("{name}.log"))),
            slot_wait: SLOT_WAIT,
            ..FunctionConfig::new(name, binary(&config.bin_dir, name))
        }
    };
    let mut functions = if config.coupled {
        let reads = [INGEST_READS, COUNTING_READS].concat();
        vec![function("coupled", settings::INGEST, &reads)]
    } else {
        let reads = [COUNTING_READS, QUEUES_READS].concat();
        vec![
            function("ingest", settings::INGEST, INGEST_READS),
            function("aggregator", settings::AGGREGATOR, &reads),
        ]
    };
    functions.push(function("snapshot", settings::SNAPSHOT, SNAPSHOT_READS));
    functions.push(function("serve", settings::SERVE, SERVE_READS));
    functions
}

fn binary(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

fn invoker(
    function: Function,
) -> impl Fn(Bytes) -> futures::future::BoxFuture<'static, Result<Bytes, crate::lambda::InvokeError>> + Clone
{
    move |payload| {
        let function = function.clone();
        Box::pin(async move { function.invoke(payload).await })
    }
}

/// A client of the stack's own endpoint.
pub fn dynamodb_client(aws_url: &str) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(&sdk_config(aws_url))
}

/// What an SDK needs to reach the stack's own endpoint, which asks for no particular credentials.
pub fn sdk_config(aws_url: &str) -> aws_types::SdkConfig {
    let credentials = Credentials::new("local", "local", None, None, "local");
    store::aws::config(REGION.to_owned(), credentials, Some(aws_url.to_owned()))
}

async fn bind(port: u16) -> anyhow::Result<(TcpListener, String)> {
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .with_context(|| format!("taking the port {port} of this machine; is another stack running?"))?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}

fn without_delay(listener: TcpListener) -> impl axum::serve::Listener<Addr = std::net::SocketAddr> {
    // Answers are small and written at once; waiting to fill a packet costs 40 ms each.
    listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps Nagle's delay");
        }
    })
}

fn stopped(stop: &watch::Sender<bool>) -> impl Future<Output = ()> + Send + 'static {
    let mut stop = stop.subscribe();
    async move { drop(stop.wait_for(|&stop| stop).await) }
}
