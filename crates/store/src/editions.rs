//! The boards of periods that are over, in editions that never change: a head under the board and window, and pages of
//! rows. Whoever makes one again writes another edition, and the former stays.

use std::collections::HashMap;

use domain::closed::{ClosedBoard, ClosedRow, State};
use domain::documents::BoardSums;
use domain::{Board, Period, RankedTeams, TeamEntry, UserId, Visibility, Window, WindowSpan};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::document::{self, Document};
use crate::error::StoreError;
use crate::head::PageRef;
use crate::item::string;
use crate::keys::{attribute, board_key, teams_key};
use crate::overview::Overview;
use crate::publication::{Pages, Write};
use crate::snapshots::{Snapshots, missing};

/// With ids of maximum length, a page takes 230 KB before it is compressed. An item may have 400 KB.
const ROWS_PER_PAGE: usize = 1_000;
/// With ids of maximum length, a page takes 300 KB before it is compressed.
const CONCEALED_PER_PAGE: usize = 2_000;
const PAGES_AT_ONCE: usize = 8;
/// The key of the pages that name who is concealed.
pub(crate) const PEOPLE: &str = "people";

/// How the part of the newest edition of a period begins.
pub(crate) const NEWEST: &str = "period ";
/// How the part of a former one begins.
pub(crate) const FORMER: &str = "edition ";

/// The board of a period that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edition<Of> {
    /// One more than that of the edition it replaced, whether provisional or not.
    pub generation: u64,
    /// The number among those that are closed, from 1.
    pub edition: u64,
    pub state: State,
    pub period: Period,
    pub window: WindowSpan,
    /// When its points were read.
    pub as_of: Timestamp,
    /// Whether what was received too late counts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub includes_late: bool,
    /// The number of rows in the pages.
    pub rows: u64,
    pub(crate) pages: Vec<PageRef>,
    #[serde(flatten)]
    pub of: Of,
}

/// What an edition of a board of people has besides its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfPeople {
    /// Those who are not in the rows.
    pub others: BoardSums,
}

/// What an edition of the board of teams has besides its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfTeams {
    pub team_score: String,
    pub participants: u64,
    pub points: i64,
}

pub type BoardEdition = Edition<OfPeople>;
pub type TeamsEdition = Edition<OfTeams>;

/// When and how an edition is made.
#[derive(Clone, Debug)]
pub struct Making {
    pub window: WindowSpan,
    pub period: Period,
    pub state: State,
    pub as_of: Timestamp,
    pub includes_late: bool,
    /// Only an operator replaces an edition that includes what came too late.
    pub is_by_operator: bool,
}

/// What making an edition came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Made {
    Edition {
        edition: u64,
        write_units: f64,
    },
    /// The newest one has the same rows, is closed while this one is provisional, or is an operator's.
    Unchanged,
    /// Another process made one meanwhile, which stays.
    Superseded,
}

impl Made {
    pub fn write_units(&self) -> f64 {
        match self {
            Self::Edition { write_units, .. } => *write_units,
            Self::Unchanged | Self::Superseded => 0.0,
        }
    }
}

impl<Of> Edition<Of> {
    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    fn newest_part(period: Period) -> String {
        format!("{NEWEST}{period}")
    }

    fn former_part(period: Period, generation: u64) -> String {
        format!("{FORMER}{period} {generation:012}")
    }
}

impl Snapshots {
    /// The newest edition of a board; `None` if there is none.
    pub async fn edition(&self, board: &Board, period: Period) -> Result<Option<BoardEdition>, StoreError> {
        self.newest(&board_key(board, period.window()), period).await
    }

    /// An edition of a board by its generation: the newest one, or one that was closed.
    pub async fn edition_of(
        &self,
        board: &Board,
        period: Period,
        generation: u64,
    ) -> Result<Option<BoardEdition>, StoreError> {
        self.of_generation(&board_key(board, period.window()), period, generation)
            .await
    }

    pub async fn closed_board(
        &self,
        board: &Board,
        edition: &BoardEdition,
    ) -> Result<ClosedBoard, StoreError> {
        let key = board_key(board, edition.period.window());
        Ok(ClosedBoard {
            rows: self.rows_of::<ClosedRow>(&key, &edition.pages).await?,
            others: edition.of.others,
        })
    }

    /// The newest editions of a board, the latest period first, at most `limit`, and only those before a period. Returns
    /// also whether there are more.
    pub async fn editions(
        &self,
        board: &Board,
        window: Window,
        before: Option<Period>,
        limit: u16,
    ) -> Result<(Vec<BoardEdition>, bool), StoreError> {
        let end = before.map_or_else(|| format!("{NEWEST}~"), BoardEdition::newest_part);
        let page = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#board = :board AND #part BETWEEN :first AND :end")
            .expression_attribute_names("#board", attribute::BOARD)
            .expression_attribute_names("#part", attribute::PART)
            .expression_attribute_values(":board", string(board_key(board, window)))
            .expression_attribute_values(":first", string(NEWEST))
            .expression_attribute_values(":end", string(end))
            .scan_index_forward(false)
            // The bound is among them, and one more tells whether there are more.
            .limit(i32::from(limit) + 2)
            .send()
            .await
            .map_err(|error| StoreError::unavailable("listing periods", error))?;
        let editions = page.items().iter();
        let editions = editions.map(|item| document::from_item::<BoardEdition>(&self.table, item));
        let mut editions = editions.collect::<Result<Vec<_>, _>>()?;
        editions.retain(|edition| before != Some(edition.period));
        let has_more = editions.len() > usize::from(limit);
        editions.truncate(limit.into());
        Ok((editions, has_more))
    }

    /// Makes an edition of a board.
    pub async fn make_edition(
        &self,
        board: &Board,
        making: &Making,
        closed: &ClosedBoard,
    ) -> Result<Made, StoreError> {
        let key = board_key(board, making.period.window());
        let previous = self.newest(&key, making.period).await?;
        let of = OfPeople {
            others: closed.others,
        };
        self.make(&key, previous, making, of, &closed.rows).await
    }

    /// Makes an edition that follows the one that `closed` was made of, if that is still the newest: in the meantime someone
    /// may have been erased from it.
    pub async fn remake_edition(
        &self,
        board: &Board,
        former: BoardEdition,
        making: &Making,
        closed: &ClosedBoard,
    ) -> Result<Made, StoreError> {
        let key = board_key(board, making.period.window());
        let of = OfPeople {
            others: closed.others,
        };
        self.make(&key, Some(former), making, of, &closed.rows).await
    }

    /// The newest edition of the board of teams.
    pub async fn teams_edition(&self, period: Period) -> Result<Option<TeamsEdition>, StoreError> {
        self.newest(&teams_key(period.window()), period).await
    }

    /// An edition of the board of teams by its generation.
    pub async fn teams_edition_of(
        &self,
        period: Period,
        generation: u64,
    ) -> Result<Option<TeamsEdition>, StoreError> {
        self.of_generation(&teams_key(period.window()), period, generation)
            .await
    }

    /// The rows of an edition of the board of teams, without titles.
    pub async fn teams_in(&self, edition: &TeamsEdition) -> Result<Vec<TeamEntry>, StoreError> {
        self.rows_of(&teams_key(edition.period.window()), &edition.pages)
            .await
    }

    /// Makes an edition of the board of teams.
    pub async fn make_teams_edition(
        &self,
        making: &Making,
        team_score: &str,
        ranked: &RankedTeams,
    ) -> Result<Made, StoreError> {
        let of = OfTeams {
            team_score: team_score.to_owned(),
            participants: ranked.participants,
            points: ranked.points,
        };
        let key = teams_key(making.period.window());
        let previous = self.newest(&key, making.period).await?;
        self.make(&key, previous, making, of, &ranked.entries).await
    }

    async fn newest<Of: DeserializeOwned>(
        &self,
        key: &str,
        period: Period,
    ) -> Result<Option<Edition<Of>>, StoreError> {
        self.get_document(key, &Edition::<Of>::newest_part(period)).await
    }

    async fn of_generation<Of: DeserializeOwned>(
        &self,
        key: &str,
        period: Period,
        generation: u64,
    ) -> Result<Option<Edition<Of>>, StoreError> {
        let newest: Option<Edition<Of>> = self.newest(key, period).await?;
        match newest {
            Some(newest) if newest.generation != generation => {
                let part = Edition::<Of>::former_part(period, generation);
                self.get_document(key, &part).await
            }
            newest => Ok(newest),
        }
    }

    async fn rows_of<Row: DeserializeOwned>(
        &self,
        key: &str,
        pages: &[PageRef],
    ) -> Result<Vec<Row>, StoreError> {
        let reads = pages.iter().map(|page| async move {
            let rows: Option<Vec<Row>> = self.get_page(key, page).await?;
            rows.ok_or_else(|| missing(page))
        });
        let pages: Vec<Vec<Row>> = stream::iter(reads.collect::<Vec<_>>())
            .buffered(PAGES_AT_ONCE)
            .try_collect()
            .await?;
        Ok(pages.into_iter().flatten().collect())
    }

    async fn make<Of, Row>(
        &self,
        key: &str,
        previous: Option<Edition<Of>>,
        making: &Making,
        of: Of,
        rows: &[Row],
    ) -> Result<Made, StoreError>
    where
        Of: PartialEq + Serialize,
        Row: Serialize,
    {
        let Some((edition, writes)) = planned(previous, making, of, rows)? else {
            return Ok(Made::Unchanged);
        };
        Ok(match self.write_all(key, writes).await? {
            Some(write_units) => Made::Edition { edition, write_units },
            None => Made::Superseded,
        })
    }

    /// Those who are not listed, as of the newest snapshot.
    pub async fn concealed(&self, overview: &Overview) -> Result<HashMap<UserId, Visibility>, StoreError> {
        let concealed = self.rows_of(PEOPLE, &overview.concealed).await?;
        Ok(concealed.into_iter().collect())
    }

    /// Writes who is not listed, as far as it changed. Returns the pages and the write units that it took.
    pub async fn publish_concealed(
        &self,
        mut concealed: Vec<(UserId, Visibility)>,
        former: &[PageRef],
        now: Timestamp,
    ) -> Result<(Vec<PageRef>, f64), StoreError> {
        concealed.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut pages = Pages::new(former, now);
        let refs = concealed.chunks(CONCEALED_PER_PAGE);
        let refs = refs.map(|page| Ok(pages.add(&page, ())?.page));
        let refs = refs.collect::<Result<Vec<_>, StoreError>>()?;
        let units = self.write_all(PEOPLE, pages.into_writes()).await?;
        Ok((refs, units.unwrap_or_default()))
    }
}

/// The number of the edition and the writes that make it, in order; `None` if it would change nothing.
fn planned<Of, Row>(
    previous: Option<Edition<Of>>,
    making: &Making,
    of: Of,
    rows: &[Row],
) -> Result<Option<(u64, Vec<Write>)>, StoreError>
where
    Of: PartialEq + Serialize,
    Row: Serialize,
{
    let was_closed = previous
        .as_ref()
        .is_some_and(|previous| previous.state == State::Closed);
    if was_closed && making.state == State::Provisional {
        return Ok(None);
    }
    let included_late = previous.as_ref().is_some_and(|previous| previous.includes_late);
    if included_late && !making.is_by_operator {
        return Ok(None);
    }
    let former = previous.iter().flat_map(|previous| &previous.pages);
    let mut pages = match making.state {
        State::Provisional => Pages::new(former, making.as_of),
        State::Closed => Pages::for_good(former),
    }
    .of_period(making.period);
    let refs = rows
        .chunks(ROWS_PER_PAGE)
        .map(|rows| Ok(pages.add(&rows, ())?.page));
    let refs = refs.collect::<Result<Vec<_>, StoreError>>()?;
    let mut writes = pages.into_writes();
    let is_same = previous.as_ref().is_some_and(|previous| {
        previous.state == making.state
            && previous.pages == refs
            && previous.of == of
            && previous.includes_late == making.includes_late
    });
    if is_same {
        return Ok(None);
    }
    let edition = previous
        .as_ref()
        .map_or(1, |previous| previous.edition + u64::from(was_closed));
    let follows = previous.as_ref().map(|previous| previous.generation);
    if let Some(previous) = previous.filter(|_| was_closed) {
        let part = Edition::<Of>::former_part(previous.period, previous.generation);
        writes.push(Write::Put(Document::new(part, &previous, None)?));
    }
    let head = Edition {
        generation: follows.unwrap_or(0) + 1,
        edition,
        state: making.state,
        period: making.period,
        window: making.window.clone(),
        as_of: making.as_of,
        includes_late: making.includes_late,
        rows: rows.len() as u64,
        pages: refs,
        of,
    };
    writes.push(Write::ReplaceHead {
        head: Document::new(Edition::<Of>::newest_part(making.period), &head, None)?,
        generation: head.generation,
        follows,
    });
    Ok(Some((edition, writes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_periods_with_the_same_rows_share_no_page() {
        let pages = ["2026-W46", "2026-W47"].map(|period| {
            let making = Making {
                period: period.parse().unwrap(),
                ..making(State::Closed, "2026-11-24T00:01:00Z")
            };
            let (_, writes) = planned(None, &making, of(5), &[5]).unwrap().unwrap();
            let parts = writes.into_iter().filter_map(|write| match write {
                Write::Put(document) => Some(document.part),
                Write::ReplaceHead { .. } => None,
            });
            parts.collect::<Vec<_>>()
        });
        assert_eq!(pages[0].len(), 1);
        assert_ne!(pages[0], pages[1]);
    }

    #[test]
    fn only_an_operator_replaces_what_includes_late_activities() {
        let automatic = making(State::Closed, "2026-11-24T00:01:00Z");
        let previous = Edition {
            generation: 2,
            edition: 1,
            state: State::Closed,
            period: automatic.period,
            window: automatic.window.clone(),
            as_of: automatic.as_of,
            includes_late: true,
            rows: 0,
            pages: Vec::new(),
            of: of(9),
        };
        let by_operator = Making {
            is_by_operator: true,
            ..automatic.clone()
        };
        let edition = |making| planned(Some(previous.clone()), making, of(5), &[5]).unwrap();
        assert!(edition(&automatic).is_none());
        assert_eq!(edition(&by_operator).map(|(edition, _)| edition), Some(2));
    }

    fn making(state: State, as_of: &str) -> Making {
        let calendar: domain::Calendar = "Europe/Berlin".parse().unwrap();
        let period: Period = "2026-W47".parse().unwrap();
        Making {
            window: calendar.span_of(period),
            period,
            state,
            as_of: as_of.parse().unwrap(),
            includes_late: false,
            is_by_operator: false,
        }
    }

    fn of(points: i64) -> OfTeams {
        OfTeams {
            team_score: "sum".to_owned(),
            participants: 1,
            points,
        }
    }

    /// Makes an edition after another one. Renders its number and the writes.
    fn made(
        previous: Option<&TeamsEdition>,
        state: State,
        as_of: &str,
        rows: &[i64],
    ) -> (String, Option<TeamsEdition>) {
        let planned = planned(
            previous.cloned(),
            &making(state, as_of),
            of(rows.iter().sum()),
            rows,
        )
        .unwrap();
        let Some((edition, writes)) = planned else {
            return ("unchanged".to_owned(), previous.cloned());
        };
        let mut head = None;
        let writes = writes.into_iter().map(|write| match write {
            Write::Put(document) => {
                let expires = document.expires_at.map_or("for good", |_| "for a week");
                let part = document.part.split(' ').next().unwrap().to_owned();
                format!("{part} {expires}")
            }
            Write::ReplaceHead {
                head: document,
                follows,
                ..
            } => {
                head = Some(serde_json::from_str(&document.json).unwrap());
                format!("{} after {follows:?}", document.part)
            }
        });
        let writes: Vec<_> = writes.collect();
        (format!("{edition}: {}", writes.join(", ")), head)
    }

    #[test]
    fn a_provisional_edition_is_replaced_and_a_closed_one_is_kept() {
        let mut newest = None;
        let mut check = |state, as_of: &str, rows: &[i64], expected: &str| {
            let (made, head) = made(newest.as_ref(), state, as_of, rows);
            assert_eq!(made, expected);
            newest = head;
        };
        check(
            State::Provisional,
            "2026-11-23T00:01:00Z",
            &[5],
            "1: page for a week, period 2026-W47 after None",
        );
        check(State::Provisional, "2026-11-23T01:01:00Z", &[5], "unchanged");
        check(
            State::Provisional,
            "2026-11-23T02:01:00Z",
            &[6],
            "1: page for a week, period 2026-W47 after Some(1)",
        );
        // Its page is the same, and was to expire.
        check(
            State::Closed,
            "2026-11-24T00:01:00Z",
            &[6],
            "1: page for good, period 2026-W47 after Some(2)",
        );
        check(State::Closed, "2026-11-24T00:02:00Z", &[6], "unchanged");
        check(State::Provisional, "2026-11-24T00:03:00Z", &[7], "unchanged");
        check(
            State::Closed,
            "2026-12-01T00:00:00Z",
            &[7],
            "2: page for good, edition for good, period 2026-W47 after Some(3)",
        );
        check(
            State::Closed,
            "2026-12-02T00:00:00Z",
            &[6],
            "3: page for good, edition for good, period 2026-W47 after Some(4)",
        );
    }
}
