//! Serves the published boards. Reads only.

mod config;
mod response;
mod route;

use std::fmt::Write as _;

use domain::board::{BoardsDocument, StatusDocument};
use domain::{
    Board, BoardDocument, BoardEntry, Calendar, Freshness, FreshnessBounds, FreshnessDocument, Tally,
    UserDocument, UserId, Window,
};
use jiff::{SignedDuration, Timestamp};
use lambda_http::http::{HeaderMap, HeaderValue, Method, StatusCode};
use lambda_http::{Body, Request, Response};
use problem::Problem;
use store::snapshots::Overview;
use store::standings::CurrentCounters;
use store::{Head, Snapshots, Standings, Unavailable};

pub use config::Config;
use response::{Cacheable, allow_origin, method_not_allowed, preflight};
pub use route::{Cursor, MAX_AROUND, MAX_LIMIT, Route};

/// A stale board may be mended at any time, so readers look again soon.
const STALE_MAX_AGE_SECONDS: i64 = 5;

const RETRY_AFTER_SECONDS: u32 = 5;

pub struct Serve {
    snapshots: Snapshots,
    standings: Standings,
    calendar: Calendar,
    snapshot_every: SignedDuration,
    bounds: FreshnessBounds,
    allowed_origin: HeaderValue,
}

/// Why there is no document.
enum Failure {
    Problem(Problem),
    Store(Unavailable),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Unavailable> for Failure {
    fn from(error: Unavailable) -> Self {
        Self::Store(error)
    }
}

impl Serve {
    pub fn connect(config: Config) -> anyhow::Result<Self> {
        let client = aws_sdk_dynamodb::Client::new(&store::aws::config_from_env()?);
        Self::new(client, config)
    }

    pub fn new(client: aws_sdk_dynamodb::Client, config: Config) -> anyhow::Result<Self> {
        Ok(Self {
            snapshots: Snapshots::new(client.clone(), config.snapshots_table),
            standings: Standings::new(client, config.standings_table, config.standing_shards),
            calendar: config.calendar,
            snapshot_every: config.snapshot_every,
            bounds: config.bounds,
            allowed_origin: config.allowed_origin.parse()?,
        })
    }

    /// Answers one request at `now`.
    pub async fn handle(&self, request: &Request, now: Timestamp) -> Response<Body> {
        let response = match *request.method() {
            Method::GET => self.get(request, now).await,
            Method::HEAD => self.get(request, now).await.map(|_| Body::Empty),
            Method::OPTIONS => preflight(),
            ref other => match Route::parse(request.uri()) {
                Err(problem) if problem.status() == StatusCode::NOT_FOUND => response::problem(problem),
                _ => method_not_allowed(other),
            },
        };
        allow_origin(response, &self.allowed_origin)
    }

    async fn get(&self, request: &Request, now: Timestamp) -> Response<Body> {
        let headers = request.headers();
        let route = match Route::parse(request.uri()) {
            Ok(route) => route,
            Err(problem) => return response::problem(problem),
        };
        let answer = match route {
            Route::Boards => self.boards(headers, now).await,
            Route::Status => self.status(headers, now).await,
            Route::Board {
                board,
                window,
                limit,
                cursor,
            } => self.board(headers, &board, window, limit, cursor, now).await,
            Route::User {
                board,
                user,
                window,
                around,
            } => self.user(headers, &board, &user, window, around, now).await,
        };
        match answer {
            Ok(response) => response,
            Err(Failure::Problem(problem)) => response::problem(problem),
            Err(Failure::Store(error)) => {
                tracing::error!(%error, "A request could not be answered.");
                let detail = "The boards cannot be read at the moment; try again in some seconds.";
                response::problem(unavailable("unavailable", detail))
            }
        }
    }

    async fn boards(&self, headers: &HeaderMap, now: Timestamp) -> Result<Response<Body>, Failure> {
        let Overview {
            boards, freshness, ..
        } = self.overview().await?;
        let freshness = freshness.at(now, &self.bounds);
        let validator = format!("boards{}", freshness_tag(&freshness));
        Ok(self
            .cacheable(
                BoardsDocument {
                    boards,
                    freshness: freshness.clone(),
                },
                validator,
                &freshness,
                now,
            )
            .into_response(headers))
    }

    async fn status(&self, headers: &HeaderMap, now: Timestamp) -> Result<Response<Body>, Failure> {
        let Overview {
            status, freshness, ..
        } = self.overview().await?;
        let freshness = freshness.at(now, &self.bounds);
        let validator = format!("status{}", freshness_tag(&freshness));
        Ok(self
            .cacheable(
                StatusDocument {
                    status,
                    freshness: freshness.clone(),
                },
                validator,
                &freshness,
                now,
            )
            .into_response(headers))
    }

    async fn overview(&self) -> Result<Overview, Failure> {
        let overview = self.snapshots.overview().await?;
        overview.ok_or_else(|| nothing_published().into())
    }

    async fn board(
        &self,
        headers: &HeaderMap,
        board: &Board,
        window: Window,
        limit: usize,
        cursor: Option<Cursor>,
        now: Timestamp,
    ) -> Result<Response<Body>, Failure> {
        let head = match cursor {
            None => self.head(board, window).await?,
            Some(cursor) => self.snapshots.generation(board, window, cursor.generation).await?.ok_or_else(|| {
                let detail = "The generation that the cursor belongs to is no longer kept; begin again without a cursor.";
                Problem::new(StatusCode::GONE, "cursor_expired", detail).field("cursor")
            })?,
        };
        let from = cursor.map_or(0, |cursor| cursor.rows);
        let entries = self.snapshots.entries(board, window, &head, from, limit).await?;
        let next = from + entries.len();
        let has_more = !entries.is_empty() && (next as u64) < head.listed;
        let freshness = head.freshness.at(now, &self.bounds);
        let validator = format!("{}.{from}.{limit}{}", head.generation, freshness_tag(&freshness));
        let document = BoardDocument {
            heading: head.heading(board),
            entries,
            next_cursor: has_more.then(|| {
                Cursor {
                    generation: head.generation,
                    rows: next,
                }
                .to_string()
            }),
            freshness: freshness.clone(),
        };
        Ok(self
            .cacheable(document, validator, &freshness, now)
            .into_response(headers))
    }

    async fn user(
        &self,
        headers: &HeaderMap,
        board: &Board,
        user: &UserId,
        window: Window,
        around: usize,
        now: Timestamp,
    ) -> Result<Response<Body>, Failure> {
        let head = self.head(board, window).await?;
        let listed = usize::try_from(head.listed).unwrap_or(usize::MAX);
        let entries = self.snapshots.entries(board, window, &head, 0, listed).await?;
        let histogram = self.snapshots.histogram(board, window, &head).await?;
        let listed_at = entries.iter().position(|entry| entry.user_id == *user);
        let entry = if let Some(at) = listed_at {
            entries[at].clone()
        } else {
            let tally = self.unlisted(board, user, window, &head.freshness).await?;
            let Tally { points, activities } = tally.ok_or_else(|| {
                let detail = format!("{user} has no activity on the board {board} in the window {window}.");
                Problem::new(StatusCode::NOT_FOUND, "user_not_on_board", detail).field("user")
            })?;
            BoardEntry {
                rank: histogram.rank(points),
                user_id: user.clone(),
                points,
                activities,
                change: None,
            }
        };
        // Whoever is not listed comes after all who are.
        let at = listed_at.unwrap_or(entries.len());
        let above = entries[at.saturating_sub(around)..at].to_vec();
        let below = entries.iter().skip(at + 1).take(around).cloned().collect();
        let freshness = head.freshness.at(now, &self.bounds);
        let validator = format!(
            "{}.{}.{around}{}",
            head.generation,
            entry.points,
            freshness_tag(&freshness)
        );
        let document = UserDocument {
            heading: head.heading(board),
            percentile: histogram.percentile(entry.points),
            entry,
            above,
            below,
            freshness: freshness.clone(),
        };
        Ok(self
            .cacheable(document, validator, &freshness, now)
            .into_response(headers))
    }

    /// The points of a user who is not listed, from the standings, which may be some moments ahead
    /// of the snapshot; `None` without an activity in the window.
    async fn unlisted(
        &self,
        board: &Board,
        user: &UserId,
        window: Window,
        freshness: &Freshness,
    ) -> Result<Option<Tally>, Unavailable> {
        // The counters of the snapshot's own day: past midnight they are no longer today's.
        let counters = CurrentCounters::at(&self.calendar, freshness.generated_at);
        let standings = self.standings.of_user(user, &counters).await?;
        let is_on_board = |program| match board {
            Board::Global => true,
            Board::Program(wanted) => *wanted == program,
        };
        let tallies = standings
            .into_iter()
            .filter(|standing| is_on_board(standing.program.clone()))
            .map(|standing| standing.tallies.get(window));
        let sum = tallies.fold(Tally::default(), |sum, tally| sum + tally);
        Ok((sum.activities > 0).then_some(sum))
    }

    async fn head(&self, board: &Board, window: Window) -> Result<Head, Failure> {
        let head = self.snapshots.latest(board, window).await?;
        head.ok_or_else(|| match board {
            Board::Global => nothing_published().into(),
            Board::Program(_) => {
                let detail = format!("There is no board {board}; see /v1/boards.");
                Problem::new(StatusCode::NOT_FOUND, "board_not_found", detail)
                    .field("board")
                    .into()
            }
        })
    }

    fn cacheable<T>(
        &self,
        document: T,
        validator: String,
        freshness: &FreshnessDocument,
        now: Timestamp,
    ) -> Cacheable<T> {
        let next = freshness.generated_at + self.snapshot_every;
        let until_next = now.duration_until(next).as_secs() + 1;
        let max_age_seconds = if freshness.stale {
            STALE_MAX_AGE_SECONDS
        } else {
            until_next.clamp(1, self.snapshot_every.as_secs().max(1))
        };
        Cacheable {
            document,
            validator,
            max_age_seconds,
        }
    }
}

/// The part of a validator that changes when an unchanged board becomes stale.
fn freshness_tag(freshness: &FreshnessDocument) -> String {
    let mut tag = format!(".{}", freshness.generated_at.as_millisecond());
    for reason in &freshness.stale_reasons {
        let _ = write!(tag, ".{reason:?}");
    }
    tag
}

fn nothing_published() -> Problem {
    let detail = "No snapshot is published yet; the first one follows within a minute or so of the start.";
    unavailable("nothing_published", detail)
}

fn unavailable(code: &'static str, detail: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(RETRY_AFTER_SECONDS)
}
