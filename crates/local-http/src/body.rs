//! Reads the body of a request into memory, within limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::http::StatusCode;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use problem::Problem;
use tokio::time::timeout;

/// How long a body may take from the end of the head to its own.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// The limits of the bodies of one listener. Clones share the sum.
#[derive(Debug, Clone)]
pub(crate) struct Bodies {
    pub(crate) bytes_max: usize,
    /// Of all bodies that are being read or answered.
    pub(crate) sum_max: usize,
    pub(crate) time_max: Duration,
    sum: Arc<AtomicUsize>,
}

impl Bodies {
    pub(crate) fn new(bytes_max: usize, sum_max: usize) -> Self {
        Self {
            bytes_max,
            sum_max,
            time_max: BODY_TIME_MAX,
            sum: Arc::default(),
        }
    }

    /// Reads a whole body. It counts as held until the second value is dropped.
    pub(crate) async fn read(&self, body: Body) -> Result<(Bytes, Held), Problem> {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > self.bytes_max {
            return Err(self.too_large());
        }
        timeout(self.time_max, self.read_on(body))
            .await
            .unwrap_or_else(|_| {
                let detail = format!("The body did not arrive within {} s.", self.time_max.as_secs());
                Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail).field("body"))
            })
    }

    async fn read_on(&self, body: Body) -> Result<(Bytes, Held), Problem> {
        let mut held = Held {
            bytes: 0,
            sum: Arc::clone(&self.sum),
        };
        let mut chunks = body.into_data_stream();
        let mut read = BytesMut::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| {
                tracing::debug!(%error, "a body could not be read");
                let detail = "The body is incomplete or its chunks are malformed.";
                Problem::new(StatusCode::BAD_REQUEST, "malformed_body", detail).field("body")
            })?;
            if read.len() + chunk.len() > self.bytes_max {
                return Err(self.too_large());
            }
            if held.grow(chunk.len()) > self.sum_max {
                let detail = format!("More than {} bytes of requests are being handled.", self.sum_max);
                return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_busy", detail).retry_after(1));
            }
            read.extend_from_slice(&chunk);
        }
        Ok((read.freeze(), held))
    }

    fn too_large(&self) -> Problem {
        let detail = format!("The body is larger than {} bytes.", self.bytes_max);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail).field("body")
    }
}

/// Bytes of a body that count towards the sum until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    bytes: usize,
    sum: Arc<AtomicUsize>,
}

impl Held {
    /// Returns the new sum of all bodies.
    fn grow(&mut self, bytes: usize) -> usize {
        self.bytes += bytes;
        self.sum.fetch_add(bytes, Ordering::Relaxed) + bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.sum.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_are_bounded_each_and_in_sum() {
        let bodies = Bodies::new(6, 10);
        let status = async |body: &'static str| {
            let read = bodies.read(Body::from(body)).await;
            read.map_err(|problem| problem.status())
        };
        let (bytes, first) = status("abcdef").await.expect("within the limits");
        assert_eq!(bytes, "abcdef");
        assert_eq!(
            status("abcdefg").await.expect_err("one byte too many"),
            StatusCode::PAYLOAD_TOO_LARGE
        );
        assert_eq!(
            status("abcdef").await.expect_err("12 in sum"),
            StatusCode::SERVICE_UNAVAILABLE
        );
        // What was refused is no longer held.
        let (_, second) = status("abcd").await.expect("10 in sum");
        drop((first, second));
        assert_eq!(bodies.sum.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        let bodies = Bodies {
            time_max: Duration::from_millis(10),
            ..Bodies::new(6, 10)
        };
        let stalled = futures::stream::pending::<Result<Bytes, std::io::Error>>();
        let problem = bodies
            .read(Body::from_stream(stalled))
            .await
            .expect_err("it stalls");
        assert_eq!(problem.status(), StatusCode::REQUEST_TIMEOUT);
    }
}
