//! What all origins of the HTTP API take and answer alike: problem documents (RFC 9457) and queries.

pub mod body;
mod path;
pub mod query;

use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
};
use http::{Method, Response, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};

pub use path::unknown_path;

/// A problem document. Members beyond those of the RFC are added by [`Problem::with`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Problem {
    title: String,
    #[serde(serialize_with = "as_number")]
    status: StatusCode,
    /// A stable name for programs to branch on.
    code: &'static str,
    detail: String,
    #[serde(flatten)]
    more: Map<String, Value>,
    /// Those of the response.
    #[serde(skip)]
    headers: Vec<(HeaderName, HeaderValue)>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status,
            code,
            detail: detail.into(),
            more: Map::new(),
            headers: vec![
                (CONTENT_TYPE, HeaderValue::from_static("application/problem+json")),
                (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            ],
        }
    }

    /// Names the field, parameter or header that is wrong.
    pub fn field(self, name: &str) -> Self {
        self.with("field", name)
    }

    /// Asks the client to try again after this many seconds.
    pub fn retry_after(self, seconds: u32) -> Self {
        self.header(RETRY_AFTER, seconds.into())
    }

    /// Adds a header to the response.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.more.insert(member.to_owned(), value.into());
        self
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    pub fn into_response(self) -> Response<String> {
        let body = serde_json::to_string(&self).expect("a problem has string keys only");
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response
    }
}

/// What is wrong with a request. `field` names the part, parameter or member.
pub fn invalid(code: &'static str, field: &str, detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code, detail).field(field)
}

/// The answer to a method that a path does not support. `allowed` is the value of `Allow`; the method that
/// it names first is the one to use.
pub fn method_not_allowed(method: &Method, allowed: &'static str) -> Response<String> {
    const MAX_CHARS: usize = 20;
    // An answer to HEAD says how long that to GET is.
    let method = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    let method: String = method.as_str().chars().take(MAX_CHARS).collect();
    let (usual, _) = allowed.split_once(',').unwrap_or((allowed, ""));
    let detail = format!("{method} is not supported here. Use {usual}.");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
        .header(ALLOW, HeaderValue::from_static(allowed))
        .into_response()
}

/// The answer to HEAD: the headers of the answer to GET with the length of its body, without the body.
pub fn without_body<B: AsRef<[u8]> + Default>(response: Response<B>) -> Response<B> {
    let (mut parts, body) = response.into_parts();
    // An answer without a body, such as a 304, would be wrong to say that the document is empty.
    let bytes = body.as_ref().len();
    if bytes > 0 {
        parts.headers.insert(CONTENT_LENGTH, bytes.into());
    }
    Response::from_parts(parts, B::default())
}
