//! `podium dlq redrive`.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashSet},
    num::NonZeroU32,
    ops::ControlFlow,
    process::ExitCode,
    time::Duration,
};

use anyhow::bail;
use tokio::time::Instant;

use super::{
    EXIT_INTERRUPTED, Interrupts, describe_hidden, give_back,
    letters::{Choice, Key, Letter, Summary},
    pace::{Pace, batches},
    place::{Of, Place},
    queue::Queue,
    sweep::{Delivery, Ending, LANES, Sweep, visibility, visibility_at},
};
use terminal::text::{counted, grouped};

/// Letters of one run at most: what it remembers of each takes some 50 bytes.
const LETTERS_MAX: u64 = 1_000_000;

/// Seldom enough for a log.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// Reasons for which letters were refused, told apart.
const REFUSALS_MAX: usize = 5;

pub const HELP: &str = "\
Mend first what the reasons name: the scoring policy, a permission, a table. What is not mended comes
back as a dead letter, with its reason.

A letter is deleted only after the queue has accepted its body as a new message. Wherever a redrive
is interrupted, by Ctrl-C or by a kill, it can be run again: what was sent but not deleted is sent
again, and the aggregator recognizes it by its marker, so that it counts once. That holds for 90
days, as long as markers are kept. After a kill, wait for half a minute until the letters that it
had in hand are seen again.

Only letters that were sent before the redrive began are sent, and none that comes back meanwhile,
so that it ends.";

#[derive(clap::Args)]
pub struct Args {
    /// Letters a second at most
    #[arg(long, value_name = "N", default_value = "100", value_parser = parse_rate)]
    rate: NonZeroU32,
    /// Letters to send at most
    #[arg(long, value_name = "N", default_value_t = LETTERS_MAX, value_parser = clap::value_parser!(u64).range(1..=LETTERS_MAX))]
    limit: u64,
    /// Say what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    place: Place,
}

fn parse_rate(raw: &str) -> Result<NonZeroU32, String> {
    let rate = raw.parse::<NonZeroU32>().ok().filter(|rate| rate.get() <= 1_000);
    rate.ok_or_else(|| "a rate is a whole number from 1 to 1000".to_owned())
}

pub async fn run(args: Args, interrupts: &mut Interrupts) -> anyhow::Result<ExitCode> {
    args.choice.check()?;
    let connection = args.place.connect().await?;
    let from = connection.dead_letters().await?;
    refuse_others(from.name())?;
    let to = connection.main(&from).await?;
    if args.dry_run {
        return rehearse(&args.choice, args.limit, &from, &to, interrupts).await;
    }

    let pace = Pace::new(args.rate);
    let most = pace.batch();
    let letters = from.depth().await?.total();
    let whole = Duration::from_secs(letters.div_ceil(args.rate.get().into()));
    let sweep = Sweep::pass(
        &from,
        most,
        visibility_at(args.rate.get(), LANES * most),
        visibility(letters).saturating_add(whole),
    );
    let redrive = Redrive {
        sweep,
        to: &to,
        choice: &args.choice,
        begun: Instant::now(),
        most,
        work: RefCell::new(Work::new(pace, args.limit)),
    };
    let (ending, ran) = redrive
        .sweep
        .run(interrupts, async |delivery| {
            redrive.handle(delivery, letters).await
        })
        .await;
    let hidden = redrive.sweep.hidden_elsewhere().await;
    give_back(&redrive.sweep, interrupts).await;
    let work = redrive.work.into_inner();
    print!("{}", work.render(from.name(), to.name()));
    ran?;
    let hidden = hidden?;
    if hidden > 0 {
        eprintln!("{}", describe_hidden(hidden));
    }
    if ending == Ending::Full {
        eprintln!("podium: too many letters were passed over; choose others, or run it again later");
    }
    let is_done = work.is_done() && hidden == 0 && ending != Ending::Full;
    Ok(match ending {
        Ending::Interrupted => {
            eprintln!("podium: interrupted; run it again to send the others");
            ExitCode::from(EXIT_INTERRUPTED)
        }
        _ if is_done => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Letters of the other queues are no messages for the aggregator.
fn refuse_others(name: &str) -> anyhow::Result<()> {
    if name.ends_with(Of::Pipe.suffix()) {
        bail!(
            "the pipe's dead letters cannot be redriven: they hold positions in the stream and no activity. \
             Bring the records back within the stream's 24 hours: docs/RUNBOOK.md, \"Bring back what the pipe skipped\""
        );
    }
    if name.ends_with(Of::Snapshot.suffix()) {
        bail!(
            "the snapshot's dead letters cannot be redriven: an old run is worth nothing, and the next one \
             makes up for it. Mend what they name, then `podium dlq purge --of snapshot --export FILE`"
        );
    }
    Ok(())
}

async fn rehearse(
    choice: &Choice,
    limit: u64,
    from: &Queue,
    to: &Queue,
    interrupts: &mut Interrupts,
) -> anyhow::Result<ExitCode> {
    let sweep = Sweep::hold(from, Duration::ZERO).await?;
    let summary = RefCell::new(Summary::default());
    let (ending, looked) = sweep
        .run(interrupts, async |delivery| {
            let mut summary = summary.borrow_mut();
            for letter in delivery.new {
                if letter.sent_at < sweep.began && choice.includes(&letter, sweep.began) {
                    summary.add(&letter);
                }
            }
            Ok(ControlFlow::Continue(()))
        })
        .await;
    let hidden = sweep.hidden_elsewhere().await;
    give_back(&sweep, interrupts).await;
    looked?;
    let summary = summary.into_inner();
    let letters = counted(summary.letters().min(limit), "letter", "letters");
    println!("would send {letters} of {} to {}", from.name(), to.name());
    for (code, count) in summary.counts() {
        println!("{:>9}  {code}", grouped(count.letters));
    }
    Ok(super::conclude(ending, hidden?))
}

struct Redrive<'a> {
    sweep: Sweep<'a>,
    to: &'a Queue,
    choice: &'a Choice,
    begun: Instant,
    most: usize,
    work: RefCell<Work>,
}

/// What is done, and what is known of it.
struct Work {
    pace: Pace,
    left_to_choose: u64,
    /// Letters whose bodies the queue has accepted.
    accepted: HashSet<Key>,
    /// Those of them that are still to be deleted.
    undeleted: HashSet<Key>,
    /// The ids of the messages that they became, by which they are known if they come back.
    sent_as: HashSet<Key>,
    said_at: Instant,
    passed_over: PassedOver,
    refused: u64,
    refusals: BTreeMap<String, u64>,
}

/// How many letters were left where they are, and why.
#[derive(Debug, Default)]
struct PassedOver {
    came_back: u64,
    arrived_since: u64,
    not_meant: u64,
    over_limit: u64,
}

impl Redrive<'_> {
    async fn handle(&self, delivery: Delivery, letters: u64) -> anyhow::Result<ControlFlow<()>> {
        let (chosen, aside) = self.choose(delivery.new);
        let mut again = Vec::new();
        let mut known = Vec::new();
        for letter in delivery.again {
            if self.work.borrow().accepted.contains(&letter.key()) {
                again.push(letter.key());
            } else {
                known.push(letter);
            }
        }
        self.sweep.set_aside(&aside).await;
        self.sweep.set_aside(&known).await;
        // SQS may hand out a letter once more after it was deleted.
        self.delete(&again).await?;
        for batch in batches(chosen, self.most, |letter| letter.body.len()) {
            let start = {
                let mut work = self.work.borrow_mut();
                self.begun + work.pace.reserve(self.begun.elapsed(), batch.len())
            };
            if !self.sweep.wait_until(start).await {
                break;
            }
            self.send(&batch).await?;
        }
        self.work.borrow_mut().say(letters);
        let is_enough = self.work.borrow().left_to_choose == 0;
        Ok(if is_enough {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }

    /// The letters to send, and those to leave.
    fn choose(&self, letters: Vec<Letter>) -> (Vec<Letter>, Vec<Letter>) {
        let mut work = self.work.borrow_mut();
        letters.into_iter().partition(|letter| {
            let came_from = letter.made_of().map(Key::of);
            let came_back = work.sent_as.contains(&letter.key())
                || came_from.is_some_and(|message| work.sent_as.contains(&message));
            let passed_over = if came_back {
                &mut work.passed_over.came_back
            } else if letter.sent_at >= self.sweep.began {
                &mut work.passed_over.arrived_since
            } else if !self.choice.includes(letter, self.sweep.began) {
                &mut work.passed_over.not_meant
            } else if work.left_to_choose == 0 {
                &mut work.passed_over.over_limit
            } else {
                work.left_to_choose -= 1;
                return true;
            };
            *passed_over += 1;
            false
        })
    }

    /// Sends one batch, and deletes of it what was accepted.
    async fn send(&self, batch: &[Letter]) -> anyhow::Result<()> {
        let outcomes = self.to.send(batch).await?;
        let mut accepted = Vec::new();
        {
            let mut work = self.work.borrow_mut();
            for (letter, outcome) in batch.iter().zip(outcomes) {
                match outcome {
                    Ok(message) => {
                        work.accepted.insert(letter.key());
                        work.undeleted.insert(letter.key());
                        work.sent_as.insert(Key::of(&message));
                        accepted.push(letter.key());
                    }
                    Err(refusal) => work.refuse(refusal.reason),
                }
            }
        }
        self.delete(&accepted).await
    }

    async fn delete(&self, keys: &[Key]) -> anyhow::Result<()> {
        let refused = self.sweep.delete(keys).await?;
        let mut work = self.work.borrow_mut();
        for key in keys {
            work.undeleted.remove(key);
        }
        work.undeleted.extend(refused.into_iter().map(|(key, _)| key));
        Ok(())
    }
}

impl Work {
    fn new(pace: Pace, limit: u64) -> Self {
        Self {
            pace,
            left_to_choose: limit,
            accepted: HashSet::new(),
            undeleted: HashSet::new(),
            sent_as: HashSet::new(),
            said_at: Instant::now(),
            passed_over: PassedOver::default(),
            refused: 0,
            refusals: BTreeMap::new(),
        }
    }

    fn redriven(&self) -> u64 {
        u64::try_from(self.accepted.len()).unwrap_or(u64::MAX)
    }

    fn refuse(&mut self, reason: String) {
        self.refused += 1;
        if self.refusals.len() < REFUSALS_MAX || self.refusals.contains_key(&reason) {
            *self.refusals.entry(reason).or_default() += 1;
        }
    }

    /// How far it is, now and then.
    fn say(&mut self, letters: u64) {
        if self.said_at.elapsed() >= SAY_EVERY {
            self.said_at = Instant::now();
            eprintln!("{} sent, of about {}", grouped(self.redriven()), grouped(letters));
        }
    }

    fn is_done(&self) -> bool {
        let PassedOver {
            came_back,
            arrived_since,
            ..
        } = self.passed_over;
        self.refused == 0 && self.undeleted.is_empty() && came_back == 0 && arrived_since == 0
    }

    fn render(&self, from: &str, to: &str) -> String {
        let mut lines = vec![format!(
            "{} of {from} sent to {to}",
            counted(self.redriven(), "letter", "letters")
        )];
        let PassedOver {
            came_back,
            arrived_since,
            not_meant,
            over_limit,
        } = self.passed_over;
        for (number, what) in [
            (
                self.undeleted.len() as u64,
                "of them could not be deleted; if sent again they still count once",
            ),
            (self.refused, "refused by the queue, and left"),
            (
                came_back,
                "came back already, not mended; `podium dlq list` says why",
            ),
            (arrived_since, "arrived since it began, and left"),
            (not_meant, "not asked for, and left"),
        ] {
            if number > 0 {
                lines.push(format!("{:>9} {what}", grouped(number)));
            }
        }
        if over_limit > 0 || self.left_to_choose == 0 {
            lines.push("The limit is reached; there may be more.".to_owned());
        }
        for (reason, number) in &self.refusals {
            lines.push(format!("refused {}: {reason}", counted(*number, "time", "times")));
        }
        lines.join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_bounded() {
        for (raw, expected) in [
            ("1", true),
            ("1000", true),
            ("0", false),
            ("1001", false),
            ("x", false),
        ] {
            assert_eq!(parse_rate(raw).is_ok(), expected, "{raw}");
        }
    }

    #[test]
    fn only_letters_of_the_aggregator_are_redriven() {
        for (name, expected) in [
            ("podium-prod-activities-dlq", None),
            ("mine", None),
            ("podium-prod-pipe-dlq", Some("Bring back what the pipe skipped")),
            ("podium-snapshot-dlq", Some("podium dlq purge --of snapshot")),
        ] {
            let refusal = refuse_others(name).err().map(|error| error.to_string());
            assert_eq!(refusal.is_some(), expected.is_some(), "{name}");
            assert!(
                refusal.unwrap_or_default().contains(expected.unwrap_or_default()),
                "{name}"
            );
        }
    }

    #[test]
    fn what_became_of_the_letters_is_said() {
        let mut work = Work::new(Pace::new(NonZeroU32::MIN), 1);
        work.accepted
            .extend((0..1_204).map(|id| Key::of(&id.to_string())));
        assert_eq!(work.render("a-dlq", "a"), "1,204 letters of a-dlq sent to a\n");
        assert!(work.is_done());
        for reason in ["InternalError: x", "InternalError: x", "Other: y"] {
            work.refuse(reason.to_owned());
        }
        work.undeleted.insert(Key::of("1"));
        work.passed_over.came_back = 2;
        work.passed_over.not_meant = 1_000;
        assert_eq!(
            work.render("a-dlq", "a"),
            "\
1,204 letters of a-dlq sent to a
        1 of them could not be deleted; if sent again they still count once
        3 refused by the queue, and left
        2 came back already, not mended; `podium dlq list` says why
    1,000 not asked for, and left
refused 2 times: InternalError: x
refused 1 time: Other: y
"
        );
        assert!(!work.is_done());
    }
}
