//! Listening.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use poem::listener::TcpListener;
use poem::{Endpoint, Server};

use super::service;
use crate::app::App;

/// Serves until `stop` completes, then finishes what is in flight.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(
    app: &Arc<App>,
    listen: SocketAddr,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    serve_endpoint(service(app), listen, stop).await
}

/// The same for any endpoint.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve_endpoint(
    endpoint: impl Endpoint + 'static,
    listen: SocketAddr,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    Server::new(TcpListener::bind(listen))
        .name("tollgate")
        .run_with_graceful_shutdown(endpoint, stop, Some(SHUTDOWN_GRACE))
        .await
}

/// Longer than any request may take.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(30);
