//! An issuer inside the test.

use std::sync::Arc;

use issuer::app::App;
use issuer::clock::Clock;
use issuer::config::{Config, Mode, Source};
use issuer::db::{Db, OnConnect};
use issuer::ids::Entropy;
use issuer::secret::MasterKey;
use issuer::signing_keys::check_master_key;
use issuer::{http, jobs, revocations, signing_keys};
use poem::test::TestClient;
use time::Duration;

use super::actor::Actor;
use super::db::TestDb;

/// The address every test calls from unless it says otherwise.
pub const HOME: &str = "192.0.2.10";
/// The password of every test user.
pub const PASSWORD: &str = "correct horse battery";

/// An issuer with a database of its own and a clock that stands still.
pub struct TestApp {
    /// The issuer.
    pub app: Arc<App>,
    /// Its database.
    pub db: Arc<TestDb>,
    /// Its API.
    pub client: TestClient<http::Shell>,
}

impl TestApp {
    /// An issuer with the defaults of production, without rate limits in the way.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// An issuer with variables of its own.
    pub async fn start_with(variables: &[(&str, &str)]) -> Self {
        Self::start_in(Mode::Production, variables).await
    }

    /// An issuer in another mode.
    pub async fn start_in(mode: Mode, variables: &[(&str, &str)]) -> Self {
        let db = Arc::new(TestDb::create().await);
        Self::on(db, Clock::manual(TestDb::START), 1, mode, variables).await
    }

    /// Another issuer on the same database and clock.
    pub async fn second(&self, variables: &[(&str, &str)]) -> Self {
        let (db, clock) = (Arc::clone(&self.db), self.app.clock.clone());
        Self::on(db, clock, 2, self.app.config.mode, variables).await
    }

    async fn on(
        db: Arc<TestDb>,
        clock: Clock,
        seed: u64,
        mode: Mode,
        variables: &[(&str, &str)],
    ) -> Self {
        let config = config(&db, mode, variables);
        let pool = Db::open(
            &db.issuer_url,
            config.database.max_connections,
            OnConnect::Limit,
        )
        .expect("our own URL");
        let master_key = config.master_key.clone().expect("set");
        let master_keys = check_master_key(&pool, master_key, config.master_key_previous.clone())
            .await
            .expect("the master key fits");
        let app = App::new(config, pool, clock, Entropy::seeded(seed), master_keys);
        jobs::load(&app).await.expect("keys and feed load");
        let client = TestClient::new(http::service(&app));
        Self { app, db, client }
    }

    /// Somebody who is not signed in.
    pub fn anon(&self) -> Actor<'_> {
        Actor::anon(self)
    }

    /// A new user with this name, registered and signed in.
    pub async fn user(&self, name: &str) -> Actor<'_> {
        Actor::register(self, name).await
    }

    /// Moves the clocks of issuer and database together.
    pub async fn advance(&self, by: Duration) {
        self.app.clock.advance(by);
        self.db.set_clock(self.app.clock.now()).await;
    }

    /// Publishes the feed and takes it over, as the background job would within 200 ms.
    pub async fn publish(&self) {
        revocations::publish(&self.app).await.expect("published");
        revocations::reload(&self.app).await.expect("taken over");
    }

    /// Maintains and reloads the keys, as the background jobs would.
    pub async fn maintain_keys(&self) {
        signing_keys::maintain(&self.app).await.expect("maintained");
        signing_keys::reload(&self.app).await.expect("reloaded");
    }
}

fn config(db: &TestDb, mode: Mode, variables: &[(&str, &str)]) -> Config {
    let lookup = |name: &str| {
        let own = variables
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| (*value).to_owned());
        own.or_else(|| match name {
            "DATABASE_URL" => Some(db.issuer_url.expose().to_owned()),
            "DATABASE_MAX_CONNECTIONS" => Some("60".into()),
            "MASTER_KEY" => Some(MasterKey::from_bytes([7; 32]).to_base64().to_string()),
            "RATE_LIMIT_SCALE" => Some("1000".into()),
            // Tests call without a peer, which counts as loopback, and say who they are.
            "TRUSTED_PROXIES" => Some("127.0.0.1".into()),
            _ => None,
        })
    };
    Config::read(&mut Source::new(&lookup), mode).expect("valid")
}
