//! Compares a generation with the facts: user by user, and then the standings of users without facts.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::{ProgramId, UserId};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use store::StoredFact;
use store::fold::PersonFold;
use store::keys::StandingKey;

use super::Scope;
use super::findings::Findings;
use super::user::{Judgement, Spilled, Terms, judge, presumed, to_look_for};
use crate::counts::Counts;

/// Items in one request.
const PAGE: i32 = 1_000;
/// How often to check a user whose counts keep changing, before leaving that user to the next run.
const LOOKS: u32 = 10;
const LOOK_PAUSE: Duration = Duration::from_millis(200);
/// Users of one page of standings that are looked for among the facts at once.
const USERS_AT_ONCE: usize = 16;
/// The reason that the audit records of repairs give.
const REASON: &str = "written anew from the activities by podium reconcile --repair";

struct Comparison<'a> {
    counts: &'a Counts,
    scope: &'a Scope,
    is_repairing: bool,
}

/// Compares a generation with the facts, and repairs it if told so.
pub async fn compare(counts: &Counts, scope: &Scope, is_repairing: bool) -> anyhow::Result<Findings> {
    let comparison = Comparison {
        counts,
        scope,
        is_repairing,
    };
    let segments = i32::from(scope.segments);
    let parts: Vec<Findings> = stream::iter(0..segments)
        .map(|segment| comparison.segment((segment, segments)))
        .buffer_unordered(segments.unsigned_abs() as usize)
        .try_collect()
        .await?;
    let mut findings = Findings::default();
    for part in parts {
        findings.merge(part);
    }
    findings.merge(comparison.standings_without_facts().await?);
    Ok(findings)
}

impl Comparison<'_> {
    /// Compares the users of one segment of the facts.
    async fn segment(&self, part: (i32, i32)) -> anyhow::Result<Findings> {
        let mut findings = Findings::default();
        // The facts of a user are adjacent, and may continue on the next page.
        let mut open: Vec<StoredFact> = Vec::new();
        let mut after = None;
        loop {
            let page = self.counts.facts.page(part, after.as_ref(), PAGE).await?;
            findings.facts += (page.facts.len() + page.unreadable.len()) as u64;
            findings.not_countable += page.unreadable.len() as u64;
            for fact in page.facts {
                if open
                    .first()
                    .is_some_and(|first| first.fact.user() != fact.fact.user())
                {
                    self.user(&std::mem::take(&mut open), &mut findings).await?;
                }
                open.push(fact);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        self.user(&open, &mut findings).await?;
        Ok(findings)
    }

    async fn user(&self, facts: &[StoredFact], findings: &mut Findings) -> anyhow::Result<()> {
        let Some(user) = facts.first().map(|fact| fact.fact.user().clone()) else {
            return Ok(());
        };
        findings.users += 1;
        // Facts and standings were not read at the same moment, and no block was read. If they agree anyway,
        // all is well.
        let kept = self
            .counts
            .standings
            .kept_of_user(self.scope.generation, &user)
            .await?;
        let spilled = presumed(to_look_for(facts, &kept));
        let judgement = judge(&user, facts, &kept, &spilled, &self.terms());
        if judgement.is_clean() {
            note_harmless(&judgement, findings);
            return Ok(());
        }
        self.exactly(&user, findings).await
    }

    /// Judges a user by a consistent view: the standings are the same before and after reading facts and
    /// blocks. If an activity had been counted meanwhile, they would have another version.
    async fn exactly(&self, user: &UserId, findings: &mut Findings) -> anyhow::Result<()> {
        let (standings, generation) = (&self.counts.standings, self.scope.generation);
        for _ in 0..LOOKS {
            let kept = standings.kept_of_user(generation, user).await?;
            let facts = self.counts.facts.of_user(user).await?;
            let mut spilled = Spilled::new();
            for (program, keys) in to_look_for(&facts, &kept) {
                let epoch = kept[&program].ledger.as_ref().map(|ledger| ledger.epoch);
                let Ok(epoch) = epoch else { continue };
                let standing = self.standing(user, &program);
                let held = self.counts.blocks.holding(&standing, epoch, &keys).await?;
                spilled.insert(program, held);
            }
            if kept == standings.kept_of_user(generation, user).await? {
                let judgement = judge(user, &facts, &kept, &spilled, &self.terms());
                return self.settle(user, &judgement, findings).await;
            }
            tokio::time::sleep(LOOK_PAUSE.mul_f64(rand::random())).await;
        }
        findings.in_flight += 1;
        Ok(())
    }

    /// Notes what is wrong, and repairs it if told so.
    async fn settle(
        &self,
        user: &UserId,
        judgement: &Judgement,
        findings: &mut Findings,
    ) -> anyhow::Result<()> {
        let is_repaired = self.is_repairing && !judgement.is_clean();
        if is_repaired {
            let (generation, shards) = (self.scope.generation, self.counts.rules.standing_shards);
            let fold = PersonFold::new(generation, shards, user.clone());
            self.counts.folding.fold(fold, Some(REASON)).await?;
        }
        for (rule, broken) in [
            (&mut findings.uncounted, &judgement.uncounted),
            (&mut findings.unfounded, &judgement.unfounded),
            (&mut findings.disagreeing, &judgement.disagreeing),
        ] {
            for finding in broken {
                rule.note(finding, is_repaired);
            }
        }
        note_harmless(judgement, findings);
        Ok(())
    }

    fn standing(&self, user: &UserId, program: &ProgramId) -> StandingKey {
        let (generation, shards) = (self.scope.generation, self.counts.rules.standing_shards);
        StandingKey::new(generation, shards, user.clone(), program.clone())
    }

    fn terms(&self) -> Terms<'_> {
        Terms {
            rules: &self.counts.rules,
            watermark: self.scope.watermark,
            now: Timestamp::now(),
        }
    }

    /// Finds standings of users without facts, and standings in the wrong shard.
    async fn standings_without_facts(&self) -> anyhow::Result<Findings> {
        let (counts, generation) = (self.counts, self.scope.generation);
        let mut findings = Findings::default();
        for shard in counts.standings.shards(generation) {
            let (mut users, mut misplaced) = (BTreeSet::new(), Vec::new());
            let take = |members: Vec<(UserId, ProgramId)>| {
                for (user, program) in members {
                    if counts.standings.is_in(&shard, generation, &user) {
                        users.insert(user);
                    } else {
                        misplaced.push(self.standing(&user, &program));
                    }
                }
            };
            counts.standings.read_members(shard.clone(), take).await?;
            for standing in misplaced {
                let found = format!("standing of {} in {}", standing.user, standing.program);
                if self.is_repairing {
                    let member = standing.member();
                    counts
                        .folding
                        .delete_misplaced(generation, &shard, member)
                        .await?;
                }
                let finding = format!("{found}: it is in the wrong shard {shard}");
                findings.unfounded.note(&finding, self.is_repairing);
            }
            let without: Vec<Option<UserId>> = stream::iter(users)
                .map(async |user| anyhow::Ok((!counts.facts.has_any(&user).await?).then_some(user)))
                .buffer_unordered(USERS_AT_ONCE)
                .try_collect()
                .await?;
            for user in without.into_iter().flatten() {
                self.exactly(&user, &mut findings).await?;
            }
        }
        Ok(findings)
    }
}

fn note_harmless(judgement: &Judgement, findings: &mut Findings) {
    findings.in_flight += judgement.in_flight;
    findings.not_countable += judgement.not_countable;
}
