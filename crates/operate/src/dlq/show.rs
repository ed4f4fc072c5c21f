//! `podium dlq show`.

use std::{cell::RefCell, fmt::Write as _, ops::ControlFlow, process::ExitCode, time::Duration};

use anyhow::bail;
use domain::Fact;
use jiff::Timestamp;
use serde_json::Value;
use store::stream::{Streamed, parse};
use terminal::text::{age, counted, printable};

use super::{
    Interrupts, conclude,
    dead_letters::{DeadLetter, meaning},
    give_back,
    location::Location,
    sweep::{Ending, Sweep},
};

/// Attributes that other rows show already.
const SAID: [&str; 3] = ["reason_code", "reason", "message_id"];

#[derive(clap::Args)]
pub struct Args {
    /// The id of the dead letter, as in `podium dlq list`, or of the original message
    id: String,
    #[command(flatten)]
    location: Location,
}

pub async fn run(args: Args, interrupts: &mut Interrupts) -> anyhow::Result<ExitCode> {
    let queue = args.location.connect().await?.dead_letter_queue().await?;
    let sweep = Sweep::hold(&queue, Duration::ZERO).await?;
    let found = RefCell::new(None);
    let (ending, swept) = sweep
        .run(interrupts, async |delivery| {
            let is_meant = |dead_letter: &DeadLetter| {
                dead_letter.id == args.id || dead_letter.made_of() == Some(&args.id)
            };
            match delivery.new.into_iter().find(is_meant) {
                Some(dead_letter) => {
                    found.replace(Some(dead_letter));
                    Ok(ControlFlow::Break(()))
                }
                None => Ok(ControlFlow::Continue(())),
            }
        })
        .await;
    let hidden = sweep.hidden_elsewhere().await;
    give_back(&sweep, interrupts).await;
    if let Some(dead_letter) = found.into_inner() {
        print!("{}", render(&dead_letter, Timestamp::now()));
        return Ok(ExitCode::SUCCESS);
    }
    swept?;
    let code = conclude(ending, hidden?);
    if ending == Ending::All {
        bail!(
            "there is no dead letter {} in {}; `podium dlq list` lists the ids",
            printable(&args.id),
            queue.name()
        );
    }
    Ok(code)
}

/// What a fact says, with its name.
fn described(fact: &Fact) -> (&'static str, String) {
    let (user, program, at) = (fact.user(), fact.program(), fact.occurred_at());
    match fact {
        Fact::Activity(activity) => (
            "activity",
            format!(
                "{} of {user}: {} in {program}, at {at}",
                activity.id, activity.kind
            ),
        ),
        Fact::Void(void) => (
            "void",
            format!(
                "{} of {user} takes out activity {}: {} in {program}, at {at}",
                void.correction, void.activity.id, void.activity.kind
            ),
        ),
        Fact::Adjustment(adjustment) => (
            "adjustment",
            format!(
                "{} of {user}: {} points in {program}, at {at}",
                adjustment.correction, adjustment.points
            ),
        ),
    }
}

/// The dead letter as text.
fn render(dead_letter: &DeadLetter, now: Timestamp) -> String {
    let (meaning, remedy) = meaning(&dead_letter.reason_code);
    let reason = match &dead_letter.reason {
        Some(reason) => format!("{}: {reason}", dead_letter.reason_code),
        None => dead_letter.reason_code.clone(),
    };
    let mut rows = vec![
        ("id", dead_letter.id.clone()),
        (
            "sent",
            format!("{}, {} ago", dead_letter.sent_at, age(dead_letter.age(now))),
        ),
        ("received", counted(dead_letter.receive_count, "time", "times")),
        ("reason", reason),
        ("means", meaning.to_owned()),
        ("to do", remedy.to_owned()),
    ];
    if let Some(id) = dead_letter.made_of() {
        rows.push(("original", format!("message {id}")));
    }
    if let Some(queue) = &dead_letter.moved_from {
        rows.push(("moved from", queue.clone()));
    }
    match parse(&dead_letter.body) {
        Ok(Streamed::Fact { fact, .. }) => rows.push(described(&fact)),
        Ok(Streamed::Heartbeat { sent_at, .. }) => rows.push(("heartbeat", format!("sent at {sent_at}"))),
        Err(_) => {}
    }
    let mut text = String::new();
    for (name, value) in rows {
        let _ = writeln!(text, "{name:10}  {}", printable(&value));
    }
    for (name, attribute) in dead_letter
        .attributes
        .iter()
        .filter(|(name, _)| !SAID.contains(&name.as_str()))
    {
        let _ = writeln!(text, "{}  {}", printable(name), printable(&attribute.value));
    }
    let document = serde_json::from_str::<Value>(&dead_letter.body);
    let pretty = document
        .ok()
        .and_then(|document| serde_json::to_string_pretty(&document).ok());
    let body = pretty.unwrap_or_else(|| dead_letter.body.clone());
    let _ = writeln!(text, "\nbody");
    for line in body.lines() {
        let _ = writeln!(text, "{}", printable(line));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{
        super::dead_letters::{Attribute, tests::dead_letter},
        *,
    };

    #[test]
    fn a_letter_is_shown_with_all_that_helps() {
        let mut dead_letter = dead_letter("one", "09:00:00", "not_scored");
        dead_letter.reason = Some("no points for naps".to_owned());
        for (name, value) in [
            ("reason_code", "not_scored"),
            ("message_id", "before"),
            ("other", "x\u{7}"),
        ] {
            let attribute = Attribute {
                data_type: "String".to_owned(),
                value: value.to_owned(),
            };
            dead_letter.attributes.insert(name.to_owned(), attribute);
        }
        dead_letter.body = r#"{"eventName":"INSERT","dynamodb":{"NewImage":{"user_id":{"S":"ann"},"activity_id":{"S":"course-17"},"program_id":{"S":"onboarding"},"kind":{"S":"nap"},"occurred_at":{"S":"2026-11-21T08:00:00Z"},"received_at":{"S":"2026-11-21T08:00:01Z"},"schema_version":{"N":"1"}}}}"#.to_owned();
        let now = "2026-11-21T10:00:00Z".parse().expect("a time");
        let shown = render(&dead_letter, now);
        let (head, body) = shown.split_once("\nbody\n").expect("there is a body");
        assert_eq!(
            head,
            "\
id          one
sent        2026-11-21T09:00:00Z, 60 min ago
received    1 time
reason      not_scored: no points for naps
means       the scoring policy has no points for this kind at the activity's time
to do       add the kind to the scoring policy and deploy, then redrive
original    message before
activity    course-17 of ann: nap in onboarding, at 2026-11-21T08:00:00Z
other  x\u{fffd}
"
        );
        assert!(body.starts_with("{\n  \"dynamodb\": {\n"), "{body}");
        dead_letter.body = "no\nJSON \u{1b}[31m".to_owned();
        assert!(render(&dead_letter, now).ends_with("\nbody\nno\nJSON \u{fffd}[31m\n"));
    }
}
