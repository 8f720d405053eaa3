//! What each operation costs the database.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::support::TestApp;
use crate::support::app::PASSWORD;

/// Counts the statements that the driver reports.
struct Statements(Arc<AtomicUsize>);

impl<S: Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut statement = Statement { is_set_up: false };
        event.record(&mut statement);
        if event.metadata().target() == "sqlx::query" && !statement.is_set_up {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What a connection is told once, when the pool opens it, is nobody's cost.
struct Statement {
    is_set_up: bool,
}

impl Visit for Statement {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "summary" {
            self.is_set_up = format!("{value:?}").trim_matches('"').starts_with("set ");
        }
    }
}

#[tokio::test]
async fn each_operation_asks_the_database_no_more_than_promised() {
    let counted = Arc::new(AtomicUsize::new(0));
    let subscriber = tracing_subscriber::registry().with(Statements(Arc::clone(&counted)));
    let _counting = tracing::subscriber::set_default(subscriber);
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let get = async |path: &str, promised: usize| {
        let before = counted.load(Ordering::Relaxed);
        ada.get(path).await.expect(200);
        assert_eq!(counted.load(Ordering::Relaxed) - before, promised, "{path}");
    };
    let post = async |path: &str, body: Value, promised: usize| {
        let before = counted.load(Ordering::Relaxed);
        ada.post(path, body).await.expect(200);
        assert_eq!(counted.load(Ordering::Relaxed) - before, promised, "{path}");
    };
    get("/.well-known/jwks.json", 0).await;
    get("/.well-known/feed-jwks.json", 0).await;
    get("/.well-known/revocations", 0).await;
    get("/.well-known/revocations?since=0", 0).await;
    post(
        "/api/v1/auth/validate",
        json!({"token": ada.access_token}),
        0,
    )
    .await;
    get("/api/v1/auth/me", 1).await;
    get("/api/v1/auth/sessions", 1).await;
    get("/api/v1/settings", 1).await;
    get("/api/v1/credits/balance", 1).await;
    let charge = json!({"amount": 1, "appId": "tests", "description": "one"});
    post("/api/v1/credits/use", charge, 1).await;
    post(
        "/api/v1/auth/refresh",
        json!({"refreshToken": ada.refresh_token}),
        1,
    )
    .await;
    post(
        "/api/v1/auth/login",
        json!({"email": ada.email, "password": PASSWORD}),
        2,
    )
    .await;
    post("/api/v1/auth/logout", json!({}), 1).await;
}
