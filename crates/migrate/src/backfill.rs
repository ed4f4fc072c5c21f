//! `podium migrate backfill`: carries over everything that was in the other system's table.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use aws_sdk_dynamodb::types::AttributeValue;
use bridge::Item;
use futures::stream::{self, StreamExt as _};
use import::{Poster, Progress, Tally, To};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use terminal::duration;
use terminal::text::grouped;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use crate::carry;
use crate::follow::Followed;
use crate::source::{Legacy, Source};
use crate::state::{File, Files};

/// Parts of the table that are read at once.
const SEGMENTS: u16 = 8;
/// Requests of one part that are under way at once.
const REQUESTS_AT_ONCE: usize = 2;
/// How long to wait for a tail before asking for one.
const WAIT_FOR_TAIL: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    from: Legacy,
    /// Carry over at most so many events a second
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Begin with the first item again, if an earlier backfill was interrupted or done
    #[arg(long)]
    from_start: bool,
    /// The function bridge carries new events over on AWS, or nobody writes: want no tail on this machine
    #[arg(long)]
    without_tail: bool,
    /// Stop if one request fails for this long
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse)]
    give_up_after: Duration,
    #[command(flatten)]
    to: To,
}

/// How far the table is read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Backfilled {
    pub begun_at: Option<Timestamp>,
    pub done_at: Option<Timestamp>,
    segments: Vec<Segment>,
    pub tally: Tally,
    mirrored: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Segment {
    /// The key of the last item: the type of each attribute and its text.
    after: Option<BTreeMap<String, (KeyType, String)>>,
    is_done: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum KeyType {
    S,
    N,
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let source = args.from.connect().await?;
    let files = args.from.files();
    let named = args.from.named(args.to.url());
    if !args.without_tail {
        wait_for_tail(&files, &named).await?;
    }
    let mut state: Backfilled = files.read(File::Backfill)?;
    if args.from_start || state.done_at.is_some() || state.segments.is_empty() {
        state = Backfilled {
            begun_at: Some(Timestamp::now()),
            segments: vec![Segment::default(); SEGMENTS.into()],
            ..Backfilled::default()
        };
    } else {
        eprintln!("Resuming after {} items.", grouped(done(&state)));
    }
    let poster = carry::poster(&args.to, args.give_up_after).await?;
    let ended = copy(&source, &poster, &files, state, args.rate).await;
    let state: Backfilled = files.read(File::Backfill)?;
    println!("{}", state.tally);
    if state.mirrored > 0 {
        println!(
            "{} of Podium's own, mirrored, were left out",
            grouped(state.mirrored)
        );
    }
    ended.context("run the same command again to resume")?;
    println!(
        "Everything that was in {} before the tail began is carried over. Next: podium migrate verify --from {named}",
        source.mapping.table
    );
    if state.tally.rejected() > 0 {
        eprintln!(
            "podium: what was rejected is missing in Podium. Change the mapping, or the scoring policy, and run this again."
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Only what the tail does not read has to be in the table before the first page is read.
async fn wait_for_tail(files: &Files, prefix: &str) -> anyhow::Result<()> {
    let until = Instant::now() + WAIT_FOR_TAIL;
    let mut is_told = false;
    loop {
        let tail: Followed = files.read(File::Tail)?;
        if tail.covers_since.is_some() && tail.is_running(Timestamp::now()) {
            return Ok(());
        }
        if Instant::now() >= until {
            bail!(
                "no tail runs, so what is written meanwhile would be lost. Run this in another terminal, in the same \
                 directory, and leave it running: podium migrate tail --from {prefix}. Where the function bridge is the \
                 tail, or nobody writes, use --without-tail"
            );
        }
        if !std::mem::replace(&mut is_told, true) {
            eprintln!("Waiting for a running tail: podium migrate tail --from {prefix}");
        }
        sleep(LOOK_EVERY).await;
    }
}

/// What one page of a segment came to.
struct Carried {
    segment: usize,
    after: Segment,
    tally: Tally,
    mirrored: u64,
}

/// Reads all segments, and keeps after each page how far they are.
async fn copy(
    source: &Source,
    poster: &Poster,
    files: &Files,
    mut state: Backfilled,
    rate: u32,
) -> anyhow::Result<()> {
    let pace = Pace::new(rate);
    let (sender, mut pages) = mpsc::channel(1);
    let open: Vec<_> = state
        .segments
        .iter()
        .enumerate()
        .filter(|(_, segment)| !segment.is_done)
        .map(|(number, segment)| (number, segment.clone()))
        .collect();
    let segments = i32::try_from(state.segments.len())?;
    let total = item_count(source).await?;
    let mut progress = Progress::new(Some(total));
    let pace = &pace;
    // The sender ends with the last segment, and so does keeping.
    let reading = async move {
        stream::iter(open)
            .map(|(number, segment)| {
                copy_segment(source, poster, pace, (number, segments), segment, sender.clone())
            })
            .buffer_unordered(SEGMENTS.into())
            .collect::<Vec<_>>()
            .await
    };
    files.write(File::Backfill, &state)?;
    let keeping = async {
        while let Some(page) = pages.recv().await {
            let Carried {
                segment,
                after,
                tally,
                mirrored,
            } = page;
            state.segments[segment] = after;
            state.tally.add(tally);
            state.mirrored += mirrored;
            files.write(File::Backfill, &state)?;
            progress.update(done(&state), || {
                format!("{} of about {} items", grouped(done(&state)), grouped(total))
            });
        }
        anyhow::Ok(state)
    };
    let (ended, kept) = tokio::select! {
        both = async { tokio::join!(reading, keeping) } => both,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    };
    progress.finish();
    let mut state = kept?;
    ended.into_iter().collect::<anyhow::Result<()>>()?;
    state.done_at = Some(Timestamp::now());
    files.write(File::Backfill, &state)
}

fn done(state: &Backfilled) -> u64 {
    state.tally.accepted + state.tally.duplicate + state.tally.rejected() + state.mirrored
}

/// About how many items the table has.
async fn item_count(source: &Source) -> anyhow::Result<u64> {
    let described = source.client.describe_table().table_name(&source.mapping.table);
    let described = described.send().await?;
    let count = described.table.and_then(|table| table.item_count);
    Ok(count.and_then(|count| count.try_into().ok()).unwrap_or_default())
}

async fn copy_segment(
    source: &Source,
    poster: &Poster,
    pace: &Pace,
    (number, segments): (usize, i32),
    mut segment: Segment,
    sender: mpsc::Sender<Carried>,
) -> anyhow::Result<()> {
    while !segment.is_done {
        let part = (i32::try_from(number)?, segments);
        let after = segment.after.as_ref().map(key_of);
        let (items, next) = source.page(&source.mapping.table, part, after).await?;
        let carry::Batches { batches, mirrored } = carry::batches(&source.mapping, &items);
        let mut requests = stream::iter(batches)
            .map(async |batch| {
                pace.wait(batch.items.len()).await;
                poster.post(batch).await
            })
            .buffered(REQUESTS_AT_ONCE);
        let mut tally = Tally::default();
        while let Some(ended) = requests.next().await {
            tally.add(ended.map_err(|gave_up| anyhow!("{gave_up}"))?.tally);
        }
        segment = Segment {
            is_done: next.is_none(),
            after: next.as_ref().map(text_of).transpose()?,
        };
        let carried = Carried {
            segment: number,
            after: segment.clone(),
            tally,
            mirrored,
        };
        // Nobody listens any more if keeping failed, which is told.
        if sender.send(carried).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Events are carried over at an even rate.
struct Pace {
    each: Duration,
    due: tokio::sync::Mutex<Instant>,
}

impl Pace {
    fn new(rate: u32) -> Self {
        Self {
            each: Duration::from_secs(1) / rate,
            due: tokio::sync::Mutex::new(Instant::now()),
        }
    }

    async fn wait(&self, events: usize) {
        let due = {
            let mut due = self.due.lock().await;
            let begins = (*due).max(Instant::now());
            *due = begins + self.each * u32::try_from(events).unwrap_or(u32::MAX);
            begins
        };
        sleep_until(due).await;
    }
}

fn key_of(texts: &BTreeMap<String, (KeyType, String)>) -> Item {
    let value = |(kind, text): &(KeyType, String)| match kind {
        KeyType::S => AttributeValue::S(text.clone()),
        KeyType::N => AttributeValue::N(text.clone()),
    };
    texts
        .iter()
        .map(|(name, typed)| (name.clone(), value(typed)))
        .collect()
}

fn text_of(key: &Item) -> anyhow::Result<BTreeMap<String, (KeyType, String)>> {
    key.iter()
        .map(|(name, value)| match value {
            AttributeValue::S(text) => Ok((name.clone(), (KeyType::S, text.clone()))),
            AttributeValue::N(number) => Ok((name.clone(), (KeyType::N, number.clone()))),
            _ => bail!("the key attribute {name} is binary; only strings and numbers can be carried over"),
        })
        .collect()
}
