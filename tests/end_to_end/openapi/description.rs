//! Reads the description of the API and checks answers against it.

use std::collections::BTreeSet;
use std::fmt;

use jsonschema::Validator;
use lambda_http::http::HeaderMap;
use lambda_http::http::header::CONTENT_TYPE;
use serde_json::{Value, json};

/// One kind of answer: the operation, the status, and the code of its problem (empty for none).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outcome {
    pub operation: String,
    pub status: u16,
    pub code: String,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.operation, self.status, self.code)
    }
}

/// An answer as a client receives it.
pub struct Answer {
    /// The operation's id, or any name for an answer that belongs to no operation.
    pub operation: &'static str,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// `None` for an empty body.
    pub fn json(&self) -> Option<Value> {
        (!self.body.is_empty()).then(|| serde_json::from_slice(&self.body).expect("the body is JSON"))
    }

    pub fn outcome(&self) -> Outcome {
        let code = self
            .json()
            .and_then(|body| Some(body["code"].as_str()?.to_owned()));
        Outcome {
            operation: self.operation.to_owned(),
            status: self.status,
            code: code.unwrap_or_default(),
        }
    }
}

pub struct Description(Value);

impl Description {
    pub fn load() -> Self {
        let text = include_str!("../../../docs/openapi.json");
        Self(serde_json::from_str(text).expect("the description is JSON"))
    }

    /// The value at a JSON pointer such as `/components/schemas/Activity`.
    pub fn at(&self, pointer: &str) -> &Value {
        self.0
            .pointer(pointer)
            .unwrap_or_else(|| panic!("the description has no {pointer}"))
    }

    pub fn whole(&self) -> &Value {
        &self.0
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.at(reference.trim_start_matches('#')),
            None => value,
        }
    }

    /// All operations, by their ids.
    pub fn operations(&self) -> Vec<(&str, &Value)> {
        let paths = self.at("/paths").as_object().expect("an object").values();
        let operations = paths.flat_map(|path| path.as_object().expect("an object").values());
        operations
            .map(|operation| (operation["operationId"].as_str().expect("an id"), operation))
            .collect()
    }

    /// The method and path of each operation, in order.
    pub fn routes(&self) -> Vec<(String, String)> {
        let paths = self.at("/paths").as_object().expect("an object");
        let routes = paths.iter().flat_map(|(path, operations)| {
            let methods = operations.as_object().expect("an object").keys();
            methods.map(|method| (method.clone(), path.clone()))
        });
        let mut routes: Vec<_> = routes.collect();
        routes.sort_by(|one, other| one.1.cmp(&other.1));
        routes
    }

    /// The documented answer of an operation with a status.
    pub fn response(&self, operation: &str, status: u16) -> Option<&Value> {
        let (_, operation) = self
            .operations()
            .into_iter()
            .find(|(id, _)| *id == operation)
            .unwrap_or_else(|| panic!("the description has no operation {operation}"));
        let response = operation["responses"].get(status.to_string())?;
        Some(self.resolved(response))
    }

    /// Every documented outcome.
    pub fn outcomes(&self) -> BTreeSet<Outcome> {
        let mut outcomes = BTreeSet::new();
        for (id, operation) in self.operations() {
            for (status, response) in operation["responses"].as_object().expect("an object") {
                let problem = self
                    .resolved(response)
                    .pointer("/content/application~1problem+json/schema");
                let codes = problem.map_or_else(|| vec![String::new()], codes);
                assert!(!codes.is_empty(), "{id} {status} has no codes");
                outcomes.extend(codes.into_iter().map(|code| Outcome {
                    operation: id.to_owned(),
                    status: status.parse().expect("a status"),
                    code,
                }));
            }
        }
        outcomes
    }

    /// The names and values of the examples of an answer's body.
    pub fn examples(&self, operation: &str, status: u16) -> Vec<(&str, &Value)> {
        let Some(response) = self.response(operation, status) else {
            return Vec::new();
        };
        let media = response["content"]
            .as_object()
            .into_iter()
            .flat_map(|media| media.values());
        let examples = media.filter_map(|media| media["examples"].as_object()).flatten();
        examples
            .map(|(name, example)| (name.as_str(), &example["value"]))
            .collect()
    }

    /// Compiles a schema that may refer to the components.
    pub fn validator(&self, schema: &Value) -> Validator {
        let document = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "components": self.0["components"],
            "allOf": [schema],
        });
        jsonschema::draft202012::options()
            .should_validate_formats(true)
            .build(&document)
            .unwrap_or_else(|error| panic!("{schema}\n  is not a schema: {error}"))
    }

    /// Checks status, headers, media type and body. Also checks that the schema is strict: it must
    /// reject the body with a member added or removed.
    pub fn check(&self, answer: &Answer) {
        let outcome = answer.outcome();
        let Some(response) = self.response(answer.operation, answer.status) else {
            panic!("{outcome} is not documented");
        };
        self.check_as(answer, response);
    }

    /// Like [`Self::check`], for a response that may belong to no operation.
    pub fn check_as(&self, answer: &Answer, response: &Value) {
        let outcome = answer.outcome();
        self.check_headers(answer, response);
        let Some(content) = response["content"].as_object() else {
            assert!(answer.body.is_empty(), "{outcome} is documented without a body");
            return;
        };
        let content_type = answer.headers[CONTENT_TYPE].to_str().expect("text");
        let Some(media) = content.get(content_type) else {
            panic!(
                "{outcome} came as {content_type}, documented are {:?}",
                content.keys()
            );
        };
        let body = answer
            .json()
            .unwrap_or_else(|| panic!("{outcome} came without a body"));
        let validator = self.validator(&media["schema"]);
        check_valid(&validator, &body, &outcome.to_string());
        for (change, changed) in drifts(&body) {
            assert!(
                !validator.is_valid(&changed),
                "{outcome}: the schema allows {change}"
            );
        }
    }

    fn check_headers(&self, answer: &Answer, response: &Value) {
        let outcome = answer.outcome();
        let nothing = serde_json::Map::new();
        let documented = response["headers"].as_object().unwrap_or(&nothing);
        for (name, header) in documented {
            let header = self.resolved(header);
            let Some(value) = answer.headers.get(name.as_str()) else {
                assert_ne!(header["required"], true, "{outcome} has no {name}");
                continue;
            };
            let text = value.to_str().expect("text");
            let value = match header["schema"]["type"].as_str() {
                Some("integer") => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
                _ => Value::from(text),
            };
            check_valid(
                &self.validator(&header["schema"]),
                &value,
                &format!("{outcome}, {name}"),
            );
        }
        for name in answer.headers.keys().filter(|name| *name != CONTENT_TYPE) {
            let is_documented = documented
                .keys()
                .any(|known| known.eq_ignore_ascii_case(name.as_str()));
            assert!(is_documented, "{outcome} has a {name}, which is not documented");
        }
    }
}

/// The codes that a problem schema and its alternatives allow. References are not followed.
fn codes(schema: &Value) -> Vec<String> {
    let alternatives = schema["oneOf"].as_array().into_iter().flatten().flat_map(codes);
    let own = schema["properties"]["code"]["enum"]
        .as_array()
        .into_iter()
        .flatten();
    own.filter_map(|code| code.as_str().map(str::to_owned))
        .chain(alternatives)
        .collect()
}

pub fn check_valid(validator: &Validator, value: &Value, what: &str) {
    let errors: Vec<_> = validator
        .iter_errors(value)
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what}: {value}\n  {}", errors.join("\n  "));
}

/// Members that some documents of a kind have and others lack.
const OPTIONAL: [&str; 6] = [
    "concealed_as",
    "employee_id",
    "first_correction_id",
    "name",
    "period",
    "posted_by",
];

/// The members of a document that hold rows, which may be anonymous.
const ROWS: [&str; 5] = ["/entry", "/entries/", "/above/", "/below/", "/coins/"];

/// Copies of the document: with a member added to each object, and with each member removed.
fn drifts(document: &Value) -> Vec<(String, Value)> {
    let mut drifts = Vec::new();
    for pointer in objects(document, "") {
        let edited = |edit: &dyn Fn(&mut serde_json::Map<String, Value>)| {
            let mut changed = document.clone();
            let object = changed.pointer_mut(&pointer).and_then(Value::as_object_mut);
            edit(object.expect("the pointer leads to an object"));
            changed
        };
        let added = edited(&|object| drop(object.insert("drift".to_owned(), Value::Null)));
        drifts.push((format!("a new member in {pointer:?}"), added));
        let members = document.pointer(&pointer).and_then(Value::as_object);
        // A policy may have any kinds.
        let is_map = pointer.ends_with("/points") || pointer.ends_with("/titles");
        let members = members
            .filter(|_| !is_map)
            .into_iter()
            .flat_map(|members| members.keys());
        let is_row = ROWS.iter().any(|rows| pointer.starts_with(rows));
        // Of boards and their rows; that of a problem is always there.
        let may_lack_title = document
            .pointer(&pointer)
            .is_some_and(|object| object["points"].is_number());
        let is_optional = |name: &str| {
            OPTIONAL.contains(&name)
                || is_row && ["user_id", "coin_id"].contains(&name)
                || may_lack_title && name == "title"
        };
        for name in members.filter(|name| !is_optional(name)) {
            let removed = edited(&|object| drop(object.remove(name)));
            drifts.push((format!("{pointer:?} without {name}"), removed));
        }
    }
    drifts
}

/// The pointers of all objects within a value.
fn objects(value: &Value, pointer: &str) -> Vec<String> {
    match value {
        Value::Object(members) => {
            let within = members
                .iter()
                .flat_map(|(name, value)| objects(value, &format!("{pointer}/{name}")));
            within.chain([pointer.to_owned()]).collect()
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .flat_map(|(at, item)| objects(item, &format!("{pointer}/{at}")))
            .collect(),
        _ => Vec::new(),
    }
}
