//! Addresses, origins and proxies.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use url::{Host, Url};

use super::{Mode, Source};

/// Where the issuer listens and what it believes about its callers.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// `LISTEN_ADDR`.
    pub listen: SocketAddr,
    /// `BASE_URL`: how the outside world reaches the issuer; without a trailing slash.
    pub base_url: String,
    /// `CORS_ORIGINS`: origins whose pages may call the API.
    pub cors_origins: Vec<String>,
    /// `TRUSTED_PROXIES`: peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<AddressRange>,
    /// `SHUTDOWN_NOTICE`: how long an issuer that was told to stop serves on while it says that
    /// it is not ready.
    pub shutdown_notice: Duration,
}

impl HttpConfig {
    pub(super) fn read(source: &mut Source<'_>, mode: Mode) -> Self {
        let listen = source.parsed(
            "LISTEN_ADDR",
            default_listen(),
            "must be an address and port such as 127.0.0.1:3001",
        );
        if mode == Mode::Development && !listen.ip().is_loopback() {
            source.problem("LISTEN_ADDR", "must be a loopback address with --dev: development mode trusts everyone who can connect");
        }
        Self {
            listen,
            base_url: read_base_url(source, mode, listen),
            cors_origins: read_origins(source),
            trusted_proxies: read_proxies(source),
            shutdown_notice: read_shutdown_notice(source, mode),
        }
    }

    /// Whether answers travel over TLS.
    pub fn is_https(&self) -> bool {
        self.base_url.starts_with("https://")
    }
}

fn read_shutdown_notice(source: &mut Source<'_>, mode: Mode) -> Duration {
    let secs = source.number("SHUTDOWN_NOTICE", default_shutdown_notice(mode), 0..=60);
    Duration::from_secs(secs.unsigned_abs())
}

/// Load balancers ask every second or two and want to be told twice; in development there is none.
fn default_shutdown_notice(mode: Mode) -> i64 {
    match mode {
        Mode::Production => 5,
        Mode::Development | Mode::Operator => 0,
    }
}

/// Loopback: reachable from elsewhere only when somebody says so.
fn default_listen() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3001)
}

fn read_base_url(source: &mut Source<'_>, mode: Mode, listen: SocketAddr) -> String {
    let given = source.text("BASE_URL");
    let is_given = given.is_some();
    let text = given.unwrap_or_else(|| format!("http://{listen}"));
    let base = text.trim_end_matches('/').to_owned();
    match Url::parse(&base) {
        Ok(url) if is_plain_base(&url) => {
            let loopback = is_loopback(&url);
            if mode == Mode::Development && !loopback && is_given {
                source.problem("BASE_URL", "must name a loopback host with --dev");
            } else if url.scheme() == "http" && !loopback && mode == Mode::Production {
                source.problem("BASE_URL", "must be https unless it names a loopback host");
            }
        }
        _ => source.problem(
            "BASE_URL",
            "must be an http or https URL without query, fragment or credentials",
        ),
    }
    base
}

fn is_plain_base(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

fn read_origins(source: &mut Source<'_>) -> Vec<String> {
    let origins = source.list("CORS_ORIGINS");
    let all_plain = origins.iter().all(|origin| {
        Url::parse(origin).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.origin().ascii_serialization() == *origin
        })
    });
    if !all_plain {
        source.problem("CORS_ORIGINS", "must be origins separated by commas, such as https://app.example.com; `*` is refused because answers carry tokens");
    }
    origins
}

fn read_proxies(source: &mut Source<'_>) -> Vec<AddressRange> {
    let parsed: Result<Vec<_>, _> = source
        .list("TRUSTED_PROXIES")
        .iter()
        .map(|item| item.parse())
        .collect();
    parsed.unwrap_or_else(|()| {
        source.problem(
            "TRUSTED_PROXIES",
            "must be addresses or ranges separated by commas, such as 10.0.0.0/8",
        );
        Vec::new()
    })
}

/// An address with a prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    base: IpAddr,
    prefix: u32,
}

impl AddressRange {
    /// Whether the address lies in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                high_bits(u128::from(base.to_bits()) << 96, self.prefix)
                    == high_bits(u128::from(address.to_bits()) << 96, self.prefix)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                high_bits(base.to_bits(), self.prefix) == high_bits(address.to_bits(), self.prefix)
            }
            _ => false,
        }
    }
}

fn high_bits(bits: u128, n: u32) -> u128 {
    bits.checked_shr(128 - n).unwrap_or(0)
}

impl FromStr for AddressRange {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u32>().map_err(|_| ())?)),
            None => (text, None),
        };
        let base: IpAddr = address.parse().map_err(|_| ())?;
        let width = if base.is_ipv4() { 32 } else { 128 };
        match prefix.unwrap_or(width) {
            prefix if prefix <= width => Ok(Self { base, prefix }),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_range_holds_what_shares_its_prefix() {
        let cases = [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
        ];
        for (range, address, expected) in cases {
            let range: AddressRange = range.parse().expect("valid range");
            assert_eq!(
                range.contains(address.parse().expect("valid address")),
                expected,
                "{range:?} {address}"
            );
        }
    }

    #[test]
    fn malformed_ranges_are_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0/8",
            "::/129",
            "proxy",
        ] {
            assert!(text.parse::<AddressRange>().is_err(), "{text}");
        }
    }
}
