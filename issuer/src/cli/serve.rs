//! `tollgate serve`.

use tokio::signal::unix::{SignalKind, signal};

use super::start::{Database, configured_database, operator_connection, start_app, start_embedded};
use crate::app::App;
use crate::config::{Config, Mode};
use crate::{http, jobs, purchases};

/// Runs the issuer until it is told to stop.
pub async fn serve(config: Config) -> Result<(), String> {
    let listen = config.http.listen;
    let (database, embedded) = match configured_database(&config) {
        Some(database) => (database, None),
        None => {
            let server = start_embedded(&config).await?;
            (Database::from(server.logins()), Some(server))
        }
    };
    let result = run(config, &database, listen).await;
    if let Some(server) = embedded {
        server.stop().await;
    }
    result
}

async fn run(
    config: Config,
    database: &Database,
    listen: std::net::SocketAddr,
) -> Result<(), String> {
    let base_url = config.http.base_url.clone();
    let app = start_app(config, database).await?;
    if app.config.mode == Mode::Development {
        offer_packages(&app, database).await;
    }
    jobs::load(&app).await?;
    let jobs = jobs::start(&app);
    tracing::info!(%listen, base_url, "the issuer is ready");
    let served = http::serve(&app, listen, told_to_stop()).await;
    drop(jobs);
    app.db.close().await;
    served.map_err(|error| format!("cannot serve on {listen}: {error}"))
}

/// Something to buy in development. Nobody is stopped from starting without it.
async fn offer_packages(app: &App, database: &Database) {
    let offered = async {
        let mut connection = operator_connection(database).await?;
        let offered = purchases::operator::offer_examples(app, &mut connection).await;
        offered.map_err(|error| error.to_string())
    };
    if let Err(error) = offered.await {
        tracing::warn!(error, "there are no example packages");
    }
}

async fn told_to_stop() {
    let mut terminate = signal(SignalKind::terminate()).expect("a signal handler can be installed");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping: requests in flight are finished first");
}
