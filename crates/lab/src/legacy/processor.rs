//! Counts the activities, at least once by the stream and at most once by the claims: an event whose
//! counting is interrupted after its claim is not counted again.

use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::{ExitCode, exit};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;

use super::event::Event;
use super::mishap::{Mishaps, Step, steps};
use super::stream::Stream;
use super::supervisor::{CRASHED, Supervised};
use super::tables::{self, Claim, Tables};

/// The stream sends no notifications, so it is polled.
const POLL_EVERY: Duration = Duration::from_millis(250);
/// The pause after an error, after which the batch is read again.
const ERROR_PAUSE: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    tables: tables::Prefix,
    /// The file that keeps the position in the stream
    #[arg(long, value_name = "FILE")]
    position: PathBuf,
    #[command(flatten)]
    mishaps: MishapArgs,
    #[command(flatten)]
    supervised: Supervised,
}

#[derive(Clone, Copy, clap::Args)]
pub struct MishapArgs {
    /// Determines which events are lost, split or doubled
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Let a crash or a lost answer befall one event in N [default: none]
    #[arg(long, value_name = "N")]
    pub crash_one_in: Option<NonZeroU64>,
}

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    Idle,
    Counted,
    Crashed,
}

struct Processor {
    tables: Tables,
    stream: Stream,
    mishaps: Mishaps,
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let aws = client::aws::config(None).await?;
    let tables = Tables::new(&aws, args.tables.prefix);
    let stream = Stream::open(&aws, &tables.activities(), args.position).await?;
    let mishaps = Mishaps {
        seed: args.mishaps.seed,
        one_in: args.mishaps.crash_one_in,
    };
    let mut processor = Processor {
        tables,
        stream,
        mishaps,
    };
    let processing = async {
        loop {
            match processor.round().await {
                Ok(Round::Counted) => {}
                Ok(Round::Idle) => sleep(POLL_EVERY).await,
                // At once, as when a machine fails: nothing after this point is done.
                Ok(Round::Crashed) => exit(CRASHED),
                Err(error) => {
                    eprintln!("A batch could not be processed and is read again: {error:#}");
                    sleep(ERROR_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = processing => unreachable!("it never ends"),
        () = args.supervised.parent_ended() => Ok(ExitCode::SUCCESS),
    }
}

impl Processor {
    /// Counts the next records of each shard. The position is kept only after a whole batch.
    async fn round(&mut self) -> anyhow::Result<Round> {
        let batches = self.stream.read().await?;
        if batches.is_empty() {
            return Ok(Round::Idle);
        }
        for batch in batches {
            let changes = batch.records.iter().filter_map(|record| record.dynamodb.as_ref());
            for image in changes.filter_map(|change| change.new_image.as_ref()) {
                match Event::from_image(image) {
                    Ok(event) if self.count(&event).await?.is_break() => return Ok(Round::Crashed),
                    Ok(_) => {}
                    Err(error) => eprintln!("An activity is skipped: {error:#}"),
                }
            }
            self.stream.keep(batch)?;
        }
        Ok(Round::Counted)
    }

    /// Counts an event, unless it was claimed before. Breaks off where the processor crashes.
    async fn count(&self, event: &Event) -> anyhow::Result<ControlFlow<()>> {
        if self.tables.claim(event, Timestamp::now()).await? == Claim::Former {
            return Ok(ControlFlow::Continue(()));
        }
        for step in steps(self.mishaps.of(&event.id)) {
            match step {
                Step::AddToProgress => self.tables.add_to_progress(event).await?,
                Step::AddToTotals => self.tables.add_to_totals(event).await?,
                Step::Crash => return Ok(ControlFlow::Break(())),
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap, HashSet};
    use std::path::Path;

    use aws_sdk_dynamodb::types::AttributeValue;
    use aws_types::SdkConfig;
    use local::dynamodb::DynamoDb;
    use local::sqs::Sqs;
    use tempfile::TempDir;
    use tokio::net::TcpListener;

    use super::super::event::{Activity, ActivityType};
    use super::super::mishap::Mishap;
    use super::*;

    const SEED: u64 = 7;
    const EMPLOYEES: usize = 5;
    /// More than a batch.
    const EVENTS: usize = 150;

    /// The points and completed activities of each employee.
    type Counts = BTreeMap<String, (i64, i64)>;

    async fn tables() -> (SdkConfig, Tables) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let dynamodb = DynamoDb::open(None).expect("a database");
        let sqs = Sqs::new(url.clone(), None).expect("queues");
        let aws = local::sdk_config(&url);
        tokio::spawn(local::endpoint::serve(
            listener,
            dynamodb,
            sqs,
            std::future::pending(),
        ));
        let tables = Tables::new(&aws, "edl-test".to_owned());
        tables.create_missing().await.expect("tables");
        tables.create_missing().await.expect("the same tables");
        (aws, tables)
    }

    fn points(event: usize) -> u8 {
        u8::try_from(event % 25 + 1).expect("from 1 to 25")
    }

    fn employee(event: usize) -> String {
        format!("employee-{}", event % EMPLOYEES)
    }

    fn event_id(event: usize) -> String {
        format!("event-{event}")
    }

    fn activity(event: usize) -> Activity {
        Activity {
            employee_id: employee(event),
            event_id: event_id(event),
            program_id: "wellness".to_owned(),
            kind: ActivityType::Steps,
            points: points(event).try_into().expect("points"),
            ts: Timestamp::UNIX_EPOCH,
        }
    }

    /// Runs the processor, and starts it again after each crash, until it has nothing to do.
    async fn process(aws: &SdkConfig, tables: &Tables, mishaps: Mishaps, position: &Path) -> usize {
        let mut crashes = 0;
        loop {
            let stream = Stream::open(aws, &tables.activities(), position.to_owned())
                .await
                .expect("a stream");
            let mut processor = Processor {
                tables: tables.clone(),
                stream,
                mishaps,
            };
            loop {
                match processor.round().await.expect("the tables answer") {
                    Round::Counted => {}
                    Round::Idle => return crashes,
                    Round::Crashed => break,
                }
            }
            crashes += 1;
            assert!(
                crashes <= EVENTS,
                "an event crashes the processor again and again"
            );
        }
    }

    /// What the table to which this step adds should have.
    fn expected(mishaps: Mishaps, step: Step) -> Counts {
        let mut counts = Counts::new();
        for event in 0..EVENTS {
            let made = steps(mishaps.of(&event_id(event))).iter();
            for _ in made.filter(|made| **made == step) {
                let (points_sum, completed) = counts.entry(employee(event)).or_default();
                *points_sum += i64::from(points(event));
                *completed += 1;
            }
        }
        counts
    }

    async fn progress(aws: &SdkConfig) -> Counts {
        let scan = aws_sdk_dynamodb::Client::new(aws).scan();
        let scanned = scan.table_name("edl-test-ProgramProgress").send().await;
        let items = scanned.expect("progress").items.unwrap_or_default();
        let count = |item: HashMap<String, AttributeValue>| {
            let number = |name: &str| item[name].as_n().expect("a number").parse().expect("a number");
            let employee = item["employee_id"].as_s().expect("an id").clone();
            (employee, (number("points_in_program"), number("completed_count")))
        };
        items.into_iter().map(count).collect()
    }

    async fn totals(tables: &Tables) -> Counts {
        let totals = tables.totals().await.expect("totals").into_iter();
        let totals = totals.map(|totals| (totals.employee_id, (totals.total_points, totals.total_completed)));
        totals.collect()
    }

    /// Whatever happens is what the mishaps say, also if activities come again.
    async fn check(mishaps: Mishaps, crashes: usize) {
        let (aws, tables) = tables().await;
        for event in (0..EVENTS).chain(0..EVENTS) {
            tables.put_activity(&activity(event)).await.expect("it is put");
        }
        let directory = TempDir::new().expect("a directory");
        let position = directory.path().join("position");
        assert_eq!(process(&aws, &tables, mishaps, &position).await, crashes);
        std::fs::remove_file(&position).expect("a position");
        assert_eq!(process(&aws, &tables, mishaps, &position).await, 0);
        assert_eq!(progress(&aws).await, expected(mishaps, Step::AddToProgress));
        assert_eq!(totals(&tables).await, expected(mishaps, Step::AddToTotals));
    }

    #[tokio::test]
    async fn without_crashes_each_event_counts_once() {
        let mishaps = Mishaps {
            seed: SEED,
            one_in: None,
        };
        check(mishaps, 0).await;
    }

    #[tokio::test]
    async fn crashes_and_lost_answers_lose_split_and_double_events() {
        let mishaps = Mishaps {
            seed: SEED,
            one_in: NonZeroU64::new(8),
        };
        let drawn: Vec<Mishap> = (0..EVENTS)
            .filter_map(|event| mishaps.of(&event_id(event)))
            .collect();
        let every: HashSet<Mishap> = drawn.iter().copied().collect();
        assert_eq!(every.len(), 5, "{every:?}");
        let crash = |mishap: &&Mishap| steps(Some(**mishap)).contains(&Step::Crash);
        check(mishaps, drawn.iter().filter(crash).count()).await;
    }
}
