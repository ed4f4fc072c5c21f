//! A client of the HTTP API.

mod answer;
mod authorization;
pub mod aws;
pub mod people;
pub mod retry;
mod signature;
mod token;
pub mod wire;

use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use bytes::Bytes;
use domain::teams::TEAMS;
use domain::{Board, ScoringPolicy, UserId, Window, address};
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
    redirect,
};
use serde::de::DeserializeOwned;

use self::answer::Answer;
use self::wire::{BoardDocument, PolicyDocument, Problem, Status, TeamsDocument, UserDocument};
pub use self::{
    answer::{Failure, PostError, Verdicts},
    authorization::{Authorization, Credentials},
    token::parse_parameter,
};
use authorization::check_private;

/// When the points of a board were earned: in a current window, or in a period that is over, as the API names it.
#[derive(Clone, Debug)]
pub enum When {
    Current(Window),
    Period(String),
}

impl From<Window> for When {
    fn from(window: Window) -> Self {
        Self::Current(window)
    }
}

impl When {
    fn parameter(&self) -> (&'static str, &str) {
        match self {
            Self::Current(window) => ("window", window.as_str()),
            Self::Period(period) => ("period", period),
        }
    }
}

/// A connection that takes longer than this will not succeed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest answer that is read. A thousand entries of a board take about 150 KB.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Where the API is. Shared by the subcommands.
#[derive(clap::Args)]
pub struct Target {
    /// The address of the API
    #[arg(long, env = "PODIUM_URL", default_value = "http://127.0.0.1:7000", value_parser = parse_url)]
    pub url: Url,
}

/// Parses the address of an API: `http` or `https`, with a host.
pub fn parse_url(raw: &str) -> Result<Url, String> {
    let url = Url::parse(raw).map_err(|error| format!("{error}; give an address like http://host:port"))?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        Ok(url)
    } else {
        Err("the address must begin with http:// or https:// and name a host".to_owned())
    }
}

/// Installs `ring` as this process's TLS provider. The HTTP client is built without one.
pub fn install_tls() {
    // This fails only if a provider is installed already, which is fine.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
}

/// What items are posted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collection {
    Activities,
    Corrections,
}

impl Collection {
    fn segment(self) -> &'static str {
        match self {
            Self::Activities => "activities",
            Self::Corrections => "corrections",
        }
    }
}

/// A connection pool to one API.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    base: Url,
    authorization: Authorization,
}

impl Api {
    /// `answer_timeout` covers a whole request, from connecting to the last byte of the answer.
    pub fn new(base: Url, answer_timeout: Duration) -> anyhow::Result<Self> {
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("podium/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(answer_timeout)
            // A POST that follows a redirect becomes a GET, so report the redirect instead.
            .redirect(redirect::Policy::none());
        if is_loopback(&base) {
            http = http.no_proxy();
        }
        let http = http.build().context("could not set up the HTTP client")?;
        Ok(Self {
            http,
            base,
            authorization: Authorization::None,
        })
    }

    pub fn authorized_by(self, authorization: Authorization) -> Self {
        Self {
            authorization,
            ..self
        }
    }

    pub fn base(&self) -> &Url {
        &self.base
    }

    /// The error, and what the user can do about it if that is known.
    pub fn explain(&self, error: &PostError) -> String {
        let advice = match error.failure {
            Failure::Connect if is_loopback(&self.base) => {
                "start a stack with `podium local`, or give another address with --url"
            }
            Failure::Connect | Failure::Timeout | Failure::Broken => {
                "check the address (--url) and the network"
            }
            Failure::NotAuthorized => "check your AWS credentials, or where the token comes from",
            Failure::Status(_) | Failure::BadAnswer => return error.to_string(),
        };
        format!("{error}; {advice}")
    }

    /// Posts `items` activities as one JSON array. The verdicts are in the same order.
    pub async fn post_activities(&self, body: Vec<u8>, items: usize) -> Result<Verdicts, PostError> {
        self.post(Collection::Activities, body, items).await
    }

    /// Posts `items` of a collection as one JSON array. The verdicts are in the same order.
    pub async fn post(&self, to: Collection, body: Vec<u8>, items: usize) -> Result<Verdicts, PostError> {
        let url = self.endpoint(&["v1", to.segment()]);
        self.request(Method::POST, url, Some(body)).await?.verdicts(items)
    }

    /// Loads a board. Returns the document and its original JSON text.
    pub async fn board(
        &self,
        board: &Board,
        when: impl Into<When>,
        limit: u16,
    ) -> anyhow::Result<(BoardDocument, String)> {
        let mut url = self.endpoint(&["v1", "boards", &address::board_segment(board)]);
        let when = when.into();
        let (name, value) = when.parameter();
        url.query_pairs_mut()
            .append_pair(name, value)
            .append_pair("limit", &limit.to_string());
        self.get(url).await
    }

    /// Loads the board of teams. Returns the document and its original JSON text.
    pub async fn teams(&self, when: impl Into<When>, limit: u16) -> anyhow::Result<(TeamsDocument, String)> {
        let mut url = self.endpoint(&["v1", "boards", TEAMS]);
        let when = when.into();
        let (name, value) = when.parameter();
        url.query_pairs_mut()
            .append_pair(name, value)
            .append_pair("limit", &limit.to_string());
        self.get(url).await
    }

    /// Loads one user's place on a board, with the neighbours listed around it.
    pub async fn user(
        &self,
        board: &Board,
        user: &UserId,
        when: impl Into<When>,
    ) -> anyhow::Result<(UserDocument, String)> {
        self.get(self.user_url(board, user, &when.into())).await
    }

    /// Like [`Self::user`], but `None` while no snapshot has this user on this board.
    pub async fn find_user(
        &self,
        board: &Board,
        user: &UserId,
        window: Window,
    ) -> anyhow::Result<Option<UserDocument>> {
        let (status, body) = self.fetch(self.user_url(board, user, &window.into())).await?;
        let problem: Problem = serde_json::from_slice(&body).unwrap_or_default();
        match problem.code.as_deref() {
            Some(
                "nothing_published"
                | "board_not_found"
                | "program_not_published"
                | "team_not_published"
                | "user_not_on_board",
            ) => Ok(None),
            _ => Ok(Some(self.read(status, body)?.0)),
        }
    }

    /// Whether a user has found coins.
    pub async fn has_coins(&self, user: &UserId) -> anyhow::Result<bool> {
        let url = self.endpoint(&["v1", "users", &address::user_segment(user), "coins"]);
        let (status, body) = self.fetch(url).await?;
        let problem: Problem = serde_json::from_slice(&body).unwrap_or_default();
        match problem.code.as_deref() {
            Some("no_coins") => Ok(false),
            _ => Ok(self.read::<serde_json::Value>(status, body).map(|_| true)?),
        }
    }

    /// What each kind is worth.
    pub async fn policy(&self) -> anyhow::Result<ScoringPolicy> {
        let (policy, _): (PolicyDocument, _) = self.get(self.endpoint(&["v1", "policy"])).await?;
        Ok(policy.versions)
    }

    pub async fn status(&self) -> anyhow::Result<Status> {
        let (status, _) = self.get(self.endpoint(&["v1", "status"])).await?;
        Ok(status)
    }

    async fn get<T: DeserializeOwned>(&self, url: Url) -> anyhow::Result<(T, String)> {
        let (status, body) = self.fetch(url).await?;
        self.read(status, body)
    }

    /// Sends a request, perhaps with a body of JSON, and reads its answer.
    async fn request(&self, method: Method, url: Url, json: Option<Vec<u8>>) -> Result<Answer, PostError> {
        let mut headers = HeaderMap::new();
        if json.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let response = match self.send(method, url, headers, json.unwrap_or_default()).await {
            Ok(response) => response,
            Err(SendError::NotAuthorized(error)) => return Err(PostError::not_authorized(&error)),
            Err(SendError::Transport(error)) => return Err(PostError::from_transport(&error)),
        };
        let status = response.status();
        let retry_after = answer::parse_retry_after(response.headers());
        match read_bounded(response).await {
            Ok(body) => Ok(Answer {
                status,
                retry_after,
                body,
            }),
            Err(ReadError::Transport(error)) => Err(PostError::from_transport(&error)),
            Err(ReadError::TooLong) => Err(PostError::bad_answer("it is longer than 4 MiB")),
        }
    }

    /// Sends a request. If the server does not take the token, renews it and sends the request once more.
    async fn send(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Response, SendError> {
        let body = Bytes::from(body);
        let mut refused: Option<HeaderValue> = None;
        loop {
            let added = self
                .authorization
                .headers(&method, &url, &headers, &body, refused.as_ref())
                .await
                .map_err(SendError::NotAuthorized)?;
            let token = added.get(AUTHORIZATION).cloned();
            let request = self.http.request(method.clone(), url.clone());
            let response = request
                .headers(headers.clone())
                .headers(added)
                .body(body.clone())
                .send()
                .await
                .map_err(SendError::Transport)?;
            let may_renew = self.authorization.is_renewable() && refused.is_none();
            if response.status() != StatusCode::UNAUTHORIZED || !may_renew {
                return Ok(response);
            }
            refused = token;
        }
    }

    async fn fetch(&self, url: Url) -> anyhow::Result<(StatusCode, Vec<u8>)> {
        let base = &self.base;
        let unreachable = |error| {
            let error = PostError::from_transport(&error);
            anyhow!("could not reach {base}: {}", self.explain(&error))
        };
        let response = match self.send(Method::GET, url, HeaderMap::new(), Vec::new()).await {
            Ok(response) => response,
            Err(SendError::NotAuthorized(error)) => return Err(error),
            Err(SendError::Transport(error)) => return Err(unreachable(error)),
        };
        let status = response.status();
        match read_bounded(response).await {
            Ok(body) => Ok((status, body)),
            Err(ReadError::Transport(error)) => Err(unreachable(error)),
            Err(ReadError::TooLong) => {
                bail!("{base} sent an answer longer than 4 MiB; is it the address of Podium's API?")
            }
        }
    }

    fn read<T: DeserializeOwned>(&self, status: StatusCode, body: Vec<u8>) -> anyhow::Result<(T, String)> {
        let base = &self.base;
        ensure!(
            status == StatusCode::OK,
            "{base} answered {}",
            describe(status, &body)
        );
        let text = String::from_utf8(body);
        let text = text.with_context(|| {
            format!("{base} sent an answer that is not UTF-8; is it the address of Podium's API?")
        })?;
        let document = serde_json::from_str(&text);
        let document = document.with_context(|| {
            format!("{base} sent an unexpected document; is it the address of Podium's API?")
        })?;
        Ok((document, text))
    }

    fn user_url(&self, board: &Board, user: &UserId, when: &When) -> Url {
        let (board, user) = (address::board_segment(board), address::user_segment(user));
        let mut url = self.endpoint(&["v1", "boards", &board, "users", &user]);
        let (name, value) = when.parameter();
        url.query_pairs_mut().append_pair(name, value);
        url
    }

    fn endpoint(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("an http address always has a path")
            .pop_if_empty()
            .extend(segments);
        url
    }
}

pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let name = host.strip_suffix('.').unwrap_or(host);
    name == "localhost"
        || name.ends_with(".localhost")
        || address.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// Describes an error response: its status, and the detail of its problem document if it has one.
fn describe(status: StatusCode, body: &[u8]) -> String {
    let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    match problem.detail.or(problem.title) {
        Some(detail) => format!("{}: {}", status.as_u16(), terminal::text::printable(&detail)),
        None => status.to_string(),
    }
}

enum SendError {
    NotAuthorized(anyhow::Error),
    Transport(reqwest::Error),
}

enum ReadError {
    Transport(reqwest::Error),
    TooLong,
}

async fn read_bounded(mut response: Response) -> Result<Vec<u8>, ReadError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(ReadError::Transport)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(ReadError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(base: &str, segments: &[&str], expected: &str) {
        install_tls();
        let base = parse_url(base).expect("an address");
        let api = Api::new(base, Duration::from_secs(1)).expect("a client");
        assert_eq!(api.endpoint(segments).as_str(), expected);
    }

    #[test]
    fn addresses_keep_their_base_path_and_escape_names() {
        check("http://a:7000", &["v1", "status"], "http://a:7000/v1/status");
        check("http://a:7000/", &["v1", "status"], "http://a:7000/v1/status");
        check(
            "https://a/podium",
            &["v1", "status"],
            "https://a/podium/v1/status",
        );
        check(
            "http://a",
            &["boards", "program:a/b?c"],
            "http://a/boards/program:a%2Fb%3Fc",
        );
    }

    #[test]
    fn addresses_name_users_and_boards_by_characters_that_no_proxy_changes() {
        install_tls();
        let base = parse_url("http://a").expect("an address");
        let api = Api::new(base, Duration::from_secs(1)).expect("a client");
        for (board, user, expected) in [
            ("global", "ann@corp.example", "global/users/ann@corp.example"),
            ("global", "us-east-1:12ab", "global/users/us-east-1:12ab"),
            (
                "program:owner/repo",
                "auth0|5f7c",
                "program:~b3duZXIvcmVwbw/users/~YXV0aDB8NWY3Yw",
            ),
            (
                "program:..",
                "guest_corp#EXT#@tenant",
                "program:~Li4/users/~Z3Vlc3RfY29ycCNFWFQjQHRlbmFudA",
            ),
        ] {
            let (board, user) = (board.parse().expect("a board"), user.parse().expect("an id"));
            let url = api.user_url(&board, &user, &Window::All.into());
            assert_eq!(url.as_str(), format!("http://a/v1/boards/{expected}?window=all"));
        }
    }

    #[test]
    fn refuses_addresses_it_cannot_reach() {
        for raw in ["127.0.0.1:7000", "ftp://a", "http://", "file:///x"] {
            assert!(parse_url(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn knows_loopback() {
        let yes = [
            "http://127.0.0.1:7000",
            "http://[::1]:7000",
            "http://localhost",
            "http://LOCALHOST.:7000",
            "http://sqs.localhost",
        ];
        let no = [
            "http://10.0.0.1",
            "https://127.0.0.1.example.com",
            "http://localhost.example.com",
            "http://notlocalhost",
        ];
        for (raw, expected) in yes
            .map(|raw| (raw, true))
            .into_iter()
            .chain(no.map(|raw| (raw, false)))
        {
            assert_eq!(
                is_loopback(&parse_url(raw).expect("an address")),
                expected,
                "{raw}"
            );
        }
    }
}
