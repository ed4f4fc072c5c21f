//! The description of the API and the code agree, in both directions.

mod answers;
pub mod description;

use std::collections::BTreeSet;
use std::str::FromStr;

use domain::activity::Metadata;
use domain::cloud_event::ATTRIBUTE_BYTES_MAX;
use domain::freshness::StaleReason;
use domain::history::{FOLLOWED_USERS, MAX_SAMPLES};
use domain::intake::{MAX_AHEAD, RejectionCode, SCHEMA_VERSION};
use domain::person::SearchText;
use domain::quest::{CoinState, Revoked};
use domain::{
    ActivityId, Board, Details, DisplayName, Kind, ProgramId, Seasons, TeamId, UserId, Visibility, Window,
    address,
};
use ingest::ItemStatus;
use jiff::Timestamp;
use notifier::event::CoinEvent;
use serde_json::{Value, json};
use serve::{Cursor, Route, Start};
use store::coins::KeptCoin;

use self::description::{Description, check_valid};

/// All variants of an enum. A new variant fails to compile until it is listed.
macro_rules! variants {
    ($type:ident: $($variant:ident),+ $(,)?) => {{
        let _: fn($type) = |value| match value { $($type::$variant => ()),+ };
        [$($type::$variant),+].map(|value| serde_json::to_value(value).expect("a name"))
    }};
}

/// The values that a schema allows, in any order.
fn allowed(schema: &Value) -> BTreeSet<String> {
    let values = schema["enum"].as_array().into_iter().flatten();
    values
        .chain(schema.get("const"))
        .map(|value| value.as_str().expect("a string").to_owned())
        .collect()
}

fn names(variants: impl IntoIterator<Item = Value>) -> BTreeSet<String> {
    let names = variants.into_iter();
    names
        .map(|name| name.as_str().expect("a string").to_owned())
        .collect()
}

#[test]
fn enumerations_have_the_variants_of_the_code() {
    let description = Description::load();
    let schema = |name: &str| description.at(&format!("/components/schemas/{name}"));
    assert_eq!(
        allowed(schema("RejectionCode")),
        names(variants!(
            RejectionCode: NotAnObject, Malformed, MissingField, UnknownField, DuplicateField, WrongType, Empty,
            TooLong, TooDeep, IllegalCharacter, Reserved, DotSegment, UnknownKind, InvalidTime, InTheFuture, TooOld,
            OutOfRange, UnsupportedSchemaVersion, Conflict, Forbidden, UnknownActivity,
        ))
    );
    assert_eq!(
        allowed(schema("StaleReason")),
        names(variants!(StaleReason: Age, Lag, Backlog))
    );
    assert_eq!(
        allowed(schema("WindowName")),
        names(variants!(Window: All, Month, Week, Day, Season))
    );
    assert_eq!(
        allowed(schema("Visibility")),
        names(variants!(Visibility: Listed, Anonymous, Hidden))
    );
    let statuses = ["Kept", "Conflict", "Rejected", "Unavailable"]
        .map(|name| allowed(&schema(name)["properties"]["status"]));
    assert_eq!(
        statuses.into_iter().flatten().collect::<BTreeSet<_>>(),
        names(variants!(ItemStatus: Accepted, Duplicate, Conflict, Rejected, Forbidden, Unavailable))
    );
}

#[test]
fn a_webhook_gets_what_is_described() {
    let description = Description::load();
    let media = "/webhooks/coin/post/requestBody/content/application~1cloudevents+json";
    let validator = description.validator(description.at(&format!("{media}/schema")));
    let example = description.at(&format!("{media}/examples/issued/value"));
    check_valid(&validator, example, "the example");
    let revoked = KeptCoin {
        id: "coin-68074992b1f1af776c1ecdddc48aafc8".to_owned(),
        user: "bob".parse().expect("an id"),
        quest: "first-task".to_owned(),
        version: 1,
        coin: "Amber".to_owned(),
        value: 50,
        period: "2026-W47".to_owned(),
        found_at: Timestamp::UNIX_EPOCH,
        found_by: "task-4711".parse().expect("an id"),
        evidence: vec!["task-4711".parse().expect("an id")],
        evidence_count: 1,
        state: CoinState::Revoked,
        reason: Some(Revoked::Supply),
        serial: None,
        change: 2,
    };
    let event = CoinEvent::new(revoked).expect("it is told");
    let event = serde_json::from_slice(&event.json()).expect("JSON");
    check_valid(&validator, &event, "the event of a revoked coin");
}

#[test]
fn limits_are_those_of_the_code() {
    let description = Description::load();
    let check = |pointer: &str, expected: Value| assert_eq!(*description.at(pointer), expected, "{pointer}");
    let body = "/paths/~1v1~1activities/post/requestBody";
    check(
        &format!("{body}/x-max-bytes"),
        problem::body::MAX_BODY_BYTES.into(),
    );
    let array = format!("{body}/content/application~1json/schema/oneOf/1");
    check(&format!("{array}/maxItems"), ingest::MAX_ITEMS.into());
    let batch = format!("{body}/content/application~1cloudevents-batch+json/schema");
    check(&format!("{batch}/maxItems"), ingest::MAX_ITEMS.into());
    for attribute in ["id", "source", "type", "subject", "dataschema"] {
        check(
            &format!("/components/schemas/ActivityEvent/properties/{attribute}/maxLength"),
            ATTRIBUTE_BYTES_MAX.into(),
        );
    }
    let responses = "/paths/~1v1~1activities/post/responses";
    for results in [
        "202/content/application~1json/schema",
        "207/content/application~1json/schema",
        "409/content/application~1problem+json/schema/oneOf/1",
        "422/content/application~1problem+json/schema/oneOf/1",
        "503/content/application~1problem+json/schema",
    ] {
        let pointer = format!("{responses}/{results}/properties/results/maxItems");
        check(&pointer, ingest::MAX_ITEMS.into());
    }

    let activity = "/components/schemas/Activity/properties";
    check(
        &format!("{activity}/metadata/x-max-bytes"),
        Metadata::MAX_BYTES.into(),
    );
    check(
        &format!("{activity}/metadata/x-max-depth"),
        Metadata::MAX_DEPTH.into(),
    );
    check(
        &format!("{activity}/occurred_at/x-max-ahead-seconds"),
        MAX_AHEAD.as_secs().into(),
    );
    check(
        &format!("{activity}/schema_version/enum"),
        json!([SCHEMA_VERSION, null]),
    );

    let parameters = "/components/parameters";
    for (parameter, maximum) in [
        ("Limit", serve::MAX_LIMIT),
        ("From", serve::MAX_FROM),
        ("Found", serve::MAX_FOUND),
        ("Around", serve::MAX_AROUND),
    ] {
        check(
            &format!("{parameters}/{parameter}/schema/maximum"),
            maximum.into(),
        );
    }
    for (document, list, longest) in [
        ("TeamsDocument", "entries", serve::MAX_LIMIT),
        ("BoardDocument", "entries", serve::MAX_LIMIT),
        ("SearchDocument", "entries", serve::MAX_FOUND),
        ("UserDocument", "above", serve::MAX_AROUND),
        ("UserDocument", "below", serve::MAX_AROUND),
        ("UserDocument", "other_case", serve::MAX_OTHER_CASE),
        ("BoardsDocument", "boards", snapshot::BoardLimit::MAX + 1),
    ] {
        let pointer = format!("/components/schemas/{document}/properties/{list}/maxItems");
        check(&pointer, longest.into());
    }
    check(
        &format!("{parameters}/Search/schema/maxLength"),
        SearchText::CHARS_MAX.into(),
    );
    let not_on_board =
        "/paths/~1v1~1boards~1{board}~1users~1{user}/get/responses/404/content/application~1problem+json";
    check(
        &format!("{not_on_board}/schema/properties/other_case/maxItems"),
        serve::MAX_OTHER_CASE.into(),
    );
    let history = "/components/schemas/HistoryDocument/properties";
    check(&format!("{history}/users/maxItems"), FOLLOWED_USERS.into());
    // The newest generation is one point more than the samples.
    for times in [
        format!("{history}/at"),
        format!("{history}/total"),
        "/components/schemas/UserHistory/properties/points".to_owned(),
    ] {
        check(&format!("{times}/maxItems"), (MAX_SAMPLES + 1).into());
    }
}

#[test]
fn limits_of_the_directory_are_those_of_the_code() {
    let description = Description::load();
    let check = |pointer: &str, expected: Value| {
        let pointer = format!("/components/schemas/{pointer}");
        assert_eq!(*description.at(&pointer), expected, "{pointer}");
    };
    for (document, list) in [
        ("PeopleDocument", "people"),
        ("TeamDetailsDocument", "teams"),
        ("ProgramDetailsDocument", "programs"),
    ] {
        let pointer = format!("{document}/properties/{list}/maxItems");
        check(&pointer, directory::LISTED_MAX.into());
    }
    for schema in ["ProgramDetails", "StoredProgram"] {
        let pointer = format!("{schema}/properties/order/maximum");
        check(&pointer, Details::ORDER_MAX.into());
    }
    check(
        "PutPerson/properties/other_case/maxItems",
        directory::OTHER_CASE_MAX.into(),
    );
    check("DisplayName/x-max-chars", DisplayName::CHARS_MAX.into());
}

#[test]
fn parameters_have_the_defaults_and_bounds_of_the_code() {
    let description = Description::load();
    let schema = |name: &str| description.at(&format!("/components/parameters/{name}/schema"));
    let route = |query: &str| Route::parse(&query.parse().expect("a path"), &Seasons::default());
    let board = |query: &str| match route(&format!("/v1/boards/global{query}")) {
        Ok(Route::Board { window, limit, .. }) => Some((window, limit)),
        _ => None,
    };
    let from = |query: &str| match route(&format!("/v1/boards/global{query}")) {
        Ok(Route::Board {
            start: Start::After(rows),
            ..
        }) => Some(rows + 1),
        _ => None,
    };
    let found = |query: &str| match route(&format!("/v1/boards/global/users?search=a{query}")) {
        Ok(Route::Search { limit, .. }) => Some(limit),
        _ => None,
    };
    let around = |query: &str| match route(&format!("/v1/boards/global/users/ann{query}")) {
        Ok(Route::User { around, .. }) => Some(around),
        _ => None,
    };
    let (window, limit) = board("").expect("the defaults are good");
    assert_eq!(schema("Window")["default"], window.as_str());
    assert_eq!(schema("Limit")["default"], limit);
    assert_eq!(
        schema("Around")["default"],
        around("").expect("the default is good")
    );

    assert_eq!(schema("From")["default"], from("").expect("the default is good"));
    assert_eq!(
        schema("Found")["default"],
        found("").expect("the default is good")
    );
    let [limit, neighbours, first, users] =
        ["Limit", "Around", "From", "Found"].map(|name| description.validator(schema(name)));
    for number in [
        -1,
        0,
        1,
        2,
        49,
        50,
        51,
        999,
        1_000,
        1_001,
        1_000_000,
        1_000_001,
        i64::MAX,
    ] {
        let value = Value::from(number);
        let is_taken = from(&format!("?from={number}")).is_some();
        assert_eq!(first.is_valid(&value), is_taken, "from={number}");
        let is_taken = found(&format!("&limit={number}")).is_some();
        assert_eq!(users.is_valid(&value), is_taken, "limit={number}");
        assert_eq!(
            limit.is_valid(&value),
            board(&format!("?limit={number}")).is_some(),
            "limit={number}"
        );
        let is_taken = around(&format!("?around={number}")).is_some();
        assert_eq!(neighbours.is_valid(&value), is_taken, "around={number}");
    }
}

/// Checks that the schema allows exactly what the code accepts.
fn check_texts<T: FromStr>(description: &Description, schema: &str, more: &[String]) {
    let validator = description.validator(&json!({ "$ref": format!("#/components/schemas/{schema}") }));
    let characters = (0..=0xff_u8).map(|byte| char::from(byte).to_string());
    let within = (0..=0xff_u8).map(|byte| format!("1{}1", char::from(byte)));
    let lengths = [0, 1, 20, 63, 64, 65, 127, 128, 129].map(|length| "a".repeat(length));
    let texts = characters
        .chain(within)
        .chain(lengths)
        .chain(more.iter().cloned());
    for text in texts {
        let is_allowed = validator.is_valid(&Value::from(text.as_str()));
        assert_eq!(is_allowed, text.parse::<T>().is_ok(), "{schema} {text:?}");
    }
}

#[test]
fn ids_have_the_form_that_the_code_takes() {
    let description = Description::load();
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let common = texts(&[
        "auth0|5f7c",
        "us-east-1:12ab",
        "guest_corp#EXT#@tenant",
        "jane.o'neil+hr@corp.example",
        "owner/repo",
        "course-v1:Org+Course+Run",
        "~heartbeat",
        "a~b",
        "..",
        "...",
        "ann\n",
        "Ann.Lee@example.com",
        "a:b",
        "task_completed",
        "ß",
        "\u{202e}",
    ]);
    check_texts::<UserId>(&description, "UserId", &common);
    check_texts::<ProgramId>(&description, "ProgramId", &common);
    check_texts::<TeamId>(&description, "TeamId", &common);
    check_texts::<ActivityId>(&description, "ActivityId", &common);
    check_texts::<Kind>(&description, "Kind", &common);
    let mut boards = texts(&[
        "global",
        "Global",
        "program:",
        "program:p",
        "program:a:b",
        "team:a",
        "global\n",
        "program:~a",
        "program:owner/repo",
        "program:a b",
        "program:a<b",
    ]);
    boards.extend([128, 129].map(|length| format!("program:{}", "a".repeat(length))));
    check_texts::<Board>(&description, "Board", &boards);
    let cursors = texts(&[
        "1.2",
        "1.",
        ".1",
        "-1.2",
        "1.2.3",
        "0.0",
        "18446744073709551615.1",
        " 1.2",
        "1.x",
        "+1.+2",
    ]);
    let validator = description.validator(description.at("/components/schemas/Cursor"));
    for text in cursors {
        let is_allowed = validator.is_valid(&Value::from(text.as_str()));
        assert_eq!(is_allowed, text.parse::<Cursor>().is_ok(), "{text:?}");
    }
}

#[test]
fn a_path_names_users_and_boards_in_both_forms() {
    let description = Description::load();
    let schema = |parameter: &str| {
        description.validator(description.at(&format!("/components/parameters/{parameter}/schema")))
    };
    let (users, boards) = (schema("User"), schema("Board"));
    let longest = "|".repeat(UserId::MAX_BYTES);
    for id in [
        "a",
        "|",
        "ann.lee",
        "auth0|5f7c",
        "owner/repo",
        "{}?",
        "ab~",
        &longest,
    ] {
        let user: UserId = id.parse().expect("an id");
        let board: Board = format!("program:{id}").parse().expect("a board");
        for segment in [id, &address::user_segment(&user)] {
            assert!(users.is_valid(&Value::from(segment)), "{segment}");
        }
        for segment in [board.to_string(), address::board_segment(&board).into_owned()] {
            assert!(boards.is_valid(&Value::from(segment.as_str())), "{segment}");
        }
    }
    let too_long = format!("~{}", "a".repeat(172));
    for segment in ["~", "~a", "~YQ==", "~a/b+", "~YQ\n", &too_long] {
        assert!(address::parse_user(segment).is_err(), "{segment:?}");
        assert!(!users.is_valid(&Value::from(segment)), "{segment:?}");
        let board = format!("program:{segment}");
        assert!(!boards.is_valid(&Value::from(board.as_str())), "{board:?}");
    }
    for (parameter, validator) in [("User", users), ("Board", boards)] {
        let examples = description.at(&format!("/components/parameters/{parameter}/examples"));
        for (name, example) in examples.as_object().expect("examples") {
            check_valid(&validator, &example["value"], name);
            let segment = example["value"].as_str().expect("text");
            let is_parsed = match parameter {
                "User" => address::parse_user(segment).is_ok(),
                _ => address::parse_board(segment).is_ok(),
            };
            assert!(is_parsed, "{segment}");
        }
    }
}

#[test]
fn examples_of_requests_are_as_documented() {
    let description = Description::load();
    for operation in [
        "~1v1~1activities/post",
        "~1v1~1corrections/post",
        "~1v1~1people~1{user}/put",
    ] {
        let media = description.at(&format!(
            "/paths/{operation}/requestBody/content/application~1json"
        ));
        let validator = description.validator(&media["schema"]);
        for (name, example) in media["examples"].as_object().expect("examples") {
            check_valid(&validator, &example["value"], name);
        }
    }
}

/// All values of a key, at any depth.
fn all<'a>(value: &'a Value, key: &str) -> Vec<&'a Value> {
    match value {
        Value::Object(members) => {
            let within = members.values().flat_map(|value| all(value, key));
            members.get(key).into_iter().chain(within).collect()
        }
        Value::Array(items) => items.iter().flat_map(|item| all(item, key)).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn components_are_used_and_are_there() {
    let description = Description::load();
    let used: BTreeSet<_> = all(description.whole(), "$ref")
        .into_iter()
        .map(|reference| reference.as_str().expect("a string"))
        .collect();
    for reference in &used {
        description.at(reference.trim_start_matches('#'));
    }
    for kind in ["schemas", "parameters", "headers", "responses"] {
        for name in description
            .at(&format!("/components/{kind}"))
            .as_object()
            .expect("an object")
            .keys()
        {
            let reference = format!("#/components/{kind}/{name}");
            // The response for unknown paths belongs to no operation.
            let is_used = used.contains(reference.as_str()) || name == "NotFound";
            assert!(is_used, "{reference} is never used");
        }
    }
}
