//! Builds the documents from the published snapshots.

use std::sync::Arc;

use domain::counters::{Counters, Sum};
use domain::documents::{
    BoardsDocument, Fresh, HistoryDocument, SearchDocument, StatusDocument, TeamsDocument, UserTeam,
};
use domain::histogram::percentile;
use domain::history::{self, FOLLOWED_USERS, PointsAt};
use domain::person::SearchText;
use domain::{
    Board, BoardDocument, BoardEntry, Calendar, FreshnessDocument, History, Person, ProgramId, ScoringPolicy,
    Seasons, Tally, TeamId, UserDocument, UserId, Visibility, Window,
};
use jiff::Timestamp;
use lambda_http::http::StatusCode;
use problem::Problem;
use serde::Serialize;
use serde_json::json;
use store::overview::Overview;
use store::rules::{PeriodGrace, TieBreak};
use store::{Generations, Head, StoreError};

use crate::response::Cacheable;
use crate::route::{Cursor, Start};
use crate::{Failure, Serve, Viewer, nothing_published};

/// The most ids in another case that an answer names.
pub const MAX_OTHER_CASE: usize = 5;

/// `GET /v1/policy`
#[derive(Serialize)]
pub(crate) struct Policy {
    versions: ScoringPolicy,
    time_zone: String,
    seasons: Seasons,
    /// `null` if facts count in a period whenever they were received.
    period_grace_hours: Option<u16>,
    tie_break: TieBreak,
    /// The configured settings that wait for a rebuild.
    pending: Vec<&'static str>,
}

/// What is counted of a user by now.
struct Live {
    /// The counters in each program of the board.
    counters: Vec<Counters>,
    calendar: Calendar,
    /// The sum in the period of a snapshot; none if the counters no longer have that period.
    tally: Tally,
}

impl Live {
    /// Whether everything in a row of the snapshot is counted. It is, unless it was corrected since.
    fn includes(&self, row: &BoardEntry) -> bool {
        self.tally.points >= row.points && self.tally.activities >= row.activities
    }
}

impl Serve {
    pub(crate) async fn boards(&self, window: Window, now: Timestamp) -> Result<Cacheable, Failure> {
        let overview = self.overview().await?;
        let freshness = overview.freshness.at(now, &self.bounds);
        let document = BoardsDocument {
            window: self.calendar.span(window, freshness.generated_at),
            boards: overview.boards_in(window),
            programs: overview.programs,
            teams: overview.teams,
            season: self
                .calendar
                .seasons()
                .current_or_next(self.calendar.date(now))
                .cloned(),
            freshness,
        };
        Ok(self.cacheable(document, now))
    }

    /// The rules of the live counts.
    pub(crate) async fn policy(&self) -> Result<Policy, Failure> {
        let generations = self.standings.generations().await?;
        let Some(rules) = generations.rules(generations.live) else {
            return Err(nothing_published().into());
        };
        Ok(Policy {
            versions: rules.scoring_policy.clone(),
            time_zone: rules.calendar.time_zone().to_owned(),
            seasons: rules.calendar.seasons().clone(),
            period_grace_hours: rules.period_grace.map(PeriodGrace::hours),
            tie_break: rules.tie_break,
            pending: generations.pending(),
        })
    }

    pub(crate) async fn status(&self, now: Timestamp) -> Result<Cacheable, Failure> {
        let Overview {
            status, freshness, ..
        } = self.overview().await?;
        let freshness = freshness.at(now, &self.bounds);
        let document = StatusDocument { status, freshness };
        Ok(self.cacheable(document, now))
    }

    pub(crate) async fn overview(&self) -> Result<Overview, Failure> {
        let overview = self.snapshots.overview().await?;
        overview.ok_or_else(|| nothing_published().into())
    }

    pub(crate) async fn board(
        &self,
        board: &Board,
        window: Window,
        limit: usize,
        start: Start,
        now: Timestamp,
    ) -> Result<Cacheable, Failure> {
        let (head, from) = match start {
            Start::After(rows) => (self.head(board, window, now).await?, rows),
            Start::Cursor(Cursor { generation, rows }) => {
                let head = self.snapshots.generation(board, window, generation).await?;
                let head = head.ok_or_else(cursor_expired)?;
                self.check_published(board, &head, now).await?;
                (Arc::new(head), rows)
            }
        };
        let entries = self.snapshots.entries(board, window, &head, from, limit).await?;
        debug_assert_eq!(
            entries.len() as u64,
            head.listed.saturating_sub(from as u64).min(limit as u64)
        );
        let freshness = head.freshness.at(now, &self.bounds);
        let document = BoardDocument {
            heading: head.heading(board),
            listed: head.listed,
            from: from as u64 + 1,
            next_cursor: next_cursor(head.generation, from, entries.len(), head.listed),
            entries,
            freshness,
        };
        Ok(self.cacheable(document, now))
    }

    pub(crate) async fn teams(
        &self,
        window: Window,
        limit: usize,
        start: Start,
        now: Timestamp,
    ) -> Result<Cacheable, Failure> {
        self.check_season(window, now)?;
        let (head, from) = match start {
            Start::After(rows) => (self.snapshots.teams(window).await?, rows),
            Start::Cursor(Cursor { generation, rows }) => {
                let head = self.snapshots.teams_of(window, generation).await?;
                (Some(head.ok_or_else(cursor_expired)?), rows)
            }
        };
        let Some(head) = head.filter(|head| head.participants > 0) else {
            // Before the first snapshot there may be teams.
            self.overview().await?;
            let detail =
                "No team takes part. Someone takes part in a team whom PUT /v1/people/{user} puts into one.";
            let problem = Problem::new(StatusCode::NOT_FOUND, "no_teams", detail);
            return Err(problem.field("board").into());
        };
        let entries = self.snapshots.team_entries(&head, from, limit).await?;
        let document = TeamsDocument {
            next_cursor: next_cursor(head.generation, from, entries.len(), head.listed),
            window: head.window,
            period: None,
            generation: head.generation,
            team_score: head.team_score,
            participants: head.participants,
            points: head.points,
            listed: head.listed,
            from: from as u64 + 1,
            entries,
            freshness: head.freshness.at(now, &self.bounds),
        };
        Ok(self.cacheable(document, now))
    }

    /// The listed users whose id or name contains `search`, ignoring case and accents.
    pub(crate) async fn search(
        &self,
        board: &Board,
        window: Window,
        search: &SearchText,
        limit: usize,
        now: Timestamp,
    ) -> Result<Cacheable, Failure> {
        let head = self.head(board, window, now).await?;
        let mut entries = self.listed(board, window, &head).await?;
        entries.retain(|entry| search.finds(entry));
        entries.truncate(limit);
        let freshness = head.freshness.at(now, &self.bounds);
        let document = SearchDocument {
            heading: head.heading(board),
            entries,
            freshness,
        };
        Ok(self.cacheable(document, now))
    }

    pub(crate) async fn history(
        &self,
        board: &Board,
        window: Window,
        now: Timestamp,
    ) -> Result<Cacheable, Failure> {
        let head = self.head(board, window, now).await?;
        let first = self
            .snapshots
            .entries(board, window, &head, 0, FOLLOWED_USERS)
            .await?;
        let past = self.snapshots.history(board, &head.window).await?;
        let History {
            at, points, users, ..
        } = past.followed_by(head.freshness.generated_at, head.points, &first);
        let freshness = head.freshness.at(now, &self.bounds);
        let document = HistoryDocument {
            heading: head.heading(board),
            at,
            total: points,
            users,
            freshness,
        };
        Ok(self.cacheable(document, now))
    }

    pub(crate) async fn user(
        &self,
        board: &Board,
        user: &UserId,
        viewer: &Viewer,
        window: Window,
        around: usize,
        now: Timestamp,
    ) -> Result<Cacheable, Failure> {
        let head = self.kept_head(board, window, now).await?;
        let ((listed, live), person) = tokio::try_join!(
            self.find(board, user, window, &head, now),
            self.person(user, head.has_profiles),
        )?;
        let team = team(&person, user, viewer);
        let (at, entry, other_case, concealed_as) = if let Some((at, entry)) = listed {
            let others = match head.other_case(user) {
                Some(others) => others,
                None => other_case(user, &self.listed(board, window, &head).await?),
            };
            (at, entry, others, None)
        } else {
            // An unlisted user comes from the standings, which may be slightly newer than the snapshot.
            let Tally { points, activities } = live.tally;
            if live.tally.is_nothing() {
                return Err(self.not_on_board(board, user, window, now).await?.into());
            }
            let is_member = match board {
                Board::Team(team) => person.team.as_ref() == Some(team),
                Board::Global | Board::Program(_) => true,
            };
            if !is_member || person.is_concealed() && !viewer.sees_concealed(user) {
                return Err(self.not_on_board(board, user, window, now).await?.into());
            }
            // Only the rows say whose ids differ in case, and on a board that is cut these were not read.
            let others = if head.lists_everyone() {
                other_case(user, &self.listed(board, window, &head).await?)
            } else {
                Vec::new()
            };
            let concealed_as = person.is_concealed().then_some(person.visibility);
            let mut rank = self.snapshots.rank(board, window, &head, points).await?;
            if head.breaks_ties && concealed_as.is_none() {
                // Those who are not listed come after the rows, also with the points of the last one.
                rank = rank.max(head.listed + 1);
            }
            let entry = BoardEntry {
                rank,
                user_id: Some(user.clone()),
                name: person.display_name,
                points,
                activities,
                change: None,
            };
            // Rows of as many points as a concealed user has stand below; another one ranks after all listed users.
            let at = match concealed_as {
                Some(_) => entry.rank.saturating_sub(1).min(head.listed),
                None => head.listed,
            };
            (
                usize::try_from(at).unwrap_or(usize::MAX),
                entry,
                others,
                concealed_as,
            )
        };
        let snapshot = PointsAt {
            at: head.freshness.generated_at,
            points: entry.points,
        };
        let history = history::of_user(&live.calendar, window, snapshot, |period| {
            let sum = sum(&live.counters, |counters| counters.sum(period));
            sum.map(|sum| Tally::from(sum).points)
        });
        let from = at.saturating_sub(around);
        // Also one more row, which may be the user's own.
        let near = self
            .snapshots
            .entries(board, window, &head, from, at - from + 1 + around)
            .await?;
        let (above, below) = near.split_at((at - from).min(near.len()));
        let (above, mut below) = (above.to_vec(), below.to_vec());
        let is_own = |row: &BoardEntry| match (&row.user_id, concealed_as) {
            (Some(id), _) => id == user,
            // Rows without an id differ in nothing else that is known.
            (None, Some(Visibility::Anonymous)) => row.points == entry.points,
            (None, _) => false,
        };
        if let Some(own) = below.iter().position(is_own) {
            below.remove(own);
        }
        below.truncate(around);
        let document = UserDocument {
            heading: head.heading(board),
            percentile: percentile(entry.rank, head.participants),
            entry,
            above,
            below,
            history,
            other_case: other_case.into_iter().take(MAX_OTHER_CASE).collect(),
            concealed_as,
            team,
            freshness: head.freshness.at(now, &self.bounds),
        };
        Ok(self.cacheable(document, now))
    }

    /// The profile of a user.
    pub(crate) async fn person(&self, user: &UserId, has_profiles: bool) -> Result<Person, StoreError> {
        if !has_profiles {
            return Ok(Person::default());
        }
        Ok(self.people.get(user).await?.unwrap_or_default())
    }

    /// The row of a listed user with its position on the board, from 0, and what is counted of a user by now.
    async fn find(
        &self,
        board: &Board,
        user: &UserId,
        window: Window,
        head: &Head,
        now: Timestamp,
    ) -> Result<(Option<(usize, BoardEntry)>, Live), StoreError> {
        let kept = self.kept.generations(head, now);
        let generations = match &kept {
            Some(kept) => Arc::clone(kept),
            None => self.generations(head, now).await?,
        };
        let live = self.live(board, user, window, head, &generations).await?;
        let points = live.tally.points;
        let listed = self.snapshots.find(board, window, head, user, points).await?;
        let is_plausible = match &listed {
            Some((_, row)) => live.includes(row),
            None => !live.tally.is_nothing(),
        };
        // The counters of a generation that is no longer live may be deleted.
        if kept.is_some() && !is_plausible {
            let newest = self.generations(head, now).await?;
            if newest != generations {
                let live = self.live(board, user, window, head, &newest).await?;
                return Ok((listed, live));
            }
        }
        Ok((listed, live))
    }

    async fn live(
        &self,
        board: &Board,
        user: &UserId,
        window: Window,
        head: &Head,
        generations: &Generations,
    ) -> Result<Live, StoreError> {
        let (counters, calendar) = self.counters(board, user, generations).await?;
        // Periods as of the snapshot: after midnight, its day is no longer the current one.
        let day = calendar.day(head.freshness.generated_at);
        let current = sum(&counters, |counters| counters.in_window(window, day));
        Ok(Live {
            counters,
            calendar,
            tally: current.unwrap_or_default().into(),
        })
    }

    /// Why a user is not found. No cache keeps a problem, so it is of the newest head.
    async fn not_on_board(
        &self,
        board: &Board,
        user: &UserId,
        window: Window,
        now: Timestamp,
    ) -> Result<Problem, Failure> {
        let head = self.head(board, window, now).await?;
        let mut others = other_case(user, &self.listed(board, window, &head).await?);
        // Someone in another case may have done nothing in a shorter window yet.
        if others.is_empty() && window != Window::All {
            let head = self.head(board, Window::All, now).await?;
            others = other_case(user, &self.listed(board, Window::All, &head).await?);
        }
        let what = match board {
            Board::Team(_) => "is not a member, or has neither points nor activities,",
            Board::Global | Board::Program(_) => "has neither points nor activities",
        };
        let mut detail = format!("{user} {what} on the board {board} in the window {window}.");
        if !others.is_empty() {
            detail.push_str(" Ids that differ only in case are different users: see other_case.");
        }
        let problem = Problem::new(StatusCode::NOT_FOUND, "user_not_on_board", detail);
        Ok(problem.field("user").with("other_case", json!(others)))
    }

    /// The head for a person's document, which this instance may have kept.
    async fn kept_head(&self, board: &Board, window: Window, now: Timestamp) -> Result<Arc<Head>, Failure> {
        match self.kept.head(board, window, now) {
            Some(head) => Ok(head),
            None => self.head(board, window, now).await,
        }
    }

    /// The newest head. This instance keeps it for the documents of persons.
    pub(crate) async fn head(
        &self,
        board: &Board,
        window: Window,
        now: Timestamp,
    ) -> Result<Arc<Head>, Failure> {
        self.check_season(window, now)
            .map_err(|problem| problem.with("other_case", json!([])))?;
        match (self.snapshots.latest(board, window).await?, board) {
            (Some(head), _) => {
                self.check_published(board, &head, now).await?;
                let head = Arc::new(head);
                self.kept.keep_head(board, window, &head, now);
                Ok(head)
            }
            (None, Board::Global) => Err(nothing_published().into()),
            (None, Board::Program(program)) => Err(self.without_board(program).await?.into()),
            (None, Board::Team(team)) => {
                let others = other_boards(&self.overview().await?, board);
                let problem = without_team_board(team, StatusCode::NOT_FOUND);
                Err(problem.with("other_case", json!(others)).into())
            }
        }
    }

    /// Fails if the window is that of seasons and none runs: its last board would only look old.
    fn check_season(&self, window: Window, now: Timestamp) -> Result<(), Problem> {
        if window != Window::Season || self.calendar.current(window, now).is_some() {
            return Ok(());
        }
        let seasons = self.calendar.seasons();
        let today = self.calendar.date(now);
        let detail = match (seasons.last_before(today), seasons.first_after(today)) {
            (_, Some(next)) => {
                format!("No season runs. {} begins on {}.", next.title, next.first_day)
            }
            (Some(last), None) => format!(
                "No season runs. {} ended on {}; its boards are at ?window={}.",
                last.title, last.last_day, last.id
            ),
            (None, None) => {
                "There are no seasons. An operator names them in Terraform's variable seasons, or with `podium local \
                 --seasons`."
                    .to_owned()
            }
        };
        Err(Problem::new(StatusCode::NOT_FOUND, "no_season", detail).field("window"))
    }

    /// Fails if a newer snapshot was published without this program or team. The list of boards is only read when
    /// the next snapshot of this head is due.
    async fn check_published(&self, board: &Board, head: &Head, now: Timestamp) -> Result<(), Failure> {
        if *board == Board::Global {
            return Ok(());
        }
        let generated_at = head.freshness.generated_at;
        if now.duration_since(generated_at) < self.snapshot_every {
            return Ok(());
        }
        let overview = self.snapshots.overview().await?;
        let is_dropped =
            |overview: &Overview| overview.freshness.generated_at > generated_at && !overview.lists(board);
        if !overview.as_ref().is_some_and(is_dropped) {
            return Ok(());
        }
        let program = match board {
            Board::Team(team) => return Err(without_team_board(team, StatusCode::GONE).into()),
            Board::Program(program) => program,
            Board::Global => unreachable!("every snapshot has the global board"),
        };
        let detail = format!(
            "The program {program} no longer has a board: there are more programs than the operator's setting program_boards allows, and others are more active. Its activities still count on the global board."
        );
        Err(Problem::new(StatusCode::GONE, "program_not_published", detail)
            .field("board")
            .into())
    }

    /// Why there is no board of a program.
    async fn without_board(&self, program: &ProgramId) -> Result<Problem, Failure> {
        let board = Board::Program(program.clone());
        let overview = self.overview().await?;
        let others = other_boards(&overview, &board);
        let (code, mut detail) = if overview.is_complete() {
            (
                "board_not_found",
                format!(
                    "There is no board {board}. All boards are listed at /v1/boards. A new program gets one with the next snapshot."
                ),
            )
        } else {
            (
                "program_not_published",
                format!(
                    "The program {program} has no board. There are more programs than the operator's setting program_boards allows, and others are more active. Activities in it count on the global board."
                ),
            )
        };
        if !others.is_empty() {
            detail.push_str(" Ids that differ only in case are different programs: see other_case.");
        }
        let problem = Problem::new(StatusCode::NOT_FOUND, code, detail);
        Ok(problem.field("board").with("other_case", json!(others)))
    }

    async fn listed(
        &self,
        board: &Board,
        window: Window,
        head: &Head,
    ) -> Result<Vec<BoardEntry>, StoreError> {
        let listed = usize::try_from(head.listed).unwrap_or(usize::MAX);
        let entries = self.snapshots.entries(board, window, head, 0, listed).await?;
        debug_assert_eq!(entries.len() as u64, head.listed);
        debug_assert!(entries.is_sorted_by_key(BoardEntry::place));
        Ok(entries)
    }

    /// Reads which generations exist, and keeps them for the readers of this head.
    async fn generations(&self, head: &Head, now: Timestamp) -> Result<Arc<Generations>, StoreError> {
        let generations = Arc::new(self.standings.generations().await?);
        self.kept.keep_generations(&generations, head, now);
        Ok(generations)
    }

    /// A user's counters in each program of the board, and the calendar that they are counted by.
    async fn counters(
        &self,
        board: &Board,
        user: &UserId,
        generations: &Generations,
    ) -> Result<(Vec<Counters>, Calendar), StoreError> {
        let (standings, calendar) = match generations.rules(generations.live) {
            Some(rules) => (
                self.standings.clone().in_shards(rules.standing_shards),
                &rules.calendar,
            ),
            None => (self.standings.clone(), &self.calendar),
        };
        let live = generations.live;
        let counters = match board {
            // Whatever a member does counts for the team.
            Board::Global | Board::Team(_) => {
                let all = standings.of_user(live, user).await?;
                all.into_values().collect()
            }
            Board::Program(program) => {
                let counters = standings.counters(live, user, program).await?;
                counters.into_iter().collect()
            }
        };
        Ok((counters, calendar.clone()))
    }

    pub(crate) fn cacheable<T: Fresh>(&self, mut document: T, now: Timestamp) -> Cacheable {
        let max_age = self.max_age_seconds(document.freshness_mut(), now);
        Cacheable::new(document, max_age)
    }

    fn max_age_seconds(&self, freshness: &FreshnessDocument, now: Timestamp) -> i64 {
        if freshness.stale {
            return STALE_MAX_AGE_SECONDS;
        }
        let until_next = now.duration_until(freshness.generated_at + self.snapshot_every);
        (until_next.as_secs() + 1).clamp(1, self.snapshot_every.as_secs().max(1))
    }
}

pub(crate) fn cursor_expired() -> Problem {
    let detail = "The cursor has expired: its generation is no longer kept. Start again without a cursor.";
    Problem::new(StatusCode::GONE, "cursor_expired", detail).field("cursor")
}

/// The cursor after this many entries from a position on; `None` at the end.
pub(crate) fn next_cursor(generation: u64, from: usize, entries: usize, listed: u64) -> Option<String> {
    let rows = from + entries;
    let has_more = entries > 0 && (rows as u64) < listed;
    has_more.then(|| Cursor { generation, rows }.to_string())
}

/// The boards of which the names differ only in case.
fn other_boards(overview: &Overview, board: &Board) -> Vec<Board> {
    let name = board.to_string();
    let programs = overview.boards.iter().map(|listed| listed.board.clone());
    let teams = overview.team_boards.iter().cloned().map(Board::Team);
    let mut others: Vec<_> = programs
        .chain(teams)
        .filter(|listed| listed.to_string().eq_ignore_ascii_case(&name))
        .collect();
    others.sort_unstable();
    others.truncate(MAX_OTHER_CASE);
    others
}

fn without_team_board(team: &TeamId, status: StatusCode) -> Problem {
    let detail = format!(
        "The team {team} has no board. A team that someone is in gets one with the next snapshot, unless there are more than the operator's setting team_boards allows and others are more active."
    );
    Problem::new(status, "team_not_published", detail).field("board")
}

/// The team of a user. Someone may have been concealed since the snapshot.
pub(crate) fn team(person: &Person, user: &UserId, viewer: &Viewer) -> Option<UserTeam> {
    let is_shown = !person.is_concealed() || viewer.sees_concealed(user);
    let team_id = person.team.clone().filter(|_| is_shown)?;
    Some(UserTeam { team_id })
}

/// A stale board may recover at any time, so clients should ask again soon.
const STALE_MAX_AGE_SECONDS: i64 = 5;

/// A sum of each of the counters, together; `None` if one of them no longer has it.
fn sum(counters: &[Counters], of: impl Fn(&Counters) -> Option<Sum>) -> Option<Sum> {
    let mut sum = Sum::default();
    for counters in counters {
        sum += of(counters)?;
    }
    Some(sum)
}

/// The listed users whose ids differ from `user` only in case, best first.
pub(crate) fn other_case(user: &UserId, listed: &[BoardEntry]) -> Vec<UserId> {
    let ids = listed.iter().filter_map(|entry| entry.user_id.as_ref());
    let others = ids.filter(|id| *id != user && id.as_str().eq_ignore_ascii_case(user.as_str()));
    others.take(MAX_OTHER_CASE).cloned().collect()
}
