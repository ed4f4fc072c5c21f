//! CPU time and memory of a process, read from `/proc`. Unknown on systems without it.

use std::time::Duration;

/// One sample of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// User and system time of all its threads, in steps of 10 ms.
    pub cpu: Duration,
    pub rss_bytes: u64,
    pub rss_bytes_max: u64,
}

/// `None` when the process is gone, or the system has no `/proc`.
pub fn read(pid: u32) -> Option<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    parse(&stat, &status)
}

fn parse(stat: &str, status: &str) -> Option<Usage> {
    // `sysconf(_SC_CLK_TCK)` is 100 on every architecture this runs on.
    const MILLIS_PER_TICK: u64 = 10;
    // The command's name is in parentheses and may itself contain spaces and parentheses. The third
    // field follows it; utime and stime are the 14th and 15th (see proc(5)).
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut times = after_name.split(' ').skip(11).map(str::parse::<u64>);
    let ticks = times.next()?.ok()? + times.next()?.ok()?;
    Some(Usage {
        cpu: Duration::from_millis(ticks * MILLIS_PER_TICK),
        rss_bytes: kibibytes(status, "VmRSS:")?,
        rss_bytes_max: kibibytes(status, "VmHWM:")?,
    })
}

fn kibibytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let number = line.trim().strip_suffix(" kB")?;
    number.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_a_process_whose_name_has_spaces_and_parentheses() {
        let stat = "812 (a (b) c) S 1 812 812 0 -1 4194304 300 0 0 0 25 7 0 0 20 0 3 0 9000 1 2";
        let status = "Name:\ta\nVmPeak:\t  900 kB\nVmHWM:\t   64 kB\nVmRSS:\t   48 kB\nThreads:\t3\n";
        let usage = parse(stat, status).unwrap();
        assert_eq!(usage.cpu, Duration::from_millis(320));
        assert_eq!((usage.rss_bytes, usage.rss_bytes_max), (48 * 1024, 64 * 1024));
    }

    #[test]
    fn knows_nothing_of_a_zombie() {
        // A process that has ended but is not reaped has no memory fields.
        let stat = "812 (a) Z 1 812 812 0 -1 4194304 300 0 0 0 25 7 0 0 20 0 3 0 9000 1 2";
        assert_eq!(parse(stat, "Name:\ta\nThreads:\t1\n"), None);
    }
}
