//! Compares a generation with the facts: first user by user, then counts without facts, then totals.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::Context as _;
use domain::{ActivityKey, ProgramId, Standing, Tally, UserId};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use store::facts::Fact;
use store::repair::{Corrected, Correction};
use store::standings::CurrentCounters;

use super::Scope;
use super::findings::{Broken, Findings};
use super::user::{Judgement, Terms, judge};
use crate::counts::Counts;
use crate::deployment::Deployment;

/// Items in one request.
const PAGE: i32 = 1_000;
/// How often to check a user whose counts keep changing, before leaving that user to the next run.
const LOOKS: u32 = 10;
const LOOK_PAUSE: Duration = Duration::from_millis(200);
/// How often to check totals that disagree and keep changing.
const TOTALS_LOOKS: u32 = 5;

/// What repairs need besides the tables.
pub struct Repairing {
    queues: aws_sdk_sqs::Client,
    queue_url: String,
}

impl Repairing {
    pub async fn new(counts: &Counts, deployment: &Deployment) -> anyhow::Result<Self> {
        let queues = aws_sdk_sqs::Client::new(&deployment.connect(None).await?);
        // The queue has the same name as the table of activities.
        let name = &counts.tables.activities;
        let found = queues.get_queue_url().queue_name(name).send().await;
        let found = found.with_context(|| format!("could not look up the queue {name}"))?;
        Ok(Self {
            queue_url: found.queue_url.context("SQS gave no URL")?,
            queues,
        })
    }
}

struct Comparison<'a> {
    counts: &'a Counts,
    scope: &'a Scope,
    repairing: Option<&'a Repairing>,
}

/// Compares a generation with the facts, and repairs it if `repairing` is given.
pub async fn compare(
    counts: &Counts,
    scope: &Scope,
    repairing: Option<&Repairing>,
) -> anyhow::Result<Findings> {
    let comparison = Comparison {
        counts,
        scope,
        repairing,
    };
    let segments = i32::from(scope.segments);
    let parts: Vec<(Findings, HashSet<UserId>)> = stream::iter(0..segments)
        .map(|segment| comparison.segment((segment, segments)))
        .buffer_unordered(segments.unsigned_abs() as usize)
        .try_collect()
        .await?;
    let mut findings = Findings::default();
    let mut users = HashSet::new();
    for (part, of_part) in parts {
        findings.merge(part);
        users.extend(of_part);
    }
    findings.merge(comparison.standings_without_facts(&users).await?);
    findings.merge(comparison.markers_without_facts().await?);
    findings.disagreeing = comparison.totals(findings.disagreeing).await?;
    Ok(findings)
}

impl Comparison<'_> {
    /// Compares the users of one segment of the facts. Returns the users, too.
    async fn segment(&self, part: (i32, i32)) -> anyhow::Result<(Findings, HashSet<UserId>)> {
        let mut findings = Findings::default();
        let mut users = HashSet::new();
        // The facts of a user are adjacent, and may continue on the next page.
        let mut open: Vec<Fact> = Vec::new();
        let mut after = None;
        loop {
            let page = self.counts.facts.page(part, after.as_ref(), PAGE).await?;
            findings.facts += (page.facts.len() + page.unreadable.len()) as u64;
            findings.not_countable += page.unreadable.len() as u64;
            for fact in page.facts {
                if open
                    .first()
                    .is_some_and(|first| first.activity.user != fact.activity.user)
                {
                    self.user(std::mem::take(&mut open), &mut findings, &mut users)
                        .await?;
                }
                open.push(fact);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        self.user(open, &mut findings, &mut users).await?;
        findings.users = users.len() as u64;
        Ok((findings, users))
    }

    async fn user(
        &self,
        facts: Vec<Fact>,
        findings: &mut Findings,
        users: &mut HashSet<UserId>,
    ) -> anyhow::Result<()> {
        let Some(user) = facts.first().map(|fact| fact.activity.user.clone()) else {
            return Ok(());
        };
        users.insert(user.clone());
        // Facts, markers and standings were not read at the same moment. If they agree anyway, all is well.
        let standings = self
            .counts
            .standings
            .of_user(self.scope.generation, &user)
            .await?;
        let marked = self.marked(&facts).await?;
        let judgement = judge(&user, facts, &marked, &standings, &self.terms());
        if judgement.is_clean() {
            note_harmless(&judgement, findings);
            return Ok(());
        }
        self.exactly(&user, findings).await
    }

    /// Judges a user by a consistent view: the counts are the same before and after reading facts and
    /// markers. If an activity had been counted meanwhile, they would differ.
    async fn exactly(&self, user: &UserId, findings: &mut Findings) -> anyhow::Result<()> {
        let generation = self.scope.generation;
        for _ in 0..LOOKS {
            let before = self.counts.standings.of_user(generation, user).await?;
            let facts = self.counts.facts.of_user(user).await?;
            let marked = self.marked(&facts).await?;
            let after = self.counts.standings.of_user(generation, user).await?;
            if before == after {
                let judgement = judge(user, facts, &marked, &after, &self.terms());
                if self.settle(judgement, findings).await? {
                    return Ok(());
                }
            }
            tokio::time::sleep(LOOK_PAUSE.mul_f64(rand::random())).await;
        }
        findings.in_flight += 1;
        Ok(())
    }

    /// Notes what is wrong, and repairs it if allowed. Returns false if counts changed meanwhile: corrections
    /// made so far are done and noted, and the user must be checked again.
    async fn settle(&self, judgement: Judgement, findings: &mut Findings) -> anyhow::Result<bool> {
        let sums = [
            (&mut findings.unfounded, &judgement.unfounded),
            (&mut findings.disagreeing, &judgement.disagreeing),
        ];
        for (rule, corrections) in sums {
            for correction in corrections {
                match self.correct(correction).await? {
                    Some(Corrected::Moved) => return Ok(false),
                    corrected => rule.note(correction, corrected.is_some()),
                }
            }
        }
        for fact in &judgement.uncounted {
            let correction = Correction::SendAgain(fact.key());
            let is_sent = self.correct(&correction).await?.is_some();
            if let (true, Some(repairing)) = (is_sent, self.repairing) {
                repairing
                    .queues
                    .send_message()
                    .queue_url(&repairing.queue_url)
                    .message_body(fact.record()?)
                    .send()
                    .await
                    .context("could not send an activity to the queue again")?;
            }
            findings
                .uncounted
                .note(&describe_uncounted(fact, is_sent), is_sent);
        }
        note_harmless(&judgement, findings);
        Ok(true)
    }

    /// `None` without --repair.
    async fn correct(&self, correction: &Correction) -> anyhow::Result<Option<Corrected>> {
        if self.repairing.is_none() {
            return Ok(None);
        }
        let repairs = &self.counts.repairs;
        let corrected = repairs
            .write(self.scope.generation, correction, Timestamp::now())
            .await?;
        Ok(Some(corrected))
    }

    async fn marked(&self, facts: &[Fact]) -> anyhow::Result<HashSet<ActivityKey>> {
        let keys: Vec<_> = facts.iter().map(Fact::key).collect();
        Ok(self.counts.markers.counted(self.scope.generation, &keys).await?)
    }

    fn terms(&self) -> Terms<'_> {
        let now = Timestamp::now();
        Terms {
            rules: &self.counts.rules,
            watermark: self.scope.watermark,
            now,
        }
    }

    /// Finds standings of users without facts, and standings in the wrong shard.
    async fn standings_without_facts(&self, users: &HashSet<UserId>) -> anyhow::Result<Findings> {
        let (standings, generation) = (&self.counts.standings, self.scope.generation);
        let mut findings = Findings::default();
        let counters = CurrentCounters::at(&self.counts.rules.calendar, Timestamp::now());
        for shard in standings.shards(generation) {
            let (mut others, mut misplaced) = (HashSet::new(), Vec::new());
            let take = |page: Vec<Standing>| {
                for Standing { user, program, .. } in page {
                    if !standings.is_in(&shard, generation, &user) {
                        misplaced.push(Correction::DeleteStanding {
                            shard: shard.clone(),
                            user,
                            program,
                        });
                    } else if !users.contains(&user) {
                        others.insert(user);
                    }
                }
            };
            standings.read_shard(shard.clone(), &counters, take).await?;
            for correction in misplaced {
                let corrected = self.correct(&correction).await?;
                findings
                    .unfounded
                    .note(&correction, corrected == Some(Corrected::Done));
            }
            for user in others {
                // The user's first activity may be newer than the pass over the facts.
                self.exactly(&user, &mut findings).await?;
            }
        }
        Ok(findings)
    }

    async fn markers_without_facts(&self) -> anyhow::Result<Findings> {
        let segments = i32::from(self.scope.segments);
        let parts: Vec<Broken> = stream::iter(0..segments)
            .map(|segment| self.markers_of((segment, segments)))
            .buffer_unordered(segments.unsigned_abs() as usize)
            .try_collect()
            .await?;
        let mut findings = Findings::default();
        for unfounded in parts {
            findings.merge(Findings {
                unfounded,
                ..Findings::default()
            });
        }
        Ok(findings)
    }

    async fn markers_of(&self, part: (i32, i32)) -> anyhow::Result<Broken> {
        let mut unfounded = Broken::default();
        let mut after = None;
        loop {
            let page = self
                .counts
                .markers
                .page(self.scope.generation, part, after, PAGE)
                .await?;
            // A fact is written before its marker and never deleted, so reading it afterwards finds it.
            let recorded = self.counts.facts.recorded(&page.marked).await?;
            for activity in page.marked {
                if !recorded.contains(&activity) {
                    let correction = Correction::DeleteMarker(activity);
                    let corrected = self.correct(&correction).await?;
                    unfounded.note(&correction, corrected == Some(Corrected::Done));
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(unfounded);
            }
        }
    }

    /// Compares the totals with the sums of the standings. Both only grow, in the same transactions. So the
    /// sums must lie between the totals read before and the totals read after them.
    async fn totals(&self, mut disagreeing: Broken) -> anyhow::Result<Broken> {
        for look in 1..=TOTALS_LOOKS {
            let before = self.counts.standings.totals(self.scope.generation).await?;
            let sums = self.sums().await?;
            let after = self.counts.standings.totals(self.scope.generation).await?;
            let corrections = disagreeing_totals(&before, &sums, &after);
            if corrections.is_empty() {
                return Ok(disagreeing);
            }
            // The difference is only known when the totals do not change during the check.
            let is_unchanged = before == after;
            if is_unchanged || look == TOTALS_LOOKS {
                for correction in &corrections {
                    let corrected = if is_unchanged {
                        self.correct(correction).await?
                    } else {
                        None
                    };
                    disagreeing.note(correction, corrected == Some(Corrected::Done));
                }
                return Ok(disagreeing);
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        Ok(disagreeing)
    }

    async fn sums(&self) -> anyhow::Result<HashMap<ProgramId, Tally>> {
        let mut sums: HashMap<ProgramId, Tally> = HashMap::new();
        let counters = CurrentCounters::at(&self.counts.rules.calendar, Timestamp::now());
        for shard in self.counts.standings.shards(self.scope.generation) {
            let take = |page: Vec<Standing>| {
                for standing in page {
                    *sums.entry(standing.program).or_default() += standing.tallies.all;
                }
            };
            self.counts.standings.read_shard(shard, &counters, take).await?;
        }
        Ok(sums)
    }
}

fn note_harmless(judgement: &Judgement, findings: &mut Findings) {
    findings.in_flight += judgement.in_flight;
    findings.not_countable += judgement.not_countable;
}

/// Describes an activity that is not counted.
fn describe_uncounted(fact: &Fact, is_sent: bool) -> String {
    let ActivityKey { user, id } = fact.key();
    let what = if is_sent { "sent again" } else { "not counted" };
    format!(
        "activity {id} of {user}, accepted at {:.0}: {what}",
        fact.received_at
    )
}

fn disagreeing_totals(
    before: &HashMap<ProgramId, Tally>,
    sums: &HashMap<ProgramId, Tally>,
    after: &HashMap<ProgramId, Tally>,
) -> Vec<Correction> {
    let programs: HashSet<_> = before.keys().chain(sums.keys()).chain(after.keys()).collect();
    let of = |tallies: &HashMap<ProgramId, Tally>, program| tallies.get(program).copied().unwrap_or_default();
    let mut corrections: Vec<_> = programs
        .into_iter()
        .filter_map(|program| {
            let (least, sum, most) = (of(before, program), of(sums, program), of(after, program));
            let is_within = (least.points..=most.points).contains(&sum.points)
                && (least.activities..=most.activities).contains(&sum.activities);
            (!is_within).then(|| Correction::Total {
                program: program.clone(),
                found: most,
                expected: sum,
            })
        })
        .collect();
    corrections.sort_by_key(ToString::to_string);
    corrections
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: u64, sum: u64, after: u64, expected: &[&str]) {
        let of = |points| {
            HashMap::from([(
                "p".parse().expect("an id"),
                Tally {
                    points,
                    activities: 1,
                },
            )])
        };
        let corrections = disagreeing_totals(&of(before), &of(sum), &of(after));
        let described: Vec<_> = corrections.iter().map(ToString::to_string).collect();
        assert_eq!(described, expected, "{before} {sum} {after}");
    }

    #[test]
    fn a_sum_lies_between_the_totals_before_and_after() {
        check(10, 10, 10, &[]);
        check(10, 15, 20, &[]);
        check(10, 9, 20, &["total of p: 20/1 -> 9/1"]);
        check(10, 21, 20, &["total of p: 20/1 -> 21/1"]);
    }
}
