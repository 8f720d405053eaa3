//! Requests to the issuer: bounded in time and size, never redirected.

use core::time::Duration;

use reqwest::header::{ETAG, IF_NONE_MATCH};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};

use super::sources::SourceError;
use super::{Document, Etag, Failure};

/// A client for one issuer.
pub(super) struct Http(Client);

/// What the issuer said.
pub(super) enum Answer {
    /// A document.
    Document(Document, Etag),
    /// What is held is the latest.
    NotModified,
}

impl Http {
    pub(super) fn new() -> Result<Self, SourceError> {
        let client = Client::builder()
            .redirect(Policy::none())
            .timeout(TIMEOUT)
            .build();
        client.map(Self).map_err(|_| SourceError::Client)
    }

    /// # Errors
    /// Whatever is not an answer with 200 and at most `max_bytes`, or 304.
    pub(super) async fn get(
        &self,
        url: Url,
        etag: Etag,
        max_bytes: usize,
    ) -> Result<Answer, Failure> {
        let mut request = self.0.get(url);
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let response = request.send().await?;
        match response.status() {
            StatusCode::OK => {
                let etag = response.headers().get(ETAG);
                let etag = etag.and_then(|etag| etag.to_str().ok()).map(Into::into);
                Ok(Answer::Document(body(response, max_bytes).await?, etag))
            }
            StatusCode::NOT_MODIFIED => Ok(Answer::NotModified),
            status => Err(alloc::format!("HTTP {}", status.as_u16()).into()),
        }
    }
}

async fn body(mut response: Response, max_bytes: usize) -> Result<Document, Failure> {
    let mut document = Document::new();
    while let Some(chunk) = response.chunk().await? {
        if document.len() + chunk.len() > max_bytes {
            return Err("the answer is larger than it may be".into());
        }
        document.extend_from_slice(&chunk);
    }
    Ok(document)
}

/// Shorter than a cache presumes a leader dead.
const TIMEOUT: Duration = Duration::from_secs(3);
