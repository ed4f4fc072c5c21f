//! Counts the facts of one standing exactly once, call by call. Pure: it performs no I/O, reads no clock
//! and does not sleep, so the simulation runs the same code.
//!
//! Read the standing; leave out what its ledger holds; look in the blocks for what may have left it; read the sums
//! of the caps that apply to what is left; add to blocks what must leave the ledger; write the standing, and
//! with it those sums, on the condition that nobody wrote it meanwhile. A key that is found
//! was counted, for good. That a key is not found is true as long as the version is the one that was read.
//! So a stale read, a lost answer, a crash at any step and two invocations on one standing are all harmless.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use domain::counters::Sum;
use domain::policy::Unscored;
use domain::worth::NoAmount;
use domain::{Activity, CalendarDay, Fact, FactKey, PerWindow, ProgramId};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use crate::blocks::{self, BlockName, Search, Seen, Spill};
use crate::caps::{self, Cap, CapName, CapSums};
use crate::keys::{CountGeneration, StandingKey};
use crate::ledger::{Epoch, Ledger, LedgerKey, Version};
use crate::rules::{Rules, TieBreak};

/// A call is not begun when less time is left: its answer would come too late.
pub const CALL_TIME_MIN: Duration = Duration::from_millis(200);
/// The blocks that one call looks into, which is `DynamoDB`'s limit.
pub const BLOCKS_A_CALL: usize = 100;
/// The sums of caps that are read and written with a standing: a transaction has at most 100 writes. What more
/// would be needed is counted by the next write.
pub const CAPS_A_WRITE: usize = 99;
/// What was received longer ago is not counted if it is found nowhere: its block may have expired. A day less
/// than blocks are kept, for clocks and for the time that counting takes.
pub const TOLD_APART: SignedDuration = SignedDuration::from_hours(89 * 24);
const _: () = assert!(TOLD_APART.as_secs() < blocks::LIFETIME.as_secs());

/// The result of counting one fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counted {
    Applied,
    /// It was counted before.
    Duplicate,
    /// It was received so long ago that nobody can tell whether it was counted.
    TooOld,
    /// No retry can ever count it.
    Impossible(String),
    /// It was not counted now, but may be when it is delivered again.
    Later(String),
}

/// A fact with everything needed to count it into its standing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Countable {
    pub fact: FactKey,
    pub program: ProgramId,
    pub key: LedgerKey,
    /// When it occurred, in the time zone of the generation.
    pub day: CalendarDay,
    /// What it adds to each window, before the cap: nothing where it was received too late.
    pub sums: PerWindow<Sum>,
    pub cap: Option<Cap>,
    /// When an activity occurred, in whole milliseconds, if that decides between equal points.
    pub activity_at: Option<Timestamp>,
}

impl Countable {
    /// Scores a fact by the rules of a generation.
    pub fn scored(fact: &Fact, received_at: Timestamp, rules: &Rules) -> Result<Self, Unscored> {
        let occurred_at = fact.occurred_at();
        let day = rules.calendar.day(occurred_at);
        let (sum, cap, last_received_at) = match fact {
            Fact::Activity(activity) => {
                let (points, cap) = scored(activity, day.date, rules)?;
                (
                    Sum {
                        points,
                        activities: 1,
                    },
                    cap,
                    received_at,
                )
            }
            // It takes back in each period what its activity was in time for, unless it is too late itself.
            Fact::Void(void) => {
                let (points, cap) = scored(&void.activity, day.date, rules)?;
                let sum = Sum {
                    points: -points,
                    activities: -1,
                };
                (sum, cap, received_at.max(void.activity_received_at))
            }
            Fact::Adjustment(adjustment) => {
                let sum = Sum {
                    points: adjustment.points.into(),
                    activities: 0,
                };
                (sum, None, received_at)
            }
        };
        let in_time = rules.in_time(occurred_at, last_received_at);
        let breaks_ties = rules.tie_break == TieBreak::Earlier && matches!(fact, Fact::Activity(_));
        let at = || Timestamp::from_millisecond(occurred_at.as_millisecond()).unwrap_or(occurred_at);
        Ok(Self {
            activity_at: breaks_ties.then(at),
            fact: fact.key(),
            program: fact.program().clone(),
            key: LedgerKey::new(received_at, &fact.id()),
            day,
            sums: PerWindow::of_each(|window| if in_time.get(window) { sum } else { Sum::default() }),
            cap,
        })
    }
}

/// The points of an activity before the cap, and its cap.
fn scored(activity: &Activity, day: Date, rules: &Rules) -> Result<(i64, Option<Cap>), Unscored> {
    let worth = rules.scoring_policy.worth(&activity.kind, activity.occurred_at)?;
    let kind = activity.kind.clone();
    match worth.points(activity.amount) {
        Ok(points) => Ok((points, worth.max_per_day.map(|max| Cap { kind, day, max }))),
        Err(NoAmount(field)) => Err(Unscored::NoAmount { field, kind }),
    }
}

/// A standing that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub version: Version,
    pub ledger: Ledger,
}

/// What a call does. The step that is nearest to the end is first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Write,
    /// With the sums of caps, in a transaction.
    WriteCapped,
    Spill,
    ReadCaps,
    Look,
    ReadAgain,
    Read,
}

/// The next call for a standing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Call {
    /// Only a first read may be stale. After a failed write it would be read again and again.
    Read {
        is_consistent: bool,
    },
    /// Look for keys in these blocks, consistently.
    Look(Vec<BlockName>),
    /// Read the sums of these caps, consistently.
    ReadCaps(Vec<CapName>),
    Spill(Spill),
    /// Write the ledger, and with it the sums of caps, on the condition that the standing has the version
    /// `replaces`, or does not exist.
    Write(Write),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub replaces: Option<Version>,
    pub version: Version,
    pub ledger: Ledger,
    pub caps: BTreeMap<CapName, CapSums>,
}

/// The answer to a call, reduced to what the decision needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Read(Option<Stored>),
    /// What is in each of the blocks.
    Seen(BTreeMap<BlockName, Seen>),
    /// The sums that are there.
    Caps(BTreeMap<CapName, CapSums>),
    Done,
    /// The block takes no more keys.
    Full,
    /// The standing has another version than the one to replace: this one, if the answer tells.
    Overtaken(Option<Stored>),
    /// It may or may not have taken effect. Trying again tells.
    Unsure(String),
    /// The request itself is invalid.
    Invalid(String),
    /// A fault that lasts longer than one invocation, such as a missing permission.
    Refused(String),
}

/// What the decisions depend on besides the answers.
pub struct Now {
    pub time: Timestamp,
    /// What is left of the invocation.
    pub time_left: Duration,
    /// In 0..1.
    pub jitter: f64,
    /// For the next version, and for the epoch of a new standing.
    pub random: [u64; 2],
}

/// The facts of a batch that belong to one standing.
#[derive(Clone, Debug)]
pub struct StandingCount {
    standing: StandingKey,
    left: Vec<Countable>,
    stage: Stage,
    pauses: u32,
    pub retries: usize,
    /// Keys of a write whose answer was lost. If they are found, that write took effect.
    unsure: BTreeSet<LedgerKey>,
    pub results: Vec<(FactKey, Counted)>,
}

#[derive(Clone, Debug)]
enum Stage {
    Read {
        is_consistent: bool,
    },
    Look {
        stored: Stored,
        search: Search,
    },
    ReadCaps {
        stored: Stored,
        names: Vec<CapName>,
    },
    Spill {
        stored: Stored,
        caps: BTreeMap<CapName, CapSums>,
        spills: VecDeque<Spill>,
    },
    Write(Write),
    Done,
}

impl StandingCount {
    /// `countables` are of this standing, without repeats.
    pub fn new(standing: StandingKey, countables: Vec<Countable>) -> Self {
        let keys: BTreeSet<_> = countables.iter().map(|countable| countable.key).collect();
        assert_eq!(keys.len(), countables.len(), "a fact is in a batch once");
        Self {
            standing,
            left: countables,
            stage: Stage::Read { is_consistent: false },
            pauses: 0,
            retries: 0,
            unsure: BTreeSet::new(),
            results: Vec::new(),
        }
    }

    /// Groups what a batch counts into a generation by standing.
    pub fn of_batch(
        countables: impl IntoIterator<Item = Countable>,
        generation: CountGeneration,
        rules: &Rules,
    ) -> Vec<Self> {
        let mut standings: BTreeMap<StandingKey, Vec<Countable>> = BTreeMap::new();
        for countable in countables {
            let (user, program) = (countable.fact.user.clone(), countable.program.clone());
            let standing = StandingKey::new(generation, rules.standing_shards, user, program);
            standings.entry(standing).or_default().push(countable);
        }
        let counts = standings.into_iter();
        counts
            .map(|(standing, countables)| Self::new(standing, countables))
            .collect()
    }

    pub fn standing(&self) -> &StandingKey {
        &self.standing
    }

    /// Whether every fact has a result.
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// What the next call does.
    pub fn step(&self) -> Option<Step> {
        match &self.stage {
            Stage::Read { is_consistent: false } => Some(Step::Read),
            Stage::Read { is_consistent: true } => Some(Step::ReadAgain),
            Stage::Look { .. } => Some(Step::Look),
            Stage::ReadCaps { .. } => Some(Step::ReadCaps),
            Stage::Spill { .. } => Some(Step::Spill),
            Stage::Write(write) if write.caps.is_empty() => Some(Step::Write),
            Stage::Write(_) => Some(Step::WriteCapped),
            Stage::Done => None,
        }
    }

    /// The next call; `None` when every fact has a result. A call that would have too little time is not
    /// begun.
    pub fn next(&mut self, time_left: Duration) -> Option<Call> {
        if !self.is_done() && time_left < CALL_TIME_MIN {
            self.settle(&Counted::Later("no time is left in this invocation".to_owned()));
        }
        match &self.stage {
            Stage::Done => None,
            Stage::Read { is_consistent } => Some(Call::Read {
                is_consistent: *is_consistent,
            }),
            Stage::Look { search, .. } => Some(Call::Look(search.next(BLOCKS_A_CALL))),
            Stage::Spill { spills, .. } => {
                let spill = spills.front().expect("the stage ends with its last spill");
                Some(Call::Spill(spill.clone()))
            }
            Stage::ReadCaps { names, .. } => Some(Call::ReadCaps(names.clone())),
            Stage::Write(write) => Some(Call::Write(write.clone())),
        }
    }

    /// Handles the answer to the last call. Returns how long to wait before the next one.
    pub fn take(&mut self, answer: Answer, now: &Now) -> Duration {
        let stage = std::mem::replace(&mut self.stage, Stage::Done);
        match (stage, answer) {
            (Stage::Done, _) => {}
            (_, Answer::Refused(cause)) => self.settle(&Counted::Later(cause)),
            (_, Answer::Invalid(cause)) => self.settle(&Counted::Impossible(cause)),
            (Stage::Read { .. }, Answer::Read(stored)) => self.decide(stored, now),
            (Stage::Look { stored, mut search }, Answer::Seen(seen)) => {
                search.take(&self.standing, stored.ledger.epoch, &seen);
                self.look(stored, search, now);
            }
            (Stage::ReadCaps { stored, names }, Answer::Caps(mut read)) => {
                let caps = names
                    .into_iter()
                    .map(|name| (read.remove_entry(&name)).unwrap_or((name, CapSums::default())));
                self.plan_spills(stored, caps.collect(), now);
            }
            (
                Stage::Spill {
                    stored,
                    caps,
                    mut spills,
                },
                answer @ (Answer::Done | Answer::Full),
            ) => {
                let spill = spills.pop_front().expect("it was sent");
                if answer == Answer::Full {
                    let finer = spill.finer(&self.standing, stored.ledger.epoch);
                    spills.extend(finer);
                } else if let Some(rest) = spill.rest() {
                    spills.push_front(rest);
                }
                self.spill(stored, caps, spills, now);
            }
            (Stage::Write(Write { ledger, .. }), Answer::Done) => self.applied(&ledger),
            (Stage::Write(Write { ledger, .. }), Answer::Unsure(cause)) => {
                let keys = self.left.iter().map(|countable| countable.key);
                self.unsure.extend(keys.filter(|key| ledger.holds(*key)));
                return self.again(Stage::Read { is_consistent: true }, cause, now);
            }
            // Each time, another write took effect, so some invocation always gets on.
            (Stage::Write(_), Answer::Overtaken(Some(stored))) => {
                self.retries += 1;
                self.decide(Some(stored), now);
            }
            (Stage::Write(_), Answer::Overtaken(None)) => {
                let cause = "others count into the same standing".to_owned();
                return self.again(Stage::Read { is_consistent: true }, cause, now);
            }
            (stage, Answer::Unsure(cause)) => return self.again(stage, cause, now),
            (stage, answer) => unreachable!("{answer:?} is no answer to {stage:?}"),
        }
        self.pauses = 0;
        Duration::ZERO
    }

    /// Leaves out what the ledger holds, and goes on with what is left.
    fn decide(&mut self, stored: Option<Stored>, now: &Now) {
        let Some(stored) = stored else {
            return self.write(None, now);
        };
        self.take_out(|countable| stored.ledger.holds(countable.key));
        let keys = self.left.iter().map(|countable| countable.key);
        let sought = keys.filter(|key| stored.ledger.may_have_spilled(*key));
        let search = Search::new(&self.standing, stored.ledger.epoch, sought);
        self.look(stored, search, now);
    }

    /// Looks into blocks until none is left to look into, and leaves out what was found.
    fn look(&mut self, stored: Stored, search: Search, now: &Now) {
        if !search.next(1).is_empty() {
            self.stage = Stage::Look { stored, search };
            return;
        }
        self.take_out(|countable| search.found().contains(&countable.key));
        self.add(stored, now);
    }

    /// Adds what is left, which is neither in the ledger nor in a block.
    fn add(&mut self, stored: Stored, now: &Now) {
        self.refuse_old(now.time);
        if self.left.is_empty() {
            return;
        }
        let names = self.caps_to_write(stored.ledger.epoch);
        if names.is_empty() {
            return self.plan_spills(stored, BTreeMap::new(), now);
        }
        let names = names.into_iter().collect();
        self.stage = Stage::ReadCaps { stored, names };
    }

    /// The caps of what is left, at most as many as one write takes.
    fn caps_to_write(&self, epoch: Epoch) -> BTreeSet<CapName> {
        let mut names = BTreeSet::new();
        for cap in self.left.iter().filter_map(|countable| countable.cap.as_ref()) {
            if names.len() < CAPS_A_WRITE {
                names.insert(CapName::new(&self.standing, epoch, cap));
            }
        }
        names
    }

    fn plan_spills(&mut self, stored: Stored, caps: BTreeMap<CapName, CapSums>, now: &Now) {
        let ledger = &stored.ledger;
        let spills = Spill::plan(&self.standing, ledger.epoch, ledger.to_spill());
        self.spill(stored, caps, spills.into(), now);
    }

    fn spill(
        &mut self,
        stored: Stored,
        caps: BTreeMap<CapName, CapSums>,
        spills: VecDeque<Spill>,
        now: &Now,
    ) {
        if spills.is_empty() {
            return self.write(Some((stored, caps)), now);
        }
        self.stage = Stage::Spill { stored, caps, spills };
    }

    /// Counts what is left, as far as the sums of its caps are known. Everything that leaves the ledger is in blocks
    /// by now.
    fn write(&mut self, stored: Option<(Stored, BTreeMap<CapName, CapSums>)>, now: &Now) {
        self.refuse_old(now.time);
        let Some(first) = self.left.first() else {
            return;
        };
        let [version, epoch] = now.random.map(u64::to_be_bytes);
        let (replaces, mut ledger, mut caps) = if let Some((Stored { version, ledger }, caps)) = stored {
            (Some(version), ledger.spilled(), caps)
        } else {
            // Nothing was counted under a new epoch.
            let epoch = Epoch(epoch);
            let names = self.caps_to_write(epoch).into_iter();
            let caps: BTreeMap<_, _> = names.map(|name| (name, CapSums::default())).collect();
            (None, Ledger::new(first.day.date, epoch), caps)
        };
        for Countable {
            key,
            day,
            sums,
            cap,
            activity_at,
            ..
        } in &self.left
        {
            let counted = match cap {
                None => *sums,
                Some(cap) => match caps.get_mut(&CapName::new(&self.standing, ledger.epoch, cap)) {
                    Some(of_cap) => caps::add(of_cap, cap.max, *sums),
                    None => continue,
                },
            };
            ledger.count(*key, *day, counted, *activity_at);
        }
        self.stage = Stage::Write(Write {
            replaces,
            version: Version(version),
            ledger,
            caps,
        });
    }

    /// What a write counted has its result. What it left out, for its caps, is counted by another one.
    fn applied(&mut self, ledger: &Ledger) {
        let left = std::mem::take(&mut self.left).into_iter();
        let (applied, left): (Vec<_>, Vec<_>) = left.partition(|countable| ledger.holds(countable.key));
        self.results.extend(
            applied
                .into_iter()
                .map(|countable| (countable.fact, Counted::Applied)),
        );
        self.left = left;
        if !self.left.is_empty() {
            self.stage = Stage::Read { is_consistent: true };
        }
    }

    /// Takes out what cannot be told from what was counted, since its block may have expired.
    fn refuse_old(&mut self, now: Timestamp) {
        let oldest = now - TOLD_APART;
        let left = std::mem::take(&mut self.left).into_iter();
        let (left, old): (Vec<_>, Vec<_>) = left.partition(|countable| countable.key.received_at() >= oldest);
        self.left = left;
        self.results
            .extend(old.into_iter().map(|countable| (countable.fact, Counted::TooOld)));
    }

    fn take_out(&mut self, is_counted: impl Fn(&Countable) -> bool) {
        let (counted, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.left).into_iter().partition(is_counted);
        self.left = left;
        for countable in counted {
            let result = if self.unsure.contains(&countable.key) {
                Counted::Applied
            } else {
                Counted::Duplicate
            };
            self.results.push((countable.fact, result));
        }
    }

    fn again(&mut self, stage: Stage, cause: String, now: &Now) -> Duration {
        self.retries += 1;
        let pause = backoff(self.pauses, now.jitter);
        if pause + CALL_TIME_MIN > now.time_left {
            self.settle(&Counted::Later(cause));
            return Duration::ZERO;
        }
        self.pauses += 1;
        self.stage = stage;
        pause
    }

    /// Gives what is left this result.
    fn settle(&mut self, counted: &Counted) {
        let left = std::mem::take(&mut self.left).into_iter();
        self.results
            .extend(left.map(|countable| (countable.fact, counted.clone())));
        self.stage = Stage::Done;
    }
}

const BACKOFF_BASE: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// The pause before retry number `attempt` (from 0): a random time up to a bound that doubles ("full
/// jitter"). Without jitter, writes that met once would meet again. `random` is in 0..1.
pub fn backoff(attempt: u32, random: f64) -> Duration {
    debug_assert!((0.0..=1.0).contains(&random), "{random} is not in 0..1");
    let bound = BACKOFF_BASE.saturating_mul(1 << attempt.min(16)).min(BACKOFF_MAX);
    bound.mul_f64(random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_are_jittered() {
        assert_eq!(backoff(0, 1.0), BACKOFF_BASE);
        assert_eq!(backoff(3, 1.0), BACKOFF_BASE * 8);
        assert_eq!(backoff(3, 0.0), Duration::ZERO);
        assert_eq!(backoff(60, 1.0), BACKOFF_MAX);
        assert_eq!(backoff(u32::MAX, 0.5), BACKOFF_MAX / 2);
    }
}
