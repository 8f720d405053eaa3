use serde_json::json;

use super::shop::{CHECKOUT, Stripe, offer, order};
use crate::support::{Actor, MailApp};

async fn open(stripe: &Stripe) -> MailApp {
    let app = MailApp::start_with(&stripe.variables()).await;
    offer(&app).await;
    app
}

async fn buy(stripe: &Stripe, app: &MailApp, user: &Actor<'_>) -> (String, String) {
    let begun = user.post(CHECKOUT, order()).await.expect(200);
    let session = begun
        .string("url")
        .rsplit('/')
        .next()
        .expect("a path")
        .to_owned();
    let payment = {
        let (mut stand_in, now) = stripe.now();
        assert!(stand_in.pay(&session, now));
        stand_in.payment_of(&session).expect("paid")
    };
    stripe.deliver(app).await;
    (payment, begun.string("purchaseId"))
}

#[tokio::test]
async fn buyer_gets_one_receipt_with_what_was_bought() {
    let stripe = Stripe::start();
    let app = open(&stripe).await;
    let ada = app.user("ada").await;
    app.deliver().await;
    let (_, purchase) = buy(&stripe, &app, &ada).await;
    let mail = app.one().await;
    assert_eq!(mail.to, "ada@example.com");
    assert_eq!(mail.header("Subject"), "Thank you for your purchase");
    for line in ["Package: Small", "Credits: 500", "Amount: 5.00 EUR"] {
        assert!(mail.text.contains(line), "{line}: {}", mail.text);
    }
    assert!(mail.text.contains(&purchase) && mail.html.contains(&purchase));
    assert!(!mail.text.contains("pi_") && !mail.text.contains("cs_"));
    // All of it reported once more is no reason to write again.
    let ids: Vec<String> = {
        let (stand_in, _) = stripe.now();
        stand_in
            .events()
            .map(|event| event["id"].as_str().expect("an id").to_owned())
            .collect()
    };
    for id in ids {
        let (mut stand_in, now) = stripe.now();
        stand_in.resend(&id, now);
    }
    stripe.deliver(&app).await;
    assert!(app.deliver().await.is_empty());
}

#[tokio::test]
async fn refunds_and_disputes_are_told_each_once_in_the_language_of_the_user() {
    let stripe = Stripe::start();
    let app = open(&stripe).await;
    let ada = app.user("ada").await;
    ada.patch("/api/v1/auth/me", json!({"locale": "de"}))
        .await
        .expect(200);
    app.deliver().await;
    let (payment, _) = buy(&stripe, &app, &ada).await;
    app.one().await;
    {
        let (mut stand_in, now) = stripe.now();
        stand_in.refund(&payment, Some(125), now).expect("refunded");
    }
    stripe.deliver(&app).await;
    let refunded = app.one().await;
    assert!(
        refunded.text.contains("Betrag: 1,25 EUR"),
        "{}",
        refunded.text
    );
    assert!(refunded.text.contains("Credits: 125"), "{}", refunded.text);
    {
        let (mut stand_in, now) = stripe.now();
        assert!(stand_in.dispute(&payment, now));
    }
    stripe.deliver(&app).await;
    let opened = app.one().await;
    assert!(
        opened
            .text
            .contains("Eine deiner Zahlungen wird angefochten"),
        "{}",
        opened.text
    );
    {
        let (mut stand_in, now) = stripe.now();
        assert!(stand_in.end_dispute(&payment, false, now));
    }
    stripe.deliver(&app).await;
    let lost = app.one().await;
    assert!(lost.text.contains("zurückgeholt"), "{}", lost.text);
}

#[tokio::test]
async fn dispute_that_is_won_is_told_too() {
    let stripe = Stripe::start();
    let app = open(&stripe).await;
    let ada = app.user("ada").await;
    app.deliver().await;
    let (payment, _) = buy(&stripe, &app, &ada).await;
    {
        let (mut stand_in, now) = stripe.now();
        assert!(stand_in.dispute(&payment, now));
    }
    stripe.deliver(&app).await;
    {
        let (mut stand_in, now) = stripe.now();
        assert!(stand_in.end_dispute(&payment, true, now));
    }
    stripe.deliver(&app).await;
    let subjects: Vec<String> = app
        .deliver()
        .await
        .iter()
        .map(|mail| mail.header("Subject"))
        .collect();
    assert_eq!(subjects.len(), 3, "{subjects:?}");
    assert!(
        subjects.iter().any(|subject| subject.contains("settled")),
        "{subjects:?}"
    );
}
