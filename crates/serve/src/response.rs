//! What every answer has in common: caching, compression, and permission for other origins.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use lambda_http::http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL, CONTENT_ENCODING,
    CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use lambda_http::http::{HeaderMap, HeaderValue, Method, StatusCode};
use lambda_http::{Body, Response};
use problem::Problem;
use serde::Serialize;

/// Less than this does not get smaller by compression.
const MIN_COMPRESSED_BYTES: usize = 1_024;

/// A document, and what is needed to cache it.
pub struct Cacheable<T> {
    pub document: T,
    /// Stands for all of the document that can change, but for its age.
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
            let json = serde_json::to_vec(&self.document).expect("documents have string keys only");
            body(request, json)
        };
        let headers = response.headers_mut();
        let cache_control = format!("public, max-age={}", self.max_age_seconds);
        for (name, value) in [(ETAG, etag), (CACHE_CONTROL, cache_control)] {
            headers.insert(name, value.parse().expect("it is made of digits and letters"));
        }
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        response
    }
}

/// Weak comparison, as RFC 9110 asks for in this header.
fn matches(request: &HeaderMap, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let tags = request
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    tags.flat_map(|tags| tags.split(','))
        .any(|tag| tag.trim() == "*" || opaque(tag) == opaque(etag))
}

fn body(request: &HeaderMap, json: Vec<u8>) -> Response<Body> {
    let mut response = if json.len() >= MIN_COMPRESSED_BYTES && accepts_gzip(request) {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let compressed = encoder.write_all(&json).and_then(|()| encoder.finish());
        let mut response = Response::new(Body::Binary(compressed.expect("writing to memory does not fail")));
        response
            .headers_mut()
            .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response
    } else {
        Response::new(Body::Text(String::from_utf8(json).expect("JSON is UTF-8")))
    };
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn accepts_gzip(request: &HeaderMap) -> bool {
    let values = request
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let is_refused = matches!(
            parameters.replace(' ', "").as_str(),
            "q=0" | "q=0.0" | "q=0.00" | "q=0.000"
        );
        name.trim() == "gzip" && !is_refused
    })
}

pub fn problem(problem: Problem) -> Response<Body> {
    problem.into_response().map(Body::Text)
}

pub fn method_not_allowed(method: &Method) -> Response<Body> {
    let detail = format!("{method} is not supported here; use GET.");
    let mut response = problem(Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        detail,
    ));
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    response
}

/// Lets pages of `origin` read an answer, and send the header by which they ask for changes only.
pub fn allow_origin(mut response: Response<Body>, origin: &HeaderValue) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("etag, retry-after"),
    );
    response
}

pub fn preflight() -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, HEAD"),
    );
    headers.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("if-none-match"),
    );
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}
