//! `podium reconcile --rewards`: compares the coins and gates of everyone with the facts, and proves the quests of those
//! for whom they differ.

use std::collections::BTreeMap;
use std::fmt;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use aws_sdk_dynamodb::Client;
use domain::UserId;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use store::erasures::Erasures;
use store::proving::{Change, Effect};
use store::schema::TableNames;
use store::{Coins, Facts, Generations, Quests, StoredFact, generations};
use terminal::text::{counted, grouped};

use super::Args;
use crate::counts::Counts;
use crate::rewards::Rewards;

/// Items in one request.
const PAGE: i32 = 1_000;
/// People that are named for each quest and difference. The rest are only counted.
const EXAMPLES: usize = 10;
/// The reason that the audit records of repairs give.
const REASON: &str = "proved anew from the activities by podium reconcile --rewards --repair";
const CATCHING_UP: &str = "proved anew from the activities, since the quests have changed";
/// Segments of the facts that are read at once meanwhile, beside the functions of the same machine.
const CATCHING_UP_SEGMENTS: u16 = 2;

/// People with a difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct People {
    pub people: u64,
    /// At most [`EXAMPLES`] of them.
    pub users: Vec<String>,
}

/// How often the coins of a quest differ in one way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Differing {
    pub coins: u64,
    #[serde(flatten)]
    pub of: People,
}

/// How the coins of one version of a quest differ from the facts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OfQuest {
    /// Earned, but not there.
    pub missing: Differing,
    /// There, but no longer earned.
    pub to_be_revoked: Differing,
    /// With another time, other evidence or another state.
    pub to_be_amended: Differing,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    pub facts: u64,
    pub users: u64,
    /// Items that are not facts.
    pub unreadable: u64,
    /// Coins that what was received in the last minutes changes.
    pub in_flight: u64,
    pub quests: BTreeMap<String, OfQuest>,
    /// People of whose facts some were never told to rewards, so that the next one may be taken not to matter.
    pub untold: People,
    /// People with differences who were proved anew.
    pub repaired: u64,
    /// People with differences who were not.
    pub left: u64,
}

impl People {
    fn note(&mut self, user: &UserId) {
        self.people += 1;
        if self.users.len() < EXAMPLES {
            self.users.push(user.to_string());
        }
    }

    fn merge(&mut self, other: Self) {
        self.people += other.people;
        self.users.extend(other.users);
        self.users.truncate(EXAMPLES);
    }
}

impl fmt::Display for People {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_all = self.people == self.users.len() as u64;
        write!(
            f,
            "{}{}",
            self.users.join(", "),
            if is_all { "" } else { ", ..." }
        )
    }
}

impl Differing {
    fn merge(&mut self, other: Self) {
        self.coins += other.coins;
        self.of.merge(other.of);
    }
}

impl OfQuest {
    fn note(&mut self, user: &UserId, changes: &[&Change]) {
        for (effect, differing) in [
            (Effect::Issued, &mut self.missing),
            (Effect::Revoked, &mut self.to_be_revoked),
            (Effect::Amended, &mut self.to_be_amended),
        ] {
            let coins = changes.iter().filter(|change| change.effect == effect).count();
            if coins > 0 {
                differing.coins += coins as u64;
                differing.of.note(user);
            }
        }
    }
}

impl Findings {
    fn merge(&mut self, other: Self) {
        self.facts += other.facts;
        self.users += other.users;
        self.unreadable += other.unreadable;
        self.in_flight += other.in_flight;
        self.repaired += other.repaired;
        self.left += other.left;
        self.untold.merge(other.untold);
        for (quest, differing) in other.quests {
            let of_quest = self.quests.entry(quest).or_default();
            of_quest.missing.merge(differing.missing);
            of_quest.to_be_revoked.merge(differing.to_be_revoked);
            of_quest.to_be_amended.merge(differing.to_be_amended);
        }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} of {}: {} in flight, {} that cannot be read.",
            counted(self.facts, "fact", "facts"),
            counted(self.users, "user", "users"),
            counted(self.in_flight, "coin", "coins"),
            grouped(self.unreadable),
        )?;
        for (quest, of_quest) in &self.quests {
            writeln!(f, "quest {quest}")?;
            for (differing, what) in [
                (&of_quest.missing, "missing"),
                (&of_quest.to_be_revoked, "to be revoked"),
                (&of_quest.to_be_amended, "to be amended"),
            ] {
                if differing.coins > 0 {
                    writeln!(f, "  {:>9} {what}: {}", grouped(differing.coins), differing.of)?;
                }
            }
        }
        if self.untold.people > 0 {
            let people = counted(self.untold.people, "person", "people");
            writeln!(
                f,
                "{people} with activities that rewards were not told of: {}",
                self.untold
            )?;
        }
        if self.repaired > 0 {
            let people = counted(self.repaired, "person was", "people were");
            writeln!(f, "{people} proved anew.")?;
        }
        if self.repaired == 0 && self.left == 0 {
            writeln!(f, "All coins are as the facts say.")?;
        }
        Ok(())
    }
}

/// All that a pass over everyone needs.
#[derive(Debug)]
pub struct Pass {
    facts: Facts,
    rewards: Rewards,
    erasures: Erasures,
    /// What was received since may be in flight.
    until: Timestamp,
    is_repairing: bool,
}

impl Pass {
    /// With a reason for its audit records, it repairs what differs.
    pub async fn new(
        client: Client,
        tables: &TableNames,
        generations: Generations,
        until: Timestamp,
        repairs: Option<&'static str>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            facts: Facts::new(client.clone(), tables.activities.clone()),
            rewards: Rewards::connect(client, tables, &generations, repairs).await?,
            erasures: generations.erasures,
            until,
            is_repairing: repairs.is_some(),
        })
    }

    pub async fn run(&self, segments: u16) -> anyhow::Result<Findings> {
        let segments = i32::from(segments);
        let parts: Vec<Findings> = stream::iter(0..segments)
            .map(|segment| self.segment((segment, segments)))
            .buffered(segments.unsigned_abs() as usize)
            .try_collect()
            .await?;
        let mut findings = Findings::default();
        for part in parts {
            findings.merge(part);
        }
        Ok(findings)
    }

    /// Compares the people of one segment of the facts.
    async fn segment(&self, part: (i32, i32)) -> anyhow::Result<Findings> {
        let mut findings = Findings::default();
        // The facts of a user are adjacent, and may continue on the next page.
        let mut open: Vec<StoredFact> = Vec::new();
        let mut after = None;
        loop {
            let page = self.facts.page(part, after.as_ref(), PAGE).await?;
            findings.facts += page.facts.len() as u64;
            findings.unreadable += page.unreadable.len() as u64;
            for fact in page.facts {
                let is_next = |first: &StoredFact| first.fact.user() != fact.fact.user();
                if open.first().is_some_and(is_next) {
                    self.person(&std::mem::take(&mut open), &mut findings).await?;
                }
                open.push(fact);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        self.person(&open, &mut findings).await?;
        Ok(findings)
    }

    async fn person(&self, facts: &[StoredFact], findings: &mut Findings) -> anyhow::Result<()> {
        let Some(user) = facts.first().map(|fact| fact.fact.user()) else {
            return Ok(());
        };
        findings.users += 1;
        let Rewards { rewarding, rules, .. } = &self.rewards;
        let compared = rewarding.compare(user, facts, &self.erasures, rules, self.until);
        // Boxed: the compiler refuses futures that are nested too deeply.
        let compared = Box::pin(compared).await?;
        findings.in_flight += compared.in_flight as u64;
        if compared.is_clean() {
            return Ok(());
        }
        let mut by_quest: BTreeMap<String, Vec<&Change>> = BTreeMap::new();
        for change in &compared.changes {
            let quest = format!("{} {}", change.coin.quest, change.coin.version);
            by_quest.entry(quest).or_default().push(change);
        }
        for (quest, changes) in by_quest {
            findings.quests.entry(quest).or_default().note(user, &changes);
        }
        if compared.is_untold {
            findings.untold.note(user);
        }
        let is_repaired = self.is_repairing && self.rewards.prove(user).await?;
        findings.repaired += u64::from(is_repaired);
        findings.left += u64::from(!is_repaired);
        Ok(())
    }
}

/// Gives the coins that the configured quests owe for facts of before, unless a pass by the same rules has ended. `None`
/// if one has, or if nothing was ever counted, so that there is no before.
pub async fn catch_up(client: Client, tables: &TableNames) -> anyhow::Result<Option<Findings>> {
    let generations = generations::read(&client, &tables.standings).await?;
    if generations.configured().is_none() {
        return Ok(None);
    }
    let quests = Quests::new(client.clone(), tables.coins.clone());
    let pass = Pass::new(client, tables, generations, Timestamp::now(), Some(CATCHING_UP)).await?;
    if quests.has_caught_up(&pass.rewards.rules).await? {
        return Ok(None);
    }
    let findings = pass.run(CATCHING_UP_SEGMENTS).await?;
    if findings.left == 0 {
        quests.note_caught_up(&pass.rewards.rules).await?;
    }
    Ok(Some(findings))
}

pub async fn run(args: &Args, in_flight: SignedDuration) -> anyhow::Result<ExitCode> {
    let Counts { client, tables, .. } = Counts::connect(&args.deployment).await?;
    let generations = generations::read(&client, &tables.standings).await?;
    let status = Coins::new(client.clone(), tables.coins.clone()).status().await;
    let status = status.with_context(|| {
        format!(
            "could not read the table {}; a deployment without quests has none",
            tables.coins
        )
    })?;
    let heartbeat = status.freshness().map(|freshness| freshness.generated_at);
    ensure!(
        heartbeat.is_some() || args.repair,
        "no heartbeat has come through rewards yet, so what is in flight is not known; wait a minute and run this again, \
         or give the coins that are owed with --repair"
    );
    let until = heartbeat.map_or(Timestamp::now(), |sent_at| sent_at.min(Timestamp::now())) - in_flight;
    if !args.json {
        println!("Comparing the coins with the facts received until {until:.0}.");
    }
    let pass = Pass::new(client, &tables, generations, until, args.repair.then_some(REASON)).await?;
    let findings = pass.run(args.segments).await?;
    if args.json {
        println!("{}", serde_json::to_string(&findings)?);
    } else {
        print!("{findings}");
        if findings.left > 0 && !args.repair {
            println!(
                "Nothing is changed. `podium reconcile --rewards --repair` writes the coins as the facts say."
            );
        }
    }
    Ok(if findings.left == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
