//! The query of a request. Each parameter is given at most once and is known.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use domain::intake::shorten;
use percent_encoding::percent_decode_str;

use crate::{Problem, invalid};

/// The parameters that have not been taken yet.
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(raw: &str) -> Result<Self, Problem> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for parameter in raw.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let (name, value) = (decode(name, "query")?, decode(value, "query")?);
            if parameters.iter().any(|(found, _)| *found == name) {
                let name = shorten(&name);
                let detail = format!("The parameter {name} is given more than once. Give it once.");
                return Err(invalid("invalid_parameter", &name, detail));
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    pub fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(found, _)| found == name)?;
        Some(self.0.swap_remove(at).1)
    }

    pub fn number<T: FromStr + PartialOrd + Display>(
        &mut self,
        name: &str,
        default: T,
        allowed: RangeInclusive<T>,
    ) -> Result<T, Problem> {
        let Some(raw) = self.take(name) else {
            return Ok(default);
        };
        match digits(&raw) {
            Some(number) if allowed.contains(&number) => Ok(number),
            _ => {
                let (least, most, raw) = (allowed.start(), allowed.end(), shorten(&raw));
                let detail =
                    format!("The {name} is {raw:?}; it must be a whole number from {least} to {most}.");
                Err(invalid("invalid_parameter", name, detail))
            }
        }
    }

    /// A misspelt parameter would otherwise be silently ignored.
    pub fn finish(self) -> Result<(), Problem> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => {
                let name = shorten(name);
                let detail = format!("The parameter {name:?} is not known at this path. Check its name.");
                Err(invalid("unknown_parameter", &name, detail))
            }
        }
    }
}

/// The answer to a cursor that no answer of ours has given.
pub fn invalid_cursor(raw: &str) -> Problem {
    let raw = shorten(raw);
    let detail = format!("The cursor {raw:?} is not valid. Use the next_cursor of an earlier answer.");
    invalid("invalid_parameter", "cursor", detail)
}

/// A part of an address, which `field` names in the answer if it is wrong.
pub fn decode(raw: &str, field: &str) -> Result<String, Problem> {
    match percent_decode_str(raw).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(invalid(
            "invalid_encoding",
            field,
            format!("The {field} is not valid UTF-8 after percent-decoding."),
        )),
    }
}

/// A number written with digits only: the parser of the standard library also takes a sign.
pub fn digits<T: FromStr>(raw: &str) -> Option<T> {
    let is_number = raw.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| raw.parse().ok()).flatten()
}
