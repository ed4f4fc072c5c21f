//! A reader sees one whole generation, even while the next one is being published.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{Board, BoardBuilder, BoardDocument, Freshness, Shown, Tally, Window};
use jiff::Timestamp;
use store::{Published, Snapshots, StoreError};

use crate::tables::Functions;

/// Enough for three pages in the table.
const USERS: u64 = 1_200;
const GENERATIONS: u64 = 40;

/// In generation `g` every user has `g` points, so that a mixture of generations is obvious.
async fn publish(snapshots: &Snapshots, generation: u64, now: Timestamp) -> Published {
    let mut builder = BoardBuilder::new(10_000);
    for user in 0..USERS {
        let user = format!("user-{user:04}").parse().expect("a user");
        builder.add(
            &user,
            &Shown::Listed(None),
            Tally {
                points: generation.cast_signed(),
                activities: 1,
            },
            None,
        );
    }
    let previous = snapshots
        .latest(&Board::Global, Window::All)
        .await
        .expect("the head");
    let calendar: domain::Calendar = "UTC".parse().expect("a zone");
    let dated = (calendar.span(Window::All, now), calendar.date(now));
    let freshness = Freshness {
        generated_at: now,
        lag_seconds: None,
        backlog: 0,
    };
    snapshots
        .publish(&Board::Global, dated, previous, builder.finish(), freshness, None)
        .await
        .expect("published")
}

/// The generation that was published, and the pages written for it.
fn written(published: Published) -> Option<(u64, usize)> {
    match published {
        Published::Generation {
            generation,
            pages_written,
            ..
        } => Some((generation, pages_written)),
        Published::Superseded => None,
    }
}

fn check_whole(board: &BoardDocument) {
    let points = board.entries[0].points;
    assert_eq!(
        board.heading.generation.cast_signed(),
        points,
        "the head is of the generation of its rows"
    );
    assert_eq!(board.heading.points, points * USERS.cast_signed());
    assert!(
        board.entries.iter().all(|entry| entry.points == points),
        "rows of two generations"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_sees_a_mixture_while_generations_are_published() {
    let functions = Arc::new(Functions::start("UTC").await);
    let now = Timestamp::now();
    let snapshots = functions.snapshots();
    publish(&snapshots, 1, now).await;

    let is_done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (functions, is_done) = (Arc::clone(&functions), Arc::clone(&is_done));
            tokio::spawn(async move {
                let mut generations = Vec::new();
                while !is_done.load(Ordering::Relaxed) {
                    // One answer spans several pages of the table, and the cursor continues in the same
                    // generation.
                    let first = functions.board("/v1/boards/global?limit=700", now).await;
                    check_whole(&first);
                    let cursor = first.next_cursor.expect("there are more rows");
                    let second = functions
                        .board(&format!("/v1/boards/global?limit=700&cursor={cursor}"), now)
                        .await;
                    check_whole(&second);
                    assert_eq!(second.heading.generation, first.heading.generation);
                    assert_eq!(first.entries.len() + second.entries.len(), 1_200);
                    generations.push(first.heading.generation);
                }
                generations
            })
        })
        .collect();
    for generation in 2..=GENERATIONS {
        let published = publish(&snapshots, generation, now).await;
        assert_eq!(written(published), Some((generation, 3)));
    }
    is_done.store(true, Ordering::Relaxed);
    for reader in readers {
        let generations = reader.await.expect("the reader saw no mixture");
        assert!(
            generations.is_sorted(),
            "a reader never goes back: {generations:?}"
        );
        assert!(
            generations.first() < generations.last(),
            "the test read while generations changed"
        );
    }
}

#[tokio::test]
async fn of_two_runs_at_once_one_publishes_and_the_other_steps_back() {
    let functions = Functions::start("UTC").await;
    let now = Timestamp::now();
    let snapshots = functions.snapshots();
    publish(&snapshots, 1, now).await;
    let (one, other) = tokio::join!(publish(&snapshots, 2, now), publish(&snapshots, 2, now));
    let superseded = [one, other]
        .iter()
        .filter(|published| **published == Published::Superseded)
        .count();
    assert_eq!(superseded, 1, "{one:?} {other:?}");
    let head = snapshots
        .latest(&Board::Global, Window::All)
        .await
        .expect("the head")
        .expect("published");
    assert_eq!(head.generation, 2);
}

#[tokio::test]
async fn the_overview_of_a_run_that_was_overtaken_is_not_published() {
    let functions = Functions::start("UTC").await;
    let snapshots = functions.snapshots();
    let newest = async || {
        snapshots
            .overview()
            .await
            .expect("it is read")
            .expect("published")
    };
    functions.publish(Timestamp::now()).await;
    let mut overtaken = newest().await;
    overtaken.generation += 1;
    functions.publish(Timestamp::now()).await;
    let stays = newest().await;
    let published = snapshots.publish_overview(&overtaken).await;
    assert_eq!(published.expect("it is tried"), None);
    assert_eq!(newest().await, stays);
    // The next run replaces it as usual.
    functions.publish(Timestamp::now()).await;
    assert_eq!(newest().await.generation, stays.generation + 1);
}

#[tokio::test]
async fn pages_that_did_not_change_are_not_written_again() {
    let functions = Functions::start("UTC").await;
    let now = Timestamp::now();
    let snapshots = functions.snapshots();
    publish(&snapshots, 7, now).await;
    // In the second generation, every change of rank is 0 instead of none. After that, nothing changes.
    publish(&snapshots, 7, now).await;
    let third = publish(&snapshots, 7, now).await;
    assert_eq!(written(third), Some((3, 0)));
}

#[tokio::test]
async fn a_board_whose_pages_have_all_expired_is_published_again() {
    let functions = Functions::start("UTC").await;
    let now = Timestamp::now();
    // Each has its own cache, like a new instance of a function.
    let snapshots = || functions.snapshots();
    publish(&snapshots(), 1, now).await;
    delete_pages(&functions).await;
    let published = publish(&snapshots(), 2, now).await;
    assert_eq!(written(published), Some((2, 3)));
    let board = functions.board("/v1/boards/global?limit=1000", now).await;
    check_whole(&board);
    assert_eq!(board.entries.len(), 1_000);
    assert!(board.entries.iter().all(|entry| entry.change.is_none()));
}

#[tokio::test]
async fn a_corrupt_page_is_no_reason_to_try_again() {
    let functions = Functions::start("UTC").await;
    let now = Timestamp::now();
    let snapshots = functions.snapshots();
    publish(&snapshots, 1, now).await;
    for part in pages(&functions).await {
        functions.corrupt_document("global all", &part).await;
    }
    check_problem(&functions, now, 500, "corrupt_data", None).await;

    let table = functions.client.delete_table();
    let deleted = table.table_name(&functions.tables.snapshots).send().await;
    deleted.expect("the table is deleted");
    check_problem(&functions, now, 503, "unavailable", Some("5")).await;
}

async fn check_problem(
    functions: &Functions,
    now: Timestamp,
    status: u16,
    code: &str,
    retry_after: Option<&str>,
) {
    let response = functions.get("/v1/boards/global", now).await;
    let problem: serde_json::Value = serde_json::from_slice(response.body()).expect("a problem");
    assert_eq!(response.status(), status, "{problem}");
    assert_eq!(problem["code"], code);
    let header = response.headers().get("retry-after");
    assert_eq!(header.map(|value| value.to_str().expect("text")), retry_after);
}

#[tokio::test]
async fn a_snapshot_that_fails_tells_a_corrupt_item_from_an_unavailable_table() {
    let functions = Functions::start("UTC").await;
    let now = Timestamp::now();
    functions.publish(now).await;
    functions.corrupt_document("boards", "latest").await;
    let kind = async || {
        let error = functions.publisher.run(now).await.expect_err("it fails");
        let store = error.downcast_ref::<StoreError>().expect("the store fails");
        (store.kind(), store.with_causes())
    };
    let (corrupt, causes) = kind().await;
    assert_eq!(corrupt, "corrupt");
    assert!(
        causes.contains(r#"the item "boards" / "latest" of the table test-snapshots"#),
        "{causes}"
    );
    functions.take_away_standings().await;
    assert_eq!(kind().await.0, "unavailable");
}

/// The parts of all pages of all boards.
async fn pages(functions: &Functions) -> Vec<String> {
    let items = functions.client.scan().table_name(&functions.tables.snapshots);
    let items = items.send().await.expect("the snapshots").items;
    let parts = items.unwrap_or_default().into_iter();
    parts
        .filter_map(|mut item| match item.remove("part")? {
            AttributeValue::S(part) if part.starts_with("page ") => Some(part),
            _ => None,
        })
        .collect()
}

/// Deletes all pages, as the store does some time after they expire.
async fn delete_pages(functions: &Functions) {
    for part in pages(functions).await {
        let delete = functions
            .client
            .delete_item()
            .table_name(&functions.tables.snapshots);
        delete
            .key("board", AttributeValue::S("global all".to_owned()))
            .key("part", AttributeValue::S(part))
            .send()
            .await
            .expect("the page is deleted");
    }
}
