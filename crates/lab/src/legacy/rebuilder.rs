//! Rebuilds the leaderboard at intervals.

use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use terminal::duration;
use tokio::time::{MissedTickBehavior, interval};

use super::ranking;
use super::supervisor::Supervised;
use super::tables::{self, Tables};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    tables: tables::Prefix,
    /// How often the leaderboard is rebuilt
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "5m")]
    every: Duration,
    #[command(flatten)]
    supervised: Supervised,
}

pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let tables = Tables::connect(&args.tables).await?;
    let rebuilding = async {
        let mut rounds = interval(args.every);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            if let Err(error) = rebuild(&tables).await {
                eprintln!("The leaderboard could not be rebuilt and stays as it is: {error:#}");
            }
        }
    };
    tokio::select! {
        () = rebuilding => unreachable!("it never ends"),
        () = args.supervised.parent_ended() => Ok(ExitCode::SUCCESS),
    }
}

pub async fn rebuild(tables: &Tables) -> anyhow::Result<()> {
    let top = ranking::top(tables.totals().await?);
    tables.put_leaderboard(top, Timestamp::now()).await
}
