//! `podium board`: prints a leaderboard as a table.

mod render;

use std::{
    io::{IsTerminal, stdout},
    process::ExitCode,
    time::Duration,
};

use anyhow::bail;
use client::{Api, Credentials, Target, When};
use domain::calendar::InvalidPeriod;
use domain::teams::TEAMS;
use domain::{AskedPeriod, Board, ProgramId, SeasonId, UserId, Window};
use terminal::text::printable_json;

use self::render::Paint;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub struct Args {
    /// "global", "program:<id>" for one program, "team:<id>" for the members of one team, or "teams" for the
    /// teams themselves
    #[arg(default_value = "global", value_parser = parse_shown)]
    board: Shown,
    /// The period it covers: "all" time, or the current "month", "week", "day" or "season"
    #[arg(long, default_value_t = Window::All)]
    window: Window,
    /// A period that is over: a day such as 2026-11-24, a week such as 2026-W47, a month such as 2026-11, the id of a
    /// season, or yesterday, last-week, last-month or last-season
    #[arg(long, conflicts_with = "window", value_parser = parse_period)]
    period: Option<String>,
    /// Show at most this many users
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: u16,
    /// Show the rank of this user, and the neighbours
    #[arg(long, value_name = "ID", conflicts_with = "limit")]
    user: Option<UserId>,
    /// Print the JSON document of the API
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    credentials: Credentials,
}

/// What is printed.
#[derive(Clone, Debug)]
enum Shown {
    People(Board),
    Teams,
}

fn parse_shown(raw: &str) -> Result<Shown, String> {
    if raw == TEAMS {
        return Ok(Shown::Teams);
    }
    let board = raw
        .parse::<Board>()
        .map_err(|error| match raw.parse::<ProgramId>() {
            Ok(program) => format!("the board of a program is named program:{program}"),
            Err(_) => error.to_string(),
        })?;
    Ok(Shown::People(board))
}

fn parse_period(raw: &str) -> Result<String, InvalidPeriod> {
    let asked = raw.parse::<AskedPeriod>().map(|_| raw.to_owned());
    asked.or_else(|error| {
        raw.parse::<SeasonId>()
            .map(|id| id.to_string())
            .map_err(|_| error)
    })
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let when = match args.period {
        Some(period) => When::Period(period),
        None => When::Current(args.window),
    };
    let authorization = args.credentials.authorization(&args.target.url).await?;
    let api = Api::new(args.target.url, ANSWER_TIMEOUT)?.authorized_by(authorization);
    let (table, json) = match (&args.board, &args.user) {
        (Shown::People(board), None) => {
            let (document, json) = api.board(board, when, args.limit).await?;
            (render::board(&document, paint()), json)
        }
        (Shown::People(board), Some(user)) => {
            let (document, json) = api.user(board, user, when).await?;
            (render::user(&document, paint()), json)
        }
        (Shown::Teams, None) => {
            let (document, json) = api.teams(when, args.limit).await?;
            (render::teams(&document, paint()), json)
        }
        (Shown::Teams, Some(_)) => {
            bail!("no user is on the board of teams; name the board of a team, such as team:<id>")
        }
    };
    if args.json {
        println!("{}", printable_json(json.trim_end()));
    } else {
        print!("{table}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Colours only in a terminal, and not if `NO_COLOR` is set (<https://no-color.org>).
fn paint() -> Paint {
    let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if stdout().is_terminal() && !is_unwanted {
        Paint::Colours
    } else {
        Paint::Plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_name_alone_is_answered_with_that_of_its_board() {
        for board in ["global", "program:onboarding", "team:red"] {
            let Ok(Shown::People(parsed)) = parse_shown(board) else {
                panic!("{board} is a board");
            };
            assert_eq!(parsed.to_string(), board);
        }
        assert!(matches!(parse_shown("teams"), Ok(Shown::Teams)));
        assert_eq!(
            parse_shown("onboarding").unwrap_err(),
            "the board of a program is named program:onboarding"
        );
        let other = parse_shown("on boarding").unwrap_err();
        assert_eq!(
            other,
            "is not a board; use \"global\", \"program:<program_id>\" or \"team:<team_id>\""
        );
    }
}
