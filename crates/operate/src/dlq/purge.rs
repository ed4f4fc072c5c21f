//! `podium dlq purge`.

use std::{
    cell::Cell,
    future::ready,
    io::{IsTerminal as _, stdin},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, stream};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use super::{
    EXIT_INTERRUPTED, Interrupts, conclude,
    export::{Draft, write},
    give_back,
    letters::{Choice, Key},
    pace::BATCH,
    place::Place,
    sweep::{Ending, LANES, Sweep},
};
use terminal::text::counted;

/// How long the queue's name may take to be typed. The letters are hidden meanwhile.
const PATIENCE: Duration = Duration::from_mins(2);
/// And how long deleting them may take after that: 100,000 letters are 10,000 batches, 8 side by side.
const DELETING: Duration = Duration::from_mins(2);

pub const HELP: &str = "\
It first writes the letters to a file, as `podium dlq export` does, then asks you to type the name of
the queue, and then deletes those letters and no others: what arrives meanwhile stays, and so does
what another command has in hand. Without a terminal, --yes QUEUE_NAME takes the place of typing.

What is purged is not counted. The activities themselves are kept in their table.";

#[derive(clap::Args)]
pub struct Args {
    /// The file that gets the letters before they are deleted, which must not be there yet
    #[arg(long, value_name = "FILE")]
    export: PathBuf,
    /// Do not ask: the name of the queue that is meant
    #[arg(long, value_name = "QUEUE_NAME")]
    yes: Option<String>,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    place: Place,
}

pub async fn run(args: Args, interrupts: &mut Interrupts) -> anyhow::Result<ExitCode> {
    args.choice.check()?;
    let draft = Draft::begin(&args.export)?;
    let queue = args.place.connect().await?.dead_letters().await?;
    let name = queue.name();
    match &args.yes {
        Some(yes) => ensure!(
            yes == name,
            "--yes says {yes:?}, but the queue is {name}; nothing was deleted"
        ),
        None => ensure!(
            stdin().is_terminal(),
            "nothing was deleted, since nobody can be asked; give --yes {name} if that queue is meant"
        ),
    }

    let typing = if args.yes.is_some() {
        Duration::ZERO
    } else {
        PATIENCE
    };
    let sweep = Sweep::hold(&queue, typing + DELETING).await?;
    let (ending, written) = write(&sweep, interrupts, &args.choice, draft).await;
    let purged = match (ending, written) {
        (Ending::Interrupted, Ok(_)) => Ok(None),
        (_, Err(error)) => Err(error),
        (_, Ok(draft)) => purge(&sweep, interrupts, &args, name, draft).await,
    };
    let hidden = sweep.hidden_elsewhere().await;
    give_back(&sweep, interrupts).await;
    let Some((letters, purged)) = purged? else {
        return Ok(conclude(Ending::Interrupted, 0));
    };
    if letters == 0 {
        println!("there is nothing to purge in {name}");
        return Ok(conclude(ending, hidden?));
    }
    println!(
        "{} of {name} deleted; {} has them",
        counted(purged.deleted as u64, "letter", "letters"),
        args.export.display()
    );
    let left = letters - purged.deleted;
    if left > 0 {
        let why = purged.refused.first();
        eprintln!(
            "podium: {} left{}; run it again with another file",
            counted(left as u64, "letter of the file is", "letters of the file are"),
            why.map(|why| format!(", the first since {why}"))
                .unwrap_or_default()
        );
    }
    Ok(match conclude(ending, hidden?) {
        _ if purged.is_interrupted => ExitCode::from(EXIT_INTERRUPTED),
        _ if left > 0 => ExitCode::FAILURE,
        code => code,
    })
}

#[derive(Default)]
struct Purged {
    deleted: usize,
    /// Why letters could not be deleted.
    refused: Vec<String>,
    is_interrupted: bool,
}

/// Deletes what the file holds, once it is on the disk and the name was typed. Gives how many letters
/// the file holds and what became of them, or nothing if it was interrupted before.
async fn purge(
    sweep: &Sweep<'_>,
    interrupts: &mut Interrupts,
    args: &Args,
    name: &str,
    draft: Draft,
) -> anyhow::Result<Option<(usize, Purged)>> {
    if draft.letters() == 0 {
        return Ok(Some((0, Purged::default())));
    }
    let letters = counted(draft.letters(), "letter", "letters");
    let keys = draft.keep()?;
    println!("{letters} of {name} written to {}", args.export.display());
    if args.yes.is_none() {
        eprintln!("They are about to be deleted from {name}. Type its name to go on:");
        tokio::select! {
            () = interrupts.next() => {
                return Ok(None);
            }
            typed = timeout(PATIENCE, typed()) => {
                let typed = typed.context("nothing was deleted, since nothing was typed in time")?;
                ensure!(
                    is_confirmed(&typed, name),
                    "nothing was deleted, since that is not the queue's name; the export is kept"
                );
            }
        }
    }
    let purged = delete(sweep, interrupts, &keys).await;
    Ok(Some((keys.len(), purged)))
}

/// Deletes letters, batches side by side. Those that are under way when it is to end are waited for, so
/// that it is known what was deleted.
async fn delete(sweep: &Sweep<'_>, interrupts: &mut Interrupts, keys: &[Key]) -> Purged {
    let give_up_at = Instant::now() + DELETING;
    let is_over = Cell::new(false);
    let mut purged = Purged::default();
    let mut batches = stream::iter(keys.chunks(BATCH))
        .take_while(|_| ready(!is_over.get() && Instant::now() < give_up_at))
        .map(async |keys| (keys.len(), sweep.delete(keys).await))
        .buffer_unordered(LANES);
    loop {
        tokio::select! {
            () = interrupts.next(), if !purged.is_interrupted => {
                purged.is_interrupted = true;
                is_over.set(true);
            }
            batch = batches.next() => match batch {
                None => return purged,
                Some((letters, Ok(refused))) => {
                    purged.deleted += letters - refused.len();
                    purged.refused.extend(refused.into_iter().map(|(_, reason)| reason));
                }
                Some((letters, Err(error))) => {
                    purged.refused.extend(vec![format!("{error:#}"); letters]);
                    is_over.set(true);
                }
            }
        }
    }
}

/// What is typed, read on a thread of its own: one that waits for a line must not hold up the end.
async fn typed() -> String {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let _end_of_input_is_an_empty_line = stdin().read_line(&mut line);
        let _nobody_waits_any_more = sender.send(line);
    });
    receiver.await.unwrap_or_default()
}

fn is_confirmed(typed: &str, name: &str) -> bool {
    typed.trim() == name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_the_queue_confirms() {
        for (typed, expected) in [
            ("podium-activities-dlq\n", true),
            (" podium-activities-dlq \r\n", true),
            ("", false),
            ("\n", false),
            ("y\n", false),
            ("podium-activities\n", false),
            ("podium-activities-dlq x\n", false),
        ] {
            assert_eq!(
                is_confirmed(typed, "podium-activities-dlq"),
                expected,
                "{typed:?}"
            );
        }
    }
}
