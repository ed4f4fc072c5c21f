//! Quests are checked and tried without a server.

use super::*;

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

const COIN: &str = r#""version":1,"title":"T","coin":{"name":"C","value":1},"per":"day""#;

fn write(directory: &TempDir, name: &str, content: &str) -> String {
    let path = directory.path().join(name);
    fs::write(&path, content).expect("a file");
    text(&path).to_owned()
}

#[test]
fn quests_are_told_in_words_or_refused_with_the_fault_of_each() {
    let directory = tempfile::tempdir().expect("a directory");
    let good = format!(r#"[{{"id":"q",{COIN},"rule":{{"count":{{"of":{{}},"at_least":2}}}}}}]"#);
    let good = run(
        &["quests", "check", &write(&directory, "good.json", &good)],
        NOWHERE,
    );
    assert_eq!(good.code, Some(0), "{}", good.stderr);
    assert_eq!(
        good.stdout,
        "q, version 1: T\n  Each day: 2 activities.\n  Coin: C, worth 1.\n"
    );

    let bad = format!(r#"[{{"id":"q",{COIN}}},{{"id":"r",{COIN},"rule":{{}}}}]"#);
    let file = write(&directory, "bad.json", &bad);
    let bad = run(&["quests", "check", &file], NOWHERE);
    assert_eq!((bad.code, bad.stdout.as_str()), (Some(1), ""));
    assert_eq!(
        bad.stderr,
        format!(
            "podium: the quests {file} are not valid:\n  quest q: rule is missing\n  quest r: rule: a rule must have one \
             of all, ordered, count, distinct, points, streak\n"
        )
    );
}

#[test]
fn quests_are_tried_with_the_given_zone_and_points() {
    let directory = tempfile::tempdir().expect("a directory");
    let quests = format!(r#"[{{"id":"q",{COIN},"rule":{{"points":{{"of":{{}},"at_least":20}}}}}}]"#);
    let quests = write(&directory, "quests.json", &quests);
    // Of one day in Berlin and of two in UTC.
    let activities = "user_id,program_id,kind,occurred_at\n\
                      ann,p,task_completed,2026-03-01T23:30:00Z\n\
                      ann,p,task_completed,2026-03-02T00:30:00Z\n";
    let tried = |more: &[&str], activities: &str| {
        let activities = write(&directory, "activities.csv", activities);
        let args = ["quests", "try", &quests, "--activities", &activities, "--json"];
        run(&[&args, more].concat(), NOWHERE)
    };
    let check = |more: &[&str], expected: &str| {
        let tried = tried(more, activities);
        assert_eq!(
            (tried.code, tried.stdout.as_str()),
            (Some(0), expected),
            "{}",
            tried.stderr
        );
    };
    check(&[], "{\"q\":[]}\n");
    check(
        &["--time-zone", "Europe/Berlin"],
        "{\"q\":[[\"ann\",\"2026-03-02\"]]}\n",
    );
    let scoring = r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":20}}]"#;
    let scoring = write(&directory, "scoring.json", scoring);
    check(
        &["--scoring", &scoring],
        "{\"q\":[[\"ann\",\"2026-03-01\"],[\"ann\",\"2026-03-02\"]]}\n",
    );

    let unread = tried(
        &["--scoring", &scoring],
        &format!("{activities}ann,p,unknown,2026-03-02T00:30:00Z\n"),
    );
    assert_eq!(unread.code, Some(1));
    assert_eq!(
        unread.stdout,
        "{\"q\":[[\"ann\",\"2026-03-01\"],[\"ann\",\"2026-03-02\"]]}\n"
    );
    assert!(
        unread.stderr.contains("line 4: unknown_kind (kind)"),
        "{}",
        unread.stderr
    );

    // What it says to do next is not an import.
    let packed = tried(&[], "BZh91AY");
    assert_eq!((packed.code, packed.stdout.as_str()), (Some(1), ""));
    assert!(
        packed
            .stderr
            .contains("| podium quests try QUESTS --activities -\n"),
        "{}",
        packed.stderr
    );
}
