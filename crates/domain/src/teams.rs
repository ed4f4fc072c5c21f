//! The board of teams: what the members of each have together.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::id::TeamId;
use crate::person::DisplayName;

/// The name of the board of teams in addresses.
pub const TEAMS: &str = "teams";

/// How the score of a team follows from the points of its members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TeamScore {
    #[default]
    Sum,
    /// Over all members in the directory, whether they have points or not.
    Mean,
    /// The sum of this many members with the most points.
    Top(u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a team score; use sum, mean or top:N with N from 1 to {max}", max = TeamScore::TOP_MAX)]
pub struct InvalidTeamScore;

impl TeamScore {
    /// A snapshot keeps the points of so many members of each team in each window.
    pub const TOP_MAX: u16 = 100;
}

impl FromStr for TeamScore {
    type Err = InvalidTeamScore;

    fn from_str(raw: &str) -> Result<Self, InvalidTeamScore> {
        match raw {
            "sum" => Ok(Self::Sum),
            "mean" => Ok(Self::Mean),
            _ => match raw.strip_prefix("top:").map(str::parse) {
                Some(Ok(best)) if (1..=Self::TOP_MAX).contains(&best) => Ok(Self::Top(best)),
                _ => Err(InvalidTeamScore),
            },
        }
    }
}

impl fmt::Display for TeamScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sum => f.write_str("sum"),
            Self::Mean => f.write_str("mean"),
            Self::Top(best) => write!(f, "top:{best}"),
        }
    }
}

/// One row of the board of teams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamEntry {
    /// Competition rank: equal scores share it, and the next rank is skipped.
    pub rank: u64,
    pub team_id: TeamId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<DisplayName>,
    /// With at most two decimals, rounded half up. Teams are ranked by the exact value.
    pub score: Number,
    /// Those of all members together, whatever their visibility.
    pub points: i64,
    /// All members in the directory.
    pub members: u64,
}

/// The board of teams in one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankedTeams {
    /// The best teams: highest score first, then by id.
    pub entries: Vec<TeamEntry>,
    /// How many teams take part, listed or not.
    pub participants: u64,
    /// The points of all of them.
    pub points: i64,
}

/// Collects what the members of each team have, in several windows or periods.
#[derive(Debug)]
pub struct TeamsBuilder {
    score: TeamScore,
    windows: usize,
    /// How many teams are compared.
    limit: usize,
    teams: HashMap<TeamId, Together>,
}

/// The members of one team.
#[derive(Debug, Default)]
struct Together {
    members: u64,
    /// Those who have been counted. The others have no points.
    counted: u64,
    windows: Vec<InWindow>,
}

#[derive(Debug, Default)]
struct InWindow {
    points: i64,
    /// The most points of single members, if the score asks for them.
    best: BinaryHeap<Reverse<i64>>,
}

/// A score as a fraction, so that it is compared exactly.
#[derive(Clone, Copy, Debug)]
struct Score {
    points: i64,
    divisor: u64,
}

impl TeamsBuilder {
    pub fn new(score: TeamScore, windows: usize, limit: usize) -> Self {
        Self {
            score,
            windows,
            limit,
            teams: HashMap::new(),
        }
    }

    /// Adds someone whom the directory has in this team.
    pub fn add_member(&mut self, team: &TeamId) {
        if let Some(together) = self.team(team) {
            together.members += 1;
        }
    }

    /// Adds the points that one of these members has in all programs, in each window.
    pub fn add(&mut self, team: &TeamId, points: impl IntoIterator<Item = i64>) {
        let best = match self.score {
            TeamScore::Top(best) => usize::from(best),
            TeamScore::Sum | TeamScore::Mean => 0,
        };
        let Some(together) = self.team(team) else {
            return;
        };
        together.counted += 1;
        for (points, sums) in points.into_iter().zip(&mut together.windows) {
            sums.points += points;
            sums.add_best(points, best);
        }
    }

    /// How many teams have members, up to the limit.
    pub fn count(&self) -> usize {
        self.teams.len()
    }

    /// Ranks the teams that have at least so many members, in each window. Lists the best.
    pub fn finish(
        mut self,
        min_members: u64,
        listed: usize,
        title: impl Fn(&TeamId) -> Option<DisplayName>,
    ) -> Vec<RankedTeams> {
        self.teams.retain(|_, team| team.members >= min_members.max(1));
        (0..self.windows)
            .map(|window| self.ranked(window, listed, &title))
            .collect()
    }

    fn ranked(
        &mut self,
        window: usize,
        listed: usize,
        title: impl Fn(&TeamId) -> Option<DisplayName>,
    ) -> RankedTeams {
        let score = self.score;
        let mut teams: Vec<_> = self
            .teams
            .iter_mut()
            .map(|(team, together)| {
                let points = together.windows[window].points;
                (together.score(window, score), team, points, together.members)
            })
            .collect();
        teams.sort_unstable_by(|(a, team, ..), (b, other, ..)| b.cmp(a).then(team.cmp(other)));
        let participants = teams.len() as u64;
        let points = teams.iter().map(|(.., points, _)| points).sum();
        let mut entries: Vec<TeamEntry> = Vec::with_capacity(teams.len().min(listed));
        let mut above: Option<Score> = None;
        for (position, (score, team, points, members)) in (1..).zip(teams.into_iter().take(listed)) {
            let rank = match entries.last() {
                Some(last) if above.is_some_and(|above| above.cmp(&score).is_eq()) => last.rank,
                _ => position,
            };
            above = Some(score);
            entries.push(TeamEntry {
                rank,
                team_id: team.clone(),
                title: title(team),
                score: score.rounded(),
                points,
                members,
            });
        }
        RankedTeams {
            entries,
            participants,
            points,
        }
    }

    fn team(&mut self, team: &TeamId) -> Option<&mut Together> {
        if !self.teams.contains_key(team) {
            if self.teams.len() >= self.limit {
                return None;
            }
            let mut together = Together::default();
            together.windows.resize_with(self.windows, InWindow::default);
            self.teams.insert(team.clone(), together);
        }
        self.teams.get_mut(team)
    }
}

impl Together {
    fn score(&mut self, window: usize, score: TeamScore) -> Score {
        let sums = &mut self.windows[window];
        match score {
            TeamScore::Sum => Score {
                points: sums.points,
                divisor: 1,
            },
            TeamScore::Mean => Score {
                points: sums.points,
                divisor: self.members,
            },
            TeamScore::Top(best) => {
                // Who has not been counted has no points, which is more than less than none.
                let uncounted = self.members.saturating_sub(self.counted);
                for _ in 0..uncounted.min(best.into()) {
                    sums.add_best(0, best.into());
                }
                Score {
                    points: sums.best.iter().map(|Reverse(points)| points).sum(),
                    divisor: 1,
                }
            }
        }
    }
}

impl InWindow {
    fn add_best(&mut self, points: i64, best: usize) {
        if self.best.len() < best {
            self.best.push(Reverse(points));
        } else if self.best.peek().is_some_and(|Reverse(least)| points > *least) {
            self.best.pop();
            self.best.push(Reverse(points));
        }
    }
}

impl Score {
    fn cmp(&self, other: &Self) -> Ordering {
        let scaled = |points: i64, by: u64| i128::from(points) * i128::from(by);
        scaled(self.points, other.divisor).cmp(&scaled(other.points, self.divisor))
    }

    /// With two decimals, half up, or as a whole number.
    fn rounded(&self) -> Number {
        let divisor = i128::from(self.divisor);
        let hundredths = (i128::from(self.points) * 200 + divisor).div_euclid(2 * divisor);
        let whole = i64::try_from(hundredths / 100).ok();
        match whole.filter(|_| hundredths % 100 == 0) {
            Some(whole) => whole.into(),
            #[expect(
                clippy::cast_precision_loss,
                reason = "two decimals of fewer than 2^53 hundredths are exact"
            )]
            None => Number::from_f64(hundredths as f64 / 100.0).expect("a quotient of integers is finite"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    /// Teams as in `a=5,-2,-`, where `-` is a member who has done nothing.
    fn ranked(score: &str, min_members: u64, listed: usize, teams: &str) -> RankedTeams {
        let mut builder = TeamsBuilder::new(score.parse().unwrap(), 2, 100);
        for team in teams.split_whitespace() {
            let (team, members) = team.split_once('=').unwrap();
            let team: TeamId = team.parse().unwrap();
            for member in members.split(',').filter(|member| !member.is_empty()) {
                builder.add_member(&team);
                if member != "-" {
                    builder.add(&team, [0, member.parse().unwrap()]);
                }
            }
        }
        let title = |team: &TeamId| (team.as_str() == "a").then(|| "The A".parse().unwrap());
        let [other, ranked] = builder.finish(min_members, listed, title).try_into().unwrap();
        assert!(other.entries.iter().all(|team| team.points == 0));
        ranked
    }

    /// Rows as in `1.a=5/2`, for the score and the members.
    fn check(score: &str, teams: &str, expected: &str) {
        let rows = ranked(score, 1, 100, teams).entries.into_iter();
        let rows = rows.map(|row| format!("{}.{}={}/{}", row.rank, row.team_id, row.score, row.members));
        assert_eq!(rows.collect::<Vec<_>>().join(" "), expected, "{score} of {teams}");
    }

    #[test]
    fn scores() {
        check("sum", "", "");
        check("sum", "a=5,2 b=9 c=- d=-3", "1.b=9/1 2.a=7/2 3.c=0/1 4.d=-3/1");
        check("mean", "a=5,2 b=9 c=-,9", "1.b=9/1 2.c=4.5/2 3.a=3.5/2");
        check("top:1", "a=5,2 b=9 c=-,-3", "1.b=9/1 2.a=5/2 3.c=0/2");
        check("top:2", "a=5,2,1 b=-4,-,-1", "1.a=7/3 2.b=-1/3");
        check("top:3", "a=1,2,3,4,-7 b=-4,-5", "1.a=9/5 2.b=-9/2");
    }

    #[test]
    fn equal_scores_share_a_rank_and_are_ordered_by_id() {
        check("sum", "c=5 b=2,3 a=1", "1.b=5/2 1.c=5/1 3.a=1/1");
        // 1/3 and 33/100 look alike when rounded, and are not equal.
        let hundred = vec!["-"; 99].join(",");
        check(
            "mean",
            &format!("a=33,{hundred} b=1,-,- c=2,-,-,-,-,-"),
            "1.b=0.33/3 1.c=0.33/6 3.a=0.33/100",
        );
    }

    #[test]
    fn means_are_rounded_half_up() {
        let check = |points, divisor, expected: &str| {
            assert_eq!(Score { points, divisor }.rounded().to_string(), expected);
        };
        check(1, 3, "0.33");
        check(2, 3, "0.67");
        check(1, 200, "0.01");
        check(-1, 200, "0");
        check(-3, 200, "-0.01");
        check(76_145, 59, "1290.59");
        check(10, 5, "2");
        check(i64::MAX, 1, "9223372036854775807");
        check(i64::MIN, 1, "-9223372036854775808");
    }

    #[test]
    fn small_teams_are_left_out_and_only_the_best_are_listed() {
        let ranked = ranked("sum", 2, 1, "a=1,2 b=9 c=5,5 d=");
        let rows: Vec<_> = ranked.entries.iter().map(|row| row.team_id.as_str()).collect();
        assert_eq!((rows, ranked.participants, ranked.points), (vec!["c"], 2, 13));
    }

    #[test]
    fn teams_beyond_the_limit_are_not_compared() {
        let mut builder = TeamsBuilder::new(TeamScore::Sum, 1, 1);
        for team in ["a", "b", "a"] {
            builder.add_member(&team.parse().unwrap());
        }
        assert_eq!(builder.count(), 1);
    }

    #[test]
    fn a_row_has_a_title_if_there_is_one() {
        let rows = ranked("mean", 1, 9, "a=1,2 b=1").entries;
        assert_eq!(
            serde_json::to_string(&rows).unwrap(),
            r#"[{"rank":1,"team_id":"a","title":"The A","score":1.5,"points":3,"members":2},{"rank":2,"team_id":"b","score":1,"points":1,"members":1}]"#
        );
        let read: Vec<TeamEntry> = serde_json::from_value(serde_json::to_value(&rows).unwrap()).unwrap();
        assert_eq!(read, rows);
    }

    #[test]
    fn team_scores() {
        for score in ["sum", "mean", "top:1", "top:100"] {
            assert_eq!(score.parse::<TeamScore>().unwrap().to_string(), score);
        }
        for raw in ["", "Sum", "top", "top:", "top:0", "top:101", "top:-1", "max"] {
            assert!(raw.parse::<TeamScore>().is_err(), "{raw:?}");
        }
    }

    proptest! {
        #[test]
        fn the_top_are_those_with_the_most_points(points in proptest::collection::vec(-5..5_i64, 1..12), best in 1..14_u16) {
            let members: Vec<_> = points.iter().map(ToString::to_string).collect();
            let ranked = ranked(&format!("top:{best}"), 1, 9, &format!("a={}", members.join(",")));
            let mut sorted = points;
            sorted.sort_unstable_by_key(|points| Reverse(*points));
            let expected: i64 = sorted.iter().take(best.into()).sum();
            prop_assert_eq!(ranked.entries[0].score.as_i64(), Some(expected));
        }
    }
}
