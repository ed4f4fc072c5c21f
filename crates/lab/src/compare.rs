//! `podium compare`: runs Podium and the coupled design that it replaces under the same load while
//! their counting is throttled.

mod load;
mod outcome;
mod watch;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use client::{Api, parse_url};
use local::faults::{Fault, Faults};
use local::{Stack, StackConfig};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use self::load::{ANSWER_TIMEOUT, Load, Posted};
use self::outcome::{Comparison, Outcome};
use self::watch::Watch;
use crate::trial::{self, audit};

pub const HELP: &str = "\
It starts the two systems one after the other, in memory and on free ports, and leaves nothing behind.
The coupled one stores an activity, counts it and then answers, all in one function built from Podium's
own parsing, counting and tables. Only this command ever starts it.

Both get the same load: 20 posts a second of 5 activities, sent when they are due regardless of earlier
ones. A client waits 5 s for an answer and sends a post at most 3 times, with growing pauses. In the
middle of the load all writes of counts are throttled for a while.

An activity is lost if it was acknowledged or stored but not counted. The board is right again when it
shows everything sent up to 5 s ago, provided that it is exact at the end.

Exit status: 0 if neither system lost an acknowledged activity or counted one twice, and Podium's board
was right again; otherwise 1, and the logs are kept.";

/// As often as possible, so that counting dominates the measurement.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(1);
/// The limit for a stack to publish its first board.
const START_MAX: Duration = Duration::from_mins(1);
const START_LOOK_EVERY: Duration = Duration::from_millis(250);

#[derive(clap::Args)]
pub struct Args {
    /// Determines the load [default: random]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Number of activities to send to each system, 100 a second
    #[arg(long, value_name = "N", default_value_t = 6_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    activities: u32,
    /// How long writes of counts are throttled
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(..=3_600))]
    throttle: u64,
}

/// When counting is throttled, from the start of the load.
#[derive(Clone, Copy, Debug)]
pub struct Throttle {
    pub from: Duration,
    pub until: Duration,
}

impl Throttle {
    fn in_the_middle(of: Duration, length: Duration) -> anyhow::Result<Self> {
        ensure!(
            length < of,
            "{} s of throttling do not fit into a load of {} s; send more activities",
            length.as_secs(),
            of.as_secs()
        );
        let from = of.saturating_sub(length) / 2;
        Ok(Self {
            from,
            until: from + length,
        })
    }

    async fn apply(self, faults: Faults, tables: [String; 2], started: Instant) {
        sleep_until(started + self.from).await;
        if self.until > self.from {
            faults.raise(Fault::Throttle, tables.iter().map(String::as_str), 1.0);
        }
        sleep_until(started + self.until).await;
        faults.lower(Fault::Throttle);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum System {
    Coupled,
    Podium,
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let show = |comparison: &Comparison| {
        print!("{comparison}");
        Ok(())
    };
    trial::run(
        "compare",
        async |logs| compare(&args, logs).await,
        Comparison::is_good,
        show,
    )
    .await
}

async fn compare(args: &Args, logs: &Path) -> anyhow::Result<Comparison> {
    let seed = args.seed.unwrap_or_else(rand::random);
    let load = Arc::new(Load::new(seed, args.activities as usize));
    let throttle = Throttle::in_the_middle(load.length(), Duration::from_secs(args.throttle))?;
    let coupled = try_it(System::Coupled, seed, &load, throttle, logs).await?;
    let podium = try_it(System::Podium, seed, &load, throttle, logs).await?;
    Ok(Comparison {
        seed,
        activities: load.activities().count() as u64,
        throttle,
        coupled,
        podium,
    })
}

async fn try_it(
    system: System,
    seed: u64,
    load: &Arc<Load>,
    throttle: Throttle,
    logs: &Path,
) -> anyhow::Result<Outcome> {
    eprintln!(
        "{system:?}: {} s of load, seed {seed} ...",
        load.length().as_secs()
    );
    let log_dir = logs.join(format!("{system:?}").to_lowercase());
    // Throttling is the only fault.
    let faults = Faults::from_seed(seed, []);
    let stack = Stack::start(StackConfig {
        port: 0,
        aws_port: 0,
        log_dir: Some(log_dir),
        snapshot_every: SNAPSHOT_EVERY,
        faults: faults.clone(),
        coupled: system == System::Coupled,
        ..StackConfig::new()?
    })
    .await?;
    let url = parse_url(&stack.web_url).map_err(anyhow::Error::msg)?;
    let api = Api::new(url, ANSWER_TIMEOUT)?;
    first_board(&api).await?;

    let started = Instant::now();
    let counts = [stack.tables.dedup.clone(), stack.tables.standings.clone()];
    let throttling = throttle.apply(faults, counts, started);
    let posting = Arc::clone(load).post(api.clone(), started);
    let mut under_way = JoinSet::new();
    under_way.spawn(async { tokio::join!(posting, throttling).0 });
    let mut watch = Watch::new(api.clone(), started);
    let posted: Posted = loop {
        tokio::select! {
            Some(posted) = under_way.join_next() => break posted.context("the load failed")??,
            () = watch.look() => {}
        }
    };
    watch
        .until_settled(&stack.queue, load.activities().count() as u64)
        .await;
    let there = audit::read(&stack, &api)
        .await
        .context("cannot read the counts after the run")?;
    stack.stop().await?;
    Ok(Outcome::new(load, posted, &there, &watch, throttle))
}

async fn first_board(api: &Api) -> anyhow::Result<()> {
    let until = Instant::now() + START_MAX;
    while let Err(error) = api.status().await {
        ensure!(
            Instant::now() < until,
            "the stack did not publish a board in time: {error:#}"
        );
        sleep(START_LOOK_EVERY).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_throttled_is_the_middle() {
        let seconds = Duration::from_secs;
        let throttle = Throttle::in_the_middle(seconds(60), seconds(30)).expect("it fits");
        assert_eq!((throttle.from, throttle.until), (seconds(15), seconds(45)));
        assert!(Throttle::in_the_middle(seconds(30), seconds(30)).is_err());
    }
}
