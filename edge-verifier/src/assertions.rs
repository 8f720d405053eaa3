//! What the gateway signs about requests, for backends that can be reached around it, and the keys
//! that verify it.

use core::cell::OnceCell;
use core::fmt;
use std::rc::Rc;

use shared_claims::limits::ASSERTION_LIFE_SECS;
use shared_claims::sign::{SigningKey, SigningSeed};
use shared_claims::{AccessClaims, EdgeAssertion, KeySet, UnixTime, Verified};

use crate::answer::Answer;
use crate::config::Method;
use crate::refusal::Refusal;
use crate::request::Incoming;

/// The gateway's signing keys. The first one signs; all are published, so that a key can be known
/// everywhere before it signs and stay known while what it has signed is good. They are derived when
/// one of them is needed, which in most isolates never happens or not at the first request.
#[derive(Clone, Debug, Default)]
pub struct Signer(Rc<Keys>);

#[derive(Debug, Default)]
struct Keys {
    seeds: Vec<SigningSeed>,
    derived: OnceCell<Vec<SigningKey>>,
}

/// Why there is nothing to sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignerFault {
    /// No secret, and a route whose backend wants assertions.
    Missing,
    /// The secret is no list of keys.
    Malformed,
}

/// The request an assertion is about, as it is forwarded.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The gateway's own name.
    pub iss: &'a str,
    /// The backend's name.
    pub backend: &'a str,
    /// The id of the request.
    pub request_id: &'a str,
    /// Its method.
    pub method: Method,
    /// The whole URL it is sent to.
    pub url: &'a str,
}

impl Signer {
    /// Reads the secret: one key, or a few with commas between them. Each is 32 random bytes as
    /// base64url without padding.
    ///
    /// # Errors
    /// [`SignerFault::Malformed`].
    pub fn parse(secret: &str) -> Result<Self, SignerFault> {
        let mut seeds = Vec::new();
        for text in secret.split(',') {
            let seed = SigningSeed::parse(text.trim()).ok_or(SignerFault::Malformed)?;
            // One key twice is a mistake in a change of keys.
            if seeds.len() == MAX_SIGNING_KEYS || seeds.contains(&seed) {
                return Err(SignerFault::Malformed);
            }
            seeds.push(seed);
        }
        let derived = OnceCell::new();
        Ok(Self(Rc::new(Keys { seeds, derived })))
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.0.seeds.is_empty()
    }

    fn keys(&self) -> &[SigningKey] {
        let derive = || self.0.seeds.iter().map(SigningSeed::key).collect();
        self.0.derived.get_or_init(derive)
    }

    /// The value of `x-edge-assertion`; `None` without a key.
    pub fn sign(
        &self,
        about: About<'_>,
        identity: Option<&Verified<AccessClaims>>,
        now: UnixTime,
    ) -> Option<String> {
        let key = self.keys().first()?;
        Some(key.sign_assertion(&EdgeAssertion {
            iss: about.iss.to_owned(),
            backend: about.backend.to_owned(),
            sub: identity.map(|token| token.sub.clone()),
            sid: identity.map(|token| token.sid.clone()),
            role: identity.and_then(|token| token.role.clone()),
            jti: about.request_id.to_owned(),
            iat: now,
            exp: now.plus_secs(ASSERTION_LIFE_SECS),
            method: about.method.as_str().to_owned(),
            target: target_of(about.url).to_owned(),
        }))
    }

    /// Answers `GET /.well-known/edge-jwks.json`.
    ///
    /// # Errors
    /// [`Refusal::RouteNotFound`] in a gateway that signs nothing, and
    /// [`Refusal::MethodNotAllowed`].
    pub fn answer(&self, request: &Incoming<'_>) -> Result<Answer, Refusal> {
        let keys = self.key_set().ok_or(Refusal::RouteNotFound)?;
        if !matches!(request.method, Some(Method::Get | Method::Head)) {
            return Err(Refusal::MethodNotAllowed {
                allow: "GET, HEAD".into(),
            });
        }
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            (
                "cache-control",
                format!("public, max-age={KEYS_FRESH_SECS}"),
            ),
        ];
        Ok(Answer::plain(200, headers, Some(keys.to_json())))
    }

    fn key_set(&self) -> Option<KeySet> {
        let keys = self.keys().iter().map(|key| *key.public_key());
        KeySet::from_public_keys(keys)
            .ok()
            .filter(|keys| !keys.is_empty())
    }
}

impl fmt::Display for SignerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => {
                "the secret EDGE_SIGNING_KEY is missing, and routes with assertions are closed: \
                 run `wrangler secret put EDGE_SIGNING_KEY` with what `node \
                 edge-verifier/tools/check.mjs key` prints"
            }
            Self::Malformed => {
                "the secret EDGE_SIGNING_KEY is not one to three keys, each 43 characters of \
                 base64url, with commas between them: set it anew"
            }
        })
    }
}

/// Path and query of an absolute URL.
fn target_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("/", |slash| &rest[slash..])
}

/// Where the keys are published.
pub const KEYS_PATH: &str = "/.well-known/edge-jwks.json";
/// The one that signs, the one before it and the next one.
const MAX_SIGNING_KEYS: usize = 3;
/// Shorter than backends keep keys by themselves, so that a change of keys is not slowed down.
const KEYS_FRESH_SECS: u32 = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, verified_token};
    use shared_claims::{Policy, Received};

    const ONE: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
    const TWO: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";

    fn signed(secret: &str, identity: Option<&Verified<AccessClaims>>) -> String {
        let about = About {
            iss: "tollgate-edge",
            backend: "orders",
            request_id: "request-1",
            method: Method::Post,
            url: "https://backend.example:8443/v1/a%20b?c=/d",
        };
        let signer = Signer::parse(secret).expect("good keys");
        signer
            .sign(about, identity, NOW.to_secs())
            .expect("it has a key")
    }

    #[test]
    fn assertion_says_who_and_what_and_is_verified_by_the_published_keys() {
        let (_, token) = verified_token("jti");
        let keys = Signer::parse(TWO).expect("good").key_set().expect("one");
        let policy = Policy::new("tollgate-edge", "orders");
        let received = Received {
            method: "POST",
            target: "/v1/a%20b?c=/d",
        };
        let read = |jws: &str| {
            EdgeAssertion::from_jws(jws, &keys, &policy, received, NOW.to_secs()).expect("good")
        };
        let assertion = read(&signed(&format!("{TWO}, {ONE}"), Some(&token)));
        assert_eq!(assertion.sub.as_deref(), Some("user-1"));
        assert_eq!(assertion.sid.as_deref(), Some("session-1"));
        assert_eq!(assertion.jti, "request-1");
        assert_eq!(assertion.exp.secs_since(assertion.iat), 60);
        let nobody = read(&signed(TWO, None));
        assert_eq!((nobody.sub.as_deref(), nobody.sid.as_deref()), (None, None));
    }

    #[test]
    fn first_key_signs_and_all_are_published() {
        let both = Signer::parse(&format!("{ONE},{TWO}")).expect("good keys");
        let document = both.key_set().expect("two keys").to_json();
        let kid = |secret: &str| {
            let signer = Signer::parse(secret).expect("a good key");
            signer.keys()[0].kid().as_str().to_owned()
        };
        assert!(document.contains(&kid(ONE)) && document.contains(&kid(TWO)));
        assert_eq!(both.keys()[0].kid().as_str(), kid(ONE));
    }

    #[test]
    fn secret_of_another_form_is_refused() {
        for secret in [
            "",
            ",",
            "short",
            &format!("{ONE}="),
            &format!("{ONE},"),
            &format!("{ONE},{ONE}"),
            &format!("{ONE};{TWO}"),
            &[ONE, TWO, &ONE.replace('Q', "g"), &TWO.replace('g', "w")].join(","),
            &"A".repeat(43),
        ] {
            let fault = Signer::parse(secret).err();
            assert_eq!(fault, Some(SignerFault::Malformed), "{secret}");
        }
    }

    #[test]
    fn target_is_path_and_query_as_forwarded() {
        for (url, target) in [
            ("https://h/a?b", "/a?b"),
            (
                "http://127.0.0.1:9000/a//?b=http://c/d",
                "/a//?b=http://c/d",
            ),
            ("https://h/", "/"),
        ] {
            assert_eq!(target_of(url), target);
        }
    }

    #[test]
    fn debug_shows_key_ids_and_no_secret() {
        let signer = Signer::parse(ONE).expect("a good key");
        let before = format!("{signer:?}");
        assert!(signer.keys().len() == 1);
        for shown in [before, format!("{signer:?}")] {
            assert!(
                shown.contains("SigningSeed") && !shown.contains("AQEB"),
                "{shown}"
            );
        }
    }
}
