//! A reader of a head and its pages, one after the other.

use std::collections::BTreeMap;

use domain::{BoardEntry, Histogram, UserId};
use jiff::Timestamp;
use rand::RngExt as _;
use rand::rngs::StdRng;
use store::Head;
use store::head::{HistogramRef, PageRef, RankedBy, Sought};
use store::publication::{PAGE_RENEWAL, content_hash};

use crate::run::RUN_TIME;
use crate::snapshots::Snapshots;

pub struct Reader {
    pub head: Head,
    /// The contents of the pages read so far, by part.
    read: BTreeMap<String, String>,
}

impl Reader {
    pub fn new(head: Head) -> Self {
        Self {
            head,
            read: BTreeMap::new(),
        }
    }

    /// Reads the next page. Returns whether there was one. A reader whose page has expired gives up.
    pub fn step(&mut self, snapshots: &Snapshots, furthest: Timestamp) -> bool {
        let next = self.head.pages().map(PageRef::part);
        let Some(part) = next.into_iter().find(|part| !self.read.contains_key(part)) else {
            return false;
        };
        let Some(content) = snapshots.json(&part) else {
            let promised = self.head.freshness.generated_at + PAGE_RENEWAL - RUN_TIME;
            assert!(
                furthest >= promised,
                "{part} of generation {} is missing, although it is promised until {promised}",
                self.head.generation
            );
            return false;
        };
        let hash = content_hash(content);
        assert_eq!(
            part,
            format!("page {hash}"),
            "the content of a page does not match its name"
        );
        self.read.insert(part, content.to_owned());
        true
    }

    pub fn is_done(&self) -> bool {
        self.head.pages().all(|page| self.read.contains_key(&page.part()))
    }

    /// All pages belong to the same generation, and any range of rows matches the whole.
    pub fn check(&self, random: &mut StdRng) {
        let rows = self.rows(0, usize::MAX);
        let generation = self.head.generation;
        assert_eq!(
            rows.len() as u64,
            self.head.listed,
            "rows of generation {generation}"
        );
        assert_eq!(
            rows.len() as u64,
            self.head.participants,
            "participants of generation {generation}"
        );
        let points: i64 = rows.iter().map(|row| row.points).sum();
        let activities: u64 = rows.iter().map(|row| row.activities).sum();
        assert_eq!(
            (points, activities),
            (self.head.points, self.head.activities),
            "rows and head of generation {generation}"
        );
        let histogram = self.histogram();
        for row in &rows {
            // Where the last activity decides between equal points, each of them has a rank of its own.
            let equal = rows.iter().filter(|other| other.points == row.points).count() as u64;
            let ranks = if self.head.breaks_ties { equal } else { 1 };
            let first = histogram.rank(row.points);
            assert!(
                (first..first + ranks).contains(&row.rank),
                "the rank of {row:?} in generation {generation} is not one of {ranks} from {first}"
            );
        }
        assert_eq!(histogram.participants(), self.head.participants);
        if !rows.is_empty() {
            let at = random.random_range(0..rows.len());
            self.check_found(random, at, &rows);
        }
        let any = random.random_range(-100..=points.max(0) + 1);
        assert_eq!(
            self.rank(any),
            histogram.rank(any),
            "the rank of {any} points in generation {generation}"
        );
        let from = random.random_range(0..=rows.len());
        let limit = random.random_range(0..=rows.len());
        let cut: Vec<_> = rows.iter().skip(from).take(limit).cloned().collect();
        assert_eq!(self.rows(from, limit), cut, "{limit} rows after {from}");
    }

    /// The user of a row is found by any points that are at least those of the row, and by fewer after a
    /// correction. In the first case, the pages before the one where these points belong are not read.
    fn check_found(&self, random: &mut StdRng, at: usize, rows: &[BoardEntry]) {
        let row = &rows[at];
        // Nobody is found whose row has no id.
        let Some(user) = &row.user_id else {
            return;
        };
        let expected = Some((at, row.clone()));
        let generation = self.head.generation;
        let live = row.points + random.random_range(0..=self.head.points.max(0));
        let (found, pages) = self.find(user, live);
        assert_eq!(found, expected, "by {live} points in generation {generation}");
        let before = rows
            .iter()
            .take_while(|other| {
                let is_before = other.user_id.as_ref().is_some_and(|other| other < user);
                let is_before = is_before && !self.head.breaks_ties;
                other.points > live || other.points == live && is_before
            })
            .count();
        // Each page has at least one row, and the first page may begin with the last row before.
        let pages_max = at + 1 - before.saturating_sub(1);
        assert!(
            pages <= pages_max,
            "{pages} pages were read to find row {at} by {live} points, with {before} rows before these"
        );
        let corrected = row.points - random.random_range(0..=row.points.max(0));
        let (found, _) = self.find(user, corrected);
        assert_eq!(
            found, expected,
            "by {corrected} points in generation {generation}, which lists everyone"
        );
        let nobody: UserId = format!("{user}-nobody").parse().expect("a user");
        assert_eq!(self.find(&nobody, live).0, None);
    }

    /// The row of a user and its position, and the number of pages read.
    fn find(&self, user: &UserId, points: i64) -> (Option<(usize, BoardEntry)>, usize) {
        let mut read = 0;
        for candidate in self.head.candidates(user, points) {
            read += 1;
            let content: Vec<BoardEntry> = self.content(candidate.page);
            match candidate.seek(&content) {
                Sought::Row(at, row) => return (Some((at, row)), read),
                Sought::NotListed => return (None, read),
                Sought::Elsewhere => {}
            }
        }
        (None, read)
    }

    fn rank(&self, points: i64) -> u64 {
        match self.head.ranked_by(points) {
            RankedBy::Head { rank } => rank,
            RankedBy::Page { page, above } => above + self.content::<Histogram>(page).rank(points),
            RankedBy::EveryPage(_) => panic!("every head locates its buckets"),
        }
    }

    pub fn rows(&self, from: usize, limit: usize) -> Vec<BoardEntry> {
        let rows = self.head.rows(from, limit);
        let pages: Vec<Vec<BoardEntry>> = rows.pages.iter().map(|page| self.content(page)).collect();
        rows.cut(&pages)
    }

    fn histogram(&self) -> Histogram {
        match self.head.histogram() {
            HistogramRef::Inline(histogram) => histogram.clone(),
            HistogramRef::Pages(pages) => {
                let pages = pages.iter().map(|page| self.content::<Histogram>(&page.page));
                Histogram {
                    buckets: pages.flat_map(|page| page.buckets).collect(),
                }
            }
        }
    }

    fn content<T: serde::de::DeserializeOwned>(&self, page: &PageRef) -> T {
        serde_json::from_str(&self.read[&page.part()]).expect("a page of its kind")
    }
}
