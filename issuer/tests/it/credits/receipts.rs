//! Receipts: what an app is shown, verified as the app would.

use shared_claims::{KeySet, Receipt, VerifyError};

use super::Ledger;
use super::ledger::{TRANSACTIONS, capture, held, spend};
use crate::support::{Actor, Answer};

async fn keys(ledger: &Ledger) -> KeySet {
    let answer = ledger.anon().get("/.well-known/jwks.json").await;
    KeySet::from_json(answer.expect(200).text.as_bytes()).expect("a key set")
}

async fn receipt_of(user: &Actor<'_>, id: &str) -> Answer {
    user.get(&format!("{TRANSACTIONS}/{id}/receipt")).await
}

fn transaction(answer: &Answer) -> String {
    let id = answer.body["transaction"]["id"].as_str();
    id.expect("an id").to_owned()
}

#[tokio::test]
async fn app_verifies_what_was_spent_in_it_without_asking_anybody() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let id = transaction(&spend(&ada, 10).await.expect(200));
    let jws = receipt_of(&ada, &id).await.expect(200).string("receipt");
    let (keys, issuer) = (keys(&ledger).await, &ledger.app.config.tokens.issuer);
    let receipt = Receipt::from_jws(&jws, &keys, issuer, "test").expect("a good receipt");
    assert_eq!(receipt.amount, 10);
    assert_eq!(receipt.sub, ada.id);
    assert_eq!(receipt.transaction_id, id);
    assert_eq!(receipt.description, "work");
    assert_eq!(
        Receipt::from_jws(&jws, &keys, issuer, "another"),
        Err(VerifyError::WrongAudience)
    );
    ledger.finish().await;
}

#[tokio::test]
async fn capture_has_a_receipt_and_what_is_no_usage_has_none() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let id = held(&ada, 20).await;
    let captured = capture(&ada, &id, "c1", serde_json::json!({})).await;
    let id = transaction(&captured.expect(200));
    receipt_of(&ada, &id).await.expect(200);
    let history = ada.get(TRANSACTIONS).await.expect(200);
    let bonus = history.body[1]["id"].as_str().expect("the signup bonus");
    receipt_of(&ada, bonus)
        .await
        .expect_problem(404, "not_found");
    ledger.finish().await;
}

#[tokio::test]
async fn somebody_elses_transaction_has_no_receipt_here() {
    let ledger = Ledger::start().await;
    let (ada, grace) = (ledger.user("ada").await, ledger.user("grace").await);
    let id = transaction(&spend(&ada, 10).await.expect(200));
    // Grace has an entry of the same number.
    spend(&grace, 10).await.expect(200);
    receipt_of(&grace, &id)
        .await
        .expect_problem(404, "not_found");
    receipt_of(&ledger.anon(), &id)
        .await
        .expect_problem(401, "missing_token");
    for id in [
        "0",
        "-",
        "0-0",
        "x-9223372036854775807",
        "%00-1",
        "0-99999999999999999999",
    ] {
        receipt_of(&ada, id).await.expect_problem(404, "not_found");
    }
    ledger.finish().await;
}

#[tokio::test]
async fn receipt_is_no_access_token() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let id = transaction(&spend(&ada, 10).await.expect(200));
    let jws = receipt_of(&ada, &id).await.expect(200).string("receipt");
    let refused = ada.with_token(&jws).get(TRANSACTIONS).await;
    refused.expect_problem(401, "invalid_token");
    ledger.finish().await;
}
