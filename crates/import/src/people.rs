//! `podium people import` and `export`: what people are called, which team they are in and how boards show them.

mod export;
mod report;
mod rows;
mod spreadsheet;

use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use client::Api;
use client::people::Put;
use client::wire::{ItemError, Outcome, PersonAnswer};
use futures::{StreamExt as _, stream};
use terminal::duration;
use terminal::text::{counted, grouped};

pub use self::export::{export, save};
use self::report::Report;
use self::rows::{Entry, Row};
use crate::input::Source;
use crate::progress::Progress;
use crate::retries::{GaveUp, Retries};
use crate::tally::Rejection;
use crate::{EXIT_INTERRUPTED, End, To};

/// The fields of a person, in the order of an export.
const FIELDS: [&str; 4] = ["user_id", "display_name", "team", "visibility"];

/// Each profile is a request of its own.
const REQUESTS_AT_ONCE: usize = 10;

#[derive(clap::Args)]
pub struct ImportArgs {
    /// A file as CSV or JSON, optionally compressed with gzip; - for the standard input
    file: Source,
    /// Only say what would happen
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    options: Options,
}

#[derive(clap::Args)]
pub struct Options {
    /// Stop if one request fails for this long
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse)]
    give_up_after: Duration,
    #[command(flatten)]
    to: To,
}

impl Options {
    async fn connect(self) -> anyhow::Result<(Api, Retries)> {
        Ok((self.to.api().await?, Retries::new(self.give_up_after)))
    }

    /// The region that was given, or the one in the address.
    pub fn region(&self) -> Option<String> {
        self.to.credentials.region(&self.to.target.url)
    }
}

/// Makes profiles what the rows of a file say.
pub async fn import(args: ImportArgs) -> anyhow::Result<ExitCode> {
    let ImportArgs {
        file,
        dry_run,
        options,
    } = args;
    let rows = rows::read(&file)?;
    let (api, retries) = options.connect().await?;
    let mut report = Report::default();
    for entry in rows.iter().flatten() {
        report.cases.note(&entry.user);
    }
    let end = if dry_run {
        compare(rows, &api, &retries, &mut report).await?;
        End::Done
    } else {
        send(rows, &api, &retries, &mut report).await
    };
    println!("{report}");
    if retries.count() > 0 {
        println!("requests sent again {}", grouped(retries.count()));
    }
    if dry_run {
        println!("Nothing was written.");
    }
    Ok(conclude(&end, &report))
}

/// Compares the rows with the whole directory, which also has the ids that differ from them in case.
async fn compare(rows: Vec<Row>, api: &Api, retries: &Retries, report: &mut Report) -> anyhow::Result<()> {
    let directory = export::directory(api, retries).await?;
    for user in directory.keys() {
        report.cases.note_other(user);
    }
    for row in rows {
        match row {
            Ok(Entry { user, person, .. }) => report.add(match directory.get(&user) {
                None => Outcome::Created,
                Some(kept) if *kept == person => Outcome::Unchanged,
                Some(_) => Outcome::Changed,
            }),
            Err(rejection) => report.refuse(rejection),
        }
    }
    Ok(())
}

/// Sends the rows, and reports them in their order.
async fn send(rows: Vec<Row>, api: &Api, retries: &Retries, report: &mut Report) -> End {
    let all = rows.len() as u64;
    let mut progress = Progress::new(Some(all));
    let results = stream::iter(rows).map(|row| put(row, api, retries));
    let mut results = pin!(results.buffered(REQUESTS_AT_ONCE));
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    let end = loop {
        tokio::select! {
            _ = &mut interrupted => break End::Interrupted,
            next = results.next() => match next {
                Some(Ok(Ok(PersonAnswer { outcome, other_case }))) => {
                    report.add(outcome);
                    for user in &other_case {
                        report.cases.note_other(user);
                    }
                }
                Some(Ok(Err(rejection))) => report.refuse(rejection),
                Some(Err(gave_up)) => break End::GaveUp(gave_up),
                None => break End::Done,
            }
        }
        let done = report.rows();
        progress.update(done, || format!("{} of {} rows", grouped(done), grouped(all)));
    };
    progress.finish();
    end
}

async fn put(row: Row, api: &Api, retries: &Retries) -> Result<Result<PersonAnswer, Rejection>, GaveUp> {
    let Entry { place, user, person } = match row {
        Ok(entry) => entry,
        Err(rejection) => return Ok(Err(rejection)),
    };
    match retries
        .answered(api, async || api.put_person(&user, &person).await)
        .await
    {
        Ok(Put::Kept(answer)) => Ok(Ok(answer)),
        Ok(Put::Refused(ItemError { code, field, detail })) => Ok(Err(Rejection {
            place,
            code,
            field,
            detail,
        })),
        Err(reason) => Err(GaveUp { place, reason }),
    }
}

fn conclude(end: &End, report: &Report) -> ExitCode {
    let again = "Run the same command again; profiles that are already so are unchanged then";
    match end {
        End::Done if report.refused() == 0 => ExitCode::SUCCESS,
        End::Done => {
            eprintln!(
                "podium: {} refused. Correct the file, and run the command again.",
                counted(report.refused(), "row was", "rows were")
            );
            ExitCode::FAILURE
        }
        End::GaveUp(gave_up) => {
            eprintln!("podium: {gave_up}. {again}.");
            ExitCode::FAILURE
        }
        End::Interrupted => {
            eprintln!("podium: interrupted. {again}.");
            ExitCode::from(EXIT_INTERRUPTED)
        }
    }
}
