//! Days, ISO weeks and months in a zone with daylight saving, with a fixed clock.

use domain::Window;
use serde_json::json;

use crate::tables::{Functions, render, render_ranks, rules, time};

struct Story {
    functions: Functions,
    next_id: u32,
}

impl Story {
    async fn begin(time_zone: &str) -> Self {
        Self {
            functions: Functions::start(time_zone).await,
            next_id: 0,
        }
    }

    /// A task that occurs at one time, and is received and counted at another.
    async fn activity(&mut self, user: &str, occurred_at: &str, received_at: &str) {
        self.next_id += 1;
        let activity = json!({
            "activity_id": self.next_id.to_string(),
            "user_id": user,
            "program_id": "p",
            "kind": "task_completed",
            "occurred_at": occurred_at,
        });
        let now = time(received_at);
        self.functions.post(&activity, now).await;
        self.functions.count(now).await;
    }

    /// A task that is received and counted when it occurs.
    async fn activity_at(&mut self, user: &str, at: &str) {
        self.activity(user, at, at).await;
    }

    /// Every window of the global board, published at `at`: `day 2026-10-25..2026-10-25: 1.ann=10/1`.
    async fn boards(&mut self, at: &str) -> Vec<String> {
        let now = time(at);
        self.functions.publish(now).await;
        let mut boards = Vec::new();
        for window in rules("UTC").calendar.windows(now) {
            let board = self
                .functions
                .board(&format!("/v1/boards/global?window={window}"), now)
                .await;
            let days = match (board.heading.window.first_day, board.heading.window.last_day) {
                (Some(first), Some(last)) => format!("{first}..{last}"),
                _ => "ever".to_owned(),
            };
            boards.push(format!("{window} {days}: {}", render(&board)));
        }
        boards
    }
}

#[tokio::test]
async fn a_day_and_a_week_end_at_local_midnight_also_when_the_clocks_change() {
    // In Berlin the 25th of October 2026, a Sunday, has 25 hours: it ends at 23:00 UTC.
    let mut story = Story::begin("Europe/Berlin").await;
    story.activity_at("ann", "2026-10-25T22:59:59Z").await;
    assert_eq!(
        story.boards("2026-10-25T22:59:59Z").await,
        [
            "all ever: 1.ann=10/1",
            "month 2026-10-01..2026-10-31: 1.ann=10/1",
            "week 2026-10-19..2026-10-25: 1.ann=10/1",
            "day 2026-10-25..2026-10-25: 1.ann=10/1",
        ]
    );
    story.activity_at("bob", "2026-10-25T23:00:00Z").await;
    assert_eq!(
        story.boards("2026-10-25T23:00:00Z").await,
        [
            "all ever: 1.ann=10/1 1.bob=10/1",
            "month 2026-10-01..2026-10-31: 1.ann=10/1 1.bob=10/1",
            "week 2026-10-26..2026-11-01: 1.bob=10/1",
            "day 2026-10-26..2026-10-26: 1.bob=10/1",
        ]
    );
}

#[tokio::test]
async fn a_month_ends_at_local_midnight() {
    let mut story = Story::begin("America/New_York").await;
    // Daylight saving ends in New York on the 1st of November 2026, after this midnight.
    story.activity_at("ann", "2026-11-01T03:59:59Z").await;
    story.activity_at("bob", "2026-11-01T04:00:00Z").await;
    assert_eq!(
        story.boards("2026-11-01T04:00:01Z").await,
        [
            "all ever: 1.ann=10/1 1.bob=10/1",
            "month 2026-11-01..2026-11-30: 1.bob=10/1",
            "week 2026-10-26..2026-11-01: 1.ann=10/1 1.bob=10/1",
            "day 2026-11-01..2026-11-01: 1.bob=10/1",
        ]
    );
}

#[tokio::test]
async fn a_late_activity_counts_in_the_windows_in_which_it_occurred() {
    let mut story = Story::begin("Europe/Berlin").await;
    let now = "2026-11-18T10:00:00Z";
    story.activity_at("today", now).await;
    story.activity("yesterday", "2026-11-17T10:00:00Z", now).await;
    story.activity("last-week", "2026-11-13T10:00:00Z", now).await;
    story.activity("last-month", "2026-10-25T10:00:00Z", now).await;
    assert_eq!(
        story.boards(now).await,
        [
            "all ever: 1.last-month=10/1 1.last-week=10/1 1.today=10/1 1.yesterday=10/1",
            "month 2026-11-01..2026-11-30: 1.last-week=10/1 1.today=10/1 1.yesterday=10/1",
            "week 2026-11-16..2026-11-22: 1.today=10/1 1.yesterday=10/1",
            "day 2026-11-18..2026-11-18: 1.today=10/1",
        ]
    );
}

#[tokio::test]
async fn equal_points_at_the_cut_of_a_page_share_their_rank_on_both_pages() {
    let mut story = Story::begin("UTC").await;
    let now = "2026-11-18T10:00:00Z";
    for user in ["e", "c", "a", "d", "b", "top", "top"] {
        story.activity_at(user, now).await;
    }
    story.functions.publish(time(now)).await;
    let mut pages = Vec::new();
    let mut path = "/v1/boards/global?limit=2".to_owned();
    loop {
        let page = story.functions.board(&path, time(now)).await;
        pages.push(render(&page));
        let Some(cursor) = page.next_cursor else {
            break;
        };
        path = format!("/v1/boards/global?limit=2&cursor={cursor}");
    }
    assert_eq!(
        pages,
        ["1.top=20/2 2.a=10/1", "2.b=10/1 2.c=10/1", "2.d=10/1 2.e=10/1"]
    );
}

#[tokio::test]
async fn a_user_is_ranked_whether_listed_or_not_and_sees_the_neighbours() {
    let mut story = Story::begin("UTC").await;
    let now = "2026-11-18T10:00:00Z";
    for (user, activities) in [("ann", 4), ("bob", 3), ("cy", 3), ("dee", 1)] {
        for _ in 0..activities {
            story.activity_at(user, now).await;
        }
    }
    story.functions.publish(time(now)).await;
    let path = "/v1/boards/program:p/users/cy?window=week&around=1";
    let response = story.functions.get(path, time(now)).await;
    let document: domain::UserDocument = serde_json::from_slice(response.body()).expect("a user document");
    assert_eq!((document.entry.rank, document.entry.points), (2, 30));
    assert_eq!(
        (render_ranks(&document.above), render_ranks(&document.below)),
        ("2.bob".to_owned(), "4.dee".to_owned())
    );
    assert!(
        (document.percentile - 75.0).abs() < f64::EPSILON,
        "{}",
        document.percentile
    );

    let missing = story
        .functions
        .get("/v1/boards/global/users/nobody", time(now))
        .await;
    assert_eq!(missing.status(), 404);
}

#[tokio::test]
async fn every_answer_says_how_old_it_is_and_when_it_is_stale() {
    let mut story = Story::begin("UTC").await;
    story.activity_at("ann", "2026-11-18T10:00:00Z").await;
    story.functions.publish(time("2026-11-18T10:00:00Z")).await;
    let fresh = story
        .functions
        .board("/v1/boards/global", time("2026-11-18T10:00:35Z"))
        .await
        .freshness;
    assert_eq!((fresh.age_seconds, fresh.stale), (35, false));
    let late = story
        .functions
        .board("/v1/boards/global", time("2026-11-18T10:03:01Z"))
        .await
        .freshness;
    assert_eq!((late.age_seconds, late.stale), (181, true));

    // The heartbeat of the first snapshot is not counted yet, so the lag grows.
    story.functions.publish(time("2026-11-18T10:04:00Z")).await;
    let stuck = story
        .functions
        .board("/v1/boards/global", time("2026-11-18T10:04:00Z"))
        .await
        .freshness;
    assert_eq!((stuck.lag_seconds, stuck.stale), (Some(240.0), true));
    story.functions.count(time("2026-11-18T10:04:01Z")).await;
    story.functions.publish(time("2026-11-18T10:05:00Z")).await;
    let mended = story
        .functions
        .board("/v1/boards/global", time("2026-11-18T10:05:00Z"))
        .await
        .freshness;
    assert_eq!((mended.lag_seconds, mended.stale), (Some(1.0), false));
}

#[tokio::test]
async fn a_users_points_over_time_never_fall_whatever_is_counted_around_midnight() {
    let mut story = Story::begin("UTC").await;
    // Saturday the 31st of October: the day and the month end with the week still open.
    story
        .activity("ann", "2026-10-30T10:00:00Z", "2026-10-31T10:00:00Z")
        .await;
    story.activity_at("ann", "2026-10-31T11:00:00Z").await;
    story.functions.publish(time("2026-10-31T23:59:30Z")).await;
    let check = async |story: &Story, at: &str, expected: [&str; 4]| {
        for (window, expected) in Window::EVERY.into_iter().zip(expected) {
            let path = format!("/v1/boards/global/users/ann?window={window}");
            let response = story.functions.get(&path, time(at)).await;
            let document: domain::UserDocument =
                serde_json::from_slice(response.body()).expect("a user document");
            let points: Vec<_> = document
                .history
                .iter()
                .map(|then| then.points.to_string())
                .collect();
            assert_eq!(points.join(" "), expected, "{window} at {at}");
        }
    };
    let day = "0 10";
    check(
        &story,
        "2026-10-31T23:59:35Z",
        ["0 0 0 0 0 10 20", "0 0 0 0 10 20", "0 0 10 20", day],
    )
    .await;
    // Received before midnight, and after the snapshot: one of the day before, and one of that day.
    story
        .activity("ann", "2026-10-30T12:00:00Z", "2026-10-31T23:59:40Z")
        .await;
    story.activity_at("ann", "2026-10-31T23:59:41Z").await;
    check(
        &story,
        "2026-10-31T23:59:50Z",
        ["0 0 0 0 0 20 20", "0 0 0 0 20 20", "0 0 20 20", day],
    )
    .await;
    // Received after midnight: late, and on time. The sum of September gives way to that of November.
    story
        .activity("ann", "2026-10-31T23:00:00Z", "2026-11-01T00:00:05Z")
        .await;
    story.activity_at("ann", "2026-11-01T00:00:06Z").await;
    check(
        &story,
        "2026-11-01T00:00:10Z",
        ["0 0 0 0 20 20", "0 0 0 0 20 20", "0 0 20 20", day],
    )
    .await;
    story.functions.publish(time("2026-11-01T00:00:30Z")).await;
    check(
        &story,
        "2026-11-01T00:00:40Z",
        ["0 0 0 20 50 60", day, "0 20 50 60", day],
    )
    .await;
}
