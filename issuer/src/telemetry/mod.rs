//! Logs: for people on a terminal, one JSON object a line elsewhere. Traces, where the program was
//! built with them.

#[cfg(feature = "otlp")]
pub mod otlp;

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// What must be told that the program ends, so that nothing is lost.
#[must_use]
#[derive(Debug)]
pub struct Telemetry {
    #[cfg(feature = "otlp")]
    _traces: Option<otlp::Traces>,
}

/// Sends logs to standard error, filtered by `RUST_LOG`, and traces to the collector of
/// `OTEL_EXPORTER_OTLP_ENDPOINT`.
///
/// # Errors
/// What is wrong with the collector, in words.
pub fn init(filter: Option<&str>, collector: Option<&str>) -> Result<Telemetry, String> {
    let filter = filter
        .and_then(|text| EnvFilter::try_new(text).ok())
        .unwrap_or_else(|| EnvFilter::new(DEFAULT_FILTER));
    let registry = tracing_subscriber::registry().with(lines()).with(filter);
    #[cfg(feature = "otlp")]
    {
        let (layer, traces) = collector.map(otlp::traces).transpose()?.unzip();
        registry.with(layer).init();
        Ok(Telemetry { _traces: traces })
    }
    #[cfg(not(feature = "otlp"))]
    {
        registry.init();
        if collector.is_some() {
            tracing::warn!(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set, and this program was built without the feature otlp: no \
                 traces are sent"
            );
        }
        Ok(Telemetry {})
    }
}

fn lines() -> Box<dyn Layer<Registry> + Send + Sync> {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match std::io::stderr().is_terminal() {
        true => lines.compact().boxed(),
        false => lines.json().flatten_event(true).boxed(),
    }
}

/// Our own events and the warnings of libraries.
const DEFAULT_FILTER: &str = "warn,issuer=info,tollgate=info";
