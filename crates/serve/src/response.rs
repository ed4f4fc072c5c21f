//! What all answers share: validators, caching, compression and access for other origins.

use domain::documents::Fresh;
use lambda_http::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use lambda_http::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Version};
use lambda_http::{Body, Response};
use problem::Problem;
use serde::Serialize;
use store::publication::content_hash;
use tower_http::compression::predicate::Predicate;
use tower_http::compression::{Compression, CompressionLevel};

/// The value of `Allow` at every path.
const ALLOWED: &str = "GET, HEAD";

/// A document as JSON, and how to cache it.
pub struct Cacheable {
    json: String,
    etag: String,
    max_age_seconds: i64,
    /// Whether pages of every origin may read it.
    is_for_any_origin: bool,
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
            is_for_any_origin: false,
        }
    }

    /// A document that has no age.
    pub fn ageless(document: &impl Serialize, max_age_seconds: i64) -> Self {
        let json = serde_json::to_string(document).expect("documents have string keys only");
        Self {
            etag: format!("W/\"{}\"", content_hash(&json)),
            json,
            max_age_seconds,
            is_for_any_origin: false,
        }
    }

    /// Lets pages of every origin read it.
    pub fn for_any_origin(self) -> Self {
        Self {
            is_for_any_origin: true,
            ..self
        }
    }

    /// `is_public` says whether shared caches may keep the answer.
    pub fn into_response(self, request: &HeaderMap, is_public: bool) -> Response<Body> {
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
        let scope = if is_public { "public" } else { "private" };
        let cache_control = format!("{scope}, max-age={}", self.max_age_seconds);
        for (name, value) in [(ETAG, self.etag), (CACHE_CONTROL, cache_control)] {
            headers.insert(name, value.parse().expect("digits and letters only"));
        }
        // Also on what is not compressed: another client may accept gzip.
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if self.is_for_any_origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
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
