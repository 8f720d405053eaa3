//! What a request is called on its way.

use crate::decide::{World, get, header, request, set};

const ROUTES: &str = r#"
    [[route]]
    id = "api"
    path = "/api/*"
    server_timing = true
    [[route]]
    id = "open"
    path = "/open/*"
    auth = "none"
    reason = "nothing secret"
"#;

const INBOUND: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn backend_and_client_learn_the_same_names() {
    let mut world = World::of(ROUTES);
    let token = world.issuer.token(|_| {});
    for text in [get("/api/x", &token), request("GET", "/open/x", &[])] {
        let forward = world.forwarded(&text);
        for name in ["x-request-id", "traceparent"] {
            let upstream = set(&forward, name).map(str::to_owned);
            let back = forward.answer.set.iter().find(|(other, _)| *other == name);
            assert!(upstream.is_some());
            assert_eq!(upstream.as_ref(), back.map(|(_, value)| value));
        }
        assert_eq!(set(&forward, "x-request-id"), Some(&*forward.request_id));
    }
}

#[test]
fn id_of_a_client_is_removed_in_every_spelling_and_its_trace_goes_on() {
    let mut world = World::of(ROUTES);
    let headers = [
        ("x-request-id", "forged"),
        ("x_request_id", "forged"),
        ("traceparent", INBOUND),
        ("tracestate", "vendor=1"),
    ];
    let forward = world.forwarded(&request("GET", "/open/x", &headers));
    assert_eq!(forward.remove[..2], ["x-request-id", "x_request_id"]);
    assert!(!forward.remove.iter().any(|name| name == "tracestate"));
    assert_ne!(set(&forward, "x-request-id"), Some("forged"));
    let traceparent = set(&forward, "traceparent").expect("it is set");
    assert_eq!(traceparent[..36], INBOUND[..36]);
    assert_ne!(traceparent, INBOUND);
}

#[test]
fn state_of_a_trace_that_is_none_is_not_passed_on() {
    let mut world = World::of(ROUTES);
    let headers = [("traceparent", "garbage"), ("tracestate", "vendor=1")];
    let forward = world.forwarded(&request("GET", "/open/x", &headers));
    assert!(forward.remove.iter().any(|name| name == "tracestate"));
}

#[test]
fn refusal_has_an_id_too_and_no_two_have_the_same() {
    let mut world = World::of(ROUTES);
    let mut ids = std::collections::HashSet::new();
    for path in ["/api/x", "/nowhere", "/api//x"] {
        let answer = world.answered(&request("GET", path, &[]));
        let id = header(&answer, "x-request-id").expect("every refusal has one");
        assert!(ids.insert(id.to_owned()));
        let log = answer.log.as_deref().expect("a line");
        assert!(log.contains(id), "{log}");
    }
}

#[test]
fn decisions_are_counted_by_route_code_and_state_and_timed_where_the_route_says_so() {
    let mut world = World::of(ROUTES);
    let token = world.issuer.token(|_| {});
    let forward = world.forwarded(&get("/api/x", &token));
    let metric = &forward.metric;
    assert_eq!(
        (metric.route.as_str(), metric.code, metric.keys),
        ("api", "forwarded", "fresh")
    );
    assert!(forward.server_timing);
    let open = world.forwarded(&request("GET", "/open/x", &[]));
    assert!(!open.server_timing);
    let metric = world.answered(&request("GET", "/api/x", &[])).metric;
    assert_eq!(
        (metric.route.as_str(), metric.code),
        ("api", "missing_token")
    );
    let metric = world.answered(&request("GET", "/nowhere", &[])).metric;
    assert_eq!(
        (metric.route.as_str(), metric.code),
        ("", "route_not_found")
    );
}
