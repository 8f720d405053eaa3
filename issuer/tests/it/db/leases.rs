//! Connections that are handed on without asking the server.

use issuer::db::{Db, Lease, OnConnect};
use sqlx::PgConnection;

use crate::support::db::TestDb;

/// Which server process answers.
async fn process(connection: &mut PgConnection) -> i32 {
    sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(connection)
        .await
        .expect("it answers")
}

async fn lease(db: &Db) -> Lease {
    db.acquire().await.expect("there is a connection")
}

async fn open(n_connections: u32) -> (TestDb, Db) {
    let test_db = TestDb::create().await;
    let db = Db::open(&test_db.issuer_url, n_connections, OnConnect::Limit).expect("our own URL");
    (test_db, db)
}

#[tokio::test]
async fn a_finished_connection_serves_the_next_operation() {
    let (_test_db, db) = open(2).await;
    let mut first = lease(&db).await;
    let used = process(&mut first).await;
    first.finish();
    let mut second = lease(&db).await;
    assert_eq!(process(&mut second).await, used);
}

#[tokio::test]
async fn two_leases_never_share_a_connection() {
    let (_test_db, db) = open(2).await;
    let mut first = lease(&db).await;
    process(&mut first).await;
    first.finish();
    let (mut a, mut b) = (lease(&db).await, lease(&db).await);
    assert_ne!(process(&mut a).await, process(&mut b).await);
}

#[tokio::test]
async fn whoever_waits_gets_the_connection_that_is_finished() {
    let (_test_db, db) = open(1).await;
    let mut first = lease(&db).await;
    let used = process(&mut first).await;
    let waiting = tokio::spawn({
        let db = db.clone();
        async move { process(&mut *lease(&db).await).await }
    });
    tokio::task::yield_now().await;
    first.finish();
    assert_eq!(waiting.await.expect("no panic"), used);
}

#[tokio::test]
async fn a_transaction_begins_while_every_connection_rests() {
    let (_test_db, db) = open(1).await;
    let mut first = lease(&db).await;
    process(&mut first).await;
    first.finish();
    let mut tx = db
        .begin()
        .await
        .expect("the one that rests is given up for it");
    process(&mut tx).await;
    tx.commit().await.expect("nothing to refuse");
    process(&mut *lease(&db).await).await;
}

#[tokio::test]
async fn a_connection_that_was_dropped_in_the_middle_serves_again() {
    let (_test_db, db) = open(1).await;
    let mut first = lease(&db).await;
    process(&mut first).await;
    let mut asking = Box::pin(process(&mut first));
    // Sent, and never waited for.
    let asked = futures_util::FutureExt::now_or_never(&mut asking);
    assert_eq!(asked, None);
    drop(asking);
    drop(first);
    let mut next = lease(&db).await;
    let answer: i32 = sqlx::query_scalar("select 7")
        .fetch_one(&mut *next)
        .await
        .expect("what was asked before is not in the way");
    assert_eq!(answer, 7);
}

#[tokio::test]
async fn a_refused_statement_does_not_harm_the_next() {
    let (_test_db, db) = open(1).await;
    let mut first = lease(&db).await;
    let refused = sqlx::query("select 1 / 0").execute(&mut *first).await;
    assert!(refused.is_err());
    drop(first);
    process(&mut *lease(&db).await).await;
}

#[tokio::test]
async fn closing_does_not_wait_for_what_rests_and_refuses_what_comes_after() {
    let (_test_db, db) = open(2).await;
    let (mut resting, mut leased) = (lease(&db).await, lease(&db).await);
    process(&mut resting).await;
    process(&mut leased).await;
    resting.finish();
    let closing = tokio::spawn({
        let db = db.clone();
        async move { db.close().await }
    });
    tokio::task::yield_now().await;
    leased.finish();
    closing.await.expect("no panic");
    assert!(db.acquire().await.is_err());
    assert_eq!(db.connections(), (0, 0));
}

#[tokio::test]
async fn what_rests_counts_as_idle() {
    let (_test_db, db) = open(2).await;
    let mut first = lease(&db).await;
    process(&mut first).await;
    assert_eq!(db.connections(), (1, 0));
    first.finish();
    assert_eq!(db.connections(), (1, 1));
}
