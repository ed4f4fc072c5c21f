//! How long to wait before a retry.

use std::time::Duration;

/// The longest first wait. It doubles with each attempt up to [`CEILING_MAX`].
const CEILING_FIRST: Duration = Duration::from_millis(200);
const CEILING_MAX: Duration = Duration::from_secs(20);

/// The longest `Retry-After` that is honoured: a wrong header must not stall an import for a day.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(1);

/// The wait before attempt `attempt + 1`, where the first attempt is number 0.
///
/// `jitter`, in `0.0..1.0`, covers the whole exponential ceiling ("full jitter"), so that clients that
/// failed together do not retry together. The result is added to the server's `Retry-After`, which is a
/// minimum.
pub fn wait(attempt: u32, retry_after: Option<Duration>, jitter: f64) -> Duration {
    let doubled = 2_u32.saturating_pow(attempt);
    let ceiling = CEILING_FIRST.saturating_mul(doubled).min(CEILING_MAX);
    let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
    asked + ceiling.mul_f64(jitter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(attempt: u32, retry_after_s: Option<u64>, jitter: f64, expected_ms: u64) {
        let waited = wait(attempt, retry_after_s.map(Duration::from_secs), jitter);
        let expected = Duration::from_millis(expected_ms);
        assert_eq!(waited, expected, "attempt {attempt}, {retry_after_s:?}");
    }

    #[test]
    fn doubles_with_full_jitter_up_to_a_ceiling() {
        check(0, None, 0.0, 0);
        check(0, None, 0.5, 100);
        check(1, None, 0.5, 200);
        check(4, None, 0.5, 1_600);
        check(7, None, 0.5, 10_000);
        check(1_000, None, 0.5, 10_000);
    }

    #[test]
    fn waits_at_least_as_long_as_the_server_asked() {
        check(0, Some(3), 0.0, 3_000);
        check(1, Some(3), 0.5, 3_200);
        check(0, Some(86_400), 0.0, 60_000);
    }
}
