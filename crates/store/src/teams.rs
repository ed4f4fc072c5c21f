//! The published board of teams: a head for each generation, and pages of rows.

use domain::{Freshness, RankedTeams, TeamEntry, TeamScore, Window, WindowSpan};
use serde::{Deserialize, Serialize};

use crate::document::Document;
use crate::error::StoreError;
use crate::head::PageRef;
use crate::keys::teams_key;
use crate::publication::{LATEST, OLD_HEAD_LIFETIME, Pages, Write, old_head};
use crate::snapshots::{Published, Snapshots, missing};

/// With ids and titles of maximum length, a page takes 270 KB before it is compressed. An item may have 400 KB.
const ROWS_PER_PAGE: usize = 500;

/// One published generation of the board of teams in a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeamsHead {
    pub generation: u64,
    pub window: WindowSpan,
    pub team_score: String,
    /// Smaller teams do not take part.
    #[serde(default)]
    pub min_members: u64,
    pub participants: u64,
    pub points: i64,
    /// The number of teams in the pages.
    pub listed: u64,
    pages: Vec<PageRef>,
    pub freshness: Freshness,
}

/// The board of teams in a window, to be published as the generation after `previous`.
#[derive(Clone, Debug)]
pub struct TeamsPublication {
    pub span: WindowSpan,
    pub previous: Option<TeamsHead>,
    pub ranked: RankedTeams,
    pub team_score: TeamScore,
    pub min_members: u64,
    pub freshness: Freshness,
}

impl TeamsPublication {
    /// Whether there is something to publish: a team, or that there are none any more.
    pub fn is_needed(&self) -> bool {
        let takes_part = |head: &TeamsHead| head.participants > 0;
        self.ranked.participants > 0 || self.previous.as_ref().is_some_and(takes_part)
    }

    /// Plans the writes in order, of which only the last is conditional, and counts the pages among them.
    fn plan(self) -> Result<(TeamsHead, usize, Vec<Write>), StoreError> {
        let now = self.freshness.generated_at;
        let former = self.previous.iter().flat_map(|head| &head.pages);
        let mut pages = Pages::new(former, now);
        let rows = self.ranked.entries.chunks(ROWS_PER_PAGE);
        let refs = rows.map(|rows| Ok(pages.add(&rows, ())?.page));
        let refs = refs.collect::<Result<Vec<_>, StoreError>>()?;
        let mut writes = pages.into_writes();
        let pages_written = writes.len();
        if let Some(previous) = &self.previous {
            let expires_at = (now + OLD_HEAD_LIFETIME).as_second();
            let part = old_head(previous.generation);
            writes.push(Write::Put(Document::new(part, previous, Some(expires_at))?));
        }
        let follows = self.previous.map(|previous| previous.generation);
        let head = TeamsHead {
            generation: follows.unwrap_or(0) + 1,
            window: self.span,
            team_score: self.team_score.to_string(),
            min_members: self.min_members,
            participants: self.ranked.participants,
            points: self.ranked.points,
            listed: self.ranked.entries.len() as u64,
            pages: refs,
            freshness: self.freshness,
        };
        writes.push(Write::ReplaceHead {
            head: Document::new(LATEST.to_owned(), &head, None)?,
            generation: head.generation,
            follows,
        });
        Ok((head, pages_written, writes))
    }
}

impl Snapshots {
    /// The newest generation of the board of teams; `None` if it was never published.
    pub async fn teams(&self, window: Window) -> Result<Option<TeamsHead>, StoreError> {
        self.get_document(&teams_key(window), LATEST).await
    }

    /// A generation that is the newest, or was the newest within the last hour.
    pub async fn teams_of(&self, window: Window, generation: u64) -> Result<Option<TeamsHead>, StoreError> {
        match self.teams(window).await? {
            Some(head) if head.generation != generation => {
                self.get_document(&teams_key(window), &old_head(generation)).await
            }
            latest => Ok(latest),
        }
    }

    /// At most `limit` listed teams, starting at `from` (counted from 0).
    pub async fn team_entries(
        &self,
        head: &TeamsHead,
        from: usize,
        limit: usize,
    ) -> Result<Vec<TeamEntry>, StoreError> {
        let key = teams_key(head.window.name);
        let end = from.saturating_add(limit).div_ceil(ROWS_PER_PAGE);
        let end = end.min(head.pages.len());
        let first = (from / ROWS_PER_PAGE).min(end);
        let mut rows: Vec<TeamEntry> = Vec::new();
        for page in &head.pages[first..end] {
            let content: Option<Vec<TeamEntry>> = self.get_page(&key, page).await?;
            rows.extend(content.ok_or_else(|| missing(page))?);
        }
        Ok(rows.into_iter().skip(from % ROWS_PER_PAGE).take(limit).collect())
    }

    /// Publishes the board of teams in a window. Pages that did not change are not written again.
    pub async fn publish_teams(&self, publication: TeamsPublication) -> Result<Published, StoreError> {
        let key = teams_key(publication.span.name);
        let (head, pages_written, writes) = publication.plan()?;
        Ok(match self.write_all(&key, writes).await? {
            Some(write_units) => Published::Generation {
                generation: head.generation,
                pages_written,
                write_units,
            },
            None => Published::Superseded,
        })
    }
}
