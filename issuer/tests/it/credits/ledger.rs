//! An issuer whose ledger is checked when the test is done.

use std::ops::Deref;

use issuer::credits::{Incident, reconcile};
use serde_json::{Value, json};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{Connection, Executor};
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

    /// An admin who has just signed in.
    pub async fn admin(&self, name: &str) -> Actor<'_> {
        crate::admin::admin(&self.app, name).await
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

    /// Leaves room for so many credits and no more, in an account without entries. By force: an
    /// entry moves 10^12 at most, and nine thousand of them would take long.
    pub async fn fill(&self, user: &Actor<'_>, room: i64) {
        const MOST: i64 = (1 << 53) - 1;
        self.add_lot(user, "refund", 1, None).await;
        let mut tx = self.db.owner.begin().await.expect("begun");
        for sql in [
            "set local session_replication_role = replica",
            "alter table credits.entries drop constraint entries_rules",
        ] {
            tx.execute(sql).await.expect("forced");
        }
        for sql in [
            "update credits.entries e
                set kind = 'refund', system_account = 'claw_back', deltas = array[$2], system_delta = -$2,
                    balance_after = $2, earned_after = 0
               from credits.accounts a where a.user_id = $1 and e.account_id = a.id",
            "update credits.credit_grants g set remaining = $2
               from credits.accounts a where a.user_id = $1 and g.account_id = a.id",
        ] {
            let query = sqlx::query(sql).bind(&user.id).bind(MOST - room);
            query.execute(&mut *tx).await.expect("filled");
        }
        let sql = "alter table credits.entries add constraint entries_rules check (credits.check_entry(entries)) not valid";
        tx.execute(sql).await.expect("in force again");
        tx.commit().await.expect("committed");
    }

    /// Makes an account owe credits, as a claw-back of what is half spent already does.
    pub async fn owe(&self, user: &Actor<'_>, amount: i64) {
        let id = format!("owed:{}", user.id);
        buy(&self.app, user, &id, 2 * amount, None).await;
        for sql in [
            "with a as (update credits.accounts set seq = seq + 1 where user_id = $1 returning id, seq)
             insert into credits.entries
               (account_id, seq, kind, amount, system_account, system_delta, credit_grant_ids, deltas,
                app_id, description, created_at)
             select a.id, a.seq, 'usage', $2, 'usage', $2, array[g.id], array[-$2], 'test', 'work', auth.clock()
               from a join credits.credit_grants g on g.account_id = a.id and g.purchase_id = $3",
            "with a as (update credits.accounts set seq = seq + 1, lapse_due_at = '-infinity' where user_id = $1 returning id, seq)
             insert into credits.entries
               (account_id, seq, kind, amount, system_account, system_delta, credit_grant_ids, deltas, debt_delta,
                purchase_id, created_at)
             select a.id, a.seq, 'refund', 2 * $2, 'claw_back', $2, array[g.id], array[-$2], $2, $3, auth.clock()
               from a join credits.credit_grants g on g.account_id = a.id and g.purchase_id = $3",
            "update credits.purchases p set clawed_back = 2 * $2 from credits.accounts a
              where a.user_id = $1 and p.account_id = a.id and p.id = $3",
        ] {
            self.run(sqlx::query(sql).bind(&user.id).bind(amount).bind(&id)).await;
        }
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

/// A purchase that was paid, as a payment would add it.
pub async fn buy(
    app: &TestApp,
    user: &Actor<'_>,
    id: &str,
    amount: i64,
    expires: Option<Duration>,
) {
    let now = app.app.clock.now();
    for sql in [
        "insert into credits.packages (id, name, credits, price_cents, currency, created_at, updated_at)
         values ('test', 'Test', 100, 100, 'EUR', auth.clock(), auth.clock()) on conflict do nothing",
        "insert into credits.purchases (account_id, id, package_id, credits, price_cents, currency, status, payment_id, created_at, paid_at)
         select id, $2, 'test', $3, $3, 'EUR', 'paid', 'pi_' || $2, $4, $4 from credits.accounts where user_id = $1",
        "select credits.add_credit_grant(id, 'purchase', 'purchase', 'sales', $3, $5, $2, 'payment:' || $2, $4)
           from credits.accounts where user_id = $1",
    ] {
        let query = sqlx::query(sql);
        let query = match sql.starts_with("insert into credits.packages") {
            true => query,
            false => query.bind(&user.id).bind(id).bind(amount).bind(now),
        };
        let query = match sql.contains("$5") {
            true => query.bind(expires.map(|expires| now + expires)),
            false => query,
        };
        query.execute(&app.db.owner).await.expect("bought");
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
