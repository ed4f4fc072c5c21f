//! `podium correct`: takes activities out or adds points, one at a time or from a file.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use client::Collection;
use domain::correction::{Adjustment, Reason};
use domain::intake::object;
use domain::{ActivityId, CorrectionId, ProgramId, UserId};
use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use terminal::duration;
use terminal::text::counted;

use crate::To;
use crate::batch::{Batch, Item, Read};
use crate::input::Source;
use crate::post::Poster;
use crate::records::whole::{self, Columns};
use crate::tally::{Place, Rejection, Tally};

/// The server's limit for one request.
const CORRECTIONS_A_REQUEST: usize = 100;

const NUMBERS: &[&str] = &["points"];

pub const HELP: &str = "\
A correction is kept like an activity, with who made it, when and why, and nothing that was posted changes.

  podium correct void ann course-17 --reason 'entered twice'
      takes the activity course-17 of ann out, as if it had never been posted, in every period that it
      counted in. There is one void for an activity; another one changes nothing.
  podium correct adjust ann onboarding -50 --reason 'agreed with the team' --id ticket-4711
      adds -50 points to ann's in the program onboarding, and no activity. The id makes it count once:
      with the same id again it changes nothing, and with other content it is refused. Without --id, each
      run adds the points again.
  podium correct import corrections.csv
      reads the fields correction_id, user_id, voids, program_id, points, occurred_at and reason, as JSON
      (one object a line, or an array) or CSV. Run it again if it was interrupted: what was accepted is a
      duplicate. So every adjustment in a file needs a correction_id. A void of an activity that is not
      there yet is rejected: post the activity first.

With a login, this needs the scope of admins (podium:admin).

Exit status: 0 if everything was accepted or a duplicate, otherwise 1.";

#[derive(clap::Subcommand)]
pub enum Command {
    /// Take an activity out, as if it had never been posted
    Void {
        user: UserId,
        /// The `activity_id`
        activity: ActivityId,
        #[command(flatten)]
        options: Options,
    },
    /// Add points, or take some away
    Adjust {
        user: UserId,
        program: ProgramId,
        /// From -1,000,000 to 1,000,000
        #[arg(allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(i64::from(-Adjustment::POINTS_MAX)..=i64::from(Adjustment::POINTS_MAX)))]
        points: i64,
        /// In which day, week and month they count, as an RFC 3339 time [default: now]
        #[arg(long, value_name = "TIME")]
        occurred_at: Option<Timestamp>,
        #[command(flatten)]
        options: Options,
    },
    /// Send the corrections of a file
    Import {
        /// A file as JSON or CSV, optionally compressed with gzip; - for the standard input
        file: Source,
        /// Stop if one request fails for this long
        #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse)]
        give_up_after: Duration,
        #[command(flatten)]
        to: To,
    },
}

#[derive(clap::Args)]
pub struct Options {
    /// Why, for those who ask later: 1 to 200 characters
    #[arg(long, value_name = "TEXT", value_parser = |text: &str| Reason::parse(text).map(|_| text.to_owned()))]
    reason: String,
    /// The id of the correction, which makes it count once [default: a new one]
    #[arg(long, value_name = "ID")]
    id: Option<CorrectionId>,
    #[command(flatten)]
    to: To,
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Void {
            user,
            activity,
            options,
        } => {
            let fields = json!({ "user_id": user, "voids": activity });
            one(fields, options).await
        }
        Command::Adjust {
            user,
            program,
            points,
            occurred_at,
            options,
        } => {
            let mut fields = json!({ "user_id": user, "program_id": program, "points": points });
            if let Some(at) = occurred_at {
                fields["occurred_at"] = at.to_string().into();
            }
            one(fields, options).await
        }
        Command::Import {
            file,
            give_up_after,
            to,
        } => import(&file, give_up_after, &to).await,
    }
}

/// How long one correction is tried.
const ONE_WITHIN: Duration = Duration::from_secs(30);

async fn one(mut fields: Value, options: Options) -> anyhow::Result<ExitCode> {
    fields["reason"] = options.reason.into();
    // Made here, so that a request which is sent again counts once.
    let id = options.id.map_or_else(
        || format!("correct-{:032x}", rand::random::<u128>()),
        |id| id.to_string(),
    );
    fields["correction_id"] = id.as_str().into();
    let api = options.to.api().await?;
    let poster = Poster::new(api, Collection::Corrections, ONE_WITHIN);
    let batch = Batch {
        items: vec![Item {
            place: Place::Record(1),
            json: fields.to_string(),
        }],
        ..Batch::default()
    };
    let done = poster
        .post(batch)
        .await
        .map_err(|gave_up| anyhow::anyhow!("{gave_up}"))?;
    if let Some(rejection) = done.tally.first_rejection() {
        bail!("{}", rejection.detail);
    }
    if done.tally.duplicate > 0 {
        let voids = fields.get("voids").is_some();
        println!(
            "{}",
            if voids {
                "The activity had been taken out before. Nothing changed."
            } else {
                "This correction had been made before. Nothing changed."
            }
        );
    } else {
        println!(
            "Accepted as correction {id}. It counts like an activity; the boards follow with the next snapshot."
        );
    }
    Ok(ExitCode::SUCCESS)
}

async fn import(source: &Source, give_up_after: Duration, to: &To) -> anyhow::Result<ExitCode> {
    let records = whole::read(source, "podium correct import", &Cells)?;
    let records: Vec<Record> = records.into_iter().map(|record| checked(record?)).collect();
    let poster = Poster::new(to.api().await?, Collection::Corrections, give_up_after);
    let mut tally = Tally::default();
    for chunk in records.chunks(CORRECTIONS_A_REQUEST) {
        let mut batch = Batch {
            read: Read::default(),
            ..Batch::default()
        };
        for record in chunk {
            match record {
                Ok(item) => batch.items.push(item.clone()),
                Err(rejection) => batch.rejected.push(rejection.clone()),
            }
        }
        match poster.post(batch).await {
            Ok(done) => tally.add(done.tally),
            Err(gave_up) => {
                println!("{tally}");
                bail!("{gave_up}. Run the same command again; what was accepted is a duplicate then");
            }
        }
    }
    println!("{tally}");
    let rejected = tally.rejected();
    if rejected == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!(
        "podium: {} not accepted. Correct the file, and run the command again.",
        counted(rejected, "correction was", "corrections were")
    );
    Ok(ExitCode::FAILURE)
}

type Record = Result<Item, Rejection>;

/// The server says which columns are no fields.
struct Cells;

impl Columns for Cells {
    fn check(&self, _: &[String]) -> anyhow::Result<()> {
        Ok(())
    }

    fn value(&self, name: &str, cell: &str) -> Value {
        let number = cell.parse::<i64>().ok().filter(|_| NUMBERS.contains(&name));
        number.map_or_else(|| cell.into(), Value::from)
    }
}

/// An adjustment without an id would count again when the file is imported again.
fn checked((place, json): (Place, String)) -> Record {
    let rejection = |code: &str, field: Option<&str>, detail: String| Rejection {
        place: place.clone(),
        code: code.to_owned(),
        field: field.map(str::to_owned),
        detail,
    };
    let has = |name: &str, members: &[(String, &RawValue)]| members.iter().any(|(found, _)| found == name);
    if let Err(error) = serde_json::from_str::<&RawValue>(&json) {
        let detail = format!("the correction is not valid JSON: {error}");
        return Err(rejection("malformed", None, detail));
    }
    match object(json.as_bytes()) {
        Err(error) => Err(Rejection::refused(place, error)),
        Ok(members) if !has("correction_id", &members) && !has("voids", &members) => {
            let detail = "correction_id is missing: with it, importing the file again counts nothing twice";
            Err(rejection(
                "missing_field",
                Some("correction_id"),
                detail.to_owned(),
            ))
        }
        Ok(_) => Ok(Item { place, json }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let records = whole::records(text.as_bytes(), &Cells).expect("a file");
        let rendered = records.into_iter().map(|record| match record.and_then(checked) {
            Ok(item) => format!("{}: {}", item.place, item.json),
            Err(rejection) => rejection.to_string(),
        });
        assert_eq!(rendered.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn corrections_are_read_from_lines_arrays_and_tables() {
        let void = r#"{"correction_id":"c1","user_id":"ann","voids":"a1","reason":"twice"}"#;
        check("", &[]);
        check(
            &format!("{void}\n\n{void}\n"),
            &[&format!("line 1: {void}"), &format!("line 3: {void}")],
        );
        check(&format!("[{void}]"), &[&format!("record 1: {void}")]);
        check(
            "correction_id;user_id;voids;program_id;points;reason\nc1;ann;a1;;;twice\nc2;bob;;p;-5;\"agreed; by all\"\n",
            &[
                r#"line 2: {"correction_id":"c1","reason":"twice","user_id":"ann","voids":"a1"}"#,
                r#"line 3: {"correction_id":"c2","points":-5,"program_id":"p","reason":"agreed; by all","user_id":"bob"}"#,
            ],
        );
    }

    #[test]
    fn what_would_count_again_is_not_sent() {
        check(
            r#"{"user_id":"ann","program_id":"p","points":5,"reason":"agreed"}"#,
            &[
                "line 1: missing_field (correction_id): correction_id is missing: with it, importing the file again counts nothing twice",
            ],
        );
        check(
            r#"{"user_id":"ann","voids":"a1","reason":"twice"}"#,
            &[r#"line 1: {"user_id":"ann","voids":"a1","reason":"twice"}"#],
        );
        check(
            "{",
            &[
                "line 1: malformed: the correction is not valid JSON: EOF while parsing an object at line 1 column 1",
            ],
        );
    }
}
