//! The authorizer of the web origin: verifies tokens as an HTTP API's JWT authorizer does on AWS, and gives
//! the functions the same request context.

mod issuer;
mod token;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use identity::{Access, Readers, is_for_admins};
use percent_encoding::percent_decode_str;
use problem::Problem;
use serde_json::Value;

use self::issuer::Issuer;
pub use self::issuer::{InvalidIssuer, IssuerUrl};
use crate::function_url::Authorized;

/// A longer token is refused. An HTTP API takes headers of 10,240 bytes in all.
const TOKEN_BYTES_MAX: usize = 10_240;
const RETRY_AFTER_SECONDS: u32 = 5;

/// Who issues the tokens of this stack, and what the page needs to ask for one.
#[derive(Clone, Debug)]
pub struct Login {
    pub issuer: IssuerUrl,
    pub audience: String,
    /// The client id of the page. `None`: nobody can log in on it.
    pub client_id: Option<String>,
    /// The scopes that the page asks for. `None` leaves the choice to the page.
    pub scope: Option<String>,
    /// What the page adds to its requests to the issuer, by name.
    pub parameters: Vec<(String, String)>,
}

impl Login {
    /// What the page adds to its requests to the issuer. An audience that is a web address is also named as
    /// the resource that the token is for (RFC 8707), unless a parameter says otherwise; an empty one leaves
    /// it out.
    pub fn parameters(&self) -> serde_json::Map<String, Value> {
        let is_address = ["https://", "http://"]
            .iter()
            .any(|scheme| self.audience.starts_with(scheme));
        let resource = is_address.then(|| ("resource".to_owned(), self.audience.clone()));
        resource
            .into_iter()
            .chain(self.parameters.iter().cloned())
            .map(|(name, value)| (name, Value::from(value)))
            .collect::<serde_json::Map<_, _>>()
            .into_iter()
            .filter(|(_, value)| value != "")
            .collect()
    }
}

/// Why a request goes no further.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Denial {
    NoToken,
    /// With the reason.
    Invalid(&'static str),
    NoScope,
    /// The issuer's keys cannot be fetched.
    Unavailable,
}

/// What a route asks of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    /// Nothing: the function's own URL is behind it on AWS.
    Open,
    /// A token with one of these scopes; any token if there are none.
    Token(Vec<String>),
}

#[derive(Debug)]
pub struct Authorizer {
    access: Access,
    audience: String,
    issuer: Issuer,
}

impl Authorizer {
    pub fn new(login: &Login, access: Access) -> anyhow::Result<Self> {
        Ok(Self {
            access,
            audience: login.audience.clone(),
            issuer: Issuer::new(login.issuer.clone())?,
        })
    }

    /// The origins of the issuer that the page sends requests to, as far as they are known.
    pub async fn origins(&self) -> Vec<String> {
        self.issuer.origins().await
    }

    fn rule(&self, path: &str) -> Rule {
        let scopes = |scopes: &[&String]| Rule::Token(scopes.iter().map(|scope| (*scope).clone()).collect());
        if path == "/v1/activities" && !self.access.self_reporting {
            scopes(&[&self.access.write_scope, &self.access.admin_scope])
        } else if is_for_admins(path) {
            scopes(&[&self.access.admin_scope])
        } else if path == "/v1/activities"
            || path.starts_with("/v1/private/")
            || self.access.readers == Readers::Login
        {
            scopes(&[])
        } else {
            Rule::Open
        }
    }

    async fn authorize(&self, path: &str, headers: &HeaderMap) -> Result<Option<Authorized>, Denial> {
        let Rule::Token(scopes) = self.rule(path) else {
            return Ok(None);
        };
        let token = bearer(headers)?;
        let claims = token::verify(token, &self.issuer, &self.audience).await?;
        let granted = |scope: &String| token::scopes(&claims).any(|granted| granted == *scope);
        if !scopes.is_empty() && !scopes.iter().any(granted) {
            return Err(Denial::NoScope);
        }
        Ok(Some(Authorized {
            claims: token::flattened(&claims),
        }))
    }
}

/// The token of a request.
fn bearer(headers: &HeaderMap) -> Result<&str, Denial> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = sent.next() else {
        return Err(Denial::NoToken);
    };
    if sent.next().is_some() {
        return Err(Denial::Invalid("there are several Authorization headers"));
    }
    let value = value
        .to_str()
        .map_err(|_| Denial::Invalid("it has characters other than ASCII"))?;
    let Some((scheme, token)) = value.split_once(' ') else {
        return Err(Denial::NoToken);
    };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Denial::NoToken);
    }
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Denial::Invalid("it has more than 10,240 bytes"));
    }
    Ok(token)
}

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        let unauthenticated = |challenge: String, detail: String| {
            let challenge = HeaderValue::try_from(challenge).expect("the reasons are of ASCII");
            Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail).header(WWW_AUTHENTICATE, challenge)
        };
        match denial {
            Denial::NoToken => unauthenticated(
                "Bearer".to_owned(),
                "Log in: this needs a token (Authorization: Bearer).".to_owned(),
            ),
            Denial::Invalid(reason) => unauthenticated(
                format!(r#"Bearer error="invalid_token", error_description="{reason}""#),
                format!("The token is not valid: {reason}."),
            ),
            Denial::NoScope => {
                let detail =
                    "The token does not have the scope for this. Ask who operates Podium for the right.";
                let challenge = HeaderValue::from_static(r#"Bearer error="insufficient_scope""#);
                Self::new(StatusCode::FORBIDDEN, "forbidden", detail).header(WWW_AUTHENTICATE, challenge)
            }
            Denial::Unavailable => {
                let detail = "The keys of the issuer cannot be fetched, so no token can be verified. Try again in a few seconds.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "identity_unavailable", detail)
                    .retry_after(RETRY_AFTER_SECONDS)
            }
        }
    }
}

/// Middleware: lets through what its route's rule allows, with what the authorizer found about the caller.
pub async fn authorize(
    State(authorizer): State<Arc<Authorizer>>,
    mut request: Request,
    next: Next,
) -> Response {
    // The rule is that of the path that the function will see.
    let path = percent_decode_str(request.uri().path())
        .decode_utf8_lossy()
        .into_owned();
    let denial = match authorizer.authorize(&path, request.headers()).await {
        Ok(None) => return next.run(request).await,
        Ok(Some(found)) => {
            request.extensions_mut().insert(found);
            return next.run(request).await;
        }
        Err(denial) => Problem::from(denial).into_response(),
    };
    if request.method() == Method::HEAD {
        problem::without_body(denial).into_response()
    } else {
        denial.into_response()
    }
}
