//! Configurations, and an issuer that signs.

use shared_claims::sign::SigningKey;
use shared_claims::{AccessClaims, KeySet, RevocationDocument, UnixMillis, UnixTime};

use edge_verifier::config::{Config, check};

/// The time of tests that do not move it: 2026-11-20, 12:00 UTC.
pub const NOW: UnixMillis = UnixMillis::from_millis(1_795_176_000_000);
/// The issuer of all tests.
pub const ISS: &str = "https://id.example.com";

/// A configuration with these routes in front of one trusted backend.
pub fn config_of(routes: &str) -> Config {
    let text = format!(
        r#"
        [issuer]
        url = "{ISS}"
        audience = "tollgate"
        [defaults]
        backend = {{ url = "https://backend.example", trust = "network", assertion = false }}
        {routes}
        "#
    );
    match check::check(&text) {
        Ok(config) => config,
        Err(problems) => panic!("{problems:?}"),
    }
}

/// An issuer with one token key and one feed key.
pub struct Issuer {
    token_key: SigningKey,
    feed_key: SigningKey,
}

impl Issuer {
    /// The issuer of this number; others have other keys.
    pub fn new(number: u8) -> Self {
        let key = |first| {
            let mut seed = [first; 32];
            seed[1] = number;
            SigningKey::from_seed(&seed).expect("not all zeros")
        };
        Self {
            token_key: key(1),
            feed_key: key(2),
        }
    }

    /// A token that is good for 15 minutes, with changes.
    pub fn token(&self, change: impl FnOnce(&mut AccessClaims)) -> String {
        let now = NOW.to_secs();
        let mut claims = AccessClaims {
            iss: ISS.into(),
            sub: "user-1".into(),
            aud: vec!["tollgate".into()],
            exp: now.plus_secs(900),
            nbf: None,
            iat: now,
            jti: "jti-1".into(),
            sid: "session-1".into(),
            email: Some("ada@example.com".into()),
            email_verified: Some(true),
            role: Some("user".into()),
            act: None,
        };
        change(&mut claims);
        self.token_key.sign_access_token(&claims)
    }

    /// A revocation feed that describes an instant, with changes.
    pub fn feed(&self, as_of: UnixTime, change: impl FnOnce(&mut RevocationDocument)) -> String {
        let mut document = RevocationDocument {
            iss: ISS.into(),
            epoch: 1,
            seq: 1,
            as_of,
            iat: as_of,
            deny_kids: Vec::new(),
            sids: Vec::new(),
            subs: Vec::new(),
            reject_before: None,
            base: None,
        };
        change(&mut document);
        self.feed_key.sign_revocations(&document)
    }

    pub fn keys(&self) -> KeySet {
        KeySet::from_public_keys([*self.token_key.public_key()]).expect("a good key")
    }

    pub fn feed_keys(&self) -> KeySet {
        KeySet::from_public_keys([*self.feed_key.public_key()]).expect("a good key")
    }
}
