//! Traces to a collector by OTLP over HTTP: one span for each request, a part of its caller's trace.

use std::time::Duration;

use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider,
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::Span;
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt};
use tracing_subscriber::registry::LookupSpan;
use url::Url;

use crate::outgoing::tls;

/// Sends what is left when it is dropped.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Drop for Traces {
    fn drop(&mut self) {
        // Nobody is left to hear that the collector is away.
        let _ = self.0.shutdown_with_timeout(LAST_WORDS);
    }
}

/// A layer that sends spans to a collector such as `http://127.0.0.1:4318`, from a thread of its
/// own; when the collector is away they are dropped.
///
/// # Errors
/// What is wrong with the address, in words.
pub fn traces<S>(collector: &str) -> Result<(OpenTelemetryLayer<S, SdkTracer>, Traces), String>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    let is_http = |url: &Url| matches!(url.scheme(), "http" | "https");
    if !Url::parse(collector).is_ok_and(|url| is_http(&url)) {
        return Err(format!(
            "{COLLECTOR} must be the http or https address of a collector, such as http://127.0.0.1:4318"
        ));
    }
    let told = |error: &dyn std::fmt::Display| format!("{COLLECTOR}: {error}");
    // Not ours to resolve by a proxy, and with the TLS that everything else of ours uses.
    let client = reqwest::blocking::Client::builder()
        .tls_backend_preconfigured(tls())
        .no_proxy()
        .timeout(ANSWER_WITHIN)
        .build()
        .map_err(|error| told(&error))?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_endpoint(format!("{}/v1/traces", collector.trim_end_matches('/')))
        .build()
        .map_err(|error| told(&error))?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name("tollgate").build())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("tollgate"));
    Ok((layer, Traces(provider)))
}

/// Makes a span part of its caller's trace. Whether that is recorded was decided by who began it.
pub fn join(span: &Span, trace_id: &str, parent_id: &str, is_sampled: bool) {
    let ids = (TraceId::from_hex(trace_id), SpanId::from_hex(parent_id));
    let (Ok(trace_id), Ok(parent_id)) = ids else {
        return;
    };
    let flags = TraceFlags::default().with_sampled(is_sampled);
    let caller = SpanContext::new(trace_id, parent_id, flags, true, TraceState::default());
    let context = opentelemetry::Context::new().with_remote_span_context(caller);
    // It fails for a span that no layer records.
    let _ = span.set_parent(context);
}

/// Names the span by the operation and says how it was answered.
pub fn finish(span: &Span, operation: &'static str, status: u16) {
    span.context().span().update_name(operation);
    span.set_attribute("http.response.status_code", i64::from(status));
    if status >= 500 {
        span.set_status(opentelemetry::trace::Status::error(""));
    }
}

const COLLECTOR: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// A collector is near; spans wait in memory meanwhile, up to a bound of the library's.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// A program that is told to stop must not wait for a collector that is gone.
const LAST_WORDS: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const TRACE_BYTES: [u8; 16] = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes();
    const PARENT: &str = "00f067aa0ba902b7";

    /// Takes one request and gives its first line and its body.
    fn collector() -> (String, JoinHandle<(String, Vec<u8>)>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let taken = thread::spawn(move || {
            let (stream, _) = listener.accept().expect("somebody calls");
            let mut reader = BufReader::new(&stream);
            let (mut first, mut length) = (String::new(), 0);
            reader.read_line(&mut first).expect("a line");
            for line in reader.by_ref().lines() {
                let line = line.expect("a header").to_ascii_lowercase();
                if let Some(value) = line.strip_prefix("content-length: ") {
                    length = value.parse().expect("a number");
                }
                if line.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a whole body");
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            (&stream).write_all(answer).expect("it is read");
            (first, body)
        });
        (address, taken)
    }

    fn contains(body: &[u8], part: &[u8]) -> bool {
        body.windows(part.len()).any(|window| window == part)
    }

    #[test]
    fn request_is_sent_as_part_of_its_callers_trace_by_the_name_of_its_operation() {
        let (address, taken) = collector();
        let (layer, sent) = traces(&address).expect("an address");
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("request");
            join(&span, TRACE, PARENT, true);
            span.in_scope(|| ());
            finish(&span, "readHealth", 503);
            let quiet = tracing::info_span!("unrecorded");
            join(&quiet, TRACE, PARENT, false);
        });
        drop(sent);
        let (first, body) = taken.join().expect("a request came");
        assert_eq!(first, "POST /v1/traces HTTP/1.1\r\n");
        for part in [&TRACE_BYTES[..], b"readHealth", b"tollgate"] {
            assert!(contains(&body, part), "{part:?}");
        }
        assert!(!contains(&body, b"unrecorded"), "its caller said so");
    }

    #[test]
    fn address_that_is_none_is_refused_with_what_it_should_be() {
        for bad in ["", "collector:4318", "grpc://127.0.0.1:4317", "4318"] {
            let error = traces::<tracing_subscriber::Registry>(bad).map(drop);
            let message = error.expect_err(bad);
            assert!(
                message.contains("such as http://127.0.0.1:4318"),
                "{message}"
            );
        }
    }
}
