//! Synthetic standings in any number.

use std::sync::Arc;

use crate::measure::{MAX_PUTS, put_standings};
use anyhow::Context as _;
use domain::counters::Late;
use domain::standing::Tallies;
use domain::{PerWindow, ProgramId, Standing, Tally, UserId};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use local::dynamodb::DynamoDb;
use local::settings;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use store::keys::ShardCount;

use super::SEED;
use super::machine::call;

const PROGRAMS: u32 = 20;
const PROGRAMS_OF_A_USER_MAX: u32 = 3;

/// The points of half of the activities.
const POINTS: u32 = 10;
/// The maximum of points that a user has.
const ACTIVITIES_MAX: u32 = 5_000;

/// Of 100 users with any activity, how many were active this month, this week and today.
const ACTIVE_IN_MONTH: u32 = 60;
const ACTIVE_IN_WEEK: u32 = 30;
const ACTIVE_IN_DAY: u32 = 8;

/// Concurrent requests to the tables.
const PUTS_AT_ONCE: usize = 8;

/// Standings generated per chunk, which bounds their memory.
const CHUNK: usize = MAX_PUTS * 400;

/// An endless, deterministic sequence of users.
pub struct Staff {
    random: StdRng,
    /// Activities of each user in every window, in addition to the initial ones.
    more: u32,
    user: u64,
    programs_max: u32,
    programs_left: u32,
    first_program: u32,
}

impl Staff {
    pub fn new(more: u32) -> Self {
        Self {
            random: StdRng::seed_from_u64(SEED),
            more,
            user: 0,
            programs_max: PROGRAMS_OF_A_USER_MAX,
            programs_left: 0,
            first_program: 0,
        }
    }

    /// Each user is in one program.
    pub fn of_one_program() -> Self {
        Self {
            programs_max: 1,
            ..Self::new(0)
        }
    }

    /// The user with this number, from 1.
    pub fn user_of(number: u64) -> anyhow::Result<UserId> {
        Ok(format!("employee-{number}").parse()?)
    }

    /// The next standing: the same user in another program, or the next user.
    pub fn next(&mut self) -> anyhow::Result<Standing> {
        if self.programs_left == 0 {
            self.user += 1;
            self.programs_left = self.random.random_range(1..=self.programs_max);
            self.first_program = self.random.random_range(0..PROGRAMS);
        }
        self.programs_left -= 1;
        let program = (self.first_program + self.programs_left) % PROGRAMS;
        Ok(Standing {
            user: Self::user_of(self.user)?,
            program: format!("program-{program}").parse::<ProgramId>()?,
            tallies: self.tallies(),
            recent_activities: 0,
            past: Vec::new(),
            late: Late::new(),
            lasts: PerWindow::default(),
        })
    }

    fn tallies(&mut self) -> Tallies {
        // Zipf's law: one user in n has n times the minimum.
        let share = self.random.random_range(f64::EPSILON..1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and the cast saturates"
        )]
        let all = ((1.0 / share) as u32).clamp(1, ACTIVITIES_MAX);
        let active = self.random.random_range(0..100);
        let part = |below: u32, of: u32| if active < below { all.div_ceil(of) } else { 0 };
        Tallies {
            all: self.tally(all),
            month: self.tally(part(ACTIVE_IN_MONTH, 4)),
            week: self.tally(part(ACTIVE_IN_WEEK, 12)),
            day: self.tally(part(ACTIVE_IN_DAY, 60)),
            season: Tally::default(),
        }
    }

    /// Half of the activities earn more than the minimum.
    fn tally(&mut self, activities: u32) -> Tally {
        let better = self.random.random_range(0..=activities / 2);
        Tally {
            points: i64::from((activities + self.more) * POINTS + better * POINTS / 2),
            activities: u64::from(activities + self.more),
        }
    }
}

/// Puts synthetic standings.
pub struct Filling {
    dynamodb: DynamoDb,
    table: Arc<str>,
    shards: ShardCount,
    day: Date,
}

impl Filling {
    pub fn new(dynamodb: DynamoDb, table: &str) -> anyhow::Result<Self> {
        Ok(Self {
            dynamodb,
            table: table.into(),
            shards: settings::STANDING_SHARDS.to_string().parse()?,
            day: Timestamp::now().to_zoned(TimeZone::UTC).date(),
        })
    }

    /// Puts the next `count` standings of a staff, replacing existing ones. Calls `on_chunk` with the
    /// number so far.
    pub async fn put(
        &self,
        staff: &mut Staff,
        count: usize,
        mut on_chunk: impl FnMut(usize),
    ) -> anyhow::Result<()> {
        let mut done = 0;
        while done < count {
            let chunk: Vec<Standing> = (0..CHUNK.min(count - done))
                .map(|_| staff.next())
                .collect::<anyhow::Result<_>>()?;
            done += chunk.len();
            self.put_chunk(chunk).await?;
            on_chunk(done);
        }
        Ok(())
    }

    async fn put_chunk(&self, chunk: Vec<Standing>) -> anyhow::Result<()> {
        stream::iter(chunk.chunks(MAX_PUTS).map(<[Standing]>::to_vec))
            .map(|batch| {
                let (dynamodb, table) = (self.dynamodb.clone(), Arc::clone(&self.table));
                let (shards, day) = (self.shards, self.day);
                // A separate task, so that requests use every processor.
                let put = tokio::spawn(async move {
                    let request = put_standings(&table, shards, day, &batch);
                    call(&dynamodb, "BatchWriteItem", &request).await
                });
                async { put.await.context("putting standings")? }
            })
            .buffer_unordered(PUTS_AT_ONCE)
            .try_for_each(|_| async { Ok(()) })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staff_is_uneven_and_adds_up() {
        let mut staff = Staff::new(0);
        let standings: Vec<Standing> = (0..20_000).map(|_| staff.next().expect("valid names")).collect();
        let users: std::collections::HashSet<_> = standings.iter().map(|s| &s.user).collect();
        assert!((9_000..11_000).contains(&users.len()), "{} users", users.len());
        let keys: std::collections::HashSet<_> = standings.iter().map(|s| (&s.user, &s.program)).collect();
        assert_eq!(keys.len(), standings.len());
        let active = |of: fn(&Tallies) -> Tally| {
            let active = standings.iter().filter(|s| of(&s.tallies).activities > 0);
            active.count() * 100 / standings.len()
        };
        assert_eq!(active(|tallies| tallies.all), 100);
        assert!((55..65).contains(&active(|tallies| tallies.month)));
        assert!((4..12).contains(&active(|tallies| tallies.day)));
        let once = standings.iter().filter(|s| s.tallies.all.activities == 1).count();
        assert!(
            (8_000..12_000).contains(&once),
            "half have done one thing, not {once}"
        );
    }
}
