//! A model of the tables that counting writes: plain maps, with transactions that apply all actions or
//! none.

use std::collections::{BTreeMap, BTreeSet};

use domain::{ProgramId, Tally};
use store::apply::{Answer, Reason};
use store::plan::{Action, MAX_ACTIONS};

/// Markers, standings by shard and member, and control totals by lane and program.
#[derive(Debug, Default)]
pub struct Tables {
    pub markers: BTreeSet<String>,
    pub standings: BTreeMap<(String, String), BTreeMap<String, u64>>,
    pub totals: BTreeMap<(String, ProgramId), Tally>,
}

impl Tables {
    /// Writes all actions, or none if one of the markers exists.
    pub fn transact(&mut self, actions: &[Action]) -> Answer {
        assert!(
            actions.len() <= MAX_ACTIONS,
            "a transaction of {} actions",
            actions.len()
        );
        let items: BTreeSet<_> = actions.iter().map(item).collect();
        assert_eq!(
            items.len(),
            actions.len(),
            "a transaction writes an item twice: {actions:#?}"
        );
        let reasons = actions.iter().map(|action| match action {
            Action::Mark { marker, .. } if self.markers.contains(marker) => Reason::ConditionFailed,
            _ => Reason::None,
        });
        let reasons: Vec<_> = reasons.collect();
        if reasons.contains(&Reason::ConditionFailed) {
            return Answer::Cancelled(reasons);
        }
        for action in actions {
            self.write(action);
        }
        Answer::Done
    }

    fn write(&mut self, action: &Action) {
        match action {
            Action::Mark { marker, .. } => {
                self.markers.insert(marker.clone());
            }
            Action::AddToStanding {
                shard,
                member,
                all,
                periods,
                remove,
            } => {
                let counters = self.standings.entry((shard.clone(), member.clone())).or_default();
                let all_time = ["points".to_owned(), "activities".to_owned()];
                let periods = periods
                    .iter()
                    .map(|(period, tally)| ([period.clone(), format!("{period} activities")], *tally));
                for ([name, activities_name], Tally { points, activities }) in
                    periods.chain([(all_time, *all)])
                {
                    *counters.entry(name).or_default() += points;
                    *counters.entry(activities_name).or_default() += activities;
                }
                for name in remove {
                    counters.remove(name);
                }
            }
            Action::AddToTotal { lane, program, tally } => {
                *self.totals.entry((lane.clone(), program.clone())).or_default() += *tally;
            }
        }
    }

    /// The points of all standings, by member.
    pub fn points(&self) -> BTreeMap<String, u64> {
        let mut points: BTreeMap<String, u64> = BTreeMap::new();
        for ((_, member), counters) in &self.standings {
            *points.entry(member.clone()).or_default() += counters["points"];
        }
        points
    }

    pub fn total_points(&self) -> u64 {
        self.totals.values().map(|tally| tally.points).sum()
    }
}

fn item(action: &Action) -> (&'static str, String, String) {
    match action {
        Action::Mark { marker, .. } => ("marker", marker.clone(), String::new()),
        Action::AddToStanding { shard, member, .. } => ("standing", shard.clone(), member.clone()),
        Action::AddToTotal { lane, program, .. } => ("standing", lane.clone(), program.to_string()),
    }
}
