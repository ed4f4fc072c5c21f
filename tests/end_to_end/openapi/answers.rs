//! Compares the description and its examples with what the handlers answer, under a fixed clock.

use std::collections::BTreeSet;

use identity::Access;
use jiff::{SignedDuration, Timestamp};
use lambda_http::Body;
use lambda_http::http::header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use lambda_http::http::{HeaderValue, Request, Response};
use serde_json::{Value, json};

use super::description::{Answer, Description, Outcome};
use crate::login::callers::{ingest_for, restricted, token, with_context};
use crate::tables::{Functions, time};

/// A request, and the name of the example that shows its answer (empty for none).
struct Case {
    name: &'static str,
    operation: &'static str,
    request: Request<Body>,
}

fn case(name: &'static str, operation: &'static str, request: Request<Body>) -> Case {
    Case {
        name,
        operation,
        request,
    }
}

fn post(body: impl Into<Body>) -> Request<Body> {
    post_to("activities", body)
}

fn post_to(collection: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(format!("http://localhost/v1/{collection}"))
        .header("content-type", "application/json")
        .body(body.into())
        .expect("a request")
}

fn ask(method: &str, path: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(format!("http://localhost{path}"))
        .body(Body::Empty)
        .expect("a request")
}

/// Compares answers with the description, and collects what they covered.
struct Checked<'a> {
    description: &'a Description,
    outcomes: BTreeSet<Outcome>,
    examples: BTreeSet<&'static str>,
    wrong_examples: Vec<String>,
}

impl Checked<'_> {
    fn check<T: Into<Body>>(&mut self, name: &'static str, operation: &'static str, response: Response<T>) {
        let (parts, body) = response.into_parts();
        let body: Body = body.into();
        let answer = Answer {
            operation,
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.to_vec(),
        };
        self.description.check(&answer);
        for (example, value) in self.description.examples(operation, answer.status) {
            if example == name {
                let (shown, sent) = (
                    comparable(value.clone()),
                    comparable(answer.json().unwrap_or_default()),
                );
                if shown != sent {
                    self.wrong_examples
                        .push(format!("the example {name} differs from the answer {sent}"));
                }
                self.examples.insert(name);
            }
        }
        self.outcomes.insert(answer.outcome());
    }

    async fn ingest(&mut self, functions: &Functions, now: Timestamp, cases: Vec<Case>) {
        for case in cases {
            let response = functions.ingest.handle(case.request, now).await;
            self.check(case.name, case.operation, response);
        }
    }

    /// What corrections get, at last one that cannot be decoded.
    async fn corrections(&mut self, functions: &Functions, now: Timestamp) {
        self.ingest(functions, now, correction_cases(self.description))
            .await;
        functions.corrupt_corrections("bob").await;
        self.ingest(functions, now, vec![listed_corrections("")]).await;
    }

    async fn directory(&mut self, functions: &Functions, cases: Vec<Case>) {
        for case in cases {
            let response = functions.directory.handle(case.request).await;
            self.check(case.name, case.operation, response);
        }
    }

    /// The boards of teams: before there are any, with two, and when one of them is left.
    async fn teams(&mut self, functions: &mut Functions) {
        let minute = |minutes| time("2026-11-21T12:04:00Z") + SignedDuration::from_mins(minutes);
        let teams = |name, path: &str| case(name, "getTeams", ask("GET", path));
        let missing = of_board("team_without_board", "team:nobodys");
        self.serve(functions, minute(0), missing).await;
        self.serve(functions, minute(0), vec![teams("no_teams", "/v1/boards/teams")])
            .await;
        for (user, team) in [("bob", "team-a"), ("eve", "team-b")] {
            functions.put_person(user, &json!({"team": team})).await;
        }
        let titled = functions
            .ask_directory("PUT", "teams/team-a", &json!({"title": "The Reds"}))
            .await;
        assert!(titled.starts_with("201"), "{titled}");
        // The second run finds the heartbeat of the first one counted.
        functions.publish(minute(0)).await;
        functions
            .count(minute(0) + SignedDuration::from_millis(500))
            .await;
        functions.publish(minute(1)).await;
        let mut cases = vec![
            teams("teams", "/v1/boards/teams"),
            teams("", "/v1/boards/teams?window=day&limit=1"),
            teams("", "/v1/boards/teams?from=9"),
            teams("", "/v1/boards/teams?cursor=999.100"),
            teams("", "/v1/boards/teams?period=2026-W40"),
            teams("", "/v1/boards/teams?period=2027-W01"),
            teams("", "/v1/boards/teams?limit=0"),
            teams("", "/v1/boards/teams?points=1"),
            teams("", "/v1/boards/teams?a=%ff"),
            case("", "getTeams", ask("DELETE", "/v1/boards/teams")),
            case("", "getBoard", ask("GET", "/v1/boards/team:team-a")),
        ];
        let etag = functions.get("/v1/boards/teams", minute(1)).await.headers()[ETAG].clone();
        let mut unchanged = teams("", "/v1/boards/teams");
        unchanged.request.headers_mut().insert(IF_NONE_MATCH, etag);
        cases.push(unchanged);
        self.serve(functions, minute(1), cases).await;
        functions.put_person("bob", &json!({})).await;
        for minutes in [2, 3] {
            functions.publish(minute(minutes)).await;
        }
        self.serve(functions, minute(5), of_board("", "team:team-a"))
            .await;
    }

    /// What callers without the right for it get.
    async fn refusals(&mut self, functions: &Functions, now: Timestamp) {
        for Case {
            operation, request, ..
        } in every_board("")
        {
            let response = functions.serve_to(restricted()).handle(request, now).await;
            self.check("", operation, response);
        }
        let ingest = ingest_for(
            functions,
            Access {
                self_reporting: true,
                ..restricted()
            },
        );
        let of_bob = json!({"user_id": "bob", "program_id": "onboarding", "kind": "task_completed"});
        for (name, caller) in [
            ("", Value::Null),
            ("forbidden", token(&json!({"sub": "ann.lee"}))),
        ] {
            let request = with_context(post(of_bob.to_string()), &caller);
            self.check(name, "postActivities", ingest.handle(request, now).await);
        }
        let request = with_context(post(of_bob.to_string()), &token(&json!({"sub": "ann.lee"})));
        let ingest = ingest_for(functions, restricted());
        let response = ingest.handle(request, now).await;
        self.check("", "postActivities", response);
        for caller in [Value::Null, token(&json!({"sub": "ann.lee"}))] {
            let posted = with_context(post_to("corrections", "{}"), &caller);
            self.check("", "postCorrections", ingest.handle(posted, now).await);
            let asked = with_context(ask("GET", "/v1/corrections?user_id=bob"), &caller);
            self.check("", "listCorrections", ingest.handle(asked, now).await);
            for case in every_entry("") {
                let asked = with_context(case.request, &caller);
                let response = functions.directory_to(restricted()).handle(asked).await;
                self.check("", case.operation, response);
            }
        }
    }

    /// What is answered when what is stored cannot be decoded, and then when the tables are gone.
    async fn failures(&mut self, functions: &Functions, now: Timestamp, later: Timestamp) {
        for board in ["boards", "global all", "teams all"] {
            functions.corrupt_document(board, "latest").await;
        }
        functions.corrupt_generations().await;
        crate::rewards::corrupt_status(functions).await;
        // Later, since an instance keeps a head for the documents of persons until the next one is due.
        self.serve(functions, later, every_board("corrupt_data")).await;
        drop_table(functions, &functions.tables.snapshots).await;
        drop_table(functions, &functions.tables.standings).await;
        drop_table(functions, &functions.tables.coins).await;
        self.serve(functions, later, every_board("unavailable_for_reading"))
            .await;
        functions.corrupt_directory("ann.lee").await;
        let corrupt = every_entry("corrupt_person")
            .into_iter()
            .filter(|case| !case.operation.starts_with("delete"));
        self.directory(functions, corrupt.collect()).await;
        drop_table(functions, &functions.tables.people).await;
        self.directory(functions, every_entry("unavailable_directory"))
            .await;
        drop_table(functions, &functions.tables.activities).await;
        self.ingest(functions, now, cases_without_activities()).await;
    }

    async fn serve(&mut self, functions: &Functions, now: Timestamp, cases: Vec<Case>) {
        for case in cases {
            let response = functions.serve.handle(case.request, now).await;
            self.check(case.name, case.operation, response);
        }
    }
}

/// Hides how long the snapshot took, the only value that does not follow the fixed clock.
fn comparable(mut document: Value) -> Value {
    if let Some(seconds) = document.get_mut("snapshot_seconds") {
        *seconds = Value::Null;
    }
    document
}

fn ingest_cases(description: &Description) -> Vec<Case> {
    let operation = "postActivities";
    let example = |name| {
        let pointer = format!(
            "/paths/~1v1~1activities/post/requestBody/content/application~1json/examples/{name}/value"
        );
        post(description.at(&pointer).to_string())
    };
    let without_type = |mut request: Request<Body>| {
        request.headers_mut().clear();
        request
    };
    let encoded = |encoding: &'static str, mut request: Request<Body>| {
        let encoding = HeaderValue::from_static(encoding);
        request.headers_mut().insert(CONTENT_ENCODING, encoding);
        request
    };
    let taken = json!({"activity_id": "lms-2026-11-21-0017", "user_id": "ann.lee", "program_id": "wellness", "kind": "program_check_in"});
    let kept = json!({"activity_id": "task-4711", "user_id": "bob", "program_id": "onboarding", "kind": "task_completed"});
    let good = json!({"user_id": "dee", "program_id": "wellness", "kind": "program_check_in"});
    let bad = json!({"user_id": "ann lee", "program_id": "wellness", "kind": "program_check_in"});
    vec![
        case("one_activity", operation, example("one_activity")),
        case("several_activities", operation, example("several_activities")),
        case(
            "a_wrong_one_among_them",
            operation,
            example("a_wrong_one_among_them"),
        ),
        case("conflict", operation, post(taken.to_string())),
        case("", operation, post(json!([taken, taken, {}]).to_string())),
        case("", operation, post(json!([taken, kept]).to_string())),
        case("", operation, post(good.to_string())),
        case("malformed_json", operation, post("{\"user_id\": \"ann.lee\",}")),
        case("invalid_activity", operation, post(bad.to_string())),
        case("", operation, post(json!([bad, 7]).to_string())),
        case("empty_batch", operation, post("[]")),
        case("", operation, post("7")),
        case(
            "too_many_activities",
            operation,
            post(vec!["{}"; 101].join(",").replacen('{', "[{", 1) + "]"),
        ),
        case("", operation, post(" ".repeat(problem::body::MAX_BODY_BYTES + 1))),
        case(
            "unsupported_media_type",
            operation,
            without_type(post(good.to_string())),
        ),
        case(
            "unsupported_encoding",
            operation,
            encoded("br", post(good.to_string())),
        ),
        case("", operation, encoded("gzip", post(good.to_string()))),
        case("", operation, ask("DELETE", "/v1/activities")),
    ]
}

/// Events, of which the second batch repeats the first event.
fn event_cases(description: &Description) -> Vec<Case> {
    let operation = "postActivities";
    let typed = |content_type: &'static str, body: String| {
        let mut request = post(body);
        let content_type = HeaderValue::from_static(content_type);
        request.headers_mut().insert(CONTENT_TYPE, content_type);
        request
    };
    let event = |body: String| typed("application/cloudevents+json", body);
    let batch = |body: String| typed("application/cloudevents-batch+json", body);
    let example = |content_type: &str, name: &str| {
        let media = format!("/paths/~1v1~1activities/post/requestBody/content/{content_type}");
        description
            .at(&format!("{media}/examples/{name}/value"))
            .to_string()
    };
    let first = example("application~1cloudevents+json", "one_event");
    let mut with_other_data: Value = serde_json::from_str(&first).expect("JSON");
    with_other_data["data"]["kind"] = "program_check_in".into();
    let mut binary = post("{}");
    let version = HeaderValue::from_static("1.0");
    binary.headers_mut().insert("ce-specversion", version);
    vec![
        case("one_event", operation, event(first)),
        case(
            "a_wrong_event_among_them",
            operation,
            batch(example(
                "application~1cloudevents-batch+json",
                "a_wrong_event_among_them",
            )),
        ),
        case("", operation, batch("[]".to_owned())),
        case("", operation, event(with_other_data.to_string())),
        case(
            "invalid_event",
            operation,
            event(r#"{"specversion":"1.0","id":"1"}"#.to_owned()),
        ),
        case("", operation, batch("{}".to_owned())),
        case("", operation, batch(format!("[{}7]", "7,".repeat(100)))),
        case("binary_mode", operation, binary),
    ]
}

/// Corrections, after the activities of [`ingest_cases`] and those of Bob's.
fn correction_cases(description: &Description) -> Vec<Case> {
    let (operation, list) = ("postCorrections", "listCorrections");
    let correct = |body: String| post_to("corrections", body);
    let example = |name| {
        let pointer = format!(
            "/paths/~1v1~1corrections/post/requestBody/content/application~1json/examples/{name}/value"
        );
        description.at(&pointer).to_string()
    };
    let raffle = |points: i64| {
        json!({"correction_id": "raffle-2026-11", "user_id": "bob", "program_id": "wellness", "points": points,
            "occurred_at": "2026-11-20T12:00:00+01:00", "reason": "Won the raffle of the health day."})
    };
    let again = json!({"correction_id": "again-4722", "user_id": "bob", "voids": "task-4722", "reason": "Once more."});
    let bad = json!({"user_id": "bob", "voids": "task-4721"});
    let encoded = |mut request: Request<Body>| {
        let encoding = HeaderValue::from_static("gzip");
        request.headers_mut().insert(CONTENT_ENCODING, encoding);
        request
    };
    let without_type = |mut request: Request<Body>| {
        request.headers_mut().clear();
        request
    };
    let get = |name, query: &str| case(name, list, ask("GET", &format!("/v1/corrections{query}")));
    vec![
        case("void", operation, correct(example("void"))),
        case("adjustment", operation, correct(example("adjustment"))),
        case(
            "a_wrong_correction_among_them",
            operation,
            correct(example("a_wrong_correction_among_them")),
        ),
        case("", operation, correct(json!([raffle(15), again]).to_string())),
        case("correction_conflict", operation, correct(raffle(16).to_string())),
        case("", operation, correct(json!([raffle(16), bad]).to_string())),
        case("invalid_correction", operation, correct(bad.to_string())),
        case("", operation, correct(json!([bad, 7]).to_string())),
        case("", operation, correct("[]".to_owned())),
        case("", operation, correct("7".to_owned())),
        case("", operation, correct("{".to_owned())),
        case("", operation, encoded(correct(bad.to_string()))),
        case(
            "",
            operation,
            correct(" ".repeat(problem::body::MAX_BODY_BYTES + 1)),
        ),
        case(
            "too_many_corrections",
            operation,
            correct(format!("[{}]", vec!["{}"; 101].join(","))),
        ),
        case("", operation, without_type(correct(bad.to_string()))),
        case("", operation, ask("DELETE", "/v1/corrections")),
        get("corrections", "?user_id=bob"),
        get("", "?user_id=nobody&limit=1"),
        get("no_user", ""),
        get("", "?user_id=bob&limit=0"),
        get("", "?user_id=bob&from=1"),
        get("", "?user_id=%ff"),
        case("", list, ask("DELETE", "/v1/corrections")),
    ]
}

fn listed_corrections(name: &'static str) -> Case {
    case(name, "listCorrections", ask("GET", "/v1/corrections?user_id=bob"))
}

fn put_person(user: &str, body: impl Into<Body>) -> Request<Body> {
    put(&format!("/v1/people/{user}"), body)
}

fn put(path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::put(format!("http://localhost{path}"))
        .header("content-type", "application/json")
        .body(body.into())
        .expect("a request")
}

/// Every operation of the directory.
fn every_entry(name: &'static str) -> Vec<Case> {
    let mut cases = vec![
        case(name, "listPeople", ask("GET", "/v1/people")),
        case(name, "getPerson", ask("GET", "/v1/people/ann.lee")),
        case(name, "putPerson", put_person("ann.lee", "{}")),
        case(name, "deletePerson", ask("DELETE", "/v1/people/ann.lee")),
    ];
    for kind in [&TEAMS, &PROGRAMS] {
        let path = format!("{}/{}", kind.path, kind.id);
        cases.extend([
            case(name, kind.list, ask("GET", kind.path)),
            case(name, kind.get, ask("GET", &path)),
            case(name, kind.put, put(&path, "{}")),
            case(name, kind.delete, ask("DELETE", &path)),
        ]);
    }
    cases
}

/// The operations on teams or programs, and the examples of their answers.
struct Kind {
    path: &'static str,
    id: &'static str,
    list: &'static str,
    get: &'static str,
    put: &'static str,
    delete: &'static str,
    listed: &'static str,
    details: &'static str,
    not_found: &'static str,
    new: &'static str,
    again: &'static str,
    invalid: &'static str,
}

const TEAMS: Kind = Kind {
    path: "/v1/teams",
    id: "team-a",
    list: "listTeams",
    get: "getTeam",
    put: "putTeam",
    delete: "deleteTeam",
    listed: "teams_with_details",
    details: "team_details",
    not_found: "team_not_found",
    new: "new_team",
    again: "team_again",
    invalid: "invalid_team",
};

const PROGRAMS: Kind = Kind {
    path: "/v1/programs",
    id: "onboarding",
    list: "listPrograms",
    get: "getProgram",
    put: "putProgram",
    delete: "deleteProgram",
    listed: "programs_with_details",
    details: "program_details",
    not_found: "program_not_found",
    new: "new_program",
    again: "program_again",
    invalid: "invalid_program",
};

fn details_cases(description: &Description, kind: &Kind) -> Vec<Case> {
    let name = kind.path.trim_start_matches("/v1/").trim_end_matches('s');
    let example = format!(
        "/paths/~1v1~1{name}s~1{{{name}}}/put/requestBody/content/application~1json/examples/{}/value",
        kind.new
    );
    let example = description.at(&example).to_string();
    let at = |id: &str| format!("{}/{id}", kind.path);
    let (one, list) = (at(kind.id), kind.path);
    let mut encoded = put(&one, "{}");
    encoded
        .headers_mut()
        .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let mut without_type = put(&one, "{}");
    without_type.headers_mut().clear();
    vec![
        case(kind.new, kind.put, put(&one, example.clone())),
        case(kind.again, kind.put, put(&one, example)),
        case(kind.listed, kind.list, ask("GET", list)),
        case("", kind.list, ask("GET", &format!("{list}?limit=1"))),
        case("", kind.list, ask("GET", &format!("{list}?limit=0"))),
        case("", kind.list, ask("DELETE", list)),
        case(kind.details, kind.get, ask("GET", &one)),
        case(kind.not_found, kind.get, ask("GET", &at("chess"))),
        case("", kind.get, ask("GET", &at("a%20b"))),
        case(kind.invalid, kind.put, put(&one, r#"{"order":-1}"#)),
        case("", kind.put, put(&one, "{")),
        case("", kind.put, put(&one, "[]")),
        case("", kind.put, put(&at("a%20b"), "{}")),
        case("", kind.put, encoded),
        case("", kind.put, without_type),
        case(
            "",
            kind.put,
            put(&one, " ".repeat(problem::body::MAX_BODY_BYTES + 1)),
        ),
        case("", kind.delete, ask("DELETE", &at("a%20b"))),
        case("", kind.delete, ask("POST", &one)),
        case("", kind.delete, ask("DELETE", &one)),
    ]
}

fn directory_cases(description: &Description) -> Vec<Case> {
    let (list, get, put, delete) = ("listPeople", "getPerson", "putPerson", "deletePerson");
    let example = |name| {
        let pointer = format!(
            "/paths/~1v1~1people~1{{user}}/put/requestBody/content/application~1json/examples/{name}/value"
        );
        description.at(&pointer).to_string()
    };
    let encoded = |mut request: Request<Body>| {
        request
            .headers_mut()
            .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        request
    };
    let without_type = |mut request: Request<Body>| {
        request.headers_mut().clear();
        request
    };
    let mut cases = vec![
        case("new_person", put, put_person("ann.lee", example("new_person"))),
        case(
            "anonymous_person",
            put,
            put_person("bob", example("anonymous_person")),
        ),
        case("people", list, ask("GET", "/v1/people")),
        case("", list, ask("GET", "/v1/people?limit=1")),
        case("person", get, ask("GET", "/v1/people/ann.lee")),
        case("person_not_found", get, ask("GET", "/v1/people/cy")),
        case("", put, put_person("ANN.LEE", "{}")),
        case("person_again", put, put_person("ann.lee", example("new_person"))),
        case("", put, put_person("ann.lee", r#"{"team":"team-b"}"#)),
        case(
            "invalid_person",
            put,
            put_person("ann.lee", r#"{"visibility":"secret"}"#),
        ),
        case("", put, put_person("ann.lee", "[]")),
        case("", put, put_person("ann.lee", "{")),
        case("", put, encoded(put_person("ann.lee", "{}"))),
        case("", put, without_type(put_person("ann.lee", "{}"))),
        case(
            "",
            put,
            put_person("ann.lee", " ".repeat(problem::body::MAX_BODY_BYTES + 1)),
        ),
        case("invalid_person_address", get, ask("GET", "/v1/people/ann%20lee")),
        case("", put, put_person("ann%20lee", "{}")),
        case("", delete, ask("DELETE", "/v1/people/ann%20lee")),
        case("", list, ask("GET", "/v1/people?limit=0")),
        case("", list, ask("DELETE", "/v1/people")),
        case("", delete, ask("POST", "/v1/people/ann.lee")),
        case("", delete, ask("DELETE", "/v1/people/ann.lee")),
    ];
    cases.extend(details_cases(description, &TEAMS));
    cases.extend(details_cases(description, &PROGRAMS));
    for Case {
        operation, request, ..
    } in every_entry("")
    {
        for query in ["points=1", "a=1&a=2", "a=%ff"] {
            let uri = format!("{}?{query}", request.uri());
            let mut asked = put_person("ann.lee", "{}");
            *asked.method_mut() = request.method().clone();
            *asked.uri_mut() = uri.parse().expect("an address");
            cases.push(case("", operation, asked));
        }
    }
    cases
}

/// What is asked of ingestion when its table is gone.
fn cases_without_activities() -> Vec<Case> {
    let activity = json!({"activity_id": "task-4799", "user_id": "bob", "program_id": "onboarding", "kind": "task_completed"});
    let correction = json!({"correction_id": "late-2026-12", "user_id": "cy", "program_id": "onboarding", "points": -5,
        "reason": "Handed in after the deadline."});
    vec![
        case(
            "unavailable_for_ingestion",
            "postActivities",
            post(activity.to_string()),
        ),
        case(
            "unavailable_for_correction",
            "postCorrections",
            post_to("corrections", correction.to_string()),
        ),
        listed_corrections("unavailable_for_listing"),
    ]
}

fn serve_cases(cursor: &str) -> Vec<Case> {
    let get = |name, operation, path: &str| case(name, operation, ask("GET", path));
    let (boards, status, board, user) = ("listBoards", "getStatus", "getBoard", "getUser");
    let (history, search, periods) = ("getHistory", "searchUsers", "listPeriods");
    let mut cases = vec![
        get("boards", boards, "/v1/boards"),
        get("status", status, "/v1/status"),
        get("policy", "getPolicy", "/v1/policy"),
        get("legacy", "getLegacyLeaderboard", "/v1/legacy/leaderboard"),
        get("board", board, "/v1/boards/global?window=week&limit=2"),
        get(
            "next_page",
            board,
            &format!("/v1/boards/global?window=week&limit=2&cursor={cursor}"),
        ),
        get("board_of_a_program", board, "/v1/boards/program:wellness"),
        get("", board, "/v1/boards/global?window=day"),
        get("", board, "/v1/boards/global?window=month"),
        get("", board, "/v1/boards/global?from=4&limit=1"),
        get("", board, "/v1/boards/global?from=99"),
        get("", boards, "/v1/boards?window=day"),
        get("history", history, "/v1/boards/global/history?window=week"),
        get("", history, "/v1/boards/program%3Awellness/history"),
        get("found", search, "/v1/boards/global/users?search=B&limit=2"),
        get("", search, "/v1/boards/global/users?search=nobody"),
        get("nothing_to_look_for", search, "/v1/boards/global/users"),
        get("", history, "/v1/boards/wellness/history"),
        get("", history, "/v1/boards/program:chess/history"),
        get("", search, "/v1/boards/wellness/users?search=a"),
        get("", search, "/v1/boards/program:chess/users?search=a"),
        get("user", user, "/v1/boards/global/users/bob?window=month&around=1"),
        get("", user, "/v1/boards/program%3Awellness/users/cy"),
        get("unknown_parameter", boards, "/v1/boards?limit=10"),
        get("invalid_path", board, "/v1/boards/wellness"),
        get("invalid_parameter", board, "/v1/boards/global?limit=1001"),
        get("board_not_found", board, "/v1/boards/program:chess"),
        get("cursor_expired", board, "/v1/boards/global?cursor=999.100"),
        get("invalid_user", user, "/v1/boards/global/users/ann%20lee"),
        get("", board, "/v1/boards/global?window=season"),
        get("", "getTeams", "/v1/boards/teams?window=season"),
        get("", history, "/v1/boards/global/history?window=season"),
        get("", search, "/v1/boards/global/users?search=a&window=season"),
        get("", user, "/v1/boards/global/users/bob?window=season"),
        get("board_of_a_period", board, "/v1/boards/global?period=2026-10"),
        get("", user, "/v1/boards/global/users/ann.lee?period=last-month"),
        get("period_not_kept", board, "/v1/boards/global?period=2026-W40"),
        get("period_not_begun", board, "/v1/boards/global?period=2026-W50"),
        get("", user, "/v1/boards/global/users/bob?period=2026-W40"),
        get("", user, "/v1/boards/global/users/bob?period=2026-W50"),
        get(
            "invalid_period",
            board,
            "/v1/boards/global?window=month&period=last-week",
        ),
        get("periods", periods, "/v1/boards/global/periods?window=week"),
        get("", periods, "/v1/boards/global/periods?window=all"),
        get("", periods, "/v1/boards/wellness/periods?window=day"),
        get("quests", "listQuests", "/v1/quests"),
        get("finders", "listFinders", "/v1/quests/first-task/coins"),
        get("unknown_quest", "listFinders", "/v1/quests/last-task/coins"),
        get("", "listFinders", "/v1/quests/first%20task/coins"),
        get("coins", "listCoins", "/v1/users/bob/coins"),
        get("no_coins", "listCoins", "/v1/users/nobody/coins"),
        get("", "listCoins", "/v1/users/a%20b/coins"),
        get("", "listFinders", "/v1/quests/first-task/coins?order=latest"),
        get("", "listFinders", "/v1/quests/first-task/coins?order=newest"),
        get("progress", "listUserQuests", "/v1/users/bob/quests"),
        get("nothing_known", "listUserQuests", "/v1/users/nobody/quests"),
        get("", "listUserQuests", "/v1/users/a%20b/quests"),
        get("", user, "/v1/boards/program:chess/users/bob"),
        get("user_not_on_board", user, "/v1/boards/program:wellness/users/bob"),
    ];
    for (operation, path) in [
        (boards, "/v1/boards"),
        (status, "/v1/status"),
        ("getPolicy", "/v1/policy"),
        ("getLegacyLeaderboard", "/v1/legacy/leaderboard"),
        (board, "/v1/boards/global"),
        (user, "/v1/boards/global/users/bob"),
        (history, "/v1/boards/global/history"),
        (search, "/v1/boards/global/users?search=a"),
        (periods, "/v1/boards/global/periods?window=day"),
        ("listQuests", "/v1/quests"),
        ("listFinders", "/v1/quests/first-task/coins"),
        ("listCoins", "/v1/users/bob/coins"),
        ("listUserQuests", "/v1/users/bob/quests"),
    ] {
        let more = if path.contains('?') { '&' } else { '?' };
        for query in ["points=1", "a=1&a=2", "a=%ff"] {
            cases.push(case("", operation, ask("GET", &format!("{path}{more}{query}"))));
        }
        cases.push(case("", operation, ask("DELETE", path)));
    }
    cases.push(get("", user, "/v1/boards/wellness/users/bob"));
    cases.push(get("", user, "/v1/boards/global/users/bob?around=51"));
    cases
}

/// Every document of a board; `example` shows the answer for the board itself.
fn of_board(example: &'static str, board: &str) -> Vec<Case> {
    let get = |path: &str| ask("GET", &format!("/v1/boards/{board}{path}"));
    vec![
        case(example, "getBoard", get("")),
        case("", "getHistory", get("/history")),
        case("", "searchUsers", get("/users?search=a")),
        case("", "getUser", get("/users/bob")),
    ]
}

fn every_board(name: &'static str) -> Vec<Case> {
    vec![
        case(name, "listBoards", ask("GET", "/v1/boards")),
        case(name, "getStatus", ask("GET", "/v1/status")),
        case(name, "getPolicy", ask("GET", "/v1/policy")),
        case(name, "getLegacyLeaderboard", ask("GET", "/v1/legacy/leaderboard")),
        case(name, "getBoard", ask("GET", "/v1/boards/global")),
        case(name, "getTeams", ask("GET", "/v1/boards/teams")),
        case(name, "getUser", ask("GET", "/v1/boards/global/users/bob")),
        case(name, "getHistory", ask("GET", "/v1/boards/global/history")),
        case(name, "listQuests", ask("GET", "/v1/quests")),
        case(name, "listFinders", ask("GET", "/v1/quests/first-task/coins")),
        case(name, "listCoins", ask("GET", "/v1/users/bob/coins")),
        case(name, "listUserQuests", ask("GET", "/v1/users/bob/quests")),
        case(
            name,
            "listPeriods",
            ask("GET", "/v1/boards/global/periods?window=day"),
        ),
        case(
            name,
            "searchUsers",
            ask("GET", "/v1/boards/global/users?search=b"),
        ),
    ]
}

/// Conditional requests for every document, each with its current validator. There are no teams yet.
async fn unchanged(functions: &Functions, now: Timestamp) -> Vec<Case> {
    let documents = |case: &Case| case.operation != "getTeams";
    let mut cases: Vec<_> = every_board("").into_iter().filter(documents).collect();
    for (case, Case { request, .. }) in cases
        .iter_mut()
        .zip(every_board("").into_iter().filter(documents))
    {
        let etag = functions.serve.handle(request, now).await.headers()[ETAG].clone();
        case.request.headers_mut().insert(IF_NONE_MATCH, etag);
    }
    cases
}

async fn drop_table(functions: &Functions, table: &str) {
    let deleted = functions.client.delete_table().table_name(table).send().await;
    deleted.expect("the table is deleted");
}

#[tokio::test]
async fn every_answer_is_as_documented_and_every_documented_answer_is_given() {
    let description = Description::load();
    let mut functions = Functions::with_program_boards("Europe/Berlin", "2").await;
    let mut checked = Checked {
        description: &description,
        outcomes: BTreeSet::new(),
        examples: BTreeSet::new(),
        wrong_examples: Vec::new(),
    };
    let begun = time("2026-11-21T09:27:00Z");
    checked
        .serve(&functions, begun, every_board("nothing_published"))
        .await;
    checked
        .ingest(
            &functions,
            time("2026-11-21T09:27:10Z"),
            ingest_cases(&description),
        )
        .await;
    functions.count(time("2026-11-21T09:27:11Z")).await;
    // The first run sends a heartbeat, and the second finds it counted. Bob moves up in between.
    functions.publish(time("2026-11-21T09:28:00Z")).await;
    for task in ["task-4721", "task-4722"] {
        let activity = json!({"activity_id": task, "user_id": "bob", "program_id": "onboarding", "kind": "task_completed"});
        functions.post(&activity, time("2026-11-21T09:28:20Z")).await;
    }
    functions.count(time("2026-11-21T09:28:21.5Z")).await;
    functions.publish(time("2026-11-21T09:29:00Z")).await;

    crate::rewards::give_first_task(&functions, "bob", time("2026-11-21T09:29:00Z")).await;

    let now = time("2026-11-21T09:29:30Z");
    let first_page = functions
        .board("/v1/boards/global?window=week&limit=2", now)
        .await;
    let cursor = &first_page.next_cursor.expect("there are more rows");
    checked.serve(&functions, now, serve_cases(cursor)).await;
    let unchanged = unchanged(&functions, now).await;
    checked.serve(&functions, now, unchanged).await;
    // Hours later, with no snapshot since, the same documents are stale.
    checked
        .serve(&functions, time("2026-11-21T12:00:00Z"), every_board(""))
        .await;

    // A third program is more active than the second one.
    let noon = time("2026-11-21T12:00:00Z");
    for _ in 0..3 {
        let activity = json!({"user_id": "eve", "program_id": "archery", "kind": "task_completed"});
        functions.post(&activity, noon).await;
    }
    functions.count(noon).await;
    let later = time("2026-11-21T12:01:00Z");
    functions.publish(later).await;
    checked
        .serve(
            &functions,
            later,
            of_board("program_without_board", "program:archery"),
        )
        .await;
    let later = time("2026-11-21T12:02:00Z");
    functions.publish(later).await;
    checked
        .serve(&functions, later, of_board("program_dropped", "program:wellness"))
        .await;

    let later = time("2026-11-21T12:03:00Z");
    checked.corrections(&functions, later).await;
    checked.directory(&functions, directory_cases(&description)).await;
    checked.teams(&mut functions).await;
    Box::pin(checked.refusals(&functions, later)).await;
    checked.ingest(&functions, later, event_cases(&description)).await;

    checked.failures(&functions, now, later).await;

    assert!(
        checked.wrong_examples.is_empty(),
        "{}",
        checked.wrong_examples.join("\n")
    );
    let documented = description.outcomes();
    let never_given: Vec<_> = documented
        .difference(&checked.outcomes)
        .map(Outcome::to_string)
        .collect();
    assert!(
        never_given.is_empty(),
        "documented, but never answered: {never_given:#?}"
    );
    let operations = documented
        .iter()
        .map(|outcome| (outcome.operation.clone(), outcome.status));
    for (operation, status) in operations.collect::<BTreeSet<_>>() {
        for (name, _) in description.examples(&operation, status) {
            assert!(
                checked.examples.contains(name),
                "the example {name} was not compared"
            );
        }
    }
}

#[tokio::test]
async fn what_is_nowhere_is_not_found() {
    let description = Description::load();
    let functions = Functions::start("UTC").await;
    let now = time("2026-11-21T09:30:00Z");
    let response = description.at("/components/responses/NotFound");
    let of_ingestion = functions
        .ingest
        .handle(ask("POST", "/v1/boards"), now)
        .await
        .map(Body::from);
    let of_serving = functions.serve.handle(ask("GET", "/v1/activity"), now).await;
    for (operation, answer) in [("ingestion", of_ingestion), ("serving", of_serving)] {
        let (parts, body) = answer.into_parts();
        let answer = Answer {
            operation,
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.to_vec(),
        };
        assert_eq!(answer.status, 404);
        description.check_as(&answer, response);
    }
}
