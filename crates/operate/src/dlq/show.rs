//! `podium dlq show`.

use std::{cell::RefCell, fmt::Write as _, ops::ControlFlow, process::ExitCode, time::Duration};

use anyhow::bail;
use jiff::Timestamp;
use serde_json::Value;
use store::stream::{Streamed, parse};

use super::{
    Interrupts, conclude, give_back,
    letters::{Letter, meaning},
    place::Place,
    sweep::{Ending, Sweep},
};
use terminal::text::{age, counted, printable};

/// Attributes that the rest of the page says already.
const SAID: [&str; 3] = ["reason_code", "reason", "message_id"];

#[derive(clap::Args)]
pub struct Args {
    /// The id of the letter, as `podium dlq list` names it, or of the message that it was made of
    id: String,
    #[command(flatten)]
    place: Place,
}

pub async fn run(args: Args, interrupts: &mut Interrupts) -> anyhow::Result<ExitCode> {
    let queue = args.place.connect().await?.dead_letters().await?;
    let sweep = Sweep::hold(&queue, Duration::ZERO).await?;
    let found = RefCell::new(None);
    let (ending, looked) = sweep
        .run(interrupts, async |delivery| {
            let is_meant = |letter: &Letter| letter.id == args.id || letter.made_of() == Some(&args.id);
            match delivery.new.into_iter().find(is_meant) {
                Some(letter) => {
                    found.replace(Some(letter));
                    Ok(ControlFlow::Break(()))
                }
                None => Ok(ControlFlow::Continue(())),
            }
        })
        .await;
    let hidden = sweep.hidden_elsewhere().await;
    give_back(&sweep, interrupts).await;
    if let Some(letter) = found.into_inner() {
        print!("{}", render(&letter, Timestamp::now()));
        return Ok(ExitCode::SUCCESS);
    }
    looked?;
    let code = conclude(ending, hidden?);
    if ending == Ending::All {
        bail!(
            "there is no letter {} in {}; `podium dlq list` names those that there are",
            printable(&args.id),
            queue.name()
        );
    }
    Ok(code)
}

/// The letter as people read it.
fn render(letter: &Letter, now: Timestamp) -> String {
    let (meaning, remedy) = meaning(&letter.reason_code);
    let reason = match &letter.reason {
        Some(reason) => format!("{}: {reason}", letter.reason_code),
        None => letter.reason_code.clone(),
    };
    let mut rows = vec![
        ("id", letter.id.clone()),
        (
            "sent",
            format!("{}, {} ago", letter.sent_at, age(letter.age(now))),
        ),
        ("received", counted(letter.receive_count, "time", "times")),
        ("reason", reason),
        ("means", meaning.to_owned()),
        ("to do", remedy.to_owned()),
    ];
    if let Some(id) = letter.made_of() {
        rows.push(("made of", format!("message {id}")));
    }
    if let Some(queue) = &letter.moved_from {
        rows.push(("moved from", queue.clone()));
    }
    match parse(&letter.body) {
        Ok(Streamed::Activity { activity, .. }) => rows.push((
            "activity",
            format!(
                "{} of {}: {} in {}, at {}",
                activity.id, activity.user, activity.kind, activity.program, activity.occurred_at
            ),
        )),
        Ok(Streamed::Heartbeat { sent_at }) => rows.push(("heartbeat", format!("sent at {sent_at}"))),
        Err(_) => {}
    }
    let mut text = String::new();
    for (name, value) in rows {
        let _ = writeln!(text, "{name:10}  {}", printable(&value));
    }
    for (name, attribute) in letter
        .attributes
        .iter()
        .filter(|(name, _)| !SAID.contains(&name.as_str()))
    {
        let _ = writeln!(text, "{}  {}", printable(name), printable(&attribute.value));
    }
    let document = serde_json::from_str::<Value>(&letter.body);
    let pretty = document
        .ok()
        .and_then(|document| serde_json::to_string_pretty(&document).ok());
    let body = pretty.unwrap_or_else(|| letter.body.clone());
    let _ = writeln!(text, "\nbody");
    for line in body.lines() {
        let _ = writeln!(text, "{}", printable(line));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{
        super::letters::{Attribute, tests::letter},
        *,
    };

    #[test]
    fn a_letter_is_shown_with_all_that_helps() {
        let mut letter = letter("one", "09:00:00", "not_scored");
        letter.reason = Some("no points for naps".to_owned());
        for (name, value) in [
            ("reason_code", "not_scored"),
            ("message_id", "before"),
            ("other", "x\u{7}"),
        ] {
            let attribute = Attribute {
                data_type: "String".to_owned(),
                value: value.to_owned(),
            };
            letter.attributes.insert(name.to_owned(), attribute);
        }
        letter.body = r#"{"eventName":"INSERT","dynamodb":{"NewImage":{"user_id":{"S":"ann"},"activity_id":{"S":"course-17"},"program_id":{"S":"onboarding"},"kind":{"S":"nap"},"occurred_at":{"S":"2026-11-21T08:00:00Z"},"received_at":{"S":"2026-11-21T08:00:01Z"},"schema_version":{"N":"1"}}}}"#.to_owned();
        let now = "2026-11-21T10:00:00Z".parse().expect("a time");
        let shown = render(&letter, now);
        let (head, body) = shown.split_once("\nbody\n").expect("there is a body");
        assert_eq!(
            head,
            "\
id          one
sent        2026-11-21T09:00:00Z, 60 min ago
received    1 time
reason      not_scored: no points for naps
means       the scoring policy lacks its kind, or a version for its time
to do       add it to the scoring policy and deploy, then redrive
made of     message before
activity    course-17 of ann: nap in onboarding, at 2026-11-21T08:00:00Z
other  x\u{fffd}
"
        );
        assert!(body.starts_with("{\n  \"dynamodb\": {\n"), "{body}");
        letter.body = "no\nJSON \u{1b}[31m".to_owned();
        assert!(render(&letter, now).ends_with("\nbody\nno\nJSON \u{fffd}[31m\n"));
    }
}
