use super::*;

/// A valid quest, in which one field is another or not there.
fn quest(field: &str, value: Option<&str>) -> String {
    let mut fields = vec![
        ("id", r#""q""#),
        ("version", "1"),
        ("title", r#""Q""#),
        ("coin", r#"{"name":"C","value":1}"#),
        ("per", r#""once""#),
        ("rule", r#"{"count":{"of":{},"at_least":1}}"#),
    ];
    fields.retain(|(name, _)| *name != field);
    fields.extend(value.map(|value| (field, value)));
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!(r#""{name}":{value}"#))
        .collect();
    format!("{{{}}}", fields.join(","))
}

#[track_caller]
fn check(json: &str, expected: &[&str]) {
    let faults = match parse(json.as_bytes()) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(faults, expected, "{json}");
}

#[track_caller]
fn check_field(field: &str, value: &str, expected: &str) {
    check(&format!("[{}]", quest(field, Some(value))), &[expected]);
}

#[track_caller]
fn check_rule(rule: &str, expected: &str) {
    check_field("rule", rule, &format!("quest q: {expected}"));
}

#[test]
fn quests_are_read_whatever_they_leave_out() {
    let full = r#"{"id":"auth0|x/1","version":1000000,"title":" Ω ","coin":{"name":"C","value":0},
        "starts_at":"2026-01-01T00:00:00+01:00","ends_at":null,"per":"program","within":"36h","supply":1000000,
        "rule":{"ordered":[{"kind":"k","program_id":"p/1","metadata":{"a":[1,{"b":null}]}},{}]}}"#;
    let quests = parse(format!("\u{feff}[{full},{}]", quest("", None)).as_bytes()).unwrap();
    assert_eq!(quests.len(), 2);
    assert_eq!(quests[0].title.as_str(), "Ω");
    assert_eq!(parse(b"[]").unwrap(), []);
}

#[test]
fn quests_are_equal_if_they_say_the_same() {
    let read =
        |field: &str, value: &str| parse(format!("[{}]", quest(field, Some(value))).as_bytes()).unwrap();
    let within = |value: &str| read("within", value);
    assert_eq!(within(r#""48h""#), within(r#""2d""#));
    assert_ne!(within(r#""48h""#), within(r#""47h""#));
    assert_eq!(within("null"), read("supply", "null"));
    let metadata = |json: &str| {
        read(
            "rule",
            &format!(r#"{{"count":{{"of":{{"metadata":{json}}},"at_least":1}}}}"#),
        )
    };
    assert_eq!(metadata(r#"{"a":2,"b":1}"#), metadata(r#"{"b":1.0,"a":2e0}"#));
    assert_ne!(metadata(r#"{"a":2}"#), metadata(r#"{"a":"2"}"#));
}

#[test]
fn what_is_wrong_is_told_with_its_quest_field_and_limit() {
    check_field(
        "id",
        "7",
        r#"quest number 1: id must be a string, not a number; write "7""#,
    );
    check_field(
        "id",
        r#""a b""#,
        r#"quest number 1: id has the character ' ' at byte 1; use only ASCII letters, digits and punctuation except " \ < >"#,
    );
    for (field, value, expected) in [
        (
            "version",
            "0",
            "version is 0; it must be a whole number from 1 to 1000000",
        ),
        (
            "version",
            "1.5",
            "version is 1.5; it must be a whole number from 1 to 1000000",
        ),
        (
            "title",
            r#"" ""#,
            "title is empty; it must have 1 to 80 characters",
        ),
        ("coin", r#"{"value":1}"#, "coin.name is missing"),
        ("coin", "5", "coin: a coin must be a JSON object, not a number"),
        (
            "coin",
            r#"{"name":"C","value":-1}"#,
            "coin.value is -1; it must be a whole number from 0 to 1000000",
        ),
        (
            "coin",
            r#"{"name":"C","values":1}"#,
            "coin.values is not a field of a coin; its name is value",
        ),
        (
            "starts_at",
            r#""2026-01-01""#,
            "starts_at must be an RFC 3339 time with an offset, such as 2026-11-21T09:30:00Z; a T must follow the day",
        ),
        (
            "per",
            r#""year""#,
            r#"per is "year"; use once, day, week, month or program"#,
        ),
        (
            "within",
            r#""7""#,
            r#"within is "7"; use hours or days, such as "36h" or "7d", from 1h to 3660d"#,
        ),
        (
            "within",
            r#""+7d""#,
            r#"within is "+7d"; use hours or days, such as "36h" or "7d", from 1h to 3660d"#,
        ),
        (
            "within",
            r#""0h""#,
            r#"within is "0h"; use hours or days, such as "36h" or "7d", from 1h to 3660d"#,
        ),
        (
            "within",
            r#""3661d""#,
            r#"within is "3661d"; use hours or days, such as "36h" or "7d", from 1h to 3660d"#,
        ),
        (
            "supply",
            "0",
            "supply is 0; it must be a whole number from 1 to 1000000",
        ),
        (
            "suply",
            "1",
            "suply is not a field of a quest; its name is supply",
        ),
        (
            "endsAt",
            "1",
            "endsAt is not a field of a quest; its name is ends_at",
        ),
        (
            "reward",
            "1",
            "reward is not a field of a quest; its fields are id, version, title, coin, starts_at, ends_at, per, rule, within, supply",
        ),
    ] {
        check_field(field, value, &format!("quest q: {expected}"));
    }
}

#[test]
fn what_is_missing_or_contradicts_itself_is_told() {
    for field in ["version", "title", "coin", "per", "rule"] {
        let json = format!("[{}]", quest(field, None));
        check(&json, &[&format!("quest q: {field} is missing")]);
    }
    let times = quest(
        "starts_at",
        Some(r#""2026-01-01T00:00:00Z","ends_at":"2026-01-01T01:00:00+01:00""#),
    );
    check(
        &format!("[{times}]"),
        &[
            "quest q: ends_at is 2026-01-01T00:00:00Z; it must be after starts_at, which is 2026-01-01T00:00:00Z",
        ],
    );
}

#[test]
fn rules_have_one_form_with_its_fields() {
    check_rule("[]", "rule: a rule must be a JSON object, not an array");
    check_rule(
        "{}",
        "rule: a rule must have one of all, ordered, count, distinct, points, streak",
    );
    check_rule(
        r#"{"counts":{}}"#,
        "rule.counts is not a field of a rule; its name is count",
    );
    check_rule(
        r#"{"all":[{}],"count":{"of":{},"at_least":1}}"#,
        "rule.count cannot be sent with all: a rule has one form",
    );
    check_rule(
        r#"{"all":{}}"#,
        "rule.all must be an array of matchers, not an object",
    );
    check_rule(r#"{"all":[]}"#, "rule.all has 0 matchers; it must have 1 to 20");
    let many = ["{}"; 21].join(",");
    check_rule(
        &format!(r#"{{"ordered":[{many}]}}"#),
        "rule.ordered has 21 matchers; it must have 1 to 20",
    );
    check_rule(
        r#"{"all":[{},7]}"#,
        "rule.all[1]: a matcher must be a JSON object, not a number",
    );
    check_rule(
        r#"{"ordered":[{},{"kinds":"k"}]}"#,
        "rule.ordered[1].kinds is not a field of a matcher; its name is kind",
    );
    check_rule(
        r#"{"count":{"of":{"kind":"K"},"at_least":1}}"#,
        "rule.count.of.kind has the character 'K' at byte 0; use only a-z 0-9 _ -",
    );
    check_rule(
        r#"{"count":{"of":{"metadata":{"a":1,"a":2}},"at_least":1}}"#,
        "rule.count.of.metadata.a appears more than once",
    );
    check_rule(
        &format!(
            r#"{{"count":{{"of":{{"metadata":{{"a":"{}"}}}},"at_least":1}}}}"#,
            "x".repeat(1024)
        ),
        "rule.count.of.metadata is 1032 bytes of JSON; at most 1024 are allowed",
    );
    check_rule(r#"{"count":{"at_least":1}}"#, "rule.count.of is missing");
    check_rule(r#"{"count":{"of":{}}}"#, "rule.count.at_least is missing");
    for (form, fields) in [
        ("count", r#""of":{}"#),
        ("distinct", r#""of":{},"field":"day""#),
        ("streak", r#""of":{},"unit":"day""#),
    ] {
        check_rule(
            &format!(r#"{{"{form}":{{{fields},"at_least":10001}}}}"#),
            &format!("rule.{form}.at_least is 10001; it must be a whole number from 1 to 10000"),
        );
    }
    check_rule(
        r#"{"points":{"of":{},"at_least":1000000001}}"#,
        "rule.points.at_least is 1000000001; it must be a whole number from 1 to 1000000000",
    );
    check_rule(
        r#"{"distinct":{"of":{},"field":"user_id","at_least":1}}"#,
        r#"rule.distinct.field is "user_id"; use program_id, kind or day"#,
    );
    check_rule(
        r#"{"streak":{"of":{},"unit":"month","at_least":1}}"#,
        r#"rule.streak.unit is "month"; use day or week"#,
    );
    let streak = quest("within", Some(r#""7d""#))
        .replace(r#""count":{"of":{},"#, r#""streak":{"of":{},"unit":"day","#);
    check(
        &format!("[{streak}]"),
        &["quest q: within cannot be sent with a streak, which says itself how long it lasts; leave it out"],
    );
}

#[test]
fn faults_are_told_of_every_quest_and_of_the_list() {
    let bad = quest("version", Some("0"));
    let nameless = quest("id", None);
    check(
        &format!(
            "[{bad},{nameless},7,{},{}]",
            quest("id", Some(r#""r""#)),
            quest("id", Some(r#""r""#))
        ),
        &[
            "quest q: version is 0; it must be a whole number from 1 to 1000000",
            "quest number 2: id is missing",
            "quest number 3: a quest must be a JSON object, not a number",
            "quest r: id of number 5 is already that of number 4; leave one of them",
        ],
    );
    check(
        &quest("", None),
        &["the quests: they must be a JSON array of objects, not an object"],
    );
    check(
        "",
        &["the quests: the text is not valid JSON: EOF while parsing a value at line 1 column 0"],
    );
    check(
        &format!("[{}]", vec!["7"; 201].join(",")),
        &["the quests: there are 201; at most 200 are allowed"],
    );
    let full: Vec<_> = (0..200)
        .map(|number| quest("id", Some(&format!(r#""{number}""#))))
        .collect();
    check(&format!("[{}]", full.join(",")), &[]);
}
