//! `/health`, `/ready`, `/metrics`.

use std::sync::Arc;

use poem_openapi::payload::{Json, PlainText};
use poem_openapi::{Object, OpenApi};

use super::problem::{Problem, ProblemCode, Public, Refusal};
use super::tags::Tag;
use crate::app::App;
use crate::signing_keys::Purpose;

/// How the issuer is doing.
#[derive(Debug)]
pub struct HealthApi {
    /// The issuer.
    pub app: Arc<App>,
}

#[derive(Debug, Object)]
#[oai(rename = "Health")]
struct Health {
    /// Always `ok`.
    status: String,
    /// The issuer's version.
    version: String,
}

#[OpenApi(tag = "Tag::Operation")]
impl HealthApi {
    /// Is the process alive?
    #[oai(path = "/health", method = "get", operation_id = "readHealth")]
    async fn read_health(&self) -> Result<Json<Health>, Refusal<Public>> {
        Ok(healthy())
    }

    /// Can it serve?
    ///
    /// 200 when the database answers, keys and feed are loaded, and nobody has told the issuer to
    /// stop. One that stops answers 503 here and serves everything else for a while, so that a
    /// load balancer takes it out before it is gone.
    #[oai(path = "/ready", method = "get", operation_id = "readReady")]
    async fn read_ready(&self) -> Result<Json<Health>, Refusal<Public>> {
        if self.app.is_stopping() {
            return Err(Problem::new(ProblemCode::Unavailable).into());
        }
        self.app.db.ping().await?;
        let loaded = Purpose::ALL
            .into_iter()
            .all(|purpose| self.app.keys.signer(purpose).is_some());
        if !loaded || self.app.feed.current().is_none() {
            return Err(Problem::new(ProblemCode::Unavailable).into());
        }
        Ok(healthy())
    }

    /// Metrics in the text format of Prometheus
    #[oai(path = "/metrics", method = "get", operation_id = "readMetrics")]
    async fn read_metrics(&self) -> Result<PlainText<String>, Refusal<Public>> {
        let (open, idle) = self.app.db.usage();
        self.app.metrics.database_connections(open, idle);
        self.app.metrics.hashing.set(self.app.hasher.queue_length());
        Ok(PlainText(self.app.metrics.to_text()))
    }
}

fn healthy() -> Json<Health> {
    Json(Health {
        status: "ok".into(),
        version: env!("CARGO_PKG_VERSION").into(),
    })
}
