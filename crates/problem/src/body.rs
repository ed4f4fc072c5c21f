//! The body of a request: JSON, as it is or in gzip.

use std::borrow::Cow;
use std::io::Read as _;

use flate2::bufread::MultiGzDecoder;
use http::StatusCode;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use serde_json::value::RawValue;

use crate::Problem;

/// The largest body, as it is sent and when it is inflated.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Identity,
    Gzip,
}

/// Accepts JSON only, as it is or in gzip. Returns which.
pub fn check_headers(headers: &HeaderMap) -> Result<Encoding, Problem> {
    let encoding = encoding(&text(headers, &CONTENT_ENCODING))?;
    let content_type = text(headers, &CONTENT_TYPE);
    if domain::json::is_media_type(&content_type) {
        return Ok(encoding);
    }
    let found = if content_type.is_empty() {
        "is missing".to_owned()
    } else {
        format!("is {:?}", domain::json::shorten(&content_type))
    };
    let detail = format!("The content-type {found}; it must be application/json or end in +json.");
    Err(unsupported(&CONTENT_TYPE, detail).header(ACCEPT, HeaderValue::from_static("application/json")))
}

/// The content type of a body, without its parameters and in lower case.
pub fn content_type(headers: &HeaderMap) -> String {
    domain::json::media_type(&text(headers, &CONTENT_TYPE))
}

/// The values of a header, joined by commas.
fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    let values = headers.get_all(name).iter();
    let values: Vec<_> = values
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    values.join(",").trim_ascii().to_owned()
}

/// The only encoding in a list of them. `identity` changes nothing, and a list may have empty elements
/// (RFC 9110, section 5.6.1.2).
fn encoding(list: &str) -> Result<Encoding, Problem> {
    let names = list.split(',').map(|name| name.trim_ascii().to_ascii_lowercase());
    let mut names = names.filter(|name| !name.is_empty() && name != "identity");
    match (names.next().as_deref(), names.next()) {
        (None, _) => Ok(Encoding::Identity),
        (Some("gzip" | "x-gzip"), None) => Ok(Encoding::Gzip),
        _ => {
            let list = domain::json::shorten(list);
            let detail = format!("The content-encoding is {list:?}; send gzip, or the body without one.");
            let taken = HeaderValue::from_static("gzip, identity");
            Err(unsupported(&CONTENT_ENCODING, detail).header(ACCEPT_ENCODING, taken))
        }
    }
}

fn unsupported(header: &HeaderName, detail: String) -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        detail,
    )
    .field(header.as_str())
}

fn too_large(found: &str) -> Problem {
    let detail = format!("The body is {found}; at most {MAX_BODY_BYTES} (256 KiB) are allowed.");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail).field("body")
}

/// Decodes a body. Gzip may have several members, as RFC 1952 allows, but nothing else may follow them.
pub fn decode(encoding: Encoding, body: &[u8]) -> Result<Cow<'_, [u8]>, Problem> {
    if body.len() > MAX_BODY_BYTES {
        return Err(too_large(&format!("{} bytes", body.len())));
    }
    match encoding {
        Encoding::Identity => Ok(Cow::Borrowed(body)),
        Encoding::Gzip => inflate(body).map(Cow::Owned),
    }
}

fn inflate(body: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut inflated = Vec::new();
    // One byte more than allowed shows that there is too much, without inflating the rest.
    let bound = u64::try_from(MAX_BODY_BYTES + 1).expect("a small number");
    let read = MultiGzDecoder::new(body).take(bound).read_to_end(&mut inflated);
    if inflated.len() > MAX_BODY_BYTES {
        return Err(too_large(&format!(
            "more than {MAX_BODY_BYTES} bytes when inflated"
        )));
    }
    match read {
        Ok(_) => Ok(inflated),
        Err(error) => {
            let detail = format!("The body is not valid gzip, as its content-encoding says: {error}.");
            Err(Problem::new(StatusCode::BAD_REQUEST, "malformed_gzip", detail).field("body"))
        }
    }
}

/// The JSON value that a decoded body is, not parsed further.
pub fn json(body: &[u8]) -> Result<&RawValue, Problem> {
    if body.starts_with(b"\x1f\x8b") {
        let detail = "The body is in gzip; send it with the header content-encoding: gzip.";
        return Err(malformed(detail));
    }
    let text = domain::json::utf8(body).map_err(|error| malformed(format!("The body {error}.")))?;
    serde_json::from_str(text).map_err(|error| not_json(&error))
}

/// The answer to a body that is not JSON.
pub fn not_json(error: &serde_json::Error) -> Problem {
    malformed(format!("The body is not valid JSON: {error}."))
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed_json", detail).field("body")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn headers(of: &[(HeaderName, &str)]) -> HeaderMap {
        let value = |text| HeaderValue::from_bytes(str::as_bytes(text)).expect("a value");
        let mut headers = HeaderMap::new();
        for (name, text) in of {
            headers.append(name, value(text));
        }
        headers
    }

    /// The encoding, or the header that is wrong and those of the answer.
    fn checked(of: &[(HeaderName, &str)]) -> String {
        match check_headers(&headers(of)) {
            Ok(encoding) => format!("{encoding:?}"),
            Err(problem) => {
                let response = problem.into_response();
                let taken = [ACCEPT, ACCEPT_ENCODING].map(|name| response.headers().get(name).cloned());
                let body: serde_json::Value = serde_json::from_str(response.body()).expect("JSON");
                format!("{} {} {taken:?}", response.status().as_u16(), body["field"])
            }
        }
    }

    #[test]
    fn json_of_any_name_and_parameter_is_taken() {
        for content_type in [
            "application/json",
            "APPLICATION/JSON",
            " application/json ",
            "application/json;",
            "application/json; charset=utf-8",
            "application/json;charset=UTF8",
            "application/json ; charset=\"utf-8\";",
            "application/json; charset=latin-1",
            "application/json; version=1",
            "application/vnd.x+json",
            "application/cloudevents-batch+json; a=b",
            "model/gltf+JSON",
        ] {
            assert_eq!(
                checked(&[(CONTENT_TYPE, content_type)]),
                "Identity",
                "{content_type}"
            );
        }
        let refused = r#"415 "content-type" [Some("application/json"), None]"#;
        assert_eq!(checked(&[]), refused);
        for content_type in [
            "",
            ";",
            "json",
            "text/json",
            "text/plain",
            "application/jsonp",
            "application/json-seq",
            "application/x-ndjson",
            "application/jsonx+xml",
            "application/+json",
            "/x+json",
            "application/a b+json",
            "application / json",
            "application/json, application/json",
            "application/json charset=utf-8",
            "*/*",
            "application/jso\u{f1}",
            "application/json\u{a0}",
        ] {
            assert_eq!(
                checked(&[(CONTENT_TYPE, content_type)]),
                refused,
                "{content_type}"
            );
        }
        let json = (CONTENT_TYPE, "application/json");
        assert_eq!(checked(&[json.clone(), json]), refused);
    }

    #[test]
    fn gzip_is_the_only_encoding() {
        let of = |encodings: &[&'static str]| {
            let encodings = encodings.iter().map(|encoding| (CONTENT_ENCODING, *encoding));
            let all: Vec<_> = encodings.chain([(CONTENT_TYPE, "application/json")]).collect();
            checked(&all)
        };
        for none in [
            &[] as &[_],
            &[""],
            &[" , "],
            &["identity"],
            &["Identity, identity"],
        ] {
            assert_eq!(of(none), "Identity", "{none:?}");
        }
        for gzip in [
            &["gzip"] as &[_],
            &["GZIP"],
            &["x-gzip"],
            &["identity, gzip,"],
            &["gzip", "identity"],
        ] {
            assert_eq!(of(gzip), "Gzip", "{gzip:?}");
        }
        for other in [
            &["deflate"] as &[_],
            &["br"],
            &["zstd"],
            &["compress"],
            &["*"],
            &["gzip;q=1"],
            &["gzip gzip"],
            &["gzip, gzip"],
            &["gzip, br"],
            &["gzip", "gzip"],
            &["utf-8"],
        ] {
            let refused = r#"415 "content-encoding" [None, Some("gzip, identity")]"#;
            assert_eq!(of(other), refused, "{other:?}");
        }
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).expect("written");
        encoder.finish().expect("compressed")
    }

    /// The inflated text, or the status and the detail.
    fn inflated(body: &[u8]) -> String {
        match decode(Encoding::Gzip, body) {
            Ok(text) => String::from_utf8(text.into_owned()).expect("text"),
            Err(problem) => {
                let response = problem.into_response();
                let body: serde_json::Value = serde_json::from_str(response.body()).expect("JSON");
                let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
                format!("{} {} {}", text("code"), text("field"), text("detail"))
            }
        }
    }

    #[test]
    fn a_gzip_body_is_inflated_up_to_the_limit_and_must_be_whole() {
        let whole = gzip(b"{\"a\":1}");
        assert_eq!(inflated(&whole), "{\"a\":1}");
        assert_eq!(inflated(&[gzip(b"{\"a\""), gzip(b":1}")].concat()), "{\"a\":1}");
        assert_eq!(inflated(&gzip(b"")), "");
        let malformed = |body: &[u8]| {
            let got = inflated(body);
            assert!(
                got.starts_with("malformed_gzip body The body is not valid gzip"),
                "{got}"
            );
        };
        malformed(b"");
        malformed(b"{\"a\":1}");
        for cut in 1..whole.len() {
            malformed(&whole[..cut]);
        }
        for garbage in [b"x" as &[u8], b"\0\0\0\0", b"{\"a\":1}", &whole[..5]] {
            malformed(&[&whole, garbage].concat());
        }
        for at in [whole.len() - 8, whole.len() - 1] {
            let mut wrong_sum = whole.clone();
            wrong_sum[at] ^= 1;
            malformed(&wrong_sum);
        }
    }

    #[test]
    fn a_body_is_bounded_as_it_is_sent_and_when_it_is_inflated() {
        let longest = vec![b' '; MAX_BODY_BYTES];
        assert_eq!(inflated(&gzip(&longest)).len(), MAX_BODY_BYTES);
        let one_more = vec![b' '; MAX_BODY_BYTES + 1];
        let bomb = gzip(&vec![b' '; 100 * MAX_BODY_BYTES]);
        for too_large in [gzip(&one_more), bomb, [gzip(&longest), gzip(b" ")].concat()] {
            assert_eq!(
                inflated(&too_large),
                "body_too_large body The body is more than 262144 bytes when inflated; at most 262144 (256 KiB) are allowed."
            );
        }
        assert_eq!(
            inflated(&one_more),
            "body_too_large body The body is 262145 bytes; at most 262144 (256 KiB) are allowed."
        );
    }
}
