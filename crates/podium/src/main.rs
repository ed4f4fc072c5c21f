//! `podium`: the command line of the leaderboard pipeline.

mod board;
mod completions;
mod cost;
mod import;
mod local;
mod smoke;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use lab::{bench, chaos, compare, load};
use operate::{dlq, rebuild, reconcile};

#[derive(Parser)]
#[command(name = "podium", version, about = "Leaderboards from what people have done")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the whole system on this machine
    #[command(after_long_help = local::HELP)]
    Local(local::Args),
    /// Send activities from a file, or from a git history
    #[command(after_long_help = import::HELP)]
    Import(import::Args),
    /// Send synthetic activities at a fixed rate, and measure the answers
    Load(load::Args),
    /// Send one activity through a deployment, and see it counted once and shown
    #[command(after_long_help = smoke::HELP, args_override_self = true)]
    Smoke(smoke::Args),
    /// Print a leaderboard
    Board(board::Args),
    /// Measure the whole system on this machine, beside what is aimed at
    #[command(after_long_help = bench::HELP)]
    Bench(bench::Args),
    /// Load the whole system while everything fails, and see that nothing is lost or counted twice
    #[command(after_long_help = chaos::HELP)]
    Chaos(chaos::Args),
    /// Load Podium and the coupled design that it replaces, and put what they do side by side
    #[command(after_long_help = compare::HELP)]
    Compare(compare::Args),
    /// Look at dead letters, keep them in a file, send them again, or delete them
    #[command(after_long_help = dlq::HELP)]
    Dlq(dlq::Args),
    /// Compare the counts with the activities, and correct them
    #[command(after_long_help = reconcile::HELP)]
    Reconcile(reconcile::Args),
    /// Compute the counts anew from the activities, beside those in use
    #[command(after_long_help = rebuild::HELP)]
    Rebuild(rebuild::Args),
    /// What a deployment on AWS costs a month, by stage
    #[command(after_long_help = cost::HELP)]
    Cost(cost::Args),
    /// Print a script that completes podium's commands and options in a shell
    #[command(after_long_help = completions::HELP)]
    Completions(completions::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    client::install_tls();
    let ended = match Cli::parse().command {
        Command::Local(args) => local::run(args).await,
        Command::Import(args) => import::run(args).await,
        Command::Load(args) => load::run(args).await,
        Command::Smoke(args) => smoke::run(args).await,
        Command::Board(args) => board::run(args).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Chaos(args) => chaos::run(args).await,
        Command::Compare(args) => compare::run(args).await,
        Command::Dlq(args) => dlq::run(args).await,
        Command::Reconcile(args) => reconcile::run(args).await,
        Command::Rebuild(args) => rebuild::run(args).await,
        Command::Cost(args) => Ok(cost::run(&args)),
        Command::Completions(args) => completions::run(&args, Cli::command()),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("podium: {error:#}");
        ExitCode::FAILURE
    })
}
