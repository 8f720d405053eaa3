//! What apps are told: which events, how they arrive, where they must not go.

mod addresses;
mod admins;
mod delivery;
mod events;
mod limits;
mod receiver;
mod secrets;

use issuer::config::Mode;
use issuer::webhooks;
use serde_json::{Value, json};
use time::Duration;

use crate::admin::admin;
use crate::support::{Actor, TestApp};
use receiver::Receiver;

const APPS: &str = "/api/v1/admin/apps";
const DELIVERIES: &str = "/api/v1/admin/webhook-deliveries";

/// An issuer that may call this machine, and its admin.
async fn start() -> TestApp {
    TestApp::start_in(Mode::Development, &[]).await
}

/// Makes an app that listens here; answers its secret.
async fn listen(root: &Actor<'_>, app_id: &str, receiver: &Receiver) -> String {
    let body = json!({"appId": app_id, "name": app_id, "webhookUrl": receiver.url});
    let made = root.post(APPS, body).await.expect(201);
    made.string("webhookSecret")
}

/// An issuer with an admin and one listening app.
struct Shop {
    app: TestApp,
    receiver: Receiver,
    secret: String,
}

impl Shop {
    async fn open() -> Self {
        let app = start().await;
        let receiver = Receiver::start().await;
        let root = admin(&app, "root").await;
        let secret = listen(&root, "shop", &receiver).await;
        drop(root);
        Self {
            app,
            receiver,
            secret,
        }
    }

    /// The admin, signed in just now.
    async fn root(&self) -> Actor<'_> {
        let root = self.app.anon();
        root.login("root@example.com", json!({})).await
    }

    /// Tells the app something.
    async fn ping(&self) -> String {
        let root = self.root().await;
        let pinged = root.post_empty(&format!("{APPS}/shop/webhook-ping")).await;
        let pinged = pinged.expect(201);
        pinged.body["delivery"]["id"]
            .as_str()
            .expect("an id")
            .into()
    }

    async fn send(&self) -> usize {
        webhooks::send_due(&self.app.app).await.expect("sent")
    }

    /// The next attempt, which is due after so many seconds and not one earlier.
    async fn send_after(&self, secs: i64) {
        self.app.advance(Duration::seconds(secs - 1)).await;
        assert_eq!(self.send().await, 0, "a second before {secs} s");
        self.app.advance(Duration::seconds(1)).await;
        assert_eq!(self.send().await, 1, "after {secs} s");
    }

    /// The newest delivery, as an admin reads it.
    async fn newest(&self) -> Value {
        let listed = self.root().await.get(DELIVERIES).await.expect(200).body;
        listed["deliveries"][0].clone()
    }
}

/// State, attempts, last status and last error of a delivery.
fn standing(delivery: &Value) -> Value {
    json!([
        delivery["state"],
        delivery["attempts"],
        delivery["lastStatus"],
        delivery["lastError"]
    ])
}
