//! The employees' programs, which post activities, and the viewers of the leaderboard. They follow their
//! addresses, so that a migration moves them while they work.

mod address;
mod facts;
mod figures;
mod source;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::FutureExt as _;
use jiff::Timestamp;
use terminal::duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use self::address::Addresses;
use self::facts::Facts;
use self::figures::Figures;
use self::source::{Fact, Source};
use crate::load::engine::{Schedule, pace};

/// A request without an answer after this time is sent again. Twice that is still in time.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(900);
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// A request that is not answered this long after it was due is given up. With the rates, it bounds the
/// requests under way.
const GIVEN_UP_AFTER: Duration = Duration::from_mins(1);

#[derive(clap::Args)]
pub struct Args {
    /// The JSON file with the addresses, which is read before each request
    #[arg(long, value_name = "FILE")]
    addresses: PathBuf,
    /// Activities a second
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    writes: u16,
    /// Views of the leaderboard a second
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    reads: u16,
    /// How long to send; Ctrl-C ends it earlier
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse, default_value = "60s")]
    length: Duration,
    /// Determines employees, programs, kinds, points and repeats [default: random]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Append each acknowledged activity to this file, in the form that `podium import` reads
    #[arg(long, value_name = "FILE")]
    facts: PathBuf,
    /// Print the result as one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone)]
enum Request {
    Write(Fact),
    Read,
}

/// How a request ended.
struct Ended {
    request: Request,
    /// From when it was due; `None` if it was given up.
    answered_after: Option<Duration>,
    attempts: u64,
}

struct Clients {
    addresses: PathBuf,
    http: reqwest::Client,
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut interrupted = signal(SignalKind::interrupt()).context("cannot wait for Ctrl-C")?;
    let mut terminated = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    // Fails here rather than in each request if the file is wrong from the beginning.
    Addresses::read(&args.addresses).await?;
    let clients = Arc::new(Clients {
        addresses: args.addresses,
        http: reqwest::Client::builder()
            .timeout(ANSWER_TIMEOUT)
            .tcp_nodelay(true)
            .build()
            .context("cannot create an HTTP client")?,
    });
    let mut facts = Facts::open(&args.facts)?;
    let seed = args.seed.unwrap_or_else(rand::random);
    let mut source = Source::new(seed);
    let mut figures = Figures::new(seed);
    let mut under_way: JoinSet<Ended> = JoinSet::new();
    let started = Instant::now();
    let mut writes = arrivals(started, args.writes, args.length);
    let mut reads = arrivals(started, args.reads, args.length);
    loop {
        if [&mut interrupted, &mut terminated]
            .into_iter()
            .any(|signal| signal.recv().now_or_never().is_some())
        {
            writes.close();
            reads.close();
        }
        let (request, due) = tokio::select! {
            biased;
            Some(ended) = under_way.join_next() => {
                let ended = ended.context("a client failed")?;
                figures.add(&ended);
                if let Ended { request: Request::Write(fact), answered_after: Some(_), .. } = ended {
                    facts.append(&fact)?;
                }
                continue;
            }
            Some(due) = writes.recv() => (Request::Write(source.next(Timestamp::now())), due),
            Some(due) = reads.recv() => (Request::Read, due),
            else => break,
        };
        under_way.spawn(Arc::clone(&clients).answered(request, due));
    }
    if args.json {
        println!("{}", serde_json::to_string(&figures)?);
    } else {
        println!("{figures}");
    }
    Ok(if figures.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn arrivals(started: Instant, rate: u16, length: Duration) -> mpsc::Receiver<Instant> {
    let requests = length.as_millis() * u128::from(rate) / 1_000;
    let requests = u64::try_from(requests).expect("a thousand a second for a year");
    pace(Schedule::new(started, rate.into(), Some(requests)))
}

impl Clients {
    /// Sends a request until it is answered, each time to where the addresses then point.
    async fn answered(self: Arc<Self>, request: Request, due: Instant) -> Ended {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let answer = self.send(&request).await;
            let waited = due.elapsed();
            let answered_after = match answer {
                Ok(()) => Some(waited),
                Err(error) if waited >= GIVEN_UP_AFTER => {
                    eprintln!("A request was given up after {attempts} attempts: {error:#}");
                    None
                }
                Err(_) => {
                    sleep(RETRY_PAUSE).await;
                    continue;
                }
            };
            return Ended {
                request,
                answered_after,
                attempts,
            };
        }
    }

    async fn send(&self, request: &Request) -> anyhow::Result<()> {
        let addresses = Addresses::read(&self.addresses).await?;
        match request {
            Request::Write(fact) => addresses.writes.post(&self.http, fact).await,
            Request::Read => addresses.reads.view(&self.http).await,
        }
    }
}
