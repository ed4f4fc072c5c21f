//! Parses the path and the query of a request.

use std::str::FromStr;

use domain::intake::shorten;
use domain::person::SearchText;
use domain::teams::TEAMS;
use domain::{AskedPeriod, Board, Period, QuestId, Season, Seasons, UserId, Window, address};
use lambda_http::http::Uri;
use problem::query::{self, Query, decode, digits};
use problem::{Problem, invalid};
use store::coins::{After, Order};

pub const DEFAULT_LIMIT: usize = 100;
pub const MAX_LIMIT: usize = 1_000;
pub const DEFAULT_AROUND: usize = 5;
pub const MAX_AROUND: usize = 50;
/// The most users that a deployment can list.
pub const MAX_FROM: usize = 1_000_000;
pub const DEFAULT_FOUND: usize = 10;
pub const MAX_FOUND: usize = 50;
pub const DEFAULT_PERIODS: u16 = 20;
pub const MAX_PERIODS: u16 = 100;
pub const DEFAULT_FINDERS: u16 = 100;
pub const MAX_FINDERS: u16 = 1_000;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    Boards {
        window: Window,
    },
    Status,
    Policy,
    /// The board of the system that Podium replaces, where it is asked for.
    LegacyLeaderboard,
    Board {
        board: Board,
        window: Window,
        period: Option<AskedPeriod>,
        limit: usize,
        start: Start,
    },
    Teams {
        window: Window,
        period: Option<AskedPeriod>,
        limit: usize,
        start: Start,
    },
    /// The periods of a board that are over.
    Periods {
        board: Board,
        window: Window,
        limit: u16,
        before: Option<Period>,
    },
    History {
        board: Board,
        window: Window,
    },
    Search {
        board: Board,
        window: Window,
        search: SearchText,
        limit: usize,
    },
    User {
        board: Board,
        user: UserId,
        window: Window,
        period: Option<AskedPeriod>,
        around: usize,
    },
    Quests,
    /// The coins of a quest.
    Finders {
        quest: QuestId,
        page: FindersPage,
    },
    /// The coins of a user.
    Coins {
        user: UserId,
    },
    /// How far a user is with the quests.
    UserQuests {
        user: UserId,
    },
}

/// A page of the coins of a quest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FindersPage {
    pub order: Order,
    pub limit: u16,
    /// In this order.
    pub after: Option<After>,
}

/// Where a page of a board begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// After this many rows of the newest generation.
    After(usize),
    Cursor(Cursor),
}

/// A position in one generation of a board: `42.500` is after 500 rows of generation 42. Paging stays
/// within that generation, so that a client sees every row exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub generation: u64,
    pub rows: usize,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.generation, self.rows)
    }
}

#[derive(Debug)]
pub struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;
    fn from_str(raw: &str) -> Result<Self, InvalidCursor> {
        let (generation, rows) = raw.split_once('.').ok_or(InvalidCursor)?;
        match (digits(generation), digits(rows)) {
            (Some(generation), Some(rows)) if rows <= MAX_FROM => Ok(Self { generation, rows }),
            _ => Err(InvalidCursor),
        }
    }
}

impl Route {
    /// `seasons` are those that a request may name.
    pub fn parse(uri: &Uri, seasons: &Seasons) -> Result<Self, Problem> {
        let segments: Result<Vec<String>, Problem> = uri
            .path()
            .split('/')
            .skip(1)
            .map(|segment| decode(segment, "path"))
            .collect();
        let segments = segments?;
        let mut segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        if is_private(uri) {
            segments.remove(1);
        }
        let mut query = Query::parse(uri.query().unwrap_or_default())?;
        let route = match segments[..] {
            // Before the names: a slash too many does not name an empty board or user.
            _ if segments.contains(&"") => return Err(problem::unknown_path(uri.path())),
            ["v1", "boards"] => Self::Boards {
                window: window(&mut query)?,
            },
            ["v1", "status"] => Self::Status,
            ["v1", "policy"] => Self::Policy,
            ["v1", "legacy", "leaderboard"] => Self::LegacyLeaderboard,
            ["v1", "boards", TEAMS] => {
                let (window, period) = period(&mut query, seasons)?;
                Self::Teams {
                    window,
                    period,
                    limit: query.number("limit", DEFAULT_LIMIT, 1..=MAX_LIMIT)?,
                    start: start(&mut query)?,
                }
            }
            ["v1", "boards", board] => {
                let board = name("board", board, address::parse_board)?;
                let (window, period) = period(&mut query, seasons)?;
                Self::Board {
                    board,
                    window,
                    period,
                    limit: query.number("limit", DEFAULT_LIMIT, 1..=MAX_LIMIT)?,
                    start: start(&mut query)?,
                }
            }
            ["v1", "boards", board, "periods"] => Self::Periods {
                board: name("board", board, address::parse_board)?,
                window: window_of_periods(&mut query)?,
                limit: query.number("limit", DEFAULT_PERIODS, 1..=MAX_PERIODS)?,
                before: before(&mut query)?,
            },
            ["v1", "boards", board, "history"] => Self::History {
                board: name("board", board, address::parse_board)?,
                window: window(&mut query)?,
            },
            ["v1", "boards", board, "users"] => Self::Search {
                board: name("board", board, address::parse_board)?,
                window: window(&mut query)?,
                search: search(&mut query)?,
                limit: query.number("limit", DEFAULT_FOUND, 1..=MAX_FOUND)?,
            },
            ["v1", "boards", board, "users", user] => {
                let board = name("board", board, address::parse_board)?;
                let user = name("user", user, address::parse_user)?;
                let (window, period) = period(&mut query, seasons)?;
                Self::User {
                    board,
                    user,
                    window,
                    period,
                    around: query.number("around", DEFAULT_AROUND, 0..=MAX_AROUND)?,
                }
            }
            ["v1", "quests"] => Self::Quests,
            ["v1", "quests", quest, "coins"] => Self::Finders {
                quest: name("quest", quest, address::parse_quest)?,
                page: FindersPage {
                    order: order(&mut query)?,
                    limit: query.number("limit", DEFAULT_FINDERS, 1..=MAX_FINDERS)?,
                    after: after(&mut query)?,
                },
            },
            ["v1", "users", user, "coins"] => Self::Coins {
                user: name("user", user, address::parse_user)?,
            },
            ["v1", "users", user, "quests"] => Self::UserQuests {
                user: name("user", user, address::parse_user)?,
            },
            _ => return Err(problem::unknown_path(uri.path())),
        };
        query.finish()?;
        Ok(route)
    }
}

/// Whether a path asks for what another one gives, with the caller's rights: `/v1/private/status`.
pub fn is_private(uri: &Uri) -> bool {
    let mut segments = uri.path().split('/').skip(1);
    segments.next() == Some("v1")
        && segments
            .next()
            .is_some_and(|second| decode(second, "path").is_ok_and(|second| second == "private"))
}

fn name<T, E: std::fmt::Display>(
    field: &'static str,
    segment: &str,
    parse: fn(&str) -> Result<T, E>,
) -> Result<T, Problem> {
    parse(segment).map_err(|error| {
        let detail = format!("The {field} {:?} {error}.", shorten(segment));
        invalid("invalid_path", field, detail)
    })
}

fn window(query: &mut Query) -> Result<Window, Problem> {
    let Some(raw) = query.take("window") else {
        return Ok(Window::All);
    };
    raw.parse().map_err(|error| invalid_window(&raw, &error))
}

fn invalid_window(raw: &str, error: impl std::fmt::Display) -> Problem {
    let detail = format!("The window {:?} {error}.", shorten(raw));
    invalid("invalid_parameter", "window", detail)
}

/// The window, and the period if one is asked for. A period tells its window, and the id of a season both.
fn period(query: &mut Query, seasons: &Seasons) -> Result<(Window, Option<AskedPeriod>), Problem> {
    let (window, period) = (query.take("window"), query.take("period"));
    let season = |id: &str| seasons.get(id).map(|season| AskedPeriod::Named(season.period()));
    let Some(raw) = period else {
        let Some(window) = window else {
            return Ok((Window::All, None));
        };
        return match season(&window) {
            Some(asked) => Ok((Window::Season, Some(asked))),
            None => match window.parse() {
                Ok(window) => Ok((window, None)),
                Err(error) => Err(invalid_window(
                    &window,
                    format_args!("{error}{}", or_one_of(seasons)),
                )),
            },
        };
    };
    let asked = AskedPeriod::parse(&raw, seasons).map_err(|error| {
        let detail = format!("The period {:?} {error}{}.", shorten(&raw), or_one_of(seasons));
        invalid("invalid_parameter", "period", detail)
    })?;
    let of = asked.window();
    let is_of = |window: &String| window == of.as_str() || season(window) == Some(asked);
    if let Some(window) = window.filter(|window| !is_of(window)) {
        let detail = format!(
            "The period {raw} is a {of}, and the window is {:?}. Leave the window out, or set it to {of}.",
            shorten(&window)
        );
        return Err(invalid("invalid_parameter", "window", detail));
    }
    Ok((of, Some(asked)))
}

/// The end of a sentence that says what could be asked for.
fn or_one_of(seasons: &Seasons) -> String {
    let ids: Vec<_> = seasons.iter().map(Season::id).collect();
    match ids[..] {
        [] => String::new(),
        _ => format!(", or a season: {}", ids.join(", ")),
    }
}

fn window_of_periods(query: &mut Query) -> Result<Window, Problem> {
    let Some(raw) = query.take("window") else {
        return Ok(Window::Week);
    };
    let window = raw.parse().ok().filter(|window| *window != Window::All);
    window.ok_or_else(|| {
        let raw = shorten(&raw);
        let detail = format!("The window {raw:?} has no periods; use day, week, month or season.");
        invalid("invalid_parameter", "window", detail)
    })
}

fn before(query: &mut Query) -> Result<Option<Period>, Problem> {
    let cursor = query.take("cursor");
    cursor
        .map(|raw| raw.parse().map_err(|_| query::invalid_cursor(&raw)))
        .transpose()
}

fn order(query: &mut Query) -> Result<Order, Problem> {
    match query.take("order").as_deref() {
        None | Some("found") => Ok(Order::Found),
        Some("latest") => Ok(Order::Latest),
        Some(raw) => {
            let raw = shorten(raw);
            let detail = format!("The order is {raw:?}; it must be found or latest.");
            Err(invalid("invalid_parameter", "order", detail))
        }
    }
}

/// Where a list of finders continues, such as `2026-11-21T09:00:00Z.2`: after so many coins that were found then.
fn after(query: &mut Query) -> Result<Option<After>, Problem> {
    let parse = |raw: &str| {
        let (found_at, coins) = raw.rsplit_once('.')?;
        Some(After {
            found_at: found_at.parse().ok()?,
            coins: digits(coins)?,
        })
    };
    let cursor = query.take("cursor");
    cursor
        .map(|raw| parse(&raw).ok_or_else(|| query::invalid_cursor(&raw)))
        .transpose()
}

fn start(query: &mut Query) -> Result<Start, Problem> {
    let Some(raw) = query.take("cursor") else {
        let from = query.number("from", 1, 1..=MAX_FROM)?;
        return Ok(Start::After(from - 1));
    };
    if query.take("from").is_some() {
        let detail = "A cursor already says where to continue. Leave out from.".to_owned();
        return Err(invalid("invalid_parameter", "from", detail));
    }
    raw.parse()
        .map(Start::Cursor)
        .map_err(|InvalidCursor| query::invalid_cursor(&raw))
}

fn search(query: &mut Query) -> Result<SearchText, Problem> {
    let Some(raw) = query.take("search") else {
        let detail = "The parameter search is missing. Set it to a part of a name or a user id.".to_owned();
        return Err(invalid("invalid_parameter", "search", detail));
    };
    raw.parse()
        .map_err(|error| invalid("invalid_parameter", "search", format!("The search {error}.")))
}

#[cfg(test)]
mod tests {
    use lambda_http::http::StatusCode;

    use super::*;

    fn seasons() -> Seasons {
        let seasons =
            r#"[{"id":"autumn","title":"Autumn","first_day":"2026-09-01","last_day":"2026-11-30"}]"#;
        seasons.parse().unwrap()
    }

    fn check(uri: &str, expected: &str) {
        let got = match Route::parse(&uri.parse().unwrap(), &seasons()) {
            Ok(route) => format!("{route:?}"),
            Err(problem) => {
                let problem = serde_json::to_value(problem).unwrap();
                format!(
                    "{} {} [{}]",
                    problem["status"],
                    problem["detail"].as_str().unwrap(),
                    problem["field"].as_str().unwrap_or_default()
                )
            }
        };
        assert_eq!(got, expected, "{uri}");
    }

    fn check_unknown(uri: &str, detail: &str) {
        let problem = Route::parse(&uri.parse().unwrap(), &seasons()).unwrap_err();
        assert_eq!(problem.status(), StatusCode::NOT_FOUND, "{uri}");
        let problem = serde_json::to_value(problem).unwrap();
        let got = problem["detail"].as_str().unwrap();
        assert!(got.starts_with(detail), "{uri}: {got}");
    }

    #[test]
    fn what_is_asked_for() {
        check("/v1/boards", "Boards { window: All }");
        check("/v1/boards?window=day", "Boards { window: Day }");
        check("/v1/status", "Status");
        check(
            "/v1/boards/global",
            "Board { board: Global, window: All, period: None, limit: 100, start: After(0) }",
        );
        check(
            "/v1/boards/program%3Acrates-io?window=week&limit=1000&cursor=42.500",
            r#"Board { board: Program(ProgramId("crates-io")), window: Week, period: None, limit: 1000, start: Cursor(Cursor { generation: 42, rows: 500 }) }"#,
        );
        check(
            "/v1/quests/first/coins",
            r#"Finders { quest: QuestId("first"), page: FindersPage { order: Found, limit: 100, after: None } }"#,
        );
        check(
            "/v1/quests/first/coins?order=found",
            r#"Finders { quest: QuestId("first"), page: FindersPage { order: Found, limit: 100, after: None } }"#,
        );
        check(
            "/v1/quests/first/coins?order=latest&limit=5&cursor=2026-11-21T09:00:00Z.2",
            r#"Finders { quest: QuestId("first"), page: FindersPage { order: Latest, limit: 5, after: Some(After { found_at: 2026-11-21T09:00:00Z, coins: 2 }) } }"#,
        );
        check("/v1/users/ann/quests", r#"UserQuests { user: UserId("ann") }"#);
        check(
            "/v1/boards/global?from=101",
            "Board { board: Global, window: All, period: None, limit: 100, start: After(100) }",
        );
        check(
            "/v1/boards/team%3Ared?window=day",
            r#"Board { board: Team(TeamId("red")), window: Day, period: None, limit: 100, start: After(0) }"#,
        );
        check(
            "/v1/boards/teams?window=day&limit=5&cursor=42.500",
            "Teams { window: Day, period: None, limit: 5, start: Cursor(Cursor { generation: 42, rows: 500 }) }",
        );
        check(
            "/v1/boards/teams/history",
            r#"400 The board "teams" lists teams; it has neither users nor a history. [board]"#,
        );
        check(
            "/v1/boards/global/history?window=week",
            "History { board: Global, window: Week }",
        );
        check(
            "/v1/boards/global?period=2026-W47",
            "Board { board: Global, window: Week, period: Some(Named(Week(2026-11-16))), limit: 100, start: After(0) }",
        );
        check(
            "/v1/boards/teams?window=month&period=last-month",
            "Teams { window: Month, period: Some(Last(Month)), limit: 100, start: After(0) }",
        );
        check(
            "/v1/boards/global/users/ann?period=yesterday",
            r#"User { board: Global, user: UserId("ann"), window: Day, period: Some(Last(Day)), around: 5 }"#,
        );
        check(
            "/v1/boards/global/periods?window=week&cursor=2026-W47&limit=3",
            "Periods { board: Global, window: Week, limit: 3, before: Some(Week(2026-11-16)) }",
        );
        let autumn = "Season { first_day: 2026-09-01, last_day: 2026-11-30 }";
        for query in [
            "window=autumn",
            "period=autumn",
            "window=season&period=autumn",
            "window=autumn&period=autumn",
            "period=2026-09-01..2026-11-30",
        ] {
            check(
                &format!("/v1/boards/teams?{query}"),
                &format!(
                    "Teams {{ window: Season, period: Some(Named({autumn})), limit: 100, start: After(0) }}"
                ),
            );
        }
        check(
            "/v1/boards/teams?window=season",
            "Teams { window: Season, period: None, limit: 100, start: After(0) }",
        );
        check(
            "/v1/boards/global/periods?window=season&cursor=2026-09-01..2026-11-30",
            &format!("Periods {{ board: Global, window: Season, limit: 20, before: Some({autumn}) }}"),
        );
        check(
            "/v1/boards/teams?window=spring",
            "400 The window \"spring\" is not a window; use all, month, week, day or season, or a season: autumn. [window]",
        );
        check(
            "/v1/boards/global/users?search=ann&limit=3",
            r#"Search { board: Global, window: All, search: SearchText("ann"), limit: 3 }"#,
        );
        check(
            "/v1/boards/global/users/ann%40example.com?around=0",
            r#"User { board: Global, user: UserId("ann@example.com"), window: All, period: None, around: 0 }"#,
        );
    }

    /// As identity providers and learning systems give them: in any percent-encoding, and in base64url.
    #[test]
    fn users_and_boards_are_named_in_both_forms() {
        for (id, segments) in [
            ("ann", &["ann", "%61nn", "~YW5u", "%7EYW5u"][..]),
            (
                "auth0|5f7c",
                &["auth0%7C5f7c", "auth0%7c5f7c", "auth0|5f7c", "~YXV0aDB8NWY3Yw"],
            ),
            (
                "us-east-1:12ab",
                &["us-east-1:12ab", "us-east-1%3A12ab", "~dXMtZWFzdC0xOjEyYWI"],
            ),
            (
                "guest_corp#EXT#@tenant",
                &[
                    "guest_corp%23EXT%23@tenant",
                    "guest_corp%23EXT%23%40tenant",
                    "~Z3Vlc3RfY29ycCNFWFQjQHRlbmFudA",
                ],
            ),
            (
                "jane.o'neil+hr@corp.example",
                &[
                    "jane.o'neil+hr@corp.example",
                    "jane.o%27neil%2Bhr%40corp.example",
                    "~amFuZS5vJ25laWwraHJAY29ycC5leGFtcGxl",
                ],
            ),
            ("owner/repo", &["owner%2Frepo", "owner%2frepo", "~b3duZXIvcmVwbw"]),
            (
                "course-v1:Org+Course+Run",
                &[
                    "course-v1:Org+Course+Run",
                    "course-v1%3AOrg%2BCourse%2BRun",
                    "~Y291cnNlLXYxOk9yZytDb3Vyc2UrUnVu",
                ],
            ),
            ("%2e%2e", &["%252e%252e", "~JTJlJTJl"]),
        ] {
            for segment in segments {
                let user = format!(
                    "User {{ board: Global, user: UserId({id:?}), window: All, period: None, around: 5 }}"
                );
                check(&format!("/v1/boards/global/users/{segment}"), &user);
                for colon in [":", "%3A"] {
                    let board = format!("board: Program(ProgramId({id:?})), window: All");
                    let path = format!("/v1/boards/program{colon}{segment}");
                    check(
                        &path,
                        &format!("Board {{ {board}, period: None, limit: 100, start: After(0) }}"),
                    );
                    check(&format!("{path}/history"), &format!("History {{ {board} }}"));
                    let search = format!("Search {{ {board}, search: SearchText(\"a\"), limit: 10 }}");
                    check(&format!("{path}/users?search=a"), &search);
                    let user = format!(
                        "User {{ {}, period: None, around: 5 }}",
                        board.replace(", w", ", user: UserId(\"bob\"), w")
                    );
                    check(&format!("{path}/users/bob"), &user);
                }
            }
        }
        for (search, part) in [
            ("%7C5f", "|5f"),
            ("%23EXT%23", "#ext#"),
            ("%C3%93lafur%20%C3%98st", "olafur ost"),
            ("~YW5u", "~yw5u"),
            ("o'n", "o'n"),
            ("%2Bhr", "+hr"),
            ("+hr", "+hr"),
            ("r%2F", "r/"),
        ] {
            check(
                &format!("/v1/boards/global/users?search={search}"),
                &format!("Search {{ board: Global, window: All, search: SearchText({part:?}), limit: 10 }}"),
            );
        }
    }

    #[test]
    fn a_name_in_base64url_that_is_wrong_is_named() {
        check(
            "/v1/boards/global/users/~YW5",
            r#"400 The user "~YW5" is not base64url without padding after the '~'. [user]"#,
        );
        check(
            "/v1/boards/global/users/~YW5u=",
            r#"400 The user "~YW5u=" is not base64url without padding after the '~'. [user]"#,
        );
        check(
            "/v1/boards/global/users/~____",
            r#"400 The user "~____" is not UTF-8 in the base64url after the '~'. [user]"#,
        );
        check(
            "/v1/boards/global/users/~YSBi",
            r#"400 The user "~YSBi" stands for "a b", which has the character ' ' at byte 1; use only ASCII letters, digits and punctuation except " \ < >. [user]"#,
        );
        check(
            "/v1/boards/global/users/~fmhlYXJ0YmVhdC0wMA",
            r#"400 The user "~fmhlYXJ0YmVhdC0wMA" stands for "~heartbeat-00", which begins with '~', which is reserved for Podium's own users. [user]"#,
        );
        for path in ["", "/history", "/users?search=a", "/users/ann"] {
            check(
                &format!("/v1/boards/program:~YW5{path}"),
                r#"400 The board "program:~YW5" is not base64url without padding after the '~'. [board]"#,
            );
        }
        check(
            "/v1/boards/program:~____",
            r#"400 The board "program:~____" is not UTF-8 in the base64url after the '~'. [board]"#,
        );
        check(
            "/v1/boards/program:~",
            r#"400 The board "program:~" stands for "program:", which names a program id that is empty; it must have 1 to 128 characters. [board]"#,
        );
        check(
            "/v1/boards/~cHJvZ3JhbTph",
            r#"400 The board "~cHJvZ3JhbTph" is not a board; use "global", "program:<program_id>" or "team:<team_id>". [board]"#,
        );
    }

    #[test]
    fn a_period_that_cannot_be_asked_for_is_named() {
        check(
            "/v1/boards/global?period=2026-W54",
            r#"400 The period "2026-W54" is not a period; use a day such as 2026-11-24, an ISO week such as 2026-W47, a month such as 2026-11, from 1970 to 9998, or yesterday, last-week, last-month or last-season, or a season: autumn. [period]"#,
        );
        check(
            "/v1/boards/global?window=month&period=last-week",
            r#"400 The period last-week is a week, and the window is "month". Leave the window out, or set it to week. [window]"#,
        );
        for window in ["all", "year"] {
            check(
                &format!("/v1/boards/global/periods?window={window}"),
                &format!(
                    "400 The window {window:?} has no periods; use day, week, month or season. [window]"
                ),
            );
        }
        check(
            "/v1/boards/global/periods?window=day&cursor=42.5",
            r#"400 The cursor "42.5" is not valid. Use the next_cursor of an earlier answer. [cursor]"#,
        );
        check(
            "/v1/boards/global/users?search=a&period=yesterday",
            r#"400 The parameter "period" is not known at this path. Check its name. [period]"#,
        );
    }

    #[test]
    fn what_cannot_be_asked_for_is_named() {
        for path in ["/", "/v1", "/v1/%zz", "/v1/boards/global/people"] {
            check_unknown(path, "This path does not exist. ");
        }
        check_unknown("/v1/activities", "/v1/activities is not at this address");
        check_unknown(
            "/v1/activities/",
            "This path does not exist, but /v1/activities does. ",
        );
        for (path, meant) in [
            ("/v1/boards/", "/v1/boards"),
            ("//v1/boards", "/v1/boards"),
            ("/v1/boards/global/", "/v1/boards/global"),
            ("/v1//boards/global/users/?search=a", "/v1/boards/global/users"),
            ("/v1/boards/global/users/ann/", "/v1/boards/global/users/ann"),
        ] {
            check_unknown(path, &format!("This path does not exist, but {meant} does. "));
        }
        check(
            "/v1/boards/global/users",
            "400 The parameter search is missing. Set it to a part of a name or a user id. [search]",
        );
        check(
            "/v1/boards/global/users?search=%20",
            "400 The search is empty; it must have 1 to 128 characters. [search]",
        );
        check(
            "/v1/boards/global/users?search=a%00",
            "400 The search has a control character; write one line of text. [search]",
        );
        check(
            "/v1/boards/global/users?search=a&limit=51",
            r#"400 The limit is "51"; it must be a whole number from 1 to 50. [limit]"#,
        );
        check(
            "/v1/quests/first/coins?order=newest",
            r#"400 The order is "newest"; it must be found or latest. [order]"#,
        );
        check(
            "/v1/users/ann/coins?order=latest",
            r#"400 The parameter "order" is not known at this path. Check its name. [order]"#,
        );
        check(
            "/v1/boards/global?from=0",
            r#"400 The from is "0"; it must be a whole number from 1 to 1000000. [from]"#,
        );
        check(
            "/v1/boards/global?from=1&cursor=1.2",
            "400 A cursor already says where to continue. Leave out from. [from]",
        );
        check(
            "/v1/boards/x",
            r#"400 The board "x" is not a board; use "global", "program:<program_id>" or "team:<team_id>". [board]"#,
        );
        for (path, board) in [
            ("/v1/boards/global%20x", "global x"),
            ("/v1/boards/global%2Fhistory", "global/history"),
            ("/v1/boards/global%00", "global\\0"),
            ("/v1/boards/%zz", "%zz"),
            ("/v1/boards/GLOBAL", "GLOBAL"),
            ("/v1/boards/global;v=1", "global;v=1"),
        ] {
            let detail =
                r#"is not a board; use "global", "program:<program_id>" or "team:<team_id>". [board]"#;
            check(path, &format!("400 The board \"{board}\" {detail}"));
        }
        check(
            "/v1/boards/global/users/a%20b",
            r#"400 The user "a b" has the character ' ' at byte 1; use only ASCII letters, digits and punctuation except " \ < >. [user]"#,
        );
        check(
            "/v1/boards/%c0%af",
            "400 The path is not valid UTF-8 after percent-decoding. [path]",
        );
        check(
            "/v1/boards/global/users/%ff",
            "400 The path is not valid UTF-8 after percent-decoding. [path]",
        );
    }

    #[test]
    fn a_parameter_that_cannot_be_is_named() {
        check(
            "/v1/boards/global?window=year",
            r#"400 The window "year" is not a window; use all, month, week, day or season, or a season: autumn. [window]"#,
        );
        check(
            "/v1/boards/global?limit=0",
            r#"400 The limit is "0"; it must be a whole number from 1 to 1000. [limit]"#,
        );
        check(
            "/v1/boards/global?limit=1001",
            r#"400 The limit is "1001"; it must be a whole number from 1 to 1000. [limit]"#,
        );
        for limit in ["", "1e3", "+5", "-1", " 5", "5.0", "0x10", "18446744073709551616"] {
            check(
                &format!("/v1/boards/global?limit={}", limit.replace(' ', "%20")),
                &format!("400 The limit is {limit:?}; it must be a whole number from 1 to 1000. [limit]"),
            );
        }
        check(
            "/v1/boards/global?cursor=+1.+2",
            r#"400 The cursor "+1.+2" is not valid. Use the next_cursor of an earlier answer. [cursor]"#,
        );
        check(
            "/v1/boards/global?=1",
            r#"400 The parameter "" is not known at this path. Check its name. []"#,
        );
        check(
            &format!("/v1/boards/global?{}=1", "x".repeat(1_000)),
            &format!(
                "400 The parameter \"{0}…\" is not known at this path. Check its name. [{0}…]",
                "x".repeat(64)
            ),
        );
        check(
            "/v1/boards/global?limit=ten",
            r#"400 The limit is "ten"; it must be a whole number from 1 to 1000. [limit]"#,
        );
        check(
            "/v1/boards/global?cursor=x",
            r#"400 The cursor "x" is not valid. Use the next_cursor of an earlier answer. [cursor]"#,
        );
        check(
            "/v1/boards/global?cursor=1.18446744073709551615",
            r#"400 The cursor "1.18446744073709551615" is not valid. Use the next_cursor of an earlier answer. [cursor]"#,
        );
        check(
            "/v1/boards/global?limit=1&limit=2",
            "400 The parameter limit is given more than once. Give it once. [limit]",
        );
        check(
            "/v1/boards/global?limt=1",
            r#"400 The parameter "limt" is not known at this path. Check its name. [limt]"#,
        );
        check(
            "/v1/boards/global/users/a?around=51",
            r#"400 The around is "51"; it must be a whole number from 0 to 50. [around]"#,
        );
    }
}
