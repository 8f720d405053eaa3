//! Roles and migrations, applied by a login that may.

use std::fmt;

use sqlx::migrate::{Migrate, MigrateError as SqlxMigrateError, Migrator};
use sqlx::{Executor, PgConnection};

use super::DbError;

static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// What a login may do, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Privileges {
    /// Superuser, or a member of `tollgate_owner`, or may create roles: can migrate.
    pub may_migrate: bool,
    /// A member of `tollgate_app` and no more than that: what the issuer should be.
    pub is_plain_app: bool,
    /// Can act as `tollgate_app`, by `set role`.
    pub may_act_as_app: bool,
}

/// Asks the server what this login may do.
///
/// # Errors
/// [`DbError`] when it does not answer.
pub async fn privileges(connection: &mut PgConnection) -> Result<Privileges, DbError> {
    let (superuser, bypass, create_role, owner, app): (bool, bool, bool, bool, bool) = sqlx::query_as(
        "select r.rolsuper, r.rolbypassrls, r.rolcreaterole,
                coalesce(pg_has_role(o.oid, 'member'), false), coalesce(pg_has_role(a.oid, 'member'), false)
           from pg_roles r
           left join pg_roles o on o.rolname = 'tollgate_owner'
           left join pg_roles a on a.rolname = 'tollgate_app'
          where r.rolname = session_user",
    )
    .fetch_one(connection)
    .await?;
    let may_migrate = superuser || owner || create_role;
    Ok(Privileges {
        may_migrate,
        is_plain_app: app && !may_migrate && !bypass,
        may_act_as_app: app,
    })
}

/// Whether every migration of this program has been applied, and none that it does not know.
///
/// # Errors
/// [`DbError`] when the server does not answer.
pub async fn schema_is_current(connection: &mut PgConnection) -> Result<bool, DbError> {
    let known: Option<bool> =
        sqlx::query_scalar("select to_regclass('auth.schema_migrations') is not null")
            .fetch_one(&mut *connection)
            .await?;
    if known != Some(true) {
        return Ok(false);
    }
    let applied: Vec<i64> = sqlx::query_scalar(
        "select version from auth.schema_migrations where success order by version",
    )
    .fetch_all(connection)
    .await?;
    Ok(MIGRATOR
        .iter()
        .all(|migration| applied.contains(&migration.version)))
}

/// Makes the roles and applies what is missing; waits while another program does the same.
/// Says which versions it applied.
///
/// # Errors
/// [`MigrateError`]: not allowed, an edited or failed migration, or no server.
pub async fn migrate(connection: &mut PgConnection) -> Result<Vec<i64>, MigrateError> {
    if !privileges(connection).await?.may_migrate {
        return Err(MigrateError::NotAllowed);
    }
    make_roles(connection).await?;
    connection
        .execute("set role tollgate_owner")
        .await
        .map_err(DbError::from)?;
    let applied = apply(connection).await;
    connection
        .execute("reset role")
        .await
        .map_err(DbError::from)?;
    applied
}

/// Makes the three roles where they are missing, and gives them their rights on this database.
///
/// # Errors
/// [`DbError`] when this login may not.
pub async fn make_roles(connection: &mut PgConnection) -> Result<(), DbError> {
    connection.execute(ROLES).await?;
    Ok(())
}

/// The newest migration this program knows.
pub fn newest_version() -> i64 {
    MIGRATOR
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0)
}

async fn apply(connection: &mut PgConnection) -> Result<Vec<i64>, MigrateError> {
    let mut migrator = Migrator {
        ..Migrator::DEFAULT
    };
    migrator.migrations.clone_from(&MIGRATOR.migrations);
    migrator.dangerous_set_table_name("auth.schema_migrations");
    migrator.create_schema("auth");
    let before = applied_versions(connection).await?;
    migrator.run(&mut *connection).await?;
    let after = applied_versions(connection).await?;
    connection
        .execute("grant usage on schema auth to tollgate_app; grant select on auth.schema_migrations to tollgate_app")
        .await
        .map_err(DbError::from)?;
    Ok(after
        .into_iter()
        .filter(|version| !before.contains(version))
        .collect())
}

async fn applied_versions(connection: &mut PgConnection) -> Result<Vec<i64>, MigrateError> {
    let exists: Option<bool> =
        sqlx::query_scalar("select to_regclass('auth.schema_migrations') is not null")
            .fetch_one(&mut *connection)
            .await
            .map_err(DbError::from)?;
    if exists != Some(true) {
        return Ok(Vec::new());
    }
    let applied = connection
        .list_applied_migrations("auth.schema_migrations")
        .await?;
    Ok(applied
        .into_iter()
        .map(|migration| migration.version)
        .collect())
}

/// Why the schema could not be brought up to date.
#[derive(Debug)]
pub enum MigrateError {
    /// The login is neither superuser nor a member of `tollgate_owner`.
    NotAllowed,
    /// The database did not answer or refused a statement.
    Db(DbError),
    /// A migration failed, was edited after it landed, or is unknown to this program.
    Migration(SqlxMigrateError),
}

impl From<DbError> for MigrateError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl From<SqlxMigrateError> for MigrateError {
    fn from(error: SqlxMigrateError) -> Self {
        Self::Migration(error)
    }
}

impl fmt::Display for MigrateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed => f.write_str(
                "this login may not migrate: run `tollgate migrate` with DATABASE_OWNER_URL set to a \
                 superuser's or a member of tollgate_owner",
            ),
            Self::Db(error) => error.fmt(f),
            Self::Migration(error) => write!(f, "migration failed: {error}"),
        }
    }
}

impl std::error::Error for MigrateError {}

/// Roles belong to the server, so that several databases share them and several programs may
/// make them at the same moment. A server may refuse TEMP and CREATE to everyone already.
const ROLES: &str = "
do $$
declare
  v_role text;
begin
  perform pg_advisory_xact_lock(hashtext('tollgate roles'));
  foreach v_role in array array['tollgate_owner', 'tollgate_definer', 'tollgate_app'] loop
    if not exists (select from pg_roles where rolname = v_role) then
      begin
        execute format('create role %I nologin', v_role);
      exception when duplicate_object or unique_violation then
        null;
      end;
    end if;
  end loop;
  if not pg_has_role('tollgate_owner', 'tollgate_definer', 'member') then
    grant tollgate_definer to tollgate_owner;
  end if;
  if not pg_has_role(session_user, 'tollgate_owner', 'member') then
    execute format('grant tollgate_owner to %I', session_user);
  end if;
  -- The login of an embedded server, or one an operator made under this name.
  if exists (select from pg_roles where rolname = 'tollgate_issuer') then
    grant tollgate_app to tollgate_issuer;
  end if;
  execute format('grant connect, create on database %I to tollgate_owner', current_database());
  execute format('grant connect on database %I to tollgate_app', current_database());
  execute format('revoke temporary on database %I from public', current_database());
  revoke create on schema public from public;
end $$";
