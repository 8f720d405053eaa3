//! What the tables refuse from anyone, their owner included: each case is a good entry with one
//! thing wrong, and the constraint that says so.

use serde_json::{Value, json};
use sqlx::error::DatabaseError;
use sqlx::{Connection, Executor, PgConnection};

use super::Ledger;
use super::ledger::{held, spend};

/// Appends an entry as the ledger would, with some columns changed, and takes it back.
async fn append(owner: &mut PgConnection, changes: &Value) -> Result<(), String> {
    let mut tx = owner.begin().await.expect("begun");
    let mut entry = json!({
        "kind": "usage", "status": "posted", "amount": 10, "system_account": "usage", "system_delta": 10,
        "credit_grant_ids": [1], "deltas": [-10], "held_deltas": [], "debt_delta": 0,
        "balance_after": 0, "earned_after": 0, "spent_after": 0, "debt_after": 0,
        "app_id": "a", "description": "d", "created_at": "2026-03-01T12:00:00Z",
    });
    for (name, value) in changes.as_object().expect("an object") {
        entry[name] = value.clone();
    }
    let result = sqlx::query(
        "with account as (update credits.accounts set seq = seq + 1 returning id, seq)
         insert into credits.entries
         select (jsonb_populate_record(null::credits.entries,
                   jsonb_build_object('account_id', id, 'seq', seq) || $1)).* from account",
    )
    .bind(entry)
    .execute(&mut *tx)
    .await;
    tx.rollback().await.expect("rolled back");
    result.map(drop).map_err(|error| {
        let error = error.as_database_error().expect("refused by the server");
        error.constraint().unwrap_or(error.message()).to_owned()
    })
}

async fn scene() -> (Ledger, PgConnection) {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    spend(&ada, 10).await.expect(200);
    held(&ada, 20).await;
    drop(ada);
    let owner = ledger
        .db
        .owner
        .acquire()
        .await
        .expect("a connection")
        .detach();
    (ledger, owner)
}

#[tokio::test]
async fn entries_of_every_kind_that_are_right_are_accepted() {
    let (ledger, mut owner) = scene().await;
    let system = |kind: &str, account: &str, amount: i64, delta: i64| json!({"kind": kind, "system_account": account, "amount": amount, "system_delta": -delta, "deltas": [delta]});
    let mut claw_back = system("refund", "claw_back", 200, -130);
    claw_back["purchase_id"] = json!("p");
    claw_back["debt_delta"] = json!(70);
    let mut usage_refund = system("refund", "usage", 5, 5);
    usage_refund["refunds_seq"] = json!(2);
    let mut purchase = system("purchase", "sales", 10, 10);
    purchase["purchase_id"] = json!("p");
    for good in [
        json!({}),
        system("bonus", "promotion", 10, 10),
        system("daily", "promotion", 10, 10),
        system("expiry", "breakage", 10, -10),
        system("gift", "gift_escrow", 10, -10),
        system("gift", "gift_escrow", 10, 10),
        system("gift", "promotion", 10, 10),
        system("adjustment", "adjustment", 10, -10),
        system("adjustment", "adjustment", 10, 10),
        purchase,
        usage_refund,
    ] {
        assert_eq!(append(&mut owner, &good).await, Ok(()), "{good}");
    }
    // 120 of the lot are free; the rest of a claw-back becomes a debt.
    claw_back["deltas"] = json!([-120]);
    claw_back["system_delta"] = json!(120);
    claw_back["debt_delta"] = json!(80);
    assert_eq!(append(&mut owner, &claw_back).await, Ok(()));
    ledger.finish().await;
}

#[tokio::test]
async fn entries_with_one_thing_wrong_are_refused_by_name() {
    let (ledger, mut owner) = scene().await;
    let cases = [
        // Legs that do not balance, or have the wrong sign for their kind.
        (json!({"deltas": [-9]}), "entries_legs_balanced"),
        (
            json!({"amount": 9, "system_delta": 9}),
            "entries_legs_balanced",
        ),
        (
            json!({"credit_grant_ids": [1, 1], "deltas": [-10, -10]}),
            "entries_legs_balanced",
        ),
        (json!({"deltas": [null]}), "entries_legs_balanced"),
        (
            json!({"deltas": [], "credit_grant_ids": []}),
            "entries_legs_balanced",
        ),
        (json!({"credit_grant_ids": [1, 1]}), "entries_legs_whole"),
        (
            json!({"deltas": [10], "system_delta": -10}),
            "entries_legs_fit_kind",
        ),
        (json!({"kind": "bonus"}), "entries_legs_fit_kind"),
        (
            json!({"kind": "daily", "system_account": "promotion"}),
            "entries_legs_fit_kind",
        ),
        (json!({"kind": "expiry"}), "entries_legs_fit_kind"),
        (
            json!({"kind": "purchase", "system_account": "sales", "deltas": [10], "system_delta": -10}),
            "entries_legs_fit_kind",
        ),
        (
            json!({"kind": "refund", "deltas": [10], "system_delta": -10}),
            "entries_legs_fit_kind",
        ),
        (
            json!({"kind": "refund", "system_account": "claw_back"}),
            "entries_legs_fit_kind",
        ),
        (
            json!({"kind": "gift", "system_account": "promotion"}),
            "entries_legs_fit_kind",
        ),
        (json!({"system_account": "sales"}), "entries_legs_fit_kind"),
        (json!({"system_account": null}), "entries_legs_fit_kind"),
        (json!({"held_deltas": [-10]}), "entries_legs_fit_kind"),
        (
            json!({"kind": "hold", "system_account": null, "system_delta": 0, "deltas": [], "held_deltas": [10]}),
            "entries_legs_fit_kind",
        ),
        (json!({"status": "declined"}), "entries_legs_fit_kind"),
        (
            json!({"status": "declined", "system_account": null, "system_delta": 0, "deltas": [], "credit_grant_ids": []}),
            "entries_legs_fit_kind",
        ),
        // An amount that is not what moved.
        (json!({"amount": 9}), "entries_amount_fits_legs"),
        (json!({"debt_delta": 5}), "entries_amount_fits_legs"),
        (
            json!({"amount": 0, "system_delta": 0, "deltas": [0]}),
            "entries_amount_range",
        ),
        (json!({"amount": -10}), "entries_amount_range"),
        (
            json!({"kind": "adjustment", "system_account": "adjustment", "amount": 1_000_000_000_001_i64,
                "system_delta": -1_000_000_000_001_i64, "deltas": [1_000_000_000_001_i64]}),
            "entries_amount_range",
        ),
        // Lots.
        (
            json!({"amount": 121, "system_delta": 121, "deltas": [-121]}),
            "credit_grants_held_covered",
        ),
        (
            json!({"credit_grant_ids": [2]}),
            "entries_credit_grants_exist",
        ),
        // Totals.
        (json!({"available_after": 141}), "entries_available_range"),
        // Place.
        (json!({"seq": 2}), "entries_next_only"),
        (json!({"seq": 5}), "entries_next_only"),
        (json!({"account_id": 1}), "entries_next_only"),
        // Keys.
        (json!({"idempotency_key": "k"}), "entries_key_whole"),
        (
            json!({"key_scope": "user:a", "idempotency_key": "k"}),
            "entries_key_whole",
        ),
        (
            json!({"key_scope": "user:a", "idempotency_key": "", "fingerprint": format!("\\x{}", "00".repeat(32))}),
            "entries_key_whole",
        ),
        (
            json!({"key_scope": "user:a", "idempotency_key": "k", "fingerprint": "\\x00"}),
            "entries_key_whole",
        ),
        (
            json!({"key_scope": "system", "idempotency_key": "k"}),
            "entries_key_scope_known",
        ),
        (
            json!({"key_scope": "system", "idempotency_key": "signup", "kind": "adjustment", "system_account": "adjustment"}),
            "entries_account_idempotency_key",
        ),
        // Texts and states.
        (json!({"status": "maybe"}), "entries_status_known"),
        (json!({"hold_status": "open"}), "entries_hold_whole"),
        (json!({"app_id": ""}), "entries_texts_fit"),
        (json!({"description": "x".repeat(501)}), "entries_texts_fit"),
        (json!({"metadata": [1]}), "entries_texts_fit"),
        (json!({"kind": "theft"}), "entries_legs_fit_kind"),
    ];
    let mut wrong = Vec::new();
    for (changes, constraint) in cases {
        let found = append(&mut owner, &changes).await;
        if found != Err(constraint.into()) {
            wrong.push((changes, constraint, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    ledger.finish().await;
}

#[tokio::test]
async fn even_the_owner_cannot_change_the_past() {
    let (ledger, mut owner) = scene().await;
    for sql in [
        "update credits.entries set amount = 1",
        "delete from credits.entries",
        "truncate credits.entries cascade",
        "update credits.credit_grants set remaining = 1000000",
        "update credits.credit_grants set expires_at = null",
        "delete from credits.credit_grants",
        "truncate credits.credit_grants cascade",
        "insert into credits.credit_grants (account_id, id, kind, burn_rank, remaining, created_at)
         select id, 9, 'gift', 3, 100, auth.clock() from credits.accounts",
        "delete from credits.accounts",
        "truncate credits.accounts cascade",
        "delete from credits.holds",
        "truncate credits.holds cascade",
        "update credits.signup_bonus_claims set claimed_at = auth.clock()",
        "delete from credits.signup_bonus_claims",
    ] {
        let error = owner.execute(sql).await.expect_err(sql);
        let code = error
            .as_database_error()
            .and_then(DatabaseError::code)
            .map(std::borrow::Cow::into_owned);
        assert_eq!(code.as_deref(), Some("23001"), "{sql}: {error}");
    }
    ledger.finish().await;
}

#[tokio::test]
async fn a_debt_is_repaid_from_whatever_is_added_next() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    // 150 taken back of a purchase, 60 of which are already spent.
    spend(&ada, 60).await.expect(200);
    ledger
        .run(sqlx::query(
            "with account as (update credits.accounts set seq = seq + 1 returning id, seq)
             insert into credits.entries (account_id, seq, kind, amount, system_account, system_delta,
               credit_grant_ids, deltas, debt_delta, purchase_id, created_at)
             select id, seq, 'refund', 150, 'claw_back', 90, '{1}', '{-90}', 60, 'p', auth.clock() from account",
        ))
        .await;
    assert_eq!(super::ledger::balance(&ada).await, 0);
    ledger.add_lot(&ada, "gift", 40, None).await;
    assert_eq!(super::ledger::balance(&ada).await, 0);
    ledger.add_lot(&ada, "gift", 40, None).await;
    assert_eq!(super::ledger::balance(&ada).await, 20);
    let debt: i64 = ledger
        .db
        .value("select debt_after from credits.entries order by seq desc limit 1")
        .await;
    assert_eq!(debt, 0);
    ledger.finish().await;
}

#[tokio::test]
async fn an_account_has_a_thousand_open_lots_at_most() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    ledger
        .run(sqlx::query(
            "select credits.add_credit_grant(id, 'gift', 'gift', 'promotion', 1, null, null, 'g' || i, auth.clock())
               from credits.accounts, generate_series(1, 999) i",
        ))
        .await;
    let error = sqlx::query(
        "select credits.add_credit_grant(id, 'gift', 'gift', 'promotion', 1, null, null, 'last', auth.clock()) from credits.accounts",
    )
    .execute(&ledger.db.owner)
    .await
    .expect_err("refused");
    assert_eq!(
        error
            .as_database_error()
            .and_then(DatabaseError::constraint),
        Some("credit_grants_open_limit")
    );
    // One charge may still be taken from all of them.
    assert_eq!(spend(&ada, 1149).await.expect(200).body["balance"], 0);
    ledger.finish().await;
}
