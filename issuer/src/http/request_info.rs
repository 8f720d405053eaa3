//! What is known of a request beside its content.

use std::net::IpAddr;

use poem::{FromRequest, Request, RequestBody, Result};
use serde::Serialize;

use super::problem::{Problem, ProblemCode, Public, Refusal};

/// Id, address and user agent; written into sessions and security events.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestInfo {
    /// The request's id, also in the answer's `X-Request-Id` and in every log line.
    pub id: String,
    /// The client's address.
    pub ip: IpAddr,
    /// The first characters of the `User-Agent` header.
    pub user_agent: Option<String>,
}

impl RequestInfo {
    /// As the database's functions take it.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "id": self.id, "ip": self.ip, "userAgent": self.user_agent })
    }
}

/// Shortens a user agent to what is worth keeping and drops what is not visible text.
pub fn user_agent(header: &str) -> Option<String> {
    let text: String = header
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_USER_AGENT_CHARS)
        .collect();
    Some(text).filter(|text| !text.is_empty())
}

impl<'a> FromRequest<'a> for RequestInfo {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        request
            .data::<Self>()
            .cloned()
            .ok_or_else(|| Refusal::<Public>::from(Problem::new(ProblemCode::Internal)).into())
    }
}

/// Longer ones are not user agents.
const MAX_USER_AGENT_CHARS: usize = 256;
