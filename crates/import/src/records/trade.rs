//! Exports of other systems as they come, imported with the options that the help names.

use super::{Start, tests::sent};

/// Checks the beginning of each line: first those of items, then those of rejections.
fn check(file: &str, args: &[&str], expected: &[&str]) {
    let path = format!("{}/tests/trade/{file}", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(path).expect("a fixture");
    let (found, _) = sent(&bytes, args, Start::default());
    assert_eq!(found.lines().count(), expected.len(), "{file}:\n{found}");
    for (line, expected) in found.lines().zip(expected) {
        assert!(line.starts_with(expected), "{file}:\n{line}\n{expected}");
    }
}

#[test]
fn a_scoreboard_of_ctfd() {
    const OPTIONS: &[&str] = &[
        "--only",
        "type=correct",
        "--map",
        "activity_id=id",
        "--map",
        "occurred_at=date",
        "--time-zone",
        "UTC",
        "--set",
        "program_id=ctf",
        "--set",
        "kind=task_completed",
        "--map",
        "metadata.challenge=challenge_id",
    ];
    check(
        "ctfd-submissions.json",
        &[&["--records", "results"], OPTIONS].concat(),
        &[
            r#"record 1: {"activity_id":"1","user_id":"2","program_id":"ctf","kind":"task_completed","occurred_at":"2026-03-14T10:04:05.120001Z","metadata":{"challenge":1}}"#,
            r#"record 3: {"activity_id":"3","user_id":"3","program_id":"ctf","kind":"task_completed","occurred_at":"2026-03-14T10:21:09.5Z","metadata":{"challenge":2}}"#,
            r#"record 4: {"activity_id":"4","user_id":"5","program_id":"ctf","kind":"task_completed","occurred_at":"2026-03-14T10:30:00+00:00","#,
            r#"record 7: {"activity_id":"7","user_id":"2","program_id":"ctf","#,
            r#"record 5: invalid_time (occurred_at): "14/03/2026 11:00" is not an RFC 3339 time with an offset, such as 2026-11-25T10:00:00Z; it may be written as --time-format '%d/%m/%Y %H:%M' and --time-zone"#,
            r#"record 6: missing_field (user_id): there is no value in "user_id"; the record has "id", "challenge_id","#,
        ],
    );
    check(
        "ctfd-submissions.csv",
        OPTIONS,
        &[
            r#"line 2: {"activity_id":"1","user_id":"2","program_id":"ctf","kind":"task_completed","occurred_at":"2026-03-14T10:04:05.120001Z","metadata":{"challenge":"1"}}"#,
            r#"line 4: {"activity_id":"3","user_id":"3","program_id":"ctf","#,
            r#"line 5: {"activity_id":"4","user_id":"5","program_id":"ctf","kind":"task_completed","occurred_at":"2026-03-14T10:30:00Z","#,
            r#"line 6: missing_field (user_id): there is no value in "user_id"; the record has "id", "challenge_id","#,
        ],
    );
}

#[test]
fn statements_of_xapi() {
    check(
        "xapi-statements.json",
        &[
            "--records",
            "statements",
            "--only",
            "verb.id=http://adlnet.gov/expapi/verbs/completed",
            "--map",
            "activity_id=id",
            "--map",
            "user_id=actor.account.name",
            "--map",
            "occurred_at=timestamp",
            "--set",
            "program_id=academy",
            "--set",
            "kind=learning_milestone",
        ],
        &[
            r#"record 1: {"activity_id":"6690e6c9-3ef0-4ed3-8b37-7f3964730b01","user_id":"ann.lee","program_id":"academy","kind":"learning_milestone","occurred_at":"2026-05-04T08:15:30.123Z"}"#,
            r#"record 3: {"activity_id":"6690e6c9-3ef0-4ed3-8b37-7f3964730b03","user_id":"bob","program_id":"academy","kind":"learning_milestone","occurred_at":"2026-05-04T10:00:00+02:00"}"#,
            r#"record 4: missing_field (user_id): there is no value in "actor.account.name"; the record has "id", "actor", "verb", "object" and "timestamp""#,
        ],
    );
}

#[test]
fn a_log_of_moodle() {
    check(
        "moodle-log.csv",
        &[
            "--map",
            "user_id=User full name",
            "--slug",
            "user_id",
            "--set",
            "program_id=course-7",
            "--only",
            "Event name=Course activity completion updated",
            "--set",
            "kind=task_completed",
            "--map",
            "occurred_at=Time",
            "--time-format",
            "%d/%m/%y, %H:%M:%S",
            "--time-zone",
            "Europe/Berlin",
        ],
        &[
            r#"line 2: {"activity_id":"content-91ac6afd82d5d597cec338e7374ace1b-1","user_id":"ann-lee","program_id":"course-7","kind":"task_completed","occurred_at":"2026-11-25T09:00:12Z"}"#,
            r#"line 6: {"activity_id":"content-70ea3c2fc3feafcef96e09884cd59851-1","user_id":"ch-u-bui-6270a5","program_id":"course-7","kind":"task_completed","occurred_at":"2026-11-07T20:45:00Z"}"#,
            r#"line 7: illegal_character (user_id): "-" has no letter or digit to make an id of"#,
            r#"line 8: invalid_time (occurred_at): "2026-11-06 08:01" is not written as "%d/%m/%y, %H:%M:%S": "#,
        ],
    );
}

#[test]
fn activities_of_strava() {
    check(
        "strava-activities.csv",
        &[
            "--set",
            "user_id=ann",
            "--set",
            "program_id=sport",
            "--set",
            "kind=task_completed",
            "--map",
            "activity_id=Activity ID",
            "--map",
            "metadata.type=Activity Type",
            "--map",
            "occurred_at=Activity Date",
            "--time-format",
            "%b %d, %Y, %I:%M:%S %p",
            "--time-zone",
            "UTC",
        ],
        &[
            r#"line 2: {"activity_id":"9001","user_id":"ann","program_id":"sport","kind":"task_completed","occurred_at":"2025-07-01T06:30:00Z","metadata":{"type":"Ride"}}"#,
            r#"line 3: {"activity_id":"9002","user_id":"ann","program_id":"sport","kind":"task_completed","occurred_at":"2025-07-02T17:12:44Z","metadata":{"type":"Run"}}"#,
            r#"line 5: {"activity_id":"9003","user_id":"ann","program_id":"sport","kind":"task_completed","occurred_at":"2025-07-03T12:00:00Z","metadata":{"type":"Swim"}}"#,
            r#"line 6: invalid_time (occurred_at): "3 juil. 2025 à 12:00:00" is not written as "%b %d, %Y, %I:%M:%S %p": "#,
        ],
    );
}
