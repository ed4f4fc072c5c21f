//! Which content coding a client gets (RFC 9110, section 12.5.3).
//!
//! By hand, since the compression of tower-http sends a document as it is to a client that refuses this.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use lambda_http::http::HeaderMap;
use lambda_http::http::header::ACCEPT_ENCODING;

/// Smaller documents gain nothing from compression.
const MIN_COMPRESSED_BYTES: usize = 1_024;

/// How to send a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Identity,
    /// Compressed, if that makes it smaller.
    Gzip,
    /// Compressed, whatever its length: the client refuses it otherwise.
    OnlyGzip,
}

impl Coding {
    /// The coding for a request with these headers; `None` if the client accepts none that there is.
    pub fn negotiated(headers: &HeaderMap) -> Option<Self> {
        let [mut gzip, mut identity, mut any] = [None; 3];
        let values = headers.get_all(ACCEPT_ENCODING).iter();
        let elements = values.filter_map(|value| value.to_str().ok());
        for element in elements.flat_map(|value| value.split(',')) {
            let (name, parameters) = element.split_once(';').unwrap_or((element, ""));
            let Some(weight) = weight(parameters) else {
                continue;
            };
            let named = match name.trim().to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => &mut gzip,
                "identity" => &mut identity,
                "*" => &mut any,
                _ => continue,
            };
            // Of contradicting weights, the lower one is sure to be acceptable.
            *named = Some(named.unwrap_or(weight).min(weight));
        }
        let refuses_identity = identity.or(any) == Some(0);
        match (gzip, refuses_identity) {
            (Some(1..), true) => Some(Self::OnlyGzip),
            (None, true) if any.is_some_and(|weight| weight > 0) => Some(Self::OnlyGzip),
            (_, true) => None,
            (Some(weight @ 1..), false) if weight >= identity.unwrap_or_default() => Some(Self::Gzip),
            (_, false) => Some(Self::Identity),
        }
    }

    /// The compressed document, unless it is better sent as it is.
    pub fn compressed(self, document: &str) -> Option<Vec<u8>> {
        let is_worthwhile = match self {
            Self::Identity => false,
            Self::Gzip => document.len() >= MIN_COMPRESSED_BYTES,
            Self::OnlyGzip => true,
        };
        is_worthwhile.then(|| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            let written = encoder.write_all(document.as_bytes());
            written
                .and_then(|()| encoder.finish())
                .expect("memory takes all bytes")
        })
    }
}

/// The weight in thousandths among an element's parameters, 1 if there is none. `None` if it is invalid: the
/// element is then as good as absent.
fn weight(parameters: &str) -> Option<u16> {
    let mut weight = 1_000;
    for parameter in parameters.split(';') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if name.trim().eq_ignore_ascii_case("q") {
            weight = thousandths(value.trim())?;
        }
    }
    Some(weight)
}

/// From `0.5`: one digit and at most three decimals, from 0 to 1.
fn thousandths(raw: &str) -> Option<u16> {
    let (whole, decimals) = raw.split_once('.').unwrap_or((raw, ""));
    let is_valid = matches!(whole, "0" | "1")
        && decimals.len() <= 3
        && decimals.bytes().all(|digit| digit.is_ascii_digit());
    let digits = is_valid.then(|| format!("{whole}{decimals:0<3}"))?;
    digits.parse().ok().filter(|&weight| weight <= 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(accepted: &str, expected: Option<Coding>) {
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT_ENCODING, accepted.parse().unwrap());
        assert_eq!(Coding::negotiated(&headers), expected, "{accepted:?}");
    }

    #[test]
    fn a_client_gets_a_coding_that_it_accepts() {
        use Coding::{Gzip, Identity, OnlyGzip};
        for accepted in [
            "gzip",
            "GZip",
            "x-gzip",
            "gzip, deflate, br",
            "br;q=1.0, gzip;q=0.001",
            "gzip;q=0.5, identity;q=0.5",
            "gzip;q=0.5, *;q=0.1",
            " , gzip\t;\tQ = 1.000 ,",
            "gzip;level=9",
        ] {
            check(accepted, Some(Gzip));
        }
        for accepted in [
            "",
            "identity",
            "br",
            // Any coding will do, and none is the simplest.
            "*",
            "gzip;q=0",
            "gzip;Q=0",
            "gzip ; q=0.000",
            "gzip; q = 0",
            "gzip;level=9;q=0",
            "gzip;q=0, *",
            "gzip, gzip;q=0",
            "gzip;q=0.4, identity;q=0.5",
            "identity, gzip;q=0.9",
            // Invalid weights.
            "gzip;q=",
            "gzip;q",
            "gzip;q=2",
            "gzip;q=-1",
            "gzip;q=1.001",
            "gzip;q=0.0000",
            "gzip;q=.5",
            "gzip;q=1e0",
            "gzip;q=\"1\"",
            "*;q=0, identity",
            "identity;q=0.001, *;q=0",
            "identity;q=zero",
            "*;q=nothing",
        ] {
            check(accepted, Some(Identity));
        }
        for accepted in [
            "gzip, identity;q=0",
            "gzip;q=0.1, *;q=0",
            "identity;Q=0.0, *",
            "identity;q=0, *;q=0.5",
        ] {
            check(accepted, Some(OnlyGzip));
        }
        for accepted in [
            "identity;q=0",
            "*;q=0",
            "* ; Q=0.000",
            "gzip;q=0, identity;q=0",
            "gzip;q=0, identity;q=0, *",
            "br, *;q=0",
        ] {
            check(accepted, None);
        }
        assert_eq!(Coding::negotiated(&HeaderMap::new()), Some(Identity));
    }

    #[test]
    fn several_headers_are_one_list() {
        let mut headers = HeaderMap::new();
        for accepted in ["br", "gzip;q=0.5", "identity;q=0"] {
            headers.append(ACCEPT_ENCODING, accepted.parse().unwrap());
        }
        assert_eq!(Coding::negotiated(&headers), Some(Coding::OnlyGzip));
    }
}
