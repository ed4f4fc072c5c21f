//! Corrections: facts that change points after the event.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::activity::Activity;
use crate::fields::{Fields, Form};
use crate::id::{ActivityId, CorrectionId, ProgramId, UserId};
use crate::intake::{Rejection, RejectionCode, time};

/// Why someone corrected points, for those who ask later: 1 to [`Reason::MAX_CHARS`] characters, none of them a
/// control character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(Arc<str>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReason {
    #[error("is empty; it must have 1 to {max} characters", max = Reason::MAX_CHARS)]
    Empty,
    #[error("has {0} characters; at most {max} are allowed", max = Reason::MAX_CHARS)]
    TooLong(usize),
    #[error("has the control character {0:?}; write one line of text")]
    ControlCharacter(char),
}

impl Reason {
    pub const MAX_CHARS: usize = 200;

    pub fn parse(text: &str) -> Result<Self, InvalidReason> {
        let chars = text.chars().count();
        if text.trim().is_empty() {
            return Err(InvalidReason::Empty);
        }
        if chars > Self::MAX_CHARS {
            return Err(InvalidReason::TooLong(chars));
        }
        match text.chars().find(|c| c.is_control()) {
            Some(control) => Err(InvalidReason::ControlCharacter(control)),
            None => Ok(Self(text.into())),
        }
    }

    /// Reads back what was checked when it was accepted.
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A correction as an admin sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    pub id: CorrectionId,
    pub user: UserId,
    pub reason: Reason,
    pub change: Change,
}

impl Correction {
    /// Parses what an admin sends. If the client sent no id, `new_id` creates one. Without `occurred_at`, an
    /// adjustment counts at `received_at`.
    pub fn parse(
        raw: &RawValue,
        received_at: Timestamp,
        new_id: impl FnOnce() -> CorrectionId,
    ) -> Result<Correction, Rejection> {
        let mut fields = Fields::parse(raw, Form::Correction)?;
        let id = fields.parsed("correction_id")?;
        let user: UserId = fields.required("user_id")?;
        let change = if fields.has("voids") {
            Change::Void(fields.required("voids")?)
        } else if fields.has("points") {
            let max = Adjustment::POINTS_MAX.into();
            let points = fields.whole("points", -i64::from(Adjustment::POINTS_MAX), max)?;
            let points = points.and_then(|points| i32::try_from(points).ok());
            Change::Adjust {
                program: fields.required("program_id")?,
                points: points.ok_or_else(|| fields.missing("points"))?,
                occurred_at: match fields.text("occurred_at")? {
                    Some(text) => time("occurred_at", &text, received_at, None)?,
                    None => received_at,
                },
            }
        } else {
            let detail =
                "is missing; send it to take an activity out, or program_id and points to add points";
            return Err(Rejection::new(RejectionCode::MissingField, "voids", detail));
        };
        let reason = fields.text("reason")?.ok_or_else(|| fields.missing("reason"))?;
        let reason = Reason::parse(&reason).map_err(|error| {
            let code = match error {
                InvalidReason::Empty => RejectionCode::Empty,
                InvalidReason::TooLong(_) => RejectionCode::TooLong,
                InvalidReason::ControlCharacter(_) => RejectionCode::IllegalCharacter,
            };
            Rejection::new(code, "reason", error)
        })?;
        if let (Change::Void(_), Some(field)) = (
            &change,
            ["program_id", "points", "occurred_at"]
                .into_iter()
                .find(|field| fields.has(field)),
        ) {
            let detail = "cannot be sent with voids: a void takes back what its activity counted for";
            return Err(Rejection::new(RejectionCode::UnknownField, field, detail));
        }
        fields.finish()?;
        Ok(Correction {
            id: id.unwrap_or_else(new_id),
            user,
            reason,
            change,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Takes this activity out, as if it had never been sent.
    Void(ActivityId),
    /// Adds points, which may be negative, and no activity.
    Adjust {
        program: ProgramId,
        points: i32,
        occurred_at: Timestamp,
    },
}

/// The fact that takes an activity out. It has a copy of the activity, so it is counted without reading another
/// fact, in whatever order the two arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Void {
    pub correction: CorrectionId,
    pub reason: Reason,
    pub activity: Activity,
    pub activity_received_at: Timestamp,
}

/// The fact that adds points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    pub correction: CorrectionId,
    pub reason: Reason,
    pub user: UserId,
    pub program: ProgramId,
    pub points: i32,
    pub occurred_at: Timestamp,
}

impl Adjustment {
    /// At this size, a user would need 10^13 adjustments to overflow a counter.
    pub const POINTS_MAX: i32 = 1_000_000;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: &str) {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let got = match Correction::parse(raw, now, || "made".parse().unwrap()) {
            Ok(Correction {
                id,
                user,
                reason,
                change,
            }) => match change {
                Change::Void(activity) => format!("{id}: {user} without {activity}, {:?}", reason.as_str()),
                Change::Adjust {
                    program,
                    points,
                    occurred_at,
                } => {
                    format!(
                        "{id}: {user} {points} in {program} at {occurred_at}, {:?}",
                        reason.as_str()
                    )
                }
            },
            Err(rejection) => format!("{:?} [{}] {}", rejection.code, rejection.field, rejection.detail),
        };
        assert_eq!(got, expected, "{json}");
    }

    #[test]
    fn a_correction_voids_an_activity_or_adds_points() {
        check(
            r#"{"correction_id":"c1","user_id":"ann","voids":"a1","reason":"entered twice"}"#,
            r#"c1: ann without a1, "entered twice""#,
        );
        check(
            r#"{"user_id":"ann","program_id":"p","points":-5,"reason":"agreed"}"#,
            r#"made: ann -5 in p at 2026-11-21T12:00:00Z, "agreed""#,
        );
        check(
            r#"{"user_id":"ann","program_id":"p","points":1000000,"occurred_at":"2014-01-01T00:00:00Z","reason":"é"}"#,
            r#"made: ann 1000000 in p at 2014-01-01T00:00:00Z, "é""#,
        );
        check(
            r#"{"user_id":"ann","program_id":"p","points":0,"reason":"looked into"}"#,
            r#"made: ann 0 in p at 2026-11-21T12:00:00Z, "looked into""#,
        );
    }

    #[test]
    fn names_the_field_and_the_limit_of_what_is_wrong() {
        check(
            "[]",
            "NotAnObject [] a correction must be a JSON object, not an array",
        );
        check("{}", "MissingField [user_id] user_id is missing");
        check(
            r#"{"user_id":"ann","reason":"r"}"#,
            "MissingField [voids] voids is missing; send it to take an activity out, or program_id and points to add points",
        );
        check(
            r#"{"user_id":"ann","voids":"~void a","reason":"r"}"#,
            "Reserved [voids] voids begins with '~', which is reserved for Podium's own users",
        );
        check(
            r#"{"user_id":"ann","voids":"a","points":5,"reason":"r"}"#,
            "UnknownField [points] points cannot be sent with voids: a void takes back what its activity counted for",
        );
        check(
            r#"{"user_id":"ann","points":5,"reason":"r"}"#,
            "MissingField [program_id] program_id is missing",
        );
        for points in ["1000001", "-1000001", "1.5", "1e3"] {
            check(
                &format!(r#"{{"user_id":"ann","program_id":"p","points":{points},"reason":"r"}}"#),
                &format!(
                    "OutOfRange [points] points is {points}; it must be a whole number from -1000000 to 1000000"
                ),
            );
        }
        check(
            r#"{"user_id":"ann","program_id":"p","points":"5","reason":"r"}"#,
            "WrongType [points] points must be a whole number, not a string",
        );
        check(
            r#"{"user_id":"ann","voids":"a"}"#,
            "MissingField [reason] reason is missing",
        );
        check(
            r#"{"user_id":"ann","voids":"a","reason":" "}"#,
            "Empty [reason] reason is empty; it must have 1 to 200 characters",
        );
        check(
            &format!(
                r#"{{"user_id":"ann","voids":"a","reason":"{}"}}"#,
                "é".repeat(201)
            ),
            "TooLong [reason] reason has 201 characters; at most 200 are allowed",
        );
        check(
            r#"{"user_id":"ann","voids":"a","reason":"a\nb"}"#,
            r"IllegalCharacter [reason] reason has the control character '\n'; write one line of text",
        );
        check(
            r#"{"user_id":"ann","voids":"a","reason":"r","kind":"k"}"#,
            "UnknownField [kind] kind is not a field of a correction; its fields are correction_id, user_id, voids, program_id, points, occurred_at, reason",
        );
        check(
            r#"{"userId":"ann","voids":"a","reason":"r"}"#,
            "UnknownField [userId] userId is not a field of a correction; its name is user_id",
        );
    }
}
