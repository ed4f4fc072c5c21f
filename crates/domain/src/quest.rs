//! Quests: rules over the activities of one person, and the coins for fulfilling them.
//!
//! A quest is data ([`Quest`], with its [`Rule`]), read by [`parse`]. [`coins`] says which coins a person's facts
//! earn, and [`settle`] who gets them where there are only so many. Each is a function of the facts alone, so the
//! live evaluation, a rebuild, a reconciliation and a trial on a file give the same coins.

mod coin;
mod evaluate;
#[cfg(test)]
mod fixtures;
mod gate;
mod list;
#[cfg(test)]
mod model;
mod reach;
mod rule;
mod words;

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde_json::value::RawValue;

use crate::fields::{Fields, Form};
use crate::id::QuestId;
use crate::intake::{Rejection, RejectionCode};
use crate::json::shorten;
use crate::person::DisplayName;
use crate::timestamp::{self, InvalidTime};

pub use coin::{Coin, CoinId, CoinPeriod, CoinState, Issued, Revoked, settle};
pub use evaluate::{Activities, Progress, closest, coins};
pub use gate::{Gate, Touch};
pub use list::{Fault, QUESTS_MAX, parse};
pub use rule::{Matcher, Property, Rule, Unit};

/// A rule over a person's activities, and the coin for fulfilling it. Two quests are equal if they give the same
/// coins for the same reasons: the content of an id and version must never change.
#[derive(Clone, Debug, PartialEq)]
pub struct Quest {
    pub id: QuestId,
    /// A new version gives new coins, and takes none away.
    pub version: u32,
    pub title: DisplayName,
    pub coin: CoinKind,
    /// Only activities that occurred from then on are looked at.
    pub starts_at: Option<Timestamp>,
    /// Only activities that occurred before then are looked at.
    pub ends_at: Option<Timestamp>,
    pub per: Per,
    pub rule: Rule,
    /// From the first to the last activity of the evidence.
    pub within: Option<Within>,
    /// There are so many coins in all, for those who fulfil the quest first.
    pub supply: Option<u32>,
}

/// What a coin is called, and how much it is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoinKind {
    pub name: DisplayName,
    pub value: u32,
}

/// What the rule is applied to: all activities, or those of each day, week, month or program apart, with a coin for
/// each in which it is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    Once,
    Day,
    Week,
    Month,
    Program,
}

/// A length of time in whole hours, of which a day has 24.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Within {
    hours: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is {0:?}; use hours or days, such as \"36h\" or \"7d\", from 1h to {max}d",
    max = Within::DAYS_MAX
)]
pub struct InvalidWithin(String);

/// A text that is none of those that a field may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is {found:?}; use {choices}")]
pub struct InvalidChoice {
    found: String,
    choices: &'static str,
}

impl Quest {
    pub const VERSION_MAX: u32 = 1_000_000;
    /// Of one coin.
    pub const VALUE_MAX: u32 = 1_000_000;
    pub const SUPPLY_MAX: u32 = 1_000_000;

    /// Parses one quest. A field that is `null` is left out.
    pub fn parse(raw: &RawValue) -> Result<Self, Rejection> {
        let mut fields = Fields::parse(raw, Form::Quest)?;
        let id = fields.required("id")?;
        let version = fields.required_whole("version", 1, Self::VERSION_MAX)?;
        let title = fields.required("title")?;
        let coin = fields.required_value("coin")?;
        let coin = coin_kind(coin).map_err(|rejection| rejection.within("coin"))?;
        let starts_at = time(&mut fields, "starts_at")?;
        let ends_at = time(&mut fields, "ends_at")?;
        if let (Some(from), Some(until)) = (starts_at, ends_at)
            && from >= until
        {
            let detail = format!("is {until}; it must be after starts_at, which is {from}");
            return Err(Rejection::new(RejectionCode::OutOfRange, "ends_at", detail));
        }
        let per = fields.required("per")?;
        let rule = fields.required_value("rule")?;
        let rule = Rule::parse(rule).map_err(|rejection| rejection.within("rule"))?;
        let within = fields.parsed("within")?;
        if within.is_some() && matches!(rule, Rule::Streak { .. }) {
            let detail = "cannot be sent with a streak, which says itself how long it lasts; leave it out";
            return Err(Rejection::new(RejectionCode::UnknownField, "within", detail));
        }
        let supply = fields.whole("supply", 1, Self::SUPPLY_MAX.into())?;
        fields.finish()?;
        Ok(Self {
            id,
            version,
            title,
            coin,
            starts_at,
            ends_at,
            per,
            rule,
            within,
            supply: supply.map(|supply| u32::try_from(supply).expect("it is within its bounds")),
        })
    }

    /// Whether it looks at what occurred then.
    fn is_in_time(&self, at: Timestamp) -> bool {
        self.starts_at.is_none_or(|from| from <= at) && self.ends_at.is_none_or(|until| at < until)
    }
}

fn coin_kind(raw: &RawValue) -> Result<CoinKind, Rejection> {
    let mut fields = Fields::parse(raw, Form::Coin)?;
    let coin = CoinKind {
        name: fields.required("name")?,
        value: fields.required_whole("value", 0, Quest::VALUE_MAX)?,
    };
    fields.finish()?;
    Ok(coin)
}

fn time(fields: &mut Fields<'_>, name: &str) -> Result<Option<Timestamp>, Rejection> {
    let Some(text) = fields.text(name)? else {
        return Ok(None);
    };
    let time = timestamp::parse(&text).map(Some);
    time.map_err(|error| {
        let code = match error {
            InvalidTime::NotRfc3339(_) => RejectionCode::InvalidTime,
            InvalidTime::TooLate => RejectionCode::InTheFuture,
        };
        Rejection::new(code, name, error)
    })
}

impl Per {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Program => "program",
        }
    }
}

impl FromStr for Per {
    type Err = InvalidChoice;

    fn from_str(raw: &str) -> Result<Self, InvalidChoice> {
        match raw {
            "once" => Ok(Self::Once),
            "day" => Ok(Self::Day),
            "week" => Ok(Self::Week),
            "month" => Ok(Self::Month),
            "program" => Ok(Self::Program),
            _ => Err(InvalidChoice::of(raw, "once, day, week, month or program")),
        }
    }
}

impl Within {
    pub const DAYS_MAX: u32 = 3_660;
    const HOURS_OF_A_DAY: u32 = 24;

    pub fn duration(self) -> SignedDuration {
        SignedDuration::from_hours(self.hours.into())
    }
}

impl FromStr for Within {
    type Err = InvalidWithin;

    fn from_str(raw: &str) -> Result<Self, InvalidWithin> {
        let hours = || {
            let (number, unit) = raw.split_at_checked(raw.len().checked_sub(1)?)?;
            let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            let number: u32 = number.parse().ok().filter(|_| is_number)?;
            match unit {
                "h" => Some(number),
                "d" => number.checked_mul(Self::HOURS_OF_A_DAY),
                _ => None,
            }
        };
        let valid = 1..=Self::DAYS_MAX * Self::HOURS_OF_A_DAY;
        let hours = hours().filter(|hours| valid.contains(hours));
        let hours = hours.ok_or_else(|| InvalidWithin(shorten(raw)))?;
        Ok(Self { hours })
    }
}

/// In words: `36 hours`, `7 days`.
impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.hours / Self::HOURS_OF_A_DAY;
        match self.hours {
            1 => f.write_str("1 hour"),
            Self::HOURS_OF_A_DAY => f.write_str("1 day"),
            hours if hours.is_multiple_of(Self::HOURS_OF_A_DAY) => write!(f, "{days} days"),
            hours => write!(f, "{hours} hours"),
        }
    }
}

impl InvalidChoice {
    fn of(found: &str, choices: &'static str) -> Self {
        Self {
            found: shorten(found),
            choices,
        }
    }
}

impl From<&InvalidChoice> for RejectionCode {
    fn from(_: &InvalidChoice) -> Self {
        Self::OutOfRange
    }
}

impl From<&InvalidWithin> for RejectionCode {
    fn from(_: &InvalidWithin) -> Self {
        Self::OutOfRange
    }
}
