//! The input template of a pipe: what it makes of a record.

use anyhow::Context as _;
use serde_json::Value;

/// Text in which `<$.eventID>` and the like stand for parts of a record.
#[derive(Clone, Debug)]
pub struct Template(String);

impl Template {
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Fills in a record. As on AWS, a text must stand in quotes, and an object must not.
    pub fn render(&self, record: &str) -> anyhow::Result<String> {
        let record: Value = serde_json::from_str(record)?;
        let mut rendered = String::new();
        let mut rest = self.0.as_str();
        while let Some((before, after)) = rest.split_once("<$.") {
            let (path, after) = after.split_once('>').context("a path does not end")?;
            let pointer = format!("/{}", path.replace('.', "/"));
            let value = record.pointer(&pointer);
            let value = value.with_context(|| format!("the record has no {path}"))?;
            let in_quotes = before.ends_with('"') && after.starts_with('"');
            anyhow::ensure!(in_quotes == value.is_string(), "{path} is {value}");
            let value = value.to_string();
            rendered.push_str(before);
            let inside = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            rendered.push_str(inside.unwrap_or(&value));
            rest = after;
        }
        rendered.push_str(rest);
        Ok(rendered)
    }
}
