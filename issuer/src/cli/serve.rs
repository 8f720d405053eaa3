//! `tollgate serve`.

use tokio::signal::unix::{SignalKind, signal};

use super::start::{Database, configured_database, start_app, start_embedded};
use crate::config::Config;
use crate::{http, jobs};

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
    for variable in &config.without_effect {
        tracing::warn!(variable, "is set and has no effect in this version");
    }
    let app = start_app(config, database).await?;
    jobs::load(&app).await?;
    let jobs = jobs::start(&app);
    tracing::info!(%listen, base_url, "the issuer is ready");
    let served = http::serve(&app, listen, told_to_stop()).await;
    drop(jobs);
    app.db.close().await;
    served.map_err(|error| format!("cannot serve on {listen}: {error}"))
}

async fn told_to_stop() {
    let mut terminate = signal(SignalKind::terminate()).expect("a signal handler can be installed");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping: requests in flight are finished first");
}
