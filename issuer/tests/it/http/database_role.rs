//! What the issuer's database role can see and do: even a mistake in our own SQL stays inside
//! these bounds.

use sqlx::{Connection, Executor};

use crate::support::TestApp;

const USER_TABLES: [&str; 4] = [
    "auth.users",
    "auth.sessions",
    "auth.security_events",
    "auth.security_event_details",
];

#[tokio::test]
async fn without_a_current_user_no_row_of_any_user_table_is_visible() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let mut issuer = app.db.as_issuer().await;
    for table in USER_TABLES {
        let n: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from {table}")))
                .fetch_one(&mut issuer)
                .await
                .expect(table);
        assert_eq!(n, 0, "{table}");
        let all: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from {table}")))
                .fetch_one(&app.db.owner)
                .await
                .expect(table);
        assert!(all > 0, "{table} is empty and proves nothing");
    }
}

#[tokio::test]
async fn with_a_current_user_only_that_users_rows_are_visible() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    app.user("bob").await;
    let mut issuer = app.db.as_issuer().await;
    let mut tx = issuer.begin().await.expect("begun");
    sqlx::query("select set_config('tollgate.user_id', $1, true)")
        .bind(&ada.id)
        .execute(&mut *tx)
        .await
        .expect("set");
    for (table, column) in [
        ("auth.users", "id"),
        ("auth.sessions", "user_id"),
        ("auth.security_events", "user_id"),
        ("auth.security_event_details", "user_id"),
    ] {
        let owners: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "select distinct {column} from {table}"
        )))
        .fetch_all(&mut *tx)
        .await
        .expect(table);
        assert_eq!(owners, [ada.id.as_str()], "{table}");
    }
    tx.commit().await.expect("committed");
    let left: Option<String> = sqlx::query_scalar("select auth.current_user_id()")
        .fetch_one(&mut issuer)
        .await
        .expect("read");
    assert_eq!(
        left, None,
        "the current user does not outlive its transaction"
    );
}

#[tokio::test]
async fn rls_is_enabled_and_forced_on_every_table_with_a_user() {
    let app = TestApp::start().await;
    let open: Vec<String> = app
        .db
        .value(
            "select coalesce(array_agg(c.oid::regclass::text), '{}') from pg_class c \
             join pg_namespace n on n.oid = c.relnamespace \
             join pg_attribute a on a.attrelid = c.oid and a.attname in ('user_id', 'account_id') \
             where n.nspname in ('auth', 'credits') and c.relkind = 'r' and not (c.relrowsecurity and c.relforcerowsecurity)",
        )
        .await;
    assert!(open.is_empty(), "{open:?}");
}

#[tokio::test]
async fn every_definer_function_belongs_to_the_definer_and_fixes_its_search_path() {
    let app = TestApp::start().await;
    let loose: Vec<String> = app
        .db
        .value(
            "select coalesce(array_agg(p.oid::regprocedure::text), '{}') from pg_proc p \
             join pg_namespace n on n.oid = p.pronamespace \
             where n.nspname in ('auth', 'credits') and p.prosecdef \
               and (p.proowner <> 'tollgate_definer'::regrole \
                    or not coalesce(p.proconfig @> array['search_path=pg_catalog, pg_temp'], false))",
        )
        .await;
    assert!(loose.is_empty(), "{loose:?}");
}

#[tokio::test]
async fn the_issuers_role_owns_nothing_and_cannot_bypass_anything() {
    let app = TestApp::start().await;
    let owned: i64 = app
        .db
        .value("select count(*) from pg_class where relowner in ('tollgate_app'::regrole, 'tollgate_issuer'::regrole)")
        .await;
    assert_eq!(owned, 0);
    let powers: bool = app
        .db
        .value(
            "select bool_or(rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication) \
             from pg_roles where rolname in ('tollgate_app', 'tollgate_issuer')",
        )
        .await;
    assert!(!powers);
}

#[tokio::test]
async fn what_the_issuers_role_must_not_do_is_refused() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let attempts = [
        "update auth.security_events set kind = 'login'",
        "delete from auth.security_events",
        "truncate auth.security_events",
        "insert into auth.security_events (occurred_at, kind, outcome, actor_kind, details_digest) values (now(), 'login', 'success', 'user', sha256(''))",
        "update auth.security_event_details set data = '{}'",
        "update auth.users set role = 'admin'",
        "insert into auth.users (id, email, created_at, updated_at) values (repeat('A', 21), 'eve@example.com', now(), now())",
        "delete from auth.users",
        "update auth.sessions set user_id = 'x'",
        "insert into auth.revocations (kind, kid, created_at, expires_at, seq) values ('key', 'x', now(), now(), 1); update auth.revocations set kid = 'y'",
        "delete from auth.signing_keys",
        "update auth.master_key_checks set check_value = sha256('')",
        "create temp table t (a int)",
        "create table auth.t (a int)",
        "create table public.t (a int)",
        "alter table auth.security_events disable trigger all",
        "alter table auth.users disable row level security",
        "alter table auth.users no force row level security",
        "create policy mine on auth.users using (true)",
        "create or replace function auth.clock() returns timestamptz language sql return now()",
        "select auth.record_event('login', 'success', null, null, '{}', '{}')",
        "select auth.end_session(s, 'logout') from auth.sessions s",
        "set role tollgate_definer",
        "set role tollgate_owner",
        "set session_replication_role = replica",
        "grant tollgate_owner to tollgate_issuer",
        "copy auth.users to program 'cat'",
    ];
    let mut issuer = app.db.as_issuer().await;
    for attempt in attempts {
        let refused = issuer.execute(attempt).await;
        let code = refused
            .as_ref()
            .err()
            .and_then(|error| error.as_database_error())
            .and_then(sqlx::error::DatabaseError::code);
        assert_eq!(code.as_deref(), Some("42501"), "{attempt}: {refused:?}");
    }
}

#[tokio::test]
async fn events_cannot_be_changed_even_by_their_owner() {
    let app = TestApp::start().await;
    app.user("ada").await;
    for attempt in [
        "update auth.security_events set kind = 'login'",
        "delete from auth.security_events",
        "truncate auth.security_events cascade",
    ] {
        let refused = app.db.owner.execute(attempt).await;
        let code = refused
            .as_ref()
            .err()
            .and_then(|error| error.as_database_error())
            .and_then(sqlx::error::DatabaseError::code);
        assert_eq!(code.as_deref(), Some("23001"), "{attempt}: {refused:?}");
    }
}
