//! Measures what profiles and teams add to a snapshot.

use std::collections::HashMap;

use anyhow::ensure;
use domain::{Board, Person, UserId, Window};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use local::StackConfig;
use store::People;
use telemetry::Metric;
use terminal::text::grouped;

use super::machine::{Machine, Peaks};
use super::report::{Aim, Report, Unit};
use super::snapshots::{Run, publish};
use super::standings::{Filling, Staff};

/// Each has one standing, so that the read units of profiles weigh most.
const PEOPLE: u32 = 100_000;
const TEAMS: u32 = 2_000;
/// Half of the people are in the first team.
const FIRST_TEAM: u32 = PEOPLE / 2;

/// Of the read units of the standings.
const READ_UNITS_MAX: f64 = 0.35;

const PUTS_AT_ONCE: usize = 16;

pub async fn measure(report: &mut Report, peaks: &mut Peaks) -> anyhow::Result<()> {
    let machine = Machine::configured(StackConfig {
        team_boards: TEAMS,
        ..StackConfig::new()?
    })
    .await?;
    let filling = Filling::new(machine.stack.dynamodb.clone(), &machine.stack.tables.standings)?;
    filling
        .put(&mut Staff::of_one_program(), usize::try_from(PEOPLE)?, |_| ())
        .await?;
    let (before, bytes_before) = measured(&machine).await?;
    eprintln!("people: {PEOPLE} profiles ...");
    let aws = local::sdk_config(&machine.stack.aws_url);
    let people = People::new(
        aws_sdk_dynamodb::Client::new(&aws),
        machine.stack.tables.people.clone(),
    );
    let puts = (1..=PEOPLE).map(|number| {
        let people = people.clone();
        async move {
            people
                .put(&Staff::user_of(number.into())?, &person(number)?)
                .await
                .map_err(anyhow::Error::from)
        }
    });
    let puts: Vec<_> = puts.collect();
    stream::iter(puts)
        .buffer_unordered(PUTS_AT_ONCE)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    let (after, bytes_after) = measured(&machine).await?;
    check(&machine).await?;

    report.section(
        &format!("Snapshot of {} people", grouped(PEOPLE.into())),
        format_args!(
            "each with one standing; then each with a profile, in one of {} teams, of which the first has {}",
            grouped(TEAMS.into()),
            grouped(FIRST_TEAM.into())
        ),
    );
    let of = |run: &Run, metric| run.line.get(metric).unwrap_or_default();
    let standings = of(&after, Metric::StandingsReadUnits);
    report.time("without profiles", before.duration, None);
    report.time("with profiles and teams", after.duration, None);
    #[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
    for (name, bytes) in [
        ("memory, without profiles", bytes_before),
        ("memory, with profiles and teams", bytes_after),
    ] {
        report.figure(name, bytes as f64, Unit::Bytes, None);
    }
    report.figure("read units of the standings", standings, Unit::Units, None);
    let profiles = of(&after, Metric::PeopleReadUnits);
    report.figure("read units of the profiles", profiles, Unit::Units, None);
    report.figure(
        "read units of the profiles, of those of the standings",
        profiles / standings,
        Unit::Times,
        Some(Aim::AtMost(READ_UNITS_MAX)),
    );
    report.figure(
        "read units of profiles where there are none",
        of(&before, Metric::PeopleReadUnits),
        Unit::Units,
        Some(Aim::AtMost(0.0)),
    );
    for (name, run) in [("without profiles", &before), ("with profiles and teams", &after)] {
        let written = of(run, Metric::SnapshotsWriteUnits);
        report.figure(format!("write units, {name}"), written, Unit::Units, None);
        report.note(format_args!(
            "boards published {name}: {}",
            of(run, Metric::Published)
        ));
    }
    report.note(format_args!(
        "the sum of all teams is that of the global board, and the first team's board has {} rows",
        grouped(FIRST_TEAM.into())
    ));
    machine.stop(peaks).await
}

/// A run that finds nothing changed since the one before, and the most memory of its process.
async fn measured(machine: &Machine) -> anyhow::Result<(Run, u64)> {
    let function = machine.function("snapshot")?;
    function.stop().await;
    function.start();
    // Pages mark newcomers in the first run, and changes of rank in the second.
    publish(machine, PEOPLE).await?;
    publish(machine, PEOPLE).await?;
    let run = publish(machine, PEOPLE).await?;
    Ok((run, function.stats().max_rss_bytes.unwrap_or_default()))
}

fn person(number: u32) -> anyhow::Result<Person> {
    let team = if number <= FIRST_TEAM {
        0
    } else {
        1 + number % (TEAMS - 1)
    };
    Ok(Person {
        display_name: Some(format!("Person Number {number}").parse()?),
        team: Some(format!("team-{team}").parse()?),
        ..Person::default()
    })
}

/// All teams together have what everyone has.
async fn check(machine: &Machine) -> anyhow::Result<()> {
    let api = machine.api()?;
    let (global, _) = api.board(&Board::Global, Window::All, 1).await?;
    let (teams, _) = api.teams(Window::All, 1_000).await?;
    ensure!(
        (teams.participants, teams.points) == (TEAMS.into(), global.heading.points),
        "{} teams have {} points, and everyone has {}",
        teams.participants,
        teams.points,
        global.heading.points
    );
    let sizes: HashMap<_, _> = teams
        .entries
        .iter()
        .map(|team| (team.team_id.to_string(), team.members))
        .collect();
    ensure!(
        sizes.get("team-0") == Some(&FIRST_TEAM.into()),
        "the first team has {:?} members",
        sizes.get("team-0")
    );
    let (first, _) = api.board(&"team:team-0".parse()?, Window::All, 1).await?;
    ensure!(
        first.heading.participants == u64::from(FIRST_TEAM),
        "the board of the first team has {} members",
        first.heading.participants
    );
    let last: UserId = Staff::user_of(PEOPLE.into())?;
    let (team, _) = api
        .user(
            &format!("team:team-{}", 1 + PEOPLE % (TEAMS - 1)).parse()?,
            &last,
            Window::All,
        )
        .await?;
    ensure!(
        team.entry.user_id.as_deref() == Some(last.as_str()),
        "{last} is not on the own team's board"
    );
    Ok(())
}
