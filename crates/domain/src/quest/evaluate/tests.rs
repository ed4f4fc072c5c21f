use super::super::fixtures::{activities, calendar, evaluated, policy, quest, received, shown};
use super::*;
use crate::activity::Amount;
use crate::correction::{Adjustment, Reason};

/// Evaluates activities that are received in the order in which they are written.
#[track_caller]
fn check_in(zone: &str, fields: &str, written: &str, expected: &str) {
    let facts = received(activities(written).into_iter().map(Fact::Activity));
    assert_eq!(
        shown(&evaluated(&quest(fields), zone, &facts)),
        expected,
        "{zone} {fields} {written}"
    );
}

#[track_caller]
fn check(fields: &str, written: &str, expected: &str) {
    check_in("UTC", fields, written, expected);
}

const TWO: &str = r#""rule":{"count":{"of":{},"at_least":2}}"#;

#[test]
fn each_form_is_met_by_the_earliest_activities_that_suffice() {
    let days = "a 2026-03-01T10:00:00Z; b 2026-03-02T10:00:00Z other; c 2026-03-03T10:00:00Z k q; \
                d 2026-03-04T10:00:00Z other q; e 2026-03-06T10:00:00Z";
    for (rule, expected) in [
        (r#"{"count":{"of":{},"at_least":3}}"#, "by c: a b c"),
        (r#"{"count":{"of":{"kind":"other"},"at_least":2}}"#, "by d: b d"),
        (r#"{"count":{"of":{},"at_least":6}}"#, ""),
        (r#"{"all":[{"program_id":"q"},{"kind":"k"}]}"#, "by c: a c"),
        // One activity meets both.
        (
            r#"{"all":[{"program_id":"q"},{"kind":"other"},{"kind":"other"}]}"#,
            "by c: b c",
        ),
        (r#"{"ordered":[{"kind":"other"},{"kind":"k"}]}"#, "by c: b c"),
        (r#"{"ordered":[{},{},{}]}"#, "by c: a b c"),
        (
            r#"{"ordered":[{"kind":"other"},{"kind":"other"},{"kind":"other"}]}"#,
            "",
        ),
        (
            r#"{"distinct":{"of":{},"field":"program_id","at_least":2}}"#,
            "by c: a c",
        ),
        (
            r#"{"distinct":{"of":{"program_id":"q"},"field":"kind","at_least":2}}"#,
            "by d: c d",
        ),
        (
            r#"{"distinct":{"of":{},"field":"day","at_least":5}}"#,
            "by e: a b c d e",
        ),
        (r#"{"points":{"of":{},"at_least":16}}"#, "by c: a b c"),
        (r#"{"points":{"of":{},"at_least":41}}"#, ""),
        (
            r#"{"streak":{"of":{},"unit":"day","at_least":4}}"#,
            "by d: a b c d",
        ),
        (r#"{"streak":{"of":{},"unit":"day","at_least":5}}"#, ""),
        (r#"{"streak":{"of":{},"unit":"week","at_least":2}}"#, "by b: a b"),
    ] {
        check(&format!(r#""per":"once","rule":{rule}"#), days, expected);
    }
}

#[test]
fn the_first_to_the_last_activity_of_the_evidence_are_within_the_time() {
    // Exactly 36 hours, and a nanosecond more.
    let fields = format!(r#""per":"once","within":"36h",{TWO}"#);
    check(
        &fields,
        "a 2026-03-01T00:00:00Z; b 2026-03-02T12:00:00Z",
        "by b: a b",
    );
    check(
        &fields,
        "a 2026-03-01T00:00:00Z; b 2026-03-02T12:00:00.000000001Z",
        "",
    );
    // An earlier window does not suffice, a later one does.
    let apart = "a 2026-03-01T00:00:00Z; b 2026-03-05T00:00:00Z other q; c 2026-03-05T01:00:00Z; d 2026-03-05T02:00:00Z other q";
    for (rule, expected) in [
        (r#"{"count":{"of":{},"at_least":3}}"#, "by d: b c d"),
        (r#"{"all":[{"kind":"k"},{"kind":"other"}]}"#, "by c: b c"),
        (r#"{"ordered":[{"kind":"k"},{"kind":"other"}]}"#, "by d: c d"),
        (
            r#"{"distinct":{"of":{},"field":"program_id","at_least":2}}"#,
            "by c: b c",
        ),
        (r#"{"points":{"of":{},"at_least":20}}"#, "by d: b c d"),
    ] {
        check(
            &format!(r#""per":"once","within":"1d","rule":{rule}"#),
            apart,
            expected,
        );
    }
    // The step that began last fits, though an earlier one does not.
    let steps =
        r#""per":"once","within":"2h","rule":{"ordered":[{"kind":"k"},{"kind":"other"},{"kind":"free"}]}"#;
    check(
        steps,
        "a 2026-03-01T00:00:00Z; b 2026-03-01T01:00:00Z; c 2026-03-01T01:30:00Z other; d 2026-03-01T03:00:00Z free",
        "by d: b c d",
    );
}

#[test]
fn a_coin_is_found_by_the_first_activity_in_order_of_receipt_that_meets_the_rule() {
    let rule = format!(r#""per":"once",{TWO}"#);
    // Received last, occurred first: known only after the coin was found.
    let late = "b 2026-03-02T00:00:00Z; c 2026-03-03T00:00:00Z; a 2026-03-01T00:00:00Z";
    check(&rule, late, "by c: b c");
    // With the missing step late.
    let steps = r#""per":"once","rule":{"ordered":[{"kind":"k"},{"kind":"other"}]}"#;
    check(
        steps,
        "b 2026-03-02T00:00:00Z other; a 2026-03-01T00:00:00Z",
        "by a: a b",
    );
    // Received in the same moment: by id.
    let at = Timestamp::UNIX_EPOCH;
    let same: Vec<_> = activities("z 2026-03-01T00:00:00Z; y 2026-03-03T00:00:00Z; x 2026-03-02T00:00:00Z")
        .into_iter()
        .map(|activity| (Fact::Activity(activity), at))
        .collect();
    assert_eq!(shown(&evaluated(&quest(&rule), "UTC", &same)), "by y: x y");
}

#[test]
fn only_activities_from_the_start_to_before_the_end_are_looked_at() {
    let fields = format!(
        r#""per":"day","starts_at":"2026-03-01T12:00:00Z","ends_at":"2026-03-02T12:00:00+01:00",{TWO}"#
    );
    check(
        &fields,
        "a 2026-03-01T11:59:59.999Z; b 2026-03-01T12:00:00Z; c 2026-03-01T13:00:00Z; \
         d 2026-03-02T10:00:00Z; e 2026-03-02T10:59:59.999Z; f 2026-03-02T11:00:00Z",
        "2026-03-01 by c: b c; 2026-03-02 by e: d e",
    );
    check(&fields, "d 2026-03-02T10:00:00Z; f 2026-03-02T11:00:00Z", "");
    // Of the hour that Berlin has twice, the end is in the first or in the second.
    let until = |end: &str| format!(r#""per":"once","ends_at":"2026-10-25T02:30:00{end}",{TWO}"#);
    let twice = "a 2026-10-25T00:15:00Z; b 2026-10-25T01:15:00Z";
    check_in("Europe/Berlin", &until("+02:00"), twice, "");
    check_in("Europe/Berlin", &until("+01:00"), twice, "by b: a b");
}

#[test]
fn days_weeks_and_months_are_those_of_the_time_zone() {
    let per = |period: &str| format!(r#""per":"{period}",{TWO}"#);
    for (zone, written, expected) in [
        // 25 hours, from 22:00 to 23:00 UTC of the next day.
        (
            "Europe/Berlin",
            "a 2026-10-24T22:00:00Z; b 2026-10-25T22:59:59Z; c 2026-10-25T23:00:00Z",
            "2026-10-25 by b: a b",
        ),
        (
            "Europe/Berlin",
            "a 2026-10-24T21:59:59Z; b 2026-10-24T22:00:00Z",
            "",
        ),
        // 23 hours, from 5:00 to 4:00 UTC of the next day.
        (
            "America/New_York",
            "a 2026-03-08T05:00:00Z; b 2026-03-09T03:59:59Z; c 2026-03-09T04:00:00Z",
            "2026-03-08 by b: a b",
        ),
        // A day without midnight, and one with two.
        (
            "America/Havana",
            "a 2026-03-08T04:59:59Z; b 2026-03-08T05:00:00Z; c 2026-03-09T03:59:59Z",
            "2026-03-08 by c: b c",
        ),
        (
            "America/Havana",
            "a 2026-11-01T04:00:00Z; b 2026-11-01T05:00:00Z; c 2026-11-01T03:59:59Z",
            "2026-11-01 by b: a b",
        ),
        (
            "Asia/Dubai",
            "a 2026-03-01T19:59:59Z; b 2026-03-01T20:00:00Z; c 2026-03-02T19:59:59Z",
            "2026-03-02 by c: b c",
        ),
        // Half an hour longer than others, from 13:00 to 13:30 UTC.
        (
            "Australia/Lord_Howe",
            "a 2026-04-04T13:00:00Z; b 2026-04-05T13:29:59Z; c 2026-04-05T13:30:00Z",
            "2026-04-05 by b: a b",
        ),
    ] {
        check_in(zone, &per("day"), written, expected);
    }
    check(
        &per("week"),
        "a 2026-12-28T00:00:00Z; b 2027-01-03T23:59:59Z; c 2027-01-04T00:00:00Z; d 2027-01-10T23:59:59Z",
        "2026-W53 by b: a b; 2027-W01 by d: c d",
    );
    check_in(
        "Pacific/Kiritimati",
        &per("month"),
        "a 2026-01-31T10:00:00Z; b 2026-02-28T09:59:59Z; c 2026-02-28T10:00:00Z",
        "2026-02 by b: a b",
    );
    check(
        &per("program"),
        "a 2026-03-01T00:00:00Z k p; b 2026-03-01T00:00:00Z k q; c 2027-03-01T00:00:00Z k q; d 2027-03-01T00:00:00Z k r",
        "q by c: b c",
    );
    // A day that is longer than the time.
    let within = |hours: &str| format!(r#""per":"day","within":"{hours}",{TWO}"#);
    let long = "a 2026-10-24T22:00:00Z; b 2026-10-25T22:30:00Z";
    check_in("Europe/Berlin", &within("1d"), long, "");
    check_in("Europe/Berlin", &within("25h"), long, "2026-10-25 by b: a b");
}

#[test]
fn a_streak_goes_over_the_end_of_daylight_saving_and_over_the_year() {
    let streak = |unit: &str, count: u32| {
        format!(r#""per":"once","rule":{{"streak":{{"of":{{}},"unit":"{unit}","at_least":{count}}}}}"#)
    };
    // 23:30 before and after the change in Berlin, so more than two times 24 hours.
    let autumn = "a 2026-10-24T21:30:00Z; b 2026-10-25T22:30:00Z; c 2026-10-26T22:30:00Z";
    check_in("Europe/Berlin", &streak("day", 3), autumn, "by c: a b c");
    check_in("UTC", &streak("day", 3), autumn, "by c: a b c");
    // In Berlin, both are of the 25th.
    let gap = "a 2026-10-24T22:30:00Z; b 2026-10-25T22:30:00Z; c 2026-10-26T23:30:00Z";
    check_in("Europe/Berlin", &streak("day", 2), gap, "");
    check_in("UTC", &streak("day", 3), gap, "by c: a b c");
    let year = "a 2026-12-30T12:00:00Z; b 2026-12-31T12:00:00Z; c 2027-01-01T12:00:00Z; d 2027-01-01T13:00:00Z; \
                e 2027-01-02T12:00:00Z";
    check(&streak("day", 4), year, "by e: a b c e");
    // Weeks 52, 53 and 1.
    let weeks = "a 2026-12-27T23:00:00Z; b 2027-01-03T23:00:00Z; c 2027-01-04T00:00:00Z";
    check(&streak("week", 3), weeks, "by c: a b c");
    check(
        &streak("week", 2),
        "a 2026-12-27T23:00:00Z; c 2027-01-04T00:00:00Z",
        "",
    );
    // The first run that is long enough, and not the longest one.
    let runs = "a 2026-03-01T00:00:00Z; b 2026-03-02T00:00:00Z; d 2026-03-04T00:00:00Z; e 2026-03-05T00:00:00Z; \
                f 2026-03-06T00:00:00Z";
    check(&streak("day", 2), runs, "by b: a b");
    check(&streak("day", 3), runs, "by f: d e f");
}

#[test]
fn points_are_the_activities_own() {
    let points = |least: u32| format!(r#""per":"once","rule":{{"points":{{"of":{{}},"at_least":{least}}}}}"#);
    // Above the cap of the day, and without what is worth nothing or not known.
    let written = "a 2026-03-01T00:00:00Z free; b 2026-03-01T01:00:00Z rare; c 2026-03-01T02:00:00Z unknown; \
                   d 2026-03-01T03:00:00Z rare";
    check(&points(100), written, "by d: b d");
    check(&points(101), written, "");
    let mut walk = activities("a 2026-03-01T00:00:00Z steps").remove(0);
    walk.amount = Some(Amount::Quantity(5_999));
    let facts = received([Fact::Activity(walk)]);
    assert_eq!(shown(&evaluated(&quest(&points(10)), "UTC", &facts)), "by a: a");
    assert_eq!(shown(&evaluated(&quest(&points(11)), "UTC", &facts)), "");
}

#[test]
fn metadata_is_compared_as_json() {
    let check = |wanted: &str, metadata: &str, is_met: bool| {
        let fields =
            format!(r#""per":"once","rule":{{"count":{{"of":{{"metadata":{wanted}}},"at_least":1}}}}"#);
        let written = format!("a 2026-03-01T00:00:00Z k p {metadata}");
        check(&fields, &written, if is_met { "by a: a" } else { "" });
    };
    check(r#"{"level":2}"#, r#"{"level":2,"more":true}"#, true);
    check(r#"{"level":2}"#, r#"{"level":2.0}"#, true);
    check(r#"{"level":[1e2]}"#, r#"{"level":[100]}"#, true);
    check(r#"{"level":2}"#, r#"{"level":"2"}"#, false);
    check(r#"{"level":1}"#, r#"{"level":true}"#, false);
    check(r#"{"id":9007199254740993}"#, r#"{"id":9007199254740992}"#, false);
    check(r#"{"at":{"x":1,"y":[2,3]}}"#, r#"{"at":{"y":[2,3],"x":1}}"#, true);
    check(r#"{"at":{"x":1}}"#, r#"{"at":{"x":1,"y":2}}"#, false);
    check(r#"{"note":null}"#, r#"{"note":null}"#, true);
    check(r#"{"note":null}"#, "{}", false);
    check(r#"{"a":1,"b":2}"#, r#"{"a":1}"#, false);
    check("{}", "", true);
    check(r#"{"a":1}"#, "", false);
}

fn voiding(activity: &Activity) -> Fact {
    Fact::Void(Void {
        correction: "c-1".parse().unwrap(),
        reason: Reason::stored("entered twice"),
        activity: activity.clone(),
        activity_received_at: Timestamp::UNIX_EPOCH,
    })
}

#[test]
fn a_void_takes_an_activity_out_and_a_later_one_earns_the_same_coin() {
    let quest = quest(&format!(r#""per":"once",{TWO}"#));
    let all = activities("a 2026-03-01T00:00:00Z; b 2026-03-02T00:00:00Z; c 2026-03-03T00:00:00Z");
    let facts = |written: &[&Activity], void: Option<&Activity>| {
        let activities = written.iter().map(|activity| Fact::Activity((*activity).clone()));
        received(void.map(voiding).into_iter().chain(activities))
    };
    let before = evaluated(&quest, "UTC", &facts(&[&all[0], &all[1]], None));
    assert_eq!(shown(&before), "by b: a b");
    let voided = evaluated(&quest, "UTC", &facts(&[&all[0], &all[1]], Some(&all[0])));
    assert_eq!(shown(&voided), "");
    let again = evaluated(&quest, "UTC", &facts(&[&all[0], &all[1], &all[2]], Some(&all[0])));
    assert_eq!(shown(&again), "by c: b c");
    assert_eq!(again[0].id, before[0].id);
    // A void of what cannot matter changes nothing.
    let other = evaluated(&quest, "UTC", &facts(&[&all[0], &all[1]], Some(&all[2])));
    assert_eq!(shown(&other), "by b: a b");
}

#[test]
fn an_adjustment_gives_no_points_of_an_activity() {
    let quest = quest(r#""per":"once","rule":{"points":{"of":{},"at_least":11}}"#);
    let adjustment = Fact::Adjustment(Adjustment {
        correction: "c-1".parse().unwrap(),
        reason: Reason::stored("agreed"),
        user: "ann".parse().unwrap(),
        program: "p".parse().unwrap(),
        points: 100,
        occurred_at: Timestamp::UNIX_EPOCH,
    });
    let activity = Fact::Activity(activities("a 2026-03-01T00:00:00Z").remove(0));
    assert_eq!(evaluated(&quest, "UTC", &received([adjustment, activity])), []);
}

#[track_caller]
fn check_closest(fields: &str, written: &str, expected: &str) {
    let facts = received(activities(written).into_iter().map(Fact::Activity));
    let facts = facts.iter().map(|(fact, received_at)| (fact, *received_at));
    let quest = quest(fields);
    let closest = closest(&quest, &Activities::new(facts, &calendar("UTC"), &policy()));
    let words = closest.map_or_else(String::new, |progress| {
        let evidence: Vec<_> = progress.evidence.iter().map(ToString::to_string).collect();
        format!("{} [{}]", progress.in_words(&quest), evidence.join(" "))
    });
    assert_eq!(words, expected, "{fields} {written}");
}

#[test]
fn what_is_lacking_is_told_of_the_period_in_which_the_most_is_done() {
    let days = "a 2026-03-01T10:00:00Z; b 2026-03-02T10:00:00Z; c 2026-03-03T10:00:00Z; d 2026-03-04T10:00:00Z; \
                f 2026-03-06T10:00:00Z other q";
    for (fields, expected) in [
        (
            r#""per":"once","rule":{"streak":{"of":{},"unit":"day","at_least":5}}"#,
            "4 of 5 days in a row: 2026-03-01 … 2026-03-04 [a b c d]",
        ),
        (
            r#""per":"once","rule":{"streak":{"of":{},"unit":"week","at_least":3}}"#,
            "2 of 3 weeks in a row: 2026-W09 … 2026-W10 [a b]",
        ),
        (
            r#""per":"week","rule":{"count":{"of":{"kind":"k"},"at_least":5}}"#,
            "2026-W10: 3 of 5 activities: 2026-03-02 … 2026-03-04 [b c d]",
        ),
        (
            r#""per":"once","within":"24h","rule":{"points":{"of":{},"at_least":25}}"#,
            "20 of 25 points: 2026-03-01 … 2026-03-02 [a b]",
        ),
        (
            r#""per":"once","rule":{"distinct":{"of":{},"field":"program_id","at_least":3}}"#,
            "2 of 3 programs: 2026-03-01 … 2026-03-06 [a f]",
        ),
        (
            r#""per":"once","rule":{"all":[{"kind":"k"},{"kind":"free"},{"kind":"other"},{"program_id":"r"}]}"#,
            "2 of 4 conditions: 2026-03-01 … 2026-03-06; lacking an activity of the kind free and an activity in the program r [a f]",
        ),
        (
            r#""per":"once","rule":{"ordered":[{"kind":"other"},{"kind":"k"},{"kind":"k"}]}"#,
            "1 of 3 steps: 2026-03-06; lacking an activity of the kind k [f]",
        ),
        // Within the time, only the last two come together.
        (
            r#""per":"once","within":"2d","rule":{"ordered":[{"kind":"k"},{"kind":"other"},{"kind":"k"}]}"#,
            "2 of 3 steps: 2026-03-04 … 2026-03-06; lacking an activity of the kind k [d f]",
        ),
        // Nothing is lacking, and nothing matches.
        (r#""per":"once","rule":{"count":{"of":{},"at_least":5}}"#, ""),
        (
            r#""per":"once","rule":{"count":{"of":{"kind":"free"},"at_least":1}}"#,
            "",
        ),
    ] {
        check_closest(fields, days, expected);
    }
}
