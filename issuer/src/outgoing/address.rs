//! Which addresses may be called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::Mode;

/// How far calls may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The public internet.
    Public,
    /// And this machine: development.
    PublicAndLoopback,
}

impl Reach {
    /// What a mode allows.
    pub fn of(mode: Mode) -> Self {
        match mode {
            Mode::Production | Mode::Operator => Self::Public,
            Mode::Development => Self::PublicAndLoopback,
        }
    }

    /// Whether this machine may be called.
    pub fn includes_loopback(self) -> bool {
        self == Self::PublicAndLoopback
    }

    /// Whether this address may be called.
    pub fn allows(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || (self.includes_loopback() && address.is_loopback())
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Everything but the special-purpose blocks that IANA lists (RFC 6890).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        // This network, private, loopback; multicast, reserved, broadcast.
        (0 | 10 | 127 | 224.., ..)
            // Shared by a carrier's customers.
            | (100, 64..=127, _)
            // Link-local: metadata services of clouds.
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            // Protocol assignments, documentation, relays from IPv4 to IPv6, benchmarks.
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !special
}

/// Global unicast (`2000::/3`) without its special blocks; and the addresses by which a network
/// without IPv4 reaches one, which are judged as that one.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = segments {
        let bits = (u32::from(high) << 16) | u32::from(low);
        return is_public_v4(Ipv4Addr::from_bits(bits));
    }
    let special = matches!(
        (segments[0], segments[1]),
        // Protocol assignments and Teredo, documentation.
        (0x2001, 0..=0x01ff | 0x0db8)
            | (0x3fff, 0..=0x0fff)
            // 6to4 carries an IPv4 address that nobody checked.
            | (0x2002, _)
    );
    segments[0] & 0xe000 == 0x2000 && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    const SPECIAL: [&str; 38] = [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::10.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:1ff::1",
        "2001:db8::1",
        "2002:a00:1::",
        "3fff::1",
        "fc00::1",
        "fdff::1",
        "fe80::1",
        "ff02::1",
    ];

    #[test]
    fn special_addresses_are_out_of_reach_in_every_mode() {
        for text in SPECIAL {
            assert!(!Reach::Public.allows(address(text)), "{text}");
            assert!(!Reach::PublicAndLoopback.allows(address(text)), "{text}");
        }
    }

    #[test]
    fn loopback_is_reached_in_development_alone() {
        for text in ["127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(!Reach::Public.allows(address(text)), "{text}");
            assert!(Reach::PublicAndLoopback.allows(address(text)), "{text}");
        }
    }

    #[test]
    fn neighbours_of_special_blocks_are_public() {
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2003::1",
            "2606:4700::1111",
            "3fff:1000::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
        ] {
            assert!(Reach::Public.allows(address(text)), "{text}");
        }
    }
}
