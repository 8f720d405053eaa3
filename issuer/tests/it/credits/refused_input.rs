//! What is refused before anything is written.

use poem::http::Method;
use serde_json::json;

use super::Ledger;
use super::ledger::{HOLDS, USE, balance, capture, held};
use crate::support::Actor;

const JSON: (&str, &str) = ("content-type", "application/json");

async fn post(user: &Actor<'_>, path: &str, body: &str) -> crate::support::Answer {
    user.call(Method::POST, path, &[JSON], Some(body.to_owned()))
        .await
}

#[tokio::test]
async fn amounts_that_are_not_whole_numbers_in_range_are_422() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let (before, id) = (ledger.n_entries().await, held(&ada, 10).await);
    let amounts = [
        "0",
        "-1",
        "1.5",
        "9223372036854775808",
        "18446744073709551616",
        "\"5\"",
        "1e2",
        "true",
        "[]",
        "{}",
        "1000000000001",
        "-9223372036854775808",
    ];
    for amount in amounts {
        let spending = format!(r#"{{"amount":{amount},"appId":"a","description":"d"}}"#);
        for path in [USE, HOLDS] {
            post(&ada, path, &spending)
                .await
                .expect_invalid(&["amount"]);
        }
        let capture = format!(r#"{{"amount":{amount},"idempotencyKey":"k"}}"#);
        post(&ada, &format!("{HOLDS}/{id}/capture"), &capture)
            .await
            .expect_invalid(&["amount"]);
    }
    assert_eq!(ledger.n_entries().await, before + 1);
    assert_eq!(balance(&ada).await, 140);
    ledger.finish().await;
}

#[tokio::test]
async fn fields_that_are_missing_unknown_or_out_of_form_are_named() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let before = ledger.n_entries().await;
    let long = "x".repeat(501);
    for (body, fields) in [
        (json!({}), vec!["amount", "appId", "description"]),
        (
            json!({"amount": 1, "appId": "a", "description": "d", "user": "bob"}),
            vec!["user"],
        ),
        (
            json!({"amount": 1, "appId": "", "description": "d"}),
            vec!["appId"],
        ),
        (
            json!({"amount": 1, "appId": "a b", "description": "d"}),
            vec!["appId"],
        ),
        (
            json!({"amount": 1, "appId": "ä", "description": "d"}),
            vec!["appId"],
        ),
        (
            json!({"amount": 1, "appId": "a".repeat(65), "description": "d"}),
            vec!["appId"],
        ),
        (
            json!({"amount": 1, "appId": 7, "description": "d"}),
            vec!["appId"],
        ),
        (
            json!({"amount": 1, "appId": "a", "description": ""}),
            vec!["description"],
        ),
        (
            json!({"amount": 1, "appId": "a", "description": long}),
            vec!["description"],
        ),
        (
            json!({"amount": 1, "appId": "a", "description": "a\u{0}b"}),
            vec!["description"],
        ),
        (
            json!({"amount": 1, "appId": "a", "description": "d", "idempotencyKey": 5}),
            vec!["idempotencyKey"],
        ),
    ] {
        ada.post(USE, body).await.expect_invalid(&fields);
    }
    for (field, value) in [
        ("expiresInSeconds", 0),
        ("expiresInSeconds", 3601),
        ("final", 1),
    ] {
        let body = json!({"amount": 1, "appId": "a", field: value});
        ada.post(HOLDS, body).await.expect_invalid(&[field]);
    }
    assert_eq!(ledger.n_entries().await, before);
    ledger.finish().await;
}

#[tokio::test]
async fn metadata_too_deep_too_large_or_out_of_range_is_422() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let before = ledger.n_entries().await;
    let deep = format!("{}1{}", r#"{"a":"#.repeat(9), "}".repeat(9));
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(4096));
    for metadata in [
        deep.as_str(),
        &large,
        r#"{"a":9007199254740992}"#,
        r#"{"a":1e300}"#,
        r#"{"a":1e-300}"#,
        "[1]",
        "7",
        r#""text""#,
    ] {
        let body = format!(r#"{{"amount":1,"appId":"a","description":"d","metadata":{metadata}}}"#);
        post(&ada, USE, &body).await.expect_invalid(&["metadata"]);
    }
    let nul = r#"{"amount":1,"appId":"a","description":"d","metadata":{"a":{"b":["\u0000"]}}}"#;
    post(&ada, USE, nul)
        .await
        .expect_invalid(&["metadata.a.b[0]"]);
    let nul = r#"{"amount":1,"appId":"a","description":"d","metadata":{"a\u0000":1}}"#;
    post(&ada, USE, nul)
        .await
        .expect_problem(422, "validation_failed");
    let too_deep_for_anyone = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let body =
        format!(r#"{{"amount":1,"appId":"a","description":"d","metadata":{too_deep_for_anyone}}}"#);
    post(&ada, USE, &body)
        .await
        .expect_problem(400, "malformed_json");
    let body = json!({"amount": 1, "appId": "a", "description": "d", "metadata": {"a": "x".repeat(70_000)}});
    ada.post(USE, body)
        .await
        .expect_problem(413, "payload_too_large");
    assert_eq!(ledger.n_entries().await, before);
    ledger.finish().await;
}

#[tokio::test]
async fn metadata_at_the_limits_comes_back_as_it_was_sent() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    for metadata in [
        json!({}),
        json!({"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}}),
        json!({"max": 9_007_199_254_740_991_i64, "min": -9_007_199_254_740_991_i64, "half": 0.5, "sum": 0.300_000_000_000_000_04, "long": 1_234_567.890_123_456_7, "tiny": 1e-12, "zero": 0}),
        json!({"text": "\u{1f600} \u{7f} \\ \" \n", "none": null, "yes": true}),
        json!({"a": "x".repeat(4096 - 8)}),
    ] {
        let body = json!({"amount": 1, "appId": "a", "description": "d", "metadata": metadata});
        let answer = ada.post(USE, body).await.expect(200);
        assert_eq!(answer.body["transaction"]["metadata"], metadata);
    }
    ledger.finish().await;
}

#[tokio::test]
async fn keys_of_another_form_are_422() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let before = ledger.n_entries().await;
    let long = "k".repeat(256);
    for key in ["", long.as_str(), "a b", "k\u{e9}y", "tab\t", "\u{7f}"] {
        let body = json!({"amount": 1, "appId": "a", "description": "d", "idempotencyKey": key});
        ada.post(USE, body)
            .await
            .expect_invalid(&["idempotencyKey"]);
    }
    let body = json!({"amount": 1, "appId": "a", "description": "d"}).to_string();
    let with_header = async |value: &str, body: &str| {
        ada.call(
            Method::POST,
            USE,
            &[JSON, ("idempotency-key", value)],
            Some(body.to_owned()),
        )
        .await
    };
    for key in [long.as_str(), "a b"] {
        with_header(key, &body)
            .await
            .expect_invalid(&["idempotencyKey"]);
    }
    with_header("k\u{e9}y", &body)
        .await
        .expect_problem(422, "validation_failed");
    let field =
        json!({"amount": 1, "appId": "a", "description": "d", "idempotencyKey": "one"}).to_string();
    with_header("other", &field)
        .await
        .expect_invalid(&["idempotencyKey"]);
    assert_eq!(ledger.n_entries().await, before);
    with_header(&"k".repeat(255), &body).await.expect(200);
    ledger.finish().await;
}

#[tokio::test]
async fn capture_and_release_need_a_key() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let id = held(&ada, 10).await;
    for operation in ["capture", "release"] {
        let path = format!("{HOLDS}/{id}/{operation}");
        ada.post(&path, json!({}))
            .await
            .expect_invalid(&["idempotencyKey"]);
        ada.post_empty(&path)
            .await
            .expect_invalid(&["idempotencyKey"]);
    }
    capture(&ada, &id, "k", json!({})).await.expect(200);
    ledger.finish().await;
}
