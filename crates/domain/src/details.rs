//! What admins say of teams and programs: titles, and which programs the list shows and in which order.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::fields::{Fields, Form};
use crate::id::{InvalidId, ProgramId, TeamId};
use crate::intake::{Rejection, RejectionCode};
use crate::person::DisplayName;

/// What a team or a program may have beside its id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<DisplayName>,
    /// Programs with an order come first in the list, the lowest first. Teams have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u16>,
    /// A program that the list leaves out. It still takes activities, and they count. Teams are not archived.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubjectKind {
    Team,
    Program,
}

/// A team or a program.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    Team(TeamId),
    Program(ProgramId),
}

impl Details {
    pub const ORDER_MAX: u16 = 9_999;

    /// Parses what an admin sends. A field that is missing, `null` or an empty text is not set, and the id may
    /// repeat whose details they are.
    pub fn parse(raw: &RawValue, of: &Subject) -> Result<Self, Rejection> {
        let (form, id) = match of {
            Subject::Team(_) => (Form::Team, "team_id"),
            Subject::Program(_) => (Form::Program, "program_id"),
        };
        let mut fields = Fields::parse(raw, form)?;
        if let Some(sent) = fields.text(id)?
            && sent != of.id()
        {
            let detail = format!("is not {of}, which the address names");
            return Err(Rejection::new(RejectionCode::Conflict, id, detail));
        }
        let title = fields.text("title")?.filter(|title| !title.is_empty());
        let title = title.map(|title| title.parse::<DisplayName>()).transpose();
        let mut details = Self {
            title: title.map_err(|error| Rejection::new((&error).into(), "title", error))?,
            ..Self::default()
        };
        if form == Form::Program {
            let order = fields.whole("order", 0, Self::ORDER_MAX.into())?;
            details.order = order.map(|order| u16::try_from(order).expect("it is within its bounds"));
            details.archived = fields.flag("archived")?.unwrap_or_default();
        }
        fields.finish()?;
        Ok(details)
    }
}

impl SubjectKind {
    /// As in `/v1/teams`.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Team => "teams",
            Self::Program => "programs",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::Program => "program",
        }
    }

    /// Reads back an id of this kind that was checked when it was accepted.
    pub fn stored(self, id: &str) -> Result<Subject, InvalidId> {
        Ok(match self {
            Self::Team => Subject::Team(TeamId::stored(id)?),
            Self::Program => Subject::Program(ProgramId::stored(id)?),
        })
    }
}

impl Subject {
    pub fn kind(&self) -> SubjectKind {
        match self {
            Self::Team(_) => SubjectKind::Team,
            Self::Program(_) => SubjectKind::Program,
        }
    }

    pub fn id(&self) -> &str {
        match self {
            Self::Team(team) => team.as_str(),
            Self::Program(program) => program.as_str(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Team(team) => write!(f, "the team {team}"),
            Self::Program(program) => write!(f, "the program {program}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: SubjectKind, raw: &str, expected: &str) {
        let of = kind.stored("a").unwrap();
        let raw: &RawValue = serde_json::from_str(raw).unwrap();
        let got = match Details::parse(raw, &of) {
            Ok(details) => serde_json::to_string(&details).unwrap(),
            Err(rejection) => format!("{:?}: {}", rejection.code, rejection.detail),
        };
        assert_eq!(got, expected, "{raw}");
    }

    #[test]
    fn programs_have_a_title_an_order_and_may_be_archived() {
        let check = |raw, expected| check(SubjectKind::Program, raw, expected);
        check("{}", "{}");
        check(
            r#"{"program_id": "a", "title": " Walk ", "order": 3, "archived": true}"#,
            r#"{"title":"Walk","order":3,"archived":true}"#,
        );
        check(r#"{"title": "", "order": null, "archived": false}"#, "{}");
        check(
            r#"{"order": 10000}"#,
            "OutOfRange: order is 10000; it must be a whole number from 0 to 9999",
        );
        check(
            r#"{"archived": "yes"}"#,
            "WrongType: archived must be true or false, not a string",
        );
        check(
            r#"{"program_id": "b"}"#,
            "Conflict: program_id is not the program a, which the address names",
        );
    }

    #[test]
    fn teams_have_a_title() {
        let check = |raw: &str, expected| check(SubjectKind::Team, raw, expected);
        check(r#"{"team_id": "a", "title": "The Å"}"#, r#"{"title":"The Å"}"#);
        check(
            &format!(r#"{{"title": "{}"}}"#, "x".repeat(81)),
            "TooLong: title has 81 characters; at most 80 are allowed",
        );
        check(
            r#"{"title": "a\u200bb"}"#,
            "IllegalCharacter: title has the invisible character U+200B; leave it out",
        );
        check(
            r#"{"order": 1}"#,
            "UnknownField: order is not a field of a team; its fields are team_id, title",
        );
    }
}
