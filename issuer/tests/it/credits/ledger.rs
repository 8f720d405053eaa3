//! An issuer whose ledger is checked when the test is done.

use std::ops::Deref;

use issuer::credits::{Incident, reconcile};
use serde_json::{Value, json};
use sqlx::Connection;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use time::{Duration, OffsetDateTime};

use crate::support::{Actor, Answer, TestApp};

pub const BALANCE: &str = "/api/v1/credits/balance";
pub const USE: &str = "/api/v1/credits/use";
pub const TRANSACTIONS: &str = "/api/v1/credits/transactions";
pub const HOLDS: &str = "/api/v1/credits/holds";

/// An issuer that gives 150 credits at registration and 5 a day.
pub struct Ledger {
    app: TestApp,
    finished: bool,
}

impl Deref for Ledger {
    type Target = TestApp;

    fn deref(&self) -> &TestApp {
        &self.app
    }
}

impl Ledger {
    /// With the defaults of production.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With variables of its own.
    pub async fn start_with(variables: &[(&str, &str)]) -> Self {
        Self {
            app: TestApp::start_with(variables).await,
            finished: false,
        }
    }

    /// What does not follow from the entries, as the issuer itself would find it.
    pub async fn incidents(&self) -> Vec<Incident> {
        let mut connection = self.db.as_issuer().await;
        let incidents = reconcile(&mut connection)
            .await
            .expect("the ledger can be reconciled");
        connection.close().await.expect("closed");
        incidents
    }

    /// Demands that everything follows from the entries.
    pub async fn finish(mut self) {
        self.finished = true;
        assert_eq!(self.incidents().await, []);
    }

    /// For a test that damaged the ledger on purpose and has looked at the damage.
    pub fn finish_damaged(mut self) {
        self.finished = true;
    }

    /// Moves all clocks; tokens expire meanwhile, so the actor signs in anew.
    pub async fn advance_with<'a>(&'a self, by: Duration, actor: &Actor<'a>) -> Actor<'a> {
        self.advance(by).await;
        actor.login(&actor.email, json!({})).await
    }

    /// Runs a statement as superuser.
    pub async fn run(&self, query: Query<'_, sqlx::Postgres, PgArguments>) {
        query
            .execute(&self.db.owner)
            .await
            .expect("the statement runs");
    }

    /// Adds a lot by the ledger's own function, as a purchase or gift would.
    pub async fn add_lot(
        &self,
        user: &Actor<'_>,
        kind: &str,
        amount: i64,
        expires: Option<Duration>,
    ) {
        let entry_kind = if kind == "gift" { "gift" } else { "bonus" };
        let now = self.app.app.clock.now();
        let key = format!("test:{}", self.app.app.entropy.unique_id());
        self.run(
            sqlx::query(
                "select credits.add_credit_grant(id, $2, $3, 'promotion', $4, $5, null, $6, $7)
                   from credits.accounts where user_id = $1",
            )
            .bind(&user.id)
            .bind(entry_kind)
            .bind(kind)
            .bind(amount)
            .bind(expires.map(|expires| now + expires))
            .bind(key)
            .bind(now),
        )
        .await;
    }

    /// Freezes the account of a user.
    pub async fn freeze(&self, user: &Actor<'_>, id: &str) {
        self.run(
            sqlx::query(
                "insert into credits.freezes (account_id, id, reason, created_at)
                 select id, $2, 'dispute', auth.clock() from credits.accounts where user_id = $1",
            )
            .bind(&user.id)
            .bind(id),
        )
        .await;
    }

    /// Lifts one freeze.
    pub async fn lift(&self, user: &Actor<'_>, id: &str) {
        self.run(
            sqlx::query(
                "update credits.freezes f set lifted_at = auth.clock() from credits.accounts a
                  where a.id = f.account_id and a.user_id = $1 and f.id = $2",
            )
            .bind(&user.id)
            .bind(id),
        )
        .await;
    }

    /// How many entries there are in all.
    pub async fn n_entries(&self) -> i64 {
        self.db.value("select count(*) from credits.entries").await
    }

    /// The lots of a user in the order of their ids: kind, remaining, held.
    pub async fn lots(&self, user: &Actor<'_>) -> Vec<(String, i64, i64)> {
        sqlx::query_as(
            "select g.kind, g.remaining, g.held from credits.credit_grants g
               join credits.accounts a on a.id = g.account_id where a.user_id = $1 order by g.id",
        )
        .bind(&user.id)
        .fetch_all(&self.db.owner)
        .await
        .expect("lots can be read")
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        assert!(
            self.finished || std::thread::panicking(),
            "the test ended without Ledger::finish"
        );
    }
}

/// What somebody can spend.
pub async fn balance(user: &Actor<'_>) -> i64 {
    user.get(BALANCE).await.expect(200).body["balance"]
        .as_i64()
        .expect("a whole number")
}

/// Spends without a key.
pub async fn spend(user: &Actor<'_>, amount: i64) -> Answer {
    user.post(
        USE,
        json!({"amount": amount, "appId": "test", "description": "work"}),
    )
    .await
}

/// Spends with a key.
pub async fn spend_once(user: &Actor<'_>, amount: i64, key: &str) -> Answer {
    user.post(
        USE,
        json!({"amount": amount, "appId": "test", "description": "work", "idempotencyKey": key}),
    )
    .await
}

/// Places a hold without a key.
pub async fn hold(user: &Actor<'_>, amount: i64) -> Answer {
    user.post(HOLDS, json!({"amount": amount, "appId": "test"}))
        .await
}

/// Places a hold that must succeed and gives its id.
pub async fn held(user: &Actor<'_>, amount: i64) -> String {
    hold(user, amount).await.expect(201).body["hold"]["id"]
        .as_str()
        .expect("an id")
        .to_owned()
}

/// Captures of a hold.
pub async fn capture(user: &Actor<'_>, id: &str, key: &str, body: Value) -> Answer {
    let mut body = body;
    body["idempotencyKey"] = json!(key);
    user.post(&format!("{HOLDS}/{id}/capture"), body).await
}

/// Releases a hold.
pub async fn release(user: &Actor<'_>, id: &str, key: &str) -> Answer {
    user.post(
        &format!("{HOLDS}/{id}/release"),
        json!({"idempotencyKey": key}),
    )
    .await
}

/// A time as the API writes it.
pub fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&time::format_description::well_known::Rfc3339)
        .expect("a year of four digits")
}
