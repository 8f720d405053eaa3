//! What several unit tests need.

use shared_claims::sign::SigningKey;
use shared_claims::{AccessClaims, KeySet, Policy, UnixMillis, Verified, Verifier};

use crate::config::{Config, check};

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

/// A good token of this id, and what verifying it gives.
pub fn verified_token(jti: &str) -> (String, Verified<AccessClaims>) {
    let signing_key = SigningKey::from_seed(&[7; 32]).expect("not all zeros");
    let now = NOW.to_secs();
    let text = signing_key.sign_access_token(&AccessClaims {
        iss: ISS.into(),
        sub: "user-1".into(),
        aud: vec!["tollgate".into()],
        exp: now.plus_secs(900),
        nbf: None,
        iat: now,
        jti: jti.into(),
        sid: "session-1".into(),
        email: None,
        email_verified: None,
        role: None,
        act: None,
    });
    let keys = KeySet::from_public_keys([*signing_key.public_key()]).expect("a good key");
    let verifier = Verifier::new(Policy::new(ISS, "tollgate"));
    let verified = verifier.verify(&text, &keys, now).expect("a good token");
    (text, verified)
}
