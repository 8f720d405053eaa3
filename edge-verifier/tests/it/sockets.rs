//! Sockets: where their token is, and for how long they stay open.

use edge_verifier::decide::Verdict;

use crate::decide::{World, code, request, set};

const ROUTES: &str = r#"
    [[route]]
    id = "chat"
    path = "/chat/*"
    token = "websocket"
    [[route]]
    id = "bearer"
    path = "/bearer/*"
    [[route]]
    id = "kept"
    path = "/kept/*"
    token = "websocket"
    backend = { service = "CHAT", token = "forward" }
    [[route]]
    id = "strict"
    path = "/strict/*"
    token = "websocket"
    revocation = { mode = "strict", on_stale = "closed" }
    limits = { per_user = "3/min" }
    [[route]]
    id = "open"
    path = "/open/*"
    auth = "none"
    reason = "nothing secret"
    revocation = { mode = "strict" }
    [[route]]
    id = "cookie"
    path = "/cookie/*"
    token = "cookie:__Host-token"
    cors = { origins = ["https://app.example"], credentials = true }
"#;

fn upgrade(path: &str, headers: &[(&str, &str)]) -> String {
    let mut all = vec![("upgrade", "websocket"), ("connection", "Upgrade")];
    all.extend_from_slice(headers);
    request("GET", path, &all)
}

fn offering(path: &str, protocols: &str) -> String {
    upgrade(path, &[("sec-websocket-protocol", protocols)])
}

#[test]
fn token_among_the_subprotocols_lets_in_and_is_not_passed_on() {
    let mut world = World::of(ROUTES);
    let token = world.issuer.token(|_| {});
    let forward = world.forwarded(&offering(
        "/chat/x",
        &format!("chat.v2, bearer.{token}, chat"),
    ));
    assert_eq!(set(&forward, "x-auth-user"), Some("user-1"));
    assert_eq!(
        set(&forward, "sec-websocket-protocol"),
        Some("chat.v2, chat")
    );
    let only = world.forwarded(&offering("/chat/x", &format!("bearer.{token}")));
    assert!(
        only.remove
            .iter()
            .any(|name| name == "sec-websocket-protocol")
    );
    let kept = world.forwarded(&offering("/kept/x", &format!("chat, bearer.{token}")));
    assert_eq!(set(&kept, "sec-websocket-protocol"), None);
    assert!(
        !kept
            .remove
            .iter()
            .any(|name| name == "sec-websocket-protocol")
    );
}

#[test]
fn two_tokens_are_refused_wherever_they_are() {
    let mut world = World::of(ROUTES);
    let token = world.issuer.token(|_| {});
    let bearer = format!("Bearer {token}");
    let protocol = format!("bearer.{token}");
    let two = format!("{protocol}, {protocol}");
    assert_eq!(
        world.verdict(&offering("/chat/x", &two)),
        "400 multiple_tokens"
    );
    let both = [
        ("authorization", bearer.as_str()),
        ("sec-websocket-protocol", protocol.as_str()),
    ];
    assert_eq!(
        world.verdict(&upgrade("/chat/x", &both)),
        "400 multiple_tokens"
    );
    let header = upgrade("/chat/x", &both[..1]);
    assert_eq!(world.verdict(&header), "forward", "a program has headers");
}

#[test]
fn other_routes_do_not_look_there_and_do_not_leak_it_either() {
    let mut world = World::of(ROUTES);
    let token = world.issuer.token(|_| {});
    let offer = format!("chat, bearer.{token}");
    assert_eq!(
        world.verdict(&offering("/bearer/x", &offer)),
        "401 missing_token"
    );
    let forward = world.forwarded(&offering("/open/x", &offer));
    assert_eq!(set(&forward, "sec-websocket-protocol"), Some("chat"));
    assert_eq!(
        world.verdict(&offering("/chat/x", "bearer.a.b.c")),
        "401 malformed"
    );
    assert_eq!(
        world.verdict(&offering("/chat/x", "chat")),
        "401 missing_token"
    );
}

#[test]
fn upgrade_with_a_cookie_needs_a_listed_page() {
    let mut world = World::of(ROUTES);
    let cookie = format!("__Host-token={}", world.issuer.token(|_| {}));
    for (origin, wanted) in [
        (Some("https://app.example"), "forward"),
        (Some("https://evil.example"), "403 forbidden"),
        (Some("null"), "403 forbidden"),
        (None, "403 forbidden"),
    ] {
        let mut headers = vec![("cookie", cookie.as_str())];
        headers.extend(origin.map(|origin| ("origin", origin)));
        assert_eq!(
            world.verdict(&upgrade("/cookie/x", &headers)),
            wanted,
            "{origin:?}"
        );
    }
}

#[test]
fn socket_is_watched_on_strict_routes_only_and_only_with_a_token() {
    let mut world = World::of(ROUTES);
    let offer = format!("bearer.{}", world.issuer.token(|_| {}));
    for (path, watched) in [("/strict/x", true), ("/chat/x", false), ("/open/x", false)] {
        let forward = world.forwarded(&offering(path, &offer));
        assert_eq!(forward.watch, watched, "{path}");
    }
    let plain = request("GET", "/strict/x", &[("sec-websocket-protocol", &offer)]);
    assert!(!world.forwarded(&plain).watch);
}

/// What became of a socket that was opened earlier.
fn look_again(world: &mut World, text: &str) -> String {
    match world.settle_again(text) {
        Verdict::Stands => "stands".into(),
        Verdict::Answer(answer) => code(&answer),
        other => panic!("{other:?}"),
    }
}

#[test]
fn socket_stands_until_its_session_is_revoked() {
    let mut world = World::of(ROUTES);
    let text = offering(
        "/strict/x",
        &format!("bearer.{}", world.issuer.token(|_| {})),
    );
    assert_eq!(world.verdict(&text), "forward");
    for _ in 0..10 {
        world.pass(1);
        assert_eq!(look_again(&mut world, &text), "stands");
    }
    world.revoked = |document| {
        document.seq = 2;
        document.sids = vec![shared_claims::hash_prefix("session-1")];
    };
    world.pass(1);
    assert_eq!(look_again(&mut world, &text), "401 revoked");
}

#[test]
fn socket_stands_until_its_token_is_no_longer_accepted() {
    let mut world = World::of(ROUTES);
    let exp = world.now.to_secs().plus_secs(10);
    let token = world.issuer.token(|claims| claims.exp = exp);
    let text = offering("/strict/x", &format!("bearer.{token}"));
    assert_eq!(world.verdict(&text), "forward");
    world.pass(39);
    assert_eq!(look_again(&mut world, &text), "stands");
    world.pass(1);
    assert_eq!(look_again(&mut world, &text), "401 expired");
}

#[test]
fn socket_falls_when_revocations_cannot_be_had_and_the_route_is_closed_then() {
    let mut world = World::of(ROUTES);
    let text = offering(
        "/strict/x",
        &format!("bearer.{}", world.issuer.token(|_| {})),
    );
    assert_eq!(world.verdict(&text), "forward");
    world.issuer_is_up = false;
    world.pass(31);
    assert_eq!(look_again(&mut world, &text), "503 unavailable");
}

#[test]
fn looking_again_takes_nothing_from_the_allowance() {
    let mut world = World::of(ROUTES);
    let text = offering(
        "/strict/x",
        &format!("bearer.{}", world.issuer.token(|_| {})),
    );
    assert_eq!(world.verdict(&text), "forward");
    for _ in 0..10 {
        assert_eq!(look_again(&mut world, &text), "stands");
    }
    assert_eq!(world.verdict(&text), "forward");
    assert_eq!(world.verdict(&text), "forward");
    assert_eq!(world.verdict(&text), "429 rate_limited");
}
