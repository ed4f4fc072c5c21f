//! `podium migrate verify`: facts both ways, then the other system's sums against its own facts, then Podium's counts.

use std::collections::HashMap;
use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use client::{Api, Target};
use domain::FactKey;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use operate::deployment::Deployment;
use operate::reconcile;
use reqwest::Url;
use serde::Serialize;
use store::Facts;
use store::schema::TableNames;
use terminal::duration;
use terminal::text::{age, grouped, printable};
use tokio::time::{Instant, sleep};

use crate::compare::{Cause, InProgram, InTotal, Person};
use crate::facts::{self, Events};
use crate::source::{self, Legacy, Source};
use crate::state::Verified;

/// How long an activity may take to be counted, as for `podium reconcile`: a message of a process that was killed comes
/// again after minutes.
const COUNTED_WITHIN: SignedDuration = SignedDuration::from_mins(5);
/// How long to wait between two readings of a person whose sums differ.
const BETWEEN_READINGS: Duration = Duration::from_secs(2);
/// How often a person is read until two readings agree. After that the difference is said to be under way.
const READINGS: usize = 5;
const PEOPLE_AT_ONCE: usize = 16;
/// How often to look again for facts that are under way to Podium.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// So many facts that are missing are looked for again; with more, something is wrong.
const LOOKED_FOR_MAX: usize = 10_000;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The rows of each kind that are listed without --json.
const SHOWN: usize = 20;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    from: Legacy,
    /// How long a fact may be under way to Podium
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration::parse)]
    in_flight: Duration,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    deployment: Deployment,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Serialize)]
struct Report {
    facts: FactsReport,
    program_progress: Vec<InProgram>,
    employee_totals: Vec<InTotal>,
    /// Podium's counts that are not those of its facts.
    counts: u64,
    /// All differences that Podium made.
    ours: u64,
}

/// What is in one system and not in the other.
#[derive(Debug, Default, Serialize)]
struct FactsReport {
    legacy: u64,
    podium: u64,
    /// Events that Podium lacks.
    missing: Vec<Missing>,
    /// Those that it has with another program or other points.
    different: Vec<Missing>,
    /// Those that it has although the other system does not.
    surplus: Vec<Missing>,
    /// Items that are no events.
    unreadable: Vec<String>,
    /// Podium's own, which no event led to.
    own: u64,
    /// Those of them that were carried back.
    mirrored: u64,
}

#[derive(Debug, Serialize)]
struct Missing {
    employee_id: String,
    event_id: String,
}

impl Missing {
    fn of(fact: &FactKey) -> Self {
        Self {
            employee_id: fact.user.to_string(),
            event_id: fact.id.as_str().to_owned(),
        }
    }
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let source = args.from.connect().await?;
    let deployment = source::podium(&args.deployment);
    let config = deployment.connect(None).await?;
    let table = TableNames::prefixed(&deployment.prefix()).activities;
    let facts = Facts::new(aws_sdk_dynamodb::Client::new(&config), table);

    let mut events = Events::read(&source).await?;
    let report = compare_facts(&source, &mut events, &facts, args.in_flight).await?;
    let (program_progress, employee_totals) = compare_sums(&source, &events).await?;
    let counts = reconcile::differences(&deployment, COUNTED_WITHIN).await?;
    let facts = [&report.missing, &report.different, &report.surplus];
    let ours =
        facts.iter().map(|facts| facts.len() as u64).sum::<u64>() + report.unreadable.len() as u64 + counts;
    let report = Report {
        facts: report,
        program_progress,
        employee_totals,
        counts,
        ours,
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
        print_board_age(args.target.url).await?;
    }
    let points = report.employee_totals.iter();
    let verified = Verified {
        at: Timestamp::now(),
        facts: report.facts.legacy,
        ours,
        points: points
            .map(|total| (total.employee_id.clone(), total.points))
            .collect(),
    };
    args.from
        .files()
        .change(|migration| migration.verified = Some(verified))?;
    Ok(if ours == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What was compared are facts and counts. Readers see them with the next board.
async fn print_board_age(url: Url) -> anyhow::Result<()> {
    match Api::new(url, ANSWER_TIMEOUT)?.status().await {
        Ok(status) => println!("boards     published {} ago", age(status.freshness.age_seconds)),
        Err(error) => println!("boards     not looked at: {error:#}"),
    }
    Ok(())
}

async fn compare_facts(
    source: &Source,
    events: &mut Events,
    facts: &Facts,
    in_flight: Duration,
) -> anyhow::Result<FactsReport> {
    let has_points = source.mapping.has_points();
    let mut found = events.find(facts, has_points).await?;
    if !found.surplus.is_empty() {
        // The other system was read first, so an event may be new since.
        let again = Events::read(source).await?;
        found.surplus.retain(|fact| !again.has(fact));
    }
    let missing = still_missing(facts, events.missing(), in_flight).await?;
    Ok(FactsReport {
        legacy: events.count,
        podium: found.count,
        missing: missing
            .into_iter()
            .map(|(employee_id, event_id)| Missing {
                employee_id,
                event_id,
            })
            .collect(),
        different: found.different.iter().map(Missing::of).collect(),
        surplus: found.surplus.iter().map(Missing::of).collect(),
        unreadable: std::mem::take(&mut events.unreadable),
        own: found.own,
        mirrored: events.mirrored,
    })
}

/// Those that Podium still lacks after the time that one may be under way.
async fn still_missing(
    facts: &Facts,
    mut missing: Vec<(String, String)>,
    in_flight: Duration,
) -> anyhow::Result<Vec<(String, String)>> {
    let until = Instant::now() + in_flight;
    while !missing.is_empty() && missing.len() <= LOOKED_FOR_MAX {
        let looked: Vec<Option<(String, String)>> = stream::iter(missing)
            .map(async |(person, id)| {
                let is_there = match facts::key_of(&person, &id) {
                    Some(key) => facts.get(&key).await?.is_some(),
                    None => false,
                };
                anyhow::Ok((!is_there).then_some((person, id)))
            })
            .buffered(PEOPLE_AT_ONCE)
            .try_collect()
            .await?;
        missing = looked.into_iter().flatten().collect();
        if Instant::now() >= until {
            break;
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(missing)
}

/// The differences of the other system's sums, which only the published system has.
async fn compare_sums(source: &Source, events: &Events) -> anyhow::Result<(Vec<InProgram>, Vec<InTotal>)> {
    if !source.has(&source.progress_table()).await? {
        return Ok((Vec::new(), Vec::new()));
    }
    let mut people = events.sums();
    facts::add_sums(source, &mut people).await?;
    people.retain(|_, person| person.differs());
    let settled = settle(source, people).await?;
    let (mut programs, mut totals) = (Vec::new(), Vec::new());
    for (employee_id, (person, is_settled)) in &settled {
        let (in_programs, in_total) = person.explained(employee_id, *is_settled);
        programs.extend(in_programs);
        totals.extend(in_total);
    }
    programs.sort_unstable();
    totals.sort_unstable();
    Ok((programs, totals))
}

/// Reads people again until two readings of each agree. Facts and sums are not read at one moment.
async fn settle(
    source: &Source,
    people: HashMap<String, Person>,
) -> anyhow::Result<HashMap<String, (Person, bool)>> {
    let mut settled = HashMap::new();
    let mut open = people;
    for _ in 1..READINGS {
        if open.is_empty() {
            break;
        }
        sleep(BETWEEN_READINGS).await;
        let read: Vec<(String, Person, Person)> = stream::iter(std::mem::take(&mut open))
            .map(async |(id, former)| {
                let now = facts::person(source, &id).await?;
                anyhow::Ok((id, former, now))
            })
            .buffer_unordered(PEOPLE_AT_ONCE)
            .try_collect()
            .await?;
        for (id, former, now) in read {
            if !now.differs() {
                continue;
            }
            if now == former {
                settled.insert(id, (now, true));
            } else {
                open.insert(id, now);
            }
        }
    }
    settled.extend(open.into_iter().map(|(id, person)| (id, (person, false))));
    Ok(settled)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FactsReport {
            legacy,
            podium,
            missing,
            different,
            surplus,
            unreadable,
            own,
            mirrored,
        } = &self.facts;
        writeln!(
            f,
            "facts      {} in the other system, {} in Podium",
            grouped(*legacy),
            grouped(*podium)
        )?;
        for (found, what) in [
            (missing, "missing in Podium"),
            (different, "other in Podium"),
            (surplus, "in Podium alone, although carried over"),
        ] {
            let listed = found
                .iter()
                .map(|fact| format!("{} {}", fact.employee_id, fact.event_id));
            list(f, what, listed)?;
        }
        list(f, "that are no events", unreadable.iter().cloned())?;
        if *own > 0 {
            writeln!(
                f,
                "           {} of Podium's own, {} of them carried back",
                grouped(*own),
                grouped(*mirrored)
            )?;
        }
        writeln!(
            f,
            "sums       {} by person and program, {} by person differ from the other system's own facts",
            grouped(self.program_progress.len() as u64),
            grouped(self.employee_totals.len() as u64)
        )?;
        for cause in Cause::EVERY {
            let of_programs = self.program_progress.iter().filter(|found| found.cause == cause);
            let of_totals = self.employee_totals.iter().filter(|found| found.cause == cause);
            let rows = of_programs
                .map(|found| {
                    let InProgram {
                        employee_id,
                        program_id,
                        points,
                        count,
                        ..
                    } = found;
                    format!("{employee_id} in {program_id}: {points:+} points, {count:+}")
                })
                .chain(of_totals.map(|found| {
                    let InTotal {
                        employee_id,
                        points,
                        count,
                        ..
                    } = found;
                    format!("{employee_id} in all: {points:+} points, {count:+}")
                }));
            list(f, cause.name(), rows)?;
        }
        let counts = if self.counts == 0 {
            "those of its facts".to_owned()
        } else {
            format!(
                "{} differ from its facts; see podium reconcile",
                grouped(self.counts)
            )
        };
        writeln!(f, "Podium     {counts}")?;
        writeln!(f, "ours       {}", grouped(self.ours))
    }
}

/// How many there are, and the first of them.
fn list(f: &mut fmt::Formatter<'_>, what: &str, rows: impl Iterator<Item = String>) -> fmt::Result {
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(f, "           {} {what}", grouped(rows.len() as u64))?;
    for row in rows.iter().take(SHOWN) {
        writeln!(f, "             {}", printable(row))?;
    }
    if rows.len() > SHOWN {
        writeln!(
            f,
            "             ... and {} more, with --json",
            grouped((rows.len() - SHOWN) as u64)
        )?;
    }
    Ok(())
}
