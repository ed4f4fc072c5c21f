//! Serves the published boards. Reads only.

mod budget;
mod closed;
mod config;
mod documents;
mod kept;
mod legacy;
mod past;
mod progress;
mod quests;
mod response;
mod route;

use std::convert::Infallible;
use std::sync::Arc;

use domain::{Calendar, FreshnessBounds, UserId};
use identity::{Access, Caller, Readers};
use jiff::{SignedDuration, Timestamp};
use lambda_http::http::{HeaderMap, Method, StatusCode};
use lambda_http::tower::ServiceExt as _;
use lambda_http::{Body, IntoResponse as _, Request, RequestExt as _, Response, service_fn};
use problem::Problem;
use store::{People, Snapshots, Standings, StoreError};

use budget::Budget;
pub use config::{Config, QuestTables};
pub use documents::MAX_OTHER_CASE;
use kept::Kept;
use past::Past;
use progress::KeptProgress;
use quests::{Counts, Rewards};
use response::{Cacheable, compressed, method_not_allowed};
pub use route::{Cursor, MAX_AROUND, MAX_FOUND, MAX_FROM, MAX_LIMIT, MAX_PERIODS, Route, Start};

const RETRY_AFTER_SECONDS: u32 = 5;
/// It changes with a deployment, or when a rebuild takes over.
const POLICY_MAX_AGE_SECONDS: i64 = 60;

pub struct Serve {
    snapshots: Snapshots,
    people: People,
    rewards: Option<Rewards>,
    counts: Counts,
    progress: KeptProgress,
    standings: Standings,
    calendar: Calendar,
    snapshot_every: SignedDuration,
    kept: Kept,
    past: Past,
    budget: Arc<Budget>,
    bounds: FreshnessBounds,
    access: Access,
    legacy_answer: bool,
}

/// Why there is no document.
enum Failure {
    Problem(Problem),
    Store(StoreError),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Serve {
    pub fn connect(config: Config) -> anyhow::Result<Self> {
        let client = aws_sdk_dynamodb::Client::new(&store::aws::config_from_env()?);
        Ok(Self::new(client, config))
    }

    pub fn new(client: aws_sdk_dynamodb::Client, config: Config) -> Self {
        let budget = Arc::new(Budget::default());
        Self {
            snapshots: Snapshots::new(client.clone(), config.snapshots_table),
            people: People::new(client.clone(), config.people_table),
            rewards: config.quests.map(|tables| Rewards::new(&client, tables)),
            counts: Counts::default(),
            progress: KeptProgress::new(config.snapshot_every),
            // Consistent, so that a user's points never step back between two answers.
            standings: Standings::new(client, config.standings_table, config.standing_shards),
            calendar: config.calendar,
            snapshot_every: config.snapshot_every,
            kept: Kept::new(config.snapshot_every),
            past: Past::new(Arc::clone(&budget)),
            budget,
            bounds: config.bounds,
            access: config.access,
            legacy_answer: config.legacy_answer,
        }
    }

    /// Answers one request at `now`.
    pub async fn handle(&self, request: Request, now: Timestamp) -> Response<Body> {
        let is_head = request.method() == Method::HEAD;
        let answer =
            service_fn(async |request: Request| Ok::<_, Infallible>(self.answer(&request, now).await));
        let Ok(response) = compressed(answer).oneshot(request).await;
        let mut response = response.into_response().await;
        // Only now, so that HEAD has the headers of GET, including its content coding.
        if is_head {
            response = problem::without_body(response);
        }
        response
    }

    async fn answer(&self, request: &Request, now: Timestamp) -> Response<Body> {
        let route = match Route::parse(request.uri(), self.calendar.seasons()) {
            Err(problem) if problem.status() == StatusCode::NOT_FOUND => return response::problem(problem),
            Ok(Route::LegacyLeaderboard) if !self.legacy_answer => {
                return response::problem(problem::unknown_path(request.uri().path()));
            }
            route => route,
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return method_not_allowed(request.method());
        }
        let caller = self.access.caller(request.request_context_ref());
        let is_private = route::is_private(request.uri());
        if !may_read(&caller, is_private) {
            return response::problem(caller.refusal("read this"));
        }
        let is_public = !is_private && self.access.readers == Readers::Public;
        let viewer = Viewer::of(&caller, is_public);
        match route {
            Ok(route) => self.get(route, &viewer, request.headers(), is_public, now).await,
            Err(problem) => response::problem(problem),
        }
    }

    async fn get(
        &self,
        route: Route,
        viewer: &Viewer,
        headers: &HeaderMap,
        is_public: bool,
        now: Timestamp,
    ) -> Response<Body> {
        match self.document(route, viewer, now).await {
            Ok(document) => document.into_response(headers, is_public),
            Err(Failure::Problem(problem)) => response::problem(problem),
            Err(Failure::Store(error)) => {
                tracing::error!(
                    kind = error.kind(),
                    error = error.with_causes(),
                    "Cannot read the boards from the store."
                );
                response::problem(match error {
                    StoreError::Unavailable { .. } => {
                        let detail = "The boards cannot be read at the moment. Try again in a few seconds.";
                        unavailable("unavailable", detail)
                    }
                    StoreError::Corrupt { .. } => {
                        let detail = "The stored board cannot be decoded. Trying again does not help; tell the operator of Podium.";
                        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "corrupt_data", detail)
                    }
                })
            }
        }
    }

    async fn document(&self, route: Route, viewer: &Viewer, now: Timestamp) -> Result<Cacheable, Failure> {
        match route {
            Route::Boards { window } => self.boards(window, now).await,
            Route::Status => self.status(now).await,
            Route::LegacyLeaderboard => self.legacy_leaderboard(now).await,
            Route::Policy => Ok(Cacheable::ageless(&self.policy().await?, POLICY_MAX_AGE_SECONDS)),
            Route::Board {
                board,
                window,
                period,
                limit,
                start,
            } => match self.over(period, now)? {
                Some(period) => self.closed_board(&board, period, limit, start, now).await,
                None => self.board(&board, window, limit, start, now).await,
            },
            Route::Teams {
                window,
                period,
                limit,
                start,
            } => match self.over(period, now)? {
                Some(period) => self.closed_teams(period, limit, start, now).await,
                None => self.teams(window, limit, start, now).await,
            },
            Route::Periods {
                board,
                window,
                limit,
                before,
            } => self.periods(&board, window, limit, before, now).await,
            Route::History { board, window } => self.history(&board, window, now).await,
            Route::Search {
                board,
                window,
                search,
                limit,
            } => self.search(&board, window, &search, limit, now).await,
            Route::Quests => self.quests(now).await,
            Route::Finders { quest, page } => self.finders(&quest, viewer, page, now).await,
            Route::Coins { user } => self.coins(&user, viewer, now).await,
            Route::UserQuests { user } => self.user_quests(&user, viewer, now).await,
            Route::User {
                board,
                user,
                window,
                period,
                around,
            } => match self.over(period, now)? {
                Some(period) => self.closed_user(&board, &user, viewer, period, around, now).await,
                None => self.user(&board, &user, viewer, window, around, now).await,
            },
        }
    }
}

/// Who an answer may be for. One that caches may give to others is for anyone.
struct Viewer {
    administers: bool,
    user: Option<UserId>,
}

impl Viewer {
    fn of(caller: &Caller, is_public: bool) -> Self {
        Self {
            administers: caller.administers && !is_public,
            user: caller.user.clone().filter(|_| !is_public),
        }
    }

    /// Whether the answer may show someone whom others do not see.
    fn sees_concealed(&self, user: &UserId) -> bool {
        self.administers || self.user.as_ref() == Some(user)
    }
}

fn may_read(caller: &Caller, is_private: bool) -> bool {
    if is_private {
        caller.reads_privately
    } else {
        caller.reads
    }
}

fn nothing_published() -> Problem {
    let detail = "No snapshot is published yet. The first one follows about a minute after the start.";
    unavailable("nothing_published", detail)
}

fn unavailable(code: &'static str, detail: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(RETRY_AFTER_SECONDS)
}
