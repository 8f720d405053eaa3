//! What a log line says of the request it belongs to.

use poem::Request;
use tracing::Span;

/// A span with the request's id and, when its caller sent one, the trace it is a part of.
pub fn span(id: &str, request: &Request) -> Span {
    let caller = request.header("traceparent").and_then(parse);
    let (trace_id, parent_id) = caller
        .map(|caller| (caller.trace_id, caller.parent_id))
        .unzip();
    let span = tracing::info_span!("request", id, trace_id, parent_id);
    #[cfg(feature = "otlp")]
    if let Some(caller) = caller {
        let is_sampled = caller.flags & 1 == 1;
        crate::telemetry::otlp::join(&span, caller.trace_id, caller.parent_id, is_sampled);
    }
    span
}

/// Notes in a span, where spans leave the program, what was asked and how it was answered.
pub fn finish(span: &Span, operation: &'static str, status: u16) {
    #[cfg(feature = "otlp")]
    crate::telemetry::otlp::finish(span, operation, status);
    #[cfg(not(feature = "otlp"))]
    let _ = (span, operation, status);
}

/// The trace that a request is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Caller<'a> {
    trace_id: &'a str,
    parent_id: &'a str,
    /// The last bit: whether it is recorded.
    flags: u8,
}

/// Trace and parent of a `traceparent` header (W3C Trace Context, section 3.2): two digits of
/// version, 32 of the trace, 16 of the parent, two of flags; a later version may say more.
/// Anything else is nobody's trace and does not reach the log.
fn parse(header: &str) -> Option<Caller<'_>> {
    let mut parts = header.split('-');
    let [version, trace_id, parent_id, flags] = [
        hex(parts.next()?, 2)?,
        hex(parts.next()?, 32)?,
        hex(parts.next()?, 16)?,
        hex(parts.next()?, 2)?,
    ];
    let is_longer = parts.next().is_some();
    let is_known = version != "ff" && !(version == "00" && is_longer);
    let is_set = |id: &str| id.bytes().any(|digit| digit != b'0');
    let flags = u8::from_str_radix(flags, 16).ok()?;
    (is_known && is_set(trace_id) && is_set(parent_id)).then_some(Caller {
        trace_id,
        parent_id,
        flags,
    })
}

/// So many lower-case digits.
fn hex(part: &str, length: usize) -> Option<&str> {
    let is_digit = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
    (part.len() == length && part.bytes().all(is_digit)).then_some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";

    #[test]
    fn trace_and_parent_are_read() {
        for (header, flags) in [
            (format!("00-{TRACE}-{PARENT}-01"), 1),
            (format!("00-{TRACE}-{PARENT}-00"), 0),
            (format!("cc-{TRACE}-{PARENT}-03-what-the-future-brings"), 3),
        ] {
            let caller = Caller {
                trace_id: TRACE,
                parent_id: PARENT,
                flags,
            };
            assert_eq!(parse(&header), Some(caller), "{header}");
        }
    }

    #[test]
    fn what_is_not_of_the_form_is_no_trace() {
        for header in [
            String::new(),
            "00".into(),
            format!("00-{TRACE}-{PARENT}"),
            format!("00-{TRACE}-{PARENT}-01-more"),
            format!("ff-{TRACE}-{PARENT}-01"),
            format!("00-{}-{PARENT}-01", TRACE.to_uppercase()),
            format!("00-{}-{PARENT}-01", &TRACE[1..]),
            format!("00-{}-{PARENT}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}-{PARENT}-0g"),
            format!("00-{TRACE}-{PARENT}\n-01"),
        ] {
            assert_eq!(parse(&header), None, "{header:?}");
        }
    }
}
