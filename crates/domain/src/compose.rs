//! Writes JSON from parts that are JSON already, so that a value keeps its spelling: a number must not lose digits.

/// An object with these members, in this order. Values are JSON.
pub fn object(members: &[(String, String)]) -> String {
    let members: Vec<_> = members
        .iter()
        .map(|(name, value)| format!("{}:{value}", quoted(name)))
        .collect();
    format!("{{{}}}", members.join(","))
}

pub fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string is always JSON")
}
