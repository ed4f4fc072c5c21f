//! Posts events of the other system to Podium.

use std::time::Duration;

use bridge::{Event, Item, Mapping, mirrored};
use client::{Collection, wire};
use import::{Batch, GaveUp, Place, Poster, Record, Rejection, Tally, To};

/// What becomes of some items of the other system.
#[derive(Debug, Default)]
pub struct Batches {
    pub batches: Vec<Batch>,
    /// Those that are Podium's own, mirrored.
    pub mirrored: u64,
}

/// The address of Podium's API, and for how long a request is sent again.
pub async fn poster(to: &To, give_up_after: Duration) -> anyhow::Result<Poster> {
    Ok(Poster::new(
        to.api().await?,
        Collection::Activities,
        give_up_after,
    ))
}

/// The activities in items, in requests of the size that the API takes. What is no activity is refused in its place.
pub fn batches(mapping: &Mapping, items: &[Item]) -> Batches {
    let mut batches = Batches::default();
    let mut batch = Batch::default();
    for item in items {
        if mirrored::is_marked(item) {
            batches.mirrored += 1;
            continue;
        }
        match mapping
            .event(item)
            .and_then(|event| Ok((event.activity()?, event)))
        {
            Ok((activity, event)) => batch.items.push(Record {
                place: place(&event),
                json: activity.to_string(),
            }),
            Err(unfit) => batch.rejected.push(Rejection {
                place: Place::Item(unfit.key),
                code: "does_not_fit".to_owned(),
                field: None,
                detail: unfit.reason,
            }),
        }
        if batch.items.len() + batch.rejected.len() >= wire::ITEMS_MAX {
            batches.batches.push(std::mem::take(&mut batch));
        }
    }
    if !batch.items.is_empty() || !batch.rejected.is_empty() {
        batches.batches.push(batch);
    }
    batches
}

fn place(event: &Event) -> Place {
    Place::Item(event.key())
}

/// Posts items one request after another, in their order.
pub async fn carry(poster: &Poster, mapping: &Mapping, items: &[Item]) -> Result<Tally, GaveUp> {
    let mut tally = Tally::default();
    for batch in batches(mapping, items).batches {
        tally.add(poster.post(batch).await?.tally);
    }
    Ok(tally)
}
