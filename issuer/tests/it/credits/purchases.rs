use serde_json::json;

use super::Ledger;

const PACKAGES: &str = "/api/v1/credits/packages";
const PURCHASES: &str = "/api/v1/credits/purchases";

#[tokio::test]
async fn packages_on_offer_are_listed_cheapest_first() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    assert_eq!(ada.get(PACKAGES).await.expect(200).body, json!([]));
    ledger
        .run(sqlx::query(
            "insert into credits.packages (id, name, credits, price_cents, currency, active, created_at, updated_at)
             values ('large', 'Large', 5000, 4500, 'EUR', true, auth.clock(), auth.clock()),
                    ('small', 'Small', 500, 500, 'EUR', true, auth.clock(), auth.clock()),
                    ('old', 'Old', 100, 100, 'EUR', false, auth.clock(), auth.clock())",
        ))
        .await;
    let expected = json!([
        {"id": "small", "name": "Small", "credits": 500, "priceCents": 500, "currency": "EUR", "active": true},
        {"id": "large", "name": "Large", "credits": 5000, "priceCents": 4500, "currency": "EUR", "active": true},
    ]);
    assert_eq!(ada.get(PACKAGES).await.expect(200).body, expected);
    ledger.finish().await;
}

#[tokio::test]
async fn everybody_sees_their_own_purchases() {
    let ledger = Ledger::start().await;
    let (ada, bob) = (ledger.user("ada").await, ledger.user("bob").await);
    ledger
        .run(
            sqlx::query(
                "with offered as (
                   insert into credits.packages (id, name, credits, price_cents, currency, created_at, updated_at)
                   values ('small', 'Small', 500, 500, 'EUR', auth.clock(), auth.clock()) returning id)
                 insert into credits.purchases (account_id, id, package_id, credits, price_cents, currency, created_at)
                 select a.id, 'p1', o.id, 500, 500, 'EUR', auth.clock()
                   from credits.accounts a, offered o where a.user_id = $1",
            )
            .bind(&ada.id),
        )
        .await;
    let expected = json!([{
        "id": "p1", "packageId": "small", "credits": 500, "priceCents": 500, "currency": "EUR",
        "status": "pending", "refundedCents": 0, "creditsTakenBack": 0, "dispute": null, "createdAt": "2026-03-01T12:00:00Z", "paidAt": null,
    }]);
    assert_eq!(ada.get(PURCHASES).await.expect(200).body, expected);
    assert_eq!(bob.get(PURCHASES).await.expect(200).body, json!([]));
    ledger.finish().await;
}
