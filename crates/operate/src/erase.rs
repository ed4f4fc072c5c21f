//! `podium people erase`: deletes what is kept of one person.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use domain::{Person, UserId, Visibility};
use jiff::{SignedDuration, Timestamp};
use store::erasing::{Erased, Erasing};
use store::erasures::{Erasures, PersonHash};
use store::fold::PersonFold;
use store::{Coins, Generations, People, generations};
use terminal::duration;
use terminal::text::{age, counted, printable};
use tokio::time::{Instant, sleep};

use crate::counts::Counts;
use crate::deployment::Deployment;
use crate::rewards::Rewards;

/// Nothing that began before an erasure was noted still writes after this: neither an invocation of a function, 30 s for
/// the aggregator, nor a fold ([`store::folding::FOLD_ENDS_WITHIN`]).
pub const ENDED_AFTER: Duration = Duration::from_secs(45);
const _: () = assert!(ENDED_AFTER.as_secs() > store::folding::FOLD_ENDS_WITHIN.as_secs());
/// How often the generations are changed at the same time by others before it gives up.
const NOTING_TRIES: u32 = 10;
const SNAPSHOT_POLL: Duration = Duration::from_secs(1);

pub const HELP: &str = "\
An erasure deletes the profile of a person, all activities and corrections, the points and coins that they came to, the keys
by which they were counted once, and every published page, head and history that names the person; boards of periods
that are over are written anew without the person. It asks you to
type the id; without a terminal, give --yes USER instead. There is no way back.

It first notes that the person is erased, by a keyed hash, and hides the person. What was received before that moment
is never counted again, however late a queue delivers it; what is posted later is of a new person with the same id.
It then waits until no function or command that began before can still write, and for two snapshots. This takes two to
three minutes with a snapshot a minute. If it is stopped, run it again: it resumes.

It reads the whole tables of keys, standings and snapshots, and the facts of everyone, since the person may have sent
activities or corrections for others: these stay, and name `erased:` and the hash as their sender.

It cannot reach what is kept outside these tables:
  backups of the tables (up to 35 days, if they are on)
  the stream of activities (24 hours), and messages in queues and dead letters (up to 14 days)
  what browsers and caches keep (a minute), and files and logs that you made yourself
  webhooks and mail about coins that were sent, and other systems that Podium's data was sent to

A record of the erasure, with its time, the hash and counts but without personal data, is kept under the key `audit` in
the table of standings.

Without options it uses the stack of `podium local`; with --environment NAME, a deployment on AWS.

Exit status: 0 if the person is erased, 1 if not.";

#[derive(clap::Args)]
pub struct Args {
    /// The person's id
    user: UserId,
    /// Do not ask. Give the id again to confirm
    #[arg(long, value_name = "USER")]
    yes: Option<String>,
    /// The subject of the person's tokens, if it is not the id
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Stop if there is no snapshot for this long
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = duration::parse)]
    give_up_after: Duration,
    #[command(flatten)]
    deployment: Deployment,
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let counts = Counts::connect(&args.deployment).await?;
    let user = args.user;
    let generations = counts.generations().await?;
    ensure!(
        !generations.is_former(generations.live),
        "the live counts are of an earlier version of Podium, which an erasure cannot change; finish `podium rebuild \
         run` first"
    );
    let kept = what_is_kept(&counts, &generations, &user).await?;
    confirm(&user, &kept, args.yes.as_deref())?;

    let erasure = Erasure::begin(&args.deployment, user.clone()).await?;
    println!(
        "Noted: what was received of {user} before {:.3} is not counted any more.",
        erasure.before
    );
    let waits = Waits {
        ended_after: ENDED_AFTER,
        give_up_after: args.give_up_after,
    };
    let subject = args.subject.as_deref().unwrap_or(user.as_str());
    let erased = erasure.finish(subject, waits, |step| println!("{step}")).await?;
    println!(
        "{user} is erased: {}. The record says {} instead.\nBackups, the streams (24 hours), queues and dead letters (14 \
         days), webhooks and mail that were sent, and whatever was copied elsewhere are not reached.",
        what(&erased),
        erasure.hash.as_str()
    );
    Ok(ExitCode::SUCCESS)
}

/// An erasure that was noted. It can be begun again, and finished again.
pub struct Erasure {
    counts: Counts,
    user: UserId,
    /// What was received before this is erased.
    before: Timestamp,
    hash: PersonHash,
}

/// How long an erasure waits.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// Nothing that began before the note still writes after this.
    pub ended_after: Duration,
    /// For a snapshot.
    pub give_up_after: Duration,
}

impl Erasure {
    /// Notes it, and hides the person.
    pub async fn begin(deployment: &Deployment, user: UserId) -> anyhow::Result<Self> {
        let counts = Counts::connect(deployment).await?;
        let (generations, before) = note(&counts, &user).await?;
        let hash = generations.erasures.hash(&user);
        let hash = hash.context("the note was deleted meanwhile")?;
        let people = People::new(counts.client.clone(), counts.tables.people.clone());
        let hidden = Person {
            visibility: Visibility::Hidden,
            ..Person::default()
        };
        people.put(&user, &hidden).await?;
        Ok(Self {
            counts,
            user,
            before,
            hash,
        })
    }

    /// Waits, deletes everything, waits for two snapshots and deletes what appeared meanwhile. `subject` is that of the
    /// person's tokens; `tell` gets the steps, in words.
    pub async fn finish(&self, subject: &str, waits: Waits, tell: impl Fn(&str)) -> anyhow::Result<Erased> {
        let Self {
            counts,
            user,
            before,
            hash,
        } = self;
        tell(&format!(
            "Waiting {} for what began before.",
            age(waits.ended_after.as_secs_f64())
        ));
        sleep(waits.ended_after).await;

        let people = People::new(counts.client.clone(), counts.tables.people.clone());
        let tables = counts.tables.clone();
        let erasing = Erasing::new(counts.client.clone(), tables, user.clone(), *before, hash.clone());
        let mut erased = sweep(counts, &erasing, user).await?;
        people.delete(user).await?;
        tell(&format!("Deleted: {}.", what(&erased)));
        tell("Waiting for two snapshots.");
        let since = two_snapshots(counts, waits.give_up_after).await?;

        // Once more, for what was written while the first pass read.
        erased.add(sweep(counts, &erasing, user).await?);
        people.delete(user).await?;
        if Coins::new(counts.client.clone(), counts.tables.coins.clone())
            .are_kept()
            .await?
        {
            // What was posted since the erasure may have earned coins, which were deleted with the others.
            let generations = counts.generations().await?;
            let rewards = Rewards::connect(counts.client.clone(), &counts.tables, &generations, None).await?;
            ensure!(
                rewards.prove(user).await?,
                "the coins for what was posted since could not be given again, since activities keep coming; run this again"
            );
        }
        erased.add(Erased {
            pages: erasing.boards(since).await?,
            records: erasing.records().await?,
            sent_for_others: erasing.poster(&format!("token:{subject}")).await?,
            ..Erased::default()
        });
        if erasing.is_at_checkpoint().await? {
            bail!(
                "a rebuild stopped at an activity of {user}, and its checkpoint names the person; finish it with `podium \
                 rebuild run` or give it up with `podium rebuild finish`, and run this again"
            );
        }
        erasing.record(&erased, Timestamp::now()).await?;
        change_notes(counts, |erasures| Ok(erasures.finished(user))).await?;
        Ok(erased)
    }
}

/// What there is to erase.
struct Kept {
    facts: u64,
    standings: u64,
    has_profile: bool,
    is_resumed: bool,
}

async fn what_is_kept(counts: &Counts, generations: &Generations, user: &UserId) -> anyhow::Result<Kept> {
    let people = People::new(counts.client.clone(), counts.tables.people.clone());
    let kept = Kept {
        facts: counts.facts.of_user(user).await?.len() as u64,
        standings: counts.standings.kept_of_user(generations.live, user).await?.len() as u64,
        has_profile: people.get(user).await?.is_some(),
        is_resumed: generations.erasures.is_erasing(user),
    };
    ensure!(
        kept.facts > 0 || kept.standings > 0 || kept.has_profile || kept.is_resumed,
        "nothing is kept of {user}; check the id, in which capitals matter"
    );
    Ok(kept)
}

/// Asks for the id, unless it was given.
fn confirm(user: &UserId, kept: &Kept, yes: Option<&str>) -> anyhow::Result<()> {
    println!(
        "{} and {} of {user} will be deleted for good{}{}.",
        counted(kept.facts, "activity or correction", "activities and corrections"),
        counted(kept.standings, "standing", "standings"),
        if kept.has_profile {
            ", with the profile"
        } else {
            ""
        },
        if kept.is_resumed {
            "; an erasure that was begun is resumed"
        } else {
            ""
        },
    );
    let typed = if let Some(yes) = yes {
        yes.to_owned()
    } else {
        ensure!(
            io::stdin().is_terminal(),
            "nothing was deleted: there is no terminal to confirm at; to erase this person, give --yes {user}"
        );
        print!("Type the id to erase this person: ");
        io::stdout().flush()?;
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        line.trim().to_owned()
    };
    ensure!(
        typed == user.as_str(),
        "nothing was deleted: {:?} is not {user}",
        printable(&typed)
    );
    Ok(())
}

/// Notes the erasure where the aggregator and every fold see it. Returns the time before which everything is erased.
async fn note(counts: &Counts, user: &UserId) -> anyhow::Result<(Generations, Timestamp)> {
    // The clock of this machine may be behind that of ingestion.
    let facts = counts.facts.of_user(user).await?;
    let latest = facts.iter().map(|stored| stored.received_at).max();
    let after = latest.map(|latest| latest + SignedDuration::from_millis(1));
    let now = Timestamp::now().max(after.unwrap_or(Timestamp::MIN));
    let key: [u8; 32] = rand::random();
    let noted = change_notes(counts, |erasures| Ok(erasures.begun(user, now, key)?)).await?;
    let before = noted
        .erasures
        .before(user)
        .context("the note was deleted meanwhile")?;
    Ok((noted, before))
}

/// Changes the notes of erasures, unless they are so already.
async fn change_notes(
    counts: &Counts,
    change: impl Fn(&Erasures) -> anyhow::Result<Erasures>,
) -> anyhow::Result<Generations> {
    for _ in 0..NOTING_TRIES {
        let known = counts.generations().await?;
        let mut wanted = known.clone();
        wanted.erasures = change(&known.erasures)?;
        if wanted == known {
            return Ok(known);
        }
        let table = &counts.tables.standings;
        if let Some(noted) = generations::replace(&counts.client, table, &known, wanted).await? {
            return Ok(noted);
        }
    }
    bail!("others changed the generations each time; run this again");
}

/// Deletes facts, has the standings of every generation folded anew, and deletes what belonged to them. The epochs are
/// listed before the folds: each fold gives its standing another version, so that nothing writes a standing with one of
/// them any more.
async fn sweep(counts: &Counts, erasing: &Erasing, user: &UserId) -> anyhow::Result<Erased> {
    let mut erased = Erased {
        facts: erasing.facts().await?,
        coins: erasing.rewards().await?,
        ..Erased::default()
    };
    let epochs = erasing.epochs().await?;
    let generations = counts.generations().await?;
    let mut counted = Vec::new();
    for generation in generations.counted() {
        let counts = counts.of(generation, &generations);
        let shards = counts.rules.standing_shards;
        let before = counts.standings.kept_of_user(generation, user).await?;
        let fold = PersonFold::new(generation, shards, user.clone());
        counts.folding.fold(fold, None).await?;
        let after = counts.standings.kept_of_user(generation, user).await?;
        erased.standings += before
            .keys()
            .filter(|program| !after.contains_key(*program))
            .count() as u64;
        counted.push((generation, shards));
    }
    erased.standings += erasing.stray_standings(&counted).await?;
    erased.blocks += erasing.blocks(&epochs).await?;
    Ok(erased)
}

/// Waits for two snapshots, the second of which has begun after this was called. Returns when that one began, by its own
/// clock.
async fn two_snapshots(counts: &Counts, give_up_after: Duration) -> anyhow::Result<Timestamp> {
    let latest = async || anyhow::Ok(counts.snapshots.overview().await?);
    let first = latest().await?.map_or(0, |overview| overview.generation);
    let (mut seen, mut since) = (first, Instant::now());
    loop {
        if let Some(overview) = latest().await? {
            if overview.generation >= first + 2 {
                return Ok(overview.freshness.generated_at);
            }
            if overview.generation > seen {
                (seen, since) = (overview.generation, Instant::now());
            }
        }
        ensure!(
            since.elapsed() < give_up_after,
            "there was no snapshot for {}, so the boards still name the person; see what stops the snapshots, and run this \
             again",
            age(give_up_after.as_secs_f64())
        );
        sleep(SNAPSHOT_POLL).await;
    }
}

fn what(erased: &Erased) -> String {
    let Erased {
        facts,
        standings,
        blocks,
        coins,
        pages,
        records,
        sent_for_others,
    } = *erased;
    let parts = [
        (facts, "activity or correction", "activities and corrections"),
        (standings, "standing", "standings"),
        (
            blocks,
            "item of counted keys or caps",
            "items of counted keys or caps",
        ),
        (coins, "coin", "coins"),
        (pages, "page, head or history", "pages, heads and histories"),
        (records, "record of a repair", "records of repairs"),
        (
            sent_for_others,
            "sender of others' facts",
            "senders of others' facts",
        ),
    ];
    let parts = parts.into_iter().filter(|(number, ..)| *number > 0);
    let parts: Vec<_> = parts
        .map(|(number, one, many)| counted(number, one, many))
        .collect();
    if parts.is_empty() {
        return "nothing was left".to_owned();
    }
    parts.join(", ")
}
