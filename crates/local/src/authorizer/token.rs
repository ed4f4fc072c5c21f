//! Verifying a token, and its claims as an HTTP API hands them on.

use std::collections::BTreeMap;
use std::sync::Once;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::json;
use jiff::Timestamp;
use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, Validation};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::{Map, Value};

use super::Denial;
use super::issuer::Issuer;

const ALGORITHMS: [Algorithm; 4] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::ES256,
];
/// Clocks differ by this much.
const LEEWAY_SECONDS: i64 = 60;
/// The types of access tokens, in lower case. Others, such as `logout+jwt`, are for other uses.
const TYPES: [&str; 3] = ["jwt", "at+jwt", "application/at+jwt"];

/// The claims of a token that the issuer made for this audience and that is valid now.
pub(super) async fn verify(
    token: &str,
    issuer: &Issuer,
    audience: &str,
) -> Result<Map<String, Value>, Denial> {
    let [header, claims] = parts(token)?;
    // What readers understand differently is refused: repeated members, critical extensions.
    let header = members(&header)?;
    if header.contains_key("crit") || header.contains_key("b64") {
        return Err(Denial::Invalid("it has critical extensions"));
    }
    match header.get("typ") {
        None => {}
        Some(Value::String(of)) if TYPES.contains(&of.to_ascii_lowercase().as_str()) => {}
        Some(_) => return Err(Denial::Invalid("its type is not that of an access token")),
    }
    let parsed = jsonwebtoken::decode_header(token).map_err(|error| reason(&error))?;
    if !ALGORITHMS.contains(&parsed.alg) {
        return Err(Denial::Invalid(
            "its algorithm is not RS256, RS384, RS512 or ES256",
        ));
    }
    let id = parsed.kid.ok_or(Denial::Invalid("it names no key"))?;
    let key = issuer.key(&id).await?;
    if !key.is_for(parsed.alg) {
        return Err(Denial::Invalid("its algorithm is not that of its key"));
    }
    install_ring();
    let mut validation = Validation::new(parsed.alg);
    validation.set_required_spec_claims(&["exp", "iss"]);
    validation.set_issuer(&[issuer.name()]);
    validation.validate_nbf = true;
    // Below: without an audience, the client counts.
    validation.validate_aud = false;
    jsonwebtoken::decode::<Map<String, Value>>(token, &key.decoding, &validation)
        .map_err(|error| reason(&error))?;
    let claims = members(&claims)?;
    check_claims(&claims, audience, Timestamp::now())?;
    Ok(claims)
}

/// What [`jsonwebtoken`] does not check.
fn check_claims(claims: &Map<String, Value>, audience: &str, now: Timestamp) -> Result<(), Denial> {
    for name in ["exp", "nbf", "iat"] {
        if !claims.get(name).is_none_or(Value::is_number) {
            return Err(Denial::Invalid("exp, nbf and iat must be numbers"));
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
    let latest = (now.as_second() + LEEWAY_SECONDS) as f64;
    if claims
        .get("iat")
        .and_then(Value::as_f64)
        .is_some_and(|issued| issued > latest)
    {
        return Err(Denial::Invalid("it was issued in the future"));
    }
    let is_for_us = |name: &str| match claims.get(name)? {
        Value::String(one) => Some(one == audience),
        Value::Array(several) => Some(several.iter().any(|one| one == audience)),
        _ => Some(false),
    };
    // As an HTTP API does: some issuers name the client instead.
    if is_for_us("aud").or_else(|| is_for_us("client_id")) != Some(true) {
        return Err(Denial::Invalid("it is for another audience"));
    }
    Ok(())
}

/// The header and the claims of a token as text.
fn parts(token: &str) -> Result<[Vec<u8>; 2], Denial> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, _] = parts[..] else {
        return Err(Denial::Invalid("it does not have three parts"));
    };
    let decode = |part: &str| {
        let decoded = BASE64_URL_SAFE_NO_PAD.decode(part);
        decoded.map_err(|_| Denial::Invalid("it is not in base64url"))
    };
    Ok([decode(header)?, decode(claims)?])
}

/// The members of an object that has none twice.
fn members(json: &[u8]) -> Result<Map<String, Value>, Denial> {
    let unreadable = Denial::Invalid("it is not of JSON objects without repeated members");
    let Ok(members) = json::object(json) else {
        return Err(unreadable);
    };
    let member =
        |(name, raw): (String, &serde_json::value::RawValue)| Ok((name, serde_json::from_str(raw.get())?));
    let members: Result<_, serde_json::Error> = members.into_iter().map(member).collect();
    members.map_err(|_| unreadable)
}

fn reason(error: &Error) -> Denial {
    Denial::Invalid(match error.kind() {
        ErrorKind::ExpiredSignature => "it has expired",
        ErrorKind::ImmatureSignature => "it is not valid yet",
        ErrorKind::InvalidIssuer => "it is of another issuer",
        ErrorKind::InvalidSignature => "its signature is not that of the issuer",
        ErrorKind::MissingRequiredClaim(_) => "it lacks exp or iss",
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => {
            "its algorithm is not RS256, RS384, RS512 or ES256"
        }
        _ => "it cannot be read",
    })
}

/// The scopes of a token: a text with blanks or a list.
pub(super) fn scopes(claims: &Map<String, Value>) -> impl Iterator<Item = &str> {
    ["scope", "scp"]
        .into_iter()
        .filter_map(|name| claims.get(name))
        .flat_map(|value| {
            let texts: Vec<&str> = match value {
                Value::String(text) => text.split_ascii_whitespace().collect(),
                Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
                _ => Vec::new(),
            };
            texts
        })
}

/// Claims as an HTTP API hands them on: each as text, a list as `[a b]`, an object as `map[a:b]`.
pub(super) fn flattened(claims: &Map<String, Value>) -> BTreeMap<String, String> {
    claims
        .iter()
        .map(|(name, value)| (name.clone(), flat(value)))
        .collect()
}

fn flat(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            let list: Vec<_> = list.iter().map(flat).collect();
            format!("[{}]", list.join(" "))
        }
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(name, value)| format!("{name}:{}", flat(value)))
                .collect();
            format!("map[{}]", members.join(" "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// Lets [`jsonwebtoken`] verify by `ring`, which TLS brings along anyway.
fn install_ring() {
    static PROVIDER: CryptoProvider = CryptoProvider {
        signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
        verifier_factory: ByRing::verifier,
        key_utils: KeyUtils::new_unimplemented(),
    };
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails only if this process has one already.
        let _ = PROVIDER.install_default();
    });
}

struct ByRing {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl ByRing {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the type of a factory")]
    fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
        let family = match algorithm {
            Algorithm::ES256 => AlgorithmFamily::Ec,
            Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 => AlgorithmFamily::Rsa,
            _ => return Err(ErrorKind::UnsupportedAlgorithm.into()),
        };
        if key.family() != family {
            return Err(ErrorKind::InvalidKeyFormat.into());
        }
        Ok(Box::new(Self {
            algorithm: *algorithm,
            key: key.clone(),
        }))
    }

    fn rsa_parameters(&self) -> &'static RsaParameters {
        match self.algorithm {
            Algorithm::RS384 => &RSA_PKCS1_2048_8192_SHA384,
            Algorithm::RS512 => &RSA_PKCS1_2048_8192_SHA512,
            _ => &RSA_PKCS1_2048_8192_SHA256,
        }
    }
}

impl Verifier<Vec<u8>> for ByRing {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let verified = match self.key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(self.rsa_parameters(), message, signature)
            }
            DecodingKeyKind::SecretOrDer(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
        };
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for ByRing {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(claim: &Value, flattened: &str, scopes: &[&str]) {
        let claims: Map<String, Value> = [("scp".to_owned(), claim.clone())].into_iter().collect();
        assert_eq!(super::flattened(&claims)["scp"], flattened);
        let got: Vec<_> = super::scopes(&claims).collect();
        assert_eq!(got, scopes, "{claim}");
    }

    #[test]
    fn claims_are_handed_on_as_an_http_api_does() {
        check(
            &json!("podium:write openid"),
            "podium:write openid",
            &["podium:write", "openid"],
        );
        check(
            &json!(["podium:write", "a b"]),
            "[podium:write a b]",
            &["podium:write", "a b"],
        );
        check(&json!([]), "[]", &[]);
        check(&json!(1_800_000_000), "1800000000", &[]);
        check(&json!(true), "true", &[]);
        check(&json!({"a": ["b"]}), "map[a:[b]]", &[]);
    }
}
