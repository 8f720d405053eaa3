//! What the owner of the tables changes by force is found.

use serde_json::json;
use sqlx::{Connection, Executor};
use time::Duration;

use super::Ledger;
use super::ledger::{buy, capture, held, spend, spend_once};
use crate::support::Actor;

/// Each is done with triggers and foreign keys switched off, and undone.
const CORRUPTIONS: &[(&str, &str)] = &[
    ("lot_differs", "update credits.credit_grants set remaining = remaining + 1 where id = 1"),
    ("lot_differs", "delete from credits.credit_grants where id = 2"),
    ("lot_differs", "insert into credits.credit_grants (account_id, id, kind, burn_rank, remaining, created_at)
                     select id, 99, 'gift', 3, 5, auth.clock() from credits.accounts"),
    ("held_differs", "update credits.holds set reserved = '{12}', captured = captured - 2 where status = 'open'"),
    ("held_differs", "delete from credits.holds where status = 'open'"),
    ("entry_missing", "delete from credits.entries where seq = 2"),
    ("entry_missing", "delete from credits.entries where seq = (select max(seq) from credits.entries)"),
    ("entry_missing", "update credits.accounts set seq = seq + 1"),
    ("entry_missing", "update credits.entries set seq = 50 where seq = 2"),
    ("entry_unbalanced", "update credits.entries set system_delta = system_delta + 1 where seq = 2"),
    ("entry_unbalanced", "update credits.entries set deltas = '{-11}' where seq = 2"),
    ("entry_malformed", "update credits.entries set amount = 11 where seq = 2"),
    ("entry_malformed", "update credits.entries set status = 'declined' where seq = 2"),
    ("total_differs", "update credits.entries set balance_after = balance_after + 1 where seq = 2"),
    ("total_differs", "update credits.entries set spent_after = 0 where seq = 2"),
    ("total_differs", "update credits.entries set earned_after = 0 where seq = 2"),
    ("total_differs", "update credits.entries set debt_after = 1 where seq = 2"),
    ("hold_differs", "update credits.holds set captured = captured + 1, amount = amount + 1 where status = 'captured'"),
    ("hold_differs", "update credits.holds set status = 'released' where status = 'captured'"),
    ("key_repeated", "update credits.entries set idempotency_key = 'k1', key_scope = (select key_scope from credits.entries where seq = 3),
                             fingerprint = sha256('') where seq = 2"),
    ("count_differs", "update credits.accounts set n_open_holds = n_open_holds + 1"),
    ("count_differs", "update credits.accounts set n_freezes = 1"),
    ("count_differs", "insert into credits.freezes select id, 'f', 'admin', auth.clock(), null from credits.accounts"),
    ("lapse_missed", "update credits.accounts set lapse_due_at = 'infinity'"),
    ("count_differs", "update credits.accounts set n_spend_limits = n_spend_limits + 1"),
    ("count_differs", "delete from credits.spend_limits"),
    ("refund_exceeds_charge", "update credits.entries set amount = 12, system_delta = -12, deltas = '{12}' where refunds_seq = 2"),
    ("refund_exceeds_charge", "update credits.entries set refunds_seq = 1 where refunds_seq = 2"),
    ("escrow_differs", "delete from credits.gifts where status = 'waiting'"),
    ("escrow_differs", "update credits.gifts set status = 'expired', ended_at = created_at where status = 'waiting'"),
    ("escrow_differs", "update credits.gifts set amount = amount + 1, amounts = '{11}' where status = 'waiting'"),
    ("escrow_differs", "update credits.entries set gift_id = 'another' where gift_id is not null and system_delta > 0"),
    ("gift_differs", "update credits.gifts set status = 'cancelled', receiver_account_id = null where status = 'redeemed'"),
    ("gift_differs", "update credits.gifts set receiver_account_id = giver_account_id where status = 'redeemed'"),
    ("gift_differs", "update credits.gifts set made_seq = 1 where status = 'waiting'"),
    ("gift_lots_differ", "update credits.credit_grants set purchase_id = null, purchase_account_id = null where gift_id is not null"),
    ("gift_lots_differ", "update credits.credit_grants set expires_at = 'infinity' where gift_id is not null"),
    ("gift_lots_differ", "update credits.gifts set credit_grant_ids = '{1}' where status = 'redeemed'"),
    ("usage_differs", "update credits.usage_hours set spent = spent + 1"),
    ("usage_differs", "update credits.usage_hours set refunded = refunded + 1"),
    ("usage_differs", "update credits.usage_hours set n_charges = n_charges + 1"),
    ("usage_differs", "delete from credits.usage_hours"),
    ("usage_differs", "update credits.usage_progress set seq = 1"),
    ("usage_ahead", "update credits.usage_progress set seq = 1000"),
    ("counter_differs", "update credits.spend_counters set spent = spent - 1"),
    ("lot_negative", "update credits.entries set deltas = '{-1000}', system_delta = 1000, amount = 1000 where seq = 2"),
];

const FORCE: &str = "
set local session_replication_role = replica;
alter table credits.entries drop constraint entries_rules;
alter table credits.holds drop constraint holds_rules;
alter table credits.credit_grants drop constraint credit_grants_rules;
drop index credits.entries_account_idempotency_key;
alter table credits.gifts drop constraint gifts_redeemed_by_somebody, drop constraint gifts_not_to_oneself;
";

#[tokio::test]
async fn every_seeded_corruption_is_found() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    spend(&ada, 10).await.expect(200); // entry 2
    spend_once(&ada, 10, "k1").await.expect(200); // entry 3
    let headers = [("content-type", "application/json")];
    let limit = Some(json!({"day": 1000}).to_string());
    let path = "/api/v1/credits/spend-limits/test";
    let put = ada.call(poem::http::Method::PUT, path, &headers, limit);
    put.await.expect(200);
    spend(&ada, 1).await.expect(200);
    refund_first_charge(&ledger, &ada).await;
    // Two gifts: one that waits, one that was redeemed.
    buy(&ledger, &ada, "p1", 20, Some(Duration::days(30))).await;
    let ada = ledger.advance_with(Duration::days(7), &ada).await;
    // What is daily goes first, so that what follows comes from one lot.
    spend(&ada, 5).await.expect(200);
    ledger
        .add_lot(&ada, "gift", 50, Some(Duration::days(1)))
        .await;
    let id = held(&ada, 20).await;
    capture(&ada, &id, "c1", json!({})).await.expect(200);
    let id = held(&ada, 20).await;
    capture(&ada, &id, "c2", json!({"amount": 10}))
        .await
        .expect(200);
    let bob = ledger.user("bob").await;
    for redeemed in [true, false] {
        let gift = ada.post("/api/v1/credits/gifts", json!({"amount": 10}));
        let code = json!({"code": gift.await.expect(201).string("code")});
        if redeemed {
            let taken = bob.post("/api/v1/credits/gifts/redeem", code).await;
            taken.expect(200);
        }
    }
    issuer::credits::roll_up_usage(&ledger.app)
        .await
        .expect("summed up");
    drop((ada, bob));

    let mut owner = ledger.db.owner.acquire().await.expect("a connection");
    for (problem, corruption) in CORRUPTIONS {
        let mut tx = owner.begin().await.expect("begun");
        tx.execute(FORCE).await.expect("by force");
        tx.execute(*corruption).await.expect(corruption);
        let found: Vec<String> =
            sqlx::query_scalar("select distinct problem from credits.reconcile()")
                .fetch_all(&mut *tx)
                .await
                .expect("reconciled");
        assert!(
            found.iter().any(|found| found == problem),
            "{corruption}: {found:?}"
        );
        tx.rollback().await.expect("rolled back");
    }
    drop(owner);
    ledger.finish().await;
}

/// Gives back the charge of entry 2.
async fn refund_first_charge(ledger: &Ledger, user: &Actor<'_>) {
    let admin = ledger.admin("root").await;
    let account: i64 = sqlx::query_scalar("select id from credits.accounts where user_id = $1")
        .bind(&user.id)
        .fetch_one(&ledger.db.owner)
        .await
        .expect("an account");
    let body = json!({"transactionId": format!("{account:016x}-2"), "reason": "r"});
    let path = format!("/api/v1/admin/users/{}/credits/refund", user.id);
    admin.post(&path, body).await.expect(200);
}
