//! Where keys and revocations come from.

use core::error::Error;
use core::fmt;

use reqwest::Url;

/// Where the documents of an issuer are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    pub(crate) jwks: Url,
    pub(crate) revocations: Option<Revocations>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revocations {
    pub(crate) feed: Url,
    pub(crate) keys: Url,
}

/// Why documents cannot be fetched from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceError {
    /// Not an absolute URL, or one with a user name or a password.
    NotAUrl,
    /// Neither https nor this machine: keys that arrive unprotected are anybody's keys.
    Insecure,
    /// The HTTP client cannot be made on this machine.
    Client,
}

impl Sources {
    /// The places where an issuer has everything, under its base URL.
    ///
    /// ```
    /// use shared_claims::fetch::{SourceError, Sources};
    ///
    /// assert!(Sources::of_issuer("https://id.example.com").is_ok());
    /// assert!(Sources::of_issuer("http://127.0.0.1:3001").is_ok());
    /// assert_eq!(Sources::of_issuer("http://id.example.com"), Err(SourceError::Insecure));
    /// ```
    ///
    /// # Errors
    /// [`SourceError::NotAUrl`] and [`SourceError::Insecure`].
    pub fn of_issuer(base_url: &str) -> Result<Self, SourceError> {
        let base = base_url.trim_end_matches('/');
        let at = |path: &str| alloc::format!("{base}/.well-known/{path}");
        Self::keys(&at("jwks.json"))?.with_revocations(&at("revocations"))
    }

    /// Keys alone: a token is then good until it expires.
    ///
    /// # Errors
    /// [`SourceError::NotAUrl`] and [`SourceError::Insecure`].
    pub fn keys(jwks_url: &str) -> Result<Self, SourceError> {
        Ok(Self {
            jwks: secure(jwks_url)?,
            revocations: None,
        })
    }

    /// The same with a revocation feed. Its own keys are in `feed-jwks.json` beside it.
    ///
    /// # Errors
    /// [`SourceError::NotAUrl`] and [`SourceError::Insecure`].
    pub fn with_revocations(self, feed_url: &str) -> Result<Self, SourceError> {
        let feed = secure(feed_url)?;
        let keys = feed.join("feed-jwks.json");
        let revocations = Revocations {
            keys: keys.map_err(|_| SourceError::NotAUrl)?,
            feed,
        };
        Ok(Self {
            revocations: Some(revocations),
            ..self
        })
    }
}

pub(super) fn secure(text: &str) -> Result<Url, SourceError> {
    let url = Url::parse(text).map_err(|_| SourceError::NotAUrl)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(SourceError::NotAUrl);
    }
    match (url.scheme(), url.host_str()) {
        ("https", Some(_)) => Ok(url),
        ("http", Some(host)) if is_loopback(host) => Ok(url),
        ("http", Some(_)) => Err(SourceError::Insecure),
        _ => Err(SourceError::NotAUrl),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse()
            .is_ok_and(|address: core::net::IpAddr| address.is_loopback())
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAUrl => "not an absolute http or https URL without user name and password",
            Self::Insecure => "http is for this machine only: use https",
            Self::Client => "the HTTP client cannot be made on this machine",
        })
    }
}

impl Error for SourceError {}
