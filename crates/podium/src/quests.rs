//! `podium quests`: quests in words, and which coins the activities of a file earn. Nothing is sent.

mod report;
#[cfg(test)]
mod tests;
mod trial;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use domain::intake::Intake;
use domain::quest::Activities;
use domain::{Calendar, Quest, UserId, quest};
use import::{Source, offline};
use jiff::Timestamp;
use local::settings;
use terminal::text::printable_lines;

use crate::local::read_scoring_policy;
use crate::small_file;

pub const HELP: &str = r#"Quests are a JSON array of objects. Each has an id, a version, a title, a coin, what there is a coin for (per), and a
rule:
  [{"id": "explorer", "version": 1, "title": "Three programs in a month", "coin": {"name": "Compass", "value": 40},
    "per": "month", "rule": {"distinct": {"of": {}, "field": "program_id", "at_least": 3}}}]
per is once, day, week, month or program: only the activities of that day, week, month or program are looked at, and
there is a coin for each in which the rule is met. A rule has one of these forms:
  {"all": [M, ...]}                                  each M is met by an activity, which may meet several
  {"ordered": [M, ...]}                              activities meet them one after the other
  {"count": {"of": M, "at_least": 10}}               so many activities
  {"distinct": {"of": M, "field": "day", "at_least": 3}}  in so many programs (program_id), of so many kinds (kind)
                                                     or on so many days (day)
  {"points": {"of": M, "at_least": 100}}             so many points, without caps and adjustments
  {"streak": {"of": M, "unit": "week", "at_least": 4}}    in so many consecutive weeks, or on so many days (day)
M says which activities: {"kind": "task_completed", "program_id": "onboarding", "metadata": {"level": 2}}, each if you
like; {} is any activity. A quest may also have starts_at and ends_at, which are times and bound when activities
occurred; within, such as "36h" or "7d", from the first to the last activity that counts; and supply, so that there
are so many coins in all, for those who are first.

  podium quests check quests.json
      prints each quest in words, or what is wrong.
  podium quests try quests.json --activities activities.jsonl.gz
      prints the coins that these activities earn, each with the activity that it is found by and the evidence.
  podium quests try quests.json --activities activities.jsonl.gz --user ann
      says for each quest why ann gets a coin, or what is lacking.

The activities are read as `podium import` reads them, at most 4 million: JSON lines, an array or CSV, as they are or in
gzip. They were received in the order of the file, unless they are JSON and have received_at.

Exit status: 0 if the quests are valid and every record was read, 1 otherwise."#;

/// How the command with the activities begins.
const TRY: &str = "podium quests try QUESTS --activities";

/// 5 KiB for each of 200 quests.
const QUESTS_BYTES_MAX: u64 = 1024 * 1024;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Print the quests of a file in words, or what is wrong with them
    Check(CheckArgs),
    /// Print the coins that the activities of a file earn
    Try(TryArgs),
}

#[derive(clap::Args)]
pub struct CheckArgs {
    /// The quests, as a JSON file
    file: PathBuf,
}

#[derive(clap::Args)]
pub struct TryArgs {
    /// The quests, as a JSON file
    file: PathBuf,
    /// A file with activities, as `podium import` takes it; - for the standard input
    #[arg(long, value_name = "FILE")]
    activities: Source,
    /// Only say what this person gets, and what is lacking
    #[arg(long)]
    user: Option<UserId>,
    /// Print {QUEST: [[user, period], ...]}, for a quest with a supply those who get a coin
    #[arg(long)]
    json: bool,
    /// The time zone of days, weeks and months: an IANA name such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: Calendar,
    /// The points per kind of activity, as a JSON file [default: as in `podium local`]
    #[arg(long, value_name = "FILE")]
    scoring: Option<PathBuf>,
}

pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check(args) => check(&args.file),
        Command::Try(args) => attempt(&args),
    }
}

fn check(file: &Path) -> anyhow::Result<ExitCode> {
    print(&report::in_words(&read(file)?))?;
    Ok(ExitCode::SUCCESS)
}

/// Evaluates the quests for everyone, since a supply depends on all finders.
fn attempt(args: &TryArgs) -> anyhow::Result<ExitCode> {
    let quests = read(&args.file)?;
    let policy = match &args.scoring {
        Some(file) => read_scoring_policy(file)?,
        None => settings::SCORING_POLICY
            .parse()
            .context("the default scoring policy")?,
    };
    let intake = Intake {
        policy,
        max_age: None,
    };
    let people = offline::read(&args.activities, TRY, &intake, Timestamp::now())?;
    let policy = &intake.policy;
    let outcomes = trial::outcomes(&quests, &people, &args.time_zone, policy);
    let text = if args.json {
        serde_json::to_string(&trial::given(&outcomes, args.user.as_ref()))? + "\n"
    } else if let Some(user) = &args.user {
        let Some((_, facts)) = people.facts().find(|(found, _)| *found == user) else {
            bail!("{} has no activity of {user}; capitals matter", args.activities);
        };
        report::of_user(&outcomes, user, &Activities::new(facts, &args.time_zone, policy))
    } else {
        report::of_all(&outcomes)
    };
    print(&text)?;
    if people.rejected() > 0 {
        eprintln!(
            "podium: not every record is an activity; these are left out:\n{}",
            people.summary()
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// `print!` panics when it cannot write, as into a pipe that was closed.
fn print(text: &str) -> anyhow::Result<()> {
    io::stdout()
        .write_all(printable_lines(text).as_bytes())
        .context("cannot write to the standard output")
}

fn read(file: &Path) -> anyhow::Result<Vec<Quest>> {
    Ok(read_with_text(file)?.0)
}

/// The quests of a file, and its text.
pub fn read_with_text(file: &Path) -> anyhow::Result<(Vec<Quest>, String)> {
    let name = format!("the quests {}", file.display());
    let json = small_file::read(file, &name, QUESTS_BYTES_MAX)?;
    let quests = quest::parse(&json).map_err(|faults| {
        let faults: Vec<_> = faults.iter().map(|fault| format!("  {fault}")).collect();
        anyhow::anyhow!("{name} are not valid:\n{}", faults.join("\n"))
    })?;
    let text = String::from_utf8(json).with_context(|| format!("{name} are not UTF-8"))?;
    Ok((quests, text))
}
