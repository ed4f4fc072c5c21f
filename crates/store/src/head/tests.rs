//! Finding users and ranks by a head, compared with the whole board.

use domain::{BoardBuilder, RankedBoard, Shown, Tally};
use proptest::collection::btree_map;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::publication::{Document, LATEST, PageSizes, Planned, Publication, Write};

/// A published board, read by its head.
struct Published {
    head: Head,
    documents: Vec<Document>,
    board: RankedBoard,
}

impl Published {
    /// A user whose id ends in `?` is anonymous.
    fn new(users: impl IntoIterator<Item = (String, i64)>, listed: usize, sizes: PageSizes) -> Self {
        let users = users.into_iter().map(|(user, points)| (user, points, None));
        Self::with_lasts(users, listed, sizes)
    }

    /// Also with when the last activity of each occurred.
    fn with_lasts(
        users: impl IntoIterator<Item = (String, i64, Option<Timestamp>)>,
        listed: usize,
        sizes: PageSizes,
    ) -> Self {
        let mut builder = BoardBuilder::new(listed);
        for (user, points, last_at) in users {
            let tally = Tally {
                points,
                activities: 1,
            };
            let shown = if user.ends_with('?') {
                Shown::Anonymous
            } else {
                Shown::Listed(None)
            };
            builder.add(&user.parse().unwrap(), &shown, tally, last_at);
        }
        let board = builder.finish();
        let generated_at = Timestamp::from_second(1_800_000_000).unwrap();
        let calendar: domain::Calendar = "UTC".parse().unwrap();
        let publication = Publication {
            span: calendar.span(domain::Window::All, generated_at),
            day: calendar.date(generated_at),
            previous: None,
            ranked: board.clone(),
            freshness: Freshness {
                generated_at,
                lag_seconds: None,
                backlog: 0,
            },
            sizes,
        };
        let Planned { writes, .. } = publication.plan(&[], None).unwrap();
        let documents: Vec<Document> = writes
            .into_iter()
            .map(|write| match write {
                Write::Put(document) | Write::ReplaceHead { head: document, .. } => document,
            })
            .collect();
        let head = serde_json::from_str(&documents.last().unwrap().json).unwrap();
        Self {
            head,
            documents,
            board,
        }
    }

    /// The same board with a head of an earlier version, which locates nothing.
    fn with_older_head(mut self) -> Self {
        let mut head: Value = serde_json::to_value(&self.head).unwrap();
        let mut forget = |at: &str| {
            let pages = head.pointer_mut(at).and_then(Value::as_array_mut);
            for page in pages.into_iter().flatten() {
                assert!(page.as_object_mut().unwrap().remove("first").is_some());
            }
        };
        forget("/pages");
        forget("/histogram/Pages");
        head.as_object_mut().unwrap().remove("case_variants");
        self.head = serde_json::from_value(head).unwrap();
        self
    }

    fn content<T: serde::de::DeserializeOwned>(&self, page: &PageRef) -> T {
        let part = page.part();
        let document = self.documents.iter().find(|document| document.part == part);
        serde_json::from_str(&document.unwrap().json).unwrap()
    }

    /// The position of a user, and the number of pages read to find it.
    fn find(&self, user: &UserId, points: i64) -> (Option<usize>, usize) {
        let mut read = 0;
        for candidate in self.head.candidates(user, points) {
            read += 1;
            let content: Vec<BoardEntry> = self.content(candidate.page);
            match candidate.seek(&content) {
                Sought::Row(at, row) => {
                    assert_eq!(self.board.entries.get(at), Some(&row));
                    return (Some(at), read);
                }
                Sought::NotListed => return (None, read),
                Sought::Elsewhere => {}
            }
        }
        (None, read)
    }

    /// The rank of these points, and the number of pages read for it.
    fn rank(&self, points: i64) -> (u64, usize) {
        match self.head.ranked_by(points) {
            RankedBy::Head { rank } => (rank, 0),
            RankedBy::Page { page, above } => (above + self.content::<Histogram>(page).rank(points), 1),
            RankedBy::EveryPage(pages) => {
                let buckets = pages
                    .iter()
                    .flat_map(|page| self.content::<Histogram>(&page.page).buckets);
                let histogram = Histogram {
                    buckets: buckets.collect(),
                };
                (histogram.rank(points), pages.len())
            }
        }
    }
}

const SMALL: PageSizes = PageSizes {
    rows: 3,
    buckets: 2,
    inline_buckets: 1,
};

fn users(of: &str) -> impl Iterator<Item = (String, i64)> {
    of.split_whitespace().map(|user| {
        let (user, points) = user.split_once('=').unwrap();
        (user.to_owned(), points.parse().unwrap())
    })
}

#[test]
fn a_user_is_found_in_the_page_of_their_points_or_in_a_later_one() {
    // Pages: a b c | d e f | g.
    let published = Published::new(users("a=9 b=8 c=7 d=7 e=7 f=5 g=4 z=3"), 7, SMALL);
    let check = |user: &str, points: i64, found: Option<usize>, pages: usize| {
        let user: UserId = user.parse().unwrap();
        assert_eq!(
            published.find(&user, points),
            (found, pages),
            "{user} by {points}"
        );
    };
    check("a", 9, Some(0), 1);
    check("a", 99, Some(0), 1);
    check("c", 7, Some(2), 1);
    check("d", 7, Some(3), 1);
    check("e", 7, Some(4), 1);
    check("g", 4, Some(6), 1);
    // Gained since the snapshot.
    check("e", 8, Some(4), 2);
    check("g", 99, Some(6), 3);
    // Corrected since: first the rest, then upwards.
    check("a", 5, Some(0), 3);
    check("y", 7, None, 3);
    // After the last row of a board that is cut.
    check("z", 3, None, 1);
    check("e", 3, None, 1);
    check("g", 3, Some(6), 1);
    let whole = Published::new(users("a=9 b=8 c=7 d=7 e=7 f=5 g=4"), 7, SMALL);
    assert_eq!(whole.find(&"e".parse().unwrap(), 3), (Some(4), 2));
    assert_eq!(whole.find(&"z".parse().unwrap(), 3), (None, 3));
}

#[test]
fn an_older_head_is_read_whole() {
    let older = Published::new(users("a=9 b=8 c=7 d=7 e=7 f=5 g=4"), 7, SMALL).with_older_head();
    assert_eq!(older.find(&"f".parse().unwrap(), 5), (Some(5), 2));
    assert_eq!(older.find(&"x".parse().unwrap(), 5), (None, 3));
    assert_eq!(older.rank(5), (6, 3));
    assert_eq!(older.head.other_case(&"a".parse().unwrap()), None);
}

#[test]
fn a_head_names_users_whose_ids_differ_only_in_case() {
    let other_case = |users_of: &str, user: &str| {
        let published = Published::new(users(users_of), 1_000, SMALL);
        let others = published.head.other_case(&user.parse().unwrap())?;
        let others: Vec<_> = others.iter().map(|other| other.as_str().to_owned()).collect();
        Some(others.join(" "))
    };
    let board = "ann=1 Ann=5 ANN=3 Bob=4 bob=4 cy=2 Dee=1";
    let check = |user, others: &str| assert_eq!(other_case(board, user).as_deref(), Some(others), "{user}");
    check("ann", "Ann ANN");
    check("Ann", "ANN ann");
    check("Bob", "bob");
    check("cy", "");
    check("Dee", "");
    assert_eq!(other_case("a=1 b=2", "a").as_deref(), Some(""));
    // A head does not grow with their number.
    let pairs = |count: usize| -> String {
        let pairs = (0..count).map(|at| format!("x{at}=1 X{at}=1 "));
        pairs.collect()
    };
    assert_eq!(
        other_case(&pairs(MAX_CASE_VARIANTS / 2), "x0").as_deref(),
        Some("X0")
    );
    assert_eq!(other_case(&pairs(MAX_CASE_VARIANTS / 2 + 1), "x0"), None);
}

#[test]
fn the_head_of_a_full_board_is_below_one_read_unit() {
    const READ_UNIT: usize = 4_096;
    // Ids without a pattern, as long as those of most identity providers.
    let id = |user: u64| crate::publication::content_hash(&user.to_string());
    let all = (0..60_000_u64).map(|user| (id(user), (user * 7 % 100_000).cast_signed()));
    let published = Published::new(all, 10_000, PageSizes::PUBLISHED);
    assert_eq!(published.head.pages.len(), 20);
    let document = Document::new(LATEST.to_owned(), &published.head, None).unwrap();
    let item = document.into_item("program:a-program all").unwrap();
    let bytes = item["document"].as_b().unwrap().as_ref().len();
    assert!(bytes < READ_UNIT, "{bytes} bytes");
}

proptest! {
    #[test]
    fn located_is_what_the_whole_board_says(
        users in btree_map("[a-cA-C]{1,3}[?]?", (-4..12_i64, 0..9_i64), 0..30),
        breaks_ties: bool,
        listed in 0..30_usize,
        rows in 1..6_usize,
        buckets in 1..5_usize,
        gained in 0..14_i64,
        is_older: bool,
    ) {
        let sizes = PageSizes { rows, buckets, inline_buckets: 2 };
        let at = |second| breaks_ties.then(|| Timestamp::from_second(second).unwrap());
        let with_lasts = users.iter().map(|(user, (points, second))| (user.clone(), *points, at(*second)));
        let mut published = Published::with_lasts(with_lasts, listed, sizes);
        let breaks_ties = published.head.breaks_ties;
        if is_older {
            published = published.with_older_head();
        }
        let entries = &published.board.entries;
        for (user, (points, _)) in users {
            let user: UserId = user.parse().unwrap();
            let at = entries.iter().position(|row| row.user_id.as_ref() == Some(&user));
            let is_cut = !published.head.lists_everyone();
            for live in [points, points + gained, points - gained] {
                let is_after = entries.last().is_some_and(|last| if breaks_ties {
                    last.points > live
                } else {
                    RowKey::of(last) < RowKey(Reverse(live), Some(user.clone()))
                });
                let found = published.find(&user, live).0;
                let may_be_missed = is_cut && is_after && live < points;
                prop_assert!(found == at || found.is_none() && may_be_missed, "{} by {}", user, live);
            }
            let found = published.find(&user, points);
            // Who is anonymous is in no page, and sought in all of them.
            let is_sought_everywhere = is_older || at.is_none() && (!is_cut || user.as_str().ends_with('?'));
            // Equal points may be in several pages, and those of the last row also those of others.
            prop_assert!(is_sought_everywhere || breaks_ties || found.1 <= 1, "{} by its own points", user);
            if let Some(others) = published.head.other_case(&user).filter(|_| at.is_some()) {
                let same = |other: &UserId| other.as_str().eq_ignore_ascii_case(user.as_str());
                let ids = entries.iter().filter_map(|row| row.user_id.clone());
                let expected: Vec<_> = ids.filter(|other| *other != user && same(other)).collect();
                prop_assert_eq!(others, expected);
            }
        }
        for points in -8..14 {
            let (rank, read) = published.rank(points);
            prop_assert_eq!(rank, published.board.histogram.rank(points));
            prop_assert!(is_older || read <= 1);
        }
    }
}

/// Publishes empty and full boards at some times, each `TIME POINTS_OF_ANN`, and returns since when each compares.
#[track_caller]
fn check_marks(window: domain::Window, published: &[(&str, i64)], expected: &[&str]) {
    let calendar: domain::Calendar = "Europe/Berlin".parse().unwrap();
    let mut previous: Option<Head> = None;
    let mut since = Vec::new();
    for (at, points) in published {
        let now: Timestamp = at.parse().unwrap();
        let ann: UserId = "ann".parse().unwrap();
        let mut builder = BoardBuilder::new(10);
        let tally = Tally {
            points: *points,
            activities: u64::from(*points > 0),
        };
        builder.add(&ann, &Shown::Listed(None), tally, None);
        let publication = Publication {
            span: calendar.span(window, now),
            day: calendar.date(now),
            previous: previous.take(),
            ranked: builder.finish(),
            freshness: Freshness {
                generated_at: now,
                lag_seconds: None,
                backlog: 0,
            },
            sizes: PageSizes::PUBLISHED,
        };
        let marks = publication.marks();
        assert!(marks.len() <= 4, "{marks:?}");
        since.push(marks.first().map_or("-".to_owned(), |mark| mark.at.to_string()));
        let planned = publication.plan(&[], None).unwrap();
        let Some(Write::ReplaceHead { head, .. }) = planned.writes.last() else {
            panic!("the head is last");
        };
        previous = serde_json::from_str(&head.json).unwrap();
    }
    assert_eq!(since, expected);
}

#[test]
fn changes_are_since_the_day_began_and_on_the_board_of_the_day_since_an_hour_ago() {
    use domain::Window;

    // The day begins at 23:00 UTC.
    check_marks(
        Window::All,
        &[
            ("2026-11-23T09:00:00Z", 0),
            ("2026-11-23T09:01:00Z", 1),
            ("2026-11-23T09:02:00Z", 2),
            ("2026-11-23T22:59:00Z", 3),
            ("2026-11-23T23:00:00Z", 4),
            ("2026-11-23T23:01:00Z", 5),
            ("2026-11-25T10:00:00Z", 6),
        ],
        &[
            "-",
            "-",
            "2026-11-23T09:01:00Z",
            "2026-11-23T09:01:00Z",
            "2026-11-23T22:59:00Z",
            "2026-11-23T22:59:00Z",
            "2026-11-23T23:01:00Z",
        ],
    );
    check_marks(
        Window::Week,
        &[
            ("2026-11-22T22:59:00Z", 1),
            ("2026-11-22T23:00:00Z", 1),
            ("2026-11-22T23:01:00Z", 1),
        ],
        &["-", "-", "2026-11-22T23:00:00Z"],
    );
    check_marks(
        Window::Day,
        &[
            ("2026-11-23T22:59:00Z", 1),
            ("2026-11-23T23:00:00Z", 1),
            ("2026-11-23T23:10:00Z", 1),
            ("2026-11-23T23:40:00Z", 1),
            ("2026-11-24T00:10:00Z", 1),
            ("2026-11-24T00:40:00Z", 1),
            ("2026-11-24T01:10:00Z", 1),
            ("2026-11-24T05:00:00Z", 1),
        ],
        &[
            "-",
            "-",
            "2026-11-23T23:00:00Z",
            "2026-11-23T23:00:00Z",
            "2026-11-23T23:10:00Z",
            "2026-11-23T23:40:00Z",
            "2026-11-24T00:10:00Z",
            "2026-11-24T01:10:00Z",
        ],
    );
}
