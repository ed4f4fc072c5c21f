//! `podium migrate shadow`: reads the boards of both systems for a while, and says how far they match. Nobody is answered.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{Board, Window};
use import::To;
use jiff::{SignedDuration, Timestamp};
use terminal::duration;
use terminal::text::{grouped, printable};
use tokio::time::{Instant, sleep};

use crate::source::{Legacy, Source, text, whole};
use crate::state::Shadowed;

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Rows of Podium's board: more than the other system shows, since ranks shift.
const ROWS: u16 = 200;
/// Podium's boards that are remembered: more than are made between two of the other system's.
const BOARDS_KEPT: usize = 1_000;
/// What either system may take from an event to a board, without the time between boards.
const LAG: SignedDuration = SignedDuration::from_secs(30);
/// The differences that are listed.
const SHOWN: usize = 10;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    from: Legacy,
    /// How long to compare
    #[arg(long = "for", value_name = "TIME", default_value = "2m", value_parser = duration::parse)]
    length: Duration,
    #[command(flatten)]
    to: To,
}

/// A row of the other system's board.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    employee: String,
    points: i64,
}

/// How often rows of the other system's board were as on Podium's, and why not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Match {
    boards: u64,
    rows: u64,
    equal: u64,
    /// As Podium's board was at some time since the other one was made, or may be when its next one is made.
    out_of_step: u64,
    /// Off by what verify found that the other system lost or doubled.
    known: u64,
    different: u64,
    /// Some of the different ones.
    shown: Vec<String>,
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let source = args.from.connect().await?;
    let files = args.from.files();
    let known = files.migration()?.verified.map(|verified| verified.points);
    let Some(known) = known else {
        bail!(
            "run `podium migrate verify --from {}` first: it finds what the other system lost, which no board shows",
            args.from.named(args.to.url())
        );
    };
    let api = args.to.api().await?;
    let mut seen = Seen::default();
    let mut found = Match::default();
    let until = Instant::now() + args.length;
    loop {
        let (document, _) = api.board(&Board::Global, Window::All, ROWS).await?;
        let rows = document.entries.iter();
        let rows = rows.filter_map(|entry| Some((entry.user_id.clone()?, entry.points)));
        let age = SignedDuration::try_from_secs_f64(document.heading.freshness.age_seconds)?;
        seen.add(Timestamp::now() - age, rows.collect());
        if let Some((generated_at, rows)) = latest(&source).await? {
            found.compare(&rows, &seen, generated_at, &known);
        }
        if Instant::now() >= until {
            break;
        }
        sleep(LOOK_EVERY).await;
    }
    print!("{found}");
    let shadowed = Shadowed {
        at: Timestamp::now(),
        rows: found.rows,
        different: found.different,
    };
    files.change(|migration| migration.shadowed = Some(shadowed))?;
    Ok(if found.different == 0 && found.rows > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The points of each person on Podium's boards since the comparison began, by when they were made.
#[derive(Default)]
struct Seen(VecDeque<(Timestamp, BTreeMap<String, i64>)>);

impl Seen {
    fn add(&mut self, generated_at: Timestamp, points: BTreeMap<String, i64>) {
        if self.0.len() == BOARDS_KEPT {
            self.0.pop_front();
        }
        self.0.push_back((generated_at, points));
    }

    fn now(&self, person: &str) -> Option<i64> {
        self.0.back()?.1.get(person).copied()
    }

    /// What a person had on the last of Podium's boards that was made well before this; `None` if none was.
    fn before(&self, person: &str, at: Timestamp) -> Option<i64> {
        let boards = self.0.iter().rev();
        let mut earlier = boards.skip_while(|(generated_at, _)| *generated_at + LAG > at);
        earlier.next()?.1.get(person).copied()
    }
}

impl Match {
    fn compare(&mut self, rows: &[Row], seen: &Seen, generated_at: Timestamp, known: &BTreeMap<String, i64>) {
        self.boards += 1;
        let may_be_ahead = seen
            .0
            .back()
            .is_none_or(|(latest, _)| *latest < generated_at + LAG);
        for row in rows {
            self.rows += 1;
            let off = known.get(&row.employee).copied().unwrap_or_default();
            let now = seen.now(&row.employee);
            let before = seen.before(&row.employee, generated_at);
            let corrected = row.points - off;
            // Either board is made anew now and then, and the other one goes on meanwhile.
            let is_behind =
                now.is_some_and(|now| corrected <= now) && before.is_none_or(|before| before <= corrected);
            let is_ahead = may_be_ahead && now.is_none_or(|now| corrected >= now);
            if now == Some(row.points) {
                self.equal += 1;
            } else if now == Some(corrected) {
                self.known += 1;
            } else if is_behind || is_ahead {
                self.out_of_step += 1;
            } else {
                self.different += 1;
                if self.shown.len() < SHOWN {
                    let podium = now.map_or_else(|| "nothing".to_owned(), |points| points.to_string());
                    self.shown.push(format!(
                        "{} has {} there, by the board of {generated_at:.0}, and {podium} here",
                        row.employee, row.points
                    ));
                }
            }
        }
    }
}

/// The other system's board, and when it was made.
async fn latest(source: &Source) -> anyhow::Result<Option<(Timestamp, Vec<Row>)>> {
    let table = source.leaderboard_table();
    let read = source
        .client
        .get_item()
        .table_name(&table)
        .key("leaderboard_id", AttributeValue::S("GLOBAL".to_owned()))
        .key("as_of", AttributeValue::S("LATEST".to_owned()))
        .send()
        .await;
    let read = read.with_context(|| format!("could not read the board in {table}"))?;
    let Some(item) = read.item else {
        return Ok(None);
    };
    let generated_at = text(&item, "generated_at");
    let generated_at = generated_at.parse();
    let generated_at = generated_at.with_context(|| format!("generated_at in {table} is no time"))?;
    let top = item.get("top").and_then(|top| top.as_l().ok());
    let rows = top.into_iter().flatten().filter_map(|row| row.as_m().ok());
    let rows = rows.map(|row| Row {
        employee: text(row, "employee_id").to_owned(),
        points: whole(row, "total_points"),
    });
    Ok(Some((generated_at, rows.collect())))
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} rows of {} readings of the other system's board:",
            grouped(self.rows),
            grouped(self.boards)
        )?;
        for (count, what) in [
            (self.equal, "as on Podium's board"),
            (self.known, "off by what the other system lost or doubled"),
            (self.out_of_step, "of another moment than Podium's"),
            (self.different, "different"),
        ] {
            writeln!(f, "  {:>8} {what}", grouped(count))?;
        }
        for different in &self.shown {
            writeln!(f, "  {}", printable(different))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_as_on_podiums_board_or_behind_or_off_by_what_is_known() {
        let time = |text: &str| format!("2026-11-28T{text}Z").parse::<Timestamp>().unwrap();
        let rows = [
            ("ann", 10),
            ("bob", 7),
            ("cy", 5),
            ("dee", 9),
            ("eve", 1),
            ("fay", 2),
        ];
        let rows = rows.map(|(employee, points)| Row {
            employee: employee.to_owned(),
            points,
        });
        let points = |rows: &[(&str, i64)]| -> BTreeMap<String, i64> {
            rows.iter()
                .map(|(name, points)| ((*name).to_owned(), *points))
                .collect()
        };
        let mut seen = Seen::default();
        seen.add(
            time("12:00:00"),
            points(&[("ann", 10), ("bob", 10), ("cy", 5), ("dee", 5), ("fay", 4)]),
        );
        seen.add(
            time("12:05:00"),
            points(&[("ann", 10), ("bob", 10), ("cy", 8), ("dee", 5), ("fay", 6)]),
        );
        let mut found = Match::default();
        found.compare(&rows, &seen, time("12:04:00"), &points(&[("bob", -3)]));
        // Podium never had so many points of dee and nothing of eve, and had more of fay before that board was made.
        assert_eq!(
            (found.equal, found.known, found.out_of_step, found.different),
            (1, 1, 1, 3)
        );
        assert!(found.shown[1].starts_with("eve has 1 there"), "{:?}", found.shown);
        // Podium's next board may have it.
        let mut found = Match::default();
        found.compare(&rows, &seen, time("12:04:50"), &points(&[("bob", -3)]));
        assert_eq!((found.out_of_step, found.different), (3, 1));
    }
}
