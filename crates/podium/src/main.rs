//! `podium`: the command line of the leaderboard pipeline.

mod board;
mod completions;
mod cost;
mod local;
mod people;
mod quests;
mod small_file;
mod smoke;
mod webhooks;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use import::correct;
use lab::{bench, chaos, compare, legacy, load};
use operate::{archive, dlq, rebuild, reconcile};
use terminal::text::printable_lines;

// The local stack decodes, copies and encodes every message several times.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(
    name = "podium",
    version,
    about = "Leaderboards from what people do: run Podium, send activities, operate it"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole pipeline on this machine
    #[command(after_long_help = local::HELP)]
    Local(local::Args),
    /// Send activities from a file or a git history
    #[command(after_long_help = import::HELP)]
    Import(import::Args),
    /// Take an activity out, or add points: corrections, with a reason
    #[command(subcommand, after_long_help = correct::HELP)]
    Correct(correct::Command),
    /// Import or export what people are called, and how boards show them; erase a person
    #[command(subcommand, after_long_help = people::HELP)]
    People(people::Command),
    /// Check quests, and try them on the activities of a file
    #[command(subcommand, after_long_help = quests::HELP)]
    Quests(quests::Command),
    /// Send events again to a webhook that wanted no more
    #[command(subcommand, after_long_help = webhooks::HELP)]
    Webhooks(webhooks::Command),
    /// Move from another system to Podium, stage by stage, with a way back
    #[command(subcommand, after_long_help = migrate::HELP)]
    Migrate(migrate::Command),
    /// Send synthetic activities at a fixed rate and measure the answers
    Load(load::Args),
    /// Check a deployment: follow one activity from its POST to the board
    #[command(after_long_help = smoke::HELP, args_override_self = true)]
    Smoke(smoke::Args),
    /// Print a leaderboard
    Board(board::Args),
    /// Measure the pipeline on this machine and compare the results with the targets
    #[command(after_long_help = bench::HELP)]
    Bench(bench::Args),
    /// Load the pipeline while injecting faults, and check that nothing is lost or counted twice
    #[command(after_long_help = chaos::HELP)]
    Chaos(chaos::Args),
    /// Load Podium and the coupled design that it replaces, and compare the results
    #[command(after_long_help = compare::HELP)]
    Compare(compare::Args),
    /// Run the system that Podium replaces, to try a migration on
    #[command(subcommand, after_long_help = legacy::HELP)]
    Legacy(legacy::Command),
    /// List, export, redrive or purge dead letters
    #[command(subcommand, after_long_help = dlq::HELP)]
    Dlq(dlq::Command),
    /// Compare the counts with the activities, and repair them
    #[command(after_long_help = reconcile::HELP)]
    Reconcile(reconcile::Args),
    /// Recount all activities next to the live counts, compare, and switch
    #[command(subcommand, after_long_help = rebuild::HELP)]
    Rebuild(rebuild::Command),
    /// Make the boards of a period that is over anew, from the activities
    #[command(after_long_help = archive::HELP)]
    Archive(archive::Args),
    /// Estimate what a deployment on AWS costs a month, by stage
    #[command(after_long_help = cost::HELP)]
    Cost(cost::Args),
    /// Print a script that completes podium's commands and options in a shell
    #[command(after_long_help = completions::HELP)]
    Completions(completions::Args),
}

/// Exit status of a program that SIGPIPE ended, as shells print it.
const BROKEN_PIPE: i32 = 128 + 13;

/// Ends without a panic message when nobody reads the output any more, as with `podium cost | head -1`.
fn end_with_the_reader() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload_as_str().unwrap_or_default();
        if message.starts_with("failed printing to stdout") && message.contains("Broken pipe") {
            std::process::exit(BROKEN_PIPE);
        }
        print(panic);
    }));
}

#[tokio::main]
async fn main() -> ExitCode {
    end_with_the_reader();
    client::install_tls();
    let ended = match Cli::parse().command {
        Command::Local(args) => local::run(args).await,
        Command::Import(args) => import::run(args).await,
        Command::Correct(command) => correct::run(command).await,
        Command::People(command) => people::run(command).await,
        Command::Quests(command) => quests::run(command),
        Command::Webhooks(command) => webhooks::run(command).await,
        Command::Migrate(command) => Box::pin(migrate::run(command)).await,
        Command::Load(args) => load::run(args).await,
        Command::Smoke(args) => smoke::run(args).await,
        Command::Board(args) => board::run(args).await,
        Command::Bench(args) => Box::pin(bench::run(args)).await,
        Command::Chaos(args) => chaos::run(args).await,
        Command::Compare(args) => compare::run(args).await,
        Command::Legacy(command) => legacy::run(command).await,
        Command::Dlq(command) => dlq::run(command).await,
        Command::Reconcile(args) => reconcile::run(args).await,
        Command::Rebuild(command) => Box::pin(rebuild::run(command)).await,
        Command::Archive(args) => archive::run(args).await,
        Command::Cost(args) => Ok(cost::run(&args)),
        Command::Completions(args) => completions::run(&args, Cli::command()),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("podium: {}", printable_lines(&format!("{error:#}")));
        ExitCode::FAILURE
    })
}
