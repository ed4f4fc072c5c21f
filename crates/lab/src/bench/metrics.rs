//! The functions' own metrics, read from their logs.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use serde_json::{Map, Value};
use telemetry::Metric;

/// One line of a log in `CloudWatch`'s embedded metric format.
pub struct Line(Map<String, Value>);

impl Line {
    fn parse(raw: &str) -> Option<Self> {
        let Ok(Value::Object(line)) = serde_json::from_str(raw) else {
            return None;
        };
        line.contains_key("_aws").then_some(Self(line))
    }

    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.0.get(metric.name())?.as_f64()
    }
}

pub fn sum(lines: &[Line], metric: Metric) -> f64 {
    lines
        .iter()
        .filter_map(|line| line.get(metric))
        .fold(0.0, |sum, value| sum + value)
}

/// Follows the log of one function.
pub struct MetricLog {
    path: PathBuf,
    read_bytes: u64,
}

impl MetricLog {
    pub fn new(path: PathBuf) -> Self {
        Self { path, read_bytes: 0 }
    }

    /// The metric lines written since the last call.
    pub fn read(&mut self) -> anyhow::Result<Vec<Line>> {
        self.read_whole_lines()
            .with_context(|| format!("reading {}", self.path.display()))
    }

    fn read_whole_lines(&mut self) -> anyhow::Result<Vec<Line>> {
        let mut file = File::open(&self.path)?;
        ensure!(
            file.metadata()?.len() >= self.read_bytes,
            "the log was truncated, so lines are missing"
        );
        file.seek(SeekFrom::Start(self.read_bytes))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        self.read_bytes += whole as u64;
        Ok(text[..whole].lines().filter_map(Line::parse).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn follows_a_log_by_whole_lines() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("aggregator.log");
        let mut file = File::create(&path).expect("a file");
        let mut log = MetricLog::new(path);
        let mut check = |written: &str, applied: f64| {
            file.write_all(written.as_bytes()).expect("written");
            let read = sum(&log.read().expect("read"), Metric::Applied);
            assert!((read - applied).abs() < f64::EPSILON, "{written}: {read}");
        };
        check("", 0.0);
        check(
            "{\"_aws\":{},\"Applied\":3.0}\nno metric\n{\"Applied\":100.0}\n",
            3.0,
        );
        check("{\"_aws\":{},\"App", 0.0);
        check("lied\":4.0}\n{\"_aws\":{}}\n", 4.0);
    }
}
