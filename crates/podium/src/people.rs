//! `podium people`: profiles by the API, and what concerns all that is kept of one person by the tables.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use client::parse_url;
use domain::UserId;
use import::people;
use operate::deployment::Deployment;
use operate::{erase, person};
use reqwest::Url;
use terminal::text::counted;

pub const HELP: &str = "\
A profile says what a person is called, which team the person is in, and how boards show the person: listed,
anonymous (a row without id and name) or hidden (on no board). Whoever has no profile is listed by the id.

  podium people import people.csv --dry-run
      says what an import would do, and writes nothing.
  podium people import people.csv
      reads the fields user_id, display_name, team and visibility, as CSV (with the names of the columns in its
      first row, in any order) or JSON (one object a line, or an array). A profile becomes what its row says: a
      field that is empty or missing is taken away, and without visibility the person is listed. Profiles of
      others stay. Run it again if it was interrupted: profiles that are already so are unchanged, and nothing
      is written for them. Ids that differ only in case are two people, and are named.
  podium people export --output people.csv
      writes all profiles as CSV, in the order of their ids. Importing that file changes nothing. A value that a
      spreadsheet would read as a formula, number or date gets a ' in front, as does one that begins with one,
      and an import of CSV takes it away again. The file is in UTF-8; in Excel, open it with Data > From Text/CSV.
  podium people export ann
      writes all that is kept of one person, as JSON: profile, activities, corrections and points.
  podium people erase ann
      deletes all that is kept of one person.

With a login, import and export of profiles need the scope of admins (podium:admin). What concerns one person reads
and writes the tables: it uses the stack of `podium local`, or a deployment on AWS with --environment and your AWS
credentials.

Exit status: 0 if everything was done and no row was refused, 1 otherwise, 130 if interrupted.";

/// The heading of the options that apply where a user is named.
const OF_USER: &str = "With USER";

#[derive(clap::Subcommand)]
pub enum Command {
    /// Make profiles what the rows of a file say
    Import(people::ImportArgs),
    /// Write all profiles as CSV, or all that is kept of one person as JSON
    Export(ExportArgs),
    /// Delete all that is kept of one person
    #[command(after_long_help = erase::HELP)]
    Erase(erase::Args),
}

#[derive(clap::Args)]
pub struct ExportArgs {
    /// Write all that is kept of this person, instead of all profiles
    user: Option<UserId>,
    /// The file to write, which must not exist yet [default: the standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    options: people::Options,
    /// Read this deployment on AWS, such as prod [default: the stack of `podium local`]
    #[arg(long, value_name = "NAME", conflicts_with = "aws_url", requires = "user", help_heading = OF_USER)]
    environment: Option<String>,
    /// The deployment's project: the prefix of its table names
    #[arg(long, value_name = "NAME", default_value = "podium", help_heading = OF_USER)]
    project: String,
    /// The AWS endpoint of the local stack [default: `http://127.0.0.1:7001`]
    #[arg(long, value_name = "URL", value_parser = parse_url, requires = "user", help_heading = OF_USER)]
    aws_url: Option<Url>,
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Import(args) => people::import(args).await,
        Command::Export(args) => export(args).await,
        Command::Erase(args) => erase::run(args).await,
    }
}

async fn export(args: ExportArgs) -> anyhow::Result<ExitCode> {
    if let Some(file) = &args.output {
        ensure!(
            !file.exists(),
            "{} exists already; name a new file",
            file.display()
        );
    }
    let (text, what) = if let Some(user) = args.user {
        let region = args.options.region();
        let deployment = Deployment::new(args.environment, args.project, region, args.aws_url);
        let kept = person::export(&deployment, &user).await?;
        let text = serde_json::to_string_pretty(&kept)? + "\n";
        (text.into_bytes(), format!("All that is kept of {user} is"))
    } else {
        let (text, profiles) = people::export(args.options).await?;
        (text, counted(profiles, "profile is", "profiles are"))
    };
    people::save(&text, args.output.as_deref())?;
    if let Some(file) = &args.output {
        println!("{what} written to {}.", file.display());
    }
    Ok(ExitCode::SUCCESS)
}
