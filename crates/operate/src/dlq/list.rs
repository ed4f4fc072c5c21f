//! `podium dlq list`.

use std::{cell::RefCell, fmt::Write as _, ops::ControlFlow, process::ExitCode, time::Duration};

use jiff::Timestamp;
use serde::Serialize;
use terminal::text::{age, counted, grouped, printable, printable_json};

use super::{
    Interrupts, Selection, conclude,
    dead_letters::{Count, DeadLetter, Summary, meaning},
    give_back,
    queue::Depth,
    sweep::{Ending, Sweep},
};

#[derive(clap::Args)]
pub struct Args {
    /// List at most this many dead letters, the oldest first
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=1000))]
    limit: u16,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selection: Selection,
}

/// One DLQ and its size, known without reading its messages.
#[derive(Debug, Serialize)]
struct Overview {
    name: String,
    #[serde(rename = "letters")]
    dead_letters: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// A dead letter in the list.
#[derive(Debug, Serialize)]
struct Line {
    id: String,
    sent_at: Timestamp,
    receive_count: u64,
    reason_code: String,
    reason: Option<String>,
}

impl From<DeadLetter> for Line {
    fn from(dead_letter: DeadLetter) -> Self {
        Self {
            id: dead_letter.id,
            sent_at: dead_letter.sent_at,
            receive_count: dead_letter.receive_count,
            reason_code: dead_letter.reason_code,
            reason: dead_letter.reason,
        }
    }
}

#[derive(Debug, Serialize)]
struct Report {
    queue: String,
    /// How many match the choice.
    #[serde(rename = "letters")]
    dead_letters: u64,
    is_whole: bool,
    reasons: Vec<Reason>,
    oldest: Vec<Line>,
    queues: Vec<Overview>,
}

#[derive(Debug, Serialize)]
struct Reason {
    code: String,
    #[serde(flatten)]
    count: Count,
    meaning: &'static str,
    remedy: &'static str,
}

/// The oldest dead letters, at most `most`.
#[derive(Default)]
struct Oldest {
    most: usize,
    lines: Vec<Line>,
}

impl Oldest {
    fn add(&mut self, dead_letter: DeadLetter) {
        let at = self
            .lines
            .partition_point(|line| line.sent_at <= dead_letter.sent_at);
        if at < self.most {
            self.lines.insert(at, dead_letter.into());
            self.lines.truncate(self.most);
        }
    }
}

pub async fn run(args: Args, interrupts: &mut Interrupts) -> anyhow::Result<ExitCode> {
    let connection = args.selection.connect().await?;
    let queue = connection.dead_letter_queue().await?;
    let mut queues = Vec::new();
    for (name, found) in connection.all().await {
        let depth = match found {
            Ok(queue) => queue.depth().await.map(Depth::total),
            Err(error) => Err(error),
        };
        queues.push(Overview {
            name,
            dead_letters: depth.as_ref().ok().copied(),
            error: depth.err().map(|error| printable(&format!("{error:#}"))),
        });
    }

    let sweep = Sweep::hold(&queue, Duration::ZERO).await?;
    let seen = RefCell::new((
        Summary::default(),
        Oldest {
            most: args.limit.into(),
            lines: Vec::new(),
        },
    ));
    let (ending, swept) = sweep
        .run(interrupts, async |delivery| {
            let (summary, oldest) = &mut *seen.borrow_mut();
            for dead_letter in delivery.new {
                if args.selection.choice.includes(&dead_letter, sweep.began) {
                    summary.add(&dead_letter);
                    oldest.add(dead_letter);
                }
            }
            Ok(ControlFlow::Continue(()))
        })
        .await;
    let hidden = sweep.hidden_elsewhere().await;
    give_back(&sweep, interrupts).await;
    swept?;
    let hidden = hidden?;
    let (summary, oldest) = seen.into_inner();

    let report = Report {
        queue: queue.name().to_owned(),
        dead_letters: summary.dead_letters(),
        is_whole: ending == Ending::All && hidden == 0,
        reasons: reasons(&summary),
        oldest: oldest.lines,
        queues,
    };
    if args.json {
        println!("{}", printable_json(&serde_json::to_string(&report)?));
    } else {
        print!(
            "{}",
            render(&report, args.selection.choice.is_all(), Timestamp::now())
        );
    }
    let is_blind = report.queues.iter().any(|queue| queue.error.is_some());
    let code = conclude(ending, hidden);
    Ok(if is_blind && code == ExitCode::SUCCESS {
        ExitCode::FAILURE
    } else {
        code
    })
}

fn reasons(summary: &Summary) -> Vec<Reason> {
    let counts = summary.counts().into_iter();
    let reason = |(code, count): (&str, &Count)| {
        let (meaning, remedy) = meaning(code);
        Reason {
            code: code.to_owned(),
            count: count.clone(),
            meaning,
            remedy,
        }
    };
    counts.map(reason).collect()
}

fn widest<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.map(str::len).max().unwrap_or_default()
}

/// The list as text.
fn render(report: &Report, is_all: bool, now: Timestamp) -> String {
    let mut text = String::new();
    let ago = |sent_at: Timestamp| age(now.duration_since(sent_at).as_secs_f64());
    let width = widest(report.queues.iter().map(|queue| queue.name.as_str()));
    for queue in &report.queues {
        let depth = match (&queue.error, queue.dead_letters) {
            (Some(error), _) => format!("cannot be read: {error}"),
            (None, dead_letters) => counted(dead_letters.unwrap_or_default(), "dead letter", "dead letters"),
        };
        let _ = writeln!(text, "{:width$}  {depth}", queue.name);
    }
    let chosen = match (is_all, report.dead_letters) {
        (true, _) => "",
        (false, 1) => " matches your options",
        (false, _) => " match your options",
    };
    let _ = writeln!(
        text,
        "\nIn {}: {}{chosen}",
        report.queue,
        counted(report.dead_letters, "dead letter", "dead letters")
    );
    if report.reasons.is_empty() {
        return text;
    }
    let width = widest(report.reasons.iter().map(|reason| reason.code.as_str()));
    let _ = writeln!(
        text,
        "\n{:width$} {:>12} {:>12} {:>12}",
        "reason", "dead letters", "oldest", "newest"
    );
    for Reason { code, count, .. } in &report.reasons {
        let _ = writeln!(
            text,
            "{code:width$} {:>12} {:>12} {:>12}",
            grouped(count.dead_letters),
            ago(count.oldest_sent_at),
            ago(count.newest_sent_at)
        );
    }
    let _ = writeln!(text);
    for Reason {
        code,
        meaning,
        remedy,
        ..
    } in &report.reasons
    {
        let _ = writeln!(text, "{code}: {meaning}. To do: {remedy}.");
    }
    if report.oldest.is_empty() {
        return text;
    }
    let _ = writeln!(text, "\n{:36} {:>12}  reason", "id", "age");
    for line in &report.oldest {
        let reason = match &line.reason {
            Some(reason) => format!("{}: {reason}", line.reason_code),
            None => line.reason_code.clone(),
        };
        let _ = writeln!(
            text,
            "{:36} {:>12}  {}",
            printable(&line.id),
            ago(line.sent_at),
            printable(&reason)
        );
    }
    let others = report.dead_letters.saturating_sub(report.oldest.len() as u64);
    if others > 0 {
        let _ = writeln!(text, "and {}", counted(others, "other", "others"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{super::dead_letters::tests::dead_letter, *};

    fn check_oldest(most: usize, sent: &[&str], expected: &str) {
        let mut oldest = Oldest {
            most,
            lines: Vec::new(),
        };
        for (id, at) in ('a'..).zip(sent) {
            oldest.add(dead_letter(&id.to_string(), at, "none"));
        }
        let ids: String = oldest.lines.into_iter().map(|line| line.id).collect();
        assert_eq!(ids, expected, "{sent:?}");
    }

    #[test]
    fn the_oldest_are_kept_in_order() {
        check_oldest(2, &[], "");
        check_oldest(2, &["10:00:03", "10:00:01", "10:00:02"], "bc");
        check_oldest(2, &["10:00:01", "10:00:01", "10:00:01"], "ab");
        check_oldest(0, &["10:00:01"], "");
    }

    #[test]
    fn a_list_reads_well() {
        let mut summary = Summary::default();
        let mut oldest = Oldest {
            most: 2,
            lines: Vec::new(),
        };
        for (id, at, code) in [
            ("0a0b0c0d-0000-4000-8000-000000000001", "08:00:00", "not_scored"),
            ("0a0b0c0d-0000-4000-8000-000000000002", "09:58:00", "none"),
            ("0a0b0c0d-0000-4000-8000-000000000003", "09:59:30", "not_scored"),
        ] {
            let mut dead_letter = dead_letter(id, at, code);
            dead_letter.reason = (code != "none").then(|| "no points for\u{1b}[31m naps".to_owned());
            summary.add(&dead_letter);
            oldest.add(dead_letter);
        }
        let report = Report {
            queue: "podium-activities-dlq".to_owned(),
            dead_letters: summary.dead_letters(),
            is_whole: true,
            reasons: reasons(&summary),
            oldest: oldest.lines,
            queues: vec![
                Overview {
                    name: "podium-activities-dlq".to_owned(),
                    dead_letters: Some(3),
                    error: None,
                },
                Overview {
                    name: "podium-pipe-dlq".to_owned(),
                    dead_letters: None,
                    error: Some("access denied".to_owned()),
                },
            ],
        };
        let now = "2026-11-21T10:00:00Z".parse().expect("a time");
        assert_eq!(
            render(&report, true, now),
            "\
podium-activities-dlq  3 dead letters
podium-pipe-dlq        cannot be read: access denied

In podium-activities-dlq: 3 dead letters

reason     dead letters       oldest       newest
not_scored            2    2 h 0 min         30 s
none                  1        2 min        2 min

not_scored: the scoring policy has no points for this kind at the activity's time. To do: add the kind to the scoring policy and deploy, then redrive.
none: SQS moved it here without a reason, usually because it failed 1,000 times. To do: read the log of the queue's function of that time (permissions, tables), fix the cause, then redrive.

id                                            age  reason
0a0b0c0d-0000-4000-8000-000000000001    2 h 0 min  not_scored: no points for\u{fffd}[31m naps
0a0b0c0d-0000-4000-8000-000000000002        2 min  none
and 1 other
"
        );
    }
}
