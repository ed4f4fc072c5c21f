//! Measures the read units of documents, as the embedded tables report them.

use anyhow::ensure;
use client::Api;
use domain::{Board, UserId, Window};
use local::settings::{self, Batching};
use terminal::text::grouped;

use super::machine::{Machine, Peaks};
use super::report::{Aim, Report, Unit};
use super::snapshots::publish;
use super::standings::{Filling, Staff};

/// About half as many users, so more than a board lists.
const STANDINGS: u32 = 24_000;
/// One in so many users is read.
const READ_ONE_IN: usize = 500;
const USERS_READ: usize = 24;

/// As many as the dashboard shows.
const ROWS: u16 = 100;

const COLD_MAX: f64 = 6.0;
const WARM_MAX: f64 = 1.0;

/// The most read units of the documents of some users.
#[derive(Default)]
struct Most {
    users: u32,
    /// In a new instance.
    cold: f64,
    /// The next request to the same instance.
    warm: f64,
}

pub async fn measure(report: &mut Report, peaks: &mut Peaks) -> anyhow::Result<()> {
    eprintln!("read units of a person's document ...");
    let machine = Machine::start(Batching::Thrifty).await?;
    let filling = Filling::new(machine.stack.dynamodb.clone(), &machine.stack.tables.standings)?;
    filling
        .put(&mut Staff::new(0), STANDINGS.try_into()?, |_| ())
        .await?;
    // The heartbeats of a snapshot are counted, which would read as well.
    machine.stack.aggregation().pause();
    // After the second, a listed user has a change of rank, and no other has one.
    publish(&machine, STANDINGS).await?;
    publish(&machine, STANDINGS).await?;

    let (mut listed, mut unlisted) = (Most::default(), Most::default());
    let api = machine.api()?;
    for number in 0..USERS_READ {
        let user: UserId = format!("employee-{}", number * READ_ONE_IN + 1).parse()?;
        machine.function("serve")?.stop().await;
        machine.function("serve")?.start();
        let (is_listed, cold) = read(&machine, &api, &user).await?;
        let (_, warm) = read(&machine, &api, &user).await?;
        let most = if is_listed { &mut listed } else { &mut unlisted };
        most.users += 1;
        most.cold = most.cold.max(cold);
        most.warm = most.warm.max(warm);
    }
    api.board(&Board::Global, Window::All, ROWS).await?;
    let before = machine.stack.dynamodb.read_units();
    api.board(&Board::Global, Window::All, ROWS).await?;
    let rows = machine.stack.dynamodb.read_units() - before;
    ensure!(
        listed.users > 0 && unlisted.users > 0,
        "{} listed users were read and {} others",
        listed.users,
        unlisted.users
    );
    report.section(
        "A person's document",
        format_args!(
            "the most of {} of {} listed users, and of {} others; global board of all time",
            listed.users,
            grouped(settings::LISTED_USERS.into()),
            unlisted.users
        ),
    );
    let aim = |units| Some(Aim::AtMost(units));
    report.figure("read units, cold", listed.cold, Unit::Units, aim(COLD_MAX));
    report.figure("read units, warm", listed.warm, Unit::Units, aim(WARM_MAX));
    report.figure(
        "read units, not listed, cold",
        unlisted.cold,
        Unit::Units,
        aim(COLD_MAX),
    );
    report.figure(
        "read units, not listed, warm",
        unlisted.warm,
        Unit::Units,
        aim(WARM_MAX),
    );
    report.figure(
        format!("read units, the first {ROWS} rows, warm"),
        rows,
        Unit::Units,
        aim(WARM_MAX),
    );
    machine.stop(peaks).await
}

/// Reads the document of a user. Returns whether the user is listed, and the read units.
async fn read(machine: &Machine, api: &Api, user: &UserId) -> anyhow::Result<(bool, f64)> {
    let before = machine.stack.dynamodb.read_units();
    let (document, _) = api.user(&Board::Global, user, Window::All).await?;
    let units = machine.stack.dynamodb.read_units() - before;
    Ok((document.entry.change.is_some(), units))
}
