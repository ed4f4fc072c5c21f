//! Makes the boards of periods that are over.

use std::collections::BTreeMap;

use domain::closed::{ClosedPeriod, State};
use domain::counters::Sum;
use domain::{Board, Period, UserId, Window};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use store::Facts;
use store::editions::{Made, Making};
use store::erasures::Erasures;
use store::overview::Closings;
use store::periods::in_periods;

use crate::boards::{self, Boards};
use crate::closing::{self, Due, Progress};
use crate::review::{Done, LateOnBoards, Review};
use crate::{BOARDS_AT_ONCE, Publisher, Run};

const USERS_AT_ONCE: usize = 8;

impl Publisher {
    /// The periods that this run closes, or makes provisional boards of.
    pub(crate) fn due(
        &self,
        now: Timestamp,
        progress: Progress,
        closings: &BTreeMap<Window, Closings>,
    ) -> Vec<Due> {
        let Some(rules) = &self.rules else {
            return Vec::new();
        };
        let grace = rules.period_grace.map_or(0, |grace| grace.hours().into());
        closing::due(
            &self.calendar,
            SignedDuration::from_hours(grace),
            now,
            progress,
            closings,
        )
    }

    /// Reads the facts of those whose counters of a period were given up.
    pub(crate) async fn make_up(
        &self,
        boards: &mut Boards,
        periods: &[Period],
        erasures: &Erasures,
    ) -> anyhow::Result<()> {
        let (Some(rules), lost) = (&self.rules, boards.take_lost()) else {
            return Ok(());
        };
        let facts = Facts::new(self.client.clone(), self.activities_table.clone());
        let mut reads = stream::iter(lost)
            .map(|(user, person)| async {
                let facts = facts.of_user(&user).await?;
                let did = in_periods(&facts, rules, erasures.before(&user), periods);
                anyhow::Ok((user, person, did))
            })
            .buffer_unordered(USERS_AT_ONCE);
        while let Some((user, person, did)) = reads.try_next().await? {
            boards.add_past(&user, person.as_ref(), did);
        }
        Ok(())
    }

    /// Makes the boards of the periods that are due, tells what came too late, and returns what is closed afterwards.
    pub(crate) async fn publish_past(
        &self,
        due: &[Due],
        past: &[ClosedPeriod],
        (mut closings, review): (BTreeMap<Window, Closings>, &Review),
        now: Timestamp,
        run: &mut Run,
    ) -> anyhow::Result<BTreeMap<Window, Closings>> {
        let mut made = Vec::new();
        for due in due {
            let window = due.period.window();
            if let Some(closed) = past.iter().find(|closed| closed.period == due.period) {
                run.write_units += self.close(*due, closed, now).await?;
                made.extend((due.state == State::Closed).then_some(due.period));
            } else if due.state == State::Closed {
                tracing::error!(
                    period = %due.period,
                    limit = boards::LOST_MAX,
                    "The counters of a period that is over were given up for more users than the limit, so its boards stay \
                     provisional. `podium archive --period` closes them from the activities."
                );
            }
            let after = closing::closed(&self.calendar, closings.remove(&window), *due, now);
            closings.insert(window, after);
        }
        let mut told = Vec::new();
        for (period, late) in review
            .to_tell()
            .iter()
            .filter(|(period, _)| !made.contains(period))
        {
            let (is_told, write_units) = self.tell_late(*period, late, now).await?;
            told.extend(is_told.then_some(*period));
            run.write_units += write_units;
        }
        let done = Done { due, made, told };
        review.note(&mut closings, &done, &self.calendar, now);
        Ok(closings)
    }

    /// Makes editions of the boards of a closed period that say what came too late for it. Returns whether all say so, and
    /// the write units that it took.
    async fn tell_late(
        &self,
        period: Period,
        late: &LateOnBoards,
        now: Timestamp,
    ) -> anyhow::Result<(bool, f64)> {
        let making = self.making(period, State::Closed, now);
        let mut made = stream::iter(late)
            .map(|(board, late)| self.tell_late_on(board, late, &making))
            .buffer_unordered(BOARDS_AT_ONCE);
        let (mut is_told, mut units) = (true, 0.0);
        while let Some(made) = made.try_next().await? {
            is_told &= made != Made::Superseded;
            units += made.write_units();
        }
        Ok((is_told, units))
    }

    async fn tell_late_on(
        &self,
        board: &Board,
        late: &BTreeMap<UserId, Sum>,
        making: &Making,
    ) -> anyhow::Result<Made> {
        let edition = self.snapshots.edition(board, making.period).await?;
        let Some(edition) = edition.filter(|edition| edition.state == State::Closed) else {
            return Ok(Made::Unchanged);
        };
        let told = self
            .snapshots
            .closed_board(board, &edition)
            .await?
            .with_late(late);
        let made = self.snapshots.remake_edition(board, edition, making, &told);
        Ok(made.await?)
    }

    fn making(&self, period: Period, state: State, now: Timestamp) -> Making {
        Making {
            window: self.calendar.span_of(period),
            period,
            state,
            as_of: now,
            includes_late: false,
            is_by_operator: false,
        }
    }

    /// Makes the boards of a period that is over, and returns the write units that it took.
    async fn close(&self, due: Due, closed: &ClosedPeriod, now: Timestamp) -> anyhow::Result<f64> {
        let making = self.making(due.period, due.state, now);
        let boards = closed.boards.iter();
        let made = boards.map(|(board, closed)| self.snapshots.make_edition(board, &making, closed));
        let mut made: Vec<Made> = stream::iter(made.collect::<Vec<_>>())
            .buffer_unordered(BOARDS_AT_ONCE)
            .try_collect()
            .await?;
        if closed.teams.participants > 0 {
            let score = self.team_rules.score.to_string();
            let teams = self.snapshots.make_teams_edition(&making, &score, &closed.teams);
            made.push(teams.await?);
        }
        let units = made.iter().map(Made::write_units);
        tracing::info!(period = %due.period, state = ?due.state, boards = made.len(), "Made the boards of a period that is over.");
        Ok(units.sum())
    }
}
