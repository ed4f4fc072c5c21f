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
use terminal::text::counted;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use super::{
    EXIT_INTERRUPTED, Interrupts, Selection, conclude,
    dead_letters::IdHash,
    export::{Draft, write},
    give_back,
    pace::BATCH,
    sweep::{Ending, LANES, Sweep},
};

/// How long the operator may take to type the queue's name. The dead letters are hidden meanwhile.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long deleting may take after that: 100,000 dead letters are 10,000 batches, 8 at a time.
const DELETING: Duration = Duration::from_mins(2);

pub const HELP: &str = "\
A purge writes the dead letters to a file, as `podium dlq export` does, asks you to type the name of the
queue, and then deletes exactly the dead letters in the file. Those that arrive meanwhile stay, and so do
those that another command holds. Without a terminal, give --yes QUEUE_NAME instead of typing the name.

Purged messages are not counted. Their activities stay in the table of activities.";

#[derive(clap::Args)]
pub struct Args {
    /// The file to which dead letters are written before they are deleted. It must not exist yet
    #[arg(long, value_name = "FILE")]
    export: PathBuf,
    /// Do not ask. Give the name of the queue to confirm
    #[arg(long, value_name = "QUEUE_NAME")]
    yes: Option<String>,
    #[command(flatten)]
    selection: Selection,
}

pub async fn run(args: Args, interrupts: &mut Interrupts) -> anyhow::Result<ExitCode> {
    let draft = Draft::begin(&args.export)?;
    let queue = args.selection.connect().await?.dead_letter_queue().await?;
    let name = queue.name();
    match &args.yes {
        Some(yes) => ensure!(
            yes == name,
            "--yes says {yes:?}, but the queue is {name}; nothing was deleted. Correct --yes or --of"
        ),
        None => ensure!(
            stdin().is_terminal(),
            "nothing was deleted: there is no terminal to confirm at; to purge this queue, give --yes {name}"
        ),
    }

    let typing = if args.yes.is_some() {
        Duration::ZERO
    } else {
        PATIENCE
    };
    let sweep = Sweep::hold(&queue, typing + DELETING).await?;
    let (ending, written) = write(&sweep, interrupts, &args.selection.choice, draft).await;
    let purged = match (ending, written) {
        (Ending::Interrupted, Ok(_)) => Ok(None),
        (_, Err(error)) => Err(error),
        (_, Ok(draft)) => purge(&sweep, interrupts, &args, name, draft).await,
    };
    let hidden = sweep.hidden_elsewhere().await;
    give_back(&sweep, interrupts).await;
    let Some((dead_letters, purged)) = purged? else {
        return Ok(conclude(Ending::Interrupted, 0));
    };
    if dead_letters == 0 {
        println!("no dead letters to purge in {name}");
        return Ok(conclude(ending, hidden?));
    }
    println!(
        "{} deleted from {name}; they are in {}",
        counted(purged.deleted as u64, "dead letter", "dead letters"),
        args.export.display()
    );
    debug_assert!(
        purged.deleted <= dead_letters,
        "only dead letters in the file are deleted"
    );
    let left = dead_letters - purged.deleted;
    if left > 0 {
        let why = purged.refused.first();
        eprintln!(
            "podium: {} not deleted{}; run this again with another file",
            counted(
                left as u64,
                "dead letter in the file was",
                "dead letters in the file were"
            ),
            why.map(|why| format!(" (first reason: {why})"))
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
    /// Why dead letters could not be deleted.
    refused: Vec<String>,
    is_interrupted: bool,
}

/// Once the file is on disk and the name was typed, deletes the dead letters in it. Returns how many the
/// file holds and the result, or `None` if it was interrupted before.
async fn purge(
    sweep: &Sweep<'_>,
    interrupts: &mut Interrupts,
    args: &Args,
    name: &str,
    draft: Draft,
) -> anyhow::Result<Option<(usize, Purged)>> {
    if draft.count() == 0 {
        return Ok(Some((0, Purged::default())));
    }
    let dead_letters = counted(draft.count(), "dead letter", "dead letters");
    let id_hashes = draft.keep()?;
    println!("{dead_letters} from {name} written to {}", args.export.display());
    if args.yes.is_none() {
        eprintln!("They will now be deleted from {name}. Type the queue's name to confirm:");
        tokio::select! {
            () = interrupts.next() => {
                return Ok(None);
            }
            typed = timeout(PATIENCE, typed()) => {
                let typed = typed.context("nothing was deleted: the name was not typed within 2 minutes; the export is kept")?;
                ensure!(
                    is_confirmed(&typed, name),
                    "nothing was deleted: that is not the queue's name; the export is kept"
                );
            }
        }
    }
    let purged = delete(sweep, interrupts, &id_hashes).await;
    Ok(Some((id_hashes.len(), purged)))
}

/// Deletes dead letters in concurrent batches. When it stops early, it waits for the batches under way, so
/// that the result says exactly what was deleted.
async fn delete(sweep: &Sweep<'_>, interrupts: &mut Interrupts, id_hashes: &[IdHash]) -> Purged {
    let give_up_at = Instant::now() + DELETING;
    let is_over = Cell::new(false);
    let mut purged = Purged::default();
    let mut batches = stream::iter(id_hashes.chunks(BATCH))
        .take_while(|_| ready(!is_over.get() && Instant::now() < give_up_at))
        .map(async |id_hashes| (id_hashes.len(), sweep.delete(id_hashes).await))
        .buffer_unordered(LANES);
    loop {
        tokio::select! {
            () = interrupts.next(), if !purged.is_interrupted => {
                purged.is_interrupted = true;
                is_over.set(true);
            }
            batch = batches.next() => match batch {
                None => return purged,
                Some((dead_letters, Ok(refused))) => {
                    purged.deleted += dead_letters - refused.len();
                    purged.refused.extend(refused.into_iter().map(|(_, reason)| reason));
                }
                Some((dead_letters, Err(error))) => {
                    purged.refused.extend(vec![format!("{error:#}"); dead_letters]);
                    is_over.set(true);
                }
            }
        }
    }
}

/// Reads a line from the terminal, on a separate thread so that waiting for it does not delay the exit.
async fn typed() -> String {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let _end_of_input_is_an_empty_line = stdin().read_line(&mut line);
        let _receiver_may_be_gone = sender.send(line);
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
