//! Boards of periods that are over, with a fixed clock.

use domain::counters::Sum;
use domain::documents::{PeriodHeading, PeriodsDocument, TeamsDocument};
use domain::{BoardDocument, UserDocument};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use local::settings;
use serde_json::{Value, json};
use store::Rules;

use crate::cli::podium;
use crate::stack::TestStack;
use crate::tables::{Functions, render, render_ranks, rules, time};

struct Story {
    functions: Functions,
    next_id: u32,
}

impl Story {
    async fn begin(time_zone: &str) -> Self {
        Self::ruled(rules(time_zone)).await
    }

    async fn ruled(rules: Rules) -> Self {
        Self {
            functions: Functions::ruled(rules).await,
            next_id: 0,
        }
    }

    /// A task of a user in a program that occurs at one time, and is received and counted at another.
    async fn task(&mut self, user: &str, program: &str, occurred_at: &str, received_at: &str) {
        self.post(user, program, occurred_at, received_at).await;
        self.functions.count(time(received_at)).await;
    }

    async fn post(&mut self, user: &str, program: &str, occurred_at: &str, received_at: &str) {
        self.next_id += 1;
        let activity = json!({
            "activity_id": self.next_id.to_string(),
            "user_id": user,
            "program_id": program,
            "kind": "task_completed",
            "occurred_at": occurred_at,
        });
        self.functions.post(&activity, time(received_at)).await;
    }

    /// What came too late of the board and of users at `at`, such as `10/1`.
    async fn late(&self, path: &str, at: &str) -> String {
        let (_, body) = self.get(path, at).await;
        let late: Sum = serde_json::from_value(body["period"]["late"].clone()).expect("a sum");
        format!("{}/{}", late.points, late.activities)
    }

    /// A snapshot, after which its heartbeats are counted.
    async fn publish(&mut self, at: &str) {
        self.functions.publish(time(at)).await;
        self.functions.count(time(at)).await;
    }

    async fn get(&self, path: &str, at: &str) -> (u16, Value) {
        let response = self.functions.get(path, time(at)).await;
        let body = serde_json::from_slice(response.body()).expect("a JSON document");
        (response.status().as_u16(), body)
    }

    /// A board at `at`, such as `closed 1: 1.ann=20/2`: the state, the number of the edition and the rows; otherwise the
    /// code of the problem.
    async fn board(&self, path: &str, at: &str) -> String {
        match self.get(path, at).await {
            (200, body) => {
                let board: BoardDocument = serde_json::from_value(body).expect("a board document");
                let sums = format!("{}/{}", board.heading.participants, board.heading.points);
                let period = board.heading.period.as_ref().map_or("live".to_owned(), state);
                format!("{period}: {} of {sums}", render(&board))
            }
            (status, body) => format!("{status} {}", body["code"].as_str().expect("a code")),
        }
    }
}

fn state(period: &PeriodHeading) -> String {
    let state = serde_json::to_value(period.state).expect("JSON");
    format!("{} {}", state.as_str().expect("text"), period.edition)
}

const LAST_WEEK: &str = "/v1/boards/global?period=last-week";

#[test]
fn what_was_received_in_time_is_recorded_before_a_period_is_closed() {
    let longest = SignedDuration::try_from(settings::INGEST.timeout).expect("a short time");
    assert!(snapshot::closing::RECORDED_WITHIN > longest);
}

#[tokio::test]
async fn a_week_is_provisional_when_it_ends_and_closed_after_the_grace() {
    // In Berlin, week 53 of 2026 ends on the 3rd of January 2027 at 23:00 UTC.
    let mut story = Story::begin("Europe/Berlin").await;
    story
        .task("ann", "p", "2026-12-30T10:00:00Z", "2026-12-30T10:00:00Z")
        .await;
    story
        .task("bob", "q", "2027-01-03T22:59:59Z", "2027-01-03T22:59:59Z")
        .await;
    story.publish("2027-01-03T22:59:59Z").await;
    assert_eq!(
        story
            .board("/v1/boards/global?period=2026-W53", "2027-01-03T22:59:59Z")
            .await,
        "live: 1.ann=10/1 1.bob=10/1 of 2/20"
    );
    assert_eq!(
        story
            .board("/v1/boards/global?period=2027-W01", "2027-01-03T22:59:59Z")
            .await,
        "404 period_not_begun"
    );

    story.publish("2027-01-03T23:01:00Z").await;
    let provisional = "provisional 1: 1.ann=10/1 1.bob=10/1 of 2/20";
    for period in ["last-week", "2026-W53"] {
        let path = format!("/v1/boards/global?period={period}");
        assert_eq!(story.board(&path, "2027-01-03T23:01:00Z").await, provisional);
    }
    assert_eq!(
        story
            .board("/v1/boards/program%3Aq?period=last-week", "2027-01-03T23:01:00Z")
            .await,
        "provisional 1: 1.bob=10/1 of 1/10"
    );

    // The first is received in time, the second is not.
    story
        .task("bob", "p", "2027-01-03T10:00:00Z", "2027-01-04T22:59:59Z")
        .await;
    story.publish("2027-01-04T22:59:59Z").await;
    assert_eq!(
        story.board(LAST_WEEK, "2027-01-04T22:59:59Z").await,
        "provisional 1: 1.bob=20/2 2.ann=10/1 of 2/30"
    );
    story
        .task("ann", "p", "2027-01-03T10:00:00Z", "2027-01-04T23:00:00Z")
        .await;
    story.publish("2027-01-04T23:00:30Z").await;
    story.publish("2027-01-04T23:01:30Z").await;
    let closed = "closed 1: 1.bob=20/2 2.ann=10/1 of 2/30";
    assert_eq!(story.board(LAST_WEEK, "2027-01-04T23:01:30Z").await, closed);
    assert_eq!(
        story
            .board("/v1/boards/program:p?period=2026-W53", "2027-01-04T23:01:30Z")
            .await,
        "closed 1: 1.ann=10/1 1.bob=10/1 of 2/20"
    );

    assert_eq!(story.late(LAST_WEEK, "2027-01-04T23:01:30Z").await, "10/1");

    // A correction is received too late. It is told with the second snapshot, an hour after the boards were made.
    let void = json!({"correction_id": "c1", "user_id": "bob", "voids": "2", "reason": "Wrong"});
    story
        .functions
        .send("corrections", &void, time("2027-01-05T10:00:00Z"))
        .await;
    story.functions.count(time("2027-01-05T10:00:00Z")).await;
    story.publish("2027-01-05T10:00:00Z").await;
    assert_eq!(story.board(LAST_WEEK, "2027-01-05T10:00:00Z").await, closed);
    story.publish("2027-01-05T10:01:00Z").await;
    let told = "closed 2: 1.bob=20/2 2.ann=10/1 of 2/30";
    assert_eq!(story.board(LAST_WEEK, "2027-01-05T10:01:00Z").await, told);
    for (path, late) in [
        ("global?", "0/0"),
        ("global/users/ann?", "10/1"),
        ("global/users/bob?", "-10/-1"),
        ("program:p?", "10/1"),
        ("program:q?", "-10/-1"),
    ] {
        let path = format!("/v1/boards/{path}period=2026-W53");
        assert_eq!(story.late(&path, "2027-01-05T10:01:00Z").await, late, "{path}");
    }
    // Other days than those of which there are counters.
    story
        .task("bob", "p", "2027-01-20T10:00:00Z", "2027-01-20T10:00:00Z")
        .await;
    story.publish("2027-01-20T10:00:00Z").await;
    story.publish("2027-01-20T10:01:00Z").await;
    let named = "/v1/boards/global?window=week&period=2026-W53";
    assert_eq!(story.board(named, "2027-01-20T10:01:00Z").await, told);
    assert_eq!(
        story
            .board("/v1/boards/global?period=2026-W40", "2027-01-20T10:00:00Z")
            .await,
        "404 period_not_kept"
    );
    assert_eq!(
        story
            .board("/v1/boards/program:none?period=2026-W53", "2027-01-20T10:00:00Z")
            .await,
        "404 board_not_found"
    );
}

/// The rules of a deployment with two seasons, and a day between them.
fn two_seasons() -> Rules {
    let seasons = r#"[
        {"id":"autumn","title":"Autumn","first_day":"2026-09-01","last_day":"2026-11-30"},
        {"id":"winter","title":"Winter","first_day":"2026-12-02","last_day":"2027-02-28"}
    ]"#;
    let mut rules = rules("Europe/Berlin");
    rules.calendar = rules.calendar.with_seasons(seasons.parse().expect("seasons"));
    rules
}

#[tokio::test]
async fn no_season_is_the_last_one_before_the_first_is_over() {
    let mut story = Story::ruled(two_seasons()).await;
    story.publish("2026-11-30T12:00:00Z").await;
    assert_eq!(
        story
            .board("/v1/boards/global?period=last-season", "2026-11-30T12:00:00Z")
            .await,
        "404 period_not_kept"
    );
}

#[tokio::test]
async fn a_season_is_a_window_and_then_a_period() {
    let mut story = Story::ruled(two_seasons()).await;
    for (user, at) in [
        ("ann", "2026-08-31T21:59:59Z"),
        ("ann", "2026-08-31T22:00:00Z"),
        ("bob", "2026-11-30T12:00:00Z"),
        ("bob", "2026-11-30T22:59:59Z"),
        // Between the two.
        ("cy", "2026-11-30T23:00:00Z"),
    ] {
        story.task(user, "p", at, at).await;
    }
    story.publish("2026-12-01T10:00:00Z").await;
    let board = "/v1/boards/global?window=";
    let check = async |story: &Story, at: &str, expected: &[(&str, &str)]| {
        for (window, expected) in expected {
            assert_eq!(
                story.board(&format!("{board}{window}"), at).await,
                *expected,
                "{window} at {at}"
            );
        }
    };
    let autumn = "1.bob=20/2 2.ann=10/1 of 2/30";
    check(
        &story,
        "2026-12-01T10:00:00Z",
        &[
            ("season", "404 no_season"),
            ("autumn", &format!("provisional 1: {autumn}")),
            ("winter", "404 period_not_begun"),
            ("spring", "400 invalid_parameter"),
        ],
    )
    .await;
    let (_, list) = story.get("/v1/boards", "2026-12-01T10:00:00Z").await;
    assert_eq!(list["season"]["id"], "winter");

    // In time for the season, and counted after its end.
    story
        .task("ann", "q", "2026-11-30T12:00:00Z", "2026-12-01T22:59:59Z")
        .await;
    // Too late for it.
    story
        .task("bob", "p", "2026-11-30T12:00:00Z", "2026-12-01T23:00:00Z")
        .await;
    story
        .task("cy", "p", "2026-12-02T12:00:00Z", "2026-12-02T12:00:00Z")
        .await;
    story.publish("2026-12-02T12:00:00Z").await;
    story.publish("2026-12-02T12:01:00Z").await;
    check(
        &story,
        "2026-12-02T12:01:00Z",
        &[
            ("season", "live: 1.cy=10/1 of 1/10"),
            ("winter", "live: 1.cy=10/1 of 1/10"),
            ("autumn", "closed 1: 1.ann=20/2 1.bob=20/2 of 2/40"),
            (
                "season&period=last-season",
                "closed 1: 1.ann=20/2 1.bob=20/2 of 2/40",
            ),
        ],
    )
    .await;
    let (_, user) = story
        .get("/v1/boards/global/users/cy?window=season", "2026-12-02T12:01:00Z")
        .await;
    assert_eq!(
        user["window"]["season"],
        json!({"id": "winter", "title": "Winter"})
    );
    assert_eq!(user["entry"]["points"], 10);
    let late = story
        .late(
            "/v1/boards/global/users/bob?period=autumn",
            "2026-12-02T12:01:00Z",
        )
        .await;
    assert_eq!(late, "10/1");
    let (_, periods) = story
        .get(
            "/v1/boards/program:q/periods?window=season",
            "2026-12-02T12:01:00Z",
        )
        .await;
    assert_eq!(periods["periods"][0]["name"], "2026-09-01..2026-11-30");
    // The stack was off until long after the winter.
    story.publish("2027-06-01T12:00:00Z").await;
    story.publish("2027-06-01T12:01:00Z").await;
    check(
        &story,
        "2027-06-01T12:01:00Z",
        &[
            ("season", "404 no_season"),
            ("winter", "closed 1: 1.cy=10/1 of 1/10"),
            ("autumn", "closed 1: 1.ann=20/2 1.bob=20/2 of 2/40"),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_counted_after_a_period_was_closed_makes_its_boards_again() {
    let mut story = Story::begin("UTC").await;
    story
        .task("ann", "p", "2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z")
        .await;
    // A message that takes days.
    story
        .post("bob", "p", "2026-11-20T11:00:00Z", "2026-11-20T11:00:00Z")
        .await;
    let message = story.functions.take_messages().await;
    story.publish("2026-11-20T12:00:00Z").await;
    for minute in 0..3 {
        story.publish(&format!("2026-11-22T00:0{minute}:00Z")).await;
    }
    let day = "/v1/boards/global?period=2026-11-20";
    assert_eq!(
        story.board(day, "2026-11-22T00:02:00Z").await,
        "closed 1: 1.ann=10/1 of 1/10"
    );
    let failed = story
        .functions
        .deliver(message, time("2026-11-22T09:00:00Z"))
        .await;
    assert!(failed.is_empty());
    story.publish("2026-11-22T09:00:00Z").await;
    story.publish("2026-11-22T09:01:00Z").await;
    let made_again = "closed 2: 1.ann=10/1 1.bob=10/1 of 2/20";
    assert_eq!(story.board(day, "2026-11-22T09:01:00Z").await, made_again);
    assert_eq!(
        story
            .board("/v1/boards/program:p?period=2026-11-20", "2026-11-22T09:01:00Z")
            .await,
        made_again
    );
    story.publish("2026-11-22T09:02:00Z").await;
    assert_eq!(story.board(day, "2026-11-22T09:02:00Z").await, made_again);
}

#[tokio::test]
async fn a_stack_that_was_off_closes_afterwards_with_the_same_result() {
    let mut boards = Vec::new();
    for was_on in [true, false] {
        let mut story = Story::begin("America/New_York").await;
        // Week 44 ends on the 1st of November, on which daylight saving ends.
        story
            .task("ann", "p", "2026-10-30T12:00:00Z", "2026-10-30T12:00:00Z")
            .await;
        story
            .task("bob", "p", "2026-11-02T04:59:59Z", "2026-11-02T04:59:59Z")
            .await;
        story
            .task("cy", "p", "2026-11-02T05:00:00Z", "2026-11-02T05:00:00Z")
            .await;
        story.publish("2026-11-02T05:00:00Z").await;
        if was_on {
            story.publish("2026-11-03T05:01:00Z").await;
            story.publish("2026-11-03T05:02:00Z").await;
            story.publish("2026-11-03T05:03:00Z").await;
        }
        // By now, ann's counters of week 44 were given up, and bob's were not.
        story
            .task("ann", "p", "2026-11-18T12:00:00Z", "2026-11-18T12:00:00Z")
            .await;
        for minute in 0..20 {
            story.publish(&format!("2026-11-18T12:{minute:02}:00Z")).await;
        }
        let now = "2026-11-18T12:20:00Z";
        let mut closed = Vec::new();
        for period in [
            "2026-W44",
            "2026-11-01",
            "2026-11-02",
            "2026-10-30",
            "2026-10",
            "2026-W45",
            "2026-11-16",
        ] {
            let board = story
                .board(&format!("/v1/boards/program:p?period={period}"), now)
                .await;
            closed.push(format!("{period} {board}"));
        }
        boards.push(closed);
    }
    assert_eq!(
        boards[0],
        [
            "2026-W44 closed 1: 1.ann=10/1 1.bob=10/1 of 2/20",
            "2026-11-01 closed 1: 1.bob=10/1 of 1/10",
            "2026-11-02 closed 1: 1.cy=10/1 of 1/10",
            // Before the first snapshot.
            "2026-10-30 404 period_not_kept",
            "2026-10 closed 1: 1.ann=10/1 of 1/10",
            "2026-W45 closed 1: 1.cy=10/1 of 1/10",
            "2026-11-16 closed 1:  of 0/0",
        ]
    );
    assert_eq!(boards[0], boards[1]);
}

#[tokio::test]
async fn names_and_visibility_are_those_of_today_and_teams_are_those_of_then() {
    let mut story = Story::begin("UTC").await;
    for (user, person) in [
        ("ann", json!({"display_name": "Ann Lee", "team": "red"})),
        ("bob", json!({"display_name": "Bob", "team": "red"})),
        ("cy", json!({"visibility": "hidden", "team": "blue"})),
    ] {
        story.functions.put_person(user, &person).await;
    }
    for (user, times) in [("ann", 3), ("bob", 2), ("cy", 4), ("dee", 1)] {
        for _ in 0..times {
            story
                .task(user, "p", "2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z")
                .await;
        }
    }
    story.publish("2026-11-20T10:01:00Z").await;
    for minute in 0..3 {
        story.publish(&format!("2026-11-22T00:0{minute}:00Z")).await;
    }
    let now = "2026-11-22T00:02:00Z";
    let day = "/v1/boards/global?period=2026-11-20";
    assert_eq!(
        story.board(day, now).await,
        "closed 1: 1.ann=30/3 2.bob=20/2 3.dee=10/1 of 3/60"
    );

    story
        .functions
        .put_person("ann", &json!({"display_name": "Ann Fox", "team": "blue"}))
        .await;
    story
        .functions
        .put_person("bob", &json!({"visibility": "anonymous", "team": "red"}))
        .await;
    story
        .functions
        .put_person("cy", &json!({"display_name": "Cy"}))
        .await;
    story.publish("2026-11-22T00:03:00Z").await;
    let now = "2026-11-22T00:03:00Z";
    assert_eq!(
        story.board(day, now).await,
        "closed 1: 1.cy=40/4 2.ann=30/3 3.?=20/2 4.dee=10/1 of 4/100"
    );
    let (_, board) = story.get(day, now).await;
    let names: Vec<_> = board["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].as_str())
        .collect();
    assert_eq!(names, [Some("Cy"), Some("Ann Fox"), None, None]);
    assert!(!board.to_string().contains("bob"), "{board}");
    assert_eq!(
        story.board("/v1/boards/team%3Ared?period=2026-11-20", now).await,
        "closed 1: 1.ann=30/3 2.?=20/2 of 2/50"
    );
    let (_, teams) = story.get("/v1/boards/teams?period=2026-11-20", now).await;
    let teams: TeamsDocument = serde_json::from_value(teams).unwrap();
    let rows = teams
        .entries
        .iter()
        .map(|row| format!("{}.{}={}/{}", row.rank, row.team_id, row.score, row.members));
    assert_eq!(rows.collect::<Vec<_>>(), ["1.red=50/2", "2.blue=40/1"]);
    assert_eq!(state(&teams.period.unwrap()), "closed 1");

    // A page of the board, one person on it, and someone whom others do not see.
    let (_, page) = story.get(&format!("{day}&limit=2"), now).await;
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(
        story.board(&format!("{day}&limit=2&cursor={cursor}"), now).await,
        "closed 1: 3.?=20/2 4.dee=10/1 of 4/100"
    );
    let (_, ann) = story
        .get("/v1/boards/global/users/ann?period=2026-11-20&around=1", now)
        .await;
    let ann: UserDocument = serde_json::from_value(ann).unwrap();
    assert_eq!(
        (ann.entry.rank, ann.percentile, ann.heading.participants),
        (2, 75.0, 4)
    );
    assert_eq!(
        (render_ranks(&ann.above), render_ranks(&ann.below)),
        ("1.cy".to_owned(), "3.?".to_owned())
    );
    assert_eq!(ann.entry.name.unwrap().as_str(), "Ann Fox");
    for user in ["bob", "eve"] {
        let path = format!("/v1/boards/global/users/{user}?period=2026-11-20");
        let (status, problem) = story.get(&path, now).await;
        assert_eq!(
            (status, problem["code"].as_str().unwrap()),
            (404, "user_not_on_board")
        );
    }
}

#[tokio::test]
async fn the_periods_of_a_board_are_listed_the_latest_first() {
    let mut story = Story::begin("UTC").await;
    story
        .task("ann", "p", "2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z")
        .await;
    story.publish("2026-11-20T10:01:00Z").await;
    for day in 21..25 {
        story.publish(&format!("2026-11-{day}T00:01:00Z")).await;
        story.publish(&format!("2026-11-{day}T00:02:00Z")).await;
    }
    let list = async |query: &str| {
        let path = format!("/v1/boards/global/periods?window=day{query}");
        let (_, periods) = story.get(&path, "2026-11-24T00:02:00Z").await;
        let periods: PeriodsDocument = serde_json::from_value(periods).unwrap();
        let names = periods
            .periods
            .iter()
            .map(|period| format!("{} {:?}", period.name, period.state));
        (names.collect::<Vec<_>>().join(", "), periods.next_cursor)
    };
    let (all, next) = list("").await;
    assert_eq!(
        all,
        "2026-11-23 Provisional, 2026-11-22 Closed, 2026-11-21 Closed, 2026-11-20 Closed, 2026-11-19 Closed"
    );
    assert_eq!(next, None);
    let (first, next) = list("&limit=2").await;
    assert_eq!(
        (first.as_str(), next.as_deref()),
        ("2026-11-23 Provisional, 2026-11-22 Closed", Some("2026-11-22"))
    );
    let (second, _) = list("&limit=2&cursor=2026-11-22").await;
    assert_eq!(second, "2026-11-21 Closed, 2026-11-20 Closed");
}

/// The output of `podium archive` with these arguments, whether it succeeds or not.
async fn archive(stack: &TestStack, args: &[&str]) -> String {
    let mut command = podium();
    command
        .arg("archive")
        .args(args)
        .args(["--aws-url", &stack.stack.aws_url]);
    let output = command.output().await.expect("podium runs");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8(text).expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boards_of_a_time_before_podium_are_made_from_the_activities() {
    let stack = TestStack::start(|_| {}).await;
    let occurred_at = Timestamp::now() - SignedDuration::from_hours(10 * 24);
    let day = occurred_at.to_zoned(TimeZone::UTC).date().to_string();
    let tasks = ["ann", "bob", "ann"].into_iter().enumerate().map(|(id, user)| {
        json!({
            "activity_id": id.to_string(), "user_id": user, "program_id": "p", "kind": "task_completed",
            "occurred_at": occurred_at,
        })
    });
    stack.post_all(&tasks.collect::<Vec<_>>()).await;
    stack.wait_until_counted(3).await;
    let path = format!("/v1/boards/global?period={day}");
    assert_eq!(stack.get(&path).await.status(), 404);
    let board = async || -> (String, PeriodHeading) {
        let board: BoardDocument = stack.get(&path).await.json().await.expect("a board");
        let rendered = render(&board);
        (rendered, board.heading.period.expect("a period that is over"))
    };

    let made = archive(&stack, &["--period", &day]).await;
    assert!(
        made.contains(&format!(
            "Read 3 activities.\nglobal: edition 1 of {day}, 2 rows.\nprogram:p: edition 1"
        )),
        "{made}"
    );
    let (rows, period) = board().await;
    assert_eq!((rows.as_str(), period.includes_late), ("", false));
    assert_eq!(
        period.late,
        Some(Sum {
            points: 30,
            activities: 3
        })
    );
    let ann: UserDocument = stack
        .get(&format!("/v1/boards/global/users/ann?period={day}"))
        .await
        .json()
        .await
        .expect("a person");
    assert_eq!(
        (
            ann.entry.points,
            ann.heading.period.and_then(|period| period.late)
        ),
        (
            0,
            Some(Sum {
                points: 20,
                activities: 2
            })
        )
    );

    let made = archive(&stack, &["--period", &day, "--include-late"]).await;
    assert!(
        made.contains(&format!("global: edition 2 of {day}, 2 rows.")),
        "{made}"
    );
    let (rows, period) = board().await;
    assert_eq!(
        (rows.as_str(), period.edition, period.includes_late),
        ("1.ann=20/2 2.bob=10/1", 2, true)
    );
    let again = archive(&stack, &["--period", &day, "--include-late"]).await;
    assert!(again.contains("global: unchanged, 2 rows."), "{again}");

    let refused = archive(&stack, &["--period", "yesterday"]).await;
    assert!(refused.contains("is open until"), "{refused}");
    let refused = archive(&stack, &["--period", "2026-W54"]).await;
    assert!(refused.contains("is not a period"), "{refused}");
    stack.stop().await;
}
