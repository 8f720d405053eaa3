//! Keeps the server running as long as its owner wants it.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::cluster::Cluster;
use super::server::{self, Server};

/// Runs until `stopped` is answered: by a message, and the server is ended cleanly; by the loss of
/// its sender, and the server is left as it is.
pub(super) async fn run(cluster: Cluster, mut server: Server, mut stopped: oneshot::Receiver<()>) {
    loop {
        tokio::select! {
            message = &mut stopped => {
                if message.is_ok() {
                    server.stop().await;
                }
                return;
            }
            ended = server.ended() => {
                let status = ended.map_or_else(|error| error.to_string(), |s| s.to_string());
                tracing::error!(status, "PostgreSQL ended by itself; starting it again");
            }
        }
        match restart(&cluster, &mut stopped).await {
            Some(started) => server = started,
            None => return,
        }
    }
}

/// Tries until it succeeds or is told to stop: a full disk may be emptied, and until then the issuer
/// answers that it is unavailable. A start under way is always finished, because a server that was
/// abandoned halfway would go on without an owner.
async fn restart(cluster: &Cluster, stopped: &mut oneshot::Receiver<()>) -> Option<Server> {
    let began = Instant::now();
    let mut pause = server::FIRST_PAUSE;
    loop {
        match cluster.start_server().await {
            Ok(server) => {
                let millis = began.elapsed().as_millis();
                tracing::info!(millis, "PostgreSQL runs again");
                return Some(server);
            }
            Err(error) => tracing::error!(%error, "PostgreSQL does not start; trying again"),
        }
        if timeout(pause, &mut *stopped).await.is_ok() {
            return None;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Soon enough for a person who has just freed the disk.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
