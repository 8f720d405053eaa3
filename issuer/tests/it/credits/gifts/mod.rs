//! Gifts over HTTP.

mod addressed;
mod create;
mod ending;
mod list;
mod lots;
mod redeem;

use serde_json::{Value, json};
use time::Duration;

use super::Ledger;
use super::ledger::buy;
use crate::support::{Actor, Answer};

pub const GIFTS: &str = "/api/v1/credits/gifts";
pub const REDEEM: &str = "/api/v1/credits/gifts/redeem";

/// Long enough for what was bought to be given.
pub const WEEK: Duration = Duration::days(7);

/// An issuer without free credits, and somebody who bought 200 a week ago.
pub async fn giver(ledger: &Ledger) -> Actor<'_> {
    let ada = ledger.user("ada").await;
    buy(ledger, &ada, "p1", 200, None).await;
    ledger.advance_with(WEEK, &ada).await
}

/// Without signup bonus and daily credits.
pub async fn without_free() -> Ledger {
    Ledger::start_with(&[("CREDITS_SIGNUP_BONUS", "0"), ("CREDITS_DAILY_FREE", "0")]).await
}

/// Gives, with more members in the body.
pub async fn give(user: &Actor<'_>, amount: i64, more: Value) -> Answer {
    let mut body = json!({ "amount": amount });
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    user.post(GIFTS, body).await
}

/// Gives without an address; answers id and code.
pub async fn given(user: &Actor<'_>, amount: i64) -> (String, String) {
    let answer = give(user, amount, json!({})).await.expect(201);
    let id = answer.body["gift"]["id"].as_str().expect("an id");
    (id.to_owned(), answer.string("code"))
}

/// Redeems.
pub async fn redeem(user: &Actor<'_>, code: &str) -> Answer {
    user.post(REDEEM, json!({ "code": code })).await
}

/// Takes back.
pub async fn cancel(user: &Actor<'_>, id: &str) -> Answer {
    user.post_empty(&format!("{GIFTS}/{id}/cancel")).await
}
