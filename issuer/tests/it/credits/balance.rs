use serde_json::json;
use time::Duration;

use super::Ledger;
use super::ledger::{BALANCE, balance, hold, spend};
use super::statements;

#[tokio::test]
async fn a_new_user_has_the_signup_bonus() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let expected = json!({
        "balance": 150, "freeCreditsRemaining": 150, "held": 0, "totalEarned": 150, "totalSpent": 0,
    });
    assert_eq!(ada.get(BALANCE).await.expect(200).body, expected);
    ledger.finish().await;
}

#[tokio::test]
async fn the_figures_follow_what_is_spent_held_and_bought() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    ledger.add_lot(&ada, "refund", 1000, None).await;
    spend(&ada, 30).await.expect(200);
    hold(&ada, 130).await.expect(201);
    let expected = json!({
        "balance": 990, "freeCreditsRemaining": 0, "held": 130, "totalEarned": 1150, "totalSpent": 30,
    });
    assert_eq!(ada.get(BALANCE).await.expect(200).body, expected);
    ledger.finish().await;
}

#[tokio::test]
async fn daily_credits_fall_due_exactly_24_hours_after_registration() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let just_before = Duration::hours(24) - Duration::microseconds(1);
    let ada = ledger.advance_with(just_before, &ada).await;
    assert_eq!(balance(&ada).await, 150);
    ledger.advance(Duration::microseconds(1)).await;
    assert_eq!(balance(&ada).await, 155);
    assert_eq!(balance(&ada).await, 155);
    ledger.finish().await;
}

#[tokio::test]
async fn the_next_daily_credits_fall_due_24_hours_after_the_last_and_missed_days_are_lost() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let ada = ledger.advance_with(Duration::hours(24 * 9 + 7), &ada).await;
    assert_eq!(balance(&ada).await, 155);
    let ada = ledger
        .advance_with(Duration::hours(24) - Duration::microseconds(1), &ada)
        .await;
    assert_eq!(balance(&ada).await, 155);
    ledger.advance(Duration::microseconds(1)).await;
    assert_eq!(balance(&ada).await, 160);
    ledger.finish().await;
}

#[tokio::test]
async fn daily_credits_are_there_when_they_are_first_spent() {
    let ledger = Ledger::start_with(&[("CREDITS_SIGNUP_BONUS", "0")]).await;
    let ada = ledger.user("ada").await;
    spend(&ada, 5)
        .await
        .expect_problem(402, "insufficient_credits");
    let ada = ledger.advance_with(Duration::hours(24), &ada).await;
    assert_eq!(spend(&ada, 5).await.expect(200).body["balance"], 0);
    ledger.finish().await;
}

#[tokio::test]
async fn lasting_daily_credits_add_up_in_one_lot() {
    let ledger = Ledger::start_with(&[("CREDITS_SIGNUP_BONUS", "0")]).await;
    let mut ada = ledger.user("ada").await;
    for day in 1..=3 {
        ada = ledger.advance_with(Duration::hours(24), &ada).await;
        assert_eq!(balance(&ada).await, 5 * day);
    }
    spend(&ada, 15).await.expect(200);
    let ada = ledger.advance_with(Duration::hours(24), &ada).await;
    assert_eq!(balance(&ada).await, 5);
    assert_eq!(ledger.lots(&ada).await, [("daily".into(), 5, 0)]);
    ledger.finish().await;
}

#[tokio::test]
async fn daily_credits_lapse_when_the_operator_says_so() {
    let variables = [
        ("CREDITS_SIGNUP_BONUS", "0"),
        ("CREDITS_DAILY_FREE_EXPIRES_HOURS", "36"),
    ];
    let ledger = Ledger::start_with(&variables).await;
    let ada = ledger.user("ada").await;
    let ada = ledger.advance_with(Duration::hours(24), &ada).await;
    assert_eq!(balance(&ada).await, 5);
    let ada = ledger.advance_with(Duration::hours(24), &ada).await;
    assert_eq!(balance(&ada).await, 10);
    let ada = ledger
        .advance_with(Duration::hours(12) - Duration::microseconds(1), &ada)
        .await;
    assert_eq!(balance(&ada).await, 10);
    ledger.advance(Duration::microseconds(1)).await;
    let body = ada.get(BALANCE).await.expect(200).body;
    assert_eq!(
        (&body["balance"], &body["totalEarned"], &body["totalSpent"]),
        (&json!(5), &json!(10), &json!(0))
    );
    ledger.finish().await;
}

#[tokio::test]
async fn daily_credits_that_are_off_are_never_added() {
    let ledger = Ledger::start_with(&[("CREDITS_DAILY_FREE", "0")]).await;
    let ada = ledger.user("ada").await;
    let ada = ledger.advance_with(Duration::days(30), &ada).await;
    assert_eq!(balance(&ada).await, 150);
    // Switched on, they are due at once: the last were more than 24 hours ago.
    let on = ledger.second(&[("CREDITS_DAILY_FREE", "7")]).await;
    assert_eq!(balance(&ada.at(&on)).await, 157);
    ledger.finish().await;
}

#[tokio::test]
async fn a_frozen_account_shows_its_balance_and_gets_its_daily_credits_when_it_thaws() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    ledger.freeze(&ada, "dispute:1").await;
    let ada = ledger.advance_with(Duration::hours(30), &ada).await;
    assert_eq!(balance(&ada).await, 150);
    ledger.lift(&ada, "dispute:1").await;
    assert_eq!(balance(&ada).await, 155);
    ledger.finish().await;
}

#[tokio::test]
async fn an_account_that_is_full_gets_only_what_fits() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    fill(&ledger, MOST - 150 - 2).await;
    let ada = ledger.advance_with(Duration::hours(24), &ada).await;
    assert_eq!(balance(&ada).await, MOST);
    let error = sqlx::query(
        "select credits.add_credit_grant(id, 'gift', 'gift', 'promotion', 1, null, null, 'k', auth.clock())
           from credits.accounts",
    )
    .execute(&ledger.db.owner)
    .await
    .expect_err("refused");
    let constraint = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::constraint);
    assert_eq!(constraint, Some("entries_balance_limit"));
    let ada = ledger.advance_with(Duration::hours(24), &ada).await;
    assert_eq!(spend(&ada, 1).await.expect(200).body["balance"], MOST - 1);
    ledger.finish().await;
}

/// 2^53 - 1.
const MOST: i64 = 9_007_199_254_740_991;

/// Adjusts the signup lot upwards, in as many entries as it takes.
async fn fill(ledger: &Ledger, credits: i64) {
    const LARGEST: i64 = 1_000_000_000_000;
    const AT_ONCE: i64 = 900;
    let mut left = credits;
    while left > 0 {
        let n = (left / LARGEST).clamp(1, AT_ONCE);
        let amount = left.min(LARGEST);
        ledger
            .run(
                sqlx::query(
                    "insert into credits.entries (account_id, seq, kind, amount, system_account, system_delta,
                       credit_grant_ids, deltas, created_at)
                     select id, credits.next_seq(id), 'adjustment', $1, 'adjustment', -$1, '{1}', array[$1], auth.clock()
                       from credits.accounts, generate_series(1, $2)",
                )
                .bind(amount)
                .bind(n),
            )
            .await;
        left -= n * amount;
    }
}

#[tokio::test]
async fn balance_and_use_are_one_statement_each() {
    // Two connections that are open before statements are counted: opening one sends some too.
    let ledger = Ledger::start_with(&[("DATABASE_MAX_CONNECTIONS", "2")]).await;
    let ada = ledger.user("ada").await;
    let open = (ledger.app.db.acquire().await, ledger.app.db.acquire().await);
    drop(open);
    let counter = statements::count();
    balance(&ada).await;
    assert_eq!(counter.take(), 1);
    spend(&ada, 1).await.expect(200);
    assert_eq!(counter.take(), 1);
    spend(&ada, 1000).await.expect(402);
    assert_eq!(counter.take(), 1);
    drop(counter);
    ledger.finish().await;
}
