//! Lambda function URLs: translates HTTP to the payload format 2.0 and back, as AWS does for a public URL, or
//! as an HTTP API does whose authorizer has verified a token.
//!
//! `rawPath` and `rawQueryString` stay percent-encoded for function URLs. An HTTP API decodes the path, and
//! cuts it at a decoded `?`.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use jiff::Timestamp;
use local_http::Host;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{Function, InvokeError, PAYLOAD_BYTES_MAX};

/// The maximum length of path and query together.
pub const URI_BYTES_MAX: usize = 8 * 1024;

/// Why a request is rejected before it reaches the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    #[error("the Host header must be a name or an address, with an optional port")]
    Host,
    #[error("the path must begin with a slash")]
    Path,
    #[error("the path and query are longer than {URI_BYTES_MAX} bytes")]
    UriTooLong,
    #[error("the request is larger than {PAYLOAD_BYTES_MAX} bytes")]
    TooLarge,
}

impl InvalidRequest {
    fn status(self) -> StatusCode {
        match self {
            Self::Host | Self::Path => StatusCode::BAD_REQUEST,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }
}

/// What the JWT authorizer of an HTTP API has found. A request that has it among its extensions came through
/// that API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorized {
    /// The claims of the token, each as text.
    pub claims: BTreeMap<String, String>,
}

/// The parts of the event that do not come from the request itself.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// The id of the URL. Here this is the name of its function.
    pub url_id: &'a str,
    pub request_id: Uuid,
    pub at: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    version: &'static str,
    route_key: &'static str,
    raw_path: &'a str,
    raw_query_string: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    headers: BTreeMap<&'a str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: BTreeMap<String, String>,
    request_context: RequestContext<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    account_id: &'static str,
    api_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<Authorizer<'a>>,
    domain_name: &'a str,
    domain_prefix: &'a str,
    http: Http<'a>,
    request_id: String,
    route_key: &'static str,
    stage: &'static str,
    time: String,
    time_epoch: i64,
}

#[derive(Serialize)]
struct Authorizer<'a> {
    jwt: Jwt<'a>,
}

#[derive(Serialize)]
struct Jwt<'a> {
    claims: &'a BTreeMap<String, String>,
    /// Those of the route, which functions do not need.
    scopes: Option<()>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'a> {
    method: &'a str,
    path: &'a str,
    protocol: String,
    source_ip: IpAddr,
    user_agent: &'a str,
}

/// The event of a request, a JSON document of at most [`PAYLOAD_BYTES_MAX`]. The client's address comes from
/// the [`ConnectInfo`] in the request's extensions; without one it is the loopback address. [`Authorized`] among
/// them makes it the event of an HTTP API.
pub fn request_event(parts: &Parts, body: &[u8], received: Received<'_>) -> Result<Bytes, InvalidRequest> {
    let path = parts.uri.path();
    let query = parts.uri.query().unwrap_or("");
    if !path.starts_with('/') {
        return Err(InvalidRequest::Path);
    }
    if path.len() + query.len() > URI_BYTES_MAX {
        return Err(InvalidRequest::UriTooLong);
    }
    let authorized = parts.extensions.get::<Authorized>();
    let path = &match authorized {
        None => path.to_owned(),
        Some(_) => decoded(path),
    };
    let host = host(parts)?;
    let (domain_name, host) = (host.name(), host.to_string());
    let source_ip = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |ConnectInfo(address)| {
            address.ip()
        });
    let (body, is_base64_encoded) = encode(&parts.headers, body);
    let event = Event {
        version: "2.0",
        route_key: "$default",
        raw_path: path,
        raw_query_string: query,
        cookies: cookies(&parts.headers),
        headers: headers(&parts.headers, &host, source_ip),
        query_string_parameters: query_parameters(query),
        request_context: RequestContext {
            account_id: "anonymous",
            api_id: received.url_id,
            authorizer: authorized.map(|Authorized { claims }| Authorizer {
                jwt: Jwt { claims, scopes: None },
            }),
            domain_name: &domain_name,
            domain_prefix: domain_name.split('.').next().unwrap_or(&domain_name),
            http: Http {
                method: parts.method.as_str(),
                path,
                protocol: format!("{:?}", parts.version),
                source_ip,
                user_agent: text(parts.headers.get(header::USER_AGENT)),
            },
            request_id: received.request_id.to_string(),
            route_key: "$default",
            stage: "$default",
            time: received.at.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            time_epoch: received.at.as_millisecond(),
        },
        body,
        is_base64_encoded,
    };
    let event = serde_json::to_vec(&event).expect("strings and numbers always serialize");
    if event.len() > PAYLOAD_BYTES_MAX {
        return Err(InvalidRequest::TooLarge);
    }
    Ok(event.into())
}

/// The path as an HTTP API hands it on.
fn decoded(path: &str) -> String {
    let path = percent_decode_str(path).decode_utf8_lossy();
    path.split('?').next().unwrap_or_default().to_owned()
}

fn text(value: Option<&HeaderValue>) -> &str {
    value.and_then(|value| value.to_str().ok()).unwrap_or("")
}

/// The requested host. On AWS it is always the URL's own. Here it may be anything, and `lambda_http` panics
/// if it cannot be part of a URL.
fn host(parts: &Parts) -> Result<Host, InvalidRequest> {
    let host = match parts.uri.authority() {
        Some(authority) => authority.as_str(),
        None => parts
            .headers
            .get(header::HOST)
            .map_or(Ok("localhost"), HeaderValue::to_str)
            .map_err(|_| InvalidRequest::Host)?,
    };
    host.parse().map_err(|_| InvalidRequest::Host)
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|value| text(Some(value)).split(';'))
        .map(|cookie| cookie.trim().to_owned())
        .filter(|cookie| !cookie.is_empty())
        .collect()
}

/// The request's headers by lowercase name. Several values of a name are joined by commas. Headers that AWS
/// sets itself replace those of the client.
fn headers<'a>(headers: &'a HeaderMap, host: &str, source_ip: IpAddr) -> BTreeMap<&'a str, String> {
    let mut joined = BTreeMap::<&str, String>::new();
    for (name, value) in headers.iter().filter(|(name, _)| *name != header::COOKIE) {
        // Other bytes have no agreed meaning, and functions could not read them.
        let value: String = value
            .as_bytes()
            .iter()
            .map(|byte| match byte {
                b'\t' | b' '..=b'~' => char::from(*byte),
                _ => '?',
            })
            .collect();
        joined
            .entry(name.as_str())
            .and_modify(|values| {
                values.push(',');
                values.push_str(&value);
            })
            .or_insert(value);
    }
    joined.insert("host", host.to_owned());
    joined.insert("x-forwarded-for", source_ip.to_string());
    joined.insert("x-forwarded-proto", "http".to_owned());
    joined
}

/// The decoded parameters of the query. Several values of a name are joined by commas.
fn query_parameters(query: &str) -> BTreeMap<String, String> {
    let mut parameters = BTreeMap::<String, String>::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = form_decode(value);
        parameters
            .entry(form_decode(name))
            .and_modify(|values| {
                values.push(',');
                values.push_str(&value);
            })
            .or_insert(value);
    }
    parameters
}

/// Decodes `%XX` and `+` as in a form. An invalid escape stays as it is.
fn form_decode(encoded: &str) -> String {
    let hex = |digit: Option<&u8>| digit.and_then(|digit| char::from(*digit).to_digit(16));
    let bytes = encoded.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.extend(u8::try_from(high * 16 + low));
                at += 3;
                continue;
            }
            (b'+', ..) => decoded.push(b' '),
            _ => decoded.push(*byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The body of an event, and whether it is in base64. As on AWS, a body is plain if its content type is text;
/// a form is not text.
fn encode(headers: &HeaderMap, body: &[u8]) -> (Option<String>, bool) {
    const TEXT_TYPES: [&str; 3] = ["application/json", "application/javascript", "application/xml"];
    if body.is_empty() {
        return (None, false);
    }
    let content_type = text(headers.get(header::CONTENT_TYPE)).to_ascii_lowercase();
    let media_type = content_type.split(';').next().unwrap_or("").trim();
    let is_text = media_type.starts_with("text/") || TEXT_TYPES.contains(&media_type);
    match str::from_utf8(body) {
        Ok(body) if is_text => (Some(body.to_owned()), false),
        _ => (Some(BASE64_STANDARD.encode(body)), true),
    }
}

/// A function's answer in the payload format 2.0.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    #[serde(default)]
    headers: Option<BTreeMap<String, Scalar>>,
    #[serde(default)]
    multi_value_headers: Option<BTreeMap<String, Vec<Scalar>>>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: Option<bool>,
}

/// The value of a header. It may also be a number or a boolean.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Number(serde_json::Number),
    Flag(bool),
}

impl Scalar {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
        }
    }
}

/// Detects whether an answer is in the payload format 2.0.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe<'a> {
    #[serde(borrow)]
    status_code: Option<&'a RawValue>,
}

/// The HTTP response for a function's answer to a request with this method. An answer without a `statusCode`
/// becomes the body of a 200 with `application/json`. An invalid answer becomes a 502.
pub fn response(payload: &Bytes, method: &Method) -> Response {
    let probe = serde_json::from_slice::<Probe<'_>>(payload);
    if probe.is_ok_and(|probe| probe.status_code.is_some()) {
        return parse_answer(payload, method).unwrap_or_else(|reason| {
            tracing::warn!(reason, "a function's answer is not a valid HTTP response");
            bad_gateway()
        });
    }
    if serde_json::from_slice::<&RawValue>(payload).is_err() {
        return bad_gateway();
    }
    ([(header::CONTENT_TYPE, "application/json")], payload.clone()).into_response()
}

fn parse_answer(payload: &[u8], method: &Method) -> Result<Response, String> {
    let answer: Answer = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
    let status = StatusCode::from_u16(answer.status_code).map_err(|error| error.to_string())?;
    if status.is_informational() {
        return Err(format!("the status {status} is not final"));
    }
    let body = answer.body.unwrap_or_default();
    let body = if answer.is_base64_encoded.unwrap_or(false) {
        BASE64_STANDARD.decode(body).map_err(|error| error.to_string())?
    } else {
        body.into_bytes()
    };
    let singles = answer
        .headers
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| (name, vec![value]));
    let multiples = answer.multi_value_headers.unwrap_or_default();
    let mut headers = HeaderMap::new();
    for (name, values) in singles.chain(multiples) {
        let name: HeaderName = name
            .parse()
            .map_err(|_| format!("{name:?} is not a header name"))?;
        // The server decides on the framing of the message. It cannot know how long the answer to GET would be.
        let is_length_of_get = method == Method::HEAD && name == header::CONTENT_LENGTH && body.is_empty();
        let is_framing = [
            header::CONTENT_LENGTH,
            header::TRANSFER_ENCODING,
            header::CONNECTION,
        ]
        .contains(&name);
        if is_framing && !is_length_of_get {
            continue;
        }
        for value in values {
            headers.append(&name, header_value(&value.into_text())?);
        }
    }
    for cookie in answer.cookies.unwrap_or_default() {
        headers.append(header::SET_COOKIE, header_value(&cookie)?);
    }
    headers
        .entry(header::CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/json"));
    // Without a length of its own: the answer to HEAD must not say that the document is empty.
    let body = if method == Method::HEAD && body.is_empty() {
        Body::from_stream(futures::stream::empty::<Result<Bytes, Infallible>>())
    } else {
        Body::from(body)
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn header_value(value: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(value)
        .map_err(|_| "the value of a header has characters that are not allowed".to_owned())
}

fn bad_gateway() -> Response {
    (StatusCode::BAD_GATEWAY, "Internal Server Error").into_response()
}

/// Answers an HTTP request with an invocation of the function.
pub async fn handle(function: Function, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    // The event of a larger body would exceed the same limit.
    let Ok(body) = axum::body::to_bytes(body, PAYLOAD_BYTES_MAX).await else {
        return refusal(InvalidRequest::TooLarge);
    };
    let received = Received {
        url_id: function.name(),
        request_id: Uuid::new_v4(),
        at: Timestamp::now(),
    };
    let event = match request_event(&parts, &body, received) {
        Ok(event) => event,
        Err(invalid) => return refusal(invalid),
    };
    match function.invoke(event).await {
        Ok(payload) => response(&payload, &parts.method),
        Err(error) => failure(function.name(), &error),
    }
}

fn refusal(invalid: InvalidRequest) -> Response {
    message(invalid.status(), &invalid.to_string())
}

fn failure(function: &str, error: &InvokeError) -> Response {
    match error {
        InvokeError::Throttled => message(StatusCode::TOO_MANY_REQUESTS, "Rate Exceeded."),
        InvokeError::PayloadTooLarge => refusal(InvalidRequest::TooLarge),
        InvokeError::TimedOut
        | InvokeError::Unhandled { .. }
        | InvokeError::Exited { .. }
        | InvokeError::Unavailable(_) => {
            tracing::warn!(function, %error, "a function did not answer a request");
            bad_gateway()
        }
    }
}

fn message(status: StatusCode, text: &str) -> Response {
    let body = serde_json::json!({ "Message": text });
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
        .into_response()
}
