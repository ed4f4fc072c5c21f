//! Estimates what a deployment costs a month, stage by stage.
//!
//! The estimate combines units that `podium bench` measures with AWS's list prices. It leaves out the free
//! tier and taxes. A second sum bounds what a client without login can cost on purpose.

use std::fmt::Write as _;
use std::process::ExitCode;

use domain::closed;
use local::settings;
use operate::price;
use store::heartbeats::Lane;
use terminal::text::grouped;

pub const HELP: &str = "\
Assumptions: Activities are spread evenly over the day and posted one by one, with ids of 36 characters and
without metadata. Each user is in one of the programs, of which at most 500 have a board, and opens the
dashboard five times a day, with five requests each, of which the caches of ten of CloudFront's locations
answer some. Readers are public, and posts are signed. Batching is `thrifty`. Above a million activities a day,
functions are not traced. Where there are quests, they match one activity in ten, and each visit also reads how
far its user is, from the activities of 90 days. A webhook is told of three coins for ten matches. During a
migration, the bridge carries each activity over or back. On AWS, a function mostly waits for DynamoDB, so its
duration is an estimate: 10 ms for a POST, 30 ms for a batch, 5 ms for a read and 300 ms for a call of a
webhook. Read and write units come from measurements. A pipe reads each shard of its stream four times a
second, as Lambda does; AWS documents neither its rate nor that its reads are free, as Lambda's are.
Prices are those of us-east-1 on arm64, without the free tier, as of November 2026.";

const DAYS: f64 = 30.0;
const SECONDS_A_DAY: f64 = 86_400.0;

/// To count an activity: a standing, and every nine activities a block of one to three units. Measured by
/// `podium bench`.
const COUNTING_WRITE_UNITS: f64 = 1.15;
/// The standing, read eventually consistently.
const COUNTING_READ_UNITS: f64 = 0.5;
/// The generations, which every invocation of the aggregator reads.
const READ_UNITS_A_BATCH: f64 = 1.0;
/// Lambda begins with five pollers of the queue, each with its own batch.
const POLLERS: f64 = 5.0;
const BATCH_MAX: f64 = 500.0;
const BATCHING_WINDOW_SECONDS: f64 = 1.0;
/// SQS accepts and delivers ten messages in one request.
const MESSAGES_A_REQUEST: f64 = 10.0;

/// A standing of 240 bytes, with six keys, read consistently at a unit for 4 KB. Measured by `podium bench`.
const READ_UNITS_A_STANDING: f64 = 240.0 / 4096.0;
/// The head before the one that is published.
const READ_UNITS_A_HEAD: f64 = 1.0;
/// The facts of a board's first ten users: each is read twenty times a day, at half a unit for 4 KB, and has
/// 1,000 facts.
const FACT_UNITS_OF_A_BOARD_A_DAY: f64 = 10.0 * 20.0 * 1_000.0 * FACT_BYTES / 8192.0;
const WINDOWS: f64 = 4.0;
/// A head, and its predecessor for clients that are paging.
const UNITS_A_HEAD: f64 = 3.0;
/// Measured with realistic ids. The similar ids of `podium bench` compress to less than half of it.
const UNITS_A_PAGE: f64 = 6.0;
const ROWS_A_PAGE: f64 = 500.0;
const LISTED: f64 = 10_000.0;
/// All users of a board are in its all-time window; 60, 30 and 8 of 100 are in the others.
const WINDOWS_OF_A_USER: f64 = 1.98;
/// A user whose rank changes affects the pages between the old rank and the new one, in each window and
/// board: 38 pages for 7 users in `podium bench`.
const PAGES_A_CHANGE: f64 = 5.4;
/// Days, weeks and months that end in a month. The board of each is made when it ends, then hourly as far as it changed,
/// and when it is closed: mostly a head and a page.
const PERIODS_A_MONTH: f64 = 30.0 + 30.0 / 7.0 + 1.0;
const EDITIONS_OF_A_PERIOD: f64 = 26.0;
/// The history of one board, in all windows.
const HISTORY_UNITS_A_DAY: f64 = 290.0;

/// A profile of 90 bytes with an id of 36 characters, a name and a team, read with eventual consistency.
const READ_UNITS_A_PERSON: f64 = 110.0 / 4_096.0 / 2.0;

/// Measured by `podium bench` at 512 MB, for which AWS provides 0.29 of a CPU.
const SNAPSHOT_SECONDS_A_STANDING: f64 = 6e-6 / 0.29;

/// Of the stream: one for each partition of the table. A new table has four, and a partition holds 10 GB.
const SHARDS_MIN: f64 = 4.0;
const SHARD_BYTES: f64 = 10e9;
/// How often Lambda polls a shard. A pipe is taken to do the same.
const STREAM_READS_A_SECOND: f64 = 4.0;

/// With ids of 36 and 16 characters and without metadata, and the 100 bytes that AWS adds to each item.
const FACT_BYTES: f64 = 300.0;
/// A key in a block, with its part of the block's name.
const KEY_BYTES: f64 = 25.0;
const KEY_DAYS: f64 = 90.0;
/// The metrics that ingest writes for each request, and the 26 bytes that AWS adds to each line.
const LOG_BYTES_A_POST: f64 = 400.0;
/// Metrics by stage, alarms, and X-Ray's sampling: one request a second, and one in twenty of the rest. Larger
/// deployments are not traced by default.
const METRICS: f64 = 26.0;
const ALARMS: f64 = 34.0;
const TRACED_SHARE: f64 = 0.05;
const TRACED_ACTIVITIES_A_DAY_MAX: u64 = 1_000_000;

/// Of activities, where there are quests.
const MATCHED_SHARE: f64 = 0.1;
/// Of an activity that a quest matches: every match is written, and some are proved, for which the facts and coins of
/// the person are read. Measured by `podium bench --only rewards`, with ten matches of a user and three coins.
const REWARDS_WRITE_UNITS: f64 = 1.8;
const REWARDS_READ_UNITS: f64 = 0.8;
/// Of a user's progress, besides the facts: the freshness of coins, the quests, the coins, the notes of erasures and the
/// profile.
const PROGRESS_READ_UNITS: f64 = 4.0;
/// Of facts, read with eventual consistency.
const BYTES_A_READ_UNIT: f64 = 2.0 * 4_096.0;
/// Coins that are issued for it, as in that measurement.
const COINS_A_MATCH: f64 = 0.3;
/// Of an event: what is noted of it and of its subscription, who was erased, and the note that it was sent.
const NOTICE_READ_UNITS: f64 = 3.0;
const NOTICE_WRITE_UNITS: f64 = 1.0;
/// A call of a webhook: mostly waiting for its receiver.
const NOTICE_SECONDS: f64 = 0.3;
const NOTICES_METRICS: f64 = 7.0;
const NOTICES_ALARMS: f64 = 8.0;
const REWARDS_METRICS: f64 = 10.0;
const REWARDS_ALARMS: f64 = 10.0;
const EVENT_QUEUE_ALARMS: f64 = 3.0;
const BRIDGE_ALARMS: f64 = 5.0;

const GIGABYTE: f64 = 1e9;

/// An answer may be cached until the next snapshot, which is half a minute away on average.
const CACHED_SECONDS: f64 = 30.0;
/// Each has a cache of its own.
const EDGE_LOCATIONS: f64 = 10.0;
/// Of a board and window: its first page and its history.
const ADDRESSES_A_BOARD: f64 = 2.0;
/// Their list.
const ADDRESSES_OF_QUESTS: f64 = 1.0;

const VISITS_A_USER: f64 = 5.0;
/// Opening the dashboard requests a board, the lists of boards and of quests and a history, and later one update.
const READS_A_USER: f64 = VISITS_A_USER * 5.0;
/// A head, read consistently. An instance keeps the pages, and reads one in twenty anew. Measured by `podium bench`.
const UNITS_A_READ: f64 = 1.05;
/// Two neighbouring pages of the longest ids and a profile besides, as a client that avoids what is kept would make it.
const UNITS_A_READ_MAX: f64 = 7.5;
const INGEST_SECONDS: f64 = 0.010;
const AGGREGATOR_SECONDS: f64 = 0.030;
const SERVE_SECONDS: f64 = 0.005;
/// Memory of ingest, aggregator and serve by default.
const MEMORY_GB: f64 = 0.25;
/// The mean of those five answers, compressed: 2.2, 0.4, 0.1, 1.2 and 2.2 KB for a board of a thousand users with ids
/// of 14 characters, without quests, and the headers, of which AWS adds half.
const ANSWER_BYTES: f64 = 1_700.0;

/// Lambda's limit for a function URL, for each reserved execution.
const REQUESTS_A_SECOND: f64 = 10.0;
const HOUR_SECONDS: f64 = 3_600.0;
/// The largest answer: a thousand rows with ids of 128 characters, for a client that refuses compression.
const ANSWER_BYTES_MAX: f64 = 199_000.0;

/// Activities a day and users, if the options give none.
const SIZES: [(u64, u64); 3] = [(10_000, 5_000), (100_000, 50_000), (10_000_000, 1_000_000)];

#[derive(clap::Args)]
pub struct Args {
    /// Activities a day [default: show three sizes]
    #[arg(long, requires = "users", value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    activities_per_day: Option<u64>,
    /// Users on the boards
    #[arg(long, requires = "activities_per_day", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    users: Option<u64>,
    /// Minutes between two snapshots
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=60))]
    snapshot_every_minutes: u32,
    /// Executions reserved for serve, which bound what a client without login can cost
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    serve_concurrency: u32,
    /// Programs; at most 500 have a board
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    programs: u32,
    /// Teams, each user in one of them; at most 500 have a board
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    teams: u32,
}

/// The load of a deployment.
#[derive(Clone, Copy, Debug)]
struct Volume {
    activities_a_day: u64,
    users: u64,
    programs: u32,
    teams: u32,
    snapshot_every_minutes: u32,
}

pub fn run(args: &Args) -> ExitCode {
    let sizes = match (args.activities_per_day, args.users) {
        (Some(activities), Some(users)) => vec![(activities, users)],
        _ => SIZES.to_vec(),
    };
    let volumes = volumes(&sizes, args.programs, args.teams, args.snapshot_every_minutes);
    print!("{}", table(&volumes));
    print!("\n{}", paces_table(&volumes));
    print!("\n{}", access_table(&volumes));
    print!("\n{}", anonymous_table(args.serve_concurrency));
    println!("\n{HELP}");
    ExitCode::SUCCESS
}

fn volumes(sizes: &[(u64, u64)], programs: u32, teams: u32, snapshot_every_minutes: u32) -> Vec<Volume> {
    let volume = |&(activities_a_day, users)| Volume {
        activities_a_day,
        users,
        programs,
        teams,
        snapshot_every_minutes,
    };
    sizes.iter().map(volume).collect()
}

const SNAPSHOT: &str = "snapshot";
/// Minutes between two snapshots.
const PACES_MINUTES: [u32; 5] = [1, 2, 5, 15, 60];

/// US dollars a month by stage, in the order of the pipeline.
fn stages(volume: Volume) -> [(&'static str, f64); 9] {
    #[expect(clippy::cast_precision_loss, reason = "both are far below 2^53")]
    let (a_day, users) = (volume.activities_a_day as f64, volume.users as f64);
    let activities = a_day * DAYS;
    let uncached = uncached_reads(volume);

    let Queued {
        batches,
        sent,
        received,
    } = queued(volume);
    let snapshots = snapshots(volume);
    let programs = f64::from(volume.programs);
    let program_boards = f64::from(volume.programs.min(settings::PROGRAM_BOARDS));
    let team_boards = f64::from(volume.teams.min(settings::TEAM_BOARDS));
    let boards = boards(volume);
    let rows = users.min(LISTED)
        + program_boards * (users / programs).min(LISTED)
        + team_boards * (users / f64::from(volume.teams.max(1))).min(LISTED);
    let pages = rows / ROWS_A_PAGE * WINDOWS_OF_A_USER;
    let changed_pages = pages.min(activities / snapshots * PAGES_A_CHANGE);
    // Each is sent, looked for and counted.
    let heartbeats = snapshots * f64::from(Lane::COUNT);
    let written = snapshots * (boards * WINDOWS * UNITS_A_HEAD + changed_pages * UNITS_A_PAGE)
        + DAYS * HISTORY_UNITS_A_DAY * boards
        + PERIODS_A_MONTH * EDITIONS_OF_A_PERIOD * (1.0 + UNITS_A_PAGE) * boards
        + heartbeats * 2.0;
    let read = users * READ_UNITS_A_STANDING + boards * WINDOWS * READ_UNITS_A_HEAD;
    let read = snapshots * read + DAYS * FACT_UNITS_OF_A_BOARD_A_DAY * boards + heartbeats;
    let snapshot_seconds = 0.2 + users * SNAPSHOT_SECONDS_A_STANDING;

    let invocations = activities + batches + snapshots + uncached;
    let traced = invocations * TRACED_SHARE + 4.0 * DAYS * SECONDS_A_DAY;
    let traced = if volume.activities_a_day > TRACED_ACTIVITIES_A_DAY_MAX {
        0.0
    } else {
        traced.min(invocations)
    };
    let fact_bytes = fact_bytes(volume);
    [
        (
            "ingest",
            function(activities, INGEST_SECONDS, MEMORY_GB) + activities * price::WRITE_UNIT,
        ),
        (
            "stream and pipe",
            stream_reads(fact_bytes) * price::STREAM_READ + (activities + heartbeats) * price::PIPE_REQUEST,
        ),
        // Each message is sent, received and deleted.
        ("queue", (sent + 2.0 * received) * price::QUEUE_REQUEST),
        (
            "aggregator",
            function(batches, AGGREGATOR_SECONDS, MEMORY_GB)
                + activities * COUNTING_WRITE_UNITS * price::WRITE_UNIT
                + (activities * COUNTING_READ_UNITS + batches * READ_UNITS_A_BATCH) * price::READ_UNIT,
        ),
        (
            SNAPSHOT,
            function(snapshots, snapshot_seconds, 0.5)
                + snapshots * price::SCHEDULED
                + read * price::READ_UNIT
                + written * price::WRITE_UNIT,
        ),
        ("serve", serve(uncached)),
        ("edge", edge(reads(volume))),
        (
            "storage, after 90 days",
            (fact_bytes / GIGABYTE) * (price::TABLE_GB_MONTH + price::RESTORABLE_GB_MONTH)
                + a_day * KEY_DAYS * KEY_BYTES / GIGABYTE * price::TABLE_GB_MONTH,
        ),
        (
            "metrics, logs, traces",
            METRICS * price::METRIC
                + ALARMS * price::ALARM
                + price::COMPOSITE_ALARM
                + price::DASHBOARD
                + activities * LOG_BYTES_A_POST / GIGABYTE * price::LOG_GB
                + traced * price::TRACE,
        ),
    ]
}

/// What becomes of the messages of a month.
struct Queued {
    batches: f64,
    /// Requests that send messages, and that receive some.
    sent: f64,
    received: f64,
}

fn queued(volume: Volume) -> Queued {
    let activities = posts(volume);
    let a_window = activities / DAYS / SECONDS_A_DAY * BATCHING_WINDOW_SECONDS;
    let batch = (a_window / POLLERS).clamp(1.0, BATCH_MAX);
    Queued {
        batches: activities / batch,
        sent: activities / a_window.clamp(1.0, MESSAGES_A_REQUEST),
        received: activities / batch.min(MESSAGES_A_REQUEST),
    }
}

/// Of all facts, after 90 days.
fn fact_bytes(volume: Volume) -> f64 {
    posts(volume) / DAYS * KEY_DAYS * FACT_BYTES
}

/// Of the pipe of a table with so many bytes, a month.
fn stream_reads(bytes: f64) -> f64 {
    let shards = (bytes / SHARD_BYTES).ceil().max(SHARDS_MIN);
    shards * STREAM_READS_A_SECOND * DAYS * SECONDS_A_DAY
}

/// Another pipe from the stream, and the topic to which it sends all facts and heartbeats.
fn facts_topic(volume: Volume) -> f64 {
    stream_reads(fact_bytes(volume)) * price::STREAM_READ
        + streamed(volume) * (price::PIPE_REQUEST + price::PUBLISHED)
}

/// A queue of that topic, which sends each message by itself.
fn facts_queue(volume: Volume) -> f64 {
    (streamed(volume) + 2.0 * queued(volume).received) * price::QUEUE_REQUEST
}

/// The facts and heartbeats of a month.
fn streamed(volume: Volume) -> f64 {
    posts(volume) + snapshots(volume) * f64::from(Lane::COUNT)
}

/// What quests cost: the topic of facts, a queue, a function that looks at every activity, and what users read of their
/// own progress.
fn rewards(volume: Volume) -> f64 {
    let Queued { batches, .. } = queued(volume);
    let matched = posts(volume) * MATCHED_SHARE;
    facts_topic(volume)
        + facts_queue(volume)
        + function(batches, AGGREGATOR_SECONDS, MEMORY_GB)
        + matched * REWARDS_WRITE_UNITS * price::WRITE_UNIT
        + (matched * REWARDS_READ_UNITS + batches * READ_UNITS_A_BATCH) * price::READ_UNIT
        + progress(volume)
        + REWARDS_METRICS * price::METRIC
        + REWARDS_ALARMS * price::ALARM
}

/// What the queue of events costs, if all activities come by it. `EventBridge` sends each event by itself, and a rule costs
/// nothing; whoever puts an event on the bus pays for that.
fn event_queue(volume: Volume) -> f64 {
    (posts(volume) + 2.0 * queued(volume).received) * price::QUEUE_REQUEST + EVENT_QUEUE_ALARMS * price::ALARM
}

/// What a migration costs with a bridge that carries each activity over or back: the queue of events, the topic of facts, a
/// queue, a function that reads the other system's stream and that queue, and writes of the other system's table.
fn migration(volume: Volume) -> f64 {
    event_queue(volume)
        + facts_topic(volume)
        + facts_queue(volume)
        + function(2.0 * queued(volume).batches, AGGREGATOR_SECONDS, MEMORY_GB)
        + posts(volume) * price::WRITE_UNIT
        + BRIDGE_ALARMS * price::ALARM
}

/// What a webhook costs: a pipe from the stream of coins, a topic, a queue and a function that calls it for each coin.
fn webhook(volume: Volume) -> f64 {
    let events = posts(volume) * MATCHED_SHARE * COINS_A_MATCH;
    // The coins of 90 days, each as large as a few facts.
    let coin_bytes = fact_bytes(volume) * MATCHED_SHARE;
    stream_reads(coin_bytes) * price::STREAM_READ
        + events * (price::PIPE_REQUEST + price::PUBLISHED + 3.0 * price::QUEUE_REQUEST)
        + events * (NOTICE_READ_UNITS * price::READ_UNIT + NOTICE_WRITE_UNITS * price::WRITE_UNIT)
        + function(events, NOTICE_SECONDS, MEMORY_GB)
        + price::SECRET
        + NOTICES_METRICS * price::METRIC
        + NOTICES_ALARMS * price::ALARM
}

/// What users read of their own progress, once a visit. Nobody else asks for it, so no cache has it.
fn progress(volume: Volume) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let users = volume.users as f64;
    let visits = users * VISITS_A_USER * DAYS;
    let units = PROGRESS_READ_UNITS + fact_bytes(volume) / users / BYTES_A_READ_UNIT;
    edge(visits) + function(visits, SERVE_SECONDS, MEMORY_GB) + visits * units * price::READ_UNIT
}

fn function(invocations: f64, seconds: f64, memory_gb: f64) -> f64 {
    invocations * (price::INVOCATION + seconds * memory_gb * price::GB_SECOND)
}

/// Activities a month, each posted by itself.
fn posts(volume: Volume) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let a_day = volume.activities_a_day as f64;
    a_day * DAYS
}

/// The boards that a snapshot publishes. That of teams is one more if there are any.
fn boards(volume: Volume) -> f64 {
    let of_teams = volume.teams.min(settings::TEAM_BOARDS) + u32::from(volume.teams > 0);
    f64::from(1 + volume.programs.min(settings::PROGRAM_BOARDS) + of_teams)
}

/// Snapshots a month.
fn snapshots(volume: Volume) -> f64 {
    DAYS * SECONDS_A_DAY / 60.0 / f64::from(volume.snapshot_every_minutes)
}

/// Requests of readers a month.
fn reads(volume: Volume) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let users = volume.users as f64;
    users * READS_A_USER * DAYS
}

/// Those that the edge does not answer from its caches. In each location, an address is asked for at serve again
/// when its answer has expired and someone wants it.
fn uncached_reads(volume: Volume) -> f64 {
    let addresses = boards(volume) * WINDOWS * ADDRESSES_A_BOARD + WINDOWS + ADDRESSES_OF_QUESTS;
    let reads = reads(volume);
    let a_second = reads / DAYS / SECONDS_A_DAY / addresses / EDGE_LOCATIONS;
    reads / (1.0 + a_second * CACHED_SECONDS)
}

fn serve(reads: f64) -> f64 {
    function(reads, SERVE_SECONDS, MEMORY_GB) + reads * UNITS_A_READ * price::READ_UNIT
}

fn edge(reads: f64) -> f64 {
    reads * (price::EDGE_REQUEST + ANSWER_BYTES / GIGABYTE * price::EDGE_GB)
}

/// Edge and serve, whose answers the edge keeps.
fn public_readers(volume: Volume) -> f64 {
    edge(reads(volume)) + serve(uncached_reads(volume))
}

/// What readers cost, by who may read, and what posts with a token cost more than signed ones.
fn access_table(volumes: &[Volume]) -> String {
    type Dollars = fn(Volume) -> f64;
    let users = volumes.iter().map(|volume| grouped(volume.users));
    let mut text = format!(
        "US dollars a month by who may do what: edge and serve for readers, whose answers are cached where they are\n\
         public, and the HTTP API, which takes tokens. Signed posts do without it.\n{}",
        line("users", users)
    );
    let rows: [(&str, Dollars); 4] = [
        ("public readers", public_readers),
        ("  saved by caching", |volume| {
            serve(reads(volume)) - serve(uncached_reads(volume))
        }),
        ("readers who log in", |volume| {
            edge(reads(volume)) + serve(reads(volume)) + reads(volume) * price::API_REQUEST
        }),
        ("posts with a token", |volume| {
            posts(volume) * (price::API_REQUEST + price::EDGE_REQUEST)
        }),
    ];
    for (name, dollars) in rows {
        let cells = volumes.iter().map(|volume| format!("{:.2}", dollars(*volume)));
        text.push_str(&line(name, cells));
    }
    text
}

/// The most that clients without login can make functions and tables cost, in US dollars an hour by item, and their requests an hour. They can
/// only read: AWS refuses unsigned posts without charge. A URL takes a limited number of requests for each
/// execution that serve has reserved.
fn anonymous(serve_concurrency: u32) -> (f64, [(&'static str, f64); 4]) {
    let executions = f64::from(serve_concurrency);
    let requests = executions * REQUESTS_A_SECOND * HOUR_SECONDS;
    let items = [
        (
            "edge",
            requests * (ANSWER_BYTES_MAX / GIGABYTE * price::EDGE_GB + price::EDGE_REQUEST),
        ),
        (
            "requests and functions",
            requests * price::INVOCATION + executions * HOUR_SECONDS * MEMORY_GB * price::GB_SECOND,
        ),
        (
            "tables",
            (requests * UNITS_A_READ_MAX + executions * HOUR_SECONDS * closed::READ_UNITS_A_SECOND)
                * price::READ_UNIT,
        ),
        ("traces", (requests * TRACED_SHARE + HOUR_SECONDS) * price::TRACE),
    ];
    (requests, items)
}

fn anonymous_table(serve_concurrency: u32) -> String {
    let (requests, items) = anonymous(serve_concurrency);
    let mut text = format!(
        "The most that what clients without login make serve answer can cost, with function_concurrency.serve =\n\
         {serve_concurrency}. Posts need a signature or a token, and reading a thousand rows uncompressed costs the most. What\n\
         CloudFront answers from its caches has no such limit: see waf and volume_alarms.\n{:<24}{requests:>12}\n",
        "requests an hour"
    );
    let sum = (
        "US dollars an hour",
        items.iter().map(|(_, dollars)| dollars).sum(),
    );
    for (name, dollars) in items.iter().chain([&sum]) {
        let _infallible = writeln!(text, "{name:<24}{dollars:>12.2}");
    }
    text
}

/// A line of a table.
fn line(name: &str, cells: impl IntoIterator<Item = String>) -> String {
    let mut line = format!("{name:<24}");
    for cell in cells {
        let _infallible = write!(line, "{cell:>12}");
    }
    line.push('\n');
    line
}

/// What the snapshot costs at each pace; a column for each volume.
fn paces_table(volumes: &[Volume]) -> String {
    let users = volumes.iter().map(|volume| grouped(volume.users));
    let mut text = format!(
        "US dollars a month of the snapshot, by how often it runs. A million users take about 20 s at 512 MB.\n{}",
        line("users", users)
    );
    for minutes in PACES_MINUTES {
        let dollars = volumes.iter().map(|volume| {
            let stages = stages(Volume {
                snapshot_every_minutes: minutes,
                ..*volume
            });
            let snapshot = stages.iter().find(|(stage, _)| *stage == SNAPSHOT);
            format!("{:.2}", snapshot.map_or(0.0, |(_, dollars)| *dollars))
        });
        let name = match minutes {
            1 => "every minute".to_owned(),
            minutes => format!("every {minutes} minutes"),
        };
        text.push_str(&line(&name, dollars));
    }
    text
}

/// A column for each volume.
fn table(volumes: &[Volume]) -> String {
    let mut text = String::new();
    let mut line = |name: &str, cells: Vec<String>| text.push_str(&line(name, cells));
    let each = |value: fn(&Volume) -> u64| volumes.iter().map(|volume| grouped(value(volume))).collect();
    line("activities a day", each(|volume| volume.activities_a_day));
    line("users", each(|volume| volume.users));
    line("programs", each(|volume| volume.programs.into()));
    let columns: Vec<_> = volumes.iter().map(|volume| stages(*volume)).collect();
    for (row, (name, _)) in stages(volumes[0]).iter().enumerate() {
        let dollars = columns.iter().map(|column| format!("{:.2}", column[row].1));
        line(name, dollars.collect());
    }
    let sum = |column: &[(&str, f64)]| column.iter().map(|(_, dollars)| dollars).sum::<f64>();
    let sums: Vec<f64> = columns.iter().map(|column| sum(column)).collect();
    line(
        "US dollars a month",
        sums.iter().map(|dollars| format!("{dollars:.2}")).collect(),
    );
    let without = sums.iter().zip(volumes).map(|(dollars, volume)| {
        let dollars = dollars - public_readers(*volume) + serve(reads(*volume));
        format!("{dollars:.2}")
    });
    line("with edge = false", without.collect());
    let named = sums.iter().zip(volumes).map(|(dollars, volume)| {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let users = volume.users as f64;
        let read = snapshots(*volume) * users * READ_UNITS_A_PERSON;
        format!("{:.2}", dollars + read * price::READ_UNIT)
    });
    line("with everyone's profile", named.collect());
    for (name, more) in [
        ("with an event bus", event_queue as fn(Volume) -> f64),
        ("with a migration", migration),
    ] {
        let all = sums.iter().zip(volumes);
        let all = all.map(|(dollars, volume)| format!("{:.2}", dollars + more(*volume)));
        line(name, all.collect());
    }
    let rewarded = sums.iter().zip(volumes);
    let rewarded = rewarded.map(|(dollars, volume)| (dollars + rewards(*volume), *volume));
    let (quests, webhooks) = rewarded
        .map(|(dollars, volume)| {
            (
                format!("{dollars:.2}"),
                format!("{:.2}", dollars + webhook(volume)),
            )
        })
        .unzip();
    line("with quests", quests);
    line("with a webhook, too", webhooks);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::path::Path;

    use domain::{BoardEntry, UserId};

    const README: &str = include_str!("../../../README.md");
    const VARIABLES: &str = include_str!("../../../terraform/variables.tf");
    /// What a client without login may cost an hour in the defaults of any environment, in US dollars.
    const ANONYMOUS_MAX: f64 = 3.0;

    /// The number that the object variable `name` in variables.tf has for serve, unless it is given.
    fn default_of(name: &str) -> u32 {
        let (_, variable) = VARIABLES
            .split_once(&format!("variable \"{name}\""))
            .unwrap_or_else(|| panic!("no variable {name}"));
        let (_, serve) = variable.split_once(" serve ").expect("a value for serve");
        let (_, default) = serve.split_once("optional(number, ").expect("a default");
        let (number, _) = default.split_once(')').expect("an end");
        number.parse().expect("a number")
    }

    #[test]
    fn in_no_environment_can_a_client_without_login_cost_more_than_three_dollars_an_hour() {
        let concurrency = default_of("function_concurrency");
        let (_, items) = anonymous(concurrency);
        let dollars: f64 = items.iter().map(|(_, dollars)| dollars).sum();
        assert!(dollars <= ANONYMOUS_MAX, "{}", anonymous_table(concurrency));
        assert!((f64::from(default_of("function_memory_mb")) / 1_024.0 - MEMORY_GB).abs() < 1e-9);

        let environments = Path::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../terraform/environments"
        ));
        let mut files = 0;
        for file in environments.read_dir().expect("the environments") {
            let path = file.expect("a file").path();
            let settings = std::fs::read_to_string(&path).expect("it can be read");
            // Without a reservation the account's quota applies, which may be a thousand. Other values of these
            // variables need a sum of their own here.
            for variable in [
                "reserve_concurrency",
                "function_concurrency",
                "function_memory_mb",
            ] {
                let is_set = settings
                    .lines()
                    .any(|line| line.trim_start().starts_with(variable));
                assert!(!is_set, "{} sets {variable}", path.display());
            }
            files += 1;
        }
        assert!(files >= 3, "{files} environments");
    }

    #[test]
    fn the_bound_is_that_of_the_default_and_of_the_largest_answer() {
        let arguments = <Args as clap::Args>::augment_args(clap::Command::new("cost"));
        let given = arguments.get_matches_from(["cost"]);
        let default = given.get_one::<u32>("serve_concurrency").copied();
        assert_eq!(default, Some(default_of("function_concurrency")));

        let row = |rank| BoardEntry {
            rank,
            user_id: "u".repeat(UserId::MAX_BYTES).parse().ok(),
            name: None,
            points: 10_000,
            activities: 1_000,
            change: Some(-1),
        };
        let rows: Vec<_> = (1..=1_000).map(row).collect();
        let bytes = serde_json::to_string(&rows).expect("JSON").len();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let share = bytes as f64 / ANSWER_BYTES_MAX;
        assert!((0.95..=1.0).contains(&share), "{bytes} bytes");
    }

    #[test]
    fn the_readme_shows_what_it_prints() {
        let volumes = volumes(&SIZES, 5, 0, 1);
        for table in [table(&volumes), paces_table(&volumes), access_table(&volumes)] {
            assert!(README.contains(&table), "README.md must contain\n{table}");
        }
    }

    #[test]
    fn rarer_snapshots_cost_less_and_nothing_else_changes() {
        let volume = Volume {
            activities_a_day: 100_000,
            users: 50_000,
            programs: 5,
            teams: 0,
            snapshot_every_minutes: 1,
        };
        let often = stages(volume);
        let seldom = stages(Volume {
            snapshot_every_minutes: 5,
            ..volume
        });
        for ((stage, often), (_, seldom)) in often.into_iter().zip(seldom) {
            match stage {
                // Each of the fewer snapshots writes as many pages or more.
                "snapshot" => assert!((2.0..5.0).contains(&(often / seldom)), "{often} {seldom}"),
                // Fewer heartbeats pass through it, and fewer snapshots are traced.
                "stream and pipe" | "metrics, logs, traces" => assert!(often > seldom, "{often} {seldom}"),
                _ => assert!((often - seldom).abs() < 1e-9, "{stage}: {often} {seldom}"),
            }
        }
    }

    #[test]
    fn programs_and_teams_cost_until_no_more_of_them_have_a_board() {
        let snapshot = |programs, teams| {
            let stages = stages(volumes(&[(100_000, 50_000)], programs, teams, 1)[0]);
            stages[4].1
        };
        // A board costs three write units and a read unit a snapshot and window, and its histories.
        for (some, more) in [
            (snapshot(400, 0), snapshot(500, 0)),
            (snapshot(5, 400), snapshot(5, 500)),
        ] {
            let a_board = (more - some) / 100.0;
            assert!((0.3..0.5).contains(&a_board), "{a_board}");
        }
        // More programs are counted, but not published.
        assert!(snapshot(100_000, 0) <= snapshot(500, 0));
        assert!(snapshot(5, 100_000) <= snapshot(5, 500));
    }
}
