//! What is erased, and what is posted since.

use domain::UserId;
use jiff::Timestamp;
use store::erasing::Erasing;
use store::erasures::{Erasures, PersonHash};

use super::{QUESTS, activity, coins_of, deliver, events, process, rewards_of, tick, told};
use crate::tables::{Functions, time};

#[tokio::test]
async fn what_is_erased_earns_nothing_and_who_posts_again_begins_anew() {
    let mut functions = Functions::start("UTC").await;
    let rewards = rewards_of(&functions, QUESTS).await;
    let (before, after) = (time("2026-11-21T09:00:00Z"), time("2026-11-21T10:00:00Z"));
    for id in ["a", "b", "c"] {
        functions
            .post(&activity("ann", id, "task_completed"), before)
            .await;
    }
    let old = events(&mut functions).await;
    assert_eq!(deliver(&rewards, &old, before).await, 0);
    tick(&mut functions, &rewards, before).await;
    assert_eq!(coins_of(&functions, "ann", before).await, "three issued a+b+c");

    let hash = note_erasure(&functions, "ann", after).await;
    for id in ["d", "e"] {
        functions
            .post(&activity("ann", id, "task_completed"), after)
            .await;
    }
    told(&mut functions, &rewards, after).await;
    let erasing = erasing(&functions, "ann", after, hash);
    assert_eq!(erasing.rewards().await.expect("it is deleted"), 1);
    // What is delivered again brings nothing back.
    assert_eq!(deliver(&process(&functions), &old, after).await, 0);
    assert_eq!(coins_of(&functions, "ann", after).await, "none");
    functions
        .post(&activity("ann", "f", "task_completed"), after)
        .await;
    told(&mut functions, &rewards, after).await;
    assert_eq!(coins_of(&functions, "ann", after).await, "three issued d+e+f");
}

/// It reads the facts after the note, and so finds a coin by a new one.
#[tokio::test]
async fn an_invocation_that_began_before_an_erasure_leaves_no_coin_of_what_was_erased() {
    let mut functions = Functions::start("UTC").await;
    let rewards = rewards_of(&functions, QUESTS).await;
    let [before, after] = ["2026-11-21T09:00:00Z", "2026-11-21T10:00:00Z"].map(time);
    for (id, at) in [("a", before), ("b", before), ("c", after)] {
        functions.post(&activity("ann", id, "task_completed"), at).await;
    }
    // It knows of no erasure yet.
    told(&mut functions, &rewards, after).await;
    tick(&mut functions, &rewards, after).await;
    assert_eq!(coins_of(&functions, "ann", after).await, "three issued a+b+c");
    let hash = note_erasure(&functions, "ann", after).await;
    let erasing = erasing(&functions, "ann", after, hash);
    assert_eq!(erasing.rewards().await.expect("it is deleted"), 1);
    assert_eq!(coins_of(&functions, "ann", after).await, "none");
}

/// Notes that what was received of a person before this time is erased, and returns the hash of the person.
pub async fn note_erasure(functions: &Functions, user: &str, before: Timestamp) -> PersonHash {
    let user: UserId = user.parse().expect("an id");
    let erasures = Erasures::default().begun(&user, before, [7; 32]).expect("a note");
    let hash = erasures.hash(&user).expect("a key");
    let table = &functions.tables.standings;
    let known = store::generations::read(&functions.client, table)
        .await
        .expect("generations");
    let mut noted = known.clone();
    noted.erasures = erasures;
    let replaced = store::generations::replace(&functions.client, table, &known, noted).await;
    replaced.expect("a note").expect("nobody was first");
    hash
}

pub fn erasing(functions: &Functions, user: &str, before: Timestamp, hash: PersonHash) -> Erasing {
    let user = user.parse().expect("an id");
    Erasing::new(
        functions.client.clone(),
        functions.tables.clone(),
        user,
        before,
        hash,
    )
}
