//! The decision as a table: request and state in, verdict out.

use core::fmt::Write as _;

use edge_verifier::answer::Answer;
use edge_verifier::config::Config;
use edge_verifier::decide::{Decision, Verdict, Work, decide, recheck};
use edge_verifier::forward::Forward;
use edge_verifier::state::{Setup, State};
use edge_verifier::urls::UrlFault;
use shared_claims::{AccessClaims, FeedReport, Report, RevocationDocument, UnixMillis};

use crate::support::{Issuer, NOW, config_of};

const ROUTES: &str = r#"
    [[route]]
    id = "api"
    path = "/api/*"
    methods = ["GET", "POST"]
    max_body_bytes = 100
    cors = { origins = ["https://app.example"], credentials = true }
    [[route]]
    id = "admin"
    path = "/admin/*"
    roles = ["admin", "support"]
    [[route]]
    id = "orders"
    path = "/orders/*"
    audience = "orders"
    [[route]]
    id = "maybe"
    path = "/maybe/*"
    auth = "optional"
    [[route]]
    id = "public"
    path = "/public/*"
    methods = ["GET", "POST"]
    auth = "none"
    reason = "nothing secret"
    [[route]]
    id = "cookie"
    path = "/cookie/*"
    methods = ["GET", "POST"]
    token = "cookie:__Host-token"
    cors = { origins = ["https://app.example"], credentials = true }
    [[route]]
    id = "closed"
    path = "/closed/*"
    revocation = { max_age_s = 10, on_stale = "closed" }
    [[route]]
    id = "strict"
    path = "/strict/*"
    revocation = { mode = "strict", on_stale = "closed" }
    [[route]]
    id = "shop"
    path = "/shop/*"
    backend = { service = "SHOP", strip_prefix = "/shop", token = "forward" }
"#;

type Decider = fn(&Config, &mut State, &str, UnixMillis, u32) -> Decision;

/// A gateway with an issuer behind it that answers at once when asked to.
pub struct World {
    pub config: Config,
    pub state: State,
    pub issuer: Issuer,
    pub now: UnixMillis,
    /// What the feed will say when it is polled.
    pub revoked: fn(&mut RevocationDocument),
    /// Whether the issuer answers.
    pub issuer_is_up: bool,
}

impl World {
    /// A cold isolate.
    fn cold() -> Self {
        Self::of(ROUTES)
    }

    /// A cold isolate with these routes.
    pub fn of(routes: &str) -> Self {
        let config = config_of(routes);
        let state = State::new(&config, Setup::default());
        let issuer = Issuer::new(1);
        Self {
            config,
            state,
            issuer,
            now: NOW,
            revoked: |_| {},
            issuer_is_up: true,
        }
    }

    /// An isolate that has keys and feed.
    fn warm() -> Self {
        let mut world = Self::cold();
        let token = world.issuer.token(|_| {});
        assert_eq!(world.verdict(&get("/api/x", &token)), "forward");
        world
    }

    pub fn pass(&mut self, secs: u64) {
        self.now = UnixMillis::from_millis(self.now.as_millis() + secs * 1000);
    }

    fn decide(&mut self, request: &str) -> Decision {
        decide(&self.config, &mut self.state, request, self.now, 0)
    }

    /// Decides as the full way does: work is done at once, and background work too.
    pub fn settle(&mut self, request: &str) -> Verdict {
        self.settle_by(decide, request)
    }

    /// The same for a request that was let through and goes on.
    pub fn settle_again(&mut self, request: &str) -> Verdict {
        self.settle_by(recheck, request)
    }

    fn settle_by(&mut self, decide: Decider, request: &str) -> Verdict {
        let mut waited_ms = 0;
        for _ in 0..1000 {
            let decision = decide(&self.config, &mut self.state, request, self.now, waited_ms);
            decision
                .background
                .into_iter()
                .for_each(|work| self.perform(work));
            match decision.verdict {
                Verdict::Wait(wait) => {
                    wait.work
                        .into_iter()
                        .for_each(|(work, _)| self.perform(work));
                    waited_ms += wait.again_after_ms.unwrap_or(0).max(1);
                }
                settled => return settled,
            }
        }
        panic!("no end of waiting");
    }

    pub fn verdict(&mut self, request: &str) -> String {
        match self.settle(request) {
            Verdict::Forward(_) => "forward".into(),
            Verdict::Answer(answer) => code(&answer),
            Verdict::Wait(_) => "wait".into(),
            Verdict::Stands => "stands".into(),
            Verdict::Charge(_) => "charge".into(),
        }
    }

    pub fn forwarded(&mut self, request: &str) -> Forward {
        match self.settle(request) {
            Verdict::Forward(forward) => *forward,
            other => panic!("not forwarded: {other:?}"),
        }
    }

    pub fn answered(&mut self, request: &str) -> Answer {
        match self.settle(request) {
            Verdict::Answer(answer) => *answer,
            other => panic!("not answered: {other:?}"),
        }
    }

    fn perform(&mut self, work: Work) {
        let (now, jitter) = (self.now, 0);
        match work {
            Work::LoadKeys(ticket) | Work::RefetchKeys(ticket) => {
                let document = self.issuer.keys().to_json();
                let document = document.as_bytes();
                let report = Report::Fetched {
                    document,
                    fetched_at: now,
                    jitter,
                };
                let report = if self.issuer_is_up {
                    report
                } else {
                    Report::Failed { jitter }
                };
                self.state.keys.report(now, ticket, report);
            }
            Work::PollFeed(poll) => {
                let jws = self.issuer.feed(now.to_secs(), self.revoked);
                let keys = self.issuer.feed_keys();
                let report = FeedReport::Answered {
                    jws: &jws,
                    keys: &keys,
                    etag: None,
                    jitter,
                };
                let report = if self.issuer_is_up {
                    report
                } else {
                    FeedReport::Failed { jitter }
                };
                self.state
                    .feed
                    .report(now, poll.ticket, report)
                    .expect("a good feed");
            }
        }
    }
}

pub fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let mut text = format!("{method}\nhttps://edge.example{path}\n");
    for (name, value) in headers {
        let _ = write!(text, "{name}\n{value}\n");
    }
    text
}

pub fn get(path: &str, token: &str) -> String {
    request(
        "GET",
        path,
        &[("authorization", &format!("Bearer {token}"))],
    )
}

pub fn code(answer: &Answer) -> String {
    let body: serde_json::Value =
        serde_json::from_str(answer.body.as_deref().unwrap_or("{}")).expect("JSON");
    match body.get("code").and_then(|code| code.as_str()) {
        Some(code) => format!("{} {code}", answer.status),
        None => answer.status.to_string(),
    }
}

pub fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let found = answer.headers.iter().find(|(other, _)| *other == name);
    found.map(|(_, value)| value.as_str())
}

pub fn set<'a>(forward: &'a Forward, name: &str) -> Option<&'a str> {
    let found = forward.set.iter().find(|(other, _)| *other == name);
    found.map(|(_, value)| value.as_str())
}

#[test]
fn cold_isolate_asks_for_keys_and_feed_at_once_and_then_forwards() {
    let mut world = World::cold();
    let request = get("/api/x", &world.issuer.token(|_| {}));
    let decision = world.decide(&request);
    let Verdict::Wait(wait) = decision.verdict else {
        panic!("{:?}", decision.verdict)
    };
    let kinds: Vec<bool> = wait
        .work
        .iter()
        .map(|(work, _)| matches!(work, Work::LoadKeys(_)))
        .collect();
    assert_eq!(kinds, [true, false]);
    let Verdict::Wait(other) = world.decide(&request).verdict else {
        panic!("it waits too")
    };
    assert!(
        other.work.is_empty() && other.again_after_ms.is_some(),
        "only one leads"
    );
    wait.work
        .into_iter()
        .for_each(|(work, _)| world.perform(work));
    let decision = world.decide(&request);
    assert!(
        matches!(decision.verdict, Verdict::Forward(_)),
        "{:?}",
        decision.verdict
    );
    assert!(decision.background.is_empty());
}

#[test]
fn warm_isolate_decides_without_fetching() {
    let mut world = World::warm();
    world.issuer_is_up = false;
    for n in 0..100 {
        let token = world.issuer.token(|claims| claims.jti = format!("jti-{n}"));
        let decision = world.decide(&get("/api/x", &token));
        assert!(matches!(decision.verdict, Verdict::Forward(_)));
        assert!(decision.background.is_empty());
    }
}

#[test]
fn each_refusal_has_its_code() {
    let mut world = World::warm();
    let good = world.issuer.token(|_| {});
    let bearer = format!("Bearer {good}");
    let other = Issuer::new(2).token(|_| {});
    let flipped = format!("{}A{}", &good[..good.len() - 20], &good[good.len() - 19..]);
    let token = |change: fn(&mut AccessClaims)| format!("Bearer {}", world.issuer.token(change));
    let bad_audience = token(|claims| claims.aud = vec!["other".into()]);
    let bad_issuer = token(|claims| claims.iss = "https://evil.example".into());
    let expired = token(|claims| claims.exp = NOW.to_secs());
    let future = token(|claims| claims.iat = NOW.to_secs().plus_secs(60));
    let long = token(|claims| claims.exp = NOW.to_secs().plus_secs(4000));
    let two = format!("{bearer}, {bearer}");
    let (other, flipped) = (format!("Bearer {other}"), format!("Bearer {flipped}"));
    let huge = format!("Bearer {}", "a".repeat(9000));
    for (method, path, headers, wanted) in [
        (
            "GET",
            "/api/x",
            vec![("authorization", bearer.as_str())],
            "forward",
        ),
        (
            "GET",
            "/api/%2fx",
            vec![("authorization", bearer.as_str())],
            "400 invalid_path",
        ),
        (
            "GET",
            "/api//x",
            vec![("authorization", bearer.as_str())],
            "400 invalid_path",
        ),
        (
            "GET",
            "/nowhere",
            vec![("authorization", bearer.as_str())],
            "404 route_not_found",
        ),
        ("GET", "/nowhere", vec![], "404 route_not_found"),
        (
            "DELETE",
            "/api/x",
            vec![("authorization", bearer.as_str())],
            "405 method_not_allowed",
        ),
        (
            "TRACE",
            "/api/x",
            vec![("authorization", bearer.as_str())],
            "405 method_not_allowed",
        ),
        ("CONNECT", "/public/x", vec![], "405 method_not_allowed"),
        ("get", "/public/x", vec![], "405 method_not_allowed"),
        ("OPTIONS", "/api/x", vec![], "405 method_not_allowed"),
        ("GET", "/api/x", vec![], "401 missing_token"),
        ("GET", "/api/x?token=a", vec![], "401 missing_token"),
        (
            "GET",
            "/api/x",
            vec![("authorization", "Basic dTpw")],
            "401 missing_token",
        ),
        (
            "GET",
            "/api/x",
            vec![("authorization", "Bearer ")],
            "401 malformed",
        ),
        (
            "GET",
            "/api/x",
            vec![("authorization", "Bearer a.b.c")],
            "401 malformed",
        ),
        (
            "GET",
            "/api/x",
            vec![("authorization", huge.as_str())],
            "401 too_large",
        ),
        (
            "GET",
            "/api/x",
            vec![("authorization", two.as_str())],
            "400 multiple_tokens",
        ),
        (
            "GET",
            "/api/x",
            vec![("authorization", other.as_str())],
            "401 unknown_key",
        ),
        (
            "GET",
            "/api/x",
            vec![("authorization", flipped.as_str())],
            "401 bad_signature",
        ),
        (
            "GET",
            "/api/x",
            vec![("authorization", bad_audience.as_str())],
            "401 wrong_audience",
        ),
        (
            "GET",
            "/orders/x",
            vec![("authorization", bearer.as_str())],
            "401 wrong_audience",
        ),
        (
            "GET",
            "/api/x",
            vec![("authorization", bad_issuer.as_str())],
            "401 wrong_issuer",
        ),
        (
            "GET",
            "/api/x",
            vec![("authorization", future.as_str())],
            "401 issued_in_future",
        ),
        (
            "GET",
            "/api/x",
            vec![("authorization", long.as_str())],
            "401 lifetime_too_long",
        ),
        (
            "GET",
            "/admin/x",
            vec![("authorization", bearer.as_str())],
            "403 insufficient_scope",
        ),
        (
            "GET",
            "/maybe/x",
            vec![("authorization", flipped.as_str())],
            "401 bad_signature",
        ),
        (
            "POST",
            "/api/x",
            vec![
                ("authorization", bearer.as_str()),
                ("content-length", "101"),
            ],
            "413 payload_too_large",
        ),
        (
            "POST",
            "/api/x",
            vec![("content-length", "99999999999999999999")],
            "401 missing_token",
        ),
        (
            "GET",
            "/.well-known/edge/other",
            vec![],
            "404 route_not_found",
        ),
        (
            "GET",
            "/.well-known/edge-jwks.json",
            vec![],
            "404 route_not_found",
        ),
        (
            "POST",
            "/.well-known/edge/status",
            vec![],
            "405 method_not_allowed",
        ),
        ("GET", "/.well-known/edge/status", vec![], "200"),
    ] {
        let text = request(method, path, &headers);
        assert_eq!(world.verdict(&text), wanted, "{method} {path}");
    }
    assert_eq!(
        world.verdict(&request("GET", "/api/x", &[("authorization", &expired)])),
        "forward"
    );
    world.pass(31);
    assert_eq!(
        world.verdict(&request("GET", "/api/x", &[("authorization", &expired)])),
        "401 expired"
    );
}

#[test]
fn routes_and_requests_without_token_never_wait() {
    let mut world = World::cold();
    let token = world.issuer.token(|_| {});
    for text in [
        get("/public/x", &token),
        get("/public/x", "garbage"),
        request("GET", "/maybe/x", &[]),
    ] {
        let decision = world.decide(&text);
        let Verdict::Forward(forward) = decision.verdict else {
            panic!("{:?}", decision.verdict)
        };
        assert!(
            forward
                .set
                .iter()
                .all(|(name, _)| !name.starts_with("x-auth-"))
        );
        assert!(decision.background.is_empty());
    }
}

#[test]
fn identity_reaches_the_backend_and_the_token_does_not() {
    let mut world = World::warm();
    let token = world.issuer.token(|claims| {
        claims.sub = "Zoë 1".into();
        claims.role = Some("admin\r\nx-auth-user: root".into());
    });
    let forward = world.forwarded(&request(
        "GET",
        "/api/a%20b?c=%2f",
        &[
            ("authorization", &format!("Bearer {token}")),
            ("cf-connecting-ip", "203.0.113.9"),
            ("x-auth-user", "root"),
            ("x_auth_role", "admin"),
            ("x-forwarded-for", "10.0.0.1"),
            ("connection", "x-custom"),
            ("x-custom", "1"),
            ("accept", "*/*"),
        ],
    ));
    assert_eq!(forward.url, "https://backend.example/api/a%20b?c=%2f");
    assert_eq!(forward.service, None);
    let removed = [
        "x-auth-user",
        "x_auth_role",
        "x-forwarded-for",
        "connection",
        "x-custom",
        "authorization",
    ];
    assert_eq!(forward.remove, removed);
    let exp = NOW.to_secs().plus_secs(900).as_secs().to_string();
    for (name, value) in [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "edge.example"),
        ("x-forwarded-for", "203.0.113.9"),
        ("x-auth-user", "Zo%C3%AB%201"),
        ("x-auth-role", "admin%0D%0Ax-auth-user:%20root"),
        ("x-auth-session", "session-1"),
        ("x-auth-exp", &exp),
        ("x-auth-email", "ada@example.com"),
    ] {
        assert_eq!(set(&forward, name), Some(value), "{name}");
    }
    let text = serde_json::to_string(&forward).expect("it serialises");
    assert!(!text.contains(&token));
}

#[test]
fn address_that_was_not_verified_is_not_passed_on() {
    let mut world = World::warm();
    for verified in [None, Some(false)] {
        let token = world
            .issuer
            .token(|claims| claims.email_verified = verified);
        let forward = world.forwarded(&get("/api/x", &token));
        assert_eq!(set(&forward, "x-auth-email"), None, "{verified:?}");
    }
}

#[test]
fn identity_headers_are_removed_on_public_routes_too() {
    let mut world = World::cold();
    let headers = [
        ("x-auth-user", "root"),
        ("x-edge-assertion", "forged"),
        ("authorization", "Bearer x"),
    ];
    let forward = world.forwarded(&request("GET", "/public/x", &headers));
    assert_eq!(
        forward.remove,
        ["x-auth-user", "x-edge-assertion", "authorization"]
    );
    assert!(
        forward
            .set
            .iter()
            .all(|(name, _)| name.starts_with("x-forwarded-") || is_name(name))
    );
    let answer = &forward.answer;
    assert!(answer.set.iter().all(|(name, _)| is_name(name)));
    assert!(answer.remove.is_empty() && !answer.vary);
}

/// What a request is called, on every route.
fn is_name(header: &str) -> bool {
    matches!(header, "x-request-id" | "traceparent")
}

#[test]
fn service_backend_gets_the_stripped_path_and_may_keep_the_token() {
    let mut world = World::warm();
    let token = world.issuer.token(|_| {});
    let forward = world.forwarded(&get("/shop/%61rt/1?x", &token));
    assert_eq!(forward.url, "https://edge.example/%61rt/1?x");
    assert_eq!(forward.service.as_deref(), Some("SHOP"));
    assert!(forward.remove.is_empty());
}

#[test]
fn answers_of_authenticated_routes_must_not_be_stored() {
    let mut world = World::warm();
    let token = world.issuer.token(|_| {});
    let forward = world.forwarded(&get("/api/x", &token));
    assert!(
        forward
            .answer
            .set
            .contains(&("cache-control", "private, no-store".into()))
    );
    let forward = world.forwarded(&request("GET", "/maybe/x", &[]));
    assert!(
        forward
            .answer
            .set
            .contains(&("cache-control", "private, no-store".into()))
    );
}

#[test]
fn body_of_unknown_size_is_counted() {
    let mut world = World::cold();
    let counted = |world: &mut World, method: &str, headers: &[(&str, &str)]| {
        world
            .forwarded(&request(method, "/public/x", headers))
            .count_body
    };
    assert_eq!(
        counted(&mut world, "POST", &[("transfer-encoding", "chunked")]),
        Some(100 << 20)
    );
    assert_eq!(counted(&mut world, "POST", &[]), Some(100 << 20));
    assert_eq!(
        counted(&mut world, "POST", &[("content-length", "5")]),
        None
    );
    assert_eq!(counted(&mut world, "GET", &[]), None);
}

#[test]
fn roles_admit_whoever_has_one_of_them() {
    let mut world = World::warm();
    for (role, wanted) in [
        (Some("admin"), "forward"),
        (Some("support"), "forward"),
        (Some("Admin"), "403 insufficient_scope"),
        (Some("admin,support"), "403 insufficient_scope"),
        (None, "403 insufficient_scope"),
    ] {
        let token = world
            .issuer
            .token(|claims| claims.role = role.map(Into::into));
        assert_eq!(world.verdict(&get("/admin/x", &token)), wanted, "{role:?}");
    }
}

#[test]
fn route_with_its_own_audience_takes_its_own_tokens_only() {
    let mut world = World::warm();
    let token = world
        .issuer
        .token(|claims| claims.aud = vec!["orders".into()]);
    assert_eq!(world.verdict(&get("/orders/x", &token)), "forward");
    assert_eq!(
        world.verdict(&get("/api/x", &token)),
        "401 wrong_audience",
        "also when cached"
    );
}

#[test]
fn cookie_is_taken_for_reading_and_from_listed_pages_for_writing() {
    let mut world = World::warm();
    let cookie = format!("a=1; __Host-token={}", world.issuer.token(|_| {}));
    let app = ("origin", "https://app.example");
    for (method, extra, wanted) in [
        ("GET", vec![], "forward"),
        ("POST", vec![app], "forward"),
        ("POST", vec![], "403 forbidden"),
        ("POST", vec![("origin", "null")], "403 forbidden"),
        (
            "POST",
            vec![("origin", "https://evil.example")],
            "403 forbidden",
        ),
        (
            "POST",
            vec![("origin", "https://app.example.evil.example")],
            "403 forbidden",
        ),
        ("GET", vec![("upgrade", "websocket")], "403 forbidden"),
        (
            "GET",
            vec![("upgrade", "WebSocket"), ("origin", "https://evil.example")],
            "403 forbidden",
        ),
        ("GET", vec![("upgrade", "websocket"), app], "forward"),
        (
            "GET",
            vec![("authorization", "Bearer x")],
            "400 multiple_tokens",
        ),
    ] {
        let mut headers = vec![("cookie", cookie.as_str())];
        headers.extend(extra.iter().copied());
        assert_eq!(
            world.verdict(&request(method, "/cookie/x", &headers)),
            wanted,
            "{method} {extra:?}"
        );
    }
    let forward = world.forwarded(&request("GET", "/cookie/x", &[("cookie", &cookie)]));
    assert_eq!(set(&forward, "cookie"), Some("a=1"));
    let only = cookie.trim_start_matches("a=1; ");
    let forward = world.forwarded(&request("GET", "/cookie/x", &[("cookie", only)]));
    assert!(forward.remove.contains(&"cookie".to_owned()));
    assert_eq!(
        world.verdict(&request("GET", "/api/x", &[("cookie", &cookie)])),
        "401 missing_token"
    );
}

#[test]
fn writing_with_a_bearer_token_needs_no_origin() {
    let mut world = World::warm();
    let token = format!("Bearer {}", world.issuer.token(|_| {}));
    let text = request("POST", "/cookie/x", &[("authorization", &token)]);
    assert_eq!(world.verdict(&text), "forward");
}

#[test]
fn revoked_session_is_refused_from_the_next_feed_on_also_from_the_cache() {
    let mut world = World::warm();
    let request = get("/api/x", &world.issuer.token(|_| {}));
    assert_eq!(world.verdict(&request), "forward");
    world.revoked = |document| {
        document.seq = 2;
        document.sids = vec![shared_claims::hash_prefix("session-1")];
    };
    assert_eq!(
        world.verdict(&request),
        "forward",
        "not polled twice in a second"
    );
    world.pass(1);
    assert_eq!(
        world.verdict(&request),
        "forward",
        "polled in the background"
    );
    assert_eq!(world.verdict(&request), "401 revoked");
}

#[test]
fn denied_key_is_refused_although_it_is_in_the_key_set() {
    let mut world = World::warm();
    let request = get("/api/x", &world.issuer.token(|_| {}));
    world.revoked = |document| {
        document.seq = 2;
        document.deny_kids = Issuer::new(1).keys().kids().collect();
    };
    world.pass(1);
    world.settle(&request);
    assert_eq!(world.verdict(&request), "401 revoked");
}

#[test]
fn cached_token_is_refused_when_its_key_has_left_the_key_set() {
    let mut world = World::warm();
    let request = get("/api/x", &world.issuer.token(|_| {}));
    world.issuer = Issuer::new(3);
    world.pass(301);
    world.settle(&request);
    assert_eq!(
        world.verdict(&request),
        "401 unknown_key",
        "refreshed in the background"
    );
}

#[test]
fn issuer_away_leaves_valid_tokens_accepted_until_the_hard_limit() {
    let mut world = World::warm();
    world.issuer_is_up = false;
    for hour_part in 1..=11 {
        world.pass(300);
        let token = world.issuer.token(|claims| {
            claims.iat = NOW.to_secs().plus_secs(hour_part * 300);
            claims.exp = claims.iat.plus_secs(900);
        });
        assert_eq!(
            world.verdict(&get("/api/x", &token)),
            "forward",
            "{hour_part}"
        );
    }
    world.pass(300);
    let token = world.issuer.token(|claims| {
        claims.iat = NOW.to_secs().plus_secs(3600);
        claims.exp = claims.iat.plus_secs(900);
    });
    let answer = world.answered(&get("/api/x", &token));
    assert_eq!(code(&answer), "503 keys_unavailable");
    assert!(header(&answer, "retry-after").is_some());
}

#[test]
fn cold_isolate_without_issuer_is_503() {
    let mut world = World::cold();
    world.issuer_is_up = false;
    let text = get("/api/x", &world.issuer.token(|_| {}));
    assert_eq!(world.verdict(&text), "503 keys_unavailable");
    assert_eq!(world.verdict(&request("GET", "/public/x", &[])), "forward");
}

#[test]
fn stale_feed_is_passed_or_refused_as_the_route_says() {
    let mut world = World::warm();
    world.issuer_is_up = false;
    world.pass(40);
    let token = world.issuer.token(|_| {});
    assert_eq!(world.verdict(&get("/api/x", &token)), "forward", "open");
    let answer = world.answered(&get("/closed/x", &token));
    assert_eq!(code(&answer), "503 unavailable");
    assert_eq!(header(&answer, "retry-after"), Some("1"));
    world.issuer_is_up = true;
    world.pass(5);
    assert_eq!(
        world.verdict(&get("/closed/x", &token)),
        "forward",
        "polled first"
    );
}

#[test]
fn strict_route_asks_first_once_the_feed_is_a_second_old() {
    let mut world = World::warm();
    let text = get("/strict/x", &world.issuer.token(|_| {}));
    assert!(matches!(world.decide(&text).verdict, Verdict::Forward(_)));
    world.pass(1);
    world.revoked = |document| {
        document.seq = 2;
        document.sids = vec![shared_claims::hash_prefix("session-1")];
    };
    assert_eq!(world.verdict(&text), "401 revoked");
}

#[test]
fn preflight_is_answered_before_authentication() {
    let mut world = World::cold();
    let headers = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
    ];
    let answer = world.answered(&request("OPTIONS", "/api/x", &headers));
    assert_eq!(answer.status, 204);
    assert_eq!(answer.body, None);
    assert_eq!(
        header(&answer, "access-control-allow-origin"),
        Some("https://app.example")
    );
    assert_eq!(
        header(&answer, "access-control-allow-methods"),
        Some("GET, POST")
    );
    assert!(header(&answer, "vary").is_some());
}

#[test]
fn refusals_can_be_read_by_listed_pages_only() {
    let mut world = World::cold();
    for (origin, allowed) in [
        ("https://app.example", true),
        ("https://evil.example", false),
    ] {
        let answer = world.answered(&request("GET", "/api/x", &[("origin", origin)]));
        assert_eq!(code(&answer), "401 missing_token");
        let header = header(&answer, "access-control-allow-origin");
        assert_eq!(header, Some(origin).filter(|_| allowed));
    }
    let answer = world.answered(&request(
        "GET",
        "/admin/x",
        &[("origin", "https://app.example")],
    ));
    assert_eq!(
        header(&answer, "access-control-allow-origin"),
        None,
        "the route has no rules"
    );
}

#[test]
fn challenge_names_an_error_only_when_a_token_was_sent() {
    let mut world = World::warm();
    let missing = world.answered(&request("GET", "/api/x", &[]));
    assert_eq!(
        header(&missing, "www-authenticate"),
        Some("Bearer realm=\"tollgate\"")
    );
    let bad = world.answered(&get("/api/x", "a.b.c"));
    let wanted = Some("Bearer realm=\"tollgate\", error=\"invalid_token\"");
    assert_eq!(header(&bad, "www-authenticate"), wanted);
    let method = world.answered(&request("DELETE", "/api/x", &[]));
    assert_eq!(header(&method, "allow"), Some("GET, POST"));
    for answer in [missing, bad, method] {
        assert_eq!(header(&answer, "cache-control"), Some("no-store"));
        assert_eq!(
            header(&answer, "content-type"),
            Some("application/problem+json")
        );
    }
}

#[test]
fn log_names_route_code_and_state_and_never_the_token() {
    let mut world = World::warm();
    let token = world
        .issuer
        .token(|claims| claims.aud = vec!["other".into()]);
    let answer = world.answered(&get("/api/secret-path", &token));
    let id = header(&answer, "x-request-id").expect("every answer has one");
    let wanted = format!(
        r#"{{"event":"refused","route":"api","status":401,"code":"wrong_audience","keys":"fresh","feedAgeSecs":0,"requestId":"{id}"}}"#
    );
    assert_eq!(answer.log, Some(wanted));
    let everything = serde_json::to_string(&answer).expect("it serialises");
    assert!(token.split('.').all(|part| !everything.contains(part)));
}

#[test]
fn status_tells_ages_and_no_address() {
    let mut world = World::warm();
    world.pass(7);
    let answer = world.answered(&request("GET", "/.well-known/edge/status", &[]));
    let body = answer.body.expect("a document");
    let status: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(status["jwks"]["state"], "fresh");
    assert_eq!(status["jwks"]["ageSecs"], 7);
    assert_eq!(status["jwks"]["kids"].as_array().map(Vec::len), Some(1));
    assert_eq!(status["revocations"]["seq"], 1);
    assert_eq!(status["revocations"]["ageSecs"], 7);
    assert!(!body.contains("backend"), "{body}");
    assert!(!body.contains("SHOP"), "{body}");
}

#[test]
fn fault_of_the_setup_is_500_where_it_matters_and_named_in_the_status() {
    let mut world = World::warm();
    world.state.setup.missing_services.push("SHOP".into());
    let token = world.issuer.token(|_| {});
    assert_eq!(world.verdict(&get("/shop/x", &token)), "500 internal");
    assert_eq!(world.verdict(&get("/api/x", &token)), "forward");
    world.state.setup.issuer_url = Some(UrlFault::PlainHttp);
    assert_eq!(world.verdict(&get("/api/x", &token)), "500 internal");
    assert_eq!(world.verdict(&request("GET", "/public/x", &[])), "forward");
    let answer = world.answered(&request("GET", "/.well-known/edge/status", &[]));
    assert_eq!(answer.status, 500);
    let body = answer.body.expect("a document");
    assert!(
        body.contains("service binding SHOP is missing")
            && body.contains("ISSUER_URL is plain http")
    );
}

#[test]
fn unknown_key_ids_cause_one_fetch_in_thirty_seconds() {
    let mut world = World::warm();
    let mut n_fetches = 0;
    for n in 0..1000 {
        if n % 100 == 0 {
            world.pass(1);
        }
        let stranger = Issuer::new(u8::try_from(n % 200 + 10).expect("below 256"));
        let text = get(
            "/api/x",
            &stranger.token(|claims| claims.iat = world.now.to_secs()),
        );
        let decision = world.decide(&text);
        if let Verdict::Wait(wait) = decision.verdict {
            for (work, _) in wait.work {
                n_fetches += usize::from(matches!(work, Work::RefetchKeys(_)));
                world.perform(work);
            }
        }
    }
    assert!(n_fetches <= 1, "{n_fetches}");
}

#[test]
fn no_request_makes_the_decision_panic() {
    let mut world = World::warm();
    let token = world.issuer.token(|_| {});
    let good = request(
        "POST",
        "/api/a%20b/c?d=e",
        &[
            ("authorization", &format!("Bearer {token}")),
            ("cookie", "a=b; c"),
            ("connection", "x, y"),
        ],
    );
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % u64::try_from(below).expect("small")).expect("small")
    };
    for _ in 0..20_000 {
        let mut bytes = good.clone().into_bytes();
        for _ in 0..=random(4) {
            let (at, to) = (random(bytes.len()), random(bytes.len()));
            match random(4) {
                0 => bytes[at] = u8::try_from(random(128)).expect("ASCII"),
                1 => bytes.truncate(at.max(1)),
                2 => bytes.insert(at, b"\n/%;\\.,= \x7f"[random(10)]),
                _ => bytes.swap(at, to),
            }
        }
        if let Ok(text) = core::str::from_utf8(&bytes) {
            let decision = world.decide(text);
            if let Verdict::Forward(forward) = decision.verdict {
                assert!(
                    forward.url.starts_with("https://backend.example/")
                        || forward.service.is_some()
                );
                let claims = forward
                    .set
                    .iter()
                    .filter(|(name, _)| *name == "x-auth-user");
                assert!(
                    claims
                        .map(|(_, value)| value)
                        .all(|value| value == "user-1")
                );
            }
        }
    }
}
