//! What all answers share: validators, caching, compression and access for other origins.

use std::str::FromStr;

use domain::documents::Fresh;
use lambda_http::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, VARY,
};
use lambda_http::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Version};
use lambda_http::{Body, Response};
use problem::Problem;
use store::publication::content_hash;
use tower_http::compression::predicate::Predicate;
use tower_http::compression::{Compression, CompressionLevel};

/// The value of `Allow` at every path.
const ALLOWED: &str = "GET, HEAD, OPTIONS";

/// Who may read the boards, which decides who may keep an answer. Its text is the authorization of the
/// function's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// `NONE`: everyone.
    Public,
    /// `AWS_IAM`: those who sign their requests. A cache between them and serve must not give an answer to
    /// anyone else.
    Signed,
}

#[derive(Debug, thiserror::Error)]
#[error("must be \"NONE\" or \"AWS_IAM\"")]
pub struct InvalidReaders;

impl FromStr for Readers {
    type Err = InvalidReaders;
    fn from_str(raw: &str) -> Result<Self, InvalidReaders> {
        match raw {
            "NONE" => Ok(Self::Public),
            "AWS_IAM" => Ok(Self::Signed),
            _ => Err(InvalidReaders),
        }
    }
}

/// A document as JSON, and how to cache it.
pub struct Cacheable {
    json: String,
    etag: String,
    max_age_seconds: i64,
}

impl Cacheable {
    pub fn new<T: Fresh>(mut document: T, max_age_seconds: i64) -> Self {
        // The validator covers all that is sent apart from the age, which a client can count itself. So a
        // changed document never has the validator of an earlier one, wherever the change comes from.
        let age = std::mem::take(&mut document.freshness_mut().age_seconds);
        let validator = content_hash(&json(&document));
        document.freshness_mut().age_seconds = age;
        Self {
            json: json(&document),
            etag: format!("W/\"{validator}\""),
            max_age_seconds,
        }
    }

    pub fn into_response(self, request: &HeaderMap, readers: Readers) -> Response<Body> {
        let mut response = if matches(request, &self.etag) {
            let mut response = Response::new(Body::Empty);
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        } else {
            let mut response = Response::new(Body::Text(self.json));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            response
        };
        let headers = response.headers_mut();
        let scope = match readers {
            Readers::Public => "public",
            Readers::Signed => "private",
        };
        let cache_control = format!("{scope}, max-age={}", self.max_age_seconds);
        for (name, value) in [(ETAG, self.etag), (CACHE_CONTROL, cache_control)] {
            headers.insert(name, value.parse().expect("digits and letters only"));
        }
        // Also on what is not compressed: another client may accept gzip.
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        response
    }
}

fn json<T: Fresh>(document: &T) -> String {
    serde_json::to_string(document).expect("documents have string keys only")
}

/// RFC 9110 prescribes weak comparison for `If-None-Match`.
fn matches(request: &HeaderMap, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let tags = request
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    tags.flat_map(|tags| tags.split(','))
        .any(|tag| tag.trim() == "*" || opaque(tag) == opaque(etag))
}

/// Compresses the documents of `service` for clients that accept gzip.
pub fn compressed<S>(service: S) -> Compression<S, impl Predicate> {
    // An empty `Body` does not report its size, and tower-http compresses what has none: a 304, for example.
    let is_document =
        |status: StatusCode, _: Version, _: &HeaderMap, _: &Extensions| status == StatusCode::OK;
    Compression::new(service)
        .quality(CompressionLevel::Fastest)
        .compress_when(is_document)
}

pub fn problem(problem: Problem) -> Response<Body> {
    problem.into_response().map(Body::Text)
}

pub fn method_not_allowed(method: &Method) -> Response<Body> {
    problem::method_not_allowed(method, ALLOWED).map(Body::Text)
}

/// Lets pages of `origin` read an answer.
///
/// By hand, since the `CorsLayer` of tower-http answers a preflight with 200 instead of 204, and
/// configuring it is no shorter.
pub fn allow_origin(mut response: Response<Body>, origin: &HeaderValue) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    let exposed = HeaderValue::from_static("etag, retry-after");
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    response
}

/// Lets pages of other origins send the header of a conditional request.
pub fn preflight() -> Response<Body> {
    Response::builder()
        .status(StatusCode::NO_CONTENT)
        .header(ALLOW, ALLOWED)
        .header(ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD")
        .header(ACCESS_CONTROL_ALLOW_HEADERS, "if-none-match")
        .header(ACCESS_CONTROL_MAX_AGE, "86400")
        .body(Body::Empty)
        .expect("the headers are constants")
}
