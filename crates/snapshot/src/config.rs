use std::str::FromStr;

use domain::{Calendar, TeamScore};
use store::aws::{parsed, required};
use store::keys::ShardCount;
use store::rules::calendar_from_environment;

/// What this function reads from its environment.
#[derive(Clone, Debug)]
pub struct Config {
    /// `ACTIVITIES_TABLE`
    pub activities_table: String,
    /// `STANDINGS_TABLE`
    pub standings_table: String,
    /// `STANDING_SHARDS`
    pub standing_shards: ShardCount,
    /// `SNAPSHOTS_TABLE`
    pub snapshots_table: String,
    /// `PEOPLE_TABLE`
    pub people_table: String,
    /// `TIME_ZONE` and `SEASONS`
    pub calendar: Calendar,
    /// `LISTED_USERS`: how many users a board lists. The others are ranked, too.
    pub listed_users: usize,
    /// `PROGRAM_BOARDS`
    pub program_boards: BoardLimit,
    /// `TEAM_BOARDS`
    pub team_boards: BoardLimit,
    /// `TEAM_SCORE`
    pub team_score: TeamScore,
    /// `MIN_TEAM_SIZE`: how many members a team on the board of teams has at least.
    pub min_team_size: u64,
    /// `QUEUE_URL`
    pub queue_url: String,
    /// `DEAD_LETTER_QUEUE_URL`
    pub dead_letter_queue_url: String,
}

impl Config {
    /// Looks each setting up with `variable`; [`store::aws::variable`] reads the process's environment.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        Ok(Self {
            activities_table: required(&variable, "ACTIVITIES_TABLE")?,
            standings_table: required(&variable, "STANDINGS_TABLE")?,
            standing_shards: parsed(&variable, "STANDING_SHARDS")?,
            snapshots_table: required(&variable, "SNAPSHOTS_TABLE")?,
            people_table: required(&variable, "PEOPLE_TABLE")?,
            calendar: calendar_from_environment(&variable)?,
            listed_users: parsed(&variable, "LISTED_USERS")?,
            program_boards: parsed(&variable, "PROGRAM_BOARDS")?,
            team_boards: parsed(&variable, "TEAM_BOARDS")?,
            team_score: parsed(&variable, "TEAM_SCORE")?,
            min_team_size: parsed(&variable, "MIN_TEAM_SIZE")?,
            queue_url: required(&variable, "QUEUE_URL")?,
            dead_letter_queue_url: required(&variable, "DEAD_LETTER_QUEUE_URL")?,
        })
    }
}

/// How many programs, or teams, have a board. Each costs memory for its listed users, and three write units per
/// snapshot and window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoardLimit(usize);

#[derive(Debug, thiserror::Error)]
#[error("must be a whole number of boards from 1 to {}", BoardLimit::MAX)]
pub struct InvalidBoardLimit;

impl BoardLimit {
    /// Publishing more takes most of the minute between two snapshots, and their list nears the 400 KB of an
    /// item.
    pub const MAX: usize = 2_000;

    pub fn get(self) -> usize {
        self.0
    }
}

impl FromStr for BoardLimit {
    type Err = InvalidBoardLimit;
    fn from_str(raw: &str) -> Result<Self, InvalidBoardLimit> {
        match raw.parse() {
            Ok(boards) if (1..=Self::MAX).contains(&boards) => Ok(Self(boards)),
            _ => Err(InvalidBoardLimit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_boards_is_bounded() {
        for raw in ["1", "500", "2000"] {
            assert!(raw.parse::<BoardLimit>().is_ok(), "{raw:?}");
        }
        for raw in ["0", "2001", "-1", "many", ""] {
            assert!(raw.parse::<BoardLimit>().is_err(), "{raw:?}");
        }
    }
}
