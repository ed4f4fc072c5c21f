//! `podium migrate plan`: reads the tables of the other system, and says what fits and what the scoring policy needs.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use domain::ScoringPolicy;
use domain::worth::Form;
use import::To;
use jiff::Timestamp;
use serde_json::{Value, json};
use terminal::text::{counted, grouped, printable};

use crate::source::{Legacy, Source};
use crate::state::File;

/// Parts of the table that are read, one after another: nobody waits for a plan.
const SEGMENT: (i32, i32) = (0, 1);
/// The items that do not fit and are listed.
const SHOWN: usize = 10;
/// More kinds than any program has. The rest are counted together, so that a wrong mapping cannot fill the memory.
const KINDS_MAX: usize = 100;
const NAMES_MAX: usize = 1_000_000;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    from: Legacy,
    #[command(flatten)]
    to: To,
}

#[derive(Default)]
struct Plan {
    items: u64,
    unfit: u64,
    shown: Vec<String>,
    kinds: BTreeMap<String, Kind>,
    people: BTreeSet<String>,
    programs: BTreeSet<String>,
    first_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
    /// Events of each day, of which the fullest says what Podium has to take.
    days: BTreeMap<String, u64>,
}

#[derive(Default)]
struct Kind {
    count: u64,
    points: Option<(i64, i64)>,
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let source = args.from.connect().await?;
    let plan = read(&source).await?;
    let files = args.from.files();
    let mapping = serde_json::to_value(&source.mapping)?;
    if files.text(File::Mapping)?.is_none() {
        files.write(File::Mapping, &mapping)?;
    }
    files.write(File::Policy, &plan.policy())?;
    print(&plan, &source).await?;
    println!(
        "\nThe mapping that this assumed is in {}; edit it if something does not fit.",
        files.path(File::Mapping).display()
    );
    println!(
        "A scoring policy that takes these points is in {}: give it to `podium local --scoring`, or its content to \
         Terraform's variable scoring_policy.",
        files.path(File::Policy).display()
    );
    say_what_podium_takes(&plan, &args.to).await;
    files.change(|migration| migration.planned_at = Some(Timestamp::now()))?;
    println!(
        "Next: podium migrate tail --from {}",
        args.from.named(args.to.url())
    );
    Ok(if plan.unfit == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Whether the scoring policy that Podium has now is such a one. It may not run yet.
async fn say_what_podium_takes(plan: &Plan, to: &To) {
    let url = to.url();
    let policy = async { anyhow::Ok(to.api().await?.policy().await?) };
    let Ok(policy) = policy.await else {
        println!("Podium at {url} does not say its scoring policy, so it was not compared.");
        return;
    };
    let unlike: Vec<_> = plan
        .kinds
        .iter()
        .filter(|(kind, found)| !takes(&policy, kind, found))
        .map(|(kind, _)| printable(kind))
        .collect();
    if unlike.is_empty() {
        println!("The scoring policy of Podium at {url} takes all of them.");
    } else {
        println!(
            "The scoring policy of Podium at {url} does not take: {}",
            unlike.join(", ")
        );
    }
}

fn takes(policy: &ScoringPolicy, kind: &str, found: &Kind) -> bool {
    let Ok(kind) = kind.parse() else { return false };
    let Ok(worth) = policy.worth(&kind, Timestamp::now()) else {
        return false;
    };
    match (found.points, worth.form) {
        (Some((_, most)), Form::Given { max }) => most <= i64::from(max),
        (Some(_), _) => false,
        (None, form) => !matches!(form, Form::Given { .. } | Form::PerQuantity { .. }),
    }
}

async fn read(source: &Source) -> anyhow::Result<Plan> {
    let mut plan = Plan::default();
    let mut after = None;
    loop {
        let (items, next) = source.page(&source.mapping.table, SEGMENT, after).await?;
        for item in &items {
            plan.add(source, item);
        }
        if next.is_none() {
            return Ok(plan);
        }
        after = next;
    }
}

impl Plan {
    fn add(&mut self, source: &Source, item: &bridge::Item) {
        self.items += 1;
        let event = match source.mapping.event(item).and_then(|event| {
            event.activity()?;
            Ok(event)
        }) {
            Ok(event) => event,
            Err(unfit) => {
                self.unfit += 1;
                if self.shown.len() < SHOWN {
                    self.shown.push(unfit.to_string());
                }
                return;
            }
        };
        if self.kinds.len() < KINDS_MAX || self.kinds.contains_key(&event.kind) {
            let kind = self.kinds.entry(event.kind.clone()).or_default();
            kind.count += 1;
            if let Some(points) = event.points {
                let (least, most) = kind.points.unwrap_or((points, points));
                kind.points = Some((least.min(points), most.max(points)));
            }
        }
        if let Some(at) = event.at() {
            self.first_at = Some(self.first_at.map_or(at, |first| first.min(at)));
            self.last_at = Some(self.last_at.map_or(at, |last| last.max(at)));
            *self.days.entry(at.strftime("%F").to_string()).or_default() += 1;
        }
        for (names, name) in [
            (&mut self.people, event.user),
            (&mut self.programs, event.program),
        ] {
            if names.len() < NAMES_MAX {
                names.insert(name);
            }
        }
    }

    /// A scoring policy by which each kind is worth what its events say, or a point where they say nothing.
    fn policy(&self) -> Value {
        let points = self.kinds.iter().map(|(kind, found)| {
            let worth = match found.points {
                Some((_, most)) => json!({"given": {"max": most.max(1)}}),
                None => json!(1),
            };
            (kind.clone(), worth)
        });
        let points: serde_json::Map<_, _> = points.collect();
        json!([{"effective_from": "1970-01-01T00:00:00Z", "points": points}])
    }
}

async fn print(plan: &Plan, source: &Source) -> anyhow::Result<()> {
    println!(
        "{}: {} of {} in {}",
        source.mapping.table,
        counted(plan.items, "item", "items"),
        counted(plan.people.len() as u64, "person", "people"),
        counted(plan.programs.len() as u64, "program", "programs"),
    );
    if let (Some(first), Some(last)) = (plan.first_at, plan.last_at) {
        println!("from {first:.0} to {last:.0}");
    }
    if let Some((day, count)) = plan.days.iter().max_by_key(|(_, count)| **count) {
        println!("at most {} a day, on {day}", grouped(*count));
    }
    for (kind, found) in &plan.kinds {
        let points = match found.points {
            Some((least, most)) if least == most => format!(", {least} points each"),
            Some((least, most)) => format!(", {least} to {most} points each"),
            None => String::new(),
        };
        println!("  {:<20} {:>12}{points}", printable(kind), grouped(found.count));
    }
    for table in [
        source.progress_table(),
        source.totals_table(),
        source.leaderboard_table(),
    ] {
        let is_there = if source.has(&table).await? {
            "is there; verify compares it"
        } else {
            "is not there; nothing is compared with it"
        };
        println!("{table} {is_there}");
    }
    match source.stream_arn().await {
        Ok(_) => println!("{} has a stream", source.mapping.table),
        Err(error) => println!("{error:#}"),
    }
    if plan.unfit > 0 {
        println!("{} not fit:", counted(plan.unfit, "item does", "items do"));
        for unfit in &plan.shown {
            println!("  {}", printable(unfit));
        }
        if plan.unfit > plan.shown.len() as u64 {
            println!("  ... and {} more", grouped(plan.unfit - plan.shown.len() as u64));
        }
    }
    Ok(())
}
