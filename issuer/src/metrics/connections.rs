//! Connections of clients.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counted where they are accepted.
#[derive(Debug, Default, Clone)]
pub struct ConnectionMetrics {
    /// Open at this moment.
    pub open: Gauge,
    /// How many may be open.
    pub limit: Gauge,
    /// Closed at once, because their address had its part of all.
    pub refused: Counter,
}

impl ConnectionMetrics {
    /// Makes them known.
    pub fn register(&self, to: &mut Registry) {
        to.register("http_connections", "Open connections", self.open.clone());
        to.register(
            "http_connections_limit",
            "Connections that may be open",
            self.limit.clone(),
        );
        to.register(
            "http_connections_refused",
            "Connections closed at once, because their address had its part of all",
            self.refused.clone(),
        );
    }
}
