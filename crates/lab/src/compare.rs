//! `podium compare`: the coupled design that Podium replaces, and Podium, under the same load and the
//! same throttling of their counts.

mod load;
mod outcome;
mod watch;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use local::faults::{Fault, Faults};
use local::{Stack, StackConfig};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use self::load::{ANSWER_TIMEOUT, Load, Posted};
use self::outcome::{Comparison, Outcome};
use self::watch::Watch;
use crate::trial::{self, audit};
use client::{Api, parse_url};

pub const HELP: &str = "\
One after the other it starts both systems, each by itself, in memory and on free ports, and leaves
nothing behind. The coupled one stores an activity, counts it and then answers, in one function, with
Podium's own parsing, counting and tables; only this command ever starts it.

Both get the same: 20 posts a second of 5 activities, sent when they are due whatever became of those
before. A client waits 5 s for an answer and sends a post 3 times at most, with growing pauses. In the
middle of the load all writes of counts are throttled for a while.

Lost is what was acknowledged, or kept, and is not counted. The board is right again when it shows all
that was sent until 5 s before, and at the end is exact to the activity.

Exit status: 0 if neither lost what it had acknowledged or counted anything twice, and Podium's board
was right again; 1 if not, and then the logs are kept.";

/// As often as one can, so that it is the counting that is measured.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(1);
/// How long a system may take to publish its first board.
const START_MAX: Duration = Duration::from_mins(1);
const START_LOOK_EVERY: Duration = Duration::from_millis(250);

#[derive(clap::Args)]
pub struct Args {
    /// What is sent follows from it [default: any]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many are sent to each, 100 a second
    #[arg(long, value_name = "N", default_value_t = 6_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    activities: u32,
    /// How long no counts can be written
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(..=3_600))]
    throttle: u64,
}

/// When counts are throttled, from the beginning of the load.
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

    async fn befall(self, faults: Faults, tables: [String; 2], started: Instant) {
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
    std::fs::create_dir(&log_dir)?;
    // Nothing but the throttling goes wrong.
    let faults = Faults::from_seed(seed, []);
    let stack = Stack::start(StackConfig {
        port: 0,
        aws_port: 0,
        log_dir,
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
    let throttling = throttle.befall(faults, counts, started);
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
        .context("reading what was counted")?;
    stack.stop().await?;
    Ok(Outcome::new(load, posted, &there, &watch, throttle))
}

async fn first_board(api: &Api) -> anyhow::Result<()> {
    let until = Instant::now() + START_MAX;
    while let Err(error) = api.status().await {
        ensure!(Instant::now() < until, "the system does not get going: {error:#}");
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
