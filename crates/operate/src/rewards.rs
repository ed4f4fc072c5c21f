//! The coins of a deployment, for commands that bring them in line with the facts.

use std::time::Duration;

use anyhow::Context as _;
use domain::UserId;
use store::reward::Rewarded;
use store::{Coins, Quests, RewardRules, RewardTables, Rewarding};
use tokio::time::Instant;

use crate::counts::Counts;

/// When coins and facts are final. Terraform and `podium local` set the same number for the function.
const FINAL_AFTER: jiff::SignedDuration = jiff::SignedDuration::from_mins(1);
/// The time to prove the quests of one person, who may have many facts and be posting meanwhile.
const PROOF_MAX: Duration = Duration::from_mins(1);

pub struct Rewards {
    pub rewarding: Rewarding,
    /// By the time zone and the points of the live generation.
    pub rules: RewardRules,
}

impl Rewards {
    /// `None` where there are no quests.
    pub async fn connect(counts: &Counts) -> anyhow::Result<Option<Self>> {
        let tables = RewardTables {
            activities: counts.tables.activities.clone(),
            coins: counts.tables.coins.clone(),
            progress: counts.tables.progress.clone(),
        };
        if !Coins::new(counts.client.clone(), tables.coins.clone())
            .are_kept()
            .await?
        {
            return Ok(None);
        }
        let quests = Quests::new(counts.client.clone(), tables.coins.clone());
        let quests = quests.configured().await?;
        if quests.is_empty() {
            return Ok(None);
        }
        let (calendar, policy) = (counts.rules.calendar.clone(), counts.rules.scoring_policy.clone());
        Ok(Some(Self {
            rewarding: Rewarding::new(counts.client.clone(), tables, FINAL_AFTER),
            rules: RewardRules::new(quests, calendar, policy),
        }))
    }

    /// Proves all quests of a person.
    pub async fn prove(&self, counts: &Counts, user: &UserId) -> anyhow::Result<Rewarded> {
        let erasures = counts.generations().await?.erasures;
        let deadline = Instant::now() + PROOF_MAX;
        let proved = self.rewarding.prove(user, &erasures, &self.rules, deadline);
        proved.await?.with_context(|| {
            format!("the quests of {user} could not be proved within {PROOF_MAX:?}; run this again")
        })
    }
}
