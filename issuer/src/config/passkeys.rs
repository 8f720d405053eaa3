//! Passkeys: which host they belong to and which pages may use them.

use url::{Host, Url};

use super::{HttpConfig, Source};

/// Who passkeys are for: the relying party.
#[derive(Debug, Clone)]
pub struct PasskeyConfig {
    /// `PASSKEY_RP_ID`: the host that passkeys are bound to, for ever.
    pub rp_id: String,
    /// The issuer's own origin.
    pub origin: Url,
    /// `CORS_ORIGINS` on that host or below it.
    pub more_origins: Vec<Url>,
}

impl PasskeyConfig {
    /// `None` when `BASE_URL` names no host that passkeys can be bound to.
    pub(super) fn read(source: &mut Source<'_>, http: &HttpConfig) -> Option<Self> {
        let given = source.text("PASSKEY_RP_ID");
        let origin = own_origin(&http.base_url);
        let Some((host, origin)) = origin else {
            if given.is_some() {
                source.problem(
                    "PASSKEY_RP_ID",
                    "needs a BASE_URL that names a host, not an address",
                );
            }
            return None;
        };
        let rp_id = given.unwrap_or_else(|| host.clone());
        if !is_within(&host, &rp_id) || (rp_id != host && !rp_id.contains('.')) {
            source.problem("PASSKEY_RP_ID", "must be the host of BASE_URL or a domain above it, such as example.com for https://id.example.com");
        }
        let more_origins = http
            .cors_origins
            .iter()
            .filter_map(|text| Url::parse(text).ok());
        Some(Self {
            more_origins: more_origins
                .filter(|url| url.domain().is_some_and(|host| is_within(host, &rp_id)))
                .collect(),
            rp_id,
            origin,
        })
    }
}

/// Browsers bind no passkey to an address; on this machine the name for it is localhost.
fn own_origin(base_url: &str) -> Option<(String, Url)> {
    let mut url = Url::parse(base_url).ok()?;
    let is_loopback = match url.host()? {
        Host::Domain(_) => false,
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    };
    if is_loopback {
        url.set_host(Some("localhost")).ok()?;
    }
    Some((url.domain()?.to_owned(), url))
}

fn is_within(host: &str, domain: &str) -> bool {
    host == domain
        || host
            .strip_suffix(domain)
            .is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Mode;

    fn read(variables: &[(&str, &str)]) -> (Option<PasskeyConfig>, bool) {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let mut source = Source::new(&lookup);
        let http = HttpConfig::read(&mut source, Mode::Production);
        let config = PasskeyConfig::read(&mut source, &http);
        (config, source.finish().is_ok())
    }

    #[test]
    fn the_host_of_the_issuer_is_the_default() {
        let (config, valid) = read(&[
            ("BASE_URL", "https://id.example.com"),
            (
                "CORS_ORIGINS",
                "https://app.example.com,https://x.id.example.com",
            ),
        ]);
        let config = config.expect("a host");
        assert!(valid);
        assert_eq!(config.rp_id, "id.example.com");
        assert_eq!(
            config.more_origins.len(),
            1,
            "only what lies below the host"
        );
    }

    #[test]
    fn a_domain_above_serves_the_apps_beside_the_issuer() {
        let (config, valid) = read(&[
            ("BASE_URL", "https://id.example.com"),
            ("PASSKEY_RP_ID", "example.com"),
            (
                "CORS_ORIGINS",
                "https://app.example.com,https://evilexample.com",
            ),
        ]);
        assert!(valid);
        let origins = config.expect("a host").more_origins;
        assert_eq!(origins.len(), 1);
        assert_eq!(origins[0].as_str(), "https://app.example.com/");
    }

    #[test]
    fn a_foreign_or_top_level_domain_is_refused() {
        for rp_id in ["example.org", "d.example.com", "com", "xample.com"] {
            let (_, valid) = read(&[
                ("BASE_URL", "https://id.example.com"),
                ("PASSKEY_RP_ID", rp_id),
            ]);
            assert!(!valid, "{rp_id}");
        }
    }

    #[test]
    fn loopback_is_localhost_and_another_address_has_no_passkeys() {
        let (config, _) = read(&[("BASE_URL", "http://127.0.0.1:3001")]);
        let config = config.expect("localhost");
        assert_eq!(config.rp_id, "localhost");
        assert_eq!(config.origin.as_str(), "http://localhost:3001/");
        assert!(read(&[("BASE_URL", "https://192.0.2.1")]).0.is_none());
    }
}
