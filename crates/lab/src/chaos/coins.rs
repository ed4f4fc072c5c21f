//! Quests during the load, and the coins that they must come to, worked out from what was sent apart from the functions.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use client::wire::{Activity, Correction, Kind};
use domain::quest::CoinState;
use jiff::tz::TimeZone;
use local::{Stack, dynamodb_client};
use serde::Serialize;
use store::Coins;
use store::coins::Order;
use store::quests::QuestVersion;

use super::people::LEAVERS;
use crate::trial::audit::points;

/// Each of another form or period. Of the last there are so many coins that they are settled during a load of some
/// thousand activities.
pub const QUESTS: &str = r#"[
    {"id":"tasks","version":1,"title":"Tasks","coin":{"name":"Amber","value":10},"per":"once",
     "rule":{"count":{"of":{"kind":"task_completed"},"at_least":4}}},
    {"id":"round","version":1,"title":"All kinds","coin":{"name":"Jade","value":20},"per":"program",
     "rule":{"all":[{"kind":"task_completed"},{"kind":"program_check_in"},{"kind":"learning_milestone"}]}},
    {"id":"busy","version":1,"title":"A busy day","coin":{"name":"Opal","value":5},"per":"day",
     "rule":{"count":{"of":{},"at_least":5}}},
    {"id":"score","version":1,"title":"A milestone","coin":{"name":"Ruby","value":50},"per":"once",
     "rule":{"points":{"of":{},"at_least":100}}},
    {"id":"first","version":1,"title":"The first","coin":{"name":"Crown","value":100},"per":"once","supply":20,
     "rule":{"count":{"of":{"kind":"learning_milestone"},"at_least":2}}}]"#;
const SUPPLY: u32 = 20;
const OF_SUPPLY: &str = "first";
/// Coins that are read at once.
const PAGE: u16 = 1_000;

/// By quest, user and period.
type Key = (&'static str, String, String);

/// The coins that people must have, but for the supply, of which these are the ones who qualify.
pub struct Expected {
    earned: BTreeSet<Key>,
}

/// How the coins differ from what was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CoinsFound {
    pub issued: u64,
    pub revoked: u64,
    pub lost: u64,
    pub double: u64,
    pub wrong_serials: u64,
}

impl CoinsFound {
    pub fn is_exact(&self) -> bool {
        (self.lost, self.double, self.wrong_serials) == (0, 0, 0)
    }
}

impl Expected {
    pub fn of<'a>(activities: impl IntoIterator<Item = &'a Activity>, corrections: &[Correction]) -> Self {
        let voided: HashSet<_> = corrections
            .iter()
            .filter_map(|correction| Some((&correction.user_id, correction.voids.as_ref()?)))
            .collect();
        let mut of_users: BTreeMap<&str, Vec<&Activity>> = BTreeMap::new();
        for activity in activities {
            if !voided.contains(&(&activity.user_id, &activity.activity_id)) {
                of_users
                    .entry(activity.user_id.as_str())
                    .or_default()
                    .push(activity);
            }
        }
        let mut earned = BTreeSet::new();
        for (user, activities) in of_users {
            for (quest, period) in earned_by(&activities) {
                earned.insert((quest, user.to_owned(), period));
            }
        }
        Self { earned }
    }

    /// Who has earned any.
    pub fn users(&self) -> BTreeSet<&str> {
        self.earned.iter().map(|(_, user, _)| user.as_str()).collect()
    }

    /// Reads all coins and compares them.
    pub async fn compared(&self, stack: &Stack) -> anyhow::Result<CoinsFound> {
        let coins = Coins::new(dynamodb_client(&stack.aws_url), stack.tables.coins.clone());
        let mut found = CoinsFound::default();
        let mut there: BTreeSet<Key> = BTreeSet::new();
        let (mut serials, mut provisional) = (Vec::new(), 0);
        for quest in ["tasks", "round", "busy", "score", OF_SUPPLY] {
            let version = QuestVersion {
                quest: quest.parse()?,
                version: 1,
            };
            let mut after = None;
            loop {
                let (holders, next) = coins.holders(&version, Order::Found, after, PAGE).await?;
                for holder in holders {
                    serials.extend(holder.serial);
                    let key = (quest, holder.user.to_string(), holder.period);
                    match holder.state {
                        CoinState::Revoked => found.revoked += 1,
                        CoinState::Provisional => provisional += 1,
                        CoinState::Issued => {
                            found.issued += 1;
                            found.wrong_serials += u64::from((quest == OF_SUPPLY) != holder.serial.is_some());
                            found.double += u64::from(!self.earned.contains(&key));
                            found.double += u64::from(!there.insert(key));
                        }
                    }
                }
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
        let lost = self.earned.difference(&there);
        found.lost = lost.filter(|(quest, ..)| *quest != OF_SUPPLY).count() as u64;
        let qualified = self.earned.iter().filter(|(quest, ..)| *quest == OF_SUPPLY);
        if !serials.is_empty() || qualified.count() >= SUPPLY as usize {
            let distinct: BTreeSet<u32> = serials.iter().copied().collect();
            // A winner whose activity was taken out keeps the serial, and nobody moves up. One who was erased has none.
            let is_right = distinct.len() == serials.len()
                && serials.len() + usize::from(LEAVERS) >= SUPPLY as usize
                && serials.iter().all(|serial| (1..=SUPPLY).contains(serial));
            found.wrong_serials += provisional + u64::from(!is_right);
        }
        Ok(found)
    }
}

/// The quests that one person's activities fulfil, with the periods.
fn earned_by(activities: &[&Activity]) -> Vec<(&'static str, String)> {
    let count = |kind: Kind| activities.iter().filter(|activity| activity.kind == kind).count();
    let mut earned = Vec::new();
    let mut once = |quest: &'static str, is_earned: bool| {
        if is_earned {
            earned.push((quest, String::new()));
        }
    };
    once("tasks", count(Kind::TaskCompleted) >= 4);
    once(
        "score",
        activities
            .iter()
            .map(|activity| points(activity.kind))
            .sum::<i64>()
            >= 100,
    );
    once(OF_SUPPLY, count(Kind::LearningMilestone) >= 2);
    let mut days: BTreeMap<String, usize> = BTreeMap::new();
    let mut programs: BTreeMap<String, HashSet<Kind>> = BTreeMap::new();
    for activity in activities {
        let at = activity.occurred_at.expect("its day must be known");
        *days
            .entry(at.to_zoned(TimeZone::UTC).date().to_string())
            .or_default() += 1;
        let kinds = programs.entry(activity.program_id.to_string()).or_default();
        kinds.insert(activity.kind);
    }
    let busy = days.into_iter().filter(|(_, count)| *count >= 5);
    earned.extend(busy.map(|(day, _)| ("busy", day)));
    let round = programs.into_iter().filter(|(_, kinds)| kinds.len() == 3);
    earned.extend(round.map(|(program, _)| ("round", program)));
    earned
}
