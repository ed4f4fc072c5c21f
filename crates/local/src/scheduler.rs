//! The rate schedules of `EventBridge` Scheduler: invokes a target at a fixed rate.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// The pauses before the retries of a failed invocation. After the last retry the schedule waits for the next
/// tick.
const RETRY_PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// Shorter periods are raised to this.
const PERIOD_MIN: Duration = Duration::from_millis(1);

/// A rate expression such as `rate(1 minute)` or `rate(5 minutes)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(Duration);

/// The expression is not a rate that AWS accepts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a rate; expected for example \"rate(1 minute)\" or \"rate(5 minutes)\"")]
pub struct InvalidRate(String);

impl Rate {
    pub fn period(self) -> Duration {
        self.0
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    /// Accepts what AWS accepts: minutes, hours and days, in the singular for 1 and only for 1.
    fn from_str(raw: &str) -> Result<Self, InvalidRate> {
        parse(raw).map(Self).ok_or_else(|| InvalidRate(raw.to_owned()))
    }
}

fn parse(raw: &str) -> Option<Duration> {
    let (count, unit) = raw.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
    if count.starts_with('0') || !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u32 = count.parse().ok()?;
    let singular = if count == 1 { unit } else { unit.strip_suffix('s')? };
    let secs: u64 = match singular {
        "minute" => 60,
        "hour" => 60 * 60,
        "day" => 24 * 60 * 60,
        _ => return None,
    };
    Some(Duration::from_secs(secs.checked_mul(u64::from(count))?))
}

/// A running schedule. If it is dropped, the current invocation still finishes.
#[derive(Debug)]
pub struct Schedule {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Schedule {
    /// Invokes immediately and then every `every`. Invocations never overlap: ticks during an invocation are
    /// skipped.
    pub fn start<F, Fut, E>(every: Duration, invoke: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send,
        E: Display + Send,
    {
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let every = every.max(PERIOD_MIN);
            let mut tick = Instant::now();
            loop {
                tokio::select! {
                    () = stop_requested(&mut stopped) => return,
                    () = sleep_until(tick) => {}
                }
                invoke_with_retries(&invoke, &mut stopped).await;
                tick = next_tick(tick, every, Instant::now());
            }
        });
        Self { stop, task }
    }

    /// Ends the schedule. A running invocation has `grace` to finish before it is dropped.
    pub async fn stop(mut self, grace: Duration) {
        self.stop.send_replace(true);
        if timeout(grace, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// The first time after `now` that is a whole number of periods after `tick`.
fn next_tick(tick: Instant, every: Duration, now: Instant) -> Instant {
    let late = now.saturating_duration_since(tick);
    let past = Duration::from_nanos_u128(late.as_nanos() % every.as_nanos());
    let next = tick + late - past + every;
    debug_assert!(
        next > now && next <= now.max(tick) + every,
        "no tick is repeated or left out"
    );
    next
}

/// A dropped sender also asks to stop.
async fn stop_requested(stopped: &mut watch::Receiver<bool>) {
    drop(stopped.wait_for(|&stopped| stopped).await);
}

async fn invoke_with_retries<F, Fut, E>(invoke: &F, stopped: &mut watch::Receiver<bool>)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<(), E>>,
    E: Display,
{
    let mut pauses = RETRY_PAUSES.into_iter();
    while let Err(error) = invoke().await {
        let Some(pause) = pauses.next() else {
            tracing::error!(%error, "a scheduled invocation failed; the next one is at the next tick");
            return;
        };
        tracing::warn!(%error, "a scheduled invocation failed and will be retried");
        tokio::select! {
            () = stop_requested(stopped) => return,
            () = sleep(pause) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn check(raw: &str, minutes: Option<u64>) {
        let seen = raw.parse::<Rate>().ok().map(|rate| rate.period().as_secs() / 60);
        assert_eq!(seen, minutes, "{raw:?}");
    }

    #[test]
    fn a_rate_is_what_aws_takes() {
        check("rate(1 minute)", Some(1));
        check("rate(5 minutes)", Some(5));
        check("rate(1 hour)", Some(60));
        check("rate(10 hours)", Some(600));
        check("rate(2 days)", Some(2 * 24 * 60));
        for invalid in [
            "rate(1 minutes)",
            "rate(5 minute)",
            "rate(0 minutes)",
            "rate(01 minute)",
            "rate(+5 minutes)",
            "rate(5  minutes)",
            "rate( 5 minutes)",
            "rate(5 minutes) ",
            "rate(30 seconds)",
            "rate(5)",
            "rate(99999999999 days)",
            "cron(0 * * * ? *)",
            "",
        ] {
            check(invalid, None);
        }
    }

    /// Runs a schedule of 1 s on the paused clock, and counts its invocations. Each takes `lasting`, and the
    /// first `failures` of them fail.
    async fn invocations(run: Duration, lasting: Duration, failures: usize) -> usize {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let schedule = Schedule::start(Duration::from_secs(1), move || {
            let index = counted.fetch_add(1, Ordering::Relaxed);
            async move {
                sleep(lasting).await;
                if index < failures { Err("no") } else { Ok(()) }
            }
        });
        sleep(run).await;
        schedule.stop(Duration::from_mins(1)).await;
        count.load(Ordering::Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn it_invokes_at_once_and_at_each_tick_without_overlap() {
        let ms = Duration::from_millis;
        assert_eq!(invocations(ms(10), ms(0), 0).await, 1);
        assert_eq!(invocations(ms(3_500), ms(0), 0).await, 4);
        // At 0, 3 and 6 s: the ticks in between are skipped.
        assert_eq!(invocations(ms(2_900), ms(2_500), 0).await, 1);
        assert_eq!(invocations(ms(8_900), ms(2_500), 0).await, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_retried_twice_and_then_left_to_the_next_tick() {
        let ms = Duration::from_millis;
        // At 0, 500 and 2,500 ms; the tick after those is at 3 s.
        assert_eq!(invocations(ms(2_900), ms(0), 3).await, 3);
        assert_eq!(invocations(ms(900), ms(0), 1).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn stopping_waits_for_the_invocation_and_not_for_ever() {
        let started = Instant::now();
        let schedule = Schedule::start(Duration::from_secs(1), async || {
            sleep(Duration::from_hours(1)).await;
            Ok::<(), &str>(())
        });
        sleep(Duration::from_millis(10)).await;
        schedule.stop(Duration::from_secs(5)).await;
        assert!(started.elapsed() < Duration::from_secs(6));
    }
}
