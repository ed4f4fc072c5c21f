//! Quests and coins as text.

use std::fmt::Write as _;

use domain::quest::{Activities, closest};
use domain::{ActivityId, Coin, Quest, UserId};
use terminal::text::counted;

use super::trial::Outcome;

/// Activities of the evidence that are shown of one coin among many.
const EVIDENCE_SHOWN_MAX: usize = 5;

/// Each quest with its title, what one has to do and what the coin is.
pub fn in_words(quests: &[Quest]) -> String {
    quests
        .iter()
        .map(|quest| heading(quest) + &coin_in_words(quest))
        .collect()
}

fn heading(quest: &Quest) -> String {
    let Quest {
        id, version, title, ..
    } = quest;
    format!("{id}, version {version}: {title}\n  {}\n", quest.in_words())
}

fn coin_in_words(quest: &Quest) -> String {
    format!("  Coin: {}, worth {}.\n", quest.coin.name, quest.coin.value)
}

/// The coins of each quest.
pub fn of_all(outcomes: &[Outcome<'_>]) -> String {
    let outcomes = outcomes.iter().map(|outcome| {
        let mut text = heading(outcome.quest);
        let found = counted(outcome.found.len() as u64, "coin is", "coins are");
        // Writing to a string cannot fail.
        let _ = match &outcome.issued {
            None => writeln!(text, "  {found} found."),
            Some(issued) => writeln!(text, "  {found} found, {} issued.", issued.len()),
        };
        for coin in outcome.given() {
            let proof = proof(coin, EVIDENCE_SHOWN_MAX);
            let _ = writeln!(text, "    {}{}, {proof}", coin.user, for_period(coin));
        }
        text
    });
    outcomes.collect()
}

/// For each quest, why one person gets coins, or what is lacking.
pub fn of_user(outcomes: &[Outcome<'_>], user: &UserId, activities: &Activities<'_>) -> String {
    let outcomes = outcomes.iter().map(|outcome| {
        let mut text = heading(outcome.quest);
        let given = outcome.given();
        for coin in outcome.found.iter().filter(|coin| coin.user == *user) {
            let (period, proof) = (for_period(coin), proof(coin, usize::MAX));
            let _ = if given.iter().any(|given| given.id == coin.id) {
                writeln!(text, "    a coin{period}, {proof}")
            } else {
                writeln!(text, "    no coin{period}, since others were first: {proof}")
            };
        }
        if !outcome.found.iter().any(|coin| coin.user == *user) {
            let lacking = match closest(outcome.quest, activities) {
                Some(progress) => {
                    let evidence = list(&progress.evidence, usize::MAX);
                    format!("{}; evidence: {evidence}", progress.in_words(outcome.quest))
                }
                None => "no activity matches".to_owned(),
            };
            let _ = writeln!(text, "    no coin: {lacking}");
        }
        text
    });
    outcomes.collect()
}

fn for_period(coin: &Coin) -> String {
    let period = coin.period.to_string();
    if period.is_empty() {
        period
    } else {
        format!(" for {period}")
    }
}

fn proof(coin: &Coin, shown_max: usize) -> String {
    format!(
        "found by {}; evidence: {}",
        coin.found_by,
        list(&coin.evidence, shown_max)
    )
}

fn list(activities: &[ActivityId], shown_max: usize) -> String {
    let shown: Vec<_> = activities
        .iter()
        .take(shown_max)
        .map(ActivityId::as_str)
        .collect();
    match activities.len() - shown.len() {
        0 => shown.join(" "),
        more => format!("{} and {more} more", shown.join(" ")),
    }
}
