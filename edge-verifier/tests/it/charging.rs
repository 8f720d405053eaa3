//! What a request costs: what is asked of the issuer, what its answers mean, what becomes of a hold.

use edge_verifier::charging::{
    End, Hold, Order, Outcome, ServiceTokens, apps_without_token, order, receipt,
};
use edge_verifier::config::{Charge, ChargeWhen, Config};
use edge_verifier::decide::{Verdict, decide};
use edge_verifier::refusal::Refusal;
use edge_verifier::request::Incoming;
use edge_verifier::state::{Setup, State};
use serde_json::{Value, json};
use shared_claims::VerifyError;

use crate::decide::{World, get, request, set};
use crate::support::{NOW, config_of};

const ROUTES: &str = r#"
    [[route]]
    id = "free"
    path = "/free/*"
    [[route]]
    id = "search"
    path = "/search/*"
    timeout_ms = 1500
    cost = 3
    app_id = "shop"
    [[route]]
    id = "before"
    path = "/before/*"
    cost = 5
    app_id = "shop"
    charge = "before"
    [[route]]
    id = "cookie"
    path = "/cookie/*"
    token = "cookie:__Host-token"
    cost = 1
    app_id = "other"
    charge_4xx = true
"#;

/// What is ordered for a request, by a configuration with several routes.
fn ordered(config: &Config, id: &str, header: &str) -> Option<Order> {
    let text = format!("GET\nhttps://edge.example/{id}/x\n{header}\nx-request-id\nchosen\n");
    let request = Incoming::parse(&text).expect("a plain request");
    let route = config.routes.iter().find(|route| route.id == id);
    order(config, route.expect("it is there"), &request)
}

fn order_of(id: &str) -> Order {
    let ordered = ordered(&config_of(ROUTES), id, "authorization\nBearer t.o.k");
    ordered.expect("it costs something")
}

fn charge(on_4xx: bool) -> Charge {
    Charge {
        cost: 3,
        app_id: "shop".into(),
        when: ChargeWhen::OnSuccess,
        on_4xx,
    }
}

#[test]
fn an_order_names_cost_app_route_and_the_users_own_token() {
    let config = config_of(ROUTES);
    assert_eq!(
        ordered(&config, "free", "authorization\nBearer t.o.k"),
        None
    );
    for (id, path, token, body) in [
        (
            "search",
            "/api/v1/credits/holds",
            "authorization\nBearer t.o.k",
            json!({"amount": 3, "appId": "shop", "description": "search", "expiresInSeconds": 62}),
        ),
        (
            "before",
            "/api/v1/credits/use",
            "authorization\nbearer t.o.k",
            json!({"amount": 5, "appId": "shop", "description": "before"}),
        ),
        (
            "cookie",
            "/api/v1/credits/holds",
            "cookie\na=b; __Host-token=t.o.k",
            json!({"amount": 1, "appId": "other", "description": "cookie", "expiresInSeconds": 90}),
        ),
    ] {
        let order = ordered(&config, id, token).expect("it costs something");
        assert_eq!(order.path(), path);
        assert_eq!(order.user_token.expose(), "t.o.k");
        assert!(!format!("{order:?}").contains("t.o.k"));
        assert_eq!(
            serde_json::from_str::<Value>(&order.body()).ok(),
            Some(body)
        );
        assert_eq!(config.routes[order.route].id, id);
    }
}

#[test]
fn a_hold_outlives_the_longest_request_of_its_route_and_the_issuer_takes_it() {
    for (timeout_ms, secs) in [(100, 61), (1000, 61), (1001, 62), (600_000, 660)] {
        let route = format!(
            "[[route]]\nid = \"a\"\npath = \"/a/*\"\ncost = 1\napp_id = \"x\"\ntimeout_ms = {timeout_ms}"
        );
        let order = ordered(&config_of(&route), "a", "authorization\nBearer t");
        let expires = order.expect("it costs something").expires_in_secs;
        assert_eq!(expires, secs);
        assert!(expires * 1000 >= timeout_ms + 30_000 && expires <= 3600);
    }
}

#[test]
fn answers_to_an_order_are_done_refused_or_to_be_asked_for_again() {
    let order = order_of("search");
    let problem = |code: &str, detail: &str| json!({"code": code, "detail": detail});
    let limit =
        json!({"period": "day", "limit": 100, "used": 99, "resetsAt": "2026-11-22T00:00:00Z"});
    let reached = json!({"code": "spend_limit_reached", "spendLimit": limit});
    let reached_refusal = || {
        let limit = serde_json::from_value(limit.clone()).expect("a limit");
        Refusal::SpendLimitReached(Box::new(limit))
    };
    let invalid = |detail| problem("invalid_token", detail);
    let busy = |retry_after_secs| Refusal::TooManyCharges { retry_after_secs };
    for (status, body, wanted) in [
        (
            402,
            json!({"code": "insufficient_credits", "balance": 2}),
            Refusal::InsufficientCredits { balance: 2 },
        ),
        (
            402,
            json!(null),
            Refusal::InsufficientCredits { balance: 0 },
        ),
        (403, problem("account_frozen", ""), Refusal::AccountFrozen),
        (403, reached, reached_refusal()),
        (
            403,
            problem("spend_limit_reached", ""),
            Refusal::ChargingUnavailable,
        ),
        (403, problem("forbidden", ""), Refusal::ChargingNotSetUp),
        (401, invalid("unknown_service"), Refusal::ChargingNotSetUp),
        (401, problem("missing_token", ""), Refusal::ChargingNotSetUp),
        (
            401,
            invalid("expired"),
            Refusal::Token(VerifyError::Expired),
        ),
        (
            401,
            invalid("wrong_audience"),
            Refusal::Token(VerifyError::WrongAudience),
        ),
        (
            401,
            invalid("anything"),
            Refusal::Token(VerifyError::UnknownKey),
        ),
        (
            401,
            problem("session_revoked", ""),
            Refusal::Token(VerifyError::Revoked),
        ),
        (
            404,
            problem("not_found", ""),
            Refusal::Forbidden("The user has no credit account."),
        ),
        (409, problem("conflict", ""), busy(1)),
        (
            422,
            problem("validation_failed", ""),
            Refusal::ChargingNotSetUp,
        ),
        (429, problem("rate_limited", ""), busy(1)),
    ] {
        let read = order.read(status, None, body.to_string().as_bytes());
        assert_eq!(read, Outcome::Refused(wanted), "{status} {body}");
    }
    assert_eq!(order.read(429, Some("17"), b""), Outcome::Refused(busy(17)));
    assert_eq!(
        order.read(429, Some("soon"), b""),
        Outcome::Refused(busy(1))
    );
    for status in [
        0, 100, 200, 202, 204, 301, 304, 400, 405, 408, 413, 500, 502, 503, 504, 599,
    ] {
        assert_eq!(
            order.read(status, None, br#"{"hold":{"id":"a"}}"#),
            Outcome::Again,
            "{status}"
        );
    }
}

#[test]
fn only_an_answer_with_a_usable_id_is_a_hold() {
    let order = order_of("search");
    let read = |body: &str| order.read(201, None, body.as_bytes());
    let long = format!(r#"{{"hold":{{"id":"{}"}}}}"#, "a".repeat(65));
    assert_eq!(
        read(r#"{"hold":{"id":"AZaz09_-","amount":3}}"#),
        Outcome::Done(Some("AZaz09_-".into()))
    );
    for body in [
        "",
        "{",
        "null",
        "{}",
        r#"{"hold":{}}"#,
        r#"{"hold":{"id":""}}"#,
        r#"{"hold":{"id":5}}"#,
        r#"{"hold":{"id":"../use"}}"#,
        r#"{"hold":{"id":"a?b"}}"#,
        r#"{"hold":{"id":"a/b"}}"#,
        &long,
    ] {
        assert_eq!(read(body), Outcome::Again, "{body}");
    }
    let before = order_of("before");
    assert_eq!(before.read(200, None, b""), Outcome::Done(None));
    assert_eq!(
        before.read(201, None, br#"{"hold":{"id":"a"}}"#),
        Outcome::Again
    );
}

#[test]
fn what_becomes_of_a_hold_follows_from_the_backends_status() {
    let free_4xx = [
        (0, End::Release),
        (101, End::Capture),
        (200, End::Capture),
        (204, End::Capture),
        (206, End::Capture),
        (304, End::Capture),
        (399, End::Capture),
        (400, End::Release),
        (404, End::Release),
        (429, End::Release),
        (499, End::Release),
        (500, End::Release),
        (503, End::Release),
        (599, End::Release),
        (999, End::Release),
    ];
    for (status, end) in free_4xx {
        assert_eq!(End::of(&charge(false), status), end, "{status}");
        let is_4xx = (400..500).contains(&status);
        let end = if is_4xx { End::Capture } else { end };
        assert_eq!(
            End::of(&charge(true), status),
            end,
            "{status} with charge_4xx"
        );
    }
}

#[test]
fn the_end_of_a_hold_has_a_place_and_a_key_of_its_own() {
    let hold = Hold {
        id: "H".into(),
        key: "K".into(),
        route: 0,
    };
    assert_eq!(hold.path(End::Capture), "/api/v1/credits/holds/H/capture");
    assert_eq!(hold.path(End::Release), "/api/v1/credits/holds/H/release");
    assert_eq!(hold.key_of(End::Capture), "K:capture");
    assert_eq!(hold.key_of(End::Release), "K:release");
    for (status, wanted) in [
        (200, Outcome::Done(())),
        (401, Outcome::Refused(Refusal::NotSettled)),
        (403, Outcome::Refused(Refusal::NotSettled)),
        (404, Outcome::Refused(Refusal::NotSettled)),
        (409, Outcome::Refused(Refusal::NotSettled)),
        (422, Outcome::Refused(Refusal::NotSettled)),
        (201, Outcome::Again),
        (302, Outcome::Again),
        (429, Outcome::Again),
        (500, Outcome::Again),
        (503, Outcome::Again),
    ] {
        assert_eq!(End::read(status), wanted, "{status}");
    }
}

#[test]
fn service_tokens_are_one_for_all_or_one_for_each_app() {
    let find = |text: &str, app: &str| {
        let tokens = ServiceTokens::parse(text).expect("well-formed");
        tokens.find(app).map(str::to_owned)
    };
    assert_eq!(find("tgs_a", "shop").as_deref(), Some("tgs_a"));
    let each = " shop=tgs_s\n other=tgs_o ";
    assert_eq!(find(each, "shop").as_deref(), Some("tgs_s"));
    assert_eq!(find(each, "other").as_deref(), Some("tgs_o"));
    assert_eq!(find(each, "third"), None);
    assert_eq!(
        find("tgs_rest shop=tgs_s", "shop").as_deref(),
        Some("tgs_s")
    );
    assert_eq!(
        find("tgs_rest shop=tgs_s", "x").as_deref(),
        Some("tgs_rest")
    );
    for bad in ["secret", "shop=secret", "tgs_a,tgs_b=c d", "tgs_ä", "shop="] {
        assert!(ServiceTokens::parse(bad).is_none(), "{bad}");
    }
    let tokens = ServiceTokens::parse("shop=tgs_s").expect("well-formed");
    assert_eq!(format!("{tokens:?}"), "ServiceTokens");
    let config = config_of(ROUTES);
    assert_eq!(apps_without_token(&config, &tokens), ["other"]);
    assert_eq!(
        apps_without_token(&config, &ServiceTokens::default()),
        ["other", "shop"]
    );
}

#[test]
fn without_its_service_token_a_route_is_503_and_the_status_says_what_to_do() {
    let config = config_of(ROUTES);
    let setup = Setup {
        apps_without_token: vec!["shop".into()],
        ..Setup::default()
    };
    let problems = setup.problems();
    assert!(
        problems[0].contains("EDGE_SERVICE_TOKEN")
            && problems[0].contains("--scope credits:hold --app shop"),
        "{problems:?}"
    );
    let mut state = State::new(&config, setup);
    for (id, status) in [
        ("search", 503),
        ("before", 503),
        ("cookie", 401),
        ("free", 401),
    ] {
        let request = format!("GET\nhttps://edge.example/{id}/x\n");
        let Verdict::Answer(answer) = decide(&config, &mut state, &request, NOW, 0).verdict else {
            panic!("{id} is answered");
        };
        assert_eq!(answer.status, status, "{id}");
        let retry = answer
            .headers
            .iter()
            .any(|(name, _)| *name == "retry-after");
        assert_eq!(retry, status == 503, "{id}");
    }
    let malformed = Setup {
        service_tokens_malformed: true,
        ..Setup::default()
    };
    assert!(malformed.problems()[0].contains("neither a service token nor a list"));
}

#[test]
fn refusals_tell_the_client_what_it_can_do() {
    let limit =
        json!({"period": "day", "limit": 100, "used": 99, "resetsAt": "2026-11-22T00:00:00Z"});
    let reached = Refusal::SpendLimitReached(Box::new(
        serde_json::from_value(limit.clone()).expect("a limit"),
    ));
    for (refusal, code, status, retry_after, member) in [
        (
            Refusal::InsufficientCredits { balance: 2 },
            "insufficient_credits",
            402,
            None,
            ("balance", json!(2)),
        ),
        (
            Refusal::AccountFrozen,
            "account_frozen",
            403,
            None,
            ("balance", json!(null)),
        ),
        (
            reached,
            "spend_limit_reached",
            403,
            None,
            ("spendLimit", limit),
        ),
        (
            Refusal::TooManyCharges {
                retry_after_secs: 7,
            },
            "rate_limited",
            429,
            Some("7"),
            ("balance", json!(null)),
        ),
        (
            Refusal::ChargingNotSetUp,
            "unavailable",
            503,
            Some("30"),
            ("balance", json!(null)),
        ),
        (
            Refusal::ChargingUnavailable,
            "unavailable",
            503,
            Some("1"),
            ("balance", json!(null)),
        ),
        (
            Refusal::NotSettled,
            "unavailable",
            503,
            Some("1"),
            ("balance", json!(null)),
        ),
    ] {
        let body: Value = serde_json::from_str(&refusal.body()).expect("JSON");
        assert_eq!(
            (&body["code"], &body["status"]),
            (&json!(code), &json!(status))
        );
        assert_eq!(body[member.0], member.1, "{code}");
        let headers = refusal.headers();
        let found = headers.iter().find(|(name, _)| *name == "retry-after");
        assert_eq!(
            found.map(|(_, value)| value.as_str()),
            retry_after,
            "{code}"
        );
    }
    let (set, append) = receipt(&charge(false));
    assert_eq!(set, [("x-credits-charged", "3".to_owned())]);
    assert_eq!(
        append,
        [(
            "access-control-expose-headers",
            "x-credits-charged".to_owned()
        )]
    );
}

/// A route with a cost and with everything else that a request can have on its way.
const ALL_RULES: &str = r#"
    [[route]]
    id = "all"
    path = "/all/*"
    token = "websocket"
    cost = 3
    app_id = "shop"
    revocation = { mode = "strict" }
    limits = { per_user = "3/min" }
    server_timing = true
    backend = { url = "https://orders.example", name = "orders" }
"#;

/// A world of these rules whose Worker has everything it needs.
fn world_of_all_rules() -> World {
    let mut world = World::of(ALL_RULES);
    let mut setup = Setup::default();
    let key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
    setup.use_signing_key(&world.config, Some(key));
    setup.counts_users = true;
    world.state.setup = setup;
    world
}

#[test]
fn what_is_charged_for_is_signed_named_and_counted_as_everything_else() {
    let mut world = world_of_all_rules();
    let token = world.issuer.token(|_| {});
    let Verdict::Charge(charge) = world.settle(&get("/all/x", &token)) else {
        panic!("it costs something")
    };
    let (order, forward) = *charge;
    assert_eq!(order.user_token.expose(), token);
    assert!(set(&forward, "x-edge-assertion").is_some());
    assert_eq!(
        set(&forward, "x-request-id"),
        Some(forward.request_id.as_str())
    );
    assert_eq!(forward.counted_as.as_deref(), Some("all user user-1"));
    assert_eq!(forward.metric.code, "forwarded");
    assert!(forward.server_timing);
}

#[test]
fn whoever_asks_too_often_is_refused_before_anything_is_charged() {
    let mut world = world_of_all_rules();
    let text = get("/all/x", &world.issuer.token(|_| {}));
    for _ in 0..3 {
        assert_eq!(world.verdict(&text), "charge");
    }
    assert_eq!(world.verdict(&text), "429 rate_limited");
}

#[test]
fn socket_that_offers_its_token_pays_with_it_once_and_stays_open_for_nothing() {
    let mut world = world_of_all_rules();
    let token = world.issuer.token(|_| {});
    let offer = format!("chat, bearer.{token}");
    let headers = [
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-protocol", offer.as_str()),
    ];
    let text = request("GET", "/all/x", &headers);
    let Verdict::Charge(charge) = world.settle(&text) else {
        panic!("it costs something")
    };
    assert_eq!(charge.0.user_token.expose(), token);
    assert!(charge.1.watch);
    for _ in 0..10 {
        world.pass(1);
        assert!(matches!(world.settle_again(&text), Verdict::Stands));
    }
}
