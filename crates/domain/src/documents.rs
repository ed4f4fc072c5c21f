//! The documents that `GET` requests return.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::board::{Board, BoardEntry};
use crate::calendar::{Period, WindowSpan};
use crate::closed::State;
use crate::counters::Sum;
use crate::freshness::FreshnessDocument;
use crate::history::{PointsAt, UserHistory};
use crate::id::{ActivityId, QuestId, TeamId, UserId};
use crate::person::{DisplayName, Visibility};
use crate::quest::{CoinState, Revoked};
use crate::season::Season;
use crate::standing::Tally;
use crate::teams::TeamEntry;

/// A document of a `GET` request. Each says how fresh it is.
pub trait Fresh: Serialize {
    fn freshness_mut(&mut self) -> &mut FreshnessDocument;
}

macro_rules! fresh {
    ($($document:ident),+) => {
        $(impl Fresh for $document {
            fn freshness_mut(&mut self) -> &mut FreshnessDocument {
                &mut self.freshness
            }
        })+
    };
}

fresh!(
    BoardDocument,
    UserDocument,
    SearchDocument,
    TeamsDocument,
    HistoryDocument,
    PeriodsDocument,
    BoardsDocument,
    StatusDocument,
    QuestsDocument,
    FindersDocument,
    CoinsDocument,
    UserQuestsDocument
);

/// The members that every document about one board in one window begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoardHeading {
    pub board: Board,
    /// What an admin calls the program or the team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<DisplayName>,
    pub window: WindowSpan,
    /// Of a period that is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<PeriodHeading>,
    pub generation: u64,
    pub participants: u64,
    pub points: i64,
    pub activities: u64,
}

/// What is said of a board of a period that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeriodHeading {
    pub name: Period,
    pub state: State,
    /// The number of the edition, from 1. A provisional one has that of the edition that will be closed.
    pub edition: u64,
    /// When its points were read.
    pub as_of: Timestamp,
    /// Whether what was received too late counts.
    pub includes_late: bool,
    /// What was received too late and does not count: on the board, or of the user; `null` if it is not known.
    pub late: Option<Sum>,
}

/// `GET /v1/boards/{board}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoardDocument {
    #[serde(flatten)]
    pub heading: BoardHeading,
    /// How many entries can be paged through. Less than `participants` on a large board.
    pub listed: u64,
    /// The position of the first entry on the board, from 1.
    pub from: u64,
    pub entries: Vec<BoardEntry>,
    pub next_cursor: Option<String>,
    pub freshness: FreshnessDocument,
}

/// `GET /v1/boards/teams`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeamsDocument {
    pub window: WindowSpan,
    /// Of a period that is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<PeriodHeading>,
    pub generation: u64,
    /// How scores follow from points: `sum`, `mean` or `top:N`.
    pub team_score: String,
    /// How many teams are ranked.
    pub participants: u64,
    /// The points of all of them.
    pub points: i64,
    /// How many entries can be paged through.
    pub listed: u64,
    /// The position of the first entry on the board, from 1.
    pub from: u64,
    pub entries: Vec<TeamEntry>,
    pub next_cursor: Option<String>,
    pub freshness: FreshnessDocument,
}

/// `GET /v1/boards/{board}/users/{user}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserDocument {
    #[serde(flatten)]
    pub heading: BoardHeading,
    pub entry: BoardEntry,
    /// The listed users directly above, best first.
    pub above: Vec<BoardEntry>,
    pub below: Vec<BoardEntry>,
    /// The share of participants, in percent, with no more points than this user.
    pub percentile: f64,
    /// The user's points at the start of each day, week and month within the window, then those of
    /// `entry`. See [`crate::history::of_user`].
    pub history: Vec<PointsAt>,
    /// Listed users whose ids differ from this one only in case. They are other users. Empty for a user who is not
    /// listed if others are not either.
    #[serde(default)]
    pub other_case: Vec<UserId>,
    /// Told of someone whom other readers do not see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concealed_as: Option<Visibility>,
    /// The team that the user is in now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<UserTeam>,
    pub freshness: FreshnessDocument,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserTeam {
    pub team_id: TeamId,
}

/// `GET /v1/boards/{board}/users`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchDocument {
    #[serde(flatten)]
    pub heading: BoardHeading,
    /// The listed users who match the search, best first.
    pub entries: Vec<BoardEntry>,
    pub freshness: FreshnessDocument,
}

/// `GET /v1/boards/{board}/history`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryDocument {
    #[serde(flatten)]
    pub heading: BoardHeading,
    /// The times, oldest first. The last one is the time of this generation.
    pub at: Vec<Timestamp>,
    /// The points of the whole board at each time; `null` before its first snapshot.
    pub total: Vec<Option<i64>>,
    /// The top users, in board order.
    pub users: Vec<UserHistory>,
    pub freshness: FreshnessDocument,
}

/// `GET /v1/boards/{board}/periods`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeriodsDocument {
    pub board: Board,
    /// The days, weeks or months that are over and have a board, the latest first.
    pub periods: Vec<PeriodSummary>,
    pub next_cursor: Option<String>,
    pub freshness: FreshnessDocument,
}

/// One period in the list of those that are over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeriodSummary {
    pub name: Period,
    pub first_day: Option<Date>,
    pub last_day: Option<Date>,
    pub state: State,
    pub edition: u64,
    pub as_of: Timestamp,
}

/// One row of the list of boards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardSummary {
    pub board: Board,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<DisplayName>,
    #[serde(flatten)]
    pub sums: BoardSums,
}

/// The sums of a board in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardSums {
    pub participants: u64,
    pub points: i64,
    pub activities: u64,
}

/// `GET /v1/boards`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoardsDocument {
    pub window: WindowSpan,
    /// The one that runs, or the next one; absent if none is to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub season: Option<Season>,
    /// The global board first, then the programs: those with an order, the lowest first, and the others by points in
    /// the window, most first. Without archived programs.
    pub boards: Vec<BoardSummary>,
    /// How many programs there are. The setting `program_boards` limits how many of them have a board.
    pub programs: u64,
    /// How many teams are ranked. They are listed at `/v1/boards/teams`.
    #[serde(default)]
    pub teams: u64,
    pub freshness: FreshnessDocument,
}

/// `GET /v1/status`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusDocument {
    #[serde(flatten)]
    pub status: Status,
    pub freshness: FreshnessDocument,
}

/// What the last snapshot run measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The sum of all standings.
    pub counted: Tally,
    /// Dead letters: messages that could not be counted and wait for an operator.
    pub dead_letters: u64,
    /// How long the run took, in seconds.
    pub snapshot_seconds: f64,
    /// The settings whose configured values take effect with a rebuild, by their names in Terraform.
    #[serde(default)]
    pub pending_rules: Vec<String>,
}

/// `GET /v1/quests`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuestsDocument {
    /// In the order in which they are configured.
    pub quests: Vec<QuestSummary>,
    pub freshness: FreshnessDocument,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuestSummary {
    pub quest_id: QuestId,
    pub version: u32,
    pub title: String,
    /// What one has to do, in words.
    pub rule: String,
    /// What there is a coin for: `once`, `day`, `week`, `month` or `program`.
    pub per: String,
    pub starts_at: Option<Timestamp>,
    pub ends_at: Option<Timestamp>,
    pub coin: CoinSummary,
    /// How many coins there are in all, if there is a limit.
    pub supply: Option<u32>,
    /// Among the first 40,000 that were found.
    pub issued: u64,
    /// Found, but not yet settled. Among the first 40,000, too.
    pub provisional: u64,
    pub state: QuestState,
}

/// What a coin is called, and how much it is worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoinSummary {
    pub name: String,
    pub value: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestState {
    /// Its coins can be earned, or will be.
    Open,
    /// Its time is over, or its coins are given away.
    Over,
}

/// `GET /v1/quests/{quest}/coins`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FindersDocument {
    pub quest_id: QuestId,
    pub version: u32,
    /// In order of finding. Those of hidden people are left out.
    pub coins: Vec<FoundCoin>,
    pub next_cursor: Option<String>,
    pub freshness: FreshnessDocument,
}

/// A coin in the list of a quest. That of someone anonymous has neither id nor name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundCoin {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coin_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<DisplayName>,
    /// `""` for once.
    pub period: String,
    pub found_at: Timestamp,
    pub state: CoinState,
    /// Where there is a supply.
    pub serial: Option<u32>,
}

/// `GET /v1/users/{user}/coins`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoinsDocument {
    pub user_id: UserId,
    /// The sum of the values of the issued coins.
    pub balance: u64,
    /// In order of finding.
    pub coins: Vec<UserCoin>,
    pub freshness: FreshnessDocument,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserCoin {
    pub coin_id: String,
    pub quest_id: String,
    pub version: u32,
    pub coin: CoinSummary,
    pub period: String,
    pub found_at: Timestamp,
    pub state: CoinState,
    /// Why it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Revoked>,
    pub serial: Option<u32>,
    /// The activities that earned it, by their ids; the first ones of many.
    pub evidence: Vec<ActivityId>,
    pub evidence_count: u64,
}

/// `GET /v1/users/{user}/quests`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserQuestsDocument {
    pub user_id: UserId,
    /// In the order in which they are configured.
    pub quests: Vec<UserQuest>,
    /// The sum of the values of the issued coins.
    pub balance: u64,
    /// Whether the user has more activities than are read, so that some are missing in the progress. Told only then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_partial: bool,
    pub freshness: FreshnessDocument,
}

/// How far a user is with a quest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserQuest {
    pub quest_id: QuestId,
    pub version: u32,
    /// How many coins of it the user has: issued or provisional.
    pub coins: u64,
    /// In the period in which the most is done without a coin; `null` if nothing is.
    pub progress: Option<QuestProgress>,
}

/// See [`crate::quest::Progress`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestProgress {
    pub period: String,
    pub reached: u64,
    pub needed: u64,
    pub in_words: String,
    /// The conditions of `all` that nothing meets yet, or the next step of `ordered`, in words.
    pub lacking: Vec<String>,
}
