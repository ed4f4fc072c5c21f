//! Listeners whose connections send small answers at once.

use std::net::SocketAddr;

use axum::serve::{Listener, ListenerExt as _};
use tokio::net::TcpListener;

/// Turns off Nagle's algorithm, which would delay each small answer by 40 ms.
pub fn without_delay(listener: TcpListener) -> impl Listener<Addr = SocketAddr> {
    listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "Nagle's algorithm cannot be turned off for a connection");
        }
    })
}
