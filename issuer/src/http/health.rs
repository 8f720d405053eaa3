//! `/health`, `/ready`, `/metrics`.

use std::sync::Arc;

use poem_openapi::payload::{Json, PlainText};
use poem_openapi::{Object, OpenApi};

use super::problem::{Problem, ProblemCode, Public, Refusal};
use super::tags::Tag;
use crate::app::App;
use crate::signing_keys::{KeyState, Purpose};

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
        measure(&self.app);
        Ok(PlainText(self.app.metrics.to_text()))
    }
}

/// Notes what is only known at the moment when somebody asks.
fn measure(app: &App) {
    let (now, metrics) = (app.clock.now(), &app.metrics);
    // Both note their state when their counters are asked for.
    app.db.metrics();
    app.hasher.metrics();
    for (job, state) in app.job_health.all() {
        let age = state
            .succeeded_at
            .map_or(now - metrics.started_at(), |at| now - at);
        metrics.job_age(job, age.whole_seconds());
    }
    if let Some(feed) = app.feed.current() {
        metrics
            .verification
            .feed_age(now.unix_timestamp() - feed.as_of);
    }
    for purpose in Purpose::ALL {
        let signer = app.keys.signer(purpose);
        let stages = signer.as_ref().map_or(&[][..], |signer| &signer.stages);
        for state in KeyState::PUBLISHED {
            let of_state = stages.iter().filter(|stage| stage.state == state);
            let oldest = of_state.map(|stage| now - stage.since).max();
            let secs = oldest.map_or(0, |age| age.whole_seconds().max(0));
            metrics
                .verification
                .key_age(purpose.name(), state.name(), secs);
        }
    }
}

fn healthy() -> Json<Health> {
    Json(Health {
        status: "ok".into(),
        version: env!("CARGO_PKG_VERSION").into(),
    })
}
