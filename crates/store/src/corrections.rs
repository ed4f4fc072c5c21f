//! Recording corrections, and listing those of a user.

use domain::correction::{Change, Correction};
use domain::{Adjustment, CorrectionId, Fact, FactId, FactKey, UserId, Void};
use jiff::Timestamp;

use crate::activities::{Activities, FactItem, Inserted, time, whole};
use crate::error::StoreError;
use crate::facts::{Facts, StoredFact};
use crate::item::{self, Item, string, text};
use crate::keys::{ACTIVITIES_KEY, attribute};
use crate::stream::{Streamed, streamed};

/// The result of recording a correction.
#[derive(Clone, Debug, PartialEq)]
pub enum Corrected {
    Accepted {
        write_units: f64,
    },
    /// The same adjustment is there, or the activity is already void by the correction `first`.
    Duplicate {
        first: CorrectionId,
    },
    /// The user has another adjustment with this id, which differs in these fields.
    Conflict {
        fields: Vec<&'static str>,
    },
    /// The user has no such activity, at least not yet.
    UnknownActivity,
}

/// A correction that was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedCorrection {
    pub fact: Fact,
    pub received_at: Timestamp,
    /// Who corrected, if people log in.
    pub posted_by: Option<String>,
}

/// Some corrections of a user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CorrectionsPage {
    pub corrections: Vec<RecordedCorrection>,
    /// The id to continue after; `None` at the end.
    pub next: Option<String>,
}

impl Activities {
    /// Records a correction as a fact, unless it is there.
    pub async fn correct(
        &self,
        correction: &Correction,
        received_at: Timestamp,
        posted_by: Option<&str>,
    ) -> Result<Corrected, StoreError> {
        let (id, user, reason) = (&correction.id, &correction.user, &correction.reason);
        let item = match &correction.change {
            Change::Void(activity) => {
                let key = FactKey {
                    user: user.clone(),
                    id: activity.into(),
                };
                let facts = Facts::new(self.client.clone(), self.table.clone());
                let Some(StoredFact {
                    fact: Fact::Activity(activity),
                    received_at: activity_received_at,
                }) = facts.get(&key).await?
                else {
                    return Ok(Corrected::UnknownActivity);
                };
                let void = Void {
                    correction: id.clone(),
                    reason: reason.clone(),
                    activity,
                    activity_received_at,
                };
                FactItem::of_void(&void, received_at, posted_by)
            }
            Change::Adjust {
                program,
                points,
                occurred_at,
            } => {
                let adjustment = Adjustment {
                    correction: id.clone(),
                    reason: reason.clone(),
                    user: user.clone(),
                    program: program.clone(),
                    points: *points,
                    occurred_at: *occurred_at,
                };
                FactItem::of_adjustment(&adjustment, received_at, posted_by)
            }
        };
        Ok(match self.insert(item.into_item()?).await? {
            Inserted::New { write_units } => Corrected::Accepted { write_units },
            Inserted::Exists { kept, is_repeated } => compare(&kept, correction, received_at, is_repeated),
        })
    }

    /// At most `limit` corrections of a user in order of their ids, adjustments first, after an id.
    pub async fn corrections(
        &self,
        user: &UserId,
        after: Option<&str>,
        limit: u16,
    ) -> Result<CorrectionsPage, StoreError> {
        let output = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#user = :user AND begins_with(#id, :corrections)")
            .expression_attribute_names("#user", attribute::USER_ID)
            .expression_attribute_names("#id", attribute::ACTIVITY_ID)
            .expression_attribute_values(":user", string(user.as_str()))
            .expression_attribute_values(":corrections", string(FactId::OF_CORRECTIONS))
            .set_exclusive_start_key(after.map(|id| item::key(ACTIVITIES_KEY, user.as_str(), id)))
            .consistent_read(true)
            .limit(limit.into())
            .send()
            .await
            .map_err(|error| StoreError::unavailable("reading a user's corrections", error))?;
        let corrections = output.items().iter().map(|item| {
            let corrupt = |cause: String| {
                let subject = format!("{user} {}", text(item, attribute::ACTIVITY_ID).unwrap_or("?"));
                StoreError::corrupt("decoding a correction", subject, cause)
            };
            match streamed(item).map_err(corrupt)? {
                Streamed::Fact { fact, received_at } => Ok(RecordedCorrection {
                    fact,
                    received_at,
                    posted_by: text(item, attribute::POSTED_BY).ok().map(str::to_owned),
                }),
                Streamed::Heartbeat { .. } => Err(corrupt("it is a heartbeat".to_owned())),
            }
        });
        let last = output.last_evaluated_key.as_ref();
        Ok(CorrectionsPage {
            corrections: corrections.collect::<Result<_, _>>()?,
            next: last.and_then(|key| text(key, attribute::ACTIVITY_ID).ok().map(str::to_owned)),
        })
    }
}

/// What it means that the user already has this correction. If an earlier attempt of the same write stored it and its
/// answer was lost, the correction is accepted.
fn compare(kept: &Item, correction: &Correction, received_at: Timestamp, is_repeated: bool) -> Corrected {
    let fields = match &correction.change {
        // An activity is taken out once, for whatever reason.
        Change::Void(_) => Vec::new(),
        Change::Adjust {
            program,
            points,
            occurred_at,
        } => {
            let other_text = |name, sent: &str| text(kept, name).is_ok_and(|kept| kept != sent);
            let kept_time =
                time(kept, "occurred_at").filter(|&kept_at| time(kept, "received_at") != Some(kept_at));
            let sent_time = Some(*occurred_at).filter(|&at| at != received_at);
            let fields = [
                ("program_id", other_text("program_id", program.as_str())),
                ("points", whole(kept, "points") != Some((*points).into())),
                (
                    "occurred_at",
                    kept_time.zip(sent_time).is_some_and(|(kept, sent)| kept != sent),
                ),
                (
                    "reason",
                    other_text(attribute::REASON, correction.reason.as_str()),
                ),
            ];
            let differing = fields
                .into_iter()
                .filter_map(|(name, differs)| differs.then_some(name));
            differing.collect()
        }
    };
    if !fields.is_empty() {
        return Corrected::Conflict { fields };
    }
    if is_repeated && time(kept, "received_at") == Some(received_at) {
        return Corrected::Accepted { write_units: 0.0 };
    }
    let first = text(kept, attribute::CORRECTION_ID).ok();
    let first = first.and_then(|first| CorrectionId::stored(first).ok());
    Corrected::Duplicate {
        first: first.unwrap_or_else(|| correction.id.clone()),
    }
}
