//! HTTP behaviour that clients and caches rely on.

mod caching;
mod over_http;
mod person;

use lambda_http::http::{HeaderMap, HeaderName};

fn header(headers: &HeaderMap, name: HeaderName) -> &str {
    headers
        .get(name)
        .map_or("", |value| value.to_str().expect("text"))
}
