//! Watches the board while it falls behind and catches up.

use std::time::Duration;

use client::Api;
use local::sqs::{Queue, Timestamp};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::load::Load;

const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A board is right if it shows everything sent up to this long ago: one second for the snapshot, one
/// to collect a batch, and some time to process each.
const RIGHT_WITHIN: Duration = Duration::from_secs(5);
/// Longer than any work that a client left behind, plus one snapshot.
const QUIET_FOR: Duration = Duration::from_secs(15);
/// The limit from the last answer until everything is counted and shown.
const SETTLE_MAX: Duration = Duration::from_mins(5);

/// What the board showed at a moment.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// When it was requested and when it arrived, since the start of the load.
    asked: Duration,
    came: Duration,
    activities: u64,
}

pub struct Watch {
    api: Api,
    started: Instant,
    times: Interval,
    /// Four a second, during the load and while it settles.
    looks: Vec<Look>,
}

impl Watch {
    pub fn new(api: Api, started: Instant) -> Self {
        let mut times = interval(LOOK_EVERY);
        times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            api,
            started,
            times,
            looks: Vec::new(),
        }
    }

    /// Reads the board when the next look is due. A failed read is not recorded.
    pub async fn look(&mut self) {
        self.times.tick().await;
        let asked = self.started.elapsed();
        if let Ok(status) = self.api.status().await {
            self.looks.push(Look {
                asked,
                came: self.started.elapsed(),
                activities: status.counted.activities,
            });
        }
    }

    /// Watches until the board shows as many activities as were sent, or until no more can arrive: the
    /// queue holds nothing that was sent, and nothing has changed for a while.
    pub async fn until_settled(&mut self, queue: &Queue, sent: u64) {
        let (last_sent, since) = (Timestamp::now(), Instant::now());
        while since.elapsed() < SETTLE_MAX {
            self.look().await;
            let Some(last) = self.looks.last() else { continue };
            if last.activities >= sent {
                return;
            }
            let changed_at = self.looks.iter().find(|look| look.activities == last.activities);
            let changed_at = changed_at.map_or(Duration::ZERO, |look| look.asked);
            let unchanged_for = last.asked.saturating_sub(changed_at);
            let is_one_waiting = queue.oldest_sent().is_some_and(|sent| sent <= last_sent);
            if !is_one_waiting && unchanged_for.min(since.elapsed()) >= QUIET_FOR {
                return;
            }
        }
    }

    /// The time from a moment until the board was first right. `None` if it never was.
    pub fn right_again_after(&self, moment: Duration, load: &Load) -> Option<Duration> {
        right_again_after(&self.looks, moment, |time| load.due_within(time))
    }
}

fn right_again_after(
    looks: &[Look],
    moment: Duration,
    due_within: impl Fn(Duration) -> u64,
) -> Option<Duration> {
    let is_right = |look: &&Look| look.activities >= due_within(look.asked.saturating_sub(RIGHT_WITHIN));
    let first = looks.iter().filter(|look| look.asked >= moment).find(is_right)?;
    Some(first.came.saturating_sub(moment))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One activity is due each second. Each look gives a second and the activities shown then.
    fn check(looks: &[(u64, u64)], moment: u64, expected: Option<u64>) {
        let looks: Vec<Look> = looks
            .iter()
            .map(|&(second, activities)| Look {
                asked: Duration::from_secs(second),
                came: Duration::from_secs(second),
                activities,
            })
            .collect();
        let after = right_again_after(&looks, Duration::from_secs(moment), |time| time.as_secs());
        assert_eq!(after.map(|after| after.as_secs()), expected, "{looks:?}");
    }

    #[test]
    fn the_board_is_right_again_at_the_first_look_at_which_it_is_fresh() {
        check(&[(20, 15)], 20, Some(0));
        check(&[(20, 14)], 20, None);
        check(&[(20, 5), (21, 5), (22, 16), (23, 18), (24, 24)], 20, Some(3));
        // Earlier looks do not matter.
        check(&[(9, 9), (20, 9), (30, 25)], 20, Some(10));
        check(&[], 20, None);
    }
}
