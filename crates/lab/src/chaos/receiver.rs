//! A receiver of a webhook, and what it was told of coins.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use domain::UserId;
use domain::quest::CoinState;
use local::{Stack, Webhook, dynamodb_client};
use serde::Serialize;
use store::Coins;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// How often each event came, by its id.
type Events = Arc<Mutex<BTreeMap<String, u64>>>;

/// It takes every event.
pub struct Receiver {
    pub webhook: Webhook,
    events: Events,
    server: JoinHandle<()>,
}

/// How what it was told differs from the coins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Different events.
    pub events: u64,
    /// Events that came again, as when a process dies just after sending one, or two have it at once.
    pub again: u64,
    /// Coins whose last change it was not told of.
    pub missing: u64,
}

impl Receiver {
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.context("cannot listen for events of coins")?;
        let address = listener.local_addr().context("the receiver has no address")?;
        let events = Events::default();
        let router = Router::new().route("/", post(receive)).with_state(events.clone());
        Ok(Self {
            webhook: Webhook {
                id: "chaos".to_owned(),
                url: format!("http://{address}/"),
                secret: SECRET.to_owned(),
            },
            events,
            server: tokio::spawn(async move { drop(axum::serve(listener, router).await) }),
        })
    }

    /// Compares the events with the coins of these users.
    pub async fn compared(&self, stack: &Stack, users: BTreeSet<&str>) -> anyhow::Result<Told> {
        let coins = Coins::new(dynamodb_client(&stack.aws_url), stack.tables.coins.clone());
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut told = Told {
            events: events.len() as u64,
            again: events.values().map(|times| times - 1).sum(),
            missing: 0,
        };
        for user in users {
            let user: UserId = user.parse()?;
            let coins = coins.of_user(&user).await?.into_iter();
            let coins = coins.filter(|coin| coin.state != CoinState::Provisional);
            let missing = coins.filter(|coin| !events.contains_key(&format!("{}.{}", coin.id, coin.change)));
            told.missing += missing.count() as u64;
        }
        Ok(told)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(State(events): State<Events>, headers: HeaderMap) -> StatusCode {
    let Some(id) = headers.get("webhook-id").and_then(|id| id.to_str().ok()) else {
        return StatusCode::BAD_REQUEST;
    };
    let mut events = events.lock().unwrap_or_else(PoisonError::into_inner);
    *events.entry(id.to_owned()).or_default() += 1;
    StatusCode::NO_CONTENT
}
