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
use terminal::text::{counted, grouped};
use tokio::time::Instant;

use super::{
    EXIT_INTERRUPTED, Interrupts, Selection,
    dead_letters::{Choice, DeadLetter, IdHash, Summary},
    describe_hidden, give_back,
    pace::{Pace, batches},
    queue::Queue,
    sweep::{Delivery, Ending, LANES, Sweep, visibility, visibility_at},
};

/// The most dead letters in one run, which remembers about 50 bytes of each.
const DEAD_LETTERS_MAX: u64 = 1_000_000;

/// Rarely enough for a log.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// The most reasons for refusals that are listed.
const REFUSALS_MAX: usize = 5;

pub const HELP: &str = "\
First fix the cause that the reasons name: the scoring policy, a permission, a table. Otherwise the
messages come back as dead letters, with their reasons.

A dead letter is deleted only after the queue has accepted its body as a new message. You can run this
again after any interruption: a dead letter that was sent but not deleted is sent again, and the
aggregator recognises it by its key and counts it once. That holds for 89 days, as long as keys
are kept. After a kill, wait half a minute until the dead letters that it held are visible again.

A redrive sends only dead letters that existed when it began, so it always ends.";

#[derive(clap::Args)]
pub struct Args {
    /// Send at most this many dead letters a second
    #[arg(long, value_name = "N", default_value = "100", value_parser = parse_rate)]
    rate: NonZeroU32,
    /// Stop after this many dead letters
    #[arg(long, value_name = "N", default_value_t = DEAD_LETTERS_MAX, value_parser = clap::value_parser!(u64).range(1..=DEAD_LETTERS_MAX))]
    limit: u64,
    /// Print what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    selection: Selection,
}

fn parse_rate(raw: &str) -> Result<NonZeroU32, String> {
    let rate = raw.parse::<NonZeroU32>().ok().filter(|rate| rate.get() <= 1_000);
    rate.ok_or_else(|| "the rate must be a whole number from 1 to 1000".to_owned())
}

pub async fn run(args: Args, interrupts: &mut Interrupts) -> anyhow::Result<ExitCode> {
    let connection = args.selection.connect().await?;
    let from = connection.dead_letter_queue().await?;
    require_messages(from.name())?;
    let to = connection.main(&from).await?;
    let choice = &args.selection.choice;
    if args.dry_run {
        return rehearse(choice, args.limit, &from, &to, interrupts).await;
    }

    let pace = Pace::new(args.rate);
    let most = pace.batch();
    let dead_letters = from.depth().await?.total();
    let whole_run = Duration::from_secs(dead_letters.div_ceil(args.rate.get().into()));
    let sweep = Sweep::pass(
        &from,
        most,
        visibility_at(args.rate.get(), LANES * most),
        visibility(dead_letters).saturating_add(whole_run),
    );
    let redrive = Redrive {
        sweep,
        to: &to,
        choice,
        begun: Instant::now(),
        most,
        work: RefCell::new(Work::new(pace, args.limit)),
    };
    let (ending, ran) = redrive
        .sweep
        .run(interrupts, async |delivery| {
            redrive.handle(delivery, dead_letters).await
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
        eprintln!(
            "podium: too many dead letters did not match; choose with --reason, --older-than or --newer-than, or run \
             this again later"
        );
    }
    let is_done = work.is_done() && hidden == 0 && ending != Ending::Full;
    Ok(match ending {
        Ending::Interrupted => {
            eprintln!("podium: interrupted; run this again to send the rest");
            ExitCode::from(EXIT_INTERRUPTED)
        }
        _ if is_done => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// The dead letters of pipes and of the snapshot mean nothing to a function.
fn require_messages(name: &str) -> anyhow::Result<()> {
    if name.ends_with("-pipe-dlq") {
        bail!(
            "the pipe's dead letters cannot be redriven: they hold positions in the stream, not activities. \
             Recover the records within the stream's 24 hours: docs/RUNBOOK.md, \"Bring back what the pipe skipped\""
        );
    }
    if name.ends_with("-snapshot-dlq") {
        bail!(
            "the snapshot's dead letters cannot be redriven: repeating an old run is useless, since every run \
             publishes the current counts. Fix the cause, then run `podium dlq purge --of snapshot --export FILE`"
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
    let (ending, swept) = sweep
        .run(interrupts, async |delivery| {
            let mut summary = summary.borrow_mut();
            for dead_letter in delivery.new {
                if dead_letter.sent_at < sweep.began && choice.includes(&dead_letter, sweep.began) {
                    summary.add(&dead_letter);
                }
            }
            Ok(ControlFlow::Continue(()))
        })
        .await;
    let hidden = sweep.hidden_elsewhere().await;
    give_back(&sweep, interrupts).await;
    swept?;
    let summary = summary.into_inner();
    let dead_letters = counted(summary.dead_letters().min(limit), "dead letter", "dead letters");
    println!("would send {dead_letters} from {} to {}", from.name(), to.name());
    for (code, count) in summary.counts() {
        println!("{:>9}  {code}", grouped(count.dead_letters));
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

/// The progress and results of a redrive.
struct Work {
    pace: Pace,
    left_to_choose: u64,
    /// Dead letters whose bodies the queue has accepted.
    accepted: HashSet<IdHash>,
    /// Accepted dead letters that are not deleted yet.
    undeleted: HashSet<IdHash>,
    /// The ids of the messages that were sent. A dead letter made from one of them has come back.
    sent_as: HashSet<IdHash>,
    reported_at: Instant,
    passed_over: PassedOver,
    refused: u64,
    refusals: BTreeMap<String, u64>,
}

/// How many dead letters were left in the DLQ, and why.
#[derive(Debug, Default)]
struct PassedOver {
    came_back: u64,
    arrived_since: u64,
    not_chosen: u64,
    over_limit: u64,
}

impl Redrive<'_> {
    async fn handle(&self, delivery: Delivery, dead_letters: u64) -> anyhow::Result<ControlFlow<()>> {
        let (chosen, aside) = self.choose(delivery.new);
        let mut again = Vec::new();
        let mut known = Vec::new();
        for dead_letter in delivery.again {
            if self.work.borrow().accepted.contains(&dead_letter.id_hash()) {
                again.push(dead_letter.id_hash());
            } else {
                known.push(dead_letter);
            }
        }
        self.sweep.set_aside(&aside).await;
        self.sweep.set_aside(&known).await;
        // SQS may deliver a dead letter once more after it was deleted.
        self.delete(&again).await?;
        for batch in batches(chosen, self.most, |dead_letter| dead_letter.body.len()) {
            let start = {
                let mut work = self.work.borrow_mut();
                self.begun + work.pace.reserve(self.begun.elapsed(), batch.len())
            };
            if !self.sweep.wait_until(start).await {
                break;
            }
            self.send(&batch).await?;
        }
        self.work.borrow_mut().report(dead_letters);
        let is_enough = self.work.borrow().left_to_choose == 0;
        Ok(if is_enough {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }

    /// Splits dead letters into those to send and those to leave.
    fn choose(&self, dead_letters: Vec<DeadLetter>) -> (Vec<DeadLetter>, Vec<DeadLetter>) {
        let mut work = self.work.borrow_mut();
        dead_letters.into_iter().partition(|dead_letter| {
            let came_from = dead_letter.made_of().map(IdHash::of);
            let came_back = work.sent_as.contains(&dead_letter.id_hash())
                || came_from.is_some_and(|message| work.sent_as.contains(&message));
            let passed_over = if came_back {
                &mut work.passed_over.came_back
            } else if dead_letter.sent_at >= self.sweep.began {
                &mut work.passed_over.arrived_since
            } else if !self.choice.includes(dead_letter, self.sweep.began) {
                &mut work.passed_over.not_chosen
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

    /// Sends one batch, and deletes the dead letters whose bodies were accepted.
    async fn send(&self, batch: &[DeadLetter]) -> anyhow::Result<()> {
        let outcomes = self.to.send(batch).await?;
        let mut accepted = Vec::new();
        {
            let mut work = self.work.borrow_mut();
            for (dead_letter, outcome) in batch.iter().zip(outcomes) {
                match outcome {
                    Ok(message) => {
                        work.accepted.insert(dead_letter.id_hash());
                        work.undeleted.insert(dead_letter.id_hash());
                        work.sent_as.insert(IdHash::of(&message));
                        accepted.push(dead_letter.id_hash());
                    }
                    Err(refusal) => work.refuse(refusal.reason),
                }
            }
        }
        self.delete(&accepted).await
    }

    async fn delete(&self, id_hashes: &[IdHash]) -> anyhow::Result<()> {
        debug_assert!(
            id_hashes
                .iter()
                .all(|id_hash| self.work.borrow().accepted.contains(id_hash)),
            "a dead letter is deleted only after the queue accepted its body"
        );
        let refused = self.sweep.delete(id_hashes).await?;
        let mut work = self.work.borrow_mut();
        for id_hash in id_hashes {
            work.undeleted.remove(id_hash);
        }
        work.undeleted
            .extend(refused.into_iter().map(|(id_hash, _)| id_hash));
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
            reported_at: Instant::now(),
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

    /// Prints the progress from time to time.
    fn report(&mut self, dead_letters: u64) {
        if self.reported_at.elapsed() >= REPORT_EVERY {
            self.reported_at = Instant::now();
            eprintln!(
                "{} of about {} sent",
                grouped(self.redriven()),
                grouped(dead_letters)
            );
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
            "{} sent from {from} to {to}",
            counted(self.redriven(), "dead letter", "dead letters")
        )];
        let PassedOver {
            came_back,
            arrived_since,
            not_chosen,
            over_limit,
        } = self.passed_over;
        for (number, what) in [
            (
                self.undeleted.len() as u64,
                "of them could not be deleted; if they are sent again, they still count once",
            ),
            (self.refused, "refused by the queue, and stay"),
            (
                came_back,
                "came back, since their cause is not fixed; see `podium dlq list`",
            ),
            (arrived_since, "arrived after the redrive began, and stay"),
            (not_chosen, "did not match your options, and stay"),
        ] {
            if number > 0 {
                lines.push(format!("{:>9} {what}", grouped(number)));
            }
        }
        if over_limit > 0 || self.left_to_choose == 0 {
            lines.push("The limit is reached. More dead letters may be left.".to_owned());
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
            let refusal = require_messages(name).err().map(|error| error.to_string());
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
            .extend((0..1_204).map(|id| IdHash::of(&id.to_string())));
        assert_eq!(
            work.render("a-dlq", "a"),
            "1,204 dead letters sent from a-dlq to a\n"
        );
        assert!(work.is_done());
        for reason in ["InternalError: x", "InternalError: x", "Other: y"] {
            work.refuse(reason.to_owned());
        }
        work.undeleted.insert(IdHash::of("1"));
        work.passed_over.came_back = 2;
        work.passed_over.not_chosen = 1_000;
        assert_eq!(
            work.render("a-dlq", "a"),
            "\
1,204 dead letters sent from a-dlq to a
        1 of them could not be deleted; if they are sent again, they still count once
        3 refused by the queue, and stay
        2 came back, since their cause is not fixed; see `podium dlq list`
    1,000 did not match your options, and stay
refused 2 times: InternalError: x
refused 1 time: Other: y
"
        );
        assert!(!work.is_done());
    }
}
