//! Which receivers may be called. A webhook must not reach what only this network can reach: other services, or the
//! credentials of the machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Why a receiver is not called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(&'static str);

/// Which addresses may be called.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    pub loopback: bool,
}

impl Reach {
    /// Whether the address of a webhook may be called, as far as that can be said before its name is resolved.
    pub fn check(self, url: &Url) -> Result<(), Refused> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused("the address has a user or a password in it"));
        }
        let literal = url.host_str().and_then(|host| {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host.parse::<IpAddr>().ok()
        });
        if literal.is_some_and(|address| !self.includes(address)) {
            return Err(Refused("the address is not a public one"));
        }
        let is_loopback =
            url.host_str() == Some("localhost") || literal.is_some_and(|address| address.is_loopback());
        match url.scheme() {
            "https" => Ok(()),
            "http" if self.loopback && is_loopback => Ok(()),
            _ => Err(Refused("the address must begin with https://")),
        }
    }

    fn includes(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.loopback && address.is_loopback()
    }
}

/// Names are resolved to addresses that may be called, so that the one that was checked is the one that is called.
impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = *self;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|found| reach.includes(found.ip())).collect();
            if allowed.is_empty() {
                return Err(Refused("the name has no public address").into());
            }
            let allowed: Addrs = Box::new(allowed.into_iter());
            Ok(allowed)
        })
    }
}

/// Whether an address can be that of another machine on the internet. See IANA's registries of special-purpose
/// addresses.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let is_special = v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_documentation()
        || v4.is_multicast()
        || a == 0
        // Carrier-grade NAT, IETF's protocol assignments, 6to4 relays, benchmarks, and what is reserved.
        || (a == 100 && b & 0b1100_0000 == 64)
        || (a, b, c) == (192, 0, 0)
        || (a, b, c) == (192, 88, 99)
        || (a == 198 && b & 0b1111_1110 == 18)
        || a >= 240;
    !is_special
}

/// Global unicast, without documentation and what carries an address of IPv4 in it (Teredo, 6to4).
fn is_public_v6(v6: Ipv6Addr) -> bool {
    let [first, second, ..] = v6.segments();
    let is_unicast = first & 0xe000 == 0x2000;
    let is_special = (first == 0x2001 && (second < 0x200 || second == 0xdb8))
        || first == 0x2002
        || (first == 0x3fff && second < 0x1000);
    is_unicast && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, loopback: bool, expected: Result<(), &'static str>) {
        let got = Reach { loopback }.check(&url.parse().unwrap());
        assert_eq!(got, expected.map_err(Refused), "{url}");
    }

    #[test]
    fn a_receiver_is_public_and_encrypted_or_on_this_machine() {
        const NOT_PUBLIC: Result<(), &str> = Err("the address is not a public one");
        const NOT_HTTPS: Result<(), &str> = Err("the address must begin with https://");
        check("https://crm.example/coins", false, Ok(()));
        check("https://93.184.216.34/", false, Ok(()));
        check("https://[2606:2800:220:1:248:1893:25c8:1946]/", false, Ok(()));
        check("http://crm.example/coins", false, NOT_HTTPS);
        check("http://crm.example/coins", true, NOT_HTTPS);
        check("http://127.0.0.1:9000/", true, Ok(()));
        check("http://localhost:9000/", true, Ok(()));
        check("http://[::1]:9000/", true, Ok(()));
        check("https://127.0.0.1:9000/", false, NOT_PUBLIC);
        check(
            "https://ann:secret@crm.example/",
            false,
            Err("the address has a user or a password in it"),
        );
        for private in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "2130706433",
            "0x7f.1",
            "[::]",
            "[::1]",
            "[fe80::1]",
            "[fd00::1]",
            "[::ffff:10.0.0.1]",
            "[64:ff9b::a00:1]",
            "[2002:a00:1::]",
            "[2001::1]",
            "[2001:db8::1]",
        ] {
            check(&format!("https://{private}/"), false, NOT_PUBLIC);
        }
        for private in ["10.0.0.1", "169.254.169.254", "[fd00::1]"] {
            check(&format!("https://{private}/"), true, NOT_PUBLIC);
        }
    }

    #[tokio::test]
    async fn a_name_is_resolved_to_nothing_but_addresses_that_may_be_called() {
        let resolve = async |loopback| {
            let name = "localhost".parse().unwrap();
            Reach { loopback }.resolve(name).await.map(Iterator::count)
        };
        assert!(resolve(true).await.unwrap() > 0);
        let error = resolve(false).await.unwrap_err().to_string();
        assert_eq!(error, "the name has no public address");
    }
}
