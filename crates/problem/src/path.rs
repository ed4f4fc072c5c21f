//! Paths that the API does not have, and the path that was probably meant.

use http::StatusCode;

use crate::Problem;

const EXISTING: &str = "Read GET /v1/boards and GET /v1/status; send activities to POST /v1/activities.";

/// A longer path is not repeated in an answer.
const MAX_REPEATED_BYTES: usize = 256;

/// The answer for a path that an origin does not have. It names the paths that exist, and first the one that
/// was probably meant, such as the same path without a slash at its end.
pub fn unknown_path(path: &str) -> Problem {
    let detail = match meant(path).filter(|meant| meant.len() <= MAX_REPEATED_BYTES) {
        Some(meant) if meant == path => {
            let function = if meant == "/v1/activities" {
                "ingest"
            } else {
                "serve"
            };
            format!("{meant} is not at this address, but at that of {function}. {EXISTING}")
        }
        Some(meant) => format!("This path does not exist, but {meant} does. {EXISTING}"),
        None => format!("This path does not exist. {EXISTING}"),
    };
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
}

/// The path of the API that differs from `path` only in slashes, in case, in its version or in a singular.
fn meant(path: &str) -> Option<String> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let names: Vec<String> = segments.iter().map(|name| name.to_ascii_lowercase()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let versions = names.first().is_some_and(|name| is_version(name));
    let (segments, names) = (
        &segments[usize::from(versions)..],
        &names[usize::from(versions)..],
    );
    let meant = match *names {
        ["activities" | "activity"] => "/v1/activities".to_owned(),
        ["status" | "health" | "healthz"] => "/v1/status".to_owned(),
        ["boards" | "board"] => "/v1/boards".to_owned(),
        ["boards" | "board", ref within @ ..] if is_board(within[0]) => {
            let board = segments[1];
            match within[1..] {
                [] => format!("/v1/boards/{board}"),
                ["history"] => format!("/v1/boards/{board}/history"),
                ["users" | "user"] => format!("/v1/boards/{board}/users"),
                ["users" | "user", _] => format!("/v1/boards/{board}/users/{}", segments[3]),
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(meant)
}

/// `v1`, `v2`, `v10` …
fn is_version(name: &str) -> bool {
    name.strip_prefix('v')
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_board(name: &str) -> bool {
    name == "global" || name.starts_with("program:") || name.starts_with("program%3a")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: &str) {
        assert_eq!(meant(path).as_deref().unwrap_or("-"), expected, "{path}");
    }

    #[test]
    fn a_near_miss_is_told_from_a_path_that_means_nothing() {
        for path in [
            "/v1/boards/",
            "//v1/boards",
            "/v2/boards",
            "/boards",
            "/V1/Boards//",
        ] {
            check(path, "/v1/boards");
        }
        for path in ["/v1/activities/", "/v1/activity", "/activities", "/v1/Activities"] {
            check(path, "/v1/activities");
        }
        check("/v1/status/", "/v1/status");
        check("/healthz", "/v1/status");
        check("/v1/boards/global/", "/v1/boards/global");
        check("/v1/boards/program%3AOps/", "/v1/boards/program%3AOps");
        check("/v1/boards/program:Ops/History", "/v1/boards/program:Ops/history");
        check("/v1//boards/global/users/", "/v1/boards/global/users");
        check(
            "/v1/boards/global/users/Ann%40x/",
            "/v1/boards/global/users/Ann%40x",
        );
        for path in [
            "/",
            "",
            "*",
            "/v1",
            "/v1/",
            "/v1/nothing",
            "/v1/boards/chess/",
            "/v1/boards//history",
            "/v1/boards/global/people",
            "/v1/boards/global/users/ann/points",
            "/version/boards",
            "/app.js",
        ] {
            check(path, "-");
        }
    }

    fn check_detail(path: &str, expected: &str) {
        let problem = serde_json::to_value(unknown_path(path)).expect("a document");
        let detail = problem["detail"].as_str().expect("text");
        assert_eq!(detail.strip_suffix(EXISTING), Some(expected), "{path}");
        assert_eq!(
            (&problem["status"], &problem["code"]),
            (&404.into(), &"not_found".into())
        );
    }

    #[test]
    fn what_is_elsewhere_is_told_from_what_is_nowhere() {
        check_detail("/v3", "This path does not exist. ");
        check_detail("/v1/boards/", "This path does not exist, but /v1/boards does. ");
        check_detail(
            "/v1/boards",
            "/v1/boards is not at this address, but at that of serve. ",
        );
        check_detail(
            "/v1/activities",
            "/v1/activities is not at this address, but at that of ingest. ",
        );
        let long = format!("/v1/boards/global/users/{}/", "a".repeat(MAX_REPEATED_BYTES));
        check_detail(&long, "This path does not exist. ");
    }
}
