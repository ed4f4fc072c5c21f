//! Synthetic users and their activities, determined by a seed.

use std::time::Duration;

use client::wire::{Activity, Kind};
use domain::{ProgramId, UserId};
use jiff::Timestamp;
use rand::{RngExt as _, SeedableRng, rngs::StdRng};

const FIRST_NAMES: [&str; 32] = [
    "ada", "amir", "ana", "ben", "chidi", "clara", "dana", "diego", "elif", "emil", "farah", "finn", "grace",
    "hana", "ines", "ivan", "jonas", "kai", "lea", "luis", "maya", "mika", "nadia", "noor", "omar", "priya",
    "ravi", "rosa", "sven", "tara", "yuki", "zoe",
];

const LAST_NAMES: [&str; 32] = [
    "abara", "arslan", "bauer", "berg", "castro", "chen", "costa", "diaz", "eriksen", "fischer", "fontana",
    "gupta", "haddad", "ito", "jansen", "kim", "kowalski", "lang", "lopez", "mbeki", "moreau", "nguyen",
    "novak", "okafor", "park", "rossi", "saito", "silva", "tanaka", "vogel", "weiss", "yilmaz",
];

const PROGRAM_NAMES: [&str; 8] = [
    "onboarding",
    "security",
    "sales-academy",
    "safety",
    "leadership",
    "languages",
    "wellbeing",
    "data-skills",
];

/// Of a hundred activities 80 are tasks, 15 check-ins and 5 milestones.
const TASKS_BELOW: u32 = 80;
const CHECK_INS_BELOW: u32 = 95;

/// Draws ranks from 0 with Zipf's law: the second is drawn half as often as the first. Activity in
/// organisations follows an exponent of about 1.
struct Zipf {
    /// Cumulative weights up to each rank.
    cumulative: Vec<f64>,
}

impl Zipf {
    fn new(ranks: u32) -> Self {
        let mut sum = 0.0;
        let cumulative = (1..=ranks.max(1))
            .map(|place| {
                sum += 1.0 / f64::from(place);
                sum
            })
            .collect();
        Self { cumulative }
    }

    fn choose(&self, random: &mut StdRng) -> usize {
        let last = self.cumulative.len() - 1;
        let point = random.random::<f64>() * self.cumulative[last];
        self.cumulative.partition_point(|sum| *sum <= point).min(last)
    }
}

/// An endless source of activities of a fixed set of users.
pub struct Workload {
    random: StdRng,
    users: Zipf,
    programs: Zipf,
    run: String,
    made: u64,
    back: Option<Duration>,
    /// After so many activities, other users are the most active.
    new_leaders_every: Option<u32>,
    /// The user with the first rank.
    leader: usize,
}

impl Workload {
    /// Users and kinds depend on `seed` alone. Ids also depend on `run`, so that a second run with the
    /// same seed counts again.
    pub fn new(users: u32, programs: u32, seed: u64, run: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            users: Zipf::new(users),
            programs: Zipf::new(programs),
            run: format!("{run:016x}"),
            made: 0,
            back: None,
            new_leaders_every: None,
            leader: 0,
        }
    }

    /// Lets other users be the most active after every `activities`, so that users change places.
    pub fn changing_leaders(self, activities: Option<u32>) -> Self {
        Self {
            new_leaders_every: activities,
            ..self
        }
    }

    /// Spreads the activities' times over the past `span`.
    pub fn reaching_back(self, back: Option<Duration>) -> Self {
        Self { back, ..self }
    }

    pub fn next(&mut self) -> Activity {
        self.made += 1;
        if self
            .new_leaders_every
            .is_some_and(|every| self.made.is_multiple_of(every.into()))
        {
            self.leader = self.random.random_range(0..self.users.cumulative.len());
        }
        let rank = self.users.choose(&mut self.random);
        let user = (self.leader + rank) % self.users.cumulative.len();
        let program = self.programs.choose(&mut self.random);
        let percent = self.random.random_range(0..100_u32);
        let share = self.random.random::<f64>();
        Activity {
            activity_id: format!("load-{}-{}", self.run, self.made)
                .parse()
                .expect("made of what ids are made of"),
            user_id: user_name(user),
            program_id: program_name(program),
            kind: match percent {
                0..TASKS_BELOW => Kind::TaskCompleted,
                TASKS_BELOW..CHECK_INS_BELOW => Kind::ProgramCheckIn,
                _ => Kind::LearningMilestone,
            },
            // The server's clock sets the time of current activities, since this machine's may be wrong.
            occurred_at: self.back.map(|back| Timestamp::now() - back.mul_f64(share)),
        }
    }
}

/// A name for each rank, with a number once all names are used. The stride spreads the last names. It
/// reaches every pair, since it is odd and the number of pairs is a power of two.
fn user_name(rank: usize) -> UserId {
    const PAIRS: usize = FIRST_NAMES.len() * LAST_NAMES.len();
    const STRIDE: usize = 397;
    let pair = rank % PAIRS * STRIDE % PAIRS;
    let first = FIRST_NAMES[pair / LAST_NAMES.len()];
    let last = LAST_NAMES[pair % LAST_NAMES.len()];
    let name = match rank / PAIRS {
        0 => format!("{first}.{last}"),
        namesakes => format!("{first}.{last}.{}", namesakes + 1),
    };
    name.parse().expect("made of what names are made of")
}

fn program_name(rank: usize) -> ProgramId {
    let name = match PROGRAM_NAMES.get(rank) {
        Some(name) => (*name).to_owned(),
        None => format!("program-{}", rank + 1),
    };
    name.parse().expect("made of what names are made of")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;

    fn made(seed: u64, run: u64, number: usize) -> Vec<Activity> {
        let mut workload = Workload::new(1_000, 5, seed, run);
        (0..number).map(|_| workload.next()).collect()
    }

    #[test]
    fn the_same_seed_does_the_same_under_fresh_ids() {
        let (first, second) = (made(7, 1, 100), made(7, 2, 100));
        for (a, b) in first.iter().zip(&second) {
            assert_eq!(
                (&a.user_id, &a.program_id, a.kind),
                (&b.user_id, &b.program_id, b.kind)
            );
            assert_ne!(a.activity_id, b.activity_id);
        }
        let ids: HashSet<_> = first.iter().map(|a| a.activity_id.to_string()).collect();
        assert_eq!(ids.len(), 100);
        assert_ne!(first, made(8, 1, 100));
    }

    #[test]
    fn what_reaches_back_lies_within_that_time() {
        let day = Duration::from_hours(24);
        let mut workload = Workload::new(10, 1, 7, 1).reaching_back(Some(day));
        let ages = (0..1_000).map(|_| {
            let occurred_at = workload.next().occurred_at.expect("it has a time");
            Timestamp::now().duration_since(occurred_at).as_hours()
        });
        let ages: HashSet<i64> = ages.collect();
        assert_eq!(ages, (0..24).collect());
        assert_eq!(made(7, 1, 1)[0].occurred_at, None);
    }

    #[test]
    fn leaders_change_if_that_is_wanted() {
        let mut workload = Workload::new(100, 1, 7, 1).changing_leaders(Some(500));
        let leaders: HashSet<_> = (0..10)
            .filter_map(|_| {
                let mut counts: BTreeMap<UserId, u32> = BTreeMap::new();
                for _ in 0..500 {
                    *counts.entry(workload.next().user_id).or_default() += 1;
                }
                counts.into_iter().max_by_key(|(_, count)| *count)
            })
            .map(|(user, _)| user)
            .collect();
        assert!(leaders.len() > 5, "{leaders:?}");
    }

    #[test]
    fn few_do_much_and_kinds_are_mixed() {
        let activities = made(7, 1, 20_000);
        let mut users: BTreeMap<&str, u32> = BTreeMap::new();
        let mut kinds = [0_u32; 3];
        for activity in &activities {
            *users.entry(activity.user_id.as_str()).or_default() += 1;
            kinds[match activity.kind {
                Kind::TaskCompleted => 0,
                Kind::ProgramCheckIn => 1,
                Kind::LearningMilestone => 2,
            }] += 1;
        }
        let mut counts: Vec<u32> = users.into_values().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        // With 1,000 ranks the first has 1 of 7.49 parts: 2,672 of 20,000, and the second half.
        assert!((2_500..2_850).contains(&counts[0]), "{}", counts[0]);
        assert!((1_230..1_440).contains(&counts[1]), "{}", counts[1]);
        let [tasks, check_ins, milestones] = kinds;
        assert!((15_700..16_300).contains(&tasks), "{kinds:?}");
        assert!((2_800..3_200).contains(&check_ins), "{kinds:?}");
        assert!((850..1_150).contains(&milestones), "{kinds:?}");
    }

    #[test]
    fn every_employee_has_a_name_of_their_own() {
        let names: HashSet<String> = (0..5_000).map(|rank| user_name(rank).to_string()).collect();
        assert_eq!(names.len(), 5_000);
    }
}
