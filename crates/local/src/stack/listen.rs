//! The listeners of a stack.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Context as _;
use tokio::net::TcpListener;

/// Listens on this address. Returns a URL that reaches the listener from this machine.
pub(super) async fn bind(address: IpAddr, port: u16) -> anyhow::Result<(TcpListener, String)> {
    let address = SocketAddr::new(address, port);
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    let bound = listener
        .local_addr()
        .with_context(|| format!("cannot read the address of the listener on {address}"))?;
    let url = format!("http://{}", SocketAddr::new(reachable(bound.ip()), bound.port()));
    Ok((listener, url))
}

/// Clients cannot connect to the unspecified address; a listener on it also answers on loopback.
pub(super) fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_url_reaches_a_listener_from_this_machine() {
        let mut addresses = vec![("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1")];
        if cfg!(target_os = "linux") {
            // Elsewhere only 127.0.0.1 is configured by default.
            addresses.push(("127.0.0.2", "127.0.0.2"));
        }
        for (listen, expected) in addresses {
            let (listener, url) = bind(listen.parse().expect("an address"), 0)
                .await
                .expect("a free port");
            let port = listener.local_addr().expect("it is bound").port();
            assert_eq!(url, format!("http://{expected}:{port}"), "{listen}");
            let connected = tokio::net::TcpStream::connect((expected, port)).await;
            assert!(connected.is_ok(), "{listen}: {connected:?}");
        }
        assert_eq!(reachable(Ipv6Addr::UNSPECIFIED.into()), Ipv6Addr::LOCALHOST);
    }
}
