//! Which host a request is for, and which hosts a stack answers to.
//!
//! A web page can make its own name resolve to this machine (DNS rebinding) and would then be of the same
//! origin as the stack. The host of its requests is that name, so a stack answers only to names that no page
//! can own.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use axum::http::request::Parts;
use axum::http::{Version, header};

/// The maximum number of hosts that can be allowed in addition to this machine's loopback names.
pub const ALLOWED_HOSTS_MAX: usize = 100;

/// The longest name of the DNS.
const NAME_BYTES_MAX: usize = 253;

/// A host with an optional port, as in a `Host` header. The name is in lower case and without a final dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host {
    name: Name,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Domain(String),
    Address(IpAddr),
}

/// Why a request has no usable host. Each is a 400, as RFC 9112 requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHost {
    #[error("the Host header is missing; HTTP/1.1 requires it")]
    Missing,
    #[error("there is more than one Host header; send exactly one")]
    Repeated,
    #[error("the host must be a name or an address, with an optional port")]
    Malformed,
}

impl FromStr for Host {
    type Err = InvalidHost;

    fn from_str(raw: &str) -> Result<Self, InvalidHost> {
        let in_brackets = raw.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let (name, port) = if let Some((address, port)) = in_brackets {
            let address: Ipv6Addr = address.parse().map_err(|_| InvalidHost::Malformed)?;
            (Name::Address(address.into()), port)
        } else {
            let (name, port) = raw.find(':').map_or((raw, ""), |colon| raw.split_at(colon));
            (parse_name(name).ok_or(InvalidHost::Malformed)?, port)
        };
        let port = parse_port(port).ok_or(InvalidHost::Malformed)?;
        Ok(Self { name, port })
    }
}

fn parse_name(raw: &str) -> Option<Name> {
    let name = raw.strip_suffix('.').unwrap_or(raw).to_ascii_lowercase();
    if let Ok(address) = name.parse::<Ipv4Addr>() {
        return Some(Name::Address(address.into()));
    }
    let is_label = |label: &str| {
        // Encoded international names can be invalid in ways that are not checked here.
        !label.is_empty()
            && !label.starts_with("xn--")
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    // A URL parser takes a name whose last label begins with a digit for an address.
    let is_name = name.len() <= NAME_BYTES_MAX
        && name.split('.').all(is_label)
        && name
            .rsplit('.')
            .next()
            .is_some_and(|label| label.starts_with(|first: char| first.is_ascii_alphabetic()));
    is_name.then_some(Name::Domain(name))
}

/// Parses nothing, `:`, or `:` and a port. The outer `None` is for anything else.
#[expect(clippy::option_option, reason = "invalid, none, or a port")]
fn parse_port(raw: &str) -> Option<Option<u16>> {
    let Some(port) = raw.strip_prefix(':') else {
        return raw.is_empty().then_some(None);
    };
    if port.is_empty() {
        return Some(None);
    }
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|_| is_number).map(Some)
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.name)?;
        match self.port {
            Some(port) => write!(formatter, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(name) => formatter.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(formatter, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]"),
        }
    }
}

impl Host {
    /// Parses the value of an option: a name or an address, without a port.
    pub fn parse_name(raw: &str) -> Result<Self, String> {
        let bare = raw
            .parse::<Ipv6Addr>()
            .map(|address| Self::address(address.into()));
        let host = bare.or_else(|_| raw.parse::<Self>());
        host.ok()
            .filter(|host| host.port.is_none())
            .ok_or_else(|| "expected the name of a host or its address, without a port".to_owned())
    }

    pub fn localhost() -> Self {
        Self {
            name: Name::Domain("localhost".to_owned()),
            port: None,
        }
    }

    pub fn address(address: IpAddr) -> Self {
        Self {
            name: Name::Address(address),
            port: None,
        }
    }

    /// The name or address without the port. An IPv6 address is in brackets.
    pub fn name(&self) -> String {
        self.name.to_string()
    }
}

/// The host that a request is for: the authority of its target if it has one, and else its `Host` header,
/// which must be there exactly once in either case. `None` only in HTTP/1.0, which has no such header.
pub fn requested_host(parts: &Parts) -> Result<Option<Host>, InvalidHost> {
    let mut headers = parts.headers.get_all(header::HOST).iter();
    let from_header = match (headers.next(), headers.next()) {
        (Some(_), Some(_)) => return Err(InvalidHost::Repeated),
        (Some(host), None) => {
            let host = host.to_str().map_err(|_| InvalidHost::Malformed)?;
            Some(host.parse()?)
        }
        (None, _) if parts.version == Version::HTTP_10 => None,
        (None, _) => return Err(InvalidHost::Missing),
    };
    match parts.uri.authority() {
        Some(authority) => authority.as_str().parse().map(Some),
        None => Ok(from_header),
    }
}

/// The hosts that a stack answers to: loopback names and addresses, and those that are added.
#[derive(Debug, Clone, Default)]
pub struct AllowedHosts(BTreeSet<Name>);

impl AllowedHosts {
    /// Loopback only, plus these. Their ports do not matter.
    pub fn with(hosts: impl IntoIterator<Item = Host>) -> Self {
        Self(hosts.into_iter().map(|host| host.name).collect())
    }

    pub fn allow(&self, host: &Host) -> bool {
        let is_loopback = match &host.name {
            // Resolvers answer names below `localhost` themselves.
            Name::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            Name::Address(address) => address.to_canonical().is_loopback(),
        };
        is_loopback || self.0.contains(&host.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_names_of_this_machine_are_allowed_in_any_spelling() {
        for host in [
            "localhost",
            "localhost.",
            "LocalHost:7001",
            "localhost:",
            "sqs.localhost:7001",
            "127.0.0.1:7001",
            "127.0.0.1.",
            "127.8.9.1",
            "[::1]",
            "[::1]:7001",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]:7001",
        ] {
            let parsed = host.parse::<Host>().expect(host);
            assert!(AllowedHosts::default().allow(&parsed), "{host}");
        }
    }

    #[test]
    fn any_other_host_is_foreign_until_it_is_added() {
        for host in [
            "example.com",
            "localhost.example.com",
            "notlocalhost",
            "127.0.0.1.example.com:7001",
            "10.0.0.1",
            "0.0.0.0:7001",
            "[2001:db8::1]",
        ] {
            let parsed = host.parse::<Host>().expect(host);
            assert!(!AllowedHosts::default().allow(&parsed), "{host}");
            assert!(AllowedHosts::with([parsed.clone()]).allow(&parsed), "{host}");
        }
        let allowed =
            AllowedHosts::with(["Podium.", "2001:db8::1"].map(|raw| Host::parse_name(raw).expect(raw)));
        for host in ["podium:7000", "PODIUM.", "[2001:DB8::1]:80"] {
            assert!(allowed.allow(&host.parse().expect(host)), "{host}");
        }
        assert!(!allowed.allow(&"podium.example.com".parse().expect("a host")));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for host in [
            "",
            ".",
            ":80",
            "a b",
            "ann@localhost",
            "localhost:port",
            "localhost:+80",
            "localhost:65536",
            "::1",
            "[::1",
            "[::1]80",
            "[localhost]",
            "127.1",
            "1.2.3.256",
            "a..b",
            "http://localhost",
            "localhost/x",
            "\u{e9}",
        ] {
            assert_eq!(host.parse::<Host>(), Err(InvalidHost::Malformed), "{host}");
        }
        for name in ["podium:7000", "[::1]:80", "", "http://podium"] {
            assert!(Host::parse_name(name).is_err(), "{name}");
        }
    }
}
