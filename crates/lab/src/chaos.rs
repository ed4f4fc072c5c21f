//! `podium chaos`: loads the whole system under faults and verifies the result.

mod coins;
mod kills;
mod load;
mod people;
mod readers;
mod receiver;
mod verdict;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use client::{Api, parse_url};
use futures::future::join_all;
use local::faults::{Fault, Faults, UnknownFault};
use local::pipe::Pipe;
use local::settings::Batching;
use local::sqs::Timestamp;
use local::{Stack, StackConfig};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use self::coins::QUESTS;
use self::kills::Killer;
use self::load::{Load, Posted};
use self::people::People;
use self::readers::Reader;
use self::receiver::Receiver;
use self::verdict::Verdict;
use crate::trial;
use crate::trial::audit::{self, Counts};

pub const HELP: &str = "\
It starts its own stack in memory and on free ports, and leaves nothing behind. A third of the
activities are sent twice, and failed requests are retried, as a client would. One in twenty is taken
out by a void, one in fifty adjusts points, and the check-ins of a day have a cap. People change their
names and teams, become hidden or anonymous and are listed again, and two are erased and come back. Five
quests give coins, one of them to the first 20 only, and a webhook is told of each. The faults end when the
last request is answered. Then the tables, the coins, the events of the webhook and the served boards, of
all, of each team and of teams, are read and compared with what was sent.

Faults by the part that they affect:
  calls of the functions to tables and queues
               throttle, server-error, conflict, slow, outage, cut-before, cut-after
  the queues   deliver-twice, deliver-late, reorder, lose-acknowledgement
  the pipes    pipe-restart, pipe-reread
  processes    kill, time-out, out-of-memory, cold-herd
  clocks       clock-jump: the deadlines given to functions, and the clocks of the queues

A seed repeats the load and the fault decisions. Which call each fault hits depends on how the
processes interleave.

Exit status: 0 if nothing was lost, counted twice or dead-lettered, no board was torn, each coin was
given once to whoever earned it and was told of, and everything was done in time; otherwise 1, and the logs are kept.";

/// The default one, but for a cap, which active users reach.
const POLICY: &str = r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{
    "task_completed":10,"program_check_in":{"points":5,"max_per_day":40},"learning_milestone":25}}]"#;
const CHECK_IN_POINTS_A_DAY_MAX: i64 = 40;

/// Short, so that messages of a killed invocation return soon and the run ends.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(3);
/// The aggregator reserves 3 s of it to report. A hanging process is killed when it is over.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(6);
const SNAPSHOT_EVERY: Duration = Duration::from_secs(1);
/// Longer than an invocation of ingestion, and so than from an activity's receipt until it is stored.
const FINAL_AFTER: Duration = Duration::from_secs(8);

/// A request without an answer after this time has failed and is retried.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// The limit from the last POST until everything is counted and shown. It exceeds the longest pause
/// before a redelivery, which is 15 minutes.
const DRAIN_MAX: Duration = Duration::from_mins(20);
/// The limit from the last count until a board shows it.
const SHOWN_WITHIN: Duration = Duration::from_secs(30);
/// How often waiting messages are redelivered once the board is exact, to verify that they change
/// nothing.
const HURRY_EVERY: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const TELL_EVERY: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub struct Args {
    /// Determines the load and the faults [default: random]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Number of activities to send, a third of them twice
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(3..=1_000_000))]
    activities: u32,
    /// "all", "none", or names separated by commas
    #[arg(long, value_name = "FAULTS", default_value = "all")]
    faults: Chosen,
    /// Also kill this many processes, spread over the load
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    kills: u64,
    /// How the aggregator batches messages: "prompt" or "thrifty", as for `podium local`
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
    eprintln!("Seed {seed}: repeat this run with --seed {seed}.");
    let faults = Faults::from_seed(seed, args.faults.0.iter().copied());
    let receiver = Receiver::start().await?;
    let stack = Stack::start(StackConfig {
        port: 0,
        aws_port: 0,
        log_dir: Some(logs.to_owned()),
        snapshot_every: SNAPSHOT_EVERY,
        batching: args.batching,
        visibility_timeout: VISIBILITY_TIMEOUT,
        function_timeout: Some(FUNCTION_TIMEOUT),
        faults: faults.clone(),
        scoring_policy: POLICY.parse()?,
        quests: Some(QUESTS.to_owned()),
        webhooks: vec![receiver.webhook.clone()],
        final_after: FINAL_AFTER,
        ..StackConfig::new()?
    })
    .await?;
    let api = Api::new(
        parse_url(&stack.web_url).map_err(anyhow::Error::msg)?,
        ANSWER_TIMEOUT,
    )?;
    let load = Load::new(seed, args.activities as usize);
    let people = People::new(seed, &load.activities)?;
    let mut expected = Counts::corrected(
        load.activities.iter().chain(people.activities()),
        &load.corrections,
        Some(CHECK_IN_POINTS_A_DAY_MAX),
    );
    expected.board = people.boards(&expected.of_users());
    let coins = coins::Expected::of(
        load.activities.iter().chain(people.activities()),
        &load.corrections,
    );

    let mut killer = Killer::new(seed, args.kills);
    let reader = Reader::start(api.clone(), people.count());
    let (posted, (), ()) = tokio::try_join!(
        post(&stack, &api, &load, &mut killer),
        people.change(&api, || load.share_answered()),
        people.leave(&api, &stack.aws_url),
    )?;
    let last_answer = Instant::now();
    killer.finish(&stack.lambda).await?;
    faults.switch_off();
    let boards = reader.stop().await;
    people.settle(&api).await?;

    let drained = drain(&stack, &api, &people, (&expected, &coins), last_answer).await;
    let mut counted = audit::read(&stack, &api)
        .await
        .context("cannot read the counts after the run")?;
    counted.board = people.served(&api).await?;
    let verdict = Verdict {
        seed,
        sent: load.deliveries(),
        people: people.count(),
        erased: people::LEAVERS.into(),
        posted,
        boards,
        coins: coins
            .compared(&stack)
            .await
            .context("cannot read the coins after the run")?,
        told: receiver
            .compared(&stack, coins.users())
            .await
            .context("cannot compare the events with the coins")?,
        dead_letters: dead_letters(&stack),
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

/// Sends the load and kills processes in step with it.
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
                "{:>4} s  {:>3.0} % of the requests answered, {} messages to be counted and {} to be rewarded",
                started.elapsed().as_secs(),
                load.share_answered() * 100.0,
                stack.queue.depth().total(),
                stack.rewards_queues().0.depth().total(),
            );
        }
    }
}

fn dead_letters(stack: &Stack) -> u64 {
    let of_webhooks = stack.notices_queues().map(|(_, dead_letters)| dead_letters);
    let queues = [&stack.dead_letter_queue, stack.rewards_queues().1]
        .into_iter()
        .chain(of_webhooks);
    let in_queues: usize = queues.map(|queue| queue.depth().total()).sum();
    let of_pipes =
        [stack.pipe(), stack.facts_pipe(), stack.coins_pipe()].map(|pipe| pipe.counters().dead_lettered);
    in_queues as u64 + of_pipes.iter().sum::<u64>()
}

/// Waits until boards and coins are exact, and nothing that could change them or tell of them is under way. Returns the time from
/// the last answer until they were exact, or `None` if they were not exact in time.
async fn drain(
    stack: &Stack,
    api: &Api,
    people: &People,
    (expected, coins): (&Counts, &coins::Expected),
    last_answer: Instant,
) -> Option<Duration> {
    let until = Instant::now() + DRAIN_MAX;
    let of_webhooks = stack.notices_queues().map(|(queue, _)| queue);
    let queues = [&stack.queue, stack.rewards_queues().0]
        .into_iter()
        .chain(of_webhooks);
    let queues: Vec<_> = queues.collect();
    let mut exact_after = None;
    // Heartbeats are always under way, so only messages sent before the pipes caught up matter.
    let mut caught_up_at = None;
    let mut quiet_since: Option<Instant> = None;
    let mut hurried: Option<Instant> = None;
    while Instant::now() < until {
        let is_exact = async || {
            let board = people.served(api).await;
            board.is_ok_and(|board| board == expected.board)
                && coins.compared(stack).await.is_ok_and(|coins| coins.is_exact())
        };
        if exact_after.is_none() && is_exact().await {
            exact_after = Some(last_answer.elapsed());
        }
        if caught_up_at.is_none() {
            let pipes = [stack.pipe(), stack.facts_pipe(), stack.coins_pipe()];
            let lags = join_all(pipes.map(Pipe::lag)).await;
            let have_caught_up = lags.iter().all(|lag| lag.as_ref().is_ok_and(Duration::is_zero));
            caught_up_at = have_caught_up.then(Timestamp::now);
        }
        let mut oldest = queues.iter().filter_map(|queue| queue.oldest_sent());
        if caught_up_at.is_some_and(|at| oldest.all(|sent| sent > at)) {
            let since = *quiet_since.get_or_insert_with(Instant::now);
            if exact_after.is_some() || since.elapsed() >= SHOWN_WITHIN {
                break;
            }
        } else if exact_after.is_some() && hurried.is_none_or(|at| at.elapsed() >= HURRY_EVERY) {
            for queue in &queues {
                queue.jump_clock(DRAIN_MAX);
            }
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
