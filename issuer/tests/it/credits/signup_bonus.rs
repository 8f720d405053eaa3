use serde_json::json;

use super::Ledger;
use super::ledger::{TRANSACTIONS, balance};
use crate::support::app::PASSWORD;

#[tokio::test]
async fn registration_opens_an_account_with_the_bonus_as_its_first_entry() {
    let ledger = Ledger::start_with(&[("CREDITS_SIGNUP_BONUS", "42")]).await;
    let ada = ledger.user("ada").await;
    assert_eq!(balance(&ada).await, 42);
    let history = ada.get(TRANSACTIONS).await.expect(200).body;
    assert_eq!(history.as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&history[0]["type"], &history[0]["amount"]),
        (&json!("bonus"), &json!(42))
    );
    ledger.finish().await;
}

#[tokio::test]
async fn a_bonus_that_is_off_writes_no_entry() {
    let ledger = Ledger::start_with(&[("CREDITS_SIGNUP_BONUS", "0")]).await;
    let ada = ledger.user("ada").await;
    assert_eq!(balance(&ada).await, 0);
    assert_eq!(ledger.n_entries().await, 0);
    ledger.finish().await;
}

#[tokio::test]
async fn spellings_of_one_address_have_the_bonus_once_between_them() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let again = ledger.user("ada+farm").await;
    assert_eq!((balance(&ada).await, balance(&again).await), (150, 0));
    ledger.finish().await;
}

#[tokio::test]
async fn a_refused_registration_opens_no_account() {
    let ledger = Ledger::start().await;
    ledger.user("ada").await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    ledger
        .anon()
        .post("/api/v1/auth/register", body)
        .await
        .expect_problem(409, "email_taken");
    let n: i64 = ledger
        .db
        .value("select count(*) from credits.accounts")
        .await;
    assert_eq!(n, 1);
    ledger.finish().await;
}

#[tokio::test]
async fn the_bonus_of_an_account_is_given_once_whatever_address_is_claimed() {
    let ledger = Ledger::start_with(&[("CREDITS_SIGNUP_BONUS", "0")]).await;
    let ada = ledger.user("ada").await;
    let mut issuer = ledger.db.as_issuer().await;
    for (address, expected) in [("one", true), ("two", false), ("one", false)] {
        let granted: bool =
            sqlx::query_scalar("select credits.grant_signup_bonus($1, 50, sha256($2::bytea))")
                .bind(&ada.id)
                .bind(address.as_bytes())
                .fetch_one(&mut issuer)
                .await
                .expect("the function answers");
        assert_eq!(granted, expected, "{address}");
    }
    assert_eq!(balance(&ada).await, 50);
    ledger.finish().await;
}
