//! The figures, for people and for programs.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use terminal::text::{grouped, latency};

/// The unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    PerSecond,
    Seconds,
    /// Write or read units.
    Units,
    Bytes,
    Times,
}

/// The target of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aim {
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
}

impl Aim {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(aim) => value >= aim,
            Self::AtMost(aim) => value <= aim,
            Self::Below(aim) => value < aim,
        }
    }

    fn say(self, unit: Unit) -> String {
        match self {
            Self::AtLeast(aim) => format!(">= {}", say(aim, unit)),
            Self::AtMost(aim) => format!("<= {}", say(aim, unit)),
            Self::Below(aim) => format!("< {}", say(aim, unit)),
        }
    }
}

/// One measured value.
#[derive(Clone, Debug, PartialEq)]
struct Figure {
    section: String,
    name: String,
    value: f64,
    unit: Unit,
    aim: Option<Aim>,
}

impl Figure {
    fn is_met(&self) -> Option<bool> {
        self.aim.map(|aim| aim.is_met(self.value))
    }

    fn mark(&self) -> &'static str {
        match self.is_met() {
            None => "",
            Some(true) => "yes",
            Some(false) => "NO",
        }
    }
}

/// Prints figures as they arrive and keeps them for the final table.
#[derive(Debug)]
pub struct Report {
    section: String,
    figures: Vec<Figure>,
    notes: Vec<String>,
    failures: Vec<String>,
}

impl Report {
    pub fn begin() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        println!(
            "podium {}, {} build, {cpus} CPUs, load average {}",
            env!("CARGO_PKG_VERSION"),
            profile(),
            load_average()
        );
        Self {
            section: String::new(),
            figures: Vec::new(),
            notes: Vec::new(),
            failures: Vec::new(),
        }
    }

    pub fn section(&mut self, title: &str, about: fmt::Arguments<'_>) {
        title.clone_into(&mut self.section);
        println!("\n{title}\n  {about}");
    }

    pub fn figure(&mut self, name: impl Into<String>, value: f64, unit: Unit, aim: Option<Aim>) {
        let figure = Figure {
            section: self.section.clone(),
            name: name.into(),
            value,
            unit,
            aim,
        };
        let aimed = match (aim, figure.is_met()) {
            (Some(aim), Some(true)) => format!("aim {}", aim.say(unit)),
            (Some(aim), _) => format!("aim {}  MISSED", aim.say(unit)),
            (None, _) => String::new(),
        };
        let line = format!("  {:<44} {:>12}  {aimed}", figure.name, say(value, unit));
        println!("{}", line.trim_end());
        self.figures.push(figure);
    }

    pub fn time(&mut self, name: impl Into<String>, span: Duration, aim: Option<Duration>) {
        let aim = aim.map(|aim| Aim::Below(aim.as_secs_f64()));
        self.figure(name, span.as_secs_f64(), Unit::Seconds, aim);
    }

    /// A remark on the figures.
    pub fn note(&mut self, text: fmt::Arguments<'_>) {
        println!("  {text}");
        self.notes.push(format!("{}: {text}", self.section));
    }

    pub fn failed(&mut self, what: &str) {
        println!("  FAILED  {what}");
        self.failures.push(what.to_owned());
    }

    /// Whether everything could be measured. A missed target is a finding, not a failure.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty()
    }

    pub fn end(&self) {
        println!("\nSummary\n{}", self.table());
        for failure in &self.failures {
            println!("FAILED  {failure}");
        }
    }

    fn table(&self) -> String {
        let head = ["figure", "value", "aim", "met"].map(str::to_owned);
        let rows = self.figures.iter().map(|figure| {
            [
                format!("{}: {}", figure.section, figure.name),
                say(figure.value, figure.unit),
                figure.aim.map_or_else(String::new, |aim| aim.say(figure.unit)),
                figure.mark().to_owned(),
            ]
        });
        let rows: Vec<[String; 4]> = std::iter::once(head).chain(rows).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let (name, value, aim) = (width(0), width(1), width(2));
        let lines: Vec<String> = rows
            .iter()
            .map(|row| {
                let line = format!(
                    "{:<name$} | {:>value$} | {:<aim$} | {}",
                    row[0], row[1], row[2], row[3]
                );
                line.trim_end().to_owned()
            })
            .collect();
        lines.join("\n")
    }

    pub fn to_json(&self) -> Value {
        let figures: Vec<_> = self
            .figures
            .iter()
            .map(|figure| {
                json!({
                    "section": figure.section,
                    "name": figure.name,
                    "value": figure.value,
                    "unit": unit_name(figure.unit),
                    "aim": figure.aim.map(|aim| match aim {
                        Aim::AtLeast(aim) => json!({ "at_least": aim }),
                        Aim::AtMost(aim) => json!({ "at_most": aim }),
                        Aim::Below(aim) => json!({ "below": aim }),
                    }),
                    "met": figure.is_met(),
                })
            })
            .collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "build": profile(),
            "cpus": std::thread::available_parallelism().map_or(1, usize::from),
            "figures": figures,
            "notes": self.notes,
            "failures": self.failures,
        })
    }
}

fn profile() -> &'static str {
    if cfg!(debug_assertions) {
        "DEBUG"
    } else {
        "release"
    }
}

/// The load average of the last minute before the start, caused by other work.
fn load_average() -> String {
    std::fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| Some(text.split(' ').next()?.to_owned()))
        .unwrap_or_else(|| "unknown".to_owned())
}

fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::PerSecond => "per_second",
        Unit::Seconds => "seconds",
        Unit::Units => "units",
        Unit::Bytes => "bytes",
        Unit::Times => "times",
    }
}

fn say(value: f64, unit: Unit) -> String {
    const MEGABYTE: f64 = 1e6;
    match unit {
        Unit::PerSecond => format!("{}/s", whole(value)),
        Unit::Seconds => latency(Duration::try_from_secs_f64(value).unwrap_or_default()),
        Unit::Units if value >= 1_000.0 => whole(value),
        Unit::Units => format!("{value:.2}"),
        Unit::Bytes if value < 10_000.0 => format!("{value:.0} B"),
        Unit::Bytes => format!("{:.2} MB", value / MEGABYTE),
        Unit::Times => format!("{value:.2}x"),
    }
}

fn whole(value: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "figures are not negative, and the cast saturates"
    )]
    let whole = value.round() as u64;
    grouped(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_which_aims_are_missed() {
        let mut report = Report::begin();
        report.section("Load", format_args!("for a test"));
        report.figure("counted", 3_120.4, Unit::PerSecond, Some(Aim::AtLeast(3_000.0)));
        report.time("p99", Duration::from_millis(20), Some(Duration::from_millis(20)));
        report.figure("size", 2_500_000.0, Unit::Bytes, None);
        assert_eq!(
            report.table(),
            "figure        |   value | aim        | met\n\
             Load: counted | 3,120/s | >= 3,000/s | yes\n\
             Load: p99     | 20.0 ms | < 20.0 ms  | NO\n\
             Load: size    | 2.50 MB |            |"
        );
        assert_eq!(report.to_json()["figures"][1]["met"], json!(false));
        assert_eq!(report.to_json()["figures"][2]["aim"], Value::Null);
        assert!(report.is_complete());
        report.failed("snapshot");
        assert!(!report.is_complete());
    }
}
