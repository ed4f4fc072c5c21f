//! Boards of periods that are over. Their points are those of an edition; names and visibility are those of the newest
//! snapshot.

use std::collections::HashMap;

use domain::closed::{ClosedBoard, ClosedView};
use domain::counters::Sum;
use domain::documents::{BoardHeading, PeriodHeading, PeriodSummary, PeriodsDocument, TeamsDocument};
use domain::histogram::percentile;
use domain::history::PointsAt;
use domain::teams::TEAMS;
use domain::{
    AskedPeriod, Board, BoardDocument, BoardEntry, Period, Subject, SubjectKind, UserDocument, UserId,
    Visibility, Window,
};
use jiff::Timestamp;
use lambda_http::http::StatusCode;
use problem::Problem;
use serde_json::json;
use store::editions::{BoardEdition, Edition};
use store::overview::Overview;

use crate::documents::{cursor_expired, next_cursor, other_case, team};
use crate::response::Cacheable;
use crate::route::{Cursor, Start};
use crate::{Failure, Serve, Viewer, unavailable};

/// A closed board, and what it is shown with.
struct Closed {
    edition: BoardEdition,
    kept: ClosedBoard,
    concealed: HashMap<UserId, Visibility>,
    view: ClosedView,
    overview: Overview,
}

impl Serve {
    /// The period whose closed board is asked for; `None` if it is the live one.
    pub(crate) fn over(&self, asked: Option<AskedPeriod>, now: Timestamp) -> Result<Option<Period>, Problem> {
        let Some(asked) = asked else {
            return Ok(None);
        };
        let period = asked.at(&self.calendar, now).ok_or_else(|| {
            let problem = Problem::new(StatusCode::NOT_FOUND, "period_not_kept", "No season is over.");
            problem.field("period").with("other_case", json!([]))
        })?;
        let is_over = self.calendar.current(period.window(), now) != Some(period);
        Ok(is_over.then_some(period))
    }

    pub(crate) async fn closed_board(
        &self,
        board: &Board,
        period: Period,
        limit: usize,
        start: Start,
        now: Timestamp,
    ) -> Result<Cacheable, Failure> {
        let (closed, from) = match start {
            Start::After(rows) => (self.closed(board, period, None, now).await?, rows),
            Start::Cursor(Cursor { generation, rows }) => {
                (self.closed(board, period, Some(generation), now).await?, rows)
            }
        };
        let listed = closed.view.entries.len() as u64;
        let rows = closed.view.entries.iter().skip(from).take(limit);
        let mut entries: Vec<_> = rows.cloned().collect();
        self.name(&closed.overview, entries.iter_mut(), now).await?;
        let document = BoardDocument {
            next_cursor: next_cursor(closed.edition.generation, from, entries.len(), listed),
            heading: self.heading(board, &closed, Some(closed.view.late)).await?,
            listed,
            from: from as u64 + 1,
            entries,
            freshness: closed.overview.freshness.at(now, &self.bounds),
        };
        Ok(self.cacheable(document, now))
    }

    pub(crate) async fn closed_user(
        &self,
        board: &Board,
        user: &UserId,
        viewer: &Viewer,
        period: Period,
        around: usize,
        now: Timestamp,
    ) -> Result<Cacheable, Failure> {
        let closed = self.closed(board, period, None, now).await?;
        let concealed_as = closed.concealed.get(user).copied();
        let row = closed.kept.rows.iter().find(|row| row.user_id == *user);
        let row = row.filter(|_| concealed_as.is_none() || viewer.sees_concealed(user));
        let Some(row) = row else {
            let detail = format!(
                "{user} has neither points nor activities on the board {board} in {period}, or is not among those whom it \
                 keeps."
            );
            let problem = Problem::new(StatusCode::NOT_FOUND, "user_not_on_board", detail);
            let others = other_case(user, &closed.view.entries);
            return Err(problem.field("user").with("other_case", json!(others)).into());
        };
        let entries = &closed.view.entries;
        let better = entries.iter().filter(|entry| entry.points > row.points).count();
        let shown = entries
            .iter()
            .position(|entry| entry.user_id.as_ref() == Some(user));
        // Someone who is concealed has no row of their own, or an anonymous one, the last of as many points.
        let at = shown.unwrap_or(better);
        let is_own = |entry: &BoardEntry| match &entry.user_id {
            Some(id) => id == user,
            None => concealed_as == Some(Visibility::Anonymous) && entry.points == row.points,
        };
        let mut others: Vec<_> = entries.clone();
        if let Some(own) = (at..others.len()).find(|&at| is_own(&others[at])) {
            others.remove(own);
        }
        let from = at.saturating_sub(around);
        let (mut above, mut below) = (others[from..at].to_vec(), others[at..].to_vec());
        below.truncate(around);
        let mut entry = BoardEntry {
            rank: shown.map_or(better as u64 + 1, |at| entries[at].rank),
            user_id: Some(user.clone()),
            name: None,
            points: row.points,
            activities: row.activities,
            change: None,
        };
        let named = above.iter_mut().chain(&mut below).chain([&mut entry]);
        self.name(&closed.overview, named, now).await?;
        let heading = self.heading(board, &closed, Some(row.late)).await?;
        let person = self.person(user, closed.overview.has_people).await?;
        let document = UserDocument {
            percentile: percentile(entry.rank, heading.participants),
            history: vec![PointsAt {
                at: self.calendar.end(period),
                points: entry.points,
            }],
            heading,
            entry,
            above,
            below,
            other_case: other_case(user, entries),
            concealed_as,
            team: team(&person, user, viewer),
            freshness: closed.overview.freshness.at(now, &self.bounds),
        };
        Ok(self.cacheable(document, now))
    }

    pub(crate) async fn closed_teams(
        &self,
        period: Period,
        limit: usize,
        start: Start,
        now: Timestamp,
    ) -> Result<Cacheable, Failure> {
        let (edition, from) = match start {
            Start::After(rows) => (self.snapshots.teams_edition(period).await?, rows),
            Start::Cursor(Cursor { generation, rows }) => {
                let edition = self.snapshots.teams_edition_of(period, generation).await?;
                (Some(edition.ok_or_else(cursor_expired)?), rows)
            }
        };
        let overview = self.overview().await?;
        let Some(edition) = edition else {
            return Err(self.not_kept(TEAMS, period, now).into());
        };
        if !self.past.may_read(edition.pages(), limit, now) {
            return Err(too_many_reads().into());
        }
        let rows = self.snapshots.teams_in(&edition).await?;
        let mut entries: Vec<_> = rows.into_iter().skip(from).take(limit).collect();
        let subjects = entries.iter().map(|row| Subject::Team(row.team_id.clone()));
        let mut titles = self.people.titles(SubjectKind::Team, subjects).await?;
        for entry in &mut entries {
            entry.title = titles.remove(&Subject::Team(entry.team_id.clone()));
        }
        let document = TeamsDocument {
            next_cursor: next_cursor(edition.generation, from, entries.len(), edition.rows),
            period: Some(period_heading(&edition, None)),
            window: edition.window,
            generation: edition.generation,
            team_score: edition.of.team_score,
            participants: edition.of.participants,
            points: edition.of.points,
            listed: edition.rows,
            from: from as u64 + 1,
            entries,
            freshness: overview.freshness.at(now, &self.bounds),
        };
        Ok(self.cacheable(document, now))
    }

    pub(crate) async fn periods(
        &self,
        board: &Board,
        window: Window,
        limit: u16,
        before: Option<Period>,
        now: Timestamp,
    ) -> Result<Cacheable, Failure> {
        let overview = self.overview().await?;
        let (editions, has_more) = self.snapshots.editions(board, window, before, limit).await?;
        let last = editions.last().filter(|_| has_more);
        let document = PeriodsDocument {
            board: board.clone(),
            next_cursor: last.map(|last| last.period.to_string()),
            periods: editions
                .into_iter()
                .map(|edition| PeriodSummary {
                    name: edition.period,
                    first_day: edition.window.first_day,
                    last_day: edition.window.last_day,
                    state: edition.state,
                    edition: edition.edition,
                    as_of: edition.as_of,
                })
                .collect(),
            freshness: overview.freshness.at(now, &self.bounds),
        };
        Ok(self.cacheable(document, now))
    }

    /// The newest edition of a board, or that of a generation.
    async fn closed(
        &self,
        board: &Board,
        period: Period,
        generation: Option<u64>,
        now: Timestamp,
    ) -> Result<Closed, Failure> {
        let edition = match generation {
            None => self.snapshots.edition(board, period).await?,
            Some(generation) => {
                let edition = self.snapshots.edition_of(board, period, generation).await?;
                Some(edition.ok_or_else(cursor_expired)?)
            }
        };
        let Some(edition) = edition else {
            // Says more if there is no such board at all.
            self.head(board, Window::All, now).await?;
            let problem = self.not_kept(&board.to_string(), period, now);
            return Err(problem.with("other_case", json!([])).into());
        };
        let overview = self.overview().await?;
        let pages = edition.pages() + overview.concealed.len();
        if !self.past.may_read(pages, 0, now) {
            return Err(too_many_reads().into());
        }
        let kept = self.snapshots.closed_board(board, &edition).await?;
        let concealed = self.snapshots.concealed(&overview).await?;
        let view = kept.view(&concealed);
        Ok(Closed {
            edition,
            kept,
            concealed,
            view,
            overview,
        })
    }

    /// Why there is no board of a period.
    fn not_kept(&self, board: &str, period: Period, now: Timestamp) -> Problem {
        if self.calendar.beginning(period) > now {
            let detail = format!("{period} has not begun.");
            return Problem::new(StatusCode::NOT_FOUND, "period_not_begun", detail).field("period");
        }
        let detail = format!(
            "No board {board} of {period} is kept. Boards of a period are made with the first snapshot after its end. For an \
             earlier one, an operator can make them from the activities with `podium archive --period {period}`."
        );
        Problem::new(StatusCode::NOT_FOUND, "period_not_kept", detail).field("period")
    }

    async fn heading(
        &self,
        board: &Board,
        closed: &Closed,
        late: Option<Sum>,
    ) -> Result<BoardHeading, Failure> {
        let details = match board.subject() {
            Some(subject) => self.people.details(&subject).await?,
            None => None,
        };
        let edition = &closed.edition;
        Ok(BoardHeading {
            board: board.clone(),
            title: details.and_then(|details| details.title),
            window: edition.window.clone(),
            period: Some(period_heading(edition, late)),
            generation: edition.generation,
            participants: closed.view.sums.participants,
            points: closed.view.sums.points,
            activities: closed.view.sums.activities,
        })
    }

    /// Fills in the names of those who have one.
    async fn name<'a>(
        &self,
        overview: &Overview,
        entries: impl Iterator<Item = &'a mut BoardEntry>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        if overview.has_people {
            let mut entries: Vec<_> = entries.collect();
            let named = self
                .past
                .name(&self.people, &mut entries, overview.generation, now);
            named.await?;
        }
        Ok(())
    }
}

fn too_many_reads() -> Problem {
    let detail =
        "Boards of periods that are over are read too often at the moment. Try again in a few seconds.";
    unavailable("unavailable", detail)
}

fn period_heading<Of>(edition: &Edition<Of>, late: Option<Sum>) -> PeriodHeading {
    PeriodHeading {
        name: edition.period,
        state: edition.state,
        edition: edition.edition,
        as_of: edition.as_of,
        includes_late: edition.includes_late,
        late,
    }
}
