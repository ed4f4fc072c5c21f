//! An HTTP/1.1 server with bounds: connections that do nothing cannot keep it from answering others.

use std::collections::HashMap;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service as _;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// The maximum number of connections to a listener. A further one takes the place of the one that is idle
/// for the longest time. More than `podium load` and `podium bench` have under way at once, which is 1,024.
pub const CONNECTIONS_MAX: usize = 1_280;

/// How long a connection may be idle: it waits for a request, has sent part of a head, or does not read
/// its answer.
pub const IDLE_MAX: Duration = Duration::from_mins(1);

/// The maximum length of a request's line and headers.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The pause after a failed `accept`, such as for want of a file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

const BUSY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

#[derive(Debug, Clone, Copy)]
struct Limits {
    connections: usize,
    idle: Duration,
}

/// Serves until `stop` is ready and the running requests are answered.
pub async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()> + Send) {
    let limits = Limits {
        connections: CONNECTIONS_MAX,
        idle: IDLE_MAX,
    };
    serve_within(limits, listener, router, stop).await;
}

async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send,
) {
    const SWEEPS_PER_IDLE_TIME: u32 = 4;
    let connections = Arc::new(Connections::default());
    let (stopping, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let mut sweeps = interval(limits.idle / SWEEPS_PER_IDLE_TIME);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = stop.as_mut() => break,
            _ = sweeps.tick() => {
                connections.close_idle_for(limits.idle);
                continue;
            }
            Some(_) = tasks.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                if connections.count() < limits.connections || connections.close_longest_idle() {
                    let open = connections.open();
                    tasks.spawn(connection(stream, open, router.clone(), stopped.clone()));
                } else {
                    refuse(&stream);
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                connections.close_longest_idle();
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    stopping.send_replace(true);
    connections.close_idle_for(Duration::ZERO);
    while tasks.join_next().await.is_some() {}
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

/// Every connection is busy.
fn refuse(stream: &TcpStream) {
    if let Err(error) = stream.try_write(BUSY) {
        tracing::debug!(%error, "a refused connection was not told");
    }
}

async fn connection(stream: TcpStream, open: Open, router: Router, mut stopped: watch::Receiver<bool>) {
    // Nagle's algorithm would delay each small answer by 40 ms.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "Nagle's algorithm cannot be turned off for a connection");
    }
    let service = hyper::service::service_fn(|request: hyper::Request<Incoming>| {
        let busy = open.busy();
        let answer = TowerToHyperService::new(router.clone()).call(request);
        async move {
            let answer = answer.await;
            drop(busy);
            answer
        }
    });
    let connection = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut is_stopping = false;
    loop {
        tokio::select! {
            served = connection.as_mut() => {
                if let Err(error) = served {
                    tracing::debug!(%error, "a connection broke");
                }
                return;
            }
            () = open.closing() => return,
            _ = stopped.wait_for(|stopped| *stopped), if !is_stopping => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// The open connections of a listener.
#[derive(Default)]
struct Connections(Mutex<All>);

#[derive(Default)]
struct All {
    by_id: HashMap<u64, Entry>,
    opened: u64,
}

struct Entry {
    /// `None` while a request is being answered.
    idle_since: Option<Instant>,
    close: Arc<Notify>,
}

impl Connections {
    fn locked(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) -> usize {
        self.locked().by_id.len()
    }

    fn open(self: &Arc<Self>) -> Open {
        let close = Arc::new(Notify::new());
        let entry = Entry {
            idle_since: Some(Instant::now()),
            close: Arc::clone(&close),
        };
        let mut all = self.locked();
        all.opened += 1;
        let id = all.opened;
        all.by_id.insert(id, entry);
        Open {
            id,
            close,
            connections: Arc::clone(self),
        }
    }

    /// `false` if every connection is busy.
    fn close_longest_idle(&self) -> bool {
        let mut all = self.locked();
        let idle = all
            .by_id
            .iter()
            .filter_map(|(id, entry)| Some((entry.idle_since?, *id)));
        let longest = idle.min();
        longest.is_some_and(|(_, id)| all.close(id))
    }

    fn close_idle_for(&self, time: Duration) {
        let mut all = self.locked();
        let is_over = |entry: &Entry| entry.idle_since.is_some_and(|since| since.elapsed() >= time);
        let over: Vec<u64> = (all.by_id.iter())
            .filter(|(_, entry)| is_over(entry))
            .map(|(id, _)| *id)
            .collect();
        for id in over {
            all.close(id);
        }
    }
}

impl All {
    fn close(&mut self, id: u64) -> bool {
        let entry = self.by_id.remove(&id);
        entry.is_some_and(|entry| {
            entry.close.notify_one();
            true
        })
    }
}

/// An open connection; dropping it takes it off the list.
struct Open {
    id: u64,
    close: Arc<Notify>,
    connections: Arc<Connections>,
}

impl Open {
    /// Ready when the connection is to be closed.
    async fn closing(&self) {
        self.close.notified().await;
    }

    /// The connection is busy until the answer of a request is dropped.
    fn busy(&self) -> Busy {
        self.set_idle_since(None);
        Busy {
            id: self.id,
            connections: Arc::clone(&self.connections),
        }
    }

    fn set_idle_since(&self, since: Option<Instant>) {
        set_idle_since(&self.connections, self.id, since);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connections.locked().by_id.remove(&self.id);
    }
}

struct Busy {
    id: u64,
    connections: Arc<Connections>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        set_idle_since(&self.connections, self.id, Some(Instant::now()));
    }
}

fn set_idle_since(connections: &Connections, id: u64, since: Option<Instant>) {
    if let Some(entry) = connections.locked().by_id.get_mut(&id) {
        entry.idle_since = since;
    }
}

#[cfg(test)]
mod tests;
