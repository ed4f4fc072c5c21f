//! What an activity of one kind is worth.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::activity::Amount;

/// How many points one activity of a kind gets, and how many a day at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Worth {
    pub form: Form,
    /// Of one person in one program and day, those of all activities of this kind that occurred then.
    pub max_per_day: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Fixed(u32),
    /// `points` for each whole `per` of the quantity that the client sends, at most `max`.
    PerQuantity {
        per: u64,
        points: u32,
        max: u32,
    },
    /// As many as come with the activity.
    Given {
        max: u32,
    },
}

/// The activity lacks this field, by which it is worth points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAmount(pub &'static str);

/// Why this is no worth of a kind. Continues a sentence that begins with the kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWorth {
    #[error(
        r#"must be a number of points, {{"points": 10, "max_per_day": 50}}, {{"per": 1000, "points": 10, "max": 200}} or {{"given": {{"max": 25}}}}"#
    )]
    Form,
    #[error("has the field {0:?}; its fields are {1}")]
    UnknownField(String, &'static str),
    #[error("lacks {0}")]
    Missing(&'static str),
    #[error("has {field} {found}; it must be a whole number from {min} to {max}")]
    Number {
        field: &'static str,
        found: String,
        min: u64,
        max: u64,
    },
}

impl Worth {
    /// At this size, a user would need 10^13 activities to overflow a counter.
    pub const POINTS_MAX: u32 = 1_000_000;
    pub const QUANTITY: &str = "quantity";
    pub const POINTS: &str = "points";

    pub fn fixed(points: u32) -> Self {
        Self {
            form: Form::Fixed(points),
            max_per_day: None,
        }
    }

    /// The most points that one activity can get.
    pub fn most(&self) -> u32 {
        match self.form {
            Form::Fixed(most) | Form::PerQuantity { max: most, .. } | Form::Given { max: most } => most,
        }
    }

    /// The points of one activity, before the cap of its day.
    pub fn points(&self, amount: Option<Amount>) -> Result<i64, NoAmount> {
        let points = match (self.form, amount) {
            (Form::Fixed(points), _) => points.into(),
            (Form::PerQuantity { per, points, max }, Some(Amount::Quantity(quantity))) => {
                (quantity / per).saturating_mul(points.into()).min(max.into())
            }
            (Form::Given { max }, Some(Amount::Points(points))) => points.min(max).into(),
            (Form::PerQuantity { .. }, _) => return Err(NoAmount(Self::QUANTITY)),
            (Form::Given { .. }, _) => return Err(NoAmount(Self::POINTS)),
        };
        Ok(i64::try_from(points).expect("a maximum has 32 bits"))
    }
}

/// The fields of a worth that are still to be read.
struct Fields(Map<String, Value>);

impl Fields {
    fn of(value: Value) -> Result<Self, InvalidWorth> {
        match value {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(InvalidWorth::Form),
        }
    }

    fn number(&mut self, field: &'static str, (min, max): (u64, u64)) -> Result<Option<u64>, InvalidWorth> {
        match self.0.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => whole(field, &value, (min, max)).map(Some),
        }
    }

    fn points(&mut self, field: &'static str, min: u64) -> Result<Option<u32>, InvalidWorth> {
        let points = self.number(field, (min, Worth::POINTS_MAX.into()))?;
        Ok(points.map(|points| u32::try_from(points).expect("it is at most a million")))
    }

    fn finish(mut self, fields: &'static str) -> Result<(), InvalidWorth> {
        self.0.retain(|_, value| !value.is_null());
        match self.0.into_iter().next() {
            Some((name, _)) => Err(InvalidWorth::UnknownField(name, fields)),
            None => Ok(()),
        }
    }
}

fn whole(field: &'static str, value: &Value, (min, max): (u64, u64)) -> Result<u64, InvalidWorth> {
    let number = value.as_u64().filter(|number| (min..=max).contains(number));
    number.ok_or_else(|| InvalidWorth::Number {
        field,
        found: value.to_string(),
        min,
        max,
    })
}

impl TryFrom<Value> for Worth {
    type Error = InvalidWorth;

    fn try_from(value: Value) -> Result<Self, InvalidWorth> {
        if value.is_number() {
            let points = whole(Self::POINTS, &value, (0, Self::POINTS_MAX.into()))?;
            return Ok(Self::fixed(
                u32::try_from(points).expect("it is at most a million"),
            ));
        }
        let mut fields = Fields::of(value)?;
        let max_per_day = fields.points("max_per_day", 1)?;
        let form = if let Some(given) = fields.0.remove("given") {
            let mut given = Fields::of(given)?;
            let max = given
                .points("max", 0)?
                .ok_or(InvalidWorth::Missing("given.max"))?;
            given.finish("max")?;
            fields.finish("given, max_per_day")?;
            Form::Given { max }
        } else {
            let points = fields
                .points(Self::POINTS, 0)?
                .ok_or(InvalidWorth::Missing(Self::POINTS))?;
            match fields.number("per", (1, Amount::QUANTITY_MAX))? {
                None => {
                    fields.finish("points, max_per_day")?;
                    Form::Fixed(points)
                }
                Some(per) => {
                    let max = fields.points("max", 0)?.unwrap_or(Self::POINTS_MAX);
                    fields.finish("per, points, max, max_per_day")?;
                    Form::PerQuantity { per, points, max }
                }
            }
        };
        Ok(Self { form, max_per_day })
    }
}

impl From<Worth> for Value {
    fn from(Worth { form, max_per_day }: Worth) -> Self {
        let mut value = match form {
            Form::Fixed(points) if max_per_day.is_none() => return points.into(),
            Form::Fixed(points) => json!({ "points": points }),
            Form::PerQuantity { per, points, max } => json!({ "per": per, "points": points, "max": max }),
            Form::Given { max } => json!({ "given": { "max": max } }),
        };
        if let Some(max) = max_per_day {
            value["max_per_day"] = max.into();
        }
        value
    }
}

/// What people call a kind: 1 to [`Title::MAX_CHARS`] characters, none of them a control character.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Title(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must have a title of 1 to {} characters, without control characters",
    Title::MAX_CHARS
)]
pub struct InvalidTitle;

impl Title {
    pub const MAX_CHARS: usize = 80;
}

impl TryFrom<Value> for Title {
    type Error = InvalidTitle;

    fn try_from(value: Value) -> Result<Self, InvalidTitle> {
        let title = value.as_str().ok_or(InvalidTitle)?;
        let is_valid = !title.trim().is_empty()
            && title.chars().count() <= Self::MAX_CHARS
            && !title.chars().any(char::is_control);
        is_valid.then(|| Self(title.to_owned())).ok_or(InvalidTitle)
    }
}

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worth(json: &str) -> Worth {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn each_form_is_worth_its_points() {
        let check = |json: &str, amount: Option<Amount>, expected: Result<i64, NoAmount>| {
            assert_eq!(worth(json).points(amount), expected, "{json} {amount:?}");
        };
        let quantity = |quantity| Some(Amount::Quantity(quantity));
        let given = |points| Some(Amount::Points(points));
        check("10", None, Ok(10));
        check("10", quantity(7), Ok(10));
        check(r#"{"points":10,"max_per_day":50}"#, None, Ok(10));
        let steps = r#"{"per":1000,"points":10,"max":200}"#;
        check(steps, quantity(0), Ok(0));
        check(steps, quantity(999), Ok(0));
        check(steps, quantity(1_999), Ok(10));
        check(steps, quantity(20_000), Ok(200));
        check(steps, quantity(Amount::QUANTITY_MAX), Ok(200));
        check(steps, None, Err(NoAmount("quantity")));
        check(steps, given(5), Err(NoAmount("quantity")));
        check(
            r#"{"per":1,"points":1000000}"#,
            quantity(Amount::QUANTITY_MAX),
            Ok(1_000_000),
        );
        check(r#"{"given":{"max":25}}"#, given(0), Ok(0));
        check(r#"{"given":{"max":25}}"#, given(25), Ok(25));
        check(r#"{"given":{"max":25}}"#, given(26), Ok(25));
        check(r#"{"given":{"max":25}}"#, None, Err(NoAmount("points")));
    }

    #[test]
    fn a_worth_is_written_as_it_was_read() {
        for json in [
            "10",
            r#"{"max_per_day":50,"points":10}"#,
            r#"{"max":200,"per":1000,"points":10}"#,
            r#"{"given":{"max":25}}"#,
            r#"{"given":{"max":25},"max_per_day":100}"#,
        ] {
            assert_eq!(serde_json::to_string(&worth(json)).unwrap(), json);
        }
    }
}
