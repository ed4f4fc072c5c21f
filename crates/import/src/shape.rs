//! Makes activities of records that are named otherwise: which column or member becomes which field.

use std::{fmt, str::FromStr};

use anyhow::{bail, ensure};
use domain::compose::{object, quoted};
use domain::{ActivityId, Field, Kind, ProgramId, UserId, id::InvalidId};
use serde_json::value::RawValue;

use super::{git::slug, times::Times};

/// Names that a message lists.
const NAMES_MAX: usize = 40;

/// Options that say what the columns or members of the records mean.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Shape {
    /// Take this field from this column, or from this member of a JSON object, such as actor.account.name
    #[arg(long = "map", value_name = "FIELD=COLUMN", value_parser = parse_pair::<Field>, conflicts_with = "git")]
    maps: Vec<(Field, String)>,
    /// Give this field the same value in every activity
    #[arg(long = "set", value_name = "FIELD=VALUE", value_parser = parse_pair::<Field>, conflicts_with = "git")]
    sets: Vec<(Field, String)>,
    /// Import only records with this value in this column or member; repeat it for more values or columns
    #[arg(long = "only", value_name = "COLUMN=VALUE", value_parser = parse_pair::<String>, conflicts_with = "git")]
    only: Vec<(String, String)>,
    /// Make an id of this field's value: lower case, with hyphens for spaces, such as ann-lee
    #[arg(long = "slug", value_name = "FIELD", value_parser = parse_id_field, conflicts_with = "git")]
    slugs: Vec<Field>,
    /// The records are the array in this member of one JSON document, such as results
    #[arg(long, value_name = "MEMBER", conflicts_with = "git")]
    pub records: Option<String>,
    #[command(flatten)]
    times: Times,
}

fn parse_pair<T: FromStr>(raw: &str) -> Result<(T, String), String>
where
    T::Err: fmt::Display,
{
    let (name, value) = raw
        .split_once('=')
        .ok_or("write it as NAME=VALUE, with quotes around it if there are spaces")?;
    let name = name.parse().map_err(|error: T::Err| error.to_string())?;
    Ok((name, value.to_owned()))
}

fn parse_id_field(raw: &str) -> Result<Field, String> {
    match raw.parse::<Field>().map_err(|error| error.to_string())? {
        Field::OccurredAt | Field::Metadata(_) => Err(format!("{raw} is no id")),
        field => Ok(field),
    }
}

/// The value of a column or member.
#[derive(Debug)]
pub enum Value<'a> {
    Text(String),
    /// A JSON value that is not text, as it is written.
    Other(&'a RawValue),
}

/// A row or a JSON object.
pub trait Record {
    /// `None` if there is no such column or member, or it is empty or null.
    fn value(&self, name: &str) -> Option<Value<'_>>;
    /// The names of the columns or members.
    fn names(&self) -> Vec<String>;
}

/// Why a record is no activity.
#[derive(Debug, PartialEq, Eq)]
pub struct Misfit {
    pub code: &'static str,
    pub field: Field,
    pub detail: String,
}

impl Shape {
    /// Whether records are taken as they are.
    pub fn is_plain(&self) -> bool {
        let Self {
            maps,
            sets,
            only,
            slugs,
            records: _,
            times,
        } = self;
        maps.is_empty() && sets.is_empty() && only.is_empty() && slugs.is_empty() && times.is_default()
    }

    /// Finds options that contradict one another.
    pub fn check(&self) -> anyhow::Result<()> {
        self.times.check()?;
        let named: Vec<&Field> = self
            .maps
            .iter()
            .chain(&self.sets)
            .map(|(field, _)| field)
            .collect();
        for (at, field) in named.iter().enumerate() {
            ensure!(
                !named[..at].contains(field),
                "{field} is given more than once by --map and --set"
            );
        }
        Ok(())
    }

    /// The column that a field is taken from: the mapped one, or the one with its name.
    fn column(&self, field: &Field) -> String {
        let mapped = self.maps.iter().find(|(mapped, _)| mapped == field);
        mapped.map_or_else(|| field.to_string(), |(_, column)| column.clone())
    }

    fn fixed(&self, field: &Field) -> Option<&str> {
        let set = self.sets.iter().find(|(set, _)| set == field)?;
        Some(&set.1)
    }

    /// Compares the options with the columns of a table before anything is sent.
    /// Returns the columns that are left out.
    pub fn check_columns(&self, columns: &[String]) -> anyhow::Result<Vec<String>> {
        let listed = || list(columns);
        for name in self
            .maps
            .iter()
            .map(|(_, name)| name)
            .chain(self.only.iter().map(|(name, _)| name))
        {
            match columns.iter().filter(|column| *column == name).count() {
                0 => bail!("there is no column {name:?}; the columns are {}", listed()),
                1 => {}
                count => bail!("{count} columns are named {name:?}; rename the one to import"),
            }
        }
        let taken: Vec<String> = Field::EVERY
            .iter()
            .filter(|field| self.fixed(field).is_none())
            .map(|field| self.column(field))
            .chain(self.maps.iter().map(|(_, column)| column.clone()))
            .chain(self.only.iter().map(|(column, _)| column.clone()))
            .collect();
        for field in Field::REQUIRED {
            let column = self.column(&field);
            ensure!(
                self.fixed(&field).is_some() || columns.contains(&column),
                "no column is named {field}; say which one it is with --map {field}=COLUMN, or give all activities the \
                 same with --set {field}=VALUE. The columns are {}",
                listed()
            );
        }
        let is_metadata = |column: &String| column == "metadata" || column.starts_with("metadata.");
        let left_out: Vec<_> = columns
            .iter()
            .filter(|column| !column.is_empty() && !taken.contains(column) && !is_metadata(column))
            .cloned()
            .collect();
        // A misspelt column must not be left out silently.
        ensure!(
            left_out.is_empty() || !self.maps.is_empty() || !self.sets.is_empty(),
            "{} is no field of an activity; the fields are activity_id, user_id, program_id, kind, quantity, points, \
             occurred_at and metadata.KEY. Say what to import with --map, such as --map user_id=user_id, and the other columns are left \
             out",
            list(&left_out)
        );
        Ok(left_out)
    }

    /// Whether `--only` lets the record through.
    pub fn includes(&self, record: &dyn Record) -> bool {
        self.only.iter().all(|(column, _)| {
            let value = record.value(column).map(|value| value.text().into_owned());
            let mut wanted = self.only.iter().filter(|(other, _)| other == column);
            wanted.any(|(_, wanted)| Some(wanted) == value.as_ref())
        })
    }

    /// The activity as JSON.
    pub fn apply(&self, record: &dyn Record) -> Result<String, Misfit> {
        let mut members = Vec::new();
        for field in Field::EVERY {
            let column = self.column(&field);
            let value = match self.fixed(&field) {
                Some(fixed) => Some(fixed.to_owned()),
                None => match record.value(&column) {
                    Some(Value::Other(value)) if value.get().starts_with(['{', '[']) => {
                        let detail = format!(
                            "{column} is not a single value; name a member of it, such as {column}.name"
                        );
                        return Err(misfit("wrong_type", &field, detail));
                    }
                    value => value.map(|value| value.text().into_owned()),
                },
            };
            let Some(value) = value else {
                if Field::REQUIRED.contains(&field) {
                    let detail = format!(
                        "there is no value in {column:?}; the record has {}",
                        list(&record.names())
                    );
                    return Err(misfit("missing_field", &field, detail));
                }
                continue;
            };
            let value = self.convert(&field, value)?;
            let json = match value.parse::<i64>() {
                Ok(number) if field.is_number() => number.to_string(),
                _ => quoted(&value),
            };
            members.push((field.to_string(), json));
        }
        if let Some(metadata) = self.metadata(record) {
            members.push(("metadata".to_owned(), metadata));
        }
        Ok(object(&members))
    }

    /// The text of a field, checked as the server does, to say which option helps.
    fn convert(&self, field: &Field, value: String) -> Result<String, Misfit> {
        if *field == Field::OccurredAt {
            return self
                .times
                .parse(&value)
                .map_err(|detail| misfit("invalid_time", field, detail));
        }
        let value = if self.slugs.contains(field) {
            slug(&value).ok_or_else(|| {
                let detail = format!("{value:?} has no letter or digit to make an id of");
                misfit("illegal_character", field, detail)
            })?
        } else {
            value
        };
        let checked: Result<(), InvalidId> = match field {
            Field::ActivityId => value.parse::<ActivityId>().map(drop),
            Field::UserId => value.parse::<UserId>().map(drop),
            Field::ProgramId => value.parse::<ProgramId>().map(drop),
            Field::Kind => value.parse::<Kind>().map(drop),
            Field::Quantity | Field::Points | Field::OccurredAt | Field::Metadata(_) => Ok(()),
        };
        match checked {
            Ok(()) => Ok(value),
            Err(error @ InvalidId::IllegalCharacter { .. }) => {
                let detail = format!("{value:?} {error}; --slug {field} makes an id of it");
                Err(misfit("illegal_character", field, detail))
            }
            Err(error) => Err(misfit("invalid_id", field, format!("{value:?} {error}"))),
        }
    }

    /// The members that are mapped or set, or those that the record names `metadata.KEY`, or its `metadata`.
    fn metadata(&self, record: &dyn Record) -> Option<String> {
        let key = |field: &Field| match field {
            Field::Metadata(key) => Some(key.clone()),
            _ => None,
        };
        let mut sources: Vec<(String, String)> = self
            .maps
            .iter()
            .filter_map(|(field, column)| Some((key(field)?, column.clone())))
            .collect();
        for name in record.names() {
            if let Some(key) = name.strip_prefix("metadata.")
                && !sources
                    .iter()
                    .any(|(known, column)| known == key || *column == name)
            {
                sources.push((key.to_owned(), name.clone()));
            }
        }
        let mut members: Vec<(String, String)> = sources
            .into_iter()
            .filter_map(|(key, column)| Some((key, record.value(&column)?.json())))
            .collect();
        let sets = self.sets.iter();
        members.extend(sets.filter_map(|(field, value)| Some((key(field)?, quoted(value)))));
        if members.is_empty() {
            // As text in a table, as an object in JSON. The server checks it.
            return record.value("metadata").map(|value| value.text().into_owned());
        }
        Some(object(&members))
    }
}

impl Value<'_> {
    fn text(&self) -> std::borrow::Cow<'_, str> {
        match self {
            Self::Text(text) => text.into(),
            Self::Other(value) => value.get().into(),
        }
    }

    fn json(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Other(value) => value.get().to_owned(),
        }
    }
}

fn misfit(code: &'static str, field: &Field, detail: String) -> Misfit {
    Misfit {
        code,
        field: field.clone(),
        detail,
    }
}

/// Names for a message: `a, b and c`.
pub fn list(names: &[String]) -> String {
    let shown: Vec<_> = names
        .iter()
        .take(NAMES_MAX)
        .map(|name| format!("{name:?}"))
        .collect();
    let more = if names.len() > NAMES_MAX { " and more" } else { "" };
    match shown.split_last() {
        None => "none".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) if more.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some(_) => format!("{}{more}", shown.join(", ")),
    }
}
