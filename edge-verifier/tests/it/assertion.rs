//! What the gateway signs about a request, and what happens when it cannot.

use edge_verifier::state::Setup;
use shared_claims::{EdgeAssertion, KeySet, Policy, Received};

use crate::decide::{World, code, get, header, request, set};

const ROUTES: &str = r#"
    [[route]]
    id = "orders"
    path = "/orders/*"
    methods = ["GET", "POST"]
    backend = { url = "https://orders.example/v1", name = "orders", strip_prefix = "/orders" }
    [[route]]
    id = "open"
    path = "/open/*"
    auth = "none"
    reason = "nothing secret"
    backend = { url = "https://open.example" }
    [[route]]
    id = "inside"
    path = "/inside/*"
    backend = { url = "http://inside.example", trust = "network" }
    [[route]]
    id = "bound"
    path = "/bound/*"
    backend = { service = "BOUND" }
"#;

const ONE: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
const TWO: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";

/// An isolate whose Worker has this secret.
fn world(secret: Option<&str>) -> World {
    let mut world = World::of(ROUTES);
    let mut setup = Setup::default();
    setup.use_signing_key(&world.config, secret);
    world.state.setup = setup;
    world
}

fn read(
    world: &mut World,
    jws: &str,
    backend: &str,
    received: Received<'_>,
) -> Result<EdgeAssertion, shared_claims::VerifyError> {
    let published = world.answered(&request("GET", "/.well-known/edge-jwks.json", &[]));
    let document = published.body.expect("keys");
    let keys = KeySet::from_json(document.as_bytes()).expect("a good key set");
    let policy = Policy::new("tollgate-edge", backend);
    EdgeAssertion::from_jws(jws, &keys, &policy, received, world.now.to_secs())
        .map(shared_claims::Verified::into_inner)
}

#[test]
fn backend_learns_who_asks_for_what_as_it_is_forwarded() {
    let mut world = world(Some(ONE));
    let token = world
        .issuer
        .token(|claims| claims.role = Some("admin".into()));
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let forward = world.forwarded(&request("POST", "/orders/a%20b?c=%2f&d", &headers));
    let received = Received {
        method: "POST",
        target: "/v1/a%20b?c=%2f&d",
    };
    let jws = set(&forward, "x-edge-assertion").expect("it is signed");
    let assertion = read(&mut world, jws, "orders", received).expect("a good one");
    assert_eq!(assertion.sub.as_deref(), Some("user-1"));
    assert_eq!(assertion.sid.as_deref(), Some("session-1"));
    assert_eq!(assertion.role.as_deref(), Some("admin"));
    assert_eq!(assertion.jti, forward.request_id);
    assert_eq!(assertion.exp.secs_since(assertion.iat), 60);
}

#[test]
fn public_route_asserts_that_the_request_came_through_and_names_nobody() {
    let mut world = world(Some(ONE));
    let forward = world.forwarded(&request("GET", "/open/x", &[("x-auth-user", "root")]));
    let jws = set(&forward, "x-edge-assertion").expect("it is signed");
    let received = Received {
        method: "GET",
        target: "/open/x",
    };
    let name = "https://open.example";
    let assertion = read(&mut world, jws, name, received).expect("a good one");
    assert_eq!(
        (assertion.sub, assertion.sid, assertion.role),
        (None, None, None)
    );
}

#[test]
fn backend_that_only_the_gateway_reaches_gets_none() {
    let mut world = world(Some(ONE));
    let token = world.issuer.token(|_| {});
    for path in ["/inside/x", "/bound/x"] {
        let forward = world.forwarded(&get(path, &token));
        assert_eq!(set(&forward, "x-edge-assertion"), None, "{path}");
    }
}

#[test]
fn without_a_good_key_the_route_is_closed_and_the_status_says_why() {
    for (secret, remedy) in [
        (None, "wrangler secret put EDGE_SIGNING_KEY"),
        (Some("not a key"), "43 characters of base64url"),
    ] {
        let mut world = world(secret);
        let token = world.issuer.token(|_| {});
        assert_eq!(world.verdict(&get("/orders/x", &token)), "500 internal");
        assert_eq!(world.verdict(&get("/open/x", &token)), "500 internal");
        assert_eq!(world.verdict(&get("/inside/x", &token)), "forward");
        let status = world.answered(&request("GET", "/.well-known/edge/status", &[]));
        assert_eq!(status.status, 500);
        let body = status.body.expect("a document");
        assert!(body.contains(remedy), "{body}");
        assert!(!body.contains("not a key"), "{body}");
        let keys = request("GET", "/.well-known/edge-jwks.json", &[]);
        assert_eq!(world.verdict(&keys), "404 route_not_found");
    }
}

#[test]
fn key_set_is_public_and_has_the_keys_of_a_change_of_keys() {
    let mut world = world(Some(&format!("{TWO},{ONE}")));
    let answer = world.answered(&request("GET", "/.well-known/edge-jwks.json", &[]));
    assert_eq!((answer.status, code(&answer).as_str()), (200, "200"));
    assert_eq!(header(&answer, "cache-control"), Some("public, max-age=60"));
    let document = answer.body.expect("keys");
    let keys = KeySet::from_json(document.as_bytes()).expect("a good key set");
    assert_eq!(keys.len(), 2);
    assert!(!document.contains(ONE) && !document.contains(TWO));
    let post = world.answered(&request("POST", "/.well-known/edge-jwks.json", &[]));
    assert_eq!(code(&post), "405 method_not_allowed");
}
