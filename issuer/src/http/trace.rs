//! What a log line says of the request it belongs to.

use poem::Request;
use tracing::Span;

/// A span with the request's id and, when its caller sent one, the trace it is a part of.
pub fn span(id: &str, request: &Request) -> Span {
    let trace = request.header("traceparent").and_then(parse);
    let (trace_id, parent_id) = trace.unzip();
    tracing::info_span!("request", id, trace_id, parent_id)
}

/// Trace and parent of a `traceparent` header (W3C Trace Context, section 3.2): two digits of
/// version, 32 of the trace, 16 of the parent, two of flags; a later version may say more.
/// Anything else is nobody's trace and does not reach the log.
fn parse(header: &str) -> Option<(&str, &str)> {
    let mut parts = header.split('-');
    let [version, trace, parent, flags] = [
        hex(parts.next()?, 2)?,
        hex(parts.next()?, 32)?,
        hex(parts.next()?, 16)?,
        hex(parts.next()?, 2)?,
    ];
    let is_longer = parts.next().is_some();
    let is_known = version != "ff" && !(version == "00" && is_longer) && flags.len() == 2;
    let is_set = |id: &str| id.bytes().any(|digit| digit != b'0');
    (is_known && is_set(trace) && is_set(parent)).then_some((trace, parent))
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
        for header in [
            format!("00-{TRACE}-{PARENT}-01"),
            format!("00-{TRACE}-{PARENT}-00"),
            format!("cc-{TRACE}-{PARENT}-01-what-the-future-brings"),
        ] {
            assert_eq!(parse(&header), Some((TRACE, PARENT)), "{header}");
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
