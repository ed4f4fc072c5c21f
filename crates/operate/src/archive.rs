//! `podium archive`: makes the boards of a period that is over from the facts.

use std::collections::HashMap;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, ensure};
use domain::closed::{ClosedBoards, ClosedPeriod, State};
use domain::{AskedPeriod, Board, Period, Person, TeamScore, UserId, Window};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use store::editions::{Made, Making};
use store::periods::in_periods;
use store::rules::PeriodGrace;
use store::{Generations, People, Rules, StoredFact};
use terminal::text::{counted, printable};
use tokio::sync::mpsc;

use crate::counts::{Counts, SEGMENTS_DEFAULT, parse_segments};
use crate::deployment::Deployment;

/// Items read in one request.
const PAGE: i32 = 1_000;
/// People read in one request.
const PEOPLE_PAGE: u16 = 1_000;
/// Users whose facts wait to be added.
const USERS_WAITING: usize = 64;
const BOARDS_AT_ONCE: usize = 8;

pub const HELP: &str = "\
When a day, week, month or season is over, snapshots keep its boards: provisional ones at first, which follow what is still
received in time, and closed ones after the time of grace. This command makes them from the activities instead. Use it
  for a period before Podium kept boards: add --include-late if its activities were imported later
  for one that stayed provisional, because its dead letters were counted only after days
  after activities in time were counted very late, for instance by `podium reconcile --repair`

It makes boards of all people, of each program, of each team as it is today, and of teams. A closed board never
changes: where the result differs, it is a new edition, which readers get from then on, and the former is kept. It
also says what was received too late and does not count.

It reads all activities once (half a read unit for each KB) and all profiles.

Without options it uses the stack of `podium local`; with --environment NAME, a deployment on AWS.";

#[derive(clap::Args)]
pub struct Args {
    /// The period: 2026-11-24, 2026-W47, 2026-11, the id of a season, yesterday, last-week, last-month or last-season
    #[arg(long)]
    period: String,
    /// Count also what was received too late
    #[arg(long)]
    include_late: bool,
    /// How many parts of the table to read at once
    #[arg(long, value_name = "NUMBER", default_value_t = SEGMENTS_DEFAULT, value_parser = parse_segments)]
    segments: u16,
    #[command(flatten)]
    deployment: Deployment,
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let counts = Counts::connect(&args.deployment).await?;
    let generations = counts.generations().await?;
    let now = Timestamp::now();
    let calendar = &counts.rules.calendar;
    let asked = AskedPeriod::parse(&args.period, calendar.seasons());
    let asked =
        asked.map_err(|error| anyhow!("--period {:?} {error}, or the id of a season", args.period))?;
    let period = asked.at(calendar, now).context("no season is over")?;
    let grace = counts.rules.period_grace.map_or(0, PeriodGrace::hours);
    let closes_at = calendar.end(period) + SignedDuration::from_hours(grace.into());
    ensure!(
        closes_at <= now,
        "{period} is open until {closes_at:.0}: what is received until then counts in it"
    );
    let rules = if args.include_late {
        Rules {
            period_grace: None,
            ..counts.rules.clone()
        }
    } else {
        counts.rules.clone()
    };
    let (closed, team_score) = collect(&counts, &generations, &rules, period, args.segments).await?;
    let making = Making {
        window: rules.calendar.span_of(period),
        period,
        state: State::Closed,
        as_of: now,
        includes_late: args.include_late,
        is_by_operator: true,
    };
    write(&counts, &making, &closed, &team_score).await?;
    Ok(ExitCode::SUCCESS)
}

/// What everyone did in a period, ranked, and how teams are.
async fn collect(
    counts: &Counts,
    generations: &Generations,
    rules: &Rules,
    period: Period,
    segments: u16,
) -> anyhow::Result<(ClosedPeriod, String)> {
    let teams = counts.snapshots.teams(Window::All).await?;
    let score: TeamScore = match &teams {
        Some(teams) => teams.team_score.parse()?,
        None => TeamScore::default(),
    };
    let mut boards = ClosedBoards::new(vec![period], domain::closed::ROWS_MAX, score);
    let people = all_people(counts).await?;
    for person in people.values() {
        boards.add_person(person);
    }
    let (users, mut facts_of_users) = mpsc::channel(USERS_WAITING);
    let segments_read = (0..segments).map(|segment| {
        let part = (i32::from(segment), i32::from(segments));
        tokio::spawn(read_segment(counts.clone(), part, users.clone()))
    });
    let segments_read: Vec<_> = segments_read.collect();
    drop(users);
    let mut facts = 0;
    while let Some(of_user) = facts_of_users.recv().await {
        let of_user: Vec<StoredFact> = of_user;
        let Some(user) = of_user.first().map(|stored| stored.fact.user().clone()) else {
            continue;
        };
        facts += of_user.len() as u64;
        let before = generations.erasures.before(&user);
        let did = in_periods(&of_user, rules, before, &[period]);
        boards.add(&user, people.get(&user), did);
    }
    for segment in segments_read {
        segment.await??;
    }
    println!("Read {}.", counted(facts, "activity", "activities"));
    let min_members = teams.map_or(1, |teams| teams.min_members);
    let mut periods = boards.finish(min_members);
    let mut closed = periods.pop().context("one period was asked for")?;
    closed
        .boards
        .retain(|(board, closed)| *board == Board::Global || !closed.rows.is_empty());
    Ok((closed, score.to_string()))
}

async fn all_people(counts: &Counts) -> anyhow::Result<HashMap<UserId, Person>> {
    let people = People::new(counts.client.clone(), counts.tables.people.clone());
    let (mut all, mut after) = (HashMap::new(), None);
    loop {
        let page = people.list(after.as_ref(), PEOPLE_PAGE).await?;
        all.extend(page.people);
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

/// Sends the facts of each user of a segment. They are adjacent, and may go on in the next page.
async fn read_segment(
    counts: Counts,
    part: (i32, i32),
    users: mpsc::Sender<Vec<StoredFact>>,
) -> anyhow::Result<()> {
    let (mut after, mut of_user) = (None, Vec::<StoredFact>::new());
    loop {
        let page = counts.facts.page(part, after.as_ref(), PAGE).await?;
        for unreadable in &page.unreadable {
            let unreadable = printable(unreadable);
            eprintln!("podium: skipped an item that is not an activity: {unreadable}");
        }
        for stored in page.facts {
            let is_next = of_user
                .last()
                .is_some_and(|last| last.fact.user() != stored.fact.user());
            if is_next {
                users.send(std::mem::take(&mut of_user)).await?;
            }
            of_user.push(stored);
        }
        after = page.next;
        if after.is_none() {
            users.send(of_user).await?;
            return Ok(());
        }
    }
}

async fn write(
    counts: &Counts,
    making: &Making,
    closed: &ClosedPeriod,
    team_score: &str,
) -> anyhow::Result<()> {
    let boards = closed.boards.iter();
    let made = boards.map(|(board, closed)| async move {
        let made = counts.snapshots.make_edition(board, making, closed).await?;
        anyhow::Ok((board.to_string(), closed.rows.len() as u64, made))
    });
    let mut made: Vec<_> = stream::iter(made.collect::<Vec<_>>())
        .buffered(BOARDS_AT_ONCE)
        .try_collect()
        .await?;
    if closed.teams.participants > 0 {
        let snapshots = &counts.snapshots;
        let teams = snapshots.make_teams_edition(making, team_score, &closed.teams);
        made.push((
            domain::teams::TEAMS.to_owned(),
            closed.teams.participants,
            teams.await?,
        ));
    }
    for (board, rows, made) in made {
        let (rows, period) = (counted(rows, "row", "rows"), making.period);
        match made {
            Made::Edition { edition, .. } => println!("{board}: edition {edition} of {period}, {rows}."),
            Made::Unchanged => println!("{board}: unchanged, {rows}."),
            Made::Superseded => anyhow::bail!(
                "another process made the board {board} of {period} at the same time; run this again"
            ),
        }
    }
    Ok(())
}
