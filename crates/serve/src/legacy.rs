//! The global board of all time as the system that Podium replaces answered it, for pages that were written for that one.

use std::cmp::Reverse;

use domain::documents::Fresh;
use domain::{Board, BoardEntry, FreshnessDocument, UserId, Window};
use jiff::Timestamp;
use serde::Serialize;

use crate::response::Cacheable;
use crate::{Failure, Serve};

/// Rows of the document.
pub const TOP_SIZE: usize = 20;
/// Rows that are looked at: a page, of which one is read anyway. Only if more have the points of the last row, its place
/// among them is that of the board.
const ROWS_READ: usize = 500;

/// `GET /v1/legacy/leaderboard`
#[derive(Debug, Serialize)]
struct LegacyDocument {
    leaderboard_id: &'static str,
    as_of: &'static str,
    /// To the second.
    generated_at: Timestamp,
    top_size: usize,
    top: Vec<LegacyRow>,
    /// For caches alone.
    #[serde(skip)]
    freshness: FreshnessDocument,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct LegacyRow {
    /// Each has one of its own.
    rank: usize,
    /// Left out of someone who is anonymous, as boards do.
    #[serde(skip_serializing_if = "Option::is_none")]
    employee_id: Option<UserId>,
    total_points: i64,
    total_completed: u64,
}

impl Fresh for LegacyDocument {
    fn freshness_mut(&mut self) -> &mut FreshnessDocument {
        &mut self.freshness
    }
}

impl Serve {
    pub(crate) async fn legacy_leaderboard(&self, now: Timestamp) -> Result<Cacheable, Failure> {
        let (board, window) = (Board::Global, Window::All);
        let head = self.head(&board, window, now).await?;
        let rows = self
            .snapshots
            .entries(&board, window, &head, 0, ROWS_READ)
            .await?;
        let freshness = head.freshness.at(now, &self.bounds);
        let document = LegacyDocument {
            leaderboard_id: "GLOBAL",
            as_of: "LATEST",
            generated_at: to_the_second(freshness.generated_at),
            top_size: TOP_SIZE,
            top: top(rows),
            freshness,
        };
        // The pages stay where they were.
        Ok(self.cacheable(document, now).for_any_origin())
    }
}

/// The first rows, by points, by completed activities and by id. Rows without an id come last among their equals.
fn top(mut rows: Vec<BoardEntry>) -> Vec<LegacyRow> {
    rows.sort_by(|a, b| {
        let key = |row: &BoardEntry| (Reverse(row.points), Reverse(row.activities));
        let id = |row: &BoardEntry| (row.user_id.is_none(), row.user_id.clone());
        key(a).cmp(&key(b)).then_with(|| id(a).cmp(&id(b)))
    });
    let ranked = (1..).zip(rows.into_iter().take(TOP_SIZE));
    let row = |(rank, row): (usize, BoardEntry)| LegacyRow {
        rank,
        employee_id: row.user_id,
        total_points: row.points,
        total_completed: row.activities,
    };
    ranked.map(row).collect()
}

fn to_the_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).expect("a time without its fraction is a time")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn top_of(board: &str) -> Vec<String> {
        let rows = board.split_whitespace().map(|row| {
            let (id, sums) = row.split_once('=').unwrap();
            let (points, activities) = sums.split_once('/').unwrap();
            BoardEntry {
                rank: 1,
                user_id: (id != "?").then(|| id.parse().unwrap()),
                name: None,
                points: points.parse().unwrap(),
                activities: activities.parse().unwrap(),
                change: None,
            }
        });
        let top = top(rows.collect()).into_iter().map(|row| {
            let id = row.employee_id.as_ref().map_or("?", UserId::as_str);
            format!("{}.{id}={}/{}", row.rank, row.total_points, row.total_completed)
        });
        top.collect()
    }

    #[test]
    fn everyone_has_a_rank_of_his_own() {
        let check = |board, expected| assert_eq!(top_of(board).join(" "), expected, "{board}");
        check("", "");
        check("bob=10/1 ann=5/9", "1.bob=10/1 2.ann=5/9");
        check("ann=10/1 bob=10/2", "1.bob=10/2 2.ann=10/1");
        check("cy=10/1 ?=10/1 ann=10/1", "1.ann=10/1 2.cy=10/1 3.?=10/1");
    }

    #[test]
    fn the_last_row_is_the_first_of_all_with_its_points() {
        let others: Vec<_> = (0..ROWS_READ - 1).map(|id| format!("u{id:03}=5/1")).collect();
        let top = top_of(&format!("{} who-did-more=5/2", others.join(" ")));
        assert_eq!(top.len(), TOP_SIZE);
        assert_eq!(
            (top[0].as_str(), top[19].as_str()),
            ("1.who-did-more=5/2", "20.u018=5/1")
        );
    }
}
