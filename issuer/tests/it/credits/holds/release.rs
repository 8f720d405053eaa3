use serde_json::json;

use crate::credits::Ledger;
use crate::credits::ledger::{balance, capture, held, release};

#[tokio::test]
async fn a_release_gives_everything_back() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let id = held(&ada, 100).await;
    let answer = release(&ada, &id, "r").await.expect(200);
    assert_eq!(
        (
            &answer.body["hold"]["status"],
            &answer.body["hold"]["captured"]
        ),
        (&json!("released"), &json!(0))
    );
    assert_eq!(balance(&ada).await, 150);
    capture(&ada, &id, "c", json!({}))
        .await
        .expect_problem(409, "conflict");
    release(&ada, &id, "r2")
        .await
        .expect_problem(409, "conflict");
    ledger.finish().await;
}

#[tokio::test]
async fn a_release_after_a_partial_capture_gives_back_the_rest() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let id = held(&ada, 100).await;
    capture(&ada, &id, "c", json!({"amount": 30}))
        .await
        .expect(200);
    let answer = release(&ada, &id, "r").await.expect(200);
    assert_eq!(
        (
            &answer.body["hold"]["status"],
            &answer.body["hold"]["captured"]
        ),
        (&json!("released"), &json!(30))
    );
    assert_eq!(balance(&ada).await, 120);
    ledger.finish().await;
}

#[tokio::test]
async fn a_repeated_release_gives_the_same_answer() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let (id, other) = (held(&ada, 100).await, held(&ada, 10).await);
    let first = release(&ada, &id, "r").await.expect(200);
    let again = release(&ada, &id, "r").await.expect(200);
    assert_eq!(
        (again.header("idempotent-replayed"), &again.text),
        ("true", &first.text)
    );
    release(&ada, &other, "r")
        .await
        .expect_problem(422, "idempotency_key_reused");
    assert_eq!(balance(&ada).await, 140);
    ledger.finish().await;
}
