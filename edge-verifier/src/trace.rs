//! What a request is called in the logs of everybody who has seen it: an id of ours, and the
//! trace that other systems know it by.

use sha2::{Digest, Sha256};

use crate::cors::HeaderList;
use crate::headers::Headers;
use crate::hex;

/// Makes ids that nobody can guess. There is no randomness here: a secret seed that is drawn once
/// for each isolate, and a number.
pub struct IdSource {
    seed: [u8; 32],
    n_made: u64,
}

impl IdSource {
    /// A source with a seed; equal seeds make equal ids.
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { seed, n_made: 0 }
    }

    /// What to call a request.
    pub fn name(&mut self, headers: &Headers<'_>) -> Trace {
        self.n_made = self.n_made.wrapping_add(1);
        let hash = Sha256::new()
            .chain_update(self.seed)
            .chain_update(self.n_made.to_be_bytes())
            .finalize();
        let request_id = hex::encode(&hash[..16]);
        let span_id = hex::encode(&hash[16..24]);
        let inbound = headers.get("traceparent").and_then(parse);
        let (trace_id, flags) = inbound.unwrap_or((&request_id, SAMPLED));
        let traceparent = format!("00-{trace_id}-{span_id}-{flags:02x}");
        Trace {
            traceparent,
            continues: inbound.is_some(),
            drops_state: inbound.is_none() && headers.get("tracestate").is_some(),
            request_id,
        }
    }
}

impl core::fmt::Debug for IdSource {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("IdSource")
    }
}

/// What one request is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Of ours, for `X-Request-Id`.
    pub request_id: String,
    /// For `traceparent`: our step in the client's trace, or in one that begins here.
    pub traceparent: String,
    /// Whether the trace is the client's.
    pub continues: bool,
    /// Whether the client sent the state of a trace that is none.
    pub drops_state: bool,
}

impl Trace {
    /// The headers for the backend and for the answer.
    pub fn headers(&self) -> HeaderList {
        vec![
            ("x-request-id", self.request_id.clone()),
            ("traceparent", self.traceparent.clone()),
        ]
    }
}

/// The trace id and the flags of a `traceparent` (W3C Trace Context, section 3.2). A later version
/// is read as far as ours goes.
fn parse(value: &str) -> Option<(&str, u8)> {
    let mut parts = value.split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let has_more = parts.next().is_some();
    let well_formed = is_hex(version, 2)
        && is_hex(trace, 32)
        && is_hex(span, 16)
        && is_hex(flags, 2)
        && version != "ff"
        && (version != "00" || !has_more)
        && trace.bytes().any(|digit| digit != b'0')
        && span.bytes().any(|digit| digit != b'0');
    let flags = u8::from_str_radix(flags, 16).ok()?;
    well_formed.then_some((trace, flags & KNOWN_FLAGS))
}

fn is_hex(text: &str, len: usize) -> bool {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == len && text.bytes().all(digit)
}

/// Whoever begins a trace decides whether it is recorded. Without this a backend that follows its
/// parent, which is what OpenTelemetry does by default, would record nothing behind the gateway.
const SAMPLED: u8 = 0x01;
/// Sampled, and that the trace id is random (level 2); others must be zero.
const KNOWN_FLAGS: u8 = 0x03;

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn named(headers: &str) -> Trace {
        IdSource::new([7; 32]).name(&Headers::parse(headers).expect("few headers"))
    }

    #[test]
    fn every_request_has_an_id_of_its_own() {
        let mut source = IdSource::new([7; 32]);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1000 {
            let trace = source.name(&Headers::default());
            assert!(is_hex(&trace.request_id, 32));
            assert!(parse(&trace.traceparent).is_some());
            assert!(seen.insert(trace.request_id));
        }
        let other = IdSource::new([8; 32]).name(&Headers::default());
        assert!(!seen.contains(&other.request_id));
    }

    #[test]
    fn id_of_a_client_is_never_ours() {
        let trace = named("x-request-id\nforged\n");
        assert_ne!(trace.request_id, "forged");
        assert_eq!(trace, named(""));
    }

    #[test]
    fn trace_of_a_client_goes_on_with_a_step_of_ours() {
        for (flags, wanted) in [("00", "00"), ("01", "01"), ("03", "03"), ("ff", "03")] {
            let trace = named(&format!("traceparent\n00-{TRACE}-{SPAN}-{flags}\n"));
            assert!(trace.continues);
            assert!(trace.traceparent.starts_with(&format!("00-{TRACE}-")));
            assert!(!trace.traceparent.contains(SPAN));
            assert!(
                trace.traceparent.ends_with(&format!("-{wanted}")),
                "{flags}"
            );
        }
        let later = named(&format!("traceparent\n01-{TRACE}-{SPAN}-01-more\n"));
        assert!(later.traceparent.starts_with(&format!("00-{TRACE}-")));
    }

    #[test]
    fn what_is_no_trace_begins_a_new_one_that_is_called_as_the_request() {
        for value in [
            "",
            "garbage",
            &format!("00-{TRACE}-{SPAN}"),
            &format!("00-{TRACE}-{SPAN}-01-more"),
            &format!("ff-{TRACE}-{SPAN}-01"),
            &format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            &format!("00-{}-{SPAN}-01", "0".repeat(32)),
            &format!("00-{TRACE}-{}-01", "0".repeat(16)),
            &format!("00-{}-{SPAN}-01", &TRACE[1..]),
            &format!("00-{TRACE}-{SPAN}-1"),
            &format!("00-{TRACE}-{SPAN}-0g"),
            &format!("00-{TRACE}-{SPAN}-01, 00-{TRACE}-{SPAN}-01"),
        ] {
            let trace = named(&format!("traceparent\n{value}\n"));
            assert!(!trace.continues, "{value}");
            let wanted = format!("00-{}-", trace.request_id);
            assert!(trace.traceparent.starts_with(&wanted), "{value}");
            assert!(trace.traceparent.ends_with("-01"), "{value}");
        }
    }

    #[test]
    fn debug_does_not_show_the_seed() {
        assert_eq!(format!("{:?}", IdSource::new([7; 32])), "IdSource");
    }
}
