//! `GET /.well-known/revocations`.

use std::sync::Arc;

use poem::Request;
use poem::http::header;
use poem_openapi::param::Query;
use poem_openapi::payload::PlainText;
use poem_openapi::{ApiResponse, OpenApi};

use super::publish::delta;
use crate::app::App;
use crate::http::problem::{Problem, ProblemCode, Public, Refusal};
use crate::http::tags::Tag;

/// The feed.
#[derive(Debug)]
pub struct FeedApi {
    /// The issuer.
    pub app: Arc<App>,
}

/// The signed document, or word that it has not changed.
#[derive(Debug, ApiResponse)]
enum FeedAnswer {
    /// A compact JWS (`typ: revocations+jwt`).
    #[oai(status = 200)]
    Document(
        PlainText<String>,
        /// Changes whenever the document does.
        #[oai(header = "ETag")]
        String,
        /// How long a shared cache may keep it.
        #[oai(header = "Cache-Control")]
        String,
    ),
    /// The document is the one named in `If-None-Match`.
    #[oai(status = 304)]
    NotModified(#[oai(header = "ETag")] String),
}

#[OpenApi(tag = "Tag::Verification")]
impl FeedApi {
    /// Read the revocation feed
    ///
    /// What verifiers refuse although it has not expired. With `since` the answer holds only
    /// what came after that number and names it as `base`.
    #[oai(
        path = "/.well-known/revocations",
        method = "get",
        operation_id = "readRevocations"
    )]
    async fn read_revocations(
        &self,
        request: &Request,
        /// The last number the caller holds.
        since: Query<Option<i64>>,
    ) -> Result<FeedAnswer, Refusal<Public>> {
        let document = self
            .app
            .feed
            .current()
            .ok_or_else(|| Problem::new(ProblemCode::Unavailable))?;
        let delta = since.0.and_then(|since| delta(&self.app, &document, since));
        let etag = match &delta {
            Some(jws) => super::feed::etag(jws),
            None => document.etag.clone(),
        };
        let metrics = &self.app.metrics.verification;
        if request.header(header::IF_NONE_MATCH) == Some(etag.as_str()) {
            metrics.feed_served("not_modified");
            return Ok(FeedAnswer::NotModified(etag));
        }
        metrics.feed_served(if delta.is_some() { "delta" } else { "document" });
        let jws = delta.unwrap_or_else(|| document.jws.clone());
        Ok(FeedAnswer::Document(
            PlainText(jws),
            etag,
            "public, max-age=1".into(),
        ))
    }
}
