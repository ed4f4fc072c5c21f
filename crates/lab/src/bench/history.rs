//! Compares the cost of two ways to chart points over time: samples of past snapshots, which Podium
//! keeps, and more daily counters in every standing, which each snapshot would have to read.

use domain::history::FOLLOWED_USERS;
use domain::{Board, BoardEntry, Calendar, History, UserId, Window};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use local::settings::{self, Batching};
use operate::price;
use store::keys::CountGeneration;
use store::{Snapshots, Standings};

use super::machine::{Machine, Peaks, call};
use super::report::{Report, Unit};
use super::standings::Staff;
use crate::measure::{MAX_PUTS, add_earlier_days, put_standings};

/// Snapshots come every minute.
const MINUTES_OF_A_DAY: i64 = 24 * 60;

const STANDINGS: usize = 10_000;
/// 14 days minus the three that standings hold already.
const MORE_DAYS: usize = 11;

const DAYS_OF_A_MONTH: f64 = 30.0;

pub async fn measure(report: &mut Report, peaks: &mut Peaks) -> anyhow::Result<()> {
    let machine = Machine::start(Batching::Thrifty).await?;
    let mut written = 0.0;
    report.section(
        "Points over time from past snapshots",
        format_args!("a snapshot every minute"),
    );
    // The all-time history never ends and gets cheaper as it is thinned; its first month represents it.
    for (window, days) in [
        (Window::Day, 1),
        (Window::Week, 7),
        (Window::Month, 30),
        (Window::All, 30),
    ] {
        eprintln!("write units of the history of {window} ...");
        #[expect(clippy::cast_precision_loss, reason = "a few days")]
        let a_day = samples(&machine, window, days).await? / days as f64;
        report.figure(format!("  {window}"), a_day, Unit::Units, None);
        written += a_day;
    }
    report.figure("write units a day and board", written, Unit::Units, None);
    report.note(format_args!(
        "{:.3} US dollars per board and month, for any number of users",
        written * DAYS_OF_A_MONTH * price::WRITE_UNIT
    ));

    eprintln!("read units of {STANDINGS} standings with and without more days ...");
    let without = read_units(&machine, 0).await?;
    let with = read_units(&machine, MORE_DAYS).await?;
    #[expect(clippy::cast_precision_loss, reason = "a number of minutes")]
    let read = (with - without) * MINUTES_OF_A_DAY as f64;
    report.section(
        "Points over time from day counters",
        format_args!("read units that {MORE_DAYS} more days in each of {STANDINGS} standings would add"),
    );
    report.figure("  a snapshot, three days kept", without, Unit::Units, None);
    report.figure("  a snapshot, a fortnight kept", with, Unit::Units, None);
    report.figure("read units a day", read, Unit::Units, None);
    report.note(format_args!(
        "{:.3} US dollars a month, and the same again for every further {STANDINGS} standings",
        read * DAYS_OF_A_MONTH * price::READ_UNIT
    ));
    machine.stop(peaks).await
}

/// The write units of all samples of one board over this many days.
async fn samples(machine: &Machine, window: Window, days: i64) -> anyhow::Result<f64> {
    let calendar: Calendar = "UTC".parse()?;
    let start: Timestamp = "2026-11-01T00:00:00Z".parse()?;
    let board: Board = "program:history".parse()?;
    let mut staff = Staff::new(0);
    let users = (0..FOLLOWED_USERS).map(|_| Ok(staff.next()?.user));
    let users: Vec<UserId> = users.collect::<anyhow::Result<_>>()?;
    let client = aws_sdk_dynamodb::Client::new(&local::sdk_config(&machine.stack.aws_url));
    let snapshots = Snapshots::new(client, machine.stack.tables.snapshots.clone());
    let mut history = History::default();
    let mut units = 0.0;
    for minute in 0..days * MINUTES_OF_A_DAY {
        let now = start + Span::new().minutes(minute);
        if history.next_due().is_some_and(|due| now < due) {
            continue;
        }
        history = history
            .followed_by(now, 1_000_000, &board_at(&users, minute))
            .thinned();
        let span = calendar.span(window, now);
        units += snapshots.write_history(&board, span, history.clone()).await?;
    }
    Ok(units)
}

/// Every user is active every few minutes, the first ones most often.
fn board_at(users: &[UserId], minute: i64) -> Vec<BoardEntry> {
    let entries = (1..).zip(users).map(|(rank, user_id)| BoardEntry {
        rank,
        user_id: Some(user_id.clone()),
        name: None,
        points: ((100_000 / rank) + 10 * (minute.unsigned_abs() / (rank + 2))).cast_signed(),
        activities: 1,
        change: None,
    });
    entries.collect()
}

/// The read units for all standings once, with counters for this many days before yesterday.
async fn read_units(machine: &Machine, more_days: usize) -> anyhow::Result<f64> {
    let day = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let shards = settings::STANDING_SHARDS.to_string().parse()?;
    let table = &machine.stack.tables.standings;
    let mut staff = Staff::new(0);
    for _ in 0..STANDINGS / MAX_PUTS {
        let standings: Vec<_> = (0..MAX_PUTS)
            .map(|_| staff.next())
            .collect::<anyhow::Result<_>>()?;
        let mut request = put_standings(table, shards, day, &standings);
        add_earlier_days(&mut request, table, more_days);
        call(&machine.stack.dynamodb, "BatchWriteItem", &request).await?;
    }
    let client = aws_sdk_dynamodb::Client::new(&local::sdk_config(&machine.stack.aws_url));
    let standings = Standings::new(client, table.clone(), shards);
    let mut units = 0.0;
    for shard in standings.shards(CountGeneration::FIRST) {
        units += standings.read_shard(shard, day.into(), &[], |_| ()).await?;
    }
    Ok(units)
}
