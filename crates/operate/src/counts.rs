//! The tables of a deployment, and the rules by which it counts.

use anyhow::{Context as _, ensure};
use store::keys::CountGeneration;
use store::schema::TableNames;
use store::{
    Blocks, CountTables, Facts, Folding, Generations, Rebuilds, Rules, Snapshots, Standings, generations,
    heartbeats,
};

use crate::deployment::Deployment;

/// The tables, and the rules of one generation: the live one, unless [`Counts::of`] names another.
#[derive(Clone)]
pub struct Counts {
    pub client: aws_sdk_dynamodb::Client,
    pub tables: TableNames,
    pub rules: Rules,
    pub facts: Facts,
    pub blocks: Blocks,
    pub standings: Standings,
    pub folding: Folding,
    pub rebuilds: Rebuilds,
    pub snapshots: Snapshots,
}

impl Counts {
    pub async fn connect(deployment: &Deployment) -> anyhow::Result<Self> {
        let client = aws_sdk_dynamodb::Client::new(&deployment.connect(None).await?);
        let tables = TableNames::prefixed(&deployment.prefix());
        let generations = generations::read(&client, &tables.standings).await.with_context(|| {
            let table = &tables.standings;
            match deployment.local(None) {
                Some(address) => format!(
                    "could not read the table {table} at {address}; start a stack with `podium local`, name another \
                     stack with --aws-url, or a deployment on AWS with --environment"
                ),
                None => format!(
                    "could not read the table {table}; check --environment, --project, --region and the permissions \
                     of your AWS credentials"
                ),
            }
        })?;
        let rules = generations.rules(generations.live).cloned();
        let rules = rules.with_context(|| {
            format!(
                "the table {} has no counting rules yet, because no aggregator has run there yet; post an activity, \
                 wait until it is counted, and run this again",
                tables.standings
            )
        })?;
        Ok(Self::ruled(client, tables, rules))
    }

    fn ruled(client: aws_sdk_dynamodb::Client, tables: TableNames, rules: Rules) -> Self {
        let counted = CountTables {
            dedup: tables.dedup.clone(),
            standings: tables.standings.clone(),
        };
        let facts = Facts::new(client.clone(), tables.activities.clone());
        let standings = Standings::new(client.clone(), tables.standings.clone(), rules.standing_shards);
        Self {
            folding: Folding::new(client.clone(), counted, facts.clone(), standings.clone()),
            blocks: Blocks::new(client.clone(), tables.dedup.clone()),
            rebuilds: Rebuilds::new(client.clone(), tables.standings.clone()),
            facts,
            standings,
            snapshots: Snapshots::new(client.clone(), tables.snapshots.clone()),
            client,
            tables,
            rules,
        }
    }

    /// The same tables by the rules of another generation.
    #[must_use]
    pub fn of(&self, generation: CountGeneration, generations: &Generations) -> Self {
        let rules = generations.rules(generation).unwrap_or(&self.rules);
        Self::ruled(self.client.clone(), self.tables.clone(), rules.clone())
    }

    pub async fn generations(&self) -> anyhow::Result<Generations> {
        Ok(generations::read(&self.client, &self.tables.standings).await?)
    }

    /// Changes the generations, if they are still as `known`.
    pub async fn change(&self, known: &Generations, wanted: Generations) -> anyhow::Result<Generations> {
        let changed = generations::replace(&self.client, &self.tables.standings, known, wanted).await?;
        changed
            .context("another command changed the generations at the same time; see `podium rebuild status`")
    }

    /// When the latest heartbeat was sent that all lanes have counted. Activities accepted well before it
    /// are counted, too.
    pub async fn last_heartbeat(
        &self,
        generation: CountGeneration,
    ) -> anyhow::Result<Option<jiff::Timestamp>> {
        let counted = self.standings.counted_heartbeats(generation).await?;
        Ok(heartbeats::counted_by_all(&counted))
    }
}

/// How many parts of a table are read at once, by default.
pub const SEGMENTS_DEFAULT: u16 = 8;
/// `DynamoDB` allows a million, but more connections would not make it faster.
pub const SEGMENTS_MAX: u16 = 256;

pub fn parse_segments(raw: &str) -> anyhow::Result<u16> {
    let segments: u16 = raw.parse().context("must be a whole number of segments")?;
    ensure!(
        (1..=SEGMENTS_MAX).contains(&segments),
        "must be from 1 to {SEGMENTS_MAX}"
    );
    Ok(segments)
}
