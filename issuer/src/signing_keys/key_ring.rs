//! The keys in memory: signing and the key set never wait for the database.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use serde_json::json;
use shared_claims::KeySet;
use shared_claims::sign::SigningKey;
use time::OffsetDateTime;

use super::model::{KeyState, Purpose, StoredKey};
use crate::secret::{base64url, sha256};

/// What this issuer signs with and publishes.
#[derive(Debug, Default)]
pub struct KeyRing {
    access_token: ArcSwapOption<Signer>,
    revocation_feed: ArcSwapOption<Signer>,
}

/// One purpose: the key that signs and the set that verifies.
#[derive(Debug)]
pub struct Signer {
    /// The active key.
    pub key: SigningKey,
    /// What verifiers are told.
    pub published: PublishedKeys,
    /// Where each key is in its life.
    pub stages: Vec<KeyStage>,
}

/// A published key and since when it has been in its state.
#[derive(Debug, Clone)]
pub struct KeyStage {
    /// Its id.
    pub kid: String,
    /// Its state.
    pub state: KeyState,
    /// Since when.
    pub since: OffsetDateTime,
}

/// A key set as it travels, and as we use it ourselves.
#[derive(Debug)]
pub struct PublishedKeys {
    /// The JWKS document (RFC 7517).
    pub document: Bytes,
    /// Its entity tag.
    pub etag: String,
    /// The same keys, ready to verify with.
    pub key_set: KeySet,
}

impl KeyRing {
    /// The signer of a purpose; `None` until keys have been loaded.
    pub fn signer(&self, purpose: Purpose) -> Option<Arc<Signer>> {
        self.slot(purpose).load_full()
    }

    /// Takes over what the database holds now; leaves a purpose alone that has no active key.
    pub(super) fn replace(&self, keys: Vec<StoredKey>) {
        let (tokens, feed): (Vec<_>, Vec<_>) = keys
            .into_iter()
            .partition(|key| key.purpose == Purpose::AccessToken);
        for (purpose, keys) in [
            (Purpose::AccessToken, tokens),
            (Purpose::RevocationFeed, feed),
        ] {
            if let Some(mut signer) = Signer::from_keys(keys) {
                let slot = self.slot(purpose);
                if let Some(held) = slot.load().as_ref() {
                    let held = &held.published.key_set;
                    signer.published.key_set.inherit(held);
                }
                slot.store(Some(Arc::new(signer)));
            }
        }
    }

    fn slot(&self, purpose: Purpose) -> &ArcSwapOption<Signer> {
        match purpose {
            Purpose::AccessToken => &self.access_token,
            Purpose::RevocationFeed => &self.revocation_feed,
        }
    }
}

impl Signer {
    fn from_keys(keys: Vec<StoredKey>) -> Option<Self> {
        let published = PublishedKeys::of(keys.iter().filter(|key| key.state.is_published()))?;
        let stages = keys.iter().map(KeyStage::of).collect();
        let active = keys.into_iter().find(|key| key.state == KeyState::Active)?;
        Some(Self {
            key: active.key,
            published,
            stages,
        })
    }
}

impl KeyStage {
    fn of(key: &StoredKey) -> Self {
        let began = match key.state {
            KeyState::Pending => None,
            KeyState::Active => key.activated_at,
            KeyState::Retiring | KeyState::Removed => key.retired_at,
        };
        Self {
            kid: key.kid.clone(),
            state: key.state,
            since: began.unwrap_or(key.published_at),
        }
    }
}

impl PublishedKeys {
    fn of<'a>(keys: impl Iterator<Item = &'a StoredKey>) -> Option<Self> {
        let keys: Vec<_> = keys
            .map(|key| (key.kid.as_str(), *key.key.public_key()))
            .collect();
        let members: Vec<_> = keys
            .iter()
            .map(|(kid, public_key)| {
                // RFC 8037 section 2; `alg` as our headers say it, because strict clients compare the two.
                json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": base64url(public_key)})
            })
            .collect();
        let document = Bytes::from(json!({ "keys": members }).to_string());
        let etag = format!("\"{}\"", base64url(&sha256(&document)[..16]));
        let key_set =
            KeySet::from_public_keys(keys.iter().map(|(_, public_key)| *public_key)).ok()?;
        Some(Self {
            document,
            etag,
            key_set,
        })
    }
}
