//! The only SQL about backups: what a database is, and what a restored one must forget.

use sqlx::{Connection, Executor, PgConnection};
use time::OffsetDateTime;

use crate::db::DbError;

/// What is known of a server and the database at it.
#[derive(Debug)]
pub struct Server {
    /// Its major version.
    pub major: u32,
    /// Whether this login sees and writes every row whatever the policies say.
    pub sees_all: bool,
    /// Its time.
    pub now: OffsetDateTime,
}

/// Asks the server.
pub async fn server(connection: &mut PgConnection) -> Result<Server, DbError> {
    let row = sqlx::query!(
        r#"select current_setting('server_version_num')::integer / 10000 as "major!",
                  rolsuper or rolbypassrls as "sees_all!", clock_timestamp() as "now!"
             from pg_roles where rolname = session_user"#
    )
    .fetch_one(connection)
    .await?;
    Ok(Server {
        major: u32::try_from(row.major).unwrap_or(0),
        sees_all: row.sees_all,
        now: row.now,
    })
}

/// The schemas that belong to us; none in a database that was never migrated.
pub async fn schemas(connection: &mut PgConnection) -> Result<Vec<String>, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select nspname::text as "name!" from pg_namespace n
             join pg_roles r on r.oid = n.nspowner where r.rolname = 'tollgate_owner' order by 1"#
    )
    .fetch_all(connection)
    .await?)
}

/// The newest migration that was applied.
pub async fn schema_version(connection: &mut PgConnection) -> Result<i64, DbError> {
    // `sqlx` knows its own table too, but not under this name.
    Ok(
        sqlx::query_scalar("select max(version) from auth.schema_migrations where success")
            .fetch_one(connection)
            .await?,
    )
}

/// What the database remembers of the newest master key.
pub async fn newest_key_check(connection: &mut PgConnection) -> Result<Option<Vec<u8>>, DbError> {
    Ok(sqlx::query_scalar!(
        "select check_value from auth.master_key_checks order by version desc limit 1"
    )
    .fetch_optional(connection)
    .await?)
}

/// Tables and schemas in the way of a restore, of nobody's extension; a few of them.
pub async fn occupants(connection: &mut PgConnection) -> Result<Vec<String>, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select what as "what!" from (
             select 'schema ' || n.nspname as what from pg_namespace n
              where n.nspname in ('auth', 'credits', 'tollgate_restore')
             union all
             select 'relation ' || c.oid::regclass from pg_class c join pg_namespace n on n.oid = c.relnamespace
              where n.nspname not in ('auth', 'credits', 'tollgate_restore', 'information_schema', 'pg_catalog')
                and n.nspname !~ '^pg_(toast|temp)'
                and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')) found
          order by 1 limit 5"#
    )
    .fetch_all(connection)
    .await?)
}

/// Notes that a restore is under way: until the note is gone no issuer starts.
pub async fn begin(connection: &mut PgConnection) -> Result<(), DbError> {
    connection.execute("create schema tollgate_restore").await?;
    Ok(())
}

/// Takes the note back when nothing was restored.
pub async fn give_up(connection: &mut PgConnection) -> Result<(), DbError> {
    connection.execute("drop schema tollgate_restore").await?;
    Ok(())
}

/// Whether a restore into this database was begun and not finished.
///
/// # Errors
/// [`DbError`] when the server does not answer.
pub async fn is_unfinished(connection: &mut PgConnection) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select to_regnamespace('tollgate_restore') is not null as "unfinished!""#
    )
    .fetch_one(connection)
    .await?)
}

/// Makes the restored database one that verifiers and clients can go on with, notes it in the audit
/// trail, and takes the note back. `forget` voids what may have been used up since.
pub async fn finish(
    connection: &mut PgConnection,
    forget: bool,
    event: &serde_json::Value,
) -> Result<(), DbError> {
    let mut tx = connection.begin().await?;
    // Verifiers refuse a feed that is behind the one they hold. Another restore of the same file must
    // be ahead of this one too, so that the time decides and not only the last epoch.
    // Revocations since the backup are not in this feed: no access token of before passes.
    sqlx::query!(
        "update auth.revocation_feed
            set epoch = greatest(epoch + 1, floor(extract(epoch from auth.clock()))::bigint),
                reject_before = floor(extract(epoch from auth.clock()))::bigint + 1"
    )
    .execute(&mut *tx)
    .await?;
    if forget {
        sqlx::query!(
            "update auth.mail_tokens set used_at = auth.clock() where used_at is null and expires_at > auth.clock()"
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!("delete from auth.login_challenges")
            .execute(&mut *tx)
            .await?;
        sqlx::query!("delete from auth.passkey_ceremonies")
            .execute(&mut *tx)
            .await?;
    }
    sqlx::query!(
        r#"select auth.record_operator_event('database_restored', $1) as "recorded: ()""#,
        event
    )
    .execute(&mut *tx)
    .await?;
    tx.execute("drop schema tollgate_restore").await?;
    tx.commit().await?;
    Ok(())
}
