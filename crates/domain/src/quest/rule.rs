//! What a quest asks for, and which activities match.

use std::collections::BTreeMap;
use std::slice;
use std::str::FromStr;

use serde_json::value::RawValue;
use serde_json::{Number, Value};

use super::InvalidChoice;
use crate::activity::{Activity, Metadata};
use crate::field_names::OF_RULES;
use crate::fields::{Fields, Form};
use crate::id::{Kind, ProgramId};
use crate::intake::{self, Rejection, RejectionCode};
use crate::json;

/// What must be among a person's activities. Every form says "there is", so that more activities never undo it.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// Each matcher is met by an activity. One activity may meet several.
    All(Vec<Matcher>),
    /// Activities meet the matchers one after the other, by (`occurred_at`, `activity_id`), each step another one.
    Ordered(Vec<Matcher>),
    Count {
        of: Matcher,
        at_least: u32,
    },
    /// The activities have so many different values of a property.
    Distinct {
        of: Matcher,
        property: Property,
        at_least: u32,
    },
    /// The activities' own points by the scoring policy, without caps and adjustments.
    Points {
        of: Matcher,
        at_least: u32,
    },
    /// An activity on each of so many consecutive days or in so many consecutive ISO weeks, by their dates in the
    /// deployment's time zone.
    Streak {
        of: Matcher,
        unit: Unit,
        at_least: u32,
    },
}

/// Which activities a rule looks at: those that have everything that is set here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matcher {
    pub kind: Option<Kind>,
    pub program: Option<ProgramId>,
    /// Members that the metadata must have, with these values.
    pub metadata: BTreeMap<String, Value>,
}

/// What the rule `distinct` tells activities apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    Program,
    Kind,
    Day,
}

/// What a streak consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Day,
    Week,
}

impl Rule {
    /// Of `all` and `ordered`. Which of them an activity meets is kept in 32 bits.
    pub const MATCHERS_MAX: usize = 20;
    /// Of activities, values, days or weeks.
    pub const AT_LEAST_MAX: u32 = 10_000;
    pub const POINTS_MAX: u32 = 1_000_000_000;

    pub(super) fn parse(raw: &RawValue) -> Result<Self, Rejection> {
        let mut fields = Fields::parse(raw, Form::Rule)?;
        let mut forms = OF_RULES.into_iter().filter(|form| fields.has(form));
        let Some(form) = forms.next() else {
            fields.finish()?;
            let detail = format!("a rule must have one of {}", OF_RULES.join(", "));
            return Err(Rejection::new(RejectionCode::MissingField, "", detail));
        };
        if let Some(second) = forms.next() {
            let detail = format!("cannot be sent with {form}: a rule has one form");
            return Err(Rejection::new(RejectionCode::UnknownField, second, detail));
        }
        let raw = fields.required_value(form)?;
        fields.finish()?;
        let named = |rejection: Rejection| rejection.within(form);
        Ok(match form {
            "all" => Self::All(matchers(form, raw)?),
            "ordered" => Self::Ordered(matchers(form, raw)?),
            "count" => {
                let (of, at_least) = amount(raw, Self::AT_LEAST_MAX).map_err(named)?;
                Self::Count { of, at_least }
            }
            "points" => {
                let (of, at_least) = amount(raw, Self::POINTS_MAX).map_err(named)?;
                Self::Points { of, at_least }
            }
            "distinct" => distinct(raw).map_err(named)?,
            _ => streak(raw).map_err(named)?,
        })
    }

    pub fn matchers(&self) -> &[Matcher] {
        match self {
            Self::All(matchers) | Self::Ordered(matchers) => matchers,
            Self::Count { of, .. }
            | Self::Distinct { of, .. }
            | Self::Points { of, .. }
            | Self::Streak { of, .. } => slice::from_ref(of),
        }
    }
}

fn matchers(form: &str, raw: &RawValue) -> Result<Vec<Matcher>, Rejection> {
    if !raw.get().starts_with('[') {
        let detail = format!("must be an array of matchers, not {}", json::type_of(raw));
        return Err(Rejection::new(RejectionCode::WrongType, form, detail));
    }
    let items: Vec<&RawValue> =
        serde_json::from_str(raw.get()).map_err(|error| json::invalid(form, &error))?;
    if items.is_empty() || items.len() > Rule::MATCHERS_MAX {
        let detail = format!(
            "has {} matchers; it must have 1 to {}",
            items.len(),
            Rule::MATCHERS_MAX
        );
        return Err(Rejection::new(RejectionCode::OutOfRange, form, detail));
    }
    let items = items.into_iter().enumerate();
    items
        .map(|(at, item)| {
            Matcher::parse(item).map_err(|rejection| rejection.within(&format!("{form}[{at}]")))
        })
        .collect()
}

fn amount(raw: &RawValue, max: u32) -> Result<(Matcher, u32), Rejection> {
    let mut fields = Fields::parse(raw, Form::Amount)?;
    let of = of(&mut fields)?;
    let at_least = fields.required_whole("at_least", 1, max)?;
    fields.finish()?;
    Ok((of, at_least))
}

fn distinct(raw: &RawValue) -> Result<Rule, Rejection> {
    let mut fields = Fields::parse(raw, Form::Distinct)?;
    let rule = Rule::Distinct {
        of: of(&mut fields)?,
        property: fields.required("field")?,
        at_least: fields.required_whole("at_least", 1, Rule::AT_LEAST_MAX)?,
    };
    fields.finish()?;
    Ok(rule)
}

fn streak(raw: &RawValue) -> Result<Rule, Rejection> {
    let mut fields = Fields::parse(raw, Form::Streak)?;
    let rule = Rule::Streak {
        of: of(&mut fields)?,
        unit: fields.required("unit")?,
        at_least: fields.required_whole("at_least", 1, Rule::AT_LEAST_MAX)?,
    };
    fields.finish()?;
    Ok(rule)
}

fn of(fields: &mut Fields<'_>) -> Result<Matcher, Rejection> {
    Matcher::parse(fields.required_value("of")?).map_err(|rejection| rejection.within("of"))
}

impl Matcher {
    fn parse(raw: &RawValue) -> Result<Self, Rejection> {
        let mut fields = Fields::parse(raw, Form::Matcher)?;
        let metadata = fields.take("metadata").map(intake::metadata).transpose()?;
        let matcher = Self {
            kind: fields.parsed("kind")?,
            program: fields.parsed("program_id")?,
            metadata: metadata.as_ref().map(members).unwrap_or_default(),
        };
        fields.finish()?;
        Ok(matcher)
    }

    /// Whether an activity matches. `metadata` is that of the activity, as [`members`] reads it.
    pub(super) fn matches(&self, activity: &Activity, metadata: &BTreeMap<String, Value>) -> bool {
        let Self {
            kind,
            program,
            metadata: wanted,
        } = self;
        kind.as_ref().is_none_or(|kind| *kind == activity.kind)
            && program
                .as_ref()
                .is_none_or(|program| *program == activity.program)
            && wanted.iter().all(|(key, value)| metadata.get(key) == Some(value))
    }
}

/// The matchers that an activity meets, with a bit for each. `metadata` is asked for only where a matcher wants some.
pub(super) fn met<'m>(
    matchers: &[Matcher],
    activity: &Activity,
    metadata: impl Fn() -> &'m BTreeMap<String, Value>,
) -> u32 {
    let met = matchers.iter().enumerate().filter(|(_, matcher)| {
        let metadata = if matcher.metadata.is_empty() {
            &BTreeMap::new()
        } else {
            metadata()
        };
        matcher.matches(activity, metadata)
    });
    met.fold(0, |bits, (at, _)| bits | 1 << at)
}

/// The members of metadata, in which numbers are equal that have the same value, such as 2 and 2.0.
pub(super) fn members(metadata: &Metadata) -> BTreeMap<String, Value> {
    let members: BTreeMap<String, Value> = serde_json::from_str(metadata.as_str()).unwrap_or_default();
    let members = members.into_iter();
    members.map(|(key, value)| (key, normalized(value))).collect()
}

fn normalized(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(whole(&number).unwrap_or(number)),
        Value::Array(items) => Value::Array(items.into_iter().map(normalized).collect()),
        Value::Object(members) => {
            let members = members.into_iter();
            Value::Object(members.map(|(key, value)| (key, normalized(value))).collect())
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value,
    }
}

/// A number with a decimal point or an exponent as a whole number, if it is one. Rust writes it without them then.
fn whole(number: &Number) -> Option<Number> {
    let float = number.as_f64().filter(|_| number.is_f64())?;
    float.to_string().parse().ok()
}

impl FromStr for Property {
    type Err = InvalidChoice;

    fn from_str(raw: &str) -> Result<Self, InvalidChoice> {
        match raw {
            "program_id" => Ok(Self::Program),
            "kind" => Ok(Self::Kind),
            "day" => Ok(Self::Day),
            _ => Err(InvalidChoice::of(raw, "program_id, kind or day")),
        }
    }
}

impl FromStr for Unit {
    type Err = InvalidChoice;

    fn from_str(raw: &str) -> Result<Self, InvalidChoice> {
        match raw {
            "day" => Ok(Self::Day),
            "week" => Ok(Self::Week),
            _ => Err(InvalidChoice::of(raw, "day or week")),
        }
    }
}
