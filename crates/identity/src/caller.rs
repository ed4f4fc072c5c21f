use std::collections::HashMap;

use domain::UserId;
use lambda_http::http::StatusCode;
use lambda_http::http::header::{HeaderValue, WWW_AUTHENTICATE};
use problem::Problem;

use crate::{Access, Readers};

/// The length in bytes to which the name of a poster is cut. Subjects of tokens have at most 255
/// characters.
const NAME_BYTES_MAX: usize = 256;

/// The caller of one request, and what the caller may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub posts: Posts,
    /// Whether the caller may read what readers may.
    pub reads: bool,
    /// Whether the caller may read what is for those who log in alone, below `/v1/private/`.
    pub reads_privately: bool,
    pub administers: bool,
    /// The user whose token it is, if it names one.
    pub user: Option<UserId>,
    /// Who it is, for the facts: `token:` and the token's subject, or `iam:` and an ARN. `None` without login.
    pub name: Option<String>,
}

/// For whom a caller may post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posts {
    ForAnyone,
    For(UserId),
    /// Self-reporting is on, but the token names no user.
    ForNoUser,
    Never,
}

impl Caller {
    pub(crate) fn without_login() -> Self {
        Self {
            posts: Posts::ForAnyone,
            reads: true,
            reads_privately: true,
            administers: true,
            user: None,
            name: None,
        }
    }

    pub(crate) fn unknown(access: &Access) -> Self {
        Self {
            posts: Posts::Never,
            reads: access.readers == Readers::Public,
            reads_privately: false,
            administers: false,
            user: None,
            name: None,
        }
    }

    /// A service that signs its requests. `CloudFront` signs those of public readers, so a signature gives no
    /// right to read what is private.
    pub(crate) fn by_signature(arn: Option<&str>) -> Self {
        Self {
            posts: Posts::ForAnyone,
            reads: true,
            reads_privately: false,
            administers: false,
            user: None,
            name: Some(name("iam", arn.unwrap_or("unknown"))),
        }
    }

    pub(crate) fn by_token(access: &Access, claims: &HashMap<String, String>) -> Self {
        let has_scope = |wanted: &str| {
            ["scope", "scp"]
                .iter()
                .filter_map(|claim| claims.get(*claim))
                .any(|scopes| listed(scopes).any(|scope| scope == wanted))
        };
        let administers = has_scope(&access.admin_scope);
        let user: Option<UserId> = claims.get(&access.user_claim).and_then(|id| id.parse().ok());
        let posts = if administers || has_scope(&access.write_scope) {
            Posts::ForAnyone
        } else if access.self_reporting {
            user.clone().map_or(Posts::ForNoUser, Posts::For)
        } else {
            Posts::Never
        };
        let subject = ["sub", "client_id"].iter().find_map(|claim| claims.get(*claim));
        Self {
            posts,
            reads: true,
            reads_privately: true,
            administers,
            user,
            name: Some(name("token", subject.map_or("unknown", String::as_str))),
        }
    }

    /// The answer to a request that the caller may not make. `action` says what, such as "post activities".
    pub fn refusal(&self, action: &str) -> Problem {
        if self.name.is_some() {
            let detail =
                format!("You are logged in, but may not {action}. Ask who operates Podium for the right.");
            return Problem::new(StatusCode::FORBIDDEN, "forbidden", detail);
        }
        let detail = format!("Log in to {action}: send a token (Authorization: Bearer) or a signed request.");
        Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
            .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }
}

fn name(by: &str, who: &str) -> String {
    let mut name = format!("{by}:{who}");
    name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
    name
}

/// The entries of a claim. HTTP API hands a list on as `[a b]`.
fn listed(claim: &str) -> impl Iterator<Item = &str> {
    let list = claim.strip_prefix('[').and_then(|list| list.strip_suffix(']'));
    list.unwrap_or(claim).split_whitespace()
}
