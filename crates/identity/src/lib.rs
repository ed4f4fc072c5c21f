//! Who calls a function, and what the caller may do.
//!
//! Only the request context says who calls: API Gateway's authorizer writes it, or Lambda for a signed
//! request, and no client can. Headers and bodies say nothing.

mod caller;

use std::str::FromStr;

use lambda_http::aws_lambda_events::apigw::ApiGatewayRequestAuthorizer as Authorizer;
use lambda_http::request::RequestContext;
use store::aws::{parsed, required};

pub use caller::{Caller, Posts};

/// The paths that only an admin may call, each with all paths below it.
pub const ADMIN_PATHS: [&str; 4] = ["/v1/corrections", "/v1/people", "/v1/teams", "/v1/programs"];

/// Whether only an admin may call this path.
pub fn is_for_admins(path: &str) -> bool {
    ADMIN_PATHS.iter().any(|admins| {
        path.strip_prefix(admins)
            .is_some_and(|below| below.is_empty() || below.starts_with('/'))
    })
}

/// Who may do what in a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Everyone may do everything: the local stack without login.
    pub open: bool,
    pub readers: Readers,
    /// Whether a token without the write scope posts, for its user alone.
    pub self_reporting: bool,
    /// The claim of a token that holds the user's id.
    pub user_claim: String,
    /// The scope to post for anyone.
    pub write_scope: String,
    /// The scope of admins, which includes that to write.
    pub admin_scope: String,
}

/// Who may read the boards, which decides who may keep an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    Public,
    /// Those who log in or sign their requests. A cache between them and serve must not give an answer to
    /// anyone else.
    Login,
}

#[derive(Debug, thiserror::Error)]
#[error("must be \"public\" or \"login\"")]
pub struct InvalidReaders;

impl FromStr for Readers {
    type Err = InvalidReaders;
    fn from_str(raw: &str) -> Result<Self, InvalidReaders> {
        match raw {
            "public" => Ok(Self::Public),
            "login" => Ok(Self::Login),
            _ => Err(InvalidReaders),
        }
    }
}

impl Readers {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Login => "login",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Open,
    Restricted,
}

#[derive(Debug, thiserror::Error)]
#[error("must be \"open\" or \"restricted\"")]
struct InvalidMode;

impl FromStr for Mode {
    type Err = InvalidMode;
    fn from_str(raw: &str) -> Result<Self, InvalidMode> {
        match raw {
            "open" => Ok(Self::Open),
            "restricted" => Ok(Self::Restricted),
            _ => Err(InvalidMode),
        }
    }
}

impl Access {
    /// The variables that [`Self::read`] reads.
    pub const VARIABLES: [&str; 6] = [
        "ACCESS",
        "READERS",
        "SELF_REPORTING",
        "USER_CLAIM",
        "WRITE_SCOPE",
        "ADMIN_SCOPE",
    ];
    pub const USER_CLAIM: &str = "sub";
    pub const WRITE_SCOPE: &str = "podium:write";
    pub const ADMIN_SCOPE: &str = "podium:admin";

    /// Everyone may do everything.
    pub fn open() -> Self {
        Self {
            open: true,
            readers: Readers::Public,
            self_reporting: false,
            user_claim: Self::USER_CLAIM.to_owned(),
            write_scope: Self::WRITE_SCOPE.to_owned(),
            admin_scope: Self::ADMIN_SCOPE.to_owned(),
        }
    }

    /// Reads the environment that `variable` looks into.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        Ok(Self {
            open: parsed::<Mode>(&variable, "ACCESS")? == Mode::Open,
            readers: parsed(&variable, "READERS")?,
            self_reporting: parsed(&variable, "SELF_REPORTING")?,
            user_claim: required(&variable, "USER_CLAIM")?,
            write_scope: required(&variable, "WRITE_SCOPE")?,
            admin_scope: required(&variable, "ADMIN_SCOPE")?,
        })
    }

    /// The variables from which [`Self::read`] makes the same.
    pub fn variables(&self) -> [(&'static str, String); 6] {
        let mode = if self.open { "open" } else { "restricted" };
        let values = [
            mode.to_owned(),
            self.readers.as_str().to_owned(),
            self.self_reporting.to_string(),
            self.user_claim.clone(),
            self.write_scope.clone(),
            self.admin_scope.clone(),
        ];
        let mut values = values.into_iter();
        Self::VARIABLES.map(|name| (name, values.next().expect("one value for each")))
    }

    /// Who makes a request with this context.
    pub fn caller(&self, context: Option<&RequestContext>) -> Caller {
        if self.open {
            return Caller::without_login();
        }
        let authorizer: Option<&Authorizer> = match context {
            Some(RequestContext::ApiGatewayV2(context)) => context.authorizer.as_ref(),
            _ => None,
        };
        match authorizer {
            Some(Authorizer { jwt: Some(jwt), .. }) => Caller::by_token(self, &jwt.claims),
            Some(Authorizer { iam: Some(iam), .. }) => Caller::by_signature(iam.user_arn.as_deref()),
            _ => Caller::unknown(self),
        }
    }
}
