//! The coins of a deployment, for commands that bring them in line with the facts.

use std::time::Duration;

use anyhow::Context as _;
use aws_sdk_dynamodb::Client;
use domain::UserId;
use jiff::SignedDuration;
use store::quests::InvalidQuests;
use store::schema::TableNames;
use store::{Generations, Quests, RewardRules, RewardTables, Rewarding, generations};
use tokio::time::Instant;

/// Of the functions that settle supplies. No supply is settled here.
const FINAL_AFTER: SignedDuration = SignedDuration::from_mins(1);
/// The time that proving one person may take, whose facts keep changing.
const PROOF_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Rewards {
    client: Client,
    standings_table: String,
    pub rewarding: Rewarding,
    pub rules: RewardRules,
}

impl Rewards {
    /// By the quests that are configured, and the rules of the aggregator that started last, which are those of rewards.
    /// With a reason, each change of coins has an audit record.
    pub async fn connect(
        client: Client,
        tables: &TableNames,
        generations: &Generations,
        audited: Option<&'static str>,
    ) -> anyhow::Result<Self> {
        let rules = generations.configured().cloned();
        let rules = rules.context("the deployment has no counting rules yet; start it and run this again")?;
        let quests = Quests::new(client.clone(), tables.coins.clone()).settled().await;
        let quests = quests.map_err(|error| match error {
            InvalidQuests::Store(error) => anyhow::Error::from(error).context(format!(
                "could not read the quests in the table {}; a deployment without quests has none",
                tables.coins
            )),
            error => error.into(),
        })?;
        let reward_tables = RewardTables {
            activities: tables.activities.clone(),
            coins: tables.coins.clone(),
            progress: tables.progress.clone(),
        };
        let rewarding = Rewarding::new(client.clone(), reward_tables, FINAL_AFTER);
        Ok(Self {
            client,
            standings_table: tables.standings.clone(),
            rewarding: match audited {
                Some(reason) => rewarding.recorded(tables.standings.clone(), reason),
                None => rewarding,
            },
            rules: RewardRules::new(quests, rules.calendar, rules.scoring_policy),
        })
    }

    /// Writes what all facts of a person come to. `false` if others wrote each time.
    pub async fn prove(&self, user: &UserId) -> anyhow::Result<bool> {
        // Others may be erased while a command runs.
        let generations = generations::read(&self.client, &self.standings_table).await?;
        let (erasures, deadline) = (generations.erasures, Instant::now() + PROOF_TIMEOUT);
        let proved = self.rewarding.prove(user, &erasures, &self.rules, deadline);
        // Boxed: the compiler refuses futures that are nested too deeply.
        Ok(Box::pin(proved).await?.is_some())
    }
}
