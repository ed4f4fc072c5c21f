//! What all answers share: caching, compression and access for other origins.

use lambda_http::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, VARY,
};
use lambda_http::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Version};
use lambda_http::{Body, Response};
use problem::Problem;
use serde::Serialize;
use tower_http::compression::predicate::{Predicate, SizeAbove};
use tower_http::compression::{Compression, CompressionLevel};

/// Smaller bodies gain nothing from compression.
const MIN_COMPRESSED_BYTES: u16 = 1_024;

/// A document and how to cache it.
pub struct Cacheable<T> {
    pub document: T,
    /// Changes whenever the document does, apart from its age.
    pub validator: String,
    pub max_age_seconds: i64,
}

impl<T: Serialize> Cacheable<T> {
    pub fn into_response(self, request: &HeaderMap) -> Response<Body> {
        let etag = format!("W/\"{}\"", self.validator);
        let mut response = if matches(request, &etag) {
            let mut response = Response::new(Body::Empty);
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        } else {
            let json = serde_json::to_string(&self.document).expect("documents have string keys only");
            let mut response = Response::new(Body::Text(json));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            response
        };
        let headers = response.headers_mut();
        let cache_control = format!("public, max-age={}", self.max_age_seconds);
        for (name, value) in [(ETAG, etag), (CACHE_CONTROL, cache_control)] {
            headers.insert(name, value.parse().expect("digits and letters only"));
        }
        // Also on what is too small to compress: the same address may have a larger document later.
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        response
    }
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
        .compress_when(SizeAbove::new(MIN_COMPRESSED_BYTES).and(is_document))
}

pub fn problem(problem: Problem) -> Response<Body> {
    problem.into_response().map(Body::Text)
}

pub fn method_not_allowed(method: &Method) -> Response<Body> {
    let detail = format!("{method} is not supported here. Use GET.");
    let not_allowed = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
    let mut response = problem(not_allowed);
    let allowed = HeaderValue::from_static("GET, HEAD, OPTIONS");
    response.headers_mut().insert(ALLOW, allowed);
    response
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
        .header(ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD")
        .header(ACCESS_CONTROL_ALLOW_HEADERS, "if-none-match")
        .header(ACCESS_CONTROL_MAX_AGE, "86400")
        .body(Body::Empty)
        .expect("the headers are constants")
}
