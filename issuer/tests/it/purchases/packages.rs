use poem::http::Method;
use serde_json::{Value, json};

use super::shop::{CHECKOUT, Shop, order};
use crate::admin::admin;
use crate::support::{Actor, Answer};

const PACKAGES: &str = "/api/v1/admin/packages";
const ON_OFFER: &str = "/api/v1/credits/packages";

async fn put(actor: &Actor<'_>, path: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json")];
    actor
        .call(Method::PUT, path, &headers, Some(body.to_string()))
        .await
}

fn large() -> Value {
    json!({"id": "large", "name": "Large", "credits": 5_000, "priceCents": 4_500, "currency": "EUR"})
}

#[tokio::test]
async fn package_is_made_changed_taken_off_offered_again_and_deleted() {
    let shop = Shop::open().await;
    let (root, ada) = (admin(&shop, "root").await, shop.user("ada").await);
    let made = root.post(PACKAGES, large()).await.expect(201);
    assert_eq!(made.body["package"]["active"], true);
    root.post(PACKAGES, large())
        .await
        .expect_problem(409, "conflict");
    let n_offered = async || {
        ada.get(ON_OFFER)
            .await
            .expect(200)
            .body
            .as_array()
            .map_or(0, Vec::len)
    };
    assert_eq!(n_offered().await, 2);
    let changed = json!({"name": "XL", "credits": 6_000, "priceCents": 5_000, "currency": "USD"});
    let path = format!("{PACKAGES}/large");
    let answer = put(&root, &path, &changed).await.expect(200);
    for member in ["name", "credits", "priceCents", "currency"] {
        assert_eq!(answer.body["package"][member], changed[member]);
    }
    root.post_empty(&format!("{path}/deactivate"))
        .await
        .expect(204);
    assert_eq!(n_offered().await, 1);
    assert_eq!(
        root.get(PACKAGES)
            .await
            .expect(200)
            .body
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    root.post_empty(&format!("{path}/activate"))
        .await
        .expect(204);
    assert_eq!(n_offered().await, 2);
    root.delete(&path).await.expect(204);
    root.delete(&path).await.expect_problem(404, "not_found");
    let kinds: Vec<String> = sqlx::query_scalar(
        "select kind from auth.security_events where kind like 'package%' order by id",
    )
    .fetch_all(&shop.db.owner)
    .await
    .expect("events");
    assert_eq!(
        kinds,
        [
            "package_created",
            "package_updated",
            "package_deactivated",
            "package_activated",
            "package_deleted"
        ]
    );
    shop.finish().await;
}

#[tokio::test]
async fn package_that_somebody_began_to_buy_is_not_deleted() {
    let shop = Shop::open().await;
    let (root, ada) = (admin(&shop, "root").await, shop.user("ada").await);
    ada.post(CHECKOUT, order()).await.expect(200);
    root.delete(&format!("{PACKAGES}/small"))
        .await
        .expect_problem(409, "conflict");
    root.post_empty(&format!("{PACKAGES}/small/deactivate"))
        .await
        .expect(204);
    shop.finish().await;
}

#[tokio::test]
async fn packages_with_something_wrong_are_refused_by_field() {
    let shop = Shop::open().await;
    let root = admin(&shop, "root").await;
    for (member, value) in [
        ("id", json!("")),
        ("id", json!("-x")),
        ("id", json!("a/b")),
        ("id", json!("x".repeat(65))),
        ("name", json!("")),
        ("name", json!(" x")),
        ("name", json!("a\nb")),
        ("name", json!("x".repeat(101))),
        ("credits", json!(0)),
        ("credits", json!(1_000_000_000_001_i64)),
        ("credits", json!(1.5)),
        ("priceCents", json!(0)),
        ("priceCents", json!(100_000_000)),
        ("priceCents", json!("5")),
        ("currency", json!("eur")),
        ("currency", json!("EURO")),
        ("active", json!(true)),
    ] {
        let mut body = large();
        body[member] = value.clone();
        let answer = root.post(PACKAGES, body.clone()).await;
        answer.expect_invalid(&[member]);
        if member != "id" {
            body.as_object_mut().expect("an object").remove("id");
            put(&root, &format!("{PACKAGES}/small"), &body)
                .await
                .expect_invalid(&[member]);
        }
    }
    let fields = json!({"name": "X", "credits": 1, "priceCents": 1, "currency": "EUR"});
    for id in ["none", "%00", "a%20b"] {
        put(&root, &format!("{PACKAGES}/{id}"), &fields)
            .await
            .expect_problem(404, "not_found");
        root.post_empty(&format!("{PACKAGES}/{id}/activate"))
            .await
            .expect_problem(404, "not_found");
    }
    shop.finish().await;
}

#[tokio::test]
async fn only_admins_who_signed_in_lately_change_what_is_sold() {
    let shop = Shop::open().await;
    let (root, ada) = (admin(&shop, "root").await, shop.user("ada").await);
    for actor in [&ada, &shop.anon()] {
        let (status, code) = if actor.id.is_empty() {
            (401, "missing_token")
        } else {
            (403, "forbidden")
        };
        actor.get(PACKAGES).await.expect_problem(status, code);
        actor
            .post(PACKAGES, large())
            .await
            .expect_problem(status, code);
        actor
            .delete(&format!("{PACKAGES}/small"))
            .await
            .expect_problem(status, code);
    }
    shop.pass(time::Duration::minutes(11)).await;
    root.post(PACKAGES, large())
        .await
        .expect_problem(403, "reauthentication_required");
    root.get(PACKAGES).await.expect(200);
    shop.finish().await;
}

#[tokio::test]
async fn operator_offers_examples_only_where_there_is_nothing() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let mut owner = shop.db.owner.acquire().await.expect("a connection");
    let offer = issuer::purchases::operator::offer_examples;
    offer(&shop.app, &mut owner).await.expect("asked");
    assert_eq!(
        ada.get(ON_OFFER)
            .await
            .expect(200)
            .body
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    shop.run(sqlx::query("delete from credits.packages")).await;
    offer(&shop.app, &mut owner).await.expect("offered");
    let offered = ada.get(ON_OFFER).await.expect(200).body;
    assert_eq!(
        offered[0],
        json!({"id": "small", "name": "Small package", "credits": 500, "priceCents": 500, "currency": "EUR", "active": true})
    );
    drop(owner);
    shop.finish().await;
}
