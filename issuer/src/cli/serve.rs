//! `tollgate serve`.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

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
    let (tell, told) = oneshot::channel();
    let served = tokio::select! {
        served = http::serve(&app, listen, take_leave(&app, told)) => served,
        () = told_twice(tell) => return Err("stopped at once, because it was told so twice".into()),
    };
    jobs.finish().await;
    app.db.close().await;
    served.map_err(|error| format!("cannot serve on {listen}: {error}"))
}

/// Says that this issuer is not ready, and serves on until load balancers have noticed.
async fn take_leave(app: &App, told: oneshot::Receiver<()>) {
    if told.await.is_err() {
        return;
    }
    app.begin_to_stop();
    let notice = app.config.http.shutdown_notice;
    tracing::info!(
        notice_secs = notice.as_secs(),
        "stopping: requests in flight are finished first"
    );
    tokio::time::sleep(notice).await;
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

/// Passes the first signal on and completes at the second.
async fn told_twice(first: oneshot::Sender<()>) {
    let mut terminate = signal(SignalKind::terminate()).expect("a signal handler can be installed");
    let mut interrupt = signal(SignalKind::interrupt()).expect("a signal handler can be installed");
    let mut first = Some(first);
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        match first.take() {
            // Nobody listens when serving has failed, which ends this too.
            Some(first) => drop(first.send(())),
            None => return,
        }
    }
}
