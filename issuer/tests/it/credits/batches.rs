//! Charges that go to the ledger together.

use futures_util::future::join_all;
use sqlx::{Connection, Row};

use super::Ledger;
use super::ledger::{balance, spend, spend_once};
use super::statements;
use crate::support::Actor;

/// One charge of a batch: user, amount, key, first byte of the fingerprint.
type Item<'a> = (&'a str, i64, Option<&'a str>, u8);

/// Sends a batch as the issuer does; outcome and whether it was an answer given before.
async fn send(ledger: &Ledger, items: &[Item<'_>]) -> Result<Vec<(String, bool)>, sqlx::Error> {
    let each = |text: &str| vec![text.to_owned(); items.len()];
    let users: Vec<&str> = items.iter().map(|item| item.0).collect();
    let amounts: Vec<i64> = items.iter().map(|item| item.1).collect();
    let keys: Vec<Option<&str>> = items.iter().map(|item| item.2).collect();
    let scopes: Vec<String> = users.iter().map(|user| format!("user:{user}")).collect();
    let fingerprints: Vec<Vec<u8>> = items.iter().map(|item| vec![item.3; 32]).collect();
    let mut issuer = ledger.db.as_issuer().await;
    let rows = sqlx::query(
        "select outcome, replayed from credits.use_credits_batch(
           $1, $2, $3, $4, array_fill(null::jsonb, array[cardinality($1)]), $5, $6, $7, 0, 0)",
    )
    .bind(users)
    .bind(amounts)
    .bind(each("test"))
    .bind(each("work"))
    .bind(scopes)
    .bind(keys)
    .bind(fingerprints)
    .fetch_all(&mut issuer)
    .await?;
    issuer.close().await?;
    Ok(rows
        .iter()
        .map(|row| (row.get("outcome"), row.get("replayed")))
        .collect())
}

fn outcomes(answers: &[(String, bool)]) -> Vec<(&str, bool)> {
    answers
        .iter()
        .map(|(outcome, replayed)| (outcome.as_str(), *replayed))
        .collect()
}

#[tokio::test]
async fn each_charge_of_a_batch_has_the_outcome_it_would_have_alone() {
    let ledger = Ledger::start().await;
    let (ada, grace) = (ledger.user("ada").await, ledger.user("grace").await);
    ledger.freeze(&grace, "case").await;
    let items = [
        (ada.id.as_str(), 100, Some("k1"), 1),
        // What the one before spent is gone.
        (&ada.id, 100, Some("k2"), 2),
        (&ada.id, 100, Some("k1"), 1),
        (&ada.id, 99, Some("k1"), 9),
        (&grace.id, 1, None, 3),
        // Nobody's, and against a constraint: their errors are their own.
        ("nobody", 1, None, 4),
        (&ada.id, 0, None, 5),
        (&ada.id, 50, Some("k3"), 6),
    ];
    let answers = send(&ledger, &items).await.expect("the batch runs");
    assert_eq!(
        outcomes(&answers),
        [
            ("posted", false),
            ("insufficient", false),
            ("posted", true),
            ("key_reused", true),
            ("frozen", false),
            ("alone", false),
            ("alone", false),
            ("posted", false),
        ]
    );
    assert_eq!(balance(&ada).await, 0);
    ledger.finish().await;
}

#[tokio::test]
async fn charges_of_many_accounts_are_posted_but_for_those_that_cannot_be() {
    let ledger = Ledger::start().await;
    let mut users = Vec::new();
    for name in ["ada", "grace", "alan", "edsger"] {
        users.push(ledger.user(name).await);
    }
    let [ada, grace, alan, edsger] = [0, 1, 2, 3].map(|i| users[i].id.as_str());
    let first = send(&ledger, &[(alan, 10, Some("k"), 1), (ada, 1, None, 1)]).await;
    let posted = ("posted", false);
    assert_eq!(outcomes(&first.expect("the batch runs")), [posted, posted]);
    let second = [
        (ada, 100, Some("k"), 1),
        (grace, 151, None, 2),
        (alan, 10, Some("k"), 1),
        (edsger, 150, Some("k"), 3),
    ];
    let answers = send(&ledger, &second).await.expect("the batch runs");
    assert_eq!(
        outcomes(&answers),
        [posted, ("insufficient", false), ("posted", true), posted]
    );
    let mut left = Vec::new();
    for user in &users {
        left.push(balance(user).await);
    }
    assert_eq!(left, [49, 150, 140, 0]);
    ledger.finish().await;
}

#[tokio::test]
async fn batch_larger_than_the_savepoints_allow_is_refused_whole() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let items = vec![(ada.id.as_str(), 1, None, 1); 61];
    let error = send(&ledger, &items).await.expect_err("too many");
    let error = error.as_database_error().expect("refused by the server");
    assert_eq!(error.code().as_deref(), Some("54000"));
    assert_eq!(
        send(&ledger, &items[1..]).await.expect("60 fit").len(),
        items.len() - 1
    );
    assert_eq!(balance(&ada).await, 90);
    ledger.finish().await;
}

#[tokio::test]
async fn charges_at_the_same_moment_share_transactions() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let counter = statements::count();
    let answers = join_all((0..100).map(|_| spend(&ada, 1))).await;
    let n_statements = counter.take();
    assert!(answers.iter().all(|answer| answer.status == 200));
    // The first goes at once, the others gather meanwhile: fifty at most in one.
    assert!(n_statements <= 10, "{n_statements} statements");
    assert_eq!(balance(&ada).await, 50);
    ledger.finish().await;
}

#[tokio::test]
async fn account_that_somebody_else_holds_keeps_nobody_waiting() {
    let ledger = Ledger::start().await;
    let mut users = Vec::new();
    // So many that some share a lane with the one that is held.
    for name in ["ada", "grace", "alan", "edsger", "barbara", "donald"] {
        users.push(ledger.user(name).await);
    }
    let held = users.pop().expect("one");
    let mut tx = ledger.db.owner.begin().await.expect("begun");
    sqlx::query("select from credits.accounts where user_id = $1 for update")
        .bind(&held.id)
        .execute(&mut *tx)
        .await
        .expect("locked");
    let others = async {
        let two_each = users.iter().chain(users.iter());
        let answers = join_all(two_each.map(|user: &Actor<'_>| spend(user, 10))).await;
        assert!(answers.iter().all(|answer| answer.status == 200));
        tx.rollback().await.expect("released");
    };
    let (first, second, ()) = futures_util::join!(spend(&held, 10), spend(&held, 10), others);
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(balance(&held).await, 130);
    ledger.finish().await;
}

#[tokio::test]
async fn charge_is_posted_although_its_caller_went_away() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    {
        let mut abandoned = Box::pin(spend_once(&ada, 10, "abandoned"));
        while ledger.n_entries().await == 1 {
            assert!(futures_util::poll!(&mut abandoned).is_pending());
        }
    }
    let again = spend_once(&ada, 10, "abandoned").await.expect(200);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(balance(&ada).await, 140);
    ledger.finish().await;
}
