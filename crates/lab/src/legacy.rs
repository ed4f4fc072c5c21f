//! `podium legacy`: the published Python system that Podium replaces, written anew from its description,
//! with its weaknesses. Migrations are tried on it.

mod clients;
mod event;
mod front;
mod mishap;
mod processor;
mod ranking;
mod rebuilder;
mod stream;
mod supervisor;
mod tables;

use std::process::ExitCode;

pub const HELP: &str = "\
The system has five tables, whose names begin with a prefix, and three programs:
  front      takes activities over HTTP, puts them into Activities, and shows the leaderboard
  processor  reads the stream of Activities, claims each event in ProcessedEvents, and then adds it to
             ProgramProgress and to EmployeeTotals by two separate updates
  rebuilder  writes the 20 employees with the most points to GlobalLeaderboard every five minutes

Its totals cannot be trusted: a crash after the claim loses an event, one between the two updates counts
it in one table only, and an update that is sent again because its answer was lost counts double. With
--crash-one-in N, one of these things happens to one event in N. The seed and the event's id say to which
events, so a run can be repeated.

The tables are where the usual AWS variables point. For those of `podium local`:
  export AWS_ENDPOINT_URL=http://127.0.0.1:7001 AWS_REGION=us-east-1
  export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any
  podium legacy run --prefix edl-dev --crash-one-in 50

`podium legacy clients` then sends a steady load. Its addresses are a JSON file, which it reads before each
request, so that a migration can move the clients without stopping them:
  {\"writes\": {\"format\": \"legacy\", \"url\": \"http://127.0.0.1:7100/activities\"},
   \"reads\": {\"format\": \"legacy\", \"url\": \"http://127.0.0.1:7100/leaderboard\"}}
With the format \"podium\", writes are posted as Podium's API takes them, such as to
http://127.0.0.1:7000/v1/activities; Podium's scoring policy must then take the points of the kinds checkin,
movement and steps as they are given ({\"given\": {\"max\": 25}}).";

#[derive(clap::Subcommand)]
pub enum Command {
    /// Create the tables that do not exist yet
    Tables(tables::Prefix),
    /// Take activities and show the leaderboard over HTTP
    Front(front::Args),
    /// Count the activities
    Processor(processor::Args),
    /// Rebuild the leaderboard at intervals
    Rebuilder(rebuilder::Args),
    /// Create the tables, and run all three programs until Ctrl-C
    Run(supervisor::Args),
    /// Send activities and read the leaderboard at a fixed rate
    Clients(clients::Args),
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Tables(args) => tables::run(&args).await,
        Command::Front(args) => front::run(args).await,
        Command::Processor(args) => processor::run(args).await,
        Command::Rebuilder(args) => rebuilder::run(&args).await,
        Command::Run(args) => supervisor::run(args).await,
        Command::Clients(args) => clients::run(args).await,
    }
}
