//! How much one client may ask for.

use edge_verifier::answer::Answer;

use crate::decide::{World, code, get, header, request};
use crate::support::Issuer;

const ROUTES: &str = r#"
    [[route]]
    id = "few"
    path = "/few/*"
    auth = "optional"
    limits = { per_user = "3/min" }
    [[route]]
    id = "guarded"
    path = "/guarded/*"
    limits = { failed_auth = "3/min" }
    [[route]]
    id = "other"
    path = "/other/*"
    limits = { failed_auth = "3/min" }
"#;

fn from(address: &str, path: &str, token: &str) -> String {
    let bearer = format!("Bearer {token}");
    let headers = [
        ("cf-connecting-ip", address),
        ("authorization", bearer.as_str()),
    ];
    request("GET", path, &headers)
}

fn retry_after(answer: &Answer) -> &str {
    header(answer, "retry-after").expect("it says when")
}

#[test]
fn user_gets_the_allowance_and_then_429_until_it_comes_back() {
    let mut world = World::of(ROUTES);
    let token = |world: &World, jti: &str| {
        let jti = jti.to_owned();
        world.issuer.token(|claims| claims.jti = jti)
    };
    for n in 0..3 {
        // A token more is no allowance more.
        let token = token(&world, &format!("jti-{n}"));
        assert_eq!(world.verdict(&get("/few/x", &token)), "forward");
    }
    let again = get("/few/x", &token(&world, "jti-0"));
    let answer = world.answered(&again);
    assert_eq!(code(&answer), "429 rate_limited");
    assert_eq!(retry_after(&answer), "20");
    let neighbour = world.issuer.token(|claims| claims.sub = "user-2".into());
    assert_eq!(world.verdict(&get("/few/x", &neighbour)), "forward");
    world.pass(20);
    assert_eq!(world.verdict(&again), "forward");
    assert_eq!(world.verdict(&again), "429 rate_limited");
}

#[test]
fn whoever_has_no_token_is_counted_by_address() {
    let mut world = World::of(ROUTES);
    let ask = |address| request("GET", "/few/x", &[("cf-connecting-ip", address)]);
    for _ in 0..3 {
        assert_eq!(world.verdict(&ask("203.0.113.9")), "forward");
    }
    assert_eq!(world.verdict(&ask("203.0.113.9")), "429 rate_limited");
    assert_eq!(world.verdict(&ask("203.0.113.10")), "forward");
}

#[test]
fn address_with_too_many_refused_tokens_is_kept_out_before_anything_is_verified() {
    let mut world = World::of(ROUTES);
    let good = world.issuer.token(|claims| claims.jti = "known".into());
    let late = world.issuer.token(|claims| claims.jti = "late".into());
    assert_eq!(
        world.verdict(&from("203.0.113.9", "/guarded/x", &good)),
        "forward"
    );
    for n in 0..3 {
        let guess = from("203.0.113.9", "/guarded/x", &format!("a.b.{n}"));
        assert_eq!(world.verdict(&guess), "401 malformed");
    }
    let answer = world.answered(&from("203.0.113.9", "/guarded/x", "a.b.c"));
    assert_eq!(code(&answer), "429 rate_limited");
    assert_eq!(retry_after(&answer), "20");
    assert_eq!(
        world.verdict(&from("203.0.113.9", "/guarded/x", &late)),
        "429 rate_limited",
        "it is not even looked at"
    );
    assert_eq!(
        world.verdict(&from("203.0.113.9", "/guarded/x", &good)),
        "forward",
        "known to be good before the neighbour began to guess"
    );
    assert_eq!(
        world.verdict(&from("203.0.113.10", "/guarded/x", &late)),
        "forward"
    );
    let elsewhere = from("203.0.113.9", "/other/x", "a.b.c");
    assert_eq!(world.verdict(&elsewhere), "401 malformed");
    world.pass(20);
    assert_eq!(
        world.verdict(&from("203.0.113.9", "/guarded/x", &late)),
        "forward"
    );
}

#[test]
fn expired_and_missing_tokens_are_no_failures() {
    let mut world = World::of(ROUTES);
    let now = world.now.to_secs();
    let expired = world.issuer.token(|claims| {
        claims.exp = now.minus_secs(60);
        claims.iat = now.minus_secs(900);
    });
    for _ in 0..10 {
        let text = from("203.0.113.9", "/guarded/x", &expired);
        assert_eq!(world.verdict(&text), "401 expired");
        let text = request("GET", "/guarded/x", &[("cf-connecting-ip", "203.0.113.9")]);
        assert_eq!(world.verdict(&text), "401 missing_token");
    }
    let good = world.issuer.token(|_| {});
    let text = from("203.0.113.9", "/guarded/x", &good);
    assert_eq!(world.verdict(&text), "forward");
}

#[test]
fn network_of_an_address_counts_in_ipv6_and_strangers_keys_are_failures() {
    let mut world = World::of(ROUTES);
    let forged = Issuer::new(2).token(|_| {});
    for host in 1..=3 {
        let text = from(&format!("2001:db8::{host}"), "/guarded/x", &forged);
        assert_eq!(world.verdict(&text), "401 unknown_key");
    }
    let text = from("2001:db8::ffff", "/guarded/x", &forged);
    assert_eq!(world.verdict(&text), "429 rate_limited");
    let text = from("2001:db8:0:1::1", "/guarded/x", &forged);
    assert_eq!(world.verdict(&text), "401 unknown_key");
}

#[test]
fn counters_of_the_data_centre_are_asked_where_they_are_bound() {
    let mut world = World::of(ROUTES);
    let good = world.issuer.token(|_| {});
    let text = get("/few/x", &good);
    assert_eq!(world.forwarded(&text).counted_as, None);
    let bad = from("203.0.113.9", "/guarded/x", "a.b.c");
    assert_eq!(world.answered(&bad).counted_as, None);
    world.state.setup.counts_users = true;
    world.state.setup.counts_failures = true;
    let counted_as = world.forwarded(&text).counted_as;
    assert_eq!(counted_as.as_deref(), Some("few user user-1"));
    let counted_as = world.answered(&bad).counted_as;
    assert_eq!(counted_as.as_deref(), Some("guarded address 203.0.113.9"));
    let missing = request("GET", "/guarded/x", &[("cf-connecting-ip", "203.0.113.9")]);
    assert_eq!(world.answered(&missing).counted_as, None);
}
