//! What the issuer's own role cannot do: a defect in our SQL, or a stolen database password,
//! stays inside these bounds.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::Ledger;
use super::ledger::{held, spend};
use crate::support::Actor;

const USER_TABLES: [&str; 11] = [
    "accounts",
    "credit_grants",
    "holds",
    "entries",
    "purchases",
    "freezes",
    "spend_limits",
    "spend_counters",
    "gifts",
    "usage_hours",
    "usage_progress",
];
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// A user with an entry, a lot and a hold, and a connection with the issuer's rights.
async fn scene(ledger: &Ledger) -> (Actor<'_>, PgConnection) {
    let ada = ledger.user("ada").await;
    spend(&ada, 10).await.expect(200);
    held(&ada, 10).await;
    (ada, ledger.db.as_issuer().await)
}

async fn refused(issuer: &mut PgConnection, sql: &str) -> String {
    let error = issuer
        .execute(AssertSqlSafe(sql.to_owned()))
        .await
        .expect_err(sql);
    let error = error.as_database_error().expect("refused by the server");
    error.code().expect("with a code").into_owned()
}

/// Acts as the user whose row is touched, so that only the missing right can refuse.
async fn expect_no_right(user: &Actor<'_>, issuer: &mut PgConnection, statements: &[&str]) {
    for sql in statements {
        let mut tx = issuer.begin().await.expect("begun");
        sqlx::query("select set_config('tollgate.user_id', $1, true)")
            .bind(&user.id)
            .execute(&mut *tx)
            .await
            .expect("set");
        assert_eq!(refused(&mut tx, sql).await, INSUFFICIENT_PRIVILEGE, "{sql}");
        tx.rollback().await.expect("rolled back");
    }
}

#[tokio::test]
async fn entries_cannot_be_edited() {
    let ledger = Ledger::start().await;
    let (ada, mut issuer) = scene(&ledger).await;
    let statements = [
        "update credits.entries set amount = 1",
        "update credits.entries set description = 'something else'",
        "update credits.entries set fingerprint = null",
    ];
    expect_no_right(&ada, &mut issuer, &statements).await;
    ledger.finish().await;
}

#[tokio::test]
async fn entries_cannot_be_deleted() {
    let ledger = Ledger::start().await;
    let (ada, mut issuer) = scene(&ledger).await;
    let statements = [
        "delete from credits.entries",
        "truncate credits.entries",
        "drop table credits.entries cascade",
    ];
    expect_no_right(&ada, &mut issuer, &statements).await;
    ledger.finish().await;
}

#[tokio::test]
async fn entries_cannot_be_appended() {
    let ledger = Ledger::start().await;
    let (ada, mut issuer) = scene(&ledger).await;
    let statements = [
        "insert into credits.entries (account_id, seq, kind, amount, system_account, system_delta, credit_grant_ids, deltas, created_at)
         select id, seq + 1, 'bonus', 1000, 'promotion', -1000, '{1}', '{1000}', auth.clock() from credits.accounts",
    ];
    expect_no_right(&ada, &mut issuer, &statements).await;
    ledger.finish().await;
}

#[tokio::test]
async fn lots_cannot_be_changed() {
    let ledger = Ledger::start().await;
    let (ada, mut issuer) = scene(&ledger).await;
    let statements = [
        "update credits.credit_grants set remaining = 1000000",
        "update credits.credit_grants set held = 0",
        "update credits.credit_grants set expires_at = null",
        "insert into credits.credit_grants (account_id, id, kind, burn_rank, created_at) select id, 9, 'gift', 3, auth.clock() from credits.accounts",
        "delete from credits.credit_grants",
        "truncate credits.credit_grants cascade",
    ];
    expect_no_right(&ada, &mut issuer, &statements).await;
    ledger.finish().await;
}

#[tokio::test]
async fn accounts_holds_and_all_else_cannot_be_changed() {
    let ledger = Ledger::start().await;
    let (ada, mut issuer) = scene(&ledger).await;
    let statements = [
        "update credits.accounts set seq = 0",
        "update credits.accounts set n_freezes = 0",
        "update credits.accounts set daily_due_at = '-infinity'",
        "delete from credits.accounts",
        "insert into credits.accounts (id, user_id, daily_due_at, created_at) values (1, 'x', auth.clock(), auth.clock())",
        "update credits.holds set captured = 0, status = 'open'",
        "delete from credits.holds",
        "update credits.freezes set lifted_at = auth.clock()",
        "insert into credits.freezes select id, 'f', 'admin', auth.clock(), null from credits.accounts",
        "delete from credits.signup_bonus_claims",
        "select * from credits.signup_bonus_claims",
        "insert into credits.packages values ('p', 'P', 1000000, 1, 'EUR', true, auth.clock(), auth.clock())",
        "update credits.packages set price_cents = 1",
        "update credits.purchases set status = 'paid'",
        "update credits.spend_limits set cap = 1000000",
        "delete from credits.spend_limits",
        "insert into credits.spend_limits (account_id, app_id, period, set_by, cap, updated_at) select id, 'a', 'day', 'admin', 1, auth.clock() from credits.accounts",
        "update credits.spend_counters set spent = 0",
        "delete from credits.spend_counters",
        "update credits.accounts set n_spend_limits = 0",
        "update credits.gifts set status = 'waiting'",
        "update credits.gifts set amount = 1000000",
        "update credits.gifts set recipient_email = 'eve@example.com'",
        "insert into credits.gifts select * from credits.gifts",
        "delete from credits.gifts",
        "truncate credits.gifts",
        "select code_hash from credits.gifts",
        "select credit_grant_ids from credits.gifts",
        "update credits.usage_hours set spent = 0",
        "delete from credits.usage_hours",
        "update credits.usage_progress set seq = 0",
        "update credits.usage_rollup set scanned_to = 'infinity'",
        "select * from credits.usage_rollup",
    ];
    expect_no_right(&ada, &mut issuer, &statements).await;
    ledger.finish().await;
}

#[tokio::test]
async fn building_blocks_cannot_be_called() {
    let ledger = Ledger::start().await;
    let (ada, mut issuer) = scene(&ledger).await;
    let statements = [
        "select credits.add_credit_grant(id, 'gift', 'gift', 'promotion', 1000, null, null, 'k', auth.clock()) from credits.accounts",
        "select credits.next_seq(id) from credits.accounts",
        "select credits.give_back_seq(id) from credits.accounts",
        "select credits.settle(a, 'infinity', 1000000, 0) from credits.accounts a",
        "select credits.settle_daily(a, auth.clock(), 1000000, 0) from credits.accounts a",
        "select credits.repay_debt(id, 1, 1, auth.clock()) from credits.accounts",
        "select credits.end_hold(h, 0, 'released', auth.clock()) from credits.holds h",
        "select credits.reconcile_entries()",
        "select credits.give_back_gift(g, 'cancelled', auth.clock()) from credits.gifts g",
        "select credits.credit_gift(a, null, auth.clock()) from credits.accounts a",
        "select credits.redeem_addressed_gift(id, 'AAAAAAAAAAAAAAAAAAAAAA') from credits.accounts",
        "select credits.redeem_gifts_of_address(user_id) from credits.accounts",
        "select credits.take_back_gifts_of_purchase(id, 'p', auth.clock()) from credits.accounts",
        "select credits.open_lot(id, 'refund', null, null, null, null, auth.clock()) from credits.accounts",
        "select credits.repay_from(id, '{1}', '{1}', auth.clock()) from credits.accounts",
        "select credits.adjust(user_id, 1000, 'mine', null, 'user:x', 'k', sha256(''), '{}') from credits.accounts",
        "select credits.refund_usage(user_id, id, 2, null, 'mine', 'user:x', 'k', sha256(''), '{}') from credits.accounts",
        "select credits.correct('adjust', user_id, '{}', 'user:x', sha256(''), '{}') from credits.accounts",
        "select credits.operate_on_account('adjust', user_id, '{}', sha256('')) from credits.accounts",
        "select credits.save_spend_limits(user_id, 'a', 'admin', null, null) from credits.accounts",
        "select credits.count_spending(a, 'a', -1000, auth.clock()) from credits.accounts a",
        "select credits.uncount_spending(id, 'a', 1000, auth.clock()) from credits.accounts",
        "select credits.sum_up_usage(array[id]) from credits.accounts",
        "create or replace function auth.clock() returns timestamptz language sql return 'infinity'::timestamptz",
        "create function credits.mine() returns integer language sql return 1",
    ];
    expect_no_right(&ada, &mut issuer, &statements).await;
    ledger.finish().await;
}

#[tokio::test]
async fn triggers_and_constraints_cannot_be_switched_off() {
    let ledger = Ledger::start().await;
    let (ada, mut issuer) = scene(&ledger).await;
    let statements = [
        "alter table credits.entries disable trigger all",
        "alter table credits.credit_grants disable trigger credit_grants_by_entry_only",
        "drop trigger entries_append_only on credits.entries",
        "set session_replication_role = replica",
        "alter table credits.credit_grants drop constraint credit_grants_held_covered",
        "alter table credits.entries disable row level security",
        "create policy mine on credits.entries using (true)",
    ];
    expect_no_right(&ada, &mut issuer, &statements).await;
    ledger.finish().await;
}

#[tokio::test]
async fn temporary_tables_and_other_roles_are_out_of_reach() {
    let ledger = Ledger::start().await;
    let (ada, mut issuer) = scene(&ledger).await;
    let statements = [
        "create temporary table entries (account_id bigint)",
        "create table public.entries (account_id bigint)",
        "create schema mine",
        "set role tollgate_owner",
        "set role tollgate_definer",
        "grant tollgate_definer to current_user",
    ];
    for sql in statements {
        let code = refused(&mut issuer, sql).await;
        assert!(code == INSUFFICIENT_PRIVILEGE, "{sql}: {code}");
    }
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn a_request_cannot_write_in_the_name_of_the_system() {
    let ledger = Ledger::start().await;
    let (ada, mut issuer) = scene(&ledger).await;
    for sql in [
        "select credits.use_credits($1, 1, 'a', 'd', null, 'system', 'daily:1', sha256(''), 0, 0)",
        "select credits.use_credits($1, 1, 'a', 'd', null, 'system:', 'k', sha256(''), 0, 0)",
        "select credits.place_hold($1, 'AAAAAAAAAAAAAAAAAAAAAA', 1, 'a', null, 60, 'system', 'k', sha256(''), 0, 0)",
        "select credits.use_credits($1, 1000, 'a', 'd', null, 'system', 'signup:2', sha256(''), 0, 0)",
    ] {
        let error = sqlx::query(sql)
            .bind(&ada.id)
            .execute(&mut issuer)
            .await
            .expect_err(sql);
        let constraint = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::constraint);
        assert!(
            matches!(
                constraint,
                Some("entries_key_scope_known" | "entries_key_whole" | "holds_placed_by_form")
            ),
            "{sql}: {error}"
        );
    }
    ledger.finish().await;
}

#[tokio::test]
async fn admins_acts_are_refused_to_whoever_is_no_admin() {
    let ledger = Ledger::start().await;
    let (ada, mut issuer) = scene(&ledger).await;
    let session: String = sqlx::query_scalar("select id from auth.sessions where user_id = $1")
        .bind(&ada.id)
        .fetch_one(&ledger.db.owner)
        .await
        .expect("a session");
    let n_before = ledger.n_entries().await;
    for sql in [
        "select (credits.act_on_account($1, $2, 'adjust', $1, '{\"amount\": 1000, \"reason\": \"r\", \"key\": \"k\"}', sha256(''), '{}')).outcome",
        "select (credits.act_on_account($1, $2, 'refund', $1, '{\"seq\": 2, \"reason\": \"r\"}', sha256(''), '{}')).outcome",
        "select outcome from credits.administer_spend_limits($1, $2, $1, 'a', true, null, null, '{}')",
    ] {
        let outcome: String = sqlx::query_scalar(sql)
            .bind(&ada.id)
            .bind(&session)
            .fetch_one(&mut issuer)
            .await
            .expect(sql);
        assert_eq!(outcome, "forbidden", "{sql}");
    }
    assert_eq!(ledger.n_entries().await, n_before);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn free_credits_beyond_a_million_at_once_are_refused() {
    let ledger = Ledger::start_with(&[("CREDITS_SIGNUP_BONUS", "0")]).await;
    let (ada, mut issuer) = {
        let ada = ledger.user("ada").await;
        (ada, ledger.db.as_issuer().await)
    };
    let error = sqlx::query("select credits.grant_signup_bonus($1, 1000001, sha256(''))")
        .bind(&ada.id)
        .execute(&mut issuer)
        .await
        .expect_err("refused");
    let constraint = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::constraint);
    assert_eq!(constraint, Some("entries_free_amount_limit"));
    ledger.finish().await;
}

#[tokio::test]
async fn without_a_current_user_no_row_is_visible() {
    let ledger = Ledger::start().await;
    let (ada, mut issuer) = scene(&ledger).await;
    fill_rare_tables(&ledger).await;
    for table in USER_TABLES {
        let sql = format!("select count(*) from credits.{table}");
        let n: i64 = sqlx::query_scalar(AssertSqlSafe(sql.clone()))
            .fetch_one(&mut issuer)
            .await
            .expect(table);
        assert_eq!(n, 0, "{table}");
        let all: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&ledger.db.owner)
            .await
            .expect(table);
        assert!(all > 0, "{table} is empty and proves nothing");
    }
    drop(ada);
    ledger.finish_damaged();
}

#[tokio::test]
async fn with_a_current_user_only_that_users_rows_are_visible() {
    let ledger = Ledger::start().await;
    let (ada, mut issuer) = scene(&ledger).await;
    let bob = ledger.user("bob").await;
    spend(&bob, 10).await.expect(200);
    held(&bob, 10).await;
    fill_rare_tables(&ledger).await;
    let mut tx = issuer.begin().await.expect("begun");
    sqlx::query("select set_config('tollgate.user_id', $1, true)")
        .bind(&ada.id)
        .execute(&mut *tx)
        .await
        .expect("set");
    for table in USER_TABLES {
        let column = match table {
            "accounts" => "id",
            "gifts" => "giver_account_id",
            _ => "account_id",
        };
        let sql = format!("select distinct {column} from credits.{table}");
        let visible: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(sql.clone()))
            .fetch_all(&mut *tx)
            .await
            .expect(table);
        let own: i64 = sqlx::query_scalar("select id from credits.accounts where user_id = $1")
            .bind(&ada.id)
            .fetch_one(&ledger.db.owner)
            .await
            .expect("an account");
        assert_eq!(visible, [own], "{table}");
        let all: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_all(&ledger.db.owner)
            .await
            .expect(table);
        assert_eq!(
            all.len(),
            2,
            "{table} holds nothing of bob and proves nothing"
        );
    }
    tx.rollback().await.expect("rolled back");
    ledger.finish_damaged();
}

/// A row for every account in the tables that nothing writes yet.
async fn fill_rare_tables(ledger: &Ledger) {
    ledger
        .db
        .owner
        .execute(
            "insert into credits.packages (id, name, credits, price_cents, currency, created_at, updated_at)
             values ('p', 'P', 1, 1, 'EUR', auth.clock(), auth.clock());
             insert into credits.purchases (account_id, id, package_id, credits, price_cents, currency, created_at)
             select id, 'one-' || id, 'p', 1, 1, 'EUR', auth.clock() from credits.accounts;
             insert into credits.freezes select id, 'f', 'admin', auth.clock(), null from credits.accounts;
             insert into credits.spend_limits (account_id, app_id, period, set_by, cap, updated_at)
             select id, 'a', 'day', 'user', 5, auth.clock() from credits.accounts;
             insert into credits.spend_counters select id, 'a', 'day', auth.clock(), 5 from credits.accounts;
             insert into credits.gifts (id, giver_account_id, made_seq, amount, credit_grant_ids, amounts, code_hash, created_at, expires_at)
             select lpad(row_number() over ()::text, 22, '0'), id, 1, 1, '{1}', '{1}', sha256(user_id::bytea), auth.clock(),
                    auth.clock() + interval '1 day' from credits.accounts;
             insert into credits.usage_hours select id, auth.clock(), 'a', 1, 1, 0 from credits.accounts;
             insert into credits.usage_progress select id, 1 from credits.accounts;",
        )
        .await
        .expect("filled");
}
