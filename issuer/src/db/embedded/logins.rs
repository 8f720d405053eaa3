//! The database and the logins that the issuer expects to find.

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};

use super::EmbeddedError;
use super::record::{DATABASE, ISSUER_LOGIN, Logins};
use super::server::maintenance;

/// Creates what is missing and gives the issuer's login the recorded password.
///
/// The group role is created here too when migrations have not made it yet, because a login cannot
/// join a group that does not exist; what the group may do is for the migrations to say.
pub(super) async fn ensure(logins: &Logins) -> Result<(), EmbeddedError> {
    let mut connection = maintenance(logins)?
        .connect()
        .await
        .map_err(EmbeddedError::Database)?;
    let result = ensure_on(&mut connection, logins).await;
    connection.close().await.map_err(EmbeddedError::Database)?;
    result.map_err(EmbeddedError::Database)
}

async fn ensure_on(connection: &mut PgConnection, logins: &Logins) -> Result<(), sqlx::Error> {
    // The statements below hold a password, so none of them may reach the server's log.
    connection.execute("set log_statement = none").await?;
    connection
        .execute("set log_min_error_statement = panic")
        .await?;
    connection
        .execute("set log_min_duration_statement = -1")
        .await?;
    create_role(connection, GROUP, "nologin").await?;
    create_role(
        connection,
        ISSUER_LOGIN,
        "login nosuperuser nocreatedb nocreaterole",
    )
    .await?;
    let url = url::Url::parse(logins.issuer.expose()).expect("made by the record");
    let password = url.password().expect("made by the record");
    run(
        connection,
        format!("alter role {ISSUER_LOGIN} password '{password}'"),
    )
    .await?;
    run(connection, format!("grant {GROUP} to {ISSUER_LOGIN}")).await?;
    create_database(connection).await
}

async fn create_role(
    connection: &mut PgConnection,
    name: &str,
    attributes: &str,
) -> Result<(), sqlx::Error> {
    let found: bool = sqlx::query_scalar("select exists (select from pg_roles where rolname = $1)")
        .bind(name)
        .fetch_one(&mut *connection)
        .await?;
    if found {
        Ok(())
    } else {
        run(connection, format!("create role {name} {attributes}")).await
    }
}

async fn create_database(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let found: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(DATABASE)
            .fetch_one(&mut *connection)
            .await?;
    if found {
        Ok(())
    } else {
        run(connection, format!("create database {DATABASE}")).await
    }
}

/// For statements that take no parameters. Their parts are constants of this program and a password
/// in the base64url alphabet, which needs no quoting.
async fn run(connection: &mut PgConnection, statement: String) -> Result<(), sqlx::Error> {
    connection.execute(AssertSqlSafe(statement)).await.map(drop)
}

/// The group whose members may do what the issuer does.
const GROUP: &str = "tollgate_app";
