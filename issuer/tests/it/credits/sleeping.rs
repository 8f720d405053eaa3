//! Accounts that nobody uses: what lapses there is written down, too.

use time::Duration;

use super::Ledger;
use super::ledger::held;

async fn sweep(ledger: &Ledger) {
    issuer::credits::settle_sleeping(&ledger.app)
        .await
        .expect("swept");
}

#[tokio::test]
async fn lapsed_lots_and_holds_of_sleeping_accounts_are_settled() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    ledger
        .add_lot(&ada, "gift", 30, Some(Duration::hours(1)))
        .await;
    held(&ada, 50).await;
    ledger.advance(Duration::hours(1)).await;
    sweep(&ledger).await;
    // The hold first: what it had reserved of the gift lapses in the same go.
    assert_eq!(
        ledger.lots(&ada).await,
        [("signup".into(), 150, 0), ("gift".into(), 0, 0)]
    );
    let n_entries = ledger.n_entries().await;
    sweep(&ledger).await;
    assert_eq!(ledger.n_entries().await, n_entries);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn nothing_is_settled_a_moment_too_early() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    ledger
        .add_lot(&ada, "gift", 30, Some(Duration::hours(1)))
        .await;
    ledger
        .advance(Duration::hours(1) - Duration::microseconds(1))
        .await;
    sweep(&ledger).await;
    assert_eq!(
        ledger.lots(&ada).await,
        [("signup".into(), 150, 0), ("gift".into(), 30, 0)]
    );
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn daily_credits_wait_for_their_owner() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    ledger
        .add_lot(&ada, "gift", 30, Some(Duration::hours(1)))
        .await;
    ledger.advance(Duration::days(3)).await;
    sweep(&ledger).await;
    assert_eq!(ledger.lots(&ada).await.len(), 2);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn account_in_use_is_passed_over() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let bob = ledger.user("bob").await;
    for user in [&ada, &bob] {
        let hour = Some(Duration::hours(1));
        ledger.add_lot(user, "gift", 30, hour).await;
    }
    ledger.advance(Duration::hours(1)).await;
    let mut tx = ledger.db.owner.begin().await.expect("begun");
    sqlx::query("select from credits.accounts where user_id = $1 for update")
        .bind(&ada.id)
        .execute(&mut *tx)
        .await
        .expect("locked");
    sweep(&ledger).await;
    assert_eq!(ledger.lots(&ada).await[1], ("gift".into(), 30, 0));
    assert_eq!(ledger.lots(&bob).await[1], ("gift".into(), 0, 0));
    tx.rollback().await.expect("released");
    sweep(&ledger).await;
    assert_eq!(ledger.lots(&ada).await[1], ("gift".into(), 0, 0));
    drop((ada, bob));
    ledger.finish().await;
}

#[tokio::test]
async fn more_accounts_than_a_batch_are_settled_in_one_run() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let sql = "
        insert into auth.users (id, email, created_at, updated_at)
        select 'sleeper' || lpad(n::text, 14, '0'), 'sleeper' || n || '@example.com', auth.clock(), auth.clock()
          from generate_series(1, 120) n";
    ledger.run(sqlx::query(sql)).await;
    let sql =
        "select credits.open_account(id, 0, sha256('')) from auth.users where id like 'sleeper%'";
    ledger.run(sqlx::query(sql)).await;
    let sql = "select credits.add_credit_grant(id, 'gift', 'gift', 'promotion', 5, auth.clock() + interval '1 hour', null, 'k', auth.clock())
                 from credits.accounts where user_id like 'sleeper%'";
    ledger.run(sqlx::query(sql)).await;
    ledger.advance(Duration::hours(1)).await;
    sweep(&ledger).await;
    let left: i64 = ledger
        .db
        .value("select count(*) from credits.credit_grants where kind = 'gift' and open")
        .await;
    assert_eq!(left, 0);
    drop(ada);
    ledger.finish().await;
}
