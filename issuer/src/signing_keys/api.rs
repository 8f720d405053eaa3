//! The key sets that verifiers fetch.

use std::sync::Arc;

use poem::Request;
use poem::http::header;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::model::Purpose;
use crate::app::App;
use crate::http::Prepared;
use crate::http::problem::{Problem, ProblemCode, Public, Refusal};
use crate::http::tags::Tag;

/// Key sets.
#[derive(Debug)]
pub struct JwksApi {
    /// The issuer.
    pub app: Arc<App>,
}

/// A JWK set (RFC 7517).
#[derive(Debug, Object)]
#[oai(rename = "KeySet")]
struct KeySetView {
    keys: Vec<KeyView>,
}

/// An Ed25519 key (RFC 8037).
#[derive(Debug, Object)]
#[oai(rename = "Key")]
struct KeyView {
    /// Always `OKP`.
    kty: String,
    /// Always `Ed25519`.
    crv: String,
    /// Always `sig`.
    #[oai(rename = "use")]
    usage: String,
    /// Always `EdDSA`.
    alg: String,
    /// Its thumbprint (RFC 7638).
    kid: String,
    /// The key itself.
    x: String,
}

/// A key set, or word that it has not changed.
#[derive(Debug, ApiResponse)]
enum JwksAnswer {
    /// A JWK set (RFC 7517).
    #[oai(status = 200)]
    KeySet(
        Prepared<KeySetView>,
        /// Changes whenever the set does.
        #[oai(header = "ETag")]
        String,
        /// How long a cache may keep it.
        #[oai(header = "Cache-Control")]
        String,
    ),
    /// The set is the one named in `If-None-Match`.
    #[oai(status = 304)]
    NotModified(#[oai(header = "ETag")] String),
}

#[OpenApi(tag = "Tag::Verification")]
impl JwksApi {
    /// Read the keys of access tokens
    #[oai(path = "/api/v1/auth/jwks", method = "get", operation_id = "readJwks")]
    async fn read_jwks(&self, request: &Request) -> Result<JwksAnswer, Refusal<Public>> {
        self.answer(request, Purpose::AccessToken)
    }

    /// Read the keys of access tokens, at the well-known place
    #[oai(
        path = "/.well-known/jwks.json",
        method = "get",
        operation_id = "readWellKnownJwks"
    )]
    async fn read_well_known_jwks(&self, request: &Request) -> Result<JwksAnswer, Refusal<Public>> {
        self.answer(request, Purpose::AccessToken)
    }

    /// Read the keys of the revocation feed
    #[oai(
        path = "/.well-known/feed-jwks.json",
        method = "get",
        operation_id = "readFeedJwks"
    )]
    async fn read_feed_jwks(&self, request: &Request) -> Result<JwksAnswer, Refusal<Public>> {
        self.answer(request, Purpose::RevocationFeed)
    }

    fn answer(&self, request: &Request, purpose: Purpose) -> Result<JwksAnswer, Refusal<Public>> {
        let signer = self
            .app
            .keys
            .signer(purpose)
            .ok_or_else(|| Problem::new(ProblemCode::Unavailable))?;
        let etag = signer.published.etag.clone();
        let metrics = &self.app.metrics.verification;
        if request.header(header::IF_NONE_MATCH) == Some(etag.as_str()) {
            metrics.key_set_served(purpose.name(), "not_modified");
            return Ok(JwksAnswer::NotModified(etag));
        }
        metrics.key_set_served(purpose.name(), "document");
        let document = Prepared::new(signer.published.document.clone());
        Ok(JwksAnswer::KeySet(document, etag, CACHE_CONTROL.into()))
    }
}

/// Half of a verifier's soft TTL, so that a fetch through a shared cache is never older than both.
const CACHE_CONTROL: &str = "public, max-age=60";
