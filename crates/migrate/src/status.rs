//! `podium migrate status`: where a migration is, and what is next. It reads files alone, so it works anywhere.

use std::process::ExitCode;

use client::Target;
use jiff::Timestamp;
use terminal::text::{age, grouped};

use crate::backfill::Backfilled;
use crate::follow::Followed;
use crate::source::Legacy;
use crate::state::{File, Files, Migration};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    from: Legacy,
    #[command(flatten)]
    target: Target,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let known = Known::read(&args.from.files())?;
    let now = Timestamp::now();
    for (stage, state) in known.stages(now) {
        println!("{stage:<9} {state}");
    }
    println!(
        "\nNext: {}",
        known.next(&args.from.named(args.target.url.as_str()), now)
    );
    Ok(ExitCode::SUCCESS)
}

/// All that the files of a migration say.
#[derive(Default)]
struct Known {
    migration: Migration,
    tail: Followed,
    backfill: Backfilled,
    mirror: Followed,
}

impl Known {
    fn read(files: &Files) -> anyhow::Result<Self> {
        Ok(Self {
            migration: files.migration()?,
            tail: files.read(File::Tail)?,
            backfill: files.read(File::Backfill)?,
            mirror: files.read(File::Mirror)?,
        })
    }

    fn stages(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        let ago = |at: Timestamp| format!("{} ago", age(now.duration_since(at).as_secs_f64()));
        let done = |at: Option<Timestamp>| at.map_or_else(|| "not yet".to_owned(), ago);
        let followed = |followed: &Followed| match followed.beat_at {
            None => "not yet".to_owned(),
            Some(_) if followed.is_running(now) => {
                format!(
                    "running; {} carried, {} refused",
                    grouped(followed.carried),
                    grouped(followed.refused)
                )
            }
            Some(at) => format!("stopped {}; {} carried", ago(at), grouped(followed.carried)),
        };
        let backfill = match (self.backfill.begun_at, self.backfill.done_at) {
            (_, Some(at)) => ago(at),
            (Some(_), None) => "interrupted; the same command resumes it".to_owned(),
            (None, None) => "not yet".to_owned(),
        };
        let verified = self.migration.verified.as_ref().map_or_else(
            || "not yet".to_owned(),
            |verified| {
                format!(
                    "{}: {} facts, {} differences of ours",
                    ago(verified.at),
                    grouped(verified.facts),
                    grouped(verified.ours)
                )
            },
        );
        let shadowed = self.migration.shadowed.as_ref().map_or_else(
            || "not yet".to_owned(),
            |shadowed| {
                format!(
                    "{}: {} rows, {} different",
                    ago(shadowed.at),
                    grouped(shadowed.rows),
                    grouped(shadowed.different)
                )
            },
        );
        let cutover = match (
            self.migration.cut_over_at,
            self.migration.arrived_at,
            self.migration.rolled_back_at,
        ) {
            (_, Some(at), _) => format!("everyone has arrived, as was seen {}", ago(at)),
            (Some(at), None, _) => format!("under way since {}", ago(at)),
            (None, None, Some(at)) => format!("rolled back {}", ago(at)),
            (None, None, None) => "not yet".to_owned(),
        };
        vec![
            ("plan", done(self.migration.planned_at)),
            ("tail", followed(&self.tail)),
            ("backfill", backfill),
            ("verify", verified),
            ("shadow", shadowed),
            ("mirror", followed(&self.mirror)),
            ("cutover", cutover),
            ("finish", done(self.migration.finished_at)),
        ]
    }

    /// The command to run next.
    fn next(&self, prefix: &str, now: Timestamp) -> String {
        let migration = &self.migration;
        let stage = if migration.finished_at.is_some() {
            return "nothing; this migration is finished".to_owned();
        } else if migration.planned_at.is_none() {
            "plan"
        } else if !self.tail.is_running(now) {
            "tail"
        } else if self.backfill.done_at.is_none() || self.backfill.begun_at < self.tail.covers_since {
            "backfill"
        } else if migration
            .verified
            .as_ref()
            .is_none_or(|verified| verified.ours > 0 || Some(verified.at) < self.backfill.done_at)
        {
            "verify"
        } else if migration.shadowed.is_none() {
            "shadow"
        } else if !self.mirror.is_running(now) {
            "mirror"
        } else if migration.cut_over_at.is_none() {
            "cutover"
        } else if migration.arrived_at.is_none() {
            "cutover --check"
        } else if migration.verified.as_ref().map(|verified| verified.at) < migration.arrived_at {
            "verify"
        } else {
            "finish"
        };
        format!("podium migrate {stage} --from {prefix}")
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::state::{Shadowed, Verified};

    #[test]
    fn each_stage_follows_when_the_one_before_is_done() {
        let now: Timestamp = "2026-11-28T12:00:00Z".parse().unwrap();
        let ago = |minutes| Some(now - SignedDuration::from_mins(minutes));
        let mut known = Known::default();
        let expect = |known: &Known, stage: &str| {
            assert_eq!(
                known.next("edl", now),
                format!("podium migrate {stage} --from edl")
            );
        };
        expect(&known, "plan");
        known.migration.planned_at = ago(60);
        expect(&known, "tail");
        known.tail.beat_at = Some(now);
        known.tail.covers_since = ago(50);
        expect(&known, "backfill");
        (known.backfill.begun_at, known.backfill.done_at) = (ago(55), ago(40));
        // What was written between the backfill's beginning and the tail's may be in neither.
        expect(&known, "backfill");
        known.backfill.begun_at = ago(45);
        expect(&known, "verify");
        let verified = |minutes, ours| {
            let at = now - SignedDuration::from_mins(minutes);
            let points = std::collections::BTreeMap::new();
            Some(Verified {
                at,
                facts: 9,
                ours,
                points,
            })
        };
        known.migration.verified = verified(30, 2);
        expect(&known, "verify");
        known.migration.verified = verified(30, 0);
        expect(&known, "shadow");
        known.migration.shadowed = Some(Shadowed {
            at: now,
            rows: 20,
            different: 0,
        });
        expect(&known, "mirror");
        known.mirror.beat_at = Some(now);
        expect(&known, "cutover");
        known.migration.cut_over_at = ago(20);
        expect(&known, "cutover --check");
        known.migration.arrived_at = ago(10);
        expect(&known, "verify");
        known.migration.verified = verified(5, 0);
        expect(&known, "finish");
        known.migration.finished_at = Some(now);
        assert!(known.next("edl", now).starts_with("nothing"));
        known.tail.beat_at = ago(10);
        assert!(known.stages(now)[1].1.starts_with("stopped"));
    }
}
