//! CPU time by part of the stack.

use std::collections::BTreeMap;
use std::time::Duration;

use local::lambda::Lambda;

/// The name of the threads that send load. Linux keeps 15 bytes of it.
pub const LOAD_THREAD: &str = "podium-load";
/// The name of the stack's `DynamoDB` thread.
const TABLES_THREAD: &str = "dynamodb";

/// CPU time of other programs: the noise in the figures.
const ELSE: &str = "everything else on this machine";

/// `sysconf(_SC_CLK_TCK)` is 100 on every architecture this runs on.
const MILLIS_PER_TICK: u64 = 10;

/// CPU time by part since the start of each process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuTimes(BTreeMap<String, Duration>);

impl CpuTimes {
    /// Reads the CPU time of the functions, of this process by thread, and of the machine. Empty where
    /// there is no `/proc`.
    pub fn read(lambda: &Lambda) -> Self {
        let mut times: BTreeMap<String, Duration> = lambda
            .functions()
            .filter_map(|function| Some((function.name().to_owned(), function.stats().cpu?)))
            .collect();
        for (thread, cpu) in threads() {
            let part = match thread.as_str() {
                LOAD_THREAD => "the load itself",
                TABLES_THREAD => "the stack: tables",
                _ => "the stack: HTTP, queue, stream, runtime API",
            };
            *times.entry(part.to_owned()).or_default() += cpu;
        }
        let ours: Duration = times.values().sum();
        if let Some(busy) = machine_busy() {
            times.insert(ELSE.to_owned(), busy.saturating_sub(ours));
        }
        Self(times)
    }

    pub fn since(&self, earlier: &Self) -> Self {
        let used = |(part, now): (&String, &Duration)| {
            let before = earlier.of(part);
            (part.clone(), now.saturating_sub(before))
        };
        Self(self.0.iter().map(used).collect())
    }

    pub fn of(&self, part: &str) -> Duration {
        self.0.get(part).copied().unwrap_or_default()
    }

    /// The parts that used CPU time, the largest first.
    pub fn by_part(&self) -> Vec<(&str, Duration)> {
        let used = self.0.iter().filter(|(_, cpu)| !cpu.is_zero());
        let mut parts: Vec<_> = used.map(|(part, cpu)| (part.as_str(), *cpu)).collect();
        parts.sort_by_key(|(_, cpu)| std::cmp::Reverse(*cpu));
        parts
    }
}

/// The busy time of all processors.
fn machine_busy() -> Option<Duration> {
    parse_busy(&std::fs::read_to_string("/proc/stat").ok()?)
}

/// The sum of user, nice, system, irq and softirq in the first line (see proc(5)).
fn parse_busy(stat: &str) -> Option<Duration> {
    let times = stat.lines().next()?.strip_prefix("cpu")?.split_whitespace();
    let ticks: Vec<u64> = times.map(str::parse).collect::<Result<_, _>>().ok()?;
    let [user, nice, system, _idle, _iowait, irq, softirq, ..] = ticks[..] else {
        return None;
    };
    let ticks = user + nice + system + irq + softirq;
    Some(Duration::from_millis(ticks * MILLIS_PER_TICK))
}

/// The live threads of this process by name.
fn threads() -> Vec<(String, Duration)> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    tasks
        .filter_map(|task| parse(&std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?))
        .collect()
}

/// A thread's name, and its user and system time: the 14th and 15th field (see proc(5)).
fn parse(stat: &str) -> Option<(String, Duration)> {
    let (before, after_name) = stat.rsplit_once(") ")?;
    let (_, name) = before.split_once('(')?;
    let mut times = after_name.split(' ').skip(11).map(str::parse::<u64>);
    let ticks = times.next()?.ok()? + times.next()?.ok()?;
    Some((name.to_owned(), Duration::from_millis(ticks * MILLIS_PER_TICK)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_a_thread() {
        let stat = "812 (tokio (1) a) S 1 812 812 0 -1 4194304 300 0 0 0 25 7 0 0 20 0 3 0 9000 1 2";
        assert_eq!(
            parse(stat),
            Some(("tokio (1) a".to_owned(), Duration::from_millis(320)))
        );
    }

    #[test]
    fn idle_processors_do_not_work() {
        let stat = "cpu  10 1 5 9000 70 2 3 0 0 0\ncpu0 1 1 1 1 1 1 1 0 0 0\n";
        assert_eq!(parse_busy(stat), Some(Duration::from_millis(210)));
        assert_eq!(parse_busy("cpu 1 2"), None);
    }
}
