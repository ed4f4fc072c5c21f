//! Parses the path and the query of a request.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::intake::shorten;
use domain::{Subject, SubjectKind, UserId, address};
use lambda_http::http::Uri;
use problem::query::{self, Query, decode};
use problem::{Problem, invalid};

pub const LISTED_DEFAULT: u16 = 100;
pub const LISTED_MAX: u16 = 1_000;

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    People {
        after: Option<UserId>,
        limit: u16,
    },
    Person(UserId),
    /// The teams, or the programs, that have details.
    Subjects {
        kind: SubjectKind,
        after: Option<Subject>,
        limit: u16,
    },
    Subject(Subject),
}

impl Route {
    pub fn parse(uri: &Uri) -> Result<Self, Problem> {
        let segments = uri
            .path()
            .split('/')
            .skip(1)
            .map(|segment| decode(segment, "path"));
        let segments = segments.collect::<Result<Vec<_>, _>>()?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let mut query = Query::parse(uri.query().unwrap_or_default())?;
        let route = match segments[..] {
            // A slash too many does not name someone without a name.
            _ if segments.contains(&"") => return Err(problem::unknown_path(uri.path())),
            ["v1", "people"] => Self::People {
                after: after(&mut query, UserId::stored)?,
                limit: query.number("limit", LISTED_DEFAULT, 1..=LISTED_MAX)?,
            },
            ["v1", "people", user] => {
                Self::Person(address::parse_user(user).map_err(|error| misnamed("user", user, &error))?)
            }
            ["v1", kind, ref rest @ ..] => {
                let kinds = [SubjectKind::Team, SubjectKind::Program];
                let kind = kinds.into_iter().find(|known| known.plural() == kind);
                match (kind, rest) {
                    (Some(kind), []) => Self::Subjects {
                        kind,
                        after: after(&mut query, |id| kind.stored(id))?,
                        limit: query.number("limit", LISTED_DEFAULT, 1..=LISTED_MAX)?,
                    },
                    (Some(kind), [id]) => {
                        let subject = address::parse_subject(kind, id);
                        Self::Subject(subject.map_err(|error| misnamed(kind.name(), id, &error))?)
                    }
                    _ => return Err(problem::unknown_path(uri.path())),
                }
            }
            _ => return Err(problem::unknown_path(uri.path())),
        };
        query.finish()?;
        Ok(route)
    }

    /// The methods that are supported, the usual one first.
    pub fn methods(&self) -> &'static str {
        match self {
            Self::People { .. } | Self::Subjects { .. } => "GET, HEAD",
            Self::Person(_) | Self::Subject(_) => "GET, HEAD, PUT, DELETE",
        }
    }
}

fn misnamed(field: &'static str, segment: &str, error: &dyn std::error::Error) -> Problem {
    let detail = format!("The {field} {:?} {error}.", shorten(segment));
    invalid("invalid_path", field, detail)
}

/// The cursor of a list that goes on after the one with this id.
pub fn cursor(after: &str) -> String {
    URL_SAFE_NO_PAD.encode(after)
}

/// The one after which the list goes on, if there is a cursor.
fn after<T, E>(query: &mut Query, stored: impl Fn(&str) -> Result<T, E>) -> Result<Option<T>, Problem> {
    let Some(cursor) = query.take("cursor") else {
        return Ok(None);
    };
    let id = URL_SAFE_NO_PAD
        .decode(&cursor)
        .ok()
        .and_then(|id| String::from_utf8(id).ok());
    let one = id.and_then(|id| stored(&id).ok());
    one.map(Some).ok_or_else(|| query::invalid_cursor(&cursor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, expected: &str) {
        let got = match Route::parse(&uri.parse().unwrap()) {
            Ok(route) => format!("{route:?}"),
            Err(problem) => {
                let problem = serde_json::to_value(problem).unwrap();
                format!("{} {} {}", problem["status"], problem["code"], problem["field"])
            }
        };
        assert_eq!(got.replace('"', ""), expected, "{uri}");
    }

    #[test]
    fn people_are_listed_and_named() {
        check("/v1/people", "People { after: None, limit: 100 }");
        check(
            "/v1/people?limit=5&cursor=YW5u",
            "People { after: Some(UserId(ann)), limit: 5 }",
        );
        check(
            "/v1/people/ann%40corp.example",
            "Person(UserId(ann@corp.example))",
        );
        check("/v1/people/~YXV0aDB8NWY3Yw", "Person(UserId(auth0|5f7c))");
        let cursor = cursor("auth0|5f7c");
        check(
            &format!("/v1/people?cursor={cursor}"),
            "People { after: Some(UserId(auth0|5f7c)), limit: 100 }",
        );
    }

    #[test]
    fn teams_and_programs_are_listed_and_named() {
        check(
            "/v1/teams?limit=5&cursor=cmVk",
            "Subjects { kind: Team, after: Some(Team(TeamId(red))), limit: 5 }",
        );
        check(
            "/v1/programs",
            "Subjects { kind: Program, after: None, limit: 100 }",
        );
        check("/v1/teams/red%2Fblue", "Subject(Team(TeamId(red/blue)))");
        check(
            "/v1/programs/~b3duZXIvcmVwbw",
            "Subject(Program(ProgramId(owner/repo)))",
        );
    }

    #[test]
    fn what_cannot_be_asked_for_is_named() {
        check("/v1/people?limit=1001", "400 invalid_parameter limit");
        check("/v1/people?cursor=%2B", "400 invalid_parameter cursor");
        check("/v1/people?cursor=YSBi", "400 invalid_parameter cursor");
        check("/v1/people?team=a", "400 unknown_parameter team");
        check("/v1/people/ann?limit=1", "400 unknown_parameter limit");
        check("/v1/people/a%20b", "400 invalid_path user");
        check("/v1/people/~YW5", "400 invalid_path user");
        check("/v1/people/", "404 not_found null");
        check("/v1/people/ann/name", "404 not_found null");
        check("/v1/teams/a%20b", "400 invalid_path team");
        check("/v1/programs/~YW5", "400 invalid_path program");
        check("/v1/programs?cursor=%2B", "400 invalid_parameter cursor");
        check("/v1/teams/a/members", "404 not_found null");
        check("/v1/quests", "404 not_found null");
    }
}
