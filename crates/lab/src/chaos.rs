//! `podium chaos`: a load on the whole system under faults, and a verdict on what became of it.

mod kills;
mod load;
mod readers;
mod verdict;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use local::faults::{Fault, Faults, UnknownFault};
use local::settings::Batching;
use local::sqs::Timestamp;
use local::{Stack, StackConfig};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use self::kills::Killer;
use self::load::{Load, Posted};
use self::readers::Reader;
use self::verdict::Verdict;
use crate::trial;
use crate::trial::audit::{self, Counts};
use client::{Api, parse_url};

pub const HELP: &str = "\
It starts a system of its own, in memory and on free ports, and leaves nothing behind. A third of the
activities are sent twice, and what fails is sent again, as a client would. When the last POST is
answered, the faults end. Then the verdict is read from the tables themselves and from the board that
is served, and held against what was sent.

The faults: throttle, server-error, conflict, slow, outage, cut-before and cut-after befall what the
functions ask of tables and queues; deliver-twice, deliver-late, reorder and lose-acknowledgement the queue;
pipe-restart and pipe-reread the pipe; kill, time-out, out-of-memory and cold-herd the functions;
clock-jump the deadlines that functions are told, and the clock of the queue.

The same seed sends the same and makes the same decisions. Which call meets which of them depends on
how the processes run side by side.

Exit status: 0 if nothing was lost, double or dead, no board was torn and all was counted in time; 1 if
not, and then the logs are kept.";

/// A message whose invocation died comes again soon, so that a run ends.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(3);
/// The aggregator keeps 3 s of it to report; what stands still is killed then.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(6);
const SNAPSHOT_EVERY: Duration = Duration::from_secs(1);

/// A request without an answer by then has failed, and is sent again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// How long all may take, after the last POST, to be counted and shown: more than the longest pause before
/// a redelivery, which is a quarter of an hour.
const DRAIN_MAX: Duration = Duration::from_mins(20);
/// How long after the last count a board may show it.
const SHOWN_WITHIN: Duration = Duration::from_secs(30);
/// What still waits for its redelivery once the board is exact is redelivered this often, to see that it
/// changes nothing. More often it would end as a dead letter, after 20 times.
const HURRY_EVERY: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const TELL_EVERY: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub struct Args {
    /// What is sent and what goes wrong follow from it [default: any]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many are sent, a third of them twice
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(3..=1_000_000))]
    activities: u32,
    /// "all", "none", or the names of some
    #[arg(long, value_name = "FAULTS", default_value = "all")]
    faults: Chosen,
    /// Besides, kill so many processes, spread over the load
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    kills: u64,
    /// How messages are taken to be counted: "prompt" or "thrifty", as for `podium local`
    #[arg(long, value_name = "MODE", default_value = "thrifty")]
    batching: Batching,
    /// Print the verdict as one line of JSON
    #[arg(long)]
    json: bool,
}

/// The faults of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Chosen(BTreeSet<Fault>);

impl FromStr for Chosen {
    type Err = UnknownFault;
    fn from_str(raw: &str) -> Result<Self, UnknownFault> {
        match raw {
            "all" => Ok(Self(Fault::EVERY.into())),
            "none" => Ok(Self(BTreeSet::new())),
            some => some
                .split(',')
                .map(str::parse)
                .collect::<Result<_, _>>()
                .map(Self),
        }
    }
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let show = |verdict: &Verdict| {
        if args.json {
            println!("{}", serde_json::to_string(verdict)?);
        } else {
            print!("{verdict}");
        }
        Ok(())
    };
    trial::run(
        "chaos",
        async |logs| try_it(&args, logs).await,
        Verdict::is_good,
        show,
    )
    .await
}

async fn try_it(args: &Args, logs: &Path) -> anyhow::Result<Verdict> {
    let seed = args.seed.unwrap_or_else(rand::random);
    eprintln!("Seed {seed}: the same again with --seed {seed}.");
    let faults = Faults::from_seed(seed, args.faults.0.iter().copied());
    let stack = Stack::start(StackConfig {
        port: 0,
        aws_port: 0,
        log_dir: logs.to_owned(),
        snapshot_every: SNAPSHOT_EVERY,
        batching: args.batching,
        visibility_timeout: VISIBILITY_TIMEOUT,
        function_timeout: Some(FUNCTION_TIMEOUT),
        faults: faults.clone(),
        ..StackConfig::new()?
    })
    .await?;
    let api = Api::new(
        parse_url(&stack.web_url).map_err(anyhow::Error::msg)?,
        ANSWER_TIMEOUT,
    )?;
    let load = Load::new(seed, args.activities as usize);
    let expected = Counts::of(&load.activities);

    let mut killer = Killer::new(seed, args.kills);
    let reader = Reader::start(api.clone());
    let posted = post(&stack, &api, &load, &mut killer).await?;
    killer.finish(&stack.lambda).await?;
    faults.switch_off();
    let boards = reader.stop().await;

    let drained = drain(&stack, &api, &expected, posted.last_answer).await;
    let counted = audit::read(&stack, &api)
        .await
        .context("reading what was counted")?;
    let verdict = Verdict {
        seed,
        sent: load.deliveries(),
        posted,
        boards,
        dead_letters: stack.dead_letter_queue.depth().total() as u64 + stack.pipe().counters().dead_lettered,
        differences: expected.differences(&counted),
        counted: counted.activities(),
        drained,
        kills: stack
            .lambda
            .functions()
            .map(|function| function.stats().kills)
            .sum(),
        faults: faults.counts(),
    };
    stack.stop().await?;
    Ok(verdict)
}

/// Sends the load, while processes are killed in step with it.
async fn post(stack: &Stack, api: &Api, load: &Load, killer: &mut Killer) -> anyhow::Result<Posted> {
    let started = Instant::now();
    let mut posting = std::pin::pin!(load.post(api));
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = Instant::now();
    loop {
        tokio::select! {
            posted = &mut posting => return posted,
            _ = looks.tick() => killer.catch_up(&stack.lambda, load.share_answered()),
        }
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            eprintln!(
                "{:>4} s  {:>3.0} % of the requests answered, {} messages waiting",
                started.elapsed().as_secs(),
                load.share_answered() * 100.0,
                stack.queue.depth().total(),
            );
        }
    }
}

/// Waits until the board is exact, and until nothing that could still change it is under way. Returns how
/// long after the last answer it was exact; `None` if it was not, though it had time.
async fn drain(stack: &Stack, api: &Api, expected: &Counts, last_answer: Instant) -> Option<Duration> {
    let until = Instant::now() + DRAIN_MAX;
    let mut exact_after = None;
    // Heartbeats are always under way; so it is what was sent before the pipe had caught up that counts.
    let mut caught_up_at = None;
    let mut quiet_since: Option<Instant> = None;
    let mut hurried: Option<Instant> = None;
    while Instant::now() < until {
        if exact_after.is_none() && audit::board(api).await.is_ok_and(|board| board == expected.board) {
            exact_after = Some(last_answer.elapsed());
        }
        if caught_up_at.is_none() && stack.pipe().lag().await.is_ok_and(|lag| lag.is_zero()) {
            caught_up_at = Some(Timestamp::now());
        }
        let oldest = stack.queue.oldest_sent();
        if caught_up_at.is_some_and(|at| oldest.is_none_or(|sent| sent > at)) {
            let since = *quiet_since.get_or_insert_with(Instant::now);
            if exact_after.is_some() || since.elapsed() >= SHOWN_WITHIN {
                break;
            }
        } else if exact_after.is_some() && hurried.is_none_or(|at| at.elapsed() >= HURRY_EVERY) {
            stack.queue.jump_clock(DRAIN_MAX);
            hurried = Some(Instant::now());
        }
        sleep(LOOK_EVERY).await;
    }
    exact_after
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_all_none_or_some() {
        let chosen = |raw: &str| raw.parse::<Chosen>().map(|Chosen(faults)| faults.len());
        assert_eq!(chosen("all"), Ok(Fault::EVERY.len()));
        assert_eq!(chosen("none"), Ok(0));
        assert_eq!(chosen("kill,throttle"), Ok(2));
        assert!(chosen("kill,thunder").is_err());
        assert!(chosen("").is_err());
    }
}
