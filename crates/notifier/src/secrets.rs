//! The secrets of webhooks, from Secrets Manager.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use aws_sdk_secretsmanager::Client;
use tokio::time::Instant;

use crate::webhook::Secrets;

/// How long a secret is kept. A replaced one is in use after that, without a deployment.
const KEPT_FOR: Duration = Duration::from_mins(5);

/// The secrets that a process knows, by their ids.
pub struct SecretStore {
    client: Client,
    known: Mutex<HashMap<String, (Instant, Secrets)>>,
}

impl SecretStore {
    pub fn new(client: Client) -> Self {
        Self {
            client,
            known: Mutex::default(),
        }
    }

    /// A secret that is not older than [`KEPT_FOR`], unless Secrets Manager does not answer.
    pub async fn get(&self, id: &str) -> anyhow::Result<Secrets> {
        let known = self.known().get(id).cloned();
        if let Some((read_at, secrets)) = &known
            && read_at.elapsed() < KEPT_FOR
        {
            return Ok(secrets.clone());
        }
        match (self.read(id).await, known) {
            (Ok(secrets), _) => {
                self.known()
                    .insert(id.to_owned(), (Instant::now(), secrets.clone()));
                Ok(secrets)
            }
            (Err(error), Some((_, secrets))) => {
                tracing::warn!(error = format!("{error:#}"), "A secret of before is used.");
                Ok(secrets)
            }
            (Err(error), None) => Err(error),
        }
    }

    async fn read(&self, id: &str) -> anyhow::Result<Secrets> {
        let answer = self.client.get_secret_value().secret_id(id).send().await;
        let answer = answer.with_context(|| format!("could not read the secret {id}"))?;
        let secret = answer.secret_string.unwrap_or_default();
        Secrets::parse(&secret).with_context(|| format!("the secret {id} is not valid"))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, (Instant, Secrets)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
