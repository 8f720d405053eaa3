//! What an isolate remembers between requests: plain data, nothing that belongs to one.

use std::collections::HashMap;
use std::rc::Rc;

use shared_claims::{
    AccessClaims, FeedCache, KeyCache, KeyCacheTtl, Policy, UnixMillis, Verified, Verifier,
};

use crate::assertions::{Signer, SignerFault};
use crate::charging::SECRET_NAME;
use crate::config::{Auth, Config, Route, Target};
use crate::limiter::Limiter;
use crate::trace::IdSource;
use crate::urls::UrlFault;

/// Keys, feed and verified tokens of one isolate.
#[derive(Debug)]
pub struct State {
    /// The rules for tokens.
    pub verifier: Verifier,
    /// The keys that verify tokens.
    pub keys: KeyCache,
    /// The keys that verify the revocation feed, and never a token.
    pub feed_keys: KeyCache,
    /// The revocation feed.
    pub feed: FeedCache,
    /// Tokens whose signature need not be verified again.
    pub tokens: TokenCache,
    /// Requests of users.
    pub users: Limiter,
    /// Tokens that were refused.
    pub failures: Limiter,
    /// Names requests.
    pub ids: IdSource,
    /// What the Worker was set up with, and what is wrong with it.
    pub setup: Setup,
    n_alarms: u32,
}

/// What the Worker's bindings and variables come to, found when the isolate starts.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The variable `ISSUER_URL` is no usable URL.
    pub issuer_url: Option<UrlFault>,
    /// Service bindings that routes name and the Worker does not have.
    pub missing_services: Vec<String>,
    /// What signs assertions.
    pub signer: Signer,
    /// Why nothing does, where something should.
    pub signer_fault: Option<SignerFault>,
    /// Whether requests of users are counted for the whole data centre, too.
    pub counts_users: bool,
    /// Whether refused tokens are.
    pub counts_failures: bool,
    /// Where ids of requests come from.
    pub id_seed: Seed,
    /// Apps that routes charge in and for which there is no service token.
    pub apps_without_token: Vec<String>,
    /// The secret with the service tokens cannot be read.
    pub service_tokens_malformed: bool,
}

/// A secret that is another one in each isolate; its `Debug` prints a name.
#[derive(Clone, Copy, Default)]
pub struct Seed(pub [u8; 32]);

impl core::fmt::Debug for Seed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Seed")
    }
}

impl Setup {
    /// Takes in the secret that signs assertions.
    pub fn use_signing_key(&mut self, config: &Config, secret: Option<&str>) {
        let is_needed = config.routes.iter().any(|route| route.backend.assertion);
        match secret.map(Signer::parse) {
            Some(Ok(signer)) => self.signer = signer,
            Some(Err(fault)) => self.signer_fault = Some(fault),
            None if is_needed => self.signer_fault = Some(SignerFault::Missing),
            None => {}
        }
    }

    /// Whether a route cannot do its work.
    pub fn breaks(&self, route: &Route) -> bool {
        let service_is_missing = match &route.backend.target {
            Target::Service(name) => self.missing_services.contains(name),
            Target::Url(_) => false,
        };
        let cannot_sign = route.backend.assertion && self.signer.is_empty();
        service_is_missing || cannot_sign || (self.issuer_url.is_some() && route.auth != Auth::None)
    }

    /// Whether a route costs credits that cannot be charged.
    pub fn cannot_charge(&self, route: &Route) -> bool {
        let app_id = route.charge.as_ref().map(|charge| &charge.app_id);
        app_id.is_some_and(|app_id| self.apps_without_token.contains(app_id))
    }

    /// The faults as sentences that say what to do.
    pub fn problems(&self) -> Vec<String> {
        let url = self
            .issuer_url
            .map(|fault| format!("the variable ISSUER_URL {fault}: correct it"));
        let missing = |name: &String| {
            format!("the service binding {name} is missing: add it to wrangler.toml and deploy")
        };
        let signer = self.signer_fault.map(|fault| fault.to_string());
        let malformed = self.service_tokens_malformed.then(|| {
            format!("the secret {SECRET_NAME} is neither a service token nor a list of app=token: put it anew")
        });
        let token_missing = |app_id: &String| {
            format!(
                "the secret {SECRET_NAME} has no token for the app {app_id}, whose routes answer 503: \
                 `tollgate service-token create --scope credits:hold --app {app_id}`, then \
                 `wrangler secret put {SECRET_NAME}`"
            )
        };
        url.into_iter()
            .chain(self.missing_services.iter().map(missing))
            .chain(signer)
            .chain(malformed)
            .chain(self.apps_without_token.iter().map(token_missing))
            .collect()
    }
}

impl State {
    /// The state of a cold isolate.
    pub fn new(config: &Config, setup: Setup) -> Self {
        let issuer = &config.issuer;
        let name = issuer.iss.as_ref().unwrap_or(&issuer.url);
        let ttl = KeyCacheTtl::from_secs(issuer.jwks.soft_secs, issuer.jwks.hard_secs)
            .unwrap_or_default();
        Self {
            verifier: Verifier::new(Policy::new(name, &issuer.audience)),
            keys: KeyCache::new(ttl),
            feed_keys: KeyCache::new(ttl),
            feed: FeedCache::new(name),
            tokens: TokenCache::default(),
            users: Limiter::default(),
            failures: Limiter::default(),
            ids: IdSource::new(setup.id_seed.0),
            setup,
            n_alarms: 0,
        }
    }

    /// When the library has contradicted the fast arithmetic, nothing that was remembered can be
    /// relied on any more.
    pub fn heed_alarms(&mut self) {
        let n_alarms = self.verifier.kernel().n_alarms;
        if n_alarms != self.n_alarms {
            self.n_alarms = n_alarms;
            self.tokens = TokenCache::default();
        }
    }

    /// The state of the token keys in one word, for logs and the status page.
    pub fn keys_word(&self, now: UnixMillis) -> &'static str {
        use shared_claims::CacheState as S;
        match self.keys.state(now) {
            S::Empty => "empty",
            S::Fresh => "fresh",
            S::SoftStale => "soft_stale",
            S::Degraded => "degraded",
            S::HardStale => "hard_stale",
        }
    }

    /// How old the revocations held are.
    pub fn feed_age_secs(&self, now: UnixMillis) -> Option<u64> {
        self.feed.held().map(|held| held.age_secs(now.to_secs()))
    }
}

/// Remembers tokens whose signature was right, so that repeated tokens cost a look-up.
///
/// What a hit saves is parsing and the signature, nothing else: the key must still be in
/// the key set, and times, audience, revocation and the route's rules are checked again.
/// Entries are found by the token's last characters and compared in full, so that two
/// tokens are the same only when every byte is.
#[derive(Debug, Default)]
pub struct TokenCache {
    young: HashMap<Tail, Entry>,
    old: HashMap<Tail, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    text: Rc<str>,
    token: Rc<Verified<AccessClaims>>,
}

/// The end of the signature: different for different tokens, and not for others to choose.
type Tail = [u8; 16];

impl TokenCache {
    /// The verified token of exactly this text.
    pub fn get(&mut self, text: &str) -> Option<Rc<Verified<AccessClaims>>> {
        let tail = tail_of(text)?;
        if let Some(entry) = self.young.get(&tail) {
            return (*entry.text == *text).then(|| Rc::clone(&entry.token));
        }
        let entry = self
            .old
            .get(&tail)
            .filter(|entry| *entry.text == *text)?
            .clone();
        let token = Rc::clone(&entry.token);
        self.remember(tail, entry);
        Some(token)
    }

    /// Remembers a token that has just been verified.
    pub fn insert(&mut self, text: &str, token: Rc<Verified<AccessClaims>>) {
        if let Some(tail) = tail_of(text).filter(|_| text.len() <= MAX_CACHED_BYTES) {
            self.remember(
                tail,
                Entry {
                    text: text.into(),
                    token,
                },
            );
        }
    }

    /// When the young half is full it becomes the old one, and what nobody has asked for
    /// since the last time is forgotten.
    fn remember(&mut self, tail: Tail, entry: Entry) {
        if self.young.len() >= MAX_CACHED_TOKENS / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(tail, entry);
    }
}

fn tail_of(text: &str) -> Option<Tail> {
    text.as_bytes().last_chunk().copied()
}

/// With tokens of 1 KB and their claims about 8 MB, of an isolate's 128 MB.
const MAX_CACHED_TOKENS: usize = 4096;
/// The issuer's tokens have at most 1.5 KB; larger ones are verified each time.
const MAX_CACHED_BYTES: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::verified_token;

    #[test]
    fn token_is_found_by_its_whole_text_only() {
        let mut cache = TokenCache::default();
        let (text, verified) = verified_token("a");
        let verified = Rc::new(verified);
        cache.insert(&text, Rc::clone(&verified));
        assert_eq!(cache.get(&text), Some(verified));
        let mut other = text.clone();
        other.replace_range(..1, "f");
        assert_ne!(other, text);
        assert_eq!(cache.get(&other), None);
        for short in ["", "a", "short"] {
            assert_eq!(cache.get(short), None);
        }
    }

    #[test]
    fn cache_is_bounded_and_keeps_what_is_asked_for() {
        let mut cache = TokenCache::default();
        let (kept, verified) = verified_token("kept");
        let verified = Rc::new(verified);
        cache.insert(&kept, Rc::clone(&verified));
        let (forgotten, _) = verified_token("forgotten");
        cache.insert(&forgotten, Rc::clone(&verified));
        for n in 0..3 * MAX_CACHED_TOKENS {
            cache.insert(&format!("{n:032}"), Rc::clone(&verified));
            assert!(n % 100 > 0 || cache.get(&kept).is_some());
        }
        assert!(cache.young.len() + cache.old.len() <= MAX_CACHED_TOKENS);
        assert!(cache.get(&kept).is_some());
        assert!(cache.get(&forgotten).is_none());
    }

    #[test]
    fn very_long_token_is_not_kept() {
        let mut cache = TokenCache::default();
        let (_, verified) = verified_token("a");
        let verified = Rc::new(verified);
        let long = "x".repeat(MAX_CACHED_BYTES + 1);
        cache.insert(&long, verified);
        assert_eq!(cache.get(&long), None);
    }
}
