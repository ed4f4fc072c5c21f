//! Reads everything that was stored and compares it with what was sent.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use anyhow::ensure;
use client::Api;
use client::wire::{Activity, Adjustment, Correction, Kind};
use domain::counters::Sum;
use domain::teams::TEAMS;
use domain::{Board, FactId, FactKey, ProgramId, Tally, TeamId, UserId, Window};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use local::{Stack, dynamodb_client, settings};
use serde::Serialize;
use store::ledger::{Ledger, LedgerKey};
use store::{Blocks, Facts, Standings};

use super::USERS;

/// Items per request.
const PAGE: i32 = 1_000;

/// Each place that records activities, read independently.
#[derive(Debug, Default)]
pub struct Counts {
    pub facts: HashSet<FactKey>,
    /// The activities whose keys are in ledgers and blocks.
    pub keys: HashSet<FactKey>,
    /// Keys of no fact.
    pub unknown_keys: u64,
    pub standings: BTreeMap<(UserId, ProgramId), Tally>,
    /// The rows of the global board, and of others that are compared.
    pub board: BTreeMap<Row, Tally>,
}

/// A row of a board: the board, and who it is about.
pub type Row = (String, String);

/// How one place differs from what was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub of: &'static str,
    pub missing: u64,
    pub excess: u64,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, missing, excess } = self;
        match (missing, excess) {
            (0, 0) => write!(f, "{of} exact"),
            _ => write!(f, "{of}: {missing} missing, {excess} too many"),
        }
    }
}

impl Counts {
    /// The expected state once these activities are counted.
    pub fn of<'a>(activities: impl IntoIterator<Item = &'a Activity>) -> Self {
        Self::corrected(activities, &[], None)
    }

    /// The expected state once these activities and corrections are counted, where the check-ins of a user in a
    /// program and day (UTC) are worth at most so many points.
    pub fn corrected<'a>(
        activities: impl IntoIterator<Item = &'a Activity>,
        corrections: &[Correction],
        check_in_points_a_day_max: Option<i64>,
    ) -> Self {
        let mut expected = Expected {
            check_in_points_a_day_max,
            ..Expected::default()
        };
        let mut facts = HashSet::new();
        let mut by_id = HashMap::new();
        for activity in activities {
            facts.insert(FactKey {
                user: activity.user_id.clone(),
                id: (&activity.activity_id).into(),
            });
            by_id.insert((&activity.user_id, &activity.activity_id), activity);
            expected.add(activity, 1);
        }
        for correction in corrections {
            let id = match &correction.voids {
                Some(activity) => {
                    let activity = by_id.get(&(&correction.user_id, activity));
                    expected.add(activity.expect("it was sent"), -1);
                    FactId::of_void(&activity.expect("it was sent").activity_id)
                }
                None => FactId::of_adjustment(&correction.correction_id),
            };
            if let Some(Adjustment { program_id, points }) = &correction.adjusts {
                let standing = (correction.user_id.clone(), program_id.clone());
                expected.sums.entry(standing).or_default().points += i64::from(*points);
            }
            facts.insert(FactKey {
                user: correction.user_id.clone(),
                id,
            });
        }
        let mut counts = Self {
            keys: facts.clone(),
            facts,
            unknown_keys: 0,
            standings: expected.into_standings(),
            board: BTreeMap::new(),
        };
        let users = counts.of_users().into_iter();
        let shown = users.map(|(user, sum)| (Some(row_name(user.as_str(), None)), sum));
        counts.board = rows(&Board::Global.to_string(), shown).into_iter().collect();
        counts
    }

    /// What each user has in all programs together. Whoever has nothing is not among them.
    pub fn of_users(&self) -> BTreeMap<UserId, Tally> {
        let mut users: BTreeMap<UserId, Tally> = BTreeMap::new();
        for ((user, _), tally) in &self.standings {
            *users.entry(user.clone()).or_default() += *tally;
        }
        users.retain(|_, tally| !tally.is_nothing());
        users
    }

    /// The number of activities in the standings.
    pub fn activities(&self) -> u64 {
        self.standings.values().map(|tally| tally.activities).sum()
    }

    /// How the actual state differs from this one, for each place.
    pub fn differences(&self, there: &Self) -> [Difference; 4] {
        let mut keys = of_keys("keys", &self.keys, &there.keys);
        keys.excess += there.unknown_keys;
        [
            of_keys("facts", &self.facts, &there.facts),
            keys,
            of_sums("standings", &self.standings, &there.standings),
            of_sums("board", &self.board, &there.board),
        ]
    }
}

/// What standings should come to, computed apart from the functions.
#[derive(Default)]
struct Expected {
    check_in_points_a_day_max: Option<i64>,
    sums: BTreeMap<(UserId, ProgramId), Sum>,
    check_ins: BTreeMap<(UserId, ProgramId, Date), i64>,
}

impl Expected {
    /// Adds an activity, or with the sign -1 takes it out.
    fn add(&mut self, activity: &Activity, sign: i64) {
        let (user, program) = (activity.user_id.clone(), activity.program_id.clone());
        let points = sign * points(activity.kind);
        let sum = self.sums.entry((user.clone(), program.clone())).or_default();
        sum.activities += sign;
        if activity.kind == Kind::ProgramCheckIn && self.check_in_points_a_day_max.is_some() {
            let at = activity.occurred_at.expect("its day must be known");
            let day = at.to_zoned(TimeZone::UTC).date();
            *self.check_ins.entry((user, program, day)).or_default() += points;
        } else {
            sum.points += points;
        }
    }

    fn into_standings(mut self) -> BTreeMap<(UserId, ProgramId), Tally> {
        for ((user, program, _), points) in self.check_ins {
            let max = self.check_in_points_a_day_max.unwrap_or(i64::MAX);
            self.sums.entry((user, program)).or_default().points += points.min(max);
        }
        let sums = self.sums.into_iter();
        sums.map(|(standing, sum)| (standing, sum.into())).collect()
    }
}

/// The points in the README. Deliberately independent of the functions' policy, which it checks.
pub fn points(kind: Kind) -> i64 {
    match kind {
        Kind::TaskCompleted => 10,
        Kind::ProgramCheckIn => 5,
        Kind::LearningMilestone => 25,
    }
}

fn of_keys(of: &'static str, expected: &HashSet<FactKey>, there: &HashSet<FactKey>) -> Difference {
    Difference {
        of,
        missing: expected.difference(there).count() as u64,
        excess: there.difference(expected).count() as u64,
    }
}

fn of_sums<K: Ord>(
    of: &'static str,
    expected: &BTreeMap<K, Tally>,
    there: &BTreeMap<K, Tally>,
) -> Difference {
    let mut difference = Difference {
        of,
        ..Difference::default()
    };
    let both = expected
        .keys()
        .chain(there.keys().filter(|key| !expected.contains_key(*key)));
    for key in both {
        let expected = expected.get(key).copied().unwrap_or_default();
        let there = there.get(key).copied().unwrap_or_default();
        let missing = expected.activities.saturating_sub(there.activities);
        let excess = there.activities.saturating_sub(expected.activities);
        // Equal numbers of activities with different points mean that one was counted as another.
        let is_as_many = missing == 0 && excess == 0;
        difference.missing += missing + u64::from(is_as_many && there.points < expected.points);
        difference.excess += excess + u64::from(is_as_many && there.points > expected.points);
    }
    difference
}

/// Reads every place whole: the facts, the ledgers and the blocks of the live generation from the tables, and
/// the board from the API.
pub async fn read(stack: &Stack, api: &Api) -> anyhow::Result<Counts> {
    let client = dynamodb_client(&stack.aws_url);
    let mut counts = Counts {
        board: served_board(api).await?,
        ..Counts::default()
    };
    let shards = settings::STANDING_SHARDS.to_string().parse()?;
    let standings = Standings::new(client.clone(), stack.tables.standings.clone(), shards);
    let generation = standings.generations().await?.live;
    let facts = Facts::new(client.clone(), stack.tables.activities.clone());
    let mut known = HashMap::new();
    let mut after = None;
    loop {
        let page = facts.page((0, 1), after.as_ref(), PAGE).await?;
        ensure!(
            page.unreadable.is_empty(),
            "not an activity: {:?}",
            page.unreadable
        );
        for fact in page.facts {
            let key = LedgerKey::new(fact.received_at, &fact.fact.id());
            counts.facts.insert(fact.fact.key());
            known.insert(
                (fact.fact.user().clone(), fact.fact.program().clone(), key),
                fact.fact.key(),
            );
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut epochs = HashMap::new();
    let mut keys: HashSet<(UserId, ProgramId, LedgerKey)> = HashSet::new();
    for shard in standings.shards(generation) {
        let take = |user: UserId, program: ProgramId, ledger: Ledger| {
            let standing = (user.clone(), program.clone());
            let tally = ledger.counters.sums()[0].into();
            counts.standings.insert(standing.clone(), tally);
            epochs.insert(standing, ledger.epoch);
            keys.extend(
                ledger
                    .keys()
                    .iter()
                    .map(|key| (user.clone(), program.clone(), *key)),
            );
        };
        standings.read_ledgers(shard, take).await?;
    }
    let blocks = Blocks::new(client, stack.tables.dedup.clone());
    let mut after = None;
    loop {
        let page = blocks.page(after, PAGE).await?;
        for block in page.blocks {
            let (user, program) = (block.user, block.program);
            // Blocks of another epoch are of a rebuild that was never written, or of what it replaced.
            let is_current = epochs.get(&(user.clone(), program.clone())) == Some(&block.epoch);
            if block.generation == generation && is_current {
                keys.extend(
                    block
                        .keys
                        .into_iter()
                        .map(|key| (user.clone(), program.clone(), key)),
                );
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    for key in keys {
        match known.get(&key) {
            Some(activity) => {
                counts.keys.insert(activity.clone());
            }
            None => counts.unknown_keys += 1,
        }
    }
    Ok(counts)
}

/// A process that hung when the faults ended still fails one invocation.
const BOARD_ATTEMPTS: u32 = 3;

async fn served_board(api: &Api) -> anyhow::Result<BTreeMap<Row, Tally>> {
    for _ in 1..BOARD_ATTEMPTS {
        if let Ok(board) = board(api, &Board::Global).await {
            return Ok(board);
        }
    }
    board(api, &Board::Global).await
}

/// The rows of an all-time board from the API.
pub async fn board(api: &Api, board: &Board) -> anyhow::Result<BTreeMap<Row, Tally>> {
    let (document, _) = api.board(board, Window::All, USERS).await?;
    ensure!(
        document.next_cursor.is_none(),
        "the board has more users than were sent"
    );
    let shown = document.entries.into_iter().map(|entry| {
        let user = entry.user_id.as_deref();
        let tally = Tally {
            points: entry.points,
            activities: entry.activities,
        };
        (user.map(|user| row_name(user, entry.name.as_deref())), tally)
    });
    Ok(rows(&board.to_string(), shown).into_iter().collect())
}

/// The rows of the all-time board of teams from the API: their points, and their members for activities.
pub async fn teams(api: &Api) -> anyhow::Result<BTreeMap<Row, Tally>> {
    let (document, _) = api.teams(Window::All, USERS).await?;
    ensure!(
        document.next_cursor.is_none(),
        "there are more teams than were sent"
    );
    let teams = document.entries.into_iter().map(|team| {
        let tally = Tally {
            points: team.points,
            activities: team.members,
        };
        (team_row(&team.team_id), tally)
    });
    Ok(teams.collect())
}

pub fn team_row(team: &TeamId) -> Row {
    (TEAMS.to_owned(), team.to_string())
}

/// Who a row is about: the id and, if there is one, the name.
pub fn row_name(user: &str, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{user} ({name})"),
        None => user.to_string(),
    }
}

/// The rows of a board. Those without a name are anonymous, and numbered from the most points down.
pub fn rows(board: &str, shown: impl IntoIterator<Item = (Option<String>, Tally)>) -> Vec<(Row, Tally)> {
    let mut anonymous = Vec::new();
    let mut rows = Vec::new();
    for (name, tally) in shown {
        match name {
            Some(name) => rows.push(((board.to_owned(), name), tally)),
            None => anonymous.push(tally),
        }
    }
    anonymous.sort_unstable_by_key(|tally| Reverse((tally.points, tally.activities)));
    let numbered = (1..).zip(anonymous);
    rows.extend(numbered.map(|(number, tally)| ((board.to_owned(), format!("anonymous {number}")), tally)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Activities such as `ann1`, all of the same program and kind.
    fn counts(ids: &str) -> Counts {
        let activity = |id: &str| Activity {
            activity_id: id.parse().expect("an id"),
            user_id: id[..3].parse().expect("an id"),
            program_id: "p".parse().expect("an id"),
            kind: Kind::TaskCompleted,
            occurred_at: None,
        };
        let activities: Vec<Activity> = ids.split_whitespace().map(activity).collect();
        Counts::of(&activities)
    }

    fn check(there: &Counts, expected: [(u64, u64); 4]) {
        let differences = counts("ann1 ann2 bob1").differences(there);
        assert_eq!(differences.map(|each| (each.missing, each.excess)), expected);
    }

    #[test]
    fn each_place_tells_what_it_lacks_and_what_it_has_too_many() {
        check(&counts("bob1 ann2 ann1"), [(0, 0); 4]);
        check(&counts("ann1 bob1"), [(1, 0); 4]);
        check(&Counts::default(), [(3, 0); 4]);
        check(&counts("ann1 ann2 bob1 cyd1"), [(0, 1); 4]);
        // One lost and one double of another user: the total alone would look right.
        let mut mixed = counts("ann1 bob1 bob2");
        mixed.keys = counts("ann1 ann2 bob1").keys;
        mixed.unknown_keys = 2;
        check(&mixed, [(1, 1), (0, 2), (1, 1), (1, 1)]);
    }

    #[test]
    fn other_points_for_as_many_activities_are_a_difference() {
        let mut there = counts("ann1 ann2 bob1");
        there.standings.values_mut().for_each(|tally| tally.points += 1);
        there.board.values_mut().for_each(|tally| tally.points -= 1);
        check(&there, [(0, 0), (0, 0), (0, 2), (2, 0)]);
    }
}
