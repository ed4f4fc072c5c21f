//! `podium load`: sends synthetic activities at a fixed rate and reports the results.

pub(crate) mod engine;
pub(crate) mod figures;
pub(crate) mod workload;

use std::{process::ExitCode, time::Duration};

use client::{Api, Credentials, Target, parse_url};
use reqwest::Url;
use terminal::duration;
use terminal::text::{grouped, latency};

use self::engine::{Plan, Second};

/// A request without an answer after this time has failed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub struct Args {
    /// Activities a second, sent on schedule whether or not earlier ones are answered
    #[arg(long, value_name = "N", value_parser = parse_rate)]
    rate: f64,
    /// How long to send, such as 30s or 5m, or "forever" (until Ctrl-C)
    #[arg(long = "for", value_name = "TIME", value_parser = parse_length)]
    length: Length,
    /// Number of users; the second is half as active as the first, the third a third, and so on
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    users: u32,
    /// Number of programs
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    programs: u32,
    /// Activities per request
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    batch: u16,
    /// Determines users, programs and kinds [default: random]
    #[arg(long)]
    seed: Option<u64>,
    /// Spread the activities' times over this much of the past, instead of now
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    back: Option<Duration>,
    /// Let other users be the most active after every N activities [default: never]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    new_leaders_every: Option<u32>,
    /// Maximum of unanswered requests; beyond it, requests are not sent and count as errors
    #[arg(long, value_name = "N", default_value_t = 1_024, value_parser = clap::value_parser!(u16).range(1..))]
    max_outstanding: u16,
    /// How long to wait after the load for everything to be counted
    #[arg(long, value_name = "TIME", default_value = "3m", value_parser = duration::parse)]
    wait: Duration,
    /// Address of boards and status, if different from --url
    #[arg(long, value_name = "URL", env = "PODIUM_SERVE_URL", value_parser = parse_url)]
    serve_url: Option<Url>,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    credentials: Credentials,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Forever,
    Span(Duration),
}

fn parse_length(raw: &str) -> Result<Length, String> {
    if raw == "forever" {
        Ok(Length::Forever)
    } else {
        duration::parse(raw).map(Length::Span)
    }
}

fn parse_rate(raw: &str) -> Result<f64, String> {
    match raw.parse() {
        Ok(rate) if (0.01..=1_000_000.0).contains(&rate) => Ok(rate),
        _ => Err("a rate is a number from 0.01 to 1000000".to_owned()),
    }
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let serve_url = args.serve_url.unwrap_or_else(|| args.target.url.clone());
    let authorization = args.credentials.authorization(&args.target.url).await?;
    let ingest = Api::new(args.target.url, ANSWER_TIMEOUT)?.authorized_by(authorization.clone());
    let serve = Api::new(serve_url, ANSWER_TIMEOUT)?.authorized_by(authorization);
    let plan = Plan {
        rate: args.rate,
        length: match args.length {
            Length::Forever => None,
            Length::Span(span) => Some(span),
        },
        users: args.users,
        programs: args.programs,
        batch: args.batch,
        seed: args.seed.unwrap_or_else(rand::random),
        back: args.back,
        new_leaders_every: args.new_leaders_every,
        outstanding_max: usize::from(args.max_outstanding),
        drain_max: args.wait,
    };
    println!("sending to {}, seed {}", ingest.base(), plan.seed);
    let load = engine::run(&ingest, &serve, &plan, interrupted(), print_second);
    let figures = tokio::select! {
        figures = load => figures,
        // The first Ctrl-C waits for requests under way; the second does not.
        () = interrupted_twice() => return Ok(ExitCode::FAILURE),
    };
    println!("{figures}");
    Ok(if figures.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn interrupted() {
    // Without a handler, Ctrl-C ends the process, which is acceptable.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn interrupted_twice() {
    interrupted().await;
    interrupted().await;
}

fn print_second(second: &Second<'_>) {
    let counts = second.counts;
    println!(
        "{:>4} s  sent {}  accepted {}  errors {}  p50 {}  p99 {}  outstanding {}",
        second.elapsed.as_secs(),
        grouped(counts.sent),
        grouped(counts.accepted),
        grouped(counts.errors_total() + counts.rejected),
        latency(second.post.p50),
        latency(second.post.p99),
        second.outstanding,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_as_long_as_said_or_without_end() {
        assert_eq!(parse_length("forever"), Ok(Length::Forever));
        assert_eq!(parse_length("5m"), Ok(Length::Span(Duration::from_mins(5))));
        assert!(parse_length("for ever").is_err());
    }

    #[test]
    fn rates_are_positive_numbers() {
        for (raw, expected) in [
            ("0.5", true),
            ("2000", true),
            ("0", false),
            ("-1", false),
            ("NaN", false),
            ("inf", false),
        ] {
            assert_eq!(parse_rate(raw).is_ok(), expected, "{raw}");
        }
    }
}
