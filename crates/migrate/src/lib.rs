//! `podium migrate`: moves an engagement program from another system to Podium. Each stage is a module with its arguments
//! and `run`. [`source`] reads the other system's tables, [`follow`] a stream, [`carry`] posts what they have,
//! [`compare`] decides what differs and why, and [`state`] keeps how far one is.

mod backfill;
mod carry;
mod compare;
mod cutover;
mod facts;
mod follow;
mod mirror;
mod plan;
mod shadow;
mod source;
mod state;
mod status;
mod tail;
mod verify;

use std::process::ExitCode;

pub const HELP: &str = "\
Both systems run side by side until the last stage, and each stage can be repeated, resumed and taken back:

  plan       reads the tables of the other system; says what fits and what to put into the scoring policy
  tail       carries each new event over within seconds; runs until it is stopped
  backfill   carries over everything that was there before; wants a running tail
  verify     compares the facts both ways, and the sums of the other system with its own facts
  shadow     compares the boards of both systems for a while
  mirror     carries Podium's own activities back, so that going back loses nothing; runs until it is stopped
  cutover    says what to change so that people use Podium, and checks before and after
  rollback   says what to change so that they use the other system again
  finish     ends the migration
  status     says where you are and what is next

The other system's tables are found as every AWS tool finds AWS: AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL and the like.
--from names their prefix: edl-dev for edl-dev-Activities. Other tables are described by a mapping, which `plan` writes to
PREFIX.podium-mapping.json; edit it, and the stages use it. Podium is the stack of `podium local`, or what --url and
--environment name.

The state of a migration is kept in the current directory, in files that begin with the prefix. Run all stages there.";

#[derive(clap::Subcommand)]
pub enum Command {
    /// Read the tables of the other system, and say what fits
    Plan(plan::Args),
    /// Carry each new event over, until stopped
    Tail(tail::Args),
    /// Carry over what was there before
    Backfill(backfill::Args),
    /// Compare both systems, and say what differs and why
    Verify(verify::Args),
    /// Compare the boards of both systems for a while
    Shadow(shadow::Args),
    /// Carry Podium's own activities back, until stopped
    Mirror(mirror::Args),
    /// Say what to change so that people use Podium, and check it
    Cutover(cutover::Args),
    /// Say what to change so that people use the other system again
    Rollback(cutover::RollbackArgs),
    /// End the migration
    Finish(cutover::FinishArgs),
    /// Say where you are and what is next
    Status(status::Args),
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Plan(args) => plan::run(args).await,
        Command::Tail(args) => tail::run(args).await,
        Command::Backfill(args) => backfill::run(args).await,
        Command::Verify(args) => verify::run(args).await,
        Command::Shadow(args) => shadow::run(args).await,
        Command::Mirror(args) => mirror::run(args).await,
        Command::Cutover(args) => cutover::run(args).await,
        Command::Rollback(args) => cutover::roll_back(args).await,
        Command::Finish(args) => cutover::finish(&args),
        Command::Status(args) => status::run(&args),
    }
}
