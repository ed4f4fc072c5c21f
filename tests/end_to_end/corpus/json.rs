//! A JSON tree that may be invalid: scalars and keys are kept as written, and keys may repeat.

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::Value;

#[derive(Clone, Debug)]
pub enum Node {
    Scalar(String),
    Array(Vec<Node>),
    /// With keys as written.
    Object(Vec<(String, Node)>),
}

impl Node {
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str::<Value>(text).ok().map(Self::from)
    }

    pub fn render(&self) -> String {
        match self {
            Self::Scalar(text) => text.clone(),
            Self::Array(items) => {
                let items: Vec<_> = items.iter().map(Self::render).collect();
                format!("[{}]", items.join(","))
            }
            Self::Object(members) => {
                let members = members
                    .iter()
                    .map(|(key, value)| format!("{key}:{}", value.render()));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }
        }
    }

    fn children(&mut self) -> Vec<&mut Self> {
        match self {
            Self::Scalar(_) => Vec::new(),
            Self::Array(items) => items.iter_mut().collect(),
            Self::Object(members) => members.iter_mut().map(|(_, value)| value).collect(),
        }
    }

    fn count(&mut self) -> usize {
        1 + self.children().into_iter().map(Self::count).sum::<usize>()
    }

    /// A random node of this tree, possibly the root.
    pub fn any(&mut self, random: &mut StdRng) -> &mut Self {
        let at = random.random_range(0..self.count());
        self.at(at)
    }

    fn at(&mut self, mut at: usize) -> &mut Self {
        if at == 0 {
            return self;
        }
        at -= 1;
        for child in self.children() {
            let count = child.count();
            if at < count {
                return child.at(at);
            }
            at -= count;
        }
        unreachable!("there are fewer nodes than were counted")
    }
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        match value {
            Value::Array(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            Value::Object(members) => {
                let members = members
                    .into_iter()
                    .map(|(key, value)| (Value::from(key).to_string(), Self::from(value)));
                Self::Object(members.collect())
            }
            scalar => Self::Scalar(scalar.to_string()),
        }
    }
}
