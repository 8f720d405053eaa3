//! The address a request came from.

use std::net::{IpAddr, Ipv4Addr};

use poem::http::HeaderMap;
use poem::web::RemoteAddr;

use crate::config::AddressRange;

/// The client's address: the peer's, or, when the peer is a trusted proxy, the last address in
/// `X-Forwarded-For` that is not one itself. Whatever a client writes there itself is ignored.
pub fn client_ip(
    peer: &RemoteAddr,
    headers: &HeaderMap,
    trusted_proxies: &[AddressRange],
) -> IpAddr {
    let peer = peer
        .as_socket_addr()
        .map_or(NO_PEER, |addr| addr.ip().to_canonical());
    let forwarded: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let mut client = peer;
    for hop in forwarded.iter().rev().take(MAX_HOPS) {
        if !is_proxy(client, trusted_proxies) {
            break;
        }
        match hop.trim().parse::<IpAddr>() {
            Ok(address) => client = address.to_canonical(),
            Err(_) => break,
        }
    }
    client
}

/// Whether the operator named this address as a proxy's.
pub fn is_proxy(address: IpAddr, trusted_proxies: &[AddressRange]) -> bool {
    trusted_proxies.iter().any(|range| range.contains(address))
}

/// Requests made inside a test have no peer.
const NO_PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// More proxies than this do not stand in a row.
const MAX_HOPS: usize = 16;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use poem::Addr;
    use poem::http::HeaderValue;

    use super::*;

    fn ip(peer: &str, forwarded: &[&'static str], proxies: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_static(value));
        }
        let peer = SocketAddr::new(peer.parse().expect("address"), 1);
        let proxies: Vec<AddressRange> =
            proxies.iter().map(|p| p.parse().expect("range")).collect();
        client_ip(&RemoteAddr(Addr::SocketAddr(peer)), &headers, &proxies).to_string()
    }

    #[test]
    fn forwarded_header_of_a_stranger_is_ignored() {
        assert_eq!(ip("203.0.113.9", &["192.0.2.1"], &[]), "203.0.113.9");
        assert_eq!(
            ip("203.0.113.9", &["192.0.2.1"], &["10.0.0.0/8"]),
            "203.0.113.9"
        );
    }

    #[test]
    fn what_a_client_claims_before_our_proxies_is_ignored() {
        let proxies = ["10.0.0.0/8"];
        assert_eq!(
            ip("10.0.0.1", &["198.51.100.7, 192.0.2.1"], &proxies),
            "192.0.2.1"
        );
        assert_eq!(
            ip(
                "10.0.0.1",
                &["198.51.100.7", "192.0.2.1, 10.0.0.2"],
                &proxies
            ),
            "192.0.2.1"
        );
        assert_eq!(ip("::ffff:10.0.0.1", &["192.0.2.1"], &proxies), "192.0.2.1");
    }

    #[test]
    fn garbage_ends_the_walk_at_the_last_address_we_know() {
        assert_eq!(
            ip("10.0.0.1", &["192.0.2.1, nonsense"], &["10.0.0.0/8"]),
            "10.0.0.1"
        );
        assert_eq!(ip("10.0.0.1", &[], &["10.0.0.0/8"]), "10.0.0.1");
    }
}
